//! Every way to fail lands in the class that it has in the fast engine, as far as the client tells.

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use loadgen::{ErrorKind, Plan, RunError, Target};
use nix::sys::socket::{Backlog, listen};

use super::plain;
use crate::server::{Client, Server, check, requests, run, stages};

const COUNT: u64 = 12;

/// Runs `COUNT` requests against a server that does `serve`; all of them must fail as `kind`.
fn all_fail(kind: ErrorKind, serve: impl Fn(&mut Client) + Send + Sync + 'static) {
    let server = Server::start(serve);
    let report = run(&plain(Plan {
        timeout: Duration::from_millis(if kind == ErrorKind::Timeout { 150 } else { 20_000 }),
        ..requests(server.target(), COUNT, 3)
    }));
    let examples = &report.error_examples;
    assert_eq!(report.errors.clone().into_iter().collect::<Vec<_>>(), [(kind, COUNT)], "{kind:?} {examples:?}");
    assert_eq!(report.answered, if kind.is_answer() { COUNT } else { 0 });
}

/// A server that reads a request, sends this and closes.
fn once(answer: &'static [u8]) -> impl Fn(&mut Client) + Send + Sync + 'static {
    move |client| {
        if client.request().is_some() {
            client.send(answer);
        }
    }
}

#[test]
fn closed_before_a_whole_head() {
    all_fail(ErrorKind::ClosedBeforeResponse, once(b""));
    // The client's error is the same; the fast engine tells the two apart.
    all_fail(ErrorKind::ClosedBeforeResponse, once(b"HTTP/1.1 200 OK\r\nContent-Le"));
}

#[test]
fn cut_in_the_body() {
    all_fail(ErrorKind::Truncated, once(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello"));
    all_fail(ErrorKind::Truncated, once(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"));
}

#[test]
fn not_http() {
    all_fail(ErrorKind::Protocol, once(b"220 mail.example ESMTP\r\n\r\n"));
    all_fail(ErrorKind::Protocol, once(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\nhello\r\n"));
}

#[test]
fn reset() {
    // Closing a socket with unread data resets the connection (RFC 2525 §2.17).
    all_fail(ErrorKind::Read, Client::peek);
}

#[test]
fn no_answer_in_time() {
    all_fail(ErrorKind::Timeout, Client::hold);
    all_fail(ErrorKind::Timeout, |client| {
        if client.request().is_some() {
            client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello");
            client.hold();
        }
    });
}

#[test]
fn statuses_are_answers_and_errors() {
    fn answering(answer: &'static [u8]) -> impl Fn(&mut Client) + Send + Sync + 'static {
        move |client| {
            while client.request().is_some() {
                client.send(answer);
            }
        }
    }
    all_fail(ErrorKind::Status4xx, answering(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"));
    all_fail(ErrorKind::Status5xx, answering(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"));
}

#[test]
fn an_answer_before_the_request_is_written() {
    let server = Server::start(|client| {
        if client.head().is_some() {
            client.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n");
            // Only the answer can end this request: the rest of it will never be read.
            client.ignore();
        }
    });
    let body = vec![b'x'; 32 << 20];
    let report = run(&plain(Plan { method: "POST".into(), body, ..requests(server.target(), 3, 1) }));
    assert_eq!(report.errors_of(ErrorKind::Status4xx), 3, "{:?}", report.errors);
    assert_eq!(report.connects, 3);
}

#[test]
fn a_request_that_cannot_be_written() {
    let server = Server::start(Client::peek);
    // More than the socket buffers of both sides hold, so that the reset comes in mid-write.
    let body = vec![b'x'; 32 << 20];
    let report = run(&plain(Plan { method: "POST".into(), body, ..requests(server.target(), 4, 1) }));
    // The client looks for an answer before it says what became of the write, and that it says as well.
    let reset = report.errors_of(ErrorKind::Write) + report.errors_of(ErrorKind::Read);
    assert_eq!((reset, report.errors_total()), (4, 4), "{:?} {:?}", report.errors, report.error_examples);
}

#[test]
fn a_target_that_is_down_is_an_error_of_the_run() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let target = Target::tcp("127.0.0.1", port, "/x").unwrap();
    for plan in [requests(target.clone(), 100, 4), stages(target.clone(), "5s@100")] {
        let error = loadgen::run(&plain(plan), &mut |_| {}, &AtomicBool::new(false)).unwrap_err();
        assert!(matches!(error, RunError::TargetDown { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(&target.to_string()) && text.contains("refused") && !text.contains('\n'), "{text}");
    }
    let missing: Target = "unix:/nonexistent/socket".parse().unwrap();
    let error = loadgen::run(&plain(requests(missing, 1, 1)), &mut |_| {}, &AtomicBool::new(false));
    assert!(matches!(error, Err(RunError::TargetDown { .. })), "{error:?}");
}

#[test]
fn a_target_that_goes_down_is_counted() {
    // The listener is closed before the first answer is sent, so every later connection is refused.
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 1024];
        std::io::Read::read(&mut stream, &mut request).unwrap();
        drop(listener);
        std::io::Write::write_all(&mut stream, b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
    });
    let report = run(&plain(requests(Target::tcp("127.0.0.1", port, "/").unwrap(), 5, 1)));
    server.join().unwrap();
    assert_eq!(report.answered, 1);
    assert_eq!(report.errors.into_iter().collect::<Vec<_>>(), [(ErrorKind::ConnectRefused, 4)]);
}

#[test]
fn a_connection_that_is_not_made_in_time() {
    // Four connections to a listener that accepts none and queues one.
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listen(&listener, Backlog::new(0).unwrap()).unwrap();
    let port = listener.local_addr().unwrap().port();
    let report = run(&plain(Plan {
        timeout: Duration::from_millis(600),
        connect_timeout: Duration::from_millis(300),
        ..requests(Target::tcp("127.0.0.1", port, "/").unwrap(), 4, 4)
    }));
    let kinds = [ErrorKind::ConnectTimeout, ErrorKind::Timeout];
    assert!(report.errors.keys().all(|kind| kinds.contains(kind)), "{:?}", report.errors);
    for kind in kinds {
        assert!(report.errors_of(kind) >= 1, "{:?} {:?}", report.errors, report.error_examples);
    }
}

#[test]
fn requests_without_a_connection_are_counted_as_never_sent() {
    let server = Server::start(Client::hold);
    let plan = Plan { connections: 1, timeout: Duration::from_millis(300), ..stages(server.target(), "1s@20") };
    let report = run(&plain(plan));
    assert_eq!(report.requests, 20);
    let kinds: Vec<ErrorKind> = report.errors.keys().copied().collect();
    assert_eq!(kinds, [ErrorKind::Timeout, ErrorKind::Unsent]);
    assert!(report.errors_of(ErrorKind::Unsent) >= 14, "{:?}", report.errors);
}

#[test]
fn stopping_a_run_reports_what_was_measured() {
    let server = Server::start(Client::hold);
    let stop = AtomicBool::new(false);
    let plan = Plan {
        interval: Duration::from_millis(100),
        timeout: Duration::from_secs(60),
        ..stages(server.target(), "60s@50")
    };
    let mut stuck = |interval: &loadgen::Interval| stop.store(interval.in_flight >= 5, Ordering::SeqCst);
    let report = loadgen::run(&plain(plan), &mut stuck, &stop).unwrap();
    check(&report);
    assert!(report.interrupted && report.abandoned >= 5 && report.duration_s < 30.0, "{}", report.summary());
    assert!(report.errors.is_empty(), "{:?}", report.errors);
}
