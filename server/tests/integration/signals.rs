//! No process installs a signal handler of its own.

use nix::sys::signal::Signal;

use crate::support::{Launch, Server, processes, wait};

/// A set of signals from `/proc/PID/status` (proc_pid_status(5)): bit n - 1 stands for signal n.
fn mask(pid: i32, field: &str) -> u64 {
    let mask = processes::status_field(pid, field).expect("the process lives");
    u64::from_str_radix(&mask, 16).expect("a hexadecimal mask")
}

const fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

/// What our processes may catch. The Rust runtime's guards, which tell a stack overflow from another fault; and signal 33,
/// by which the C library makes all threads of a process change their user at once (nptl(7)). CPython installs nothing,
/// for it is started with `install_signal_handlers = 0`.
const GUARDS: u64 = bit(Signal::SIGBUS as i32) | bit(Signal::SIGSEGV as i32) | bit(33);

fn assert_nothing_is_handled(server: &Server) {
    let workers = server.status().pids();
    assert!(!workers.is_empty());
    let [supervisor, template] = [server.pid(), server.template()];
    for pid in workers.iter().copied().chain([supervisor, template]) {
        let foreign = mask(pid, "SigCgt") & !GUARDS;
        assert_eq!(foreign, 0, "process {pid} (supervisor {supervisor}, template {template}) catches {foreign:x}");
    }
    // What the supervisor reads as a descriptor it has to block; an application must not inherit that.
    for pid in workers.into_iter().chain([template]) {
        // The C library blocks all of them for the moment in which it makes a thread.
        wait::until_true(&format!("process {pid} (template {template}) to block no signal"), || {
            mask(pid, "SigBlk") == 0
        });
    }
}

#[test]
fn no_process_handles_signals() {
    for shape in ["--mpm adaptive", "--mpm prefork", "--mpm static --no-preload"] {
        let server = Launch::new("flask_site:app").venv().args(shape).start();
        assert_eq!(server.get("/").status(), 200);
        assert_nothing_is_handled(&server);
    }
    let server = Launch::new("shop.wsgi:application").venv().start();
    assert_eq!(server.get("/").status(), 200);
    assert_nothing_is_handled(&server);
}

#[test]
fn what_the_application_handles_is_all_there_is_more() {
    let source = "\
import signal
signal.signal(signal.SIGUSR1, lambda number, frame: None)
def app(environ, start_response):
    start_response('200 OK', [])
    return [b'']
";
    let server = Launch::bare().with_module("handles", source).args("handles:app").fixed(2, 1).start();
    let status = server.await_status("two workers", |status| status.settled(2));
    for pid in status.pids() {
        assert_eq!(mask(pid, "SigCgt") & !GUARDS, bit(Signal::SIGUSR1 as i32));
    }
    assert_eq!(mask(server.pid(), "SigCgt") & !GUARDS, 0, "the supervisor runs no code of the application");
}

#[test]
fn processes_of_the_application_start_with_nothing_blocked() {
    let source = "\
import subprocess
def app(environ, start_response):
    start_response('200 OK', [])
    return [subprocess.check_output(['grep', 'SigBlk', '/proc/self/status'])]
";
    for shape in ["--mpm prefork --start-servers 1 --min-spare-servers 1", "--mpm adaptive"] {
        let server = Launch::bare().with_module("runs", source).args("runs:app").args(shape).start();
        assert_eq!(server.get("/").text().split_whitespace().nth(1), Some("0000000000000000"), "{shape}");
    }
}
