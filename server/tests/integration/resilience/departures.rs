//! Clients that end their side early, or leave altogether, at every moment of an exchange.

use std::fs;
use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::client::get;
use crate::support::processes::{await_descriptors, descriptors, memory};
use crate::support::{Client, Gate, Launch, Server};

/// More than the sockets' buffers on both sides take.
const LARGE: usize = 12_000_000;
/// How much a worker may have grown after all is over.
const SLACK: u64 = 8 << 20;

fn await_nobody(server: &Server) {
    server.await_status("all are gone", |status| status.connections() == 0 && status.in_flight() == 0);
}

#[test]
fn who_has_asked_and_ended_its_side_is_answered() {
    for shape in ["--mpm static --workers 1 --threads 2", "--mpm prefork --start-servers 1", "--max-workers 1"] {
        let server = Launch::new("plain:app").args(shape).start();
        let path = server.folder().join("large");
        fs::File::create(&path).and_then(|file| file.set_len(LARGE as u64)).expect("a file can be made");
        let table = [
            (get("/"), 5),
            (get("/sleep?ms=30"), 5),
            ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody".to_owned(), 4),
            (
                "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n".to_owned(),
                4,
            ),
            (get("/write"), 28),
            (get(&format!("/large?size={LARGE}")), LARGE),
            (get(&format!("/file?path={}", path.display())), LARGE),
        ];
        for (request, size) in table {
            let mut client = server.connect();
            client.send(&request);
            client.finish();
            let response = client.try_answer().unwrap_or_else(|broken| panic!("{shape}: {request}: {broken}"));
            assert_eq!((response.status(), response.body.len()), (200, size), "{shape}: {request}");
            client.expect_end();
        }
        await_nobody(&server);
    }
}

#[test]
fn who_ends_its_side_during_the_call_is_answered() {
    let server = Launch::new("plain:app").fixed(1, 8).start();
    let mut gate = Gate::new(server.folder(), "gate");
    let ask = |target: &str| {
        let mut client = server.connect();
        client.send_get(target);
        client
    };
    let mut waiting = ask(&gate.target());
    let mut streaming = ask(&gate.target_of("/stream"));
    assert_eq!(streaming.begin_chunked(), b"first");
    server.await_status("both are at the gate", |status| status.in_flight() == 2);
    waiting.finish();
    streaming.finish();
    // The ends have been seen by now, or could have been.
    for _ in 0..20 {
        assert_eq!(server.get("/").text(), "Hello");
    }
    gate.open();
    assert_eq!(waiting.answer().text(), "passed");
    waiting.expect_end();
    assert_eq!((streaming.try_chunk(), streaming.try_chunk()), (Ok(Some(b"second".to_vec())), Ok(None)));
    streaming.expect_end();
    await_nobody(&server);
}

#[test]
fn who_ends_its_side_while_it_takes_the_answer_gets_all_of_it() {
    let server = Launch::new("plain:app").fixed(1, 1).start();
    let mut client = Client::connect_far(server.address());
    client.send_get("/large?size=2000000");
    let head = client.try_head().expect("the answer has begun");
    client.finish();
    assert_eq!(server.get("/").text(), "Hello");
    assert_eq!(client.body_of(&head).expect("the rest comes").len(), 2_000_000);
    client.expect_end();
}

#[test]
fn half_a_request_is_not_for_the_application() {
    // Timeouts play no part: the end itself ends it.
    let server = Launch::new("plain:app").fixed(1, 1).args("--head-timeout 1h --body-timeout 1h").start();
    let table = [
        "G",
        "GET / HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\r",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbod",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbo",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n",
        // Who waits for "100 Continue" and loses patience.
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n",
    ];
    for begun in table {
        let mut client = server.connect();
        client.send(begun);
        client.finish();
        let rest = String::from_utf8_lossy(&client.rest()).into_owned();
        let told = rest.strip_prefix("HTTP/1.1 100 Continue\r\n\r\n").unwrap_or(&rest);
        assert!(told.is_empty() || told.starts_with("HTTP/1.1 400 "), "{begun:?}: {rest:?}");
        let gone = server.connect();
        let mut leaving = gone;
        leaving.send(begun);
        leaving.reset();
    }
    await_nobody(&server);
    assert_eq!(server.requests(), 0);
}

#[test]
fn who_leaves_during_the_call_costs_nobody_anything() {
    let server = Launch::new("plain:app").fixed(1, 8).start();
    let mut gate = Gate::new(server.folder(), "gate");
    let mut clients: Vec<Client> = (0..6)
        .map(|_| {
            let mut client = server.connect();
            client.send(get(&gate.target()));
            client
        })
        .collect();
    server.await_status("all are at the gate", |status| status.in_flight() == 6);
    for client in clients.drain(..3) {
        client.reset();
    }
    clients.clear();
    for _ in 0..20 {
        assert_eq!(server.get("/").text(), "Hello");
    }
    gate.open();
    await_nobody(&server);
    let status = server.status();
    // Their calls were made and ended: nothing failed but the clients.
    assert_eq!((status.requests(), status.workers[0].errors, status.counters.died), (26, 0, 0), "{status:#?}");
}

#[test]
fn who_resets_while_it_takes_an_answer_leaves_nothing_behind() {
    const ROUNDS: usize = 10;
    let server = Launch::new("plain:app").fixed(1, 1).start();
    let path = server.folder().join("large");
    fs::File::create(&path).and_then(|file| file.set_len(LARGE as u64)).expect("a file can be made");
    let file = format!("/file?path={}", path.display());
    let large = format!("/large?size={LARGE}");
    let note = server.folder().join("note");
    let endless = format!("/endless?note={}", note.display());
    let leave = |target: &str| {
        let mut client = server.connect();
        client.send_get(target);
        client.try_head().expect("the answer has begun");
        client.reset();
    };
    assert_eq!(server.get("/").text(), "Hello");
    let worker = server.status().pids()[0];
    await_nobody(&server);
    let open = descriptors(worker);
    // The allocator keeps the memory of one or two large answers; what ten of them took must not come on top each round.
    let [first, last] = [(); 2].map(|()| {
        for _ in 0..ROUNDS {
            leave(&file);
            leave(&large);
            // The application is told by its `close()`.
            leave(&endless);
        }
        await_nobody(&server);
        // The interpreter takes its objects back with its next call.
        assert_eq!(server.get("/").text(), "Hello");
        await_nobody(&server);
        memory(worker)
    });
    assert_eq!(fs::read_to_string(&note).expect("a note"), "closed\n".repeat(2 * ROUNDS));
    await_descriptors(worker, open);
    assert!(last < first + 3 * LARGE as u64, "{first} bytes after the first round, {last} after the second");
    assert_eq!(server.status().counters.died, 0);
}

#[test]
fn who_takes_nothing_of_a_whole_body_holds_no_thread_and_not_for_long() {
    let server = Launch::new("plain:app").fixed(1, 1).args("--write-timeout 1s").start();
    assert_eq!(server.get("/").text(), "Hello");
    let worker = server.status().pids()[0];
    let before = memory(worker);
    let since = Instant::now();
    let clients: Vec<Client> = (0..30)
        .map(|_| {
            let mut client = Client::connect_far(server.address());
            client.send_get("/large?size=1000000");
            client
        })
        .collect();
    // There is one thread: it has answered all, and answers this.
    server.await_status("all are answered", |status| status.requests() == 31);
    assert_eq!(server.get("/").text(), "Hello");
    // What is not taken is there once: nobody copies it.
    let held = memory(worker).saturating_sub(before);
    assert!(held < 31_000_000 + SLACK, "{held} bytes for 30 bodies of 1 MB");
    await_nobody(&server);
    assert!(since.elapsed() >= Duration::from_secs(1));
    // The interpreter takes its objects back with its next call.
    assert_eq!(server.get("/").text(), "Hello");
    let left = memory(worker).saturating_sub(before);
    assert!(left < SLACK, "{left} bytes are left behind");
    for mut client in clients {
        let head = client.try_head().expect("the head was sent");
        assert!(client.body_of(&head).is_err(), "a body that was given up looks whole");
    }
}

#[test]
fn who_takes_nothing_of_a_stream_is_given_up() {
    let server = Launch::new("plain:app").fixed(1, 3).args("--write-timeout 1s").start();
    let note = server.folder().join("note");
    let since = Instant::now();
    let mut clients: Vec<Client> = (0..2)
        .map(|_| {
            let mut client = Client::connect_far(server.address());
            client.send_get(&format!("/endless?note={}", note.display()));
            client
        })
        .collect();
    server.await_status("both are under way", |status| status.in_flight() == 2);
    assert_eq!(server.get("/").text(), "Hello");
    await_nobody(&server);
    assert!(since.elapsed() >= Duration::from_secs(1));
    assert_eq!(fs::read_to_string(&note).expect("a note"), "closed\n".repeat(2));
    for client in &mut clients {
        let head = client.try_head().expect("the head was sent");
        assert!(client.body_of(&head).is_err(), "a stream that was given up looks whole");
    }
}

#[test]
fn an_upload_that_breaks_off_leaves_nothing_behind() {
    let server = Launch::new("plain:app").fixed(1, 1).args("--body-memory 64k").start();
    assert_eq!(server.get("/").text(), "Hello");
    let worker = server.status().pids()[0];
    await_nobody(&server);
    let (before, open) = (memory(worker), descriptors(worker));
    for leave in [Client::reset as fn(Client), drop] {
        let client = server.connect();
        let mut sender = client.sender();
        thread::scope(|scope| {
            scope.spawn(move || {
                sender.write_all(b"POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 900000000\r\n\r\n")?;
                sender.write_all(&vec![b'x'; 20_000_000])
            });
        });
        leave(client);
    }
    await_nobody(&server);
    assert_eq!(server.requests(), 1);
    // Temporary files are gone with their descriptors.
    await_descriptors(worker, open);
    let grown = memory(worker).saturating_sub(before);
    assert!(grown < SLACK, "{grown} bytes are left behind");
}
