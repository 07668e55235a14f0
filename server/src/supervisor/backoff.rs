//! How long to wait before something that keeps failing is tried again. Pure: time is passed in.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);

/// Doubles its pause with each failure in a row. What fails within a pause was tried before it, and so is part of the same
/// failure: ten workers that are killed at once say no more than one.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
    /// When the pause ends; `None` once that was told.
    until: Option<Duration>,
}

impl Backoff {
    /// It failed at `now`; the pause that follows, or what is left of the one that is on.
    pub(super) fn failed(&mut self, now: Duration) -> Duration {
        if let Some(until) = self.ends(now) {
            return until - now;
        }
        let pause = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures += 1;
        self.until = Some(now + pause);
        pause
    }

    /// It worked.
    pub(super) fn succeeded(&mut self) {
        *self = Backoff::default();
    }

    /// True while it should not be tried.
    pub(super) fn holds(&self, now: Duration) -> bool {
        self.ends(now).is_some()
    }

    /// When it may be tried again, if that is in the future.
    pub(super) fn ends(&self, now: Duration) -> Option<Duration> {
        self.until.filter(|until| now < *until)
    }

    /// True once after each pause.
    pub(super) fn has_ended(&mut self, now: Duration) -> bool {
        self.until.take_if(|until| now >= *until).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_start_over() {
        let mut backoff = Backoff::default();
        let mut now = Duration::from_secs(5);
        let mut pauses = Vec::new();
        for _ in 0..9 {
            let pause = backoff.failed(now);
            // Whatever else fails before the next try changes nothing.
            assert_eq!(backoff.failed(now), pause);
            assert_eq!(backoff.failed(now + pause / 4), pause - pause / 4);
            pauses.push(pause.as_millis());
            now += pause;
        }
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        let now = now - Duration::from_secs(10);
        assert!(backoff.holds(now + Duration::from_secs(9)));
        assert!(!backoff.holds(now + Duration::from_secs(10)));
        assert!(!backoff.has_ended(now + Duration::from_secs(9)));
        assert!(backoff.has_ended(now + Duration::from_secs(10)));
        assert!(!backoff.has_ended(now + Duration::from_secs(10)), "told once");
        backoff.succeeded();
        assert!(!backoff.holds(now));
        assert_eq!(backoff.failed(now).as_millis(), 100);
    }
}
