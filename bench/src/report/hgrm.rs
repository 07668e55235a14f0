//! Histograms in HdrHistogram's percentile text form (`.hgrm`), which its plotter reads.

use std::fmt::Write as _;

use hdrhistogram::Histogram;

use super::series::Series;

/// Steps per halving of the distance to 100 %, as the Java tools use.
const TICKS: u32 = 5;

/// One file per contender and kind of load: name and text. Values are milliseconds.
pub(crate) fn files(series: &[Series]) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for one in series {
        let kinds = [("equal-load", &one.paced), ("saturated", &one.closed), ("step", &one.step)];
        for (kind, histogram) in kinds {
            if let Some(histogram) = histogram {
                files.push((format!("{kind}-{}.hgrm", one.name), text(histogram)));
            }
        }
    }
    files
}

/// Four columns: Value, Percentile, TotalCount, 1/(1-Percentile); the last one is missing where it is infinite.
fn text(histogram: &Histogram<u64>) -> String {
    let mut text = String::from("       Value     Percentile TotalCount 1/(1-Percentile)\n\n");
    // Writing to a string cannot fail.
    for step in histogram.iter_quantiles(TICKS) {
        let value = step.value_iterated_to() as f64 / 1e6;
        let quantile = step.quantile_iterated_to();
        let count = histogram.count_between(0, step.value_iterated_to());
        let _ = write!(text, "{value:12.3} {quantile:14.12} {count:10}");
        let _ = if quantile < 1.0 { writeln!(text, " {:14.2}", 1.0 / (1.0 - quantile)) } else { writeln!(text) };
    }
    let _ = writeln!(
        text,
        "#[Mean    = {:12.3}, StdDeviation   = {:12.3}]\n#[Max     = {:12.3}, Total count    = {:12}]",
        histogram.mean() / 1e6,
        histogram.stdev() / 1e6,
        histogram.max() as f64 / 1e6,
        histogram.len()
    );
    let _ = writeln!(
        text,
        "#[Buckets = {:12}, SubBuckets     = {:12}]",
        histogram.buckets(),
        histogram.distinct_values() / usize::from(histogram.buckets()).max(1)
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_four_columns_and_end_at_the_maximum() {
        let mut histogram = Histogram::<u64>::new(3).unwrap();
        for value in 1..=1000_u64 {
            histogram.record(value * 1_000_000).unwrap();
        }
        let text = text(&histogram);
        let rows: Vec<Vec<f64>> = text
            .lines()
            .skip(2)
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.split_whitespace().map(|word| word.parse().unwrap()).collect())
            .collect();
        let (last, others) = rows.split_last().unwrap();
        assert!(others.iter().all(|row| row.len() == 4), "{text}");
        assert_eq!(last.len(), 3);
        assert_eq!(last[1..], [1.0, 1000.0]);
        assert!((last[0] - 1000.0).abs() < 1.0);
        for pair in rows.windows(2) {
            assert!(pair[0][0] <= pair[1][0] && pair[0][2] <= pair[1][2]);
        }
    }
}
