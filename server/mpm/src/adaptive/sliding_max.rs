//! The largest of the values of the last few seconds.

use std::collections::VecDeque;
use std::time::Duration;

/// A maximum that forgets: values older than `span` don't count.
#[derive(Debug, Clone)]
pub(super) struct SlidingMax<T> {
    span: Duration,
    /// Falling values with the latest time each was true; no entry is both older and smaller than another.
    falling: VecDeque<(Duration, T)>,
    first: Option<Duration>,
}

impl<T: PartialOrd + Copy> SlidingMax<T> {
    pub(super) fn new(span: Duration) -> Self {
        Self { span, falling: VecDeque::new(), first: None }
    }

    /// Takes the value at `now` in and answers the maximum, `value` included.
    pub(super) fn push(&mut self, now: Duration, value: T) -> T {
        self.first.get_or_insert(now);
        while self.falling.back().is_some_and(|(_, old)| *old <= value) {
            self.falling.pop_back();
        }
        self.falling.push_back((now, value));
        while self.falling.front().is_some_and(|(at, _)| now.saturating_sub(*at) > self.span) {
            self.falling.pop_front();
        }
        self.falling.front().map_or(value, |(_, largest)| *largest)
    }

    /// True once values have been taken in for a whole span: before, a maximum says little.
    pub(super) fn is_full(&self, now: Duration) -> bool {
        self.first.is_some_and(|first| now.saturating_sub(first) >= self.span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_what_is_older_than_the_span() {
        let s = Duration::from_secs;
        let mut max = SlidingMax::new(s(5));
        for (now, value, expected) in [
            (0, 3, 3),
            (1, 9, 9),
            (2, 4, 9),
            (3, 4, 9),
            (6, 1, 9), // the 9 is exactly as old as the span
            (7, 1, 4),
            (8, 2, 4),
            (9, 1, 2),
        ] {
            assert_eq!(max.is_full(s(now)), now > 5, "at {now} s");
            assert_eq!(max.push(s(now), value), expected, "at {now} s");
        }
    }
}
