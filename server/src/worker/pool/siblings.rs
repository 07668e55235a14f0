//! How a worker shares connections with the others, by what the scoreboard says of them.

use std::sync::atomic::Ordering;
use std::time::Duration;

use mpm::sizing::{self, CallStats};

use super::Pool;
use crate::scoreboard::{Phase, Seen};
use crate::sys::clock;

/// How often a full worker lets in a connection that nobody else takes.
pub(super) const DRIP: Duration = Duration::from_millis(5);
/// When no less busy worker was found, the next search waits this long.
const SEARCH_NS: u64 = 1_000_000;

impl Pool {
    /// Begins with the number of calls at once that suits the calls which the others have made so far.
    pub(super) fn learn_from_siblings(&self) {
        let mut known = CallStats::default();
        for slot in (0..self.scoreboard.slots()).map(|index| self.scoreboard.slot(index)) {
            if slot.phase() == Phase::Ready && !slot.is(self.slot) {
                let Seen { requests, wall, cpu, lock_wait, .. } = slot.look();
                let calls = CallStats { requests, wall, cpu, gil_wait: lock_wait };
                known = known.with(&calls);
            }
        }
        let limit = sizing::at_first(&known, self.bounds.min_threads, self.bounds.max_threads);
        self.limit.store(limit, Ordering::Relaxed);
        self.hand_off.store(limit > 1 && sizing::hand_off_first(&known), Ordering::Relaxed);
    }

    /// Whether a connection may go on after the response that is being made: here, or with another worker.
    pub(super) fn may_keep(&self) -> bool {
        // In prefork the next request would wait for the tasks that this one leaves, while another process idles.
        let blocked = !self.bounds.followers && self.tasks.are_held();
        !blocked && (!self.draining.load(Ordering::Relaxed) || self.has_sibling(|_| true))
    }

    /// Whether a connection that is idle now is better off with another worker: because this one leaves, or because
    /// requests queue here while another worker with fewer connections has less than half as much to do.
    pub(super) fn gives_away(&self, connections: usize) -> bool {
        if self.draining.load(Ordering::Relaxed) {
            return self.has_sibling(|_| true);
        }
        if self.queued.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let now_ns = clock::monotonic_ns();
        if now_ns < self.next_search_ns.load(Ordering::Relaxed) {
            return false;
        }
        let found = self.has_less_busy(connections);
        if !found {
            self.next_search_ns.store(now_ns + SEARCH_NS, Ordering::Relaxed);
        }
        found
    }

    /// Whether there is another worker that serves and is `like` this. Never in prefork, or when all leave.
    pub(super) fn has_sibling(&self, like: impl Fn(&Seen) -> bool) -> bool {
        self.bounds.followers
            && !self.scoreboard.stopping()
            && (0..self.scoreboard.slots()).map(|index| self.scoreboard.slot(index)).any(|slot| {
                // Most slots are empty: one word tells.
                slot.phase() == Phase::Ready && !slot.is(self.slot) && !slot.kill_pending() && like(&slot.look())
            })
    }

    /// How many more calls could begin now.
    pub(super) fn room(&self) -> usize {
        if self.lockout.lasts() {
            return 0;
        }
        let busy = self.slot.in_flight() + self.queued.load(Ordering::Relaxed);
        self.allowed().saturating_sub(busy)
    }

    /// A full worker leaves new connections to others. But when no other is less busy, kept-alive connections that keep
    /// all of them busy must not shut new ones out for ever, so now and then one is let in. Where nobody is queued there
    /// will be room when a call ends, and a request that came earlier would wait for that call, whoever else is idle.
    pub(super) fn is_drip_due(&self, connections: usize, now_ns: u64) -> bool {
        if !self.bounds.followers
            || self.queued.load(Ordering::Relaxed) == 0
            || self.lockout.lasts()
            || now_ns < self.next_drip_ns.load(Ordering::Relaxed)
            || self.has_less_busy(connections)
        {
            return false;
        }
        self.next_drip_ns.store(now_ns + DRIP.as_nanos() as u64, Ordering::Relaxed);
        true
    }

    /// Whether another worker has fewer connections and less than half as much to do.
    fn has_less_busy(&self, connections: usize) -> bool {
        let load = self.slot.in_flight() + self.queued.load(Ordering::Relaxed);
        self.has_sibling(|other| {
            let other_load = (other.in_flight + other.queued) as usize;
            2 * other_load + 2 < load && (other.connections as usize + 1) < connections
        })
    }
}
