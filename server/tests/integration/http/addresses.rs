//! Where the server listens.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{self, UnixListener, UnixStream};
use std::path::Path;

use nix::sys::signal::Signal;

use crate::support::{Client, Launch, Server};

/// A folder, and the path of a socket in it as `--bind` takes it.
fn socket_path() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let unix = format!("unix:{}", folder.path().join("web.sock").display());
    (folder, unix)
}

fn path(unix: &str) -> &Path {
    Path::new(unix.strip_prefix("unix:").expect("a unix socket"))
}

/// The TCP address at this place of the announcement.
fn address(server: &Server, place: usize) -> SocketAddr {
    server.listening()[place].strip_prefix("http://").expect("TCP").parse().expect("an address")
}

#[test]
fn several_addresses_serve_the_same() {
    let (_folder, unix) = socket_path();
    let mut server = Launch::new("plain:app").fixed(1, 2).bind(&["127.0.0.1:0", &unix, "[::1]:0"]).start();
    assert_eq!(server.listening().len(), 3);
    assert_eq!(server.listening()[1], unix);
    assert_eq!(server.status().listening, server.listening());

    let mut over_unix = Client::connect_unix(path(&unix)).expect("the unix socket can be reached");
    for _ in 0..2 {
        let environ = over_unix.get("/environ").json();
        for (name, expected) in [
            ("wsgi.url_scheme", "http"),
            // An unnamed client.
            ("REMOTE_ADDR", ""),
            ("REMOTE_PORT", ""),
            ("SERVER_NAME", "localhost"),
            ("SERVER_PORT", "80"),
        ] {
            assert_eq!(environ[name], expected, "{name} in {environ}");
        }
    }
    for (place, ip, name) in [(0, "127.0.0.1", "127.0.0.1"), (2, "::1", "[::1]")] {
        let address = address(&server, place);
        let mut client = Client::connect(address).expect("it can be reached");
        let environ = client.get("/environ").json();
        assert_eq!(environ["REMOTE_ADDR"], ip);
        assert_eq!(environ["REMOTE_PORT"], client.local().port().to_string());
        assert_eq!(environ["SERVER_NAME"], name);
        assert_eq!(environ["SERVER_PORT"], address.port().to_string());
    }

    server.signal(Signal::SIGTERM);
    assert!(server.await_exit().success());
    assert!(!path(&unix).exists(), "the socket's file is left behind");
}

#[test]
fn the_address_of_all_addresses_is_ipv4s_as_well() {
    let server = Launch::new("plain:app").fixed(1, 1).bind(&["[::]:0"]).start();
    let port = address(&server, 0).port();
    assert_eq!(server.listening(), [format!("http://[::]:{port}")]);
    for (ip, expected) in [(Ipv6Addr::LOCALHOST.into(), "::1"), (Ipv4Addr::LOCALHOST.into(), "127.0.0.1")] {
        let mut client = Client::connect(SocketAddr::new(ip, port)).expect("it can be reached");
        assert_eq!(client.get("/environ").json()["REMOTE_ADDR"], expected);
    }
}

#[test]
fn it_leaves_ipv4_to_an_address_of_its_own() {
    // A port that is free for both; another process may take it meanwhile, so several are tried.
    let server = (0..20).find_map(|_| {
        let free = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).expect("a free port");
        let port = free.local_addr().expect("bound").port();
        drop(free);
        let bind = [format!("[::]:{port}"), format!("127.0.0.1:{port}")];
        let mut server = Launch::new("plain:app").fixed(1, 1).bind(&[&bind[0], &bind[1]]).spawn();
        server.try_await_serving().then_some((server, port))
    });
    let (_server, port) = server.expect("one of twenty ports stays free");
    for (ip, name) in [(Ipv6Addr::LOCALHOST.into(), "[::]"), (Ipv4Addr::LOCALHOST.into(), "127.0.0.1")] {
        let environ = Client::connect(SocketAddr::new(ip, port)).expect("reachable").get("/environ").json();
        assert_eq!(environ["SERVER_NAME"], name);
        assert_eq!(environ["REMOTE_ADDR"], ip.to_string());
    }
}

#[test]
fn a_socket_left_by_a_killed_server_is_taken_over() {
    let (_folder, unix) = socket_path();
    let mut first = Launch::new("plain:app").fixed(1, 1).bind(&[&unix]).start();
    first.kill_supervisor();
    first.await_end_of_all();
    assert!(path(&unix).exists());
    let _second = Launch::new("plain:app").fixed(1, 1).bind(&[&unix]).start();
    assert_eq!(Client::connect_unix(path(&unix)).expect("reachable").get("/").text(), "Hello");
}

#[test]
fn a_living_socket_is_not_taken_over() {
    let (_folder, unix) = socket_path();
    // One that nobody may connect to any more: its queue is full.
    let listener = UnixListener::bind(path(&unix)).expect("a free path");
    let mut waiting = Vec::new();
    while let Ok(stream) = connect_at_once(path(&unix)) {
        waiting.push(stream);
    }
    for _ in 0..2 {
        let finished = Launch::new("plain:app").bind(&[&unix]).fail();
        let line = finished.complaint(4);
        assert!(line.contains(&unix) && line.contains("stop the process that has it"), "{line}");
        // Once more with one that can be connected to.
        waiting.clear();
        while listener.set_nonblocking(true).is_ok() && listener.accept().is_ok() {}
    }
    connect_at_once(path(&unix)).expect("it is where it was");
}

/// Connects without waiting for room in the queue.
fn connect_at_once(path: &Path) -> nix::Result<std::os::fd::OwnedFd> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
    use std::os::fd::AsRawFd;
    let stream = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC, None)?;
    connect(stream.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(stream)
}

#[test]
fn a_file_that_is_no_socket_is_left_alone() {
    let (_folder, unix) = socket_path();
    std::fs::write(path(&unix), "precious").expect("a file can be written");
    let finished = Launch::new("plain:app").bind(&[&unix]).fail();
    let line = finished.complaint(4);
    assert!(line.contains(&unix) && line.contains("no socket") && line.contains("remove it"), "{line}");
    assert_eq!(std::fs::read_to_string(path(&unix)).expect("it is there"), "precious");
}

#[test]
fn a_successors_socket_is_left_alone() {
    let (_folder, unix) = socket_path();
    let mut first = Launch::new("plain:app").fixed(1, 1).bind(&[&unix]).start();
    std::fs::remove_file(path(&unix)).expect("anybody may");
    let _second = Launch::new("plain:app").fixed(1, 1).bind(&[&unix]).start();
    first.signal(Signal::SIGTERM);
    assert!(first.await_exit().success());
    assert_eq!(Client::connect_unix(path(&unix)).expect("reachable").get("/").text(), "Hello");
}

#[test]
fn a_socket_has_the_mode_that_is_asked_for() {
    for mode in ["600", "666"] {
        let (_folder, unix) = socket_path();
        let launch = Launch::new("plain:app").fixed(1, 1).bind(&[&unix]);
        let _server = launch.args("--unix-socket-mode").arg(mode).start();
        let found = std::fs::symlink_metadata(path(&unix)).expect("it is there").permissions().mode() & 0o777;
        assert_eq!(format!("{found:o}"), mode);
    }
}

#[test]
fn a_path_that_is_too_long_is_named() {
    let finished = Launch::new("plain:app").bind(&[&format!("unix:/tmp/{}", "x".repeat(120))]).fail();
    assert!(finished.complaint(2).contains("longer than the 107 bytes"), "{finished:?}");
}

#[test]
fn an_abstract_socket_needs_no_file() {
    let name = format!("smarthttpd-test-{}", std::process::id());
    let server = Launch::new("plain:app").fixed(1, 1).bind(&[&format!("unix:@{name}")]).start();
    assert_eq!(server.listening(), [format!("unix:@{name}")]);
    let address = net::SocketAddr::from_abstract_name(&name).expect("a name");
    let stream = UnixStream::connect_addr(&address).expect("reachable");
    let mut client = Client::over_unix(stream);
    assert_eq!(client.get("/").text(), "Hello");
    assert_eq!(client.get("/environ").json()["SERVER_NAME"], "localhost");

    let finished = Launch::new("plain:app").bind(&[&format!("unix:@{name}")]).fail();
    assert!(finished.complaint(4).contains("stop the process that has it"), "{finished:?}");
}
