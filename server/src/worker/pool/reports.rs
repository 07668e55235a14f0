//! What the pool tells the supervisor: that the worker is full, worn, or writes to a new log.
//!
//! It says so in the scoreboard and rings; what follows from it is the supervisor's matter.

use std::sync::atomic::Ordering;

use super::Pool;
use crate::scoreboard::LogState;

/// The supervisor is told of a lack of room at most this often.
const REPORT_NS: u64 = 10_000_000;

impl Pool {
    pub(super) fn notify_supervisor(&self) {
        self.supervisor.ring();
    }

    /// Something begins: rings if the supervisor sleeps until something does.
    pub(super) fn rouse_supervisor(&self) {
        if self.scoreboard.rouse() {
            self.notify_supervisor();
        }
    }

    /// Notes whether connections are left to others, and tells the supervisor when that begins.
    pub(super) fn report_fullness(&self, full: bool, now_ns: u64) {
        if !full {
            self.full.store(false, Ordering::Relaxed);
            return;
        }
        if self.bounds.followers {
            self.wake_monitor();
        }
        let began = !self.full.swap(true, Ordering::Relaxed);
        if began && now_ns >= self.next_report_ns.load(Ordering::Relaxed) {
            self.next_report_ns.store(now_ns + REPORT_NS, Ordering::Relaxed);
            self.slot.count_saturation();
            self.notify_supervisor();
        }
    }

    /// Tells the supervisor, once, when the worker has served as many requests as it may. It goes on until a successor
    /// serves.
    pub(super) fn note_wear(&self) {
        let worn = self.bounds.most_requests > 0 && self.slot.requests() >= self.bounds.most_requests;
        if worn && self.slot.set_worn() {
            self.notify_supervisor();
        }
    }

    /// Reopens the log if that was asked for.
    pub(super) fn keep_logs(&self) {
        let wanted = self.scoreboard.log_generation();
        if self.slot.logs().generation() == Some(wanted) {
            return;
        }
        let state = match self.caller.reopen_logs() {
            Ok(()) => LogState::Open(wanted),
            Err(error) => {
                tracing::error!("{error}; the old file is still written to");
                LogState::Kept(wanted)
            }
        };
        self.slot.set_logs(state);
        self.notify_supervisor();
    }
}
