//! What is refused, and with which status. Nothing refused reaches the application.

use crate::support::{Launch, Server};

/// The status of the one response to `request`, after which the server closes.
fn refused(server: &Server, request: &str) -> u16 {
    let mut client = server.connect();
    client.send(request);
    let response = client.answer();
    assert!(response.closes(), "{request:?} got {response:?}");
    client.expect_close();
    response.status()
}

#[test]
fn ambiguous_requests_are_refused_and_their_connection_closed() {
    let server = Launch::new("plain:app").fixed(1, 1).start();
    // Each is followed by what a careless reader would take for a second request.
    let table = [
        (
            "both framings",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        ("two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde"),
        ("a list of lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4, 5\r\n\r\nabcde"),
        ("a signed length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +4\r\n\r\nabcd"),
        ("chunked is not last", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
        (
            "chunked twice",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        ("chunked in HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("a space before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
        ("a folded header", "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n"),
        ("a bare line feed", "GET / HTTP/1.1\nHost: a\n\n"),
        ("a bare carriage return", "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n"),
        (
            "a chunk size with a sign",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n",
        ),
        ("a chunk size in 0x", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n"),
        (
            "a chunk without its end",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
        ),
        (
            "a chunk size that overflows",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000001\r\na\r\n0\r\n\r\n",
        ),
        ("no host", "GET / HTTP/1.1\r\n\r\n"),
        ("two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
        ("no request at all", "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n"),
        ("a zero byte in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n"),
    ];
    for (case, request) in table {
        let smuggled = format!("{request}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(refused(&server, &smuggled), 400, "{case}");
    }
    assert_eq!(server.get("/").text(), "Hello");
    assert_eq!(server.requests(), 1, "only the last one reached the application");
}

#[test]
fn limits_have_their_statuses() {
    let limits = "--limit-request-line 100 --limit-header-count 5 --limit-header-size 300 --limit-body 1000";
    let server = Launch::new("plain:app").fixed(1, 1).args(limits).start();
    let head = |lines: &str| format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
    let chunked = |body: &str| format!("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
    let chunk = format!("1f4\r\n{}\r\n", "x".repeat(500));
    let table = [
        ("line", format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(100)), 414),
        // Without its end: what can't become a short line need not be awaited.
        ("endless line", format!("GET /{}", "x".repeat(500)), 414),
        ("count", head("A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\n"), 431),
        ("size", head(&format!("A: {}\r\n", "x".repeat(300))), 431),
        ("endless headers", format!("GET / HTTP/1.1\r\nA: {}", "x".repeat(500)), 431),
        ("length", "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n".to_owned(), 413),
        ("chunks", chunked(&format!("{chunk}{chunk}1\r\nx\r\n0\r\n\r\n")), 413),
        ("announced chunk", chunked("3e9\r\n"), 413),
        ("version", "GET / HTTP/2.0\r\nHost: a\r\n\r\n".to_owned(), 505),
        ("expectation", head("Expect: miracles\r\n"), 417),
        ("coding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n".to_owned(), 501),
    ];
    for (case, request, status) in &table {
        assert_eq!(refused(&server, request), *status, "{case}");
    }
    // What just fits passes.
    let mut client = server.connect();
    client.send(chunked(&format!("{chunk}{chunk}0\r\n\r\n")));
    assert_eq!(client.answer().body.len(), 1000);
    client.send(head("A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n"));
    assert_eq!(client.answer().text(), "Hello");
    assert_eq!(server.requests(), 2);
}

#[test]
fn a_client_that_goes_on_sending_still_sees_the_refusal() {
    let server = Launch::new("plain:app").fixed(1, 1).args("--limit-body 1000").start();
    let mut client = server.connect();
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n");
    // Not read by the server: without care, its close would be a reset that overtakes the answer.
    client.send(vec![b'x'; 2_000_000]);
    assert_eq!(client.answer().status(), 413);
}
