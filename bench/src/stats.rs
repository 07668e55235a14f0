//! Statistics over replicates: medians, ratios with bootstrap intervals, whether many differences are more than chance,
//! and the seeded order of a session.
//!
//! A replicate is a fresh server start; requests inside one are not independent and are never resampled. Pure
//! functions; called by `report`, `compare` and, for the order, by `session`.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// Resamples for one interval.
const RESAMPLES: usize = 4_000;

/// The fewest replicates on both sides for which an interval is given.
pub(crate) const FEWEST: usize = 3;

/// A small deterministic generator (SplitMix64, Steele et al. 2014), so that a recorded seed gives the same order and
/// the same intervals for ever.
#[derive(Debug, Clone)]
pub(crate) struct Generator(u64);

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 random bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0. The bias of the remainder is below 2⁻⁵⁰ for the bounds used here.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.bits() % bound as u64) as usize
    }

    /// Fisher–Yates.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

/// The middle value, or the mean of the two middle ones; `None` of nothing.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    match n {
        0 => None,
        _ if n % 2 == 1 => Some(sorted[n / 2]),
        _ => Some(f64::midpoint(sorted[n / 2 - 1], sorted[n / 2])),
    }
}

/// The geometric mean; `None` of nothing, or where a value is not above zero.
pub(crate) fn geometric_mean(values: &[f64]) -> Option<f64> {
    if values.is_empty() || values.iter().any(|value| *value <= 0.0) {
        return None;
    }
    Some(mean(&values.iter().map(|value| value.ln()).collect::<Vec<_>>()).exp())
}

/// A ratio of geometric means over replicates and how sure it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ratio {
    /// Mean of the one over mean of the other; `None` when a value is not above zero.
    pub(crate) value: Option<f64>,
    /// The 95 % interval, where there are enough replicates.
    pub(crate) interval: Option<(f64, f64)>,
    /// Why there is no interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
}

impl Ratio {
    /// Whether the two differ: `Some(true)` when the interval excludes 1, `None` without an interval.
    pub(crate) fn differs(&self) -> Option<bool> {
        self.interval.map(|(low, high)| low > 1.0 || high < 1.0)
    }
}

/// `values` against `base`, both one figure per replicate.
///
/// The interval is a percentile bootstrap of the difference of mean logarithms. With few replicates that is too
/// narrow, by the factor √(n/(n−1)) of the plug-in variance and by the normal quantile standing in for Student's, so
/// its deviations are widened by both (the "expanded percentile interval", Hesterberg 2015). Student's has Welch's
/// degrees of freedom, because one server may scatter more than the other.
///
/// How often such a 95 % interval excludes the truth, of 4,000 comparisons of three starts with three whose logarithms
/// are normal: 19.9 % unwidened, 5.7 % with the degrees of freedom of equal scatter, 3.9 % with Welch's; with four times
/// the scatter on one side, 24.4 %, 9.2 % and 5.9 %. The tests below count again.
pub(crate) fn ratio(values: &[f64], base: &[f64], seed: u64) -> Ratio {
    ratio_by(values, base, seed, RESAMPLES)
}

fn ratio_by(values: &[f64], base: &[f64], seed: u64, resamples: usize) -> Ratio {
    let none = |note: &str| Ratio { value: None, interval: None, note: Some(note.to_owned()) };
    if values.is_empty() || base.is_empty() {
        return none("nothing to compare");
    }
    if values.iter().chain(base).any(|value| *value <= 0.0) {
        return none("no ratio with zero");
    }
    let logs = |values: &[f64]| values.iter().map(|value| value.ln()).collect::<Vec<_>>();
    let (a, b) = (logs(values), logs(base));
    let centre = mean(&a) - mean(&b);
    let n = a.len().min(b.len());
    if n < FEWEST {
        return Ratio { value: Some(centre.exp()), interval: None, note: Some(format!("n={n}, no interval")) };
    }
    let mut generator = Generator::new(seed);
    let resampled =
        (0..resamples).map(|_| resampled_mean(&a, &mut generator) - resampled_mean(&b, &mut generator)).collect();
    let interval = interval(centre, resampled, n, freedom(&a, &b));
    Ratio { value: Some(centre.exp()), interval: Some(interval), note: None }
}

/// The 95 % interval of the geometric mean of `values`, one figure per replicate, made as in [`ratio`]; `None` of fewer
/// than [`FEWEST`], or where one is not above zero.
pub(crate) fn mean_interval(values: &[f64], seed: u64) -> Option<(f64, f64)> {
    let n = values.len();
    if n < FEWEST || values.iter().any(|value| *value <= 0.0) {
        return None;
    }
    let logs: Vec<f64> = values.iter().map(|value| value.ln()).collect();
    let mut generator = Generator::new(seed);
    let resampled = (0..RESAMPLES).map(|_| resampled_mean(&logs, &mut generator)).collect();
    Some(interval(mean(&logs), resampled, n, n as f64 - 1.0))
}

/// The interval around `centre` from resampled means of logarithms, widened for `n` replicates in the smaller group
/// and `freedom` degrees of freedom.
fn interval(centre: f64, mut resampled: Vec<f64>, n: usize, freedom: f64) -> (f64, f64) {
    resampled.sort_by(f64::total_cmp);
    let at = |p: f64| resampled[((resampled.len() - 1) as f64 * p).round() as usize];
    let small = (n as f64 / (n as f64 - 1.0)).sqrt() * student_975(freedom) / 1.96;
    let widened = |quantile: f64| (centre + (quantile - centre) * small).exp();
    (widened(at(0.025)), widened(at(0.975)))
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn resampled_mean(values: &[f64], generator: &mut Generator) -> f64 {
    let sum: f64 = (0..values.len()).map(|_| values[generator.below(values.len())]).sum();
    sum / values.len() as f64
}

/// The squared standard error of the mean.
fn error2(values: &[f64]) -> f64 {
    let centre = mean(values);
    let squares: f64 = values.iter().map(|value| (value - centre).powi(2)).sum();
    squares / (values.len() as f64 - 1.0) / values.len() as f64
}

/// Welch's degrees of freedom of a difference of means, both of at least two values.
fn freedom(a: &[f64], b: &[f64]) -> f64 {
    let (of_a, of_b) = (error2(a), error2(b));
    if of_a + of_b == 0.0 {
        return (a.len() + b.len() - 2) as f64;
    }
    (of_a + of_b).powi(2) / (of_a.powi(2) / (a.len() as f64 - 1.0) + of_b.powi(2) / (b.len() as f64 - 1.0))
}

/// Student's t with so many degrees of freedom, which are at least 1.
fn student(freedom: f64) -> StudentsT {
    // The scale is above zero, so the only reason to refuse is a number of degrees that is not.
    StudentsT::new(0.0, 1.0, freedom.max(1.0)).unwrap_or_else(|_| unreachable!("at least one degree of freedom"))
}

fn student_975(freedom: f64) -> f64 {
    student(freedom).inverse_cdf(0.975)
}

/// How probable it is that means at least as far apart come of two groups that do not differ (Welch's test, two-sided);
/// `None` of fewer than [`FEWEST`].
///
/// Where no value of either group differs from the others of its group (a number of processes, of errors), nothing is
/// known of how it scatters, and what remains is how many ways there are to deal the values out: with three and three,
/// two in twenty are as far apart as these.
pub(crate) fn chance(values: &[f64], base: &[f64]) -> Option<f64> {
    if values.len().min(base.len()) < FEWEST {
        return None;
    }
    let apart = (mean(values) - mean(base)).abs();
    let error = (error2(values) + error2(base)).sqrt();
    if apart == 0.0 {
        return Some(1.0);
    }
    if error == 0.0 {
        return Some((2.0 / ways(values.len(), base.len())).min(1.0));
    }
    Some((2.0 * student(freedom(values, base)).sf(apart / error)).clamp(0.0, 1.0))
}

/// How many ways there are to divide a + b values into a and b.
fn ways(a: usize, b: usize) -> f64 {
    (1..=a).map(|i| (b + i) as f64 / i as f64).product()
}

/// Which of many comparisons differ by more than chance, each given by its [`chance`]: those that may be told so that of
/// the told ones a share of at most `share` is expected to be false (Benjamini and Hochberg 1995). The figures of a
/// session go up and down together rather than against each other, under which that still holds (Benjamini and
/// Yekutieli 2001).
pub(crate) fn discoveries(chances: &[f64], share: f64) -> Vec<bool> {
    let mut sorted = chances.to_vec();
    sorted.sort_by(f64::total_cmp);
    let all = sorted.len() as f64;
    let bound = (1..).zip(&sorted).filter(|(rank, chance)| **chance <= share * f64::from(*rank) / all).last();
    let bound = bound.map(|(_, chance)| *chance);
    chances.iter().map(|chance| bound.is_some_and(|bound| *chance <= bound)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        let rows: [(&[f64], Option<f64>); 5] = [
            (&[], None),
            (&[3.0], Some(3.0)),
            (&[9.0, 1.0], Some(5.0)),
            (&[9.0, 1.0, 2.0], Some(2.0)),
            // An outlier stays in and does not move it.
            (&[1.0, 2.0, 3.0, 1000.0], Some(2.5)),
        ];
        for (values, expected) in rows {
            assert_eq!(median(values), expected, "{values:?}");
        }
    }

    #[test]
    fn the_seed_fixes_the_order() {
        let order = |seed| {
            let mut items = [0, 1, 2, 3, 4, 5];
            Generator::new(seed).shuffle(&mut items);
            items
        };
        assert_eq!(order(7), order(7));
        assert_ne!(order(7), order(8));
        let mut sorted = order(7);
        sorted.sort_unstable();
        assert_eq!(sorted, [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn ratios() {
        // (values, base, ratio, differs)
        type Row<'a> = (&'a [f64], &'a [f64], Option<f64>, Option<bool>);
        let rows: [Row<'_>; 6] = [
            (&[2.0], &[1.0], Some(2.0), None),
            // Two replicates give a ratio and no interval.
            (&[2.0, 2.0], &[1.0, 1.0], Some(2.0), None),
            (&[20.0, 20.5, 19.5], &[10.0, 10.2, 9.8], Some(2.0), Some(true)),
            // Overlapping values: no difference, whatever the ratio of the means says.
            (&[10.0, 14.0, 9.0], &[9.5, 12.0, 10.0], None, Some(false)),
            // A zero has no logarithm.
            (&[0.0, 1.0, 1.0], &[1.0, 1.0, 1.0], None, None),
            (&[], &[1.0], None, None),
        ];
        for (values, base, expected, differs) in rows {
            let got = ratio(values, base, 1);
            if let Some(expected) = expected {
                assert!((got.value.unwrap() / expected - 1.0).abs() < 0.01, "{got:?}");
            }
            assert_eq!(got.differs(), differs, "{values:?} {got:?}");
            assert_eq!(got.interval.is_none(), got.note.is_some(), "{got:?}");
        }
    }

    /// Replicates of a figure of 100 with log-normal noise of 5 %, from twelve uniforms each (Irwin–Hall).
    fn noisy(replicates: usize, generator: &mut Generator) -> Vec<f64> {
        let mut draw = || {
            let sum: f64 = (0..12).map(|_| (generator.bits() >> 11) as f64 / (1_u64 << 53) as f64).sum();
            (0.05 * (sum - 6.0)).exp() * 100.0
        };
        (0..replicates).map(|_| draw()).collect()
    }

    #[test]
    fn a_mean_is_in_its_interval() {
        assert_eq!(mean_interval(&[1.0, 2.0], 1), None);
        assert_eq!(mean_interval(&[1.0, 2.0, 0.0], 1), None);
        for replicates in [3, 5, 9] {
            let mut generator = Generator::new(42);
            let trials = 400_u32;
            let within = (0..trials)
                .filter(|seed| {
                    let (low, high) = mean_interval(&noisy(replicates, &mut generator), u64::from(*seed)).unwrap();
                    (low..=high).contains(&100.0)
                })
                .count();
            let share = within as f64 / f64::from(trials);
            // Two standard deviations of the count below the nominal 95 %.
            assert!(share >= 0.93, "{replicates} replicates: {share}");
        }
    }

    /// How one start differs from the next.
    #[derive(Debug, Clone, Copy)]
    enum Noise {
        /// 5 % up and down.
        Normal,
        /// As the above, and one start in eight is slow by 30 %: what the committed results show.
        Slow,
        /// Mostly small, now and then large.
        Skewed,
        /// The base scatters four times as much.
        Unequal,
    }

    fn starts(noise: Noise, is_base: bool, count: usize, generator: &mut Generator) -> Vec<f64> {
        let mut values = noisy(count, generator);
        for value in &mut values {
            *value = match noise {
                Noise::Normal => *value,
                Noise::Slow if generator.below(8) == 0 => *value * 1.3,
                Noise::Slow => *value,
                // An exponential deviation.
                Noise::Skewed => {
                    100.0 * (-0.05 * (((generator.bits() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64).ln()).exp()
                }
                Noise::Unequal if is_base => 100.0 * (*value / 100.0).powi(4),
                Noise::Unequal => *value,
            };
        }
        values
    }

    /// The same contender twice, many times over: at most about one comparison in twenty may find a difference.
    #[test]
    fn a_against_a_finds_no_difference() {
        let trials = 2_000_u32;
        for (noise, most) in [
            // The nominal 5 %, and two standard deviations of the count.
            (Noise::Normal, 0.062),
            (Noise::Slow, 0.062),
            (Noise::Skewed, 0.062),
            // The worst that was found, over all numbers of starts: 6.8 %.
            (Noise::Unequal, 0.082),
        ] {
            for replicates in [3, 5, 9] {
                let mut generator = Generator::new(42);
                let mut differences = (0, 0);
                for seed in 0..trials {
                    let a = starts(noise, false, replicates, &mut generator);
                    let b = starts(noise, true, replicates, &mut generator);
                    // Fewer resamples than reports have: the test is to take seconds.
                    differences.0 += u32::from(ratio_by(&a, &b, seed.into(), 1_000).differs() == Some(true));
                    let logs = |values: &[f64]| values.iter().map(|value| value.ln()).collect::<Vec<_>>();
                    differences.1 += u32::from(chance(&logs(&a), &logs(&b)).unwrap() < 0.05);
                }
                let share = |differences: u32| f64::from(differences) / f64::from(trials);
                let (by_interval, by_chance) = (share(differences.0), share(differences.1));
                println!("{noise:?}, {replicates} starts: {by_interval:.3} by interval, {by_chance:.3} by chance");
                assert!(by_interval <= most, "{noise:?}, {replicates} starts: {by_interval}");
                assert!(by_chance <= most, "{noise:?}, {replicates} starts: {by_chance}");
            }
        }
    }

    #[test]
    fn chances() {
        // (values, base, the chance)
        type Row<'a> = (&'a [f64], &'a [f64], Option<f64>);
        let rows: [Row<'_>; 6] = [
            (&[1.0, 2.0], &[1.0, 2.0, 3.0], None),
            (&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0], Some(1.0)),
            // t = 3.4125 with 3.806 degrees of freedom, integrated numerically.
            (&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.5], Some(0.029_15)),
            // No error in any start, and then some in each.
            (&[5.0, 7.0, 6.0], &[0.0, 0.0, 0.0], Some(0.009_13)),
            // Nothing scatters: 2 of 20 ways, 2 of 252.
            (&[8.0, 8.0, 8.0], &[9.0, 9.0, 9.0], Some(0.1)),
            (&[8.0; 5], &[9.0; 5], Some(0.007_9)),
        ];
        for (values, base, expected) in rows {
            let got = chance(values, base);
            assert_eq!(got.is_some(), expected.is_some(), "{values:?} {base:?}: {got:?}");
            if let (Some(got), Some(expected)) = (got, expected) {
                assert!((got - expected).abs() < 0.000_1, "{values:?} {base:?}: {got}");
            }
        }
    }

    #[test]
    fn many_comparisons_need_more_than_one_in_twenty() {
        // (chances, which are told)
        type Row<'a> = (&'a [f64], &'a [bool]);
        let rows: [Row<'_>; 5] = [
            (&[], &[]),
            (&[0.04], &[true]),
            // One of two must be below 2.5 %.
            (&[0.04, 0.9], &[false, false]),
            // A chance that is too large alone is carried by those that are smaller (step-up).
            (&[0.04, 0.01, 0.045], &[true, true, true]),
            // The example of Benjamini and Hochberg's paper, 15 comparisons: four are told.
            (
                &[
                    0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719,
                    0.6528, 0.7590, 1.0,
                ],
                &[true, true, true, true, false, false, false, false, false, false, false, false, false, false, false],
            ),
        ];
        for (chances, expected) in rows {
            assert_eq!(discoveries(chances, 0.05), expected, "{chances:?}");
        }
    }
}
