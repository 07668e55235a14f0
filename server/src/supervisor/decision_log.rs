//! `--decision-log`: everything that the policy is told and answers, a line of JSON for each.
//!
//! Owns the file, and a policy around the policy that writes the lines; the supervisor asks it as any other. With the file
//! anybody can recompute every decision ([`mpm::record::replay`]). The server itself never reads it.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use mpm::record::{Entry, Setup};
use mpm::{Decision, Policy, Snapshot};

/// Where the lines go.
#[derive(Debug)]
pub(super) struct DecisionLog {
    file: File,
}

impl DecisionLog {
    /// Begins a new file: a recording is of one run.
    pub(super) fn create(path: &Path) -> io::Result<DecisionLog> {
        Ok(DecisionLog { file: File::create(path)? })
    }
}

/// A new policy, written down if somebody wants that.
pub(super) fn policy(setup: Setup, log: Option<&DecisionLog>) -> Box<dyn Policy> {
    let policy = setup.policy();
    match log.map(|log| log.file.try_clone()) {
        None => policy,
        Some(Ok(file)) => {
            let mut recorded = Recorded { policy, file: Some(file) };
            recorded.write(&Entry::Made(setup));
            Box::new(recorded)
        }
        Some(Err(error)) => {
            tracing::error!("the decision log ends here: {error}");
            policy
        }
    }
}

/// A policy, and what it is told.
struct Recorded {
    policy: Box<dyn Policy>,
    /// `None` once a line could not be written: a recording with a gap is worth nothing.
    file: Option<File>,
}

impl Recorded {
    fn write(&mut self, entry: &Entry) {
        let Some(file) = &mut self.file else { return };
        let written = serde_json::to_string(entry).map_err(io::Error::other).and_then(|mut line| {
            line.push('\n');
            // In one piece, so that the file ends with a whole line whenever the server does.
            file.write_all(line.as_bytes())
        });
        if let Err(error) = written {
            tracing::error!("the decision log ends here: {error}");
            self.file = None;
        }
    }
}

impl Policy for Recorded {
    fn name(&self) -> &'static str {
        self.policy.name()
    }

    fn tick(&self) -> Duration {
        self.policy.tick()
    }

    fn rest(&self, snapshot: &Snapshot<'_>) -> Duration {
        self.policy.rest(snapshot)
    }

    fn initial(&self) -> u32 {
        self.policy.initial()
    }

    fn decide(&mut self, snapshot: &Snapshot<'_>) -> Option<Decision> {
        let decision = self.policy.decide(snapshot);
        self.write(&Entry::asked(snapshot, decision.as_ref()));
        decision
    }

    fn spawn_failed(&mut self, now: Duration) {
        self.policy.spawn_failed(now);
        self.write(&Entry::SpawnFailed { now });
    }

    fn graceful_restart(&mut self) {
        self.policy.graceful_restart();
        self.write(&Entry::GracefulRestart);
    }

    fn scale(&mut self, min: u32, max: u32) -> Result<(), &'static str> {
        let scaled = self.policy.scale(min, max);
        self.write(&Entry::Scaled { min, max });
        scaled
    }
}
