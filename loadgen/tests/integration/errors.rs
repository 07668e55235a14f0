//! Every way to fail lands in its own class and in no other.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use loadgen::{ErrorKind, Plan, RunError, Target};
use nix::sys::socket::{Backlog, listen};

use crate::server::{Client, OK, Server, check, requests, run, stages};

const COUNT: u64 = 12;

/// Runs `COUNT` requests against a server that does `serve`; all of them must fail as `kind`.
fn all_fail(kind: ErrorKind, serve: impl Fn(&mut Client) + Send + Sync + 'static) {
    let server = Server::start(serve);
    let report = run(&Plan {
        timeout: Duration::from_millis(if kind == ErrorKind::Timeout { 150 } else { 20_000 }),
        ..requests(server.target(), COUNT, 3)
    });
    assert_eq!(report.errors.clone().into_iter().collect::<Vec<_>>(), [(kind, COUNT)], "{kind:?}");
    assert_eq!(report.answered, if kind.is_answer() { COUNT } else { 0 });
    // A run without one answer measures nothing. (Twelve requests take so short a time that a busy
    // machine may find other reasons as well.)
    let nothing = report.validity.iter().any(|reason| reason == "no request was answered");
    assert_eq!(nothing, !kind.is_answer(), "{:?}", report.validity);
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
fn closed_without_a_byte() {
    all_fail(ErrorKind::ClosedBeforeResponse, once(b""));
}

#[test]
fn cut_in_the_head() {
    all_fail(ErrorKind::Truncated, once(b"HTTP/1.1 200 OK\r\nContent-Le"));
}

#[test]
fn cut_in_the_body() {
    all_fail(ErrorKind::Truncated, once(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello"));
}

#[test]
fn cut_between_chunks() {
    let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    all_fail(ErrorKind::Truncated, once(answer));
}

/// The content of large bodies is thrown away unread; what they come to stays the same.
#[test]
fn large_bodies_are_judged_like_small_ones() {
    fn sending(head: &str, length: usize, tail: &str) -> impl Fn(&mut Client) + Send + Sync + 'static {
        let answer = [head.as_bytes(), &vec![b'x'; length], tail.as_bytes()].concat();
        move |client| {
            if client.request().is_some() {
                client.send(&answer);
            }
        }
    }
    const LENGTH: usize = 9 << 20;
    let fixed = format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n");
    all_fail(ErrorKind::Truncated, sending(&fixed, LENGTH - 1, ""));
    all_fail(ErrorKind::Protocol, sending(&fixed, LENGTH, "surplus"));
    let chunked = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{LENGTH:x}\r\n");
    all_fail(ErrorKind::Truncated, sending(&chunked, LENGTH, "\r\n"));
    all_fail(ErrorKind::Protocol, sending(&chunked, LENGTH, "x\n0\r\n\r\n"));
}

#[test]
fn not_http() {
    all_fail(ErrorKind::Protocol, once(b"220 mail.example ESMTP\r\n"));
}

#[test]
fn more_than_announced() {
    all_fail(ErrorKind::Protocol, once(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhello"));
}

#[test]
fn reset() {
    // Closing a socket with unread data resets the connection (RFC 2525 §2.17).
    all_fail(ErrorKind::Read, Client::peek);
}

/// What had come before a reset does not make it something else.
#[test]
fn reset_inside_an_answer() {
    for begun in [&b"HTTP/1.1 200 OK\r\nContent-Le"[..], b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello"] {
        all_fail(ErrorKind::Read, move |client| {
            client.peek();
            client.send(begun);
        });
    }
}

#[test]
fn closed_after_an_interim_answer() {
    all_fail(ErrorKind::Truncated, once(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"));
}

#[test]
fn protocols_are_not_switched_unasked() {
    all_fail(ErrorKind::Protocol, once(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"));
}

/// A head that comes byte by byte and not whole in time is a timeout, however lively the target is.
#[test]
fn a_slow_head() {
    all_fail(ErrorKind::Timeout, |client| {
        if client.request().is_some() {
            client.send(b"HTTP/1.1 200 OK\r\nX: ");
            for _ in 0..60 {
                client.send(b"x");
                std::thread::sleep(Duration::from_millis(5));
            }
            client.hold();
        }
    });
}

/// The target has closed its side only and would go on reading: what counts is what it has sent.
#[test]
fn half_closed_by_the_target() {
    fn half(answer: &'static [u8]) -> impl Fn(&mut Client) + Send + Sync + 'static {
        move |client| {
            if client.request().is_some() {
                client.send(answer);
                let _ = client.stream.shutdown(Shutdown::Write);
                client.hold();
            }
        }
    }
    all_fail(ErrorKind::ClosedBeforeResponse, half(b""));
    all_fail(ErrorKind::Truncated, half(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello"));
}

/// A target that closes after two answers, without saying so, when a third request is on its way.
fn third_request(lost_as: ErrorKind, close: impl Fn(&mut Client) + Send + Sync + 'static) {
    let server = Server::start(move |client| {
        for _ in 0..2 {
            if client.request().is_none() {
                return;
            }
            client.send(OK);
        }
        close(client);
    });
    let report = run(&requests(server.target(), 30, 1));
    assert_eq!(report.errors.clone().into_iter().collect::<Vec<_>>(), [(lost_as, 10)]);
    assert_eq!((report.answered, report.status_class(2)), (20, 20));
    // Each lost connection is replaced; the last request was one of the lost.
    assert_eq!((report.connects, report.reconnects), (10, 9));
}

#[test]
fn a_keep_alive_limit_that_meets_the_next_request() {
    // Read and not answered, or not even read, which resets the connection (RFC 2525 §2.17).
    third_request(ErrorKind::ClosedBeforeResponse, |client| drop(client.head()));
    third_request(ErrorKind::Read, Client::peek);
}

#[test]
fn no_answer_in_time() {
    all_fail(ErrorKind::Timeout, Client::hold);
}

#[test]
fn an_answer_that_never_ends() {
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
    let not_found = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    all_fail(ErrorKind::Status4xx, answering(not_found));
    let broken = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n";
    all_fail(ErrorKind::Status5xx, answering(broken));
}

#[test]
fn a_request_that_cannot_be_written() {
    let server = Server::start(Client::peek);
    // More than the socket buffers of both sides hold, so that the reset comes in mid-write.
    let body = vec![b'x'; 32 << 20];
    let plan = Plan { method: "POST".into(), body, ..requests(server.target(), 4, 1) };
    let report = run(&plan);
    assert_eq!(report.errors_of(ErrorKind::Write), 4, "{:?}", report.errors);
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
    let plan = Plan { method: "POST".into(), body, ..requests(server.target(), 3, 1) };
    let report = run(&plan);
    assert_eq!(report.errors_of(ErrorKind::Status4xx), 3, "{:?}", report.errors);
    // What is left of a request cannot be followed by another one on the same connection.
    assert_eq!(report.connects, 3);
}

#[test]
fn a_target_that_is_down_is_an_error_of_the_run() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let target = Target::tcp("127.0.0.1", port, "/x").unwrap();
    for plan in [requests(target.clone(), 100, 4), stages(target.clone(), "5s@100")] {
        let error = loadgen::run(&plan, &mut |_| {}, &AtomicBool::new(false)).unwrap_err();
        assert!(matches!(error, RunError::TargetDown { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(&target.to_string()) && !text.contains('\n'), "{text}");
    }
    let missing: Target = "unix:/nonexistent/socket".parse().unwrap();
    let error = loadgen::run(&requests(missing, 1, 1), &mut |_| {}, &AtomicBool::new(false));
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
        assert_ne!(stream.read(&mut request).unwrap(), 0);
        drop(listener);
        stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
    });
    let report = run(&requests(Target::tcp("127.0.0.1", port, "/").unwrap(), 5, 1));
    server.join().unwrap();
    assert_eq!(report.answered, 1);
    assert_eq!(report.errors.into_iter().collect::<Vec<_>>(), [(ErrorKind::ConnectRefused, 4)]);
}

/// The target answers once and then lets connections be made no more: what it does not accept, with
/// nothing left in its queue, is never refused either.
#[test]
fn a_target_that_becomes_a_black_hole_is_counted() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listen(&listener, Backlog::new(0).unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 1024];
        assert_ne!(stream.read(&mut request).unwrap(), 0);
        // The only place in the queue.
        let filler = TcpStream::connect(address).unwrap();
        stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        (listener, filler)
    });
    let target = Target::tcp("127.0.0.1", address.port(), "/").unwrap();
    let report = run(&Plan { connect_timeout: Duration::from_millis(150), ..requests(target, 5, 1) });
    drop(server.join().unwrap());
    assert_eq!(report.answered, 1);
    assert_eq!(report.errors.into_iter().collect::<Vec<_>>(), [(ErrorKind::ConnectTimeout, 4)]);
}

/// Four connections to a listener that accepts none and queues one.
fn full_backlog(target: Target) {
    let report = run(&Plan {
        timeout: Duration::from_millis(600),
        connect_timeout: Duration::from_millis(300),
        ..requests(target, 4, 4)
    });
    let kinds = [ErrorKind::ConnectTimeout, ErrorKind::Timeout];
    assert!(report.errors.keys().all(|kind| kinds.contains(kind)), "{:?}", report.errors);
    assert!(report.errors_of(ErrorKind::ConnectTimeout) >= 1, "{:?}", report.errors);
    assert!(report.errors_of(ErrorKind::Timeout) >= 1, "{:?}", report.errors);
}

#[test]
fn a_connection_that_is_not_made_in_time() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listen(&listener, Backlog::new(0).unwrap()).unwrap();
    let port = listener.local_addr().unwrap().port();
    full_backlog(Target::tcp("127.0.0.1", port, "/").unwrap());
}

#[test]
fn a_unix_socket_with_a_full_backlog() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let listener = UnixListener::bind(&path).unwrap();
    listen(&listener, Backlog::new(0).unwrap()).unwrap();
    full_backlog(format!("unix:{}", path.display()).parse().unwrap());
}

#[test]
fn requests_without_a_connection_are_counted_as_never_sent() {
    let server = Server::start(Client::hold);
    let report = run(&Plan { connections: 1, timeout: Duration::from_millis(300), ..stages(server.target(), "1s@20") });
    assert_eq!(report.requests, 20);
    let kinds: Vec<ErrorKind> = report.errors.keys().copied().collect();
    assert_eq!(kinds, [ErrorKind::Timeout, ErrorKind::Unsent]);
    // One request at a time, 300 ms each, in 1.3 s.
    assert!(report.errors_of(ErrorKind::Unsent) >= 14, "{:?}", report.errors);
    assert!(report.validity.iter().any(|r| r.contains("of the offered rate")), "{:?}", report.validity);
}

#[test]
fn stopping_a_run_reports_what_was_measured() {
    // Answers the first three requests and then no more.
    let left = Mutex::new(3);
    let server = Server::start(move |client| {
        while client.request().is_some() {
            let mut left = left.lock().unwrap();
            if *left == 0 {
                drop(left);
                return client.hold();
            }
            *left -= 1;
            client.send(OK);
        }
    });
    let stop = AtomicBool::new(false);
    let plan = Plan {
        interval: Duration::from_millis(100),
        timeout: Duration::from_secs(60),
        ..stages(server.target(), "60s@50")
    };
    let mut stuck = |interval: &loadgen::Interval| {
        stop.store(interval.in_flight >= 5, std::sync::atomic::Ordering::SeqCst);
    };
    let report = loadgen::run(&plan, &mut stuck, &stop).unwrap();
    check(&report);
    assert!(report.interrupted);
    assert_eq!(report.answered, 3);
    assert!(report.abandoned >= 5, "{}", report.abandoned);
    assert!(report.duration_s < 30.0, "{}", report.duration_s);
    assert!(report.errors.is_empty(), "{:?}", report.errors);
}

#[test]
fn stopping_before_the_first_request_is_no_crash() {
    let server = Server::answering(OK);
    let stop = AtomicBool::new(true);
    for plan in [requests(server.target(), 1_000_000, 2), stages(server.target(), "60s@10")] {
        let report = loadgen::run(&plan, &mut |_| {}, &stop).unwrap();
        check(&report);
        assert!(report.interrupted && report.duration_s < 30.0, "{}", report.summary());
    }
}

#[test]
fn a_cpu_that_is_not_there_is_named() {
    let server = Server::answering(OK);
    let plan = Plan { cpus: Some(vec![1000]), ..requests(server.target(), 1, 1) };
    let error = loadgen::run(&plan, &mut |_| {}, &AtomicBool::new(false)).unwrap_err();
    assert!(error.to_string().contains("pin a generator thread to CPU 1000"), "{error}");
    assert_eq!(server.accepted(), 0);
}
