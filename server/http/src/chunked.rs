//! The chunked transfer coding, decoding (RFC 9112 §7.1).
//!
//! Owns the grammar of chunks and trailers as one enum of states, and the bounds that keep a peer from sending framing
//! for ever. Stricter than many readers where they disagree (§11.2 on smuggling): every line ends in CR LF, sizes are
//! plain hexadecimal, whitespace is taken only where the grammar has it. Trailer fields are checked and dropped: WSGI has
//! no place for them. Called by `body` only.

use crate::body::at_most;
use crate::grammar;
use crate::limits::Limits;
use crate::refusal::Refusal;

/// Most digits of one chunk size. Sixteen hold any 64-bit size; leading zeros beyond that are somebody playing.
const SIZE_DIGITS: u8 = 16;

/// Most bytes of chunk extensions in a whole body, semicolons and whitespace included. They are ignored, so nobody needs more; the bound is per body, because
/// one per chunk lets a peer send thousands of bytes for each byte of payload.
const EXTENSION_BYTES: u32 = 16 * 1024;

/// A body in the chunked coding, being decoded.
#[derive(Debug)]
pub(crate) struct Chunked {
    state: State,
    /// Payload that may still come.
    body_room: u64,
    /// Extension bytes that may still come.
    extension_room: u32,
    /// Trailer section bytes that may still come.
    trailer_room: usize,
}

/// What the next byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A chunk size's digit, or what ends the size.
    Size { size: u64, digits: u8 },
    /// Whitespace before the `;` of an extension.
    ExtensionSpace { size: u64 },
    /// In the extensions.
    Extension { size: u64 },
    /// The LF that ends the size's line.
    SizeLineFeed { size: u64 },
    /// A chunk's data.
    Data { remaining: u64 },
    /// The CR after it.
    DataReturn,
    /// The LF after that.
    DataLineFeed,
    /// A trailer line's first byte, or the CR of the empty line.
    TrailerStart,
    /// In a trailer field's name.
    TrailerName,
    /// In its value.
    TrailerValue,
    /// The LF that ends its line.
    TrailerLineFeed,
    /// The LF of the empty line.
    LastLineFeed,
    /// Nothing.
    Complete,
}

impl Chunked {
    pub(crate) fn new(limits: &Limits) -> Self {
        Chunked {
            state: State::Size { size: 0, digits: 0 },
            body_room: limits.body,
            extension_room: EXTENSION_BYTES,
            trailer_room: limits.header_bytes,
        }
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.state == State::Complete
    }

    /// Takes bytes off the start of `input`, all of them unless the body ends before. Says how many.
    pub(crate) fn decode(&mut self, input: &[u8], body: &mut Vec<u8>) -> Result<usize, Refusal> {
        let mut rest = input;
        while let (false, [byte, after @ ..]) = (self.is_complete(), rest) {
            (self.state, rest) = match (self.state, rest) {
                (State::Data { remaining }, _) => {
                    let data = at_most(rest, remaining);
                    body.extend_from_slice(data);
                    let rest = &rest[data.len()..];
                    match (remaining - data.len() as u64, rest) {
                        // What usually follows, in one step.
                        (0, [b'\r', b'\n', rest @ ..]) => (State::Size { size: 0, digits: 0 }, rest),
                        (0, _) => (State::DataReturn, rest),
                        (remaining, _) => (State::Data { remaining }, rest),
                    }
                }
                _ => (self.framing_byte(*byte)?, after),
            };
        }
        Ok(input.len() - rest.len())
    }

    /// The state after one byte that is not payload.
    fn framing_byte(&mut self, byte: u8) -> Result<State, Refusal> {
        Ok(match (self.state, byte) {
            (State::Size { size, digits }, _) => match (char::from(byte).to_digit(16), byte) {
                (Some(digit), _) if digits < SIZE_DIGITS => {
                    State::Size { size: size << 4 | u64::from(digit), digits: digits + 1 }
                }
                _ if digits == 0 => return Err(Refusal::ChunkSize),
                (_, b'\r') => State::SizeLineFeed { size },
                (_, b';') => self.extension_byte(State::Extension { size })?,
                (_, b' ' | b'\t') => self.extension_byte(State::ExtensionSpace { size })?,
                _ => return Err(Refusal::ChunkSize),
            },
            // §7.1.1: whitespace is bad, but allowed before `;`. Before the line end it is not.
            (State::ExtensionSpace { size }, b' ' | b'\t') => self.extension_byte(State::ExtensionSpace { size })?,
            (State::ExtensionSpace { size }, b';') => self.extension_byte(State::Extension { size })?,
            (State::ExtensionSpace { .. }, _) => return Err(Refusal::ChunkSize),
            // What extensions say is ignored (§7.1.1), so their inner grammar is not checked beyond what could pass
            // for a line end elsewhere.
            (State::Extension { size }, b'\r') => State::SizeLineFeed { size },
            (State::Extension { size }, _) if grammar::is_text_byte(byte) => {
                self.extension_byte(State::Extension { size })?
            }
            (State::Extension { .. }, _) => return Err(Refusal::ChunkExtension),

            (State::SizeLineFeed { size: 0 }, b'\n') => State::TrailerStart,
            (State::SizeLineFeed { size }, b'\n') => {
                self.body_room = self.body_room.checked_sub(size).ok_or(Refusal::BodyTooLarge)?;
                State::Data { remaining: size }
            }
            (State::SizeLineFeed { .. }, _) => return Err(Refusal::ChunkSize),

            (State::DataReturn, b'\r') => State::DataLineFeed,
            (State::DataLineFeed, b'\n') => State::Size { size: 0, digits: 0 },
            (State::DataReturn | State::DataLineFeed, _) => return Err(Refusal::ChunkEnd),

            (State::TrailerStart, b'\r') => State::LastLineFeed,
            (State::TrailerStart, _) if grammar::is_token_byte(byte) => self.trailer_byte(State::TrailerName)?,
            (State::TrailerName, b':') => self.trailer_byte(State::TrailerValue)?,
            (State::TrailerName, _) if grammar::is_token_byte(byte) => self.trailer_byte(State::TrailerName)?,
            (State::TrailerValue, b'\r') => self.trailer_byte(State::TrailerLineFeed)?,
            (State::TrailerValue, _) if grammar::is_text_byte(byte) => self.trailer_byte(State::TrailerValue)?,
            (State::TrailerLineFeed, b'\n') => self.trailer_byte(State::TrailerStart)?,
            (State::LastLineFeed, b'\n') => State::Complete,
            (
                State::TrailerStart
                | State::TrailerName
                | State::TrailerValue
                | State::TrailerLineFeed
                | State::LastLineFeed,
                _,
            ) => return Err(Refusal::Trailer),

            // `decode` gives these no byte.
            (State::Data { .. } | State::Complete, _) => self.state,
        })
    }

    fn extension_byte(&mut self, next: State) -> Result<State, Refusal> {
        self.extension_room = self.extension_room.checked_sub(1).ok_or(Refusal::ChunkExtension)?;
        Ok(next)
    }

    fn trailer_byte(&mut self, next: State) -> Result<State, Refusal> {
        self.trailer_room = self.trailer_room.checked_sub(1).ok_or(Refusal::TrailersTooLarge)?;
        Ok(next)
    }
}
