//! Workers that had to be replaced: because a call never returns, because they have too much memory, or have done enough.

use std::collections::BTreeSet;
use std::time::Duration;

use super::audit::Verdict;
use super::field::Field;
use super::journal::Journal;
use super::ledger::now;
use crate::support::status::Worker;
use crate::support::{Status, wait};

/// How many were replaced for which reason, by what the server says of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recycled {
    pub(super) for_requests: usize,
    pub(super) for_memory: usize,
    pub(super) for_stuck_calls: usize,
}

impl Recycled {
    /// Reads the log.
    pub(super) fn read(log: &str) -> Recycled {
        let replaced = |why: &str| {
            let is_one = |line: &&str| line.contains(why) && line.contains("worker") && line.contains(" → −1 worker");
            log.lines().filter(is_one).count()
        };
        Recycled {
            for_requests: replaced("(--max-requests)"),
            for_memory: replaced("(--max-worker-rss)"),
            for_stuck_calls: replaced("(--request-timeout)"),
        }
    }
}

/// Waits until nobody is left who has more memory than a worker may have. Returns the status of then.
pub(super) fn grown_workers_are_gone(field: &Field<'_>, journal: &Journal, status: Status) -> Status {
    // Who has it already when it is first looked at is not replaced for it: the next one would have as much.
    if field.server().log().contains("more than --max-worker-rss") {
        return status;
    }
    // Pids come again: who was born later is another one.
    let has_grown = |worker: &Worker| {
        let born = now().saturating_sub(Duration::from_secs_f64(worker.age_seconds));
        journal.grown.iter().any(|(number, at)| journal.inside[number] == worker.pid && born < *at)
    };
    wait::until("workers with too much memory are replaced", || {
        let status = field.status();
        let settled = status.settled(status.totals.total) && status.totals.busy == 0;
        (settled && !status.workers.iter().any(has_grown)).then_some(status)
    })
}

/// Every call that never returned was found, unless its process was killed before.
pub(super) fn timed_out_calls_are_counted(journal: &Journal, status: &Status, verdict: &Verdict) {
    let dead: BTreeSet<i32> = verdict.deaths.iter().map(|death| death.pid).chain(verdict.strays.clone()).collect();
    let survived = journal.hanging.iter().filter(|number| !dead.contains(&journal.inside[number])).count() as u64;
    let (found, all) = (status.counters.timed_out, journal.hanging.len() as u64);
    assert!((survived..=all).contains(&found), "{found} calls over their time; {survived} to {all} have hung");
}
