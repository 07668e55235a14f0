//! HTTP/1.0 and HTTP/1.1 without I/O: request heads, body framing, response encoding.
//!
//! Owns the wire format between one client and one server and every decision that the wire format demands: what a
//! request means, where it ends, whether it is ambiguous, how a response is framed, whether the connection survives it.
//! It must not know sockets, clocks, threads, configuration files or Python: bytes and limits go in, bytes and verdicts
//! come out, and the date is an argument. The server's `connection` module calls it; the WSGI bridge reads
//! [`RequestHead`].
//!
//! # Map
//!
//! | module | owns |
//! | --- | --- |
//! | `limits` | the bounds a request must stay within |
//! | `refusal` | why a request is refused, and the one match from that to a status |
//! | `grammar` | character classes and numbers of RFC 9110 §5 |
//! | `lines` | where a head ends; bare line feeds, overlong lines and heads |
//! | `target` | the four forms of a request-target (RFC 9112 §3.2) and `host[:port]` |
//! | `semantics` | Host, Content-Length, Transfer-Encoding, Connection, Expect |
//! | `head` | [`RequestHead`]: the above put together around `httparse` |
//! | `body`, `chunked` | [`BodyDecoder`]: payload out of message bytes |
//! | `response`, `response_error` | [`ResponseEncoder`]: one response into bytes; what an application gets wrong |
//! | `error_response` | a whole response for a request that reached no application |
//!
//! # Invariants
//!
//! - The verdict on a request depends on its bytes only, never on how they were split into reads.
//! - A message that two readers could frame differently is refused (RFC 9112 §6, §11.2): no repair, no guess.
//! - Input that could still become a valid request is never refused, unless it has passed a limit already.
//! - Nothing is allocated per request once the buffers have grown to their working size.

#![forbid(unsafe_code)]

mod body;
mod chunked;
mod error_response;
mod grammar;
mod head;
mod limits;
mod lines;
mod refusal;
mod response;
mod response_error;
mod semantics;
mod target;

pub use body::{BodyDecoder, Decoded};
pub use error_response::error_response;
pub use head::{Parse, RequestHead, Span};
pub use limits::Limits;
pub use refusal::Refusal;
pub use response::{Persistence, RequestFacts, ResponseEncoder};
pub use response_error::ResponseError;
pub use semantics::Framing;
pub use target::is_host_and_port;

/// The interim response that asks a waiting client for its body (RFC 9110 §15.2.1).
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The version a request was sent in. Minor versions above 1 are read as 1.1 (RFC 9110 §2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Version {
    /// HTTP/1.0: no chunked coding, connections close unless the client asks otherwise.
    Http10,
    /// HTTP/1.1.
    #[default]
    Http11,
}
