//! Where the server listens.

use crate::support::{Client, Launch};

#[test]
fn several_addresses_serve_the_same() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("web.sock");
    let unix = format!("unix:{}", path.display());
    let mut server = Launch::new("plain:app").fixed(1, 2).bind(&["127.0.0.1:0", &unix, "[::1]:0"]).start();
    assert_eq!(server.listening().len(), 3);
    assert_eq!(server.listening()[1], unix);
    assert_eq!(server.status().listening, server.listening());

    let mut over_unix = Client::connect_unix(&path).expect("the unix socket can be reached");
    for _ in 0..2 {
        let environ = over_unix.get("/environ").json();
        assert_eq!(environ["wsgi.url_scheme"], "http");
        assert!(environ["REMOTE_ADDR"].is_string(), "{environ}");
        assert_eq!(environ["SERVER_NAME"].is_string(), environ["SERVER_PORT"].is_string());
    }
    let sixth = server.listening()[2].strip_prefix("http://").expect("a TCP address").parse().expect("an address");
    let environ = Client::connect(sixth).expect("IPv6 can be reached").get("/environ").json();
    assert_eq!(environ["REMOTE_ADDR"], "::1");
    assert_eq!(server.get("/").text(), "Hello");

    server.signal(nix::sys::signal::Signal::SIGTERM);
    assert!(server.await_exit().success());
    assert!(!path.exists(), "the socket's file is left behind");
}

#[test]
fn a_socket_left_by_a_killed_server_is_taken_over() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("web.sock");
    let unix = format!("unix:{}", path.display());
    let mut first = Launch::new("plain:app").fixed(1, 1).bind(&[&unix]).start();
    first.kill_supervisor();
    first.await_end_of_all();
    assert!(path.exists());
    let _second = Launch::new("plain:app").fixed(1, 1).bind(&[&unix]).start();
    assert_eq!(Client::connect_unix(&path).expect("reachable").get("/").text(), "Hello");
}
