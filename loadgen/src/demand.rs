//! When a thread's next request is due, and when it has none left: the same for every engine.
//!
//! Owns the source of a thread's requests and those of them that are overdue. Knows nothing of
//! connections, slots or answers; `driver` and `reqwest_engine` ask it, and decide what carries a
//! request. Pure: the time is what it is told.

use std::collections::VecDeque;

use crate::task::Source;
use crate::timeline::Timeline;

/// The requests that one thread is to send. Times in nanoseconds of the monotonic clock; what is
/// due in the measured time is added to the `offered` that a call is given, once per request.
#[derive(Debug)]
pub(crate) struct Demand {
    source: Source,
    timeline: Timeline,
    /// When the next request of an open loop is due.
    due: Option<u64>,
    /// Requests counted as due when their interval ended, and not acted upon yet.
    overdue: VecDeque<u64>,
}

impl Demand {
    pub(crate) fn new(source: Source, timeline: Timeline) -> Self {
        let mut demand = Self { source, timeline, due: None, overdue: VecDeque::new() };
        demand.advance();
        demand
    }

    /// Requests are due at times of their own, and not whenever a slot is free.
    pub(crate) fn is_open_loop(&self) -> bool {
        matches!(self.source, Source::Open { .. })
    }

    /// A request of that time counts in the report; before, it belongs to the warm-up.
    pub(crate) fn records(&self, time: u64) -> bool {
        time >= self.timeline.measured
    }

    /// Open loop: when the next request is due that is not overdue.
    pub(crate) fn due(&self) -> Option<u64> {
        self.due
    }

    /// Requests that are overdue.
    pub(crate) fn overdue(&self) -> usize {
        self.overdue.len()
    }

    /// The interval that ends at `border` is over: what was due in it belongs to it, however late
    /// it is acted upon.
    pub(crate) fn end_interval(&mut self, border: u64, offered: &mut u64) {
        while let Some(due) = self.scheduled(border - 1, offered) {
            self.overdue.push_back(due);
        }
    }

    /// Open loop: takes the next request that is due, if one is; the longest overdue first.
    pub(crate) fn next_due(&mut self, now: u64, offered: &mut u64) -> Option<u64> {
        self.overdue.pop_front().or_else(|| self.scheduled(now, offered))
    }

    /// Closed loop: another request starts now, if it may; the answer tells whether it is recorded.
    pub(crate) fn start(&mut self, now: u64, offered: &mut u64) -> Option<bool> {
        if !self.more(now) {
            return None;
        }
        let recorded = self.records(now);
        if let Source::Closed { left: Some(left) } = &mut self.source {
            *left -= u64::from(recorded);
        }
        *offered += u64::from(recorded);
        Some(recorded)
    }

    /// No request is due any more, and none will be.
    pub(crate) fn is_over(&self, now: u64) -> bool {
        let issued = match self.source {
            Source::Closed { .. } => !self.more(now),
            Source::Open { .. } => self.due.is_none() && self.timeline.end.is_none_or(|end| now >= end),
        };
        issued && self.overdue.is_empty()
    }

    /// When requests that still have no connection are given up.
    pub(crate) fn drain_end(&self, timeout: u64) -> Option<u64> {
        self.timeline.end.map(|end| end.saturating_add(timeout))
    }

    /// The run is stopped from outside: forgets the schedule, so that closing the last interval
    /// finds nothing due, and returns how many requests to record were overdue.
    pub(crate) fn call_off(&mut self) -> u64 {
        self.due = None;
        let measured = self.timeline.measured;
        self.overdue.drain(..).filter(|due| *due >= measured).count() as u64
    }

    /// Closed loop: another request may start.
    fn more(&self, now: u64) -> bool {
        let Source::Closed { left } = self.source else {
            return false;
        };
        left != Some(0) && self.timeline.end.is_none_or(|end| now < end)
    }

    /// Takes the next request off the schedule if it is due by `limit`, and counts it.
    fn scheduled(&mut self, limit: u64, offered: &mut u64) -> Option<u64> {
        let due = self.due.filter(|due| *due <= limit)?;
        self.advance();
        *offered += u64::from(self.records(due));
        Some(due)
    }

    fn advance(&mut self) {
        if let Source::Open { pacer } = &mut self.source {
            self.due = pacer.next().map(|time| self.timeline.start + time);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::pacer::Pacer;
    use crate::plan::Arrivals;
    use crate::quantity::parse_stages;

    const SECOND: u64 = 1_000_000_000;

    /// Load from 10 s on, measured from 12 s to 14 s.
    fn timeline(end: Option<u64>) -> Timeline {
        Timeline { start: 10 * SECOND, measured: 12 * SECOND, end, interval: SECOND }
    }

    /// Two requests per second from 10 s on: one at 10 s, 10.5 s, 11 s, and so on until 13.5 s.
    fn open() -> Demand {
        let stages = parse_stages("2s@2").unwrap();
        let pacer = Pacer::after_warmup(Duration::from_secs(2), &stages, Arrivals::Constant, 0, 0, 1);
        Demand::new(Source::Open { pacer }, timeline(Some(14 * SECOND)))
    }

    fn halves(times: &[u64]) -> Vec<u64> {
        times.iter().map(|half| half * SECOND / 2).collect()
    }

    #[test]
    fn an_open_loop_gives_what_is_due_and_counts_what_is_measured() {
        // The clock and the next due time in half seconds; what is taken by then, what is offered.
        let rows: &[(u64, &[u64], u64, Option<u64>)] = &[
            (19, &[], 0, Some(20)),
            (20, &[20], 0, Some(21)),
            (20, &[], 0, Some(21)),
            // Behind, and across the end of the warm-up: everything, in its order.
            (25, &[21, 22, 23, 24, 25], 2, Some(26)),
            (99, &[26, 27], 4, None),
            (99, &[], 4, None),
        ];
        let (mut demand, mut offered) = (open(), 0);
        for (clock, taken, sum, next) in rows {
            let found: Vec<u64> = std::iter::from_fn(|| demand.next_due(clock * SECOND / 2, &mut offered)).collect();
            assert_eq!(found, halves(taken), "at {clock}");
            assert_eq!((offered, demand.due()), (*sum, next.map(|half| half * SECOND / 2)), "at {clock}");
        }
    }

    #[test]
    fn what_was_due_in_an_interval_is_counted_in_it_and_only_there() {
        let (mut demand, mut offered) = (open(), 0);
        demand.end_interval(12 * SECOND, &mut offered);
        // Of the warm-up; the one that is due at the border belongs to the next interval.
        assert_eq!((demand.overdue(), offered, demand.due()), (4, 0, Some(12 * SECOND)));
        demand.end_interval(13 * SECOND, &mut offered);
        assert_eq!((demand.overdue(), offered), (6, 2));
        let late: Vec<u64> = std::iter::from_fn(|| demand.next_due(13 * SECOND, &mut offered)).collect();
        assert_eq!(late, halves(&[20, 21, 22, 23, 24, 25, 26]));
        assert_eq!((demand.overdue(), offered), (0, 3));
    }

    #[test]
    fn an_open_loop_is_over_when_its_time_is_and_nothing_is_overdue() {
        let (mut demand, mut offered) = (open(), 0);
        assert!(!demand.is_over(99 * SECOND), "requests are left");
        demand.end_interval(14 * SECOND, &mut offered);
        assert!(!demand.is_over(14 * SECOND), "requests are overdue");
        while demand.next_due(14 * SECOND, &mut offered).is_some() {}
        assert!(!demand.is_over(14 * SECOND - 1), "the measured time is not over");
        assert!(demand.is_over(14 * SECOND));
    }

    #[test]
    fn a_closed_loop_starts_requests_until_their_number_or_the_time_is_up() {
        // Number left, end; clock readings with what a start then answers, and what was offered.
        type Row = (Option<u64>, Option<u64>, &'static [(u64, Option<bool>)], u64);
        let rows: &[Row] = &[
            (None, Some(14), &[(10, Some(false)), (12, Some(true)), (13, Some(true)), (14, None)], 2),
            // The warm-up does not use up the number.
            (Some(2), None, &[(11, Some(false)), (12, Some(true)), (50, Some(true)), (51, None)], 2),
            (Some(0), None, &[(10, None)], 0),
        ];
        for (left, end, starts, sum) in rows {
            let end = end.map(|end| end * SECOND);
            let (mut demand, mut offered) = (Demand::new(Source::Closed { left: *left }, timeline(end)), 0);
            assert!(!demand.is_open_loop() && demand.due().is_none());
            for (clock, expected) in *starts {
                assert_eq!(demand.is_over(clock * SECOND), expected.is_none(), "{left:?} {end:?} {clock}");
                assert_eq!(demand.start(clock * SECOND, &mut offered), *expected, "{left:?} {end:?} {clock}");
            }
            assert_eq!(offered, *sum, "{left:?} {end:?}");
        }
    }

    #[test]
    fn a_schedule_that_is_called_off_has_only_its_overdue_requests() {
        let (mut demand, mut offered) = (open(), 0);
        demand.end_interval(13 * SECOND, &mut offered);
        assert_eq!(demand.call_off(), 2, "those of the warm-up are not recorded");
        demand.end_interval(99 * SECOND, &mut offered);
        assert_eq!((demand.overdue(), demand.due(), offered), (0, None, 2));
        assert!(demand.is_over(14 * SECOND));
    }

    #[test]
    fn requests_without_a_connection_are_given_up_one_timeout_after_the_end() {
        assert_eq!(open().drain_end(5), Some(14 * SECOND + 5));
        assert_eq!(open().drain_end(u64::MAX), Some(u64::MAX));
        let counted = Demand::new(Source::Closed { left: Some(1) }, timeline(None));
        assert_eq!(counted.drain_end(5), None);
    }
}
