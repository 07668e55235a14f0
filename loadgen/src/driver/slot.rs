//! A place for one connection and its requests, and the turns in which slots are looked at.
//!
//! Only what a slot is doing and what it can take; what happens to it is in the parent and in
//! `exchange`.

use std::collections::VecDeque;

use crate::connection::Connection;
use crate::script::Turn;

/// A request on its way. Times in nanoseconds of the monotonic clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Job {
    /// Where its latency begins: intended time (open loop) or take-up (closed loop).
    pub(super) from: u64,
    /// When the generator acted on it: sent it, or put it into the queue.
    pub(super) seen: u64,
    /// When a slot took it up.
    pub(super) taken: u64,
    /// When its first byte was written.
    pub(super) written: u64,
    /// When the first byte of its answer was read, if that was before the last one.
    pub(super) first_byte: Option<u64>,
    /// Counts in the report; false in the warm-up.
    pub(super) recorded: bool,
    /// Which request it is, once a slot has taken it up.
    pub(super) turn: Turn,
    /// Pipelining: where it begins in what its connection is to write, until its first byte is out.
    pub(super) begins: Option<usize>,
}

impl Job {
    /// A request that nobody has taken up: its latency begins at `from`, and the generator acts on
    /// it at `seen`.
    pub(super) fn new(from: u64, seen: u64, recorded: bool) -> Self {
        let turn = Turn::default();
        Self { from, seen, taken: seen, written: seen, first_byte: None, recorded, turn, begins: None }
    }
}

/// What a slot is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// No connection.
    Vacant,
    /// Has no connection and waits before it takes up another request: it could not connect, or
    /// thinks.
    Resting,
    /// Has a job, waits to try to connect again.
    Retrying,
    /// Has a job and a connection in the making.
    Connecting,
    /// Takes up requests, which are then written together.
    Loading,
    /// What it has taken up is not written whole yet.
    Sending,
    /// All is written, and the last response is not whole yet.
    Awaiting,
    /// A usable connection without a job.
    Idle,
    /// A usable connection that waits for its think time to pass.
    Thinking,
}

/// What the plan allows each slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Requests written and unanswered at a time.
    pub(super) depth: usize,
    /// Requests per connection.
    pub(super) per_connection: u64,
}

/// A place for one connection and its requests.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) phase: Phase,
    pub(super) connection: Option<Connection>,
    /// The request whose answer comes next.
    pub(super) job: Option<Job>,
    /// Pipelining: those whose answers come after it, in that order.
    pub(super) behind: VecDeque<Job>,
    /// It has had an established connection before, which it has not given up itself.
    pub(super) established: bool,
    /// Requests taken up on the connection it has.
    pub(super) sent: u64,
}

impl Slot {
    /// A slot that has never been used.
    pub(super) fn vacant() -> Self {
        Self { phase: Phase::Vacant, connection: None, job: None, behind: VecDeque::new(), established: false, sent: 0 }
    }

    /// Another request can be taken up now. A connection takes none while earlier ones are still
    /// being written: what waits to be written stays short, and the generator's queue shows it.
    pub(super) fn takes(&self, limits: Limits) -> bool {
        match self.phase {
            Phase::Vacant | Phase::Idle => true,
            Phase::Awaiting | Phase::Loading => {
                self.behind.len() + usize::from(self.job.is_some()) < limits.depth && self.sent < limits.per_connection
            }
            Phase::Resting | Phase::Retrying | Phase::Connecting | Phase::Sending | Phase::Thinking => false,
        }
    }

    /// Adds a request, whose answer comes last.
    pub(super) fn add(&mut self, job: Job) {
        if self.job.is_none() {
            self.job = Some(job);
        } else {
            self.behind.push_back(job);
        }
    }

    /// Takes the request whose answer comes next, or would have come next, out of the slot.
    pub(super) fn remove(&mut self) -> Option<Job> {
        let first = self.job.take();
        self.job = self.behind.pop_front();
        first
    }

    /// The request whose answer comes next is not written whole yet.
    pub(super) fn is_unsent(&self) -> bool {
        let written = self.connection.as_ref().map_or(0, Connection::written);
        let next_begun = |next: &Job| next.begins.is_none_or(|at| at <= written);
        self.phase == Phase::Sending && !self.behind.front().is_some_and(next_begun)
    }

    /// Pipelining: what was written until now has the first bytes of some requests in it.
    pub(super) fn begun(&mut self, now: u64) {
        let written = self.connection.as_ref().map_or(0, Connection::written);
        for job in self.behind.iter_mut().rev().chain(&mut self.job).take_while(|job| job.begins.is_some()) {
            if job.begins.is_some_and(|at| at < written) {
                job.begins = None;
                job.written = now;
            }
        }
    }
}

/// Slots one after the other, each of them once at most.
#[derive(Debug)]
pub(super) struct Line {
    order: VecDeque<usize>,
    within: Vec<bool>,
}

impl Line {
    /// An empty line for slots `0..slots`.
    pub(super) fn new(slots: usize) -> Self {
        Self { order: VecDeque::with_capacity(slots), within: vec![false; slots] }
    }

    /// Puts a slot at the end, unless it is in the line.
    pub(super) fn push(&mut self, slot: usize) {
        if !std::mem::replace(&mut self.within[slot], true) {
            self.order.push_back(slot);
        }
    }

    pub(super) fn pop(&mut self) -> Option<usize> {
        let slot = self.order.pop_front()?;
        self.within[slot] = false;
        Some(slot)
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_takes_what_its_limits_allow() {
        let limits = |depth, per_connection| Limits { depth, per_connection };
        // Phase, unanswered, taken up on the connection, limits, whether another one can be taken.
        let rows = [
            (Phase::Vacant, 0, 0, limits(1, u64::MAX), true),
            (Phase::Idle, 0, 3, limits(1, u64::MAX), true),
            (Phase::Awaiting, 1, 1, limits(1, u64::MAX), false),
            (Phase::Awaiting, 1, 1, limits(2, u64::MAX), true),
            (Phase::Loading, 2, 2, limits(2, u64::MAX), false),
            // Its connection has had all requests that it may have.
            (Phase::Awaiting, 1, 5, limits(4, 5), false),
            (Phase::Loading, 1, 4, limits(4, 5), true),
            // Whether it will be connected, and when it can write again, is not known.
            (Phase::Connecting, 1, 1, limits(4, u64::MAX), false),
            (Phase::Sending, 1, 1, limits(4, u64::MAX), false),
            (Phase::Thinking, 0, 1, limits(4, u64::MAX), false),
        ];
        for (phase, unanswered, sent, limits, expected) in rows {
            let mut slot = Slot { phase, sent, ..Slot::vacant() };
            (0..unanswered).for_each(|at| slot.add(Job::new(at, at, true)));
            assert_eq!(slot.takes(limits), expected, "{phase:?} {unanswered} {sent} {limits:?}");
        }
    }

    #[test]
    fn answers_come_in_the_order_of_the_requests() {
        let mut slot = Slot::vacant();
        (0..4).for_each(|at| slot.add(Job::new(at, at, true)));
        let order: Vec<u64> = std::iter::from_fn(|| slot.remove()).map(|job| job.from).collect();
        assert_eq!(order, [0, 1, 2, 3]);
    }

    #[test]
    fn a_slot_is_in_a_line_once() {
        let mut line = Line::new(3);
        [2, 0, 2, 0].into_iter().for_each(|slot| line.push(slot));
        assert_eq!((line.len(), line.pop()), (2, Some(2)));
        line.push(2);
        assert_eq!([line.pop(), line.pop(), line.pop()], [Some(0), Some(2), None]);
    }
}
