//! `wsgi.file_wrapper`: the same bytes whether the kernel sends them or Python reads them, and `close()` in every case.

use std::fs;
use std::path::PathBuf;

use crate::support::browser::content;
use crate::support::client::Framing;
use crate::support::{Broken, Launch, Server};

/// What is in the file that the server's folder holds.
const CONTENT: &[u8] = b"file content, line one\nand another\n";

fn serve() -> (Server, PathBuf) {
    let server = Launch::new("files:app").fixed(1, 2).start();
    let path = server.folder().join("content");
    fs::write(&path, CONTENT).expect("a file can be written");
    (server, path)
}

/// What was given out since it was last asked: how often each was closed.
fn closes(server: &Server) -> String {
    // The client may have all of a response before it is closed.
    server.await_status("no call is under way", |status| status.in_flight() == 0);
    server.get("/state").text().to_owned()
}

#[test]
fn every_kind_of_file_is_sent_from_where_it_stands() {
    let (server, path) = serve();
    let gzipped = server.folder().join("content.gz");
    // The smallest that there is: one stored block (RFC 1952, RFC 1951 §3.2.4).
    let stored = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x01\x05\0\xfa\xffhello\x86\xa6\x10\x36\x05\0\0\0";
    fs::write(&gzipped, stored).expect("a file can be written");
    let shouted = CONTENT.to_ascii_uppercase();
    let cpus = fs::read("/sys/devices/system/cpu/online").expect("sysfs is there");
    let length = Framing::Length;
    // A file that the kernel sends has a length; of all others only the end is known.
    let table: [(&str, Framing, &[u8], &str); 18] = [
        ("buffered", length(35), CONTENT, "[1]"),
        ("unbuffered", length(35), CONTENT, "[1]"),
        ("offset", length(30), &CONTENT[5..], "[1]"),
        ("past-the-end", length(0), b"", "[1]"),
        // Python's buffer has all of it already.
        ("read-before", length(32), &CONTENT[3..], "[1]"),
        ("bytes", Framing::Chunked, b"in memory", "[1]"),
        ("bytes-offset", Framing::Chunked, b"memory", "[1]"),
        ("reader", Framing::Chunked, b"one two three", "[]"),
        ("pipe", Framing::Chunked, b"through a pipe", "[1]"),
        // Its descriptor would give other bytes than it does.
        ("subclass", Framing::Chunked, &shouted, "[1]"),
        // Part of it is in Python's buffer only.
        ("read-write", length(11), b"new old old", "[1]"),
        ("temporary", Framing::Chunked, b"temporary", "[1]"),
        ("gzip", Framing::Chunked, b"hello", "[1]"),
        // Claims to be empty.
        ("proc", Framing::Chunked, b"smarthttpd\n", "[1]"),
        // Claims to be a page.
        ("sysfs", Framing::Chunked, &cpus, "[1]"),
        ("offset&block=1", length(30), &CONTENT[5..], "[1]"),
        ("bytes&block=2", Framing::Chunked, b"in memory", "[1]"),
        ("reader&block=1000000", Framing::Chunked, b"one two three", "[]"),
    ];
    let mut client = server.connect();
    for (kind, framing, body, closed) in table {
        let path = if kind == "gzip" { &gzipped } else { &path };
        let target = format!("/?path={}&kind={kind}", path.display());
        let response = client.get(&target);
        let found = (response.status(), response.framing, response.body.escape_ascii().to_string());
        assert_eq!(found, (200, framing, body.escape_ascii().to_string()), "{kind}\n{}", server.log());
        assert_eq!(closes(&server), closed, "{kind}");
        // HEAD says what it can without the body, and closes all the same.
        let head = client.request("HEAD", &target, &[], b"");
        assert_eq!((head.status(), head.body.len()), (200, 0), "{kind}");
        if let Framing::Length(length @ 1..) = framing {
            assert_eq!(head.header("Content-Length"), Some(&*length.to_string()), "{kind}");
        }
        assert_eq!(closes(&server), closed, "{kind}, HEAD");
    }
    assert!(!server.log().contains("Traceback"), "{}", server.log());
}

#[test]
fn content_length_decides_how_much_of_a_file_is_sent() {
    let (server, path) = serve();
    for kind in ["buffered", "offset", "bytes"] {
        let body: &[u8] = match kind {
            "buffered" => CONTENT,
            "offset" => &CONTENT[5..],
            _ => b"in memory",
        };
        let mut client = server.connect();
        for length in [0, 4, body.len()] {
            let target = format!("/?path={}&kind={kind}&length={length}", path.display());
            let response = client.get(&target);
            assert_eq!(response.framing, Framing::Length(length), "{kind} {length}");
            assert!(response.body == body[..length], "{kind} {length}: {response:?}");
            assert_eq!(closes(&server), "[1]", "{kind} {length}");
        }
        let target = format!("/?path={}&kind={kind}&length=100", path.display());
        client.send_get(&target);
        let broken = client.try_answer().expect_err("the file is shorter");
        assert!(matches!(broken, Broken::Cut(_) | Broken::Nothing), "{kind}: {broken}");
        assert_eq!(closes(&server), "[1]", "{kind}");
        let head = server.connect().request("HEAD", &target, &[], b"");
        assert_eq!(head.header("Content-Length"), Some("100"), "{kind}");
        assert_eq!(closes(&server), "[1]", "{kind}");
    }
}

#[test]
fn a_file_is_no_body_where_there_is_none() {
    let (server, path) = serve();
    let mut client = server.connect();
    for status in ["204%20None", "304%20Same"] {
        for kind in ["buffered", "bytes", "pipe"] {
            let response = client.get(&format!("/?path={}&kind={kind}&status={status}", path.display()));
            assert_eq!((response.framing, response.header("Content-Length")), (Framing::None, None), "{kind} {status}");
            assert_eq!(closes(&server), "[1]", "{kind} {status}");
        }
    }
    // HTTP/1.0, where the end of an unknown length is the end of the connection.
    for (kind, framing) in [("buffered", Framing::Length(35)), ("pipe", Framing::UntilClose)] {
        let mut client = server.connect();
        client.send(format!("GET /?path={}&kind={kind} HTTP/1.0\r\n\r\n", path.display()));
        assert_eq!(client.answer().framing, framing, "{kind}");
    }
}

#[test]
fn a_file_that_can_not_be_read_is_an_error() {
    let (server, path) = serve();
    for (kind, logged, closed) in [
        ("text", "one piece is str", "[1]"),
        ("closed", "ValueError: ", "[1]"),
        ("write-only", "UnsupportedOperation", "[1]"),
        ("directory", "AttributeError", "[]"),
        ("buffered&unstarted=1", "without having called start_response()", "[1]"),
        ("bytes&unstarted=1", "without having called start_response()", "[1]"),
        ("buffered&block=-1", "OverflowError", "[0]"),
        ("buffered&length=five", "invalid Content-Length", "[0]"),
    ] {
        let before = server.log().len();
        let response = server.get(&format!("/?path={}&kind={kind}", path.display()));
        assert_eq!(response.status(), 500, "{kind}: {response:?}\n{}", server.log());
        server.await_log_after(before, logged);
        assert_eq!(closes(&server), closed, "{kind}");
    }
}

#[test]
fn a_file_cut_short_while_it_is_sent_cuts_the_response() {
    let (server, path) = serve();
    // Much more than sockets buffer, so that the server is in the middle of it when the client stops reading.
    let large = content(64 << 20);
    fs::write(&path, &large).expect("a file can be written");
    let target = format!("/?path={}&kind=buffered", path.display());
    let mut client = server.connect();
    client.send_get(&target);
    let head = client.try_head().expect("a head");
    assert_eq!(head.header("Content-Length"), Some("67108864"));
    fs::File::options().write(true).open(&path).and_then(|file| file.set_len(1000)).expect("a file can be cut");
    let broken = client.body_of(&head).expect_err("the rest of the file is gone");
    assert!(matches!(broken, Broken::Cut(_)), "{broken}");
    // One that grows is sent as long as it was: the length was promised.
    fs::write(&path, &large).expect("a file can be written");
    let mut client = server.connect();
    client.send_get(&target);
    let head = client.try_head().expect("a head");
    let mut file = fs::File::options().append(true).open(&path).expect("it is there");
    std::io::Write::write_all(&mut file, b"more").expect("a file can grow");
    assert!(client.body_of(&head).expect("a body") == large);
    assert_eq!(client.get("/state").status(), 200, "the connection goes on in step");
}
