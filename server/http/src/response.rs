//! [`ResponseEncoder`]: one response into bytes.
//!
//! Owns what the application may say, how the body is framed (RFC 9112 §6), and whether the connection survives. Knows no
//! socket and no clock: bytes go to the caller's vector, the date is an argument. The server's `connection` calls it, on
//! behalf of the application.

use crate::Version;
use crate::grammar;
use crate::response_error::ResponseError;

/// What a response depends on in its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestFacts {
    /// The method was HEAD: no body.
    pub head: bool,
    /// HTTP/1.0 gets no chunks.
    pub version: Version,
    /// The client wants the connection to stay open, and so does the server.
    pub keep_alive: bool,
}

/// Whether the connection may carry another request after this response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persistence {
    /// It may.
    KeepAlive,
    /// It must be closed once the response is sent.
    Close,
}

/// Encodes one response after another; keeps its buffer from one to the next.
///
/// Order of calls: [`reset`](Self::reset), [`begin`](Self::begin), any number of [`header`](Self::header), then the body
/// through one [`whole`](Self::whole), one [`head_for`](Self::head_for) or any number of [`piece`](Self::piece), then
/// [`finish`](Self::finish). Nothing is written to `out` before the body's first byte or the end, so the application may
/// still change its mind until then. `date` is an IMF-fixdate (RFC 9110 §5.6.7).
#[derive(Debug)]
pub struct ResponseEncoder {
    facts: RequestFacts,
    state: State,
    /// The status line and the application's fields, ready to be copied. Content-Length is kept as a number instead.
    head: Vec<u8>,
    status_code: u16,
    content_length: Option<u64>,
    has_date: bool,
    has_server: bool,
    sent: u64,
    overran: bool,
    persistence: Persistence,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Waiting for the status.
    Idle,
    /// Status known, collecting fields.
    Collecting,
    /// Head written, body under way.
    Body(Framing),
    /// Nothing more to write.
    Finished,
}

/// How the body that is under way is delimited (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// HEAD, 204, 205, 304: there is none, whatever the application gives.
    Bodiless,
    /// Content-Length, so many bytes of which are still owed.
    Length { remaining: u64 },
    /// The chunked coding.
    Chunked,
    /// Up to the end of the connection.
    UntilClose,
}

/// What is known of the body when the head is written and the application gave no Content-Length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// All of it.
    Exactly(u64),
    /// There may be more.
    Open,
}

impl Default for ResponseEncoder {
    fn default() -> Self {
        Self::new()
    }
}

impl ResponseEncoder {
    /// An encoder to be [`reset`](Self::reset) before each response.
    pub fn new() -> Self {
        ResponseEncoder {
            facts: RequestFacts { head: false, version: Version::Http11, keep_alive: false },
            state: State::Idle,
            head: Vec::new(),
            status_code: 0,
            content_length: None,
            has_date: false,
            has_server: false,
            sent: 0,
            overran: false,
            persistence: Persistence::Close,
        }
    }

    /// Makes ready for the response to another request.
    pub fn reset(&mut self, facts: RequestFacts) {
        self.facts = facts;
        self.state = State::Idle;
        self.head.clear();
        self.status_code = 0;
        self.content_length = None;
        self.has_date = false;
        self.has_server = false;
        self.sent = 0;
        self.overran = false;
        self.persistence = if facts.keep_alive { Persistence::KeepAlive } else { Persistence::Close };
    }

    /// Takes the status, e.g. `200 OK`; the reason may be missing. Called again before anything is
    /// [committed](Self::committed), it drops what was collected.
    ///
    /// # Errors
    /// [`Committed`](ResponseError::Committed), [`InvalidStatus`](ResponseError::InvalidStatus),
    /// [`InterimStatus`](ResponseError::InterimStatus).
    pub fn begin(&mut self, status: impl AsRef<[u8]>) -> Result<(), ResponseError> {
        if self.committed() {
            return Err(ResponseError::Committed);
        }
        let status = status.as_ref();
        let code = status_code(status).ok_or_else(|| ResponseError::InvalidStatus { status: lossy(status) })?;
        if code < 200 {
            return Err(ResponseError::InterimStatus { status: lossy(status) });
        }
        self.reset(self.facts);
        self.state = State::Collecting;
        self.status_code = code;
        // Always our own version, whatever the client's (RFC 9110 §6.2).
        self.head.extend_from_slice(b"HTTP/1.1 ");
        self.head.extend_from_slice(status);
        if status.len() == 3 {
            self.head.push(b' '); // RFC 9112 §4: the space stays when the reason is missing
        }
        self.head.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// Takes one header.
    ///
    /// # Errors
    /// [`NotStarted`](ResponseError::NotStarted), [`Committed`](ResponseError::Committed), and whatever is wrong with the
    /// name, the value, or the application sending it at all.
    pub fn header(&mut self, name: &[u8], value: &[u8]) -> Result<(), ResponseError> {
        match self.state {
            State::Idle => return Err(ResponseError::NotStarted),
            State::Collecting => {}
            State::Body(_) | State::Finished => return Err(ResponseError::Committed),
        }
        if !grammar::is_token(name) {
            return Err(ResponseError::InvalidHeaderName { name: lossy(name) });
        }
        if !grammar::is_text(value) {
            return Err(ResponseError::InvalidHeaderValue { name: lossy(name), value: lossy(value) });
        }
        match Special::of(name) {
            Special::None => {}
            Special::Date => self.has_date = true,
            Special::Server => self.has_server = true,
            Special::ContentLength => return self.take_content_length(value),
            Special::HopByHop => return Err(ResponseError::HopByHop { name: lossy(name) }),
        }
        self.head.reserve(name.len() + value.len() + 4);
        self.head.extend_from_slice(name);
        self.head.extend_from_slice(b": ");
        self.head.extend_from_slice(value);
        self.head.extend_from_slice(b"\r\n");
        Ok(())
    }

    fn take_content_length(&mut self, value: &[u8]) -> Result<(), ResponseError> {
        let Some(second) = grammar::decimal(grammar::trim_ows(value)) else {
            return Err(ResponseError::InvalidContentLength { value: lossy(value) });
        };
        match self.content_length.replace(second) {
            Some(first) if first != second => Err(ResponseError::ConflictingContentLength { first, second }),
            _ => Ok(()),
        }
    }

    /// Writes the head and the only piece of body. Without a Content-Length from the application the piece's length
    /// becomes it. More than Content-Length is cut; less is reported by [`finish`](Self::finish).
    ///
    /// # Errors
    /// [`NotStarted`](ResponseError::NotStarted), [`Finished`](ResponseError::Finished).
    pub fn whole(&mut self, out: &mut Vec<u8>, body: &[u8], date: &str) -> Result<(), ResponseError> {
        self.commit(out, Extent::Exactly(body.len() as u64), body.len(), date)?;
        self.write(out, body)
    }

    /// Like [`whole`](Self::whole), but writes the head only: the caller sends the body itself (`writev`, `sendfile`).
    /// Returns how many of the body's `len` bytes it must send: none for HEAD, 204, 205 and 304, no more than
    /// Content-Length. They count as sent; if the caller can't deliver them all, it has to cut the connection. After pieces
    /// it writes nothing, and they must be under a Content-Length.
    ///
    /// # Errors
    /// [`NotStarted`](ResponseError::NotStarted), [`Finished`](ResponseError::Finished), and
    /// [`Committed`](ResponseError::Committed) when pieces came before whose framing the caller can't continue.
    pub fn head_for(&mut self, out: &mut Vec<u8>, len: u64, date: &str) -> Result<u64, ResponseError> {
        if matches!(self.state, State::Body(Framing::Chunked | Framing::UntilClose)) {
            return Err(ResponseError::Committed);
        }
        self.commit(out, Extent::Exactly(len), 0, date)?;
        Ok(self.owed(len))
    }

    /// Writes one of several pieces, before the first of them the head. Without a Content-Length from the application the
    /// body is chunked for HTTP/1.1 and ends with the connection for HTTP/1.0. An empty piece does nothing. More than
    /// Content-Length is cut.
    ///
    /// # Errors
    /// [`NotStarted`](ResponseError::NotStarted), [`Finished`](ResponseError::Finished).
    pub fn piece(&mut self, out: &mut Vec<u8>, body: &[u8], date: &str) -> Result<(), ResponseError> {
        match self.state {
            State::Idle => return Err(ResponseError::NotStarted),
            State::Finished => return Err(ResponseError::Finished),
            State::Collecting | State::Body(_) if body.is_empty() => return Ok(()),
            State::Collecting | State::Body(_) => {}
        }
        self.commit(out, Extent::Open, body.len(), date)?;
        self.write(out, body)
    }

    /// Ends the response: writes the head if no body came, the last chunk if chunks did. Says whether the connection may
    /// be used again. Once it has succeeded, it only repeats its answer.
    ///
    /// # Errors
    /// [`NotStarted`](ResponseError::NotStarted). [`TooShort`](ResponseError::TooShort): if the response is
    /// [committed](Self::committed), the connection must be cut; if not (no body byte came), there is still time for an
    /// error response.
    pub fn finish(&mut self, out: &mut Vec<u8>, date: &str) -> Result<Persistence, ResponseError> {
        match self.state {
            State::Idle => return Err(ResponseError::NotStarted),
            State::Finished => return Ok(self.persistence),
            State::Body(_) => {}
            State::Collecting => {
                if let Some(promised @ 1..) = self.content_length.filter(|_| !self.is_bodiless()) {
                    return Err(ResponseError::TooShort { promised, sent: 0 });
                }
                self.commit(out, Extent::Exactly(0), 0, date)?;
            }
        }
        match self.state {
            State::Body(Framing::Length { remaining: owed @ 1.. }) => {
                self.persistence = Persistence::Close;
                return Err(ResponseError::TooShort { promised: self.sent + owed, sent: self.sent });
            }
            State::Body(Framing::Chunked) => out.extend_from_slice(b"0\r\n\r\n"),
            _ => {}
        }
        self.state = State::Finished;
        Ok(self.persistence)
    }

    /// Whether `len` more bytes, at least one, are all that the application's Content-Length still promises.
    pub fn completes(&self, len: u64) -> bool {
        len > 0
            && match self.state {
                State::Collecting => self.content_length == Some(len) && !self.is_bodiless(),
                State::Body(Framing::Length { remaining }) => remaining == len,
                State::Idle | State::Body(_) | State::Finished => false,
            }
    }

    /// Has the connection closed after this response, e.g. because the server is about to stop. Tells the client if the
    /// head is not yet committed.
    pub fn close_after(&mut self) {
        self.persistence = Persistence::Close;
        self.facts.keep_alive = false;
    }

    /// Whether there is a status.
    pub fn started(&self) -> bool {
        self.state != State::Idle
    }

    /// Whether the head was written to `out`.
    pub fn committed(&self) -> bool {
        matches!(self.state, State::Body(_) | State::Finished)
    }

    /// Whether no further byte of body would go out: all of Content-Length has, the response has no body (HEAD, 204, 304),
    /// or is over. Only once the head is written.
    pub fn is_full(&self) -> bool {
        matches!(self.state, State::Body(Framing::Bodiless | Framing::Length { remaining: 0 }) | State::Finished)
    }

    /// Whether the connection may be used again, as far as is known; final once [`finish`](Self::finish) has answered.
    pub fn persistence(&self) -> Persistence {
        self.persistence
    }

    /// Payload bytes written or left to the caller by [`head_for`](Self::head_for), for the access log.
    pub fn sent_body_bytes(&self) -> u64 {
        self.sent
    }

    /// The status, 0 before [`begin`](Self::begin).
    pub fn status_code(&self) -> u16 {
        self.status_code
    }

    /// Whether the application gave more body than its Content-Length, which was cut.
    pub fn overran(&self) -> bool {
        self.overran
    }

    /// RFC 9110 §6.4.1, §15.3.6. (Interim responses have no body either, but never come this far.)
    fn is_bodiless(&self) -> bool {
        self.facts.head || matches!(self.status_code, 204 | 205 | 304)
    }

    /// Writes the head unless it has been, and settles the framing. `room` is how much body follows at once.
    fn commit(&mut self, out: &mut Vec<u8>, extent: Extent, room: usize, date: &str) -> Result<(), ResponseError> {
        match self.state {
            State::Idle => return Err(ResponseError::NotStarted),
            State::Finished => return Err(ResponseError::Finished),
            State::Body(_) => return Ok(()),
            State::Collecting => {}
        }
        let (framing, content_length) = self.framing(extent);
        // What is added below is at most 200 bytes plus the date.
        out.reserve(self.head.len() + date.len() + 200 + room);
        out.extend_from_slice(&self.head);
        // RFC 9110 §6.6.1: an origin server with a clock sends the date.
        match (self.has_server, self.has_date) {
            (false, false) => out.extend_from_slice(b"Server: smarthttpd\r\nDate: "),
            (false, true) => out.extend_from_slice(b"Server: smarthttpd\r\n"),
            (true, false) => out.extend_from_slice(b"Date: "),
            (true, true) => {}
        }
        if !self.has_date {
            out.extend_from_slice(date.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        if let Some(length) = content_length {
            out.extend_from_slice(b"Content-Length: ");
            write_number(out, length);
            out.extend_from_slice(b"\r\n");
        }
        match framing {
            Framing::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
            Framing::UntilClose => self.persistence = Persistence::Close,
            Framing::Bodiless | Framing::Length { .. } => {}
        }
        // RFC 9112 §9.3: the default differs by version; only what departs from it is said.
        match (self.persistence, self.facts.version) {
            (Persistence::Close, _) => out.extend_from_slice(b"Connection: close\r\n"),
            (Persistence::KeepAlive, Version::Http10) => {
                out.extend_from_slice(b"Connection: keep-alive\r\n");
            }
            (Persistence::KeepAlive, Version::Http11) => {}
        }
        out.extend_from_slice(b"\r\n");
        self.state = State::Body(framing);
        Ok(())
    }

    /// The framing of the body and the Content-Length to send, if any.
    fn framing(&self, extent: Extent) -> (Framing, Option<u64>) {
        if self.is_bodiless() {
            // RFC 9110 §8.6: none with 204. With HEAD and 304 only the length that GET would have had: the application's
            // word, or the length of a body that it gave although it would not be sent. A 205 may not have content, but
            // is framed like a response that could (§15.3.6).
            let content_length = match (self.status_code, self.content_length, extent) {
                (204, _, _) => None,
                (205, _, _) => Some(0),
                (_, Some(length), _) => Some(length),
                (304, None, _) | (_, None, Extent::Open | Extent::Exactly(0)) => None,
                (_, None, Extent::Exactly(length)) => Some(length),
            };
            return (Framing::Bodiless, content_length);
        }
        match (self.content_length, extent) {
            (Some(length), _) | (None, Extent::Exactly(length)) => {
                (Framing::Length { remaining: length }, Some(length))
            }
            (None, Extent::Open) if self.facts.version == Version::Http11 => (Framing::Chunked, None),
            (None, Extent::Open) => (Framing::UntilClose, None),
        }
    }

    /// Writes payload in the framing that was settled.
    fn write(&mut self, out: &mut Vec<u8>, body: &[u8]) -> Result<(), ResponseError> {
        let owed = self.owed(body.len() as u64);
        // Not more than `body.len()`.
        let body = &body[..owed as usize];
        if body.is_empty() {
            return Ok(());
        }
        if self.state == State::Body(Framing::Chunked) {
            out.reserve(body.len() + 20);
            write_hexadecimal(out, body.len());
            out.extend_from_slice(b"\r\n");
            out.extend_from_slice(body);
            out.extend_from_slice(b"\r\n");
        } else {
            out.extend_from_slice(body);
        }
        Ok(())
    }

    /// How many of the next `len` bytes of payload go out; counts them as sent.
    fn owed(&mut self, len: u64) -> u64 {
        let owed = match &mut self.state {
            State::Body(Framing::Length { remaining }) => {
                let owed = len.min(*remaining);
                *remaining -= owed;
                self.overran |= owed < len;
                owed
            }
            State::Body(Framing::Chunked | Framing::UntilClose) => len,
            State::Body(Framing::Bodiless) | State::Idle | State::Collecting | State::Finished => 0,
        };
        self.sent += owed;
        owed
    }
}

/// Headers that need more than copying.
enum Special {
    None,
    Date,
    Server,
    ContentLength,
    HopByHop,
}

impl Special {
    /// By length first, so that most names are told apart without a comparison. The hop-by-hop names are those of
    /// RFC 2616 §13.5.1, to which PEP 3333 refers, with both spellings of Trailer.
    fn of(name: &[u8]) -> Special {
        use grammar::is_name as is;
        match name.len() {
            2 if is(name, b"te") => Special::HopByHop,
            4 if is(name, b"date") => Special::Date,
            6 if is(name, b"server") => Special::Server,
            7 if is(name, b"upgrade") || is(name, b"trailer") => Special::HopByHop,
            8 if is(name, b"trailers") => Special::HopByHop,
            10 if is(name, b"connection") || is(name, b"keep-alive") => Special::HopByHop,
            14 if is(name, b"content-length") => Special::ContentLength,
            17 if is(name, b"transfer-encoding") => Special::HopByHop,
            18 if is(name, b"proxy-authenticate") => Special::HopByHop,
            19 if is(name, b"proxy-authorization") => Special::HopByHop,
            _ => Special::None,
        }
    }
}

/// The number of `200 OK` or `200`; `None` unless it is that shape, from 100 to 999 (RFC 9112 §4).
fn status_code(status: &[u8]) -> Option<u16> {
    let (code, reason) = status.split_at_checked(3)?;
    let code = grammar::decimal(code)?;
    let reason_is_valid = match reason {
        [] => true,
        [b' ', reason @ ..] => grammar::is_text(reason),
        _ => false,
    };
    u16::try_from(code).ok().filter(|&code| code >= 100 && reason_is_valid)
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Appends a number in decimal.
pub(crate) fn write_number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends a chunk size.
fn write_hexadecimal(out: &mut Vec<u8>, number: usize) {
    let digits = (usize::BITS - number.leading_zeros()).div_ceil(4).max(1);
    out.extend((0..digits).rev().map(|digit| b"0123456789abcdef"[number >> (4 * digit) & 0xf]));
}

#[cfg(test)]
#[path = "response_tests.rs"]
mod tests;
