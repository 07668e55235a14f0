//! Fixtures for the response decoder, each one also cut into pieces in every way that matters.

use proptest::prelude::*;

use super::*;

/// What a stream of bytes followed by its end must come to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    /// Status, close.
    Answer(u16, bool),
    NoResponse,
    Cut,
    Protocol,
}

use Outcome::{Answer as Whole, Cut, NoResponse, Protocol};

/// Whether the content of bodies is shown to the decoder.
#[derive(Clone, Copy, Debug)]
enum Bodies {
    Shown,
    Skipped,
}

/// Runs the pieces through decoders as a connection would; seeing bodies or not makes no difference.
fn decode<'a>(bodiless: bool, pieces: impl IntoIterator<Item = &'a [u8], IntoIter: Clone>) -> Outcome {
    let pieces = pieces.into_iter();
    let shown = decode_with(Bodies::Shown, bodiless, pieces.clone());
    assert_eq!(decode_with(Bodies::Skipped, bodiless, pieces), shown);
    shown
}

/// What follows a response that is the last is an error of the connection's user; here it is one at once.
fn push(decoder: &mut Decoder, mut bytes: &[u8], heads: &mut Heads) -> Result<Option<Answer>, ProtocolError> {
    match decoder.push(&mut bytes, heads) {
        Ok(Some(_)) if !bytes.is_empty() => Err(ProtocolError::Surplus),
        other => other,
    }
}

fn decode_with<'a>(bodies: Bodies, bodiless: bool, pieces: impl Iterator<Item = &'a [u8]>) -> Outcome {
    let (mut decoder, mut heads) = (Decoder::new(false), Heads::new());
    decoder.begin(bodiless);
    for mut piece in pieces {
        while !piece.is_empty() {
            let skippable = decoder.skippable(false).min(piece.len() as u64);
            let (count, decoded) = match bodies {
                Bodies::Skipped if skippable > 0 => (skippable as usize, decoder.skip(skippable)),
                // Byte by byte, or a head would take the beginning of its body with it.
                Bodies::Skipped => (1, push(&mut decoder, &piece[..1], &mut heads)),
                Bodies::Shown => (piece.len(), push(&mut decoder, piece, &mut heads)),
            };
            match decoded {
                // A socket may hold more; the next response then fails for it.
                Ok(Some(_)) if count < piece.len() => return Protocol,
                Ok(Some(answer)) => return Whole(answer.status, answer.close),
                Ok(None) => piece = &piece[count..],
                Err(_) => return Protocol,
            }
        }
    }
    match decoder.end() {
        End::Whole(answer) => Whole(answer.status, answer.close),
        End::NoResponse => NoResponse,
        End::Cut => Cut,
    }
}

const CASES: &[(&str, Outcome)] = &[
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", Whole(200, false)),
    ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", Whole(200, false)),
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: Close\r\n\r\nhello", Whole(200, true)),
    ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: x, close\r\n\r\nh", Whole(200, true)),
    // HTTP/1.0 closes unless it says otherwise (RFC 9112 §9.3).
    ("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nh", Whole(200, true)),
    ("HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\nh", Whole(200, false)),
    // No length: the body ends with the connection.
    ("HTTP/1.1 200 OK\r\n\r\nanything", Whole(200, true)),
    ("HTTP/1.1 404 Not Found\r\n\r\n", Whole(404, true)),
    // No body whatever the head says (RFC 9112 §6.3 rule 1).
    ("HTTP/1.1 204 No Content\r\n\r\n", Whole(204, false)),
    ("HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n", Whole(304, false)),
    ("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", Whole(204, false)),
    // Interim responses are skipped, several of them too.
    (
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n\
         HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        Whole(200, false),
    ),
    ("HTTP/1.1 100 Continue\r\n\r\n", Cut),
    ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", Protocol),
    // Chunked: sizes in both cases, extensions, trailers.
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", Whole(200, false)),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n\
         A;n=v\r\n0123456789\r\n0a ; x\r\n0123456789\r\n000\r\nT: 1\r\nU: 2\r\n\r\n",
        Whole(200, false),
    ),
    // A coding list that does not end in chunked is delimited by the close (§6.3 rule 4).
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\nxyz", Whole(200, true)),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", Protocol),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", Protocol),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n", Protocol),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n", Protocol),
    // Seventeen digits would overflow 64 bits.
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n00000000000000001\r\nx", Protocol),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nT: 1\n\r\n", Protocol),
    // Two framings invite response splitting (§6.3 rule 3).
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Protocol),
    ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Protocol),
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", Whole(200, false)),
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", Protocol),
    ("HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello", Protocol),
    ("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", Protocol),
    ("HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n", Protocol),
    ("SSH-2.0-OpenSSH_9.6\r\n", Protocol),
    ("HTTP/2 200\r\n\r\n", Protocol),
    // Ends.
    ("", NoResponse),
    ("HTTP/1.1 20", Cut),
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", Cut),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", Cut),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", Cut),
];

#[test]
fn fixtures_whole_and_byte_by_byte() {
    for (text, expected) in CASES {
        assert_eq!(decode(false, [text.as_bytes()]), *expected, "whole: {text:?}");
        assert_eq!(decode(false, text.as_bytes().chunks(1)), *expected, "bytes: {text:?}");
    }
}

#[test]
fn a_head_response_has_no_body() {
    let text = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    assert_eq!(decode(true, [text.as_bytes()]), Whole(200, false));
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(decode(true, [chunked.as_bytes()]), Whole(200, false));
}

#[test]
fn more_than_was_announced_is_an_error() {
    let text = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhello";
    assert_eq!(decode(false, [text.as_bytes()]), Protocol);
}

#[test]
fn endless_heads_and_trailers_are_cut_off() {
    let mut head = b"HTTP/1.1 200 OK\r\nX: ".to_vec();
    head.resize(HEAD_LIMIT + 100, b'x');
    assert_eq!(decode(false, [head.as_slice()]), Protocol);
    assert_eq!(decode(false, head.chunks(1000)), Protocol);

    let mut trailer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ".to_vec();
    trailer.resize(HEAD_LIMIT + 200, b'x');
    assert_eq!(decode(false, trailer.chunks(1000)), Protocol);
}

#[test]
fn a_decoder_reads_one_response_after_another() {
    let (mut decoder, mut heads) = (Decoder::new(false), Heads::new());
    for (text, expected) in CASES {
        decoder.begin(false);
        // Responses that leave the stream usable must leave the decoder usable.
        if let Whole(status, false) = expected {
            let answer = Answer { status: *status, close: false };
            let (first, second) = text.as_bytes().split_at(text.len() / 2);
            assert_eq!(push(&mut decoder, first, &mut heads), Ok(None), "{text:?}");
            assert_eq!(push(&mut decoder, second, &mut heads), Ok(Some(answer)), "{text:?}");
        }
    }
}

proptest! {
    #[test]
    fn any_split_gives_the_same_result(
        case in 0..CASES.len(),
        cuts in proptest::collection::vec(0.0..1.0f64, 0..6),
    ) {
        let (text, expected) = CASES[case];
        let mut at: Vec<usize> = cuts.iter().map(|c| (c * text.len() as f64) as usize).collect();
        at.extend([0, text.len()]);
        at.sort_unstable();
        let pieces = at.windows(2).map(|w| &text.as_bytes()[w[0]..w[1]]);
        prop_assert_eq!(decode(false, pieces), expected);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".as_slice();
        decode(false, [bytes.as_slice()]);
        decode(false, [head, bytes.as_slice()]);
    }
}
