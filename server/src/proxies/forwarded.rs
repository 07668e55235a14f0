//! Whom a request comes from when proxies pass it on: judges `X-Forwarded-*` or RFC 7239's `Forwarded`.
//!
//! Owns the rules, which README.md tells operators. Whatever a client can write must not count:
//! - Only what the peer of the connection sends is looked at, and only if it is trusted. From others all of it is dropped.
//! - Only the headers that the operator names count: a proxy sets those and passes the others on as the client sent them.
//! - Each proxy appends whom it serves, so the list is read from its right end, over trusted proxies, to the first
//!   address that is not: what stands left of it came from there. Everything else is taken from the same place.
//! - What a trusted proxy says and nobody understands is no reason to guess: the request is refused.
//!
//! The worker calls [`Judge::judge`] for each complete request.

use http1::{RequestHead, is_host_and_port};

use super::Trusted;
use super::grammar::{self, Element, Node};
use crate::config::{self, ForwardedHeader, RootPath};
use crate::exchange::{Client, Endpoints, Forwarding, Origin};

/// A trusted proxy said something that can't be understood. Not the client's fault, but nobody knows who that is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the proxy in front sent a malformed {0}")]
pub(crate) struct Malformed(&'static str);

/// Judges requests by one configuration.
#[derive(Debug)]
pub(crate) struct Judge {
    trusted: Trusted,
    headers: Vec<ForwardedHeader>,
}

impl Judge {
    /// Believes what `wanted` says.
    pub(crate) fn new(wanted: &config::Forwarded) -> Judge {
        Judge { trusted: Trusted::new(&wanted.allow), headers: wanted.headers.clone() }
    }

    /// Where the request with this head comes from. `bytes` are those that were parsed.
    ///
    /// # Errors
    /// What a trusted proxy says is malformed where it counts.
    pub(crate) fn judge(
        &self,
        head: &RequestHead,
        bytes: &[u8],
        endpoints: &Endpoints,
    ) -> Result<Forwarding, Malformed> {
        if !self.trusted.has_peer(&endpoints.peer) {
            return Ok(Forwarding::Distrusted);
        }
        let said = if self.headers.contains(&ForwardedHeader::Forwarded) {
            self.by_forwarded(&Lines::of(ForwardedHeader::Forwarded, head, bytes)?)?
        } else {
            self.by_x_forwarded(head, bytes)?
        };
        let origin = said.complete(sent_host(head, bytes), endpoints.scheme);
        Ok(if origin == Origin::default() { Forwarding::Nothing } else { Forwarding::Believed(Box::new(origin)) })
    }

    /// Each proxy has appended one element; the last one that counts is of the proxy that the client is connected to.
    fn by_forwarded(&self, lines: &Lines<'_>) -> Result<Said, Malformed> {
        let malformed = Malformed(ForwardedHeader::Forwarded.name());
        let mut said = Said::default();
        for line in lines.0.iter().rev() {
            for element in grammar::elements(line).ok_or(malformed.clone())?.into_iter().rev() {
                let Element { client, proto, host, .. } = element;
                said.scheme = proto.map(|text| grammar::scheme(&text).ok_or(malformed.clone())).transpose()?;
                said.host = host.map(|text| valid_host(&text).ok_or(malformed.clone())).transpose()?;
                // Whoever is connected to that proxy is not told: the last one known stays.
                let Some(client) = client else { return Ok(said) };
                said.client = client_at(grammar::node(&client).ok_or(malformed.clone())?);
                if !self.is_trusted_hop(said.client) {
                    return Ok(said);
                }
            }
        }
        Ok(said)
    }

    fn by_x_forwarded(&self, head: &RequestHead, bytes: &[u8]) -> Result<Said, Malformed> {
        let lines = |header: ForwardedHeader| match self.headers.contains(&header) {
            true => Lines::of(header, head, bytes),
            false => Ok(Lines::default()),
        };
        // How far left the client stands; what other lists say there is of the same proxy.
        let mut place = 0;
        let mut said = Said::default();
        let header = ForwardedHeader::XForwardedFor;
        for (at, element) in lines(header)?.leftwards().enumerate() {
            place = at;
            said.client = client_at(grammar::node(element).ok_or(Malformed(header.name()))?);
            if !self.is_trusted_hop(said.client) {
                break;
            }
        }
        let header = ForwardedHeader::XForwardedProto;
        said.scheme = lines(header)?.at(place, grammar::scheme).ok_or(Malformed(header.name()))?;
        let header = ForwardedHeader::XForwardedHost;
        said.host = lines(header)?.at(place, valid_host).ok_or(Malformed(header.name()))?;
        let header = ForwardedHeader::XForwardedPort;
        said.port = lines(header)?.at(place, grammar::port).ok_or(Malformed(header.name()))?;
        let header = ForwardedHeader::XForwardedPrefix;
        let prefix = lines(header)?.at(place, |text| text.trim_end_matches('/').parse().ok());
        said.prefix = prefix.ok_or(Malformed(header.name()))?;
        Ok(said)
    }

    fn is_trusted_hop(&self, client: Client) -> bool {
        matches!(client, Client::Address(ip, _) if self.trusted.has_address(ip))
    }
}

/// The values of one header, a list that may be spread over several lines (RFC 9110 §5.3).
#[derive(Debug, Default)]
struct Lines<'a>(Vec<&'a str>);

impl<'a> Lines<'a> {
    fn of(header: ForwardedHeader, head: &'a RequestHead, bytes: &'a [u8]) -> Result<Lines<'a>, Malformed> {
        let name = header.name();
        let values = head.headers(bytes).filter(|(found, _)| found.eq_ignore_ascii_case(name));
        let lines = values.map(|(_, value)| str::from_utf8(value).map_err(|_| Malformed(name)));
        lines.collect::<Result<_, _>>().map(Lines)
    }

    /// The elements, the last one first. Empty ones don't count (RFC 9110 §5.6.1.2).
    fn leftwards(&self) -> impl Iterator<Item = &'a str> {
        let elements = self.0.iter().rev().flat_map(|line| line.rsplit(','));
        elements.map(|element| element.trim_matches([' ', '\t'])).filter(|element| !element.is_empty())
    }

    /// What `read` makes of the element at `place`, counted from the right, or of the leftmost one if there are fewer:
    /// then somebody replaced what others had appended. The outer `None`: nothing; the inner one: there is no element.
    fn at<T>(&self, place: usize, read: impl Fn(&str) -> Option<T>) -> Option<Option<T>> {
        self.leftwards().take(place + 1).last().map(&read).map_or(Some(None), |read| read.map(Some))
    }
}

fn client_at(node: Node) -> Client {
    match node {
        Node::Address(ip, port) => Client::Address(ip, port),
        Node::Hidden => Client::Hidden,
    }
}

fn valid_host(text: &str) -> Option<String> {
    is_host_and_port(text.as_bytes()).then(|| text.to_owned())
}

/// The host that the request itself names, with its port.
fn sent_host<'a>(head: &RequestHead, bytes: &'a [u8]) -> Option<&'a str> {
    head.authority(bytes).or_else(|| head.header(bytes, "host").and_then(|host| str::from_utf8(host).ok()))
}

/// What the proxy that the client is connected to has said.
#[derive(Debug, Default)]
struct Said {
    client: Client,
    scheme: Option<&'static str>,
    host: Option<String>,
    port: Option<u16>,
    prefix: Option<RootPath>,
}

impl Said {
    /// Makes it agree with itself: a URL that the application makes of it has one host and one port, whichever part of the
    /// environ it takes them from. `sent` is the host in the request, `scheme` that of the connection.
    fn complete(self, sent: Option<&str>, scheme: &'static str) -> Origin {
        let Said { client, scheme: forwarded, host, port, prefix } = self;
        let scheme = forwarded.unwrap_or(scheme);
        let default_port = if scheme == "https" { 443 } else { 80 };
        let meant = host.as_deref().or(sent).map(grammar::host_and_port);
        let server_port = match (port, meant) {
            (Some(port), _) => Some(port),
            (None, _) if forwarded.is_none() && host.is_none() => None,
            (None, Some((_, Some(port)))) => Some(port),
            (None, _) => Some(default_port),
        };
        let server_name = host.as_deref().map(|host| grammar::host_and_port(host).0.to_owned());
        let host = match (port, meant) {
            (Some(port), Some((name, _))) if port == default_port => Some(name.to_owned()),
            (Some(port), Some((name, _))) => Some(format!("{name}:{port}")),
            _ => host,
        };
        let prefix = prefix.map(String::from).filter(|prefix| !prefix.is_empty());
        Origin { client, scheme: forwarded, host, server_name, server_port, prefix }
    }
}

#[cfg(test)]
#[path = "forwarded_tests.rs"]
mod tests;
