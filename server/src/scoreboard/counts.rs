//! What workers count, as values: requests with what they cost, and background tasks.
//!
//! Knows no memory that is shared: a slot reads its words into these.

use std::time::Duration;

use super::{CLASSES, latency};

/// What happens to a background task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TaskStep {
    /// It was taken from the application.
    Submitted,
    /// It was not: as many wait as may, or the worker has no time left.
    Refused,
    /// It runs.
    Begun,
    /// It has ended well.
    Done,
    /// It has ended with an exception.
    Failed,
    /// It will never begin.
    Dropped,
}

/// The background tasks of one worker as they were when somebody looked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TaskCounts {
    /// Taken, and not begun.
    pub(crate) queued: u64,
    /// Begun, and not ended.
    pub(crate) running: u64,
    /// Ended well.
    pub(crate) done: u64,
    /// Ended with an exception.
    pub(crate) failed: u64,
    /// Given up before they began.
    pub(crate) dropped: u64,
    /// Not taken.
    pub(crate) refused: u64,
}

impl TaskCounts {
    /// Those that are still to be done.
    pub(crate) fn open(&self) -> u64 {
        self.queued + self.running
    }
}

/// What the workers in a slot, or in many, have counted. Every field only grows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Requests answered by the application, by class: none (cut off before there was a status), 1xx, … 5xx.
    pub(crate) answered: [u64; CLASSES],
    /// Requests refused by the server itself: malformed, too large, too slow.
    pub(crate) refused: u64,
    /// How long the answered ones took, by the buckets that [`upper_ns`](super::latency::upper_ns) bounds.
    pub(crate) latency: [u64; latency::BUCKETS],
    /// The same, all added up.
    pub(crate) took: Duration,
    /// Time inside the application, all calls added up.
    pub(crate) wall: Duration,
    /// Of it, time spent waiting for the interpreter lock.
    pub(crate) lock_wait: Duration,
    /// Times a worker ran out of room.
    pub(crate) saturated: u64,
}

impl Default for Tally {
    fn default() -> Tally {
        Tally {
            answered: [0; CLASSES],
            refused: 0,
            latency: [0; latency::BUCKETS],
            took: Duration::ZERO,
            wall: Duration::ZERO,
            lock_wait: Duration::ZERO,
            saturated: 0,
        }
    }
}

impl Tally {
    /// Adds what another one has counted.
    pub(crate) fn add(&mut self, other: &Tally) {
        for (mine, more) in self.answered.iter_mut().zip(other.answered) {
            *mine += more;
        }
        for (mine, more) in self.latency.iter_mut().zip(other.latency) {
            *mine += more;
        }
        self.refused += other.refused;
        self.took += other.took;
        self.wall += other.wall;
        self.lock_wait += other.lock_wait;
        self.saturated += other.saturated;
    }
}

/// What one call cost, in nanoseconds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    /// From when the request was complete until the application had answered: waiting for a thread, and the call.
    pub(crate) took_ns: u64,
    /// The call.
    pub(crate) wall_ns: u64,
    /// Its CPU time.
    pub(crate) cpu_ns: u64,
    /// Of the call, waiting for the interpreter lock.
    pub(crate) lock_wait_ns: u64,
}
