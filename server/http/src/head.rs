//! [`RequestHead`]: one request's head, parsed and judged.
//!
//! Owns the order of the checks and the spans that remember where things stand. Delegates the grammar of lines to
//! `httparse`, their ends to `lines`, the target to `target`, the fields that steer the connection to `semantics`.
//! The server's `connection` calls [`RequestHead::parse`]; whoever builds the application's environment calls the
//! accessors with the same bytes.

use std::mem::MaybeUninit;
use std::ops::Range;

use crate::Version;
use crate::limits::Limits;
use crate::lines;
use crate::refusal::Refusal;
use crate::semantics::{Framing, Semantics, Steering};
use crate::target::{self, Path};

/// Header fields that are parsed without touching the heap; more (if the limits allow) cost one allocation.
const ON_STACK: usize = 128;

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
        let Some(length) = lines::head_length(head, seen.saturating_sub(skipped), limits)? else {
            return Ok(Parse::Incomplete);
        };
        let head = &head[..length];
        match version_of(head)? {
            Spoken::Exactly(version) => self.read(head, skipped, version, limits)?,
            Spoken::LaterMinor(as_if_1_1) => {
                self.read(&as_if_1_1, skipped, Version::Http11, limits)?;
            }
        }
        Ok(Parse::Complete { head_len: skipped + length })
    }

    /// Reads a whole head that starts at `skipped` in the caller's bytes.
    fn read(&mut self, head: &[u8], skipped: usize, version: Version, limits: &Limits) -> Result<(), Refusal> {
        let mut few = [const { MaybeUninit::uninit() }; ON_STACK];
        match self.read_into(&mut few[..limits.header_count.min(ON_STACK)], head, skipped, version, limits) {
            Err(Refusal::TooManyHeaders) if limits.header_count > ON_STACK => {
                // The shortest field is `a:` and its line end.
                let most = limits.header_count.min(head.len() / 4);
                self.read_into(&mut vec![MaybeUninit::uninit(); most], head, skipped, version, limits)
            }
            verdict => verdict,
        }
    }

    fn read_into<'b>(
        &mut self,
        slots: &mut [MaybeUninit<httparse::Header<'b>>],
        head: &'b [u8],
        skipped: usize,
        version: Version,
        limits: &Limits,
    ) -> Result<(), Refusal> {
        let mut request = httparse::Request::new(&mut []);
        match request.parse_with_uninit_headers(head, slots) {
            Ok(httparse::Status::Complete(length)) if length == head.len() => {}
            // `httparse` and `lines` disagree on where the head ends.
            Ok(_) => return Err(Refusal::RequestLine),
            Err(httparse::Error::HeaderName) => return Err(Refusal::HeaderName),
            // NewLine: a bare CR where a line begins.
            Err(httparse::Error::HeaderValue | httparse::Error::NewLine) => {
                return Err(Refusal::HeaderValue);
            }
            Err(httparse::Error::TooManyHeaders) => return Err(Refusal::TooManyHeaders),
            Err(httparse::Error::Token | httparse::Error::Version | httparse::Error::Status) => {
                return Err(Refusal::RequestLine);
            }
        }
        let (Some(method), Some(target)) = (request.method, request.path) else {
            return Err(Refusal::RequestLine);
        };

        // Where a slice of `head` stands in the caller's bytes.
        let base = head.as_ptr().addr();
        let place = |slice: &[u8]| {
            let start = slice.as_ptr().addr() - base + skipped;
            start..start + slice.len()
        };
        self.method = Span::new(place(method.as_bytes()));
        let target_place = place(target.as_bytes());
        let within = |range: Range<usize>| Span::new(target_place.start + range.start..target_place.start + range.end);
        let parts = target::split(method, target)?;
        self.authority = parts.authority.map(within);
        self.path = match parts.path {
            Path::Sent(range) => PathPlace::Sent(within(range)),
            Path::Root => PathPlace::Root,
            Path::Asterisk => PathPlace::Asterisk,
        };
        self.query = within(parts.query);
        self.target = Span::new(target_place);
        self.is_head = method == "HEAD";
        self.version = version;

        self.fields.clear();
        let mut steering = Steering::new();
        for header in request.headers.iter() {
            steering.field(header.name, header.value)?;
            self.fields
                .push(Field { name: Span::new(place(header.name.as_bytes())), value: Span::new(place(header.value)) });
        }
        self.semantics = steering.conclude(version, limits)?;
        Ok(())
    }

    /// The method as sent; methods are case-sensitive.
    pub fn method<'a>(&self, bytes: &'a [u8]) -> &'a str {
        self.method.text(bytes)
    }

    /// The request-target as sent, in whatever form.
    pub fn target<'a>(&self, bytes: &'a [u8]) -> &'a str {
        self.target.text(bytes)
    }

    /// The path, still percent-encoded, of origin-form or absolute-form; `/` where absolute-form has none; `*` for
    /// `OPTIONS *`. UTF-8, not necessarily ASCII.
    pub fn path<'a>(&self, bytes: &'a [u8]) -> &'a str {
        match self.path {
            PathPlace::Sent(span) => span.text(bytes),
            PathPlace::Root => "/",
            PathPlace::Asterisk => "*",
        }
    }

    /// The query, still percent-encoded, without its `?`; empty when there is none.
    pub fn query<'a>(&self, bytes: &'a [u8]) -> &'a str {
        self.query.text(bytes)
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
    Exactly(Version),
    /// HTTP/1.2 to 1.9, which are to be read as the highest 1.x known (RFC 9110 §2.5): a copy that says 1.1. Nobody sends
    /// these, so the copy costs nothing.
    LaterMinor(Vec<u8>),
}

/// The version in a head's first line. Anything but `HTTP/` DIGIT `.` DIGIT as the last of three words is no request line
/// (an HTTP/0.9 request has none at all); a major version other than 1 is well-formed but not spoken, HTTP/2's preface
/// (`PRI * HTTP/2.0`) included.
fn version_of(head: &[u8]) -> Result<Spoken, Refusal> {
    let line_end = memchr::memchr(b'\r', head).unwrap_or(head.len());
    let line = &head[..line_end];
    match line {
        [.., b' ', b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'1'] => Ok(Spoken::Exactly(Version::Http11)),
        [.., b' ', b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0'] => Ok(Spoken::Exactly(Version::Http10)),
        [.., b' ', b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'2'..=b'9'] => {
            let mut as_if_1_1 = head.to_vec();
            as_if_1_1[line_end - 1] = b'1';
            Ok(Spoken::LaterMinor(as_if_1_1))
        }
        [.., b' ', b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => Err(Refusal::Version),
        _ => Err(Refusal::RequestLine),
    }
}

#[cfg(test)]
#[path = "head_tests.rs"]
mod tests;
