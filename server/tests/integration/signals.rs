//! No process installs a signal handler of its own.

use nix::sys::signal::Signal;

use crate::support::{Launch, Server, processes};

/// The signals that this process catches (`SigCgt` of proc_pid_status(5): bit n - 1 for signal n).
fn caught(pid: i32) -> Vec<Signal> {
    let mask = processes::status_field(pid, "SigCgt").expect("the process lives");
    let mask = u64::from_str_radix(&mask, 16).expect("a hexadecimal mask");
    Signal::iterator().filter(|signal| mask & (1 << (*signal as u64 - 1)) != 0).collect()
}

/// What our processes may catch: the Rust runtime's guards, which tell a stack overflow from another fault. CPython
/// installs nothing, for it is started with `install_signal_handlers = 0`; what it ignores (SIGPIPE, SIGXFSZ) is not caught.
const GUARDS: [Signal; 2] = [Signal::SIGBUS, Signal::SIGSEGV];

fn assert_guards_only(server: &Server) {
    let workers = server.status().pids();
    assert!(!workers.is_empty());
    let [supervisor, template] = [server.pid(), server.template()];
    for pid in workers.into_iter().chain([supervisor, template]) {
        let foreign: Vec<Signal> = caught(pid).into_iter().filter(|signal| !GUARDS.contains(signal)).collect();
        assert_eq!(foreign, [], "process {pid} (supervisor {supervisor}, template {template})");
    }
}

#[test]
fn no_process_handles_signals() {
    for shape in ["--mpm adaptive", "--mpm prefork", "--mpm static --no-preload"] {
        let server = Launch::new("flask_site:app").venv().args(shape).start();
        assert_eq!(server.get("/").status(), 200);
        assert_guards_only(&server);
    }
    let server = Launch::new("shop.wsgi:application").venv().start();
    assert_eq!(server.get("/").status(), 200);
    assert_guards_only(&server);
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
        let caught: Vec<Signal> = caught(pid).into_iter().filter(|signal| !GUARDS.contains(signal)).collect();
        assert_eq!(caught, [Signal::SIGUSR1]);
    }
    let foreign: Vec<Signal> = caught(server.pid()).into_iter().filter(|signal| !GUARDS.contains(signal)).collect();
    assert_eq!(foreign, [], "the supervisor runs no code of the application");
}
