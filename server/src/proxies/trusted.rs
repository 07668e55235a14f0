//! A set of peers, to be asked for every connection, or for every request.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::config::Peer;
use crate::exchange::Endpoint;

/// Those that an option lists.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trusted {
    anyone: bool,
    unix: bool,
    networks: Vec<IpNet>,
}

impl Trusted {
    /// The set of these.
    pub(crate) fn new(peers: &[Peer]) -> Trusted {
        let networks = peers.iter().filter_map(|peer| match peer {
            Peer::Network(network) => Some(*network),
            Peer::Anyone | Peer::Unix => None,
        });
        Trusted {
            anyone: peers.contains(&Peer::Anyone),
            unix: peers.contains(&Peer::Unix),
            networks: networks.collect(),
        }
    }

    /// Whether whoever is connected to us is one of them.
    pub(crate) fn has_peer(&self, peer: &Endpoint) -> bool {
        self.anyone
            || match peer {
                Endpoint::Unix(_) => self.unix,
                Endpoint::Tcp(address) => self.has_address(address.ip()),
            }
    }

    /// Whether this address, which a proxy has named, is one of theirs. `*` says only that whoever connects is believed: if
    /// it meant everybody, there would be no client left.
    pub(super) fn has_address(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_found_in_the_set() {
        let tcp = |address: &str| Endpoint::Tcp(address.parse().unwrap());
        let unix = Endpoint::Unix(String::new());
        for (list, peer, expected) in [
            ("127.0.0.1", tcp("127.0.0.1:5"), true),
            ("127.0.0.1", tcp("127.0.0.2:5"), false),
            ("10.0.0.0/8,127.0.0.1", tcp("10.255.0.1:5"), true),
            // An IPv4 client of an IPv6 socket.
            ("10.0.0.0/8", tcp("[::ffff:10.0.0.1]:5"), true),
            ("::/0", tcp("127.0.0.1:5"), false),
            ("fd00::/8", tcp("[fd12::1]:5"), true),
            ("0.0.0.0/0", unix.clone(), false),
            ("unix", unix.clone(), true),
            ("unix", tcp("127.0.0.1:5"), false),
            ("*", tcp("192.0.2.1:5"), true),
            ("*", unix, true),
        ] {
            let peers: Vec<Peer> = list.split(',').map(|peer| peer.parse().unwrap()).collect();
            assert_eq!(Trusted::new(&peers).has_peer(&peer), expected, "{list} {peer:?}");
        }
        assert!(!Trusted::default().has_peer(&tcp("127.0.0.1:5")), "nobody");
    }
}
