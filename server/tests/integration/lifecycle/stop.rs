//! Stopping in good order, and less so.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::client::get;
use crate::support::{Broken, Client, Gate, Launch, Response, Server, processes, wait};

/// Requests at once. Every worker has as many threads, because connections may be spread in any way.
const CROWD: u32 = 50;

/// Connections whose requests all wait at `gate`, inside the application.
fn crowd(server: &Server, gate: &Gate, count: u32) -> Vec<Client> {
    let clients = (0..count)
        .map(|_| {
            let mut client = server.connect();
            client.send_get(&gate.target());
            client
        })
        .collect();
    server.await_status("all requests are in the application", |status| status.in_flight() == count);
    clients
}

fn await_draining(server: &Server) {
    server.await_status("the server drains", |status| status.phase == "draining");
}

/// Stops a server in the middle of [`CROWD`] requests.
fn stops_without_a_loss(launch: Launch, stop: impl Fn(&Server)) {
    let mut server = launch.start();
    let mut gate = Gate::new(server.folder(), "gate");
    let mut idle = server.connect();
    idle.get("/");
    let clients = crowd(&server, &gate, CROWD);
    stop(&server);
    await_draining(&server);
    wait::until_true("new connections are refused", || Client::connect(server.address()).is_err());
    idle.expect_close();
    gate.open();
    for mut client in clients {
        let response = client.answer();
        assert_eq!((response.status(), response.text(), response.closes()), (200, "passed", true));
        client.expect_close();
    }
    assert_eq!(server.await_exit().code(), Some(0));
    assert!(!server.control().exists(), "the control socket is left behind");
    assert!(server.log().ends_with("stopped\n"), "{}", server.log());
}

#[test]
fn sigterm_finishes_every_request() {
    stops_without_a_loss(Launch::new("plain:app").fixed(2, CROWD), |server| server.signal(Signal::SIGTERM));
}

#[test]
fn sigint_finishes_every_request() {
    stops_without_a_loss(Launch::new("plain:app"), |server| server.signal(Signal::SIGINT));
}

#[test]
fn ctl_stop_finishes_every_request() {
    stops_without_a_loss(Launch::new("plain:app").fixed(2, CROWD).arg("--no-preload"), |server| {
        let output = server.ctl(&["stop"]);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "the server is stopping\n");
    });
}

#[test]
fn connections_in_the_backlog_are_answered_before_the_end() {
    let mut server = Launch::new("plain:app").fixed(1, 1).start();
    let mut gate = Gate::new(server.folder(), "gate");
    let mut first = crowd(&server, &gate, 1);
    // The only thread is taken, so the worker leaves these where they are.
    let waiting: Vec<Client> = (0..20)
        .map(|_| {
            let mut client = server.connect();
            client.send_get("/");
            client
        })
        .collect();
    server.signal(Signal::SIGTERM);
    await_draining(&server);
    gate.open();
    assert_eq!(first.remove(0).answer().text(), "passed");
    for mut client in waiting {
        assert_eq!(client.answer().text(), "Hello");
    }
    assert_eq!(server.await_exit().code(), Some(0));
}

#[test]
fn connections_in_the_backlog_are_answered_where_no_worker_was() {
    let shapes = ["--mpm ondemand", "--mpm unit", "--mpm unit --no-preload", "--mpm ondemand --max-workers 1"];
    for shape in shapes {
        let mut server = Launch::new("plain:app").args(shape).start();
        assert_eq!(server.status().totals.total, 0, "{shape}");
        // It can't start one for them before it is told to stop.
        processes::send(server.pid(), Signal::SIGSTOP);
        let waiting: Vec<Client> = (0..20)
            .map(|_| {
                let mut client = server.connect();
                client.send_get("/");
                client
            })
            .collect();
        server.signal(Signal::SIGTERM);
        processes::send(server.pid(), Signal::SIGCONT);
        for mut client in waiting {
            let response = client.answer();
            assert_eq!((response.text(), response.closes()), ("Hello", true), "{shape}");
        }
        assert_eq!(server.await_exit().code(), Some(0), "{shape}");
        let log = server.log();
        assert!(log.contains("20 connection(s) wait and no worker is there: one is started for them"), "{log}");
    }
}

#[test]
fn a_worker_that_is_started_for_the_backlog_has_no_more_time_than_others() {
    let mut server = Launch::new("plain:app").args("--mpm ondemand --graceful-timeout 1s").start();
    let gate = Gate::new(server.folder(), "gate");
    processes::send(server.pid(), Signal::SIGSTOP);
    let mut client = server.connect();
    client.send_get(&gate.target());
    server.signal(Signal::SIGTERM);
    processes::send(server.pid(), Signal::SIGCONT);
    assert!(client.try_answer().is_err(), "nobody opens the gate");
    assert_eq!(server.await_exit().code(), Some(0));
    assert!(server.log().contains("did not finish within the graceful timeout and was killed"), "{}", server.log());
}

#[test]
fn without_anybody_who_waits_no_worker_is_started_to_stop() {
    let mut server = Launch::new("plain:app").args("--mpm unit").start();
    server.signal(Signal::SIGTERM);
    assert_eq!(server.await_exit().code(), Some(0));
    assert!(!server.log().contains("no worker is there"), "{}", server.log());
}

/// Asks again and again, on connections that are kept as long as the server keeps them, until it takes no more. Panics
/// when an answer is lost.
///
/// Lost is every answer that does not come whole, with one exception: a *new* connection on which nothing at all comes
/// back. It may have reached the listener's queue after the server looked there for the last time and before it closed
/// the listener, which the kernel does not offer as one step.
fn ask_until_refused(server: &Server, answered: &AtomicUsize) {
    loop {
        let Ok(mut client) = Client::connect(server.address()) else { return };
        let mut fresh = true;
        loop {
            let sent = client.try_send(get("/").as_bytes());
            let outcome: Result<Response, Broken> =
                sent.map_err(|_| Broken::Nothing).and_then(|()| client.try_answer());
            match outcome {
                Ok(response) => {
                    assert_eq!((response.status(), response.text()), (200, "Hello"));
                    answered.fetch_add(1, Ordering::Relaxed);
                    fresh = false;
                    if response.closes() {
                        break;
                    }
                }
                Err(Broken::Nothing) if fresh => break,
                Err(broken) => panic!("an answer was lost: {broken}"),
            }
        }
    }
}

/// Stops the server at the end of a scope, however that is reached.
struct Stop<'a>(&'a Server);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.signal(Signal::SIGTERM);
    }
}

#[test]
fn a_stop_under_load_loses_no_answer() {
    for shape in ["--mpm static --workers 3 --threads 2", "--mpm adaptive", "--mpm prefork --start-servers 8"] {
        let mut server = Launch::new("plain:app").args(shape).start();
        let answered = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| ask_until_refused(&server, &answered));
            }
            // Also when the load does not come about: the scope waits for the clients, which ask until they are refused.
            let _stop = Stop(&server);
            wait::until_true("the load runs", || answered.load(Ordering::Relaxed) >= 300);
        });
        assert_eq!(server.await_exit().code(), Some(0), "{shape}");
    }
}

#[test]
fn a_second_signal_stops_at_once() {
    let mut server = Launch::new("plain:app").fixed(2, 4).start();
    let gate = Gate::new(server.folder(), "gate");
    let clients = crowd(&server, &gate, 3);
    server.signal(Signal::SIGTERM);
    await_draining(&server);
    server.signal(Signal::SIGINT);
    assert_eq!(server.await_exit().code(), Some(0));
    assert!(server.log().contains("SIGINT again: stopping at once"), "{}", server.log());
    for mut client in clients {
        assert_eq!(client.try_answer().expect_err("nobody is left to answer"), Broken::Nothing);
    }
}

#[test]
fn two_signals_in_one_breath_stop_at_once() {
    let mut server = Launch::new("plain:app").fixed(2, 4).start();
    let gate = Gate::new(server.folder(), "gate");
    let _clients = crowd(&server, &gate, 3);
    server.signal(Signal::SIGINT);
    server.signal(Signal::SIGTERM);
    assert_eq!(server.await_exit().code(), Some(0));
}

#[test]
fn a_stuck_call_is_killed_after_the_graceful_timeout() {
    let mut server = Launch::new("plain:app").fixed(1, 4).args("--graceful-timeout 300ms").start();
    let gate = Gate::new(server.folder(), "gate");
    let mut clients = crowd(&server, &gate, 1);
    let since = Instant::now();
    server.signal(Signal::SIGTERM);
    assert_eq!(server.await_exit().code(), Some(0));
    assert!(since.elapsed() >= Duration::from_millis(300));
    assert!(server.log().contains("did not finish within the graceful timeout and was killed"), "{}", server.log());
    assert_eq!(clients.remove(0).try_answer().expect_err("it was killed"), Broken::Nothing);
}

#[test]
fn a_stop_does_not_wait_for_an_import() {
    let source = "import sys, time\nprint('importing', file=sys.stderr, flush=True)\ntime.sleep(1000)\n";
    for preload in ["--preload", "--no-preload"] {
        let mut server =
            Launch::bare().with_module("slow", source).args("slow:app --graceful-timeout 300ms").arg(preload).spawn();
        server.await_log("importing");
        server.signal(Signal::SIGTERM);
        assert_eq!(server.await_exit().code(), Some(0), "{preload}: {}", server.log());
    }
}
