//! Who leaves when there are too many, and how fast.
//!
//! Starting a worker too late costs somebody's latency, keeping one too long costs memory: so up is immediate and down
//! waits until nothing within [`PATIENCE`] needed the worker, and goes step by step.

use std::time::Duration;

use crate::Snapshot;
use crate::least_used::least_used;

use super::sliding_max::SlidingMax;

/// A worker that nothing needed for this long is one too many.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// At most one step a second …
const STEP: Duration = Duration::from_secs(1);
/// … of this share of the workers, or one.
const STEP_DIVISOR: u32 = 4;
/// A worker younger than this has not shown yet whether it is needed.
const MIN_AGE: Duration = Duration::from_secs(2);

/// Remembers how many workers were needed lately, and when some were last retired.
#[derive(Debug, Clone)]
pub(super) struct Shrink {
    needed: SlidingMax<u32>,
    retired_at: Option<Duration>,
}

impl Shrink {
    pub(super) fn new() -> Self {
        Self { needed: SlidingMax::new(PATIENCE), retired_at: None }
    }

    /// Takes in how many workers are worth keeping now; answers the most that were within the last [`PATIENCE`].
    pub(super) fn observe(&mut self, now: Duration, kept: u32) -> u32 {
        self.needed.push(now, kept)
    }

    /// The slots to retire so that `needed` workers remain; mostly none.
    pub(super) fn retire(&mut self, snapshot: &Snapshot<'_>, serving: u32, needed: u32) -> Vec<u32> {
        let surplus = serving.saturating_sub(needed);
        let rested = self.retired_at.is_none_or(|at| snapshot.now.saturating_sub(at) >= STEP);
        if surplus == 0 || !rested || !self.needed.is_full(snapshot.now) {
            return Vec::new();
        }
        let step = (serving / STEP_DIVISOR).max(1).min(surplus);
        let slots = least_used(snapshot.workers, step as usize, MIN_AGE);
        if !slots.is_empty() {
            self.retired_at = Some(snapshot.now);
        }
        slots
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cause, Phase, Totals, WorkerView};

    fn worker(slot: u32) -> WorkerView {
        WorkerView {
            slot,
            generation: 1,
            phase: Phase::Ready,
            age: Duration::from_secs(90),
            connections: 0,
            in_flight: 0,
            queued: 0,
            threads: 4,
            totals: Totals::default(),
        }
    }

    #[test]
    fn a_step_a_second_of_a_quarter() {
        let workers: Vec<_> = (0..100).map(worker).collect();
        let mut shrink = Shrink::new();
        let mut retired = |milliseconds: u64, serving: u32, kept: u32| {
            let now = Duration::from_millis(milliseconds);
            let workers = &workers[..serving as usize];
            let snapshot = Snapshot { now, cause: Cause::Tick, workers, backlog: 0 };
            let needed = shrink.observe(now, kept);
            shrink.retire(&snapshot, serving, needed).len()
        };
        assert_eq!(retired(0, 100, 2), 0, "nothing is known about the last five seconds");
        assert_eq!(retired(4_900, 100, 2), 0);
        assert_eq!(retired(5_000, 100, 2), 25);
        assert_eq!(retired(5_100, 75, 2), 0, "one step a second");
        assert_eq!(retired(6_000, 75, 2), 18);
        assert_eq!(retired(7_000, 57, 50), 7, "not below what is needed");
        assert_eq!(retired(8_000, 50, 2), 0, "50 were needed a second ago");
        assert_eq!(retired(12_100, 50, 2), 12);
        assert_eq!(retired(20_000, 3, 2), 1, "one at least");
    }
}
