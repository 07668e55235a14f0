//! The threads that there are: who rests, who is called, who is made and who leaves.
//!
//! Idle ones wait in a stack, so that the ones on top stay busy and the ones below age out. What a thread does while it is
//! not resting is the pool's matter.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::{Pool, lock};

/// A follower that nobody needed for this long leaves.
pub(super) const AGED: Duration = Duration::from_secs(5);
/// A thread's stack: what Linux gives a main thread, because deep recursion in C extensions counts on it. Only touched
/// pages cost memory.
pub(super) const STACK: usize = 8 << 20;

/// A parked follower.
pub(super) struct Seat {
    thread: Thread,
    called: AtomicBool,
}

/// The threads that exist.
pub(super) struct Crew {
    /// Parked followers, the last to park on top.
    parked: Vec<Arc<Seat>>,
    /// All pool threads, the worker's main thread among them.
    threads: usize,
}

impl Crew {
    /// The worker's main thread.
    pub(super) fn of_one() -> Crew {
        Crew { parked: Vec::new(), threads: 1 }
    }
}

/// Why a parked thread goes on.
pub(super) enum Called {
    ToLead,
    Off,
}

/// What a thread does that nobody needs for long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ageing {
    /// The main thread stays: its end is the worker's.
    Never,
    /// Others leave.
    Leaves,
}

impl Pool {
    /// Gives the reactor to a parked follower, or to a new thread if there may be one more.
    pub(super) fn promote(self: &Arc<Pool>) {
        let mut crew = lock(&self.crew);
        if let Some(seat) = crew.parked.pop() {
            drop(crew);
            seat.called.store(true, Ordering::Release);
            seat.thread.unpark();
            return;
        }
        if crew.threads > self.allowed() {
            return;
        }
        crew.threads += 1;
        self.slot.set_threads(crew.threads);
        drop(crew);
        let pool = Arc::clone(self);
        let spawned = thread::Builder::new().name("pool".to_owned()).stack_size(STACK).spawn(move || {
            pool.caller.enter_thread(&mut || pool.work(Ageing::Leaves));
            pool.sign_off();
        });
        if let Err(error) = spawned {
            tracing::error!("no more threads: {error}");
            self.sign_off();
        }
    }

    /// Rests until called. Leaves when all is over, or, if the pool has more than it must, when nobody called for long.
    pub(super) fn park(&self, ageing: Ageing) -> Called {
        let seat = Arc::new(Seat { thread: thread::current(), called: AtomicBool::new(false) });
        lock(&self.crew).parked.push(Arc::clone(&seat));
        loop {
            if self.over.load(Ordering::Acquire) {
                return Called::Off;
            }
            if seat.called.load(Ordering::Acquire) {
                return Called::ToLead;
            }
            let parked_at = Instant::now();
            match ageing {
                Ageing::Never => thread::park(),
                Ageing::Leaves => thread::park_timeout(AGED),
            }
            if ageing == Ageing::Never || parked_at.elapsed() < AGED {
                continue;
            }
            let mut crew = lock(&self.crew);
            let spare = crew.threads > self.bounds.min_threads as usize + 1;
            // A seat that is gone was called between the wake-up and here: the loop sees it.
            if spare && let Some(place) = crew.parked.iter().position(|other| Arc::ptr_eq(other, &seat)) {
                crew.parked.remove(place);
                return Called::Off;
            }
        }
    }

    pub(super) fn sign_off(&self) {
        let mut crew = lock(&self.crew);
        crew.threads -= 1;
        self.slot.set_threads(crew.threads);
        drop(crew);
        if self.over.load(Ordering::Acquire) {
            self.wake_all();
        }
    }

    /// Everything is served: every thread may go.
    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Release);
        self.wake_all();
    }

    pub(super) fn wake_all(&self) {
        for seat in std::mem::take(&mut lock(&self.crew).parked) {
            seat.called.store(true, Ordering::Release);
            seat.thread.unpark();
        }
        self.dismiss_trier();
        for watcher in [&self.monitor, &self.timekeeper] {
            if let Some(thread) = &*lock(watcher) {
                thread.unpark();
            }
        }
    }
}
