//! The process managers of other servers, as they manage ours: each grows while calls block, says why, and shrinks.
//!
//! One connection per process. What the algorithms do exactly is tested with the policies; here, that they are the ones in charge.

use super::waiting;
use crate::support::{Client, Gate, Launch, Server, Status};

fn pass(mut gate: Gate, clients: Vec<Client>) {
    gate.open();
    for mut client in clients {
        assert_eq!(client.answer().text(), "passed");
    }
}

/// The reasons of all decisions that did something like this, oldest first. They stand in the log as well.
fn decided(server: &Server, status: &Status, action: &str) -> Vec<String> {
    let decisions =
        status.decisions.iter().filter(|decision| decision.actions.iter().any(|done| done.starts_with(action)));
    let found: Vec<String> = decisions.map(|decision| decision.reason.clone()).collect();
    found.iter().for_each(|reason| server.await_log(reason));
    found
}

#[test]
fn busyness_grows_window_by_window() {
    let server = Launch::new("plain:app").args("--mpm busyness --max-workers 3 --cheaper-overload 1").start();
    assert_eq!(server.status().mpm, "busyness");
    server.await_status("the minimum", |status| status.settled(1));
    let gate = Gate::new(server.folder(), "gate");
    let clients = waiting(&server, &gate, 3);
    let grown = server.await_status("a worker for each call", |status| status.settled(3) && status.in_flight() == 3);
    assert!(grown.workers.iter().all(|worker| worker.in_flight == 1), "one call each: {grown:#?}");
    let reasons = decided(&server, &grown, "spawn");
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert!(reasons[0].starts_with("busyness 100 % of 1 > cheaper-busyness-max 50 %"), "{reasons:?}");
    pass(gate, clients);
    // Ten windows later.
    let shrunk = server.await_status("one has left", |status| status.settled(2));
    let reasons = decided(&server, &shrunk, "retire");
    assert!(
        reasons.iter().all(|reason| reason.contains("< cheaper-busyness-min 25 %, for 10 windows of 1s")),
        "{reasons:?}"
    );
    assert_eq!((shrunk.counters.died, shrunk.counters.killed), (0, 0));
}

#[test]
fn spare_grows_when_all_are_busy_and_shrinks_to_its_minimum() {
    let server = Launch::new("plain:app").args("--mpm spare --max-workers 3 --cheaper-overload 1").start();
    assert_eq!(server.status().mpm, "spare");
    let gate = Gate::new(server.folder(), "gate");
    let clients = waiting(&server, &gate, 3);
    let grown = server.await_status("a worker for each call", |status| status.settled(3) && status.in_flight() == 3);
    let reasons = decided(&server, &grown, "spawn");
    assert!(reasons[0].starts_with("all of 1 busy, for more than cheaper-overload 1 s"), "{reasons:?}");
    server.await_status("the maximum is noticed", |status| {
        status.decisions.iter().any(|decision| decision.reason.contains("reached workers 3"))
    });
    pass(gate, clients);
    let shrunk = server.await_status("back to the minimum", |status| status.settled(1));
    // With two left, one is spare: only a third one leaves by the rule for several idle ones.
    assert!(!decided(&server, &shrunk, "retire").is_empty(), "{shrunk:#?}");
    assert_eq!((shrunk.counters.died, shrunk.counters.killed), (0, 0));
}

#[test]
fn dynamic_keeps_spare_children_within_its_thresholds() {
    let server = Launch::new("plain:app").args("--mpm dynamic").start();
    assert_eq!(server.status().mpm, "dynamic");
    server.await_status("half-way between the spare servers", |status| status.settled(2));
    let gate = Gate::new(server.folder(), "gate");
    let clients = waiting(&server, &gate, 4);
    let grown = server.await_status("one is spare", |status| status.settled(5) && status.in_flight() == 4);
    let reasons = decided(&server, &grown, "spawn");
    assert!(reasons.iter().all(|reason| reason.contains("< pm.min_spare_servers 1, spawn rate ")), "{reasons:?}");
    assert!(reasons.iter().all(|reason| reason.ends_with("+1 worker")), "no more than are missing: {reasons:?}");
    pass(gate, clients);
    let shrunk = server.await_status("three are spare", |status| status.settled(3));
    let reasons = decided(&server, &shrunk, "retire");
    assert_eq!(reasons.len(), 2, "one a second: {reasons:?}");
    assert!(reasons[0].starts_with("5 idle of 5 > pm.max_spare_servers 3"), "{reasons:?}");
}

#[test]
fn ondemand_has_nobody_until_somebody_comes() {
    let server = Launch::new("plain:app").args("--mpm ondemand --idle-timeout 1s").start();
    let nobody = server.status();
    assert_eq!((nobody.mpm.as_str(), nobody.phase.as_str(), nobody.totals.total), ("ondemand", "serving", 0));
    let gate = Gate::new(server.folder(), "gate");
    let clients = waiting(&server, &gate, 3);
    let grown = server.await_status("a child for each call", |status| status.in_flight() == 3);
    let reasons = decided(&server, &grown, "spawn");
    assert!(reasons.iter().all(|reason| reason.ends_with("+1 worker")), "one at a time: {reasons:?}");
    assert!(reasons[0].contains("waiting, none idle of 0"), "{reasons:?}");
    pass(gate, clients);
    let empty = server.await_status("nobody again", |status| status.settled(0));
    let reasons = decided(&server, &empty, "retire");
    assert!(reasons.iter().all(|reason| reason.contains("> pm.process_idle_timeout 1s")), "{reasons:?}");
    assert_eq!(server.get("/").text(), "Hello");
}

/// The kernel does not count who waits at a unix socket, only that somebody does.
#[test]
fn ondemand_notices_who_waits_at_a_unix_socket() {
    let launch = Launch::new("plain:app").args("--mpm ondemand");
    let socket = launch.folder().join("socket");
    let server = launch.bind(&[&format!("unix:{}", socket.display())]).start();
    assert_eq!(server.status().totals.total, 0);
    assert_eq!(Client::connect_unix(&socket).expect("it listens").get("/").text(), "Hello");
}

#[test]
fn unit_starts_while_requests_outnumber_its_processes() {
    let shape = "--mpm unit --spare-processes 1 --idle-timeout 1s --max-workers 9";
    let server = Launch::new("plain:app").args(shape).start();
    assert_eq!(server.status().mpm, "unit");
    server.await_status("the spare one", |status| status.settled(1));
    let gate = Gate::new(server.folder(), "gate");
    let clients = waiting(&server, &gate, 3);
    let grown = server.await_status("one is spare", |status| status.settled(4) && status.in_flight() == 3);
    let reasons = decided(&server, &grown, "spawn");
    assert!(reasons.iter().all(|reason| reason.ends_with("+1 worker")), "one at a time: {reasons:?}");
    pass(gate, clients);
    let shrunk = server.await_status("the spare one is left", |status| status.settled(1));
    let reasons = decided(&server, &shrunk, "retire");
    assert!(
        reasons.iter().all(|reason| reason.contains("> spare 1") && reason.contains("for idle_timeout 1s")),
        "{reasons:?}"
    );
    assert_eq!((shrunk.counters.died, shrunk.counters.killed), (0, 0));
}
