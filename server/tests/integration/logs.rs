//! The access log: one whole line for each request, whoever answered it.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use nix::sys::signal::Signal;

use crate::support::{Gate, Launch, Load, Server};

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

#[test]
fn a_renamed_log_is_reopened_without_a_lost_line() {
    for shape in ["--mpm static --workers 3 --threads 2", "--mpm prefork --start-servers 6"] {
        let launch = Launch::new("plain:app").args(shape).args("--access-log json");
        let path = launch.folder().join("access.log");
        let server = launch.arg("--access-log-file").arg(&path).start();
        let mut files = Vec::new();
        let answered = Load::run(&server, 6, "/pid", |load| {
            for rotation in 1..=4 {
                load.await_answers(100);
                let rotated = path.with_extension(rotation.to_string());
                fs::rename(&path, &rotated).expect("a log can be renamed");
                let output = server.ctl(&["reopen-logs"]);
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                assert!(output.status.success(), "{output:?}");
                assert!(text.ends_with(" workers have reopened the access log\n"), "{text}");
                // From now on the old file is complete and may be compressed.
                let complete = fs::read_to_string(&rotated).expect("the old file is there");
                load.await_answers(100);
                assert_eq!(fs::read_to_string(&rotated).expect("still"), complete, "{shape}");
                files.push(complete);
            }
            assert_eq!(load.lost(), 0);
            load.answered()
        });
        let requests = server.requests();
        files.push(stop_and_read(server, &path).join("\n"));
        let lines: usize = files.iter().map(|file| file.lines().count()).sum();
        assert!(lines >= answered && lines as u64 >= requests, "{shape}: {lines} lines for {requests} requests");
        assert!(files.iter().all(|file| file.lines().count() > 0), "{shape}: a file is empty");
        for line in files.iter().flat_map(|file| file.lines()) {
            serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        }
    }
}

#[test]
fn a_log_that_can_not_be_reopened_is_kept() {
    let launch = Launch::new("plain:app").fixed(2, 2);
    let folder = launch.folder().join("logs");
    fs::create_dir(&folder).expect("room");
    let server = launch.arg("--access-log-file").arg(folder.join("access.log")).start();
    server.await_status("two workers", |status| status.settled(2));
    let moved = folder.with_extension("moved");
    fs::rename(&folder, &moved).expect("a folder can be renamed");
    let output = server.ctl(&["reopen-logs"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text.contains("2 can't and keep the old file; the error log says why"), "{text}");
    assert!(server.log().contains("access.log can't be opened: No such file or directory"), "{}", server.log());
    server.get("/");
    let lines = stop_and_read(server, &moved.join("access.log"));
    assert_eq!(lines.len(), 1, "{lines:?}");
}

#[test]
fn reopening_says_what_it_did_not_do() {
    let refusal = |server: &Server| {
        let output = server.ctl(&["reopen-logs"]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stderr).expect("text")
    };
    let silent = Launch::new("plain:app").fixed(1, 1).start();
    assert!(refusal(&silent).contains("there is no access log; --access-log-file names one"));
    let standard = Launch::new("plain:app").fixed(1, 1).args("--access-log common").start();
    assert!(refusal(&standard).contains("the access log is standard output"));

    // In prefork the only thread may be in a call.
    let launch = Launch::new("plain:app").args("--mpm prefork --start-servers 2 --max-request-workers 2");
    let path = launch.folder().join("access.log");
    let server = launch.arg("--access-log-file").arg(&path).start();
    server.await_status("two servers", |status| status.settled(2));
    let mut gate = Gate::new(server.folder(), "gate");
    let mut client = server.connect();
    client.send_get(&gate.target());
    server.await_status("the request is in the application", |status| status.in_flight() == 1);
    fs::rename(&path, path.with_extension("old")).expect("a log can be renamed");
    let output = server.ctl(&["reopen-logs"]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    assert_eq!(text, "1 worker has reopened the access log; 1 will when its call has ended\n");
    gate.open();
    assert_eq!(client.answer().text(), "passed");
}
