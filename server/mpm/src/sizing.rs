//! How many calls one worker runs at once: a pure function of what its recent calls cost.
//!
//! A process runs Python on one core at a time. While one call computes, calls that are blocked off the CPU (database,
//! sleep, upstream) cost nothing, so the number worth running at once follows from the **blocking ratio**
//! `B` = off-CPU time / CPU time: with the CPU fully used, `B` calls are blocked on average for each one that computes.
//! Room for those with square-root headroom is `1 + B + 2√B`. Calls that only compute get one or two: more of them would
//! only wait for each other, and another process is what helps.
//!
//! Two things look like blocking and are not:
//! - **Waiting for the interpreter lock** is measured and subtracted. The measured part is what a call waits before it
//!   runs; a call that computes for longer than the interpreter's switch interval also gives the lock away and waits
//!   again inside, unmeasured. That is estimated as one more such wait per interval.
//! - **Preemption** on a busy machine: a process that gets the share `s` of a core shows `B = 1/s − 1` for pure
//!   computing, whatever its number of threads. Up to `B = 1` (half a core) calls therefore count as CPU-bound; beyond,
//!   the mistake is bounded by the formula (a fifth of a core: 9 calls) and can't feed on itself.
//!
//! It knows neither threads nor the interpreter. The worker's pool calls it about ten times a second, and whenever work
//! queues; how long an unneeded thread is kept is the pool's own business. [`CallStats`] also serves the adaptive policy.

use std::time::Duration;

use crate::Totals;

/// CPython's default `sys.getswitchinterval()`: a thread that waits for the lock asks for it after this long.
const SWITCH_INTERVAL: f64 = 0.005;
/// Up to this blocking ratio a call counts as pure computing: one at a time.
const COMPUTES: f64 = 0.25;
/// Up to this blocking ratio calls are CPU-bound: two at a time.
const CPU_BOUND: f64 = 1.0;
/// Square-root headroom, as in the adaptive policy: about 3 % of calls find every slot taken.
const HEADROOM: f64 = 2.0;
/// Mean off-CPU time from which a thread hand-off (about 10 µs with its two context switches) is worth its price.
const WORTH_A_HAND_OFF: f64 = 500e-6;

/// What calls cost in a recent window, one second or so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallStats {
    /// Calls that ended in the window.
    pub requests: u64,
    /// Time those calls took.
    pub wall: Duration,
    /// CPU time those calls used.
    pub cpu: Duration,
    /// Time those calls waited for the interpreter lock; part of `wall`.
    pub gil_wait: Duration,
}

impl From<Totals> for CallStats {
    fn from(totals: Totals) -> Self {
        let Totals { requests, wall, cpu, gil_wait } = totals;
        Self { requests, wall, cpu, gil_wait }
    }
}

impl CallStats {
    /// What was added since `earlier`; a counter that went back counts as unchanged.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(earlier.requests),
            wall: self.wall.saturating_sub(earlier.wall),
            cpu: self.cpu.saturating_sub(earlier.cpu),
            gil_wait: self.gil_wait.saturating_sub(earlier.gil_wait),
        }
    }

    /// These calls and another window's together.
    #[must_use]
    pub fn with(mut self, other: &Self) -> Self {
        self.add(other);
        self
    }

    /// This share of them, from 0 to 1.
    pub(crate) fn share(&self, share: f64) -> Self {
        Self {
            requests: (self.requests as f64 * share).round() as u64,
            wall: self.wall.mul_f64(share),
            cpu: self.cpu.mul_f64(share),
            gil_wait: self.gil_wait.mul_f64(share),
        }
    }

    /// Adds another window's calls.
    pub(crate) fn add(&mut self, other: &Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.wall = self.wall.saturating_add(other.wall);
        self.cpu = self.cpu.saturating_add(other.cpu);
        self.gil_wait = self.gil_wait.saturating_add(other.gil_wait);
    }

    /// Seconds the calls waited for the interpreter lock, with the waits inside long computations estimated.
    pub(crate) fn lock_seconds(&self) -> f64 {
        if self.requests == 0 {
            return 0.0;
        }
        let cpu_per_call = self.cpu.as_secs_f64() / self.requests as f64;
        let estimate = self.gil_wait.as_secs_f64() * (1.0 + cpu_per_call / SWITCH_INTERVAL);
        // What was measured is a fact; the estimated rest has to fit into the time that is otherwise unexplained.
        let unexplained = self.wall.saturating_sub(self.cpu).as_secs_f64();
        estimate.min(unexplained.max(self.gil_wait.as_secs_f64()))
    }

    /// Seconds the calls would have taken without waiting for the interpreter lock.
    pub(crate) fn service_seconds(&self) -> f64 {
        (self.wall.as_secs_f64() - self.lock_seconds()).max(0.0)
    }

    /// Seconds the calls were blocked: neither computing nor waiting for the interpreter lock.
    fn off_cpu_seconds(&self) -> f64 {
        (self.service_seconds() - self.cpu.as_secs_f64()).max(0.0)
    }

    /// Off-CPU time per CPU time, infinite for calls without measurable CPU time; `None` when no call ended.
    pub(crate) fn blocking_ratio(&self) -> Option<f64> {
        let (off, cpu) = (self.off_cpu_seconds(), self.cpu.as_secs_f64());
        match self.requests {
            0 => None,
            _ if off <= 0.0 => Some(0.0),
            _ => Some(off / cpu),
        }
    }

    /// Whether calls mostly compute; false when no call ended.
    pub(crate) fn is_cpu_bound(&self) -> bool {
        self.blocking_ratio().is_some_and(|ratio| ratio <= CPU_BOUND)
    }
}

/// How many calls the worker should run at once from now on, within `min..=max` (at least one).
///
/// `current` is the number it may run at once now, `queued` the complete requests that wait because that many run. Work
/// that queues raises the answer at once to what it needs, up to what the blocking ratio says is useful; without a
/// measurement, by one. A number above the useful one falls by one a call, also while work queues: there, fewer is faster.
pub fn concurrency(window: &CallStats, current: u32, queued: u32, min: u32, max: u32) -> u32 {
    let min = min.max(1);
    let max = max.max(min);
    let current = current.clamp(min, max);
    let useful = match window.blocking_ratio() {
        Some(ratio) => useful(ratio).clamp(min, max),
        None => current.saturating_add(1).min(max),
    };
    if current > useful { current - 1 } else { current.saturating_add(queued).min(useful) }
}

/// How many calls a new worker should run at once, by what calls have cost those that are there already. Where nobody
/// knows, as few as allowed: calls that compute gain nothing from more, and when calls turn out to be blocked while others
/// wait, the pool notices within milliseconds.
pub fn at_first(known: &CallStats, min: u32, max: u32) -> u32 {
    match known.blocking_ratio() {
        Some(_) => concurrency(known, min, max, min, max),
        None => min.max(1),
    }
}

/// Whether calls block off the CPU for so long that the event loop should be given away before the call, instead of
/// leaving the other connections to wait until somebody notices. False when no call ended in the window.
pub fn hand_off_first(window: &CallStats) -> bool {
    let blocks = window.blocking_ratio().is_some_and(|ratio| ratio > CPU_BOUND);
    blocks && window.off_cpu_seconds() / window.requests as f64 > WORTH_A_HAND_OFF
}

/// Calls at once that keep one core busy at this blocking ratio.
fn useful(ratio: f64) -> u32 {
    if ratio <= COMPUTES {
        1
    } else if ratio <= CPU_BOUND {
        2
    } else {
        // `as` saturates, and an infinite ratio means "as many as allowed".
        (1.0 + ratio + HEADROOM * ratio.sqrt()).ceil() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls of one kind; times per call in microseconds.
    fn calls(requests: u64, wall: u64, cpu: u64, gil_wait: u64) -> CallStats {
        let total = |each: u64| Duration::from_micros(each * requests);
        CallStats { requests, wall: total(wall), cpu: total(cpu), gil_wait: total(gil_wait) }
    }

    #[test]
    fn concurrency_follows_blocking_and_queue() {
        let none = CallStats::default();
        let database = calls(20, 50_000, 200, 0);
        let computing = calls(200, 5_000, 4_950, 0);
        let mixed = calls(800, 21_800, 1_820, 0); // 90 % 2 ms of CPU, 10 % 200 ms blocked: B = 11
        let rows = [
            // name, window, current, queued, min..max, expected
            ("nothing known, nothing queued", none, 4, 0, 1, 64, 4),
            ("nothing known: one by one", none, 4, 9, 1, 64, 5),
            ("nothing known, at the bound", none, 64, 9, 1, 64, 64),
            ("blocking: at once to what is there", database, 2, 18, 1, 64, 20),
            ("blocking: never above the bound", database, 2, 500, 1, 64, 64),
            ("blocking, nothing queued: no change", database, 20, 0, 1, 64, 20),
            ("computing: threads don't help", computing, 1, 50, 1, 64, 1),
            ("computing after blocking: down by one, queue or not", computing, 20, 50, 1, 64, 19),
            ("computing: not below the operator's minimum", computing, 4, 0, 4, 64, 4),
            ("mixed: 1 + 11 + 2√11", mixed, 2, 50, 1, 64, 19),
            ("a third of the time blocked: two", calls(100, 3_000, 2_000, 0), 1, 9, 1, 64, 2),
            ("pure computing with half a core: still two", calls(100, 10_000, 5_000, 0), 1, 9, 1, 64, 2),
            // A fifth of a core: taken for blocking, but bounded.
            ("pure computing on a crowded machine", calls(100, 25_000, 5_000, 0), 1, 99, 1, 64, 9),
            ("8 threads that share the lock", calls(100, 8_000, 1_000, 7_000), 8, 9, 1, 64, 7),
            // Only the first wait (35 ms) is measured; the other nine happen inside the call.
            ("8 threads, long computations", calls(100, 400_000, 50_000, 35_000), 8, 9, 1, 64, 7),
            ("no measurable CPU time", calls(10, 1_000, 0, 0), 1, 99, 1, 64, 64),
            ("too short to be measured", calls(10, 0, 0, 0), 2, 5, 1, 64, 1),
            ("more CPU than wall: clocks differ", calls(10, 100, 110, 0), 1, 5, 1, 64, 1),
            ("current above the bound", none, 100, 0, 1, 64, 64),
            ("nonsense bounds", none, 0, 5, 0, 0, 1),
        ];
        for (name, window, current, queued, min, max, expected) in rows {
            assert_eq!(concurrency(&window, current, queued, min, max), expected, "{name}");
        }
    }

    #[test]
    fn a_new_worker_begins_with_what_the_others_know() {
        let rows = [
            ("nobody knows", CallStats::default(), 1, 64, 1),
            ("nobody knows, but the operator", CallStats::default(), 8, 64, 8),
            ("database", calls(20, 50_000, 200, 0), 1, 64, 64),
            ("computing", calls(200, 5_000, 4_950, 0), 1, 64, 1),
            ("mixed", calls(800, 21_800, 1_820, 0), 1, 64, 19),
            ("nonsense bounds", CallStats::default(), 0, 0, 1),
        ];
        for (name, known, min, max, expected) in rows {
            assert_eq!(at_first(&known, min, max), expected, "{name}");
        }
    }

    #[test]
    fn long_blocking_calls_are_handed_off_first() {
        let rows = [
            ("nothing known", CallStats::default(), false),
            ("a quick answer", calls(1_000, 100, 90, 0), false),
            ("a quick lookup: mostly blocked, but short", calls(1_000, 400, 50, 0), false),
            ("a query", calls(20, 50_000, 200, 0), true),
            ("long, but computing", calls(200, 5_000, 4_900, 0), false),
            ("long, but waiting for the lock", calls(200, 5_000, 400, 4_500), false),
            ("half computing, half preempted", calls(200, 10_000, 5_000, 0), false),
        ];
        for (name, window, expected) in rows {
            assert_eq!(hand_off_first(&window), expected, "{name}");
        }
    }

    #[test]
    fn threads_of_pure_computing_settle_at_the_bottom() {
        // n threads share one core: each call takes n times as long, and all of the rest is waiting for the lock.
        for milliseconds in [1_u64, 5, 50, 500] {
            let mut threads = 64;
            for _ in 0..100 {
                let cpu = milliseconds * 1_000;
                let wall = cpu * u64::from(threads);
                let first_wait = (wall - cpu).min(5_000 * u64::from(threads - 1));
                threads = concurrency(&calls(10, wall, cpu, first_wait), threads, 100, 1, 64);
            }
            assert!(threads <= 2, "{milliseconds} ms: {threads}");
        }
    }
}
