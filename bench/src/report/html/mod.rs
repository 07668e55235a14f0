//! `report.html`: one file without anything from outside, in the reader's colour scheme, printable.

mod about;
pub(crate) mod answer;
mod figures;
mod rows;
mod setup;
mod tables;

use std::fmt::Write as _;

use super::charts::{DARK, Picture};
use super::curves;
use super::summary::Summary;
use crate::results::schema::{Run, Session};
use crate::scenario::Scenario;

/// How pages of the harness look.
pub(crate) const STYLE: &str = include_str!("style.css");

/// Shows values, sorts tables; the page is whole without it.
const SCRIPT: &str = include_str!("script.js");

/// What stands above a table of settings.
const AT_ITS_BEST: &str = "The same, started anew, with the setting of each contender that came out best for this load where several were tried: see “Settings, tried”. A box of the legend stands for a contender with every setting.";

/// Writes the page.
pub(crate) fn page(session: &Session, runs: &[Run], summary: &Summary, pictures: &[Picture]) -> String {
    let title = "How smarthttpd compares";
    let kind = if session.quick { "quick session" } else { "session" };
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n\
         <style>\n{STYLE}{}@media screen and (prefers-color-scheme: dark){{{DARK}}}\n</style>\n\
         </head>\n<body>\n<main>\n<header>\n<h1>{title}</h1>\n<p class=\"sub\">{kind} of {} on {}, {} cores · commit {}</p>\n</header>\n",
        figures::rules(session),
        escape(&session.started),
        escape(&session.machine.cpu),
        session.machine.cores,
        escape(&session.revision),
    );
    page.push_str("<section class=\"answer\" aria-label=\"The answer\">\n");
    for sentence in answer::sentences(summary) {
        put(&mut page, "p", &sentence);
    }
    page.push_str("</section>\n");
    contents(&mut page, session, summary);
    notices(&mut page, summary);
    figures::legend(&mut page, session);
    if !summary.claims.is_empty() {
        tables::claims(&mut page, summary);
    }
    if !summary.targets.is_empty() {
        tables::goals(&mut page, summary);
    }
    let place = |name: &str| session.place(name);
    for table in &summary.tables {
        let (title, about) = about::scenario(table.scenario, &session.lengths);
        let name = table.scenario.name();
        if table.is_tuned() {
            let _ = writeln!(page, "<section>\n<h3 id=\"{name}-tuned\">{}, everybody at its best</h3>", escape(title));
            put(&mut page, "p", AT_ITS_BEST);
        } else {
            let _ = writeln!(page, "<section>\n<h2 id=\"{name}\">{}</h2>", escape(title));
            put(&mut page, "p", &about);
        }
        figures::put(&mut page, session, pictures, table);
        tables::figures(&mut page, table, place);
        if table.scenario == Scenario::Curve && !table.is_tuned() {
            rows::put(&mut page, &curves::rows(&summary.curves));
        }
        page.push_str("</section>\n");
    }
    setup::method(&mut page, session);
    setup::contenders(&mut page, session, runs);
    setup::raw_data(&mut page, runs);
    let _ = write!(page, "</main>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n");
    page
}

/// Where to find what.
fn contents(page: &mut String, session: &Session, summary: &Summary) {
    let mut entries: Vec<(&str, &str)> = Vec::new();
    if !summary.claims.is_empty() {
        entries.push(("evidence", "The evidence"));
    }
    if !summary.targets.is_empty() {
        entries.push(("targets", "Targets"));
    }
    let scenarios = summary.tables.iter().filter(|table| !table.is_tuned()).map(|table| table.scenario);
    entries.extend(scenarios.map(|scenario| (scenario.name(), about::scenario(scenario, &session.lengths).0)));
    entries.extend([("method", "Method"), ("contenders", "Contenders"), ("data", "Raw data")]);
    page.push_str("<nav aria-label=\"Contents\">\n<ul>\n");
    for (place, title) in entries {
        let _ = writeln!(page, "<li><a href=\"#{place}\">{}</a></li>", escape(title));
    }
    page.push_str("</ul>\n</nav>\n");
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
