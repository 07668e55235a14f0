//! How the server ends: the order in which everybody leaves.

use std::time::Duration;

use super::lives::spawn_from;
use super::nursery::Template;
use super::{Phase, Supervisor};
use crate::config::Exit;
use crate::listener::Listener;

impl Supervisor {
    /// Nothing can be served: leaves with `exit`.
    pub(super) fn give_up(&mut self, exit: Exit) {
        if self.verdict.is_none() {
            self.verdict = Some(exit);
            self.begin_to_stop();
        }
    }

    pub(super) fn stop(&mut self, why: &str) {
        match self.phase {
            Phase::Starting | Phase::Serving => {
                tracing::info!("{why}: finishing what is under way, then stopping; once more stops at once");
                self.begin_to_stop();
            }
            Phase::Stopping { .. } | Phase::Draining => {
                tracing::warn!("{why} again: stopping at once");
                // Workers may not have been asked yet, because the template has not left.
                let now = self.now();
                self.roster.dismiss_all(now);
                self.all_templates().for_each(Template::kill);
                for (slot, pid) in self.roster.kill_overdue(now, Duration::ZERO) {
                    self.counters.killed += 1;
                    tracing::warn!("worker {slot} (pid {pid}) was killed");
                }
            }
        }
    }

    /// First the template goes, and with it and us all holders of the listeners but the workers; they then empty the
    /// backlog before they close it, so that no connection that the kernel has accepted is reset.
    pub(super) fn begin_to_stop(&mut self) {
        self.forget_reload();
        // What is watched for us would be so as long as any process has it.
        self.end_rest();
        self.phase = Phase::Stopping { since: self.now() };
        self.start_for_backlog();
        for listener in self.listeners.drain(..) {
            listener.unlink();
        }
        self.dismiss_workers();
    }

    /// Starts a worker for connections that wait, if none is there that will take them: a policy may have let all go, or
    /// the last one has died. It empties the backlog like any other, within the same time.
    fn start_for_backlog(&mut self) {
        let waiting: u32 = self.listeners.iter().map(Listener::waiting).sum();
        let is_taken = self.roster.views().iter().any(|worker| worker.phase != mpm::Phase::Draining);
        // Who can't load the application starts nobody.
        let Some(template) = self.template.as_ref().filter(|template| template.ready && self.verdict.is_none()) else {
            return;
        };
        if waiting > 0 && !is_taken {
            tracing::info!("{waiting} connection(s) wait and no worker is there: one is started for them");
            spawn_from(template, &mut self.roster, 1);
        }
    }

    pub(super) fn dismiss_workers(&mut self) {
        if let Some(template) = &mut self.template
            && !self.roster.awaits(template.number)
        {
            template.dismiss();
        }
        if self.all_templates().next().is_some() {
            return;
        }
        self.phase = Phase::Draining;
        self.scoreboard.set_stopping();
        let now = self.now();
        self.roster.dismiss_all(now);
    }
}
