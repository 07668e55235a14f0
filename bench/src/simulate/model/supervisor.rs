//! The supervisor: asks the policy when the server's would, with what the server's would see, and carries out its orders.
//!
//! The causes and their order are those of `server/src/supervisor`: news of workers that serve or are full, ends of
//! processes, its clock, the end of a pause after failures. While it is busy with one round, what happens waits for the
//! next: with thousands of workers, looking at all of them takes its time. While nothing happens it rests as long as the policy
//! lets it, and the first request wakes it.

use std::time::Duration;

use mpm::{Action, Cause, Policy, Snapshot, WorkerView};
use serde::{Deserialize, Serialize};

use super::backoff::Backoff;
use super::intake::WAKE;
use super::worker::{Stage, Worker};
use super::{Event, Model};
use crate::simulate::time::{MICROSECOND, Nanos, SECOND, duration, seconds};

/// What asking the policy once costs, besides …
const ASKING: Nanos = 20 * MICROSECOND;
/// … looking at each worker: its part of the scoreboard, and its process's CPU clock (clock_gettime(2) of another
/// process is a system call).
const LOOKING: Nanos = MICROSECOND;

/// What a policy ordered, or had to say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Order {
    /// Seconds of the load.
    pub(crate) at: f64,
    /// Workers started, or retired if negative.
    pub(crate) change: i64,
    pub(crate) reason: String,
}

pub(super) struct Supervisor {
    policy: Box<dyn Policy>,
    next_tick: Nanos,
    /// The next tick comes late, unless something happens.
    rests: bool,
    /// A request has come since the last tick.
    is_stirred: bool,
    /// When it gets to what it was told.
    turn_at: Option<Nanos>,
    busy_until: Nanos,
    started: bool,
    saturated: bool,
    /// Slots and generations of workers that ended.
    ended: Vec<(u32, u32)>,
    pub(super) backoff: Backoff,
    /// A worker has served.
    is_serving: bool,
    views: Vec<WorkerView>,
    pub(super) generation: u32,
}

impl Supervisor {
    pub(super) fn new(policy: Box<dyn Policy>) -> Self {
        Self {
            policy,
            next_tick: 0,
            rests: false,
            is_stirred: false,
            turn_at: None,
            busy_until: 0,
            started: false,
            saturated: false,
            ended: Vec::new(),
            backoff: Backoff::default(),
            is_serving: false,
            views: Vec::new(),
            generation: 0,
        }
    }

    pub(super) fn initial(&self) -> u32 {
        self.policy.initial()
    }

    /// A worker serves.
    pub(super) fn started(&mut self) {
        self.started = true;
    }

    /// A worker has run out of room.
    pub(super) fn saturated(&mut self) {
        self.saturated = true;
    }

    /// A worker's process has ended.
    pub(super) fn ended(&mut self, slot: u32, generation: u32) {
        self.ended.push((slot, generation));
    }

    /// A fork failed.
    pub(super) fn fork_failed(&mut self, now: Nanos) {
        self.policy.spawn_failed(duration(now));
        self.backoff.failed(now);
    }
}

fn nanos_of(time: Duration) -> Nanos {
    time.as_nanos() as Nanos
}

impl Model<'_> {
    /// It will see to what happened at `at`, or when it is through with what it is doing.
    pub(super) fn wake_supervisor(&mut self, at: Nanos) {
        let at = at.max(self.supervisor.busy_until);
        if self.supervisor.turn_at.is_none_or(|planned| at < planned) {
            self.supervisor.turn_at = Some(at);
            self.events.push(at, Event::Turn);
        }
    }

    /// A request comes: a rest ends.
    pub(super) fn rouse_supervisor(&mut self) {
        self.supervisor.is_stirred = true;
        if std::mem::take(&mut self.supervisor.rests) {
            self.supervisor.next_tick = self.now;
            self.wake_supervisor(self.now + WAKE);
        }
    }

    /// It will see to what is due by the clock.
    pub(super) fn schedule_supervisor(&mut self) {
        let due = self.supervisor.next_tick.min(self.supervisor.backoff.ends().unwrap_or(Nanos::MAX));
        self.wake_supervisor(due);
    }

    /// One round of its loop.
    pub(super) fn supervise(&mut self) {
        let now = self.now;
        if self.supervisor.turn_at != Some(now) {
            // It was called earlier, and all was seen to then.
            return;
        }
        self.supervisor.turn_at = None;
        let mut asked = self.read_news();
        for (slot, generation) in std::mem::take(&mut self.supervisor.ended) {
            if self.bury(slot, generation) {
                asked += self.decide(Cause::Exited);
            }
        }
        if now >= self.supervisor.next_tick {
            self.supervisor.next_tick = now + nanos_of(self.supervisor.policy.tick());
            asked += self.decide(Cause::Tick);
        }
        if self.supervisor.backoff.has_ended(now) {
            asked += self.decide(Cause::Exited);
        }
        self.supervisor.busy_until = now + asked * (ASKING + u64::from(self.population) * LOOKING);
        self.schedule_supervisor();
    }

    fn read_news(&mut self) -> u64 {
        let mut asked = 0;
        if std::mem::take(&mut self.supervisor.started) {
            self.supervisor.is_serving = true;
            asked += self.decide(Cause::Started);
        }
        if std::mem::take(&mut self.supervisor.saturated) {
            asked += self.decide(Cause::Saturated);
        }
        asked
    }

    /// Asks the policy. How many times it was asked: once, or not at all.
    fn decide(&mut self, cause: Cause) -> u64 {
        let now = self.now;
        let supervisor = &mut self.supervisor;
        if std::mem::take(&mut supervisor.rests) {
            supervisor.next_tick = supervisor.next_tick.min(now + nanos_of(supervisor.policy.tick()));
        }
        if (!supervisor.is_serving && cause != Cause::Tick) || supervisor.backoff.holds(now) {
            return 0;
        }
        let clock = self.cores.clock(now);
        supervisor.views.clear();
        supervisor.views.extend(self.workers.iter().flatten().map(|worker| worker.view(now, clock)));
        let backlog = self.backlog.len() as u32;
        let snapshot = Snapshot { now: duration(now), cause, workers: &supervisor.views, backlog };
        let Some(decision) = supervisor.policy.decide(&snapshot) else {
            if cause == Cause::Tick {
                let quiet = !std::mem::take(&mut supervisor.is_stirred) && self.requests.is_empty();
                let rest = supervisor.policy.rest(&snapshot).min(mpm::LONGEST_REST);
                if quiet && supervisor.is_serving && rest > supervisor.policy.tick() {
                    supervisor.rests = true;
                    supervisor.next_tick = now + nanos_of(rest);
                }
            }
            return 1;
        };
        let mut change = 0;
        for action in &decision.actions {
            match *action {
                Action::Spawn { count } => {
                    change += i64::from(count);
                    self.spawn(count);
                }
                Action::Retire { slot } => {
                    change -= 1;
                    self.retire(slot);
                }
            }
        }
        let at = seconds(now) - seconds(self.start);
        self.record.ordered(Order { at, change, reason: decision.reason });
        1
    }

    /// Takes note of a process's end. False if it was noted before.
    fn bury(&mut self, slot: u32, generation: u32) -> bool {
        let now = self.now;
        let Some(worker) = self.same(slot, generation) else { return false };
        let Worker { stage, was_ready, ordered, .. } = *worker;
        let (young, answered) = (now - ordered < SECOND, worker.has_answered());
        self.workers[slot as usize] = None;
        self.vacant.set(slot, true);
        let crashed = stage == Stage::Ended { crashed: true };
        if crashed && (!was_ready || (young && !answered)) {
            self.supervisor.backoff.failed(now);
        } else if was_ready && !(crashed && young) {
            self.supervisor.backoff.succeeded();
        }
        true
    }
}
