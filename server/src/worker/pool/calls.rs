//! From a complete request to an answered one: queued, taken by a thread, called, delivered.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::stragglers::Began;
use super::{Pool, lock};
use crate::connection::{Outgoing, Transport};
use crate::sys::clock;
use crate::worker::call::{Measured, Office, Tools};
use crate::worker::overtime::Ticket;
use crate::worker::reactor::{Done, Job};

/// Responses are held back, to be written together, only while calls take no longer than this on average.
const DEFERRED_CALLS_NS: u64 = 200_000;

/// What a thread works with.
pub(super) struct Desk {
    pub(super) tools: Tools,
    /// When its call began.
    pub(super) began: Began,
    /// Its call, where there is a limit to its time.
    pub(super) ticket: Option<Arc<Ticket>>,
}

impl Pool {
    /// Queues new jobs.
    pub(super) fn enqueue(&self, jobs: &mut VecDeque<Job>) {
        if jobs.is_empty() {
            return;
        }
        let queued = {
            let mut ready = lock(&self.ready);
            ready.append(jobs);
            ready.len()
        };
        self.queued.store(queued, Ordering::Relaxed);
        self.slot.set_queued(queued);
    }

    /// The next job, if one waits and one more call may run. The call counts from here on.
    pub(super) fn take(&self) -> Option<Job> {
        if self.queued.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut ready = lock(&self.ready);
        if self.slot.in_flight() >= self.allowed() {
            return None;
        }
        let job = ready.pop_front()?;
        self.slot.begin_call();
        self.rouse_supervisor();
        self.queued.store(ready.len(), Ordering::Relaxed);
        self.slot.set_queued(ready.len());
        Some(job)
    }

    /// The leader leaves the reactor for a call: sees to it that somebody can take over.
    pub(super) fn announce(self: &Arc<Pool>) {
        if !self.bounds.followers {
            return;
        }
        if self.hand_off.load(Ordering::Relaxed) {
            self.promote();
        }
        if self.monitor_asleep.load(Ordering::SeqCst) {
            self.wake_monitor();
        }
    }

    pub(super) fn call(self: &Arc<Pool>, job: Job, desk: &mut Desk, now_ns: u64) -> Done {
        desk.began.store(now_ns, Ordering::Relaxed);
        let alone = self.slot.in_flight() <= 1;
        let timed = self.overtime.as_ref().zip(desk.ticket.as_deref());
        if let Some((overtime, ticket)) = timed {
            overtime.begin(ticket, &job, clock::monotonic_ns());
        }
        let (done, Measured { status, cost }) =
            self.caller.call(job, &mut desk.tools, &**self, now_ns, alone, desk.ticket.as_deref());
        if let Some((overtime, ticket)) = timed {
            overtime.end(ticket);
        }
        desk.began.store(0, Ordering::Relaxed);
        self.slot.count_request(status, cost);
        self.slot.end_call();
        if self.tasks.are_held() {
            self.release_tasks(&desk.began);
        }
        self.note_wear();
        done
    }

    /// Leaves an answered request for the leader, and wakes it.
    pub(super) fn deliver(&self, done: Done) {
        // The leader may be asleep: nothing is held back for it.
        self.outbox.write();
        let first = {
            let mut queue = lock(&self.done);
            queue.push(done);
            self.undone.store(queue.len(), Ordering::Release);
            queue.len() == 1
        };
        if first {
            self.wake.ring();
        }
    }
}

impl Office for Pool {
    fn may_keep(&self) -> bool {
        self.may_keep()
    }

    fn waits(&self, begins: bool) {
        if !begins {
            self.stalled.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        self.stalled.fetch_add(1, Ordering::Relaxed);
        if self.is_waited_for() {
            // There is room for one more.
            self.wake.ring();
        }
    }

    /// While requests wait for this thread anyway, and calls are so short that it is back soon.
    fn defers(&self) -> bool {
        self.queued.load(Ordering::Relaxed) > 0
            && self.caller.mean_wall_ns() <= DEFERRED_CALLS_NS
            && !self.hand_off.load(Ordering::Relaxed)
    }

    fn post(&self, key: usize, transport: &Arc<Transport>, outgoing: Outgoing) -> Vec<u8> {
        self.outbox.post(key, transport, outgoing)
    }
}
