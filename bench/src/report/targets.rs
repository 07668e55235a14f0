//! The targets of the request path and of the process manager: what they are meant to reach, and whether they did in
//! this session.
//!
//! A target against another server is judged by the interval of the ratio over server starts; one by itself by every
//! single start or, where the starts differ, by the interval of their mean. Where that decides nothing, the target is
//! undecided; it is never rounded to a yes.

use serde::{Deserialize, Serialize};

use super::format::{self, number};
use super::summary::{Figure, Summary};
use crate::scenario::Group;
use crate::search;
use crate::stats::{self, Ratio};

/// Ours, whose targets they are: of the request path, and of the process manager.
const ONE: &str = "smarthttpd-one";
const ADAPTIVE: &str = "smarthttpd-adaptive";

/// One row of the table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Target {
    /// The id of the figure.
    pub(crate) id: String,
    /// What was looked at.
    pub(crate) figure: String,
    pub(crate) ours: String,
    /// Who it is compared with, and that one's figure; empty for a target by itself.
    pub(crate) against: String,
    /// Ours over theirs with its interval.
    pub(crate) ratio: String,
    /// In words: `≤ 0.85 × the better of bjoern, fastpysgi`.
    pub(crate) wanted: String,
    pub(crate) verdict: Verdict,
    /// Why, where the ratio does not say it.
    pub(crate) because: String,
}

/// What came of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Met,
    Missed,
    /// Measured, but not often enough, not validly, or on both sides of the line.
    Undecided,
    NotMeasured,
}

impl Verdict {
    /// As the report says it.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "missed",
            Self::Undecided => "undecided",
            Self::NotMeasured => "not measured",
        }
    }
}

/// What is wanted of a figure.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Wanted {
    /// At most this many times that of the better of these contenders (the lower figure).
    AtMostTimes(f64, &'static [&'static str]),
    /// At least this many times that of the better of these contenders (the higher figure).
    AtLeastTimes(f64, &'static [&'static str]),
    /// At most this many times that of the best fixed size (the lowest figure).
    AtMostTimesBestSize(f64),
    AtMost(f64),
    Between(f64, f64),
}

/// Every target: a figure's id, whose figure is meant, and what is wanted of it.
const TARGETS: &[(&str, &str, Wanted)] = &[
    ("hello_cpu", ONE, Wanted::AtMostTimes(0.85, &["bjoern", "fastpysgi"])),
    ("hello_p50", ONE, Wanted::AtMostTimes(1.15, &["floor"])),
    ("flask_cpu", ONE, Wanted::AtMostTimes(0.97, &["bjoern"])),
    ("small_up_per_cpu", ONE, Wanted::AtLeastTimes(1.0, &["bjoern", "granian"])),
    ("large_up_per_cpu", ONE, Wanted::AtLeastTimes(1.0, &["bjoern", "granian"])),
    ("small_down_per_cpu", ONE, Wanted::AtLeastTimes(1.0, &["bjoern", "granian"])),
    ("large_down_per_cpu", ONE, Wanted::AtLeastTimes(1.0, &["bjoern", "granian"])),
    ("file_rate", ONE, Wanted::AtLeastTimes(0.9, &["nginx-static"])),
    ("calls", ONE, Wanted::AtMost(2.2)),
    ("calls_traced", ONE, Wanted::AtMost(2.2)),
    ("blocked_p99", ONE, Wanted::AtMost(5.0)),
    // The call takes a second: who waited for it would have waited about that long.
    ("spinning_longest", ONE, Wanted::AtMost(500.0)),
    ("accepting_longest", ONE, Wanted::AtMost(500.0)),
    ("computing_threads", ONE, Wanted::Between(0.0, 1.0)),
    // 400/s × 50 ms keep 20 calls in progress; about 25 threads carry them.
    ("blocking_threads", ONE, Wanted::Between(19.0, 31.0)),
    ("idle_memory", ONE, Wanted::AtMost(4.0)),
    // A clock tick more or less in five seconds is 2 ms/s.
    ("idle_cpu", ONE, Wanted::AtMost(2.1)),
    ("busy_p50_ratio", ONE, Wanted::AtMost(1.1)),
    ("busy_p99_ratio", ONE, Wanted::AtMost(1.25)),
    ("manager_burst_p99", ADAPTIVE, Wanted::AtMost(100.0)),
    // The seconds of the burst are looked at one by one: only the first may be a bad one.
    ("manager_recovery", ADAPTIVE, Wanted::AtMost(1.0)),
    ("manager_worker_seconds", ADAPTIVE, Wanted::AtMostTimes(0.2, &["apache-prefork"])),
    ("manager_settling", ADAPTIVE, Wanted::AtMost(10.0)),
    ("manager_turns", ADAPTIVE, Wanted::AtMost(1.0)),
    ("compute_workers", ADAPTIVE, Wanted::Between(1.0, 1.0)),
    // A worker has one thread for calls when it is at rest, so that it may have two.
    ("compute_threads", ADAPTIVE, Wanted::Between(0.0, 1.0)),
    ("mixed_p99", ADAPTIVE, Wanted::AtMostTimesBestSize(1.1)),
    ("spawn_p99", "smarthttpd-spawning", Wanted::AtMost(10.0)),
    ("memory_fresh", "smarthttpd-shrinking", Wanted::AtMost(3.0)),
    ("memory_used", "smarthttpd-shrinking", Wanted::AtMost(3.0)),
];

/// Judges every target whose figure is in one of the tables.
pub(crate) fn judge(summary: &Summary, seed: u64) -> Vec<Target> {
    TARGETS
        .iter()
        .filter_map(|(id, of, wanted)| {
            let (table, row) =
                summary.tables.iter().find_map(|table| Some((table, table.rows.iter().find(|row| row.id == *id)?)))?;
            let ours = summary.figure(id, of)?;
            let mut target = Target {
                id: (*id).into(),
                figure: format!("{}: {}", table.scenario.name(), row.label),
                ours: format::with_unit(ours, &row.unit),
                against: String::new(),
                ratio: String::new(),
                wanted: told(*wanted, &row.unit),
                verdict: Verdict::NotMeasured,
                because: String::new(),
            };
            match wanted {
                Wanted::AtMost(most) => alone(&mut target, ours, f64::NEG_INFINITY, *most, seed),
                Wanted::Between(least, most) => alone(&mut target, ours, *least, *most, seed),
                Wanted::AtMostTimes(factor, rivals) | Wanted::AtLeastTimes(factor, rivals) => {
                    let lower = matches!(wanted, Wanted::AtMostTimes(..));
                    let figures: Vec<(&str, &Figure)> =
                        rivals.iter().filter_map(|name| Some((*name, summary.figure(id, name)?))).collect();
                    against(&mut target, ours, &figures, lower, *factor, (&row.unit, seed));
                }
                Wanted::AtMostTimesBestSize(factor) => {
                    let sizes = table.contenders.iter().zip(&row.figures);
                    let figures: Vec<(&str, &Figure)> = sizes
                        .filter(|(column, _)| column.name.starts_with(search::GRID))
                        .map(|(column, figure)| (column.name.as_str(), figure))
                        .collect();
                    against(&mut target, ours, &figures, true, *factor, (&row.unit, seed));
                }
            }
            Some(target)
        })
        .collect()
}

/// Of what these are the targets, in words.
pub(crate) fn of_what(summary: &Summary) -> &'static str {
    let has = |group| summary.tables.iter().any(|table| table.scenario.group() == group);
    match (has(Group::RequestPath), has(Group::ProcessManager)) {
        (true, true) => "the request path and the process manager",
        (false, true) => "the process manager",
        _ => "the request path",
    }
}

/// What is wanted, in words.
fn told(wanted: Wanted, unit: &str) -> String {
    let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
    let times = |sign: &str, factor: f64, rivals: &[&str]| match rivals {
        [one] => format!("{sign} {} × {one}", number(factor)),
        _ => format!("{sign} {} × the better of {}", number(factor), rivals.join(", ")),
    };
    match wanted {
        Wanted::AtMostTimes(factor, rivals) => times("≤", factor, rivals),
        Wanted::AtLeastTimes(factor, rivals) => times("≥", factor, rivals),
        Wanted::AtMostTimesBestSize(factor) => format!("≤ {} × the best fixed size", number(factor)),
        Wanted::AtMost(most) => format!("≤ {}{unit}", number(most)),
        Wanted::Between(least, most) => format!("{} to {}{unit}", number(least), number(most)),
    }
}

/// Judges a target by itself: every start within the bounds, or the whole interval of the mean.
fn alone(target: &mut Target, ours: &Figure, least: f64, most: f64, seed: u64) {
    let (replicates, invalid, beyond) = match ours {
        Figure::Measured { replicates, invalid, beyond, .. } => (replicates, *invalid, *beyond),
        Figure::NotMeasured { reason } => {
            target.because = reason.clone();
            return;
        }
    };
    let within = replicates.iter().filter(|value| (least..=most).contains(*value)).count();
    let all = replicates.len();
    (target.verdict, target.because) = if invalid > 0 {
        (Verdict::Undecided, format!("{invalid} of {all} runs INVALID"))
    } else if all < stats::FEWEST {
        (Verdict::Undecided, format!("{within} of {all} within, and {} starts are needed", stats::FEWEST))
    } else if beyond && within > 0 {
        // Some are only bounds: what is below the line now may have gone above it.
        (Verdict::Undecided, "a run ended before it happened".into())
    } else if within == all {
        (Verdict::Met, String::new())
    } else if within == 0 {
        (Verdict::Missed, String::new())
    } else {
        let split = format!("{within} of {all} starts within");
        match stats::mean_interval(replicates, seed) {
            None => (Verdict::Undecided, split),
            Some((low, high)) => {
                let verdict = if low >= least && high <= most {
                    Verdict::Met
                } else if high < least || low > most {
                    Verdict::Missed
                } else {
                    Verdict::Undecided
                };
                (verdict, format!("{split}, mean {}–{}", number(low), number(high)))
            }
        }
    };
}

/// Judges a target against the better of some rivals.
fn against(
    target: &mut Target,
    ours: &Figure,
    rivals: &[(&str, &Figure)],
    lower: bool,
    factor: f64,
    (unit, seed): (&str, u64),
) {
    let mut absent = Vec::new();
    let mut best: Option<(&str, &Figure, f64)> = None;
    for &(name, figure) in rivals {
        match figure.exact() {
            None => absent.push(name),
            Some(value) if best.is_none_or(|(_, _, other)| (value < other) == lower) => {
                best = Some((name, figure, value));
            }
            Some(_) => {}
        }
    }
    if !absent.is_empty() {
        target.because = format!("without {}, not measured", absent.join(", "));
    }
    if let Figure::NotMeasured { reason } = ours {
        target.because = reason.clone();
        return;
    }
    let Some((name, rival, _)) = best else {
        if absent.is_empty() {
            target.because = "nobody to compare with took part".into();
        }
        return;
    };
    target.against = format!("{name} {}", format::with_unit(rival, unit));
    let (Figure::Measured { replicates: own, invalid: a, .. }, Figure::Measured { replicates: theirs, invalid: b, .. }) =
        (ours, rival)
    else {
        return;
    };
    let mut ratio = stats::ratio(own, theirs, seed);
    if a + b > 0 {
        ratio.interval = None;
        ratio.note = Some(format!("{} INVALID, no interval", a + b));
    }
    target.verdict = judged(&ratio, lower, factor);
    target.ratio = format::ratio(&ratio);
}

/// Where the interval of a ratio lies.
fn judged(ratio: &Ratio, lower: bool, factor: f64) -> Verdict {
    match ratio.interval {
        None => Verdict::Undecided,
        Some((_, high)) if lower && high <= factor => Verdict::Met,
        Some((low, _)) if lower && low > factor => Verdict::Missed,
        Some((low, _)) if !lower && low >= factor => Verdict::Met,
        Some((_, high)) if !lower && high < factor => Verdict::Missed,
        Some(_) => Verdict::Undecided,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contender::spec;
    use crate::report::metrics;

    fn figure(replicates: &[f64], invalid: u32) -> Figure {
        let value = stats::median(replicates).unwrap();
        Figure::Measured { value, beyond: false, replicates: replicates.to_vec(), invalid, ratio: None }
    }

    fn missing() -> Figure {
        Figure::NotMeasured { reason: "not installed".into() }
    }

    fn blank() -> Target {
        Target {
            id: "x".into(),
            figure: "x".into(),
            ours: String::new(),
            against: String::new(),
            ratio: String::new(),
            wanted: String::new(),
            verdict: Verdict::NotMeasured,
            because: String::new(),
        }
    }

    #[test]
    fn targets_name_what_there_is() {
        let contenders = spec::all().unwrap();
        for (id, of, wanted) in TARGETS {
            let metric = metrics::all().find(|metric| metric.id == *id).unwrap_or_else(|| panic!("no figure {id}"));
            let scenario = metric.part.scenario().expect("targets are of scenarios that are code");
            let takes_part = |name: &str| contenders.iter().any(|c| c.name == name && c.scenarios.contains(&scenario));
            assert!(takes_part(of), "{id}");
            if let Wanted::AtMostTimes(_, rivals) | Wanted::AtLeastTimes(_, rivals) = wanted {
                assert!(rivals.iter().all(|name| takes_part(name)), "{id}: {rivals:?}");
            }
        }
    }

    #[test]
    fn a_target_by_itself_is_judged_by_its_starts() {
        let rows = [
            (figure(&[1.0, 2.0, 2.2], 0), Verdict::Met),
            (figure(&[3.0, 4.0, 5.0], 0), Verdict::Missed),
            // The median is within, one start is not.
            (figure(&[1.0, 2.0, 5.0], 0), Verdict::Undecided),
            // Where the starts differ, the interval of their mean decides.
            (figure(&[2.0, 2.1, 2.0, 2.05, 2.1, 2.0, 2.1, 2.25], 0), Verdict::Met),
            (figure(&[2.4, 2.5, 2.4, 2.45, 2.5, 2.4, 2.4, 2.15], 0), Verdict::Missed),
            // A mean of logarithms there is of positive figures only.
            (figure(&[-1.0, 2.0, 3.0], 0), Verdict::Undecided),
            (figure(&[1.0, 1.0], 0), Verdict::Undecided),
            (figure(&[1.0, 1.0, 1.0], 1), Verdict::Undecided),
            (missing(), Verdict::NotMeasured),
        ];
        for (ours, expected) in rows {
            let mut target = blank();
            alone(&mut target, &ours, 0.0, 2.2, 1);
            assert_eq!(target.verdict, expected, "{ours:?}");
        }
    }

    #[test]
    fn a_bound_below_the_line_decides_nothing() {
        let bounds = |replicates: &[f64]| Figure::Measured {
            value: replicates[0],
            beyond: true,
            replicates: replicates.to_vec(),
            invalid: 0,
            ratio: None,
        };
        let rows = [
            (bounds(&[3.0, 3.0, 3.0]), Verdict::Undecided),
            (bounds(&[2.0, 12.0, 12.0]), Verdict::Undecided),
            (bounds(&[12.0, 12.0, 12.0]), Verdict::Missed),
        ];
        for (ours, expected) in rows {
            let mut target = blank();
            alone(&mut target, &ours, f64::NEG_INFINITY, 10.0, 1);
            assert_eq!(target.verdict, expected, "{ours:?}");
        }
    }

    #[test]
    fn a_comparison_is_judged_by_the_interval_against_the_better_rival() {
        let ours = figure(&[10.0, 10.1, 9.9], 0);
        let (near, far) = (figure(&[12.5, 12.6, 12.4], 0), figure(&[20.0, 20.1, 19.9], 0));
        // (ours, rivals, lower is better, factor, verdict, compared with)
        type Row<'a> = (&'a Figure, Vec<(&'a str, &'a Figure)>, bool, f64, Verdict, &'a str);
        let absent = missing();
        let invalid = figure(&[12.5, 12.6, 12.4], 1);
        let rows: Vec<Row<'_>> = vec![
            (&ours, vec![("a", &far), ("b", &near)], true, 0.85, Verdict::Met, "b 12.5 µs"),
            (&ours, vec![("a", &far), ("b", &near)], true, 0.7, Verdict::Missed, "b 12.5 µs"),
            (&ours, vec![("b", &near)], true, 0.8, Verdict::Undecided, "b 12.5 µs"),
            // Of throughputs the higher one is the better.
            (&near, vec![("a", &ours), ("b", &far)], false, 0.5, Verdict::Met, "b 20 µs"),
            (&near, vec![("a", &ours), ("b", &far)], false, 1.0, Verdict::Missed, "b 20 µs"),
            (&ours, vec![("a", &absent), ("b", &near)], true, 0.85, Verdict::Met, "b 12.5 µs"),
            (&ours, vec![("a", &absent)], true, 0.85, Verdict::NotMeasured, ""),
            (&absent, vec![("b", &near)], true, 0.85, Verdict::NotMeasured, ""),
            (&ours, vec![("b", &invalid)], true, 0.85, Verdict::Undecided, "b 12.5 µs"),
        ];
        for (ours, rivals, lower, factor, verdict, compared) in rows {
            let mut target = blank();
            against(&mut target, ours, &rivals, lower, factor, ("µs", 1));
            assert_eq!((target.verdict, target.against.as_str()), (verdict, compared), "{target:?}");
        }
    }

    #[test]
    fn what_is_wanted_is_told() {
        assert_eq!(told(Wanted::AtMostTimes(0.85, &["a", "b"]), "µs"), "≤ 0.850 × the better of a, b");
        assert_eq!(told(Wanted::AtLeastTimes(0.9, &["a"]), "MiB"), "≥ 0.900 × a");
        assert_eq!(told(Wanted::AtMostTimesBestSize(1.1), "ms"), "≤ 1.10 × the best fixed size");
        assert_eq!(told(Wanted::AtMost(2.2), ""), "≤ 2.20");
        assert_eq!(told(Wanted::Between(19.0, 31.0), ""), "19 to 31");
    }
}
