//! When one more process helps although slots suffice: calls get in each other's way on the CPU.
//!
//! CPU time alone shows it late or not at all: a process can't use more than one core for Python, and on a busy machine
//! gets less. So waiting counts too: for the interpreter lock, or in the queue while calls only compute. A process added
//! for the CPU stays as long as the CPU demand gives it something to do; otherwise its very success (nobody waits any
//! more) would be the reason to retire it again.

use std::time::Duration;

use crate::Limits;

use super::demand::Demand;
use super::sliding_max::SlidingMax;
use super::staffing::{cores, cores_needed};

/// Calls wait for the lock at least half as long as they compute: a single process at half load.
const LOCK_WAIT_PER_CPU: f64 = 0.5;
/// The lock is contended because it is used, not by an accident of timing: cores per process.
const LOCK_IN_USE: f64 = 0.5;
/// One request waits on average while calls only compute: a single process at about 70 % load.
const REQUESTS_WAITING: f64 = 1.0;
/// How long one more process is given to show its effect before the next one.
const EFFECT: Duration = Duration::from_secs(1);
/// Processes are kept that are loaded to at least this. Half of [`LOCK_IN_USE`], so that the second process, which
/// halves the load of the first, stays.
const WORTH_KEEPING: f64 = 0.25;
/// The CPU demand that counts for keeping is the largest of this span.
const MEMORY: Duration = Duration::from_secs(5);

/// What calls wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Symptom {
    /// The interpreter lock.
    Lock,
    /// A free core of their process, in the queue.
    Queue,
}

/// Processes wanted for the CPU, with the memory that keeps the number steady.
#[derive(Debug, Clone)]
pub(super) struct Contention {
    workers: u32,
    added_at: Option<Duration>,
    largest_cpu: SlidingMax<f64>,
}

impl Contention {
    pub(super) fn new() -> Self {
        Self {
            workers: 0,
            added_at: None,
            largest_cpu: SlidingMax::new(MEMORY),
        }
    }

    /// Processes for the CPU now, at most one per core, and what calls were seen waiting for when that adds one.
    pub(super) fn observe(
        &mut self,
        now: Duration,
        demand: &Demand,
        serving: u32,
        limits: &Limits,
    ) -> (u32, Option<Symptom>) {
        let cpu = self.largest_cpu.push(now, demand.cpu);
        let worth_keeping = (cpu / WORTH_KEEPING).ceil() as u32;
        self.workers = self
            .workers
            .min(worth_keeping)
            .max(cores_needed(demand, limits));
        let symptom = symptom(demand, serving).filter(|_| self.may_add(now, serving, limits));
        if symptom.is_some() {
            self.workers = serving + 1;
            self.added_at = Some(now);
        }
        (self.workers, symptom)
    }

    fn may_add(&self, now: Duration, serving: u32, limits: &Limits) -> bool {
        let waited = self
            .added_at
            .is_none_or(|at| now.saturating_sub(at) >= EFFECT);
        waited && serving >= self.workers && serving < cores(limits)
    }
}

fn symptom(demand: &Demand, serving: u32) -> Option<Symptom> {
    let lock_in_use = demand.cpu >= LOCK_IN_USE * f64::from(serving);
    if lock_in_use && demand.lock_waits >= LOCK_WAIT_PER_CPU * demand.cpu {
        Some(Symptom::Lock)
    } else if demand.cpu_bound && demand.waiting > 0 && demand.mean_waiting >= REQUESTS_WAITING {
        Some(Symptom::Queue)
    } else {
        None
    }
}
