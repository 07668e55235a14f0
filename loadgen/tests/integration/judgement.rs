//! What the command decides with its figures: gates, and the search for a capacity.

use std::io::Read;
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use loadgen::{Capacity, Finding, Outcome, Purpose, Report, Standing};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::command::{command, loadgen, text};
use crate::server::{OK, Server, check};

const UNWELL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";

/// A server that thinks for a while over each request: its latencies are no matter of this machine.
fn thinking(answer: &'static [u8]) -> Server {
    Server::start(move |client| {
        while client.request().is_some() {
            thread::sleep(Duration::from_millis(20));
            client.send(answer);
        }
    })
}

/// A server that answers one request at a time and takes 4 ms for each: at most 250/s.
fn one_at_a_time() -> Server {
    let counter = Mutex::new(());
    Server::start(move |client| {
        while client.request().is_some() {
            let turn = counter.lock().unwrap();
            thread::sleep(Duration::from_millis(4));
            drop(turn);
            client.send(OK);
        }
    })
}

#[test]
fn a_gate_decides_the_exit_code() {
    let server = thinking(OK);
    let url = server.target().to_string();
    // objectives, exit code, what the summary says
    let rows = [
        (&["p50<60s"][..], 0, "met           p50<60s: "),
        (&["p50<60s, errors<=0", "rps>0.1"], 0, "met           rps>0.1: "),
        (&["p50<1ms"], 3, "MISSED        p50<1ms: "),
        (&["p50<60s", "mean<1ms"], 3, "MISSED        mean<1ms: "),
        // A p99 takes a thousand requests; a closed loop offers no rate.
        (&["p99<60s"], 5, "UNDECIDED     p99<60s: "),
        (&["rate>0.9"], 5, "UNDECIDED     rate>0.9: only an open loop"),
    ];
    for (objectives, code, shown) in rows {
        let mut words = vec!["--target", &url, "-n", "40", "-c", "8", "-q"];
        words.extend(objectives.iter().flat_map(|objective| ["--assert", objective]));
        let output = loadgen(&words);
        assert_eq!(output.status.code(), Some(code), "{objectives:?} {output:?}");
        assert!(text(&output.stdout).contains(shown), "{objectives:?} {output:?}");
    }
}

#[test]
fn a_gate_on_errors_counts_answers_too() {
    let server = thinking(UNWELL);
    let url = server.target().to_string();
    let output = loadgen(&["--target", &url, "-n", "20", "-c", "4", "-q", "--assert", "errors<1%", "--json"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let report: Report = serde_json::from_slice(&output.stdout).unwrap();
    check(&report);
    let [verdict] = report.assertions.as_slice() else { panic!("{:?}", report.assertions) };
    assert_eq!((verdict.objective.as_str(), verdict.outcome, verdict.value), ("errors<1%", Outcome::Missed, Some(1.0)));
}

#[test]
fn a_gate_on_the_rate_stands_in_an_invalid_run() {
    // One connection answers 50/s at most.
    let server = thinking(OK);
    let url = server.target().to_string();
    let words = ["--target", &url, "--rate", "150", "-d", "1s", "-c", "1", "-q", "--timeout", "20s"];
    let output = loadgen(&[&words[..], &["--assert", "rate>0.99"]].concat());
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(text(&output.stdout).contains("INVALID"), "{output:?}");
    let output = loadgen(&words);
    assert_eq!(output.status.code(), Some(5), "{output:?}");
}

#[test]
fn a_search_finds_what_a_target_bears() {
    let server = one_at_a_time();
    let url = server.target().to_string();
    let words =
        ["--target", &url, "--find-capacity", "p90<150ms,errors<1%", "-d", "1s", "--json", "--precision", "20%"];
    let output = loadgen(&[&words[..], &["--min-rate", "110"]].concat());
    let capacity: Capacity = serde_json::from_slice(&output.stdout).unwrap();
    let shown = text(&output.stderr);
    for trial in &capacity.trials {
        check(&trial.report);
        assert_eq!(trial.report.assertions.len(), 2);
        assert_eq!(trial.reasons.is_empty(), trial.standing == Standing::Sustained, "{trial:?}");
    }
    let lines = shown.lines().filter(|line| line.contains(" double ")).count();
    // Each trial is told when it is over, and again in the summary.
    assert_eq!(lines, 2 * capacity.trials.iter().filter(|trial| trial.purpose == Purpose::Double).count(), "{shown}");
    match &capacity.finding {
        Finding::Found { rate, above, reasons } => {
            assert_eq!(output.status.code(), Some(0));
            // Within 1 s, a queue at 50/s too many grows to 150 ms only in its last quarter.
            assert!(*rate <= 300.0 && rate < above && !reasons.is_empty(), "{:?}", capacity.finding);
            assert_eq!(capacity.confirmation().unwrap().rate, *rate);
            assert!(shown.contains(&format!("capacity      {rate}/s, confirmed")), "{shown}");
        }
        // On a busy machine the server's 4 ms may become 10, or the generator be late.
        Finding::NotSustained { .. } => assert_eq!(output.status.code(), Some(3), "{shown}"),
        Finding::GeneratorLimited { .. } | Finding::NotMeasured { .. } => {
            assert_eq!(output.status.code(), Some(5), "{shown}");
            assert!(shown.contains("INVALID"), "{shown}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_search_ends_at_the_highest_rate_asked_for() {
    let server = thinking(OK);
    let url = server.target().to_string();
    let words = ["--target", &url, "--find-capacity", "p50<60s", "-d", "500ms", "--min-rate", "50", "--max-rate", "60"];
    let output = loadgen(&words);
    let shown = text(&output.stdout);
    // A busy machine may make the generator late; then nothing is claimed.
    match output.status.code() {
        Some(0) => assert!(shown.contains("capacity      at least 60/s, confirmed"), "{shown}"),
        other => assert!(other == Some(5) && shown.contains("INVALID"), "{output:?}"),
    }
}

#[test]
fn a_target_that_does_not_hold_the_lowest_rate_fails() {
    let server = thinking(UNWELL);
    let url = server.target().to_string();
    let output = loadgen(&["--target", &url, "--find-capacity", "errors<1%", "-d", "500ms", "--min-rate", "50"]);
    let shown = text(&output.stdout);
    match output.status.code() {
        Some(3) => assert!(shown.contains("none confirmed; 50/s failed: errors<1%: 100.00 %"), "{shown}"),
        other => assert!(other == Some(5) && shown.contains("INVALID"), "{output:?}"),
    }
}

#[test]
fn a_search_needs_a_target_that_is_up() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let output = loadgen(&["--target", &url, "--find-capacity", "p50<1s"]);
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    assert!(text(&output.stderr).contains("is a server listening there?"), "{output:?}");
}

#[test]
fn ctrl_c_ends_a_search_with_what_was_found() {
    let (asked, first) = channel();
    let server = Server::start(move |client| {
        while client.request().is_some() {
            // Only the first matters, and the test may be past it.
            let _ = asked.send(());
            client.send(OK);
        }
    });
    let url = server.target().to_string();
    let words = ["--target", &url, "--find-capacity", "p50<1s", "-d", "10m", "--json"];
    let mut child = command(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    first.recv_timeout(Duration::from_secs(60)).unwrap();
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    let mut json = String::new();
    child.stdout.take().unwrap().read_to_string(&mut json).unwrap();
    let mut shown = String::new();
    child.stderr.take().unwrap().read_to_string(&mut shown).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{shown}");
    assert!(shown.contains("interrupted   no rate was sustained until then"), "{shown}");
    let capacity: Capacity = serde_json::from_str(&json).unwrap();
    assert_eq!(capacity.finding, Finding::Interrupted { rate: None });
    assert!(capacity.trials[0].report.interrupted);
}
