//! The PROXY protocol: what a proxy says at the start of a connection, before its client's first byte.
//!
//! Sans-I/O: bytes in, in whatever pieces, until the header is whole. Both versions (haproxy.org, `proxy-protocol.txt`:
//! §2.1 a line of text, §2.2 binary), told apart by their first byte. The worker feeds it, on connections of peers that
//! have to begin so.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::exchange::Endpoint;

/// Before a text header; a blank follows each word.
const TEXT: &[u8] = b"PROXY ";
/// The longest text header, its line end included (§2.1).
const LONGEST_TEXT: usize = 107;
/// Before a binary header (§2.2); no protocol begins like that.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family and transport, length of the rest.
const FIXED: usize = 16;
/// A path in the binary form of a unix socket's address.
const PATH: usize = 108;
/// The extension that tells of TLS between client and proxy (§2.2.6), and the bit of its first byte that says so.
const TLS: (u8, u8) = (0x20, 0x01);

/// What is wrong with a header. The proxy is at fault, or whoever configured it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadGreeting {
    /// Another protocol, usually HTTP itself.
    #[error("the connection does not begin with a PROXY protocol header; let the proxy send it, or don't ask for it")]
    Missing,
    /// A header that its specification does not know.
    #[error("the PROXY protocol header is malformed: {0}")]
    Malformed(&'static str),
}

/// Both ends of the client's connection to the proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ends {
    /// The client.
    pub(crate) peer: Endpoint,
    /// What it connected to.
    pub(crate) local: Endpoint,
    /// It is by TLS, says the proxy. A text header can't say so.
    pub(crate) secure: bool,
}

/// What a header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Not whole yet.
    Partly,
    /// Whole.
    Whole {
        /// How many of the fed bytes belong to it.
        consumed: usize,
        /// `None`: the proxy speaks for itself (a health check), or does not know.
        ends: Option<Ends>,
    },
}

/// A header on its way.
#[derive(Debug)]
pub(crate) struct Greeting {
    state: State,
}

#[derive(Debug)]
enum State {
    /// What has come of a text header, or of a binary one up to its addresses: at most 232 bytes.
    Gathering(Vec<u8>),
    /// What follows the addresses of a binary header.
    Extended(Extensions, Option<Ends>),
}

/// The extensions of a binary header (§2.2), at most 65,535 bytes: type, length in two bytes, value; and again. One that
/// goes beyond the header's end is as good as another: nothing hangs on the rest of it.
#[derive(Debug, Default)]
struct Extensions {
    left: usize,
    /// How many bytes of the current one have come.
    at: usize,
    kind: u8,
    length: usize,
    /// One has told of TLS.
    secure: bool,
}

impl Extensions {
    fn take(&mut self, byte: u8) {
        match self.at {
            0 => self.kind = byte,
            1 => self.length = usize::from(byte) << 8,
            2 => self.length |= usize::from(byte),
            3 => self.secure |= self.kind == TLS.0 && byte & TLS.1 != 0,
            _ => {}
        }
        self.at += 1;
        if self.at >= 3 && self.at == 3 + self.length {
            self.at = 0;
        }
        self.left -= 1;
    }
}

impl Greeting {
    /// Nothing has come yet.
    pub(crate) fn new() -> Greeting {
        Greeting { state: State::Gathering(Vec::new()) }
    }

    /// Takes in what has come next. Not to be called again once the header is whole or refused.
    pub(crate) fn receive(&mut self, input: &[u8]) -> Result<Heard, BadGreeting> {
        for consumed in 0..=input.len() {
            if let State::Extended(extensions @ Extensions { left: 0, .. }, ends) = &mut self.state {
                let ends = ends.take().map(|ends| Ends { secure: extensions.secure, ..ends });
                return Ok(Heard::Whole { consumed, ends });
            }
            let Some(byte) = input.get(consumed) else { break };
            match &mut self.state {
                State::Extended(extensions, _) => extensions.take(*byte),
                State::Gathering(gathered) => {
                    gathered.push(*byte);
                    if let Some((left, ends)) = read(gathered)? {
                        self.state = State::Extended(Extensions { left, ..Extensions::default() }, ends);
                    }
                }
            }
        }
        Ok(Heard::Partly)
    }
}

/// How many bytes follow a header that is complete up to its addresses, and these. `None`: more are needed.
fn read(gathered: &[u8]) -> Result<Option<(usize, Option<Ends>)>, BadGreeting> {
    let begins = |magic: &[u8]| gathered.iter().zip(magic).all(|(byte, expected)| byte == expected);
    if begins(TEXT) {
        if let Some(line) = gathered.strip_suffix(b"\r\n") {
            return text(line).map(|ends| Some((0, ends)));
        }
        if gathered.len() == LONGEST_TEXT {
            return Err(BadGreeting::Malformed("its line does not end"));
        }
        return Ok(None);
    }
    if !begins(SIGNATURE) {
        return Err(BadGreeting::Missing);
    }
    binary(gathered)
}

/// A text header without its line end.
fn text(line: &[u8]) -> Result<Option<Ends>, BadGreeting> {
    let malformed = BadGreeting::Malformed("this is not PROXY, a protocol, two addresses and two ports");
    let line = str::from_utf8(line).map_err(|_| malformed)?;
    let mut words = line.split(' ').skip(1);
    let mut word = || words.next().ok_or(malformed);
    // "The receiver must ignore anything presented before the CRLF" after UNKNOWN.
    let is_fourth = match word()? {
        "UNKNOWN" => return Ok(None),
        "TCP4" => true,
        "TCP6" => false,
        _ => return Err(malformed),
    };
    let address = |word: &str| {
        let address = match is_fourth {
            true => word.parse::<Ipv4Addr>().map(IpAddr::V4),
            false => word.parse::<Ipv6Addr>().map(IpAddr::V6),
        };
        address.map_err(|_| malformed)
    };
    let port = |word: &str| {
        let digits = word.bytes().all(|byte| byte.is_ascii_digit()) && (word == "0" || !word.starts_with('0'));
        word.parse::<u16>().ok().filter(|_| digits).ok_or(malformed)
    };
    let (source, destination) = (address(word()?)?, address(word()?)?);
    let (source_port, destination_port) = (port(word()?)?, port(word()?)?);
    if words.next().is_some() {
        return Err(malformed);
    }
    Ok(Some(Ends {
        peer: Endpoint::Tcp(SocketAddr::new(source, source_port)),
        local: Endpoint::Tcp(SocketAddr::new(destination, destination_port)),
        secure: false,
    }))
}

/// A binary header that begins with the signature, as far as it has come.
fn binary(gathered: &[u8]) -> Result<Option<(usize, Option<Ends>)>, BadGreeting> {
    let Some((fixed, addresses)) = gathered.split_first_chunk::<FIXED>() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if fixed[12] >> 4 != 2 {
        return Err(BadGreeting::Malformed("its version is not 2"));
    }
    match fixed[12] & 0xf {
        // LOCAL: whatever follows is to be ignored.
        0 => return Ok(Some((length, None))),
        1 => {}
        _ => return Err(BadGreeting::Malformed("its command is neither LOCAL nor PROXY")),
    }
    // How the client reached the proxy, by stream (1) or datagrams (2), makes no difference here.
    let wanted = match fixed[13] {
        // Unspecified: the connection's own addresses stay. §2.2 lists the other values; no more are to be taken.
        0x00 => return Ok(Some((length, None))),
        0x11 | 0x12 => 12,
        0x21 | 0x22 => 36,
        0x31 | 0x32 => 2 * PATH,
        _ => return Err(BadGreeting::Malformed("its address family is unknown")),
    };
    if length < wanted {
        return Err(BadGreeting::Malformed("its length leaves no room for its addresses"));
    }
    if addresses.len() < wanted {
        return Ok(None);
    }
    Ok(Some((length - wanted, ends(addresses))))
}

/// The addresses of a binary header, by their length. `None` is never the case for the lengths that there are.
fn ends(addresses: &[u8]) -> Option<Ends> {
    let (peer, local) = match addresses.len() {
        12 => {
            let (source, rest) = addresses.split_first_chunk::<4>()?;
            let (destination, ports) = rest.split_first_chunk::<4>()?;
            (
                tcp(Ipv4Addr::from(*source).into(), ports.get(..2)?),
                tcp(Ipv4Addr::from(*destination).into(), &ports[2..]),
            )
        }
        36 => {
            let (source, rest) = addresses.split_first_chunk::<16>()?;
            let (destination, ports) = rest.split_first_chunk::<16>()?;
            (
                tcp(Ipv6Addr::from(*source).into(), ports.get(..2)?),
                tcp(Ipv6Addr::from(*destination).into(), &ports[2..]),
            )
        }
        _ => {
            let (source, destination) = addresses.split_at_checked(PATH)?;
            (Endpoint::Unix(path(source)), Endpoint::Unix(path(destination)))
        }
    };
    Some(Ends { peer, local, secure: false })
}

/// Ports are in network byte order.
fn tcp(ip: IpAddr, port: &[u8]) -> Endpoint {
    let port = port.iter().fold(0, |port, byte| port << 8 | u16::from(*byte));
    Endpoint::Tcp(SocketAddr::new(ip, port))
}

/// Up to its first NUL: nothing of an unnamed or abstract address.
fn path(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

#[cfg(test)]
#[path = "greeting_tests.rs"]
mod tests;
