//! Where a head ends, found line feed by line feed.
//!
//! Owns the physical shape: every line ends in CR LF, the request line and the header block keep to their limits. Knows
//! nothing of what the lines say. `head` calls it before `httparse` sees the bytes, because `httparse` takes a bare line
//! feed for a line end (which RFC 9112 §2.2 allows a recipient, and which lets two recipients disagree).
//!
//! Verdicts are given in byte order (the first offence wins), so they do not depend on how the bytes arrived.

use memchr::{memchr, memchr_iter};

use crate::limits::Limits;
use crate::refusal::Refusal;

/// Most empty lines skipped before a request line. RFC 9112 §2.2 asks for at least one, sent by old clients after a body;
/// more than a few is somebody holding the connection for nothing.
const EMPTY_LINES: usize = 8;

/// Bytes of the empty lines before the request line (RFC 9112 §2.2). `None` while that cannot be told yet.
pub(crate) fn leading_empty_lines(bytes: &[u8]) -> Result<Option<usize>, Refusal> {
    let mut skipped = 0;
    loop {
        match &bytes[skipped..] {
            [b'\r', b'\n', ..] if skipped == EMPTY_LINES * 2 => return Err(Refusal::EmptyLines),
            [b'\r', b'\n', ..] => skipped += 2,
            [] | [b'\r'] => return Ok(None),
            [b'\n', ..] => return Err(Refusal::BareLineFeed),
            [b'\r', ..] => return Err(Refusal::RequestLine),
            _ => return Ok(Some(skipped)),
        }
    }
}

/// Length of the head (request line to the empty line, both included) at the start of `bytes`, which must begin with the
/// request line. The first `seen` bytes were searched by an earlier call and held no end. `None` while there is none.
pub(crate) fn head_length(bytes: &[u8], seen: usize, limits: &Limits) -> Result<Option<usize>, Refusal> {
    let line_bound = limits.request_line.saturating_add(2);
    let Some(line_feed) = memchr(b'\n', &bytes[..bytes.len().min(line_bound)]) else {
        return if bytes.len() >= line_bound { Err(Refusal::RequestLineTooLong) } else { Ok(None) };
    };
    if line_feed == 0 || bytes[line_feed - 1] != b'\r' {
        return Err(Refusal::BareLineFeed);
    }

    let fields = line_feed + 1;
    // Offsets are kept as u32.
    let bound = fields.saturating_add(limits.header_bytes).min(u32::MAX as usize);
    let from = seen.max(fields);
    let searched = bytes.get(from..bytes.len().min(bound)).unwrap_or_default();
    for line_feed in memchr_iter(b'\n', searched).map(|offset| from + offset) {
        if bytes[line_feed - 1] != b'\r' {
            return Err(Refusal::BareLineFeed);
        }
        if bytes[line_feed - 2] == b'\n' {
            return Ok(Some(line_feed + 1));
        }
    }
    if bytes.len() >= bound {
        return Err(Refusal::HeadersTooLarge);
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { request_line: 16, header_count: 100, header_bytes: 12, body: 0 };

    #[test]
    fn heads_end_at_the_empty_line() {
        for (bytes, expected) in [
            ("GET / HTTP/1.1\r\n\r\n", Ok(Some(18))),
            ("GET / HTTP/1.1\r\n\r\nGET", Ok(Some(18))),
            ("GET / HTTP/1.1\r\nA: b\r\n\r\n", Ok(Some(24))),
            ("GET / HTTP/1.1\r\nA: b\r\n\r", Ok(None)),
            ("GET / HTTP/1.1\r\nA: b", Ok(None)),
            ("GET / HTTP/1.1", Ok(None)),
            ("", Ok(None)),
            ("GET / HTTP/1.1\n", Err(Refusal::BareLineFeed)),
            ("GET / HTTP/1.1\r\nA: b\n", Err(Refusal::BareLineFeed)),
            ("GET / HTTP/1.1\r\nA: b\r\n\n", Err(Refusal::BareLineFeed)),
            ("GET / HTTP/1.1\r\n\n", Err(Refusal::BareLineFeed)),
            ("\n", Err(Refusal::BareLineFeed)),
            // Exactly at the limit, and one byte beyond it; the CR may still be the first half of the line end.
            ("GET /ab HTTP/1.1\r\n\r\n", Ok(Some(20))),
            ("GET /ab HTTP/1.1\r", Ok(None)),
            ("GET /abc HTTP/1.1", Ok(None)),
            ("GET /abc HTTP/1.1\r", Err(Refusal::RequestLineTooLong)),
            ("GET / HTTP/1.1\r\nA: bcdef\r\n\r\n", Ok(Some(28))),
            ("GET / HTTP/1.1\r\nA: bcdefg\r\n\r", Err(Refusal::HeadersTooLarge)),
            // The limit comes before the bare line feed, so it wins, however the bytes arrive.
            ("GET / HTTP/1.1\r\nA: bcdefghijk\n", Err(Refusal::HeadersTooLarge)),
        ] {
            assert_eq!(head_length(bytes.as_bytes(), 0, &LIMITS), expected, "{bytes:?}");
        }
    }

    #[test]
    fn an_end_that_straddles_two_reads_is_found() {
        let bytes = b"GET / HTTP/1.1\r\nA: b\r\n\r\n";
        for seen in 0..bytes.len() {
            assert_eq!(head_length(&bytes[..seen], 0, &LIMITS), Ok(None));
            assert_eq!(head_length(bytes, seen, &LIMITS), Ok(Some(24)), "{seen} seen");
        }
    }

    #[test]
    fn a_few_empty_lines_are_skipped() {
        let eight = "\r\n".repeat(8);
        for (bytes, expected) in [
            ("GET", Ok(Some(0))),
            ("\r\nGET", Ok(Some(2))),
            ("\r\n\r\nGET", Ok(Some(4))),
            ("", Ok(None)),
            ("\r", Ok(None)),
            ("\r\n", Ok(None)),
            ("\r\n\r", Ok(None)),
            ("\n", Err(Refusal::BareLineFeed)),
            ("\r\n\nGET", Err(Refusal::BareLineFeed)),
            ("\rGET", Err(Refusal::RequestLine)),
            (&format!("{eight}G"), Ok(Some(16))),
            (&format!("{eight}\r"), Ok(None)),
            (&format!("{eight}\r\n"), Err(Refusal::EmptyLines)),
        ] {
            assert_eq!(leading_empty_lines(bytes.as_bytes()), expected, "{bytes:?}");
        }
    }
}
