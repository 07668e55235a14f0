//! Load and times are those of the fast engine.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use loadgen::{Arrivals, Distribution, Engine, Load, Plan, Reuse, parse_stages};

use super::{all_well, plain};
use crate::server::{OK, Request, Server, requests, run, stages};

const MILLI: u64 = 1_000_000;

fn above(times: &Distribution, nanos: u64) -> u64 {
    times.histogram().unwrap().count_between(nanos, u64::MAX)
}

#[test]
fn a_closed_loop_has_exactly_the_connections_asked_for() {
    let server = Server::answering(OK);
    let report = all_well(&plain(requests(server.target(), 2_000, 7)));
    assert_eq!((report.requests, report.connects, report.reconnects), (2_000, 7, 0));
    assert_eq!(server.accepted(), 7);
    // Content only: five bytes each.
    assert_eq!(report.bytes_received, 10_000);
    assert_eq!((report.connect.count, report.tls.count), (7, 0));
    assert!(report.cpu_per_request_ns.unwrap() > 0.0);
    assert_eq!(report.setup.engine.name(), "reqwest");
    let report = all_well(&plain(Plan { threads: 3, ..requests(server.target(), 100, 7) }));
    assert_eq!((report.requests, report.connects, report.threads.len()), (100, 7, 3));
}

#[test]
fn an_open_loop_is_due_when_the_fast_engine_says() {
    let server = Server::answering(OK);
    for arrivals in [Arrivals::Constant, Arrivals::Poisson] {
        let load = Load::Open { stages: parse_stages("1s@100,1s@300").unwrap(), arrivals, seed: 5 };
        let plan = Plan { threads: 2, interval: Duration::from_millis(200), ..Plan::new(server.target(), load) };
        let offered = |plan: &Plan| {
            let report = all_well(plan);
            let measured = report.intervals.iter().filter(|interval| !interval.drain);
            measured.map(|interval| interval.offered).collect::<Vec<_>>()
        };
        assert_eq!(offered(&plain(plan.clone())), offered(&plan), "{arrivals:?}");
    }
}

#[test]
fn a_fixed_delay_is_measured() {
    let server = Server::start(|client| {
        while client.request().is_some() {
            std::thread::sleep(Duration::from_millis(20));
            client.send(OK);
        }
    });
    let report = all_well(&plain(stages(server.target(), "2s@50")));
    for (name, times) in [("latency", &report.latency), ("service", &report.service)] {
        // 0.1 % is the histogram's precision.
        assert!(times.min_ns >= 20 * MILLI * 999 / 1000, "{name}: {}", times.min_ns);
        assert!(times.p50_ns < 40 * MILLI, "{name}: {}", times.p50_ns);
    }
    assert!(report.latency.mean_ns >= report.service.mean_ns);
}

/// The server freezes for a second, and every request that is due meanwhile suffers from it.
#[test]
fn a_freeze_shows_in_the_latency_of_all_that_were_due() {
    let served = AtomicU64::new(0);
    let turn = Mutex::new(());
    let server = Server::start(move |client| {
        while client.request().is_some() {
            // One at a time, and the hundredth takes a second.
            let turn = turn.lock().unwrap();
            if served.fetch_add(1, Ordering::SeqCst) == 99 {
                std::thread::sleep(Duration::from_secs(1));
            }
            client.send(OK);
            drop(turn);
        }
    });
    let report = run(&plain(Plan { connections: 1, ..stages(server.target(), "4s@100") }));
    assert_eq!((report.requests, report.answered), (400, 400));
    assert!(report.latency.max_ns >= 999 * MILLI, "{}", report.latency.max_ns);
    // 100 requests become due in the freeze, the first of them waits 1 s, the last 10 ms.
    assert!(above(&report.latency, 495 * MILLI) >= 50, "{}", report.summary());
    assert!(above(&report.service, 495 * MILLI) <= 5, "{}", report.summary());
    assert!(above(&report.queue_wait, 495 * MILLI) >= 49, "{}", report.summary());
    assert!(above(&report.send_lag, 495 * MILLI) == 0, "{}", report.summary());
    assert_eq!(report.connects, 1);
}

#[test]
fn a_new_connection_per_request() {
    let server = Server::start(|client| {
        while let Some(Request { head, .. }) = client.request() {
            assert!(head.to_ascii_lowercase().contains("\r\nconnection: close\r\n"), "{head}");
            client.send(OK);
        }
    });
    let reuse = Reuse::NewConnectionPerRequest;
    let report = all_well(&plain(Plan { reuse, ..requests(server.target(), 60, 4) }));
    assert_eq!((report.connects, report.reconnects, report.connect.count), (60, 0, 60));
    assert_eq!(server.accepted(), 60);
    // Connecting is part of the latency and not of the service time. Each figure is exact to 0.1 %.
    let whole = report.service.mean_ns + report.connect.mean_ns;
    assert!(report.latency.mean_ns >= whole * 0.99, "{} {whole}", report.latency.mean_ns);
}

#[test]
fn a_target_that_closes_is_connected_to_again() {
    let server = Server::start(|client| {
        if client.request().is_some() {
            client.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello");
        }
    });
    let report = all_well(&plain(requests(server.target(), 20, 2)));
    assert_eq!((report.connects, report.reconnects), (20, 18));
    // Closed without a word, between two requests: learnt of before the next one is written.
    let silent = Server::start(|client| {
        if client.request().is_some() {
            client.send(OK);
        }
    });
    let report = all_well(&plain(stages(silent.target(), "1s@10")));
    assert_eq!((report.connects, report.reconnects), (10, 9));
}

#[test]
fn the_request_is_the_plan_s() {
    let server = Server::start(|client| {
        while let Some(Request { head, body }) = client.request() {
            let lower = head.to_ascii_lowercase();
            let right = head.starts_with("PUT / HTTP/1.1\r\n")
                && lower.contains("\r\nx-a: b\r\n")
                && lower.contains("\r\nuser-agent: loadgen/")
                && lower.contains("\r\nhost: 127.0.0.1:")
                && !lower.contains("accept-encoding")
                && body.iter().all(|byte| *byte == b'z');
            client.send(if right { OK } else { b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n" });
        }
    });
    let plan = Plan {
        method: "PUT".into(),
        body: vec![b'z'; 1 << 20],
        headers: vec![("X-A".into(), "b".into()), ("Content-Length".into(), (1 << 20).to_string())],
        ..requests(server.target(), 6, 2)
    };
    let report = all_well(&plain(plan));
    assert_eq!(report.bytes_sent, 6 << 20);
}

#[test]
fn bodies_of_every_framing() {
    let answers: [&[u8]; 3] = [
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
          5\r\nhello\r\n0\r\nTrailer: 1\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        // Not decoded: what the target sends is what counts.
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello",
    ];
    for answer in answers {
        let server = Server::answering(answer);
        assert_eq!(all_well(&plain(requests(server.target(), 30, 3))).connects, 3);
    }
    let until_closed = Server::start(|client| {
        if client.request().is_some() {
            client.send(b"HTTP/1.1 200 OK\r\n\r\n");
            client.send(&[b'x'; 100_000]);
        }
    });
    let report = all_well(&plain(requests(until_closed.target(), 10, 1)));
    assert_eq!((report.connects, report.bytes_received), (10, 1_000_000));
}

#[test]
fn unix_sockets() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut seen = String::new();
        for _ in 0..10 {
            let mut request = [0; 1024];
            let count = std::io::Read::read(&mut stream, &mut request).unwrap();
            seen = String::from_utf8_lossy(&request[..count]).into_owned();
            std::io::Write::write_all(&mut stream, OK).unwrap();
        }
        seen
    });
    let target = format!("unix:{}:/some/path?x", path.display()).parse().unwrap();
    assert_eq!(all_well(&plain(requests(target, 10, 1))).connects, 1);
    let seen = server.join().unwrap();
    assert!(seen.starts_with("GET /some/path?x HTTP/1.1\r\n") && seen.contains("localhost"), "{seen}");
}

#[test]
fn the_fast_engine_says_that_it_ran() {
    let server = Server::answering(OK);
    let report = run(&requests(server.target(), 50, 1));
    assert_eq!(report.setup.engine, Engine::Fast);
    assert!(report.cpu_per_request_ns.unwrap() > 0.0);
    assert!(report.summary().contains("engine fast, CPU per thread"), "{}", report.summary());
}
