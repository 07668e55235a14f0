//! The pages: a native application over one [`Status`].
//!
//! | Path | What | Token needed |
//! | --- | --- | --- |
//! | `/` | the live page, which asks for `/status` once a second | no: it has no data of its own |
//! | `/status` | what `smarthttpd ctl status --json` says | yes |
//! | `/metrics` | the same for Prometheus | yes |
//! | `/healthz`, `/readyz` | 200 while requests can be served, else 503 and why | no |
//! | `/livez` | 200 while the supervisor turns | no |

use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;

use super::metrics::{self, Format};
use crate::ctl::protocol::Status;
use crate::exchange::{Application, CallCost, Failed, Request, ResponseSink, SinkError};

/// The live page. `{nonce}` stands where the page's own style and script prove that they are its own.
const PAGE: &str = include_str!("../../assets/admin.html");
const STYLE: &str = include_str!("../../assets/admin.css");
const SCRIPT: &str = include_str!("../../assets/admin.js");

/// What is shown, and to whom.
pub(super) struct Site<'a> {
    /// What the server says of itself.
    pub(super) status: &'a Status,
    /// What clients have to know to see it.
    pub(super) token: Option<&'a str>,
}

/// A response before it is sent.
struct Answer {
    status: &'static str,
    content_type: &'static str,
    headers: Vec<(&'static str, Cow<'static, str>)>,
    body: Vec<u8>,
}

impl Answer {
    fn new(status: &'static str, content_type: &'static str, body: impl Into<Vec<u8>>) -> Answer {
        Answer { status, content_type, headers: Vec::new(), body: body.into() }
    }

    fn text(status: &'static str, text: &str) -> Answer {
        Answer::new(status, "text/plain; charset=utf-8", format!("{text}\n"))
    }

    fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Answer {
        self.headers.push((name, value.into()));
        self
    }
}

impl Site<'_> {
    fn answer(&self, request: &Request) -> Answer {
        let (head, bytes) = (&request.head, &request.bytes[..]);
        let path = head.path(bytes);
        let known = ["/", "/status", "/metrics", "/healthz", "/readyz", "/livez"];
        if !known.contains(&path) {
            return Answer::text("404 Not Found", "there are /, /status, /metrics, /healthz, /readyz and /livez");
        }
        if !matches!(head.method(bytes), "GET" | "HEAD") {
            return Answer::text("405 Method Not Allowed", "everything here is only read").with("Allow", "GET, HEAD");
        }
        match path {
            "/livez" => return Answer::text("200 OK", "ok"),
            "/healthz" | "/readyz" => return self.health(),
            "/" => return page(),
            _ => {}
        }
        match self.token {
            Some(token) if !knows(head.header(bytes, "authorization"), token) => {
                return Answer::text("401 Unauthorized", "send the --admin-token as Authorization: Bearer TOKEN")
                    .with("WWW-Authenticate", "Bearer realm=\"smarthttpd admin\"");
            }
            None if !is_local(head.authority(bytes).or_else(|| host(request))) => {
                let text = "without an --admin-token this is served under an IP address or localhost only";
                return Answer::text("421 Misdirected Request", text);
            }
            _ => {}
        }
        if path == "/status" {
            return match serde_json::to_vec(self.status) {
                Ok(json) => Answer::new("200 OK", "application/json", json),
                Err(error) => Answer::text("500 Internal Server Error", &error.to_string()),
            };
        }
        let format = Format::negotiate(head.header(bytes, "accept"));
        Answer::new("200 OK", format.content_type(), metrics::expose(self.status, format))
    }

    /// Whether requests can be served now.
    fn health(&self) -> Answer {
        let totals = self.status.totals;
        // Policies that start workers only for connections may have none: these wait for it, and are served.
        let on_demand = matches!(&*self.status.mpm, "ondemand" | "unit");
        let ready = totals.total - totals.kill_pending - totals.starting;
        match (&*self.status.phase, ready) {
            ("serving", 0) if !on_demand => Answer::text("503 Service Unavailable", "no worker is ready"),
            ("serving", _) => Answer::text("200 OK", "ok"),
            (phase, _) => Answer::text("503 Service Unavailable", phase),
        }
    }
}

/// The page, closed to everything but itself: no other origin, no frame, no script that it was not sent with.
fn page() -> Answer {
    // Keyed by the operating system's randomness; guessing it would not help, since nothing on the page is anybody else's.
    let nonce = format!("{:016x}{:016x}", RandomState::new().hash_one(1), RandomState::new().hash_one(2));
    let html = PAGE.replace("{style}", STYLE).replace("{script}", SCRIPT).replace("{nonce}", &nonce);
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    Answer::new("200 OK", "text/html; charset=utf-8", html).with("Content-Security-Policy", policy)
}

/// Whether an Authorization field has this bearer token (RFC 6750 section 2.1). Takes as long whatever is in it.
fn knows(authorization: Option<&[u8]>, token: &str) -> bool {
    let Some((scheme, given)) = authorization.and_then(|field| field.split_at_checked(7)) else { return false };
    let given = given.trim_ascii();
    let differences = given.iter().zip(token.as_bytes()).fold(0, |sum, (one, other)| sum | (one ^ other));
    scheme.eq_ignore_ascii_case(b"bearer ") && given.len() == token.len() && differences == 0
}

/// The Host field, which is valid if it is there at all.
fn host(request: &Request) -> Option<&str> {
    std::str::from_utf8(request.head.header(&request.bytes, "host")?).ok()
}

/// Whether the host that a client asks for can only be this machine's. A name can be anybody's: a page elsewhere could have
/// its own name lead here and so read what only this machine's users may (DNS rebinding).
fn is_local(authority: Option<&str>) -> bool {
    let Some(authority) = authority.filter(|authority| !authority.is_empty()) else { return true };
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let host = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok()
}

fn send(answer: &Answer, sink: &mut dyn ResponseSink) -> Result<(), SinkError> {
    sink.begin(answer.status.as_bytes())?;
    sink.header(b"Content-Type", answer.content_type.as_bytes())?;
    sink.header(b"Cache-Control", b"no-store")?;
    sink.header(b"X-Content-Type-Options", b"nosniff")?;
    sink.header(b"Referrer-Policy", b"no-referrer")?;
    for (name, value) in &answer.headers {
        sink.header(name.as_bytes(), value.as_bytes())?;
    }
    sink.whole(&answer.body)
}

impl Application for Site<'_> {
    fn handle(&self, request: &mut Request, sink: &mut dyn ResponseSink, _: &mut CallCost) -> Result<(), Failed> {
        send(&self.answer(request), sink).map_err(|error| {
            tracing::error!("the admin listener: {error}");
            Failed
        })
    }

    fn enter_thread(&self, body: &mut dyn FnMut()) {
        body();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_itself_is_known() {
        let table: [(Option<&str>, bool); 9] = [
            (Some("Bearer s3cret"), true),
            (Some("bearer  s3cret "), true),
            (Some("Bearer s3cre"), false),
            (Some("Bearer s3crets"), false),
            (Some("Bearer "), false),
            (Some("Basic s3cret"), false),
            (Some("s3cret"), false),
            (Some("x"), false),
            (None, false),
        ];
        for (field, expected) in table {
            assert_eq!(knows(field.map(str::as_bytes), "s3cret"), expected, "{field:?}");
        }
    }

    #[test]
    fn names_of_others_are_not_local() {
        let table: [(Option<&str>, bool); 10] = [
            (Some("127.0.0.1:9000"), true),
            (Some("[::1]:9000"), true),
            (Some("[::1]"), true),
            (Some("localhost:9000"), true),
            (Some("LOCALHOST"), true),
            (Some("10.0.0.7"), true),
            (None, true),
            (Some("evil.example:9000"), false),
            (Some("localhost.evil.example"), false),
            (Some("127.0.0.1.evil.example"), false),
        ];
        for (authority, expected) in table {
            assert_eq!(is_local(authority), expected, "{authority:?}");
        }
    }

    #[test]
    fn the_page_has_nothing_from_elsewhere() {
        let answer = page();
        let html = String::from_utf8(answer.body).expect("text");
        // A name, not a place.
        let html = html.replace("http://www.w3.org/2000/svg", "");
        for foreign in ["http://", "https://", "src=", "@import", "{nonce}", "{style}", "{script}"] {
            assert!(!html.contains(foreign), "{foreign}");
        }
        let (_, policy) = &answer.headers[0];
        let nonce = policy.split('\'').find_map(|part| part.strip_prefix("nonce-")).expect("a nonce");
        assert_eq!(html.matches(nonce).count(), 2, "one style, one script");
        assert_ne!(page().headers[0].1, *policy, "a nonce is used once");
    }
}
