//! How requests get to workers: the kernel's accept queue, and who takes from it.
//!
//! A worker takes connections while it has room for their calls, as the server's does. Among several, an exclusive epoll
//! wakes the one that has listened for longest without a break, of those whose thread waits for events at that moment: it
//! asks one after the other, and who is not there lets the next one have it (`ep_poll_callback` in `fs/eventpoll.c`). Who
//! was full and listens again is the last.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::work::Request;
use super::worker::{CallId, Stage};
use super::{Event, Model};
use crate::simulate::arrivals::Planned;
use crate::simulate::time::{MICROSECOND, MILLISECOND, Nanos, SECOND};

/// A worker tells the supervisor of its lack of room at most this often.
const REPORT: Nanos = 10 * MILLISECOND;
/// How often a full worker takes a connection that nobody else takes.
const DRIP: Nanos = 5 * MILLISECOND;
/// How long the supervisor takes to wake up.
pub(super) const WAKE: Nanos = 50 * MICROSECOND;
/// How long a client waits before it repeats a SYN that was dropped: Linux a second for the first five times, then doubling
/// (`tcp_syn_linear_timeouts`, 4 since Linux 6.5, in `networking/ip-sysctl.rst`).
const REPEATS: [Nanos; 7] = [SECOND, SECOND, SECOND, SECOND, SECOND, 2 * SECOND, 4 * SECOND];
/// A timer of a second ends up to so much later: the kernel's timer wheel is that coarse there (`kernel/time/timer.c`, 8
/// jiffies at 250 a second).
const COARSE: Nanos = 32 * MILLISECOND;

/// Full workers, by when they may take a connection all the same.
#[derive(Debug, Default)]
pub(super) struct Drips {
    due: BinaryHeap<Reverse<(Nanos, u32, u32)>>,
    is_scheduled: bool,
}

impl Model<'_> {
    /// A request comes.
    pub(super) fn arrive(&mut self, planned: Planned) {
        let Planned { cost, generator, after, .. } = planned;
        if let Some(finished) = after {
            self.end_connections(finished);
        }
        let call = self.requests.add(Request::new(self.now, cost, generator));
        self.record.arrived(self.now);
        self.rouse_supervisor();
        match self.kept_connection(generator) {
            Some(slot) => self.deliver(slot, call),
            None => self.connect(call, 0),
        }
    }

    /// A client connects, for the `attempt`th time after the first. A full accept queue drops it without a word.
    pub(super) fn connect(&mut self, call: CallId, attempt: usize) {
        // The kernel's comparison lets in one more than was asked for.
        if self.backlog.len() > self.kind.backlog as usize {
            let arrived = self.requests.get(call).arrived;
            let coarse = (self.chance.unit() * COARSE as f64) as Nanos;
            let again = REPEATS.get(attempt).map(|pause| self.now + pause + coarse);
            match again.filter(|again| *again < arrived + self.terms.clients.connect) {
                Some(again) => self.events.push(again, Event::Retry { call, attempt: attempt + 1 }),
                None => {
                    self.requests.remove(call);
                    self.record.failed(arrived);
                }
            }
            return;
        }
        self.backlog.push_back(call);
        self.dispatch();
    }

    /// Workers with room take what waits.
    pub(super) fn dispatch(&mut self) {
        while !self.backlog.is_empty()
            && let Some((_, slot)) = self.open.first().copied()
        {
            self.turn(slot);
        }
        self.schedule_drip();
    }

    /// One turn of a worker's event loop, if a thread attends to it.
    pub(super) fn turn(&mut self, slot: u32) {
        let now = self.now;
        let Some(worker) = self.workers[slot as usize].as_deref_mut() else { return };
        if worker.stage != Stage::Serving {
            return self.leave_connections(slot);
        }
        if worker.attended {
            worker.review(now);
            if worker.is_open() {
                for _ in 0..worker.room() {
                    let Some(call) = self.backlog.pop_front() else { break };
                    worker.queue.push_back(call);
                }
            }
            while self.begin(slot) {}
        }
        self.settle(slot);
    }

    /// What follows from a worker's state once nothing more can begin.
    fn settle(&mut self, slot: u32) {
        let now = self.now;
        let Some(worker) = self.workers[slot as usize].as_deref_mut() else { return };
        let generation = worker.generation;
        if worker.attended && (!worker.is_open() || worker.room() == 0) {
            self.leave_connections(slot);
        } else {
            self.listen(slot);
        }
        let Some(worker) = self.workers[slot as usize].as_deref_mut() else { return };
        if worker.attended && worker.retired && worker.running.is_empty() && worker.queue.is_empty() {
            return self.leave(slot);
        }
        if worker.attended {
            let was_full = worker.full;
            worker.full = worker.is_open() && worker.room() == 0;
            if worker.full && !was_full && now >= worker.next_report {
                worker.next_report = now + REPORT;
                self.supervisor.saturated();
                self.wake_supervisor(now + WAKE);
            }
        }
        let Some(worker) = self.workers[slot as usize].as_deref_mut() else { return };
        if worker.full && worker.kind.followers && !worker.drips {
            worker.drips = true;
            self.drips.due.push(Reverse((worker.next_drip.max(now), slot, generation)));
            self.schedule_drip();
        }
        self.watch(slot);
    }

    /// The worker is woken for connections while one of its threads waits for events.
    fn listen(&mut self, slot: u32) {
        let Some(worker) = self.workers[slot as usize].as_deref_mut() else { return };
        if worker.takes() {
            let since = *worker.listens.get_or_insert_with(|| {
                self.listened += 1;
                self.listened
            });
            self.open.insert((since, slot));
        } else if let Some(since) = worker.listens {
            self.open.remove(&(since, slot));
        }
    }

    /// The worker leaves connections to others.
    pub(super) fn leave_connections(&mut self, slot: u32) {
        let Some(worker) = self.workers[slot as usize].as_deref_mut() else { return };
        if let Some(since) = worker.listens.take() {
            self.open.remove(&(since, slot));
        }
    }

    /// While connections wait, the next full worker will take one.
    fn schedule_drip(&mut self) {
        if self.drips.is_scheduled || self.backlog.is_empty() {
            return;
        }
        if let Some(Reverse((due, ..))) = self.drips.due.peek() {
            self.drips.is_scheduled = true;
            self.events.push((*due).max(self.now), Event::Drip);
        }
    }

    /// A full worker takes a connection, unless it has room again.
    pub(super) fn drip(&mut self) {
        self.drips.is_scheduled = false;
        let now = self.now;
        if !self.backlog.is_empty()
            && let Some(Reverse((_, slot, generation))) = self.drips.due.pop()
            && let Some(worker) = self.same(slot, generation)
        {
            worker.drips = false;
            if worker.full && worker.attended && worker.is_open() {
                worker.next_drip = now + DRIP;
                if let Some(call) = self.backlog.pop_front()
                    && let Some(worker) = self.same(slot, generation)
                {
                    worker.queue.push_back(call);
                }
                self.settle(slot);
            }
        }
        self.schedule_drip();
    }
}
