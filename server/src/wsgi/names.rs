//! Header names and what becomes of them in the environ.
//!
//! Owns the mapping `X-Forwarded-For` → `HTTP_X_FORWARDED_FOR` and its exceptions. Knows no values. `environ` calls it, and
//! remembers what it said.

use pyo3::prelude::*;
use pyo3::types::PyString;

/// What a header's name means for the environ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// A key of its own; repeated, the values are joined with commas (RFC 9110 §5.3).
    Plain,
    /// The same, but its value is not remembered.
    Secret,
    /// The same, and joined with semicolons (RFC 6265 §5.4).
    Cookie,
    /// Overridden by the authority of an absolute-form target (RFC 9112 §3.2.2).
    Host,
    /// `CONTENT_TYPE`, without `HTTP_` (RFC 3875 §4.1.3).
    ContentType,
    /// Not for the application.
    Dropped,
}

/// What becomes of a header.
#[derive(Debug)]
pub(super) struct Known {
    /// What it means.
    pub(super) role: Role,
    /// Its key in the environ; missing for one that is [`Role::Dropped`].
    pub(super) key: Option<Py<PyString>>,
}

impl Known {
    /// Of a header of that name, spelled as it came.
    pub(super) fn new(py: Python<'_>, name: &[u8]) -> Known {
        // A token, and so ASCII.
        let name = &String::from_utf8_lossy(name);
        let role = role(name);
        let key = match role {
            Role::Dropped => None,
            // Interned, for applications look them up by constants of their own, which are.
            Role::ContentType => Some(PyString::intern(py, "CONTENT_TYPE").unbind()),
            Role::Plain | Role::Secret | Role::Cookie | Role::Host => {
                Some(PyString::intern(py, &environ_key(name)).unbind())
            }
        };
        Known { role, key }
    }
}

/// What the name means, whatever its case.
fn role(name: &str) -> Role {
    const SPECIAL: [(&str, Role); 8] = [
        ("authorization", Role::Secret),
        ("proxy-authorization", Role::Secret),
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
            ("Proxy-Authorization", Role::Secret),
            ("AUTHORIZATION", Role::Secret),
            ("X_Forwarded_For", Role::Dropped),
            // Would otherwise come out as CONTENT_LENGTH's sibling.
            ("Content_Length", Role::Dropped),
        ] {
            assert_eq!(role(name), expect, "{name}");
        }
    }
}
