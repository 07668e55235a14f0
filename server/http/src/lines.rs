//! Where a head ends, found line feed by line feed.
//!
//! Owns the physical shape: every line ends in CR LF, the request line and the header block keep to their limits. Knows
//! nothing of what the lines say. `head` calls it for every head that is not whole and in order at first sight, because
//! `httparse` takes a bare line feed for a line end (which RFC 9112 §2.2 allows a recipient, and which lets two recipients
//! disagree).
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

/// Length of the request line at the start of `bytes`, without its line end. `None` while that is missing.
pub(crate) fn request_line(bytes: &[u8], limits: &Limits) -> Result<Option<usize>, Refusal> {
    let bound = limits.request_line.saturating_add(2);
    match memchr(b'\n', &bytes[..bytes.len().min(bound)]) {
        Some(line_feed) => match line_feed.checked_sub(1) {
            Some(line_end) if bytes[line_end] == b'\r' => Ok(Some(line_end)),
            _ => Err(Refusal::BareLineFeed),
        },
        None if bytes.len() >= bound => Err(Refusal::RequestLineTooLong),
        None => Ok(None),
    }
}

/// Length of the head (request line to the empty line, both included) at the start of `bytes`, whose request line ends at
/// `line_end`. The first `seen` bytes were searched by an earlier call and held no end. `None` while there is none.
pub(crate) fn head_length(
    bytes: &[u8],
    line_end: usize,
    seen: usize,
    limits: &Limits,
) -> Result<Option<usize>, Refusal> {
    let fields = line_end + 2;
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

/// What the two above check while they search: a head of `length` bytes whose request line ends at `line_end` keeps to the
/// limits.
pub(crate) fn check_bounds(line_end: usize, length: usize, limits: &Limits) -> Result<(), Refusal> {
    if line_end > limits.request_line {
        return Err(Refusal::RequestLineTooLong);
    }
    if length - (line_end + 2) > limits.header_bytes || length > u32::MAX as usize {
        return Err(Refusal::HeadersTooLarge);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { request_line: 16, header_count: 100, header_bytes: 12, body: 0 };

    /// Both searches, one after the other.
    fn search(bytes: &[u8], seen: usize) -> Result<Option<usize>, Refusal> {
        match request_line(bytes, &LIMITS)? {
            Some(line_end) => head_length(bytes, line_end, seen, &LIMITS),
            None => Ok(None),
        }
    }

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
            assert_eq!(search(bytes.as_bytes(), 0), expected, "{bytes:?}");
            // A head that is found is within the bounds.
            if let (Ok(Some(length)), Ok(Some(line_end))) = (expected, request_line(bytes.as_bytes(), &LIMITS)) {
                assert_eq!(check_bounds(line_end, length, &LIMITS), Ok(()), "{bytes:?}");
            }
        }
    }

    #[test]
    fn bounds_are_passed_by_one_byte() {
        for (line_end, length, expected) in [
            (16, 20, Ok(())),
            (17, 21, Err(Refusal::RequestLineTooLong)),
            (14, 16 + 12, Ok(())),
            (14, 16 + 13, Err(Refusal::HeadersTooLarge)),
        ] {
            assert_eq!(check_bounds(line_end, length, &LIMITS), expected, "{line_end} {length}");
        }
    }

    #[test]
    fn an_end_that_straddles_two_reads_is_found() {
        let bytes = b"GET / HTTP/1.1\r\nA: b\r\n\r\n";
        for seen in 0..bytes.len() {
            assert_eq!(search(&bytes[..seen], 0), Ok(None));
            assert_eq!(search(bytes, seen), Ok(Some(24)), "{seen} seen");
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
