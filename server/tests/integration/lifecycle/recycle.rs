//! Workers that are replaced after a number of requests or connections.

use std::thread;

use crate::support::{Gate, Launch, Server};

/// Asks `count` times; not one answer may be missing.
fn ask(server: &Server, count: usize) {
    let mut client = server.connect();
    for _ in 0..count {
        let response = client.get("/");
        assert_eq!((response.status(), response.text()), (200, "Hello"));
        if response.closes() {
            client = server.connect();
        }
    }
}

#[test]
fn recycling_loses_no_answer() {
    let shapes = [
        "--mpm static --workers 2 --threads 2 --max-requests 20",
        "--mpm adaptive --max-requests 20 --max-requests-jitter 10",
        "--mpm prefork --start-servers 8 --min-spare-servers 8 --max-spare-servers 16 --max-connections-per-child 10 --keep-alive-timeout 0",
    ];
    for shape in shapes {
        let server = Launch::new("plain:app").args(shape).start();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| ask(&server, 30));
            }
        });
        let status = server.await_status("some were replaced", |status| status.counters.retired >= 4);
        assert_eq!((status.counters.died, status.counters.killed), (0, 0), "{shape}: {status:#?}");
    }
}

#[test]
fn an_idle_connection_outlives_its_worker() {
    let server = Launch::new("plain:app").fixed(2, 2).args("--max-requests 10").start();
    let mut idle = server.connect();
    let worker: i32 = idle.get("/pid").text().parse().expect("a number");
    // Others wear the worker out; the connection goes over to one that stays.
    while server.status().pids().contains(&worker) {
        ask(&server, 10);
    }
    server.await_status("the connection is held", |status| status.connections() == 1);
    let response = idle.get("/pid");
    assert_ne!(response.text(), worker.to_string());
    assert_eq!(server.status().counters.died, 0);
}

#[test]
fn a_worker_that_can_not_leave_is_killed_and_counted() {
    let launch = Launch::new("plain:app").fixed(1, 4).args("--max-requests 1 --graceful-timeout 300ms");
    let server = launch.start();
    let gate = Gate::new(server.folder(), "gate");
    let mut stuck = server.connect();
    stuck.send_get(&gate.target());
    let before = server.await_status("the request is in the application", |status| status.in_flight() == 1).pids();
    assert_eq!(server.get("/").text(), "Hello");
    let status = server.await_status("the worker is replaced", |status| status.settled(1) && status.pids() != before);
    assert_eq!((status.counters.killed, status.counters.died), (1, 0), "{status:#?}");
    assert!(stuck.try_answer().is_err());
    assert_eq!(server.get("/").text(), "Hello");
}
