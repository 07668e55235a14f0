//! The borders of a run in time: warm-up, measured time, drain, and the intervals between. Pure.
//!
//! All threads cut their intervals by the same timeline, so the n-th interval is the same time in
//! each of them.

/// Times in nanoseconds of the monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timeline {
    /// Load begins.
    pub(crate) start: u64,
    /// Measuring begins: the end of the warm-up.
    pub(crate) measured: u64,
    /// Measuring ends and the drain begins; `None` when a number of requests decides.
    pub(crate) end: Option<u64>,
    /// Length of an interval.
    pub(crate) interval: u64,
}

impl Timeline {
    /// The end of the interval that begins at `from`: the warm-up is one, then there is one per
    /// `interval`, cut at the end of the measured time.
    pub(crate) fn border_after(&self, from: u64) -> u64 {
        if from < self.measured {
            return self.measured;
        }
        let (base, limit) = match self.end {
            Some(end) if from >= end => (end, u64::MAX),
            Some(end) => (self.measured, end),
            None => (self.measured, u64::MAX),
        };
        let number = (from - base) / self.interval + 1;
        base.saturating_add(number.saturating_mul(self.interval)).min(limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borders() {
        let timed = Timeline { start: 100, measured: 150, end: Some(175), interval: 10 };
        let endless = Timeline { start: 150, measured: 150, end: None, interval: 10 };
        let rows = [
            // The warm-up is one interval, however long.
            (timed, 100, 150),
            (timed, 150, 160),
            (timed, 160, 170),
            // The last one of the measured time is cut short, and the drain counts from there.
            (timed, 170, 175),
            (timed, 175, 185),
            (timed, 185, 195),
            (endless, 150, 160),
            (endless, 990, 1000),
        ];
        for (timeline, from, border) in rows {
            assert_eq!(timeline.border_after(from), border, "{timeline:?} {from}");
        }
    }
}
