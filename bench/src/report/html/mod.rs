//! `report.html`: one file without anything from outside, in the reader's colour scheme, printable.

mod about;
mod answer;
mod rows;

use std::fmt::Write as _;

use super::charts::{DARK, Picture};
use super::claims::Verdict;
use super::curves;
use super::format::{self, Standing};
use super::metrics::Better;
use super::series::Stepped;
use super::summary::{Figure, Row, Summary, Table};
use super::targets;
use super::text;
use crate::results::schema::{Outcome, Run, Session};
use crate::scenario::Scenario;

/// How pages of the harness look.
pub(crate) const STYLE: &str = include_str!("style.css");

/// Writes the page.
pub(crate) fn page(session: &Session, runs: &[Run], summary: &Summary, pictures: &[Picture]) -> String {
    let title = "How smarthttpd compares";
    let kind = if session.quick { "quick session" } else { "session" };
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n\
         <style>\n{STYLE}@media screen and (prefers-color-scheme: dark){{{DARK}}}\n</style>\n\
         </head>\n<body>\n<main>\n<header>\n<h1>{title}</h1>\n<p class=\"sub\">{kind} of {} on {}, {} cores · commit {}</p>\n</header>\n",
        escape(&session.started),
        escape(&session.machine.cpu),
        session.machine.cores,
        escape(&session.revision),
    );
    page.push_str("<section class=\"answer\">\n");
    for sentence in answer::sentences(summary) {
        put(&mut page, "p", &sentence);
    }
    page.push_str("</section>\n");
    notices(&mut page, summary);
    for table in &summary.tables {
        scenario(&mut page, session, table);
        for picture in pictures {
            if shows(session, picture, table.scenario) {
                let _ = writeln!(
                    page,
                    "<figure>{}<figcaption>{}</figcaption></figure>",
                    picture.svg,
                    escape(&picture.caption)
                );
            }
        }
        if table.scenario == Scenario::Curve {
            rows::put(&mut page, &curves::rows(&summary.curves));
        }
    }
    if !summary.claims.is_empty() {
        claims(&mut page, summary);
    }
    if !summary.targets.is_empty() {
        goals(&mut page, summary);
    }
    method(&mut page, session);
    contenders(&mut page, session, runs);
    raw_data(&mut page, runs);
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn shows(session: &Session, picture: &Picture, scenario: Scenario) -> bool {
    match scenario {
        Scenario::Steady => picture.name == "latency",
        Scenario::Curve => picture.name.starts_with("curve"),
        Scenario::Step | Scenario::Burst => {
            picture.name.starts_with("step") && Stepped::of(session).scenario == scenario
                || picture.name.starts_with(&format!("cost-{}-", scenario.name()))
        }
        // The others have tables only.
        _ => false,
    }
}

fn notices(page: &mut String, summary: &Summary) {
    let kinds = [
        ("Not installed", &summary.missing),
        ("Failed", &summary.failures),
        ("To be read with care", &summary.warnings),
    ];
    for (what, lines) in kinds {
        if lines.is_empty() {
            continue;
        }
        let _ = writeln!(page, "<section class=\"notice\">\n<h2>{what}</h2>\n<ul>");
        for line in lines {
            put(page, "li", line);
        }
        page.push_str("</ul>\n</section>\n");
    }
}

fn scenario(page: &mut String, session: &Session, table: &Table) {
    let (title, about) = about::scenario(table.scenario, &session.lengths);
    put(page, "h2", title);
    put(page, "p", &about);
    if table.scenario == Scenario::Tune {
        rows::put(page, &settings(table));
        for note in &table.notes {
            put(page, "p", note);
        }
        return;
    }
    page.push_str("<div class=\"wide\"><table>\n<thead><tr><th></th>");
    for column in &table.contenders {
        put(page, "th", &column.title);
    }
    page.push_str("<th>source</th></tr></thead>\n<tbody>\n");
    for row in &table.rows {
        figures(page, row);
    }
    page.push_str("</tbody></table></div>\n");
    for note in &table.notes {
        put(page, "p", note);
    }
    let first = table.contenders.first().map_or("", |column| &column.title);
    let _ = writeln!(
        page,
        "<p class=\"key\">Medians of the starts. Below each figure: its ratio to {} (geometric means) with a 95 % bootstrap interval over server starts. <span class=\"better\">Better</span> and <span class=\"worse\">worse</span> are marked only where the interval excludes 1.</p>",
        escape(first)
    );
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

fn figures(page: &mut String, row: &Row) {
    let unit = if row.unit.is_empty() { String::new() } else { format!(" <small>{}</small>", escape(&row.unit)) };
    let arrow = match row.better {
        Better::Lower => "↓ lower is better",
        Better::Higher => "↑ higher is better",
    };
    let _ = write!(page, "<tr><th scope=\"row\" title=\"{arrow}\">{}{unit}</th>", escape(&row.label));
    for figure in &row.figures {
        cell(page, row, figure);
    }
    let _ = writeln!(page, "<td class=\"source\">{}</td></tr>", escape(&row.source));
}

fn cell(page: &mut String, row: &Row, figure: &Figure) {
    match figure {
        Figure::NotMeasured { reason } => {
            let _ = write!(page, "<td class=\"none\">not measured<small>{}</small></td>", escape(reason));
        }
        Figure::Measured { ratio, invalid, replicates, .. } => {
            let class = match format::standing(row, figure) {
                Standing::Better => " class=\"better\"",
                Standing::Worse => " class=\"worse\"",
                Standing::Open => "",
            };
            let _ = write!(page, "<td{class}>{}", format::figure(figure));
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

fn claims(page: &mut String, summary: &Summary) {
    page.push_str(
        "<h2>The claims against Apache prefork</h2>\n<p>What the prototype asserted, and what this session found; also where it is false. The ratio is Apache’s figure over ours.</p>\n\
         <div class=\"wide\"><table class=\"claims\">\n<thead><tr><th>claim</th><th>figure</th><th>smarthttpd adaptive</th><th>Apache prefork</th><th>ratio</th><th>verdict</th><th>source</th></tr></thead>\n<tbody>\n",
    );
    for claim in &summary.claims {
        let class = match claim.verdict {
            Verdict::Holds | Verdict::HoldsPartly => "better",
            Verdict::False => "worse",
            Verdict::Undecided | Verdict::NotMeasured => "none",
        };
        let _ = writeln!(
            page,
            "<tr><th scope=\"row\">{}</th><td class=\"words\">{}</td><td>{}</td><td>{}</td><td>{}</td><td class=\"words {class}\">{}<small>{}</small></td><td class=\"source\">{}</td></tr>",
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

fn goals(page: &mut String, summary: &Summary) {
    put(page, "h2", &format!("Targets of {}", targets::of_what(summary)));
    page.push_str(
        "<p>What the server is meant to reach. A target against another server is judged by the 95 % interval of the ratio over server starts, ours over theirs; one by itself by every start or, where they differ, by the 95 % interval of their geometric mean. A figure marked INVALID decides nothing.</p>\n\
         <div class=\"wide\"><table class=\"claims\">\n<thead><tr><th>figure</th><th>smarthttpd</th><th>against</th><th>ratio</th><th>wanted</th><th>verdict</th></tr></thead>\n<tbody>\n",
    );
    for target in &summary.targets {
        let class = match target.verdict {
            targets::Verdict::Met => "better",
            targets::Verdict::Missed => "worse",
            targets::Verdict::Undecided | targets::Verdict::NotMeasured => "none",
        };
        let _ = writeln!(
            page,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td class=\"words\">{}</td><td class=\"words {class}\">{}<small>{}</small></td></tr>",
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

fn method(page: &mut String, session: &Session) {
    put(page, "h2", "Method");
    page.push_str("<ul>\n");
    let replicate = "A replicate is a fresh start of the server. Contenders are interleaved round by round, in an order shuffled by the seed; intervals are over starts, never over requests.";
    let gate =
        "Before anything is timed, every start has to answer every route with the right status, content type and body.";
    let latency = "Latency in an open loop starts at the intended send time, so that a server that stalls is charged for the requests that should have been sent meanwhile.";
    let tree = "A server is everything in its session and everything that descends from it. Nothing is left out, and no outlier is removed.";
    let timeout = format!(
        "A request without a whole answer after {} s is an error and has no latency.",
        session.lengths.timeout_s
    );
    for sentence in [&session.pinning.sentence(), gate, replicate, latency, &timeout, tree] {
        put(page, "li", sentence);
    }
    page.push_str("</ul>\n<dl>\n");
    let machine = &session.machine;
    let facts = [
        ("CPU", format!("{}, {} cores", machine.cpu, machine.cores)),
        ("memory", format!("{} MiB", format::number(machine.memory_mib as f64))),
        ("kernel", machine.kernel.clone()),
        ("frequency governor", machine.governor.clone()),
        ("seed", session.seed.to_string()),
        ("smarthttpd", session.server_build.clone()),
        ("generator", format!("loadgen of this workspace, commit {}", session.revision)),
    ];
    for (name, value) in facts {
        put(page, "dt", name);
        put(page, "dd", &value);
    }
    page.push_str("</dl>\n");
}

fn contenders(page: &mut String, session: &Session, runs: &[Run]) {
    put(page, "h2", "Contenders and their terms");
    // Of settings that were tried and not chosen the table of the search is enough.
    for entrant in session.contenders.iter().filter(|entrant| !entrant.is_only_tried()) {
        put(page, "h3", &entrant.title);
        put(page, "p", &entrant.terms);
        if let Some(missing) = &entrant.missing {
            put(page, "p", &format!("Not measured: {missing}"));
        }
        page.push_str("<dl>\n");
        for (of, version) in &entrant.versions {
            put(page, "dt", of);
            put(page, "dd", version);
        }
        let about = runs.iter().find_map(|run| match &run.outcome {
            Outcome::Measured { about, .. } if run.id.contender == entrant.name => Some(about),
            _ => None,
        });
        for (name, value) in about.into_iter().flatten() {
            put(page, "dt", &format!("the application sees {name}"));
            put(page, "dd", value);
        }
        page.push_str("</dl>\n");
        put(page, "pre", &entrant.command.join(" "));
        if let Some(config) = &entrant.config {
            page.push_str("<details><summary>configuration file</summary>\n");
            put(page, "pre", config.trim_end());
            page.push_str("</details>\n");
        }
    }
}

fn raw_data(page: &mut String, runs: &[Run]) {
    put(page, "h2", "Raw data");
    page.push_str(
        "<p>This page is computed from <a href=\"session.json\">session.json</a> and the files below alone; <code>bench report</code> with this folder computes it again. All figures: <a href=\"summary.json\">summary.json</a>. Percentile tables for HdrHistogram’s tools are in <code>histograms/</code>.</p>\n<ol class=\"runs\">\n",
    );
    for run in runs {
        let label = escape(&run.id.label());
        let _ =
            writeln!(page, "<li><a href=\"raw/{label}.json\">{label}</a> <small>{}</small></li>", escape(&run.started));
    }
    page.push_str("</ol>\n");
}

/// One element with text in it.
fn put(page: &mut String, element: &str, text: &str) {
    let _ = writeln!(page, "<{element}>{}</{element}>", escape(text));
}

/// Text that can't become markup.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_cannot_become_markup() {
        let mut page = String::new();
        put(&mut page, "p", "<b> & \"quotes\"");
        assert_eq!(page, "<p>&lt;b&gt; &amp; &quot;quotes&quot;</p>\n");
    }
}
