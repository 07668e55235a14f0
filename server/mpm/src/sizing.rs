//! How many calls one worker runs at once.

use std::time::Duration;

/// What a worker's calls cost in a recent window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallStats {
    /// Calls that ended in the window.
    pub requests: u64,
    /// Time those calls took.
    pub wall: Duration,
    /// CPU time those calls used.
    pub cpu: Duration,
    /// Time those calls waited for the interpreter lock; part of `wall`.
    pub gil_wait: Duration,
}

impl CallStats {
    fn off_cpu(&self) -> Duration {
        self.wall
            .saturating_sub(self.gil_wait)
            .saturating_sub(self.cpu)
    }
}

/// How many calls the worker should run at once from now on, within `min..=max`.
pub fn concurrency(window: &CallStats, current: u32, queued: u32, min: u32, max: u32) -> u32 {
    let useful = if window.cpu >= window.off_cpu() {
        2
    } else {
        max
    };
    let wanted = if queued > 0 {
        current.saturating_add(queued).min(useful)
    } else {
        current.min(useful)
    };
    wanted.max(min).min(max.max(min))
}

/// Whether calls block off-CPU for so long that the event loop should be given away before the call.
pub fn hand_off_first(window: &CallStats) -> bool {
    let requests = u32::try_from(window.requests).unwrap_or(u32::MAX);
    requests > 0
        && window.off_cpu() > window.cpu
        && window.off_cpu() / requests > Duration::from_micros(500)
}
