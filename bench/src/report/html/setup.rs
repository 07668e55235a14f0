//! What stands at the end of the report: method, machine, contenders with their terms and commands, raw data.

use std::fmt::Write as _;

use super::super::format;
use super::{escape, put};
use crate::contender::Tuning;
use crate::results::schema::{Outcome, Run, Session};

/// How it was measured, and on what.
pub(super) fn method(page: &mut String, session: &Session) {
    page.push_str("<h2 id=\"method\">Method</h2>\n");
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

/// Who took part, and on which terms.
pub(super) fn contenders(page: &mut String, session: &Session, runs: &[Run]) {
    page.push_str("<h2 id=\"contenders\">Contenders and their terms</h2>\n");
    // Of settings that were tried and not chosen the table of the search is enough.
    for entrant in session.contenders.iter().filter(|entrant| !entrant.is_only_tried()) {
        put(page, "h3", &entrant.title);
        put(page, "p", &entrant.terms);
        if let Some(Tuning::Nothing(reason)) = &entrant.tuning {
            put(page, "p", &format!("Its defaults are its only setting: {reason}."));
        }
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

/// Where every figure comes from.
pub(super) fn raw_data(page: &mut String, runs: &[Run]) {
    page.push_str("<h2 id=\"data\">Raw data</h2>\n");
    page.push_str(
        "<p>This page is computed from <a href=\"session.json\">session.json</a> and the files below alone; <code>bench report</code> with this folder computes it again. All figures: <a href=\"summary.json\">summary.json</a>. Percentile tables for HdrHistogram’s tools are in <code>histograms/</code>, the report as text for a pull request is in <a href=\"report.md\">report.md</a>.</p>\n<ol class=\"runs\">\n",
    );
    for run in runs {
        let label = escape(&run.id.label());
        let _ =
            writeln!(page, "<li><a href=\"raw/{label}.json\">{label}</a> <small>{}</small></li>", escape(&run.started));
    }
    page.push_str("</ol>\n");
}
