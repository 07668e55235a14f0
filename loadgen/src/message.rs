//! What one request consists of, and its bytes: fixed once for a run, or filled in each time.
//!
//! Pure. `plan` describes messages, `driver` asks for their bytes.

use crate::template::{Numbers, Template, TemplateError, decimal};

/// The parts of a request, as a plan has them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts<'a> {
    pub(crate) method: &'a str,
    /// Path and query.
    pub(crate) path: &'a str,
    /// The `Host` field, unless one is given.
    pub(crate) host: &'a str,
    pub(crate) headers: &'a [(String, String)],
    pub(crate) body: &'a [u8],
    /// Ask for the connection to be closed, unless a field about it is given.
    pub(crate) close: bool,
    /// There is a place for the cookies of the connection.
    pub(crate) cookies: bool,
}

/// A request whose bytes can be made any number of times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// Up to the length of the body, or to the end of the fields if none is announced.
    head: Template,
    /// The length of the body is to be announced.
    announced: bool,
    bodiless: bool,
    cookies: bool,
    body: Template,
}

impl Message {
    /// # Errors
    /// A place in the path, a field or the body that makes no sense.
    pub(crate) fn new(parts: Parts<'_>) -> Result<Self, TemplateError> {
        let given = |name: &str| parts.headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
        let mut head = Template::default();
        head.text(parts.method.as_bytes());
        head.text(b" ");
        head.append(Template::parse(parts.path.as_bytes())?);
        head.text(b" HTTP/1.1\r\n");
        let mut field = |name: &str, value: Template| {
            head.text(name.as_bytes());
            head.text(b": ");
            head.append(value);
            head.text(b"\r\n");
        };
        let fixed = |value: &str| {
            let mut text = Template::default();
            text.text(value.as_bytes());
            text
        };
        if !given("host") {
            field("Host", fixed(parts.host));
        }
        if !given("user-agent") {
            field("User-Agent", fixed(concat!("loadgen/", env!("CARGO_PKG_VERSION"))));
        }
        for (name, value) in parts.headers {
            field(name, Template::parse(value.as_bytes())?);
        }
        if parts.close && !given("connection") {
            field("Connection", fixed("close"));
        }
        // RFC 9110 §8.6: methods that anticipate content send a length even when it is zero.
        let expected = matches!(parts.method, "POST" | "PUT" | "PATCH");
        let announced = (expected || !parts.body.is_empty()) && !given("content-length");
        let bodiless = parts.method == "HEAD";
        Ok(Self { head, announced, bodiless, cookies: parts.cookies, body: Template::parse(parts.body)? })
    }

    /// The answer has no body, whatever its head says: this is a HEAD request.
    pub(crate) fn bodiless(&self) -> bool {
        self.bodiless
    }

    /// The bytes, if they are the same each time.
    pub(crate) fn fixed(&self) -> Option<Vec<u8>> {
        if self.cookies || self.head.fixed().is_none() || self.body.fixed().is_none() {
            return None;
        }
        let mut bytes = Vec::new();
        // Without a place, no number matters.
        self.fill(&mut Numbers::default(), &[], &mut bytes);
        Some(bytes)
    }

    /// Adds the bytes of one request to `out`. `cookies` is the value of its `Cookie` field;
    /// without any it has none.
    pub(crate) fn fill(&self, numbers: &mut Numbers, cookies: &[u8], out: &mut Vec<u8>) {
        // The length of the body comes before the body: its numbers are drawn twice.
        let mut of_body = numbers.clone();
        let length = self.body.length(numbers);
        self.head.fill(numbers, out);
        if !cookies.is_empty() {
            out.extend_from_slice(b"Cookie: ");
            out.extend_from_slice(cookies);
            out.extend_from_slice(b"\r\n");
        }
        if self.announced {
            out.extend_from_slice(b"Content-Length: ");
            decimal(length as u64, out);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
        self.body.fill(&mut of_body, out);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GET: Parts<'_> =
        Parts { method: "GET", path: "/x", host: "a:81", headers: &[], body: b"", close: false, cookies: false };
    const AGENT: &str = concat!("User-Agent: loadgen/", env!("CARGO_PKG_VERSION"), "\r\n");

    fn header(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    fn filled(parts: Parts<'_>, seq: u64, cookies: &str) -> String {
        let mut out = Vec::new();
        let mut numbers = Numbers { seq, ..Numbers::default() };
        Message::new(parts).unwrap().fill(&mut numbers, cookies.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_message_is_what_its_parts_say() {
        let fixed = |parts| String::from_utf8(Message::new(parts).unwrap().fixed().unwrap()).unwrap();
        assert_eq!(fixed(GET), format!("GET /x HTTP/1.1\r\nHost: a:81\r\n{AGENT}\r\n"));
        let headers = [header("host", "b"), header("User-Agent", "u")];
        let post = Parts { method: "POST", body: b"abc", headers: &headers, close: true, ..GET };
        assert_eq!(
            fixed(post),
            "POST /x HTTP/1.1\r\nhost: b\r\nUser-Agent: u\r\nConnection: close\r\n\
             Content-Length: 3\r\n\r\nabc"
        );
        // A length is announced where content is expected, and not twice.
        assert!(fixed(Parts { method: "PUT", ..GET }).contains("Content-Length: 0\r\n"));
        let headers = [header("content-length", "3")];
        assert!(!fixed(Parts { headers: &headers, ..post }).contains("Content-Length"));
    }

    #[test]
    fn places_are_filled_in_everywhere_and_the_length_is_right() {
        let headers = [header("X-Request", "r-{seq}")];
        let parts = Parts { method: "POST", path: "/{seq}", body: b"{\"n\": {seq}}", headers: &headers, ..GET };
        assert_eq!(Message::new(parts).unwrap().fixed(), None);
        for (seq, length) in [(7, 8), (1234, 11)] {
            let text = filled(parts, seq, "");
            let expected = format!(
                "POST /{seq} HTTP/1.1\r\nHost: a:81\r\n{AGENT}X-Request: r-{seq}\r\nContent-Length: {length}\r\n\r\n\
                 {{\"n\": {seq}}}"
            );
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn cookies_have_their_place() {
        let parts = Parts { cookies: true, ..GET };
        assert_eq!(Message::new(parts).unwrap().fixed(), None);
        assert_eq!(filled(parts, 1, ""), format!("GET /x HTTP/1.1\r\nHost: a:81\r\n{AGENT}\r\n"));
        assert!(filled(parts, 1, "a=1; b=2").ends_with("\r\nCookie: a=1; b=2\r\n\r\n"));
    }

    proptest! {
        #[test]
        fn the_announced_length_is_that_of_the_body(
            path in "/(\\{rand\\}|x){0,3}",
            parts in proptest::collection::vec("[a{}]{0,3}|\\{seq\\}|\\{rand\\}|\\{rand:1\\.\\.10000\\}", 1..6),
            seq in any::<u64>(),
        ) {
            let body = parts.concat();
            let text = filled(Parts { method: "POST", path: &path, body: body.as_bytes(), ..GET }, seq, "");
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            let (_, length) = head.split_once("Content-Length: ").unwrap();
            prop_assert_eq!(length, body.len().to_string());
        }
    }
}
