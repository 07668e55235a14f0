//! The request-target's four forms (RFC 9112 §3.2) and the `host[:port]` that Host and absolute-form share.
//!
//! Owns the split into authority, path and query, as ranges within the target. Decodes nothing, but refuses a path that
//! readers decode differently. `head` calls it.

use std::net::Ipv6Addr;
use std::ops::Range;

use crate::grammar;
use crate::refusal::Refusal;

/// A target's path, in the place it has or in the one it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Path {
    /// This range of the target.
    Sent(Range<usize>),
    /// Absolute-form without a path: the same as `/` (RFC 9110 §4.2.3).
    Root,
    /// `*`: the server itself, for OPTIONS.
    Asterisk,
}

/// The parts of a target, as ranges within it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// Absolute-form's `host[:port]`.
    pub(crate) authority: Option<Range<usize>>,
    /// Still percent-encoded.
    pub(crate) path: Path,
    /// Without `?`; empty when there is none.
    pub(crate) query: Range<usize>,
}

/// Splits a target. `target` is not empty and has neither spaces nor control characters (`httparse` saw to that).
pub(crate) fn split(method: &str, target: &str) -> Result<Target, Refusal> {
    // CONNECT is the only method with authority-form (RFC 9112 §3.2.3); an origin server need not implement it.
    if method == "CONNECT" {
        return Err(Refusal::Connect);
    }
    if target.starts_with('/') {
        let (path, query) = path_and_query(target, 0)?;
        return Ok(Target { authority: None, path: Path::Sent(path), query });
    }
    if target == "*" {
        return if method == "OPTIONS" { Ok(asterisk(None)) } else { Err(Refusal::Target) };
    }
    absolute(method, target)
}

/// Absolute-form (RFC 9112 §3.2.2), which a server must accept although only clients of proxies send it.
fn absolute(method: &str, target: &str) -> Result<Target, Refusal> {
    let (scheme, rest) = target.split_once("://").ok_or(Refusal::Target)?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(Refusal::Target);
    }
    let start = target.len() - rest.len();
    let authority = start..start + rest.find(['/', '?']).unwrap_or(rest.len());
    // Userinfo has no place in a request either (RFC 9110 §4.2.4); the check refuses its `@`.
    if !is_host_and_port(target[authority.clone()].as_bytes()) {
        return Err(Refusal::Target);
    }
    // What a client of a proxy writes for `OPTIONS *` (RFC 9112 §3.2.4).
    if authority.end == target.len() && method == "OPTIONS" {
        return Ok(asterisk(Some(authority)));
    }
    let (path, query) = path_and_query(target, authority.end)?;
    Ok(Target { authority: Some(authority), path: if path.is_empty() { Path::Root } else { Path::Sent(path) }, query })
}

fn asterisk(authority: Option<Range<usize>>) -> Target {
    Target { authority, path: Path::Asterisk, query: 0..0 }
}

/// Path and query from `start` on.
fn path_and_query(target: &str, start: usize) -> Result<(Range<usize>, Range<usize>), Refusal> {
    let bytes = target.as_bytes();
    let mut from = start;
    // Most paths have none of these.
    while let Some(found) = memchr::memchr3(b'?', b'%', b'#', &bytes[from..]) {
        let at = from + found;
        match bytes[at] {
            b'%' if is_sound_escape(&bytes[at + 1..]) => from = at + 3,
            b'?' if memchr::memchr(b'#', &bytes[at..]).is_none() => return Ok((start..at, at + 1..bytes.len())),
            // A target has no fragment (RFC 9112 §3.2, RFC 9110 §7.1): whoever sends one disagrees with us on the path.
            _ => return Err(Refusal::Target),
        }
    }
    Ok((start..bytes.len(), bytes.len()..bytes.len()))
}

/// Whether these bytes, which follow a `%` in a path, make it an escape (RFC 3986 §2.1) and not `%00`. A `%` that is left
/// as it is by one reader is an error to another, and a NUL ends the path for those written in C. Queries are left alone:
/// what a `%` means there is the application's business, and browsers send bare ones.
fn is_sound_escape(after: &[u8]) -> bool {
    match after {
        [b'0', b'0', ..] => false,
        [high, low, ..] => high.is_ascii_hexdigit() && low.is_ascii_hexdigit(),
        _ => false,
    }
}

/// `uri-host [ ":" port ]` with a host that is not empty (RFC 9110 §4.2.1, §7.2; RFC 3986 §3.2.2).
pub fn is_host_and_port(bytes: &[u8]) -> bool {
    let port = match bytes {
        [b'[', rest @ ..] => match memchr::memchr(b']', rest) {
            Some(end) if is_ipv6(&rest[..end]) => &rest[end + 1..],
            _ => return false,
        },
        _ => match reg_name_length(bytes) {
            None | Some(0) => return false,
            Some(length) => &bytes[length..],
        },
    };
    match port {
        [] | [b':'] => true, // RFC 3986 §3.2.3: the port may be empty
        [b':', digits @ ..] => grammar::decimal(digits).is_some_and(|port| port <= u64::from(u16::MAX)),
        _ => false,
    }
}

/// How many of the bytes are a registered name, or an IPv4 address, which is one by grammar. `None` when an escape in it is
/// malformed.
fn reg_name_length(bytes: &[u8]) -> Option<usize> {
    let mut length = 0;
    loop {
        length += bytes[length..].iter().take_while(|&&byte| REG_NAME[usize::from(byte)]).count();
        match bytes[length..] {
            [b'%', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => length += 3,
            [b'%', ..] => return None,
            _ => return Some(length),
        }
    }
}

/// `unreserved / sub-delims` (RFC 3986 §2.2, §2.3).
const REG_NAME: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let others = b"-._~!$&'()*+,;=";
    let mut other = 0;
    while other < others.len() {
        table[others[other] as usize] = true;
        other += 1;
    }
    table
};

/// The inside of `[…]`. IPvFuture is refused: no version of it exists (RFC 3986 §3.2.2).
fn is_ipv6(bytes: &[u8]) -> bool {
    str::from_utf8(bytes).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Authority, path and query as text.
    fn parts<'a>(method: &str, target: &'a str) -> Result<(Option<&'a str>, &'a str, &'a str), Refusal> {
        let split = split(method, target)?;
        Ok((
            split.authority.map(|range| &target[range]),
            match split.path {
                Path::Sent(range) => &target[range],
                Path::Root => "/",
                Path::Asterisk => "*",
            },
            &target[split.query],
        ))
    }

    #[test]
    fn targets_are_split_by_form() {
        for (method, target, expected) in [
            ("GET", "/", Ok((None, "/", ""))),
            ("GET", "/a%20b?c=d", Ok((None, "/a%20b", "c=d"))),
            ("GET", "/?", Ok((None, "/", ""))),
            ("GET", "/a?b?c", Ok((None, "/a", "b?c"))),
            // Not absolute-form: the path just looks like one.
            ("GET", "//host/a", Ok((None, "//host/a", ""))),
            ("GET", "/http://host/a", Ok((None, "/http://host/a", ""))),
            ("GET", "http://host/a?b", Ok((Some("host"), "/a", "b"))),
            ("GET", "HTTPS://host:8443", Ok((Some("host:8443"), "/", ""))),
            ("GET", "http://host?b", Ok((Some("host"), "/", "b"))),
            ("GET", "http://[::1]:80/a", Ok((Some("[::1]:80"), "/a", ""))),
            ("OPTIONS", "*", Ok((None, "*", ""))),
            ("OPTIONS", "http://host", Ok((Some("host"), "*", ""))),
            ("OPTIONS", "http://host/", Ok((Some("host"), "/", ""))),
            ("OPTIONS", "/a", Ok((None, "/a", ""))),
            ("GET", "*", Err(Refusal::Target)),
            ("OPTIONS", "*?a", Err(Refusal::Target)),
            ("GET", "a", Err(Refusal::Target)),
            ("GET", "host:80", Err(Refusal::Target)),
            ("GET", "ftp://host/", Err(Refusal::Target)),
            ("GET", "http:///a", Err(Refusal::Target)),
            ("GET", "http://", Err(Refusal::Target)),
            ("GET", "http://user@host/", Err(Refusal::Target)),
            ("GET", "/a#b", Err(Refusal::Target)),
            ("GET", "/%2Fa%2f%e9%41?b", Ok((None, "/%2Fa%2f%e9%41", "b"))),
            ("GET", "/%", Err(Refusal::Target)),
            ("GET", "/%4", Err(Refusal::Target)),
            ("GET", "/%4?1", Err(Refusal::Target)),
            ("GET", "/%zz", Err(Refusal::Target)),
            ("GET", "/%%41", Err(Refusal::Target)),
            ("GET", "/a%00b", Err(Refusal::Target)),
            ("GET", "http://host/%zz", Err(Refusal::Target)),
            // Nobody decodes twice.
            ("GET", "/%2500", Ok((None, "/%2500", ""))),
            ("GET", "/?a=%&b=%00", Ok((None, "/", "a=%&b=%00"))),
            ("CONNECT", "host:443", Err(Refusal::Connect)),
            ("CONNECT", "/", Err(Refusal::Connect)),
            // Methods are case-sensitive (RFC 9110 §9.1), so this is no CONNECT but a malformed target.
            ("connect", "host:443", Err(Refusal::Target)),
        ] {
            assert_eq!(parts(method, target), expected, "{method} {target}");
        }
    }

    #[test]
    fn hosts_keep_to_the_grammar() {
        for good in [
            "a",
            "example.com",
            "example.com:",
            "example.com:80",
            "example.com:65535",
            "127.0.0.1:8000",
            "[::1]",
            "[2001:db8::1]:80",
            "my_service",
            "a%2Fb",
            "xn--bcher-kva.example",
        ] {
            assert!(is_host_and_port(good.as_bytes()), "{good}");
        }
        for bad in [
            "",
            ":80",
            "a:b",
            "a:80:80",
            "a:65536",
            "a:+1",
            "a b",
            "a/b",
            "a@b",
            "a?b",
            "a\\b",
            "a,\"b\"",
            "b\u{fc}cher.example",
            "a%2",
            "a%zz",
            "[::1",
            "[::1]a",
            "[]",
            "[v1.a]",
            "[fe80::1%25eth0]",
            "::1",
            "http://a",
        ] {
            assert!(!is_host_and_port(bad.as_bytes()), "{bad}");
        }
    }
}
