//! What an engine costs by itself: in the report's forms, and as a command. Figures are checked for being there; how
//! they compare is the machine's business.

use loadgen::{FloorExchange, Report};

use crate::command::{loadgen, text};
use crate::server::{OK, Server};

fn url(server: &Server) -> String {
    format!("http://127.0.0.1:{}/", server.port())
}

fn is_plausible(one: &FloorExchange) -> bool {
    one.answered > 0
        && one.answered_rate > 0.0
        && one.cpu_per_request_ns > 0.0
        && one.p50_ns > 0
        && one.p99_ns.is_none_or(|p99| p99 >= one.p50_ns)
}

#[test]
fn a_report_has_the_floor_when_it_is_asked_for() {
    let server = Server::answering(OK);
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page.html");
    let page_name = page.to_str().unwrap();
    let output = loadgen(&["-t", &url(&server), "-n", "50", "-c", "3", "-q", "--floor", "--json", "--html", page_name]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report: Report = serde_json::from_slice(&output.stdout).unwrap();
    let floor = report.floor.unwrap();
    assert_eq!(floor.engine.name(), "fast");
    assert_eq!(floor.exchanges.iter().map(|one| one.connections).collect::<Vec<_>>(), [1, 3]);
    assert!(floor.exchanges.iter().all(is_plausible), "{floor:?}");
    // The target sees nothing of it.
    assert_eq!((report.requests, server.accepted()), (50, 3));
    let summary = text(&output.stderr);
    assert!(summary.contains("\n  floor         1 connection: "), "{summary}");
    assert!(summary.contains("\n  floor         3 connections: "), "{summary}");
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("<dt>floor of the engine</dt><dd>1 connection: "), "{page}");
}

#[test]
fn a_report_without_a_floor_says_so() {
    let server = Server::answering(OK);
    let output = loadgen(&["-t", &url(&server), "-n", "5", "-c", "1", "-q"]);
    assert!(text(&output.stdout).contains("\n  floor         not measured; --floor"), "{}", text(&output.stdout));
    let page = loadgen(&["-t", &url(&server), "-n", "5", "-c", "1", "-q", "--html", "-"]);
    assert!(text(&page.stdout).contains("<dt>floor of the engine</dt><dd>not measured"));
}

#[cfg(feature = "reqwest")]
#[test]
fn a_report_of_the_reqwest_engine_has_its_floor_unless_it_is_refused() {
    let server = Server::answering(OK);
    let report = |words: &[&str]| {
        let url = url(&server);
        let words = [&["-t", &url, "-n", "5", "-c", "1", "-q", "--json", "--engine", "reqwest"], words].concat();
        serde_json::from_slice::<Report>(&loadgen(&words).stdout).unwrap()
    };
    let floor = report(&[]).floor.unwrap();
    assert_eq!((floor.engine.name(), floor.exchanges.len()), ("reqwest", 1));
    assert!(floor.exchanges.iter().all(is_plausible), "{floor:?}");
    assert_eq!(report(&["--floor", "never"]).floor, None);
}

#[test]
fn the_command_shows_the_floor_of_each_engine() {
    let output = loadgen(&["floor", "-d", "100ms", "-c", "2"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let table = text(&output.stdout);
    let engines = if cfg!(feature = "reqwest") { ["fast", "reqwest"].as_slice() } else { &["fast"] };
    for engine in engines {
        let rows = table.lines().filter(|line| line.trim_start().starts_with(&format!("{engine} ")));
        assert_eq!(rows.count(), 2, "{engine}: one connection, and two\n{table}");
    }
    let output = loadgen(&["floor", "-d", "100ms", "-c", "1", "--engine", "fast", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["floors"].as_array().unwrap().len(), 1);
    assert_eq!(json["floors"][0]["engine"]["name"], "fast");
    assert!(json["floors"][0]["exchanges"][0]["cpu_per_request_ns"].as_f64().unwrap() > 0.0, "{json}");
}

#[test]
fn wrong_usage_of_the_command_is_refused_in_words() {
    for (words, part) in [
        (&["floor", "-c", "0"], "--connections: must be at least 1"),
        (&["floor", "-d", "0s"], "--duration"),
        (&["floor", "--engine", "slow"], "--engine"),
    ] {
        let output = loadgen(words);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains(part), "{}", text(&output.stderr));
    }
}
