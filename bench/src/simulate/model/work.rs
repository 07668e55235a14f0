//! What happens to a request in a worker: the interpreter lock, the cores, the time it is blocked.
//!
//! A call computes first and is blocked then. It computes in pieces no longer than Python's switch interval: after each,
//! the lock goes to whoever waits for it.

use super::worker::{CallId, Running, Stage};
use super::{Event, Job, Model};
use crate::simulate::calls::Cost;
use crate::simulate::time::{MILLISECOND, Nanos};

/// CPython's default `sys.getswitchinterval()`.
const SWITCH: Nanos = 5 * MILLISECOND;

/// A request that has no answer yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    pub(super) arrived: Nanos,
    cost: Cost,
    /// Distinguishes it from earlier requests in the same place.
    stamp: u32,
    /// The worker that runs it.
    slot: u32,
    began: Nanos,
    cpu_left: Nanos,
    lock_wait: Nanos,
    generator: usize,
}

impl Request {
    pub(super) fn new(arrived: Nanos, cost: Cost, generator: usize) -> Self {
        Self { arrived, cost, stamp: 0, slot: 0, began: 0, cpu_left: cost.cpu, lock_wait: 0, generator }
    }

    /// When its call began.
    pub(super) fn began(&self) -> Nanos {
        self.began
    }
}

/// All requests without an answer, each in a place that is used again afterwards.
#[derive(Debug, Default)]
pub(super) struct Requests {
    places: Vec<(Option<Request>, u32)>,
    free: Vec<CallId>,
}

impl Requests {
    pub(super) fn add(&mut self, request: Request) -> CallId {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push((None, 0));
            self.places.len() as CallId - 1
        });
        let (held, stamp) = &mut self.places[place as usize];
        *stamp += 1;
        *held = Some(Request { stamp: *stamp, ..request });
        place
    }

    /// A request that is there.
    pub(super) fn get(&self, call: CallId) -> &Request {
        self.places[call as usize].0.as_ref().expect("an answer ends all that refers to a request")
    }

    fn get_mut(&mut self, call: CallId) -> &mut Request {
        self.places[call as usize].0.as_mut().expect("an answer ends all that refers to a request")
    }

    pub(super) fn remove(&mut self, call: CallId) -> Option<Request> {
        let removed = self.places[call as usize].0.take();
        self.free.extend(removed.map(|_| call));
        removed
    }

    pub(super) fn is_empty(&self) -> bool {
        self.free.len() == self.places.len()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Request> {
        self.places.iter().filter_map(|(request, _)| request.as_ref())
    }
}

impl Model<'_> {
    /// The thread that attends makes the next call itself. False when there is none to make, or nobody to make it.
    pub(super) fn begin(&mut self, slot: u32) -> bool {
        let Some(worker) = self.workers[slot as usize].as_deref_mut() else { return false };
        if !worker.attended || worker.running.len() as u32 >= worker.allowed() {
            return false;
        }
        let Some(call) = worker.queue.pop_front() else { return false };
        worker.begins(call);
        worker.attended = worker.kind.followers && worker.hand_off;
        let request = self.requests.get_mut(call);
        (request.slot, request.began) = (slot, self.now);
        let Cost { cpu, blocked } = request.cost;
        if !worker.attended && worker.kind.followers {
            self.note_absence(slot, cpu + blocked);
        }
        if cpu > 0 {
            self.want_lock(slot, call);
        } else {
            self.block(call);
        }
        true
    }

    fn want_lock(&mut self, slot: u32, call: CallId) {
        let Some(worker) = self.workers[slot as usize].as_deref_mut() else { return };
        worker.lock.push_back(call);
        if worker.computing.is_none() {
            self.compute(slot);
        }
    }

    /// Who is first in line for the lock computes.
    fn compute(&mut self, slot: u32) {
        let now = self.now;
        let Some(worker) = self.workers[slot as usize].as_deref_mut() else { return };
        let Some(call) = worker.lock.front().copied() else { return };
        let request = self.requests.get_mut(call);
        if request.cpu_left == request.cost.cpu {
            // Later waits happen inside the call, where nobody measures them.
            request.lock_wait = now - request.began;
        }
        let cpu = request.cpu_left.min(SWITCH);
        let job = self.cores.start(now, Job::Call { slot }, cpu);
        worker.computing = Some(Running { job, since: self.cores.clock(now), cpu });
    }

    /// A piece of a call is done.
    pub(super) fn piece_computed(&mut self, slot: u32) {
        let Some(worker) = self.workers[slot as usize].as_deref_mut() else { return };
        let cpu = worker.computed();
        let Some(call) = worker.lock.pop_front() else { return };
        let request = self.requests.get_mut(call);
        request.cpu_left -= cpu;
        if request.cpu_left > 0 {
            worker.lock.push_back(call);
            return self.compute(slot);
        }
        self.compute(slot);
        self.block(call);
    }

    /// The call has computed; the rest of its time it is blocked.
    fn block(&mut self, call: CallId) {
        let Request { cost, stamp, .. } = *self.requests.get(call);
        if cost.blocked > 0 {
            self.events.push(self.now + cost.blocked, Event::Unblocked { call, stamp });
        } else {
            self.end(call);
        }
    }

    /// A call's blocked time is over, unless its worker died meanwhile.
    pub(super) fn unblocked(&mut self, call: CallId, stamp: u32) {
        let is_same = self.requests.places[call as usize].0.is_some_and(|request| request.stamp == stamp);
        if is_same {
            self.end(call);
        }
    }

    /// The answer goes out. If nobody attends to the worker's connections, the thread that made the call does.
    fn end(&mut self, call: CallId) {
        let Some(request) = self.requests.remove(call) else { return };
        let Request { slot, began, cost, lock_wait, arrived, generator, .. } = request;
        self.record.answered(arrived, self.now);
        if let Some(worker) = self.workers[slot as usize].as_deref_mut() {
            worker.ends(call, self.now - began, cost.cpu, lock_wait);
            worker.attended = true;
        }
        self.keep(slot, generator);
        self.turn(slot);
        self.dispatch();
    }

    /// Every request that the worker had is lost.
    pub(super) fn lose(&mut self, slot: u32) {
        let now = self.now;
        let Some(worker) = self.workers[slot as usize].as_deref_mut() else { return };
        let calls: Vec<CallId> = worker.running.drain(..).chain(worker.queue.drain(..)).collect();
        worker.lock.clear();
        if let Some(piece) = worker.computing.take() {
            self.cores.cancel(now, piece.job);
        }
        if let Stage::Importing(job) = worker.stage {
            self.cores.cancel(now, job);
        }
        for call in calls {
            if let Some(request) = self.requests.remove(call) {
                self.record.failed(request.arrived);
            }
        }
    }
}
