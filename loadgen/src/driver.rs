//! One generator thread: an event loop over its connections, a timer and a waker.
//!
//! Owns its slots (a slot is a place for one connection and one request), decides which slot takes
//! which request, and counts into its own tally. Shares nothing with other threads but two flags;
//! `run` starts it and receives its tallies.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use crate::clock;
use crate::connection::{Connection, Endpoint, Received, Sent, connect_failure};
use crate::deadline::{Deadlines, Wait};
use crate::error::ErrorKind;
use crate::pacer::Pacer;
use crate::response::Answer;
use crate::tally::Tally;
use crate::timeline::Timeline;

const TIMER: Token = Token(usize::MAX - 1);
const WAKER: Token = Token(usize::MAX - 2);
/// Events taken per wait: enough that a busy loop waits rarely.
const EVENTS: usize = 1024;
/// Read buffer, shared by all connections of the thread.
const BUFFER: usize = 64 * 1024;
/// In a closed loop, a slot that could not connect rests this long: a dead target must not be
/// hammered at the speed of refusals.
const REST: u64 = 50_000_000;
/// A unix socket with a full backlog is tried again after this time.
const RETRY: u64 = 1_000_000;

/// The flags that threads share.
#[derive(Debug, Default)]
pub(crate) struct Flags {
    /// Stop now; set before waking the threads.
    pub(crate) halt: AtomicBool,
    /// The target has accepted a connection.
    pub(crate) reached: AtomicBool,
}

/// Where a thread's requests come from.
#[derive(Debug)]
pub(crate) enum Source {
    /// The next request is due when a slot is free; `left` requests to record, if counted.
    Closed { left: Option<u64> },
    /// Requests are due when the pacer says.
    Open { pacer: Pacer },
}

/// What one thread has to do.
#[derive(Debug)]
pub(crate) struct Task<'a> {
    pub(crate) thread: usize,
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) request: &'a [u8],
    /// The request is a HEAD.
    pub(crate) bodiless: bool,
    pub(crate) keep_alive: bool,
    pub(crate) slots: usize,
    pub(crate) source: Source,
    /// Nanoseconds.
    pub(crate) timeout: u64,
    /// Nanoseconds.
    pub(crate) connect_timeout: u64,
    pub(crate) flags: &'a Flags,
    pub(crate) out: Sender<Message>,
}

/// What a thread tells the coordinator.
#[derive(Debug)]
pub(crate) enum Message {
    /// Set up; waits for the timeline.
    Ready(Arc<Waker>),
    /// Could not be set up, or its event loop failed.
    Broken { what: String, source: io::Error },
    /// No connection of the run has succeeded, and this thread's first one failed.
    Down(io::Error),
    /// An interval is over; `last` when the thread is.
    Interval {
        thread: usize,
        from: u64,
        until: u64,
        last: bool,
        tally: Box<Tally>,
    },
}

/// A request on its way. Times in nanoseconds of the monotonic clock.
#[derive(Clone, Copy, Debug)]
struct Job {
    /// Where its latency begins: intended time (open loop) or take-up (closed loop).
    from: u64,
    /// When the generator acted on it: sent it, or put it into the queue.
    seen: u64,
    /// When a slot took it up.
    taken: u64,
    /// When its first byte was written.
    written: u64,
    /// Counts in the report; false in the warm-up.
    recorded: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No connection.
    Vacant,
    /// Could not connect; waits before it takes up another request.
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
}

#[derive(Debug)]
struct Slot {
    phase: Phase,
    connection: Option<Connection>,
    job: Option<Job>,
    /// It has had an established connection before.
    established: bool,
}

struct Driver<'a> {
    task: Task<'a>,
    timeline: Timeline,
    poll: Poll,
    timer: TimerFd,
    /// What the timer is set to.
    timer_at: Option<u64>,
    /// The clock as last read.
    now: u64,
    /// When the next request of an open loop is due.
    due: Option<u64>,
    slots: Vec<Slot>,
    /// Slots that became free and have not been given work yet.
    ready: VecDeque<usize>,
    /// Open loop: free slots with and without a connection; the one used last is on top.
    idle: Vec<usize>,
    vacant: Vec<usize>,
    /// Open loop: requests due for which no slot was free.
    queue: VecDeque<Job>,
    /// Slots that rest or retry, by the time they go on.
    resting: BinaryHeap<Reverse<(u64, usize)>>,
    deadlines: Deadlines,
    in_flight: u64,
    connections: u64,
    buffer: Vec<u8>,
    tally: Box<Tally>,
    interval_from: u64,
    border: u64,
    cpu: u64,
    told_down: bool,
}

/// Sets a thread up, waits for the timeline, and runs to the end. A dropped `begin` means that the
/// run was called off.
pub(crate) fn drive(task: Task<'_>, begin: &Receiver<Timeline>) {
    let out = task.out.clone();
    // The coordinator may be gone after an error of its own; then there is nobody to tell.
    let tell = |message| {
        let _ = out.send(message);
    };
    let broken = |what: &str, source| Message::Broken {
        what: what.to_owned(),
        source,
    };
    let set_up = || -> io::Result<(Poll, TimerFd, Arc<Waker>)> {
        let poll = Poll::new()?;
        let timer = TimerFd::new(
            ClockId::CLOCK_MONOTONIC,
            TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC,
        )?;
        let fd = timer.as_fd().as_raw_fd();
        poll.registry()
            .register(&mut SourceFd(&fd), TIMER, Interest::READABLE)?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        Ok((poll, timer, Arc::new(waker)))
    };
    let (poll, timer, waker) = match set_up() {
        Ok(parts) => parts,
        Err(e) => return tell(broken("set up a generator thread's event loop", e)),
    };
    let mut driver = Driver::new(task, poll, timer);
    tell(Message::Ready(waker));
    let Ok(timeline) = begin.recv() else { return };
    if let Err(e) = driver.run(timeline) {
        tell(broken("go on in a generator thread's event loop", e));
    }
}

impl<'a> Driver<'a> {
    fn new(task: Task<'a>, poll: Poll, timer: TimerFd) -> Self {
        let vacant = || Slot {
            phase: Phase::Vacant,
            connection: None,
            job: None,
            established: false,
        };
        let slots = task.slots;
        Self {
            timeline: Timeline {
                start: 0,
                measured: 0,
                end: None,
                interval: 1,
            },
            poll,
            timer,
            timer_at: None,
            now: 0,
            due: None,
            slots: (0..slots).map(|_| vacant()).collect(),
            ready: VecDeque::with_capacity(slots),
            idle: Vec::with_capacity(slots),
            vacant: Vec::with_capacity(slots),
            queue: VecDeque::new(),
            resting: BinaryHeap::new(),
            deadlines: Deadlines::new(slots),
            in_flight: 0,
            connections: 0,
            buffer: vec![0; BUFFER],
            tally: Box::new(Tally::new()),
            interval_from: 0,
            border: 0,
            cpu: 0,
            told_down: false,
            task,
        }
    }

    fn run(&mut self, timeline: Timeline) -> io::Result<()> {
        self.timeline = timeline;
        self.interval_from = timeline.start;
        self.border = timeline.border_after(timeline.start);
        let mut events = Events::with_capacity(EVENTS);
        self.arm(timeline.start)?;
        while clock::now() < timeline.start && !self.halted() {
            self.wait(&mut events, None)?;
        }
        self.timer_at = None;
        self.cpu = clock::thread_cpu();
        self.observe();
        match &mut self.task.source {
            Source::Closed { .. } => self.ready.extend(0..self.slots.len()),
            Source::Open { pacer } => {
                self.due = pacer.next().map(|time| timeline.start + time);
                self.vacant.extend((0..self.slots.len()).rev());
            }
        }
        loop {
            if self.halted() {
                self.abandon();
                break;
            }
            self.observe();
            self.expire();
            self.release();
            self.assign();
            if self.finished() {
                break;
            }
            self.arm(self.next_wake())?;
            let patience = if self.ready.is_empty() {
                None
            } else {
                Some(Duration::ZERO)
            };
            self.wait(&mut events, patience)?;
            self.drop_closed(&events);
            for event in &events {
                match event.token() {
                    TIMER => self.timer_at = None,
                    WAKER => {}
                    Token(slot) => self.on_event(slot, event),
                }
                // Between events too: a long batch must not hold up what is due meanwhile.
                self.release();
                self.assign();
            }
        }
        self.observe();
        self.close_interval(self.now, true);
        Ok(())
    }

    fn halted(&self) -> bool {
        self.task.flags.halt.load(Ordering::Acquire)
    }

    fn wait(&mut self, events: &mut Events, patience: Option<Duration>) -> io::Result<()> {
        match self.poll.poll(events, patience) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(()),
            other => other,
        }
    }

    /// Sets the timer, unless it is set to an earlier time already: then it fires early, once,
    /// and is set anew. Deadlines that move with every request so cost no call each.
    fn arm(&mut self, at: u64) -> io::Result<()> {
        if self.timer_at.is_some_and(|set| set <= at) {
            return Ok(());
        }
        self.timer_at = Some(at);
        let time = TimeSpec::new((at / 1_000_000_000) as i64, (at % 1_000_000_000) as i64);
        self.timer.set(
            Expiration::OneShot(time),
            TimerSetTimeFlags::TFD_TIMER_ABSTIME,
        )?;
        Ok(())
    }

    fn next_wake(&self) -> u64 {
        let rest = self.resting.peek().map(|Reverse((at, _))| *at);
        let drain = self.drain_end().filter(|_| !self.queue.is_empty());
        let times = [
            Some(self.border),
            self.due,
            self.deadlines.earliest(),
            rest,
            drain,
        ];
        times.into_iter().flatten().min().unwrap_or(self.border)
    }

    /// When requests that still have no connection are given up.
    fn drain_end(&self) -> Option<u64> {
        self.timeline
            .end
            .map(|end| end.saturating_add(self.task.timeout))
    }

    /// Reads the clock and closes the intervals that are over.
    fn observe(&mut self) -> u64 {
        self.now = clock::now();
        while self.now >= self.border {
            self.close_interval(self.border, false);
        }
        self.now
    }

    fn close_interval(&mut self, until: u64, last: bool) {
        let cpu = clock::thread_cpu();
        let mut tally = std::mem::replace(&mut self.tally, Box::new(Tally::new()));
        tally.cpu = cpu - std::mem::replace(&mut self.cpu, cpu);
        tally.queued = self.queue.len() as u64;
        tally.in_flight = self.in_flight;
        tally.connections = self.connections;
        let from = std::mem::replace(&mut self.interval_from, until);
        self.border = self.timeline.border_after(until);
        let thread = self.task.thread;
        // A coordinator that is gone has already returned an error.
        let _ = self.task.out.send(Message::Interval {
            thread,
            from,
            until,
            last,
            tally,
        });
    }

    fn finished(&self) -> bool {
        let issued = match self.task.source {
            Source::Closed { .. } => !self.more(),
            Source::Open { .. } => {
                self.due.is_none() && self.timeline.end.is_none_or(|end| self.now >= end)
            }
        };
        issued && self.in_flight == 0 && self.queue.is_empty()
    }

    /// Closed loop: another request may start now.
    fn more(&self) -> bool {
        let Source::Closed { left } = self.task.source else {
            return false;
        };
        left != Some(0) && self.timeline.end.is_none_or(|end| self.now < end)
    }

    /// Open loop: acts on every request that is due.
    fn release(&mut self) {
        while let Some(due) = self.due.filter(|due| *due <= self.now) {
            let Source::Open { pacer } = &mut self.task.source else {
                return;
            };
            self.due = pacer.next().map(|time| self.timeline.start + time);
            let recorded = due >= self.timeline.measured;
            if recorded {
                self.tally.offered += 1;
                self.tally.send_lag.record(self.now - due);
            }
            let job = Job {
                from: due,
                seen: self.now,
                taken: 0,
                written: 0,
                recorded,
            };
            let slot = if self.queue.is_empty() {
                self.idle.pop().or_else(|| self.vacant.pop())
            } else {
                None
            };
            match slot {
                Some(slot) => self.take(slot, job),
                None => self.queue.push_back(job),
            }
            self.observe();
        }
    }

    /// Gives work to the slots that have become free, or parks them. Slots that become free
    /// meanwhile wait for the next call, so that a target that breaks every connection at once
    /// cannot keep the loop here.
    fn assign(&mut self) {
        for _ in 0..self.ready.len() {
            let Some(slot) = self.ready.pop_front() else {
                return;
            };
            if matches!(self.task.source, Source::Closed { .. }) {
                self.start_closed(slot);
            } else if let Some(job) = self.queue.pop_front() {
                self.take(slot, job);
            } else if self.slots[slot].phase == Phase::Idle {
                self.idle.push(slot);
            } else {
                self.vacant.push(slot);
            }
        }
    }

    /// Closed loop: the slot starts another request, if there is to be one.
    fn start_closed(&mut self, slot: usize) {
        if !self.more() {
            return;
        }
        let now = self.now;
        let recorded = now >= self.timeline.measured;
        if let Source::Closed { left: Some(left) } = &mut self.task.source {
            *left -= u64::from(recorded);
        }
        self.tally.offered += u64::from(recorded);
        self.take(
            slot,
            Job {
                from: now,
                seen: now,
                taken: 0,
                written: 0,
                recorded,
            },
        );
    }

    /// A free slot takes up a request.
    fn take(&mut self, slot: usize, job: Job) {
        let now = self.now;
        self.in_flight += 1;
        if job.recorded {
            self.tally.started += 1;
            if matches!(self.task.source, Source::Open { .. }) {
                self.tally.queue_wait.record(now - job.seen);
            }
        }
        let place = &mut self.slots[slot];
        place.job = Some(Job {
            taken: now,
            written: now,
            ..job
        });
        match &mut place.connection {
            Some(connection) => {
                connection.begin();
                place.phase = Phase::Sending;
                self.deadlines
                    .start(slot, Wait::Answer, now.saturating_add(self.task.timeout));
                self.send(slot);
            }
            None => {
                self.tally.connects += 1;
                self.tally.reconnects += u64::from(place.established && self.task.keep_alive);
                let deadline = now.saturating_add(self.task.connect_timeout);
                self.deadlines.start(slot, Wait::Connect, deadline);
                self.connect(slot);
            }
        }
    }

    fn connect(&mut self, slot: usize) {
        let registry = self.poll.registry();
        match Connection::open(
            self.task.endpoint,
            self.task.bodiless,
            registry,
            Token(slot),
        ) {
            Ok(mut connection) => {
                connection.begin();
                let place = &mut self.slots[slot];
                place.connection = Some(connection);
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
        let (count, whole) = match connection.write(self.task.request) {
            Ok(Sent::Nothing) => return,
            Ok(Sent::Part(count)) => (count, false),
            Ok(Sent::Whole(count)) => (count, true),
            Err(e) => return self.write_failed(slot, connecting, e),
        };
        self.tally.bytes_sent += count as u64;
        place.phase = if whole {
            Phase::Awaiting
        } else {
            Phase::Sending
        };
        if connecting {
            place.established = true;
            job.written = self.now;
            if job.recorded {
                self.tally.connect.record(self.now - job.taken);
            }
            self.deadlines.start(
                slot,
                Wait::Answer,
                self.now.saturating_add(self.task.timeout),
            );
            // Written once: a shared line that every connect touched would be a bottleneck.
            if !self.task.flags.reached.load(Ordering::Relaxed) {
                self.task.flags.reached.store(true, Ordering::Relaxed);
            }
        }
    }

    fn write_failed(&mut self, slot: usize, connecting: bool, error: io::Error) {
        let kind = if connecting {
            connect_failure(&error)
        } else {
            ErrorKind::Write
        };
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
        match connection.read(&mut self.buffer, true, &mut self.tally.bytes_received) {
            Received::Answer(answer) => {
                self.finish(
                    slot,
                    Answer {
                        close: true,
                        ..answer
                    },
                );
                true
            }
            Received::Partly | Received::Failed(..) => false,
        }
    }

    fn on_event(&mut self, slot: usize, event: &Event) {
        self.observe();
        let ending = event.is_read_closed();
        let readable = event.is_readable() || ending || event.is_error();
        match self.slots[slot].phase {
            // Left over from a connection that was closed earlier in this batch.
            Phase::Vacant | Phase::Resting | Phase::Retrying => {}
            Phase::Connecting | Phase::Sending => {
                self.send(slot);
                // The edge is gone: what is readable now will not be announced again.
                if readable && matches!(self.slots[slot].phase, Phase::Sending | Phase::Awaiting) {
                    self.receive(slot, ending);
                }
            }
            Phase::Awaiting if readable => self.receive(slot, ending),
            Phase::Idle if readable => self.lose(slot),
            Phase::Awaiting | Phase::Idle => {}
        }
    }

    fn receive(&mut self, slot: usize, ending: bool) {
        let place = &mut self.slots[slot];
        let Some(connection) = &mut place.connection else {
            return;
        };
        let unsent = place.phase == Phase::Sending;
        match connection.read(&mut self.buffer, ending, &mut self.tally.bytes_received) {
            Received::Partly => {}
            Received::Answer(answer) => {
                self.finish(
                    slot,
                    Answer {
                        close: answer.close || unsent,
                        ..answer
                    },
                );
            }
            Received::Failed(kind, detail) => self.fail(slot, kind, &detail, None),
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
        if job.recorded {
            self.tally
                .answer(answer.status, now - job.from, now - job.written);
        }
        if self.task.keep_alive && !answer.close {
            self.slots[slot].phase = Phase::Idle;
        } else {
            self.disconnect(slot);
        }
        self.ready.push_back(slot);
    }

    /// The slot's request will never be answered. `source` is the system's error, if there is one.
    fn fail(&mut self, slot: usize, kind: ErrorKind, detail: &str, source: Option<io::Error>) {
        let now = self.observe();
        let Some(job) = self.slots[slot].job.take() else {
            return;
        };
        self.deadlines.clear(slot);
        self.in_flight -= 1;
        if job.recorded {
            self.tally.error(kind, detail);
        }
        self.disconnect(slot);
        let unconnected = matches!(
            kind,
            ErrorKind::ConnectRefused | ErrorKind::ConnectTimeout | ErrorKind::ConnectFailed
        );
        if unconnected && !self.told_down && !self.task.flags.reached.load(Ordering::Relaxed) {
            self.told_down = true;
            let error = source.unwrap_or_else(|| io::Error::new(io::ErrorKind::TimedOut, detail));
            let _ = self.task.out.send(Message::Down(error));
        }
        if unconnected && matches!(self.task.source, Source::Closed { .. }) {
            self.slots[slot].phase = Phase::Resting;
            self.resting.push(Reverse((now + REST, slot)));
        } else {
            self.ready.push_back(slot);
        }
    }

    /// Lets go of idle connections that the target has closed, before any event of the batch can
    /// give one of them a request.
    fn drop_closed(&mut self, events: &Events) {
        if self.idle.is_empty() {
            return;
        }
        for event in events {
            let Token(slot) = event.token();
            let idle = self
                .slots
                .get(slot)
                .is_some_and(|slot| slot.phase == Phase::Idle);
            if idle && (event.is_readable() || event.is_read_closed() || event.is_error()) {
                self.lose(slot);
            }
        }
    }

    /// The target has closed a connection that nothing was expected on (or has sent something
    /// unasked, after which nothing on it can be trusted).
    fn lose(&mut self, slot: usize) {
        self.disconnect(slot);
        if let Some(at) = self.idle.iter().position(|idle| *idle == slot) {
            self.idle.remove(at);
            self.vacant.push(slot);
        }
    }

    fn disconnect(&mut self, slot: usize) {
        let place = &mut self.slots[slot];
        place.phase = Phase::Vacant;
        // Closing takes it out of epoll too.
        if place.connection.take().is_some() {
            self.connections -= 1;
        }
    }

    /// Ends the waits whose time has come.
    fn expire(&mut self) {
        while let Some((slot, _)) = self.expired(Wait::Connect) {
            self.fail(
                slot,
                ErrorKind::ConnectTimeout,
                "no connection within the connect timeout",
                None,
            );
        }
        while let Some((slot, _)) = self.expired(Wait::Answer) {
            self.fail(
                slot,
                ErrorKind::Timeout,
                "no answer within the timeout",
                None,
            );
        }
        while let Some(Reverse((at, slot))) = self.resting.peek().copied() {
            if at > self.now {
                break;
            }
            self.resting.pop();
            match self.slots[slot].phase {
                Phase::Retrying => self.connect(slot),
                Phase::Resting => {
                    self.slots[slot].phase = Phase::Vacant;
                    self.ready.push_back(slot);
                }
                // A retry that was overtaken by the connect timeout.
                Phase::Vacant
                | Phase::Connecting
                | Phase::Sending
                | Phase::Awaiting
                | Phase::Idle => {}
            }
        }
        if !self.queue.is_empty() && self.drain_end().is_some_and(|end| self.now >= end) {
            for _ in self.queue.drain(..).filter(|job| job.recorded) {
                self.tally.error(ErrorKind::Unsent, "");
            }
        }
    }

    fn expired(&self, wait: Wait) -> Option<(usize, u64)> {
        self.deadlines
            .first(wait)
            .filter(|(_, deadline)| *deadline <= self.now)
    }

    /// Counts what is unfinished when the run is stopped from outside.
    fn abandon(&mut self) {
        let in_slots = self.slots.iter().filter_map(|slot| slot.job.as_ref());
        let jobs = in_slots.chain(&self.queue).filter(|job| job.recorded);
        self.tally.abandoned += jobs.count() as u64;
        self.in_flight = 0;
        self.queue.clear();
    }
}
