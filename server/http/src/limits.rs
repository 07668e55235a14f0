//! The bounds a request must stay within. Owns numbers only; the parsers compare against them.

/// Bounds on one request, in bytes unless said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest request line, without its line end. Beyond: 414.
    pub request_line: usize,
    /// Most header fields. Beyond: 431.
    pub header_count: usize,
    /// Longest header block: everything between the request line and the body, the empty line included. Beyond: 431.
    /// Bounds a chunked body's trailer section as well; beyond that: 400.
    pub header_bytes: usize,
    /// Longest body, as payload. Beyond: 413. `u64::MAX` means no limit.
    pub body: u64,
}

impl Default for Limits {
    /// Apache httpd's request line and header count, 64 KiB of headers, any body.
    fn default() -> Self {
        Limits { request_line: 8190, header_count: 100, header_bytes: 64 * 1024, body: u64::MAX }
    }
}
