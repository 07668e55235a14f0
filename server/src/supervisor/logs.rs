//! `ctl reopen-logs`: every worker opens the access log anew, after something like logrotate has renamed it.
//!
//! The command is a number in the scoreboard and a wake-up for each worker; the answer is what each has noted in its slot.

use std::time::Duration;

use super::Supervisor;
use super::control::Ticket;
use crate::config::LogTarget;
use crate::ctl::protocol::{Answer, Reopened, Reply};
use crate::scoreboard::{LogState, Phase};

/// Workers need milliseconds. One that is inside a call in prefork reopens its log after it.
const PATIENCE: Duration = Duration::from_secs(2);

/// Somebody waits until all workers have done it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reopening {
    ticket: Ticket,
    generation: u64,
    until: Duration,
}

impl Supervisor {
    /// Tells all workers, or says why not.
    pub(super) fn reopen_logs(&mut self, ticket: Ticket) {
        let problem = match &self.config.access_log {
            None => Some("there is no access log; --access-log-file names one"),
            Some(log) if log.target == LogTarget::Stdout => {
                Some("the access log is standard output, which only its reader can rotate")
            }
            Some(_) if self.reopening.is_some() => Some("that is being done; try again in a moment"),
            Some(_) => None,
        };
        if let Some(problem) = problem {
            return self.answer(ticket, &Reply::Error(problem.to_owned()));
        }
        let generation = self.scoreboard.reopen_logs();
        self.roster.rouse_all();
        self.reopening = Some(Reopening { ticket, generation, until: self.now() + PATIENCE });
        self.advance_reopening();
    }

    /// Tells whoever waits when all workers have done it, or have had their time.
    pub(super) fn advance_reopening(&mut self) {
        let Some(Reopening { ticket, generation, until }) = self.reopening else { return };
        let mut outcome = Reopened { reopened: 0, kept: 0, pending: 0 };
        for (slot, _) in self.roster.workers() {
            let (phase, logs) = self.roster.logs(slot);
            match logs {
                // It will open the new file, or has written its last line.
                LogState::Unopened => {}
                _ if phase == Phase::Dead => {}
                LogState::Open(done) if done >= generation => outcome.reopened += 1,
                LogState::Kept(done) if done >= generation => outcome.kept += 1,
                LogState::Open(_) | LogState::Kept(_) => outcome.pending += 1,
            }
        }
        if outcome.pending > 0 && self.now() < until {
            return;
        }
        self.reopening = None;
        tracing::info!("{outcome}");
        let reply = match outcome.kept {
            0 => Reply::Ok(Answer::Reopened(outcome)),
            _ => Reply::Error(format!("{outcome}; the error log says why")),
        };
        self.answer(ticket, &reply);
    }

    /// When whoever waits is answered at the latest.
    pub(super) fn reopening_deadline(&self) -> Option<Duration> {
        self.reopening.as_ref().map(|reopening| reopening.until)
    }
}
