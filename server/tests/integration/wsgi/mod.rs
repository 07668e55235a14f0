//! PEP 3333 without a framework in between.

mod closing;
mod files;
mod lint;
mod reading;
mod response;
mod threads;

use std::fs;
use std::path::PathBuf;

use crate::support::client::{Framing, get};
use crate::support::{Broken, Launch, Server, wait};

fn plain() -> Server {
    Launch::new("plain:app").fixed(1, 2).start()
}

/// Where the application notes what happened to it, as part of a target.
fn note(server: &Server, route: &str) -> (PathBuf, String) {
    let path = server.folder().join("note");
    let target = format!("{route}?note={}", path.display());
    (path, target)
}

/// Waits until the application has noted that its response was closed, and asserts that it was closed once.
fn await_closed(path: &PathBuf) {
    let text =
        wait::until("close() of the response", || fs::read_to_string(path).ok().filter(|text| text.ends_with('\n')));
    assert_eq!(text, "closed\n");
}

#[test]
fn the_environ_is_complete() {
    let server = plain();
    let mut client = server.connect();
    let local = client.local();
    let headers =
        [("X-Custom", "one"), ("X-Custom", "two"), ("Content-Type", "a/b"), ("Cookie", "c=d"), ("X_Under", "no")];
    let environ = client.request("POST", "/caf%C3%A9%2Fau%20lait/?a=%20&b", &headers, b"12345").json();
    let port = server.address().port().to_string();
    let expected = [
        ("REQUEST_METHOD", "POST"),
        ("SCRIPT_NAME", ""),
        // Bytes as Latin-1 characters: the encoded slash is a slash here, as in every WSGI server.
        ("PATH_INFO", "/caf\u{c3}\u{a9}/au lait/"),
        ("QUERY_STRING", "a=%20&b"),
        ("CONTENT_TYPE", "a/b"),
        ("CONTENT_LENGTH", "5"),
        ("SERVER_NAME", "127.0.0.1"),
        ("SERVER_PORT", &port),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("REMOTE_ADDR", "127.0.0.1"),
        ("REMOTE_PORT", &local.port().to_string()),
        ("HTTP_HOST", "test"),
        ("HTTP_COOKIE", "c=d"),
        ("HTTP_X_CUSTOM", "one,two"),
        ("wsgi.url_scheme", "http"),
    ];
    for (key, value) in expected {
        let found = environ[key].as_str().map(|found| found.replace(", ", ","));
        assert_eq!(found.as_deref(), Some(value), "{key} in {environ:#}");
    }
    assert_eq!(environ["wsgi.version"], serde_json::json!([1, 0]));
    for (key, value) in [("wsgi.multithread", true), ("wsgi.multiprocess", false), ("wsgi.run_once", false)] {
        assert_eq!(environ[key], value, "{key}");
    }
    // X_Under would have become HTTP_X_UNDER, as X-Under does: a way to forge a header that a proxy has checked.
    for absent in ["HTTP_X_UNDER", "HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH", "HTTP_PROXY"] {
        assert!(environ.get(absent).is_none(), "{absent} in {environ:#}");
    }
}

#[test]
fn the_environ_tells_the_shape_of_the_server() {
    let table = [
        ("--mpm static --workers 2 --threads 1", (false, true)),
        ("--mpm static --workers 1 --threads 4", (true, false)),
        ("--mpm prefork --start-servers 1 --min-spare-servers 1 --max-spare-servers 2", (false, true)),
        ("--mpm adaptive", (true, true)),
    ];
    for (shape, (multithread, multiprocess)) in table {
        let server = Launch::new("plain:app").args(shape).start();
        let environ = server.get("/environ").json();
        assert_eq!(environ["wsgi.multithread"], multithread, "{shape}");
        assert_eq!(environ["wsgi.multiprocess"], multiprocess, "{shape}");
    }
}

#[test]
fn the_input_can_be_read_in_every_way() {
    let server = plain();
    let mut client = server.connect();
    let body = b"first\nsecond line, longer\n\nlast without end";
    let lines = "first\n|second line, longer\n|\n|last without end";
    for (how, expected) in [
        ("read", std::str::from_utf8(body).expect("text")),
        ("pieces", std::str::from_utf8(body).expect("text")),
        ("readline", lines),
        ("readlines", lines),
        ("iterate", lines),
    ] {
        let target = format!("/echo?how={how}");
        assert_eq!(client.request("POST", &target, &[], body).text(), expected, "{how}");
        client.send(format!("POST {target} HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"));
        for piece in body.chunks(5) {
            client.send([format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat());
        }
        client.send("0\r\n\r\n");
        assert_eq!(client.answer().text(), expected, "{how}, chunked");
    }
    assert_eq!(client.request("POST", "/echo", &[], b"").text(), "");
    assert_eq!(client.get("/echo?how=readline").text(), "");
}

#[test]
fn write_comes_before_what_is_returned() {
    let response = plain().get("/write");
    assert_eq!(response.framing, Framing::Chunked);
    assert_eq!(response.text(), "written twice, then returned");
}

#[test]
fn headers_of_the_same_name_stay_apart() {
    let response = plain().get("/cookies");
    assert_eq!(response.head.all("Set-Cookie").collect::<Vec<_>>(), ["a=1", "b=2"]);
}

#[test]
fn exc_info_replaces_a_response_that_was_not_sent() {
    let response = plain().get("/exc-info");
    assert_eq!((response.status(), response.text()), (503, "sorry"));
}

#[test]
fn exc_info_cuts_a_response_that_was_sent() {
    let server = plain();
    let mut client = server.connect();
    client.send_get("/exc-info-late");
    let broken = client.try_answer().expect_err("the response can't be completed");
    assert!(matches!(broken, Broken::Cut(_)), "{broken}");
    server.await_log("after the first byte");
    assert_eq!(server.get("/").text(), "Hello");
}

#[test]
fn the_response_is_closed_when_all_is_sent() {
    let server = plain();
    let (path, target) = note(&server, "/close");
    assert_eq!(server.get(&target).text(), "onetwo");
    await_closed(&path);
}

#[test]
fn the_response_is_closed_when_it_fails() {
    let server = plain();
    let (path, target) = note(&server, "/close-after-failure");
    let mut client = server.connect();
    client.send_get(&target);
    assert!(matches!(client.try_answer(), Err(Broken::Cut(_))));
    await_closed(&path);
}

#[test]
fn the_response_is_closed_when_the_client_goes_away() {
    let server = plain();
    let (path, target) = note(&server, "/endless");
    let mut client = server.connect();
    client.send_get(&target);
    client.begin_chunked();
    drop(client);
    await_closed(&path);
    server.await_status("the call is over", |status| status.in_flight() == 0 && status.connections() == 0);
    // A client that leaves is no failure of the application.
    assert!(!server.log().contains("Traceback"), "{}", server.log());
}

#[test]
fn a_response_that_fails_midway_is_visibly_cut() {
    let server = plain();
    let mut client = server.connect();
    client.send_get("/midway");
    assert_eq!(client.try_head().expect("a head").status, 200);
    assert_eq!(client.try_chunk(), Ok(Some(b"the first piece".to_vec())));
    let broken = client.try_chunk().expect_err("there must be no last chunk");
    assert!(matches!(broken, Broken::Cut(_)), "{broken}");
    server.await_log("ValueError: failed midway");
    // HTTP/1.0 has no last chunk to miss: there only a reset shows the cut.
    let mut client = server.connect();
    client.send("GET /midway HTTP/1.0\r\n\r\n");
    let broken = client.try_answer().expect_err("the end must not look regular");
    assert!(matches!(broken, Broken::Nothing | Broken::Cut(_)), "{broken}");
}

#[test]
fn a_promised_length_that_is_not_kept_is_visible() {
    let server = plain();
    let mut client = server.connect();
    client.send_get("/too-short");
    let broken = client.try_answer().expect_err("five bytes are missing");
    assert!(matches!(broken, Broken::Cut(_) | Broken::Nothing), "{broken}");
    // More than promised would be read as the next response.
    let mut client = server.connect();
    client.send(get("/too-long"));
    let response = client.answer();
    assert_eq!(response.text(), "longe");
    match response.closes() {
        true => client.expect_close(),
        false => assert_eq!(client.get("/").text(), "Hello"),
    }
}

#[test]
fn what_an_application_does_wrong_is_answered_with_500_and_logged() {
    let server = plain();
    let pid = server.get("/pid").text().to_owned();
    let table = [
        ("/raises", "ValueError: on purpose"),
        ("/exits", "SystemExit: leaving"),
        ("/never-started", "start_response"),
        ("/not-bytes", "bytes"),
        ("/injects", "X-Value"),
    ];
    for (target, logged) in table {
        let mut client = server.connect();
        let response = client.get(target);
        assert_eq!(response.status(), 500, "{target}");
        assert_eq!(response.header("X-Injected"), None);
        assert!(!response.text().contains("Traceback"), "{target} tells strangers too much: {}", response.text());
        server.await_log(logged);
        let line = server.log().lines().rfind(|line| line.contains(logged)).unwrap_or_default().to_owned();
        assert!(line.contains(logged), "{line}");
        assert_eq!(client.get("/pid").text(), pid, "{target} has cost the worker its life");
    }
    let log = server.log();
    for part in ["Traceback (most recent call last):", "plain.py", "in raises", "method=\"GET\" path=\"/raises\""] {
        assert!(log.contains(part), "{part} is not in the log:\n{log}");
    }
    let status = server.await_status("no request is under way", |status| status.in_flight() == 0);
    let errors: u64 = status.workers.iter().map(|worker| worker.errors).sum();
    assert_eq!(errors, table.len() as u64);
}

#[test]
fn a_file_is_sent_whole() {
    let server = plain();
    let path = server.folder().join("content");
    let content: Vec<u8> = (0..100_000u32).flat_map(u32::to_le_bytes).collect();
    fs::write(&path, &content).expect("a file can be written");
    let mut client = server.connect();
    let target = format!("/file?path={}", path.display());
    for _ in 0..2 {
        let response = client.get(&target);
        assert_eq!(response.framing, Framing::Length(content.len()));
        assert!(response.body == content);
    }
    let head = client.request("HEAD", &target, &[], b"");
    assert_eq!(head.header("Content-Length"), Some("400000"));
    fs::write(&path, "").expect("a file can be written");
    assert_eq!(client.get(&target).body, b"");
}
