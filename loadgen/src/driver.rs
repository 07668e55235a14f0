//! One generator thread: an event loop over its connections, a timer and a waker.
//!
//! Owns its slots (a slot is a place for one connection and its requests), decides which slot takes
//! which request, and counts into its own tally. Shares nothing with other threads but two flags;
//! `run` starts it and receives its tallies.

mod exchange;
mod slot;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use mio::{Events, Poll, Token, Waker};
use rustix::thread::Timespec;

use crate::clock;
use crate::connection::Reader;
use crate::deadline::Deadlines;
use crate::demand::Demand;
use crate::error::ErrorKind;
use crate::journal::{Journal, Levels};
use crate::rest::Rest;
use crate::tally::EntryTally;
use crate::task::{Message, Source, Task};
use crate::timeline::Timeline;
use crate::timer::Timer;

use slot::{Job, Limits, Line, Phase, Slot};

const TIMER: Token = Token(usize::MAX - 1);
const WAKER: Token = Token(usize::MAX - 2);
/// Events taken per wait: enough that a busy loop waits rarely.
const EVENTS: usize = 1024;
/// Closed loop: answers read before the connections they came on get their next requests. Reading
/// is short and sending is not, so an answer that arrived together with others is not kept waiting,
/// and charged, for their successors.
const TURN: usize = 64;

struct Driver<'a> {
    task: Task<'a>,
    timeline: Timeline,
    demand: Demand,
    poll: Poll,
    timer: Timer,
    journal: Journal,
    /// The clock as last read.
    now: u64,
    slots: Vec<Slot>,
    limits: Limits,
    /// Slots that became free, or could take more, and have not been given work yet.
    ready: Line,
    /// Open loop: free slots with and without a connection; the one used last is on top.
    idle: Vec<usize>,
    vacant: Vec<usize>,
    /// Open loop with pipelining: slots that were seen to have an unanswered request and room for more.
    roomy: Line,
    /// Open loop: requests due for which no slot was free.
    queue: VecDeque<Job>,
    /// Slots that rest or retry, by the time they go on.
    resting: BinaryHeap<Reverse<(u64, usize)>>,
    deadlines: Deadlines,
    /// Room for the slots whose deadlines have passed; empty between two looks.
    over: Vec<usize>,
    in_flight: u64,
    connections: u64,
    reader: Reader,
    rest: Rest,
    /// One per request of the plan; empty when there is only one.
    entries: Vec<EntryTally>,
    told_down: bool,
}

/// Sets a thread up, waits for the timeline, and runs to the end. A dropped `begin` means that the
/// run was called off.
pub(crate) fn drive(task: Task<'_>, source: Source, begin: &Receiver<Timeline>) {
    let out = task.out.clone();
    // The coordinator may be gone after an error of its own; then there is nobody to tell.
    let tell = |message| {
        let _ = out.send(message);
    };
    let broken = |what: &str, source| Message::Broken { what: what.to_owned(), source };
    let set_up = || -> io::Result<(Poll, Timer, Arc<Waker>)> {
        let poll = Poll::new()?;
        let timer = Timer::new(poll.registry(), TIMER)?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        Ok((poll, timer, Arc::new(waker)))
    };
    let (poll, timer, waker) = match set_up() {
        Ok(parts) => parts,
        Err(e) => return tell(broken("set up a generator thread's event loop", e)),
    };
    tell(Message::Ready(waker));
    let Ok(timeline) = begin.recv() else { return };
    if let Err(e) = Driver::new(task, Demand::new(source, timeline), timeline, poll, timer).run() {
        tell(broken("go on in a generator thread's event loop", e));
    }
}

impl<'a> Driver<'a> {
    fn new(task: Task<'a>, demand: Demand, timeline: Timeline, poll: Poll, timer: Timer) -> Self {
        let slots = task.slots;
        Self {
            journal: Journal::new(timeline, task.thread, task.out.clone()),
            timeline,
            demand,
            poll,
            timer,
            now: 0,
            slots: (0..slots).map(|_| Slot::vacant()).collect(),
            limits: Limits { depth: task.depth, per_connection: task.per_connection },
            ready: Line::new(slots),
            idle: Vec::with_capacity(slots),
            vacant: Vec::with_capacity(slots),
            roomy: Line::new(slots),
            queue: VecDeque::new(),
            resting: BinaryHeap::new(),
            deadlines: Deadlines::new(slots),
            over: Vec::with_capacity(slots),
            in_flight: 0,
            connections: 0,
            reader: Reader::new(),
            rest: Rest::new(),
            entries: EntryTally::several(if task.script.len() > 1 { task.script.len() } else { 0 }),
            told_down: false,
            task,
        }
    }

    fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        // Sleeps end at their time: by default they may be late by 50 µs (prctl(2)).
        rustix::thread::set_current_timer_slack(NonZeroU64::new(1))?;
        self.timer.set(self.timeline.start)?;
        while clock::now() < self.timeline.start && !self.halted() {
            self.wait(&mut events, None)?;
        }
        self.timer.fired();
        self.observe();
        if self.demand.is_open_loop() {
            self.vacant.extend((0..self.slots.len()).rev());
        } else {
            (0..self.slots.len()).for_each(|slot| self.ready.push(slot));
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
            self.timer.set(self.next_wake())?;
            self.rest(&events);
            let patience = if self.ready.len() == 0 { None } else { Some(Duration::ZERO) };
            self.wait(&mut events, patience)?;
            self.drop_closed(&events);
            for event in &events {
                match event.token() {
                    TIMER => self.timer.fired(),
                    WAKER => {}
                    Token(slot) => self.on_event(slot, event),
                }
                self.between();
            }
        }
        // Stopped before it began, the run has an interval of no length.
        let until = self.observe().max(self.timeline.start);
        if !self.entries.is_empty() {
            let _ = self.task.out.send(Message::Entries(std::mem::take(&mut self.entries)));
        }
        self.journal.close(until, self.levels(), true);
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

    /// Between two events of a batch: what is due must not be held up by a long one.
    fn between(&mut self) {
        if self.demand.is_open_loop() {
            self.observe();
            self.release();
            self.assign();
        } else if self.ready.len() >= TURN {
            self.assign();
        }
    }

    /// Closed loop: lets some more answers arrive, if that does no harm. `events` is the last batch.
    fn rest(&self, events: &Events) {
        if !self.demand.is_open_loop()
            && let Some(rest) = self.rest.before_wait(events.iter().count(), self.in_flight)
        {
            let time = Timespec { tv_sec: 0, tv_nsec: rest.subsec_nanos().into() };
            // Interrupted or not: a rest need not be exact.
            let _ = rustix::thread::nanosleep(&time);
        }
    }

    fn next_wake(&self) -> u64 {
        let rest = self.resting.peek().map(|Reverse((at, _))| *at);
        let drain = self.demand.drain_end(self.task.timeout).filter(|_| !self.queue.is_empty());
        let times = [Some(self.journal.border()), self.demand.due(), self.deadlines.bound(), rest, drain];
        times.into_iter().flatten().min().unwrap_or(self.journal.border())
    }

    /// Reads the clock and closes the intervals that are over.
    fn observe(&mut self) -> u64 {
        self.now = clock::now();
        while self.now >= self.journal.border() {
            let border = self.journal.border();
            self.demand.end_interval(border, &mut self.journal.tally.offered);
            self.journal.close(border, self.levels(), false);
        }
        self.now
    }

    fn levels(&self) -> Levels {
        Levels {
            queued: (self.queue.len() + self.demand.overdue()) as u64,
            in_flight: self.in_flight,
            connections: self.connections,
        }
    }

    fn finished(&self) -> bool {
        self.in_flight == 0 && self.queue.is_empty() && self.demand.is_over(self.now)
    }

    /// Open loop: acts on every request that is due.
    fn release(&mut self) {
        while let Some(due) = self.demand.next_due(self.now, &mut self.journal.tally.offered) {
            let recorded = self.demand.records(due);
            if recorded {
                self.journal.tally.send_lag.record(self.now - due);
            }
            if self.in_flight + self.queue.len() as u64 >= self.task.outstanding {
                if recorded {
                    self.journal.tally.error(ErrorKind::Unsent, "as many requests as allowed were unanswered");
                }
                continue;
            }
            let job = Job::new(due, self.now, recorded);
            let slot = if self.queue.is_empty() { self.free_slot() } else { None };
            match slot {
                Some(slot) => self.take(slot, job),
                None => self.queue.push_back(job),
            }
            self.observe();
        }
    }

    /// Open loop: the slot for a request that is due. Only when every connection is in use does it
    /// wait behind another request, on the connection whose turn it is.
    fn free_slot(&mut self) -> Option<usize> {
        if let Some(slot) = self.idle.pop().or_else(|| self.vacant.pop()) {
            return Some(slot);
        }
        loop {
            let slot = self.roomy.pop()?;
            // It may have filled up, failed or become free since; then it has had its turn, or will.
            if self.slots[slot].phase == Phase::Awaiting && self.slots[slot].takes(self.limits) {
                return Some(slot);
            }
        }
    }

    /// Gives work to the slots that have become free, or parks them. Slots that become free
    /// meanwhile wait for the next call, so that a target that breaks every connection at once
    /// cannot keep the loop here.
    fn assign(&mut self) {
        for _ in 0..self.ready.len() {
            let Some(slot) = self.ready.pop() else {
                return;
            };
            if !self.demand.is_open_loop() || !self.queue.is_empty() {
                self.fill(slot);
                continue;
            }
            match self.slots[slot].phase {
                Phase::Idle => self.idle.push(slot),
                Phase::Vacant => self.vacant.push(slot),
                _ => self.roomy.push(slot),
            }
        }
    }

    /// The next request that is to be sent as soon as a slot can take it.
    fn next_job(&mut self) -> Option<Job> {
        if self.demand.is_open_loop() {
            return self.queue.pop_front();
        }
        // Others may have been sent since the clock was read.
        let now = self.observe();
        let recorded = self.demand.start(now, &mut self.journal.tally.offered)?;
        Some(Job::new(now, now, recorded))
    }

    /// Lets go of idle connections that the target has closed, before any event of the batch can
    /// give one of them a request.
    fn drop_closed(&mut self, events: &Events) {
        if self.idle.is_empty() {
            return;
        }
        for event in events {
            let Token(slot) = event.token();
            let idle = self.slots.get(slot).is_some_and(|slot| slot.phase == Phase::Idle);
            if idle && (event.is_readable() || event.is_read_closed() || event.is_error()) {
                self.lose(slot);
            }
        }
    }

    /// The target has closed a connection that nothing was expected on (or has sent something
    /// unasked, after which nothing on it can be trusted).
    fn lose(&mut self, slot: usize) {
        let thinking = self.slots[slot].phase == Phase::Thinking;
        self.disconnect(slot);
        if thinking {
            self.slots[slot].phase = Phase::Resting;
        }
        if let Some(at) = self.idle.iter().position(|idle| *idle == slot) {
            self.idle.remove(at);
            self.vacant.push(slot);
        }
    }

    /// Ends the waits whose time has come.
    fn expire(&mut self) {
        let mut over = std::mem::take(&mut self.over);
        self.deadlines.expire(self.now, &mut over);
        for slot in over.drain(..) {
            if matches!(self.slots[slot].phase, Phase::Connecting | Phase::Retrying) {
                self.fail(slot, ErrorKind::ConnectTimeout, "no connection within the connect timeout", None);
            } else {
                self.fail(slot, ErrorKind::Timeout, "no answer within the timeout", None);
            }
        }
        self.over = over;
        while let Some(Reverse((at, slot))) = self.resting.peek().copied() {
            if at > self.now {
                break;
            }
            self.resting.pop();
            match self.slots[slot].phase {
                Phase::Retrying => self.connect(slot),
                Phase::Resting => {
                    self.slots[slot].phase = Phase::Vacant;
                    self.ready.push(slot);
                }
                Phase::Thinking => {
                    self.slots[slot].phase = Phase::Idle;
                    self.ready.push(slot);
                }
                // A retry that was overtaken by the connect timeout.
                Phase::Vacant | Phase::Connecting | Phase::Loading | Phase::Sending | Phase::Awaiting | Phase::Idle => {
                }
            }
        }
        if !self.queue.is_empty() && self.demand.drain_end(self.task.timeout).is_some_and(|end| self.now >= end) {
            for _ in self.queue.drain(..).filter(|job| job.recorded) {
                self.journal.tally.error(ErrorKind::Unsent, "");
            }
        }
    }

    /// Counts what is unfinished when the run is stopped from outside.
    fn abandon(&mut self) {
        let in_slots = self.slots.iter().flat_map(|slot| slot.job.iter().chain(&slot.behind));
        let jobs = in_slots.chain(&self.queue).filter(|job| job.recorded).count();
        self.journal.tally.abandoned += jobs as u64 + self.demand.call_off();
        self.in_flight = 0;
        self.queue.clear();
    }
}
