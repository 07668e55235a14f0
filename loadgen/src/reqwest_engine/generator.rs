//! One generator thread of this engine: which slot takes which request, and when; the same rules as in the fast engine's
//! driver, in the form that a runtime asks for.
//!
//! A slot is a place for one request; a lane has as many slots as its connection has streams. Owns the schedule, the queue
//! and the tally. `run` starts it and receives its tallies.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::future::poll_fn;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use mio::Waker;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::alarm::Alarm;
use super::exchange::{Answer, Done, Patience, carry_out};
use super::failure::Failure;
use super::lane::Lane;
use super::outlet::{Outlet, content};
use super::wire::Log;
use crate::clock;
use crate::demand::Demand;
use crate::error::ErrorKind;
use crate::journal::{Journal, Levels};
use crate::script::Turn;
use crate::tally::EntryTally;
use crate::task::{Message, Source, Task};
use crate::timeline::Timeline;

/// In a closed loop, a slot that could not connect rests this long: a dead target must not be hammered at the speed of
/// refusals.
const REST: u64 = 50_000_000;
/// Tasks that run before the runtime looks for events. Its default, 61, is made for throughput; here a request that is due
/// waits for as many steps of others.
const STEPS: u32 = 8;

/// A request on its way. Times in nanoseconds of the monotonic clock.
#[derive(Clone, Copy, Debug)]
struct Job {
    /// Where its latency begins: intended time (open loop) or take-up (closed loop).
    from: u64,
    /// When the generator acted on it: sent it, or put it into the queue.
    seen: u64,
    /// Counts in the report; false in the warm-up.
    recorded: bool,
    /// Which request it is, once a slot has taken it up.
    turn: Turn,
    /// Bytes of content in it.
    content: u64,
}

impl Job {
    fn new(from: u64, seen: u64, recorded: bool) -> Self {
        Self { from, seen, recorded, turn: Turn::default(), content: 0 }
    }
}

/// How many requests a lane's latest connection has had.
#[derive(Clone, Copy, Debug, Default)]
struct Used {
    /// When that connection was ready.
    connected: u64,
    count: u64,
}

/// What the loop wakes up for.
enum Event {
    /// A request is over.
    Done(Done),
    /// Something is due, or the run is to stop.
    Woken,
}

struct Generator<'a> {
    task: Task<'a>,
    outlet: &'a Outlet,
    timeline: Timeline,
    demand: Demand,
    journal: Journal,
    alarm: Alarm,
    /// The clock as last read.
    now: u64,
    lanes: Vec<Arc<Lane>>,
    /// Of each lane.
    used: Vec<Used>,
    log: Arc<Mutex<Log>>,
    /// What each slot is busy with.
    jobs: Vec<Option<Job>>,
    /// Free slots; the one used last is on top.
    idle: Vec<usize>,
    /// Open loop: requests due for which no slot was free.
    queue: VecDeque<Job>,
    /// Closed loop: slots that rest or think, by the time they go on.
    resting: BinaryHeap<Reverse<(u64, usize)>>,
    in_flight: u64,
    done: UnboundedSender<Done>,
    over: UnboundedReceiver<Done>,
    /// Room for the bytes of a request.
    bytes: Vec<u8>,
    /// One per request of the plan; empty when there is only one.
    entries: Vec<EntryTally>,
    told_down: bool,
}

/// Sets a thread up, waits for the timeline, and runs to the end. A dropped `begin` means that the run was called off.
pub(crate) fn drive(task: Task<'_>, source: Source, outlet: &Outlet, begin: &Receiver<Timeline>) {
    let out = task.out.clone();
    // The coordinator may be gone after an error of its own; then there is nobody to tell.
    let tell = |message| {
        let _ = out.send(message);
    };
    let broken = |what: &str, source| Message::Broken { what: what.to_owned(), source };
    let parts = match set_up(outlet, task.slots) {
        Ok(parts) => parts,
        Err(e) => return tell(broken("set up a generator thread's runtime", e)),
    };
    let Parts { runtime, alarm, waker, lanes, log } = parts;
    tell(Message::Ready(waker));
    let Ok(timeline) = begin.recv() else { return };
    let demand = Demand::new(source, timeline);
    let generator = Generator::new(task, demand, outlet, timeline, alarm, lanes, log);
    let ran = runtime.block_on(generator.run());
    // A name that is still being looked up for a redirect must not hold up the end.
    runtime.shutdown_background();
    if let Err(e) = ran {
        tell(broken("go on in a generator thread's runtime", e));
    }
}

struct Parts {
    runtime: Runtime,
    alarm: Alarm,
    waker: Arc<Waker>,
    lanes: Vec<Arc<Lane>>,
    log: Arc<Mutex<Log>>,
}

fn set_up(outlet: &Outlet, lanes: usize) -> io::Result<Parts> {
    let runtime = Builder::new_current_thread().enable_all().event_interval(STEPS).build()?;
    let inside = runtime.enter();
    let (alarm, waker) = Alarm::new()?;
    let log = Arc::default();
    // All of them now: making one in the middle of a run would make the requests behind it late.
    let lanes: Result<Vec<_>, _> = (0..lanes).map(|_| outlet.lane(&log).map(Arc::new)).collect();
    let lanes = lanes.map_err(io::Error::other)?;
    drop(inside);
    Ok(Parts { runtime, alarm, waker, lanes, log })
}

impl<'a> Generator<'a> {
    fn new(
        task: Task<'a>,
        demand: Demand,
        outlet: &'a Outlet,
        timeline: Timeline,
        alarm: Alarm,
        lanes: Vec<Arc<Lane>>,
        log: Arc<Mutex<Log>>,
    ) -> Self {
        let slots = lanes.len() * outlet.streams();
        let (done, over) = unbounded_channel();
        Self {
            journal: Journal::new(timeline, task.thread, task.out.clone()),
            outlet,
            timeline,
            demand,
            alarm,
            now: 0,
            used: vec![Used::default(); lanes.len()],
            lanes,
            log,
            jobs: vec![None; slots],
            idle: (0..slots).rev().collect(),
            queue: VecDeque::new(),
            resting: BinaryHeap::new(),
            in_flight: 0,
            done,
            over,
            bytes: Vec::new(),
            entries: EntryTally::several(if task.script.len() > 1 { task.script.len() } else { 0 }),
            told_down: false,
            task,
        }
    }

    async fn run(mut self) -> io::Result<()> {
        self.alarm.set(self.timeline.start)?;
        while clock::now() < self.timeline.start && !self.halted() {
            self.next_event().await?;
        }
        self.observe();
        if !self.demand.is_open_loop() {
            let mut slots = std::mem::take(&mut self.idle);
            while let Some(slot) = slots.pop() {
                self.start_closed(slot);
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
            if self.finished() {
                break;
            }
            self.alarm.set(self.next_wake())?;
            if let Event::Done(done) = self.next_event().await? {
                self.settle(done);
            }
        }
        // Stopped before it began, the run has an interval of no length.
        let until = self.observe().max(self.timeline.start);
        if !self.entries.is_empty() {
            let _ = self.task.out.send(Message::Entries(std::mem::take(&mut self.entries)));
        }
        self.close_interval(until, true);
        Ok(())
    }

    async fn next_event(&mut self) -> io::Result<Event> {
        poll_fn(|context| {
            if let Poll::Ready(Some(done)) = self.over.poll_recv(context) {
                return Poll::Ready(Ok(Event::Done(done)));
            }
            self.alarm.poll(context).map_ok(|()| Event::Woken)
        })
        .await
    }

    fn halted(&self) -> bool {
        self.task.flags.halt.load(Ordering::Acquire)
    }

    fn next_wake(&self) -> u64 {
        let rest = self.resting.peek().map(|Reverse((at, _))| *at);
        let drain = self.demand.drain_end(self.task.timeout).filter(|_| !self.queue.is_empty());
        let times = [Some(self.journal.border()), self.demand.due(), rest, drain];
        times.into_iter().flatten().min().unwrap_or(self.journal.border())
    }

    /// Reads the clock and closes the intervals that are over.
    fn observe(&mut self) -> u64 {
        self.now = clock::now();
        while self.now >= self.journal.border() {
            let border = self.journal.border();
            self.demand.end_interval(border, &mut self.journal.tally.offered);
            self.close_interval(border, false);
        }
        self.now
    }

    fn close_interval(&mut self, until: u64, last: bool) {
        self.take_log();
        let levels = Levels {
            queued: (self.queue.len() + self.demand.overdue()) as u64,
            in_flight: self.in_flight,
            connections: self.lanes.iter().filter(|lane| lane.wire.is_open()).count() as u64,
        };
        self.journal.close(until, levels, last);
    }

    /// Counts the connections attempted and made, by whichever request.
    fn take_log(&mut self) {
        let Log { attempts, repeated, made } = {
            let mut log = self.log.lock().expect("nobody panics with the lock");
            std::mem::take(&mut *log)
        };
        let tally = &mut self.journal.tally;
        tally.connects += attempts;
        tally.reconnects += if self.task.keep_alive { repeated } else { 0 };
        if !made.is_empty() && !self.task.flags.reached.load(Ordering::Relaxed) {
            self.task.flags.reached.store(true, Ordering::Relaxed);
        }
        for made in made {
            tally.connect.record(made.connect);
            if let Some(tls) = made.tls {
                tally.tls.record(tls);
            }
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
            let slot = if self.queue.is_empty() { self.idle.pop() } else { None };
            match slot {
                Some(slot) => self.take(slot, job),
                None => self.queue.push_back(job),
            }
            self.observe();
        }
    }

    /// Closed loop: the slot starts another request, if there is to be one.
    fn start_closed(&mut self, slot: usize) {
        if let Some(recorded) = self.demand.start(self.now, &mut self.journal.tally.offered) {
            self.take(slot, Job::new(self.now, self.now, recorded));
        }
    }

    /// A free slot takes up a request. The task that carries it out is the last in the runtime's queue: what the slot's
    /// former connection still has to do to be found in the client's pool comes before it.
    fn take(&mut self, slot: usize, job: Job) {
        self.in_flight += 1;
        if job.recorded {
            self.journal.tally.started += 1;
            self.journal.tally.last_start = self.now;
            if self.demand.is_open_loop() {
                self.journal.tally.queue_wait.record(self.now - job.seen);
            }
        }
        let turn = self.task.script.next(&mut self.task.cursor);
        if job.recorded {
            self.entry(turn, |entry| entry.requests += 1);
        }
        let request = self.outlet.request(self.task.script, turn, &mut self.task.cursor, &mut self.bytes);
        self.jobs[slot] = Some(Job { turn, content: content(&request), ..job });
        let lane = Arc::clone(&self.lanes[slot / self.outlet.streams()]);
        let patience =
            Patience { connect: self.outlet.connect_timeout(), answer: Duration::from_nanos(self.task.timeout) };
        let (taken, done) = (self.now, self.done.clone());
        tokio::spawn(async move {
            // The generator is gone only when the run was stopped.
            let _ = done.send(carry_out(slot, lane, request, taken, patience).await);
        });
    }

    /// A request is over: counts it, and has its slot go on.
    fn settle(&mut self, done: Done) {
        let Some(job) = self.jobs[done.slot].take() else {
            return;
        };
        self.in_flight -= 1;
        self.observe();
        self.take_log();
        let lane = done.slot / self.outlet.streams();
        let mut rest = self.task.think_time;
        match done.outcome {
            Ok(Answer { status, head, content, close }) => {
                if close || !self.task.keep_alive {
                    self.lanes[lane].lost();
                }
                self.journal.tally.bytes_received += content;
                self.journal.tally.bytes_sent += job.content;
                if job.recorded {
                    let first_byte = head.saturating_sub(done.written);
                    self.journal.tally.answer(status, done.at - job.from, done.at - done.written, first_byte);
                    self.entry(job.turn, |entry| entry.answer(status, done.at - job.from));
                }
                self.wear(lane);
            }
            Err(Failure { kind, detail }) => {
                // One stream of several can fail by itself.
                if self.outlet.streams() == 1 {
                    self.lanes[lane].lost();
                }
                if job.recorded {
                    self.journal.tally.error(kind, &detail);
                    self.entry(job.turn, |entry| entry.errors += 1);
                }
                if self.unconnected(kind, &detail) {
                    rest = rest.max(REST);
                }
            }
        }
        if !self.demand.is_open_loop() {
            if rest > 0 {
                self.resting.push(Reverse((self.now.saturating_add(rest), done.slot)));
            } else {
                self.start_closed(done.slot);
            }
        } else if let Some(job) = self.queue.pop_front() {
            self.take(done.slot, job);
        } else {
            self.idle.push(done.slot);
        }
    }

    /// A lane's connection has had one more request. When it has had as many as it may, the lane begins anew: its
    /// client is the only one that can close it.
    fn wear(&mut self, lane: usize) {
        let used = &mut self.used[lane];
        let connected = self.lanes[lane].wire.connected();
        if used.connected != connected {
            *used = Used { connected, count: 0 };
        }
        used.count += 1;
        if used.count >= self.task.per_connection {
            *used = Used::default();
            let fresh = self.outlet.lane(&self.log).expect("a client has been made of the same configuration before");
            self.lanes[lane] = Arc::new(fresh);
        }
    }

    /// Counts for one of several requests of the plan.
    fn entry(&mut self, turn: Turn, count: impl FnOnce(&mut EntryTally)) {
        if let Some(entry) = self.entries.get_mut(turn.entry as usize) {
            count(entry);
        }
    }

    /// True when a request failed because there was no connection. The first time, and if nobody has reached the target,
    /// the coordinator learns of it.
    fn unconnected(&mut self, kind: ErrorKind, detail: &str) -> bool {
        let source = |kind| io::Error::new(kind, detail.to_owned());
        let message = match kind {
            ErrorKind::ConnectRefused => Message::Down(source(io::ErrorKind::ConnectionRefused)),
            ErrorKind::ConnectTimeout => Message::Down(source(io::ErrorKind::TimedOut)),
            ErrorKind::ConnectFailed => Message::Down(source(io::ErrorKind::Other)),
            ErrorKind::Tls => Message::NoTls(source(io::ErrorKind::InvalidData)),
            _ => return false,
        };
        if !self.told_down && !self.task.flags.reached.load(Ordering::Relaxed) {
            self.told_down = true;
            let _ = self.task.out.send(message);
        }
        true
    }

    /// Ends the waits whose time has come.
    fn expire(&mut self) {
        while let Some(Reverse((at, slot))) = self.resting.peek().copied() {
            if at > self.now {
                break;
            }
            self.resting.pop();
            self.start_closed(slot);
        }
        if !self.queue.is_empty() && self.demand.drain_end(self.task.timeout).is_some_and(|end| self.now >= end) {
            for _ in self.queue.drain(..).filter(|job| job.recorded) {
                self.journal.tally.error(ErrorKind::Unsent, "");
            }
        }
    }

    /// Counts what is unfinished when the run is stopped from outside.
    fn abandon(&mut self) {
        let jobs = self.jobs.iter().flatten().chain(&self.queue).filter(|job| job.recorded).count();
        self.journal.tally.abandoned += jobs as u64 + self.demand.call_off();
        self.in_flight = 0;
        self.queue.clear();
    }
}
