//! What the few fields that steer the connection say: Host, Content-Length, Transfer-Encoding, Connection, Expect.
//!
//! Owns their combination rules (RFC 9112 §3.2, §6, §9.3; RFC 9110 §10.1.1) and ends in one verdict, computed once per
//! request. `head` feeds it every field once; it keeps no text.

use crate::Version;
use crate::grammar;
use crate::limits::Limits;
use crate::refusal::Refusal;
use crate::target;

/// How a request's body is delimited (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Framing {
    /// No body: neither Content-Length nor Transfer-Encoding.
    #[default]
    None,
    /// Content-Length bytes; may be 0.
    Length(u64),
    /// The chunked coding.
    Chunked,
}

/// The outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Semantics {
    pub(crate) framing: Framing,
    pub(crate) keep_alive: bool,
    pub(crate) expects_continue: bool,
}

/// The transfer codings met so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Codings {
    Absent,
    /// One `chunked`, nothing else.
    Chunked,
    /// One or more others, `chunked` may still follow.
    Unknown,
    /// Others, then one `chunked`.
    UnknownThenChunked,
}

/// The Connection options that matter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Connection {
    Unsaid,
    KeepAlive,
    /// Stronger than `keep-alive` in the same message (RFC 9112 §9.3).
    Close,
}

/// Collects the steering fields of one request.
#[derive(Debug)]
pub(crate) struct Steering {
    host: Option<HostValue>,
    length: Option<u64>,
    codings: Codings,
    connection: Connection,
    expects_continue: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HostValue {
    Empty,
    Given,
}

impl Steering {
    pub(crate) fn new() -> Self {
        Steering {
            host: None,
            length: None,
            codings: Codings::Absent,
            connection: Connection::Unsaid,
            expects_continue: false,
        }
    }

    /// Takes one field; `name` is a token and `value` has no whitespace around it. Fields that steer nothing are told apart
    /// by their length.
    pub(crate) fn field(&mut self, name: &[u8], value: &[u8]) -> Result<(), Refusal> {
        match name.len() {
            4 if grammar::is_name(name, b"host") => self.host(value),
            6 if grammar::is_name(name, b"expect") => self.expect(value),
            10 if grammar::is_name(name, b"connection") => {
                self.connection(value);
                Ok(())
            }
            14 if grammar::is_name(name, b"content-length") => self.content_length(value),
            17 if grammar::is_name(name, b"transfer-encoding") => self.transfer_encoding(value),
            _ => Ok(()),
        }
    }

    /// More than one, or a malformed one, is refused in every version (RFC 9112 §3.2).
    fn host(&mut self, value: &[u8]) -> Result<(), Refusal> {
        let host = if value.is_empty() {
            HostValue::Empty
        } else if target::is_host_and_port(value) {
            HostValue::Given
        } else {
            return Err(Refusal::InvalidHost);
        };
        match self.host.replace(host) {
            None => Ok(()),
            Some(_) => Err(Refusal::DuplicateHost),
        }
    }

    /// RFC 9110 §8.6: `1*DIGIT`. A list of equal lengths may be refused or collapsed; refused here, for not every
    /// recipient on the way collapses it.
    fn content_length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if self.length.is_some() {
            return Err(Refusal::DuplicateContentLength);
        }
        self.length = Some(grammar::decimal(value).ok_or(Refusal::ContentLength)?);
        Ok(())
    }

    /// RFC 9112 §6.1, §7. Coding names are case-insensitive. `chunked` has no parameters (§7.1), comes once and last.
    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Refusal> {
        for element in grammar::list(value) {
            let end = memchr::memchr(b';', element).unwrap_or(element.len());
            let name = grammar::trim_ows(&element[..end]);
            // Empty elements are ignored in other lists (RFC 9110 §5.6.1.2). In this one they have hidden attacks.
            if !grammar::is_token(name) {
                return Err(Refusal::TransferEncoding);
            }
            let chunked = name.eq_ignore_ascii_case(b"chunked");
            if chunked && end != element.len() {
                return Err(Refusal::TransferEncoding);
            }
            self.codings = match (self.codings, chunked) {
                (Codings::Absent, true) => Codings::Chunked,
                (Codings::Absent | Codings::Unknown, false) => Codings::Unknown,
                (Codings::Unknown, true) => Codings::UnknownThenChunked,
                (Codings::Chunked | Codings::UnknownThenChunked, _) => {
                    return Err(Refusal::TransferEncoding);
                }
            };
        }
        Ok(())
    }

    /// RFC 9110 §7.6.1: a list of case-insensitive options, over any number of lines.
    fn connection(&mut self, value: &[u8]) {
        for option in grammar::list(value) {
            if option.eq_ignore_ascii_case(b"close") {
                self.connection = Connection::Close;
            } else if option.eq_ignore_ascii_case(b"keep-alive") && self.connection == Connection::Unsaid {
                self.connection = Connection::KeepAlive;
            }
        }
    }

    /// RFC 9110 §10.1.1: the only expectation there is. Empty elements of a list are ignored (§5.6.1.2).
    fn expect(&mut self, value: &[u8]) -> Result<(), Refusal> {
        for expectation in grammar::list(value).filter(|expectation| !expectation.is_empty()) {
            if !expectation.eq_ignore_ascii_case(b"100-continue") {
                return Err(Refusal::Expectation);
            }
            self.expects_continue = true;
        }
        Ok(())
    }

    /// The verdict, once every field was taken.
    pub(crate) fn conclude(self, version: Version, limits: &Limits) -> Result<Semantics, Refusal> {
        // RFC 9112 §3.2. An empty Host says that the target has no authority, which `http` requires (§3.3).
        if version == Version::Http11 && self.host != Some(HostValue::Given) {
            return Err(Refusal::MissingHost);
        }
        // RFC 9112 §6.1, §6.3: this is how requests are smuggled; of the permitted reactions, refuse.
        if self.codings != Codings::Absent && self.length.is_some() {
            return Err(Refusal::LengthAndTransferEncoding);
        }
        let framing = match (self.codings, self.length) {
            (Codings::Absent, None) => Framing::None,
            (Codings::Absent, Some(length)) => Framing::Length(length),
            // RFC 9112 §6.1: such framing is faulty even when the coding is known.
            _ if version == Version::Http10 => return Err(Refusal::TransferEncodingInHttp10),
            (Codings::Chunked, _) => Framing::Chunked,
            // RFC 9112 §6.3 rule 4: the end of the body can't be known, which is a 400 and no 501.
            (Codings::Unknown, _) => return Err(Refusal::TransferEncoding),
            // RFC 9112 §6.1: well framed, but not understood.
            (Codings::UnknownThenChunked, _) => return Err(Refusal::UnknownTransferCoding),
        };
        if matches!(framing, Framing::Length(length) if length > limits.body) {
            return Err(Refusal::BodyTooLarge);
        }
        Ok(Semantics {
            framing,
            // RFC 9112 §9.3.
            keep_alive: match self.connection {
                Connection::Close => false,
                Connection::KeepAlive => true,
                Connection::Unsaid => version == Version::Http11,
            },
            // RFC 9110 §10.1.1: HTTP/1.0 has no interim responses; and without content nobody waits for one.
            expects_continue: self.expects_continue
                && version == Version::Http11
                && !matches!(framing, Framing::None | Framing::Length(0)),
        })
    }
}
