//! What goes over the wire, and what connections do.

use std::net::Shutdown;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use loadgen::{Plan, Reuse};

use crate::server::{OK, Request, Server, requests, run, stages};

/// All requests must be answered 200; the report is returned for more.
fn all_well(plan: &Plan) -> loadgen::Report {
    let report = run(plan);
    assert!(report.errors.is_empty(), "{:?} {:?}", report.errors, report.error_examples);
    assert_eq!(report.status_class(2), report.requests);
    report
}

#[test]
fn keep_alive_uses_exactly_the_connections_asked_for() {
    let server = Server::answering(OK);
    let report = all_well(&requests(server.target(), 100, 5));
    assert_eq!((report.requests, report.connects, report.reconnects), (100, 5, 0));
    assert_eq!(server.accepted(), 5);
    assert_eq!(report.bytes_received, 100 * OK.len() as u64);
}

#[test]
fn requests_are_counted_exactly_over_threads() {
    let server = Server::answering(OK);
    let report = all_well(&Plan { threads: 3, ..requests(server.target(), 100, 7) });
    assert_eq!((report.requests, report.connects, report.threads.len()), (100, 7, 3));
    // More threads than connections would have nothing to do.
    let report = all_well(&Plan { threads: 8, ..requests(server.target(), 10, 2) });
    assert_eq!((report.requests, report.threads.len()), (10, 2));
}

#[test]
fn a_new_connection_per_request() {
    let said_close = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&said_close);
    // Answers as if connections could be kept: closing is up to the generator.
    let server = Server::start(move |client| {
        while let Some(Request { head, .. }) = client.request() {
            count.fetch_add(u64::from(head.contains("\r\nConnection: close\r\n")), Ordering::SeqCst);
            client.send(OK);
        }
    });
    let reuse = Reuse::NewConnectionPerRequest;
    let report = all_well(&Plan { reuse, ..requests(server.target(), 60, 4) });
    assert_eq!((report.connects, report.reconnects), (60, 0));
    let report = all_well(&Plan { reuse, ..stages(server.target(), "1s@60") });
    assert_eq!((report.connects, report.reconnects), (60, 0));
    assert_eq!(server.accepted(), 120);
    assert_eq!(said_close.load(Ordering::SeqCst), 120);
}

#[test]
fn a_target_that_asks_to_close_is_obeyed() {
    let server = Server::start(|client| {
        if client.request().is_some() {
            client.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello");
            // The generator must close, without waiting for the server to do it.
            client.hold();
        }
    });
    let report = all_well(&requests(server.target(), 20, 2));
    assert_eq!((report.connects, report.reconnects), (20, 18));
}

#[test]
fn a_body_that_ends_with_the_connection() {
    let server = Server::start(|client| {
        if client.request().is_some() {
            client.send(b"HTTP/1.1 200 OK\r\n\r\n");
            client.send(&[b'x'; 100_000]);
        }
    });
    let report = all_well(&requests(server.target(), 10, 1));
    assert_eq!((report.connects, report.reconnects), (10, 9));
    assert!(report.bytes_received > 1_000_000);
}

#[test]
fn an_idle_connection_that_the_target_closes_is_no_error() {
    let server = Server::start(|client| {
        if client.request().is_some() {
            client.send(OK);
        }
    });
    // Between two requests the generator learns that the connection is gone.
    let report = all_well(&stages(server.target(), "1s@10"));
    assert_eq!(report.connects, 10);
    // On a busy machine two requests may be under way at a time, which takes another connection.
    assert!((1..=9).contains(&report.reconnects), "{}", report.reconnects);
}

#[test]
fn a_keep_alive_limit_that_the_target_announces_costs_nothing() {
    let server = Server::start(|client| {
        for last in [false, false, true] {
            if client.request().is_none() {
                return;
            }
            let close = if last { "Connection: close\r\n" } else { "" };
            client.send(format!("HTTP/1.1 200 OK\r\n{close}Content-Length: 5\r\n\r\nhello").as_bytes());
        }
        // The generator must close, without waiting for the server to do it.
        client.hold();
    });
    let report = all_well(&requests(server.target(), 30, 1));
    assert_eq!((report.connects, report.reconnects), (10, 9));
}

#[test]
fn a_target_that_half_closes_after_its_answer_has_answered() {
    let server = Server::start(|client| {
        if client.request().is_some() {
            client.send(OK);
            let _ = client.stream.shutdown(Shutdown::Write);
            client.hold();
        }
    });
    // Between two requests the generator learns that nothing more can come.
    let report = all_well(&stages(server.target(), "1s@10"));
    assert_eq!(report.connects, 10);
    // On a busy machine two requests may be under way at a time, which takes another connection.
    assert!((1..=9).contains(&report.reconnects), "{}", report.reconnects);
}

#[test]
fn a_slow_head_is_waited_for_and_its_first_byte_is_early() {
    let server = Server::start(|client| {
        while client.request().is_some() {
            for part in OK.chunks(OK.len() / 4) {
                client.send(part);
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    });
    let report = all_well(&requests(server.target(), 10, 2));
    assert_eq!(report.connects, 2);
    // Five parts are four pauses, and the first byte stands before them all.
    assert!(report.service.min_ns >= 79_900_000, "{}", report.summary());
    assert!(report.service.p50_ns - report.first_byte.p50_ns >= 60_000_000, "{}", report.summary());
}

#[test]
fn chunked_and_interim_responses() {
    let server = Server::answering(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n\
          HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
          5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nTrailer: 1\r\n\r\n",
    );
    let report = all_well(&requests(server.target(), 30, 3));
    assert_eq!((report.connects, report.reconnects), (3, 0));
}

#[test]
fn a_response_in_single_bytes() {
    let server = Server::start(|client| {
        while client.request().is_some() {
            for byte in OK {
                client.send(&[*byte]);
            }
        }
    });
    let report = all_well(&requests(server.target(), 10, 2));
    assert_eq!(report.connects, 2);
}

#[test]
fn head_and_bodiless_statuses_keep_the_connection() {
    let head = Server::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n");
    let report = all_well(&Plan { method: "HEAD".into(), ..requests(head.target(), 10, 1) });
    assert_eq!(report.connects, 1);
    let empty = Server::answering(b"HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(all_well(&requests(empty.target(), 10, 1)).connects, 1);
    let fresh = Server::answering(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n");
    let report = run(&requests(fresh.target(), 10, 1));
    assert_eq!((report.status_class(3), report.errors_total(), report.connects), (10, 0, 1));
}

#[test]
fn large_bodies_go_both_ways() {
    let server = Server::start(|client| {
        while let Some(request) = client.request() {
            assert!(request.body.iter().all(|byte| *byte == b'z'));
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", request.body.len());
            client.send(head.as_bytes());
            client.send(&request.body);
        }
    });
    let body = vec![b'z'; 3 << 20];
    let plan = Plan { method: "PUT".into(), body, ..requests(server.target(), 6, 2) };
    let report = all_well(&plan);
    assert!(report.bytes_sent > 6 * (3 << 20) && report.bytes_received > 6 * (3 << 20));
}

#[test]
fn unix_sockets() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let listener = UnixListener::bind(&path).unwrap();
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
    let report = all_well(&requests(target, 10, 1));
    assert_eq!(report.connects, 1);
    let seen = server.join().unwrap();
    assert!(seen.starts_with("GET /some/path?x HTTP/1.1\r\nHost: localhost\r\n"), "{seen}");
}

#[test]
fn an_open_loop_opens_only_the_connections_it_needs() {
    let server = Server::start(|client| {
        while client.request().is_some() {
            std::thread::sleep(Duration::from_millis(100));
            client.send(OK);
        }
    });
    // 40/s × 100 ms = 4 at a time; a busy machine may need some more, never the 4096 allowed.
    let report = all_well(&stages(server.target(), "1s@40"));
    assert!((4..=40).contains(&report.connects), "{}", report.connects);
    let limited = all_well(&Plan { connections: 2, ..stages(server.target(), "1s@40") });
    assert_eq!(limited.connects, 2);
    assert!(limited.intervals.iter().any(|i| i.queued > 0));
}
