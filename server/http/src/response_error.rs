//! What an application can get wrong in a response.
//!
//! Owns the messages that its developer reads in the log; `response` decides when they apply.

/// What the application got wrong. Nothing of the offending call has been written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResponseError {
    /// A header, a body or the end came before the status.
    #[error("the application sent a header or a body before the status")]
    NotStarted,
    /// A status or header came after the head had been sent.
    #[error("the application sent a status or a header after the response had begun")]
    Committed,
    /// A body came after the end.
    #[error("the application sent a body after the end of the response")]
    Finished,
    /// Not three digits from 100 to 999, a space and a reason without control characters.
    #[error("invalid status {status:?}: three digits, a space and a reason are needed, e.g. \"200 OK\"")]
    InvalidStatus {
        /// As given.
        status: String,
    },
    /// A 1xx status, which would leave the client waiting for the real response (RFC 9110 §15.2).
    #[error("status {status:?} is interim: a response needs a status of 200 or above")]
    InterimStatus {
        /// As given.
        status: String,
    },
    /// Not a token.
    #[error("invalid header name {name:?}")]
    InvalidHeaderName {
        /// As given, with anything that is not UTF-8 replaced.
        name: String,
    },
    /// A control character other than tab: a line end would start another header, or another response.
    #[error("control character in the value of header {name}: {value:?}")]
    InvalidHeaderValue {
        /// The header.
        name: String,
        /// As given, with anything that is not UTF-8 replaced.
        value: String,
    },
    /// A header about the connection, which is the server's business (PEP 3333, "Other HTTP Features").
    #[error(
        "header {name} is the server's: applications may not send hop-by-hop headers (PEP 3333). Remove it; the server \
         frames the response and decides by itself whether the connection stays open"
    )]
    HopByHop {
        /// The header.
        name: String,
    },
    /// Content-Length is not a plain decimal number that fits into 64 bits.
    #[error("invalid Content-Length {value:?}")]
    InvalidContentLength {
        /// As given, with anything that is not UTF-8 replaced.
        value: String,
    },
    /// Two different Content-Length.
    #[error("two Content-Length headers that differ: {first} and {second}")]
    ConflictingContentLength {
        /// The one that came first.
        first: u64,
        /// The one that came then.
        second: u64,
    },
    /// The body is shorter than Content-Length said. If the head has been written, the connection must be cut, for that
    /// is the only way to tell the client.
    #[error("the application promised {promised} body bytes in Content-Length and sent {sent}")]
    TooShort {
        /// Content-Length.
        promised: u64,
        /// Body bytes given.
        sent: u64,
    },
}
