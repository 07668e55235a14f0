//! One worker, and a call in it that blocks, computes, or keeps the interpreter lock: what the others notice.

use std::thread;
use std::time::{Duration, Instant};

use super::bystanders::{Times, beside};
use crate::support::client::get;
use crate::support::processes::cpu_time;
use crate::support::{Client, Launch, Server, wait};

/// How long the call takes that the others are not to notice.
const LONG: Duration = Duration::from_millis(1500);
/// Long enough for a machine that is busy with other tests, and far from [`LONG`].
const PROMPT: Duration = Duration::from_secs(1);
/// What slow heads are given in these tests.
const HEAD: Duration = Duration::from_millis(300);

fn one_worker() -> Server {
    let server = Launch::new("hostile:app").args("--max-workers 1 --head-timeout 300ms").start();
    assert_eq!(server.get("/").text(), "Hello");
    server
}

#[test]
fn a_call_that_blocks_is_not_noticed_by_others() {
    let server = one_worker();
    let ((), times) = beside(&server, || {
        for _ in 0..3 {
            assert_eq!(server.get("/sleep?ms=1000").text(), "slept");
        }
    });
    println!("beside calls that block for a second, {times}");
    // Whoever had to wait for such a call would wait for most of a second.
    assert!(times.quantile(0.99) < Duration::from_millis(300), "{times}");
    assert!(times.worst() < Duration::from_millis(900), "{times}");
    let status = server.status();
    assert!(status.threads() <= 5, "{status:#?}");
}

/// During a call to `target`, which takes [`LONG`], all that needs no Python goes on: slow heads are ended in time, kept
/// and new connections are served.
fn all_but_python_goes_on(server: &Server, target: &str, answer: &str) {
    let mut kept = server.connect();
    assert_eq!(kept.get("/").text(), "Hello");
    let mut slow = server.connect();
    let since = Instant::now();
    slow.send("GET / HT");
    let mut long = server.connect();
    long.send_get(target);
    server.await_status("the call has begun", |status| status.in_flight() == 1);
    // Requests for Python may have to wait, and hold up nothing.
    let mut waiting: Vec<Client> = (0..3)
        .map(|_| {
            let mut client = server.connect();
            client.send(get("/"));
            client
        })
        .collect();
    kept.send("nonsense\r\n\r\n");
    assert_eq!(kept.answer().status(), 400);
    let refused = since.elapsed();
    let mut fresh = server.connect();
    fresh.send("GET / HTTP/2.0\r\nHost: a\r\n\r\n");
    assert_eq!(fresh.answer().status(), 505);
    let accepted = since.elapsed();
    assert_eq!(slow.answer().status(), 408);
    let ended = since.elapsed();
    assert_eq!(long.answer().text(), answer);
    assert!(since.elapsed() >= LONG, "the call did not take long");
    for client in &mut waiting {
        assert_eq!(client.answer().text(), "Hello");
    }
    println!("{target}: 400 after {refused:?}, 505 on a new connection after {accepted:?}, 408 after {ended:?}");
    assert!(refused < PROMPT, "400 after {refused:?}");
    assert!(accepted < PROMPT, "505 on a new connection after {accepted:?}");
    assert!(ended >= HEAD && ended < HEAD + PROMPT, "408 after {ended:?}");
}

#[test]
fn a_call_that_spins_does_not_stop_accepts_keep_alive_and_timeouts() {
    all_but_python_goes_on(&one_worker(), "/spin?ms=1500", "spun");
}

#[test]
fn a_call_that_keeps_the_interpreter_lock_stops_only_python() {
    let server = one_worker();
    // Threads are there that have served before.
    let mut sleeping: Vec<Client> = (0..8)
        .map(|_| {
            let mut client = server.connect();
            client.send_get("/sleep?ms=200");
            client
        })
        .collect();
    for client in &mut sleeping {
        assert_eq!(client.answer().text(), "slept");
    }
    let status = server.status();
    assert!(status.threads() >= 5, "{status:#?}");
    all_but_python_goes_on(&server, "/hold?ms=1500", "held");
}

#[test]
fn a_first_call_that_keeps_the_interpreter_lock_stops_only_python() {
    // No thread is there that could take over: one has to be made while the lock is kept.
    all_but_python_goes_on(&one_worker(), "/hold?ms=1500", "held");
}

/// An open loop's outcome: how long answers took from the moments their requests were meant for, and how late those left.
struct Paced {
    times: Times,
    late: Times,
}

/// Asks for `target` at this many times a second for `span`, in an open loop, over `connections` connections in turn.
fn paced(server: &Server, target: &str, rate: u32, span: Duration, connections: u32) -> Paced {
    let gap = Duration::from_secs(1) / rate;
    let began = Instant::now();
    let client = |nth: u32| {
        let mut client = server.connect();
        let mut outcomes = Vec::new();
        for turn in 0.. {
            let intended = gap * (nth + turn * connections);
            if intended > span {
                break;
            }
            wait::moment(began + intended);
            let late = began.elapsed() - intended;
            assert_eq!(client.get(target).status(), 200);
            outcomes.push((began.elapsed() - intended, late));
        }
        outcomes
    };
    let client = &client;
    let outcomes: Vec<(Duration, Duration)> = thread::scope(|scope| {
        let clients: Vec<_> = (0..connections).map(|nth| scope.spawn(move || client(nth))).collect();
        clients.into_iter().flat_map(|client| client.join().expect("every request is answered")).collect()
    });
    let (times, late) = outcomes.into_iter().unzip();
    Paced { times: Times::new(times), late: Times::new(late) }
}

/// What a worker did under a load: the most threads, the calls at once in the middle of all looks, CPU time per time.
struct Shape {
    threads: u32,
    calls: u32,
    share: f64,
}

/// Watches the only worker of `server` until `over`.
fn watched(server: &Server, over: impl Fn() -> bool) -> Shape {
    let worker = server.status().pids()[0];
    let (began, cpu) = (Instant::now(), cpu_time(worker));
    let (mut threads, mut calls) = (0, Vec::new());
    wait::until_true("the load is over", || {
        let status = server.status();
        threads = threads.max(status.threads());
        calls.push(status.in_flight());
        over()
    });
    let share = (cpu_time(worker) - cpu).as_secs_f64() / began.elapsed().as_secs_f64();
    calls.sort_unstable();
    Shape { threads, calls: calls[calls.len() / 2], share }
}

#[test]
fn threads_follow_the_share_of_time_that_calls_block() {
    // A load that leaves late comes in bursts, which need more threads: only one that leaves in time counts.
    const IN_TIME: Duration = Duration::from_millis(10);
    for _ in 0..4 {
        let server = one_worker();
        let (shape, paced) = thread::scope(|scope| {
            let load = scope.spawn(|| paced(&server, "/sleep?ms=50", 400, Duration::from_secs(4), 100));
            let shape = watched(&server, || load.is_finished());
            (shape, load.join().expect("every request is answered"))
        });
        let (Shape { threads, calls, .. }, Paced { times, late }) = (shape, paced);
        println!("50 ms of sleep, 400 a second: {calls} calls at once, {threads} threads, {times}; sent late: {late}");
        // 400/s × 50 ms = 20 calls at once on average; threads for those, the leader, and chance. The rate is held:
        // nothing gathers.
        let held = times.quantile(0.5) < Duration::from_millis(100);
        if held && (15..=40).contains(&calls) && (20..=64).contains(&threads) {
            return;
        }
        assert!(late.quantile(0.99) > IN_TIME, "{calls} calls at once, {threads} threads, {times}; sent late: {late}");
    }
}

#[test]
fn computing_calls_get_no_threads() {
    // A worker that gets less than a core can't tell what it lacks from what its calls wait for, and then lets more of
    // them run: only what it does with nearly a core of its own counts.
    const OWN: f64 = 0.8;
    for _ in 0..4 {
        let server = one_worker();
        let shape = thread::scope(|scope| {
            let clients: Vec<_> = (0..16)
                .map(|_| {
                    scope.spawn(|| {
                        let mut client = server.connect();
                        for _ in 0..25 {
                            assert_eq!(client.get("/compute?ms=5").text(), "spun");
                        }
                    })
                })
                .collect();
            watched(&server, || clients.iter().all(|client| client.is_finished()))
        });
        let Shape { threads, calls, share } = shape;
        println!("16 clients, calls that compute: {calls} calls at once, {threads} threads, {share:.2} of a core");
        if calls <= 2 {
            return;
        }
        assert!(calls <= 4 || share < OWN, "{calls} calls at once with {share:.2} of a core");
    }
}
