//! What an application, or the machine, does to a process: it stays with that process, is named, and is got over.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::{Broken, Launch, Load, Server, Status, processes};

/// Ways for a process to end.
const ENDS: &str = "\
import ctypes, os, signal

def dereferences():
    ctypes.string_at(0)

ENDINGS = {
    '/segfault': dereferences,
    '/exit': lambda: os._exit(3),
    '/abort': os.abort,
    '/killed': lambda: os.kill(os.getpid(), signal.SIGKILL),
}

def app(environ, start_response):
    ENDINGS.get(environ['PATH_INFO'], lambda: None)()
    start_response('200 OK', [])
    return [b'Hello']
";

/// Sends a request that ends its process, and waits until that is got over.
fn end_one(server: &Server, target: &str) {
    let before = server.status().counters.died;
    let mut client = server.connect();
    client.send_get(target);
    assert_eq!(client.try_answer().expect_err("the process is gone"), Broken::Nothing, "{target}");
    server.await_status("the worker is replaced", |status| status.settled(3) && status.counters.died == before + 1);
    assert_eq!(server.get("/").text(), "Hello");
}

#[test]
fn however_a_worker_ends_it_is_named_and_replaced() {
    let server = Launch::bare().with_module("ends", ENDS).arg("ends:app").fixed(3, 2).start();
    for (target, words) in [
        ("/segfault", "died: signal SIGSEGV (it crashed in native code; PYTHONFAULTHANDLER=1"),
        ("/abort", "died: signal SIGABRT (it crashed in native code"),
        ("/exit", "died: exit status 3 (the application made it exit)"),
        ("/killed", "died: signal SIGKILL (somebody killed it, and not for lack of memory"),
    ] {
        end_one(&server, target);
        assert!(server.log().contains(words), "{words:?} is not in:\n{}", server.log());
    }
    let counters = server.status().counters;
    assert_eq!((counters.spawned, counters.died, counters.retired, counters.killed), (7, 4, 0, 0));
}

#[test]
fn pythons_own_fault_handler_says_where() {
    let launch = Launch::bare().with_module("ends", ENDS).arg("ends:app").env("PYTHONFAULTHANDLER", "1");
    let server = launch.fixed(3, 2).start();
    end_one(&server, "/segfault");
    let log = server.log();
    assert!(log.contains("Segmentation fault") && log.contains("in dereferences"), "{log}");
}

#[test]
fn memory_that_is_refused_is_a_failed_request_and_no_more() {
    let source = "\
import resource
def app(environ, start_response):
    if environ['PATH_INFO'] == '/limit':
        used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20), resource.RLIM_INFINITY))
    if environ['PATH_INFO'] == '/grow':
        kept = []
        while True:
            kept.append(bytearray(16 << 20))
    start_response('200 OK', [])
    return [b'Hello']
";
    let server = Launch::bare().with_module("grows", source).arg("grows:app").fixed(1, 2).start();
    let worker = server.await_status("it serves", |status| status.settled(1)).pids();
    assert_eq!(server.get("/limit").text(), "Hello");
    assert_eq!(server.get("/grow").status(), 500);
    assert_eq!(server.get("/").text(), "Hello");
    assert_eq!(server.status().pids(), worker);
    assert!(server.log().contains("MemoryError"), "{}", server.log());
}

/// The last words of each complaint about a dead worker: how long nothing is started.
fn pauses(log: &str) -> Vec<String> {
    let lines = log.lines().filter_map(|line| line.rsplit_once("the next one starts in "));
    lines.map(|(_, pause)| pause.to_owned()).collect()
}

#[test]
fn a_crash_loop_slows_down_and_ends_with_its_cause() {
    // Whoever is forked while there is a file named `crash` ends at once.
    let source = "\
import os
os.register_at_fork(after_in_child=lambda: os.path.exists('crash') and os._exit(9))
def app(environ, start_response):
    start_response('200 OK', [])
    return [b'Hello']
";
    let server = Launch::bare().with_module("loops", source).arg("loops:app").fixed(2, 2).start();
    let crash = server.folder().join("crash");
    let before = server.await_status("both serve", |status| status.settled(2)).pids();
    fs::write(&crash, "").expect("a file");
    processes::send(before[0], Signal::SIGKILL);
    server.await_status("some have died", |status| status.counters.died >= 5);
    // The other one goes on.
    assert_eq!(server.get("/").text(), "Hello");
    fs::remove_file(&crash).expect("it is there");
    let status = server.await_status("both serve", |status| status.settled(2));
    assert_eq!(server.get("/").text(), "Hello");
    let pauses = pauses(&server.log());
    assert!(pauses.len() as u64 >= status.counters.died - 1, "{pauses:?}");
    let expected = ["100ms", "200ms", "400ms"];
    assert!(pauses.windows(3).any(|three| three == expected), "{pauses:?}");
    assert!(server.log().contains("exit status 9"), "{}", server.log());
}

/// An application that the operator's limits hit while there is a file named `full`: no further process can be forked.
const LIMITED: &str = "\
import os, resource

def limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    resource.setrlimit(resource.RLIMIT_NPROC, (1 if os.path.exists('full') else hard, hard))

os.register_at_fork(before=limit)

def app(environ, start_response):
    start_response('200 OK', [])
    return [b'Hello']
";

/// A user of its own for the server, without the privileges that exempt root from limits; the files it may still read.
const AS_ANOTHER_USER: &str = "\
import ctypes, os, sys
if os.getuid() == 0:
    CAP_SYS_ADMIN, CAP_SYS_RESOURCE, PR_CAPBSET_DROP = 21, 24, 24
    for capability in CAP_SYS_ADMIN, CAP_SYS_RESOURCE:
        if ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            sys.exit('a capability can not be dropped')
    os.setresuid(60000 + os.getpid() % 5000, 0, 0)
os.execv(sys.argv[1], sys.argv[1:])
";

#[test]
fn when_no_process_can_be_forked_those_there_are_serve_on() {
    let launch = Launch::bare().with_module("limited", LIMITED).arg("limited:app");
    let server = launch.under(AS_ANOTHER_USER, &[]).fixed(3, 2).start();
    let full = server.folder().join("full");
    let before = server.await_status("all serve", |status| status.settled(3)).pids();
    Load::run(&server, 2, "/", |load| {
        load.await_answers(10);
        fs::write(&full, "").expect("a file");
        processes::send(before[0], Signal::SIGKILL);
        server.await_log("no worker could be forked: Resource temporarily unavailable");
        server.await_log("(ulimit -u, pids.max); the next try is in 200ms");
        let status = server.status();
        assert_eq!(status.pids(), before[1..], "{status:#?}");
        load.await_answers(10);
        fs::remove_file(&full).expect("it is there");
        let status = server.await_status("all serve again", |status| status.settled(3));
        assert_eq!((status.counters.spawned, status.counters.died), (4, 1));
        load.await_answers(10);
        // What was in the killed one.
        assert!(load.lost() <= 2, "{}", load.lost());
    });
}

#[test]
fn a_template_without_descriptors_reports_that_and_leaves_no_process_behind() {
    let mut server = Launch::new("plain:app").fixed(2, 2).start();
    let before = server.await_status("both serve", |status| status.settled(2)).pids();
    let template = server.template();
    // None is free but that of the one that dies, or one or two more: whatever step of a start fails, nothing may be left.
    let lowest_free = || -> usize {
        let folder = Path::new("/proc").join(template.to_string()).join("fd");
        (0..).find(|number: &usize| fs::symlink_metadata(folder.join(number.to_string())).is_err()).unwrap_or(0)
    };
    let mut victim = before[0];
    for more in 0..3 {
        let failures = server.log().matches("no worker could be forked").count();
        processes::limit(template, "NOFILE", Some(lowest_free() + more));
        processes::send(victim, Signal::SIGKILL);
        let settles = |status: &Status| {
            let failed = server.log().matches("no worker could be forked").count() > failures;
            failed || status.settled(2) && !status.pids().contains(&victim)
        };
        server.await_status("a start failed, or did not", settles);
        processes::limit(template, "NOFILE", None);
        let status = server.await_status("both serve again", |status| status.settled(2));
        victim = *status.pids().iter().find(|pid| **pid != before[1]).expect("two");
        // The supervisor, the template and two workers.
        assert_eq!(server.processes().len(), 4, "{:?}", server.processes());
    }
    assert!(server.log().contains("as many open files as there may be (ulimit -n)"), "{}", server.log());
    server.signal(Signal::SIGTERM);
    assert_eq!(server.await_exit().code(), Some(0));
}

/// Counts in one C function, which never lets anybody in between.
const COUNTS: &str = "\
def app(environ, start_response):
    if environ['PATH_INFO'] == '/count':
        sum(range(10 ** 13))
    start_response('200 OK', [])
    return [b'Hello']
";

#[test]
fn a_call_that_never_lets_others_in_keeps_its_worker_only() {
    for shape in ["--mpm static --workers 2 --threads 4", "--mpm adaptive", "--mpm prefork"] {
        let server = Launch::bare().with_module("counts", COUNTS).arg("counts:app").args(shape).start();
        // Kept where the endless call is about to be, but idle.
        let mut idle: Vec<_> = (0..4).map(|_| server.connect()).collect();
        for client in &mut idle {
            assert_eq!(client.get("/").text(), "Hello");
        }
        let mut endless = server.connect();
        endless.send_get("/count");
        server.await_status("it is inside", |status| status.in_flight() == 1);
        // Those who come within the first moment may share its fate: until then nobody knows what kind of call it is.
        let mut sharing = 0;
        for _ in 0..50 {
            let mut client = server.connect();
            client.send_get("/");
            sharing += usize::from(client.is_silent_for(Duration::from_secs(5)));
            assert!(sharing <= 4, "{shape}: {:#?}", server.status());
        }
        if !shape.contains("prefork") {
            for client in &mut idle {
                assert_eq!(client.get("/").text(), "Hello", "{shape}");
            }
        }
        assert_eq!(server.status().counters.died, 0);
    }
}
