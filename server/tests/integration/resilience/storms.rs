//! Connections that come in masses and want nothing good: the server stays up, exact and empty afterwards.

use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::bystanders::beside;
use crate::support::processes::{await_descriptors, cpu_time, descriptors, memory, send};
use crate::support::{Client, Launch, Server};

/// The first bytes of a browser that believes this to be `https`, with the line end that is somewhere in its random part.
const CLIENT_HELLO: &[u8] =
    b"\x16\x03\x01\x00\xc5\x01\x00\x00\xc1\x03\x03\x0f\x1e\x2d\x3c\x4b\x0a\x69\x78\x87\x96\xa5\xb4\xc3";
/// RFC 9113 §3.4.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";

/// Makes `count` connections, four at a time.
fn storm(server: &Server, count: usize, visit: impl Fn(Client, usize) + Sync) {
    let visit = &visit;
    thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for nth in (thread..count).step_by(4) {
                    visit(server.connect(), nth);
                }
            });
        }
    });
}

/// Nothing is left of the storm, and every request of good clients is counted.
fn check(server: &Server, workers: &[i32], open: &[usize], requests: u64) {
    let status = server.await_status("all are gone", |status| status.connections() == 0 && status.in_flight() == 0);
    assert_eq!(status.pids(), workers, "workers came or went: {status:#?}");
    let counters = status.counters;
    assert_eq!((counters.died, counters.killed, counters.template_restarts), (0, 0, 0), "{status:#?}");
    assert_eq!((status.requests(), status.totals.busy), (requests, 0), "{status:#?}");
    assert_eq!(status.workers.iter().map(|worker| worker.errors).sum::<u64>(), 0, "{status:#?}");
    for (worker, open) in workers.iter().zip(open) {
        await_descriptors(*worker, *open);
    }
}

#[test]
fn storms_of_connections_leave_nothing_behind() {
    for shape in [
        "--mpm static --workers 2 --threads 2",
        "--max-workers 1",
        "--mpm prefork --start-servers 2 \
        --min-spare-servers 1 --max-spare-servers 2 --max-request-workers 2",
    ] {
        let server = Launch::new("plain:app").args(shape).start();
        let ready = if shape.contains("adaptive") || shape.contains("max-workers 1") { 1 } else { 2 };
        server.await_status("the workers are there", |status| status.settled(ready));
        for _ in 0..20 {
            assert_eq!(server.get("/").text(), "Hello");
        }
        let status = server.await_status("all is quiet", |status| status.connections() == 0);
        let workers = status.pids();
        let open: Vec<usize> = workers.iter().map(|worker| descriptors(*worker)).collect();
        let grown_from: Vec<u64> = workers.iter().map(|worker| memory(*worker)).collect();

        storm(&server, 2500, |client, _| drop(client));
        storm(&server, 2500, |client, _| client.reset());
        check(&server, &workers, &open, 20);

        storm(&server, 800, |mut client, nth| {
            // Lines of every length and any bytes, none of which is a request.
            let garbage: Vec<u8> = (0..=nth).map(|at| (nth * 31 + at * 17) as u8 | 0x80).collect();
            client.send(&garbage);
            client.send(b"\r\n\r\n");
            assert_eq!(client.answer().status() / 100, 4, "garbage {nth}");
            client.expect_end();
        });
        storm(&server, 400, |mut client, nth| {
            client.send(if nth % 2 == 0 { CLIENT_HELLO } else { HTTP2_PREFACE });
            let status = client.answer().status();
            assert!(status == 400 || status == 505, "{status}");
            client.expect_end();
        });
        // Garbage, and gone before the answer.
        storm(&server, 400, |mut client, nth| {
            client.send(CLIENT_HELLO);
            if nth % 2 == 0 {
                client.reset();
            }
        });
        check(&server, &workers, &open, 20);
        assert_eq!(server.get("/").text(), "Hello");
        check(&server, &workers, &open, 21);
        for (worker, before) in workers.iter().zip(grown_from) {
            let grown = memory(*worker).saturating_sub(before);
            assert!(grown < 4 << 20, "{shape}: {grown} bytes are left behind");
        }
    }
}

#[test]
fn good_clients_get_through_a_storm() {
    let server = Launch::new("plain:app").fixed(2, 2).start();
    let ((), times) = beside(&server, || {
        storm(&server, 3000, |mut client, nth| match nth % 4 {
            0 => drop(client),
            1 => client.reset(),
            2 => client.send(CLIENT_HELLO),
            _ => client.send("GET / HT"),
        });
    });
    println!("beside a storm, {times}");
    assert!(times.worst() < Duration::from_secs(2), "{times}");
    let status = server.await_status("all are gone", |status| status.connections() == 0);
    assert_eq!(status.counters.died, 0);
}

/// Lowers the most descriptors that a running process, and those that it forks, may have.
fn limit_descriptors(pid: i32, most: usize) {
    let mut command = std::process::Command::new("prlimit");
    command.args(["--pid", &pid.to_string(), &format!("--nofile={most}:{most}")]);
    assert!(command.status().expect("prlimit (util-linux) is there").success());
}

#[test]
fn a_worker_out_of_descriptors_serves_whom_it_has_and_recovers() {
    let server = Launch::new("plain:app").fixed(1, 2).start();
    let mut kept = server.connect();
    assert_eq!(kept.get("/").text(), "Hello");
    let worker = server.status().pids()[0];
    limit_descriptors(worker, descriptors(worker) + 10);
    let mut crowd: Vec<Client> = (0..30).map(|_| server.connect()).collect();
    server.await_log("no connection can be accepted");
    let used = cpu_time(worker);
    for client in &mut crowd {
        client.send_get("/");
    }
    // Those who are in are served, and the worker does not turn round and round for the others.
    assert_eq!(crowd[0].answer().text(), "Hello");
    assert_eq!(kept.get("/").text(), "Hello");
    assert!(kept.is_silent_for(Duration::from_secs(1)));
    let used = cpu_time(worker) - used;
    assert!(used < Duration::from_millis(300), "{used:?} of CPU in a second without descriptors");
    // One after the other they leave, and others come in.
    for mut client in crowd.drain(1..) {
        assert_eq!(client.answer().text(), "Hello");
    }
    assert_eq!(server.get("/").text(), "Hello");
    assert_eq!((server.requests(), server.status().counters.died), (33, 0));
}

#[test]
fn a_worker_with_all_the_connections_it_may_have_takes_the_next_when_one_leaves() {
    let server = Launch::new("plain:app").fixed(1, 2).start();
    let first = server.status().pids()[0];
    // Later workers have it from the template: 72 connections and 128 descriptors for other things.
    limit_descriptors(server.template(), 200);
    send(first, Signal::SIGKILL);
    server.await_status("another worker", |status| status.settled(1) && status.pids()[0] != first);
    let mut crowd: Vec<Client> = (0..100)
        .map(|_| {
            let mut client = server.connect();
            client.send_get("/");
            client
        })
        .collect();
    let full = server.await_status("all are answered that may come in", |status| status.requests() == 72);
    assert_eq!(full.connections(), 72);
    for mut client in crowd.drain(..) {
        assert_eq!(client.answer().text(), "Hello");
    }
    assert_eq!(server.get("/").text(), "Hello");
    assert_eq!(server.status().counters.died, 1);
}
