//! As many workers as the measured demand needs.

use std::time::Duration;

use crate::{Decision, Limits, Policy, Snapshot};

/// The `adaptive` policy.
#[derive(Debug, Clone)]
pub struct Adaptive {
    limits: Limits,
}

impl Adaptive {
    /// Stays within `limits`.
    pub fn new(limits: Limits) -> Self {
        Self { limits }
    }
}

impl Policy for Adaptive {
    fn name(&self) -> &'static str {
        "adaptive"
    }

    fn tick(&self) -> Duration {
        Duration::from_millis(100)
    }

    fn initial(&self) -> u32 {
        self.limits.min_workers.max(1)
    }

    fn decide(&mut self, snapshot: &Snapshot<'_>) -> Option<Decision> {
        let serving = u32::try_from(
            snapshot
                .workers
                .iter()
                .filter(|worker| worker.serves())
                .count(),
        )
        .unwrap_or(u32::MAX);
        let missing = self.initial().saturating_sub(serving);
        (missing > 0).then(|| {
            Decision::spawn(
                snapshot.now,
                missing,
                format!("want {}, have {serving}", self.initial()),
            )
        })
    }

    fn spawn_failed(&mut self, _now: Duration) {}
}
