//! Peers as operators name them: `10.0.0.7`, `10.0.0.0/8`, `fd00::/8`, `unix`, `*`. Knows no connections: whether one
//! comes from such a peer is for the module `proxies` to say.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// Some of those who may connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum Peer {
    /// `*`: whoever connects.
    Anyone,
    /// `unix`: whoever connects to a unix socket.
    Unix,
    /// Everybody in this network, which may consist of one address. No bits are set beyond its prefix; an address that
    /// IPv6 only wraps around an IPv4 one is written as the latter.
    Network(IpNet),
}

/// Why a text is no peer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PeerError {
    /// None of the forms.
    #[error("'{0}' is not a peer; give an address, a network such as 10.0.0.0/8, unix, or *")]
    Form(String),
    /// An address inside a network, where a network is meant or an address.
    #[error("'{given}' has bits set beyond its prefix; give {network}, or the address alone")]
    HostBits {
        /// As given.
        given: String,
        /// The network that it lies in.
        network: IpNet,
    },
}

impl FromStr for Peer {
    type Err = PeerError;

    fn from_str(text: &str) -> Result<Peer, PeerError> {
        match text.trim() {
            "*" => return Ok(Peer::Anyone),
            "unix" => return Ok(Peer::Unix),
            _ => {}
        }
        if let Ok(address) = text.trim().parse::<IpAddr>() {
            return Ok(Peer::Network(address.to_canonical().into()));
        }
        let network: IpNet = text.trim().parse().map_err(|_| PeerError::Form(text.to_owned()))?;
        if network.trunc() != network {
            return Err(PeerError::HostBits { given: text.to_owned(), network: network.trunc() });
        }
        Ok(Peer::Network(network))
    }
}

impl TryFrom<String> for Peer {
    type Error = PeerError;

    fn try_from(text: String) -> Result<Peer, PeerError> {
        text.parse()
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Anyone => f.write_str("*"),
            Peer::Unix => f.write_str("unix"),
            Peer::Network(network) if network.prefix_len() == network.max_prefix_len() => network.addr().fmt(f),
            Peer::Network(network) => network.fmt(f),
        }
    }
}

impl From<Peer> for String {
    fn from(peer: Peer) -> String {
        peer.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_written() {
        for (text, written) in [
            ("*", "*"),
            ("unix", "unix"),
            ("127.0.0.1", "127.0.0.1"),
            (" ::1 ", "::1"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("192.0.2.7/32", "192.0.2.7"),
            ("fd00::/8", "fd00::/8"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            // What an IPv6 socket calls an IPv4 client.
            ("::ffff:192.0.2.7", "192.0.2.7"),
        ] {
            let peer: Peer = text.parse().unwrap();
            assert_eq!(peer.to_string(), written, "{text}");
            assert_eq!(written.parse(), Ok(peer), "{text} again from its own text");
        }
    }

    #[test]
    fn a_wrong_peer_is_told_what_to_write() {
        let form = "is not a peer; give an address, a network such as 10.0.0.0/8, unix, or *";
        for (text, expected) in [
            ("", format!("'' {form}")),
            // Names are looked up once and may change: an address says what is meant.
            ("localhost", format!("'localhost' {form}")),
            ("10.0.0", format!("'10.0.0' {form}")),
            ("10.0.0.0/33", format!("'10.0.0.0/33' {form}")),
            ("[::1]", format!("'[::1]' {form}")),
            ("127.0.0.1:80", format!("'127.0.0.1:80' {form}")),
            ("10.0.0.1/8", "'10.0.0.1/8' has bits set beyond its prefix; give 10.0.0.0/8, or the address alone".into()),
        ] {
            assert_eq!(text.parse::<Peer>().unwrap_err().to_string(), expected);
        }
    }
}
