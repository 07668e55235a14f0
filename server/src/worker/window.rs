//! What recent calls cost: differences of running totals over a sliding window. Pure: time and totals are passed in.

use std::collections::VecDeque;
use std::time::Duration;

use mpm::sizing::CallStats;

use crate::scoreboard::Seen;

/// How far back the window reaches.
const SPAN_NS: u64 = 2_000_000_000;

/// Running totals at a moment.
#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    at_ns: u64,
    requests: u64,
    wall: Duration,
    cpu: Duration,
    lock_wait: Duration,
}

/// Marks of the last seconds, oldest first.
#[derive(Debug, Default)]
pub(super) struct Window {
    marks: VecDeque<Mark>,
    latest: Mark,
}

impl Window {
    /// Takes the totals at `now_ns`. Marks older than the window go, but the last mark before a quiet time stays: what
    /// calls cost then is the best guess for the next ones.
    pub(super) fn note(&mut self, now_ns: u64, seen: &Seen) {
        let mark =
            Mark { at_ns: now_ns, requests: seen.requests, wall: seen.wall, cpu: seen.cpu, lock_wait: seen.lock_wait };
        if mark.requests == self.latest.requests {
            return;
        }
        self.marks.push_back(self.latest);
        self.latest = mark;
        while self.marks.len() > 1 && self.marks[1].at_ns + SPAN_NS < now_ns {
            self.marks.pop_front();
        }
    }

    /// The cost of the calls that ended within the window.
    pub(super) fn stats(&self) -> CallStats {
        let oldest = self.marks.front().copied().unwrap_or_default();
        CallStats {
            requests: self.latest.requests - oldest.requests,
            wall: self.latest.wall - oldest.wall,
            cpu: self.latest.cpu.saturating_sub(oldest.cpu),
            gil_wait: self.latest.lock_wait - oldest.lock_wait,
        }
    }
}
