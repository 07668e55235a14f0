//! How long the server waits before it starts a successor of workers that die young: the rule of its supervisor.

use crate::simulate::time::{MILLISECOND, Nanos, SECOND};

const FIRST: Nanos = 100 * MILLISECOND;
const LONGEST: Nanos = 10 * SECOND;

/// Doubles its pause with each failure in a row. What fails within a pause was tried before it, and changes nothing.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
    until: Option<Nanos>,
}

impl Backoff {
    pub(crate) fn failed(&mut self, now: Nanos) {
        if self.holds(now) {
            return;
        }
        let pause = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures += 1;
        self.until = Some(now + pause);
    }

    pub(crate) fn succeeded(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn holds(&self, now: Nanos) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// When the pause ends, until that was told.
    pub(crate) fn ends(&self) -> Option<Nanos> {
        self.until
    }

    /// True once after each pause.
    pub(crate) fn has_ended(&mut self, now: Nanos) -> bool {
        self.until.take_if(|until| now >= *until).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same table as in the supervisor's own test.
    #[test]
    fn pauses_double_up_to_a_bound_and_start_over() {
        let mut backoff = Backoff::default();
        let mut now = 5 * SECOND;
        let mut pauses = Vec::new();
        for _ in 0..9 {
            backoff.failed(now);
            let ends = backoff.ends().expect("it failed");
            backoff.failed(now + (ends - now) / 4);
            assert_eq!(backoff.ends(), Some(ends));
            pauses.push((ends - now) / MILLISECOND);
            now = ends;
        }
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        let now = now - 10 * SECOND;
        assert!(backoff.holds(now + 9 * SECOND) && !backoff.has_ended(now + 9 * SECOND));
        assert!(backoff.has_ended(now + 10 * SECOND));
        assert!(!backoff.has_ended(now + 10 * SECOND), "told once");
        backoff.succeeded();
        assert!(!backoff.holds(now));
    }
}
