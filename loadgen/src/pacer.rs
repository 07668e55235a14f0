//! When requests are due: stages and a kind of arrival in, times out. Pure: no clock, no I/O.
//!
//! Both kinds of arrival invert the same function, the requests due until a time: a straight line
//! per stage. Evenly spaced arrivals take it at 0, 1, 2 …; Poisson arrivals at the sums of
//! exponential gaps, which makes a Poisson process whose rate follows the stages exactly.

use std::time::Duration;

use crate::plan::{Arrivals, Load, Stage};
use crate::report::Setup;

const NANOS: f64 = 1e9;

/// One stage, placed.
#[derive(Clone, Copy, Debug)]
struct Segment {
    /// Nanoseconds from the start of the schedule.
    start: f64,
    /// Requests due before it.
    before: f64,
    /// Requests due until its end.
    until: f64,
    /// Requests per nanosecond.
    rate: f64,
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
            let until = before + stage.rate * stage.duration.as_secs_f64();
            segments.push(Segment { start, before, until, rate: stage.rate / NANOS });
            start += stage.duration.as_secs_f64() * NANOS;
            before = until;
        }
        let kind = match arrivals {
            Arrivals::Constant => Kind::Constant { next: thread as u64, step: threads as u64 },
            Arrivals::Poisson => Kind::Poisson {
                sum: 0.0,
                threads: threads as f64,
                random: SplitMix(seed ^ (thread as u64).wrapping_mul(0xA24B_AED4_963E_E407)),
            },
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
        let warm = Stage { duration: warmup, rate };
        let with_warmup: Vec<Stage> =
            (!warmup.is_zero()).then_some(warm).into_iter().chain(stages.iter().copied()).collect();
        Self::new(&with_warmup, arrivals, seed, thread, threads)
    }

    /// The time at which `count` requests are due, in nanoseconds; `None` after the last stage.
    fn time_of(&mut self, count: f64) -> Option<u64> {
        // A sum of products of rates and seconds may miss a whole number by a rounding error.
        const ROUNDING: f64 = 1e-9;
        while count >= self.segments.get(self.current)?.until - ROUNDING {
            self.current += 1;
        }
        let segment = self.segments[self.current];
        let into = (count - segment.before).max(0.0) / segment.rate;
        Some((segment.start + into).round() as u64)
    }
}

impl Setup {
    /// When the requests of an open loop were due: nanoseconds since the load began, warm-up included, never falling. A
    /// closed loop has no schedule: empty.
    #[must_use]
    pub fn schedule(&self) -> Vec<u64> {
        let Load::Open { stages, arrivals, seed } = &self.load else { return Vec::new() };
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

/// Steele, Lea and Flood's SplitMix64: small, seeded, and the same on every machine and in every
/// version of this program, which a seed in a report relies on.
#[derive(Clone, Debug)]
struct SplitMix(u64);

impl SplitMix {
    /// The next number in 0..1, with 53 random bits.
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        ];
        for (stages, millis) in rows {
            let expected: Vec<u64> = millis.iter().map(|m| m * 1_000_000).collect();
            assert_eq!(due(stages, Arrivals::Constant, 0, 1), expected, "{stages}");
        }
    }

    #[test]
    fn counts_are_rate_times_duration() {
        for (stages, count) in
            [("5s@20,15s@400,12s@20", 6340), ("30s@20000", 600_000), ("10s@333.3", 3333), ("1m@100/m", 100)]
        {
            assert_eq!(due(stages, Arrivals::Constant, 0, 1).len(), count, "{stages}");
        }
    }

    #[test]
    fn threads_share_evenly_spaced_arrivals() {
        let mut shared: Vec<u64> = (0..3).flat_map(|thread| due("2s@50,1s@7", Arrivals::Constant, thread, 3)).collect();
        shared.sort_unstable();
        assert_eq!(shared, due("2s@50,1s@7", Arrivals::Constant, 0, 1));
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
