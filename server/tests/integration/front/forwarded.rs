//! Proxies that name their clients in headers of each request.

use nix::sys::signal::Signal;

use crate::support::{Client, Launch};

/// Everything that a proxy or its client may send.
const CLAIMS: [(&str, &str); 8] = [
    ("Forwarded", "for=192.0.2.9;proto=https;host=other.example"),
    ("X-Forwarded-For", "192.0.2.1, 192.0.2.7, 127.0.0.1"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "shop.example"),
    ("X-Forwarded-Port", "8443"),
    ("X-Forwarded-Prefix", "/shop"),
    ("X-Real-IP", "192.0.2.1"),
    ("X-Request-Id", "17"),
];

const EVERYTHING: &str = "x-forwarded-for,x-forwarded-proto,x-forwarded-host,x-forwarded-port,x-forwarded-prefix";

/// What the application is told of a request with all [`CLAIMS`].
fn environ(client: &mut Client) -> serde_json::Value {
    client.request("GET", "/environ", &CLAIMS, b"").json()
}

#[test]
fn an_allowed_proxy_is_believed() {
    let launch = Launch::new("plain:app").fixed(1, 1).args("--forwarded-allow-ips 127.0.0.0/8,10.0.0.1");
    let server = launch.args("--forwarded-headers").arg(EVERYTHING).start();
    let mut client = server.connect();
    let environ = environ(&mut client);
    for (name, expected) in [
        ("REMOTE_ADDR", "192.0.2.7"),
        ("REMOTE_PORT", ""),
        ("wsgi.url_scheme", "https"),
        ("HTTP_HOST", "shop.example:8443"),
        ("SERVER_NAME", "shop.example"),
        ("SERVER_PORT", "8443"),
        ("SCRIPT_NAME", "/shop"),
        ("PATH_INFO", "/environ"),
        // Still there for whoever wants to know more.
        ("HTTP_X_FORWARDED_FOR", "192.0.2.1, 192.0.2.7, 127.0.0.1"),
        ("HTTP_X_REQUEST_ID", "17"),
    ] {
        assert_eq!(environ[name], expected, "{name} in {environ}");
    }
    // One connection of a proxy carries requests of many clients.
    let other = client.request("GET", "/environ", &[("X-Forwarded-For", "2001:db8::1")], b"").json();
    assert_eq!(other["REMOTE_ADDR"], "2001:db8::1");
    assert_eq!(
        (&other["wsgi.url_scheme"], &other["HTTP_HOST"], &other["SCRIPT_NAME"]),
        (&"http".into(), &"test".into(), &"".into())
    );
    let own = client.get("/environ").json();
    assert_eq!(own["REMOTE_ADDR"], "127.0.0.1");
    assert_eq!(own["REMOTE_PORT"], client.local().port().to_string());
}

#[test]
fn only_what_proxies_usually_set_counts_by_default() {
    let server = Launch::new("plain:app").fixed(1, 1).args("--forwarded-allow-ips 127.0.0.1").start();
    let environ = environ(&mut server.connect());
    for (name, expected) in [
        ("REMOTE_ADDR", "192.0.2.7"),
        ("wsgi.url_scheme", "https"),
        ("SERVER_PORT", "443"),
        ("HTTP_HOST", "test"),
        ("SCRIPT_NAME", ""),
    ] {
        assert_eq!(environ[name], expected, "{name} in {environ}");
    }
}

#[test]
fn forwarded_counts_where_it_is_named() {
    let launch = Launch::new("plain:app").fixed(1, 1).args("--forwarded-allow-ips 127.0.0.1");
    let server = launch.args("--forwarded-headers forwarded").start();
    let environ = environ(&mut server.connect());
    for (name, expected) in [
        ("REMOTE_ADDR", "192.0.2.9"),
        ("wsgi.url_scheme", "https"),
        ("HTTP_HOST", "other.example"),
        ("SERVER_PORT", "443"),
        ("SCRIPT_NAME", ""),
    ] {
        assert_eq!(environ[name], expected, "{name} in {environ}");
    }
}

#[test]
fn claims_of_others_do_not_reach_the_application() {
    let server = Launch::new("plain:app").fixed(1, 1).args("--forwarded-allow-ips 10.0.0.1,unix").start();
    let mut client = server.connect();
    let environ = environ(&mut client);
    assert_eq!(environ["REMOTE_ADDR"], "127.0.0.1");
    assert_eq!(environ["REMOTE_PORT"], client.local().port().to_string());
    assert_eq!(environ["wsgi.url_scheme"], "http");
    assert_eq!(environ["HTTP_HOST"], "test");
    assert_eq!(environ["HTTP_X_REQUEST_ID"], "17");
    let names = environ.as_object().expect("an object").keys();
    let left: Vec<_> = names.filter(|name| name.contains("FORWARDED") || name.contains("REAL_IP")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn unasked_the_server_leaves_all_of_it_to_the_application() {
    let server = Launch::new("plain:app").fixed(1, 1).start();
    let environ = environ(&mut server.connect());
    assert_eq!(environ["REMOTE_ADDR"], "127.0.0.1");
    assert_eq!(environ["wsgi.url_scheme"], "http");
    for (name, value) in CLAIMS {
        let key = format!("HTTP_{}", name.to_uppercase().replace('-', "_"));
        assert_eq!(environ[&key], value);
    }
}

#[test]
fn a_proxy_on_a_unix_socket_is_believed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("web.sock");
    let unix = format!("unix:{}", path.display());
    let launch = Launch::new("plain:app").fixed(1, 1).bind(&[&unix]).args("--forwarded-allow-ips unix");
    let _server = launch.start();
    let mut client = Client::connect_unix(&path).expect("reachable");
    let headers = [("X-Forwarded-For", "192.0.2.7"), ("X-Forwarded-Proto", "https")];
    let environ = client.request("GET", "/environ", &headers, b"").json();
    assert_eq!(environ["REMOTE_ADDR"], "192.0.2.7");
    assert_eq!(environ["wsgi.url_scheme"], "https");
    assert_eq!(environ["SERVER_PORT"], "443");
}

#[test]
fn what_can_not_be_understood_is_refused() {
    let launch = Launch::new("plain:app").fixed(1, 1).args("--forwarded-allow-ips *");
    let server = launch.args("--forwarded-headers").arg(EVERYTHING).start();
    for (name, value) in [
        ("X-Forwarded-For", "not an address"),
        ("X-Forwarded-Proto", "gopher"),
        ("X-Forwarded-Host", "a/b"),
        ("X-Forwarded-Port", "-1"),
        ("X-Forwarded-Prefix", "//other.example"),
    ] {
        let mut client = server.connect();
        // With a body, which has been received by then and must not be taken for the next request.
        let response = client.request("POST", "/echo", &[(name, value)], b"GET / HTTP/1.1\r\nHost: test\r\n\r\n");
        assert_eq!(response.status(), 400, "{name}: {value}");
        assert!(response.text().contains(&name.to_lowercase()), "{}", response.text());
        assert!(response.closes());
        client.expect_close();
    }
    assert_eq!(server.requests(), 0, "nothing reached the application");
}

#[test]
fn the_access_log_shows_the_client() {
    let launch = Launch::new("plain:app").fixed(1, 1).args("--forwarded-allow-ips 127.0.0.1 --access-log common");
    let mut server = launch.start();
    let mut client = server.connect();
    client.request("GET", "/", &[("X-Forwarded-For", "192.0.2.7")], b"");
    client.request("GET", "/", &[("X-Forwarded-For", "unknown")], b"");
    client.get("/");
    drop(client);
    server.signal(Signal::SIGTERM);
    assert!(server.await_exit().success());
    let output = server.output();
    let hosts: Vec<_> = output.lines().map(|line| line.split(' ').next().unwrap_or_default()).collect();
    assert_eq!(hosts, ["192.0.2.7", "-", "127.0.0.1"], "{output}");
}
