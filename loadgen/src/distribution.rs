//! A measured distribution of times: recorded while a run lasts, then plain data in a report.
//!
//! Owns the bounds and precision of every histogram in this crate. Knows nothing of requests.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2DeflateSerializer};
use serde::{Deserialize, Serialize};

/// Longest time that a histogram holds; longer ones are counted as overflow. One hour.
const HIGHEST_NS: u64 = 3_600_000_000_000;
/// Significant decimal digits kept: a relative error of at most 0.1 %.
const DIGITS: u8 = 3;
/// Values beyond a quantile that make it worth stating.
const NEEDED_BEYOND: f64 = 10.0;

/// True when `count` samples are enough to state `quantile`: at least ten are expected beyond it.
/// So p99 takes 1,000 samples and p99.9 takes 10,000.
#[must_use]
pub fn supports(count: u64, quantile: f64) -> bool {
    // The tiny allowance is for 1 - 0.99, which is not exactly 0.01.
    count as f64 * (1.0 - quantile) >= NEEDED_BEYOND - 1e-6
}

/// Samples that it takes to state `quantile`, see [`supports`].
pub(crate) fn needed(quantile: f64) -> u64 {
    ((NEEDED_BEYOND - 1e-6) / (1.0 - quantile)).ceil() as u64
}

/// A histogram being filled: bounded, and what does not fit is counted instead of lost.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    histogram: Histogram<u64>,
    overflow: u64,
}

impl Recorder {
    pub(crate) fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, HIGHEST_NS, DIGITS).expect("the constant bounds are valid");
        Self { histogram, overflow: 0 }
    }

    /// Records a time in nanoseconds.
    pub(crate) fn record(&mut self, nanos: u64) {
        if self.histogram.record(nanos).is_err() {
            self.overflow += 1;
        }
    }

    /// Adds what another recorder counted.
    pub(crate) fn add(&mut self, other: &Self) {
        self.histogram.add(&other.histogram).expect("all recorders have the same bounds");
        self.overflow += other.overflow;
    }

    /// The plain-data form.
    pub(crate) fn summarise(&self) -> Distribution {
        Distribution::of(&self.histogram, self.overflow)
    }
}

/// Why a stored histogram could not be read back.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not base64.
    #[error("the stored histogram is not base64")]
    Base64(#[from] base64::DecodeError),
    /// Not a histogram.
    #[error("the stored bytes are no HdrHistogram: {0}")]
    Histogram(String),
}

/// A distribution of times in nanoseconds, as stored in a report: the usual figures, and the
/// histogram itself in HdrHistogram's V2 deflated form (base64, starts with `HISTFA`).
///
/// With `count` 0 every figure is 0. Percentiles of distributions are never averaged: merge the
/// histograms instead ([`Distribution::merged`]).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Distribution {
    /// Times recorded in the histogram.
    pub count: u64,
    /// Times longer than an hour, which the histogram does not hold.
    pub overflow: u64,
    /// Shortest, ns.
    pub min_ns: u64,
    /// Mean, ns.
    pub mean_ns: f64,
    /// Standard deviation, ns.
    pub stdev_ns: f64,
    /// Longest, ns.
    pub max_ns: u64,
    /// Median, ns.
    pub p50_ns: u64,
    /// 75th percentile, ns.
    pub p75_ns: u64,
    /// 90th percentile, ns.
    pub p90_ns: u64,
    /// 95th percentile, ns.
    pub p95_ns: u64,
    /// 99th percentile, ns.
    pub p99_ns: u64,
    /// 99.9th percentile, ns.
    pub p99_9_ns: u64,
    /// 99.99th percentile, ns.
    pub p99_99_ns: u64,
    /// The histogram, base64 of the V2 deflated form; empty when nothing was recorded.
    pub hdr: String,
}

impl Distribution {
    /// The stored form of `histogram` (values in nanoseconds) and its overflow count.
    #[must_use]
    pub fn of(histogram: &Histogram<u64>, overflow: u64) -> Self {
        if histogram.is_empty() {
            return Self { overflow, ..Self::default() };
        }
        let mut bytes = Vec::new();
        V2DeflateSerializer::new()
            .serialize(histogram, &mut bytes)
            .expect("writing a bounded histogram to memory cannot fail");
        let at = |quantile| histogram.value_at_quantile(quantile);
        Self {
            count: histogram.len(),
            overflow,
            min_ns: histogram.min(),
            mean_ns: histogram.mean(),
            stdev_ns: histogram.stdev(),
            max_ns: histogram.max(),
            p50_ns: at(0.5),
            p75_ns: at(0.75),
            p90_ns: at(0.9),
            p95_ns: at(0.95),
            p99_ns: at(0.99),
            p99_9_ns: at(0.999),
            p99_99_ns: at(0.9999),
            hdr: STANDARD.encode(bytes),
        }
    }

    /// The full histogram, values in nanoseconds, three significant digits.
    ///
    /// # Errors
    /// When `hdr` was damaged; never for a distribution that this crate wrote.
    pub fn histogram(&self) -> Result<Histogram<u64>, DecodeError> {
        if self.hdr.is_empty() {
            return Ok(Recorder::new().histogram);
        }
        let bytes = STANDARD.decode(&self.hdr)?;
        Deserializer::new().deserialize(&mut bytes.as_slice()).map_err(|e| DecodeError::Histogram(format!("{e:?}")))
    }

    /// One distribution of all the times in `parts`, for instance of the intervals of one stage.
    ///
    /// # Errors
    /// When a part's histogram was damaged.
    pub fn merged<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Result<Self, DecodeError> {
        let mut sum = Recorder::new();
        for part in parts {
            sum.histogram.add(part.histogram()?).map_err(|e| DecodeError::Histogram(format!("{e:?}")))?;
            sum.overflow += part.overflow;
        }
        Ok(sum.summarise())
    }

    /// True when there are enough samples to state `quantile` (0 to 1), see [`supports`].
    #[must_use]
    pub fn supports(&self, quantile: f64) -> bool {
        supports(self.count, quantile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorder(values: &[u64]) -> Recorder {
        let mut recorder = Recorder::new();
        values.iter().for_each(|v| recorder.record(*v));
        recorder
    }

    #[test]
    fn a_distribution_survives_json() {
        let values: Vec<u64> = (1..=10_000).map(|v| v * 1_000).collect();
        let stored = recorder(&values).summarise();
        assert!(stored.hdr.starts_with("HISTFA"), "{}", stored.hdr);
        let json = serde_json::to_string(&stored).unwrap();
        let read: Distribution = serde_json::from_str(&json).unwrap();
        assert_eq!(read, stored);
        let histogram = read.histogram().unwrap();
        assert_eq!(histogram.len(), 10_000);
        assert_eq!(histogram.value_at_quantile(0.99), stored.p99_ns);
        assert!(stored.p99_ns.abs_diff(9_900_000) <= 9_900, "0.1 %: {}", stored.p99_ns);
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let stored = recorder(&[5, HIGHEST_NS * 2, u64::MAX]).summarise();
        assert_eq!((stored.count, stored.overflow), (1, 2));
    }

    #[test]
    fn merging_adds_samples_and_never_averages_percentiles() {
        // 99 fast samples and 1 slow one, against 1 fast and 99 slow: the merged median is either
        // fast or slow, the mean of medians would be neither.
        let fast = recorder(&[[1_000; 99].as_slice(), &[1_000_000]].concat());
        let slow = recorder(&[[1_000_000; 99].as_slice(), &[1_000]].concat());
        let mut added = fast.clone();
        added.add(&slow);
        let merged = Distribution::merged([&fast.summarise(), &slow.summarise()]).unwrap();
        assert_eq!(merged, added.summarise());
        assert_eq!((merged.count, merged.p50_ns), (200, 1_000));
    }

    #[test]
    fn nothing_recorded_is_all_zero() {
        let empty = Recorder::new().summarise();
        assert_eq!(empty, Distribution::default());
        assert!(empty.histogram().unwrap().is_empty());
    }

    #[test]
    fn a_percentile_needs_ten_samples_beyond_it() {
        let rows = [
            (19, 0.5, false),
            (20, 0.5, true),
            (999, 0.99, false),
            (1_000, 0.99, true),
            (9_999, 0.999, false),
            (10_000, 0.999, true),
            (0, 0.5, false),
        ];
        for (count, quantile, expected) in rows {
            assert_eq!(supports(count, quantile), expected, "{count} {quantile}");
        }
        for (quantile, count) in [(0.5, 20), (0.9, 100), (0.99, 1_000), (0.999, 10_000), (0.999_99, 1_000_000)] {
            assert_eq!(needed(quantile), count, "{quantile}");
            assert!(supports(count, quantile) && !supports(count - 1, quantile), "{quantile}");
        }
    }

    #[test]
    fn damage_is_an_error() {
        let damaged = |hdr: &str| Distribution { hdr: hdr.to_owned(), ..Distribution::default() };
        assert!(matches!(damaged("%").histogram(), Err(DecodeError::Base64(_))));
        assert!(matches!(damaged("AAAA").histogram(), Err(DecodeError::Histogram(_))));
    }
}
