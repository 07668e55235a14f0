//! One request from its take-up to its outcome, in the slot that took it up.
//!
//! Each event of a connection is a step here. Which slot takes which request, and when, is decided
//! in the parent.

use std::cmp::Reverse;
use std::io;
use std::sync::atomic::Ordering;

use mio::Token;
use mio::event::Event;

use super::Driver;
use crate::connection::{Connection, Received, Sent, connect_failure};
use crate::error::ErrorKind;
use crate::response::Answer;
use crate::script::Turn;
use crate::tally::EntryTally;
use crate::task::{Message, Source, Task};

/// In a closed loop, a slot that could not connect rests this long: a dead target must not be
/// hammered at the speed of refusals.
const REST: u64 = 50_000_000;
/// A unix socket with a full backlog is tried again after this time.
const RETRY: u64 = 1_000_000;

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
    turn: Turn,
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
    /// The request is not written whole yet.
    Sending,
    /// The response is not whole yet.
    Awaiting,
    /// A usable connection without a job.
    Idle,
    /// A usable connection that waits for its think time to pass.
    Thinking,
}

/// A place for one connection and one request.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) phase: Phase,
    pub(super) connection: Option<Connection>,
    pub(super) job: Option<Job>,
    /// It has had an established connection before, which it has not given up itself.
    pub(super) established: bool,
    /// Requests sent on the connection it has.
    sent: u64,
}

impl Slot {
    /// A slot that has never been used.
    pub(super) fn vacant() -> Self {
        Self { phase: Phase::Vacant, connection: None, job: None, established: false, sent: 0 }
    }
}

impl Job {
    /// A request that nobody has taken up: its latency begins at `from`, and the generator acts on
    /// it at `seen`.
    pub(super) fn new(from: u64, seen: u64, recorded: bool) -> Self {
        Self { from, seen, taken: seen, written: seen, first_byte: None, recorded, turn: Turn::default() }
    }
}

impl Driver<'_> {
    /// A free slot takes up a request.
    pub(super) fn take(&mut self, slot: usize, job: Job) {
        let now = self.now;
        self.in_flight += 1;
        if job.recorded {
            self.journal.tally.started += 1;
            self.journal.tally.last_start = now;
            if matches!(self.task.source, Source::Open { .. }) {
                self.journal.tally.queue_wait.record(now - job.seen);
            }
        }
        let turn = self.task.script.next(&mut self.task.cursor);
        if job.recorded {
            self.entry(turn, |entry| entry.requests += 1);
        }
        let place = &mut self.slots[slot];
        place.job = Some(Job { taken: now, written: now, turn, ..job });
        match &mut place.connection {
            Some(connection) => {
                prepare(&mut self.task, connection, turn);
                place.phase = Phase::Sending;
                self.deadlines.start(slot, now.saturating_add(self.task.timeout));
                self.send(slot);
            }
            None => {
                self.journal.tally.connects += 1;
                self.journal.tally.reconnects += u64::from(place.established && self.task.keep_alive);
                self.deadlines.start(slot, now.saturating_add(self.task.connect_timeout));
                self.connect(slot);
            }
        }
    }

    pub(super) fn connect(&mut self, slot: usize) {
        let registry = self.poll.registry();
        match Connection::open(self.task.endpoint, self.task.cookies, registry, Token(slot)) {
            Ok(mut connection) => {
                let place = &mut self.slots[slot];
                let turn = place.job.as_ref().map(|job| job.turn).unwrap_or_default();
                prepare(&mut self.task, &mut connection, turn);
                place.connection = Some(connection);
                place.sent = 0;
                place.phase = Phase::Connecting;
                self.connections += 1;
                // On loopback and unix sockets the connection is made by now, and writing at once
                // saves a turn of the loop. Elsewhere the writable event comes a round trip later.
                if self.task.endpoint.is_local() {
                    self.observe();
                    self.send(slot);
                }
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                self.slots[slot].phase = Phase::Retrying;
                self.resting.push(Reverse((self.now + RETRY, slot)));
            }
            Err(e) => self.fail(slot, connect_failure(&e), &e.to_string(), Some(e)),
        }
    }

    /// Writes what can be written of the slot's request.
    fn send(&mut self, slot: usize) {
        let place = &mut self.slots[slot];
        let (Some(connection), Some(job)) = (&mut place.connection, &mut place.job) else {
            return;
        };
        let connecting = place.phase == Phase::Connecting;
        let (count, whole) = match connection.write(self.task.script.fixed(job.turn)) {
            Ok(Sent::Nothing) => return,
            Ok(Sent::Part(count)) => (count, false),
            Ok(Sent::Whole(count)) => (count, true),
            Err(e) => return self.write_failed(slot, connecting, e),
        };
        self.journal.tally.bytes_sent += count as u64;
        place.phase = if whole { Phase::Awaiting } else { Phase::Sending };
        if connecting {
            place.established = true;
            job.written = self.now;
            if job.recorded {
                self.journal.tally.connect.record(self.now - job.taken);
            }
            self.deadlines.start(slot, self.now.saturating_add(self.task.timeout));
            // Written once: a shared line that every connect touched would be a bottleneck.
            if !self.task.flags.reached.load(Ordering::Relaxed) {
                self.task.flags.reached.store(true, Ordering::Relaxed);
            }
        }
    }

    fn write_failed(&mut self, slot: usize, connecting: bool, error: io::Error) {
        let kind = if connecting { connect_failure(&error) } else { ErrorKind::Write };
        // A target may answer and close without reading the whole request, for instance with 413.
        if kind == ErrorKind::Write && self.receive_early(slot) {
            return;
        }
        self.fail(slot, kind, &error.to_string(), Some(error));
    }

    /// Looks for an answer to a request that was not written whole; true when there was one.
    fn receive_early(&mut self, slot: usize) -> bool {
        let Some(connection) = &mut self.slots[slot].connection else {
            return false;
        };
        match connection.read(&mut self.reader, true, &mut self.journal.tally.bytes_received) {
            Received::Answer(answer) => {
                self.finish(slot, Answer { close: true, ..answer });
                true
            }
            Received::Partly | Received::Failed(..) => false,
        }
    }

    pub(super) fn on_event(&mut self, slot: usize, event: &Event) {
        let ending = event.is_read_closed();
        let readable = event.is_readable() || ending || event.is_error();
        match self.slots[slot].phase {
            // Left over from a connection that was closed earlier in this batch.
            Phase::Vacant | Phase::Resting | Phase::Retrying => {}
            Phase::Connecting | Phase::Sending => {
                self.observe();
                self.send(slot);
                // The edge is gone: what is readable now will not be announced again.
                if readable && matches!(self.slots[slot].phase, Phase::Sending | Phase::Awaiting) {
                    self.receive(slot, ending);
                }
            }
            Phase::Awaiting if readable => self.receive(slot, ending),
            Phase::Idle | Phase::Thinking if readable => self.lose(slot),
            Phase::Awaiting | Phase::Idle | Phase::Thinking => {}
        }
    }

    fn receive(&mut self, slot: usize, ending: bool) {
        let place = &mut self.slots[slot];
        let Some(connection) = &mut place.connection else {
            return;
        };
        let unsent = place.phase == Phase::Sending;
        match connection.read(&mut self.reader, ending, &mut self.journal.tally.bytes_received) {
            Received::Partly => {
                if connection.answering() && place.job.is_some_and(|job| job.first_byte.is_none()) {
                    self.first_byte(slot);
                }
            }
            Received::Answer(answer) => {
                self.finish(slot, Answer { close: answer.close || unsent, ..answer });
            }
            Received::Failed(kind, detail) => self.fail(slot, kind, &detail, None),
        }
    }

    /// The answer has begun and is not whole.
    fn first_byte(&mut self, slot: usize) {
        let now = self.observe();
        if let Some(job) = &mut self.slots[slot].job {
            job.first_byte = Some(now);
        }
    }

    /// The slot's request is answered.
    fn finish(&mut self, slot: usize, answer: Answer) {
        let now = self.observe();
        let Some(job) = self.slots[slot].job.take() else {
            return;
        };
        self.deadlines.clear(slot);
        self.in_flight -= 1;
        self.rest.answered(now - job.written);
        if job.recorded {
            let first_byte = job.first_byte.unwrap_or(now) - job.written;
            self.journal.tally.answer(answer.status, now - job.from, now - job.written, first_byte);
            self.entry(job.turn, |entry| entry.answer(answer.status, now - job.from));
        }
        let place = &mut self.slots[slot];
        place.sent += 1;
        let spent = place.sent >= self.task.per_connection;
        if self.task.keep_alive && !answer.close && !spent {
            place.phase = Phase::Idle;
        } else {
            self.disconnect(slot);
            self.slots[slot].established &= !spent;
        }
        self.free(slot, self.task.think_time);
    }

    /// The slot may take up another request after so many nanoseconds.
    fn free(&mut self, slot: usize, after: u64) {
        if after == 0 {
            self.ready.push_back(slot);
            return;
        }
        let place = &mut self.slots[slot];
        place.phase = if place.phase == Phase::Idle { Phase::Thinking } else { Phase::Resting };
        self.resting.push(Reverse((self.now.saturating_add(after), slot)));
    }

    /// The slot's request will never be answered. `source` is the system's error, if there is one.
    pub(super) fn fail(&mut self, slot: usize, kind: ErrorKind, detail: &str, source: Option<io::Error>) {
        self.observe();
        let Some(job) = self.slots[slot].job.take() else {
            return;
        };
        self.deadlines.clear(slot);
        self.in_flight -= 1;
        if job.recorded {
            self.journal.tally.error(kind, detail);
            self.entry(job.turn, |entry| entry.errors += 1);
        }
        self.disconnect(slot);
        let unconnected =
            matches!(kind, ErrorKind::ConnectRefused | ErrorKind::ConnectTimeout | ErrorKind::ConnectFailed);
        if unconnected && !self.told_down && !self.task.flags.reached.load(Ordering::Relaxed) {
            self.told_down = true;
            let error = source.unwrap_or_else(|| io::Error::new(io::ErrorKind::TimedOut, detail));
            let _ = self.task.out.send(Message::Down(error));
        }
        let rest = if unconnected && matches!(self.task.source, Source::Closed { .. }) { REST } else { 0 };
        self.free(slot, rest.max(self.task.think_time));
    }

    /// Counts for one of several requests of the plan.
    fn entry(&mut self, turn: Turn, count: impl FnOnce(&mut EntryTally)) {
        if let Some(entry) = self.entries.get_mut(turn.entry as usize) {
            count(entry);
        }
    }

    pub(super) fn disconnect(&mut self, slot: usize) {
        let place = &mut self.slots[slot];
        place.phase = Phase::Vacant;
        // Closing takes it out of epoll too.
        if place.connection.take().is_some() {
            self.connections -= 1;
        }
    }
}

/// Has a connection expect a request and its answer, and makes its bytes if they are its own.
fn prepare(task: &mut Task<'_>, connection: &mut Connection, turn: Turn) {
    connection.begin(task.script.bodiless(turn));
    if task.script.fixed(turn).is_none() {
        let (cookies, bytes) = connection.own();
        task.script.fill(turn, &mut task.cursor, cookies, bytes);
    }
}
