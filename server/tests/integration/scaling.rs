//! How many processes and threads there are, under each process manager, and what is said about it.

use std::time::Duration;

use crate::support::{Client, Gate, Launch, Load, Server, Status};

mod comparators;

/// The processors that the server may use, as the standard library counts them (affinity and quota).
fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The actions of all decisions, oldest first.
fn actions(status: &Status) -> Vec<&str> {
    status.decisions.iter().flat_map(|decision| decision.actions.iter().map(String::as_str)).collect()
}

/// Connections whose requests are, or will be, at the gate. None is kept alive after its answer.
fn waiting(server: &Server, gate: &Gate, count: u32) -> Vec<Client> {
    let request = format!("GET {} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n", gate.target());
    let ask = |_| {
        let mut client = server.connect();
        client.send(&request);
        client
    };
    (0..count).map(ask).collect()
}

#[test]
fn adaptive_meets_blocked_calls_with_threads() {
    let server = Launch::new("plain:app").start();
    let grown = Load::run(&server, 30, "/sleep?ms=50", |load| {
        let status = server.await_status("threads for calls that sleep", |status| status.threads() >= 15);
        load.await_answers(200);
        assert_eq!(load.lost(), 0);
        status
    });
    assert!(grown.totals.total <= 3, "processes were started where threads do: {grown:#?}");
    let shrunk = server.await_status("the threads leave", |status| status.threads() <= 3 && status.settled(1));
    assert_eq!((shrunk.in_flight(), shrunk.totals.busy, shrunk.totals.idle), (0, 0, 1));
}

#[test]
fn adaptive_meets_computing_calls_with_processes() {
    let server = Launch::new("plain:app").start();
    assert_eq!(server.status().totals.total, 1);
    let grown = Load::run(&server, 8, "/spin?ms=20", |load| {
        load.await_answers(20);
        if processors() == 1 {
            load.await_answers(50);
            return None;
        }
        let status = server.await_status("a second worker", |status| {
            status.workers.iter().filter(|worker| worker.phase == "ready" && worker.requests > 0).count() >= 2
        });
        assert_eq!(load.lost(), 0);
        Some(status)
    });
    if let Some(grown) = grown {
        let growth =
            grown.decisions.iter().find(|decision| decision.actions.iter().any(|action| action.starts_with("spawn")));
        let growth = growth.unwrap_or_else(|| panic!("no decision to grow in {grown:#?}"));
        assert!(!growth.reason.is_empty() && growth.at_seconds > 0.0);
        assert!(server.log().contains(&growth.reason), "{} is not in the log:\n{}", growth.reason, server.log());
    }
    let shrunk = server.await_status("back to the minimum", |status| status.settled(1));
    assert_eq!((shrunk.counters.died, shrunk.counters.killed), (0, 0));
    assert_eq!(shrunk.counters.spawned, shrunk.counters.retired + 1);
    assert_eq!(actions(&shrunk).iter().any(|action| action.starts_with("retire slot")), processors() > 1);
    assert_eq!(server.get("/").text(), "Hello");
}

#[test]
fn adaptive_keeps_to_its_bounds() {
    let server = Launch::new("plain:app").args("--min-workers 2 --max-workers 2 --max-threads 3").start();
    let born = server.await_status("the minimum", |status| status.settled(2));
    let told = |ready_ms: f64, age_seconds: f64| ready_ms > 0.0 && ready_ms <= age_seconds * 1e3;
    assert!(born.workers.iter().all(|w| w.ready_ms.is_some_and(|ms| told(ms, w.age_seconds))), "{born:#?}");
    let mut gate = Gate::new(server.folder(), "gate");
    let clients = waiting(&server, &gate, 20);
    let full = server.await_status("every thread has a call", |status| status.in_flight() == 6);
    assert_eq!((full.totals.total, full.totals.busy, full.totals.idle), (2, 2, 0), "{full:#?}");
    let inside: u32 = full.workers.iter().map(|worker| worker.in_flight + worker.queued).sum();
    assert!(inside <= full.connections(), "a connection has one request at a time: {full:#?}");
    gate.open();
    for mut client in clients {
        assert_eq!(client.answer().text(), "passed");
    }
    let status = server.await_status("all is quiet", |status| status.totals.busy == 0);
    assert_eq!((status.totals.total, status.counters.spawned, status.requests()), (2, 2, 20));
}

#[test]
fn idle_connections_make_nobody_busy() {
    let server = Launch::new("plain:app").start();
    let clients: Vec<Client> = (0..60)
        .map(|_| {
            let mut client = server.connect();
            client.get("/");
            client
        })
        .collect();
    let quiet = |status: &Status| status.connections() == 60 && status.totals.busy == 0;
    let status = server.await_status("sixty connections and nobody busy", quiet);
    assert_eq!((status.totals.total, status.totals.idle), (1, 1), "{status:#?}");
    drop(clients);
    server.await_status("no connection", |status| status.connections() == 0);
}

#[test]
fn prefork_grows_in_doubling_steps_and_shrinks_one_by_one() {
    let server = Launch::new("plain:app").args("--mpm prefork").start();
    let start = server.await_status("five servers", |status| status.settled(5));
    assert_eq!((start.totals.idle, start.counters.spawned, actions(&start).len()), (5, 5, 0));

    // Eleven connections: with 5 + 1 + 2 + 4 servers one is idle, with 8 more there are enough.
    let mut gate = Gate::new(server.folder(), "gate");
    let clients = waiting(&server, &gate, 11);
    let grown = server.await_status("enough spare servers", |status| status.settled(20));
    assert_eq!(actions(&grown), ["spawn 1", "spawn 2", "spawn 4", "spawn 8"]);
    assert_eq!((grown.totals.busy, grown.totals.idle, grown.in_flight()), (11, 9, 11), "{grown:#?}");
    assert!(grown.decisions[0].reason.contains("< MinSpareServers 5"), "{grown:#?}");
    assert!(server.log().contains(&grown.decisions[3].reason), "{}", server.log());

    gate.open();
    for mut client in clients {
        assert_eq!(client.answer().text(), "passed");
    }
    let shrunk = server.await_status("three servers have left", |status| status.settled(17));
    assert_eq!(actions(&shrunk)[4..].len(), 3, "{shrunk:#?}");
    let retired = &shrunk.decisions[4..];
    assert!(
        retired.iter().all(|decision| decision.actions.len() == 1 && decision.reason.contains("> MaxSpareServers 10"))
    );
    let passes = retired.windows(2).map(|pair| pair[1].at_seconds - pair[0].at_seconds);
    assert!(passes.into_iter().all(|pause| pause >= 0.9), "faster than one a second: {retired:#?}");
    assert_eq!((shrunk.counters.retired, shrunk.counters.died), (3, 0));
}

#[test]
fn prefork_respects_its_maximum() {
    let server = Launch::new("plain:app").args("--mpm prefork --max-request-workers 7").start();
    let mut gate = Gate::new(server.folder(), "gate");
    let clients = waiting(&server, &gate, 12);
    let full = server.await_status("the maximum is noticed", |status| {
        status.decisions.iter().any(|decision| decision.reason.contains("reached MaxRequestWorkers 7"))
    });
    assert_eq!((full.totals.total, full.totals.busy, full.in_flight()), (7, 7, 7), "{full:#?}");
    gate.open();
    // The others have waited in the listener's queue.
    for mut client in clients {
        assert_eq!(client.answer().text(), "passed");
    }
    let status = server.await_status("all is quiet", |status| status.totals.busy == 0);
    assert_eq!((status.totals.total, status.counters.spawned, status.requests()), (7, 7, 12));
}

#[test]
fn prefork_gives_a_connection_a_process_of_its_own() {
    let shape = "--mpm prefork --start-servers 1 --min-spare-servers 1 --max-spare-servers 2 --max-request-workers 1";
    let server = Launch::new("plain:app").args(shape).start();
    let mut first = server.connect();
    assert_eq!(first.get("/").text(), "Hello");
    let held = server.await_status("the connection is held", |status| status.connections() == 1);
    assert_eq!(
        (held.totals.busy, held.totals.idle, held.in_flight()),
        (1, 0, 0),
        "an idle connection holds its process"
    );
    let mut second = server.connect();
    second.send_get("/");
    assert!(second.is_silent_for(Duration::from_millis(100)), "there is no other process");
    assert_eq!(first.get("/").text(), "Hello");
    drop(first);
    assert_eq!(second.answer().text(), "Hello");
}

#[test]
fn a_fixed_number_is_fixed() {
    let server = Launch::new("plain:app").fixed(3, 2).start();
    server.await_status("three workers", |status| status.settled(3));
    let mut gate = Gate::new(server.folder(), "gate");
    let clients = waiting(&server, &gate, 30);
    let full = server.await_status("every thread has a call", |status| status.in_flight() == 6);
    assert_eq!((full.totals.total, full.totals.busy), (3, 3));
    gate.open();
    for mut client in clients {
        assert_eq!(client.answer().text(), "passed");
    }
    let status = server.await_status("all is quiet", |status| status.totals.busy == 0);
    assert_eq!((status.totals.total, status.totals.idle, status.counters.spawned), (3, 3, 3));
}

#[test]
fn an_idle_worker_takes_connections_before_a_busy_one() {
    for threads in [1, 4] {
        let server = Launch::new("plain:app").fixed(2, threads).start();
        server.await_status("two workers", |status| status.settled(2));
        let mut gate = Gate::new(server.folder(), "gate");
        let held = waiting(&server, &gate, 1);
        // Its call is long: another thread waits for connections meanwhile, or would.
        let status = server.await_status("a call at the gate, and a thread beside it", |status| {
            status.workers.iter().any(|worker| worker.in_flight == 1 && worker.threads == 2)
        });
        let busy = status.workers.iter().find(|worker| worker.in_flight == 1).expect("as awaited").pid;
        let pid = |_| server.get("/pid").text().parse::<i32>().expect("a number");
        let to_idle = (0..40).map(pid).filter(|pid| *pid != busy).count();
        // While the other one is about to wait again, it is not in line.
        assert!(to_idle >= 10, "{to_idle} of 40, {threads} thread(s)");
        gate.open();
        for mut client in held {
            assert_eq!(client.answer().status(), 200);
        }
    }
}
