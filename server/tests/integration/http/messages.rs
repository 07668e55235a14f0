//! Framing, persistence and order of messages.

use std::time::Duration;

use crate::support::client::{Framing, get};
use crate::support::{Gate, Launch};

#[test]
fn a_connection_is_used_again() {
    let server = Launch::new("plain:app").fixed(1, 2).start();
    let mut client = server.connect();
    for _ in 0..3 {
        let response = client.get("/");
        assert_eq!((response.status(), response.text()), (200, "Hello"));
        assert_eq!(response.framing, Framing::Length(5));
        assert_eq!(response.header("Connection"), None);
        assert_eq!(response.header("Server"), Some("smarthttpd"));
        let date = response.header("Date").expect("an origin server sends a date");
        assert!(httpdate::parse_http_date(date).is_ok(), "{date}");
    }
    assert_eq!(server.requests(), 3);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = Launch::new("plain:app").fixed(1, 4).start();
    let mut client = server.connect();
    // The first is slow, and other threads are free: a later one could overtake it.
    let mut requests = get("/sleep?ms=50");
    (0..20).for_each(|n| requests.push_str(&get(&format!("/environ?n={n}"))));
    // One with a body in between, directly followed by the next request.
    requests.push_str(
        "POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: test\r\n\r\n",
    );
    client.send(&requests);
    assert_eq!(client.answer().text(), "slept");
    for n in 0..20 {
        assert_eq!(client.answer().json()["QUERY_STRING"], format!("n={n}"));
    }
    assert_eq!(client.answer().text(), "abc");
    assert_eq!(client.answer().text(), "Hello");
}

#[test]
fn pipelined_requests_before_the_clients_end_are_answered() {
    let server = Launch::new("plain:app").fixed(1, 1).start();
    let mut client = server.connect();
    client.send(get("/").repeat(3));
    client.finish();
    for _ in 0..3 {
        assert_eq!(client.answer().text(), "Hello");
    }
    client.expect_close();
}

#[test]
fn the_client_may_ask_for_the_end() {
    let server = Launch::new("plain:app").fixed(1, 1).start();
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    let response = client.answer();
    assert!(response.closes());
    assert_eq!(response.text(), "Hello");
    client.expect_close();
}

#[test]
fn http_1_0_closes_unless_asked_to_keep_alive() {
    let server = Launch::new("plain:app").fixed(1, 1).start();
    let mut client = server.connect();
    client.send("GET / HTTP/1.0\r\n\r\n");
    let response = client.answer();
    assert_eq!((response.text(), response.framing), ("Hello", Framing::Length(5)));
    // A server answers with its own version, whatever the client's (RFC 9110 §2.5).
    assert_eq!(response.head.version, "HTTP/1.1");
    client.expect_close();

    let mut client = server.connect();
    for _ in 0..2 {
        client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        let response = client.answer();
        assert_eq!(response.header("Connection"), Some("keep-alive"));
        assert_eq!(response.text(), "Hello");
    }
    // What HTTP/1.0 can't delimit ends with the connection, whatever was asked for.
    client.send("GET /write HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let response = client.answer();
    assert_eq!(response.framing, Framing::UntilClose);
    assert_eq!(response.text(), "written twice, then returned");
}

#[test]
fn a_chunked_body_may_arrive_byte_by_byte() {
    let server = Launch::new("plain:app").fixed(1, 1).start();
    let mut client = server.connect();
    let request = "POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n\
                   3\r\nabc\r\n0a;extension=\"x\"\r\n0123456789\r\n0\r\nX-Trailer: t\r\n\r\n";
    for _ in 0..2 {
        for byte in request.as_bytes() {
            client.send([*byte]);
        }
        assert_eq!(client.answer().text(), "abc0123456789");
    }
    // And all at once, with the next request behind it.
    client.send(format!("{request}{}", get("/")));
    assert_eq!(client.answer().text(), "abc0123456789");
    assert_eq!(client.answer().text(), "Hello");
}

#[test]
fn a_body_is_asked_for_with_100_continue() {
    let server = Launch::new("plain:app").fixed(1, 1).start();
    let mut client = server.connect();
    client.send("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    let interim = client.try_head().expect("an interim response");
    assert_eq!((interim.status, interim.headers.len()), (100, 0));
    client.send("body");
    assert_eq!(client.answer().text(), "body");
    // A client that did not wait needs no interim response (RFC 9110 §10.1.1).
    client.send("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nbody");
    assert_eq!(client.answer().text(), "body");
}

#[test]
fn a_body_that_is_too_large_is_not_asked_for() {
    let server = Launch::new("plain:app").fixed(1, 1).args("--limit-body 10").start();
    let mut client = server.connect();
    client.send("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n");
    let response = client.answer();
    assert_eq!(response.status(), 413);
    assert!(response.closes());
    client.expect_close();
}

#[test]
fn head_has_the_headers_of_get_and_no_body() {
    let server = Launch::new("plain:app").fixed(1, 1).start();
    let mut client = server.connect();
    let plain = client.request("HEAD", "/", &[], b"");
    assert_eq!((plain.status(), plain.header("Content-Length")), (200, Some("5")));
    assert_eq!(client.request("HEAD", "/write", &[], b"").status(), 200);
    assert_eq!(client.get("/").text(), "Hello", "no byte of a body is in between");
}

#[test]
fn no_content_has_no_framing() {
    let server = Launch::new("plain:app").fixed(1, 1).start();
    let mut client = server.connect();
    let response = client.get("/no-content");
    assert_eq!(response.status(), 204);
    assert_eq!((response.header("Content-Length"), response.header("Transfer-Encoding")), (None, None));
    assert_eq!(client.get("/").text(), "Hello");
}

#[test]
fn a_piece_is_sent_when_it_is_there() {
    let server = Launch::new("plain:app").fixed(1, 1).start();
    let mut gate = Gate::new(server.folder(), "gate");
    let mut client = server.connect();
    client.send_get(&gate.target_of("/stream"));
    assert_eq!(client.try_head().expect("a head").header("Transfer-Encoding"), Some("chunked"));
    assert_eq!(client.try_chunk(), Ok(Some(b"first".to_vec())), "the second piece waits at the gate");
    assert!(client.is_silent_for(Duration::from_millis(20)));
    gate.open();
    assert_eq!(client.try_chunk(), Ok(Some(b"second".to_vec())));
    assert_eq!(client.try_chunk(), Ok(None));
    assert_eq!(client.get("/").text(), "Hello");
}

#[test]
fn a_large_body_survives_the_way_through_the_disk() {
    let server = Launch::new("plain:app").fixed(1, 1).args("--body-memory 64k").start();
    let body: Vec<u8> = (0..3_000_000u32).map(|n| b'a' + (n % 23) as u8).collect();
    let mut client = server.connect();
    let response = client.request("POST", "/echo", &[], &body);
    assert!(response.body == body, "{} bytes came back", response.body.len());
    assert_eq!(client.get("/").text(), "Hello");
}

#[test]
fn an_unread_body_does_not_become_the_next_request() {
    let server = Launch::new("plain:app").fixed(1, 1).start();
    let mut client = server.connect();
    let smuggled = get("/dies");
    let response = client.request("POST", "/echo?how=none", &[], smuggled.as_bytes());
    assert_eq!(response.text(), "not read");
    assert_eq!(client.get("/").text(), "Hello");
    assert_eq!(server.requests(), 2);
}
