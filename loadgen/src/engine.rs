//! Which engine sends the requests, and what has to be said to the one that can do more. Plain data; knows nothing of
//! how either of them works.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::PlanError;
use crate::target::{Address, Target};

/// What sends the requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum Engine {
    /// The crate's own: HTTP/1.1 without TLS, at the least cost per request.
    #[default]
    Fast,
    /// reqwest, a complete HTTP client. Costs the generator several times as much CPU per request, so it reaches its own
    /// limit earlier; [`Report::cpu_per_request_ns`](crate::Report::cpu_per_request_ns) says how much it was.
    Reqwest(Transport),
}

/// How the reqwest engine reaches the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Transport {
    /// Spoken to the target, without negotiation: what ran is what was asked for.
    pub http: Version,
    /// Requests at a time on each connection; more than one only with HTTP/2.
    pub streams: usize,
    /// URL of a proxy in between, `http`, `https`, `socks5` or `socks5h`. In a report without user name and password.
    pub proxy: Option<String>,
    /// Redirects followed per request; one more is an error of the kind [`Redirect`](crate::ErrorKind::Redirect). With
    /// 0 a redirect is an answer like any other.
    pub max_redirects: usize,
    /// Whose certificates are accepted.
    pub trust: Trust,
}

impl Default for Transport {
    /// HTTP/1.1 straight to the target, whose certificate the system's authorities must have signed.
    fn default() -> Self {
        Self { http: Version::Http1, streams: 1, proxy: None, max_redirects: 0, trust: Trust::System }
    }
}

/// Version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Version {
    /// HTTP/1.1.
    #[serde(rename = "HTTP/1.1")]
    Http1,
    /// HTTP/2, over TLS by ALPN, in the clear by prior knowledge (RFC 9113 §3.3).
    #[serde(rename = "HTTP/2")]
    Http2,
}

impl Version {
    /// As the protocol writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        }
    }
}

/// Whose certificates are accepted from the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// Those signed by an authority that this machine trusts.
    System,
    /// Those signed by an authority in this file (PEM), and no others.
    Only(PathBuf),
    /// Any, whoever the target is.
    Anyone,
}

impl Engine {
    /// The engine that a target needs when nothing else is asked for.
    #[must_use]
    pub fn for_target(target: &Target) -> Self {
        if target.is_tls() { Self::Reqwest(Transport::default()) } else { Self::Fast }
    }

    /// The word that chooses it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Reqwest(_) => "reqwest",
        }
    }

    /// URL of the proxy in between.
    pub(crate) fn proxy(&self) -> Option<&str> {
        match self {
            Self::Fast => None,
            Self::Reqwest(transport) => transport.proxy.as_deref(),
        }
    }

    /// Requests at a time on each connection.
    pub(crate) fn streams(&self) -> usize {
        match self {
            Self::Fast => 1,
            Self::Reqwest(transport) => transport.streams,
        }
    }

    /// What a report may keep of it: everything but secrets.
    pub(crate) fn for_report(&self) -> Self {
        let mut shown = self.clone();
        if let Self::Reqwest(Transport { proxy: Some(proxy), .. }) = &mut shown {
            *proxy = without_credentials(proxy);
        }
        shown
    }

    pub(crate) fn check(&self, target: &Target) -> Result<(), PlanError> {
        let wrong = |field, reason: &str| Err(PlanError { field, reason: reason.to_owned() });
        match self {
            Self::Fast if target.is_tls() => {
                wrong("engine", "fast sends plain HTTP only; for https leave --engine out or write --engine reqwest")
            }
            Self::Fast => Ok(()),
            Self::Reqwest(_) if cfg!(not(feature = "reqwest")) => {
                wrong("engine", "this build has no reqwest engine; build it with --features reqwest")
            }
            Self::Reqwest(transport) => transport.check(target),
        }
    }
}

impl Transport {
    fn check(&self, target: &Target) -> Result<(), PlanError> {
        let wrong = |field, reason: String| Err(PlanError { field, reason });
        if self.streams == 0 {
            return wrong("streams", "must be at least 1".to_owned());
        }
        if self.streams > 1 && self.http == Version::Http1 {
            return wrong(
                "streams",
                "only HTTP/2 has several requests at a time on a connection; add --http2".to_owned(),
            );
        }
        if let Some(proxy) = &self.proxy {
            let known = ["http://", "https://", "socks5://", "socks5h://"];
            let lower = proxy.to_ascii_lowercase();
            if !known.iter().any(|scheme| lower.starts_with(scheme)) {
                let shown = without_credentials(proxy);
                return wrong("proxy", format!("{shown:?} is no proxy; write http://HOST:PORT or socks5://HOST:PORT"));
            }
            if matches!(target.address(), Address::Unix(_)) {
                return wrong("proxy", "does not lead to a unix socket; leave one of the two out".to_owned());
            }
        }
        Ok(())
    }
}

/// The URL without `user:password@`.
fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..authority].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transport(change: impl FnOnce(&mut Transport)) -> Engine {
        let mut transport = Transport::default();
        change(&mut transport);
        Engine::Reqwest(transport)
    }

    #[test]
    fn a_target_has_the_engine_that_reaches_it() {
        let engine = |url: &str| Engine::for_target(&url.parse().unwrap()).name();
        assert_eq!(engine("http://a/"), "fast");
        assert_eq!(engine("unix:/s"), "fast");
        assert_eq!(engine("https://a/"), "reqwest");
    }

    #[cfg(feature = "reqwest")]
    #[test]
    fn wrong_engines_name_the_field() {
        let rows = [
            (Engine::Fast, "http://a/", None),
            (Engine::Fast, "https://a/", Some("engine")),
            (transport(|_| {}), "https://a/", None),
            (transport(|_| {}), "http://a/", None),
            (transport(|t| t.streams = 0), "http://a/", Some("streams")),
            (transport(|t| t.streams = 2), "http://a/", Some("streams")),
            (transport(|t| (t.streams, t.http) = (2, Version::Http2)), "http://a/", None),
            (transport(|t| t.proxy = Some("a:3128".into())), "http://a/", Some("proxy")),
            (transport(|t| t.proxy = Some("ftp://a".into())), "http://a/", Some("proxy")),
            (transport(|t| t.proxy = Some("HTTP://a:1".into())), "http://a/", None),
            (transport(|t| t.proxy = Some("socks5h://a:1".into())), "http://a/", None),
            (transport(|t| t.proxy = Some("http://a:1".into())), "unix:/s", Some("proxy")),
            (transport(|_| {}), "unix:/s", None),
        ];
        for (engine, target, field) in rows {
            let target: Target = target.parse().unwrap();
            assert_eq!(engine.check(&target).err().map(|e| e.field), field, "{engine:?}");
        }
    }

    #[test]
    fn a_report_keeps_no_password() {
        let rows = [
            ("http://u:p@a:1/", "http://a:1/"),
            ("http://u:p@x@a:1", "http://a:1"),
            ("socks5://u@a", "socks5://a"),
            ("http://a:1/@x", "http://a:1/@x"),
        ];
        for (given, kept) in rows {
            let engine = transport(|t| t.proxy = Some(given.into()));
            assert_eq!(engine.for_report(), transport(|t| t.proxy = Some(kept.into())), "{given}");
        }
    }

    #[test]
    fn an_engine_survives_json() {
        let engines = [Engine::Fast, transport(|t| t.trust = Trust::Only("/ca.pem".into()))];
        for engine in engines {
            let json = serde_json::to_string(&engine).unwrap();
            assert!(json.contains(&format!(r#""name":"{}""#, engine.name())), "{json}");
            assert_eq!(serde_json::from_str::<Engine>(&json).unwrap(), engine);
        }
    }
}
