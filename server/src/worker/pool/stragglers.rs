//! Calls that run far longer than calls usually do.
//!
//! The number of calls at once is chosen for usual calls: one or two if they compute. One that computes for a second would
//! hold up all that wait behind it, although Python would let them in between: it hands its lock on every 5 ms. So a call
//! that has run for long enough to be an exception stops counting against the limit. The monitor counts; `take` and `room`
//! ask.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Pool, lock};

/// No call is an exception before: four turns of Python's lock.
const LONG_NS: u64 = 20_000_000;
/// Nor before it has run this many times as long as calls do on average.
const TIMES: u64 = 8;

/// Most threads that slow clients may hold besides.
const STALLED: u32 = 256;

/// When a thread's call began, in monotonic nanoseconds; 0: it has none.
pub(super) type Began = Arc<AtomicU64>;

impl Pool {
    /// A place where a new thread notes when its calls begin.
    pub(super) fn sign_on(&self) -> Began {
        let began = Began::default();
        lock(&self.calls).push(Arc::clone(&began));
        began
    }

    /// The thread makes no more calls.
    pub(super) fn sign_out(&self, began: &Began) {
        lock(&self.calls).retain(|other| !Arc::ptr_eq(other, began));
    }

    /// How many calls may run at once: the limit, and one more for each straggler, but no more than `--max-threads`. Calls
    /// that wait for a slow client come on top, for they use nothing but a thread; unless there may be one call only,
    /// because an application that counts on that would find two when the wait ends.
    pub(super) fn allowed(&self) -> usize {
        let limit = self.limit.load(Ordering::Relaxed).saturating_add(self.stragglers.load(Ordering::Relaxed));
        let limit = limit.min(self.bounds.max_threads);
        let stalled = if self.bounds.max_threads > 1 { self.stalled.load(Ordering::Relaxed).min(STALLED) } else { 0 };
        limit.saturating_add(stalled) as usize
    }

    /// Counts the stragglers. True if there are more than before.
    pub(super) fn count_stragglers(&self, now_ns: u64) -> bool {
        let long_ns = long_ns(self.caller.mean_wall_ns());
        let began = |call: &Began| call.load(Ordering::Relaxed);
        let count = lock(&self.calls).iter().filter(|call| is_straggler(began(call), now_ns, long_ns)).count() as u32;
        // Those that wait for their clients are counted already.
        let count = count.saturating_sub(self.stalled.load(Ordering::Relaxed));
        self.stragglers.swap(count, Ordering::Relaxed) < count
    }
}

fn long_ns(mean_ns: u64) -> u64 {
    LONG_NS.max(mean_ns.saturating_mul(TIMES))
}

fn is_straggler(began_ns: u64, now_ns: u64, long_ns: u64) -> bool {
    began_ns != 0 && now_ns.saturating_sub(began_ns) >= long_ns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_exception_is_a_straggler() {
        const MS: u64 = 1_000_000;
        for (mean_ns, ran_ns, expect) in [
            (MS, 19 * MS, false),
            (MS, 20 * MS, true),
            // All calls are long: each of them is as usual.
            (50 * MS, 300 * MS, false),
            (50 * MS, 400 * MS, true),
        ] {
            assert_eq!(is_straggler(7, 7 + ran_ns, long_ns(mean_ns)), expect, "{mean_ns} {ran_ns}");
        }
        assert!(!is_straggler(0, u64::MAX, long_ns(0)), "no call");
    }
}
