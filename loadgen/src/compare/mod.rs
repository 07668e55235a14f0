//! Two reports side by side: what differs beyond what their samples leave open. Reads reports only.
//!
//! `estimate` gives each figure its range; here is which figures there are, and the verdict.

mod estimate;
mod text;

pub use estimate::Estimate;

use serde::Serialize;

use crate::distribution::DecodeError;
use crate::report::{Report, Setup};
use crate::summary::time;

const QUANTILES: [(&str, f64); 5] = [
    ("latency p50", 0.5),
    ("latency p90", 0.9),
    ("latency p95", 0.95),
    ("latency p99", 0.99),
    ("latency p99.9", 0.999),
];

/// What a figure is a figure of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Nanoseconds; less is better.
    Nanoseconds,
    /// Per second; more is better.
    PerSecond,
    /// 0 to 1; less is better.
    Share,
    /// Nanoseconds of CPU that the generator itself used: no figure of the target.
    GeneratorCpu,
}

/// What a comparison of a figure came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The samples do not tell the two apart.
    NotToldApart,
    /// The second run is better.
    Better,
    /// The second run is worse.
    Worse,
    /// It differs, and neither is better.
    Different,
}

/// One figure of both runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// What it is.
    pub name: &'static str,
    /// How it is measured.
    pub unit: Unit,
    /// In the first run.
    pub a: Estimate,
    /// In the second.
    pub b: Estimate,
    /// Second over first; for a share, second less first.
    pub change: Estimate,
    /// What that means.
    pub verdict: Verdict,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Why the two should not be compared, one sentence each.
    pub warnings: Vec<String>,
    /// The figures that both runs have enough samples for.
    pub rows: Vec<Row>,
    /// The figures that one of them has not.
    pub unsupported: Vec<&'static str>,
}

impl Comparison {
    /// Compares two runs.
    ///
    /// # Errors
    /// When a stored histogram was damaged.
    pub fn of(a: &Report, b: &Report) -> Result<Self, DecodeError> {
        let (known, unsupported): (Vec<_>, Vec<_>) =
            QUANTILES.into_iter().partition(|(_, q)| a.latency.supports(*q) && b.latency.supports(*q));
        let quantiles: Vec<f64> = known.iter().map(|(_, quantile)| *quantile).collect();
        let pairs = estimate::quantiles(a, &quantiles)?.into_iter().zip(estimate::quantiles(b, &quantiles)?);
        let times = known.iter().zip(pairs).map(|((name, _), (a, b))| row(name, Unit::Nanoseconds, a, b));
        let mut rows: Vec<Row> = times.collect();
        rows.push(row("answered", Unit::PerSecond, answered(a), answered(b)));
        rows.push(row("errors", Unit::Share, errors(a), errors(b)));
        if a.answered > 0 && b.answered > 0 {
            rows.push(row("generator CPU", Unit::GeneratorCpu, cpu(a), cpu(b)));
        }
        let unsupported = unsupported.into_iter().map(|(name, _)| name).collect();
        Ok(Self { warnings: warnings(a, b), rows, unsupported })
    }

    /// Figures of the target in which the second run is worse by more than so many percent, beyond
    /// what the samples leave open.
    pub fn regressions(&self, percent: f64) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.verdict == Verdict::Worse && row.worse_by() > percent)
    }

    /// The comparison as a table; the names are those of the two files.
    #[must_use]
    pub fn text(&self, a: (&str, &Report), b: (&str, &Report)) -> String {
        text::render(self, a, b)
    }
}

impl Row {
    /// How much worse the second run is, in percent of the first; infinite when the first had none.
    fn worse_by(&self) -> f64 {
        let (a, b) = (self.a.value, self.b.value);
        match self.unit {
            Unit::PerSecond => (1.0 - b / a) * 100.0,
            Unit::Nanoseconds | Unit::Share | Unit::GeneratorCpu => (b / a - 1.0) * 100.0,
        }
    }
}

fn row(name: &'static str, unit: Unit, a: Estimate, b: Estimate) -> Row {
    let (change, same) = match unit {
        Unit::Share => (a.difference(b), 0.0),
        Unit::Nanoseconds | Unit::PerSecond | Unit::GeneratorCpu => (a.ratio(b), 1.0),
    };
    let more = change.low > same;
    let less = change.high < same;
    let verdict = match unit {
        _ if !more && !less => Verdict::NotToldApart,
        Unit::GeneratorCpu => Verdict::Different,
        Unit::PerSecond if more => Verdict::Better,
        Unit::Nanoseconds | Unit::Share if less => Verdict::Better,
        Unit::PerSecond | Unit::Nanoseconds | Unit::Share => Verdict::Worse,
    };
    Row { name, unit, a, b, change, verdict }
}

fn answered(report: &Report) -> Estimate {
    let rate = report.answered_rate;
    // The number of an open loop's answers is set by what was due; a closed loop's is left to chance.
    let spread = if report.offered_rate.is_some() { 0.0 } else { estimate::poisson(report.answered) };
    let plain = (rate * (1.0 - spread), rate * (1.0 + spread));
    estimate::quotient(report, rate, plain, |i| i.answered as f64, |i| i.duration_s)
}

fn errors(report: &Report) -> Estimate {
    let (errors, requests) = (report.errors_total(), report.requests);
    let value = errors as f64 / requests.max(1) as f64;
    let plain = estimate::share(errors, requests);
    estimate::quotient(report, value, plain, |i| i.errors_total() as f64, |i| i.offered as f64)
}

fn cpu(report: &Report) -> Estimate {
    let value = report.threads.iter().map(|thread| thread.cpu_s).sum::<f64>() * 1e9 / report.answered as f64;
    let over = |i: &crate::report::Interval| i.thread_cpu.iter().sum::<f64>() * i.duration_s * 1e9;
    estimate::quotient(report, value, (value, value), over, |i| i.answered as f64)
}

fn warnings(a: &Report, b: &Report) -> Vec<String> {
    let mut warnings = Vec::new();
    for (name, report) in [("A", a), ("B", b)] {
        if report.interrupted {
            warnings.push(format!("{name} was interrupted after {:.2} s", report.duration_s));
        }
        warnings.extend(report.validity.iter().map(|reason| format!("{name} is INVALID: {reason}")));
        if report.intervals.iter().filter(|interval| interval.latency.count > 0).count() < 8 {
            warnings.push(format!(
                "{name} has fewer than 8 intervals: its ranges take requests as independent and may be too narrow"
            ));
        }
    }
    if a.generator != b.generator {
        warnings.push(format!("different generators: {} and {}", a.generator, b.generator));
    }
    warnings.extend(differences(&a.setup, &b.setup));
    warnings
}

/// The fields in which the setups differ. The target is what one compares; its address may.
fn differences(a: &Setup, b: &Setup) -> Vec<String> {
    let fields = |setup: &Setup| match serde_json::to_value(setup) {
        Ok(serde_json::Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let (a, b) = (fields(a), fields(b));
    a.iter()
        .filter(|(name, _)| *name != "address")
        .filter_map(|(name, value)| {
            let other = b.get(name).unwrap_or(&serde_json::Value::Null);
            // What a load is does not fit into a line; the table's heading says it in words.
            let words = if name == "load" { String::new() } else { format!(": {value} and {other}") };
            (value != other).then(|| format!("different {name}{words}"))
        })
        .collect()
}

impl Unit {
    /// A value in words.
    pub(crate) fn shown(self, value: f64) -> String {
        match self {
            Self::Nanoseconds | Self::GeneratorCpu => time(value),
            Self::PerSecond => format!("{value:.1}/s"),
            Self::Share => format!("{:.3} %", value * 100.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Distribution;
    use crate::error::ErrorKind;
    use crate::report::tests::{interval, report};

    /// Twenty seconds of 100 answers each, spread evenly from `shortest` over a millisecond.
    fn run(shortest: u64, failures: u64) -> Report {
        let mut report = report();
        let second: Vec<u64> = (0..100).map(|answer| shortest + answer * 10_000).collect();
        report.intervals = (0..20).map(|at| interval(f64::from(at), &second)).collect();
        report.latency = Distribution::merged(report.intervals.iter().map(|i| &i.latency)).unwrap();
        (report.requests, report.answered) = (2000 + failures, 2000);
        report.errors = [(ErrorKind::Timeout, failures)].into();
        for interval in &mut report.intervals {
            interval.errors = [(ErrorKind::Timeout, failures / 20)].into();
        }
        report
    }

    fn verdict(comparison: &Comparison, name: &str) -> Verdict {
        comparison.rows.iter().find(|row| row.name == name).unwrap().verdict
    }

    #[test]
    fn a_run_does_not_differ_from_itself() {
        let comparison = Comparison::of(&run(5_000_000, 40), &run(5_000_000, 40)).unwrap();
        assert!(comparison.rows.iter().all(|row| row.verdict == Verdict::NotToldApart), "{comparison:#?}");
        assert_eq!(comparison.warnings, Vec::<String>::new());
        assert_eq!(comparison.unsupported, ["latency p99.9"], "2,000 answers do not carry it");
    }

    #[test]
    fn what_is_slower_is_worse_and_fails_the_gate() {
        let comparison = Comparison::of(&run(5_000_000, 0), &run(6_000_000, 200)).unwrap();
        for name in ["latency p50", "latency p99", "errors"] {
            assert_eq!(verdict(&comparison, name), Verdict::Worse, "{name}: {comparison:#?}");
        }
        let names = |percent| comparison.regressions(percent).map(|row| row.name).collect::<Vec<_>>();
        assert!(names(5.0).contains(&"latency p50"));
        // 18 % slower is within 30 %; from no errors to some is always beyond.
        assert_eq!(names(30.0), ["errors"]);
        let back = Comparison::of(&run(6_000_000, 200), &run(5_000_000, 0)).unwrap();
        assert_eq!(verdict(&back, "latency p50"), Verdict::Better);
        assert_eq!(back.regressions(0.0).count(), 0);
    }

    #[test]
    fn a_difference_that_chance_can_make_is_none() {
        // A tenth of a millisecond of a spread of one, by a hundred answers.
        let few = |shortest: u64| {
            let mut report = run(shortest, 0);
            report.intervals.truncate(1);
            report.latency = report.intervals[0].latency.clone();
            report
        };
        let comparison = Comparison::of(&few(5_000_000), &few(5_020_000)).unwrap();
        assert_eq!(verdict(&comparison, "latency p50"), Verdict::NotToldApart, "{comparison:#?}");
        assert!(comparison.warnings[0].starts_with("A has fewer than 8 intervals"), "{:?}", comparison.warnings);
    }

    #[test]
    fn setups_that_differ_and_invalid_runs_are_warned_about() {
        let (a, mut b) = (run(5_000_000, 0), run(5_000_000, 0));
        b.setup.connections = 7;
        b.setup.address = "127.0.0.1:9".to_owned();
        b.validity = vec!["the reason".to_owned()];
        let warnings = Comparison::of(&a, &b).unwrap().warnings;
        assert_eq!(warnings, ["B is INVALID: the reason", "different connections: 64 and 7"]);
    }
}
