//! The tables: figures of each scenario, the evidence, the targets.

use std::fmt::Write as _;

use super::super::claims::Verdict;
use super::super::format::{self, Standing};
use super::super::metrics::Better;
use super::super::summary::{Figure, Row, Summary, Table};
use super::super::{targets, text};
use super::{escape, put, rows};
use crate::scenario::Scenario;

/// The figures of one scenario: `place` is a contender's place in the session.
pub(super) fn figures(page: &mut String, table: &Table, place: impl Fn(&str) -> usize) {
    if table.scenario == Scenario::Tune {
        rows::put(page, &settings(table));
        for note in &table.notes {
            put(page, "p", note);
        }
        return;
    }
    let places: Vec<usize> = table.contenders.iter().map(|column| place(&column.name)).collect();
    let first = table.contenders.first().map_or("", |column| &column.title);
    let _ = writeln!(
        page,
        "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"{0}: figures\"><table class=\"figures\">\n<caption>Medians of the starts. Below each figure: its ratio to {1} (geometric means) with a 95 % bootstrap interval over server starts. <span class=\"better\">▲ Better</span> and <span class=\"worse\">▼ worse</span> are marked only where the interval excludes 1.</caption>",
        table.scenario.name(),
        escape(first)
    );
    page.push_str("<thead><tr><th scope=\"col\">figure</th>");
    for (column, place) in table.contenders.iter().zip(&places) {
        let _ = write!(page, "<th scope=\"col\" class=\"c{place}\">{}</th>", escape(&column.title));
    }
    page.push_str("<th scope=\"col\">source</th></tr></thead>\n<tbody>\n");
    for one in &table.rows {
        row(page, one, &places);
    }
    page.push_str("</tbody></table></div>\n");
    for note in &table.notes {
        put(page, "p", note);
    }
}

/// A line per setting: they are many.
fn settings(table: &Table) -> Vec<Vec<String>> {
    let titles = table.contenders.iter().map(|column| column.title.clone());
    let mut rows = vec![std::iter::once("setting".to_owned()).chain(titles).collect::<Vec<_>>()];
    for row in &table.rows {
        let unit = if row.unit.is_empty() { String::new() } else { format!(", {}", row.unit) };
        let figures = row.figures.iter().map(format::figure);
        rows.push(std::iter::once(format!("{}{unit}", row.label)).chain(figures).collect());
    }
    text::turned(&rows)
}

fn row(page: &mut String, row: &Row, places: &[usize]) {
    let unit = if row.unit.is_empty() { String::new() } else { format!(" <small>{}</small>", escape(&row.unit)) };
    let (better, arrow) = match row.better {
        Better::Lower => ("lower", "↓ lower is better"),
        Better::Higher => ("higher", "↑ higher is better"),
    };
    let _ = write!(
        page,
        "<tr data-better=\"{better}\"><th scope=\"row\"><span>{}</span>{unit}<small class=\"way\">{arrow}</small></th>",
        escape(&row.label)
    );
    for (figure, place) in row.figures.iter().zip(places) {
        cell(page, row, figure, *place);
    }
    let _ = writeln!(page, "<td class=\"source\">{}</td></tr>", escape(&row.source));
}

fn cell(page: &mut String, row: &Row, figure: &Figure, place: usize) {
    match figure {
        Figure::NotMeasured { reason } => {
            let _ = write!(page, "<td class=\"none c{place}\">not measured<small>{}</small></td>", escape(reason));
        }
        Figure::Measured { value, ratio, invalid, replicates, .. } => {
            let (class, mark) = match format::standing(row, figure) {
                Standing::Better => ("better ", "▲ "),
                Standing::Worse => ("worse ", "▼ "),
                Standing::Open => ("", ""),
            };
            let shown = format::figure(figure);
            let _ = write!(page, "<td class=\"{class}c{place}\" data-value=\"{value}\">{mark}{shown}");
            if *invalid > 0 {
                let _ = write!(page, "<small class=\"invalid\">{invalid} of {} runs INVALID</small>", replicates.len());
            }
            if let Some(ratio) = ratio {
                let _ = write!(page, "<small>{}</small>", escape(&format::ratio(ratio)));
            }
            page.push_str("</td>");
        }
    }
}

/// The evidence.
pub(super) fn claims(page: &mut String, summary: &Summary) {
    page.push_str(
        "<h2 id=\"evidence\">The evidence: claims against Apache prefork</h2>\n\
         <div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"evidence\"><table class=\"claims sortable\">\n<caption>What the prototype asserted, and what this session found; also where it is false. The ratio is Apache’s figure over ours.</caption>\n<thead><tr><th scope=\"col\">claim</th><th scope=\"col\">figure</th><th scope=\"col\">smarthttpd adaptive</th><th scope=\"col\">Apache prefork</th><th scope=\"col\">ratio</th><th scope=\"col\">verdict</th><th scope=\"col\">source</th></tr></thead>\n<tbody>\n",
    );
    for claim in &summary.claims {
        let (class, mark) = match claim.verdict {
            Verdict::Holds => ("better", "✓"),
            Verdict::HoldsPartly => ("better", "◐"),
            Verdict::False => ("worse", "✗"),
            Verdict::Undecided => ("none", "?"),
            Verdict::NotMeasured => ("none", "–"),
        };
        let _ = writeln!(
            page,
            "<tr><th scope=\"row\">{}</th><td class=\"words\">{}</td><td>{}</td><td>{}</td><td>{}</td><td class=\"words {class}\">{mark} {}<small>{}</small></td><td class=\"source\">{}</td></tr>",
            escape(&claim.claim),
            escape(&claim.figure),
            escape(&claim.ours),
            escape(&claim.theirs),
            escape(&claim.ratio),
            claim.verdict.words(),
            escape(&claim.because),
            escape(&claim.source),
        );
    }
    page.push_str("</tbody></table></div>\n");
}

/// Whether each target was reached.
pub(super) fn goals(page: &mut String, summary: &Summary) {
    let _ = writeln!(page, "<h2 id=\"targets\">Targets of {}</h2>", targets::of_what(summary));
    page.push_str(
        "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"targets\"><table class=\"claims sortable\">\n<caption>What the server is meant to reach. A target against another server is judged by the 95 % interval of the ratio over server starts, ours over theirs; one by itself by every start or, where they differ, by the 95 % interval of their geometric mean. A figure marked INVALID decides nothing.</caption>\n<thead><tr><th scope=\"col\">figure</th><th scope=\"col\">smarthttpd</th><th scope=\"col\">against</th><th scope=\"col\">ratio</th><th scope=\"col\">wanted</th><th scope=\"col\">verdict</th></tr></thead>\n<tbody>\n",
    );
    for target in &summary.targets {
        let (class, mark) = match target.verdict {
            targets::Verdict::Met => ("better", "✓"),
            targets::Verdict::Missed => ("worse", "✗"),
            targets::Verdict::Undecided => ("none", "?"),
            targets::Verdict::NotMeasured => ("none", "–"),
        };
        let _ = writeln!(
            page,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td class=\"words\">{}</td><td class=\"words {class}\">{mark} {}<small>{}</small></td></tr>",
            escape(&target.figure),
            escape(&target.ours),
            escape(&target.against),
            escape(&target.ratio),
            escape(&target.wanted),
            target.verdict.words(),
            escape(&target.because),
        );
    }
    page.push_str("</tbody></table></div>\n");
}
