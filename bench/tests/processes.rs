//! Nothing that the harness starts stays: after success, failure, a signal, and after being killed itself.

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use support::Bench;

#[test]
fn nothing_stays_after_success() {
    let bench = Bench::new();
    let done = bench.run_session(&["step"], "right.py");
    assert_eq!(done.code, 0, "{}", done.err);
    bench.assert_nothing_stays();
}

#[test]
fn nothing_stays_of_a_server_that_dies_and_leaves_a_daemon() {
    let bench = Bench::new();
    let done = bench.run_session(&["steady"], "dying.sh");
    assert_eq!(done.code, 4, "{}", done.err);
    assert!(done.err.contains("smarthttpd adaptive ended before printing its address"), "{}", done.err);
    // The server's own words are shown, and kept with the results.
    assert!(done.err.contains("no such application: flask_app"), "{}", done.err);
    let page = fs::read_to_string(bench.folder().join("out/report.html")).unwrap();
    assert!(page.contains("no such application: flask_app"));
    assert!(page.contains("not measured"));
    bench.assert_nothing_stays();
}

#[test]
fn a_server_that_answers_wrongly_is_not_timed() {
    let bench = Bench::new();
    let done = bench.run_session(&["steady"], "wrong.py");
    assert_eq!(done.code, 4, "{}", done.err);
    assert!(done.err.contains("gate: /json answered with content type"), "{}", done.err);
    bench.assert_nothing_stays();
}

#[test]
fn a_signal_ends_everything_that_runs() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let bench = Bench::new();
        let mut child = bench.start_until_first_run();
        support::signal(child.id(), signal);
        let ended = Instant::now();
        let status = child.wait().unwrap();
        assert_eq!(status.code(), Some(code), "SIG{signal}");
        assert!(ended.elapsed() < Duration::from_secs(10));
        bench.assert_nothing_stays();
    }
}

#[test]
fn a_killed_harness_takes_its_server_along() {
    let bench = Bench::new();
    let mut child = bench.start_until_first_run();
    // The run is announced before its server is started: wait for the server itself.
    bench.await_marked(|pids| pids.len() >= 2);
    child.kill().unwrap();
    child.wait().unwrap();
    bench.await_marked(<[_]>::is_empty);
}

#[test]
fn the_lines_on_standard_error_tell_how_far_it_is() {
    let bench = Bench::new();
    let mut child = bench.start_until_first_run();
    support::signal(child.id(), "INT");
    let rest: Vec<String> = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok).collect();
    child.wait().unwrap();
    assert!(rest.iter().any(|line| line.contains("stopping what was started")), "{rest:?}");
}
