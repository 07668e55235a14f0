//! Why a request is refused before it reaches the application, and what the client is told.
//!
//! Every check in this crate ends in one of these variants; [`Refusal::status`] is the only place where a variant
//! becomes a status. The connection is closed after each of them, because the end of the refused message is unknown.

/// A request that must not reach the application. The client erred, or asked for what this server does not do.
#[derive(thiserror::Error, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// More empty lines before the request line than a robust server skips.
    #[error("too many empty lines before the request line")]
    EmptyLines,
    /// A line feed without a carriage return before it.
    #[error("a line ends with a bare line feed")]
    BareLineFeed,
    /// The request line is not `method SP target SP version`, or a part has characters that it may not have.
    #[error("malformed request line")]
    RequestLine,
    /// The request line is longer than the limit.
    #[error("request line too long")]
    RequestLineTooLong,
    /// A well-formed version with a major number that is not 1.
    #[error("only HTTP/1.0 and HTTP/1.1 are spoken here")]
    Version,
    /// The target has none of the forms that its method allows, or its path has a malformed escape or an escaped NUL.
    #[error("malformed request target")]
    Target,
    /// CONNECT: this is no proxy.
    #[error("CONNECT is not implemented")]
    Connect,
    /// A field name is empty, has a character that is no token character, is followed by a space, or the line is folded.
    #[error("malformed header name, or a folded header line")]
    HeaderName,
    /// A field value has a control character, a bare carriage return included.
    #[error("control character in a header value")]
    HeaderValue,
    /// More header fields than the limit.
    #[error("too many header fields")]
    TooManyHeaders,
    /// The header block is longer than the limit.
    #[error("header fields too large")]
    HeadersTooLarge,
    /// HTTP/1.1 without a Host, or with an empty one.
    #[error("missing Host")]
    MissingHost,
    /// More than one Host.
    #[error("more than one Host")]
    DuplicateHost,
    /// Host is not `uri-host [ ":" port ]`.
    #[error("malformed Host")]
    InvalidHost,
    /// Content-Length is not a plain decimal number that fits into 64 bits.
    #[error("malformed Content-Length")]
    ContentLength,
    /// More than one Content-Length, equal or not.
    #[error("more than one Content-Length")]
    DuplicateContentLength,
    /// Both Content-Length and Transfer-Encoding.
    #[error("both Content-Length and Transfer-Encoding")]
    LengthAndTransferEncoding,
    /// Transfer-Encoding is malformed, or `chunked` is not its last and only `chunked`.
    #[error("Transfer-Encoding does not end in a single chunked")]
    TransferEncoding,
    /// Transfer-Encoding in an HTTP/1.0 request.
    #[error("Transfer-Encoding in HTTP/1.0")]
    TransferEncodingInHttp10,
    /// A transfer coding other than `chunked`.
    #[error("unknown transfer coding")]
    UnknownTransferCoding,
    /// An expectation other than `100-continue`.
    #[error("unknown expectation")]
    Expectation,
    /// The body is, or grew, longer than the limit.
    #[error("body too large")]
    BodyTooLarge,
    /// A chunk size is not hexadecimal, or does not fit into 64 bits.
    #[error("malformed chunk size")]
    ChunkSize,
    /// A chunk extension has a control character, or all extensions together are too long.
    #[error("malformed or overlong chunk extension")]
    ChunkExtension,
    /// A chunk's data is not followed by a line end.
    #[error("chunk data not followed by a line end")]
    ChunkEnd,
    /// A trailer field is malformed.
    #[error("malformed trailer field")]
    Trailer,
    /// The trailer section is longer than the limit.
    #[error("trailer section too large")]
    TrailersTooLarge,
}

impl Refusal {
    /// The status line's code and reason for this refusal, e.g. `400 Bad Request` (RFC 9110 §15.5, §15.6; RFC 6585 §5).
    pub fn status(self) -> &'static str {
        match self {
            Refusal::EmptyLines
            | Refusal::BareLineFeed
            | Refusal::RequestLine
            | Refusal::Target
            | Refusal::HeaderName
            | Refusal::HeaderValue
            | Refusal::MissingHost
            | Refusal::DuplicateHost
            | Refusal::InvalidHost
            | Refusal::ContentLength
            | Refusal::DuplicateContentLength
            | Refusal::LengthAndTransferEncoding
            | Refusal::TransferEncoding
            | Refusal::TransferEncodingInHttp10
            | Refusal::ChunkSize
            | Refusal::ChunkExtension
            | Refusal::ChunkEnd
            | Refusal::Trailer
            | Refusal::TrailersTooLarge => "400 Bad Request",
            Refusal::BodyTooLarge => "413 Content Too Large",
            Refusal::RequestLineTooLong => "414 URI Too Long",
            Refusal::Expectation => "417 Expectation Failed",
            Refusal::TooManyHeaders | Refusal::HeadersTooLarge => "431 Request Header Fields Too Large",
            Refusal::Connect | Refusal::UnknownTransferCoding => "501 Not Implemented",
            Refusal::Version => "505 HTTP Version Not Supported",
        }
    }
}
