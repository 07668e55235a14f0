//! The access log: one whole line for each request, whoever answered it.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use nix::sys::signal::Signal;

use crate::support::{Launch, Load, Server};

/// A server that logs to a file in this format, and the file.
fn logging(format: &str) -> (Server, PathBuf) {
    let launch = Launch::new("plain:app").fixed(3, 2).args("--access-log").arg(format);
    let path = launch.folder().join("access.log");
    let server = launch.arg("--access-log-file").arg(&path).start();
    (server, path)
}

/// The lines, once the server has stopped.
fn stop_and_read(mut server: Server, path: &PathBuf) -> Vec<String> {
    server.signal(Signal::SIGTERM);
    assert_eq!(server.await_exit().code(), Some(0));
    fs::read_to_string(path).expect("the log is there").lines().map(str::to_owned).collect()
}

#[test]
fn the_combined_format_is_apaches() {
    let (server, path) = logging("combined");
    let headers = [("Referer", "http://a/\"b\""), ("User-Agent", "test/1")];
    server.connect().request("POST", "/echo?how=read", &headers, b"12345");
    assert_eq!(server.get("/raises").status(), 500);
    let mut refused = server.connect();
    refused.send("nonsense\r\n\r\n");
    assert_eq!(refused.answer().status(), 400);
    drop(refused);
    let lines = stop_and_read(server, &path);
    assert_eq!(lines.len(), 3, "{lines:#?}");
    let line = lines.iter().find(|line| line.contains("/echo")).expect("the POST is logged");
    assert!(line.starts_with("127.0.0.1 - - ["), "{line}");
    assert!(line.contains("] \"POST /echo?how=read HTTP/1.1\" 200 5 \""), "{line}");
    assert!(line.ends_with(" \"test/1\"") && !line.contains("\"b\""), "quotes of others are escaped: {line}");
    assert!(lines.iter().any(|line| line.contains("\"GET /raises HTTP/1.1\" 500 ")), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains(" 400 ")), "{lines:#?}");
}

#[test]
fn no_line_is_lost_or_torn_under_load() {
    let (server, path) = logging("json");
    let answered = Load::run(&server, 6, "/pid", |load| {
        load.await_answers(500);
        load.answered()
    });
    let requests = server.requests();
    let lines = stop_and_read(server, &path);
    assert!(lines.len() >= answered && lines.len() as u64 >= requests, "{} lines for {requests} requests", lines.len());
    let mut workers = BTreeSet::new();
    for line in &lines {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!((&entry["path"], &entry["status"]), (&"/pid".into(), &200.into()), "{line}");
        workers.insert(entry["pid"].as_u64());
    }
    assert!(!workers.is_empty() && !workers.contains(&None), "{workers:?}");
}

#[test]
fn standard_output_may_be_the_log() {
    let mut server = Launch::new("plain:app").fixed(1, 1).args("--access-log common").start();
    server.get("/");
    server.get("/cookies");
    server.signal(Signal::SIGTERM);
    server.await_exit();
    let output = server.output();
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines.len(), 2, "{output}");
    assert!(lines[0].ends_with("\"GET / HTTP/1.1\" 200 5"), "{output}");
    assert!(lines[1].ends_with("\"GET /cookies HTTP/1.1\" 200 3"), "{output}");
}
