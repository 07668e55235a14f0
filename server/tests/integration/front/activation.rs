//! Sockets that somebody else has opened: systemd, or any other parent.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;

use nix::sys::signal::Signal;

use crate::support::{Client, Launch, Server};

/// What systemd does: opens sockets, passes them from descriptor 3 on, says so to the process that it becomes.
/// Arguments: what to open, separated by commas; their names, separated by colons, or - to say nothing, as other parents
/// do; the program and its arguments.
const SYSTEMD: &str = r#"
import fcntl, os, socket, sys

what, names, program = sys.argv[1:4]
kept = []


def open_one(what):
    kind, _, path = what.partition("=")
    if kind == "stdin":
        return 0
    if kind == "file":
        kept.append(open(os.devnull))
        return kept[-1].fileno()
    family = {"tcp6": socket.AF_INET6, "unix": socket.AF_UNIX}.get(kind, socket.AF_INET)
    made = socket.socket(family, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
    kept.append(made)
    made.bind(path or (("::1" if kind == "tcp6" else "127.0.0.1"), 0))
    if kind not in ("udp", "deaf"):
        made.listen(16)
    return made.fileno()


high = [fcntl.fcntl(open_one(one), fcntl.F_DUPFD_CLOEXEC, 100) for one in what.split(",") if one]
for number, descriptor in enumerate(high, 3):
    os.dup2(descriptor, number)
if names != "-":
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(high)), LISTEN_FDNAMES=names)
os.execv(program, sys.argv[3:])
"#;

/// Says what of systemd's variables and descriptors has reached the application and its children.
const NOSY: &str = r#"
import json, os, subprocess, sys

CHILD = """
import glob, json, os
print(json.dumps([os.readlink(path) for path in glob.glob("/proc/self/fd/*") if os.path.exists(path)]))
"""


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    variables = [name for name in os.environ if name.startswith("LISTEN_")]
    out = subprocess.run([sys.executable, "-c", CHILD], close_fds=False, capture_output=True, check=True).stdout
    return [json.dumps([variables, [name for name in json.loads(out) if name.startswith("socket:")]]).encode()]
"#;

fn launch(what: &str, names: &str) -> Launch {
    Launch::new("plain:app").fixed(1, 2).bind(&[]).under(SYSTEMD, &[what, names])
}

fn client(server: &Server, place: usize) -> Client {
    let address = &server.listening()[place];
    match (address.strip_prefix("http://"), address.strip_prefix("unix:")) {
        (Some(tcp), _) => Client::connect(tcp.parse().expect("an address")).expect("reachable"),
        (None, Some(path)) => Client::connect_unix(path.as_ref()).expect("reachable"),
        (None, None) => panic!("{address}"),
    }
}

#[test]
fn sockets_of_systemd_are_served_and_left_as_they_were() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("web.sock");
    let mut server = launch(&format!("tcp4,unix={},tcp6", path.display()), "a:b:c").start();
    assert_eq!(server.listening().len(), 3, "{:?}", server.listening());
    assert_eq!(server.listening()[1], format!("unix:{}", path.display()));
    for (place, remote, name) in [(0, "127.0.0.1", "127.0.0.1"), (1, "", "localhost"), (2, "::1", "[::1]")] {
        let mut client = client(&server, place);
        for _ in 0..2 {
            let environ = client.get("/environ").json();
            assert_eq!((&environ["REMOTE_ADDR"], &environ["SERVER_NAME"]), (&remote.into(), &name.into()));
        }
    }
    server.signal(Signal::SIGTERM);
    assert!(server.await_exit().success());
    let metadata = std::fs::symlink_metadata(&path).expect("the socket's file is systemd's");
    assert!(metadata.file_type().is_socket());
}

#[test]
fn the_application_and_its_children_see_nothing_of_it() {
    let launch = Launch::new("nosy:app").fixed(1, 1).with_module("nosy", NOSY).bind(&[]);
    let server = launch.under(SYSTEMD, &["tcp4,tcp4", "web:spare"]).args("--bind systemd:web").start();
    let seen = server.get("/").json();
    assert_eq!(seen, serde_json::json!([[], []]), "variables, and sockets of a child");
}

#[test]
fn a_socket_is_chosen_by_its_name() {
    let server = launch("tcp4,tcp6,tcp4", "web:other:web").args("--bind systemd:web --bind 127.0.0.1:0").start();
    let families: Vec<bool> = server.listening().iter().map(|address| address.contains('[')).collect();
    assert_eq!(families, [false, false, false], "{:?}", server.listening());
    for place in 0..3 {
        assert_eq!(client(&server, place).get("/").text(), "Hello");
    }
    server.await_log("the socket \"other\" (descriptor 4)");
}

#[test]
fn other_addresses_come_first() {
    let server = launch("tcp4", "web").bind(&["127.0.0.1:0"]).start();
    assert_eq!(server.listening().len(), 1);
    assert_eq!(server.get("/").text(), "Hello");
    server.await_log("no --bind names it");
}

#[test]
fn any_parent_may_pass_a_descriptor() {
    let server = launch("tcp4,tcp4", "-").args("--bind fd:4").start();
    assert_eq!(server.listening().len(), 1);
    assert_eq!(server.get("/").text(), "Hello");
}

#[test]
fn no_connection_is_lost_from_one_server_to_the_next() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    let descriptor = OwnedFd::from(listener);
    // Before there is a server at all, as when systemd starts it because of this connection.
    let mut first = Client::connect(address).expect("the socket listens");
    first.send_get("/");
    for _ in 0..2 {
        let stdin = descriptor.try_clone().expect("a descriptor is free");
        let mut server = launch("stdin", "web").stdin(stdin).start();
        assert_eq!(first.answer().text(), "Hello");
        server.signal(Signal::SIGTERM);
        assert!(server.await_exit().success());
        // Nobody serves now, and nobody is refused.
        first = Client::connect(address).expect("the socket listens");
        first.send_get("/");
    }
}

#[test]
fn what_can_not_be_served_is_named() {
    for (what, bind, culprit, remedy) in [
        ("", "systemd", "cannot listen on systemd: ", "start it from a socket unit"),
        ("tcp4", "systemd:other", "cannot listen on systemd:other: ", "start it from a socket unit"),
        ("tcp4", "fd:77", "cannot listen on fd:77: ", "no such descriptor is open"),
        ("udp", "systemd", "systemd (descriptor 3): ", "ListenStream="),
        ("tcp4,deaf", "systemd", "systemd (descriptor 4): ", "Accept=no"),
        ("file", "fd:3", "cannot listen on fd:3: ", "it is no socket"),
        ("tcp4", "systemd,fd:3", "cannot listen on fd:3: ", "given twice"),
    ] {
        let finished = launch(what, "web:web").args("--bind").arg(bind).fail();
        let line = finished.complaint(4);
        assert!(line.contains(culprit) && line.contains(remedy), "{bind} of {what}: {line}");
    }
}
