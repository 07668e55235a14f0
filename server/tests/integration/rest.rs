//! A server that has nothing to do does nothing, and yet notices at once what happens.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::{Launch, Server, processes, wait};

/// The whole server's, while idle: the supervisor's look around every two seconds, or the policy's own second.
const WAKE_UPS_A_SECOND: u64 = 2;
const SPAN: Duration = Duration::from_secs(3);
/// Far from the two seconds after which the supervisor would notice by itself.
const AT_ONCE: Duration = Duration::from_millis(500);

/// How often the threads of these processes have gone to sleep by themselves, as often as they were woken.
fn wake_ups(pids: &[i32]) -> u64 {
    let of_thread = |task: fs::DirEntry| {
        let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
        let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        count.and_then(|count| count.trim().parse::<u64>().ok()).unwrap_or_default()
    };
    let tasks = |pid: &i32| fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    pids.iter().flat_map(tasks).map(of_thread).sum()
}

/// Waits until the supervisor has slept through more than two of its usual ticks.
fn await_rest(server: &Server) {
    let mut last = (wake_ups(&[server.pid()]), Instant::now());
    wait::until_true("the supervisor rests", || {
        let count = wake_ups(&[server.pid()]);
        if count != last.0 {
            last = (count, Instant::now());
        }
        last.1.elapsed() >= Duration::from_millis(250)
    });
}

#[test]
fn an_idle_server_sleeps() {
    let shapes = [
        ("--mpm adaptive", 1),
        ("--mpm adaptive --min-workers 2", 2),
        ("--mpm static --workers 2 --threads 2", 2),
        ("--mpm prefork --start-servers 2 --min-spare-servers 1 --max-spare-servers 4", 2),
        ("--mpm unit --spare-processes 1", 1),
        ("--mpm ondemand", 0),
    ];
    for (shape, workers) in shapes {
        let server = Launch::new("plain:app").args(shape).start();
        server.await_status("all are there", |status| status.settled(workers));
        if workers > 0 {
            // Threads and timers of a worker that has served are there too.
            assert_eq!(server.get("/").text(), "Hello");
        }
        let most = WAKE_UPS_A_SECOND * SPAN.as_secs();
        let mut counts = Vec::new();
        wait::until(&format!("{shape} to be idle"), || {
            let before = wake_ups(&server.processes());
            wait::moment(Instant::now() + SPAN);
            counts.push(wake_ups(&server.processes()).saturating_sub(before));
            (counts.last().is_some_and(|count| *count <= most) || counts.len() == 5).then_some(())
        });
        println!("{shape}: {counts:?} wake-ups in {SPAN:?} each");
        assert!(counts.last().is_some_and(|count| *count <= most), "{shape}: {counts:?} wake-ups in {SPAN:?} each");
    }
}

/// How many requests the policy has been told of, by the decision log.
fn told(server: &Server) -> u64 {
    let log = fs::read_to_string(server.folder().join("decisions")).expect("the decision log");
    let last = log.lines().rfind(|line| line.starts_with("{\"asked\""));
    let Some(entry) = last.and_then(|line| serde_json::from_str::<serde_json::Value>(line).ok()) else { return 0 };
    let workers = entry["asked"]["workers"].as_array().cloned().unwrap_or_default();
    let of = |worker: &serde_json::Value| {
        let [running, answered] = [&worker["in_flight"], &worker["totals"]["requests"]];
        running.as_u64().unwrap_or_default() + answered.as_u64().unwrap_or_default()
    };
    workers.iter().map(of).sum()
}

/// `rounds` times: all is quiet, then there is a burst, and the policy is told of it. The longest that it took.
fn bursts(options: &str, rounds: u64, keeps: bool) -> Duration {
    let launch = Launch::new("plain:app").args(options);
    let log = launch.folder().join("decisions");
    let server = launch.arg("--decision-log").arg(&log).start();
    let mut client = server.connect();
    let mut longest = Duration::ZERO;
    for round in 1..=rounds {
        await_rest(&server);
        let began = Instant::now();
        if !keeps {
            client = server.connect();
        }
        assert_eq!(client.get("/").text(), "Hello");
        wait::until_true("the policy is told", || told(&server) >= round);
        longest = longest.max(began.elapsed());
    }
    longest
}

/// On kept connections only the worker can tell; on new ones also the listener.
#[test]
fn no_burst_after_a_rest_is_missed() {
    let longest = thread::scope(|scope| {
        let shapes = [("--mpm adaptive --keep-alive-timeout 1h", true), ("--mpm unit --spare-processes 1", false)];
        let runs = (0..8).map(|run| shapes[run % 2]);
        let runs: Vec<_> = runs.map(|(shape, keeps)| scope.spawn(move || bursts(shape, 25, keeps))).collect();
        runs.into_iter().map(|run| run.join().expect("no panic")).max().expect("eight")
    });
    println!("the slowest of 200 bursts was noticed within {longest:?}");
    assert!(longest < AT_ONCE, "{longest:?}");
}

#[test]
fn a_connection_without_a_worker_ends_the_rest() {
    let server = Launch::new("plain:app").args("--mpm ondemand").start();
    await_rest(&server);
    let began = Instant::now();
    assert_eq!(server.get("/").text(), "Hello");
    let took = began.elapsed();
    assert!(took < 2 * AT_ONCE, "the first worker's answer took {took:?}");
}

#[test]
fn who_dies_while_the_supervisor_sleeps_is_replaced_at_once() {
    for shape in ["--mpm adaptive", "--mpm static --workers 2"] {
        let server = Launch::new("plain:app").args(shape).start();
        assert_eq!(server.get("/").text(), "Hello");
        for deaths in 1..=3 {
            let before = server.status().pids();
            await_rest(&server);
            let began = Instant::now();
            processes::send(before[0], Signal::SIGKILL);
            let status = server.await_status("a successor", |status| {
                status.settled(before.len() as u32) && status.counters.died == deaths
            });
            let took = began.elapsed();
            assert!(!status.pids().contains(&before[0]) && took < 2 * AT_ONCE, "{shape}: it took {took:?}");
        }
    }
}

/// The calls of `strace -f` with their process, as far as they are for processes that end.
fn wait_calls(trace: &str) -> usize {
    trace.lines().filter(|line| line.contains("waitid(") || line.contains("wait4(")).count()
}

#[test]
fn processes_are_waited_for_when_they_have_ended() {
    let found = std::process::Command::new("strace").arg("--version").output();
    assert!(found.is_ok(), "this test needs strace(1); install the package strace");
    // The tracer runs beside it, so that the server is our child.
    let script = "\
import os, sys
trace = ['strace', '-D', '-f', '-q', '-e', 'trace=waitid,wait4', '-o', sys.argv[1]]
os.execvp('strace', trace + sys.argv[2:])
";
    let launch = Launch::new("plain:app").args("--mpm adaptive --min-workers 2");
    let trace = launch.folder().join("trace");
    let path = trace.to_str().expect("UTF-8").to_owned();
    let server = launch.under(script, &[&path]).start();
    server.await_status("both are there", |status| status.settled(2));
    let calls = || wait_calls(&fs::read_to_string(&trace).expect("the trace"));
    let before = calls();
    wait::moment(Instant::now() + SPAN);
    let idle = calls() - before;
    // One is for what the application may have left behind.
    assert!(idle <= 1, "{idle} calls in {SPAN:?} although nobody has ended");

    let victim = server.status().pids()[0];
    processes::send(victim, Signal::SIGKILL);
    server.await_status("a successor", |status| status.settled(2) && status.counters.died == 1);
    wait::until_true("its end is collected", || {
        let trace = fs::read_to_string(&trace).expect("the trace");
        trace.contains("SIGKILL") && calls() > before + idle
    });
}
