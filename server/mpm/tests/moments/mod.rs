//! Snapshots at random, for what has to hold whatever they say.

use std::time::Duration;

use mpm::{Cause, Phase, Totals, WorkerView};
use proptest::prelude::*;

fn cause() -> impl Strategy<Value = Cause> {
    prop_oneof![Just(Cause::Tick), Just(Cause::Saturated), Just(Cause::Exited), Just(Cause::Started)]
}

fn phase() -> impl Strategy<Value = Phase> {
    prop_oneof![1 => Just(Phase::Starting), 6 => Just(Phase::Ready), 1 => Just(Phase::Draining)]
}

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (0_u64..10_000).prop_map(Duration::from_millis),
        any::<u64>().prop_map(Duration::from_nanos),
        any::<u64>().prop_map(Duration::from_secs),
    ]
}

prop_compose! {
    fn totals()(requests in prop_oneof![0_u64..5_000, any::<u64>()], wall in duration(), cpu in duration(), gil_wait in duration())
        -> Totals { Totals { requests, wall, cpu, gil_wait } }
}

prop_compose! {
    fn worker()(
        slot in 0_u32..40, generation in 0_u32..3, phase in phase(), age in 0_u64..20_000,
        connections in 0_u32..50, in_flight in 0_u32..70, queued in prop_oneof![0_u32..5, any::<u32>()],
        totals in totals(),
    ) -> WorkerView {
        let age = Duration::from_millis(age);
        WorkerView { slot, generation, phase, age, connections, in_flight, queued, threads: in_flight, totals }
    }
}

/// Living workers with distinct slots, ordered by slot.
pub(crate) fn workers() -> impl Strategy<Value = Vec<WorkerView>> {
    prop::collection::vec(worker(), 0..40).prop_map(|mut workers| {
        workers.sort_by_key(|worker| worker.slot);
        workers.dedup_by_key(|worker| worker.slot);
        workers
    })
}

/// A snapshot, and the time since the one before.
#[derive(Debug, Clone)]
pub(crate) struct Moment {
    pub(crate) after: Duration,
    pub(crate) cause: Cause,
    pub(crate) workers: Vec<WorkerView>,
    pub(crate) backlog: u32,
}

/// Anything a snapshot could say, whether or not it contradicts the one before.
pub(crate) fn moment() -> impl Strategy<Value = Moment> {
    let backlog = prop_oneof![0_u32..20, any::<u32>()];
    (0_u64..3_000, cause(), workers(), backlog).prop_map(|(after, cause, workers, backlog)| Moment {
        after: Duration::from_millis(after),
        cause,
        workers,
        backlog,
    })
}

/// How many have not been told to leave.
pub(crate) fn serving(workers: &[WorkerView]) -> u32 {
    workers.iter().filter(|worker| worker.phase != Phase::Draining).count() as u32
}
