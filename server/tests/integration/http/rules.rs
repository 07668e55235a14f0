//! What RFC 9110 and 9112 require of a server, asked of the whole one; `server/http/rules.toml` says which test shows what.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::support::client::Framing;
use crate::support::{Client, Launch, Response, Server};

fn serving() -> Server {
    Launch::new("rules:app").fixed(1, 1).start()
}

/// The target that is answered with this status, these headers and this body.
fn answer(status: &str, headers: &[&str], body: &[&str]) -> String {
    let mut target = format!("/answer?status={}", status.replace(' ', "%20"));
    headers.iter().for_each(|header| target.push_str(&format!("&header={header}")));
    body.iter().for_each(|piece| target.push_str(&format!("&body={piece}")));
    target
}

/// The header names, sorted, without those that only the body tells.
fn names(response: &Response) -> Vec<&str> {
    let framing = ["Content-Length", "Transfer-Encoding"];
    let mut names: Vec<_> = response.head.headers.iter().map(|(name, _)| name.as_str()).collect();
    names.retain(|name| !framing.contains(name));
    names.sort_unstable();
    names
}

/// A fixture of the crate that parses: the bytes, and what must come of them there. Limits are not looked at here.
#[derive(Deserialize)]
struct Fixture {
    limits: Option<toml::Table>,
    #[serde(default)]
    message: Vec<Message>,
    status: Option<String>,
    #[serde(default)]
    messages_before: usize,
}

#[derive(Deserialize)]
struct Message {
    method: String,
    target: String,
    keep_alive: Option<bool>,
    #[serde(default)]
    body: String,
}

/// The `.http` files of `folder` whose verdict does not depend on limits, with what must come of them.
fn fixtures(folder: &str) -> Vec<(PathBuf, Fixture)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("http/cases").join(folder);
    let paths = fs::read_dir(folder).expect("the fixtures are there").map(|entry| entry.expect("readable").path());
    let requests = paths.filter(|path| path.extension().is_some_and(|extension| extension == "http"));
    let mut fixtures: Vec<(PathBuf, Fixture)> = requests
        .map(|path| {
            let text = fs::read_to_string(path.with_extension("toml")).expect("each has its expectation");
            let fixture = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (path, fixture)
        })
        .filter(|(_, fixture): &(_, Fixture)| fixture.limits.is_none())
        .collect();
    fixtures.sort_by(|one, other| one.0.cmp(&other.0));
    fixtures
}

/// The answer that follows any `100 Continue`, which comes or not as the bytes happen to arrive.
fn final_answer(client: &mut Client, method: &str) -> Response {
    loop {
        match client.try_answer_to(method) {
            Ok(interim) if interim.status() == 100 => {}
            Ok(response) => return response,
            Err(broken) => panic!("no answer: {broken}"),
        }
    }
}

#[test]
fn every_fixture_is_judged_alike_by_the_whole_server() {
    let server = serving();
    let mut accepted = 0;
    for (path, fixture) in fixtures("valid") {
        println!("{}", path.display());
        let mut client = server.connect();
        client.send(fs::read(&path).expect("readable"));
        for message in &fixture.message {
            let response = final_answer(&mut client, &message.method);
            assert_eq!(response.status(), 200);
            if message.method != "HEAD" {
                let request = response.json();
                assert_eq!(request["method"], message.method);
                // WSGI has bytes as Latin-1.
                let target: String = message.target.bytes().map(char::from).collect();
                assert_eq!(request["target"], target);
                assert_eq!(request["body"], message.body);
            }
            let keep_alive = message.keep_alive.unwrap_or(true);
            assert_eq!(response.closes(), !keep_alive);
            accepted += 1;
            if !keep_alive {
                client.expect_close();
            }
        }
    }
    for (path, fixture) in fixtures("invalid") {
        println!("{}", path.display());
        let mut client = server.connect();
        client.send(fs::read(&path).expect("readable"));
        for _ in 0..fixture.messages_before {
            assert_eq!(final_answer(&mut client, "GET").status(), 200);
            accepted += 1;
        }
        let response = final_answer(&mut client, "GET");
        let expected = fixture.status.expect("an invalid fixture has a status");
        assert_eq!(response.status().to_string(), expected[..3]);
        assert!(response.closes(), "{response:?}");
        client.expect_close();
    }
    assert_eq!(server.requests(), accepted, "what is refused does not reach the application");
}

#[test]
fn underscores_can_not_pose_as_hyphens() {
    let server = serving();
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nX_Real_IP: 192.0.2.1\r\nX-Kept: b\r\nContent_Length: 5\r\n\r\n");
    let fields = client.answer().json()["fields"].clone();
    assert_eq!((fields["HTTP_X_REAL_IP"].as_str(), fields["HTTP_X_KEPT"].as_str()), (None, Some("b")));
    assert_eq!(fields["HTTP_CONTENT_LENGTH"].as_str(), None);
}

#[test]
fn an_upgrade_is_never_taken() {
    let server = serving();
    for protocol in ["websocket", "h2c", "HTTP/2.0", "TLS/1.2"] {
        let mut client = server.connect();
        let upgrade = format!("Connection: Upgrade\r\nUpgrade: {protocol}\r\n");
        client.send(format!("GET /a HTTP/1.1\r\nHost: a\r\n{upgrade}\r\n"));
        let response = client.answer();
        assert_eq!((response.status(), response.header("Upgrade")), (200, None));
        // The connection goes on in HTTP/1.1, and the body is asked for before anything else.
        client
            .send(format!("POST /b HTTP/1.1\r\nHost: a\r\n{upgrade}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"));
        assert_eq!(client.try_head().expect("an interim response").status, 100);
        client.send("hi");
        assert_eq!(client.answer().json()["body"], "hi");
    }
    // Nor for an application.
    let mut client = server.connect();
    assert_eq!(client.get(&answer("101 Switching Protocols", &[], &[])).status(), 500);
    assert_eq!(client.get(&answer("200 OK", &["Upgrade:websocket"], &[])).status(), 500);
}

#[test]
fn every_method_reaches_the_application() {
    let server = serving();
    let mut client = server.connect();
    for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "BREW", "get", "!"] {
        assert_eq!(client.request(method, "/", &[], b"").json()["method"], method);
    }
    assert_eq!(client.request("OPTIONS", "*", &[], b"").json()["target"], "*");
}

#[test]
fn responses_without_content_have_none() {
    let server = serving();
    let mut client = server.connect();
    for (method, status, length, framing) in [
        ("GET", "204 No Content", None, Framing::None),
        ("GET", "304 Not Modified", None, Framing::None),
        ("GET", "205 Reset Content", Some("0"), Framing::Length(0)),
        ("HEAD", "200 OK", Some("4"), Framing::None),
        ("HEAD", "204 No Content", None, Framing::None),
        ("HEAD", "404 Not Found", Some("4"), Framing::None),
    ] {
        // One body, in one piece and in several, and a length that is one and is none.
        for (headers, pieces) in [(&[][..], &["oops"][..]), (&[], &["o", "ops"]), (&["Content-Length:4"], &["oops"])] {
            let response = client.request(method, &answer(status, headers, pieces), &[], b"");
            let what = format!("{method} {status} {headers:?} {pieces:?}: {response:?}");
            assert_eq!(response.status().to_string(), status[..3], "{what}");
            assert_eq!((response.framing, response.header("Transfer-Encoding")), (framing, None), "{what}");
            // In a 304 the application's word is taken for what a 200 would have had.
            let said = if status.starts_with("304") && !headers.is_empty() { Some("4") } else { length };
            assert_eq!(response.header("Content-Length"), said, "{what}");
        }
    }
    // The next response is where it belongs.
    assert_eq!(client.get("/next").json()["target"], "/next");
}

#[test]
fn head_and_get_have_the_same_headers() {
    let server = serving();
    let mut client = server.connect();
    let targets = [
        "/".to_owned(),
        answer("200 OK", &["X-A:b", "ETag:\"c\"", "Content-Length:4"], &["body"]),
        answer("404 Not Found", &["Cache-Control:no-store"], &["a", "b"]),
        answer("302 Found", &["Location:/"], &[]),
        answer("101 Not Possible", &[], &[]),
    ];
    for target in targets {
        let get = client.get(&target);
        let head = client.request("HEAD", &target, &[], b"");
        assert_eq!((head.status(), names(&head)), (get.status(), names(&get)), "{target}");
        if let Some(length) = head.header("Content-Length").filter(|_| target != "/") {
            assert_eq!(get.header("Content-Length"), Some(length), "{target}");
        }
    }
}

#[test]
fn what_the_server_adds_keeps_to_the_grammar() {
    let server = serving();
    let mut client = server.connect();
    for status in ["200 OK", "204 No Content", "301 Moved", "304 Not Modified", "404 Not Found", "500 Oh", "599"] {
        let response = client.get(&answer(status, &[], &[]));
        assert_eq!(response.head.version, "HTTP/1.1");
        // A product, and nothing about its version.
        assert_eq!(response.header("Server"), Some("smarthttpd"), "{status}");
        let date = response.header("Date").unwrap_or_else(|| panic!("no date in {response:?}"));
        let parsed = httpdate::parse_http_date(date).unwrap_or_else(|error| panic!("{date}: {error}"));
        assert_eq!(httpdate::fmt_http_date(parsed), date, "an IMF-fixdate, and none of the older forms");
    }
    // What the application says itself is not said again.
    let dated = client.get(&answer("200 OK", &["Date:Sun,%2006%20Nov%201994%2008:49:37%20GMT", "server:mine"], &[]));
    assert_eq!(dated.header("Date"), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
    assert_eq!(dated.header("Server"), Some("mine"));
}

#[test]
fn failures_are_whole_responses() {
    let server = serving();
    for (request, status) in [
        (format!("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", answer("nonsense", &[], &[])), 500),
        (format!("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", answer("200 OK", &["Connection:close"], &[])), 500),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/3.0\r\n\r\n".to_owned(), 505),
    ] {
        let mut client = server.connect();
        client.send(request);
        let response = client.answer();
        assert_eq!(response.status(), status);
        assert_eq!(response.header("Content-Type"), Some("text/plain; charset=utf-8"));
        assert_eq!(response.framing, Framing::Length(response.body.len()));
        assert!(!response.body.is_empty() && response.header("Date").is_some());
    }
    let log = server.log();
    let hint = "header Connection is the server's: applications may not send hop-by-hop headers (PEP 3333). Remove it";
    assert!(log.contains(hint), "{log}");
}

#[test]
fn a_body_that_is_too_large_stays_too_large() {
    let server = Launch::new("rules:app").fixed(1, 1).args("--limit-body 10").start();
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n");
    let response = client.answer();
    assert_eq!((response.status(), response.header("Retry-After")), (413, None));
    client.expect_close();
}
