//! [`BodyDecoder`]: payload out of message bytes, by the framing that the head announced.
//!
//! Owns where a body ends and the bound on it. Buffers nothing: it takes whatever has arrived and remembers a state. The
//! server's `connection` calls it, with a vector that it spools from when that grows too big.

use crate::chunked::Chunked;
use crate::limits::Limits;
use crate::refusal::Refusal;
use crate::semantics::Framing;

/// What one call of [`BodyDecoder::decode`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decoded {
    /// Bytes of the input that belong to this message. What is left over belongs to the next one, and there is something
    /// left over only when the body is complete.
    pub consumed: usize,
    /// Whether the whole body has been decoded.
    pub complete: bool,
}

/// Decodes one body, in pieces of any size.
#[derive(Debug)]
pub struct BodyDecoder {
    state: State,
}

#[derive(Debug)]
enum State {
    /// Content-Length: so many bytes are still to come, at least one.
    Length { remaining: u64 },
    /// The chunked coding.
    Chunked(Chunked),
    /// Nothing more belongs to this message.
    Complete,
    /// The body was refused; so is everything after it.
    Refused(Refusal),
}

impl BodyDecoder {
    /// A decoder for a body of that framing. Of the limits it keeps those on the body and, for trailers, on the header block.
    pub fn new(framing: Framing, limits: &Limits) -> BodyDecoder {
        let state = match framing {
            Framing::None | Framing::Length(0) => State::Complete,
            Framing::Length(length) if length > limits.body => State::Refused(Refusal::BodyTooLarge),
            Framing::Length(remaining) => State::Length { remaining },
            Framing::Chunked => State::Chunked(Chunked::new(limits)),
        };
        BodyDecoder { state }
    }

    /// Takes what belongs to the body off the start of `input` and appends the payload to `body`.
    ///
    /// # Errors
    /// [`Refusal`] when the coding is malformed or a limit is passed; the same again on every later call. `body` may have
    /// got payload from before the offence.
    pub fn decode(&mut self, input: &[u8], body: &mut Vec<u8>) -> Result<Decoded, Refusal> {
        let consumed = match &mut self.state {
            State::Complete => 0,
            State::Refused(refusal) => return Err(*refusal),
            State::Length { remaining } => {
                let taken = at_most(input, *remaining);
                body.extend_from_slice(taken);
                *remaining -= taken.len() as u64;
                if *remaining == 0 {
                    self.state = State::Complete;
                }
                taken.len()
            }
            State::Chunked(chunked) => match chunked.decode(input, body) {
                Ok(consumed) => {
                    if chunked.is_complete() {
                        self.state = State::Complete;
                    }
                    consumed
                }
                Err(refusal) => {
                    self.state = State::Refused(refusal);
                    return Err(refusal);
                }
            },
        };
        Ok(Decoded { consumed, complete: self.is_complete() })
    }

    /// How many bytes of the input are still payload, one for one; `None` when they have to be decoded. So many, or fewer,
    /// may be received straight to where the payload goes, and be [counted](Self::count) instead of decoded.
    pub fn verbatim(&self) -> Option<u64> {
        match self.state {
            State::Length { remaining } => Some(remaining),
            State::Chunked(_) | State::Complete | State::Refused(_) => None,
        }
    }

    /// Counts payload that was received as it is, no more than [`verbatim`](Self::verbatim) said.
    pub fn count(&mut self, received: u64) {
        if let State::Length { remaining } = &mut self.state {
            *remaining = remaining.saturating_sub(received);
            if *remaining == 0 {
                self.state = State::Complete;
            }
        }
    }

    /// Whether the whole body has been decoded; at once when there is none.
    pub fn is_complete(&self) -> bool {
        matches!(self.state, State::Complete)
    }
}

/// The first `count` bytes, or all of them if there are fewer.
pub(crate) fn at_most(bytes: &[u8], count: u64) -> &[u8] {
    usize::try_from(count).map_or(bytes, |count| &bytes[..bytes.len().min(count)])
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { request_line: 0, header_count: 0, header_bytes: 16, body: 8 };

    /// One call: consumed, complete, payload.
    fn decode(framing: Framing, input: &str) -> Result<(usize, bool, String), Refusal> {
        let mut body = Vec::new();
        let decoded = BodyDecoder::new(framing, &LIMITS).decode(input.as_bytes(), &mut body)?;
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok((decoded.consumed, decoded.complete, body))
    }

    #[test]
    fn a_body_takes_its_own_bytes_and_no_others() {
        use Framing::{Chunked, Length, None};
        for (framing, input, consumed, complete, body) in [
            (None, "next", 0, true, ""),
            (Length(0), "next", 0, true, ""),
            (Length(3), "", 0, false, ""),
            (Length(3), "ab", 2, false, "ab"),
            (Length(3), "abc", 3, true, "abc"),
            (Length(3), "abcnext", 3, true, "abc"),
            (Chunked, "", 0, false, ""),
            (Chunked, "3\r\nab", 5, false, "ab"),
            (Chunked, "3\r\nabc\r\n0\r\n\r", 13 - 1, false, "abc"),
            (Chunked, "3\r\nabc\r\n0\r\n\r\nnext", 13, true, "abc"),
            (Chunked, "0\r\n\r\n0\r\n\r\n", 5, true, ""),
            (Chunked, "0\r\nA: b\r\nC:d\r\n\r\nnext", 16, true, ""),
            (Chunked, "8;a=b\r\n01234567\r\n0\r\n\r\n", 22, true, "01234567"),
        ] {
            assert_eq!(decode(framing, input), Ok((consumed, complete, body.to_owned())), "{framing:?} {input:?}");
        }
    }

    #[test]
    fn a_length_can_be_received_without_decoding() {
        let mut decoder = BodyDecoder::new(Framing::Length(8), &LIMITS);
        let mut body = Vec::new();
        assert_eq!(decoder.verbatim(), Some(8));
        decoder.count(3);
        assert_eq!(decoder.decode(b"de", &mut body), Ok(Decoded { consumed: 2, complete: false }));
        assert_eq!(decoder.verbatim(), Some(3));
        decoder.count(3);
        assert!(decoder.is_complete());
        assert_eq!(decoder.verbatim(), None);
        assert_eq!(BodyDecoder::new(Framing::Chunked, &LIMITS).verbatim(), None);
        assert_eq!(BodyDecoder::new(Framing::Length(9), &LIMITS).verbatim(), None, "refused");
    }

    #[test]
    fn limits_are_passed_by_one_byte() {
        use Framing::{Chunked, Length};
        for (framing, input, refusal) in [
            (Length(9), "", Refusal::BodyTooLarge),
            // At the size's line, before any data of that chunk.
            (Chunked, "9\r\n", Refusal::BodyTooLarge),
            (Chunked, "8\r\n01234567\r\n1\r\n", Refusal::BodyTooLarge),
            (Chunked, "ffffffffffffffff\r\n", Refusal::BodyTooLarge),
            // 17 bytes, line ends included, without the empty line.
            (Chunked, "0\r\nA: 1\r\nB: 234567\r\n", Refusal::TrailersTooLarge),
        ] {
            assert_eq!(decode(framing, input), Err(refusal), "{framing:?} {input:?}");
        }
        let exactly = "0\r\nA: 1\r\nB: 23456\r\n\r\n";
        assert_eq!(decode(Chunked, exactly), Ok((exactly.len(), true, String::new())));
    }

    #[test]
    fn extensions_are_bounded_over_the_whole_body() {
        let mut decoder = BodyDecoder::new(Framing::Chunked, &Limits::default());
        let chunk = format!("1;{}\r\nx\r\n", "e".repeat(1023));
        let mut body = Vec::new();
        for _ in 0..16 {
            assert!(decoder.decode(chunk.as_bytes(), &mut body).is_ok());
        }
        assert_eq!(decoder.decode(chunk.as_bytes(), &mut body), Err(Refusal::ChunkExtension));
        assert_eq!(body.len(), 16);
    }
}
