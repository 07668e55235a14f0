//! Statistics over replicates: medians, ratios with bootstrap intervals, and the seeded order of a session.
//!
//! A replicate is a fresh server start; requests inside one are not independent and are never resampled. Pure
//! functions; called by `report` and, for the order, by `session`.

use serde::{Deserialize, Serialize};

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
/// its deviations are widened by both (the "expanded percentile interval", Hesterberg 2015).
pub(crate) fn ratio(values: &[f64], base: &[f64], seed: u64) -> Ratio {
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
        (0..RESAMPLES).map(|_| resampled_mean(&a, &mut generator) - resampled_mean(&b, &mut generator)).collect();
    let interval = interval(centre, resampled, n, a.len() + b.len() - 2);
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
    Some(interval(mean(&logs), resampled, n, n - 1))
}

/// The interval around `centre` from resampled means of logarithms, widened for `n` replicates in the smaller group
/// and `freedom` degrees of freedom.
fn interval(centre: f64, mut resampled: Vec<f64>, n: usize, freedom: usize) -> (f64, f64) {
    resampled.sort_by(f64::total_cmp);
    let at = |p: f64| resampled[((RESAMPLES - 1) as f64 * p).round() as usize];
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

/// The 97.5 % quantile of Student's t, for `freedom` ≥ 2 (one group of three).
fn student_975(freedom: usize) -> f64 {
    const TABLE: [(usize, f64); 11] = [
        (2, 4.303),
        (3, 3.182),
        (4, 2.776),
        (5, 2.571),
        (6, 2.447),
        (8, 2.306),
        (10, 2.228),
        (14, 2.145),
        (20, 2.086),
        (30, 2.042),
        (60, 2.000),
    ];
    // The largest entry that is not above: the wider interval where the table has a gap.
    TABLE.iter().rev().find(|(entry, _)| *entry <= freedom).map_or(TABLE[0].1, |(_, quantile)| *quantile)
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

    /// The same contender twice, many times over: about one comparison in twenty may find a difference.
    #[test]
    fn a_against_a_finds_no_difference() {
        for replicates in [3, 5] {
            let mut generator = Generator::new(42);
            let comparisons = 400;
            let differences = (0..comparisons)
                .filter(|seed| {
                    let a = noisy(replicates, &mut generator);
                    let b = noisy(replicates, &mut generator);
                    ratio(&a, &b, *seed).differs() == Some(true)
                })
                .count();
            let share = differences as f64 / comparisons as f64;
            // Two standard deviations of the count above the nominal 5 %.
            assert!(share <= 0.07, "{replicates} replicates: {share}");
        }
    }
}
