//! Asks the policy, and carries out what it decides.

use std::time::Duration;

use mpm::{Action, Cause, Decision, Snapshot};

use super::{Phase, Supervisor, watching};
use crate::config::Mpm;
use crate::listener::Listener;

/// Decisions kept for `ctl status`.
const REMEMBERED: usize = 64;
/// A worker whose calls can't run for so long is no capacity: longer than calls that compute in native code keep the
/// interpreter lock, or than one of them lasts when it shares its core with a few others.
const LOCKED_OUT: Duration = Duration::from_secs(1);

impl Supervisor {
    pub(super) fn decide(&mut self, cause: Cause) {
        self.end_rest();
        if self.phase != Phase::Serving && !(self.phase == Phase::Starting && cause == Cause::Tick) {
            return;
        }
        // Before the first worker was asked for there is nothing to decide about.
        if !self.can_spawn() {
            return;
        }
        // Before the rest is looked at, so that nothing that happens meanwhile is missed.
        let stir = self.roster.stir();
        let mut workers = self.roster.views();
        // Who is there only to take another one's place is no capacity of its own.
        workers.retain(|worker| !self.renewal.is_successor(worker.slot as usize));
        if matches!(self.config.mpm, Mpm::Adaptive { .. }) {
            // Nor is who can't run a call now: it counts like one that leaves. If it can again, there may be one too many
            // for a while, which this policy sees to.
            for worker in workers.iter_mut().filter(|worker| worker.phase == mpm::Phase::Ready) {
                if self.roster.look(worker.slot as usize).locked_out() >= LOCKED_OUT {
                    worker.phase = mpm::Phase::Draining;
                }
            }
        }
        let backlog = self.listeners.iter().map(Listener::waiting).sum();
        let snapshot = Snapshot { now: self.now(), cause, workers: &workers, backlog };
        let Some(mut decision) = self.policy.decide(&snapshot) else {
            if cause == Cause::Tick {
                self.rest(self.policy.rest(&snapshot), stir);
            }
            return;
        };
        if self.reload.as_ref().is_some_and(|reload| reload.template.ready) {
            // There are two generations of workers, of which one leaves soon.
            decision.actions.retain(|action| matches!(action, Action::Spawn { .. }));
            if decision.actions.is_empty() {
                return;
            }
        }
        watching::log(&decision, self.config.log_format);
        let actions = decision.actions.clone();
        self.remember(decision);
        for action in actions {
            match action {
                Action::Spawn { count } => self.spawn(count),
                Action::Retire { slot } => {
                    let now = self.now();
                    self.roster.retire(slot as usize, now);
                }
            }
        }
    }

    /// Keeps a decision for a while.
    pub(super) fn remember(&mut self, decision: Decision) {
        self.decided.count(&decision);
        if self.decisions.len() == REMEMBERED {
            self.decisions.pop_front();
        }
        self.decisions.push_back(decision);
    }
}
