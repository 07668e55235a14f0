//! Calls that run for longer than `--request-timeout`: told to the client, told in the log, drained around.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::client::get;
use crate::support::{Broken, Client, Gate, Launch, Load, Server, Status, wait};

const SHAPES: [&str; 3] = [
    "--mpm static --workers 1 --threads 4",
    "--mpm adaptive --no-preload",
    "--mpm prefork --start-servers 2 --min-spare-servers 1 --max-spare-servers 2",
];

/// A client whose request waits at `gate` inside the application, and the worker that it is in.
fn inside(server: &Server, gate: &Gate) -> (Client, i32) {
    let mut client = server.connect();
    client.send_get(&gate.target());
    let busy = |status: &Status| Some(status.workers.iter().find(|worker| worker.in_flight > 0)?.pid);
    let status = server.await_status("the request is in the application", |status| busy(status).is_some());
    (client, busy(&status).expect("just seen"))
}

#[test]
fn its_client_is_told_its_stack_is_logged_and_its_worker_replaced() {
    for shape in SHAPES {
        let server = Launch::new("plain:app").args(shape).args("--request-timeout 500ms").start();
        let gate = Gate::new(server.folder(), "gate");
        let (mut client, worker) = inside(&server, &gate);
        Load::run(&server, 1, "/", |load| {
            let response = client.answer();
            assert_eq!((response.status(), response.closes()), (504, true), "{shape}");
            assert!(response.text().contains("has not answered within 0.5 s"), "{shape}: {}", response.text());
            client.expect_end();
            let gone = |status: &Status| !status.pids().contains(&worker) && status.counters.retired >= 1;
            let status = server.await_status("the worker has left without the call", gone);
            let counters = status.counters;
            assert_eq!((counters.timed_out, counters.died, counters.killed), (1, 0, 0), "{shape}: {status:#?}");
            load.await_answers(20);
            assert_eq!(load.lost(), 0, "{shape}");
        });
        let log = server.log();
        for words in ["path=\"/wait\"", "--request-timeout (500ms); its client got a 504", "in wait_at_gate"] {
            assert!(log.contains(words), "{shape}: {words:?} is not in:\n{log}");
        }
        assert!(log.contains("has a stuck call (--request-timeout) → +1 worker"), "{shape}:\n{log}");
        assert!(log.contains("leaving without 1 call(s)"), "{shape}:\n{log}");
    }
}

#[test]
fn a_response_that_has_begun_is_cut_visibly() {
    for shape in SHAPES {
        let server = Launch::new("plain:app").args(shape).args("--request-timeout 500ms").start();
        let gate = Gate::new(server.folder(), "gate");
        let mut client = server.connect();
        client.send_get(&gate.target_of("/stream"));
        assert_eq!(client.begin_chunked(), b"first");
        let rest = client.try_chunk();
        assert!(matches!(rest, Err(Broken::Cut(_))), "{shape}: {rest:?}");
        server.await_log("its response was cut");
        server.await_status("the worker has left", |status| status.counters.retired == 1);
    }
}

#[test]
fn a_call_that_holds_the_interpreter_lock_is_left_behind() {
    // Inside one C function that never lets anybody in between.
    let source = "\
def count():
    return sum(range(10 ** 13))
def app(environ, start_response):
    if environ['PATH_INFO'] == '/count':
        count()
    start_response('200 OK', [])
    return [b'Hello']
";
    for shape in SHAPES {
        let launch = Launch::bare().with_module("counts", source).arg("counts:app").args(shape);
        let server = launch.args("--request-timeout 500ms --graceful-timeout 600s").start();
        let mut client = server.connect();
        client.send_get("/count");
        assert_eq!(client.answer().status(), 504, "{shape}");
        server.await_status("the worker has left", |status| status.counters.retired == 1);
        let status = server.status();
        assert_eq!((status.counters.died, status.counters.killed), (0, 0), "{shape}: {status:#?}");
        for _ in 0..10 {
            assert_eq!(server.get("/").text(), "Hello", "{shape}");
        }
        let log = server.log();
        // Python from 3.13 on does not let anybody look without its lock.
        assert!(log.contains("in count\n") || log.contains("where it is can't be told"), "{shape}:\n{log}");
    }
}

#[test]
fn requests_beside_it_are_finished() {
    let server = Launch::new("plain:app").fixed(1, 4).args("--request-timeout 4s").start();
    let (stuck_gate, mut gate) = (Gate::new(server.folder(), "stuck"), Gate::new(server.folder(), "other"));
    let began = Instant::now();
    let (mut stuck, worker) = inside(&server, &stuck_gate);
    // So late that its own time is not up while the worker leaves.
    wait::moment(began + Duration::from_secs(2));
    let mut other = server.connect();
    other.send_get(&gate.target());
    server.await_status("both are inside", |status| status.in_flight() == 2);
    assert_eq!(stuck.answer().status(), 504);
    let draining = |status: &Status| status.workers.iter().any(|one| one.pid == worker && one.phase == "draining");
    server.await_status("the worker is to leave", draining);
    gate.open();
    let response = other.answer();
    assert_eq!((response.status(), response.text()), (200, "passed"));
    server.await_status("the worker has left", |status| !status.pids().contains(&worker) && status.settled(1));
    assert_eq!(server.status().counters.killed, 0);
}

#[test]
fn a_call_that_ends_after_all_finds_its_response_taken() {
    let server = Launch::new("plain:app").fixed(1, 2).args("--request-timeout 500ms").start();
    let (mut gate, other) = (Gate::new(server.folder(), "gate"), Gate::new(server.folder(), "other"));
    let (mut first, worker) = inside(&server, &gate);
    // Keeps the worker there a little longer.
    let mut second = server.connect();
    second.send_get(&other.target_of("/stream"));
    assert_eq!(second.begin_chunked(), b"first");
    assert_eq!(first.answer().status(), 504);
    gate.open();
    first.expect_end();
    server.await_status("the worker has left", |status| !status.pids().contains(&worker) && status.settled(1));
    assert_eq!(server.get("/").text(), "Hello");
    assert_eq!(server.status().counters.died, 0);
}

#[test]
fn time_that_the_client_takes_does_not_count() {
    let source = "\
def app(environ, start_response):
    start_response('200 OK', [])
    return (b'x' * 65536 for _ in range(64))
";
    for shape in SHAPES {
        let launch = Launch::bare().with_module("pieces", source).arg("pieces:app").args(shape);
        let server = launch.args("--request-timeout 500ms").start();
        let mut client = Client::connect_far(server.address());
        let began = Instant::now();
        client.send(get("/"));
        let mut length = 0;
        let mut read = |client: &mut Client| {
            let chunk = client.try_chunk().expect("whole");
            length += chunk.as_ref().map_or(0, Vec::len);
            chunk.is_some()
        };
        client.try_head().expect("a head");
        read(&mut client);
        wait::moment(began + Duration::from_millis(1500));
        while read(&mut client) {}
        assert_eq!(length, 64 * 65536, "{shape}");
        assert_eq!(server.status().counters.timed_out, 0, "{shape}");
    }
}

#[test]
fn stopping_does_not_wait_for_it() {
    for shape in SHAPES {
        let launch = Launch::new("plain:app").args(shape).args("--request-timeout 500ms --graceful-timeout 600s");
        let mut server = launch.start();
        let gate = Gate::new(server.folder(), "gate");
        let (mut client, _) = inside(&server, &gate);
        server.signal(Signal::SIGTERM);
        assert_eq!(client.answer().status(), 504, "{shape}");
        assert_eq!(server.await_exit().code(), Some(0), "{shape}");
    }
}

#[test]
fn calls_in_time_are_none_of_its_business() {
    let server = Launch::new("plain:app").fixed(2, 4).args("--request-timeout 10s").start();
    Load::run(&server, 3, "/sleep?ms=20", |load| {
        load.await_answers(100);
        assert_eq!(load.lost(), 0);
    });
    let status = server.status();
    assert_eq!((status.counters.timed_out, status.counters.spawned), (0, 2), "{status:#?}");
}
