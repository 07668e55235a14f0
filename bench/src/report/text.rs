//! The comparison as tables for a terminal.

use std::fmt::Write as _;

use super::curves;
use super::format;
use super::summary::{Figure, Summary, Table};
use super::targets::{self, Target};
use crate::scenario::Scenario;

/// Behind a figure with INVALID runs among its replicates.
const INVALID: &str = " !";

/// Every table, the claims, and what has to be said beside them.
pub(crate) fn tables(summary: &Summary) -> String {
    let mut text = String::new();
    for table in &summary.tables {
        let _ = writeln!(text, "\n{}", one(table));
    }
    if !summary.curves.is_empty() {
        let _ = writeln!(text, "{}", curves::text(&summary.curves));
    }
    if !summary.claims.is_empty() {
        let _ = writeln!(text, "claims against Apache prefork:");
    }
    for claim in &summary.claims {
        let _ = write!(text, "  {:<13} {} ({})", claim.verdict.words(), claim.claim, claim.figure);
        let _ = if claim.ours == "not measured" {
            writeln!(text, ": {}", claim.because)
        } else {
            writeln!(text, ": {} against {}", claim.ours, claim.theirs)
        };
    }
    if !summary.targets.is_empty() {
        let _ = writeln!(text, "targets of {}:\n{}", targets::of_what(summary), targets(&summary.targets));
    }
    for (what, lines) in [("missing", &summary.missing), ("failed", &summary.failures), ("warning", &summary.warnings)]
    {
        for line in lines {
            let _ = writeln!(text, "{what}: {line}");
        }
    }
    text
}

/// Rows are figures, columns contenders.
fn one(table: &Table) -> String {
    let mut rows = vec![header(table)];
    let mut notes: Vec<String> = Vec::new();
    for row in &table.rows {
        let mut cells = vec![match row.unit.as_str() {
            "" => row.label.clone(),
            unit => format!("{}, {unit}", row.label),
        }];
        for shown in &row.figures {
            cells.push(cell(shown));
            if let Figure::NotMeasured { reason } = shown {
                let note = format!("{}: {reason}", row.label);
                if !notes.contains(&note) {
                    notes.push(note);
                }
            }
        }
        rows.push(cells);
    }
    // Settings are many and figures few: there each setting has a line.
    let mut text = aligned(&if table.scenario == Scenario::Tune { turned(&rows) } else { rows.clone() });
    if rows.iter().flatten().any(|cell| cell.ends_with(INVALID)) {
        let _ = writeln!(text, "!: the generator calls a run behind this figure INVALID, see below");
    }
    for note in notes {
        let _ = writeln!(text, "not measured: {note}");
    }
    for note in &table.notes {
        let _ = writeln!(text, "{note}");
    }
    text
}

/// Columns as lines.
pub(crate) fn turned(rows: &[Vec<String>]) -> Vec<Vec<String>> {
    let columns = rows.first().map_or(0, Vec::len);
    (0..columns).map(|column| rows.iter().filter_map(|row| row.get(column)).cloned().collect()).collect()
}

/// Whether each target was reached, a line for each.
fn targets(targets: &[Target]) -> String {
    let mut rows = vec![["target", "ours", "against", "ratio", "wanted", "verdict"].map(String::from).to_vec()];
    for target in targets {
        let mut verdict = target.verdict.words().to_owned();
        if !target.because.is_empty() {
            let _ = write!(verdict, " ({})", target.because.lines().next().unwrap_or_default());
        }
        let Target { figure, ours, against, ratio, wanted, .. } = target.clone();
        rows.push(vec![figure, ours, against, ratio, wanted, verdict]);
    }
    aligned(&rows)
}

/// Lines of cells, the first line ruled off: the first column is words, the others figures.
pub(crate) fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows[0].len();
    let widths: Vec<usize> = (0..columns)
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        for (column, cell) in row.iter().enumerate() {
            let padding = " ".repeat(widths[column] - cell.chars().count());
            let _ = if column == 0 { write!(text, "{cell}{padding}") } else { write!(text, "  {padding}{cell}") };
        }
        text.push('\n');
        if number == 0 {
            let width = widths.iter().sum::<usize>() + 2 * (columns - 1);
            let _ = writeln!(text, "{}", "─".repeat(width));
        }
    }
    text
}

fn header(table: &Table) -> Vec<String> {
    let tuned = if table.is_tuned() { ", tuned" } else { "" };
    let mut header = vec![format!("{}{tuned}", table.scenario.name())];
    header.extend(table.contenders.iter().map(|column| column.title.clone()));
    header
}

/// The figure, a mark when runs behind it are INVALID, and, where an interval shows one, the difference from the first contender.
fn cell(figure: &Figure) -> String {
    let mut shown = format::figure(figure);
    if let Figure::Measured { invalid, ratio, .. } = figure {
        if *invalid > 0 {
            shown.push_str(INVALID);
        }
        if let Some(ratio) = ratio
            && ratio.differs() == Some(true)
            && let Some(value) = ratio.value
        {
            let _ = write!(shown, " (×{})", format::number(value));
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::metrics::Better;
    use crate::report::summary::{Column, Row};

    #[test]
    fn columns_become_lines() {
        let rows = [["a", "b", "c"], ["1", "2", "3"]].map(|row| row.map(String::from).to_vec());
        assert_eq!(turned(&rows), [["a", "1"], ["b", "2"], ["c", "3"]]);
    }

    #[test]
    fn columns_are_aligned_and_reasons_told_once() {
        let measured =
            |value| Figure::Measured { value, beyond: false, replicates: vec![value], invalid: 0, ratio: None };
        let column = |title: &str| Column { name: title.to_lowercase(), title: title.into(), of: None };
        let missing = Figure::NotMeasured { reason: "no tool".into() };
        let table = Table {
            scenario: Scenario::Steady,
            contenders: vec![column("A"), column("Bee")],
            rows: vec![Row {
                id: "x".into(),
                label: "time".into(),
                unit: "ms".into(),
                better: Better::Lower,
                source: "x".into(),
                figures: vec![measured(1234.0), missing],
            }],
            notes: vec!["A: more".into()],
        };
        let expected = "\
steady        A           Bee
─────────────────────────────
time, ms  1,234  not measured
not measured: time: no tool
A: more
";
        assert_eq!(one(&table), expected);
    }
}
