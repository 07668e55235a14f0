//! Slow clients: what they may hold, and for how long.

use std::fs::File;
use std::time::{Duration, Instant};

use crate::support::client::{Client, get};
use crate::support::wait::PATIENCE;
use crate::support::{Launch, Server};

const SHORT: Duration = Duration::from_millis(200);

/// What the server sends, and that it closes not before [`SHORT`] has passed.
fn outlasted(mut client: Client, since: Instant) -> String {
    let rest = String::from_utf8_lossy(&client.rest()).into_owned();
    assert!(since.elapsed() >= SHORT, "after {:?}: {rest}", since.elapsed());
    rest
}

#[test]
fn a_head_has_its_time_however_it_is_spread() {
    let server = Launch::new("plain:app").fixed(1, 1).args("--head-timeout 200ms").start();
    let since = Instant::now();
    let mut silent = server.connect();
    let mut dripping = server.connect();
    let mut begun = server.connect();
    begun.send("GET / HT");
    // A byte now and then does not prolong it. The server may cut this before all is sent.
    for byte in "GET / HTTP/1.1\r\nHost: test\r\nX-Endless: ".bytes() {
        let _ = dripping.try_send(&[byte]);
    }
    while since.elapsed() < PATIENCE && dripping.try_send(b"x").is_ok() && dripping.is_silent_for(SHORT / 10) {}
    let answer = outlasted(begun, since);
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    let answer = outlasted(dripping, since);
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    // Who has asked nothing is told nothing.
    silent.expect_close();
    assert_eq!(server.requests(), 0);
}

#[test]
fn a_body_may_take_its_time_as_long_as_it_moves() {
    let server = Launch::new("plain:app").fixed(1, 1).args("--body-timeout 800ms").start();
    let mut moving = server.connect();
    let since = Instant::now();
    moving.send("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n");
    for byte in b"slow alive" {
        assert!(moving.is_silent_for(Duration::from_millis(100)));
        moving.send([*byte]);
    }
    assert_eq!(moving.answer().text(), "slow alive");
    assert!(since.elapsed() > Duration::from_millis(800));

    let since = Instant::now();
    let mut stuck = server.connect();
    stuck.send("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 12\r\n\r\nhalf");
    let answer = outlasted(stuck, since);
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[test]
fn a_large_body_may_take_its_time_as_well() {
    // The worker waits for a good part of a large body at once, and must not take that for silence.
    let server = Launch::new("plain:app").fixed(1, 1).args("--body-timeout 500ms").start();
    const LENGTH: usize = 600_000;
    let piece = [b'x'; 20_000];
    let head = format!("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: {LENGTH}\r\n\r\n");
    let mut moving = server.connect();
    for round in 0..2 {
        let since = Instant::now();
        moving.send(&head);
        for _ in 0..LENGTH / piece.len() {
            // The second time all of it comes at once.
            assert!(round == 1 || moving.is_silent_for(Duration::from_millis(60)));
            moving.send(piece);
        }
        assert_eq!(moving.answer().text().len(), LENGTH);
        assert!(round == 1 || since.elapsed() > Duration::from_millis(1500));
        assert_eq!(moving.get("/").text(), "Hello", "the next request is small");
    }

    let since = Instant::now();
    let mut stuck = server.connect();
    stuck.send(&head);
    stuck.send(piece);
    let answer = outlasted(stuck, since);
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let server = Launch::new("plain:app").fixed(1, 1).args("--keep-alive-timeout 200ms").start();
    let mut client = server.connect();
    let since = Instant::now();
    client.get("/");
    assert_eq!(outlasted(client, since), "");
}

#[test]
fn the_time_of_a_call_is_not_taken_from_the_connections() {
    // Prefork's one thread sees nothing of the world while it is in a call.
    for shape in
        ["--mpm prefork --start-servers 1 --min-spare-servers 1 --max-spare-servers 2", "--mpm static --threads 1"]
    {
        let server = Launch::new("plain:app").args(shape).args("--keep-alive-timeout 600ms").start();
        let mut client = server.connect();
        assert_eq!(client.get("/sleep?ms=700").text(), "slept");
        assert!(client.is_silent_for(SHORT), "{shape}: closed too early");
        assert_eq!(client.get("/").text(), "Hello");
    }
}

#[test]
fn without_keep_alive_every_response_closes() {
    let server = Launch::new("plain:app").fixed(1, 1).args("--keep-alive-timeout 0").start();
    let mut client = server.connect();
    assert!(client.get("/").closes());
    client.expect_close();
}

/// `count` connections that have sent the beginning of a request.
fn besieged(server: &Server, count: usize, beginning: &str) -> Vec<Client> {
    let clients: Vec<Client> = (0..count)
        .map(|_| {
            let mut client = server.connect();
            client.send(beginning);
            client
        })
        .collect();
    server.await_status("all connections are accepted", |status| status.connections() as usize >= count);
    clients
}

#[test]
fn half_sent_requests_hold_no_thread() {
    for launch in
        [Launch::new("plain:app").fixed(1, 1), Launch::new("plain:app").args("--max-workers 1 --max-threads 1")]
    {
        let server = launch.start();
        let heads = besieged(&server, 100, "GET / HTTP/1.1\r\nHost: te");
        let bodies = besieged(&server, 100, "POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\na");
        assert_eq!(server.get("/").text(), "Hello");
        let status = server.await_status("nobody is busy", |status| status.totals.busy == 0);
        assert_eq!((status.totals.total, status.connections() >= 200), (1, true), "{status:#?}");
        // And they can still finish.
        for (mut head, mut body) in heads.into_iter().zip(bodies) {
            head.send("st\r\n\r\n");
            body.send("bc");
            assert_eq!(head.answer().text(), "Hello");
            assert_eq!(body.answer().text(), "abc");
        }
    }
}

#[test]
fn a_slow_reader_of_a_file_holds_no_thread() {
    let server = Launch::new("plain:app").fixed(1, 1).start();
    let path = server.folder().join("large");
    // More than the sockets' buffers on both sides take.
    File::create(&path).and_then(|file| file.set_len(32 << 20)).expect("a file can be made");
    let target = format!("/file?path={}", path.display());
    let mut slow = server.connect();
    slow.send_get(&target);
    let head = slow.try_head().expect("the response has begun");
    assert_eq!(head.header("Content-Length"), Some("33554432"));
    // There is one thread, and it answers this.
    assert_eq!(server.get("/").text(), "Hello");
    assert_eq!(slow.body_of(&head).expect("all of it comes in the end").len(), 32 << 20);
    assert_eq!(slow.get("/").text(), "Hello");
}

#[test]
fn a_slow_reader_of_a_body_in_memory_holds_no_thread() {
    let server = Launch::new("plain:app").fixed(1, 1).start();
    let mut slow = server.connect();
    // More than the sockets' buffers on both sides take.
    slow.send_get("/large?size=16000000");
    let head = slow.try_head().expect("the response has begun");
    // There is one thread, and it answers this.
    assert_eq!(server.get("/").text(), "Hello");
    assert_eq!(slow.body_of(&head).expect("all of it comes in the end").len(), 16_000_000);
    assert_eq!(slow.get("/").text(), "Hello");
}

#[test]
fn who_takes_nothing_is_cut() {
    let server = Launch::new("plain:app").fixed(1, 1).args("--write-timeout 200ms").start();
    let mut client = server.connect();
    client.send_get("/large?size=33554432");
    server.await_status("the connection is given up", |status| status.requests() == 1 && status.connections() == 0);
    let received = client.rest().len();
    assert!(received < 33_554_432, "{received} bytes came");
}

#[test]
fn a_client_that_goes_away_leaves_nothing_behind() {
    let server = Launch::new("plain:app").fixed(1, 2).start();
    for beginning in
        ["", "GET / HT", "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx", &get("/sleep?ms=20")]
    {
        let mut client = server.connect();
        client.send(beginning);
    }
    server.await_status("all are gone", |status| status.connections() == 0 && status.in_flight() == 0);
    assert_eq!(server.get("/").text(), "Hello");
}
