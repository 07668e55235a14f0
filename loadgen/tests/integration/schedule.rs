//! An open loop's schedule as the server sees it: until any time, no more requests have come than
//! were due until then, whoever stalls meanwhile; and none is left out.

use std::process::Stdio;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use loadgen::{Plan, Report};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::command::command;
use crate::server::{OK, Server, check, run, stages};

/// When requests came, in seconds since 1970.
type Arrivals = Arc<Mutex<Vec<f64>>>;

fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// Checks that the n-th request did not come before it was due, and that all came.
fn follows_schedule(report: &Report, arrivals: &Arrivals) {
    // The report's start is told by another clock than the one that paces; between reading the two
    // the thread may have been put aside.
    const CLOCKS: f64 = 0.005;
    let mut arrivals = arrivals.lock().unwrap().clone();
    arrivals.sort_by(f64::total_cmp);
    let due = report.setup.schedule();
    assert_eq!(arrivals.len(), due.len());
    for (number, (arrival, due)) in arrivals.iter().zip(due).enumerate() {
        let after = arrival - report.started_unix_s;
        let due = due as f64 / 1e9;
        assert!(after >= due - CLOCKS, "request {number} was due at {due} s and came at {after} s");
    }
}

#[test]
fn a_target_that_stalls_gets_no_more_than_what_was_due() {
    // Connections, depth of the pipeline: enough connections, a queue in the generator, full pipelines.
    for (connections, pipeline) in [(4096, 1), (1, 1), (2, 8)] {
        let arrivals = Arrivals::default();
        let seen = Arc::clone(&arrivals);
        let frozen = Mutex::new(());
        let server = Server::start(move |client| {
            while client.request().is_some() {
                let number = {
                    let mut seen = seen.lock().unwrap();
                    seen.push(unix_seconds());
                    seen.len()
                };
                let turn = frozen.lock().unwrap();
                if number == 100 {
                    thread::sleep(Duration::from_millis(500));
                }
                drop(turn);
                client.send(OK);
            }
        });
        let report = run(&Plan { connections, pipeline, ..stages(server.target(), "1500ms@400") });
        assert_eq!((report.answered, report.errors.len()), (600, 0), "{:?}", report.errors);
        assert!(report.latency.max_ns >= 490_000_000, "{}", report.summary());
        follows_schedule(&report, &arrivals);
    }
}

#[test]
fn a_generator_that_was_stopped_owns_up_to_its_lag() {
    const STALL: Duration = Duration::from_secs(1);
    let arrivals = Arrivals::default();
    let seen = Arc::clone(&arrivals);
    let (tell, hundredth) = channel();
    let server = Server::start(move |client| {
        while client.request().is_some() {
            let number = {
                let mut seen = seen.lock().unwrap();
                seen.push(unix_seconds());
                seen.len()
            };
            if number == 100 {
                tell.send(()).unwrap();
            }
            client.send(OK);
        }
    });
    let url = server.target().to_string();
    let words = ["--target", &url, "--rate", "200/s", "-d", "3s", "-q", "--json"];
    let child = command(&words).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    hundredth.recv().unwrap();
    kill(pid, Signal::SIGSTOP).unwrap();
    thread::sleep(STALL);
    kill(pid, Signal::SIGCONT).unwrap();
    let output = child.wait_with_output().unwrap();
    let report: Report = serde_json::from_slice(&output.stdout).unwrap();
    check(&report);
    assert_eq!((report.answered, report.errors.len()), (600, 0), "{:?}", report.errors);
    follows_schedule(&report, &arrivals);
    // 200 were due in the stall, the first of them a second before its end: at least 95 of them lag
    // by more than half of it, and what they lag by is a part of their latency.
    let above = |times: &loadgen::Distribution, nanos| times.histogram().unwrap().count_between(nanos, u64::MAX);
    assert!(report.send_lag.max_ns >= 950_000_000, "{}", report.summary());
    assert!(above(&report.send_lag, 500_000_000) >= 95, "{}", report.summary());
    assert!(above(&report.latency, 500_000_000) >= 95, "{}", report.summary());
    assert!(report.validity.iter().any(|reason| reason.contains("sent late")), "{:?}", report.validity);
}
