//! How long nothing is started after a failed start.
//!
//! A start that failed once will most likely fail again at once (no process ids, no memory, a broken application), so
//! policies wait. Restarting crashed workers with back-off is the supervisor's business, not this module's.

use std::time::Duration;

/// No start before `until`.
#[derive(Debug, Clone)]
pub(crate) struct SpawnPause {
    first: Duration,
    longest: Duration,
    next: Duration,
    until: Option<Duration>,
}

impl SpawnPause {
    /// Always the same pause.
    pub(crate) fn constant(pause: Duration) -> Self {
        Self::doubling(pause, pause)
    }

    /// `first` after the first failure, doubled by each further one up to `longest`.
    pub(crate) fn doubling(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first, until: None }
    }

    /// A start failed. Several failures of one batch count once.
    pub(crate) fn failed(&mut self, now: Duration) {
        if !self.active(now) {
            self.until = Some(now + self.next);
            self.next = (self.next * 2).min(self.longest);
        }
    }

    /// A start succeeded: the next failure is a first one again.
    pub(crate) fn succeeded(&mut self) {
        self.next = self.first;
    }

    /// True while nothing should be started.
    pub(crate) fn active(&self, now: Duration) -> bool {
        self.until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_until_a_start_succeeds() {
        let s = Duration::from_secs;
        let mut pause = SpawnPause::doubling(s(1), s(3));
        assert!(!pause.active(s(0)));
        for (failed_at, until) in [
            (10, 11),
            (20, 22),
            (30, 33), // 4 s would be next; the longest pause is 3 s
            (40, 43),
        ] {
            pause.failed(s(failed_at));
            pause.failed(s(failed_at)); // the batch's second failure
            assert!(pause.active(s(until) - Duration::from_millis(1)), "failed at {failed_at}");
            assert!(!pause.active(s(until)), "failed at {failed_at}");
        }
        pause.succeeded();
        pause.failed(s(50));
        assert!(!pause.active(s(51)));
    }
}
