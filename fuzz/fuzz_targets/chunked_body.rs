//! A body in the chunked coding: the same payload as the simplest of readers finds, or none, however its bytes arrive.

#![no_main]

#[path = "../../server/http/tests/wire/reference/mod.rs"]
#[allow(dead_code, reason = "the other readers are for other targets")]
mod reference;
mod splits;

use http1::{BodyDecoder, Decoded, Framing, Limits, Refusal};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let generous = Limits::default();
    let tight = Limits { header_bytes: 12, body: 20, ..generous };
    for limits in [generous, tight] {
        let expected = reference::chunked::read(bytes, limits.body, limits.header_bytes);
        let whole = decode(bytes, &[usize::MAX], &limits);
        splits::each_way(bytes, |pieces| assert_eq!(decode(bytes, pieces, &limits), whole, "{pieces:?}"));
        let accepted = match &whole {
            (Ok(Decoded { consumed, complete: true }), payload) => Some((payload.clone(), *consumed)),
            (Ok(Decoded { consumed, complete: false }), _) => {
                assert_eq!(*consumed, bytes.len(), "it waits for more, and leaves some");
                None
            }
            (Err(_), _) => None,
        };
        assert_eq!(accepted, expected, "{whole:?}");
        assert!(whole.1.len() as u64 <= limits.body && whole.1.len() <= bytes.len());
    }
});

/// The outcome, with all that was consumed, and the payload up to there.
fn decode(bytes: &[u8], pieces: &[usize], limits: &Limits) -> (Result<Decoded, Refusal>, Vec<u8>) {
    let mut decoder = BodyDecoder::new(Framing::Chunked, limits);
    let (mut payload, mut rest, mut consumed) = (Vec::new(), bytes, 0);
    for piece in pieces.iter().cycle() {
        let read;
        (read, rest) = rest.split_at(rest.len().min(*piece));
        match decoder.decode(read, &mut payload) {
            Ok(decoded) => {
                consumed += decoded.consumed;
                assert_eq!(decoded.complete, decoder.is_complete());
                if decoded.complete || rest.is_empty() {
                    return (Ok(Decoded { consumed, complete: decoded.complete }), payload);
                }
                assert_eq!(decoded.consumed, read.len());
            }
            Err(refusal) => {
                assert_eq!(decoder.decode(b"0\r\n\r\n", &mut Vec::new()), Err(refusal), "a refusal stands");
                return (Err(refusal), payload);
            }
        }
    }
    unreachable!("the pieces never end")
}
