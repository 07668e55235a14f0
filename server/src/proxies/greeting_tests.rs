//! Every form of the header, whole and in every split, and what is none.

use proptest::prelude::*;

use super::*;

fn tcp_ends(peer: &str, local: &str) -> Option<Ends> {
    let endpoint = |address: &str| Endpoint::Tcp(address.parse().unwrap());
    Some(Ends { peer: endpoint(peer), local: endpoint(local), secure: false })
}

fn by_tls(ends: Option<Ends>) -> Option<Ends> {
    ends.map(|ends| Ends { secure: true, ..ends })
}

/// A binary header: command, family and transport, length, the rest.
fn header(command: u8, family: u8, length: u16, rest: &[u8]) -> Vec<u8> {
    [SIGNATURE, &[0x20 | command, family], &length.to_be_bytes(), rest].concat()
}

/// Two addresses and ports 1000 and 80.
fn inet(family: u8, tail: &[u8]) -> Vec<u8> {
    let rest = [&[192, 0, 2, 1, 198, 51, 100, 1, 0x03, 0xe8, 0, 80], tail].concat();
    header(1, family, rest.len() as u16, &rest)
}

fn unix(source: &str, destination: &str) -> Vec<u8> {
    let mut rest = vec![0; 2 * PATH];
    rest[..source.len()].copy_from_slice(source.as_bytes());
    rest[PATH..PATH + destination.len()].copy_from_slice(destination.as_bytes());
    header(1, 0x31, 216, &rest)
}

/// What comes of `bytes` when they arrive in pieces that end at `cuts`: consumed bytes in all, and the ends.
fn feed(bytes: &[u8], cuts: &[usize]) -> Result<Option<(usize, Option<Ends>)>, BadGreeting> {
    let mut greeting = Greeting::new();
    let mut start = 0;
    for end in cuts.iter().copied().chain([bytes.len()]) {
        match greeting.receive(&bytes[start..end])? {
            Heard::Partly => start = end,
            Heard::Whole { consumed, ends } => return Ok(Some((start + consumed, ends))),
        }
    }
    Ok(None)
}

#[test]
fn headers_are_understood_in_every_split() {
    let sixth: Vec<u8> = [
        &"2001:db8::1".parse::<Ipv6Addr>().unwrap().octets()[..],
        &"2001:db8::2".parse::<Ipv6Addr>().unwrap().octets(),
        &[0xff, 0xff, 0, 1],
    ]
    .concat();
    for (bytes, expected) in [
        (b"PROXY TCP4 192.0.2.1 198.51.100.1 1000 80\r\n".to_vec(), tcp_ends("192.0.2.1:1000", "198.51.100.1:80")),
        (
            b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 0\r\n".to_vec(),
            tcp_ends("255.255.255.255:65535", "255.255.255.255:0"),
        ),
        (b"PROXY TCP6 2001:db8::1 ::1 1000 80\r\n".to_vec(), tcp_ends("[2001:db8::1]:1000", "[::1]:80")),
        (b"PROXY UNKNOWN\r\n".to_vec(), None),
        (b"PROXY UNKNOWN ffff::1 whatever\r\n".to_vec(), None),
        (inet(0x11, b""), tcp_ends("192.0.2.1:1000", "198.51.100.1:80")),
        (inet(0x12, b""), tcp_ends("192.0.2.1:1000", "198.51.100.1:80")),
        // Extensions are skipped, whatever they are, and wherever they end.
        (inet(0x11, b"\x04\x00\x03abc\x20\x00"), tcp_ends("192.0.2.1:1000", "198.51.100.1:80")),
        (inet(0x11, b"\x04\x01\x00\x20\0\x01\x01"), tcp_ends("192.0.2.1:1000", "198.51.100.1:80")),
        // Except for TLS: after an empty one; with nested ones of its own; the last one cut.
        (inet(0x11, b"\x04\0\0\x20\0\x01\x01"), by_tls(tcp_ends("192.0.2.1:1000", "198.51.100.1:80"))),
        (
            inet(0x11, b"\x20\0\x0f\x05\0\0\0\0\x21\0\x07TLSv1.3\x04\0\x09"),
            by_tls(tcp_ends("192.0.2.1:1000", "198.51.100.1:80")),
        ),
        // A certificate, but no TLS; no value; a value inside another extension.
        (inet(0x11, b"\x20\0\x05\x06\0\0\0\0"), tcp_ends("192.0.2.1:1000", "198.51.100.1:80")),
        (inet(0x11, b"\x20\0\0\x01\0\0"), tcp_ends("192.0.2.1:1000", "198.51.100.1:80")),
        (inet(0x11, b"\x04\0\x04\x20\0\x01\x01"), tcp_ends("192.0.2.1:1000", "198.51.100.1:80")),
        (header(1, 0x21, 36, &sixth), tcp_ends("[2001:db8::1]:65535", "[2001:db8::2]:1")),
        (
            unix("/run/client", "/run/proxy.sock"),
            Some(Ends {
                peer: Endpoint::Unix("/run/client".into()),
                local: Endpoint::Unix("/run/proxy.sock".into()),
                secure: false,
            }),
        ),
        // Unnamed; abstract, whose name begins with a NUL.
        (
            unix("", "\0name"),
            Some(Ends { peer: Endpoint::Unix("".into()), local: Endpoint::Unix("".into()), secure: false }),
        ),
        // A health check of the proxy itself, with nothing or with anything behind it.
        (header(0, 0, 0, b""), None),
        (header(0, 0xff, 3, b"abc"), None),
        (header(1, 0, 2, b"ab"), None),
    ] {
        let whole = Ok(Some((bytes.len(), expected)));
        // The request that follows belongs to nobody here.
        let followed = [&bytes[..], b"GET / HTTP/1.1\r\n"].concat();
        assert_eq!(feed(&followed, &[]), whole, "{:?}", bytes.escape_ascii().to_string());
        for cut in 0..bytes.len() {
            assert_eq!(feed(&followed, &[cut]), whole);
            assert_eq!(feed(&bytes[..cut], &[]), Ok(None), "cut at {cut}");
        }
        assert_eq!(feed(&followed, &(0..followed.len()).collect::<Vec<_>>()), whole, "byte by byte");
    }
}

#[test]
fn the_longest_headers_are_understood() {
    let text = [b"PROXY UNKNOWN ".to_vec(), vec![b'x'; LONGEST_TEXT - 16], b"\r\n".to_vec()].concat();
    assert_eq!(feed(&text, &[]), Ok(Some((LONGEST_TEXT, None))));
    let binary = header(0, 0, u16::MAX, &vec![0; 65_535]);
    assert_eq!(feed(&binary, &[20, 30_000]), Ok(Some((binary.len(), None))));
}

#[test]
fn everything_else_is_refused() {
    let missing = BadGreeting::Missing;
    let words = BadGreeting::Malformed("this is not PROXY, a protocol, two addresses and two ports");
    let version = BadGreeting::Malformed("its version is not 2");
    let command = BadGreeting::Malformed("its command is neither LOCAL nor PROXY");
    let family = BadGreeting::Malformed("its address family is unknown");
    let room = BadGreeting::Malformed("its length leaves no room for its addresses");
    let endless = BadGreeting::Malformed("its line does not end");
    for (bytes, expected) in [
        // Told by their first wrong byte.
        (b"G".to_vec(), missing),
        (b"PRX".to_vec(), missing),
        (b"proxy ".to_vec(), missing),
        (b"\r\n\r\nG".to_vec(), missing),
        (b"\x16\x03\x01".to_vec(), missing),
        (b"PROXY TCP4 192.0.2.1 198.51.100.1 1000\r\n".to_vec(), words),
        (b"PROXY TCP4 192.0.2.1 198.51.100.1 1000 80 1\r\n".to_vec(), words),
        (b"PROXY TCP4  192.0.2.1 198.51.100.1 1000 80\r\n".to_vec(), words),
        (b"PROXY TCP4 192.0.2.1 198.51.100.1 1000 80 \r\n".to_vec(), words),
        (b"PROXY TCP4 192.0.2.1 198.51.100.1 01000 80\r\n".to_vec(), words),
        (b"PROXY TCP4 192.0.2.1 198.51.100.1 +1000 80\r\n".to_vec(), words),
        (b"PROXY TCP4 192.0.2.1 198.51.100.1 65536 80\r\n".to_vec(), words),
        (b"PROXY TCP4 192.0.02.1 198.51.100.1 1000 80\r\n".to_vec(), words),
        (b"PROXY TCP4 ::1 ::1 1000 80\r\n".to_vec(), words),
        (b"PROXY TCP6 192.0.2.1 198.51.100.1 1000 80\r\n".to_vec(), words),
        (b"PROXY UDP4 192.0.2.1 198.51.100.1 1000 80\r\n".to_vec(), words),
        (b"PROXY \xff\r\n".to_vec(), words),
        (b"PROXY \r\n".to_vec(), words),
        // A bare line feed ends no line.
        ([b"PROXY UNKNOWN\n".to_vec(), vec![b'x'; LONGEST_TEXT]].concat(), endless),
        ([b"PROXY UNKNOWN ".to_vec(), vec![b'x'; LONGEST_TEXT - 15], b"\r\n".to_vec()].concat(), endless),
        ([SIGNATURE, b"\x11\x11\0\x0c"].concat(), version),
        (header(2, 0x11, 12, b""), command),
        (header(1, 0x10, 12, b""), family),
        (header(1, 0x13, 12, b""), family),
        (header(1, 0x41, 12, b""), family),
        (header(1, 0x11, 11, b""), room),
        (header(1, 0x21, 35, b""), room),
        (header(1, 0x31, 215, b""), room),
    ] {
        assert_eq!(feed(&bytes, &[]), Err(expected), "{:?}", bytes.escape_ascii().to_string());
        let cuts: Vec<usize> = (0..bytes.len()).collect();
        assert_eq!(feed(&bytes, &cuts), Err(expected), "{:?} byte by byte", bytes.escape_ascii().to_string());
    }
}

proptest! {
    /// Splits make no difference, whatever the bytes are.
    #[test]
    fn any_bytes_in_any_split_end_alike(
        start in 0..4_usize,
        noise in prop::collection::vec(any::<u8>(), 0..300),
        cuts in prop::collection::vec(0..400_usize, 0..6),
    ) {
        let starts: [&[u8]; 4] = [b"", b"PROXY TCP4 ", SIGNATURE, b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x20"];
        let bytes = [starts[start], &noise].concat();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        cuts.sort_unstable();
        prop_assert_eq!(feed(&bytes, &cuts), feed(&bytes, &[]));
    }
}
