//! Slow clients, hundreds at once: they are waited for as long as was agreed, hold no thread, and nobody else notices.

use std::fs;
use std::time::{Duration, Instant};

use super::bystanders::{again_and_again, beside, let_pass};
use crate::support::processes::most_connections;
use crate::support::{Client, Launch, Server, wait};

/// What nobody may wait for whom slow clients don't concern. They take much longer than this.
const PROMPT: Duration = Duration::from_secs(1);
/// How long the slow clients of these tests may take.
const AGREED: Duration = Duration::from_secs(3);

fn besiege(server: &Server, count: usize, beginning: &str) -> Vec<Client> {
    (0..count)
        .map(|_| {
            let mut client = server.connect();
            client.send(beginning);
            client
        })
        .collect()
}

#[test]
fn a_thousand_slow_senders_are_ended_in_time_and_nobody_else_notices() {
    assert!(most_connections() >= 2000, "raise the limit of open files (ulimit -n) to run this");
    let server = Launch::new("plain:app")
        .args("--max-workers 1 --max-threads 4 --head-timeout 3s --body-timeout 3s --keep-alive-timeout 20s")
        .start();
    let body = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n";
    let (threads, times) = beside(&server, || {
        let since = Instant::now();
        let mut heads = besiege(&server, 400, "GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ");
        let mut stalled = besiege(&server, 300, &format!("{body}begun"));
        let mut bodies = besiege(&server, 300, body);
        server.await_status("all are connected", |status| status.connections() >= 1000);
        let connected = Instant::now();
        // A byte every so often, to each of them. Some are answered, and closed, meanwhile.
        let drip = || {
            for client in heads.iter_mut().chain(&mut bodies) {
                let _ = client.try_send(b"x");
            }
            let_pass(Instant::now(), Duration::from_millis(100));
        };
        let threads = again_and_again(drip, || {
            let mut threads = 0;
            server.await_status("the slow heads and the stalled bodies are ended", |status| {
                threads = threads.max(status.threads());
                (300..700).contains(&status.connections())
            });
            let_pass(connected, AGREED + Duration::from_secs(1));
            threads
        });
        assert!(since.elapsed() >= AGREED);
        for client in heads.iter_mut().chain(&mut stalled) {
            let response = client.answer();
            assert_eq!((response.status(), response.closes()), (408, true));
            client.expect_end();
        }
        // A body that moves is waited for; now that it does not any more, it is given up as well.
        for client in &mut bodies {
            let response = client.answer();
            assert_eq!((response.status(), response.closes()), (408, true));
        }
        threads
    });
    println!("beside 1,000 slow senders, {times}; {threads} threads");
    assert!(times.worst() < PROMPT, "{times}");
    assert!(threads <= 5, "{threads} threads");
    let status = server.await_status("only good clients were answered", |status| status.connections() == 0);
    assert_eq!((status.workers[0].errors, status.counters.died), (0, 0), "{status:#?}");
}

#[test]
fn slow_heads_of_later_requests_have_their_time_too() {
    let server = Launch::new("plain:app").fixed(1, 1).args("--head-timeout 300ms --keep-alive-timeout 1h").start();
    for first in ["/", "/sleep?ms=400"] {
        let mut client = server.connect();
        assert_eq!(client.get(first).status(), 200);
        // Between requests the client has its hour; within one it has not.
        assert!(client.is_silent_for(Duration::from_millis(600)), "{first}");
        let since = Instant::now();
        client.send("GET / HT");
        let response = client.answer();
        assert!(since.elapsed() >= Duration::from_millis(300), "{first}: after {:?}", since.elapsed());
        assert_eq!((response.status(), response.closes()), (408, true), "{first}");
        client.expect_end();
    }
    // A head that was begun behind an earlier request has its time from when its turn comes.
    let mut client = server.connect();
    client.send("GET /sleep?ms=600 HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n");
    assert_eq!(client.answer().text(), "slept");
    client.send("Host: a\r\n\r\n");
    assert_eq!(client.answer().text(), "Hello");
}

#[test]
fn two_hundred_slow_readers_hold_no_thread_and_nobody_else_notices() {
    let server = Launch::new("plain:app").args("--max-workers 1").start();
    let (threads, times) = beside(&server, || {
        let mut readers: Vec<Client> = (0..200)
            .map(|_| {
                let mut client = Client::connect_far(server.address());
                client.send_get("/large?size=1000000");
                client
            })
            .collect();
        let heads: Vec<_> = readers.iter_mut().map(|client| client.try_head().expect("an answer begins")).collect();
        let begun = Instant::now();
        let (mut threads, mut quiet) = (0, 0);
        wait::until_true("a while with slow readers", || {
            let status = server.status();
            assert!(status.connections() >= 200, "readers were given up: {status:#?}");
            threads = threads.max(status.threads());
            quiet += u32::from(status.in_flight() <= 2);
            begun.elapsed() >= Duration::from_secs(2) && quiet > 3
        });
        // They get all of it in the end.
        for (client, head) in readers.iter_mut().zip(&heads).take(50) {
            assert_eq!(client.body_of(head).expect("the rest comes").len(), 1_000_000);
            assert_eq!(client.get("/").text(), "Hello");
        }
        threads
    });
    println!("beside 200 slow readers, {times}; {threads} threads");
    assert!(times.worst() < PROMPT, "{times}");
    // Making 200 large answers takes a few threads; keeping them takes none.
    assert!(threads <= 20, "{threads} threads with slow readers");
    server.await_status("all are gone", |status| status.connections() == 0);
}

#[test]
fn a_stream_to_a_slow_reader_blocks_its_own_thread_only() {
    let server = Launch::new("hostile:app").args("--max-workers 1 --max-threads 4").start();
    let note = server.folder().join("note");
    let target = format!("/pieces?count=20&size=100000&note={}", note.display());
    let (_, times) = beside(&server, || {
        let mut readers: Vec<Client> = (0..2)
            .map(|_| {
                let mut client = Client::connect_far(server.address());
                client.send_get(&target);
                client
            })
            .collect();
        server.await_status("both are under way", |status| status.in_flight() >= 2);
        let begun = Instant::now();
        let_pass(begun, Duration::from_secs(2));
        assert!(server.status().in_flight() >= 2, "the streams went somewhere");
        assert!(!note.exists(), "a stream was closed");
        for client in &mut readers {
            assert_eq!(client.answer().body.len(), 2_000_000);
        }
    });
    println!("beside 2 streams to slow readers, {times}");
    assert!(times.worst() < PROMPT, "{times}");
    wait::until_true("both are closed", || fs::read_to_string(&note).is_ok_and(|text| text == "closed\n".repeat(2)));
}
