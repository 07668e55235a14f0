//! Proxies that name their client once, at the start of the connection.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::client::get;
use crate::support::{Client, Launch, Server};

const TEXT: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 8443\r\n";
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A binary header: 192.0.2.7:4711 to 198.51.100.1:8443, with an extension.
fn binary() -> Vec<u8> {
    let addresses = [192, 0, 2, 7, 198, 51, 100, 1, 0x12, 0x67, 0x20, 0xfb];
    [SIGNATURE, b"\x21\x11\x00\x11", &addresses, b"\x04\x00\x02ab"].concat()
}

/// The same from a client that came to the proxy by TLS (§2.2.6).
fn binary_by_tls() -> Vec<u8> {
    let mut header = binary();
    header[15] += 8;
    header.extend(b"\x20\x00\x05\x01\0\0\0\0");
    header
}

fn launch() -> Launch {
    Launch::new("plain:app").args("--proxy-protocol-allow-ips 127.0.0.1")
}

fn assert_client(environ: &serde_json::Value) {
    for (name, expected) in [
        ("REMOTE_ADDR", "192.0.2.7"),
        ("REMOTE_PORT", "4711"),
        ("SERVER_NAME", "198.51.100.1"),
        ("SERVER_PORT", "8443"),
        ("wsgi.url_scheme", "http"),
    ] {
        assert_eq!(environ[name], expected, "{name} in {environ}");
    }
}

#[test]
fn both_versions_name_the_client_for_the_whole_connection() {
    let server = launch().fixed(1, 1).start();
    for header in [TEXT.to_vec(), binary()] {
        // The header alone; with the request behind it; and byte by byte.
        let request = get("/environ").into_bytes();
        let whole = [&header[..], &request].concat();
        let pieces: [Vec<&[u8]>; 3] = [vec![&header, &request], vec![&whole], whole.chunks(1).collect()];
        for pieces in pieces {
            let mut client = server.connect();
            for piece in pieces {
                client.send(piece);
            }
            assert_client(&client.answer().json());
            assert_client(&client.get("/environ").json());
        }
    }
}

#[test]
fn tls_at_the_proxy_is_https_also_in_another_worker() {
    let server = launch().fixed(2, 2).args("--max-requests 10").start();
    let mut client = server.connect();
    client.send(binary_by_tls());
    let worker: i32 = client.get("/pid").text().parse().expect("a number");
    while server.status().pids().contains(&worker) {
        let mut other = server.connect();
        other.send(TEXT);
        assert_eq!(other.get("/environ").json()["wsgi.url_scheme"], "http");
    }
    let environ = client.get("/environ").json();
    assert_eq!((&environ["wsgi.url_scheme"], &environ["REMOTE_ADDR"]), (&"https".into(), &"192.0.2.7".into()));
}

#[test]
fn a_proxy_may_speak_for_itself() {
    let server = launch().fixed(1, 1).start();
    for header in [&b"PROXY UNKNOWN\r\n"[..], &[SIGNATURE, b"\x20\x00\x00\x00"].concat()] {
        let mut client = server.connect();
        client.send(header);
        let environ = client.get("/environ").json();
        assert_eq!(environ["REMOTE_ADDR"], "127.0.0.1");
        assert_eq!(environ["REMOTE_PORT"], client.local().port().to_string());
    }
}

/// The connection is answered with 400 and closed.
fn assert_refused(server: &Server, bytes: &[u8], says: &str) {
    let mut client = server.connect();
    client.send(bytes);
    let response = client.answer();
    assert_eq!(response.status(), 400, "{:?}", bytes.escape_ascii().to_string());
    assert!(response.text().contains(says), "{}", response.text());
    client.expect_close();
}

#[test]
fn an_allowed_proxy_has_to_send_a_header() {
    let server = launch().fixed(1, 1).start();
    assert_refused(&server, get("/").as_bytes(), "PROXY protocol");
    assert_refused(&server, b"PROXY TCP4 nobody\r\n", "PROXY protocol");
    // Once.
    assert_refused(&server, &[TEXT, TEXT, get("/").as_bytes()].concat(), "");
    assert_eq!(server.requests(), 0);
}

#[test]
fn nobody_else_may_send_one() {
    let server = Launch::new("plain:app").fixed(1, 1).args("--proxy-protocol-allow-ips 10.0.0.1,unix").start();
    assert_refused(&server, &[TEXT, get("/").as_bytes()].concat(), "");
    assert_refused(&server, &[&binary()[..], get("/").as_bytes()].concat(), "");
    assert_eq!(server.get("/environ").json()["REMOTE_ADDR"], "127.0.0.1");
}

#[test]
fn the_header_has_the_time_of_a_head() {
    let server = launch().fixed(1, 1).args("--head-timeout 200ms").start();
    for bytes in [&b""[..], &TEXT[..20], &binary()[..20]] {
        let mut client = server.connect();
        client.send(bytes);
        client.expect_close();
    }
}

#[test]
fn the_client_of_the_header_is_who_may_forward() {
    // A balancer in front of a proxy: the proxy is who the balancer says it is.
    let server = launch().fixed(1, 1).args("--forwarded-allow-ips 192.0.2.7").start();
    let mut client = server.connect();
    client.send(TEXT);
    let headers = [("X-Forwarded-For", "203.0.113.5")];
    assert_eq!(client.request("GET", "/environ", &headers, b"").json()["REMOTE_ADDR"], "203.0.113.5");

    let mut other = server.connect();
    other.send("PROXY TCP4 192.0.2.8 198.51.100.1 4711 8443\r\n");
    let environ = other.request("GET", "/environ", &headers, b"").json();
    assert_eq!(environ["REMOTE_ADDR"], "192.0.2.8");
    assert!(environ["HTTP_X_FORWARDED_FOR"].is_null(), "{environ}");
}

#[test]
fn the_client_goes_along_to_another_worker() {
    let server = launch().fixed(2, 2).args("--max-requests 10").start();
    let mut idle = server.connect();
    idle.send(TEXT);
    let worker: i32 = idle.get("/pid").text().parse().expect("a number");
    // Others wear the worker out; the connection goes over to one that stays.
    while server.status().pids().contains(&worker) {
        let mut other = server.connect();
        other.send(binary());
        assert_client(&other.get("/environ").json());
    }
    assert_client(&idle.get("/environ").json());
    assert_ne!(idle.get("/pid").text(), worker.to_string());
}

#[test]
fn a_worker_leaves_without_waiting_for_a_header() {
    let mut server = launch().fixed(1, 1).args("--head-timeout 60s --graceful-timeout 60s").start();
    let mut silent = server.connect();
    let mut slow = server.connect();
    slow.send(&TEXT[..10]);
    server.await_status("both are connected", |status| status.connections() == 2);
    server.signal(Signal::SIGTERM);
    assert!(server.await_exit().success());
    silent.expect_close();
    slow.expect_close();
}

#[test]
fn unix_sockets_and_the_access_log_know_it_too() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("web.sock");
    let unix = format!("unix:{}", path.display());
    let launch = Launch::new("plain:app").fixed(1, 1).bind(&[&unix, "127.0.0.1:0"]);
    let mut server = launch.args("--proxy-protocol-allow-ips unix --access-log common").start();
    let mut client = Client::connect_unix(&path).expect("reachable");
    client.send(TEXT);
    assert_client(&client.get("/environ").json());
    drop(client);
    assert_eq!(server.get("/").text(), "Hello");
    server.signal(Signal::SIGTERM);
    assert!(server.await_exit().success());
    let output = server.output();
    assert!(output.starts_with("192.0.2.7 - - ["), "{output}");
    assert!(output.lines().any(|line| line.starts_with("127.0.0.1 - - [")), "{output}");
}

#[test]
fn a_silent_proxy_costs_others_nothing() {
    let server = launch().fixed(1, 1).start();
    let mut silent = server.connect();
    silent.send(&TEXT[..5]);
    let mut client = server.connect();
    client.send(TEXT);
    assert_client(&client.get("/environ").json());
    assert!(silent.is_silent_for(Duration::from_millis(50)));
    silent.send(&TEXT[5..]);
    assert_client(&silent.get("/environ").json());
}
