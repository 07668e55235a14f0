//! Requests from their take-up to their outcome, in the slot that took them up.
//!
//! Each event of a connection is a step here. Which slot takes which request, and when, is decided
//! in the parent. With pipelining a slot has several requests on their way: the answers come in
//! their order, and whatever ends the connection ends exactly those that are unanswered.

use std::cmp::Reverse;
use std::io;
use std::sync::atomic::Ordering;

use mio::Token;
use mio::event::Event;

use super::Driver;
use super::slot::{Job, Phase};
use crate::connection::{Connection, Received, Sent, connect_failure};
use crate::error::ErrorKind;
use crate::response::Answer;
use crate::script::Turn;
use crate::tally::EntryTally;
use crate::task::{Message, Task};

/// In a closed loop, a slot that could not connect rests this long: a dead target must not be
/// hammered at the speed of refusals.
const REST: u64 = 50_000_000;
/// A unix socket with a full backlog is tried again after this time.
const RETRY: u64 = 1_000_000;

impl Driver<'_> {
    /// A slot that can takes up a request and writes it.
    pub(super) fn take(&mut self, slot: usize, job: Job) {
        self.take_up(slot, job);
        self.flush(slot);
    }

    /// A slot takes up as many of the requests that are to be sent now as it can, and writes them
    /// together.
    pub(super) fn fill(&mut self, slot: usize) {
        while self.slots[slot].takes(self.limits)
            && let Some(job) = self.next_job()
        {
            self.take_up(slot, job);
            // Not connected: a slot that cannot be waits for its next turn like every other, so
            // that a target that breaks every connection at once cannot keep the loop here.
            if self.slots[slot].phase == Phase::Vacant {
                return;
            }
        }
        self.flush(slot);
    }

    /// A slot takes up a request. On a connection that exists it is still to be written.
    fn take_up(&mut self, slot: usize, job: Job) {
        let now = self.now;
        self.in_flight += 1;
        if job.recorded {
            self.journal.tally.started += 1;
            self.journal.tally.last_start = now;
            if self.demand.is_open_loop() {
                self.journal.tally.queue_wait.record(now - job.seen);
            }
        }
        let turn = self.task.script.next(&mut self.task.cursor);
        if job.recorded {
            self.entry(turn, |entry| entry.requests += 1);
        }
        let pipelined = self.limits.depth > 1;
        let place = &mut self.slots[slot];
        let mut job = Job { taken: now, written: now, turn, ..job };
        let Some(connection) = &mut place.connection else {
            place.job = Some(job);
            self.journal.tally.connects += 1;
            self.journal.tally.reconnects += u64::from(place.established && self.task.keep_alive);
            self.deadlines.start(slot, now.saturating_add(self.task.connect_timeout));
            return self.connect(slot);
        };
        let first = place.job.is_none();
        if first {
            connection.expect(self.task.script.bodiless(turn));
            self.deadlines.start(slot, now.saturating_add(self.task.timeout));
        }
        if place.phase != Phase::Loading {
            connection.begin();
        }
        job.begins = prepare(&mut self.task, connection, turn, pipelined);
        place.sent += 1;
        place.phase = Phase::Loading;
        place.add(job);
    }

    /// Writes what a slot has just taken up.
    fn flush(&mut self, slot: usize) {
        let place = &mut self.slots[slot];
        if place.phase == Phase::Loading {
            place.phase = Phase::Sending;
            self.send(slot);
        }
    }

    pub(super) fn connect(&mut self, slot: usize) {
        let registry = self.poll.registry();
        match Connection::open(self.task.endpoint, self.task.cookies, registry, Token(slot)) {
            Ok(mut connection) => {
                let place = &mut self.slots[slot];
                let turn = place.job.as_ref().map(|job| job.turn).unwrap_or_default();
                connection.expect(self.task.script.bodiless(turn));
                let begins = prepare(&mut self.task, &mut connection, turn, self.limits.depth > 1);
                if let Some(job) = &mut place.job {
                    job.begins = begins;
                }
                place.connection = Some(connection);
                place.sent = 1;
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

    /// Writes what can be written of the slot's requests.
    fn send(&mut self, slot: usize) {
        let place = &mut self.slots[slot];
        let (Some(connection), Some(job)) = (&mut place.connection, &mut place.job) else {
            return;
        };
        let connecting = place.phase == Phase::Connecting;
        let pipelined = self.limits.depth > 1;
        let request = if pipelined { None } else { self.task.script.fixed(job.turn) };
        let (count, whole) = match connection.write(request) {
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
        if pipelined {
            place.begun(self.now);
            self.offer(slot);
        }
    }

    /// Pipelining: a slot that has unanswered requests, and can take more, waits for its turn.
    fn offer(&mut self, slot: usize) {
        if self.slots[slot].takes(self.limits) {
            self.ready.push(slot);
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

    /// Looks for answers to requests that could not be written whole; true when there is one to the
    /// last of them.
    fn receive_early(&mut self, slot: usize) -> bool {
        self.reader.begin();
        loop {
            let place = &mut self.slots[slot];
            let Some(connection) = &mut place.connection else {
                return true;
            };
            let followed = !place.behind.is_empty();
            match connection.read(&mut self.reader, followed, true, &mut self.journal.tally.bytes_received) {
                Received::Answer(answer) => self.finish(slot, Answer { close: answer.close || !followed, ..answer }),
                Received::Partly | Received::Failed(..) => return false,
            }
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
            Phase::Awaiting | Phase::Idle | Phase::Thinking | Phase::Loading => {}
        }
    }

    /// Reads what has come: the answer to the slot's first request, and to those behind it.
    fn receive(&mut self, slot: usize, ending: bool) {
        self.reader.begin();
        loop {
            let place = &mut self.slots[slot];
            let Some(connection) = &mut place.connection else {
                return;
            };
            let followed = !place.behind.is_empty();
            match connection.read(&mut self.reader, followed, ending, &mut self.journal.tally.bytes_received) {
                Received::Partly => {
                    if connection.answering() && place.job.is_some_and(|job| job.first_byte.is_none()) {
                        self.first_byte(slot);
                    }
                    return;
                }
                Received::Answer(answer) => {
                    let close = answer.close || place.is_unsent();
                    self.finish(slot, Answer { close, ..answer });
                    if !followed || !(ending || self.reader.unfinished()) {
                        return;
                    }
                }
                Received::Failed(kind, detail) => return self.fail(slot, kind, &detail, None),
            }
        }
    }

    /// The answer has begun and is not whole.
    fn first_byte(&mut self, slot: usize) {
        let now = self.observe();
        if let Some(job) = &mut self.slots[slot].job {
            job.first_byte = Some(now);
        }
    }

    /// The slot's first request is answered.
    fn finish(&mut self, slot: usize, answer: Answer) {
        let now = self.observe();
        let Some(job) = self.slots[slot].remove() else {
            return;
        };
        self.in_flight -= 1;
        self.rest.answered(now - job.written);
        if job.recorded {
            let first_byte = job.first_byte.unwrap_or(now) - job.written;
            self.journal.tally.answer(answer.status, now - job.from, now - job.written, first_byte);
            self.entry(job.turn, |entry| entry.answer(answer.status, now - job.from));
        }
        let place = &mut self.slots[slot];
        if let Some(next) = &place.job {
            if answer.close {
                return self.fail(slot, ErrorKind::ClosedBeforeResponse, "the target asked to close before it", None);
            }
            if let Some(connection) = &mut place.connection {
                connection.expect(self.task.script.bodiless(next.turn));
            }
            self.deadlines.start(slot, next.written.saturating_add(self.task.timeout));
            return self.offer(slot);
        }
        self.deadlines.clear(slot);
        let spent = place.sent >= self.limits.per_connection;
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
            self.ready.push(slot);
            return;
        }
        let place = &mut self.slots[slot];
        place.phase = if place.phase == Phase::Idle { Phase::Thinking } else { Phase::Resting };
        self.resting.push(Reverse((self.now.saturating_add(after), slot)));
    }

    /// The slot's requests will never be answered. `source` is the system's error, if there is one.
    pub(super) fn fail(&mut self, slot: usize, kind: ErrorKind, detail: &str, source: Option<io::Error>) {
        self.observe();
        let mut of_this = kind;
        while let Some(job) = self.slots[slot].remove() {
            self.in_flight -= 1;
            if job.recorded {
                self.journal.tally.error(of_this, detail);
                self.entry(job.turn, |entry| entry.errors += 1);
            }
            // Of the answers behind one that was cut not a byte had come.
            if kind == ErrorKind::Truncated {
                of_this = ErrorKind::ClosedBeforeResponse;
            }
        }
        self.deadlines.clear(slot);
        self.disconnect(slot);
        let unconnected =
            matches!(kind, ErrorKind::ConnectRefused | ErrorKind::ConnectTimeout | ErrorKind::ConnectFailed);
        if unconnected && !self.told_down && !self.task.flags.reached.load(Ordering::Relaxed) {
            self.told_down = true;
            let error = source.unwrap_or_else(|| io::Error::new(io::ErrorKind::TimedOut, detail));
            let _ = self.task.out.send(Message::Down(error));
        }
        let rest = if unconnected && !self.demand.is_open_loop() { REST } else { 0 };
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

/// Makes the bytes of a connection's request, if they are its own. Where several requests are written
/// together they always are: says where this one begins.
fn prepare(task: &mut Task<'_>, connection: &mut Connection, turn: Turn, pipelined: bool) -> Option<usize> {
    let fixed = task.script.fixed(turn);
    if fixed.is_some() && !pipelined {
        return None;
    }
    let (cookies, bytes) = connection.own();
    let begins = bytes.len();
    match fixed {
        Some(request) => bytes.extend_from_slice(request.bytes()),
        None => task.script.fill(turn, &mut task.cursor, cookies, bytes),
    }
    pipelined.then_some(begins)
}
