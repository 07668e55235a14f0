//! What the pool does about calls over their time: it tells, answers all others, and leaves without them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use super::{Pool, lock};
use crate::connection::DateCache;
use crate::scoreboard::Phase;
use crate::sys::{clock, process};
use crate::worker::overtime::{Found, Overtime};
use crate::worker::reactor::{Job, Reactor};

/// How long the log waits for the interpreter lock: a hundred times as long as a thread that computes keeps it.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often a worker whose only thread is stuck looks whether it is to leave: nobody attends to its event loop.
const LOOK: Duration = Duration::from_millis(50);

impl Pool {
    /// Starts the thread that watches over the calls' time, where there is a limit to it.
    pub(super) fn start_timekeeper(self: &Arc<Pool>) {
        if self.overtime.is_none() {
            return;
        }
        let pool = Arc::clone(self);
        let watch = move || pool.overtime.iter().for_each(|overtime| pool.watch_time(overtime));
        match thread::Builder::new().name("timekeeper".to_owned()).spawn(watch) {
            Ok(handle) => *lock(&self.timekeeper) = Some(handle.thread().clone()),
            Err(error) => tracing::error!("no thread to watch --request-timeout, which is not kept: {error}"),
        }
    }

    /// The life of the thread that watches over the calls' time.
    fn watch_time(self: &Arc<Pool>, overtime: &Overtime) {
        let mut date = DateCache::default();
        while !self.over.load(Ordering::Acquire) {
            self.reporting.store(true, Ordering::Release);
            let (found, mut pause) = overtime.look(clock::monotonic_ns(), &mut date);
            for _ in &found {
                self.slot.count_timeout();
            }
            if !found.is_empty() {
                // First of all: the successor can start while the log is written.
                self.notify_supervisor();
            }
            for call in &found {
                self.report(call, overtime.limit());
            }
            self.reporting.store(false, Ordering::Release);
            if !found.is_empty() {
                // The leader may only have waited for this.
                self.wake.ring();
            }
            if !self.bounds.followers && overtime.stuck() > 0 {
                if (self.slot.kill_pending() || self.scoreboard.stopping()) && self.close_beside_stuck() {
                    self.leave_without_stuck();
                }
                pause = pause.min(LOOK);
            }
            thread::park_timeout(pause);
        }
    }

    /// Says which call, and where it is.
    fn report(&self, call: &Found, limit: Duration) {
        let (method, path, client) = (&*call.method, &*call.path, call.client.as_str());
        let stack = self.caller.stack_of(call.thread, PATIENCE);
        // What was read after its end is another call's.
        let stack = stack.filter(|_| call.goes_on()).unwrap_or_else(|| match call.goes_on() {
            true => "where it is can't be told (Python from 3.13 on shows it only to who gets its lock)".to_owned(),
            false => "it has ended meanwhile".to_owned(),
        });
        tracing::error!(
            method,
            path,
            "a call has run for longer than --request-timeout ({limit:?}); {client}\n{stack}"
        );
    }

    /// Whether only stuck calls are left, and their connections, of a worker that is to leave.
    pub(super) fn is_left_with_stuck(&self, connections: usize) -> bool {
        let stuck = self.overtime.as_ref().map_or(0, Overtime::stuck);
        stuck > 0
            && connections <= stuck
            && self.draining.load(Ordering::Relaxed)
            && !self.reporting.load(Ordering::Acquire)
    }

    /// Leaves although calls go on: nothing else is left to do here, and nobody can end them otherwise.
    pub(super) fn leave_without_stuck(&self) -> ! {
        let stuck = self.overtime.as_ref().map_or(0, Overtime::stuck);
        tracing::warn!("leaving without {stuck} call(s) that ran for longer than --request-timeout");
        self.caller.flush_logs();
        self.slot.set_phase(Phase::Dead);
        process::leave(0);
    }

    /// When every call that may run is stuck, nobody will take what is queued in a worker that is to leave: says so.
    pub(super) fn decline_queued(&self, reactor: &mut Reactor, jobs: &mut VecDeque<Job>) {
        let stuck = self.overtime.as_ref().map_or(0, Overtime::stuck);
        if stuck < self.bounds.max_threads as usize || self.queued.load(Ordering::Relaxed) == 0 {
            return;
        }
        let queued = std::mem::take(&mut *lock(&self.ready));
        self.queued.store(0, Ordering::Relaxed);
        self.slot.set_queued(0);
        for job in queued {
            reactor.settle(self.caller.decline(job), false, jobs);
        }
    }
}
