//! The machine's cores, shared evenly by whatever computes (processor sharing).
//!
//! All jobs progress at the same speed, so one clock of CPU time is enough: a job that begins when the clock shows `v` and
//! needs `c` ends when it shows `v + c`. Each change costs a step in a heap, however many jobs there are.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use crate::simulate::time::Nanos;

/// A running job; never given out twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct JobId(u64);

/// The cores, and what runs on them. `T` says whose job it is.
#[derive(Debug)]
pub(crate) struct Cores<T> {
    count: f64,
    /// CPU nanoseconds that a job would have got that ran all the time.
    clock: f64,
    /// When `clock` was right.
    at: Nanos,
    /// By the clock's value at their end, and then by number. Positive floats order like their bits.
    jobs: BinaryHeap<Reverse<(u64, JobId)>>,
    /// Whose jobs these are; those that were taken back are not here any more.
    owners: BTreeMap<JobId, T>,
    cancelled: BTreeSet<JobId>,
    made: u64,
}

impl<T> Cores<T> {
    pub(crate) fn new(count: f64) -> Self {
        Self {
            count: count.max(f64::MIN_POSITIVE),
            clock: 0.0,
            at: 0,
            jobs: BinaryHeap::new(),
            owners: BTreeMap::new(),
            cancelled: BTreeSet::new(),
            made: 0,
        }
    }

    /// How fast each job runs: 1 as long as there is a core for each.
    fn speed(&self) -> f64 {
        (self.count / self.owners.len().max(1) as f64).min(1.0)
    }

    /// The clock of CPU time at `now`.
    pub(crate) fn clock(&self, now: Nanos) -> f64 {
        self.clock + now.saturating_sub(self.at) as f64 * self.speed()
    }

    fn advance(&mut self, now: Nanos) {
        self.clock = self.clock(now);
        self.at = now;
    }

    /// `owner` begins to compute for `cpu`.
    pub(crate) fn start(&mut self, now: Nanos, owner: T, cpu: Nanos) -> JobId {
        self.advance(now);
        self.made += 1;
        let job = JobId(self.made);
        self.jobs.push(Reverse(((self.clock + cpu as f64).to_bits(), job)));
        self.owners.insert(job, owner);
        job
    }

    /// The job ends unfinished.
    pub(crate) fn cancel(&mut self, now: Nanos, job: JobId) {
        self.advance(now);
        if self.owners.remove(&job).is_some() {
            self.cancelled.insert(job);
            self.forget_cancelled();
        }
    }

    /// The first job is a living one.
    fn forget_cancelled(&mut self) {
        while let Some(Reverse((_, job))) = self.jobs.peek()
            && self.cancelled.remove(job)
        {
            self.jobs.pop();
        }
    }

    /// Whoever begins to compute has a core for itself.
    pub(crate) fn is_idle(&self) -> bool {
        ((self.owners.len() + 1) as f64) <= self.count
    }

    /// When the next job ends if nothing else happens before.
    pub(crate) fn next_at(&self) -> Option<Nanos> {
        let Reverse((end, _)) = self.jobs.peek()?;
        let left = (f64::from_bits(*end) - self.clock).max(0.0);
        Some(self.at + (left / self.speed()).ceil() as Nanos)
    }

    /// Ends the job whose end was announced for `now`.
    pub(crate) fn finish(&mut self, now: Nanos) -> Option<T> {
        self.advance(now);
        let Reverse((end, job)) = self.jobs.pop()?;
        // Rounding to whole nanoseconds never lets a job run short.
        self.clock = self.clock.max(f64::from_bits(end));
        let owner = self.owners.remove(&job);
        self.forget_cancelled();
        owner
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::time::MILLISECOND as MS;

    fn ends(cores: &mut Cores<&'static str>) -> Vec<(Nanos, &'static str)> {
        std::iter::from_fn(|| {
            let at = cores.next_at()?;
            Some((at, cores.finish(at)?))
        })
        .collect()
    }

    #[test]
    fn jobs_share_the_cores() {
        let mut cores = Cores::new(2.0);
        for name in ["a", "b", "c", "d"] {
            cores.start(0, name, 10 * MS);
        }
        assert_eq!(ends(&mut cores), [(20 * MS, "a"), (20 * MS, "b"), (20 * MS, "c"), (20 * MS, "d")]);
    }

    #[test]
    fn a_short_job_slows_a_long_one_for_as_long_as_it_is_there() {
        let mut cores = Cores::new(1.0);
        cores.start(0, "long", 10 * MS);
        cores.start(2 * MS, "short", 3 * MS);
        // From 2 to 8 ms both get half a core.
        assert_eq!(ends(&mut cores), [(8 * MS, "short"), (13 * MS, "long")]);
    }

    #[test]
    fn nobody_gets_more_than_one_core() {
        let mut cores = Cores::new(4.0);
        cores.start(0, "a", 10 * MS);
        assert_eq!(ends(&mut cores), [(10 * MS, "a")]);
        // A quota of half a core.
        let mut cores = Cores::new(0.5);
        cores.start(0, "a", 10 * MS);
        assert_eq!(ends(&mut cores), [(20 * MS, "a")]);
    }

    #[test]
    fn a_cancelled_job_leaves_its_share_to_the_others() {
        let mut cores = Cores::new(1.0);
        let first = cores.start(0, "gone", 4 * MS);
        cores.start(0, "stays", 10 * MS);
        cores.cancel(4 * MS, first);
        cores.cancel(5 * MS, first);
        assert_eq!(ends(&mut cores), [(12 * MS, "stays")]);
        assert_eq!(cores.next_at(), None);
    }
}
