//! One table of whole responses, and what goes wrong in the middle of them.

use super::*;

const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const GET: RequestFacts = RequestFacts { head: false, version: Version::Http11, keep_alive: true };
const HEAD: RequestFacts = RequestFacts { head: true, ..GET };
const CLOSING: RequestFacts = RequestFacts { keep_alive: false, ..GET };
const OLD: RequestFacts = RequestFacts { version: Version::Http10, ..CLOSING };
const OLD_KEEPING: RequestFacts = RequestFacts { version: Version::Http10, ..GET };

/// How the application gives its body.
#[derive(Debug, Clone, Copy)]
enum Body {
    Nothing,
    Whole(&'static str),
    Pieces(&'static [&'static str]),
    /// Sent by the caller: so many bytes.
    Elsewhere(u64),
}

type Headers = &'static [(&'static str, &'static str)];

/// A whole response: the bytes, with the date and server lines (checked on their own) left out, and how it ended.
fn encode(
    facts: RequestFacts,
    status: &str,
    headers: Headers,
    body: Body,
) -> (String, Result<Persistence, ResponseError>) {
    let mut encoder = ResponseEncoder::new();
    let mut out = Vec::new();
    encoder.reset(facts);
    let ended = (|| {
        encoder.begin(status)?;
        for (name, value) in headers {
            encoder.header(name.as_bytes(), value.as_bytes())?;
        }
        match body {
            Body::Nothing => {}
            Body::Whole(body) => encoder.whole(&mut out, body.as_bytes(), DATE)?,
            Body::Pieces(pieces) => {
                for piece in pieces {
                    encoder.piece(&mut out, piece.as_bytes(), DATE)?;
                }
            }
            Body::Elsewhere(length) => {
                let owed = encoder.head_for(&mut out, length, DATE)?;
                out.extend_from_slice(format!("<{owed} bytes>").as_bytes());
            }
        }
        encoder.finish(&mut out, DATE)
    })();
    let text = String::from_utf8(out).unwrap();
    (text.replace("Server: smarthttpd\r\n", "").replace(&format!("Date: {DATE}\r\n"), ""), ended)
}

#[test]
fn responses_are_framed_for_request_and_body() {
    use Body::{Elsewhere, Nothing, Pieces, Whole};
    use Persistence::{Close, KeepAlive};
    #[rustfmt::skip] // one row, one line
    let rows: &[(RequestFacts, &str, Headers, Body, &str, Persistence)] = &[
        // Content-Length
        (GET, "200 OK", &[("A", "b")], Whole("hi"), "200 OK\nA: b\nContent-Length: 2\n\nhi", KeepAlive),
        (GET, "200 OK", &[], Nothing, "200 OK\nContent-Length: 0\n\n", KeepAlive),
        (GET, "200 OK", &[], Whole(""), "200 OK\nContent-Length: 0\n\n", KeepAlive),
        (GET, "200 OK", &[("content-length", " 2 ")], Pieces(&["h", "i"]), "200 OK\nContent-Length: 2\n\nhi", KeepAlive),
        (GET, "200 OK", &[], Elsewhere(9), "200 OK\nContent-Length: 9\n\n<9 bytes>", KeepAlive),
        (GET, "200 OK", &[("Content-Length", "7")], Elsewhere(9), "200 OK\nContent-Length: 7\n\n<7 bytes>", KeepAlive),
        // The same length twice says nothing new; one line goes out.
        (GET, "200 OK", &[("Content-Length", "1"), ("Content-Length", "1")], Whole("a"), "200 OK\nContent-Length: 1\n\na", KeepAlive),
        // Too long is cut.
        (GET, "200 OK", &[("Content-Length", "3")], Whole("abcdef"), "200 OK\nContent-Length: 3\n\nabc", KeepAlive),
        (GET, "200 OK", &[("Content-Length", "3")], Pieces(&["ab", "cd", "ef"]), "200 OK\nContent-Length: 3\n\nabc", KeepAlive),
        (GET, "200 OK", &[("Content-Length", "0")], Whole("abc"), "200 OK\nContent-Length: 0\n\n", KeepAlive),
        // Chunks, none of them for an empty piece, which would be the last one.
        (GET, "200 OK", &[], Pieces(&["hello", "", "0123456789abcdef"]), "200 OK\nTransfer-Encoding: chunked\n\n5\nhello\n10\n0123456789abcdef\n0\n\n", KeepAlive),
        (CLOSING, "200 OK", &[], Pieces(&["a"]), "200 OK\nTransfer-Encoding: chunked\nConnection: close\n\n1\na\n0\n\n", Close),
        // Nothing but empty pieces is no body.
        (GET, "200 OK", &[], Pieces(&["", ""]), "200 OK\nContent-Length: 0\n\n", KeepAlive),
        // HTTP/1.0 has no chunks: the end of the connection is the end of the body, whatever the client asked for.
        (OLD, "200 OK", &[], Pieces(&["a", "b"]), "200 OK\nConnection: close\n\nab", Close),
        (OLD_KEEPING, "200 OK", &[], Pieces(&["a", "b"]), "200 OK\nConnection: close\n\nab", Close),
        (OLD_KEEPING, "200 OK", &[], Whole("a"), "200 OK\nContent-Length: 1\nConnection: keep-alive\n\na", KeepAlive),
        (OLD_KEEPING, "200 OK", &[("Content-Length", "2")], Pieces(&["a", "b"]), "200 OK\nContent-Length: 2\nConnection: keep-alive\n\nab", KeepAlive),
        (CLOSING, "200 OK", &[], Whole("a"), "200 OK\nContent-Length: 1\nConnection: close\n\na", Close),
        // HEAD: no body, and only a length that GET would have had.
        (HEAD, "200 OK", &[], Whole("hi"), "200 OK\nContent-Length: 2\n\n", KeepAlive),
        (HEAD, "200 OK", &[], Nothing, "200 OK\n\n", KeepAlive),
        (HEAD, "200 OK", &[], Whole(""), "200 OK\n\n", KeepAlive),
        (HEAD, "200 OK", &[("Content-Length", "99")], Nothing, "200 OK\nContent-Length: 99\n\n", KeepAlive),
        (HEAD, "200 OK", &[], Pieces(&["a", "b"]), "200 OK\n\n", KeepAlive),
        (HEAD, "200 OK", &[], Elsewhere(9), "200 OK\nContent-Length: 9\n\n<0 bytes>", KeepAlive),
        (RequestFacts { head: true, ..OLD_KEEPING }, "200 OK", &[], Pieces(&["a"]), "200 OK\nConnection: keep-alive\n\n", KeepAlive),
        // 204 and 304: no body, whatever the application gives.
        (GET, "204 No Content", &[("Content-Length", "0")], Nothing, "204 No Content\n\n", KeepAlive),
        (GET, "204 No Content", &[], Whole("oops"), "204 No Content\n\n", KeepAlive),
        (GET, "304 Not Modified", &[("Content-Length", "5")], Nothing, "304 Not Modified\nContent-Length: 5\n\n", KeepAlive),
        (GET, "304 Not Modified", &[], Whole(""), "304 Not Modified\n\n", KeepAlive),
        (GET, "304 Not Modified", &[], Whole("oops"), "304 Not Modified\n\n", KeepAlive),
        (GET, "304 Not Modified", &[], Pieces(&["oops"]), "304 Not Modified\n\n", KeepAlive),
        // 205: no body either, but a length that says so (RFC 9110 §15.3.6).
        (GET, "205 Reset Content", &[], Nothing, "205 Reset Content\nContent-Length: 0\n\n", KeepAlive),
        (GET, "205 Reset Content", &[("Content-Length", "4")], Whole("oops"), "205 Reset Content\nContent-Length: 0\n\n", KeepAlive),
        (GET, "205 Reset Content", &[], Pieces(&["o", "ops"]), "205 Reset Content\nContent-Length: 0\n\n", KeepAlive),
        (OLD, "205 Reset Content", &[], Elsewhere(4), "205 Reset Content\nContent-Length: 0\nConnection: close\n\n<0 bytes>", Close),
        (HEAD, "205 Reset Content", &[], Nothing, "205 Reset Content\nContent-Length: 0\n\n", KeepAlive),
        // The reason may be missing, its space may not.
        (GET, "404", &[], Nothing, "404 \nContent-Length: 0\n\n", KeepAlive),
        (GET, "404 ", &[], Nothing, "404 \nContent-Length: 0\n\n", KeepAlive),
        (GET, "999 Caf\u{e9}", &[], Nothing, "999 Caf\u{e9}\nContent-Length: 0\n\n", KeepAlive),
        // Values may be empty, and have bytes that are not ASCII.
        (GET, "200 OK", &[("A", ""), ("A", "\u{e9}\t")], Nothing, "200 OK\nA: \nA: \u{e9}\t\nContent-Length: 0\n\n", KeepAlive),
    ];
    for &(facts, status, headers, body, expected, persistence) in rows {
        let (text, ended) = encode(facts, status, headers, body);
        let what = format!("{facts:?} {status} {headers:?} {body:?}");
        let expected = format!("HTTP/1.1 {}", expected.replace('\n', "\r\n"));
        assert_eq!(text, expected, "{what}");
        assert_eq!(ended, Ok(persistence), "{what}");
    }
}

#[test]
fn headers_that_the_application_may_not_send_are_refused() {
    for (name, value, expected) in [
        ("A", "b\r\nC: d", "control character in the value of header A: \"b\\r\\nC: d\""),
        ("A", "b\nC: d", "control character in the value of header A: \"b\\nC: d\""),
        ("A", "b\r", "control character in the value of header A: \"b\\r\""),
        ("A", "\0", "control character in the value of header A: \"\\0\""),
        ("A", "\u{7f}", "control character in the value of header A: \"\\u{7f}\""),
        ("", "b", "invalid header name \"\""),
        ("A B", "c", "invalid header name \"A B\""),
        ("A:", "c", "invalid header name \"A:\""),
        ("A\r\nB", "c", "invalid header name \"A\\r\\nB\""),
        ("\u{e9}", "c", "invalid header name \"\u{e9}\""),
        ("Content-Length", "", "invalid Content-Length \"\""),
        ("Content-Length", "-1", "invalid Content-Length \"-1\""),
        ("Content-Length", "+1", "invalid Content-Length \"+1\""),
        ("Content-Length", "1, 1", "invalid Content-Length \"1, 1\""),
    ] {
        let mut encoder = ResponseEncoder::new();
        encoder.begin("200 OK").unwrap();
        let error = encoder.header(name.as_bytes(), value.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    for name in [
        "Connection",
        "keep-alive",
        "Proxy-Authenticate",
        "Proxy-Authorization",
        "TE",
        "Trailer",
        "Trailers",
        "TRANSFER-ENCODING",
        "Upgrade",
    ] {
        let mut encoder = ResponseEncoder::new();
        encoder.begin("200 OK").unwrap();
        assert_eq!(encoder.header(name.as_bytes(), b"close"), Err(ResponseError::HopByHop { name: name.to_owned() }));
    }
}

#[test]
fn differing_lengths_conflict() {
    let (text, ended) = encode(GET, "200 OK", &[("Content-Length", "1"), ("Content-Length", "2")], Body::Whole("a"));
    assert_eq!(text, "");
    assert_eq!(ended, Err(ResponseError::ConflictingContentLength { first: 1, second: 2 }));
}

#[test]
fn statuses_are_three_digits_and_final() {
    for status in [
        "",
        "20",
        "2000",
        "OK",
        "200OK",
        "200\tOK",
        "20x OK",
        "+20 OK",
        " 200 OK",
        "099 Low",
        "200 O\r\nK",
        "200 O\nK",
        "200 \0",
        "\u{e9}0 OK",
    ] {
        assert_eq!(
            ResponseEncoder::new().begin(status),
            Err(ResponseError::InvalidStatus { status: status.to_owned() }),
            "{status:?}"
        );
    }
    for status in ["100 Continue", "101 Switching Protocols", "199"] {
        assert_eq!(
            ResponseEncoder::new().begin(status),
            Err(ResponseError::InterimStatus { status: status.to_owned() })
        );
    }
}

#[test]
fn a_body_shorter_than_promised_is_an_error_at_the_end() {
    let promise: Headers = &[("Content-Length", "5")];
    for (body, sent) in
        [(Body::Whole("abc"), 3), (Body::Pieces(&["a", "b"]), 2), (Body::Elsewhere(4), 4), (Body::Whole(""), 0)]
    {
        let (text, ended) = encode(GET, "200 OK", promise, body);
        assert!(text.starts_with("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), "{body:?}: {text}");
        assert_eq!(ended, Err(ResponseError::TooShort { promised: 5, sent }), "{body:?}");
    }
}

#[test]
fn a_promised_body_that_never_began_leaves_room_for_an_error_response() {
    let mut encoder = ResponseEncoder::new();
    let mut out = Vec::new();
    encoder.reset(GET);
    encoder.begin("200 OK").unwrap();
    encoder.header(b"Content-Length", b"5").unwrap();
    encoder.piece(&mut out, b"", DATE).unwrap();
    assert_eq!(encoder.finish(&mut out, DATE), Err(ResponseError::TooShort { promised: 5, sent: 0 }));
    assert!(out.is_empty() && !encoder.committed());
    encoder.begin("500 Internal Server Error").unwrap();
    assert_eq!(encoder.finish(&mut out, DATE), Ok(Persistence::KeepAlive));
}

#[test]
fn date_and_server_are_added_unless_given() {
    let encoded = |headers: Headers| {
        let mut encoder = ResponseEncoder::new();
        let mut out = Vec::new();
        encoder.begin("200 OK").unwrap();
        for (name, value) in headers {
            encoder.header(name.as_bytes(), value.as_bytes()).unwrap();
        }
        encoder.finish(&mut out, DATE).unwrap();
        String::from_utf8(out).unwrap()
    };
    assert_eq!(
        encoded(&[]),
        format!(
            "HTTP/1.1 200 OK\r\nServer: smarthttpd\r\nDate: {DATE}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
    );
    assert_eq!(
        encoded(&[("date", "today"), ("SERVER", "mine")]),
        "HTTP/1.1 200 OK\r\ndate: today\r\nSERVER: mine\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
}

#[test]
fn a_second_begin_forgets_the_first() {
    let mut encoder = ResponseEncoder::new();
    let mut out = Vec::new();
    encoder.reset(GET);
    assert!(!encoder.started());
    encoder.begin("200 OK").unwrap();
    encoder.header(b"A", b"b").unwrap();
    encoder.header(b"Content-Length", b"5").unwrap();
    encoder.header(b"Server", b"mine").unwrap();
    assert!(encoder.started() && !encoder.committed());
    encoder.begin("500 Oh").unwrap();
    encoder.whole(&mut out, b"no", DATE).unwrap();
    assert_eq!(encoder.finish(&mut out, DATE), Ok(Persistence::KeepAlive));
    assert_eq!(
        String::from_utf8(out).unwrap(),
        format!("HTTP/1.1 500 Oh\r\nServer: smarthttpd\r\nDate: {DATE}\r\nContent-Length: 2\r\n\r\nno")
    );
    assert_eq!(encoder.status_code(), 500);
}

#[test]
fn calls_out_of_order_are_refused() {
    let mut encoder = ResponseEncoder::new();
    let mut out = Vec::new();
    assert_eq!(encoder.header(b"A", b"b"), Err(ResponseError::NotStarted));
    assert_eq!(encoder.whole(&mut out, b"a", DATE), Err(ResponseError::NotStarted));
    assert_eq!(encoder.piece(&mut out, b"", DATE), Err(ResponseError::NotStarted));
    assert_eq!(encoder.head_for(&mut out, 1, DATE), Err(ResponseError::NotStarted));
    assert_eq!(encoder.finish(&mut out, DATE), Err(ResponseError::NotStarted));
    assert!(out.is_empty());

    encoder.begin("200 OK").unwrap();
    encoder.piece(&mut out, b"a", DATE).unwrap();
    assert_eq!(encoder.begin("500 Oh"), Err(ResponseError::Committed));
    assert_eq!(encoder.header(b"A", b"b"), Err(ResponseError::Committed));
    assert_eq!(encoder.head_for(&mut out, 1, DATE), Err(ResponseError::Committed));
    // One more piece after all.
    encoder.whole(&mut out, b"b", DATE).unwrap();
    encoder.finish(&mut out, DATE).unwrap();

    let length = out.len();
    assert_eq!(encoder.piece(&mut out, b"a", DATE), Err(ResponseError::Finished));
    assert_eq!(encoder.whole(&mut out, b"a", DATE), Err(ResponseError::Finished));
    assert_eq!(encoder.header(b"A", b"b"), Err(ResponseError::Committed));
    assert_eq!(encoder.finish(&mut out, DATE), Ok(Persistence::Close));
    assert_eq!(out.len(), length, "nothing is written after the end");
}

#[test]
fn the_access_log_learns_what_was_sent() {
    for (facts, headers, body, sent, overran) in [
        (GET, &[] as Headers, Body::Whole("abc"), 3, false),
        (GET, &[], Body::Pieces(&["ab", "c"]), 3, false),
        (GET, &[("Content-Length", "2")], Body::Pieces(&["ab", "c"]), 2, true),
        (GET, &[("Content-Length", "2")], Body::Whole("abc"), 2, true),
        (GET, &[("Content-Length", "2")], Body::Elsewhere(3), 2, true),
        // Nobody expects the application to know that HEAD has no body.
        (HEAD, &[("Content-Length", "3")], Body::Whole("abc"), 0, false),
    ] {
        let mut encoder = ResponseEncoder::new();
        let mut out = Vec::new();
        encoder.reset(facts);
        encoder.begin("200 OK").unwrap();
        for (name, value) in headers {
            encoder.header(name.as_bytes(), value.as_bytes()).unwrap();
        }
        match body {
            Body::Nothing => {}
            Body::Whole(body) => encoder.whole(&mut out, body.as_bytes(), DATE).unwrap(),
            Body::Pieces(pieces) => {
                for piece in pieces {
                    encoder.piece(&mut out, piece.as_bytes(), DATE).unwrap();
                }
            }
            Body::Elsewhere(length) => {
                encoder.head_for(&mut out, length, DATE).unwrap();
            }
        }
        assert_eq!(
            (encoder.sent_body_bytes(), encoder.overran(), encoder.status_code()),
            (sent, overran, 200),
            "{body:?}"
        );
    }
}

#[test]
fn a_server_about_to_stop_says_so_if_there_is_time() {
    for (facts, early, expected) in
        [(GET, true, "Connection: close\r\n"), (OLD_KEEPING, true, "Connection: close\r\n"), (GET, false, "")]
    {
        let mut encoder = ResponseEncoder::new();
        let mut out = Vec::new();
        encoder.reset(facts);
        if early {
            encoder.close_after();
        }
        encoder.begin("200 OK").unwrap();
        encoder.whole(&mut out, b"", DATE).unwrap();
        if !early {
            encoder.close_after();
        }
        assert_eq!(encoder.finish(&mut out, DATE), Ok(Persistence::Close));
        let text = String::from_utf8(out).unwrap();
        assert!(text.ends_with(&format!("Content-Length: 0\r\n{expected}\r\n")), "{text}");
        // It holds for one response.
        encoder.reset(facts);
        assert_eq!(encoder.persistence(), Persistence::KeepAlive);
    }
}

#[test]
fn chunk_sizes_are_hexadecimal_without_padding() {
    for number in [0, 1, 9, 10, 15, 16, 255, 256, 4096, 65_535, 65_536, usize::MAX] {
        let mut out = Vec::new();
        write_hexadecimal(&mut out, number);
        assert_eq!(String::from_utf8(out).unwrap(), format!("{number:x}"));
    }
}
