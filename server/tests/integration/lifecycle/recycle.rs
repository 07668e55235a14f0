//! Workers that are replaced after a number of requests or connections, for their memory, for their age: the replacement
//! first, and nothing lost.

use nix::sys::signal::Signal;

use crate::support::{Gate, Launch, Load, Server, Status, processes};

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

/// Asks from several sides until the status is as wanted; not one answer may be missing.
fn ask_until(server: &Server, what: &str, wanted: impl FnMut(&Status) -> bool) -> Status {
    Load::run(server, 4, "/", |load| {
        let status = server.await_status(what, wanted);
        assert_eq!(load.lost(), 0);
        status
    })
}

#[test]
fn recycling_loses_no_answer() {
    let shapes = [
        "--mpm static --workers 2 --threads 2 --max-requests 20",
        "--mpm adaptive --max-requests 20 --max-requests-jitter 10",
        "--mpm prefork --start-servers 4 --max-requests 20",
        "--mpm prefork --start-servers 8 --min-spare-servers 8 --max-spare-servers 16 --max-connections-per-child 10 --keep-alive-timeout 0",
        "--mpm static --workers 3 --threads 2 --max-worker-lifetime 1s",
    ];
    for shape in shapes {
        let server = Launch::new("plain:app").args(shape).start();
        let status = ask_until(&server, "some were replaced", |status| status.counters.retired >= 4);
        assert_eq!((status.counters.died, status.counters.killed), (0, 0), "{shape}: {status:#?}");
    }
}

#[test]
fn capacity_is_never_less_while_workers_are_replaced() {
    const WORKERS: u32 = 3;
    let server = Launch::new("plain:app").fixed(WORKERS, 2).args("--max-requests 50").start();
    server.await_status("all serve", |status| status.settled(WORKERS));
    let mut largest = 0;
    let status = ask_until(&server, "each was replaced twice", |status| {
        let of_phase = |phase: &str| status.workers.iter().filter(|worker| worker.phase == phase).count() as u32;
        assert!(of_phase("ready") >= WORKERS, "fewer serve than before: {status:#?}");
        largest = largest.max(of_phase("ready") + of_phase("starting"));
        status.counters.retired >= 2 * u64::from(WORKERS)
    });
    assert!(largest <= WORKERS + 1, "one at a time, but there were {largest}");
    let reasons: Vec<&str> = status.decisions.iter().map(|decision| decision.reason.as_str()).collect();
    assert!(reasons.iter().any(|reason| reason.contains("(--max-requests) → +1 worker")), "{reasons:?}");
    assert!(reasons.iter().any(|reason| reason.contains("serves in place of worker")), "{reasons:?}");
    let retires = status.decisions.iter().flat_map(|decision| &decision.actions);
    assert!(retires.filter(|action| action.starts_with("retire slot")).count() > 0);
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

/// Keeps as many mebibytes as it is asked for.
const GROWS: &str = "\
kept = []
def app(environ, start_response):
    kept.append(b'x' * (int(environ['QUERY_STRING'] or 0) << 20))
    start_response('200 OK', [])
    return [b'Hello']
";

#[test]
fn a_worker_that_has_grown_too_large_is_replaced() {
    for shape in ["--mpm static --workers 1 --threads 2", "--mpm adaptive", "--mpm prefork --start-servers 2"] {
        let server = Launch::bare().with_module("grows", GROWS).arg("grows:app").args(shape);
        let server = server.args("--max-worker-rss 200m").start();
        Load::run(&server, 2, "/", |load| {
            load.await_answers(20);
            assert_eq!(server.status().counters.retired, 0, "{shape}");
            assert_eq!(server.get("/?300").text(), "Hello");
            server.await_status("it has left", |status| status.counters.retired >= 1);
            load.await_answers(20);
            assert_eq!(load.lost(), 0, "{shape}");
        });
        assert!(server.log().contains("MiB (--max-worker-rss) → +1 worker"), "{}", server.log());
        let heavy = |pid: &i32| processes::memory(*pid) > 250 << 20;
        assert!(!server.status().pids().iter().any(heavy), "{shape}");
        assert_eq!(server.status().counters.died, 0, "{shape}");
    }
}

#[test]
fn a_limit_that_no_worker_keeps_is_not_heeded_and_told_once() {
    let server = Launch::new("plain:app").fixed(2, 2).args("--max-worker-rss 1m").start();
    server.await_log("more than --max-worker-rss");
    let before = server.await_status("both serve", |status| status.settled(2)).pids();
    // The one that was killed is replaced by another one that is as large.
    processes::send(before[0], Signal::SIGKILL);
    let status = server.await_status("it is replaced", |status| status.settled(2) && status.counters.died == 1);
    assert_eq!(status.counters.retired, 0);
    assert_eq!(server.log().matches("more than --max-worker-rss").count(), 1, "{}", server.log());
}

#[test]
fn a_worker_whose_successor_can_not_start_goes_on() {
    // Imported by each worker, and broken after the first one.
    let source = "\
import os
try:
    os.mkdir('imported')
except FileExistsError:
    raise RuntimeError('not a second time')
def app(environ, start_response):
    start_response('200 OK', [])
    return [str(os.getpid()).encode()]
";
    let launch = Launch::bare().with_module("once", source).arg("once:app").arg("--no-preload");
    let server = launch.fixed(1, 2).args("--max-requests 5").start();
    let first = server.get("/").text().to_owned();
    for _ in 0..10 {
        assert_eq!(server.get("/").text(), first);
    }
    server.await_status("successors were tried", |status| status.counters.died >= 2);
    for _ in 0..10 {
        assert_eq!(server.get("/").text(), first);
    }
    assert!(server.log().contains("not a second time"), "{}", server.log());
}
