//! The percentile table that HdrHistogram's plotters read (`.hgrm`). Only formats.

use std::fmt::Write as _;

use crate::distribution::{DecodeError, Distribution};

/// Rows per halving of the distance to 100 %, as in HdrHistogram's own tools.
const TICKS_PER_HALF: u32 = 5;

impl Distribution {
    /// The distribution as a `.hgrm` table, values in milliseconds: four columns in each row
    /// (Value, Percentile, TotalCount, 1/(1-Percentile)), the last of which is `inf` at 100 %.
    ///
    /// # Errors
    /// When the stored histogram was damaged.
    pub fn hgrm(&self) -> Result<String, DecodeError> {
        let histogram = self.histogram()?;
        let mut text =
            format!("{:>12} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
        let mut total = 0;
        for row in histogram.iter_quantiles(TICKS_PER_HALF) {
            total += row.count_since_last_iteration();
            let quantile = row.quantile_iterated_to();
            // Rust prints the infinity of the last row as `inf`, which the plotters know.
            let _ = writeln!(
                text,
                "{:>12.6} {quantile:>14.12} {total:>10} {:>14.2}",
                row.value_iterated_to() as f64 / 1e6,
                1.0 / (1.0 - quantile),
            );
        }
        let _ =
            writeln!(text, "#[Mean    = {:>12.6}, StdDeviation   = {:>12.6}]", self.mean_ns / 1e6, self.stdev_ns / 1e6);
        let _ = writeln!(text, "#[Max     = {:>12.6}, Total count    = {:>12}]", self.max_ns as f64 / 1e6, self.count);
        // 2048 sub-buckets are what three significant digits take.
        let _ = writeln!(text, "#[Buckets = {:>12}, SubBuckets     = {:>12}]", histogram.buckets(), 2048);
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_four_columns_and_end_at_the_maximum() {
        let mut histogram = Distribution::default().histogram().unwrap();
        for value in 1..=1000u64 {
            histogram.record(value * 1_000_000).unwrap();
        }
        let text = Distribution::of(&histogram, 0).hgrm().unwrap();
        let rows: Vec<Vec<f64>> = text
            .lines()
            .skip(2)
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.split_whitespace().map(|n| n.parse().unwrap()).collect())
            .collect();
        assert!(rows.iter().all(|row| row.len() == 4), "{text}");
        assert!(rows.windows(2).all(|w| w[0][0] <= w[1][0] && w[0][2] <= w[1][2]), "{text}");
        let last = rows.last().unwrap();
        assert!((last[0] - 1000.0).abs() <= 1.0, "{last:?}");
        assert_eq!(last[1..], [1.0, 1000.0, f64::INFINITY]);
    }

    #[test]
    fn an_empty_table_is_still_one() {
        assert!(Distribution::default().hgrm().unwrap().contains("#[Max"));
    }
}
