//! Times against servers with known delays.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use loadgen::{Arrivals, Distribution, Load, Plan, Reuse};

use crate::server::{Client, OK, Server, requests, run, stages};

const MILLI: u64 = 1_000_000;

/// A server that takes this long for each request, on as many connections as there are.
fn delaying(delay: Duration) -> Server {
    Server::start(move |client| {
        while client.request().is_some() {
            std::thread::sleep(delay);
            client.send(OK);
        }
    })
}

fn above(times: &Distribution, nanos: u64) -> u64 {
    times.histogram().unwrap().count_between(nanos, u64::MAX)
}

#[test]
fn a_fixed_delay_is_measured() {
    let server = delaying(Duration::from_millis(20));
    let report = run(&stages(server.target(), "2s@50"));
    assert_eq!(report.answered, 100);
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    for (name, times) in [("latency", &report.latency), ("service", &report.service)] {
        // 0.1 % is the histogram's precision.
        assert!(times.min_ns >= 20 * MILLI * 999 / 1000, "{name}: {}", times.min_ns);
        assert!(times.p50_ns < 40 * MILLI, "{name}: {}", times.p50_ns);
    }
    // Lag, queue, connecting and service are what a latency is made of.
    assert!(report.latency.mean_ns >= report.service.mean_ns);
}

#[test]
fn a_closed_loop_cannot_do_more_than_its_connections_allow() {
    let server = delaying(Duration::from_millis(20));
    let plan = Plan { connections: 4, ..Plan::new(server.target(), Load::closed_for(Duration::from_secs(1))) };
    let report = run(&plan);
    // 4 connections / 20 ms = 200/s is the limit of Little's law; a busy machine gives less.
    assert!(report.answered_rate <= 201.0, "{}", report.answered_rate);
    assert!(report.answered_rate >= 50.0, "{}", report.answered_rate);
    assert_eq!((report.offered_rate, report.connects), (None, 4));
    assert_eq!(server.accepted(), 4);
    assert!((report.duration_s - 1.0).abs() < 1e-9, "{}", report.duration_s);
}

#[test]
fn the_rate_holds_and_is_total() {
    let server = Server::answering(OK);
    for threads in [1, 2] {
        let report = run(&Plan { threads, ..stages(server.target(), "1s@100,1s@300") });
        assert_eq!(report.requests, 400, "{threads} threads");
        assert_eq!(report.offered_rate, Some(200.0));
        let ratio = report.achieved_over_offered().unwrap();
        // On a machine that lets the generator run, the second bound is 0.999 too.
        let late_s = (report.send_lag.max_ns + report.queue_wait.max_ns) as f64 / 1e9;
        assert!(ratio <= 1.0, "{threads} threads: {ratio}");
        assert!(ratio >= 2.0 / (2.0 + late_s) * 0.999, "{threads} threads: {ratio}, {late_s} s");
        assert_eq!(report.threads.len(), threads);
        let offered: Vec<u64> = report.intervals[..2].iter().map(|i| i.offered).collect();
        assert_eq!(offered, [100, 300]);
    }
}

#[test]
fn poisson_arrivals_run_too() {
    let server = Server::answering(OK);
    let load = Load::Open { stages: loadgen::parse_stages("1s@300").unwrap(), arrivals: Arrivals::Poisson, seed: 3 };
    let report = run(&Plan::new(server.target(), load));
    // Five standard deviations around the mean; the seed fixes the count anyway.
    assert!((213..=387).contains(&report.requests), "{}", report.requests);
    assert_eq!(report.answered, report.requests);
}

/// The test that tells honest generators from others: the server freezes for a second. Every
/// request that is due meanwhile suffers from it, though only one is being served.
#[test]
fn a_freeze_shows_in_the_latency_of_all_that_were_due() {
    let served = AtomicU64::new(0);
    let turn = Mutex::new(());
    let server = Server::start(move |client| {
        while client.request().is_some() {
            // One at a time, and the hundredth takes a second.
            let turn = turn.lock().unwrap();
            if served.fetch_add(1, Ordering::SeqCst) == 99 {
                std::thread::sleep(Duration::from_secs(1));
            }
            client.send(OK);
            drop(turn);
        }
    });
    let report = run(&Plan { connections: 1, ..stages(server.target(), "4s@100") });
    assert_eq!(report.answered, 400);
    assert!(report.latency.max_ns >= 999 * MILLI, "{}", report.latency.max_ns);
    assert!(report.service.max_ns >= 999 * MILLI, "{}", report.service.max_ns);
    // 100 requests become due in the freeze, the first of them waits 1 s, the last 10 ms: at least
    // 50 wait longer than half a second. A busy machine can only add to that.
    assert!(above(&report.latency, 495 * MILLI) >= 50, "{}", report.summary());
    // Only the one that was being served has a long service time.
    assert!(above(&report.service, 495 * MILLI) <= 5, "{}", report.summary());
    // The wait was for the connection, and the generator itself was on time.
    assert!(above(&report.queue_wait, 495 * MILLI) >= 49, "{}", report.summary());
    assert!(above(&report.send_lag, 495 * MILLI) == 0, "{}", report.summary());
    // After the freeze the queue is worked off; nothing is sent that was not due.
    assert_eq!(report.requests, 400);
}

#[test]
fn a_closed_loop_sees_the_freeze_once() {
    let served = AtomicU64::new(0);
    let server = Server::start(move |client| {
        while client.request().is_some() {
            if served.fetch_add(1, Ordering::SeqCst) == 99 {
                std::thread::sleep(Duration::from_secs(1));
            }
            client.send(OK);
        }
    });
    let report = run(&requests(server.target(), 200, 1));
    assert!(report.latency.max_ns >= 999 * MILLI);
    assert!(above(&report.latency, 495 * MILLI) <= 3, "{}", report.summary());
}

#[test]
fn the_warm_up_is_not_recorded() {
    let seen = std::sync::Arc::new(AtomicU64::new(0));
    let count = std::sync::Arc::clone(&seen);
    let server = Server::start(move |client| {
        while client.request().is_some() {
            count.fetch_add(1, Ordering::SeqCst);
            client.send(OK);
        }
    });
    let warmup = Duration::from_millis(500);
    let report = run(&Plan { warmup, ..stages(server.target(), "1s@100") });
    assert_eq!((report.requests, report.duration_s), (100, 1.0));
    assert_eq!(seen.load(Ordering::SeqCst), 150);
    assert_eq!(report.intervals[0].start_s, 0.0);
}

#[test]
fn connecting_is_part_of_the_latency_and_not_of_the_service_time() {
    let server = Server::start(|client: &mut Client| {
        if client.request().is_some() {
            client.send(OK);
        }
    });
    let report = run(&Plan { reuse: Reuse::NewConnectionPerRequest, ..requests(server.target(), 50, 2) });
    assert_eq!(report.connect.count, 50);
    let whole = report.service.mean_ns + report.connect.mean_ns;
    // Each figure is exact to 0.1 %.
    assert!(report.latency.mean_ns >= whole * 0.99, "{} {whole}", report.latency.mean_ns);
}

#[test]
fn cpu_time_of_the_threads_is_reported() {
    let server = Server::answering(OK);
    let plan = Plan { connections: 2, ..Plan::new(server.target(), Load::closed_for(Duration::from_secs(1))) };
    let report = run(&Plan { cpus: Some(vec![0]), ..plan });
    let thread = &report.threads[0];
    assert!(thread.cpu_s > 0.0 && thread.cpu_share <= 1.01, "{thread:?}");
    assert_eq!(thread.pinned_to, Some(0));
}
