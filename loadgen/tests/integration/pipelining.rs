//! Several requests on a connection at a time, against servers that answer late, together, in part,
//! or not at all.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use loadgen::{ErrorKind, Load, Plan, Report};
use nix::libc::linger;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::Linger;

use crate::command::{loadgen, text};
use crate::server::{OK, Server, check, requests, run, stages};

/// Closed loop of `count` requests on one connection.
fn deep(server: &Server, count: u64, pipeline: usize) -> Plan {
    Plan { pipeline, ..requests(server.target(), count, 1) }
}

fn failed(report: &Report, kind: ErrorKind) -> (u64, u64) {
    (report.answered, report.errors_of(kind))
}

#[test]
fn requests_are_written_before_the_answers_of_earlier_ones() {
    // Answers nothing until it has eight requests: with fewer in the pipeline it would hang.
    let server = Server::start(|client| {
        loop {
            for _ in 0..8 {
                if client.request().is_none() {
                    return;
                }
            }
            client.send(&OK.repeat(8));
        }
    });
    let report = run(&deep(&server, 80, 8));
    assert_eq!((report.answered, report.errors.len(), report.connects), (80, 0, 1), "{:?}", report.errors);
    assert_eq!(report.setup.pipeline, 8);
}

#[test]
fn no_more_requests_are_unanswered_than_the_depth() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&seen);
    let server = Server::start(move |client| {
        // Three and no more are there before an answer; a fourth would come within this time.
        for _ in 0..3 {
            client.request();
        }
        client.stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let fourth = client.request().is_some();
        client.stream.set_read_timeout(None).unwrap();
        told.lock().unwrap().push(fourth);
        client.send(&OK.repeat(3));
        while client.request().is_some() {
            client.send(OK);
        }
    });
    let report = run(&deep(&server, 10, 3));
    assert_eq!((report.answered, report.connects), (10, 1));
    assert_eq!(*seen.lock().unwrap(), [false]);
}

#[test]
fn each_answer_goes_to_its_request_whatever_the_pieces() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list.txt");
    let list = list.to_str().unwrap();
    // Heads without bodies between bodies of several kinds: an answer that went to another request
    // would be read wrongly.
    std::fs::write(list, "GET /fixed\nHEAD /fixed\nGET /chunked\nGET /missing/{seq}\nGET /large\n").unwrap();
    let server = Server::start(|client| {
        let mut answers = Vec::new();
        while let Some(request) = client.request() {
            let large = [&b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"[..], &[b'x'; 100_000]].concat();
            let (method, path) = request.head.split_once(' ').unwrap();
            answers.extend_from_slice(match (method, path.split([' ', '/']).nth(1).unwrap()) {
                ("HEAD", _) => OK.strip_suffix(b"hello").unwrap(),
                (_, "fixed") => OK,
                (_, "chunked") => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
                (_, "missing") => b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno",
                (_, _) => &large,
            });
            // All but a part of the answer goes out; the part goes with the next one or alone.
            if answers.len() > 7 && !client.is_empty() {
                let rest = answers.split_off(answers.len() - 7);
                client.send(&answers);
                answers = rest;
            } else {
                client.send(&answers);
                answers.clear();
            }
        }
    });
    let url = server.target().to_string();
    let words = ["--target", &url, "--targets", list, "-n", "500", "-c", "2", "--pipeline", "5", "-q", "--json"];
    let output = loadgen(&words);
    let report: Report = serde_json::from_slice(&output.stdout).unwrap();
    check(&report);
    assert_eq!((report.answered, report.connects), (500, 2), "{:?}", report.error_examples);
    assert_eq!(
        report.statuses.iter().map(|(code, count)| (*code, *count)).collect::<Vec<_>>(),
        [(200, 400), (404, 100)]
    );
    assert!(report.targets.iter().all(|one| one.answered == 100), "{:?}", report.targets);
}

/// What a server does after two answers to four requests.
enum End {
    /// It sends this and closes.
    Closed(&'static [u8]),
    Reset,
}

#[test]
fn a_close_fails_exactly_the_unanswered() {
    // How it ends, and the kinds of error of the third and the fourth request.
    let rows = [
        (End::Closed(b""), ErrorKind::ClosedBeforeResponse, ErrorKind::ClosedBeforeResponse),
        // Of the answer to the fourth nothing has come.
        (End::Closed(b"HTTP/1.1 200 OK\r\nContent-Le"), ErrorKind::Truncated, ErrorKind::ClosedBeforeResponse),
        (
            End::Closed(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n12345"),
            ErrorKind::Truncated,
            ErrorKind::ClosedBeforeResponse,
        ),
        (End::Closed(b"HTTP/9 what\r\n\r\n"), ErrorKind::Protocol, ErrorKind::Protocol),
        (End::Reset, ErrorKind::Read, ErrorKind::Read),
    ];
    for (row, (end, third, fourth)) in rows.into_iter().enumerate() {
        let server = Server::start(move |client| {
            for _ in 0..4 {
                if client.request().is_none() {
                    return;
                }
            }
            match end {
                End::Closed(bytes) => client.send(&[OK, OK, bytes].concat()),
                End::Reset => {
                    client.send(&OK.repeat(2));
                    // Closing a socket that lingers for no time resets the connection (socket(7)).
                    let now = linger { l_onoff: 1, l_linger: 0 };
                    setsockopt(&client.stream, Linger, &now).unwrap();
                }
            }
        });
        let report = run(&deep(&server, 4, 4));
        let errors: u64 = report.errors.values().sum();
        assert_eq!((report.answered, errors), (2, 2), "{row}: {:?}", report.errors);
        let expected = if third == fourth { (2, 2) } else { (1, 1) };
        assert_eq!((report.errors_of(third), report.errors_of(fourth)), expected, "{row}: {:?}", report.errors);
    }
}

#[test]
fn an_answer_that_closes_is_the_last_of_its_connection() {
    const LAST: &[u8] = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
    // Every connection: two answers, a third that closes, and the one behind it is lost.
    let server = Server::start(|client| {
        for _ in 0..4 {
            if client.request().is_none() {
                return;
            }
        }
        client.send(&[OK, OK, LAST].concat());
        client.hold();
    });
    let report = run(&deep(&server, 4, 4));
    assert_eq!(failed(&report, ErrorKind::ClosedBeforeResponse), (3, 1), "{:?}", report.errors);
    let example = report.error_examples.values().next().unwrap();
    assert!(example.contains("asked to close"), "{example}");
}

#[test]
fn a_timeout_fails_what_is_behind_it_too() {
    let server = Server::start(|client| while client.request().is_some() {});
    let plan = Plan { timeout: Duration::from_millis(200), ..deep(&server, 3, 3) };
    let report = run(&plan);
    assert_eq!(failed(&report, ErrorKind::Timeout), (0, 3), "{:?}", report.errors);
}

#[test]
fn bytes_after_the_last_answer_are_an_error() {
    let server = Server::start(|client| {
        client.request();
        client.request();
        client.send(&OK.repeat(3));
        client.hold();
    });
    let report = run(&deep(&server, 2, 2));
    assert_eq!(failed(&report, ErrorKind::Protocol), (1, 1), "{:?}", report.errors);
}

#[test]
fn a_connection_has_no_more_requests_than_it_may() {
    let server = Server::answering(OK);
    let report = run(&Plan { requests_per_connection: Some(5), ..deep(&server, 40, 4) });
    assert_eq!((report.answered, report.connects, report.reconnects), (40, 8, 0), "{:?}", report.errors);
}

#[test]
fn large_requests_are_written_whole_and_in_order() {
    let server = Server::start(|client| {
        let mut last = 0;
        while let Some(request) = client.request() {
            let number: usize = request.head.split_whitespace().nth(1).unwrap()[1..].parse().unwrap();
            let whole = request.body.len() == 300_000 && request.body.iter().all(|byte| *byte == b'x');
            let right = whole && number == last + 1;
            last = number;
            client.send(if right { OK } else { b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n" });
        }
    });
    let port = server.target().host().rsplit(':').next().unwrap().parse().unwrap();
    let target = loadgen::Target::tcp("127.0.0.1", port, "/{seq}").unwrap();
    let plan = Plan { method: "POST".into(), body: vec![b'x'; 300_000], pipeline: 8, ..requests(target, 60, 1) };
    let report = run(&plan);
    assert_eq!((report.status_class(2), report.connects), (60, 1), "{:?} {:?}", report.statuses, report.errors);
}

#[test]
fn in_an_open_loop_each_latency_begins_at_its_own_time() {
    // Answers the ten requests of one connection together, when all have come: half a second after
    // the first of them was due.
    let server = Server::start(|client| {
        for _ in 0..10 {
            client.request();
        }
        client.send(&OK.repeat(10));
        client.hold();
    });
    let plan = Plan { connections: 1, pipeline: 10, ..stages(server.target(), "500ms@20") };
    let report = run(&plan);
    assert_eq!((report.answered, report.connects), (10, 1), "{:?}", report.errors);
    // Due 50 ms apart, answered at once: 450, 400 … 0 ms, plus what the machine adds.
    let times = report.latency.histogram().unwrap();
    for number in 1..=9u64 {
        let longer = times.count_between(number * 49_500_000, u64::MAX);
        assert!(longer >= 10 - number, "{longer} of at least {} ms", number * 50);
    }
    assert!(report.latency.min_ns < 400_000_000, "{}", report.summary());
    // They were sent when they were due and not when the one before was answered.
    assert_eq!(report.queue_wait.count, 10);
    assert!(report.queue_wait.max_ns < 40_000_000, "{}", report.summary());
}

#[test]
fn in_an_open_loop_connections_fill_up_in_turn_and_the_rest_waits() {
    let held = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&held);
    let server = Server::start(move |client| {
        let mut asked = 0;
        while client.request().is_some() {
            asked += 1;
        }
        seen.lock().unwrap().push(asked);
    });
    // 3 connections of depth 4 hold 12 of 20 requests, the others are never sent.
    let plan = Plan {
        connections: 3,
        pipeline: 4,
        timeout: Duration::from_secs(30),
        deadline: Some(Duration::from_millis(1500)),
        ..stages(server.target(), "500ms@40")
    };
    let report = run(&plan);
    drop(server);
    assert_eq!((report.requests, report.abandoned, report.connects), (20, 20, 3));
    assert_eq!(report.intervals.iter().map(|interval| interval.started).sum::<u64>(), 12);
    assert_eq!(*held.lock().unwrap(), [4, 4, 4]);
}

#[test]
fn a_free_connection_is_preferred_to_a_place_in_a_pipeline() {
    let server = Server::answering(OK);
    let plan = Plan { pipeline: 4, ..stages(server.target(), "1s@200") };
    let report = run(&plan);
    assert_eq!((report.answered, report.errors.len()), (200, 0));
}

#[test]
fn a_busy_closed_loop_answers_everything_on_every_thread() {
    let server = Server::answering(OK);
    let load = Load::closed_for(Duration::from_millis(500));
    let report = run(&Plan { connections: 6, threads: 2, pipeline: 16, ..Plan::new(server.target(), load) });
    assert!(report.answered > 100 && report.errors.is_empty(), "{} {:?}", report.answered, report.errors);
    assert_eq!(report.connects, 6);
}

#[test]
fn what_contradicts_pipelining_is_refused() {
    let rows: [(&[&str], &str); 4] = [
        (&["--pipeline", "0"], "--pipeline: must be at least 1"),
        (&["--pipeline", "2", "--no-keepalive"], "--pipeline: needs --no-keepalive to be left out"),
        (&["--pipeline", "2", "--think-time", "1s"], "--pipeline: does not wait for answers, and --think-time"),
        (
            &["--pipeline", "3", "--requests-per-connection", "2"],
            "--pipeline: must not be more than --requests-per-connection",
        ),
    ];
    for (words, expected) in rows {
        let output = loadgen(&[&["--target", "http://127.0.0.1:1/"], words].concat());
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(text(&output.stderr).contains(expected), "{expected}: {output:?}");
    }
}
