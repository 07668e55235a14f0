//! The books of background tasks: what the application says of them against what the server says.

use std::collections::BTreeSet;

use super::audit::Verdict;
use super::journal::Journal;
use crate::support::{Status, Tasks};

/// Threads that may have handed a task over when their process was killed, before they could write it down, and the one
/// that may have done one: as many as any of the servers has in a worker.
const UNWRITTEN: u64 = 9;

/// Every task that was taken was done once, unless its process was killed; and the server has counted it.
pub(super) fn are_accounted_for(journal: &Journal, status: &Status, verdict: &Verdict) -> Tasks {
    for (number, pid) in &journal.tasks_begun {
        assert_eq!(
            journal.tasks_left.get(number),
            Some(pid),
            "task {number:016x} began in {pid}, but was not left there"
        );
    }
    assert!(journal.tasks_done.iter().all(|number| journal.tasks_begun.contains_key(number)));
    let dead: BTreeSet<i32> = verdict.deaths.iter().map(|death| death.pid).chain(verdict.strays.clone()).collect();
    let undone: Vec<_> = journal.tasks_left.iter().filter(|(number, _)| !journal.tasks_done.contains(number)).collect();
    for (number, pid) in &undone {
        assert!(dead.contains(pid), "task {number:016x} is lost, and nobody has killed {pid}; undone are {undone:?}");
    }

    let tasks = status.tasks;
    assert_eq!((tasks.queued, tasks.running, tasks.refused), (0, 0, 0), "{tasks:?}");
    let (ended, taken) = (tasks.done + tasks.failed, tasks.done + tasks.failed + tasks.dropped);
    // The server never hears of what a worker has counted that its template could not report.
    let strays: BTreeSet<i32> = verdict.strays.iter().copied().collect();
    let known = |number: &u64| !strays.contains(&journal.tasks_left[number]);
    let left = journal.tasks_left.keys().filter(|number| known(number)).count() as u64;
    let done = journal.tasks_done.iter().filter(|number| known(number)).count() as u64;
    let victims = dead.len() as u64;
    // What is written down is counted in a moment, or never.
    assert!((done.saturating_sub(victims)..=done).contains(&ended), "{tasks:?}, {done} done, {victims} victims");
    assert!((left..=left + UNWRITTEN * victims).contains(&taken), "{tasks:?}, {left} left, {victims} victims");
    tasks
}
