//! Thousands of connections on which nothing happens.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::processes::{cpu_time, memory, most_connections};
use crate::support::{Client, Launch, Server};

/// What a connection may cost the worker while it is idle; what its socket costs is the kernel's.
const EACH: u64 = 4096;
/// "No measurable CPU" for a second, with room for a beat and a noisy clock.
const NO_CPU: Duration = Duration::from_millis(20);

fn one_worker(options: &str) -> (Server, i32) {
    // Servers inherit the limit that this raises.
    assert!(most_connections() >= 1000, "raise the limit of open files (ulimit -n) to run this");
    let server = Launch::new("plain:app").args("--max-workers 1 --keep-alive-timeout 1h").args(options).start();
    for _ in 0..100 {
        assert_eq!(server.get("/").text(), "Hello");
    }
    server.await_status("all is quiet", |status| status.connections() == 0);
    let worker = server.status().pids()[0];
    (server, worker)
}

/// CPU time of the worker for each of these many requests on one connection.
fn cost(client: &mut Client, worker: i32, requests: u32) -> Duration {
    let before = cpu_time(worker);
    for _ in 0..requests {
        assert_eq!(client.get("/").text(), "Hello");
    }
    (cpu_time(worker) - before) / requests
}

#[test]
fn ten_thousand_idle_connections_cost_little_memory_and_no_time() {
    let (server, worker) = one_worker("");
    let count = most_connections().min(10_000);
    let mut busy = server.connect();
    cost(&mut busy, worker, 500);
    let alone = cost(&mut busy, worker, 1000);
    let before = memory(worker);
    let mut idle: Vec<Client> = (0..count)
        .map(|_| {
            let mut client = server.connect();
            assert_eq!(client.get("/").text(), "Hello");
            client
        })
        .collect();
    server.await_status("all are connected", |status| status.connections() as usize == count + 1);
    let each = memory(worker).saturating_sub(before) / count as u64;

    let resting = cpu_time(worker);
    assert!(busy.is_silent_for(Duration::from_secs(1)));
    let resting = cpu_time(worker) - resting;

    let among = cost(&mut busy, worker, 1000);
    println!(
        "{count} idle connections: {each} bytes each, {resting:?} of CPU in a second; \
         a request takes {alone:?} of CPU alone, {among:?} among them"
    );
    assert!(each <= EACH, "{each} bytes for each of {count} connections");
    assert!(resting < NO_CPU, "{resting:?} of CPU in a second of rest");
    assert!(among < 3 * alone, "a request takes {alone:?} alone and {among:?} among {count} idle connections");
    for client in idle.iter_mut().step_by(97) {
        assert_eq!(client.get("/").text(), "Hello");
    }
    drop(idle);
    server.await_status("all are gone", |status| status.connections() == 1);
    assert_eq!(busy.get("/").text(), "Hello");
}

#[test]
fn half_sent_requests_cost_little_memory_and_no_time() {
    let begun = [
        ("heads", "GET / HTTP/1.1\r\nHost: test\r\n", "\r\n"),
        // What is announced takes no memory before it comes.
        ("uploads", "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 900000\r\n\r\n", &"x".repeat(900_000)),
        ("chunks", "POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\nf0000\r\nx", ""),
    ];
    for (what, beginning, rest) in begun {
        let (server, worker) = one_worker("--head-timeout 1h --body-timeout 1h");
        let count = most_connections().min(2000);
        let before = memory(worker);
        let mut clients: Vec<Client> = (0..count)
            .map(|_| {
                let mut client = server.connect();
                client.send(beginning);
                client
            })
            .collect();
        server.await_status("all are connected", |status| status.connections() as usize == count);
        let each = memory(worker).saturating_sub(before) / count as u64;
        let resting = cpu_time(worker);
        assert!(clients[0].is_silent_for(Duration::from_secs(1)));
        let resting = cpu_time(worker) - resting;
        println!("{count} half-sent {what}: {each} bytes each, {resting:?} of CPU in a second");
        // A page of the memory that is kept ready for an announced body is the allocator's.
        assert!(each <= 2 * EACH, "{what}: {each} bytes for each of {count} connections");
        assert!(resting < NO_CPU, "{what}: {resting:?} of CPU in a second of rest");
        for client in clients.iter_mut().step_by(97).filter(|_| !rest.is_empty()) {
            client.send(rest);
            assert_eq!(client.answer().text(), "Hello", "{what}");
        }
    }
}

#[test]
fn thousands_of_idle_connections_do_not_hold_up_a_stop() {
    let (mut server, _) = one_worker("");
    let mut idle: Vec<Client> = (0..3000.min(most_connections())).map(|_| server.connect()).collect();
    for client in idle.iter_mut().step_by(2) {
        assert_eq!(client.get("/").text(), "Hello");
    }
    server.signal(Signal::SIGTERM);
    assert!(server.await_exit().success());
    for client in &mut idle {
        client.expect_end();
    }
}

#[test]
fn an_idle_connection_keeps_nothing_of_a_large_request() {
    let (server, worker) = one_worker("");
    let filler = format!("X-Filler: {}\r\n", "x".repeat(7500)).repeat(8);
    let large = format!("GET / HTTP/1.1\r\nHost: a\r\n{filler}\r\n");
    let upload = format!("POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n{}", "x".repeat(500_000));
    for (what, count, request) in [("heads of 60 KB", 500, large.repeat(2)), ("bodies of 500 kB", 200, upload)] {
        let before = memory(worker);
        let idle: Vec<Client> = (0..count)
            .map(|_| {
                let mut client = server.connect();
                client.send(&request);
                assert_eq!(client.answer().status(), 200);
                client
            })
            .collect();
        server.await_status("all is quiet", |status| status.in_flight() == 0 && status.totals.busy == 0);
        let each = memory(worker).saturating_sub(before) / count;
        println!("after {what}: {each} bytes for each of {count} idle connections");
        // What the allocator and the interpreter keep for themselves is spread over all.
        assert!(each <= 2 * EACH, "after {what}: {each} bytes for each of {count} idle connections");
        drop(idle);
    }
}
