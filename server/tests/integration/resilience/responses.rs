//! Responses that are wrong, large, many, or for old clients.

use std::time::Duration;

use crate::support::client::{Framing, get};
use crate::support::processes::memory;
use crate::support::{Broken, Launch};

#[test]
fn a_promised_length_is_never_passed_and_never_feigned() {
    let server = Launch::new("hostile:app").fixed(1, 1).start();
    for how in ["list", "pieces", "write"] {
        let ask = |length: usize, size: usize| {
            let mut client = server.connect();
            client.send_get(&format!("/promised?how={how}&length={length}&size={size}"));
            client
        };
        let mut exact = ask(95, 95);
        assert_eq!(exact.answer().body.len(), 95, "{how}");
        assert_eq!(exact.get("/").text(), "Hello", "{how}");

        // Too long: what was promised arrives, not a byte of the rest, and what follows is not taken for the body.
        let mut long = ask(5, 95);
        long.send_get("/");
        match long.try_answer() {
            Ok(response) if response.status() == 200 => {
                assert_eq!(response.body, b"xxxxx", "{how}");
                if response.closes() {
                    long.expect_close();
                } else if let Ok(next) = long.try_answer() {
                    assert_eq!(next.text(), "Hello", "{how}");
                }
            }
            Ok(response) => assert_eq!(response.status(), 500, "{how}: {response:?}"),
            Err(broken) => panic!("{how}: {broken}"),
        }

        // Too short: an error if it can still be said, else a visible cut.
        let mut short = ask(100, 95);
        match short.try_answer() {
            Ok(response) => assert_eq!(response.status(), 500, "{how}: {response:?}"),
            Err(broken) => assert_ne!(broken, Broken::Silence, "{how}"),
        }
    }
    assert_eq!(server.get("/").text(), "Hello");
}

#[test]
fn a_stream_that_fails_is_cut_for_old_and_new_clients() {
    let server = Launch::new("hostile:app").fixed(1, 1).start();
    for size in [10, 1_000_000] {
        let target = format!("/pieces?count=3&size={size}&fail=1");
        let mut new = server.connect();
        new.send_get(&target);
        let broken = new.try_answer().expect_err("a failed stream looks whole");
        assert!(matches!(broken, Broken::Cut(_)), "{broken}");
        // To HTTP/1.0 the end of the connection is the end of the body: only a reset can tell the difference.
        let mut old = server.connect();
        old.send(format!("GET {target} HTTP/1.0\r\n\r\n"));
        assert!(old.try_answer().is_err(), "a failed stream looks whole to HTTP/1.0");
    }
}

#[test]
fn old_clients_get_streams_until_the_end_of_the_connection() {
    let server = Launch::new("hostile:app").fixed(1, 2).start();
    for (count, size) in [(1, 1_000_000), (1000, 1000), (10, 100_000), (0, 1)] {
        let target = format!("/pieces?count={count}&size={size}");
        for wish in ["", "Connection: keep-alive\r\n"] {
            let mut old = server.connect();
            old.send(format!("GET {target} HTTP/1.0\r\n{wish}\r\n"));
            let response = old.answer();
            assert_eq!(response.header("Transfer-Encoding"), None, "{target}");
            assert_eq!(response.body.len(), count * size, "{target}");
            if count > 0 {
                assert_eq!((response.framing, response.closes()), (Framing::UntilClose, true), "{target}");
            }
        }
        let mut new = server.connect();
        let response = new.get(&target);
        assert_eq!(response.body.len(), count * size, "{target}");
        assert_eq!(new.get("/").text(), "Hello", "{target}");
    }
}

#[test]
fn connection_options_decide_by_version() {
    let server = Launch::new("hostile:app").fixed(1, 1).start();
    let table = [
        // version, Connection, whether it is kept
        ("1.1", None, true),
        ("1.1", Some("close"), false),
        ("1.1", Some("Close"), false),
        ("1.1", Some("keep-alive"), true),
        ("1.1", Some("keep-alive, close"), false),
        ("1.1", Some("close, keep-alive"), false),
        ("1.1", Some("upgrade, CLOSE ,x"), false),
        ("1.1", Some("closed"), true),
        ("1.1", Some("x-close"), true),
        ("1.1", Some("upgrade"), true),
        ("1.1", Some(""), true),
        ("1.1", Some(",,"), true),
        ("1.0", None, false),
        ("1.0", Some("keep-alive"), true),
        ("1.0", Some("Keep-Alive"), true),
        ("1.0", Some("x, keep-alive"), true),
        ("1.0", Some("keep-alive, close"), false),
        ("1.0", Some("close"), false),
        ("1.0", Some("keepalive"), false),
        // Of a proxy's connection, not of ours.
        ("1.0", Some("x\r\nProxy-Connection: keep-alive"), false),
    ];
    for (version, option, kept) in table {
        let mut client = server.connect();
        let option = option.map_or(String::new(), |option| format!("Connection: {option}\r\n"));
        client.send(format!("GET / HTTP/{version}\r\nHost: a\r\n{option}\r\n"));
        let response = client.answer();
        let case = format!("HTTP/{version} {option:?}");
        assert_eq!((response.text(), response.closes()), ("Hello", !kept), "{case}: {response:?}");
        // An HTTP/1.0 client counts on nothing that is not said (RFC 9112 §9.3).
        let said = response.header("Connection").is_some_and(|said| said.eq_ignore_ascii_case("keep-alive"));
        assert_eq!(said, version == "1.0" && kept, "{case}: {response:?}");
        if kept {
            assert_eq!(client.get("/").text(), "Hello", "{case}");
        } else {
            client.expect_end();
        }
    }
}

#[test]
fn many_and_long_headers_pass() {
    let server = Launch::new("hostile:app").fixed(1, 1).start();
    let mut client = server.connect();
    let response = client.get("/many-cookies?count=500");
    let cookies: Vec<&str> = response.head.all("Set-Cookie").collect();
    assert_eq!(cookies.len(), 500);
    assert!(
        cookies.iter().enumerate().all(|(n, cookie)| *cookie == format!("name{n}=value{n}; Path=/")),
        "{cookies:?}"
    );
    for (count, size) in [(1, 60_000), (200, 100), (1000, 1)] {
        let response = client.get(&format!("/headers?count={count}&size={size}"));
        // All of them or, where there is a bound, an error that says so: never some of them.
        if response.status() == 200 {
            let whole = (0..count).all(|n| response.header(&format!("X-{n}")).is_some_and(|value| value.len() == size));
            assert!(whole, "{count} headers of {size} bytes");
        } else {
            assert_eq!(response.status(), 500, "{count} headers of {size} bytes");
            assert!(server.log().contains("header"), "{}", server.log());
        }
        assert_eq!(client.get("/").text(), "Hello", "{count} headers of {size} bytes");
    }
}

#[test]
fn a_huge_body_leaves_no_memory_behind() {
    const SIZE: u64 = 100_000_000;
    let server = Launch::new("hostile:app").fixed(1, 1).start();
    let mut client = server.connect();
    assert_eq!(client.get("/").text(), "Hello");
    let worker = server.status().pids()[0];
    let before = memory(worker);
    for target in [format!("/large?size={SIZE}"), format!("/pieces?count=1&size={SIZE}")] {
        client.send_get(&target);
        let head = client.try_head().expect("an answer");
        assert_eq!(client.body_of(&head).expect("all of it").len() as u64, SIZE, "{target}");
        assert_eq!(client.get("/").text(), "Hello");
        let left = memory(worker).saturating_sub(before);
        println!("after {target}: {left} bytes more");
        assert!(left < SIZE / 5, "{target}: {left} bytes are left behind");
    }
}

#[test]
fn interim_answers_and_bodies_do_not_mix() {
    let server = Launch::new("hostile:app").fixed(1, 1).start();
    let mut client = server.connect();
    // Expects, is told to continue, and its answer is a 405 that stays on the connection.
    client.send("POST /only-get HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-Continue\r\n\r\n");
    assert_eq!(client.try_head().expect("an interim answer").status, 100);
    assert!(client.is_silent_for(Duration::from_millis(20)), "the body is awaited");
    client.send(format!("body{}", get("/")));
    assert_eq!(client.answer().status(), 405);
    assert_eq!(client.answer().text(), "Hello");
}
