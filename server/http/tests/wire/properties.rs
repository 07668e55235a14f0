//! What must hold for all inputs: the verdict does not depend on how the bytes arrive, a reader of the simplest kind
//! agrees on chunked bodies, and what one side encodes the other decodes.

use http1::{
    BodyDecoder, CONTINUE, Framing, Limits, Parse, Persistence, Refusal, RequestFacts, RequestHead, ResponseEncoder,
    ResponseError, Version, error_response,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::reader::{End, read};
use crate::reference::{chunked, head, response};

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

/// The body at the start of `bytes`, and its length there, if all of it is there.
fn body(framing: Framing, bytes: &[u8], limits: &Limits) -> Option<(Vec<u8>, usize)> {
    match framing {
        Framing::None => Some((Vec::new(), 0)),
        Framing::Length(length) => bytes.get(..length as usize).map(|body| (body.to_vec(), body.len())),
        Framing::Chunked => chunked::read(bytes, limits.body, limits.header_bytes),
    }
}

/// How an application gives its body.
#[derive(Debug, Clone, Copy)]
enum How {
    Whole,
    Pieces,
    Elsewhere,
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
    fn what_is_accepted_is_what_the_reference_accepts(bytes in almost_requests(), limits in any_limits()) {
        for limits in [limits, Limits::default()] {
            let (messages, end) = read(&bytes, &[usize::MAX], &limits);
            let mut rest = &bytes[..];
            for message in &messages {
                let expected = head::read(rest, &limits);
                prop_assert!(expected.is_some(), "accepted {message:?}");
                let expected = expected.unwrap();
                prop_assert_eq!(&message.method, &expected.method);
                prop_assert_eq!(&message.target, &expected.target);
                prop_assert_eq!(&message.headers, &expected.fields);
                prop_assert_eq!(message.framing, expected.framing);
                prop_assert_eq!(message.keep_alive, expected.keep_alive);
                prop_assert_eq!(message.expects_continue, expected.expects_continue);
                rest = &rest[expected.len..];
                let body = body(message.framing, rest, &limits);
                prop_assert!(body.is_some(), "no body {message:?}");
                let (body, consumed) = body.unwrap();
                prop_assert_eq!(&message.body, &body);
                rest = &rest[consumed..];
            }
            // And what was not accepted is not there.
            let next = head::read(rest, &limits);
            let whole = next.and_then(|next| body(next.framing, &rest[next.len..], &limits));
            prop_assert!(whole.is_none(), "{end:?} at {rest:?}");
            prop_assert_eq!(end == End::Clean, rest.is_empty());
        }
    }

    #[test]
    fn heads_that_differ_in_a_few_bytes_are_judged_as_by_the_reference(
        head in prop::sample::select(vec![
            "GET /a%20b?c=d HTTP/1.1\r\nHost: a.example:80\r\nAccept: */*\r\nConnection: keep-alive, x\r\n\r\n",
            "POST http://[::1]:80/ HTTP/1.0\r\nContent-Length: 12\r\nExpect: 100-continue\r\n\r\n",
            "PUT /f HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: [::1]\r\nExpect: 100-continue\r\n\r\n",
            "OPTIONS * HTTP/1.2\r\nHost:a\r\nX:\r\n\r\n",
        ]),
        changes in vec((any::<prop::sample::Index>(), prop_oneof![
            Just(Vec::new()),
            prop::sample::select(&b"\r\n\t :/%?#*,;.0[]@"[..]).prop_map(|byte| vec![byte]),
            any::<u8>().prop_map(|byte| vec![byte]),
            prop::sample::select(vec!["\r\n", "\r\n\r\n", "chunked", "%2", "close", "HTTP/1.1", "\r\nHost: b"])
                .prop_map(|text| text.as_bytes().to_vec()),
        ], any::<bool>()), 0..4),
        limits in any_limits(),
    ) {
        let mut bytes = head.as_bytes().to_vec();
        for (at, new, replaces) in changes {
            let at = at.index(bytes.len());
            bytes.splice(at..at + usize::from(replaces), new);
            prop_assume!(!bytes.is_empty());
        }
        for limits in [limits, Limits::default()] {
            let mut head = RequestHead::default();
            let parsed = head.parse(&bytes, 0, &limits);
            let len = match parsed {
                Ok(Parse::Complete { head_len }) => Some(head_len),
                Ok(Parse::Incomplete) | Err(_) => None,
            };
            let expected = head::read(&bytes, &limits);
            prop_assert_eq!(len, expected.as_ref().map(|expected| expected.len), "{:?}", parsed);
            if let Some(expected) = expected {
                let fields = head.headers(&bytes).map(|(name, value)| (name.to_owned(), value.to_vec()));
                prop_assert_eq!(fields.collect::<Vec<_>>(), expected.fields);
                prop_assert_eq!(head.method(&bytes), expected.method);
                prop_assert_eq!(head.target(&bytes), expected.target);
                prop_assert_eq!(head.framing(), expected.framing);
                prop_assert_eq!(head.keep_alive(), expected.keep_alive);
                prop_assert_eq!(head.expects_continue(), expected.expects_continue);
            }
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
            6 => vec(any::<u8>(), 1..20)
                .prop_map(|data| [format!("{:x}\r\n", data.len()).as_bytes(), &data, b"\r\n"].concat()),
            2 => Just(b"0\r\n\r\n".to_vec()),
            1 => Just(b"00A\r\n0123456789\r\n".to_vec()),
            1 => Just(b"3 \t;a=\"b\"; c\r\nabc\r\n".to_vec()),
            1 => Just(b"0;z\r\nA: b\r\nC:\r\n\r\n".to_vec()),
            1 => prop::sample::select(vec![
                "\r\n", "\n", "\r", "5", "g", "-1\r\n", "+1\r\na\r\n", " 1\r\na\r\n", "2\r\na\r\n", "1 \r\na\r\n",
                "1;\r\na\r\n", "1;a\na\r\n", "0\r\nA : b\r\n\r\n", "0\r\n A: b\r\n\r\n", "0\r\nA: b\n\r\n", "0\r\n:\r\n\r\n",
                "00000000000000001\r\na\r\n", "ffffffffffffffff\r\n", "10000000000000000\r\n",
            ]).prop_map(|text| text.as_bytes().to_vec()),
            1 => vec(any::<u8>(), 1..4),
        ], 0..8),
        pieces in vec(1usize..10, 1..4),
        body_limit in prop_oneof![0u64..40, Just(u64::MAX)],
        header_bytes in 0usize..20,
    ) {
        let bytes = parts.concat();
        let limits = Limits { body: body_limit, header_bytes, ..Limits::default() };
        let mut decoder = BodyDecoder::new(Framing::Chunked, &limits);
        let (mut body, mut consumed, mut pieces) = (Vec::new(), 0, pieces.into_iter().cycle());
        while consumed < bytes.len() && !decoder.is_complete() {
            let end = bytes.len().min(consumed + pieces.next().unwrap_or(1));
            match decoder.decode(&bytes[consumed..end], &mut body) {
                Ok(decoded) => consumed += decoded.consumed,
                Err(_) => break,
            }
        }
        let decoded = decoder.is_complete().then_some((body, consumed));
        prop_assert_eq!(decoded, chunked::read(&bytes, body_limit, header_bytes));
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
        status in prop::sample::select(vec![
            "200 OK", "204 No Content", "205 Reset Content", "304 Not Modified", "404 Not Found", "599",
        ]),
        promised in prop::option::of(0u64..40),
        fields in vec(("[!#$%&'*+.^_`|~0-9a-zA-Z-]{1,12}", "[ -~\t]{0,30}"), 0..5),
        pieces in vec(vec(any::<u8>(), 0..20), 0..5),
        how in prop::sample::select(vec![How::Whole, How::Pieces, How::Elsewhere]),
    ) {
        let version = if old { Version::Http10 } else { Version::Http11 };
        let payload = pieces.concat();
        let bodiless = head || matches!(&status[..3], "204" | "205" | "304");
        let mut encoder = ResponseEncoder::new();
        let mut out = Vec::new();
        encoder.reset(RequestFacts { head, version, keep_alive });
        encoder.begin(status).unwrap();
        let mut taken = Vec::new();
        for (name, value) in &fields {
            match encoder.header(name.as_bytes(), value.as_bytes()) {
                Ok(()) => taken.push((name.clone(), value.trim_matches([' ', '\t']).as_bytes().to_vec())),
                Err(error) => prop_assert!(matches!(error, ResponseError::HopByHop { .. }), "{error}"),
            }
        }
        if let Some(length) = promised {
            encoder.header(b"Content-Length", length.to_string().as_bytes()).unwrap();
        }
        match how {
            How::Whole => encoder.whole(&mut out, &payload, DATE).unwrap(),
            How::Pieces => pieces.iter().for_each(|piece| encoder.piece(&mut out, piece, DATE).unwrap()),
            How::Elsewhere => {
                let owed = encoder.head_for(&mut out, payload.len() as u64, DATE).unwrap();
                out.extend_from_slice(&payload[..owed as usize]);
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
        let received = response::read(&out, head);
        prop_assert!(received.is_some(), "{}", String::from_utf8_lossy(&out));
        let received = received.unwrap();
        let expected = match promised {
            _ if bodiless => &[][..],
            Some(length) => &payload[..length as usize],
            None => &payload[..],
        };
        prop_assert_eq!(received.code.to_string(), &status[..3]);
        prop_assert_eq!(&received.body, expected);
        prop_assert_eq!(encoder.sent_body_bytes(), expected.len() as u64);
        // The application's fields come first, in its order.
        prop_assert!(received.fields.starts_with(&taken), "{:?}", received.fields);
        let given = |name: &str| taken.iter().filter(|(taken, _)| taken.eq_ignore_ascii_case(name)).count();
        prop_assert_eq!(received.all("date").len(), given("date").max(1));
        prop_assert_eq!(received.all("server").len(), given("server").max(1));
        // The next response on the connection is found where this one ends.
        if persistence == Persistence::KeepAlive {
            prop_assert!(keep_alive);
            prop_assert_eq!(received.rest, next);
        }
        // RFC 9112 §6.1: no chunks for HTTP/1.0.
        prop_assert!(!old || received.all("transfer-encoding").is_empty());
        // The client learns what happens to the connection.
        let said: &[&str] = match (persistence, version) {
            (Persistence::Close, _) => &["close"],
            (Persistence::KeepAlive, Version::Http10) => &["keep-alive"],
            (Persistence::KeepAlive, Version::Http11) => &[],
        };
        prop_assert_eq!(received.all("connection"), said);
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
        let received = response::read(&out, head_only).unwrap();
        assert_eq!((received.code, received.reason), (400, "Bad Request"));
        let fields: Vec<_> = received.fields.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        assert_eq!(
            fields,
            [
                ("Server", &b"smarthttpd"[..]),
                ("Date", DATE.as_bytes()),
                ("Connection", b"close"),
                ("Content-Type", b"text/plain; charset=utf-8"),
                ("Content-Length", b"30"),
                ("Retry-After", b"1"),
            ]
        );
        let body: &[u8] = if head_only { b"" } else { b"400 Bad Request: missing Host\n" };
        assert_eq!(received.body, body);
        assert!(received.rest.is_empty());
    }
}

#[test]
fn the_interim_response_is_a_whole_head() {
    let received = response::read(CONTINUE, false).unwrap();
    assert_eq!((received.code, received.reason), (100, "Continue"));
    assert!(received.fields.is_empty() && received.rest.is_empty());
}
