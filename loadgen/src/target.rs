//! Where requests go: a parsed URL or unix socket. Knows nothing of requests or connections.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The place to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A host name or address (IPv6 without its brackets) and a TCP port.
    Tcp {
        /// Name or address.
        host: String,
        /// Port, 1 to 65535.
        port: u16,
    },
    /// A unix stream socket.
    Unix(PathBuf),
}

/// The `Host` of a unix socket.
const LOCAL: &str = "localhost";

/// A parsed target: where to connect, what to ask for, which `Host` to send.
///
/// Accepted spellings: `http://host[:port][/path][?query]`, the same with `https`,
/// `http://[::1]:8000/`, `unix:/run/app.sock` and `unix:/run/app.sock:/path?query`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    address: Address,
    tls: bool,
    host: String,
    path: String,
}

/// A target that cannot be used; the message quotes it and says what would be right.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Neither `http://` nor `https://` nor `unix:`.
    #[error("{0:?} is no target; write http://HOST:PORT/PATH or unix:/path/to/socket")]
    Scheme(String),
    /// No host after `http://`.
    #[error("{0:?} names no host; write http://HOST:PORT/PATH")]
    Host(String),
    /// A port that is no number from 1 to 65535.
    #[error("{0:?}: the port must be a number from 1 to 65535")]
    Port(String),
    /// `user:password@host`.
    #[error("{0:?}: credentials in the target are not supported; send a header instead")]
    Credentials(String),
    /// Spaces, control characters or characters outside ASCII.
    #[error("{0:?} contains a space, a control character or a character outside ASCII; percent-encode it")]
    Character(String),
}

impl Target {
    /// A TCP target from its parts. `host` is a name or an address, IPv6 without brackets; `path`
    /// starts with `/` and may carry a query.
    ///
    /// # Errors
    /// The same as parsing the URL that these parts make.
    pub fn tcp(host: &str, port: u16, path: &str) -> Result<Self, TargetError> {
        if host.contains(':') {
            format!("http://[{host}]:{port}{path}").parse()
        } else {
            format!("http://{host}:{port}{path}").parse()
        }
    }

    /// The same target with another path (and query).
    ///
    /// # Errors
    /// A path that needs percent-encoding.
    pub fn with_path(&self, path: &str) -> Result<Self, TargetError> {
        Ok(Self { path: request_target(path, path)?, ..self.clone() })
    }

    /// The same target, reached over a unix socket. The `Host` field remains that of the URL.
    #[must_use]
    pub fn over_unix_socket(self, socket: PathBuf) -> Self {
        Self { address: Address::Unix(socket), ..self }
    }

    /// True when connections go to this host and port over TCP. Host names have no case (RFC 9110
    /// §4.2.3).
    #[must_use]
    pub fn is_at(&self, host: &str, port: u16) -> bool {
        matches!(&self.address, Address::Tcp { host: own, port: at } if own.eq_ignore_ascii_case(host) && *at == port)
    }

    /// True when both are on the same host and port, or the same socket, with the same scheme.
    #[must_use]
    pub fn has_authority_of(&self, other: &Self) -> bool {
        let same = (self.address == other.address && self.host == other.host)
            || matches!(&other.address, Address::Tcp { host, port } if self.is_at(host, *port));
        same && self.tls == other.tls
    }

    /// Where to connect.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// True for `https`.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// The `Host` field's value: host and port as written, the port left out when it is the scheme's
    /// own; `localhost` for a unix socket.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The request target: path and query, starting with `/`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        if let Some(rest) = text.strip_prefix("unix:") {
            return unix(text, rest);
        }
        let lower = text.to_ascii_lowercase();
        let (scheme, tls) = match (lower.starts_with("http://"), lower.starts_with("https://")) {
            (true, _) => ("http://", false),
            (_, true) => ("https://", true),
            _ => return Err(TargetError::Scheme(text.to_owned())),
        };
        let own_port = if tls { 443 } else { 80 };
        let rest = text[scheme.len()..].split('#').next().unwrap_or_default();
        let split = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(split);
        if authority.contains('@') {
            return Err(TargetError::Credentials(text.to_owned()));
        }
        let (host, port) = authority_parts(text, authority, own_port)?;
        let path = request_target(text, path)?;
        if host.is_empty() {
            return Err(TargetError::Host(text.to_owned()));
        }
        if !printable(authority) {
            return Err(TargetError::Character(text.to_owned()));
        }
        let written = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        Ok(Self {
            host: if port == own_port { written } else { format!("{written}:{port}") },
            address: Address::Tcp { host: host.to_owned(), port },
            tls,
            path,
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        match &self.address {
            Address::Tcp { .. } => write!(f, "{scheme}://{}{}", self.host, self.path),
            Address::Unix(socket) if self.host != LOCAL || self.tls => {
                write!(f, "{scheme}://{}{} over unix:{}", self.host, self.path, socket.display())
            }
            Address::Unix(socket) if self.path == "/" => write!(f, "unix:{}", socket.display()),
            Address::Unix(socket) => write!(f, "unix:{}:{}", socket.display(), self.path),
        }
    }
}

fn unix(text: &str, rest: &str) -> Result<Target, TargetError> {
    let (socket, path) = match rest.split_once(":/") {
        Some((socket, path)) => (socket, format!("/{path}")),
        None => (rest, String::new()),
    };
    if socket.is_empty() {
        return Err(TargetError::Scheme(text.to_owned()));
    }
    Ok(Target {
        address: Address::Unix(PathBuf::from(socket)),
        tls: false,
        host: LOCAL.to_owned(),
        path: request_target(text, &path)?,
    })
}

/// Splits `host[:port]`, IPv6 in brackets (RFC 3986 §3.2.2).
fn authority_parts<'a>(text: &str, authority: &'a str, own_port: u16) -> Result<(&'a str, u16), TargetError> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(bracketed) => {
            let (host, after) = bracketed.split_once(']').ok_or_else(|| TargetError::Host(text.to_owned()))?;
            match after.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if after.is_empty() => (host, None),
                None => return Err(TargetError::Port(text.to_owned())),
            }
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let port = match port {
        None | Some("") => own_port,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            digits.parse::<u16>().ok().filter(|port| *port != 0).ok_or_else(|| TargetError::Port(text.to_owned()))?
        }
        Some(_) => return Err(TargetError::Port(text.to_owned())),
    };
    Ok((host, port))
}

/// Path and query as they go on the wire: never empty, starts with `/`, no fragment.
fn request_target(text: &str, path: &str) -> Result<String, TargetError> {
    let path = path.split('#').next().unwrap_or_default();
    if !printable(path) {
        return Err(TargetError::Character(text.to_owned()));
    }
    Ok(if path.starts_with('/') { path.to_owned() } else { format!("/{path}") })
}

fn printable(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_parse_and_print() {
        // text, host field, path, printed
        let rows = [
            ("http://a:8000/x?y=1", "a:8000", "/x?y=1", "http://a:8000/x?y=1"),
            ("HTTP://a/", "a", "/", "http://a/"),
            // The default port is left out of Host, as browsers do (RFC 9110 §7.2).
            ("http://a:80", "a", "/", "http://a/"),
            ("http://a:", "a", "/", "http://a/"),
            ("HTTPS://a/x", "a", "/x", "https://a/x"),
            ("https://a:443", "a", "/", "https://a/"),
            ("https://a:80/", "a:80", "/", "https://a:80/"),
            ("http://a?q", "a", "/?q", "http://a/?q"),
            // A fragment is the client's business and never sent.
            ("http://a/x#frag", "a", "/x", "http://a/x"),
            ("http://[::1]:90/", "[::1]:90", "/", "http://[::1]:90/"),
            ("http://[::1]", "[::1]", "/", "http://[::1]/"),
            ("unix:/run/a.sock", "localhost", "/", "unix:/run/a.sock"),
            ("unix:/run/a.sock:/p?q", "localhost", "/p?q", "unix:/run/a.sock:/p?q"),
            ("unix:rel.sock", "localhost", "/", "unix:rel.sock"),
        ];
        for (text, host, path, printed) in rows {
            let target: Target = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!((target.host(), target.path()), (host, path), "{text}");
            assert_eq!(target.to_string(), printed, "{text}");
        }
    }

    #[test]
    fn wrong_targets_say_why() {
        let quoted = |text: &str| text.to_owned();
        let rows = [
            ("a:8000", TargetError::Scheme(quoted("a:8000"))),
            ("ftp://a", TargetError::Scheme(quoted("ftp://a"))),
            ("unix:", TargetError::Scheme(quoted("unix:"))),
            ("", TargetError::Scheme(quoted(""))),
            ("http://", TargetError::Host(quoted("http://"))),
            ("http://:80/", TargetError::Host(quoted("http://:80/"))),
            ("http://[::1/", TargetError::Host(quoted("http://[::1/"))),
            ("http://a:0/", TargetError::Port(quoted("http://a:0/"))),
            ("http://a:65536/", TargetError::Port(quoted("http://a:65536/"))),
            // u16's own parser would accept the sign.
            ("http://a:+80/", TargetError::Port(quoted("http://a:+80/"))),
            ("http://[::1]x/", TargetError::Port(quoted("http://[::1]x/"))),
            ("http://u:p@a/", TargetError::Credentials(quoted("http://u:p@a/"))),
            // A line break would let the target write header fields.
            ("http://a/\r\nX: 1", TargetError::Character(quoted("http://a/\r\nX: 1"))),
            ("http://a b/", TargetError::Character(quoted("http://a b/"))),
        ];
        for (text, error) in rows {
            assert_eq!(text.parse::<Target>(), Err(error), "{text}");
        }
    }

    #[test]
    fn a_url_can_be_reached_over_a_unix_socket() {
        let target: Target = "http://a:81/x".parse().unwrap();
        assert!(target.is_at("A", 81) && !target.is_at("a", 80) && !target.is_at("b", 81));
        let target = target.over_unix_socket(PathBuf::from("/run/a.sock"));
        assert_eq!(target.address(), &Address::Unix(PathBuf::from("/run/a.sock")));
        assert_eq!((target.host(), target.path()), ("a:81", "/x"));
        assert_eq!(target.to_string(), "http://a:81/x over unix:/run/a.sock");
        assert!(!target.is_at("a", 81));
        let target: Target = "https://localhost/x".parse().unwrap();
        let target = target.over_unix_socket(PathBuf::from("/run/a.sock"));
        assert!(target.is_tls());
        assert_eq!(target.to_string(), "https://localhost/x over unix:/run/a.sock");
    }

    #[test]
    fn an_authority_has_a_scheme() {
        let same = |one: &str, other: &str| {
            let (one, other): (Target, Target) = (one.parse().unwrap(), other.parse().unwrap());
            one.has_authority_of(&other)
        };
        assert!(same("https://a/x", "https://A:443/y"));
        assert!(same("http://a:443/x", "http://a:443/"));
        // The same address, and yet something else is spoken there.
        assert!(!same("http://a:443/", "https://a/"));
        assert!(!same("https://a/", "https://a:8443/"));
    }

    #[test]
    fn parts_make_the_same_target_as_their_url() {
        assert_eq!(Target::tcp("::1", 90, "/x"), "http://[::1]:90/x".parse());
        let target = Target::tcp("a", 80, "/").unwrap();
        assert_eq!(target.with_path("/y?z").unwrap().to_string(), "http://a/y?z");
        assert!(target.with_path("/y z").is_err());
    }
}
