//! HTTP/1 responses: where one ends, its status, and whether the connection may be used again.
//!
//! Sans-I/O: [`Decoder::push`] takes bytes in pieces of any size. Bodies are skipped, never kept.
//! Knows nothing of sockets or time; `connection` calls it. Framing follows RFC 9112 §6.3.

use std::mem::MaybeUninit;

use httparse::{Header, ParserConfig, Status};

use crate::cookies::Cookies;

/// Longest head, and longest chunk extensions and trailers of one message.
const HEAD_LIMIT: usize = 64 * 1024;
/// Most fields of a head.
const FIELD_LIMIT: usize = 128;

/// A length of a body from which on it is worth reading the head alone.
const LARGE: u64 = 32 * 1024;

/// A whole final response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// 200 to 599.
    pub(crate) status: u16,
    /// The connection must not be used again.
    pub(crate) close: bool,
}

/// Bytes that are no HTTP/1 response, or frame it ambiguously.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProtocolError {
    #[error("bad response head: {0}")]
    Head(#[from] httparse::Error),
    #[error("response head longer than 64 KiB")]
    HeadTooLong,
    #[error("status {0} is not in 100..=599")]
    Status(u16),
    #[error("101 Switching Protocols although nothing was asked for")]
    Switching,
    #[error("Content-Length is no number, or there are different ones")]
    ContentLength,
    #[error("both Content-Length and Transfer-Encoding")]
    BothFramings,
    #[error("Transfer-Encoding in an HTTP/1.0 response")]
    EncodingInHttp10,
    #[error("bad chunk")]
    Chunk,
    #[error("chunk extensions or trailers longer than 64 KiB")]
    TrailerTooLong,
    #[error("bytes after the end of the response")]
    Surplus,
}

/// What the end of the stream means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It ends the body: the response is whole.
    Whole(Answer),
    /// Not one byte had come.
    NoResponse,
    /// It cuts a head or a body.
    Cut,
}

/// Where the next byte belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Head,
    /// This many body bytes are still to come.
    Fixed(u64),
    ChunkSize {
        size: u64,
        digits: u8,
    },
    ChunkExtension,
    ChunkSizeLf {
        size: u64,
    },
    ChunkData(u64),
    ChunkDataCr,
    ChunkDataLf,
    TrailerStart,
    TrailerLine,
    TrailerLf,
    LastLf,
    UntilClose,
}

/// How the body ends, from the head.
enum Body {
    None,
    Fixed(u64),
    Chunked,
    UntilClose,
}

/// Longest head that is remembered.
const REMEMBERED: usize = 4 * 1024;

/// What a final head means for what follows it.
#[derive(Clone, Copy, Debug)]
struct Meaning {
    state: State,
    answer: Answer,
    large: bool,
}

/// The last final head read, and what it meant. A server sends the same head again and again, until
/// its `Date` changes: bytes that have been read before need no parsing, only comparing.
#[derive(Debug)]
pub(crate) struct Heads {
    /// Empty when there is none.
    bytes: Vec<u8>,
    meaning: Meaning,
    /// It answered a HEAD request.
    bodiless: bool,
}

impl Heads {
    pub(crate) fn new() -> Self {
        let answer = Answer { status: 0, close: false };
        let meaning = Meaning { state: State::Head, answer, large: false };
        Self { bytes: Vec::with_capacity(REMEMBERED), meaning, bodiless: false }
    }

    /// The meaning of the head at the beginning of `bytes`, if it is the one remembered.
    fn recall(&self, bytes: &[u8], bodiless: bool) -> Option<Meaning> {
        let known = !self.bytes.is_empty() && self.bodiless == bodiless && bytes.starts_with(&self.bytes);
        known.then_some(self.meaning)
    }

    fn remember(&mut self, head: &[u8], bodiless: bool, meaning: Meaning) {
        self.bytes.clear();
        if head.len() <= REMEMBERED {
            self.bytes.extend_from_slice(head);
            self.bodiless = bodiless;
            self.meaning = meaning;
        }
    }
}

/// Reads the responses of one connection, one at a time.
#[derive(Debug)]
pub(crate) struct Decoder {
    state: State,
    /// The beginning of a head that came in pieces; empty as a rule.
    head: Vec<u8>,
    answer: Answer,
    /// Size of the chunk whose extension is being skipped.
    chunk: u64,
    /// Bytes of extensions and trailers so far.
    overhead: usize,
    touched: bool,
    /// The last head announced a body of [`LARGE`] bytes or more.
    large: bool,
    /// The request is a HEAD: no body follows whatever the head says.
    bodiless: bool,
    /// What responses have set; `None` when nobody wants to know.
    cookies: Option<Cookies>,
}

impl Decoder {
    /// `cookies`: keep what responses set.
    pub(crate) fn new(cookies: bool) -> Self {
        Self {
            state: State::Head,
            head: Vec::new(),
            answer: Answer { status: 0, close: false },
            chunk: 0,
            overhead: 0,
            touched: false,
            large: false,
            bodiless: false,
            cookies: cookies.then(Cookies::default),
        }
    }

    /// The value of a `Cookie` field that sends back what responses have set; empty for nothing.
    pub(crate) fn cookies(&self) -> &[u8] {
        self.cookies.as_ref().map_or(&[], Cookies::field)
    }

    /// Expects a new response; `bodiless` when it is a HEAD request's.
    pub(crate) fn begin(&mut self, bodiless: bool) {
        self.bodiless = bodiless;
        self.state = State::Head;
        self.head.clear();
        self.overhead = 0;
        self.touched = false;
    }

    /// A byte has come since [`Decoder::begin`].
    pub(crate) fn touched(&self) -> bool {
        self.touched
    }

    /// Takes the next bytes of the stream; `Some` when they end the response. What lies beyond its
    /// end stays in `bytes`.
    pub(crate) fn push(&mut self, bytes: &mut &[u8], heads: &mut Heads) -> Result<Option<Answer>, ProtocolError> {
        self.touched |= !bytes.is_empty();
        while !bytes.is_empty() {
            let (taken, done) = match self.state {
                State::Head => self.head(bytes, heads)?,
                State::Fixed(left) => {
                    let taken = left.min(bytes.len() as u64);
                    self.state = State::Fixed(left - taken);
                    (taken as usize, taken == left)
                }
                State::ChunkData(left) => {
                    let taken = left.min(bytes.len() as u64);
                    self.state = if taken == left { State::ChunkDataCr } else { State::ChunkData(left - taken) };
                    (taken as usize, false)
                }
                State::UntilClose => (bytes.len(), false),
                _ => (1, self.framing(bytes[0])?),
            };
            *bytes = &bytes[taken..];
            if done {
                return Ok(Some(self.answer));
            }
        }
        Ok(None)
    }

    /// How many of the next bytes [`Decoder::skip`] may take, because their content does not matter:
    /// of a body with a known length, unless it is `followed` by another response, one more than
    /// should come, so that a surplus shows at once.
    pub(crate) fn skippable(&self, followed: bool) -> u64 {
        match self.state {
            State::Fixed(left) => left.saturating_add(u64::from(!followed)),
            State::ChunkData(left) => left,
            State::UntilClose => u64::MAX,
            _ => 0,
        }
    }

    /// Takes the next `count` bytes of the stream, at most [`Decoder::skippable`], without seeing them.
    pub(crate) fn skip(&mut self, count: u64) -> Result<Option<Answer>, ProtocolError> {
        match self.state {
            State::Fixed(left) if count > left => return Err(ProtocolError::Surplus),
            State::Fixed(left) if count == left => return Ok(Some(self.answer)),
            State::Fixed(left) => self.state = State::Fixed(left - count),
            State::ChunkData(left) if count == left => self.state = State::ChunkDataCr,
            State::ChunkData(left) => self.state = State::ChunkData(left - count),
            _ => {}
        }
        Ok(None)
    }

    /// A head is next, and the last one announced a large body.
    pub(crate) fn expects_large(&self) -> bool {
        self.large && self.state == State::Head
    }

    /// The stream has ended.
    pub(crate) fn end(&self) -> End {
        match self.state {
            State::UntilClose => End::Whole(self.answer),
            _ if self.touched => End::Cut,
            _ => End::NoResponse,
        }
    }

    /// Parses a head, from `bytes` alone or from what was kept plus `bytes`.
    fn head(&mut self, bytes: &[u8], heads: &mut Heads) -> Result<(usize, bool), ProtocolError> {
        if self.head.is_empty() {
            // A head that sets cookies means more than what follows it.
            if let Some(meaning) = heads.recall(bytes, self.bodiless).filter(|_| self.cookies.is_none()) {
                self.follow(meaning);
                return Ok((heads.bytes.len(), meaning.state == State::Head));
            }
            return match self.parse(bytes, heads)? {
                Some((length, done)) => Ok((length, done)),
                None => self.keep(bytes),
            };
        }
        let kept = self.head.len();
        let mut head = std::mem::take(&mut self.head);
        head.extend_from_slice(bytes);
        let parsed = self.parse(&head, heads);
        self.head = head;
        match parsed? {
            Some((length, done)) => {
                self.head.clear();
                Ok((length - kept, done))
            }
            None if self.head.len() > HEAD_LIMIT => Err(ProtocolError::HeadTooLong),
            None => Ok((bytes.len(), false)),
        }
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(usize, bool), ProtocolError> {
        if bytes.len() > HEAD_LIMIT {
            return Err(ProtocolError::HeadTooLong);
        }
        self.head.extend_from_slice(bytes);
        Ok((bytes.len(), false))
    }

    /// The head's length and whether the response ends with it; `None` when it is not whole yet.
    fn parse(&mut self, bytes: &[u8], heads: &mut Heads) -> Result<Option<(usize, bool)>, ProtocolError> {
        let mut fields = [const { MaybeUninit::<Header<'_>>::uninit() }; FIELD_LIMIT];
        let mut response = httparse::Response::new(&mut []);
        let parsed = ParserConfig::default().parse_response_with_uninit_headers(&mut response, bytes, &mut fields)?;
        let Status::Complete(length) = parsed else {
            return Ok(None);
        };
        let status = response.code.unwrap_or_default();
        let http10 = response.version == Some(0);
        match status {
            101 => return Err(ProtocolError::Switching),
            // Interim responses end with their head; the final one is still to come.
            100..200 => return Ok(Some((length, false))),
            200..600 => {}
            other => return Err(ProtocolError::Status(other)),
        }
        let framing = Fields::read(response.headers, http10)?;
        if let Some(cookies) = &mut self.cookies {
            let set = response.headers.iter().filter(|header| header.name.eq_ignore_ascii_case("set-cookie"));
            set.for_each(|header| cookies.set(header.value));
        }
        let body = if self.bodiless || matches!(status, 204 | 304) { Body::None } else { framing.body };
        let state = match body {
            Body::None | Body::Fixed(0) => State::Head,
            Body::Fixed(length) => State::Fixed(length),
            Body::Chunked => State::ChunkSize { size: 0, digits: 0 },
            Body::UntilClose => State::UntilClose,
        };
        let close = framing.close || state == State::UntilClose;
        let meaning =
            Meaning { state, answer: Answer { status, close }, large: matches!(state, State::Fixed(LARGE..)) };
        heads.remember(&bytes[..length], self.bodiless, meaning);
        self.follow(meaning);
        Ok(Some((length, state == State::Head)))
    }

    fn follow(&mut self, meaning: Meaning) {
        self.state = meaning.state;
        self.answer = meaning.answer;
        self.large = meaning.large;
    }

    /// One byte of chunk framing (RFC 9112 §7.1); true when it ends the response.
    fn framing(&mut self, byte: u8) -> Result<bool, ProtocolError> {
        self.state = match (self.state, byte) {
            (State::ChunkSize { size, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = u64::from((byte as char).to_digit(16).unwrap_or_default());
                if digits == 16 {
                    return Err(ProtocolError::Chunk);
                }
                State::ChunkSize { size: size << 4 | digit, digits: digits + 1 }
            }
            (State::ChunkSize { digits: 0, .. }, _) => return Err(ProtocolError::Chunk),
            (State::ChunkSize { size, .. }, b'\r') => State::ChunkSizeLf { size },
            (State::ChunkSize { size, .. }, b';' | b' ' | b'\t') => {
                self.chunk = size;
                State::ChunkExtension
            }
            (State::ChunkExtension, b'\r') => State::ChunkSizeLf { size: self.chunk },
            (State::ChunkSizeLf { size: 0 }, b'\n') => State::TrailerStart,
            (State::ChunkSizeLf { size }, b'\n') => State::ChunkData(size),
            (State::ChunkDataCr, b'\r') => State::ChunkDataLf,
            (State::ChunkDataLf, b'\n') => State::ChunkSize { size: 0, digits: 0 },
            (State::TrailerStart, b'\r') => State::LastLf,
            (State::TrailerLine, b'\r') => State::TrailerLf,
            (State::TrailerLf, b'\n') => State::TrailerStart,
            (State::LastLf, b'\n') => return Ok(true),
            (State::ChunkExtension | State::TrailerStart | State::TrailerLine, b'\n') => {
                return Err(ProtocolError::Chunk);
            }
            (state @ (State::ChunkExtension | State::TrailerLine | State::TrailerStart), _) => {
                self.overhead += 1;
                if self.overhead > HEAD_LIMIT {
                    return Err(ProtocolError::TrailerTooLong);
                }
                if state == State::ChunkExtension { state } else { State::TrailerLine }
            }
            _ => return Err(ProtocolError::Chunk),
        };
        Ok(false)
    }
}

/// What the header fields say about the message's end and the connection.
struct Fields {
    body: Body,
    close: bool,
}

impl Fields {
    fn read(headers: &[Header<'_>], http10: bool) -> Result<Self, ProtocolError> {
        let mut length: Option<u64> = None;
        let mut encoding: Option<&[u8]> = None;
        let (mut close, mut keep) = (false, false);
        for header in headers {
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            if is("content-length") {
                let value = digits(header.value).ok_or(ProtocolError::ContentLength)?;
                if length.is_some_and(|before| before != value) {
                    return Err(ProtocolError::ContentLength);
                }
                length = Some(value);
            } else if is("transfer-encoding") {
                encoding = Some(header.value);
            } else if is("connection") {
                for token in header.value.split(|b| *b == b',') {
                    close |= token.trim_ascii().eq_ignore_ascii_case(b"close");
                    keep |= token.trim_ascii().eq_ignore_ascii_case(b"keep-alive");
                }
            }
        }
        let body = match (encoding, length) {
            (Some(_), _) if http10 => return Err(ProtocolError::EncodingInHttp10),
            (Some(_), Some(_)) => return Err(ProtocolError::BothFramings),
            (Some(codings), None) => {
                let last = codings.rsplit(|b| *b == b',').next().unwrap_or_default();
                if last.trim_ascii().eq_ignore_ascii_case(b"chunked") { Body::Chunked } else { Body::UntilClose }
            }
            (None, Some(length)) => Body::Fixed(length),
            (None, None) => Body::UntilClose,
        };
        Ok(Self { body, close: close || (http10 && !keep) })
    }
}

/// A plain decimal number; unlike `str::parse`, without a sign.
fn digits(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

#[cfg(test)]
#[path = "response_tests.rs"]
mod tests;
