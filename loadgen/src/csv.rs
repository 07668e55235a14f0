//! A report's intervals as a table of comma-separated values. Only formats.
//!
//! Every value is a number, so nothing is ever quoted.

use std::fmt::Write as _;

use crate::distribution::Distribution;
use crate::error::ErrorKind;
use crate::measures::MEASURES;
use crate::report::{Interval, Report};

/// A figure of a distribution, and its name.
type Figure = (&'static str, fn(&Distribution) -> u64);

/// Those that get a column.
const FIGURES: [Figure; 8] = [
    ("count", |d| d.count),
    ("min_ns", |d| d.min_ns),
    ("p50_ns", |d| d.p50_ns),
    ("p90_ns", |d| d.p90_ns),
    ("p95_ns", |d| d.p95_ns),
    ("p99_ns", |d| d.p99_ns),
    ("p99_9_ns", |d| d.p99_9_ns),
    ("max_ns", |d| d.max_ns),
];

/// A column: its heading, and an interval's value.
type Column = (String, Box<dyn Fn(&Interval) -> String>);

impl Report {
    /// One line per interval under a line of headings (RFC 4180). Times are seconds (`_s`) or
    /// nanoseconds (`_ns`); a percentile of an interval in which nothing was recorded is empty.
    #[must_use]
    pub fn csv(&self) -> String {
        let columns = columns();
        let mut text = columns.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(",");
        text.push_str("\r\n");
        for interval in &self.intervals {
            let values: Vec<String> = columns.iter().map(|(_, value)| value(interval)).collect();
            let _ = write!(text, "{}\r\n", values.join(","));
        }
        text
    }
}

fn columns() -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::new();
    let mut column = |name: &str, value: Box<dyn Fn(&Interval) -> String>| columns.push((name.to_owned(), value));
    column("start_s", Box::new(|i| format!("{:.6}", i.start_s)));
    column("duration_s", Box::new(|i| format!("{:.6}", i.duration_s)));
    column("drain", Box::new(|i| u8::from(i.drain).to_string()));
    column("offered", Box::new(|i| i.offered.to_string()));
    column("offered_rate", Box::new(|i| format!("{:.3}", i.offered_rate)));
    column("started", Box::new(|i| i.started.to_string()));
    column("answered", Box::new(|i| i.answered.to_string()));
    column("answered_rate", Box::new(|i| format!("{:.3}", i.answered_rate)));
    column("queued", Box::new(|i| i.queued.to_string()));
    column("in_flight", Box::new(|i| i.in_flight.to_string()));
    column("connections", Box::new(|i| i.connections.to_string()));
    column("connects", Box::new(|i| i.connects.to_string()));
    column("reconnects", Box::new(|i| i.reconnects.to_string()));
    for class in 1..=5 {
        let count = move |i: &Interval| i.statuses.range(class * 100..(class + 1) * 100).map(|(_, n)| n).sum::<u64>();
        column(&format!("status_{class}xx"), Box::new(move |i| count(i).to_string()));
    }
    column("errors", Box::new(|i| i.errors_total().to_string()));
    // The statuses that are errors as well have their columns already.
    for kind in ErrorKind::ALL.into_iter().filter(|kind| !kind.is_answer()) {
        let count = move |i: &Interval| i.errors.get(&kind).copied().unwrap_or(0).to_string();
        column(&format!("error_{}", key(kind)), Box::new(count));
    }
    for measure in MEASURES {
        for (name, figure) in FIGURES {
            let value = move |i: &Interval| match measure.within(i) {
                Some(times) if name == "count" || times.count > 0 => figure(times).to_string(),
                _ => String::new(),
            };
            column(&format!("{}_{name}", measure.key), Box::new(value));
        }
    }
    column("generator_cpu", Box::new(|i| format!("{:.4}", i.thread_cpu.iter().sum::<f64>())));
    columns
}

/// The kind as the JSON report spells it.
fn key(kind: ErrorKind) -> String {
    match serde_json::to_value(kind) {
        Ok(serde_json::Value::String(name)) => name,
        other => unreachable!("a kind without data is a string: {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{interval, report};

    #[test]
    fn a_line_per_interval_with_as_many_fields_as_headings() {
        let mut report = report();
        report.intervals = vec![interval(0.0, &[1_000_000, 3_000_000]), interval(1.0, &[])];
        report.intervals[1].errors.insert(ErrorKind::Timeout, 4);
        let text = report.csv();
        let rows: Vec<Vec<&str>> = text.split_terminator("\r\n").map(|line| line.split(',').collect()).collect();
        assert_eq!(rows.len(), 3);
        assert!(rows.iter().all(|row| row.len() == rows[0].len()), "{text}");
        let at = |row: usize, name: &str| rows[row][rows[0].iter().position(|heading| *heading == name).unwrap()];
        assert_eq!((at(1, "answered"), at(1, "status_2xx"), at(1, "latency_count")), ("2", "2", "2"));
        let shortest: f64 = at(1, "latency_min_ns").parse().unwrap();
        assert!((shortest / 1e6 - 1.0).abs() < 1e-3, "{shortest}");
        assert_eq!((at(2, "start_s"), at(2, "errors"), at(2, "error_timeout")), ("1.000000", "4", "4"));
        assert_eq!((at(2, "latency_count"), at(2, "latency_p99_ns")), ("0", ""), "nothing was measured, not 0 ns");
    }
}
