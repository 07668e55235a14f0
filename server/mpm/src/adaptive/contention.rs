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
/// The CPU demand that counts for keeping is the largest of this span; the patience of shrinking comes on top.
const MEMORY: Duration = Duration::from_secs(2);

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
        Self { workers: 0, added_at: None, largest_cpu: SlidingMax::new(MEMORY) }
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
        self.workers = self.workers.min(worth_keeping).max(cores_needed(demand, limits));
        let symptom = symptom(demand, serving).filter(|_| self.may_add(now, serving, limits));
        if symptom.is_some() {
            self.workers = serving + 1;
            self.added_at = Some(now);
        }
        (self.workers, symptom)
    }

    fn may_add(&self, now: Duration, serving: u32, limits: &Limits) -> bool {
        let waited = self.added_at.is_none_or(|at| now.saturating_sub(at) >= EFFECT);
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

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits =
        Limits { min_workers: 1, max_workers: 20, min_threads: 1, max_threads: 16, cpus: 4.0, memory_workers: 100 };

    /// Calls of 5 ms of pure computing.
    fn computing(cpu: f64, lock_waits: f64, mean_waiting: f64) -> Demand {
        let waiting = mean_waiting as u32;
        Demand {
            rate: cpu / 0.005,
            cpu,
            load: cpu,
            cpu_bound: true,
            lock_waits,
            mean_waiting,
            waiting,
            ..Demand::default()
        }
    }

    #[test]
    fn waiting_adds_a_process() {
        let blocking = Demand { cpu_bound: false, ..computing(0.3, 0.0, 3.0) };
        let rows = [
            // name, demand, serving, processes, symptom
            ("nothing to do", Demand::default(), 1, 0, None),
            ("half a core, nobody waits", computing(0.5, 0.1, 0.0), 1, 1, None),
            ("half a core, the lock is waited for", computing(0.5, 0.3, 0.0), 1, 2, Some(Symptom::Lock)),
            ("waits by accident of timing", computing(0.1, 0.1, 0.0), 1, 1, None),
            ("a queue on a starved machine", computing(0.3, 0.0, 3.0), 1, 2, Some(Symptom::Queue)),
            ("a queue of calls that block is no matter of CPU", blocking, 1, 1, None),
            ("every core has its process", computing(3.0, 9.0, 9.0), 4, 4, None),
            ("more processes than cores", computing(3.0, 9.0, 9.0), 7, 4, None),
        ];
        for (name, demand, serving, processes, symptom) in rows {
            let seen = Contention::new().observe(Duration::ZERO, &demand, serving, &LIMITS);
            assert_eq!(seen, (processes, symptom), "{name}");
        }
    }

    #[test]
    fn an_added_process_gets_time_to_show_its_effect_and_stays_while_it_has_work() {
        let mut contention = Contention::new();
        let waits = computing(0.6, 0.5, 0.0);
        let calm = computing(0.6, 0.0, 0.0);
        let gone = computing(0.1, 0.0, 0.0);
        let rows = [
            // milliseconds, demand, serving, processes
            (0, waits, 1, 2),
            (100, waits, 2, 2), // the window still holds the time before
            (900, waits, 1, 2), // one process is missing already: no reason for a third
            (2_000, computing(1.2, 0.8, 0.0), 2, 3),
            (2_100, calm, 3, 3), // nobody waits: the process did its work, and goes on
            (9_000, calm, 3, 3),
            (10_000, gone, 3, 3), // the largest demand of five seconds counts
            (14_100, gone, 3, 1),
        ];
        for (milliseconds, demand, serving, processes) in rows {
            let now = Duration::from_millis(milliseconds);
            assert_eq!(contention.observe(now, &demand, serving, &LIMITS).0, processes, "at {milliseconds} ms");
        }
    }
}
