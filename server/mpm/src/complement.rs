//! How many workers a policy has ordered and not retired: the complement, as of a ship.
//!
//! uWSGI and PHP-FPM start a successor for every process that they did not dismiss themselves (it crashed, or has had
//! its share of requests), whatever the load, and outside of their algorithms. What is missing from the complement is
//! that successor. A worker that leaves by itself has it while it still drains: replacement first.

use crate::{Snapshot, WorkerView};

/// The workers there should be.
#[derive(Debug, Clone)]
pub(crate) struct Complement {
    wanted: u32,
}

impl Complement {
    /// The workers that are started before the first snapshot.
    pub(crate) fn new(initial: u32) -> Self {
        Self { wanted: initial }
    }

    /// How many of them are missing. More than there should be were not ordered here, and stay.
    pub(crate) fn missing(&mut self, snapshot: &Snapshot<'_>, most: u32) -> u32 {
        let serving = snapshot.count(WorkerView::serves);
        self.wanted = self.wanted.max(serving).min(most.max(serving));
        self.wanted - serving
    }

    /// Whether fewer serve than were ordered.
    pub(crate) fn is_short(&self, snapshot: &Snapshot<'_>) -> bool {
        snapshot.count(WorkerView::serves) < self.wanted
    }

    /// The policy orders more.
    pub(crate) fn ordered(&mut self, count: u32) {
        self.wanted = self.wanted.saturating_add(count);
    }

    /// The policy dismisses one.
    pub(crate) fn retired(&mut self) {
        self.wanted = self.wanted.saturating_sub(1);
    }

    /// What is missing is not started again: only those that serve count.
    pub(crate) fn forget(&mut self) {
        self.wanted = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sample::{draining, idle};
    use crate::{Cause, WorkerView};

    fn missing(complement: &mut Complement, workers: &[WorkerView]) -> u32 {
        let snapshot = Snapshot { now: Duration::ZERO, cause: Cause::Exited, workers, backlog: 0 };
        complement.missing(&snapshot, 4)
    }

    #[test]
    fn only_what_was_not_retired_is_missed() {
        let mut complement = Complement::new(2);
        assert_eq!(missing(&mut complement, &[idle(0), idle(1)]), 0);
        assert_eq!(missing(&mut complement, &[idle(0)]), 1, "one has died");
        assert_eq!(missing(&mut complement, &[idle(0), draining(1)]), 1, "one leaves by itself");
        complement.ordered(1);
        assert_eq!(missing(&mut complement, &[idle(0), idle(1), idle(2)]), 0);
        complement.retired();
        assert_eq!(missing(&mut complement, &[idle(0), idle(1), draining(2)]), 0, "that was our order");
        assert_eq!(missing(&mut complement, &[idle(0), idle(1), idle(2), idle(3)]), 0, "somebody else's orders");
        assert_eq!(missing(&mut complement, &[idle(0), idle(1), idle(2)]), 1, "are ours from then on");
        complement.ordered(9);
        assert_eq!(missing(&mut complement, &[idle(0), idle(1), idle(2)]), 1, "never beyond the most");
        complement.forget();
        assert_eq!(missing(&mut complement, &[idle(0)]), 0);
    }
}
