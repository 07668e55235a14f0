//! What must hold for all inputs: the verdict does not depend on how the bytes arrive, a reader of the simplest kind
//! agrees on chunked bodies, and what one side encodes the other decodes.

mod reader;

use http1::{
    BodyDecoder, CONTINUE, Decoded, Framing, Limits, Persistence, Refusal, RequestFacts, ResponseEncoder, Version,
    error_response,
};
use proptest::collection::vec;
use proptest::prelude::*;
use reader::{End, read};

const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

/// Bytes that look like requests: lines that are right, nearly right, and wrong, in any order.
fn almost_requests() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        8 => Just(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()),
        4 => Just(b"POST /a?b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello".to_vec()),
        4 => Just(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec()),
        4 => Just(b"3;x\r\nabc\r\n".to_vec()),
        4 => Just(b"0\r\n\r\n".to_vec()),
        2 => Just(b"0\r\nA: b\r\n\r\n".to_vec()),
        2 => Just(b"GET / HTTP/1.0\r\n".to_vec()),
        1 => Just(b"GET / HTTP/1.3\r\n".to_vec()),
        2 => Just(b"Host: a\r\n".to_vec()),
        2 => Just(b"Content-Length: 3\r\n".to_vec()),
        1 => Just(b"Transfer-Encoding: gzip, chunked\r\n".to_vec()),
        1 => Just(b"Expect: 100-continue\r\n".to_vec()),
        1 => Just(b"X: some longer value to pass a limit with\r\n".to_vec()),
        3 => Just(b"\r\n".to_vec()),
        1 => Just(b"\n".to_vec()),
        1 => Just(b"\r".to_vec()),
        1 => Just(b" ".to_vec()),
        1 => vec(any::<u8>(), 1..4),
    ];
    vec(part, 0..10).prop_map(|parts| parts.concat())
}

fn any_limits() -> impl Strategy<Value = Limits> {
    (10usize..40, 1usize..6, 20usize..120, 0u64..12).prop_map(|(request_line, header_count, header_bytes, body)| {
        Limits { request_line, header_count, header_bytes, body }
    })
}

/// The chunked coding as its grammar reads: everything at once, without extensions and trailers. `None` when there is
/// anything wrong with it, or not all of it is there.
fn reference(mut bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut body = Vec::new();
    loop {
        let line_end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
        let size = str::from_utf8(&bytes[..line_end]).ok()?;
        if size.is_empty() || !size.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let size = usize::from_str_radix(size, 16).ok()?;
        bytes = &bytes[line_end + 2..];
        if size == 0 {
            return Some((body, bytes.strip_prefix(b"\r\n")?));
        }
        body.extend_from_slice(bytes.get(..size)?);
        bytes = bytes[size..].strip_prefix(b"\r\n")?;
    }
}

/// A response as a client reads it: status, headers, body by its framing, and what is left of the bytes.
struct Received<'a> {
    status: &'a str,
    headers: Vec<(&'a str, &'a str)>,
    body: Vec<u8>,
    rest: &'a [u8],
}

fn receive(bytes: &[u8], to_head: bool) -> Received<'_> {
    let head_len = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
    let mut lines = str::from_utf8(&bytes[..head_len - 4]).unwrap().split("\r\n");
    let status = lines.next().unwrap().strip_prefix("HTTP/1.1 ").unwrap();
    let headers: Vec<_> = lines.map(|line| line.split_once(": ").unwrap()).collect();
    let value = |name: &str| headers.iter().find(|(found, _)| *found == name).map(|(_, value)| *value);
    let rest = &bytes[head_len..];
    assert!(value("Content-Length").is_none() || value("Transfer-Encoding").is_none(), "two framings");
    let (body, rest) = if to_head || status.starts_with("204") || status.starts_with("304") {
        (Vec::new(), rest)
    } else if let Some(length) = value("Content-Length") {
        let (body, rest) = rest.split_at(length.parse().unwrap());
        (body.to_vec(), rest)
    } else if value("Transfer-Encoding") == Some("chunked") {
        let (body, after) = reference(rest).expect("well-formed chunks");
        let mut decoded = Vec::new();
        let verdict = BodyDecoder::new(Framing::Chunked, &Limits::default()).decode(rest, &mut decoded);
        let consumed = rest.len() - after.len();
        assert_eq!(verdict, Ok(Decoded { consumed, complete: true }));
        assert_eq!(decoded, body);
        (body, after)
    } else {
        assert_eq!(value("Connection"), Some("close"), "no framing on a connection that stays open");
        (rest.to_vec(), &[][..])
    };
    Received { status, headers, body, rest }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_verdict_does_not_depend_on_how_the_bytes_arrive(
        bytes in almost_requests(),
        pieces in vec(1usize..40, 1..6),
        limits in any_limits(),
    ) {
        for limits in [limits, Limits::default()] {
            let whole = read(&bytes, &[usize::MAX], &limits);
            prop_assert_eq!(&read(&bytes, &pieces, &limits), &whole);
            prop_assert_eq!(&read(&bytes, &[1], &limits), &whole);
        }
    }

    #[test]
    fn a_refusal_stands_whatever_follows(
        bytes in almost_requests(),
        more in almost_requests(),
        limits in any_limits(),
    ) {
        let (messages, end) = read(&bytes, &[usize::MAX], &limits);
        if let End::Refused(_) = end {
            let longer = [bytes, more].concat();
            prop_assert_eq!(read(&longer, &[usize::MAX], &limits), (messages, end));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..200), pieces in vec(1usize..40, 1..3)) {
        let whole = read(&bytes, &[usize::MAX], &Limits::default());
        prop_assert_eq!(read(&bytes, &pieces, &Limits::default()), whole);
    }

    #[test]
    fn accepted_values_have_no_control_characters(value in vec(any::<u8>(), 0..80)) {
        let bytes = [b"GET / HTTP/1.1\r\nHost: a\r\nX: .", &value[..], b".\r\n\r\n"].concat();
        let text = value.iter().all(|&byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f));
        let (messages, _) = read(&bytes, &[usize::MAX], &Limits::default());
        let expected = [b".", &value[..], b"."].concat();
        let accepted = messages.first().is_some_and(|message| message.headers[1].1 == expected);
        prop_assert_eq!(accepted, text);
    }

    #[test]
    fn chunks_decode_as_the_reference_does(
        parts in vec(prop_oneof![
            4 => vec(any::<u8>(), 1..20).prop_map(|data| [format!("{:x}\r\n", data.len()).as_bytes(), &data, b"\r\n"].concat()),
            2 => Just(b"0\r\n\r\n".to_vec()),
            1 => Just(b"00A\r\n0123456789\r\n".to_vec()),
            1 => prop::sample::select(vec!["\r\n", "\n", "\r", "5", "g", "-1\r\n", "+1\r\na\r\n", " 1\r\na\r\n", "2\r\na\r\n"])
                .prop_map(|text| text.as_bytes().to_vec()),
        ], 0..8),
        pieces in vec(1usize..10, 1..4),
    ) {
        let bytes = parts.concat();
        let head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let (messages, _) = read(&[head, &bytes[..]].concat(), &pieces, &Limits::default());
        let decoded = messages.into_iter().next().map(|message| message.body);
        prop_assert_eq!(decoded, reference(&bytes).map(|(body, _)| body));
    }

    #[test]
    fn a_body_is_never_longer_than_its_limit(
        sizes in vec(1usize..20, 1..10),
        limit in 0u64..60,
        pieces in vec(1usize..30, 1..4),
    ) {
        let limits = Limits { body: limit, ..Limits::default() };
        let mut bytes = Vec::new();
        for &size in &sizes {
            bytes.extend_from_slice(format!("{size:x}\r\n{}\r\n", "x".repeat(size)).as_bytes());
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
        let mut decoder = BodyDecoder::new(Framing::Chunked, &limits);
        let mut body = Vec::new();
        let mut rest = &bytes[..];
        let mut pieces = pieces.iter().cycle();
        let verdict = loop {
            let piece = &rest[..rest.len().min(*pieces.next().unwrap())];
            match decoder.decode(piece, &mut body) {
                Ok(decoded) if decoded.complete => break Ok(()),
                Ok(decoded) => rest = &rest[decoded.consumed..],
                Err(refusal) => break Err(refusal),
            }
        };
        let total = sizes.iter().sum::<usize>() as u64;
        prop_assert!(body.len() as u64 <= limit);
        prop_assert_eq!(verdict, if total <= limit { Ok(()) } else { Err(Refusal::BodyTooLarge) });
    }

    #[test]
    fn what_is_encoded_is_received(
        head in any::<bool>(),
        old in any::<bool>(),
        keep_alive in any::<bool>(),
        status in prop::sample::select(vec!["200 OK", "204 No Content", "304 Not Modified", "404 Not Found", "599"]),
        promised in prop::option::of(0u64..40),
        pieces in vec(vec(any::<u8>(), 0..20), 0..5),
        as_whole in any::<bool>(),
    ) {
        let version = if old { Version::Http10 } else { Version::Http11 };
        let payload = pieces.concat();
        let bodiless = head || matches!(status, "204 No Content" | "304 Not Modified");
        let mut encoder = ResponseEncoder::new();
        let mut out = Vec::new();
        encoder.reset(RequestFacts { head, version, keep_alive });
        encoder.begin(status).unwrap();
        encoder.header(b"X-Name", b"value").unwrap();
        if let Some(length) = promised {
            encoder.header(b"Content-Length", length.to_string().as_bytes()).unwrap();
        }
        if as_whole {
            encoder.whole(&mut out, &payload, DATE).unwrap();
        } else {
            for piece in &pieces {
                encoder.piece(&mut out, piece, DATE).unwrap();
            }
        }
        let ended = encoder.finish(&mut out, DATE);

        if !bodiless && promised.is_some_and(|length| length > payload.len() as u64) {
            prop_assert!(ended.is_err(), "a body that is too short passed for complete");
            return Ok(());
        }
        let persistence = ended.unwrap();
        let next = b"HTTP/1.1 200 OK";
        if persistence == Persistence::KeepAlive {
            out.extend_from_slice(next);
        }
        let received = receive(&out, head);
        let expected = match promised {
            _ if bodiless => &[][..],
            Some(length) => &payload[..length as usize],
            None => &payload[..],
        };
        prop_assert_eq!(received.status.trim_end(), status);
        prop_assert_eq!(&received.body, expected);
        prop_assert_eq!(encoder.sent_body_bytes(), expected.len() as u64);
        prop_assert!(received.headers.contains(&("X-Name", "value")));
        // The next response on the connection is found where this one ends.
        if persistence == Persistence::KeepAlive {
            prop_assert!(keep_alive);
            prop_assert_eq!(received.rest, next);
        }
        // The client learns what happens to the connection.
        let said = received.headers.iter().find(|(name, _)| *name == "Connection").map(|(_, value)| *value);
        prop_assert_eq!(said, match (persistence, version) {
            (Persistence::Close, _) => Some("close"),
            (Persistence::KeepAlive, Version::Http10) => Some("keep-alive"),
            (Persistence::KeepAlive, Version::Http11) => None,
        });
    }

    #[test]
    fn no_header_smuggles_a_line(name in vec(any::<u8>(), 0..6), value in vec(any::<u8>(), 0..12)) {
        let mut encoder = ResponseEncoder::new();
        let mut out = Vec::new();
        encoder.begin("200 OK").unwrap();
        let taken = encoder.header(&name, &value).is_ok();
        encoder.finish(&mut out, DATE).unwrap();
        let lines = out.split(|&byte| byte == b'\n').count();
        prop_assert_eq!(lines, if taken { 8 } else { 7 });
        let mut slots = [httparse::EMPTY_HEADER; 8];
        prop_assert!(httparse::Response::new(&mut slots).parse(&out).is_ok_and(|status| status.is_complete()));
    }
}

#[test]
fn error_responses_are_whole() {
    for head_only in [false, true] {
        let mut out = Vec::new();
        error_response(
            &mut out,
            Refusal::MissingHost.status(),
            &Refusal::MissingHost.to_string(),
            &[("Retry-After", "1")],
            DATE,
            head_only,
        );
        let received = receive(&out, head_only);
        assert_eq!(received.status, "400 Bad Request");
        assert_eq!(
            received.headers,
            [
                ("Server", "smarthttpd"),
                ("Date", DATE),
                ("Connection", "close"),
                ("Content-Type", "text/plain; charset=utf-8"),
                ("Content-Length", "30"),
                ("Retry-After", "1"),
            ]
        );
        let body: &[u8] = if head_only { b"" } else { b"400 Bad Request: missing Host\n" };
        assert_eq!(received.body, body);
        assert!(received.rest.is_empty());
    }
}

#[test]
fn the_interim_response_is_a_whole_head() {
    let received = receive(CONTINUE, true);
    assert_eq!(received.status, "100 Continue");
    assert!(received.headers.is_empty() && received.rest.is_empty());
}
