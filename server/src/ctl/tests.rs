//! The client against a real socket.

use std::os::unix::net::UnixListener;
use std::thread;

use super::protocol::{Counters, Decision, Served, Status, Tasks, Totals, Worker};
use super::*;

pub(super) fn sample() -> Status {
    let worker = Worker {
        slot: 0,
        pid: 100,
        generation: 1,
        phase: "ready".to_owned(),
        busy: true,
        connections: 12,
        in_flight: 3,
        queued: 1,
        threads: 4,
        requests: 10_500,
        errors: 2,
        age_seconds: 185.0,
        ready_ms: Some(4.5),
        rss_bytes: Some(32_000_000),
        mean_ms: Some(50.5),
        tasks: Tasks::default(),
    };
    let leaving = Worker {
        slot: 1,
        pid: 12_345,
        phase: "draining".to_owned(),
        busy: false,
        connections: 0,
        in_flight: 0,
        queued: 0,
        threads: 1,
        requests: 0,
        errors: 0,
        ready_ms: None,
        rss_bytes: None,
        mean_ms: None,
        ..worker
    };
    Status {
        version: "0.1.0".to_owned(),
        pid: 71,
        mpm: "adaptive".to_owned(),
        uptime_seconds: 185.2,
        listening: vec!["127.0.0.1:8000".to_owned(), "unix:/run/app.sock".to_owned()],
        phase: "serving".to_owned(),
        totals: Totals { total: 2, busy: 1, idle: 0, kill_pending: 1, starting: 0 },
        workers: vec![worker, leaving],
        counters: Counters { spawned: 3, died: 1, ..Counters::default() },
        tasks: Tasks::default(),
        served: Served::default(),
        backlog: 0,
        admin: None,
        decisions: vec![Decision {
            seconds_ago: 2.0,
            at_seconds: 183.2,
            reason: "λ=400/s W=50 ms → 29 slots, have 16 → +1 worker".to_owned(),
            actions: vec!["spawn 1".to_owned()],
            inputs: Default::default(),
        }],
    }
}

/// What the client makes of a server that takes one line and answers with `answer`; the line it took.
fn exchange(command: Verb, json: bool, answer: &str) -> (Result<String, CtlError>, String) {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("smarthttpd");
    prepare_directory(&directory).unwrap();
    let socket = directory.join("71.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let answer = answer.to_owned();
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        reader.into_inner().write_all(answer.as_bytes()).unwrap();
        line
    });
    let outcome = run_in(&Invocation { command, socket: None, json }, &[directory]);
    // If the client never came, this lets the server's thread fail instead of waiting for ever.
    drop(UnixStream::connect(&socket));
    (outcome, server.join().unwrap())
}

#[test]
fn status_is_asked_for_and_shown() {
    let line = format!("{}\n", serde_json::to_string(&Reply::status(sample())).unwrap());
    let (text, asked) = exchange(Verb::Status, false, &line);
    assert_eq!(asked, "{\"command\":\"status\"}\n");
    assert_eq!(text.unwrap(), text::status(&sample()));
    let (json, _) = exchange(Verb::Status, true, &line);
    assert_eq!(json.unwrap(), line);
}

#[test]
fn a_newer_servers_fields_survive_as_json() {
    let mut value = serde_json::to_value(Reply::status(sample())).unwrap();
    value["ok"]["colour"] = "blue".into();
    let (json, _) = exchange(Verb::Status, true, &format!("{value}\n"));
    assert!(json.unwrap().contains("\"colour\":\"blue\""));
}

#[test]
fn stop_is_acknowledged() {
    let (text, asked) = exchange(Verb::Stop, false, "{\"ok\":\"stopping\"}\n");
    assert_eq!(asked, "{\"command\":\"stop\"}\n");
    assert_eq!(text.unwrap(), "the server is stopping\n");
}

#[test]
fn every_failure_has_its_message_and_exit_code() {
    let message = |answer: &str| {
        let error = exchange(Verb::Status, false, answer).0.unwrap_err();
        (error.to_string(), error.exit())
    };
    assert_eq!(message("{\"error\":\"busy\"}\n"), ("the server refused: busy".to_owned(), Exit::Failure));
    let (text, exit) = message("");
    assert!(text.ends_with("71.sock did not answer: it closed the connection within its answer"), "{text}");
    assert_eq!(exit, Exit::NoServer);
    let (text, exit) = message("nonsense\n");
    assert!(text.contains("gave an answer that this version does not understand: "), "{text}");
    assert_eq!(exit, Exit::Failure);

    let nowhere = Invocation { command: Verb::Status, socket: Some("/nowhere/1.sock".into()), json: false };
    let error = run_in(&nowhere, &[]).unwrap_err();
    let expected = "no server answers at /nowhere/1.sock: No such file or directory (os error 2); is it running?";
    assert_eq!((error.to_string().as_str(), error.exit()), (expected, Exit::NoServer));

    let unnamed = Invocation { socket: None, ..nowhere };
    let error = run_in(&unnamed, &["/nowhere".into(), "/tmp/none".into()]).unwrap_err();
    let expected = "no server of this user is running (no living socket in /nowhere or /tmp/none); name its socket with \
                    --socket PATH";
    assert_eq!((error.to_string().as_str(), error.exit()), (expected, Exit::NoServer));

    let several = CtlError::Several { sockets: vec!["/a/1.sock".into(), "/a/2.sock".into()] };
    let expected = "several servers are running; choose one with --socket: /a/1.sock, /a/2.sock";
    assert_eq!((several.to_string().as_str(), several.exit()), (expected, Exit::Usage));
}
