//! Whether a call could run at all, for want of the lock that all calls of the process share.
//!
//! A call inside native code that never gives the interpreter lock away stops every other one of its process. From here
//! that looks like calls that take turns: one computes, the others wait. So when a call runs for unusually long, somebody
//! tries to get its turn; a thread of its own, for waiting for a lock can't be given up. As long as it does not get it, the
//! worker has no room: new connections are left to other workers, and so are those that are idle here.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Thread};

use super::{Pool, lock};
use crate::worker::reactor::Reactor;

/// Not getting a turn for so long is being locked out: ten turns of Python's lock.
const PATIENCE_NS: u64 = 50_000_000;
/// Between two tries, which cost the call that computes one of its turns each.
const PAUSE_NS: u64 = 50_000_000;
/// How often a locked-out worker looks for idle connections to leave to others.
const TIDY_NS: u64 = 100_000_000;

/// What is known of the lock.
#[derive(Default)]
pub(super) struct Lockout {
    /// Since when somebody waits for his turn, in monotonic nanoseconds; 0: nobody tries.
    since_ns: AtomicU64,
    /// When the next try may begin.
    next_ns: AtomicU64,
    /// He has waited for too long.
    lasts: AtomicBool,
    trier: Mutex<Option<Thread>>,
    next_tidy_ns: AtomicU64,
}

impl Lockout {
    /// Whether somebody has waited for his turn in vain.
    pub(super) fn lasts(&self) -> bool {
        self.lasts.load(Ordering::Relaxed)
    }

    /// Whether it is not known yet how a try ends.
    pub(super) fn is_open(&self) -> bool {
        self.since_ns.load(Ordering::Relaxed) != 0 && !self.lasts()
    }
}

impl Pool {
    /// Finds out whether calls get their turns, if one runs for unusually long. The monitor asks, again and again.
    pub(super) fn watch_lock(self: &Arc<Pool>, now_ns: u64) {
        let lockout = &self.lockout;
        let since_ns = lockout.since_ns.load(Ordering::Acquire);
        if since_ns != 0 {
            if now_ns.saturating_sub(since_ns) >= PATIENCE_NS && !lockout.lasts.swap(true, Ordering::AcqRel) {
                self.slot.set_locked_out(since_ns);
                // It may have come to an end just now.
                if lockout.since_ns.load(Ordering::Acquire) == 0 {
                    self.end_lockout();
                }
                self.wake.ring();
            }
            return;
        }
        if self.stragglers.load(Ordering::Relaxed) == 0 || now_ns < lockout.next_ns.load(Ordering::Relaxed) {
            return;
        }
        lockout.next_ns.store(now_ns + PATIENCE_NS + PAUSE_NS, Ordering::Relaxed);
        lockout.since_ns.store(now_ns, Ordering::Release);
        let mut trier = lock(&lockout.trier);
        if let Some(trier) = &*trier {
            trier.unpark();
            return;
        }
        let pool = Arc::clone(self);
        let spawned = thread::Builder::new()
            .name("lock trier".to_owned())
            .spawn(move || pool.caller.enter_thread(&mut || pool.try_turns()));
        match spawned {
            Ok(handle) => *trier = Some(handle.thread().clone()),
            Err(error) => {
                tracing::debug!("no thread to try the lock: {error}");
                lockout.since_ns.store(0, Ordering::Release);
            }
        }
    }

    /// The trier's life.
    fn try_turns(&self) {
        while !self.over.load(Ordering::Acquire) {
            if self.lockout.since_ns.load(Ordering::Acquire) == 0 {
                thread::park();
                continue;
            }
            self.caller.await_turn();
            self.lockout.since_ns.store(0, Ordering::Release);
            if self.lockout.lasts() {
                self.end_lockout();
                // There is room again.
                self.wake.ring();
            }
        }
    }

    fn end_lockout(&self) {
        self.lockout.lasts.store(false, Ordering::Release);
        self.slot.set_locked_out(0);
    }

    /// Nothing of what comes next would be answered here soon: leaves idle connections to other workers.
    pub(super) fn leave_idle_to_others(&self, reactor: &mut Reactor, now_ns: u64) {
        if self.lockout.lasts()
            && now_ns >= self.lockout.next_tidy_ns.load(Ordering::Relaxed)
            && self.has_sibling(|_| true)
        {
            self.lockout.next_tidy_ns.store(now_ns + TIDY_NS, Ordering::Relaxed);
            reactor.give_idle_away();
        }
    }

    /// The trier may go.
    pub(super) fn dismiss_trier(&self) {
        if let Some(trier) = &*lock(&self.lockout.trier) {
            trier.unpark();
        }
    }
}
