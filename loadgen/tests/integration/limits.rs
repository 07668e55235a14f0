//! What a plan limits: requests outstanding, requests per connection, the time of a run, and how
//! soon a connection goes on.

use std::time::Duration;

use loadgen::{ErrorKind, Plan};

use crate::server::{Client, OK, Server, requests, run, stages};

#[test]
fn a_connection_is_closed_after_its_requests() {
    let server = Server::answering(OK);
    let report = run(&Plan { requests_per_connection: Some(5), ..requests(server.target(), 40, 1) });
    assert_eq!((report.answered, report.connects, report.reconnects), (40, 8, 0));
    assert_eq!(server.accepted(), 8);
}

#[test]
fn no_more_than_allowed_is_outstanding() {
    let server = Server::start(Client::hold);
    let plan = Plan {
        max_outstanding: Some(3),
        timeout: Duration::from_secs(10),
        deadline: Some(Duration::from_millis(1500)),
        ..stages(server.target(), "1s@20")
    };
    let report = run(&plan);
    // Three are sent and never answered; the others are due in vain.
    assert_eq!((report.requests, report.errors_of(ErrorKind::Unsent), report.abandoned), (20, 17, 3));
    assert_eq!(report.connects, 3);
    assert!(!report.interrupted);
    assert!(report.validity.iter().any(|reason| reason.contains("--deadline")), "{:?}", report.validity);
}

#[test]
fn a_deadline_that_is_not_reached_changes_nothing() {
    let server = Server::answering(OK);
    let report = run(&Plan { deadline: Some(Duration::from_secs(60)), ..requests(server.target(), 20, 2) });
    assert_eq!((report.answered, report.abandoned, report.interrupted), (20, 0, false));
}

#[test]
fn connections_think_between_requests() {
    let server = Server::answering(OK);
    let think_time = Duration::from_millis(100);
    let report = run(&Plan { think_time, ..requests(server.target(), 10, 2) });
    assert_eq!((report.answered, report.connects), (10, 2));
    // Five requests of each connection have four pauses between them, which are no latency.
    assert!(report.duration_s >= 0.4, "{}", report.duration_s);
    assert!(report.latency.p50_ns < 50_000_000, "{}", report.summary());
}

/// The target closes while the connection thinks: that is no error, and the pause is kept.
#[test]
fn a_connection_lost_while_thinking_is_replaced() {
    let server = Server::start(|client| {
        if client.request().is_some() {
            client.send(OK);
        }
    });
    let think_time = Duration::from_millis(50);
    let report = run(&Plan { think_time, ..requests(server.target(), 5, 1) });
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    assert_eq!((report.answered, report.connects, report.reconnects), (5, 5, 4));
    assert!(report.duration_s >= 0.2, "{}", report.duration_s);
}
