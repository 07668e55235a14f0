//! What the fixtures in `cases` can't show: reuse, copies, offsets, and calls that make no sense.

use super::*;

fn parsed(bytes: &[u8]) -> (RequestHead, usize) {
    let mut head = RequestHead::default();
    match head.parse(bytes, 0, &Limits::default()) {
        Ok(Parse::Complete { head_len }) => (head, head_len),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_length_reaches_from_the_skipped_lines_to_the_empty_one() {
    let bytes = b"\r\n\r\nPOST /a HTTP/1.1\r\nHost: b\r\nContent-Length: 4\r\n\r\nbody";
    let (head, head_len) = parsed(bytes);
    assert_eq!(&bytes[head_len..], b"body");
    assert_eq!(head.method(bytes), "POST");
    assert_eq!(head.target(bytes), "/a");
    assert_eq!(head.framing(), Framing::Length(4));
}

#[test]
fn spans_hold_in_a_copy_of_the_bytes() {
    let bytes = b"GET http://c/a?b HTTP/1.5\r\nHost: d\r\n\r\n".to_vec();
    let (head, head_len) = parsed(&bytes);
    let copy = bytes[..head_len].to_vec();
    drop(bytes);
    assert_eq!(head.authority(&copy), Some("c"));
    assert_eq!(head.path(&copy), "/a");
    assert_eq!(head.query(&copy), "b");
    assert_eq!(head.headers(&copy).collect::<Vec<_>>(), [("Host", &b"d"[..])]);
}

#[test]
fn names_are_found_in_any_case_and_the_first_counts() {
    let bytes = b"GET / HTTP/1.1\r\nHost: a\r\nX-Y: 1\r\nx-y: 2\r\nX-Y-Z: 3\r\n\r\n";
    let (head, _) = parsed(bytes);
    for (name, expected) in
        [("X-Y", Some("1")), ("x-Y", Some("1")), ("HOST", Some("a")), ("X-Y-Z", Some("3")), ("X", None), ("", None)]
    {
        assert_eq!(head.header(bytes, name), expected.map(str::as_bytes), "{name}");
    }
}

#[test]
fn nothing_of_one_request_shows_in_the_next() {
    let mut head = RequestHead::default();
    let limits = Limits::default();
    let first = b"HEAD http://c/a?b HTTP/1.0\r\nHost: d\r\nConnection: keep-alive\r\nContent-Length: 3\r\nX: y\r\n\r\n";
    let put = b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n";
    let plain = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    for bytes in [&first[..], put] {
        assert!(matches!(head.parse(bytes, 0, &limits), Ok(Parse::Complete { .. })));
    }
    assert!(head.expects_continue() && !head.is_head());
    assert!(matches!(head.parse(plain, 0, &limits), Ok(Parse::Complete { .. })));
    assert_eq!(head.authority(plain), None);
    assert_eq!((head.path(plain), head.query(plain)), ("/", ""));
    assert_eq!(head.version(), Version::Http11);
    assert_eq!(head.framing(), Framing::None);
    assert!(!head.expects_continue() && !head.keep_alive());
    assert_eq!(head.headers(plain).count(), 2);
}

#[test]
fn the_wrong_bytes_give_nothing_and_no_panic() {
    let bytes = b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n";
    let (head, _) = parsed(bytes);
    for wrong in [&b""[..], b"GE", &[0xff; 64]] {
        assert_eq!(head.method(wrong), "");
        assert_eq!(head.path(wrong), "");
        assert_eq!(head.header(wrong, "Host"), None);
        assert_eq!(head.headers(wrong).count(), 1);
    }
    let unparsed = RequestHead::default();
    assert_eq!((unparsed.method(bytes), unparsed.path(bytes)), ("", "/"));
    assert!(!unparsed.keep_alive());
}

#[test]
fn no_limits_of_zero_or_of_everything_break_it() {
    let bytes = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let none = Limits { request_line: 0, header_count: 0, header_bytes: 0, body: 0 };
    let all = Limits { request_line: usize::MAX, header_count: usize::MAX, header_bytes: usize::MAX, body: u64::MAX };
    let mut head = RequestHead::default();
    assert_eq!(head.parse(bytes, 0, &none), Err(Refusal::RequestLineTooLong));
    assert_eq!(head.parse(bytes, 0, &all), Ok(Parse::Complete { head_len: bytes.len() }));
}
