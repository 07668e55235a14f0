//! A request's head: accepted if and only if the simplest of readers accepts it, with the same meaning, however its bytes
//! arrive; and what is refused stays refused.

#![no_main]

#[path = "../../server/http/tests/wire/reference/mod.rs"]
#[allow(dead_code, reason = "the other readers are for other targets")]
mod reference;
mod splits;

use http1::{Limits, Parse, Refusal, RequestHead};
use libfuzzer_sys::fuzz_target;

/// Small enough for the fuzzer to reach all of them.
const TIGHT: Limits = Limits { request_line: 40, header_count: 4, header_bytes: 120, body: 9 };

fuzz_target!(|bytes: &[u8]| {
    for limits in [Limits::default(), TIGHT] {
        let mut head = RequestHead::default();
        let whole = head.parse(bytes, 0, &limits);
        splits::each_way(bytes, |pieces| assert_eq!(verdict(bytes, pieces, &limits), whole, "{pieces:?}"));

        // Had it been searched before, it would be the same.
        if whole == Ok(Parse::Incomplete) {
            assert_eq!(head.parse(bytes, bytes.len(), &limits), whole);
        }
        match reference::head::read(bytes, &limits) {
            None => assert!(!matches!(whole, Ok(Parse::Complete { .. })), "accepted: {whole:?}"),
            Some(expected) => {
                assert_eq!(whole, Ok(Parse::Complete { head_len: expected.len }));
                assert_eq!(head.method(bytes), expected.method);
                assert_eq!(head.target(bytes), expected.target);
                let fields: Vec<_> =
                    head.headers(bytes).map(|(name, value)| (name.to_owned(), value.to_vec())).collect();
                assert_eq!(fields, expected.fields);
                assert_eq!(head.framing(), expected.framing);
                assert_eq!(head.keep_alive(), expected.keep_alive);
                assert_eq!(head.expects_continue(), expected.expects_continue);
                // What the parts of a target are taken from.
                let (target, path, query) = (head.target(bytes), head.path(bytes), head.query(bytes));
                assert!(target.contains(path) || path == "/" || path == "*");
                assert!(query.is_empty() || target.ends_with(&format!("?{query}")));
                assert!(head.authority(bytes).is_none_or(|authority| target.contains(&format!("://{authority}"))));
            }
        }
        // More bytes change nothing about a verdict.
        if whole != Ok(Parse::Incomplete) {
            let longer = [bytes, b"\r\nx"].concat();
            assert_eq!(RequestHead::default().parse(&longer, 0, &limits), whole);
        }
    }
});

/// What a connection finds that reads in these pieces.
fn verdict(bytes: &[u8], pieces: &[usize], limits: &Limits) -> Result<Parse, Refusal> {
    let mut head = RequestHead::default();
    let (mut seen, mut read) = (0, 0usize);
    for piece in pieces.iter().cycle() {
        read = bytes.len().min(read.saturating_add(*piece));
        match head.parse(&bytes[..read], seen, limits) {
            Ok(Parse::Incomplete) if read < bytes.len() => seen = read,
            verdict => return verdict,
        }
    }
    Ok(Parse::Incomplete)
}
