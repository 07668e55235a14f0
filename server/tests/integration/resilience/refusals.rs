//! Every way to be refused, and what becomes of the connection: the answer arrives whole however much the client goes on
//! sending, and the stream ends in good order.

use std::path::Path;

use crate::support::client::get;
use crate::support::{Client, Launch, Server};

/// A request that is refused with this status.
struct Refused {
    what: &'static str,
    request: String,
    status: u16,
    /// Whether more bytes leave it the refused request that it is.
    may_go_on: bool,
}

const LIMITS: &str = "--limit-request-line 100 --limit-header-count 5 --limit-header-size 300 --limit-body 1000 \
                      --body-memory 100 --head-timeout 400ms --body-timeout 400ms";

/// What a client sends on top that does not stop talking.
const FLOOD: usize = 1_000_000;

fn table() -> Vec<Refused> {
    let post = |framing: &str, body: &str| format!("POST /echo HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n{body}");
    let lines = |lines: &str| format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
    let refused = |what, status, request: String| Refused { what, request, status, may_go_on: true };
    let waited_for = |what, request: &str| Refused { what, request: request.to_owned(), status: 408, may_go_on: false };
    vec![
        refused("garbage", 400, "\u{16}\u{3}\u{1}\r\n\r\n".to_owned()),
        refused("no host", 400, "GET / HTTP/1.1\r\n\r\n".to_owned()),
        refused("both framings", 400, post("Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n")),
        refused("no chunk size", 400, post("Transfer-Encoding: chunked", "x\r\n")),
        refused("a bad chunk after a good one", 400, post("Transfer-Encoding: chunked", "1\r\na\r\nx\r\n")),
        waited_for("half a request line", "GET /hel"),
        waited_for("half a head", "GET / HTTP/1.1\r\nHost: a"),
        waited_for("half a body", &post("Content-Length: 10", "half")),
        waited_for("half a chunk", &post("Transfer-Encoding: chunked", "a\r\nhalf")),
        refused("announced length", 413, post("Content-Length: 1001", "")),
        refused("announced length, to be continued", 413, post("Content-Length: 1001\r\nExpect: 100-continue", "")),
        refused("announced chunk", 413, post("Transfer-Encoding: chunked", "3e9\r\n")),
        refused("line", 414, format!("GET /{}", "x".repeat(100))),
        refused("expectation", 417, lines("Expect: miracles\r\n")),
        refused("header count", 431, lines("A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\n")),
        refused("header size", 431, lines(&format!("A: {}", "x".repeat(300)))),
        refused("coding", 501, post("Transfer-Encoding: gzip, chunked", "0\r\n\r\n")),
        // The temporary files' folder is not there.
        refused("body storage", 503, post("Content-Length: 500", &"x".repeat(200))),
        refused("version", 505, lines("").replace("HTTP/1.1", "HTTP/2.0")),
    ]
}

/// The answer is whole, says that the connection closes, and names the status in a body that people can read.
fn check(client: &mut Client, case: &Refused, manner: &str) {
    let Refused { what, status, .. } = case;
    let response = client.try_answer().unwrap_or_else(|broken| panic!("{what}, {manner}: {broken}"));
    assert_eq!((response.status(), response.closes()), (*status, true), "{what}, {manner}: {response:?}");
    assert!(response.header("Date").is_some() && response.header("Content-Type").is_some(), "{what}: {response:?}");
    assert!(!response.body.is_empty(), "{what}, {manner}: {response:?}");
}

/// Goes through the table in every manner that a client may have.
fn refuse_all(server: &Server, connect: impl Fn() -> Client) {
    let flood = vec![b'x'; FLOOD];
    for case in &table() {
        let Refused { what, request, may_go_on, .. } = case;
        let mut patient = connect();
        patient.send(request);
        check(&mut patient, case, "then silent");
        patient.expect_end();
        // It goes on only now: what comes after the answer must not be answered by a reset either.
        patient.try_send(&flood).unwrap_or_else(|error| panic!("{what}: cut while it went on: {error}"));

        if *may_go_on {
            let mut talkative = connect();
            talkative.send(request);
            talkative.try_send(&flood).unwrap_or_else(|error| panic!("{what}: cut while it talked: {error}"));
            check(&mut talkative, case, "while it goes on");
            talkative.expect_end();

            let mut brief = connect();
            brief.send(request);
            brief.finish();
            check(&mut brief, case, "then ended");
            brief.expect_end();
        }
    }
    let mut last = connect();
    last.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(last.answer().text(), "Hello");
    last.expect_end();
    let status = server.await_status("no connection is left", |status| status.connections() == 0);
    assert_eq!((status.counters.died, status.in_flight()), (0, 0), "{status:#?}");
}

fn launch(shape: &str) -> Launch {
    Launch::new("plain:app").args(shape).args(LIMITS).env("TMPDIR", "/nonexistent")
}

#[test]
fn every_refusal_arrives_whole_and_ends_the_connection() {
    let server = launch("--mpm static --workers 1 --threads 1").start();
    refuse_all(&server, || server.connect());
    assert_eq!(server.requests(), 1, "nothing that was refused reached the application");
}

#[test]
fn every_refusal_arrives_whole_over_a_unix_socket() {
    let launch = launch("--mpm static --workers 1 --threads 1");
    let path = launch.folder().join("web.sock");
    let unix = format!("unix:{}", path.display());
    let server = launch.bind(&[&unix]).start();
    refuse_all(&server, || Client::connect_unix(Path::new(&path)).expect("the server can be reached"));
    assert_eq!(server.requests(), 1, "nothing that was refused reached the application");
}

#[test]
fn every_refusal_arrives_whole_in_prefork() {
    let shape = "--mpm prefork --start-servers 2 --min-spare-servers 1 --max-spare-servers 2";
    let server = launch(shape).start();
    refuse_all(&server, || server.connect());
}

#[test]
fn the_refusal_of_a_head_request_has_no_body() {
    let server = launch("--mpm static --workers 1 --threads 1").start();
    for (request, status) in [
        ("HEAD / HTTP/1.1\r\n\r\n".to_owned(), 400),
        (format!("HEAD /{} HTTP/1.1\r\n", "x".repeat(100)), 414),
        ("HEAD / HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\n\r\n".to_owned(), 417),
        ("HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n".to_owned(), 413),
    ] {
        let mut client = server.connect();
        client.send(&request);
        let response = client.try_answer_to("HEAD").expect("an answer");
        assert_eq!((response.status(), response.closes()), (status, true), "{request:?}");
        client.expect_end();
    }
}

#[test]
fn what_the_application_refuses_leaves_the_connection_alone() {
    let server = Launch::new("hostile:app").fixed(1, 1).start();
    let mut client = server.connect();
    for (method, target, body, status) in [
        ("POST", "/only-get", "", 405),
        ("POST", "/only-get", "a body that nobody reads", 405),
        ("DELETE", "/only-get", "", 405),
        ("BREW", "/only-get", "", 405),
        ("GET", "/raises", "", 500),
        ("POST", "/raises", "a body that nobody reads", 500),
        ("GET", "/exits", "", 500),
        ("GET", "/never-started", "", 500),
        ("GET", "/exc-info", "", 503),
    ] {
        let response = client.request(method, target, &[], body.as_bytes());
        assert_eq!((response.status(), response.closes()), (status, false), "{method} {target}: {response:?}");
        assert!(!response.body.is_empty(), "{method} {target}");
    }
    // No body and no word of one: nothing that would need a length (411).
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.answer().status(), 200);
    assert_eq!(client.get("/").text(), "Hello");
    let response = client.request("GET", "/raises", &[("Connection", "close")], b"");
    assert_eq!((response.status(), response.closes()), (500, true));
    client.expect_end();
}

#[test]
fn a_client_that_never_closes_is_not_waited_for() {
    let server = Launch::new("plain:app").fixed(1, 1).start();
    let mut refused: Vec<Client> = (0..20)
        .map(|_| {
            let mut client = server.connect();
            client.send("nonsense\r\n\r\n");
            client
        })
        .collect();
    let mut ended: Vec<Client> = (0..20)
        .map(|_| {
            let mut client = server.connect();
            client.send(format!("{}{}", get("/").replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"), get("/")));
            client
        })
        .collect();
    for client in &mut refused {
        assert_eq!(client.answer().status(), 400);
        client.expect_end();
    }
    for client in &mut ended {
        assert_eq!(client.answer().text(), "Hello");
        client.expect_end();
    }
    // All clients are still there, and do nothing.
    server.await_status("the connections are closed", |status| status.connections() == 0);
    assert_eq!(server.requests(), 20, "what comes after the last request is not looked at");
}
