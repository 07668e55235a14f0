//! The answer in a few sentences with figures, the unflattering ones included.

use super::super::claims;
use super::super::format::{self, Standing, number};
use super::super::metrics::Better;
use super::super::summary::{Column, Figure, Row, Summary, Table};
use super::super::targets::Verdict;
use crate::scenario::{Group, Scenario};
use crate::stats::Ratio;

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
    if table.scenario.is_described() {
        return described(summary);
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
        if let Some(best) = at_its_best(summary, rival, "throughput") {
            sentence += &format!("; with the best setting tried {} answers {}", rival.title, format::figure(best));
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
        let best = |id| at_its_best(summary, rival, id);
        if let (Some(a), Some(b)) = (best("recovery"), best("worker_seconds")) {
            sentence += &format!(
                "; with the best setting tried {}: {}, at {} worker-seconds",
                rival.title,
                recovery(a),
                format::figure(b)
            );
        }
        sentences.push(sentence + ".");
    }
    sentences.push(drawbacks(summary, ours, rival));
    sentences
}

/// A figure of a contender with the best of the settings that were tried for it, where that is not how it comes.
fn at_its_best<'a>(summary: &'a Summary, contender: &Column, id: &str) -> Option<&'a Figure> {
    summary.tables.iter().filter(|table| table.is_tuned()).find_map(|table| {
        let column = table.contenders.iter().position(|column| column.of.as_ref() == Some(&contender.name))?;
        table.rows.iter().find(|row| row.id == id)?.figures.get(column)
    })
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

/// A sentence for each scenario of a file, or the sum of them where there are many; and where the rival is better.
fn described(summary: &Summary) -> Vec<String> {
    const FEW: usize = 4;
    let Some((ours, rival)) = summary.tables.first().and_then(opponents) else {
        return vec!["One contender was measured; there is nothing to compare it with.".into()];
    };
    let mut sentences: Vec<String> = if summary.tables.len() <= FEW {
        summary.tables.iter().filter_map(|table| scenario(table, ours, rival)).collect()
    } else {
        vec![sum(summary, ours, rival)]
    };
    sentences.push(drawbacks(summary, ours, rival));
    sentences
}

/// What one scenario is about, of both, as far as both were measured; the median where a p99 was not.
fn scenario(table: &Table, ours: &Column, rival: &Column) -> Option<String> {
    const ABOUT: [&str; 5] =
        ["described_throughput", "described_p99", "described_missed", "described_lost", "described_back"];
    let measured = |(_, a, b): &(&Row, &Figure, &Figure)| {
        [a, b].into_iter().all(|figure| matches!(figure, Figure::Measured { .. }))
    };
    let pairs: Vec<_> = pairs(table, ours, rival).filter(measured).collect();
    let has_p99 = pairs.iter().any(|(row, ..)| row.id == "described_p99");
    let is_about = |id: &str| ABOUT.contains(&id) || (id == "described_p50" && !has_p99);
    let told = pairs.iter().filter(|(row, ..)| is_about(&row.id));
    let figures: Vec<String> = told.map(|(row, a, b)| told_of(row, a, b)).collect();
    let (who, whom) = (&ours.title, &rival.title);
    (!figures.is_empty()).then(|| format!("{}, {who} against {whom}: {}.", table.scenario.name(), figures.join("; ")))
}

/// `p99 1.2 ms against 3.4`.
fn told_of(row: &Row, a: &Figure, b: &Figure) -> String {
    format!("{} {} against {}", row.label, format::with_unit(a, &row.unit), format::figure(b))
}

/// How many figures each of both is better in.
fn sum(summary: &Summary, ours: &Column, rival: &Column) -> String {
    let standings = summary.tables.iter().flat_map(|table| pairs(table, ours, rival));
    let standings: Vec<Standing> = standings.map(|(row, _, b)| format::standing(row, b)).collect();
    let of = |wanted| standings.iter().filter(|standing| **standing == wanted).count();
    format!(
        "Of {} figures of {} scenarios {} is better in {} and {} in {}, with an interval that shows it.",
        standings.len(),
        summary.tables.len(),
        ours.title,
        of(Standing::Worse),
        rival.title,
        of(Standing::Better)
    )
}

/// Each row with the figures of both.
fn pairs<'a>(
    table: &'a Table,
    ours: &Column,
    rival: &Column,
) -> impl Iterator<Item = (&'a Row, &'a Figure, &'a Figure)> {
    let place = |one: &Column| table.contenders.iter().position(|column| column.name == one.name);
    let places = place(ours).zip(place(rival));
    let rows = table.rows.iter();
    rows.filter_map(move |row| places.and_then(|(a, b)| Some((row, row.figures.get(a)?, row.figures.get(b)?))))
}

/// How a rival's figure is beside ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lead {
    None,
    /// Better, and nothing says that this is more than chance.
    Told,
    /// Better, with an interval of the ratio that excludes 1.
    Shown,
}

impl Lead {
    fn of(row: &Row, ours: &Figure, rival: &Figure) -> Self {
        let (Figure::Measured { value: a, beyond: no_end, .. }, Figure::Measured { value: b, beyond, ratio, .. }) =
            (ours, rival)
        else {
            return Self::None;
        };
        let differs = ratio.as_ref().and_then(Ratio::differs);
        match (format::standing(row, rival), differs) {
            (Standing::Better, _) => Self::Shown,
            (Standing::Worse, _) | (Standing::Open, Some(_)) => Self::None,
            // One start, a zero, an end that one of both never came to: the figures are all there is.
            (Standing::Open, None) => match (no_end, beyond) {
                (true, false) => Self::Told,
                (_, true) => Self::None,
                (false, false) if b != a && (b > a) == (row.better == Better::Higher) => Self::Told,
                (false, false) => Self::None,
            },
        }
    }
}

/// Where the rival is better, and, where that is nowhere, which claims are false all the same.
fn drawbacks(summary: &Summary, ours: &Column, rival: &Column) -> String {
    let mut shown = Vec::new();
    let mut only_told = Vec::new();
    for table in &summary.tables {
        for (row, a, b) in pairs(table, ours, rival) {
            let place =
                if table.scenario.is_described() { format!("{}: ", table.scenario.name()) } else { String::new() };
            let figures = || {
                let (a, b) = (format::with_unit(a, &row.unit), format::with_unit(b, &row.unit));
                format!("{place}{} ({a} against {b})", row.label)
            };
            match Lead::of(row, a, b) {
                Lead::Shown => shown.push(figures()),
                Lead::Told => only_told.push(figures()),
                Lead::None => {}
            }
        }
    }
    let (shown, only_told) = (shown.join(", "), only_told.join(", "));
    let rival = &rival.title;
    match (shown.is_empty(), only_told.is_empty()) {
        (true, true) => match false_claims(summary) {
            Some(claims) => claims,
            None => format!("In none of the figures below is {rival} better."),
        },
        (false, true) => format!("{rival} is better in {shown}."),
        (true, false) => format!("{rival} is better, without an interval that shows it, in {only_told}."),
        (false, false) => {
            format!("{rival} is better in {shown}; and, without an interval that shows it, in {only_told}.")
        }
    }
}

/// The claims that are false, if some are.
fn false_claims(summary: &Summary) -> Option<String> {
    let wrong = summary.claims.iter().filter(|claim| claim.verdict == claims::Verdict::False);
    let wrong: Vec<String> = wrong.map(|claim| format!("{} ({})", claim.claim, claim.figure)).collect();
    (!wrong.is_empty()).then(|| format!("Of the claims below these are false: {}.", wrong.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::super::super::claims::Claim;
    use super::*;

    fn figure(value: f64, beyond: bool, ratio: Option<Ratio>) -> Figure {
        Figure::Measured { value, beyond, replicates: vec![value], invalid: 0, ratio }
    }

    fn ratio(value: impl Into<Option<f64>>, interval: Option<(f64, f64)>) -> Option<Ratio> {
        Some(Ratio { value: value.into(), interval, note: None })
    }

    fn row(better: Better, figures: Vec<Figure>) -> Row {
        Row { id: "x".into(), label: "x".into(), unit: String::new(), better, source: "x".into(), figures }
    }

    #[test]
    fn a_lead_needs_no_ratio() {
        let none = || ratio(None, None);
        // (what is better, ours, theirs, their lead)
        let rows = [
            (Better::Lower, figure(2.0, false, None), figure(1.0, false, ratio(0.5, Some((0.4, 0.6)))), Lead::Shown),
            (Better::Lower, figure(2.0, false, None), figure(1.9, false, ratio(0.95, Some((0.9, 1.1)))), Lead::None),
            (Better::Lower, figure(2.0, false, None), figure(1.0, false, ratio(0.5, None)), Lead::Told),
            // Errors: theirs had none. There is no ratio with zero.
            (Better::Lower, figure(7.0, false, None), figure(0.0, false, none()), Lead::Told),
            (Better::Lower, figure(0.0, false, None), figure(7.0, false, none()), Lead::None),
            (Better::Lower, figure(0.0, false, None), figure(0.0, false, none()), Lead::None),
            (Better::Higher, figure(0.0, false, None), figure(7.0, false, none()), Lead::Told),
            // Ours never recovered.
            (Better::Lower, figure(12.0, true, None), figure(3.0, false, None), Lead::Told),
            (Better::Lower, figure(3.0, false, None), figure(12.0, true, None), Lead::None),
            (Better::Lower, figure(12.0, true, None), figure(12.0, true, None), Lead::None),
            (Better::Lower, figure(1.0, false, None), Figure::NotMeasured { reason: "x".into() }, Lead::None),
        ];
        for (better, ours, theirs, expected) in rows {
            assert_eq!(Lead::of(&row(better, Vec::new()), &ours, &theirs), expected, "{ours:?} {theirs:?}");
        }
    }

    #[test]
    fn a_best_setting_is_told_where_there_is_one() {
        let column =
            |name: &str, of: Option<&str>| Column { name: name.into(), title: name.into(), of: of.map(String::from) };
        let table = |contenders: [Column; 2], values: [f64; 2]| Table {
            scenario: Scenario::Steady,
            contenders: contenders.to_vec(),
            rows: vec![row(Better::Lower, values.map(|value| figure(value, false, None)).to_vec())],
            notes: Vec::new(),
        };
        let as_they_come = table([column("a", None), column("b", None)], [1.0, 2.0]);
        let tuned = table([column("a", None), column("b-2", Some("b"))], [1.0, 1.5]);
        let summary = Summary { tables: vec![as_they_come, tuned], ..Summary::default() };
        let best = |name| at_its_best(&summary, &column(name, None), "x").and_then(Figure::exact);
        assert_eq!((best("a"), best("b")), (None, Some(1.5)));
    }

    #[test]
    fn nothing_is_praised_beside_a_claim_that_is_false() {
        let columns = ["a", "b"].map(|name| Column { name: name.into(), title: name.to_uppercase(), of: None });
        let [ours, rival] = columns.clone();
        let table = Table {
            scenario: Scenario::Steady,
            contenders: columns.to_vec(),
            rows: vec![row(Better::Lower, vec![figure(1.0, false, None), figure(2.0, false, None)])],
            notes: Vec::new(),
        };
        let claim = Claim {
            claim: "no signals".into(),
            figure: "sent".into(),
            ours: "1".into(),
            theirs: "0".into(),
            ratio: "–".into(),
            verdict: claims::Verdict::Holds,
            because: String::new(),
            source: String::new(),
        };
        let mut summary = Summary {
            schema: 1,
            started: String::new(),
            tables: vec![table],
            curves: Vec::new(),
            claims: vec![claim],
            targets: Vec::new(),
            missing: Vec::new(),
            failures: Vec::new(),
            warnings: Vec::new(),
        };
        assert_eq!(drawbacks(&summary, &ours, &rival), "In none of the figures below is B better.");
        summary.claims[0].verdict = claims::Verdict::False;
        assert_eq!(drawbacks(&summary, &ours, &rival), "Of the claims below these are false: no signals (sent).");
        summary.tables[0].rows[0].better = Better::Higher;
        assert_eq!(
            drawbacks(&summary, &ours, &rival),
            "B is better, without an interval that shows it, in x (1 against 2)."
        );
    }
}
