//! The monitor: the one thread that only watches.
//!
//! It replaces a leader that is away for long, lets more calls run when those that run are blocked and others wait, and
//! writes responses that were held back for too long. It sleeps while nothing happens.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use super::{Pool, lock};
use crate::sys::{clock, threads};

/// The monitor looks this often while calls happen. A leader that is still away since the last look is replaced, and a
/// response that waits since then is written.
const LOOK: Duration = Duration::from_millis(2);
/// Looks without a call after which the monitor sleeps until there is one.
const QUIET_LOOKS: u32 = 25;
/// Over how long the process's use of its CPU is judged.
const IDLE_SPAN_NS: u64 = 2_000_000;

impl Pool {
    /// The monitor's life.
    pub(super) fn watch(self: &Arc<Pool>) {
        let (mut requests, mut quiet, mut absence) = (0, 0, 0);
        let mut idle = Idleness::default();
        while !self.over.load(Ordering::Acquire) {
            let before = std::mem::replace(&mut absence, self.absence.load(Ordering::Acquire));
            if absence != 0 && absence == before {
                self.promote();
            }
            let now_ns = clock::monotonic_ns();
            if self.outbox.is_due(now_ns) && self.outbox.write() {
                // The leader goes on with those connections.
                self.wake.ring();
            }
            let waiting = self.is_waited_for();
            if self.count_stragglers(now_ns) && waiting {
                // The leader takes what is queued, and listens again.
                self.wake.ring();
            }
            self.watch_lock(now_ns);
            // Little CPU used may also mean that others have the CPU; only if nobody here wants it, calls are blocked.
            if waiting && idle.look(now_ns, clock::process_cpu_ns()) && threads::all_others_sleep() {
                self.relieve();
            }
            let served = self.slot.requests();
            let calm = served == requests && absence == 0 && !waiting && !self.lockout.is_open();
            quiet = if calm { quiet + 1 } else { 0 };
            requests = served;
            if quiet < QUIET_LOOKS {
                thread::sleep(LOOK);
                continue;
            }
            quiet = 0;
            self.monitor_asleep.store(true, Ordering::SeqCst);
            // A leader that left before it could see the flag is still looked after.
            if self.absence.load(Ordering::SeqCst) == 0 && !self.is_waited_for() && !self.over.load(Ordering::SeqCst) {
                thread::park();
            }
            self.monitor_asleep.store(false, Ordering::SeqCst);
        }
    }

    /// True while requests wait for a thread, or connections because there is no room.
    pub(super) fn is_waited_for(&self) -> bool {
        self.queued.load(Ordering::Relaxed) > 0 || self.full.load(Ordering::Relaxed)
    }

    pub(super) fn wake_monitor(&self) {
        if self.monitor_asleep.swap(false, Ordering::SeqCst)
            && let Some(monitor) = &*lock(&self.monitor)
        {
            monitor.unpark();
        }
    }

    /// Calls that run are blocked: lets as many more run as wait, and twice as many at least, for connections that wait in
    /// the kernel are not counted here.
    fn relieve(&self) {
        let limit = self.limit.load(Ordering::Relaxed);
        let more = (self.queued.load(Ordering::Relaxed) as u32).max(limit);
        let raised = limit.saturating_add(more).min(self.bounds.max_threads);
        if raised > limit {
            self.limit.store(raised, Ordering::Relaxed);
            self.hand_off.store(true, Ordering::Relaxed);
            // The leader takes what is queued, and listens again.
            self.wake.ring();
        }
    }
}

/// Whether the process leaves its CPU unused, seen over at least two milliseconds. Pure: clocks are passed in.
#[derive(Debug, Default)]
struct Idleness {
    since_ns: u64,
    cpu_ns: u64,
}

impl Idleness {
    /// The process's CPU clock stands at `cpu_ns`: true if it has used less than a third of a core since the last answer.
    fn look(&mut self, now_ns: u64, cpu_ns: u64) -> bool {
        let (elapsed, used) = (now_ns - self.since_ns, cpu_ns - self.cpu_ns);
        if elapsed < IDLE_SPAN_NS {
            return false;
        }
        (self.since_ns, self.cpu_ns) = (now_ns, cpu_ns);
        // After a pause in looking, only what comes next counts.
        elapsed < 10 * IDLE_SPAN_NS && used * 3 < elapsed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_is_who_uses_less_than_a_third_of_its_time() {
        let mut idleness = Idleness { since_ns: 100 * IDLE_SPAN_NS, cpu_ns: 0 };
        let mut look = |spans: u64, cpu_ns: u64| idleness.look((100 + spans) * IDLE_SPAN_NS, cpu_ns);
        assert!(look(1, 0));
        assert!(!look(2, IDLE_SPAN_NS), "busy for the whole span");
        assert!(look(3, IDLE_SPAN_NS + IDLE_SPAN_NS / 4));
        // Nobody looked for long: the mean over that time says nothing about now.
        assert!(!look(50, IDLE_SPAN_NS * 2));
        assert!(look(51, IDLE_SPAN_NS * 2));
    }
}
