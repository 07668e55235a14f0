//! Memory: what one more idle worker costs, before and after it has served a request.
//!
//! A server that has more idle workers than it wants lets them go one by one. What the whole tree is smaller by, each
//! time one has left, is what that one cost: pages that are shared are in the sum once, whoever they are booked on.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::account::Worker;
use super::crowd::Crowd;
use super::spawn::await_workers;
use super::{Subject, account};
use crate::observe::tree;

/// How many.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// Server starts per contender.
    pub(crate) replicates: u32,
    /// Workers at most; so many connections give each its request.
    pub(crate) workers: u32,
    /// Departures that are watched, before and after every worker has served.
    pub(crate) departures: u32,
}

impl Settings {
    pub(crate) fn of(quick: bool) -> Self {
        let (replicates, departures) = if quick { (1, 2) } else { (3, 8) };
        Self { replicates, workers: 10, departures }
    }

    /// Seconds that one run takes, about: one worker leaves in a second, and those that left come back in a few.
    pub(crate) fn seconds(&self) -> f64 {
        2.0 * f64::from(self.departures) + 3.5
    }
}

/// What one run observed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Observation {
    /// After the start, when few have served: those that have are left out of the figures.
    pub(crate) fresh: Vec<Departure>,
    /// After each had answered a request.
    pub(crate) used: Vec<Departure>,
}

/// One worker left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Departure {
    /// Workers that stayed.
    pub(crate) left: u32,
    /// Requests that it had answered.
    pub(crate) requests: u64,
    /// What the tree's proportional set size fell by, in KiB.
    pub(crate) freed_kib: i64,
}

/// Carries it out.
///
/// # Errors
/// A server that tells nothing or lets nobody go, or a memory that cannot be read: a sentence.
pub(crate) fn run(subject: Subject<'_>, settings: &Settings) -> Result<Observation, String> {
    let fresh = departures(subject, settings.departures)?;
    // A connection keeps its worker, so that each of them finds another one.
    let crowd =
        Crowd::gather(subject.base, settings.workers as usize, Duration::from_secs_f64(subject.timeout_s.max(5.0)))?;
    await_workers(subject, "give every worker a request", |workers| {
        let used = workers.iter().filter(|worker| worker.is_ready() && worker.requests > 0).count();
        (used >= settings.workers as usize).then_some(())
    })?;
    drop(crowd);
    let used = departures(subject, settings.departures)?;
    Ok(Observation { fresh, used })
}

/// The workers, and the tree's proportional set size with them.
struct Look {
    workers: Vec<Worker>,
    pss_kib: u64,
}

/// Watches so many workers leave.
fn departures(subject: Subject<'_>, count: u32) -> Result<Vec<Departure>, String> {
    let mut departures = Vec::new();
    let mut before = look(subject)?;
    while departures.len() < count as usize {
        await_workers(subject, "let an idle worker go", |workers| {
            (workers.len() < before.workers.len() && workers.iter().all(Worker::is_ready)).then_some(())
        })?;
        let after = look(subject)?;
        departures.extend(between(&before, &after));
        before = after;
    }
    Ok(departures)
}

/// Asks again until nobody came or went meanwhile.
fn look(subject: Subject<'_>) -> Result<Look, String> {
    loop {
        let workers = account::workers(subject)?;
        let members = tree::members(subject.root);
        let pss_kib = tree::pss_kib(&members)?;
        let pids = |workers: &[Worker]| workers.iter().map(|worker| worker.pid).collect::<Vec<_>>();
        let again = account::workers(subject)?;
        if again.iter().all(Worker::is_ready) && pids(&again) == pids(&workers) {
            return Ok(Look { workers, pss_kib });
        }
    }
}

/// The departure between two looks; none when more than one worker left, or one came.
fn between(before: &Look, after: &Look) -> Option<Departure> {
    let stayed = |worker: &&Worker| after.workers.iter().any(|other| other.pid == worker.pid);
    let (stayed, gone): (Vec<&Worker>, Vec<&Worker>) = before.workers.iter().partition(stayed);
    let [gone] = gone[..] else { return None };
    (stayed.len() == after.workers.len()).then(|| Departure {
        left: u32::try_from(stayed.len()).unwrap_or(u32::MAX),
        requests: gone.requests,
        freed_kib: before.pss_kib.cast_signed() - after.pss_kib.cast_signed(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(pids: &[(i32, u64)], pss_kib: u64) -> Look {
        let worker = |&(pid, requests): &(i32, u64)| Worker::stub(pid, requests);
        Look { workers: pids.iter().map(worker).collect(), pss_kib }
    }

    #[test]
    fn a_departure_is_one_worker_s() {
        let before = seen(&[(1, 0), (2, 7), (3, 0)], 9000);
        let departure = |left, requests, freed_kib| Some(Departure { left, requests, freed_kib });
        let rows = [
            (seen(&[(1, 0), (3, 0)], 7000), departure(2, 7, 2000)),
            // Memory that others took meanwhile is not hidden.
            (seen(&[(1, 0), (2, 7)], 9100), departure(2, 0, -100)),
            (seen(&[(1, 0)], 5000), None),
            (seen(&[(1, 0), (3, 0), (4, 0)], 9000), None),
            (seen(&[(1, 0), (2, 7), (3, 0)], 9000), None),
        ];
        for (after, expected) in rows {
            assert_eq!(between(&before, &after), expected, "{:?}", after.workers);
        }
    }
}
