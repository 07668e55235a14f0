//! Header names and what becomes of them in the environ.
//!
//! Owns the mapping `X-Forwarded-For` → `HTTP_X_FORWARDED_FOR` and its exceptions. Knows no values. `environ` calls it, for
//! each header of each request, so the common names are looked up, with their keys ready made.

use pyo3::prelude::*;
use pyo3::types::PyString;

/// What a header's name means for the environ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// A key of its own; repeated, the values are joined with commas (RFC 9110 §5.3).
    Plain,
    /// The same, but joined with semicolons (RFC 6265 §5.4).
    Cookie,
    /// Overridden by the authority of an absolute-form target (RFC 9112 §3.2.2).
    Host,
    /// `CONTENT_TYPE`, without `HTTP_` (RFC 3875 §4.1.3).
    ContentType,
    /// Not for the application.
    Dropped,
}

/// Names that most requests consist of, in lower case.
const COMMON: &[&str] = &[
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "access-control-request-headers",
    "access-control-request-method",
    "authorization",
    "cache-control",
    "cdn-loop",
    "connection",
    "cookie",
    "dnt",
    "expect",
    "forwarded",
    "from",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "origin",
    "pragma",
    "priority",
    "range",
    "referer",
    "sec-ch-ua",
    "sec-ch-ua-mobile",
    "sec-ch-ua-platform",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "sec-fetch-user",
    "te",
    "traceparent",
    "tracestate",
    "upgrade",
    "upgrade-insecure-requests",
    "user-agent",
    "via",
    "x-amzn-trace-id",
    "x-csrf-token",
    "x-csrftoken",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-real-ip",
    "x-request-id",
    "x-requested-with",
];

/// The keys of common headers, interned, by the length of the name.
#[derive(Debug)]
pub(super) struct Names {
    by_length: Vec<Vec<(&'static str, Role, Py<PyString>)>>,
}

impl Names {
    pub(super) fn new(py: Python<'_>) -> Names {
        let longest = COMMON.iter().map(|name| name.len()).max().unwrap_or(0);
        let mut by_length: Vec<Vec<_>> = (0..=longest).map(|_| Vec::new()).collect();
        for &name in COMMON {
            let key = PyString::intern(py, &environ_key(name)).unbind();
            by_length[name.len()].push((name, role(name), key));
        }
        Names { by_length }
    }

    /// The role of a header and its key in the environ. The key of a [`Role::Dropped`] one is missing, as is that of
    /// [`Role::ContentType`].
    pub(super) fn find<'py>(&self, py: Python<'py>, name: &str) -> (Role, Option<Bound<'py, PyString>>) {
        if let Some(bucket) = self.by_length.get(name.len())
            && let Some((_, role, key)) = bucket.iter().find(|(common, ..)| common.eq_ignore_ascii_case(name))
        {
            return (*role, Some(key.bind(py).clone()));
        }
        match role(name) {
            role @ (Role::Dropped | Role::ContentType) => (role, None),
            role => (role, Some(PyString::new(py, &environ_key(name)))),
        }
    }
}

/// What the name means, whatever its case.
fn role(name: &str) -> Role {
    const SPECIAL: [(&str, Role); 6] = [
        ("cookie", Role::Cookie),
        ("host", Role::Host),
        ("content-type", Role::ContentType),
        // The environ has the length of the body as it is here, decoded.
        ("content-length", Role::Dropped),
        // The body is decoded; an application that saw this would decode it again.
        ("transfer-encoding", Role::Dropped),
        // HTTP_PROXY configures HTTP clients, e.g. in subprocesses (CVE-2016-5385, "httpoxy").
        ("proxy", Role::Dropped),
    ];
    if let Some((_, role)) = SPECIAL.iter().find(|(special, _)| special.eq_ignore_ascii_case(name)) {
        return *role;
    }
    // X_Forwarded_For would become the key of X-Forwarded-For, which a proxy in front vouches for.
    if name.contains('_') { Role::Dropped } else { Role::Plain }
}

/// `X-Request-Id` → `HTTP_X_REQUEST_ID`. Other characters of a token stay as they are.
fn environ_key(name: &str) -> String {
    let mut key = String::with_capacity("HTTP_".len() + name.len());
    key.push_str("HTTP_");
    key.extend(name.chars().map(|letter| match letter {
        '-' => '_',
        letter => letter.to_ascii_uppercase(),
    }));
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_keys() {
        for (name, expect) in [
            ("host", "HTTP_HOST"),
            ("Accept-Language", "HTTP_ACCEPT_LANGUAGE"),
            ("X-Request-ID", "HTTP_X_REQUEST_ID"),
            // All of these may be in a token (RFC 9110 §5.6.2).
            ("a!#$%&'*+.^`|~1", "HTTP_A!#$%&'*+.^`|~1"),
        ] {
            assert_eq!(environ_key(name), expect);
        }
    }

    #[test]
    fn roles() {
        for (name, expect) in [
            ("Accept", Role::Plain),
            ("COOKIE", Role::Cookie),
            ("Host", Role::Host),
            ("content-Type", Role::ContentType),
            ("Content-Length", Role::Dropped),
            ("Transfer-Encoding", Role::Dropped),
            ("Proxy", Role::Dropped),
            // Only "Proxy" becomes HTTP_PROXY.
            ("Proxy-Authorization", Role::Plain),
            ("X_Forwarded_For", Role::Dropped),
            // Would otherwise come out as CONTENT_LENGTH's sibling.
            ("Content_Length", Role::Dropped),
        ] {
            assert_eq!(role(name), expect, "{name}");
        }
    }

    #[test]
    fn the_common_names_are_lower_case_and_kept() {
        for name in COMMON {
            assert_eq!(*name, name.to_ascii_lowercase());
            assert!(!matches!(role(name), Role::Dropped | Role::ContentType), "{name}");
        }
    }
}
