//! A figure of a run with the range that chance leaves it. Pure; the random numbers have a fixed seed.
//!
//! Two ways, of which the wider range counts:
//!
//! - Order statistics: the range of ranks that a quantile of `n` independent requests has, or Wilson's
//!   interval of a share. Needs nothing but the count, and believes that requests are independent.
//! - A bootstrap over intervals. Requests of the same second are alike (a pause hits all of them), so
//!   whole intervals are drawn again. Each is replaced by one of its neighbours (the local block
//!   bootstrap of Paparoditis and Politis, 2002): a load that goes up and down stays what it is.

use std::collections::BTreeMap;

use crate::distribution::{DecodeError, Distribution};
use crate::report::{Interval, Report};

/// Two-sided 95 %, in standard deviations of a normal distribution.
const Z: f64 = 1.959_964;
/// Fewer intervals say nothing about how intervals differ.
const FEWEST: usize = 8;
/// How often they are drawn again.
const DRAWS: usize = 600;

/// A value, and between what it lies with a confidence of 95 %.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Estimate {
    /// As measured.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Estimate {
    /// Both ranges in one.
    fn or(self, other: Option<(f64, f64)>) -> Self {
        let (low, high) = other.unwrap_or((self.low, self.high));
        Self { low: self.low.min(low), high: self.high.max(high), ..self }
    }

    /// `other` over this one, with the range that both ranges leave. The distances on a logarithmic
    /// scale are added as squares (MOVER, Zou and Donner, 2008).
    pub(super) fn ratio(self, other: Self) -> Self {
        let log = |value: f64| value.max(f64::MIN_POSITIVE).ln();
        let square = |a: f64, b: f64| (log(a) - log(b)).powi(2);
        let middle = log(other.value) - log(self.value);
        let below = (square(other.value, other.low) + square(self.high, self.value)).sqrt();
        let above = (square(other.high, other.value) + square(self.value, self.low)).sqrt();
        Self { value: middle.exp(), low: (middle - below).exp(), high: (middle + above).exp() }
    }

    /// `other` less this one, likewise.
    pub(super) fn difference(self, other: Self) -> Self {
        let middle = other.value - self.value;
        let below = (other.value - other.low).hypot(self.high - self.value);
        let above = (other.high - other.value).hypot(self.value - self.low);
        Self { value: middle, low: middle - below, high: middle + above }
    }
}

/// Quantiles of the latency; in the order of `quantiles`.
pub(super) fn quantiles(report: &Report, quantiles: &[f64]) -> Result<Vec<Estimate>, DecodeError> {
    let histogram = report.latency.histogram()?;
    let count = report.latency.count as f64;
    let plain = quantiles.iter().map(|quantile| {
        let spread = Z * (quantile * (1.0 - quantile) / count).sqrt();
        let at = |quantile: f64| histogram.value_at_quantile(quantile.clamp(0.0, 1.0)) as f64;
        Estimate { value: at(*quantile), low: at(quantile - spread), high: at(quantile + spread + 1.0 / count) }
    });
    let blocks = report.intervals.iter().map(|interval| recorded(&interval.latency)).collect::<Result<Vec<_>, _>>()?;
    // One row of counts per interval over the values that occur at all: drawing is adding.
    let values: BTreeMap<u64, usize> = blocks.iter().flatten().map(|(value, _)| (*value, 0)).collect();
    let places: BTreeMap<u64, usize> = values.keys().enumerate().map(|(place, value)| (*value, place)).collect();
    let values: Vec<u64> = values.into_keys().collect();
    let blocks: Vec<Vec<(usize, u64)>> =
        blocks.iter().map(|block| block.iter().map(|(value, count)| (places[value], *count)).collect()).collect();
    let mut counts = vec![0_u64; values.len()];
    let drawn = draw(blocks.len(), |chosen| {
        counts.fill(0);
        let mut total = 0;
        for (place, count) in chosen.iter().flat_map(|block| &blocks[*block]) {
            counts[*place] += count;
            total += count;
        }
        quantiles.iter().map(|quantile| at_rank(&values, &counts, quantile * total as f64)).collect()
    });
    Ok(plain.enumerate().map(|(place, estimate)| estimate.or(drawn.as_ref().map(|drawn| drawn.range(place)))).collect())
}

/// The value at which so many are reached.
fn at_rank(values: &[u64], counts: &[u64], rank: f64) -> f64 {
    let mut sum = 0;
    for (value, count) in values.iter().zip(counts) {
        sum += count;
        if *count > 0 && sum as f64 >= rank {
            return *value as f64;
        }
    }
    values.last().copied().unwrap_or_default() as f64
}

fn recorded(times: &Distribution) -> Result<Vec<(u64, u64)>, DecodeError> {
    let histogram = times.histogram()?;
    Ok(histogram.iter_recorded().map(|value| (value.value_iterated_to(), value.count_at_value())).collect())
}

/// A count per something else of the same intervals, for instance answers per second.
pub(super) fn quotient(
    report: &Report,
    value: f64,
    plain: (f64, f64),
    over: fn(&Interval) -> f64,
    under: fn(&Interval) -> f64,
) -> Estimate {
    let blocks: Vec<(f64, f64)> =
        report.intervals.iter().filter(|i| !i.drain).map(|interval| (over(interval), under(interval))).collect();
    let drawn = draw(blocks.len(), |chosen| {
        let (mut over, mut under) = (0.0, 0.0);
        for block in chosen {
            over += blocks[*block].0;
            under += blocks[*block].1;
        }
        vec![if under > 0.0 { over / under } else { 0.0 }]
    });
    // The run's own figure counts what the intervals round off: the range goes with it.
    let whole: (f64, f64) = blocks.iter().fold((0.0, 0.0), |sum, block| (sum.0 + block.0, sum.1 + block.1));
    let shift = if whole.1 > 0.0 { value - whole.0 / whole.1 } else { 0.0 };
    let range = drawn.map(|drawn| drawn.range(0)).map(|(low, high)| ((low + shift).max(0.0), high + shift));
    Estimate { value, low: plain.0, high: plain.1 }.or(range)
}

/// Wilson's interval of a share.
pub(super) fn share(hits: u64, total: u64) -> (f64, f64) {
    let (p, n) = (hits as f64 / total.max(1) as f64, total.max(1) as f64);
    let middle = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    ((middle - half).max(0.0), (middle + half).min(1.0))
}

/// The range of a count of independent events, as a factor around it.
pub(super) fn poisson(count: u64) -> f64 {
    Z / (count.max(1) as f64).sqrt()
}

/// What the draws came to: per figure, its values in order.
struct Drawn(Vec<Vec<f64>>);

impl Drawn {
    /// The middle 95 % of a figure's values.
    fn range(&self, figure: usize) -> (f64, f64) {
        let values = &self.0[figure];
        let at = |share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
        (at(0.025), at(0.975))
    }
}

/// Draws blocks again and again, each one or a neighbour in its place; `None` for too few of them.
fn draw(blocks: usize, mut figures: impl FnMut(&[usize]) -> Vec<f64>) -> Option<Drawn> {
    if blocks < FEWEST {
        return None;
    }
    let reach = (blocks / 8).max(3);
    let mut random = Random(0x5eed);
    let mut chosen = vec![0; blocks];
    let mut drawn: Vec<Vec<f64>> = Vec::new();
    for _ in 0..DRAWS {
        for (place, slot) in chosen.iter_mut().enumerate() {
            let (first, last) = (place.saturating_sub(reach), (place + reach).min(blocks - 1));
            *slot = first + random.below(last - first + 1);
        }
        let values = figures(&chosen);
        drawn.resize_with(values.len(), Vec::new);
        drawn.iter_mut().zip(values).for_each(|(all, value)| all.push(value));
    }
    drawn.iter_mut().for_each(|values| values.sort_by(f64::total_cmp));
    Some(Drawn(drawn))
}

/// SplitMix64 (Steele, Lea, Flood, 2014): the same report gives the same ranges.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        // The upper half of the product: even to 2^-64 times the bound.
        ((u128::from(mixed) * bound as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{interval, report};

    fn of(seconds: Vec<Vec<u64>>) -> Report {
        let mut report = report();
        report.intervals = (0..).zip(seconds).map(|(at, nanos)| interval(f64::from(at), &nanos)).collect();
        report.latency = Distribution::merged(report.intervals.iter().map(|i| &i.latency)).unwrap();
        report
    }

    #[test]
    fn a_quantile_of_independent_requests_has_the_range_of_its_rank() {
        // 1 to 100 ms evenly, in three intervals: too few to be drawn.
        let seconds = (0..3).map(|_| (1..=100).map(|ms| ms * 1_000_000).collect()).collect();
        let median = quantiles(&of(seconds), &[0.5]).unwrap()[0];
        // 50 % ± 1.96 × √(0.25 / 300) = ± 5.66 %, so 44 to 56 ms.
        let rows = [(median.value, 50.0), (median.low, 45.0), (median.high, 56.0)];
        for (value, expected) in rows {
            assert!((value / 1e6 - expected).abs() <= 1.1, "{median:?}");
        }
    }

    #[test]
    fn requests_that_are_alike_within_an_interval_widen_the_range() {
        // Every third second is slow for everybody: 3,000 requests, but 30 things that happened.
        let second = |at: u64| vec![if at.is_multiple_of(3) { 9_000_000 } else { 1_000_000 }; 100];
        let alike = quantiles(&of((0..30).map(second).collect()), &[0.65]).unwrap()[0];
        assert!(alike.high > 8.9e6 && alike.low < 1.1e6, "{alike:?}");
        let mixed = |_| [vec![1_000_000; 67], vec![9_000_000; 33]].concat();
        let apart = quantiles(&of((0..30).map(mixed).collect()), &[0.6]).unwrap()[0];
        assert!(apart.high < 1.1e6, "{apart:?}");
    }

    #[test]
    fn a_load_that_rises_is_no_chance() {
        // 1, 2, … 40 answers a second: drawn from anywhere, the rate would range by ± 17 %.
        let report = of((1..=40).map(|answers| vec![1_000_000; answers]).collect());
        let rate = quotient(&report, 20.5, (20.5, 20.5), |i| i.answered as f64, |i| i.duration_s);
        assert!(rate.low > 20.5 * 0.93 && rate.high < 20.5 * 1.07, "{rate:?}");
        assert!(rate.low < 20.4 && rate.high > 20.6, "{rate:?}");
    }

    #[test]
    fn ratios_and_differences_take_both_ranges() {
        let a = Estimate { value: 10.0, low: 9.0, high: 11.0 };
        let b = Estimate { value: 20.0, low: 18.0, high: 22.0 };
        let ratio = a.ratio(b);
        assert!((ratio.value - 2.0).abs() < 1e-9 && ratio.low > 1.7 && ratio.high < 2.35, "{ratio:?}");
        let difference = a.difference(b);
        assert_eq!(difference.value, 10.0);
        assert!((difference.low - (10.0 - 5.0_f64.sqrt())).abs() < 1e-9, "{difference:?}");
    }

    #[test]
    fn a_share_of_nothing_is_not_surely_nothing() {
        let (low, high) = share(0, 1000);
        // The rule of three: about 3 in 1,000, Wilson's is a little wider.
        assert!(low < 1e-12 && (0.003..0.005).contains(&high), "{high}");
        let (low, high) = share(500, 1000);
        assert!((low - 0.469).abs() < 1e-3 && (high - 0.531).abs() < 1e-3);
    }
}
