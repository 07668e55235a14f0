//! One worker: what it may run, what it runs, and what it has counted. The rules are those of `server/src/worker/pool`.
//!
//! It has one interpreter lock. One thread at a time attends to connections; it makes calls itself, and meanwhile nobody
//! attends unless another thread was promoted: at once where calls are known to block, else by the monitor. How many
//! calls run at once is [`mpm::sizing`]'s business. This module holds the state and answers questions; `intake`, `work`
//! and `monitor` change it as time goes on.

use std::collections::VecDeque;

use mpm::sizing::{self, CallStats};
use mpm::{Phase, Totals, WorkerView};

use super::cores::JobId;
use crate::simulate::time::{MILLISECOND, Nanos, SECOND, duration};

/// How often the number of calls at once is thought over.
const REVIEW: Nanos = 100 * MILLISECOND;
/// How far back the window of a review reaches.
const WINDOW: Nanos = 2 * SECOND;
/// No call is a straggler before it has run this long …
const LONG: Nanos = 20 * MILLISECOND;
/// … nor before this many times as long as calls do on average.
const TIMES: u64 = 8;

/// What all workers of a policy are alike in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    /// Calls that may always run at once.
    pub(crate) min_threads: u32,
    /// Calls that never run at once beyond this.
    pub(crate) max_threads: u32,
    /// Whether another thread attends to connections while one makes a call. Not in prefork.
    pub(crate) followers: bool,
    /// `--backlog`: connections that the kernel holds for all workers together.
    pub(crate) backlog: u32,
}

/// A number that stands for a request in its place of the ledger of requests.
pub(crate) type CallId = u32;

/// How far a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Ordered; the template has not forked it.
    Asked,
    /// It imports.
    Importing(JobId),
    Serving,
    /// It serves nobody any more and is about to end.
    Leaving,
    /// It has ended; the supervisor has not noticed.
    Ended {
        crashed: bool,
    },
}

/// The piece of a call that computes now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Running {
    pub(crate) job: JobId,
    /// The cores' clock when it began.
    pub(crate) since: f64,
    pub(crate) cpu: Nanos,
}

#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) kind: Kind,
    pub(crate) slot: u32,
    pub(crate) generation: u32,
    pub(crate) ordered: Nanos,
    pub(crate) stage: Stage,
    /// It was told to leave.
    pub(crate) retired: bool,
    pub(crate) was_ready: bool,
    /// A thread attends to connections.
    pub(crate) attended: bool,
    /// Which absence of that thread this is, or was.
    pub(crate) absence: u32,
    /// Whether another thread is promoted before a call.
    pub(crate) hand_off: bool,
    /// Calls that run, in no particular order.
    pub(crate) running: Vec<CallId>,
    /// Complete requests that wait for a thread.
    pub(crate) queue: VecDeque<CallId>,
    /// Connections that wait for their client's next request.
    pub(crate) idle_connections: u32,
    /// Calls that want to compute; the first one has the lock.
    pub(crate) lock: VecDeque<CallId>,
    pub(crate) computing: Option<Running>,
    pub(crate) limit: u32,
    pub(crate) stragglers: u32,
    threads: u32,
    pub(crate) full: bool,
    /// Its place among those that wait for connections; `None` while it leaves them to others.
    pub(crate) listens: Option<u64>,
    pub(crate) next_report: Nanos,
    pub(crate) next_drip: Nanos,
    pub(crate) drips: bool,
    /// The monitor has a reason to look.
    pub(crate) watched: bool,
    pub(crate) looked: Look,
    totals: Totals,
    /// CPU time of pieces that ended, in nanoseconds.
    cpu: Nanos,
    mean_wall: Nanos,
    window: VecDeque<(Nanos, Totals)>,
    /// The last mark, which the window's next one will be, and when it was made.
    latest: Totals,
    noted: Nanos,
    next_review: Nanos,
}

/// What the monitor saw last.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Look {
    pub(crate) at: Nanos,
    pub(crate) cpu: Nanos,
}

impl Worker {
    pub(crate) fn new(kind: Kind, slot: u32, generation: u32, ordered: Nanos) -> Self {
        Self {
            kind,
            slot,
            generation,
            ordered,
            stage: Stage::Asked,
            retired: false,
            was_ready: false,
            attended: false,
            absence: 0,
            hand_off: false,
            running: Vec::new(),
            queue: VecDeque::new(),
            idle_connections: 0,
            lock: VecDeque::new(),
            computing: None,
            limit: kind.min_threads.max(1),
            stragglers: 0,
            threads: 1,
            full: false,
            listens: None,
            next_report: 0,
            next_drip: 0,
            drips: false,
            watched: false,
            looked: Look::default(),
            totals: Totals::default(),
            cpu: 0,
            mean_wall: 0,
            window: VecDeque::new(),
            latest: Totals::default(),
            noted: 0,
            next_review: 0,
        }
    }

    /// It takes connections.
    pub(crate) fn is_open(&self) -> bool {
        self.stage == Stage::Serving && !self.retired
    }

    /// A process is there.
    pub(crate) fn lives(&self) -> bool {
        matches!(self.stage, Stage::Importing(_) | Stage::Serving | Stage::Leaving)
    }

    /// How many calls may run at once now.
    pub(crate) fn allowed(&self) -> u32 {
        self.limit.saturating_add(self.stragglers).min(self.kind.max_threads)
    }

    /// How many more calls could begin.
    pub(crate) fn room(&self) -> u32 {
        self.allowed().saturating_sub(self.load())
    }

    /// Calls that run or wait.
    pub(crate) fn load(&self) -> u32 {
        (self.running.len() + self.queue.len()) as u32
    }

    /// Open connections.
    pub(crate) fn connections(&self) -> u32 {
        self.load() + self.idle_connections
    }

    /// It would take a connection now.
    pub(crate) fn takes(&self) -> bool {
        self.attended && self.is_open() && self.room() > 0
    }

    /// Requests wait for a thread, or connections because there is no room.
    pub(crate) fn is_waited_for(&self) -> bool {
        !self.queue.is_empty() || self.full
    }

    /// The monitor has something to look for: more calls could be allowed, or fewer again.
    pub(crate) fn needs_looks(&self) -> bool {
        self.kind.followers && self.limit < self.kind.max_threads && (self.is_waited_for() || self.stragglers > 0)
    }

    /// Thinks over, ten times a second, how many calls at once are useful.
    pub(crate) fn review(&mut self, now: Nanos) {
        if now < self.next_review {
            return;
        }
        self.next_review = now + REVIEW;
        self.note(now);
        let stats = self.stats();
        if stats.requests == 0 {
            return;
        }
        let Kind { min_threads, max_threads, .. } = self.kind;
        self.limit = sizing::concurrency(&stats, self.limit, max_threads, min_threads, max_threads);
        self.hand_off = self.limit > 1 && sizing::hand_off_first(&stats);
    }

    /// What its calls have cost so far.
    pub(crate) fn experience(&self) -> CallStats {
        self.totals.into()
    }

    /// Begins with the number of calls at once that suits what the others know.
    pub(crate) fn learn(&mut self, known: &CallStats) {
        let Kind { min_threads, max_threads, .. } = self.kind;
        self.limit = sizing::at_first(known, min_threads, max_threads);
        self.hand_off = self.limit > 1 && sizing::hand_off_first(known);
    }

    fn note(&mut self, now: Nanos) {
        if self.totals.requests == self.latest.requests {
            return;
        }
        self.window.push_back((self.noted, self.latest));
        self.noted = now;
        self.latest = self.totals;
        while self.window.len() > 1 && self.window[1].0 + WINDOW < now {
            self.window.pop_front();
        }
    }

    fn stats(&self) -> CallStats {
        let oldest = self.window.front().map(|mark| mark.1).unwrap_or_default();
        CallStats {
            requests: self.latest.requests - oldest.requests,
            wall: self.latest.wall - oldest.wall,
            cpu: self.latest.cpu - oldest.cpu,
            gil_wait: self.latest.gil_wait - oldest.gil_wait,
        }
    }

    /// It has answered a request.
    pub(crate) fn has_answered(&self) -> bool {
        self.totals.requests > 0
    }

    /// A call begins.
    pub(crate) fn begins(&mut self, call: CallId) {
        self.running.push(call);
        let attending = u32::from(self.kind.followers);
        self.threads = self.threads.max(self.running.len() as u32 + attending);
    }

    /// A call has ended that took `wall`, `cpu` of it computing, and waited `lock_wait` for the lock.
    pub(crate) fn ends(&mut self, call: CallId, wall: Nanos, cpu: Nanos, lock_wait: Nanos) {
        if let Some(place) = self.running.iter().position(|other| *other == call) {
            self.running.swap_remove(place);
        }
        self.totals.requests += 1;
        self.totals.wall += duration(wall);
        self.totals.cpu += duration(cpu);
        self.totals.gil_wait += duration(lock_wait);
        self.mean_wall = self.mean_wall - self.mean_wall / 8 + wall.saturating_sub(lock_wait) / 8;
    }

    /// CPU time up to now; `clock` is the cores'.
    pub(crate) fn cpu(&self, clock: f64) -> Nanos {
        let running = self.computing.map_or(0, |piece| ((clock - piece.since).max(0.0) as Nanos).min(piece.cpu));
        self.cpu + running
    }

    /// The piece that computed has ended.
    pub(crate) fn computed(&mut self) -> Nanos {
        let cpu = self.computing.take().map_or(0, |piece| piece.cpu);
        self.cpu += cpu;
        cpu
    }

    /// How long a call runs before it counts as a straggler.
    pub(crate) fn long(&self) -> Nanos {
        LONG.max(self.mean_wall.saturating_mul(TIMES))
    }

    /// Where it is in its life, as the supervisor sees it.
    fn phase(&self) -> Phase {
        match self.stage {
            _ if self.retired => Phase::Draining,
            Stage::Asked | Stage::Importing(_) => Phase::Starting,
            // A process that crashed has published nothing.
            Stage::Ended { crashed: true } if !self.was_ready => Phase::Starting,
            Stage::Serving | Stage::Ended { crashed: true } => Phase::Ready,
            Stage::Leaving | Stage::Ended { crashed: false } => Phase::Draining,
        }
    }

    /// What a policy is told; `clock` is the cores'.
    pub(crate) fn view(&self, now: Nanos, clock: f64) -> WorkerView {
        WorkerView {
            slot: self.slot,
            generation: self.generation,
            phase: self.phase(),
            age: duration(now - self.ordered),
            connections: self.connections(),
            in_flight: self.running.len() as u32,
            queued: self.queue.len() as u32,
            threads: self.threads,
            totals: Totals { cpu: duration(self.cpu(clock)), ..self.totals },
        }
    }
}
