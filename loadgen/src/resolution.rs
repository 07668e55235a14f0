//! Addresses given by hand, in place of the resolver's: `HOST:PORT:ADDRESS`. Pure.

use std::net::IpAddr;
use std::str::FromStr;

/// An address for a host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// Host name, as in the target.
    pub host: String,
    /// Port, as in the target.
    pub port: u16,
    /// Where to connect instead of asking the resolver.
    pub address: IpAddr,
}

/// Text that is no such entry; the message quotes it and shows a right one.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no address for a host; write HOST:PORT:ADDRESS, for instance shop.test:80:127.0.0.1")]
pub struct ResolutionError(String);

impl FromStr for Resolution {
    type Err = ResolutionError;

    fn from_str(text: &str) -> Result<Self, ResolutionError> {
        let wrong = || ResolutionError(text.to_owned());
        let (host, rest) = text.split_once(':').ok_or_else(wrong)?;
        let (port, address) = rest.split_once(':').ok_or_else(wrong)?;
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|port| digits && *port != 0).ok_or_else(wrong)?;
        // curl writes IPv6 addresses with and without brackets.
        let address = address.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(address);
        let address = address.parse().map_err(|_| wrong())?;
        if host.is_empty() { Err(wrong()) } else { Ok(Self { host: host.to_owned(), port, address }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_as_curl_reads_them() {
        let entry = |host: &str, port, address: &str| {
            Some(Resolution { host: host.to_owned(), port, address: address.parse().unwrap() })
        };
        let rows = [
            ("shop.test:80:127.0.0.1", entry("shop.test", 80, "127.0.0.1")),
            ("a:8000:::1", entry("a", 8000, "::1")),
            ("a:8000:[::1]", entry("a", 8000, "::1")),
            ("a:80:localhost", None),
            ("a:0:127.0.0.1", None),
            ("a:+1:127.0.0.1", None),
            ("a:127.0.0.1", None),
            (":80:127.0.0.1", None),
            ("", None),
        ];
        for (text, expected) in rows {
            assert_eq!(text.parse::<Resolution>().ok(), expected, "{text:?}");
        }
    }
}
