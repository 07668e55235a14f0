//! Addresses to listen on: from their text to a [`Bind`]. Looks names up; opens nothing.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Bind;

/// `sun_path` holds 108 bytes, the last of them a NUL (unix(7)).
const UNIX_PATH_MAX: usize = 107;

/// An address as given, its host not yet looked up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum BindSpec {
    /// `HOST:PORT`, `[IPV6]:PORT`, or `:PORT` for every IPv4 address of the machine.
    Tcp {
        /// A name, or an address without brackets.
        host: String,
        /// The port; 0 lets the kernel choose.
        port: u16,
    },
    /// `unix:PATH`.
    Unix(PathBuf),
    /// `unix:@NAME`.
    Abstract(String),
    /// `fd:NUMBER`.
    Descriptor(i32),
    /// `systemd`, or `systemd:NAME`.
    Systemd(Option<String>),
}

/// Why a text is no address to listen on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BindError {
    /// Not one of the known forms.
    #[error(
        "'{0}' is not an address; give HOST:PORT, [IPV6]:PORT, :PORT, unix:PATH, systemd or fd:N, e.g. 127.0.0.1:8000"
    )]
    Form(String),
    /// The port is no port.
    #[error("'{port}' is not a port; give a number from 0 (any free port) to 65535")]
    Port {
        /// As given.
        port: String,
    },
    /// An IPv6 address without brackets.
    #[error("'{0}' has more than one colon; put an IPv6 address in brackets, e.g. [::1]:8000")]
    Brackets(String),
    /// Not the number of a descriptor that can have been passed.
    #[error("'{0}' is not the number of a descriptor; give one from 3 on, as whoever starts the server has opened it")]
    Descriptor(String),
    /// A path no socket address can hold.
    #[error("the path '{}' is longer than the {UNIX_PATH_MAX} bytes of a unix socket's address", .0.display())]
    PathTooLong(PathBuf),
    /// The name has no address.
    #[error("the name '{host}' can't be resolved ({source}); give an address or a name of this machine")]
    Unknown {
        /// As given.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
}

impl FromStr for BindSpec {
    type Err = BindError;

    fn from_str(text: &str) -> Result<BindSpec, BindError> {
        if let Some(path) = text.strip_prefix("unix:") {
            return match path.strip_prefix('@') {
                _ if path.is_empty() || path == "@" || path.contains('\0') => Err(BindError::Form(text.to_owned())),
                Some(name) => Ok(BindSpec::Abstract(name.to_owned())),
                None => Ok(BindSpec::Unix(path.into())),
            };
        }
        if let Some(number) = text.strip_prefix("fd:") {
            let parsed = number.parse().ok().filter(|parsed| *parsed > 2 && !number.starts_with('+'));
            return parsed.map(BindSpec::Descriptor).ok_or_else(|| BindError::Descriptor(number.to_owned()));
        }
        match text.strip_prefix("systemd") {
            Some("") => return Ok(BindSpec::Systemd(None)),
            Some(name) if name.len() > 1 && name.starts_with(':') => {
                return Ok(BindSpec::Systemd(Some(name[1..].to_owned())));
            }
            _ => {}
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(|| BindError::Form(text.to_owned()))?;
        let host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(inner) if inner.parse::<Ipv6Addr>().is_ok() => inner,
            Some(_) => return Err(BindError::Form(text.to_owned())),
            None if host.contains(':') => return Err(BindError::Brackets(text.to_owned())),
            None if host.contains(['[', ']', '/', ' ']) => {
                return Err(BindError::Form(text.to_owned()));
            }
            None => host,
        };
        // `u16::from_str` would take "+80".
        let port = match port.parse() {
            Ok(number) if port.bytes().all(|byte| byte.is_ascii_digit()) => number,
            _ => {
                return Err(BindError::Port { port: port.to_owned() });
            }
        };
        Ok(BindSpec::Tcp { host: host.to_owned(), port })
    }
}

impl BindSpec {
    /// The address itself. Of a name's several addresses the first IPv4 one is taken, else the first: a machine
    /// without IPv6 often still has `::1 localhost` in its hosts file. Paths become absolute.
    pub(crate) fn resolve(&self) -> Result<Bind, BindError> {
        match self {
            BindSpec::Unix(path) => unix(path),
            // The NUL before the name counts too.
            BindSpec::Abstract(name) if name.len() > UNIX_PATH_MAX => Err(BindError::PathTooLong(name.into())),
            BindSpec::Abstract(name) => Ok(Bind::Abstract(name.clone())),
            BindSpec::Descriptor(number) => Ok(Bind::Descriptor(*number)),
            BindSpec::Systemd(name) => Ok(Bind::Systemd(name.clone())),
            BindSpec::Tcp { host, port } if host.is_empty() => {
                Ok(Bind::Tcp(SocketAddr::from((Ipv4Addr::UNSPECIFIED, *port))))
            }
            BindSpec::Tcp { host, port } => match host.parse::<IpAddr>() {
                Ok(address) => Ok(Bind::Tcp(SocketAddr::new(address, *port))),
                Err(_) => look_up(host, *port),
            },
        }
    }
}

fn unix(path: &Path) -> Result<Bind, BindError> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    if path.as_os_str().len() > UNIX_PATH_MAX {
        return Err(BindError::PathTooLong(path));
    }
    Ok(Bind::Unix(path))
}

fn look_up(host: &str, port: u16) -> Result<Bind, BindError> {
    let unknown = |source| BindError::Unknown { host: host.to_owned(), source };
    let addresses: Vec<SocketAddr> = (host, port).to_socket_addrs().map_err(unknown)?.collect();
    let chosen = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
    chosen.copied().map(Bind::Tcp).ok_or_else(|| unknown(io::Error::new(io::ErrorKind::NotFound, "no address")))
}

impl TryFrom<String> for BindSpec {
    type Error = BindError;

    fn try_from(text: String) -> Result<BindSpec, BindError> {
        text.parse()
    }
}

impl fmt::Display for BindSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BindSpec::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            BindSpec::Tcp { host, port } => write!(f, "{host}:{port}"),
            BindSpec::Unix(path) => write!(f, "unix:{}", path.display()),
            BindSpec::Abstract(name) => write!(f, "unix:@{name}"),
            BindSpec::Descriptor(number) => write!(f, "fd:{number}"),
            BindSpec::Systemd(None) => f.write_str("systemd"),
            BindSpec::Systemd(Some(name)) => write!(f, "systemd:{name}"),
        }
    }
}

impl From<BindSpec> for String {
    fn from(spec: BindSpec) -> String {
        spec.to_string()
    }
}

impl Bind {
    /// What would resolve to this.
    pub(super) fn spec(&self) -> BindSpec {
        match self {
            Bind::Tcp(address) => BindSpec::Tcp { host: address.ip().to_string(), port: address.port() },
            Bind::Unix(path) => BindSpec::Unix(path.clone()),
            Bind::Abstract(name) => BindSpec::Abstract(name.clone()),
            Bind::Descriptor(number) => BindSpec::Descriptor(*number),
            Bind::Systemd(name) => BindSpec::Systemd(name.clone()),
        }
    }
}

impl TryFrom<String> for Bind {
    type Error = BindError;

    fn try_from(text: String) -> Result<Bind, BindError> {
        text.parse::<BindSpec>()?.resolve()
    }
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.spec().fmt(f)
    }
}

impl From<Bind> for String {
    fn from(bind: Bind) -> String {
        bind.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_resolves() {
        let table = [
            ("127.0.0.1:8000", "127.0.0.1:8000"),
            ("[::1]:8000", "[::1]:8000"),
            ("[::]:80", "[::]:80"),
            (":8000", "0.0.0.0:8000"),
            ("0.0.0.0:0", "0.0.0.0:0"),
            // From the hosts file, IPv4 preferred.
            ("localhost:8000", "127.0.0.1:8000"),
            ("unix:/run/app.sock", "unix:/run/app.sock"),
            ("unix:@app", "unix:@app"),
            ("fd:3", "fd:3"),
            ("systemd", "systemd"),
            ("systemd:web.socket", "systemd:web.socket"),
        ];
        for (text, expected) in table {
            let spec: BindSpec = text.parse().unwrap();
            assert_eq!(spec.to_string(), text);
            let bind = spec.resolve().unwrap();
            assert_eq!(bind.to_string(), expected, "{text}");
            assert_eq!(Bind::try_from(bind.to_string()).unwrap(), bind, "{text} again from its own text");
        }
    }

    #[test]
    fn a_relative_socket_path_becomes_absolute() {
        let bind = "unix:app.sock".parse::<BindSpec>().unwrap().resolve().unwrap();
        assert_eq!(bind, Bind::Unix(std::env::current_dir().unwrap().join("app.sock")));
    }

    #[test]
    fn a_wrong_address_is_told_its_forms() {
        let form =
            "is not an address; give HOST:PORT, [IPV6]:PORT, :PORT, unix:PATH, systemd or fd:N, e.g. 127.0.0.1:8000";
        let number =
            "is not the number of a descriptor; give one from 3 on, as whoever starts the server has opened it";
        let table = [
            ("8000", format!("'8000' {form}")),
            ("", format!("'' {form}")),
            ("unix:", format!("'unix:' {form}")),
            ("unix:@", format!("'unix:@' {form}")),
            ("fd:2", format!("'2' {number}")),
            ("fd:web", format!("'web' {number}")),
            ("fd:+3", format!("'+3' {number}")),
            ("systemd:", "'' is not a port; give a number from 0 (any free port) to 65535".into()),
            (
                "[::1:8000",
                "'[::1:8000' has more than one colon; put an IPv6 address in brackets, e.g. [::1]:8000".into(),
            ),
            ("[nonsense]:80", format!("'[nonsense]:80' {form}")),
            (
                "http://localhost:80",
                "'http://localhost:80' has more than one colon; put an IPv6 address in brackets, e.g. [::1]:8000"
                    .into(),
            ),
            ("::1:8000", "'::1:8000' has more than one colon; put an IPv6 address in brackets, e.g. [::1]:8000".into()),
            ("localhost:", "'' is not a port; give a number from 0 (any free port) to 65535".into()),
            ("localhost:http", "'http' is not a port; give a number from 0 (any free port) to 65535".into()),
            ("localhost:+80", "'+80' is not a port; give a number from 0 (any free port) to 65535".into()),
            ("localhost:65536", "'65536' is not a port; give a number from 0 (any free port) to 65535".into()),
        ];
        for (text, expected) in table {
            assert_eq!(text.parse::<BindSpec>().unwrap_err().to_string(), expected, "{text}");
        }
        let long = format!("unix:/{}", "x".repeat(UNIX_PATH_MAX));
        let error = long.parse::<BindSpec>().unwrap().resolve().unwrap_err();
        assert!(error.to_string().ends_with("is longer than the 107 bytes of a unix socket's address"), "{error}");
    }

    #[test]
    fn an_unknown_name_says_what_the_resolver_said() {
        // RFC 6761 6.4: `.invalid` never resolves.
        let error = "nowhere.invalid:80".parse::<BindSpec>().unwrap().resolve().unwrap_err().to_string();
        assert!(error.starts_with("the name 'nowhere.invalid' can't be resolved ("), "{error}");
        assert!(error.ends_with("); give an address or a name of this machine"), "{error}");
    }
}
