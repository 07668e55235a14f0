//! The answer in a few sentences with figures, the unflattering ones included.

use super::super::format::{self, Standing, number};
use super::super::summary::{Column, Figure, Summary, Table};
use super::super::targets::Verdict;
use crate::scenario::{Group, Scenario};

/// Ours against the one that matters most: Apache where it was measured, else whoever is last.
pub(crate) fn sentences(summary: &Summary) -> Vec<String> {
    let Some(table) = summary.tables.first() else {
        return vec!["Nothing was measured.".into()];
    };
    if table.scenario.group() == Group::OfferedLoad {
        return offered_load(summary);
    }
    if table.scenario == Scenario::Tune {
        return table.notes.iter().map(|note| format!("{note}.")).collect();
    }
    if !table.scenario.is_comparison() {
        return match summary.targets.is_empty() {
            true => vec!["Counted and measured without a comparison to judge: the figures stand below.".into()],
            false => vec![targets(summary)],
        };
    }
    let Some((ours, rival)) = opponents(table) else {
        return vec!["One contender was measured; there is nothing to compare it with.".into()];
    };
    let figure = |id: &str, of: &Column| summary.figure(id, &of.name);
    let mut sentences = Vec::new();
    let both = |id| Some((figure(id, ours)?, figure(id, rival)?));
    if let Some((a, b)) = both("throughput") {
        let mut sentence = format!(
            "Saturated, {} answers {} and {} {}",
            ours.title,
            format::with_unit(a, "requests/s"),
            rival.title,
            format::with_unit(b, "requests/s"),
        );
        if let Some((a, b)) = both("cpu_per_request") {
            sentence += &format!(
                "; a request costs {} of CPU against {}",
                format::with_unit(a, "µs"),
                format::with_unit(b, "µs")
            );
        }
        sentences.push(sentence + ".");
    }
    if let Some((a, b)) = both("recovery") {
        let mut sentence = format!(
            "After a step of load {} is back within the objective {} and {} {}",
            ours.title,
            recovery(a),
            rival.title,
            recovery(b)
        );
        if let (Some(a), Some(b)) = (figure("worker_seconds", ours), figure("worker_seconds", rival)) {
            sentence += &format!(", at {} worker-seconds against {}", format::figure(a), format::figure(b));
        }
        sentences.push(sentence + ".");
    }
    sentences.push(drawbacks(summary, ours, rival));
    sentences
}

/// How much each contender bears.
fn offered_load(summary: &Summary) -> Vec<String> {
    let figures = [
        ("curve_knee", "The knee, beyond which latency grows faster than throughput, is at"),
        ("capacity", "Within the objective is what is offered up to"),
    ];
    let mut sentences = Vec::new();
    for (id, what) in figures {
        let found = summary.tables.iter().find_map(|table| {
            let row = table.rows.iter().find(|row| row.id == id)?;
            Some(table.contenders.iter().zip(&row.figures).map(|(column, figure)| match figure {
                Figure::Measured { .. } => format!("{} for {}", format::figure(figure), column.title),
                Figure::NotMeasured { .. } => format!("a rate that was not found for {}", column.title),
            }))
        });
        if let Some(found) = found {
            sentences.push(format!("{what} (requests/s): {}.", found.collect::<Vec<_>>().join(", ")));
        }
    }
    sentences
}

/// How many targets were reached, and which were not.
fn targets(summary: &Summary) -> String {
    let of = |verdict: Verdict| -> Vec<&str> {
        summary.targets.iter().filter(|target| target.verdict == verdict).map(|target| target.figure.as_str()).collect()
    };
    let mut sentence = format!("{} of {} targets are met", of(Verdict::Met).len(), summary.targets.len());
    for verdict in [Verdict::Missed, Verdict::Undecided, Verdict::NotMeasured] {
        let figures = of(verdict);
        if !figures.is_empty() {
            sentence += &format!("; {}: {}", verdict.words(), figures.join(", "));
        }
    }
    sentence + "."
}

/// The first contender, and Apache prefork or else the last one.
fn opponents(table: &Table) -> Option<(&Column, &Column)> {
    let (ours, others) = table.contenders.split_first()?;
    let rival = others.iter().find(|column| column.name == "apache-prefork").or(others.last())?;
    Some((ours, rival))
}

fn recovery(figure: &Figure) -> String {
    match figure {
        Figure::Measured { value, beyond: true, .. } => {
            format!("not within the {} s of the burst", number(*value))
        }
        Figure::Measured { value: 0.0, .. } => "at once".into(),
        Figure::Measured { value, .. } => format!("after {} s", number(*value)),
        Figure::NotMeasured { .. } => "(not measured)".into(),
    }
}

/// Where the rival is better: with an interval that shows it, or, in single runs, simply by its figure.
fn drawbacks(summary: &Summary, ours: &Column, rival: &Column) -> String {
    let mut shown = Vec::new();
    let mut hinted = Vec::new();
    for table in &summary.tables {
        for row in &table.rows {
            let (Some(a), Some(b)) = (summary.figure(&row.id, &ours.name), summary.figure(&row.id, &rival.name)) else {
                continue;
            };
            let Figure::Measured { ratio: Some(ratio), .. } = b else {
                continue;
            };
            let figures = format!(
                "{} ({} against {})",
                row.label,
                format::with_unit(a, &row.unit),
                format::with_unit(b, &row.unit)
            );
            match (format::standing(row, b), ratio.differs(), ratio.value) {
                (Standing::Better, _, _) => shown.push(figures),
                (_, None, Some(value)) if value != 1.0 && (value > 1.0) == (row.better == super::Better::Higher) => {
                    hinted.push(figures);
                }
                _ => {}
            }
        }
    }
    match (shown.is_empty(), hinted.is_empty()) {
        (true, true) => format!("In none of the figures below is {} better.", rival.title),
        (false, true) => format!("{} is better in {}.", rival.title, shown.join(", ")),
        (true, false) => format!("{} is better, in single runs, in {}.", rival.title, hinted.join(", ")),
        (false, false) => {
            format!("{} is better in {}; and, in single runs, in {}.", rival.title, shown.join(", "), hinted.join(", "))
        }
    }
}
