//! A whole response for a request that reached no application, or whose application failed.
//!
//! Owns its small text body and its framing; the statuses come from [`Refusal::status`](crate::Refusal::status) or from
//! the caller (408, 500, 503).

use crate::response::write_number;

/// Appends a complete response that closes the connection: `status` (e.g. `400 Bad Request`), `extra` fields, and a
/// text/plain body made of the status and `detail`. `date` is an IMF-fixdate. `head_only` leaves the body out (for HEAD),
/// with the Content-Length that it would have had.
///
/// The caller answers for `status` and `extra`: they are written as they are.
pub fn error_response(
    out: &mut Vec<u8>,
    status: &str,
    detail: &str,
    extra: &[(&str, &str)],
    date: &str,
    head_only: bool,
) {
    let body = [status, ": ", detail, "\n"];
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_bytes());
    out.extend_from_slice(b"\r\nServer: smarthttpd\r\nDate: ");
    out.extend_from_slice(date.as_bytes());
    out.extend_from_slice(b"\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ");
    write_number(out, body.iter().map(|part| part.len() as u64).sum());
    for (name, value) in extra {
        for part in ["\r\n", name, ": ", value] {
            out.extend_from_slice(part.as_bytes());
        }
    }
    out.extend_from_slice(b"\r\n\r\n");
    if !head_only {
        for part in body {
            out.extend_from_slice(part.as_bytes());
        }
    }
}
