//! What an application may do between `start_response()` and its last byte, and what comes of it when it may not.

use crate::support::client::Framing;
use crate::support::{Broken, Launch, Response, Server};

/// What the client sees.
#[derive(Debug)]
enum Outcome {
    /// A whole response: status, framing, body.
    Whole(u16, Framing, &'static str),
    /// Nothing of the application's response, but 500; the log has this.
    Fails(&'static str),
    /// A response that is visibly not whole; the log has this.
    Cut(&'static str),
}
use Outcome::{Cut, Fails, Whole};

const CHUNKED: Framing = Framing::Chunked;

const fn length(length: usize) -> Framing {
    Framing::Length(length)
}

fn serve() -> Server {
    Launch::new("responses:app").fixed(1, 2).start()
}

/// Asks for each target, on one connection for as long as the server keeps it: a byte too many would be read as part of
/// the next response.
fn check(server: &Server, table: &[(&str, Outcome)]) {
    let mut client = server.connect();
    for (request, outcome) in table {
        let (method, target) = request.split_once(' ').unwrap_or(("GET", request));
        let log_before = server.log().len();
        client.send(format!("{method} {target} HTTP/1.1\r\nHost: test\r\n\r\n"));
        let answer = client.try_answer_to(method);
        match (outcome, &answer) {
            (Whole(status, framing, body), Ok(response)) => {
                let found = (response.status(), response.framing, response.text());
                assert_eq!(found, (*status, *framing, *body), "{request}\n{}", server.log());
            }
            (Fails(logged), Ok(response)) => {
                assert_eq!(response.status(), 500, "{request}: {response:?}");
                assert!(!response.text().contains("Traceback"), "{request} tells strangers too much");
                assert_eq!(response.header("X-First"), None, "{request}");
                await_new_log(server, log_before, logged, request);
            }
            (Cut(logged), Err(Broken::Cut(_) | Broken::Nothing)) => await_new_log(server, log_before, logged, request),
            (_, answer) => panic!("{request} should have been {outcome:?}: {answer:?}\n{}", server.log()),
        }
        let closes = answer.as_ref().is_ok_and(Response::closes);
        if closes {
            client.expect_close();
        }
        if closes || answer.is_err() {
            client = server.connect();
        }
    }
}

/// Waits until something new in the log says this.
fn await_new_log(server: &Server, before: usize, text: &str, request: &str) {
    server.await_log_after(before, text);
    // What only the event loop has to say of a broken response does not have the application's traceback.
    assert!(!server.log()[before..].contains("panicked"), "{request}: {}", server.log());
}

#[test]
fn write_sends_what_it_is_given() {
    let server = serve();
    check(
        &server,
        &[
            ("/write-only", Whole(200, CHUNKED, "one two")),
            ("/write-and-return", Whole(200, length(7), "one two")),
            ("/write-between", Whole(200, CHUNKED, "1234")),
            ("/write-text", Fails("TypeError: write() needs bytes, not str")),
            ("/write-and-raise", Cut("ValueError: after write()")),
            ("HEAD /write-only", Whole(200, Framing::None, "")),
            ("HEAD /write-between", Whole(200, Framing::None, "")),
        ],
    );
    let response = server.get("/write-and-file");
    let source = std::fs::read(crate::support::python::apps().join("responses.py")).expect("it is there");
    assert!(response.body == [b"before ", &*source].concat());
}

#[test]
fn start_response_follows_the_letter() {
    check(
        &serve(),
        &[
            ("/twice", Fails("AssertionError: start_response() was called a second time without exc_info")),
            ("/twice-and-caught", Whole(200, length(16), "the first stands")),
            // Nothing of the first head is left, above all no Content-Length.
            ("/replaced", Whole(503, length(5), "sorry")),
            ("/replaced-by-keyword", Whole(503, length(5), "sorry")),
            ("/replaced-before-the-first-byte", Whole(503, CHUNKED, "sorry")),
            ("/replaced-too-late", Cut("ValueError: the reason for exc_info")),
            ("/twice-too-late", Cut("AssertionError: start_response() was called a second time without exc_info")),
            ("/explicit-none", Whole(200, length(4), "fine")),
            ("/late", Whole(202, CHUNKED, "late")),
            ("/late-in-an-iterator", Whole(202, length(4), "late")),
            ("/recovered", Whole(200, length(6), "mended")),
            ("/rejected", Fails("although start_response() had raised an exception")),
            ("/never-list", Fails("without having called start_response()")),
            ("/never-empty", Fails("without having called start_response()")),
            ("/never-generator", Fails("without having called start_response()")),
            ("HEAD /never-list", Fails("without having called start_response()")),
            ("/no-arguments", Fails("TypeError: ")),
        ],
    );
}

#[test]
fn every_kind_of_iterable_is_a_body() {
    let empty = ["list", "tuple", "iterator", "generator", "pieces", "generated", "dict"];
    // What is there at once has a length; what comes in pieces is sent in pieces.
    let shapes = [
        ("list", length(3)),
        ("tuple", length(3)),
        ("iterator", length(3)),
        ("generator", CHUNKED),
        ("map", CHUNKED),
        ("dict", CHUNKED),
    ];
    let empty = empty.map(|shape| (format!("/empty?{shape}"), 200, length(0), ""));
    let shapes = shapes.map(|(shape, framing)| (format!("/shapes?{shape}"), 200, framing, "abc"));
    let indexed = [("/shapes?indexed".to_owned(), 200, CHUNKED, "indexed")];
    let rows: Vec<_> = empty.into_iter().chain(shapes).chain(indexed).collect();
    let table: Vec<_> =
        rows.iter().map(|(target, status, framing, body)| (&**target, Whole(*status, *framing, body))).collect();
    let server = serve();
    check(&server, &table);
    let expected: String = (0..10_000).map(|number| format!("{number:09}\n")).collect();
    for (target, framing) in [("/many?list", length(100_000)), ("/many?generator", CHUNKED)] {
        let response = server.get(target);
        assert_eq!(response.framing, framing, "{target}");
        assert!(response.text() == expected, "{target}");
    }
}

#[test]
fn what_is_no_body_is_an_error() {
    check(
        &serve(),
        &[
            ("/result?str", Fails("the application returned str: it must return an iterable of bytes")),
            ("/result?bytes", Fails("the application returned bytes: it must return an iterable of bytes")),
            ("/result?none", Fails("the application returned NoneType, which is not iterable")),
            ("/result?int", Fails("the application returned int, which is not iterable")),
            ("/result?class", Fails("the application returned type, which is not iterable")),
            ("/piece?str&list", Fails("one piece is str")),
            ("/piece?str&first", Fails("one piece is str")),
            ("/piece?str&second", Cut("one piece is str")),
            ("/piece?none&first", Fails("one piece is NoneType")),
            ("/piece?int&second", Cut("one piece is int")),
            // Not bytes, by the letter of PEP 3333.
            ("/piece?bytearray&first", Fails("one piece is bytearray")),
            ("/piece?view&list", Fails("one piece is memoryview")),
            ("/broken-iter", Fails("which is not iterable")),
            ("/exits-midway", Cut("SystemExit: leaving midway")),
        ],
    );
}

#[test]
fn a_reason_is_sent_in_the_bytes_that_its_characters_stand_for() {
    let server = serve();
    let mut client = server.connect();
    client.send("GET /raw-status?200%20Caf%C3%A9 HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    let answer = client.rest();
    assert!(answer.starts_with(b"HTTP/1.1 200 Caf\xe9\r\n"), "{}", answer.escape_ascii());
}

#[test]
fn content_length_is_held_to() {
    let server = serve();
    check(
        &server,
        &[
            ("/length?5&list", Whole(200, length(5), "12345")),
            ("/length?5&generator", Whole(200, length(5), "12345")),
            // Too long is cut, within a piece or between two.
            ("/length?4&list", Whole(200, length(4), "1234")),
            ("/length?4&generator", Whole(200, length(4), "1234")),
            ("/length?2&generator", Whole(200, length(2), "12")),
            ("/length?0&list", Whole(200, length(0), "")),
            ("/length?0&generator", Whole(200, length(0), "")),
            ("/length?6&list", Cut("promised 6 body bytes in Content-Length and sent 5")),
            ("/length?6&generator", Cut("promised 6 body bytes in Content-Length and sent 5")),
            ("HEAD /length?6&list", Whole(200, Framing::None, "")),
            ("HEAD /length?6&generator", Whole(200, Framing::None, "")),
            ("/length?-1&list", Fails("invalid Content-Length")),
            ("/length?five&list", Fails("invalid Content-Length")),
            ("/length?1e3&list", Fails("invalid Content-Length")),
        ],
    );
    let head = server.connect().request("HEAD", "/length?6&list", &[], b"");
    assert_eq!(head.header("Content-Length"), Some("6"));
}

#[test]
fn some_responses_have_no_body_whatever_the_application_gives() {
    let server = serve();
    let mut client = server.connect();
    for status in ["204%20No%20Content", "304%20Not%20Modified", "HEAD"] {
        for shape in ["list", "generated", "list&sized", "generated&sized", "list&bare", "generated&bare"] {
            let (method, given) = if status == "HEAD" { ("HEAD", "200%20OK") } else { ("GET", status) };
            let target = format!("/status?status={given}&{}", shape.replace('&', "=&") + "=");
            client.send(format!("{method} {target} HTTP/1.1\r\nHost: test\r\n\r\n"));
            let response = client.try_answer_to(method).unwrap_or_else(|broken| panic!("{method} {target}: {broken}"));
            assert_eq!(response.framing, Framing::None, "{method} {target}");
            assert_eq!(response.header("Transfer-Encoding"), None, "{method} {target}: {response:?}");
            if response.status() == 204 {
                // RFC 9110 §8.6.
                assert_eq!(response.header("Content-Length"), None, "{method} {target}: {response:?}");
            }
            // If a body had been sent, this would be read out of it.
            assert_eq!(client.get("/explicit-none").text(), "fine", "{method} {target}");
        }
    }
}

#[test]
fn http_1_0_gets_no_chunks() {
    let server = serve();
    let mut client = server.connect();
    client.send("GET /write-between HTTP/1.0\r\n\r\n");
    let response = client.answer();
    assert_eq!((response.framing, response.text()), (Framing::UntilClose, "1234"));
    let mut client = server.connect();
    client.send("GET /length?5&generator HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(client.answer().text(), "12345");
    assert_eq!(client.get("/explicit-none").text(), "fine");
    // A body that is not whole must not end like a whole one: a reset tells.
    for target in ["/exits-midway", "/length?6&generator"] {
        let mut client = server.connect();
        client.send(format!("GET {target} HTTP/1.0\r\n\r\n"));
        let broken = client.try_answer().expect_err(target);
        assert!(matches!(broken, Broken::Cut(_) | Broken::Nothing), "{target}: {broken}");
    }
}

#[test]
fn wrong_heads_are_refused() {
    let table = [
        // Line ends in names, values, status: each would start a header or a response of somebody else's making.
        ("/header?X-A%0d%0aX-Injected=b", "invalid header name"),
        ("/header?X-A%0aX-Injected=b", "invalid header name"),
        ("/header?X%20A=b", "invalid header name"),
        ("/header?X-A:=b", "invalid header name"),
        ("/header?=b", "invalid header name"),
        ("/header?X-%c3%a9=b", "invalid header name"),
        ("/header?X-Injected=a%0d%0ab", "control character in the value of header X-Injected"),
        ("/header?X-Injected=a%0ab", "control character in the value of header X-Injected"),
        ("/header?X-Injected=a%0db", "control character in the value of header X-Injected"),
        ("/header?X-Injected=a%00b", "control character in the value of header X-Injected"),
        ("/header?X-Injected=a%7fb", "control character in the value of header X-Injected"),
        ("/header?X-Injected=%e2%9c%93", "headers must be made of Latin-1 characters"),
        ("/header?X-%e2%9c%93=b", "headers must be made of Latin-1 characters"),
        ("/header?X-Injected=%f0%9f%98%80", "headers must be made of Latin-1 characters"),
        ("/raw-status?200%20OK%0d%0aX-Injected:%20b", "status"),
        ("/raw-status?200%20OK%0aX-Injected:%20b", "status"),
        ("/raw-status?200%20%E2%9C%93", "Latin-1"),
        ("/raw-status?200", "the status must be like"),
        ("/raw-status?", "the status must be like"),
        ("/raw-status?20%20OK", "the status must be like"),
        ("/raw-status?2000%20OK", "the status must be like"),
        ("/raw-status?OK%20200", "the status must be like"),
        ("/raw-status?099%20Low", "invalid status"),
        ("/raw-status?%2b20%20Signed", "invalid status"),
        ("/raw-status?abc%20Letters", "invalid status"),
        // The client would wait for the real response for ever.
        ("/raw-status?100%20Continue", "interim"),
        ("/raw-status?101%20Switching%20Protocols", "interim"),
        // PEP 3333: "hop-by-hop" headers are the server's.
        ("/header?Connection=close", "header Connection is the server's"),
        ("/header?keep-alive=timeout%3d5", "header keep-alive is the server's"),
        ("/header?Transfer-Encoding=chunked", "header Transfer-Encoding is the server's"),
        ("/header?Upgrade=websocket", "header Upgrade is the server's"),
        ("/header?TE=trailers", "header TE is the server's"),
        ("/header?Trailer=X-A", "header Trailer is the server's"),
        ("/header?Proxy-Authenticate=Basic", "header Proxy-Authenticate is the server's"),
        ("/header?Proxy-Authorization=x", "header Proxy-Authorization is the server's"),
        ("/head-types?status-bytes", "the status must be str, not bytes"),
        ("/head-types?status-int", "the status must be str, not int"),
        ("/head-types?headers-tuple", "headers must be a list, not tuple"),
        ("/head-types?headers-dict", "headers must be a list, not dict"),
        ("/head-types?headers-none", "headers must be a list, not NoneType"),
        ("/head-types?header-list", "headers must be a list of (name, value) tuples"),
        ("/head-types?header-single", "headers must be a list of (name, value) tuples"),
        ("/head-types?header-triple", "headers must be a list of (name, value) tuples"),
        ("/head-types?name-bytes", "names and values of headers must be str"),
        ("/head-types?value-bytes", "names and values of headers must be str"),
        ("/head-types?value-int", "names and values of headers must be str"),
        ("/head-types?value-none", "names and values of headers must be str"),
    ];
    let server = serve();
    check(&server, &table.map(|(target, logged)| (target, Fails(logged))));
    assert_eq!(server.get("/explicit-none").header("X-Injected"), None);
}

/// The head of the answer, byte by byte.
fn raw_head(server: &Server, target: &str) -> Vec<u8> {
    let mut client = server.connect();
    client.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"));
    let answer = client.rest();
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
    answer[..end + 2].to_vec()
}

fn has_line(head: &[u8], line: &[u8]) -> bool {
    head.split(|byte| *byte == b'\n').any(|found| found.strip_suffix(b"\r") == Some(line))
}

#[test]
fn heads_are_sent_as_they_are() {
    let server = serve();
    for (target, line) in [
        // Each character of a str is one byte (PEP 3333, "A Note on String Types").
        ("/header?X-Name=caf%c3%a9", &b"X-Name: caf\xe9"[..]),
        ("/header?X-Name=%c3%bf%c2%a0", b"X-Name: \xff\xa0"),
        ("/header?X-Name=a%09b", b"X-Name: a\tb"),
        ("/header?X-Empty=", b"X-Empty: "),
        ("/header?x-cAsE=kept", b"x-cAsE: kept"),
        ("/header?X-!%23$%25%26'*%2b.^_`|~=token", b"X-!#$%&'*+.^_`|~: token"),
        ("/raw-status?299%20Made%20Up", b"HTTP/1.1 299 Made Up"),
        ("/raw-status?999%20Highest", b"HTTP/1.1 999 Highest"),
        ("/raw-status?200%20", b"HTTP/1.1 200 "),
        // The server's own, unless the application has one.
        ("/header?Server=mine", b"Server: mine"),
        ("/header?Date=Thu,%2001%20Jan%201970%2000:00:00%20GMT", b"Date: Thu, 01 Jan 1970 00:00:00 GMT"),
    ] {
        let head = raw_head(&server, target);
        assert!(has_line(&head, line), "{target}: {}", String::from_utf8_lossy(&head));
        for once in ["server: ", "date: "] {
            let lines = String::from_utf8_lossy(&head).to_ascii_lowercase();
            assert_eq!(lines.matches(&format!("\r\n{once}")).count(), 1, "{target}: {lines}");
        }
    }
}

#[test]
fn heads_may_be_large_and_repeat_names() {
    let server = serve();
    let mut client = server.connect();
    let response = client.get("/many-headers");
    assert_eq!(response.head.headers.iter().filter(|(name, _)| name.starts_with("X-Number-")).count(), 2000);
    assert_eq!(response.text(), "many");
    let response = client.get("/large-header");
    assert_eq!(response.header("X-Large").map(str::len), Some(1 << 20));
    let response = client.get("/repeated");
    let cookies: Vec<_> = response.head.all("Set-Cookie").collect();
    assert_eq!(cookies, (0..20).map(|number| format!("c{number}=v; Path=/")).collect::<Vec<_>>());
    assert_eq!(response.head.all("Vary").collect::<Vec<_>>(), ["Accept", "Cookie"]);
}

#[test]
fn asking_ends_with_the_promised_length() {
    let server = serve();
    let mut client = server.connect();
    for (method, target, body) in [
        ("GET", "/endless?10", "1234123412"),
        ("GET", "/endless?4", "1234"),
        // Without a body, the first piece is one too many.
        ("HEAD", "/endless?10", ""),
        ("HEAD", "/endless?", ""),
        ("GET", "/write-too-much", "12345"),
    ] {
        assert_eq!(client.request(method, target, &[], b"").text(), body, "{method} {target}");
    }
    server.await_status("no call is under way", |status| status.in_flight() == 0);
}
