//! Workers as the tests of several policies need them.

use std::time::Duration;

use crate::{Phase, Totals, WorkerView};

/// A ready worker without a call. Those in higher slots are younger.
pub(crate) fn idle(slot: u32) -> WorkerView {
    WorkerView {
        slot,
        generation: 1,
        phase: Phase::Ready,
        age: Duration::from_secs(u64::from(1_000_u32.saturating_sub(slot))),
        connections: 0,
        in_flight: 0,
        queued: 0,
        threads: 1,
        totals: Totals::default(),
    }
}

/// One that runs a call.
pub(crate) fn busy(slot: u32) -> WorkerView {
    WorkerView { connections: 1, in_flight: 1, ..idle(slot) }
}

/// One that is not ready yet.
pub(crate) fn starting(slot: u32) -> WorkerView {
    WorkerView { phase: Phase::Starting, ..idle(slot) }
}

/// One that leaves.
pub(crate) fn draining(slot: u32) -> WorkerView {
    WorkerView { phase: Phase::Draining, ..busy(slot) }
}

/// `busy` ones in the lowest slots, then `idle` ones.
pub(crate) fn crowd(busy_ones: u32, idle_ones: u32) -> Vec<WorkerView> {
    (0..busy_ones).map(busy).chain((busy_ones..busy_ones + idle_ones).map(idle)).collect()
}
