//! A report as a page that needs nothing else: figures, tables, setup. Only formats.
//!
//! Everything is inline. The script shows values under the pointer and nothing else; without it the
//! page says the same.

use std::fmt::Write as _;

use crate::chart::{self, ChartError, Figure};
use crate::distribution::Distribution;
use crate::floor;
use crate::measures::MEASURES;
use crate::plan::Reuse;
use crate::report::Report;
use crate::summary::{abandoner, bytes, engine, load, time};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("hover.js");

/// A column of the table of times.
type Column = (&'static str, f64, fn(&Distribution) -> u64);

const COLUMNS: [Column; 7] = [
    ("p50", 0.5, |d| d.p50_ns),
    ("p75", 0.75, |d| d.p75_ns),
    ("p90", 0.9, |d| d.p90_ns),
    ("p95", 0.95, |d| d.p95_ns),
    ("p99", 0.99, |d| d.p99_ns),
    ("p99.9", 0.999, |d| d.p99_9_ns),
    ("p99.99", 0.9999, |d| d.p99_99_ns),
];

impl Report {
    /// The report as an HTML page.
    ///
    /// # Errors
    /// See [`ChartError`].
    pub fn html(&self) -> Result<String, ChartError> {
        let figures = chart::figures(self)?;
        let mut page = String::new();
        // Writing to a String cannot fail.
        let _ = write(&mut page, self, &figures);
        Ok(page)
    }
}

fn write(page: &mut String, report: &Report, figures: &[Figure]) -> std::fmt::Result {
    let target = escaped(&report.setup.target);
    let dark = chart::dark_rules();
    write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <link rel=\"icon\" href=\"data:,\">\n<title>loadgen: {target}</title>\n\
         <style>\n{STYLE}@media screen and (prefers-color-scheme: dark){{{dark}}}\n</style>\n</head>\n<body>\n<main>\n"
    )?;
    writeln!(
        page,
        "<h1>{} {target}</h1>\n<p class=\"soft\">{}</p>",
        escaped(&report.setup.method),
        escaped(&load(&report.setup))
    )?;
    verdict(page, report)?;
    tiles(page, report)?;
    for figure in figures {
        let values = serde_json::json!({"area": figure.values.area, "points": figure.values.points}).to_string();
        writeln!(
            page,
            "<figure id=\"{}\" data-values=\"{}\">\n{}\n<figcaption>{}</figcaption>\n</figure>",
            figure.name,
            escaped(&values),
            figure.svg,
            escaped(&figure.caption),
        )?;
    }
    times(page, report)?;
    outcomes(page, report)?;
    intervals(page, report)?;
    setup(page, report)?;
    write!(page, "</main>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n")
}

fn verdict(page: &mut String, report: &Report) -> std::fmt::Result {
    if report.is_valid() && !report.interrupted {
        return writeln!(
            page,
            "<div class=\"verdict\">Valid as a measurement: nothing speaks against these figures.</div>"
        );
    }
    writeln!(page, "<div class=\"verdict invalid\">")?;
    if report.interrupted {
        writeln!(page, "<p>The run was interrupted; the figures cover {:.2} s.</p>", report.duration_s)?;
    }
    if !report.is_valid() {
        writeln!(page, "<p><b>INVALID</b> as a measurement:</p>\n<ul>")?;
        for reason in &report.validity {
            writeln!(page, "<li>{}</li>", escaped(reason))?;
        }
        writeln!(page, "</ul>")?;
    }
    writeln!(page, "</div>")
}

fn tiles(page: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(page, "<div class=\"tiles\">")?;
    let mut tile = |figure: String, words: String| {
        writeln!(page, "<div class=\"tile\"><b>{}</b><span>{}</span></div>", escaped(&figure), escaped(&words))
    };
    let offered = report.offered_rate.map(|rate| format!(", {rate:.1}/s due")).unwrap_or_default();
    tile(format!("{:.1}/s", report.answered_rate), format!("answered{offered}"))?;
    let latency = &report.latency;
    if latency.count > 0 {
        tile(time(latency.p50_ns as f64), "median latency".to_owned())?;
        tile(format!("{}{}", time(latency.p99_ns as f64), mark(latency, 0.99)), "p99 latency".to_owned())?;
        tile(time(latency.max_ns as f64), "longest latency".to_owned())?;
    }
    let share = report.errors_total() as f64 / report.requests.max(1) as f64 * 100.0;
    tile(format!("{share:.2} %"), format!("errors: {} of {} requests", report.errors_total(), report.requests))?;
    writeln!(page, "</div>")
}

/// A star for what the number of samples cannot support.
fn mark(times: &Distribution, quantile: f64) -> &'static str {
    if times.supports(quantile) { "" } else { "*" }
}

fn times(page: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(page, "<h2>Times</h2>\n<div class=\"wide\"><table>\n<thead><tr><th>time</th><th>count</th>")?;
    for name in COLUMNS.iter().map(|column| column.0).chain(["max", "mean"]) {
        write!(page, "<th>{name}</th>")?;
    }
    writeln!(page, "</tr></thead>\n<tbody>")?;
    let mut starred = false;
    for measure in MEASURES {
        let times = measure.of(report);
        if times.count == 0 {
            continue;
        }
        write!(page, "<tr><th>{}</th><td>{}</td>", escaped(measure.label), times.count)?;
        for (_, quantile, figure) in COLUMNS {
            let mark = mark(times, quantile);
            starred |= !mark.is_empty();
            write!(page, "<td>{}{mark}</td>", time(figure(times) as f64))?;
        }
        writeln!(page, "<td>{}</td><td>{}</td></tr>", time(times.max_ns as f64), time(times.mean_ns))?;
    }
    writeln!(page, "</tbody></table></div>")?;
    if starred {
        writeln!(page, "<p class=\"soft\">* fewer than ten requests lie beyond this percentile: not reliable.</p>")?;
    }
    if report.failed() > 0 {
        writeln!(page, "<p class=\"soft\">The {} failed requests have no latency.</p>", report.failed())?;
    }
    Ok(())
}

fn outcomes(page: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(
        page,
        "<h2>Outcomes</h2>\n<div class=\"wide\"><table>\n<thead><tr><th>outcome</th><th>requests</th><th class=\"words\"></th></tr></thead>\n<tbody>"
    )?;
    for (code, count) in &report.statuses {
        writeln!(page, "<tr><th>status {code}</th><td>{count}</td><td class=\"words\"></td></tr>")?;
    }
    for (kind, count) in report.errors.iter().filter(|(kind, _)| !kind.is_answer()) {
        let example = report.error_examples.get(kind).map(|example| format!("e.g. {example}")).unwrap_or_default();
        writeln!(page, "<tr><th>{kind}</th><td>{count}</td><td class=\"words\">{}</td></tr>", escaped(&example))?;
    }
    if report.abandoned > 0 {
        writeln!(page, "<tr><th>abandoned {}</th><td>{}</td><td></td></tr>", abandoner(report), report.abandoned)?;
    }
    writeln!(page, "</tbody></table></div>")
}

fn intervals(page: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(
        page,
        "<details>\n<summary>Each interval</summary>\n<div class=\"wide\"><table>\n<thead><tr><th>seconds</th>\
         <th>due/s</th><th>answered/s</th><th>p50</th><th>p90</th><th>p99</th><th>max</th><th>errors</th>\
         <th>queued</th><th>in flight</th></tr></thead>\n<tbody>"
    )?;
    for interval in &report.intervals {
        let times = &interval.latency;
        let at = |figure: u64| if times.count > 0 { time(figure as f64) } else { "–".to_owned() };
        writeln!(
            page,
            "<tr><th>{:.1}{}</th><td>{:.1}</td><td>{:.1}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>\
             <td>{}</td><td>{}</td></tr>",
            interval.start_s,
            if interval.drain { " (drain)" } else { "" },
            interval.offered_rate,
            interval.answered_rate,
            at(times.p50_ns),
            at(times.p90_ns),
            at(times.p99_ns),
            at(times.max_ns),
            interval.errors_total(),
            interval.queued,
            interval.in_flight,
        )?;
    }
    writeln!(page, "</tbody></table></div>\n</details>")
}

fn setup(page: &mut String, report: &Report) -> std::fmt::Result {
    let setup = &report.setup;
    writeln!(page, "<h2>Setup</h2>\n<dl>")?;
    let mut row = |name: &str, value: String| writeln!(page, "<dt>{name}</dt><dd>{}</dd>", escaped(&value));
    row("generator", format!("{}, {}", report.generator, engine(&setup.engine)))?;
    row("target", format!("{} {} at {}", setup.method, setup.target, setup.address))?;
    row("load", load(setup))?;
    for (name, value) in &setup.headers {
        row("header", format!("{name}: {value}"))?;
    }
    if setup.body_bytes > 0 {
        row("body", bytes(setup.body_bytes as f64))?;
    }
    row(
        "connections",
        match setup.reuse {
            Reuse::KeepAlive => format!(
                "{}, kept alive; {} made, {} of them again",
                setup.connections, report.connects, report.reconnects
            ),
            Reuse::NewConnectionPerRequest => format!("one per request; {} made", report.connects),
        },
    )?;
    row("timeouts", format!("{} s for an answer, {} s for a connection", setup.timeout_s, setup.connect_timeout_s))?;
    row("warm-up", format!("{} s", setup.warmup_s))?;
    row("measured", format!("{:.2} s from {:.3} (seconds since 1970)", report.duration_s, report.started_unix_s))?;
    if let Some(shard) = setup.shard {
        row("shard", format!("{} of {}, counted from 0", shard.index, shard.count))?;
    }
    row(
        "transfer",
        format!("{} received, {} sent", bytes(report.bytes_received as f64), bytes(report.bytes_sent as f64)),
    )?;
    for (number, thread) in report.threads.iter().enumerate() {
        let place = thread.pinned_to.map(|cpu| format!(" on CPU {cpu}")).unwrap_or_default();
        row(&format!("thread {number}"), format!("{:.0} % of a CPU{place}", thread.cpu_share * 100.0))?;
    }
    for line in floor::lines(report.floor.as_ref()) {
        row("floor of the engine", line)?;
    }
    writeln!(page, "</dl>")
}

/// Text for element content and attributes in double quotes.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use crate::error::ErrorKind;
    use crate::report::tests::{interval, report};

    #[test]
    fn what_others_have_written_is_no_markup() {
        let mut report = report();
        report.setup.target = "http://a/?x=<script>alert(\"1\")</script>".to_owned();
        report.errors.insert(ErrorKind::Protocol, 1);
        report.error_examples.insert(ErrorKind::Protocol, "<b>&".to_owned());
        report.intervals = vec![interval(0.0, &[1_000_000; 30])];
        let page = report.html().unwrap();
        assert!(!page.contains("<script>alert") && !page.contains("<b>&<"), "markup from outside");
        assert!(page.contains("e.g. &lt;b&gt;&amp;"), "{page}");
    }

    #[test]
    fn a_page_needs_nothing_else() {
        let mut report = report();
        report.intervals = (0..3).map(|second| interval(f64::from(second), &[1_000_000; 30])).collect();
        let page = report.html().unwrap();
        for reference in ["src=", "@import", "url(", "<link rel=\"stylesheet\""] {
            assert!(!page.contains(reference), "{reference}");
        }
        assert_eq!(page.matches("<svg").count(), 4);
        assert!(page.contains("Valid as a measurement"));
        report.validity = vec!["the reason".to_owned()];
        assert!(report.html().unwrap().contains("<li>the reason</li>"));
    }
}
