//! When requests come: a rate over time, and how arrivals are spaced around it.
//!
//! Pure functions of a seed. The same seed gives the same arrivals to every policy.

use serde::{Deserialize, Serialize};

use super::calls::{Cost, Costs};
use super::random::{Purpose, Random};
use super::time::{Nanos, nanos};
use crate::scenario::Pace;

/// The rate over time; rates are requests per second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "shape", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Load {
    /// Always the same.
    Constant { rate: f64, seconds: f64 },
    /// One rate after the other.
    Steps { stages: Vec<Pace> },
    /// High and low in turn, each for an exponential time: a Markov-modulated process.
    Bursts { low: f64, high: f64, mean_low_s: f64, mean_high_s: f64, seconds: f64 },
    /// A day in miniature: from `low` at the start up to `high` half a period later, and back, along a cosine.
    Diurnal { low: f64, high: f64, period_s: f64, seconds: f64 },
    /// A crowd: from `low` to `low · factor` within `rise_s`, for `hold_s`, and back within `fall_s`.
    Flash { low: f64, factor: f64, at_s: f64, rise_s: f64, hold_s: f64, fall_s: f64, seconds: f64 },
}

/// How arrivals are spaced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Spacing {
    /// Independently of each other, as many clients do.
    #[default]
    Poisson,
    /// Evenly, as a load generator does.
    Even,
}

/// A [`Load`] of which nothing is left to chance.
#[derive(Debug, Clone)]
pub(crate) struct Profile {
    load: Load,
    /// Stretches of one rate, from their beginnings in seconds; empty where the rate is a formula.
    stretches: Vec<(f64, f64)>,
    seconds: f64,
}

impl Profile {
    /// What `seed` makes of `load`.
    pub(crate) fn new(load: &Load, seed: u64) -> Self {
        let mut stretches = Vec::new();
        let seconds = match load {
            Load::Constant { rate, seconds } => {
                stretches.push((0.0, *rate));
                *seconds
            }
            Load::Steps { stages } => stages.iter().fold(0.0, |at, stage| {
                stretches.push((at, stage.rate));
                at + stage.seconds
            }),
            Load::Bursts { low, high, mean_low_s, mean_high_s, seconds } => {
                let mut random = Random::new(seed, Purpose::Arrivals);
                let (mut at, mut is_high) = (0.0, false);
                while at < *seconds {
                    let (rate, mean) = if is_high { (*high, *mean_high_s) } else { (*low, *mean_low_s) };
                    stretches.push((at, rate));
                    at += mean * random.exponential();
                    is_high = !is_high;
                }
                *seconds
            }
            Load::Diurnal { seconds, .. } | Load::Flash { seconds, .. } => *seconds,
        };
        Self { load: load.clone(), stretches, seconds }
    }

    /// How long it lasts.
    pub(crate) fn seconds(&self) -> f64 {
        self.seconds
    }

    /// Requests per second at `at` seconds.
    pub(crate) fn rate(&self, at: f64) -> f64 {
        match self.load {
            Load::Constant { .. } | Load::Steps { .. } | Load::Bursts { .. } => {
                let later = self.stretches.partition_point(|stretch| stretch.0 <= at);
                later.checked_sub(1).map_or(0.0, |place| self.stretches[place].1)
            }
            Load::Diurnal { low, high, period_s, .. } => {
                let phase = std::f64::consts::TAU * at / period_s;
                low + (high - low) * (1.0 - phase.cos()) / 2.0
            }
            Load::Flash { low, factor, at_s, rise_s, hold_s, fall_s, .. } => {
                let since = at - at_s;
                let crowd =
                    if since < rise_s { since / rise_s } else { 1.0 - (since - rise_s - hold_s).max(0.0) / fall_s };
                low * (1.0 + (factor - 1.0) * crowd.clamp(0.0, 1.0))
            }
        }
    }

    /// The highest rate.
    pub(crate) fn highest(&self) -> f64 {
        match self.load {
            Load::Diurnal { low, high, .. } => low.max(high),
            Load::Flash { low, factor, .. } => low * factor.max(1.0),
            _ => self.stretches.iter().map(|stretch| stretch.1).fold(0.0, f64::max),
        }
    }

    fn lowest(&self) -> f64 {
        match self.load {
            Load::Diurnal { low, high, .. } => low.min(high),
            Load::Flash { low, factor, .. } => low * factor.min(1.0),
            _ => self.stretches.iter().map(|stretch| stretch.1).fold(f64::INFINITY, f64::min),
        }
    }

    /// Whether `at` seconds is within a burst: nearer to the highest rate than to the lowest. Load that hardly changes
    /// has none.
    pub(crate) fn is_burst(&self, at: f64) -> bool {
        let (low, high) = (self.lowest(), self.highest());
        high > 1.5 * low && self.rate(at) >= f64::midpoint(low, high)
    }

    /// When the rate changes at once, after `at`.
    fn next_change(&self, at: f64) -> f64 {
        let later = self.stretches.partition_point(|stretch| stretch.0 <= at);
        self.stretches.get(later).map_or(self.seconds, |stretch| stretch.0)
    }
}

/// One request, as it will come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Planned {
    /// Since the beginning of the load.
    pub(crate) at: Nanos,
    pub(crate) cost: Cost,
    /// Which of several generators of load sends it; each has connections of its own.
    pub(crate) generator: usize,
    /// A generator that has finished by then: its connections end.
    pub(crate) after: Option<usize>,
}

/// Every request of a run, in the order of their coming.
#[derive(Debug, Clone)]
pub(crate) enum Requests<'a> {
    /// As chance has it.
    Drawn { arrivals: Arrivals, costs: Costs<'a> },
    /// Written down before.
    Listed(std::slice::Iter<'a, Planned>),
}

impl Iterator for Requests<'_> {
    type Item = Planned;

    fn next(&mut self) -> Option<Planned> {
        match self {
            Self::Drawn { arrivals, costs } => {
                let at = arrivals.next()?;
                Some(Planned { at, cost: costs.draw(), generator: 0, after: None })
            }
            Self::Listed(planned) => planned.next().copied(),
        }
    }
}

/// The arrivals of a profile, one after the other, in nanoseconds since its beginning.
#[derive(Debug, Clone)]
pub(crate) struct Arrivals {
    profile: Profile,
    spacing: Spacing,
    random: Random,
    at: f64,
    /// Of the stretch that evenly spaced arrivals are counted in: its beginning, and how many were in it.
    stretch: (f64, u32),
}

impl Arrivals {
    pub(crate) fn new(profile: Profile, spacing: Spacing, seed: u64) -> Self {
        // A stream of its own: how many numbers the profile drew is no matter of the arrivals.
        let random = Random::new(seed.wrapping_add(1), Purpose::Arrivals);
        Self { profile, spacing, random, at: 0.0, stretch: (0.0, 0) }
    }

    /// A Poisson process of the highest rate, thinned out (Lewis and Shedler 1979).
    fn next_poisson(&mut self) -> Option<f64> {
        let highest = self.profile.highest();
        if highest <= 0.0 {
            return None;
        }
        loop {
            self.at += self.random.exponential() / highest;
            if self.at >= self.profile.seconds {
                return None;
            }
            if self.random.unit() * highest < self.profile.rate(self.at) {
                return Some(self.at);
            }
        }
    }

    /// The first at the beginning of each stretch, as the load generator does it.
    fn next_even(&mut self) -> Option<f64> {
        while self.at < self.profile.seconds {
            let (began, count) = self.stretch;
            let rate = self.profile.rate(self.at);
            let end = self.profile.next_change(self.at);
            let due = match (rate > 0.0, self.profile.stretches.is_empty()) {
                (false, _) => end,
                // Multiplied, not added up: rounding errors don't grow.
                (true, false) => began + f64::from(count) / rate,
                (true, true) => self.at,
            };
            if due >= end - 1e-12 {
                (self.at, self.stretch) = (end, (end, 0));
                continue;
            }
            self.stretch.1 += 1;
            self.at = if self.profile.stretches.is_empty() { due + 1.0 / rate } else { due };
            return Some(due);
        }
        None
    }
}

impl Iterator for Arrivals {
    type Item = Nanos;

    fn next(&mut self) -> Option<Nanos> {
        match self.spacing {
            Spacing::Poisson => self.next_poisson(),
            Spacing::Even => self.next_even(),
        }
        .map(nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::time::SECOND;

    fn arrivals(load: &Load, spacing: Spacing, seed: u64) -> Vec<Nanos> {
        Arrivals::new(Profile::new(load, seed), spacing, seed).collect()
    }

    fn steps(stages: &[(f64, f64)]) -> Load {
        Load::Steps { stages: stages.iter().map(|&(seconds, rate)| Pace { seconds, rate }).collect() }
    }

    #[test]
    fn a_poisson_process_has_the_mean_and_variance_of_its_counts() {
        let rate = 200.0;
        let times = arrivals(&Load::Constant { rate, seconds: 500.0 }, Spacing::Poisson, 3);
        let mut counts = vec![0.0; 5_000];
        for at in times {
            counts[(at / (SECOND / 10)) as usize] += 1.0;
        }
        let mean = counts.iter().sum::<f64>() / counts.len() as f64;
        let variance = counts.iter().map(|count: &f64| (count - mean).powi(2)).sum::<f64>() / counts.len() as f64;
        // Both are the rate times the length.
        assert!((mean - 20.0).abs() < 0.2, "{mean}");
        assert!((variance - 20.0).abs() < 1.2, "{variance}");
    }

    #[test]
    fn even_arrivals_are_those_of_the_load_generator() {
        let times = arrivals(&steps(&[(1.0, 4.0), (0.5, 0.0), (1.0, 3.0)]), Spacing::Even, 1);
        let expected = [0.0, 0.25, 0.5, 0.75, 1.5, 1.5 + 1.0 / 3.0, 1.5 + 2.0 / 3.0];
        assert_eq!(times, expected.map(nanos));
        let many = arrivals(&steps(&[(2.0, 20.0), (11.0, 400.0), (5.0, 20.0)]), Spacing::Even, 1);
        assert_eq!(many.len(), 40 + 4_400 + 100);
    }

    /// The number of arrivals is the rate's integral, whatever the shape.
    #[test]
    fn shapes_have_the_integral_of_their_rate() {
        let diurnal = Load::Diurnal { low: 100.0, high: 500.0, period_s: 60.0, seconds: 120.0 };
        let flash =
            Load::Flash { low: 20.0, factor: 100.0, at_s: 5.0, rise_s: 1.0, hold_s: 10.0, fall_s: 4.0, seconds: 30.0 };
        let rows = [
            ("diurnal", diurnal, 300.0 * 120.0),
            // The crowd itself is 1,980/s: half of it while it rises and falls.
            ("flash", flash, 20.0 * 30.0 + 1_980.0 * (0.5 + 10.0 + 2.0)),
            ("steps", steps(&[(5.0, 20.0), (10.0, 400.0), (5.0, 20.0)]), 4_200.0),
        ];
        for (name, load, expected) in rows {
            for spacing in [Spacing::Poisson, Spacing::Even] {
                let count = arrivals(&load, spacing, 5).len() as f64;
                // Four standard deviations.
                assert!((count - expected).abs() < 4.0 * expected.sqrt(), "{name} {spacing:?}: {count}");
            }
        }
    }

    #[test]
    fn bursts_are_on_for_their_share_of_the_time() {
        let load = Load::Bursts { low: 10.0, high: 210.0, mean_low_s: 3.0, mean_high_s: 1.0, seconds: 4_000.0 };
        let count = arrivals(&load, Spacing::Poisson, 9).len() as f64;
        // A quarter of the time at 210/s: 60/s, give or take what chance makes of a thousand cycles.
        assert!((count / 4_000.0 - 60.0).abs() < 5.0, "{count}");
        let profile = Profile::new(&load, 9);
        assert_eq!((profile.highest(), profile.lowest()), (210.0, 10.0));
    }

    #[test]
    fn a_hundredfold_within_a_second() {
        let load =
            Load::Flash { low: 20.0, factor: 100.0, at_s: 5.0, rise_s: 1.0, hold_s: 10.0, fall_s: 2.0, seconds: 30.0 };
        let profile = Profile::new(&load, 0);
        for (at, rate) in [(0.0, 20.0), (5.0, 20.0), (5.5, 1_010.0), (6.0, 2_000.0), (16.0, 2_000.0), (17.0, 1_010.0)] {
            assert!((profile.rate(at) - rate).abs() < 1e-6, "at {at}: {}", profile.rate(at));
        }
        assert!(profile.is_burst(10.0) && !profile.is_burst(2.0) && !profile.is_burst(25.0));
        assert!(!Profile::new(&Load::Constant { rate: 5.0, seconds: 1.0 }, 0).is_burst(0.5));
    }

    #[test]
    fn equal_seeds_give_equal_arrivals() {
        let load = Load::Diurnal { low: 1.0, high: 99.0, period_s: 5.0, seconds: 10.0 };
        assert_eq!(arrivals(&load, Spacing::Poisson, 4), arrivals(&load, Spacing::Poisson, 4));
        assert_ne!(arrivals(&load, Spacing::Poisson, 4), arrivals(&load, Spacing::Poisson, 5));
    }
}
