//! Several requests before the first answer: order, errors in the middle, and how much is taken in.

use std::io::Write;
use std::thread;

use crate::support::browser::content;
use crate::support::client::get;
use crate::support::processes::memory;
use crate::support::{Gate, Launch};

/// How much a worker may grow while it does not take what is sent to it.
const SLACK: u64 = 8 << 20;

#[test]
fn a_hundred_in_one_write_are_answered_in_order() {
    for shape in ["--mpm static --workers 1 --threads 4", "--mpm prefork --start-servers 1", "--max-workers 1"] {
        let server = Launch::new("plain:app").args(shape).start();
        let mut client = server.connect();
        client.send((0..100).map(|n| get(&format!("/environ?n={n}"))).collect::<String>());
        for n in 0..100 {
            assert_eq!(client.answer().json()["QUERY_STRING"], format!("n={n}"), "{shape}");
        }
        assert_eq!(client.get("/").text(), "Hello", "{shape}");
    }
}

#[test]
fn bodies_of_every_framing_follow_each_other() {
    let server = Launch::new("plain:app").fixed(1, 2).args("--body-memory 64k").start();
    // Around the sizes that reads and memory have, and with what looks like a request.
    let sizes = [0, 1, 65_535, 65_536, 65_537, 3, 200_000];
    let bodies: Vec<Vec<u8>> =
        sizes.iter().map(|size| content(*size)).chain([get("/dies").into_bytes(), b"0\r\n\r\n".to_vec()]).collect();
    let mut requests = Vec::new();
    for body in &bodies {
        requests.extend(format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len()).bytes());
        requests.extend(body);
        requests.extend(b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        for chunk in body.chunks(10_000) {
            requests.extend(format!("{:x}\r\n", chunk.len()).bytes());
            requests.extend(chunk);
            requests.extend(b"\r\n");
        }
        requests.extend(b"0\r\nX-Trailer: t\r\n\r\n");
        requests.extend(get("/").bytes());
    }
    let mut client = server.connect();
    let mut sender = client.sender();
    thread::scope(|scope| {
        scope.spawn(move || sender.write_all(&requests).expect("the server takes what is sent"));
        for body in &bodies {
            assert!(client.answer().body == *body, "with a length, {} bytes", body.len());
            assert!(client.answer().body == *body, "in chunks, {} bytes", body.len());
            assert_eq!(client.answer().text(), "Hello");
        }
    });
    assert_eq!(server.requests(), 3 * bodies.len() as u64);
}

#[test]
fn a_bad_one_is_answered_after_those_before_it_and_ends_the_connection() {
    let server = Launch::new("plain:app").fixed(1, 2).args("--limit-body 1000").start();
    let table = [
        ("garbage", 400, "nonsense\r\n\r\n".to_owned()),
        ("no host", 400, "GET / HTTP/1.1\r\n\r\n".to_owned()),
        ("version", 505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n".to_owned()),
        ("length", 413, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n".to_owned()),
        ("chunk", 400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n+\r\n".to_owned()),
        ("line", 414, format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(9000))),
        ("expectation", 417, "GET / HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\n\r\n".to_owned()),
    ];
    for (case, status, bad) in &table {
        let mut client = server.connect();
        let before: String = (0..5).map(|n| get(&format!("/environ?n={n}"))).collect();
        client.send(format!("{}{before}{bad}{}", get("/sleep?ms=20"), get("/environ?after").repeat(5)));
        assert_eq!(client.answer().text(), "slept", "{case}");
        for n in 0..5 {
            assert_eq!(client.answer().json()["QUERY_STRING"], format!("n={n}"), "{case}");
        }
        let refusal = client.answer();
        assert_eq!((refusal.status(), refusal.closes()), (*status, true), "{case}");
        client.expect_end();
    }
    assert_eq!(server.requests(), 6 * table.len() as u64, "nothing after a bad one reached the application");
}

#[test]
fn nothing_after_the_last_request_is_answered() {
    let server = Launch::new("plain:app").fixed(1, 2).start();
    // The client's wish, HTTP/1.0's habit.
    let table = [
        "GET /environ?last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /environ?last HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, x, CLOSE\r\n\r\n",
        "GET /environ?last HTTP/1.0\r\n\r\n",
    ];
    for last in table {
        let mut client = server.connect();
        client.send(format!("{}{last}{}", get("/").repeat(3), get("/dies").repeat(3)));
        for _ in 0..3 {
            assert_eq!(client.answer().text(), "Hello");
        }
        let response = client.answer();
        assert_eq!((response.json()["QUERY_STRING"].as_str(), response.closes()), (Some("last"), true));
        client.expect_end();
    }
    assert_eq!(server.requests(), 4 * table.len() as u64);
}

#[test]
fn what_comes_during_a_call_waits_and_holds_up_nobody_else() {
    let server = Launch::new("plain:app").fixed(1, 2).start();
    let mut gate = Gate::new(server.folder(), "gate");
    let mut client = server.connect();
    client.send(get(&gate.target()));
    server.await_status("the call has begun", |status| status.in_flight() == 1);
    client.send((0..50).map(|n| get(&format!("/environ?n={n}"))).collect::<String>());
    // One exchange at a time: 50 requests of this connection take no thread from others.
    for _ in 0..20 {
        assert_eq!(server.get("/").text(), "Hello");
    }
    let status = server.status();
    assert_eq!((status.in_flight(), status.workers[0].queued), (1, 0), "{status:#?}");
    gate.open();
    assert_eq!(client.answer().text(), "passed");
    for n in 0..50 {
        assert_eq!(client.answer().json()["QUERY_STRING"], format!("n={n}"));
    }
}

#[test]
fn what_comes_during_a_call_stays_with_the_client() {
    let server = Launch::new("plain:app").fixed(1, 2).start();
    let mut gate = Gate::new(server.folder(), "gate");
    // 100 MB, in heads that are as large as heads may be.
    let filler = format!("X-Filler: {}\r\n", "x".repeat(7000)).repeat(8);
    let request = format!("GET /environ HTTP/1.1\r\nHost: a\r\n{filler}\r\n");
    let requests = request.repeat(100_000_000 / request.len());
    assert_eq!(server.get("/").text(), "Hello");
    let worker = server.status().pids()[0];
    let mut client = server.connect();
    client.send(get(&gate.target()));
    server.await_status("the call has begun", |status| status.in_flight() == 1);
    let before = memory(worker);
    let mut sent = client.send_until_full(requests.as_bytes());
    assert!(sent < 50_000_000, "{sent} bytes were taken during the call");
    // The worker has had its chance to take more.
    for _ in 0..20 {
        assert_eq!(server.get("/").text(), "Hello");
    }
    sent += client.send_until_full(&requests.as_bytes()[sent..]);
    assert!(sent < 50_000_000, "{sent} bytes were taken during the call");
    let grown = memory(worker).saturating_sub(before);
    assert!(grown < SLACK, "{grown} bytes more while a client sends and nobody takes");

    gate.open();
    let mut sender = client.sender();
    thread::scope(|scope| {
        scope.spawn(|| sender.write_all(&requests.as_bytes()[sent..]).expect("the server takes what is sent"));
        assert_eq!(client.answer().text(), "passed");
        for _ in 0..requests.len() / request.len() {
            assert_eq!(client.answer().status(), 200);
        }
    });
    let grown = memory(worker).saturating_sub(before);
    assert!(grown < SLACK, "{grown} bytes more after all is answered");
}

#[test]
fn who_asks_and_takes_no_answer_is_asked_to_wait() {
    let server = Launch::new("plain:app").fixed(1, 1).start();
    assert_eq!(server.get("/").text(), "Hello");
    let worker = server.status().pids()[0];
    let before = memory(worker);
    let mut client = crate::support::Client::connect_far(server.address());
    client.send(get("/large?size=1000000").repeat(100));
    server.await_status("the first is answered", |status| status.requests() == 2);
    for _ in 0..20 {
        assert_eq!(server.get("/").text(), "Hello");
    }
    let status = server.await_status("nobody is busy", |status| status.totals.busy == 0);
    assert_eq!(status.requests(), 22, "the second answer waits until the first is taken");
    let grown = memory(worker).saturating_sub(before);
    assert!(grown < SLACK, "{grown} bytes more for answers that nobody takes");
    for _ in 0..100 {
        assert_eq!(client.answer().body.len(), 1_000_000);
    }
}

#[test]
fn answers_find_their_askers_while_others_come_and_go() {
    const ROUNDS: usize = 20;
    const DEEP: usize = 40;
    for shape in ["--mpm static --workers 1 --threads 4", "--mpm static --workers 2 --threads 2"] {
        let server = Launch::new("plain:app").args(shape).start();
        let ask = |who: usize, round: usize, nth: usize| format!("{who}.{round}.{nth}");
        thread::scope(|scope| {
            for who in 0..12 {
                let server = &server;
                scope.spawn(move || {
                    let mut client = server.connect();
                    for round in 0..ROUNDS {
                        let target = |nth| format!("/environ?{}", ask(who, round, nth));
                        client.send((0..DEEP).map(|nth| get(&target(nth))).collect::<String>());
                        for nth in 0..DEEP {
                            assert_eq!(client.answer().json()["QUERY_STRING"], ask(who, round, nth), "{shape}");
                        }
                    }
                });
            }
            // Others ask as much, and leave in the middle of their answers: their places are taken by the next.
            for who in 0..4 {
                let server = &server;
                scope.spawn(move || {
                    for round in 0..4 * ROUNDS {
                        let mut client = server.connect();
                        let target = format!("/environ?left.{who}.{round}");
                        client.send(get(&target).repeat(10));
                        for _ in 0..round % 3 {
                            assert_eq!(client.answer().json()["QUERY_STRING"], target["/environ?".len()..], "{shape}");
                        }
                        if round % 2 == 0 { client.reset() } else { drop(client) }
                    }
                });
            }
        });
        let status = server.await_status("all are gone", |status| status.connections() == 0 && status.in_flight() == 0);
        assert_eq!(status.counters.died, 0, "{shape}: {status:#?}");
    }
}
