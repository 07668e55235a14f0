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
            Framing::Length(length) if length > limits.body => {
                State::Refused(Refusal::BodyTooLarge)
            }
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
        Ok(Decoded {
            consumed,
            complete: self.is_complete(),
        })
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
