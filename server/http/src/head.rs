//! [`RequestHead`]: one request's head, parsed and judged.
//!
//! Owns the order of the checks and the spans that remember where things stand. Delegates the grammar of lines to
//! `httparse`, their ends to `lines`, the target to `target`, the fields that steer the connection to `semantics`.
//! The server's `connection` calls [`RequestHead::parse`]; whoever builds the application's environment calls the
//! accessors with the same bytes.

use std::mem::MaybeUninit;
use std::ops::Range;

use crate::Version;
use crate::grammar;
use crate::limits::Limits;
use crate::lines;
use crate::refusal::Refusal;
use crate::semantics::{Framing, Semantics, Steering};
use crate::target::{self, Path};

/// Header fields that are parsed without touching the heap; more (if the limits allow) cost one allocation.
const ON_STACK: usize = 128;

/// Bytes from the end of the target to the first field: ` HTTP/1.1` and the line end. `httparse` takes one space only.
const VERSION_AND_LINE_END: usize = 11;

/// Where something stands, as byte offsets from the start of the bytes given to [`RequestHead::parse`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// Heads are bounded to `u32::MAX` bytes by `lines`, so nothing is truncated.
    fn new(range: Range<usize>) -> Self {
        Span { start: range.start as u32, end: range.end as u32 }
    }

    /// The bytes it stands for; empty if `bytes` are not those that were parsed.
    fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// The same as text. What is asked for as text was text when it was parsed.
    fn text(self, bytes: &[u8]) -> &str {
        str::from_utf8(self.of(bytes)).unwrap_or_default()
    }
}

/// How far [`RequestHead::parse`] got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parse {
    /// More bytes are needed.
    Incomplete,
    /// The head is there.
    Complete {
        /// Bytes of the head, with the empty lines before it and the one that ends it. The body starts here.
        head_len: usize,
    },
}

#[derive(Debug, Clone, Copy)]
struct Field {
    name: Span,
    value: Span,
}

#[derive(Debug, Clone, Copy, Default)]
enum PathPlace {
    Sent(Span),
    #[default]
    Root,
    Asterisk,
}

/// One parsed request head. Owns no text: every accessor takes the bytes that were parsed (or a copy of them), from the
/// same first byte on. Reused from request to request, it allocates nothing.
///
/// Before the first successful [`parse`](Self::parse) and after a refused or incomplete one, the accessors answer with
/// nothing in particular, but never panic.
#[derive(Debug, Clone, Default)]
pub struct RequestHead {
    fields: Vec<Field>,
    method: Span,
    target: Span,
    authority: Option<Span>,
    path: PathPlace,
    query: Span,
    version: Version,
    semantics: Semantics,
    is_head: bool,
}

impl RequestHead {
    /// Parses the head at the start of `bytes`, the first byte after the previous message. Up to eight empty lines before
    /// it are skipped (RFC 9112 §2.2).
    ///
    /// `seen` is how many of the `bytes` an earlier call found [`Parse::Incomplete`], 0 at first: the search for the
    /// head's end goes on from there. Nothing else is remembered between calls.
    ///
    /// # Errors
    /// The first offence found. What is refused stays refused however many bytes follow, and a head that could still
    /// become valid is refused only when it has passed a limit.
    pub fn parse(&mut self, bytes: &[u8], seen: usize, limits: &Limits) -> Result<Parse, Refusal> {
        let Some(skipped) = lines::leading_empty_lines(bytes)? else {
            return Ok(Parse::Incomplete);
        };
        let head = &bytes[skipped..];
        // Most heads arrive whole and are in order, so they are read before anybody looks where they end. Of a head that
        // is not, nothing is believed: it is searched line by line, which finds the first offence whatever has arrived.
        if seen == 0 {
            let mut few = [const { MaybeUninit::uninit() }; ON_STACK];
            let slots = &mut few[..limits.header_count.min(ON_STACK)];
            if let Ok(length) = self.read_into(slots, head, skipped, limits) {
                return Ok(Parse::Complete { head_len: skipped + length });
            }
        }
        self.search(head, skipped, seen.saturating_sub(skipped), limits)
    }

    /// The same for bytes of which it isn't known whether they hold a whole head: checks line by line, then reads.
    #[cold]
    fn search(&mut self, head: &[u8], skipped: usize, seen: usize, limits: &Limits) -> Result<Parse, Refusal> {
        // No method begins like this: another protocol (a TLS handshake, say) need not be waited for.
        if head.first().is_some_and(|&first| !grammar::is_token_byte(first)) {
            return Err(Refusal::RequestLine);
        }
        let Some(line_end) = lines::request_line(head, limits)? else {
            return Ok(Parse::Incomplete);
        };
        // Before the rest is there: who speaks another protocol need not be waited for.
        let spoken = version_of(&head[..line_end])?;
        let Some(length) = lines::head_length(head, line_end, seen, limits)? else {
            return Ok(Parse::Incomplete);
        };
        let head = &head[..length];
        let read = match spoken {
            Spoken::Exactly => self.read(head, skipped, limits)?,
            Spoken::LaterMinor => {
                let mut as_if_1_1 = head.to_vec();
                as_if_1_1[line_end - 1] = b'1';
                self.read(&as_if_1_1, skipped, limits)?
            }
        };
        // `httparse` and `lines` disagree on where the head ends.
        if read != length {
            return Err(Refusal::RequestLine);
        }
        Ok(Parse::Complete { head_len: skipped + length })
    }

    /// Reads a whole head that starts at `skipped` in the caller's bytes.
    fn read(&mut self, head: &[u8], skipped: usize, limits: &Limits) -> Result<usize, Refusal> {
        let mut few = [const { MaybeUninit::uninit() }; ON_STACK];
        match self.read_into(&mut few[..limits.header_count.min(ON_STACK)], head, skipped, limits) {
            Err(Refusal::TooManyHeaders) if limits.header_count > ON_STACK => {
                // The shortest field is `a:` and its line end.
                let most = limits.header_count.min(head.len() / 4);
                self.read_into(&mut vec![MaybeUninit::uninit(); most], head, skipped, limits)
            }
            verdict => verdict,
        }
    }

    /// Reads the head at the start of `head` and says how long it is. If it isn't all there, the error has no meaning.
    fn read_into<'b>(
        &mut self,
        slots: &mut [MaybeUninit<httparse::Header<'b>>],
        head: &'b [u8],
        skipped: usize,
        limits: &Limits,
    ) -> Result<usize, Refusal> {
        let mut request = httparse::Request::new(&mut []);
        let length = match request.parse_with_uninit_headers(head, slots) {
            Ok(httparse::Status::Complete(length)) => length,
            Err(httparse::Error::HeaderName) => return Err(Refusal::HeaderName),
            // NewLine: a bare CR where a line begins.
            Err(httparse::Error::HeaderValue | httparse::Error::NewLine) => return Err(Refusal::HeaderValue),
            Err(httparse::Error::TooManyHeaders) => return Err(Refusal::TooManyHeaders),
            Ok(httparse::Status::Partial)
            | Err(httparse::Error::Token | httparse::Error::Version | httparse::Error::Status) => {
                return Err(Refusal::RequestLine);
            }
        };
        let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version) else {
            return Err(Refusal::RequestLine);
        };
        let version = if minor == 0 { Version::Http10 } else { Version::Http11 };

        // Where a slice of `head` stands in it.
        let base = head.as_ptr().addr();
        let place = |slice: &[u8]| {
            let start = slice.as_ptr().addr() - base;
            start..start + slice.len()
        };
        let target_place = place(target.as_bytes());
        let fields_start = target_place.end + VERSION_AND_LINE_END;
        lines::check_bounds(fields_start - 2, length, limits)?;
        // `httparse` takes a bare line feed for a line end. Each field begins where a line does, and the last two lines end
        // together.
        let follows_line_end = |at: usize| head[..at].ends_with(b"\r\n");
        if !follows_line_end(fields_start) || !head[..length].ends_with(b"\r\n\r\n") {
            return Err(Refusal::BareLineFeed);
        }
        let parts = target::split(method, target)?;
        let mut steering = Steering::new();
        for header in request.headers.iter() {
            if !follows_line_end(place(header.name.as_bytes()).start) {
                return Err(Refusal::BareLineFeed);
            }
            steering.field(header.name.as_bytes(), header.value)?;
        }
        self.semantics = steering.conclude(version, limits)?;

        let span = |range: Range<usize>| Span::new(skipped + range.start..skipped + range.end);
        let within = |range: Range<usize>| span(target_place.start + range.start..target_place.start + range.end);
        self.method = span(place(method.as_bytes()));
        self.authority = parts.authority.map(within);
        self.path = match parts.path {
            Path::Sent(range) => PathPlace::Sent(within(range)),
            Path::Root => PathPlace::Root,
            Path::Asterisk => PathPlace::Asterisk,
        };
        self.query = within(parts.query);
        self.target = span(target_place.clone());
        self.is_head = method == "HEAD";
        self.version = version;
        self.fields.clear();
        self.fields.extend(
            request
                .headers
                .iter()
                .map(|header| Field { name: span(place(header.name.as_bytes())), value: span(place(header.value)) }),
        );
        Ok(length)
    }

    /// The method as sent, a token; methods are case-sensitive.
    pub fn method<'a>(&self, bytes: &'a [u8]) -> &'a str {
        self.method.text(bytes)
    }

    /// The same as bytes, for those who need no text: it need not be shown again that it is some.
    pub fn method_bytes<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        self.method.of(bytes)
    }

    /// The request-target as sent, in whatever form. UTF-8, not necessarily ASCII.
    pub fn target<'a>(&self, bytes: &'a [u8]) -> &'a str {
        self.target.text(bytes)
    }

    /// The same as bytes.
    pub fn target_bytes<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        self.target.of(bytes)
    }

    /// The path, still percent-encoded, of origin-form or absolute-form; `/` where absolute-form has none; `*` for
    /// `OPTIONS *`. UTF-8, not necessarily ASCII; every `%` in it begins an escape, none of which is `%00`.
    pub fn path<'a>(&self, bytes: &'a [u8]) -> &'a str {
        match self.path {
            PathPlace::Sent(span) => span.text(bytes),
            PathPlace::Root => "/",
            PathPlace::Asterisk => "*",
        }
    }

    /// The same as bytes.
    pub fn path_bytes<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        match self.path {
            PathPlace::Sent(span) => span.of(bytes),
            PathPlace::Root => b"/",
            PathPlace::Asterisk => b"*",
        }
    }

    /// The query, still percent-encoded, without its `?`; empty when there is none.
    pub fn query<'a>(&self, bytes: &'a [u8]) -> &'a str {
        self.query.text(bytes)
    }

    /// The same as bytes.
    pub fn query_bytes<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        self.query.of(bytes)
    }

    /// The `host[:port]` of absolute-form, which overrides Host (RFC 9112 §3.2.2).
    pub fn authority<'a>(&self, bytes: &'a [u8]) -> Option<&'a str> {
        self.authority.map(|span| span.text(bytes))
    }

    /// The version the client speaks.
    pub fn version(&self) -> Version {
        self.version
    }

    /// All fields in the order sent: the name as sent (a token), the value without whitespace around it (any bytes but
    /// control characters).
    pub fn headers<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.fields.iter().map(|field| (field.name.text(bytes), field.value.of(bytes)))
    }

    /// The same with names as bytes, which are ASCII.
    pub fn fields<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.fields.iter().map(|field| (field.name.of(bytes), field.value.of(bytes)))
    }

    /// The first field of that name, whatever its case.
    pub fn header<'a>(&self, bytes: &'a [u8], name: &str) -> Option<&'a [u8]> {
        self.fields
            .iter()
            .find(|field| field.name.of(bytes).eq_ignore_ascii_case(name.as_bytes()))
            .map(|field| field.value.of(bytes))
    }

    /// How the body is delimited, for [`BodyDecoder::new`](crate::BodyDecoder::new).
    pub fn framing(&self) -> Framing {
        self.semantics.framing
    }

    /// Whether the client's version and Connection ask for the connection to stay open (RFC 9112 §9.3).
    pub fn keep_alive(&self) -> bool {
        self.semantics.keep_alive
    }

    /// Whether the client waits for [`CONTINUE`](crate::CONTINUE) before it sends its body. Never true in HTTP/1.0 nor
    /// without a body to wait for.
    pub fn expects_continue(&self) -> bool {
        self.semantics.expects_continue
    }

    /// Whether the method is HEAD, whose response has no body.
    pub fn is_head(&self) -> bool {
        self.is_head
    }
}

/// What to read a head as.
enum Spoken {
    /// A version that `httparse` knows.
    Exactly,
    /// HTTP/1.2 to 1.9, which are to be read as the highest 1.x known (RFC 9110 §2.5): a copy that says 1.1. Nobody sends
    /// these, so the copy costs nothing.
    LaterMinor,
}

/// The version at the end of a request line. Anything but `HTTP/` DIGIT `.` DIGIT as the last word is no request line (an
/// HTTP/0.9 request has none at all); a major version other than 1 is well-formed but not spoken, HTTP/2's preface
/// (`PRI * HTTP/2.0`) included.
fn version_of(line: &[u8]) -> Result<Spoken, Refusal> {
    match line {
        [.., b' ', b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0' | b'1'] => Ok(Spoken::Exactly),
        [.., b' ', b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'2'..=b'9'] => Ok(Spoken::LaterMinor),
        [.., b' ', b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => Err(Refusal::Version),
        _ => Err(Refusal::RequestLine),
    }
}

#[cfg(test)]
#[path = "head_tests.rs"]
mod tests;
