//! How many calls at once are useful, thought over every now and then from what recent ones cost (see [`mpm::sizing`]).

use std::sync::atomic::Ordering;

use mpm::sizing;

use super::{Bounds, Pool};
use crate::worker::window::Window;

/// How often the number of calls to run at once is thought over.
const REVIEW_NS: u64 = 100_000_000;

#[derive(Default)]
pub(super) struct Review {
    window: Window,
    next_ns: u64,
}

impl Pool {
    /// Thinks over, ten times a second, how many calls at once are useful. Threads are made only when calls need them.
    pub(super) fn review(&self, now_ns: u64) {
        let Ok(mut review) = self.review.try_lock() else { return };
        if now_ns < review.next_ns {
            return;
        }
        review.next_ns = now_ns + REVIEW_NS;
        review.window.note(now_ns, &self.slot.look());
        let stats = review.window.stats();
        if stats.requests == 0 {
            return;
        }
        let Bounds { min_threads, max_threads, .. } = self.bounds;
        let current = self.limit.load(Ordering::Relaxed);
        let limit = sizing::concurrency(&stats, current, max_threads, min_threads, max_threads);
        self.limit.store(limit, Ordering::Relaxed);
        self.hand_off.store(limit > 1 && sizing::hand_off_first(&stats), Ordering::Relaxed);
    }
}
