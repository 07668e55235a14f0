//! `report.md`: the answer, the evidence and the figures for a pull request, where there is neither style nor script.

use std::fmt::Write as _;

use super::charts::Picture;
use super::format;
use super::html::answer;
use super::summary::{Figure, Summary, Table};
use crate::results::schema::Session;

/// Writes the text.
pub(crate) fn page(session: &Session, summary: &Summary, pictures: &[Picture]) -> String {
    let mut page = String::from("# How smarthttpd compares\n\n");
    for sentence in answer::sentences(summary) {
        let _ = writeln!(page, "**{}**\n", escape(&sentence));
    }
    let machine = &session.machine;
    let _ = writeln!(
        page,
        "{} of {} on {}, {} cores, Linux {}, seed {}, commit {}. Everything else is in [report.html](report.html).",
        if session.quick { "Quick session" } else { "Session" },
        session.started,
        escape(&machine.cpu),
        machine.cores,
        escape(&machine.kernel),
        session.seed,
        escape(&session.revision),
    );
    for (what, lines) in [
        ("Not installed", &summary.missing),
        ("Failed", &summary.failures),
        ("To be read with care", &summary.warnings),
    ] {
        if !lines.is_empty() {
            let _ = writeln!(page, "\n{what}:\n");
        }
        for line in lines {
            let _ = writeln!(page, "- {}", escape(line));
        }
    }
    if !summary.claims.is_empty() {
        page.push_str("\n## The evidence: claims against Apache prefork\n\n");
        row(&mut page, &["claim", "figure", "ours", "theirs", "theirs ÷ ours", "verdict", "because"].map(String::from));
        page.push_str("| --- | --- | --- | --- | --- | --- | --- |\n");
        for claim in &summary.claims {
            let verdict = claim.verdict.words().to_owned();
            let because = claim.because.clone();
            let cells = [&claim.claim, &claim.figure, &claim.ours, &claim.theirs, &claim.ratio, &verdict, &because];
            row(&mut page, &cells.map(|cell| escape_cell(cell)));
        }
    }
    if !summary.targets.is_empty() {
        page.push_str("\n## Targets\n\n| figure | ours | against | ratio | wanted | verdict | because |\n| --- | --- | --- | --- | --- | --- | --- |\n");
        for target in &summary.targets {
            let verdict = target.verdict.words().to_owned();
            let (against, ratio) = (&target.against, &target.ratio);
            let cells = [&target.figure, &target.ours, against, ratio, &target.wanted, &verdict, &target.because];
            row(&mut page, &cells.map(|cell| escape_cell(cell)));
        }
    }
    for table in &summary.tables {
        figures(&mut page, table);
    }
    for picture in pictures.iter().filter(|picture| picture.has_files) {
        let _ = writeln!(page, "\n![{}]({}.png)", escape(&picture.caption), picture.name);
    }
    page
}

fn figures(page: &mut String, table: &Table) {
    let tuned = if table.is_tuned() { ", everybody with the best of the settings tried" } else { "" };
    let _ = writeln!(page, "\n## {}{tuned}\n", table.scenario.name());
    let mut head = vec!["figure".to_owned()];
    head.extend(table.contenders.iter().map(|column| escape_cell(&column.title)));
    row(page, &head);
    let _ = writeln!(page, "| --- |{}", " ---: |".repeat(table.contenders.len()));
    for one in &table.rows {
        let unit = if one.unit.is_empty() { String::new() } else { format!(", {}", one.unit) };
        let mut cells = vec![escape_cell(&format!("{}{unit}", one.label))];
        cells.extend(one.figures.iter().map(|figure| escape_cell(&cell(figure))));
        row(page, &cells);
    }
    page.push_str(
        "\nMedians of the starts; ratios to the first column with 95 % bootstrap intervals over server starts.\n",
    );
}

fn cell(figure: &Figure) -> String {
    let shown = format::figure(figure);
    match figure {
        Figure::Measured { ratio, invalid, .. } => {
            let invalid = if *invalid > 0 { format!(", {invalid} INVALID") } else { String::new() };
            let ratio = ratio.as_ref().map_or_else(String::new, |ratio| format!(" ({})", format::ratio(ratio)));
            format!("{shown}{ratio}{invalid}")
        }
        Figure::NotMeasured { reason } => format!("{shown}: {}", reason.lines().next().unwrap_or_default()),
    }
}

fn row(page: &mut String, cells: &[String]) {
    let _ = writeln!(page, "| {} |", cells.join(" | "));
}

/// Text that does not end a table's cell.
fn escape_cell(text: &str) -> String {
    escape(text).replace('|', "\\|")
}

/// Text on one line that is no markup.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '\n' => escaped.push(' '),
            '<' => escaped.push_str("&lt;"),
            '*' | '_' | '`' | '[' | ']' | '\\' => escaped.extend(['\\', character]),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_no_markup_and_cells_stay_whole() {
        assert_eq!(escape_cell("a_b | <c>\n*d*"), "a\\_b \\| &lt;c> \\*d\\*");
    }

    #[test]
    fn figures_say_why_there_is_none() {
        let measured = Figure::Measured { value: 1.5, beyond: false, replicates: vec![1.5], invalid: 1, ratio: None };
        assert_eq!(cell(&measured), "1.50, 1 INVALID");
        assert_eq!(cell(&Figure::NotMeasured { reason: "no tool\nmore".into() }), "not measured: no tool");
    }
}
