//! When requests are due: stages and a kind of arrival in, times out. Pure: no clock, no I/O.
//!
//! Both kinds of arrival invert the same function, the requests due until a time: a straight line
//! per steady stage, a parabola per ramp. Evenly spaced arrivals take it at 0, 1, 2 …; Poisson arrivals at the sums of
//! exponential gaps, which makes a Poisson process whose rate follows the stages exactly.

use std::time::Duration;

use crate::plan::{Arrivals, Load};
use crate::random::SplitMix;
use crate::report::Setup;
use crate::stage::Stage;

const NANOS: f64 = 1e9;

/// One stage, placed.
#[derive(Clone, Copy, Debug)]
struct Segment {
    /// Nanoseconds from the start of the schedule.
    start: f64,
    end: f64,
    /// Requests due before it.
    before: f64,
    /// Requests due until its end.
    until: f64,
    /// Requests per second at its beginning.
    rate: f64,
    /// By how much that rate grows, per second; negative for a ramp downwards.
    growth: f64,
}

impl Segment {
    /// Nanoseconds from the start of the schedule until `count` requests are due, which happens in
    /// this segment.
    fn time_of(&self, count: f64) -> f64 {
        let count = count - self.before;
        if count <= 0.0 {
            return self.start;
        }
        // count = rate·t + growth/2·t². This form of the solution neither divides by a growth of 0
        // nor takes the difference of two near numbers when the growth is small. Rounding may make
        // what is below the root a little less than 0 at the end of a ramp to 0, and the time a
        // little more than that end.
        let root = (self.rate * self.rate + 2.0 * self.growth * count).max(0.0).sqrt();
        (self.start + 2.0 * count / (self.rate + root) * NANOS).min(self.end)
    }
}

/// The requests due to one of several threads that share a schedule.
#[derive(Clone, Debug)]
pub(crate) struct Pacer {
    segments: Vec<Segment>,
    /// The segment of the last arrival: arrivals only move forward.
    current: usize,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Constant { next: u64, step: u64 },
    Poisson { sum: f64, threads: f64, random: SplitMix },
}

impl Pacer {
    /// The share of `thread` (counted from 0) out of `threads`. Evenly spaced arrivals are dealt
    /// out in turn, so that together they are evenly spaced again; Poisson arrivals are one
    /// independent process per thread at a `threads`-th of the rate, whose sum is Poisson too.
    pub(crate) fn new(stages: &[Stage], arrivals: Arrivals, seed: u64, thread: usize, threads: usize) -> Self {
        let (mut start, mut before) = (0.0, 0.0);
        let mut segments = Vec::with_capacity(stages.len());
        for stage in stages {
            let seconds = stage.duration.as_secs_f64();
            let until = before + stage.requests();
            let growth = (stage.end_rate() - stage.rate) / seconds;
            let end = start + seconds * NANOS;
            segments.push(Segment { start, end, before, until, rate: stage.rate, growth });
            start = end;
            before = until;
        }
        let kind = match arrivals {
            Arrivals::Constant => Kind::Constant { next: thread as u64, step: threads as u64 },
            Arrivals::Poisson => {
                Kind::Poisson { sum: 0.0, threads: threads as f64, random: SplitMix::new(seed, thread) }
            }
        };
        Self { segments, current: 0, kind }
    }

    /// The same for a load with a warm-up before it, at the rate of the first stage.
    pub(crate) fn after_warmup(
        warmup: Duration,
        stages: &[Stage],
        arrivals: Arrivals,
        seed: u64,
        thread: usize,
        threads: usize,
    ) -> Self {
        let rate = stages.first().map_or(0.0, |stage| stage.rate);
        let warm = Stage::steady(warmup, rate);
        let with_warmup: Vec<Stage> =
            (!warmup.is_zero()).then_some(warm).into_iter().chain(stages.iter().copied()).collect();
        Self::new(&with_warmup, arrivals, seed, thread, threads)
    }

    /// The time at which `count` requests are due, in nanoseconds; `None` after the last stage.
    fn time_of(&mut self, count: f64) -> Option<u64> {
        // A sum of products of rates and seconds may miss a whole number by a rounding error, which
        // grows with the sum: it is some 1e-16 of it.
        const ROUNDING: f64 = 1e-9;
        const RELATIVE: f64 = 1e-14;
        loop {
            let segment = self.segments.get(self.current)?;
            if count < segment.until - ROUNDING - segment.until * RELATIVE {
                return Some(segment.time_of(count).round() as u64);
            }
            self.current += 1;
        }
    }
}

impl Setup {
    /// When the requests of an open loop were due: nanoseconds since the load began, warm-up included, never falling. A
    /// closed loop has no schedule, and a shard's depends on the threads of the others: empty.
    #[must_use]
    pub fn schedule(&self) -> Vec<u64> {
        let Load::Open { stages, arrivals, seed } = &self.load else { return Vec::new() };
        if self.shard.is_some() {
            return Vec::new();
        }
        let warmup = Duration::try_from_secs_f64(self.warmup_s).unwrap_or_default();
        let pacer = |thread| Pacer::after_warmup(warmup, stages, *arrivals, *seed, thread, self.threads);
        let mut due: Vec<u64> = (0..self.threads).flat_map(pacer).collect();
        due.sort_unstable();
        due
    }
}

impl Iterator for Pacer {
    /// Nanoseconds from the start of the schedule, never falling.
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let count = match &mut self.kind {
            Kind::Constant { next, step } => {
                let count = *next as f64;
                *next += *step;
                count
            }
            Kind::Poisson { sum, threads, random } => {
                *sum -= (1.0 - random.unit()).ln() * *threads;
                *sum
            }
        };
        self.time_of(count)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::plan::Shard;
    use crate::quantity::parse_stages;

    fn due(stages: &str, arrivals: Arrivals, thread: usize, threads: usize) -> Vec<u64> {
        let stages = parse_stages(stages).unwrap();
        Pacer::new(&stages, arrivals, 7, thread, threads).collect()
    }

    #[test]
    fn evenly_spaced_arrivals() {
        // Stages, arrivals in milliseconds.
        let rows: &[(&str, &[u64])] = &[
            ("1s@4", &[0, 250, 500, 750]),
            ("1s@2,1s@4", &[0, 500, 1000, 1250, 1500, 1750]),
            // A pause sends nothing and shifts nothing.
            ("1s@2,1s@0,1s@2", &[0, 500, 2000, 2500]),
            ("1s@0,1s@1", &[1000]),
            // Half a request is carried into the next stage: the second is due when 1 is reached.
            ("1s@0.5,1s@1", &[0, 1500]),
            // A rate that is no exact fraction must not gain or lose a request.
            ("900ms@10/s", &[0, 100, 200, 300, 400, 500, 600, 700, 800]),
            ("1s@1,1s@1,1s@1", &[0, 1000, 2000]),
            // A ramp between equal rates is no ramp.
            ("1s@4..4", &[0, 250, 500, 750]),
            // From 0 to 8/s within 1 s: t² · 4 requests are due until t, the n-th at √(n/4).
            ("1s@0..8", &[0, 500, 707, 866]),
            // The same way down: 8t - 4t² are due until t, the n-th at 1 - √(1 - n/4).
            ("1s@8..0", &[0, 134, 293, 500]),
            // A pause, then up, then steady: 2 requests in the ramp, the third at its end.
            ("1s@0,2s@0..2,1s@2", &[1000, 2414, 3000, 3500]),
        ];
        for (stages, millis) in rows {
            let due = due(stages, Arrivals::Constant, 0, 1);
            let rounded: Vec<u64> = due.iter().map(|nanos| (nanos + 500_000) / 1_000_000).collect();
            assert_eq!(rounded, *millis, "{stages}");
        }
    }

    #[test]
    fn counts_are_rate_times_duration() {
        for (stages, count) in [
            ("5s@20,15s@400,12s@20", 6340),
            ("30s@20000", 600_000),
            ("10s@333.3", 3333),
            ("1m@100/m", 100),
            ("30s@100..1000", 16_500),
            ("10s@0..1000,10s@1000..0", 10_000),
        ] {
            assert_eq!(due(stages, Arrivals::Constant, 0, 1).len(), count, "{stages}");
        }
    }

    #[test]
    fn threads_share_evenly_spaced_arrivals() {
        let mut shared: Vec<u64> = (0..3).flat_map(|thread| due("2s@50,1s@7", Arrivals::Constant, thread, 3)).collect();
        shared.sort_unstable();
        assert_eq!(shared, due("2s@50,1s@7", Arrivals::Constant, 0, 1));
    }

    /// Stages whose requests are whole numbers of twenty-thousandths: milliseconds, and rates in
    /// tenths at both ends.
    fn schedules() -> impl Strategy<Value = Vec<(u64, u64, u64)>> {
        proptest::collection::vec((1..3000u64, 0..3000u64, 0..3000u64), 1..6)
    }

    fn stages_of(schedule: &[(u64, u64, u64)]) -> Vec<Stage> {
        let tenths = |rate: u64| rate as f64 / 10.0;
        schedule
            .iter()
            .map(|(millis, from, to)| Stage::ramp(Duration::from_millis(*millis), tenths(*from), tenths(*to)))
            .collect()
    }

    /// Requests due until `nanos`, by adding up the areas below the rates.
    fn area(stages: &[Stage], nanos: u64) -> f64 {
        let (mut left, mut sum) = (nanos as f64 / NANOS, 0.0);
        for stage in stages {
            let whole = stage.duration.as_secs_f64();
            let part = left.min(whole);
            let rate_then = stage.rate + (stage.end_rate() - stage.rate) * part / whole;
            sum += (stage.rate + rate_then) / 2.0 * part;
            left -= part;
        }
        sum
    }

    proptest! {
        #[test]
        fn totals_are_exact(schedule in schedules()) {
            let sum: u64 = schedule.iter().map(|(millis, from, to)| millis * (from + to)).sum();
            let stages = stages_of(&schedule);
            let count = Pacer::new(&stages, Arrivals::Constant, 1, 0, 1).count() as u64;
            // A request is due as soon as its number is reached, so a fraction at the end counts.
            prop_assert_eq!(count, sum.div_ceil(20_000));
        }

        #[test]
        fn every_arrival_is_where_the_area_below_the_rates_says(schedule in schedules()) {
            let stages = stages_of(&schedule);
            let mut last = 0;
            for (number, time) in Pacer::new(&stages, Arrivals::Constant, 1, 0, 1).enumerate() {
                prop_assert!(last <= time, "{last} {time}");
                last = time;
                // Half a nanosecond at the highest rate of 300/s, and the rounding of the sums.
                let due = area(&stages, time);
                prop_assert!((due - number as f64).abs() < 1e-6, "{number}: {due} at {time}");
            }
        }

        #[test]
        fn threads_share_ramps_as_one_would_send_them(schedule in schedules(), threads in 1..5usize) {
            let stages = stages_of(&schedule);
            let share = |thread, threads| Pacer::new(&stages, Arrivals::Constant, 1, thread, threads);
            let mut shared: Vec<u64> = (0..threads).flat_map(|thread| share(thread, threads)).collect();
            shared.sort_unstable();
            prop_assert_eq!(shared, share(0, 1).collect::<Vec<_>>());
        }
    }

    #[test]
    fn poisson_arrivals_follow_a_ramp() {
        let times = due("100s@0..400", Arrivals::Poisson, 0, 1);
        // Half the time has a quarter of the area; five standard deviations, as above.
        let first = times.iter().filter(|t| **t < 50_000_000_000).count() as f64;
        assert!((first - 5_000.0).abs() < 5.0 * 5_000f64.sqrt(), "{first}");
        assert!((times.len() as f64 - 20_000.0).abs() < 5.0 * 20_000f64.sqrt(), "{}", times.len());
    }

    #[test]
    fn poisson_arrivals_have_the_rate_and_its_spread() {
        for threads in [1, 3] {
            let mut times: Vec<u64> =
                (0..threads).flat_map(|thread| due("100s@200,100s@50", Arrivals::Poisson, thread, threads)).collect();
            times.sort_unstable();
            let first = times.iter().filter(|t| **t < 100_000_000_000).count() as f64;
            let second = times.len() as f64 - first;
            // Five standard deviations of a Poisson count are 5·√mean; the seed is fixed anyway.
            assert!((first - 20_000.0).abs() < 5.0 * 20_000f64.sqrt(), "{first}");
            assert!((second - 5_000.0).abs() < 5.0 * 5_000f64.sqrt(), "{second}");
            // Exponential gaps: their standard deviation equals their mean.
            let gaps: Vec<f64> = times.windows(2).take(first as usize - 1).map(|w| (w[1] - w[0]) as f64).collect();
            let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
            let variance = gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
            assert!((variance.sqrt() / mean - 1.0).abs() < 0.05, "{}", variance.sqrt() / mean);
        }
    }

    #[test]
    fn a_report_tells_its_schedule() {
        let mut setup = crate::report::tests::report().setup;
        let plain = setup.schedule();
        assert_eq!(plain, due("10s@100", Arrivals::Poisson, 0, 1));
        setup.warmup_s = 0.5;
        assert_eq!(setup.schedule(), due("500ms@100,10s@100", Arrivals::Poisson, 0, 1));
        (setup.warmup_s, setup.threads) = (0.0, 2);
        assert!(setup.schedule().is_sorted() && setup.schedule() != plain);
        setup.shard = Some(Shard { index: 0, count: 2 });
        assert!(setup.schedule().is_empty());
        setup.shard = None;
        setup.load = Load::closed_for(Duration::from_secs(1));
        assert!(setup.schedule().is_empty());
    }

    #[test]
    fn a_seed_names_a_sequence() {
        let stages = parse_stages("1s@1000").unwrap();
        let run = |seed| Pacer::new(&stages, Arrivals::Poisson, seed, 0, 1).collect::<Vec<_>>();
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
        assert!(run(1).windows(2).all(|w| w[0] <= w[1]));
    }
}
