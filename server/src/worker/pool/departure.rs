//! How a worker begins to leave: it takes no more connections, and its time runs.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use super::Pool;
use crate::scoreboard::Phase;
use crate::sys::process;
use crate::worker::reactor::{Job, Reactor};

impl Pool {
    pub(super) fn drain(self: &Arc<Pool>, reactor: &mut Reactor, backlog: bool, jobs: &mut VecDeque<Job>) {
        let begins = !self.draining.swap(true, Ordering::Relaxed);
        if begins {
            self.drain_tasks();
        }
        reactor.drain(backlog, self.has_sibling(|_| true), jobs);
        if begins {
            // Now it is true: no new connection, and none that is idle, ends up with this worker.
            self.slot.set_phase(Phase::Draining);
            self.notify_supervisor();
        }
    }

    /// Without a supervisor there is nobody to end a worker whose calls never do.
    pub(super) fn leave_in_time(&self) {
        let patience = self.bounds.graceful;
        let timer = thread::Builder::new().name("last resort".to_owned()).spawn(move || {
            thread::sleep(patience);
            tracing::error!("requests did not finish within the graceful timeout, and the supervisor is gone: leaving");
            process::leave(1);
        });
        if let Err(error) = timer {
            tracing::error!("no thread to watch the graceful timeout: {error}");
        }
    }
}
