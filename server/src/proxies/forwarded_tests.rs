//! Tables of what proxies and clients send, and what counts of it.

use http1::{Limits, Parse};
use proptest::prelude::*;

use super::*;
use crate::config::Peer;
use crate::exchange::Endpoint;

const ALL: &str = "x-forwarded-for,x-forwarded-proto,x-forwarded-host,x-forwarded-port,x-forwarded-prefix";
const LIMITS: Limits = Limits { request_line: 8190, header_count: 100, header_bytes: 65_536, body: 0 };

fn judge(allow: &str, headers: &str) -> Judge {
    Judge::new(&config::Forwarded {
        allow: allow.split(',').map(|peer| peer.parse::<Peer>().unwrap()).collect(),
        headers: headers.split(',').map(|name| name.parse().unwrap()).collect(),
    })
}

fn tcp(address: &str) -> Endpoint {
    Endpoint::Tcp(address.parse().unwrap())
}

/// The verdict on a request with these header lines for `example.com`, or what it says is malformed.
fn verdict(judge: &Judge, peer: Endpoint, lines: &[u8]) -> Result<Forwarding, &'static str> {
    let bytes = [b"GET / HTTP/1.1\r\nHost: example.com\r\n", lines, b"\r\n"].concat();
    let mut head = RequestHead::default();
    assert_eq!(head.parse(&bytes, 0, &LIMITS), Ok(Parse::Complete { head_len: bytes.len() }));
    let endpoints = Endpoints::new(peer, tcp("127.0.0.1:8000"), "http");
    judge.judge(&head, &bytes, &endpoints).map_err(|Malformed(name)| name)
}

/// What is believed of a proxy at 10.0.0.1, where 10.0.0.0/8 is allowed.
fn origin(headers: &str, lines: &str) -> Result<Origin, &'static str> {
    match verdict(&judge("10.0.0.0/8", headers), tcp("10.0.0.1:5000"), lines.as_bytes())? {
        Forwarding::Nothing => Ok(Origin::default()),
        Forwarding::Believed(origin) => Ok(*origin),
        Forwarding::Distrusted => panic!("10.0.0.1 is allowed"),
    }
}

fn client(ip: &str) -> Client {
    Client::Address(ip.parse().unwrap(), None)
}

#[test]
fn only_allowed_peers_are_believed() {
    let lines = b"X-Forwarded-For: 192.0.2.1\r\n";
    let believed = Forwarding::Believed(Box::new(Origin { client: client("192.0.2.1"), ..Origin::default() }));
    let unix = Endpoint::Unix(String::new());
    for (allow, peer, expected) in [
        ("10.0.0.1", tcp("10.0.0.1:5"), &believed),
        ("10.0.0.1", tcp("10.0.0.2:5"), &Forwarding::Distrusted),
        ("unix", unix.clone(), &believed),
        ("unix", tcp("10.0.0.1:5"), &Forwarding::Distrusted),
        ("*", tcp("10.0.0.1:5"), &believed),
        ("*", unix, &believed),
    ] {
        assert_eq!(verdict(&judge(allow, ALL), peer, lines).as_ref(), Ok(expected), "{allow}");
    }
    // A proxy that forwards nothing speaks for itself: a health check.
    assert_eq!(verdict(&judge("*", ALL), tcp("10.0.0.1:5"), b""), Ok(Forwarding::Nothing));
}

#[test]
fn the_client_is_the_first_from_the_right_that_is_not_trusted() {
    for (lines, expected) in [
        ("", Ok(Client::Peer)),
        ("X-Forwarded-For: 192.0.2.1\r\n", Ok(client("192.0.2.1"))),
        ("x-forwarded-FOR: 2001:db8::1\r\n", Ok(client("2001:db8::1"))),
        ("X-Forwarded-For: 192.0.2.1:443\r\n", Ok(Client::Address("192.0.2.1".parse().unwrap(), Some(443)))),
        // What a client has written itself stands left of its address, well-formed or not.
        ("X-Forwarded-For: 127.0.0.1, 192.0.2.1\r\n", Ok(client("192.0.2.1"))),
        ("X-Forwarded-For: <script>, 192.0.2.1\r\n", Ok(client("192.0.2.1"))),
        ("X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-For: 192.0.2.1\r\n", Ok(client("192.0.2.1"))),
        // Trusted proxies one behind the other.
        ("X-Forwarded-For: 127.0.0.1, 192.0.2.1, 10.0.0.3, 10.0.0.2\r\n", Ok(client("192.0.2.1"))),
        ("X-Forwarded-For: 192.0.2.1,10.0.0.3\r\nX-Forwarded-For: 10.0.0.2\r\n", Ok(client("192.0.2.1"))),
        // Everybody is trusted: a request from within.
        ("X-Forwarded-For: 10.0.0.4, 10.0.0.3\r\n", Ok(client("10.0.0.4"))),
        // Empty elements don't count.
        ("X-Forwarded-For: , 192.0.2.1 ,, \r\nX-Forwarded-For:\r\n", Ok(client("192.0.2.1"))),
        ("X-Forwarded-For:\r\n", Ok(Client::Peer)),
        ("X-Forwarded-For: unknown\r\n", Ok(Client::Hidden)),
        ("X-Forwarded-For: 192.0.2.1, unknown, 10.0.0.2\r\n", Ok(Client::Hidden)),
        ("X-Forwarded-For: ::ffff:192.0.2.1, ::ffff:10.0.0.2\r\n", Ok(client("192.0.2.1"))),
        // A trusted proxy has written this.
        ("X-Forwarded-For: 192.0.2.1, example.com\r\n", Err("x-forwarded-for")),
        ("X-Forwarded-For: 192.0.2.1, x, 10.0.0.2\r\n", Err("x-forwarded-for")),
        ("X-Forwarded-For: 192.0.2.1;10.0.0.2\r\n", Err("x-forwarded-for")),
        // Not named, not counted.
        ("Forwarded: for=192.0.2.9\r\n", Ok(Client::Peer)),
    ] {
        assert_eq!(origin(ALL, lines).map(|origin| origin.client), expected, "{lines}");
    }
}

#[test]
fn whoever_connects_is_one_hop() {
    // With `*` nobody but the peer is known to be a proxy: the address that it appended is the client's.
    let lines = b"X-Forwarded-For: 127.0.0.1, 10.0.0.9\r\n";
    let expected = Forwarding::Believed(Box::new(Origin { client: client("10.0.0.9"), ..Origin::default() }));
    assert_eq!(verdict(&judge("*", ALL), tcp("10.0.0.1:5"), lines), Ok(expected));
    let expected = Forwarding::Believed(Box::new(Origin { client: client("127.0.0.1"), ..Origin::default() }));
    assert_eq!(verdict(&judge("*,10.0.0.0/8", ALL), tcp("192.0.2.7:5"), lines), Ok(expected));
}

/// Scheme, host, server name, server port and prefix of a verdict, a dash for each that the connection decides.
fn address(headers: &str, lines: &str) -> Result<String, &'static str> {
    let Origin { scheme, host, server_name, server_port, prefix, .. } = origin(headers, lines)?;
    let dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let port = server_port.map(|port| port.to_string());
    let scheme = scheme.map(str::to_owned);
    Ok([dash(scheme), dash(host), dash(server_name), dash(port), dash(prefix)].join(" "))
}

#[test]
fn an_address_agrees_with_itself() {
    // The request's own Host is example.com.
    for (lines, expected) in [
        ("", Ok("- - - - -")),
        ("X-Forwarded-Proto: https\r\n", Ok("https - - 443 -")),
        ("X-Forwarded-Proto: HTTP\r\n", Ok("http - - 80 -")),
        ("X-Forwarded-Proto: wss\r\n", Ok("https - - 443 -")),
        ("X-Forwarded-Host: shop.example\r\n", Ok("- shop.example shop.example 80 -")),
        ("X-Forwarded-Host: shop.example:8080\r\n", Ok("- shop.example:8080 shop.example 8080 -")),
        ("X-Forwarded-Host: [2001:db8::1]:81\r\n", Ok("- [2001:db8::1]:81 [2001:db8::1] 81 -")),
        ("X-Forwarded-Host: shop.example\r\nX-Forwarded-Proto: https\r\n", Ok("https shop.example shop.example 443 -")),
        // The port alone changes the host, for that is what URLs are made of.
        ("X-Forwarded-Port: 8443\r\n", Ok("- example.com:8443 - 8443 -")),
        ("X-Forwarded-Port: 443\r\nX-Forwarded-Proto: https\r\n", Ok("https example.com - 443 -")),
        ("X-Forwarded-Port: 80\r\n", Ok("- example.com - 80 -")),
        ("X-Forwarded-Host: shop.example:1\r\nX-Forwarded-Port: 2\r\n", Ok("- shop.example:2 shop.example 2 -")),
        ("X-Forwarded-Prefix: /shop\r\n", Ok("- - - - /shop")),
        ("X-Forwarded-Prefix: /shop/\r\n", Ok("- - - - /shop")),
        ("X-Forwarded-Prefix: /\r\n", Ok("- - - - -")),
        ("X-Forwarded-Proto: ftp\r\n", Err("x-forwarded-proto")),
        ("X-Forwarded-Host: shop.example/path\r\n", Err("x-forwarded-host")),
        ("X-Forwarded-Host: user@shop.example\r\n", Err("x-forwarded-host")),
        ("X-Forwarded-Port: 0\r\n", Err("x-forwarded-port")),
        ("X-Forwarded-Port: 443x\r\n", Err("x-forwarded-port")),
        ("X-Forwarded-Prefix: shop\r\n", Err("x-forwarded-prefix")),
        ("X-Forwarded-Prefix: //evil.example\r\n", Err("x-forwarded-prefix")),
        ("X-Forwarded-Prefix: /../admin\r\n", Err("x-forwarded-prefix")),
        ("X-Forwarded-Prefix: /a?b\r\n", Err("x-forwarded-prefix")),
    ] {
        assert_eq!(address(ALL, lines).as_deref(), expected.as_ref().copied(), "{lines}");
    }
}

#[test]
fn everything_is_taken_from_the_same_place_as_the_client() {
    let chain = "X-Forwarded-For: 192.0.2.1, 10.0.0.2\r\n";
    for (lines, expected) in [
        // Both proxies append: the outer one knows how the client came.
        ("X-Forwarded-Proto: https, http\r\n", "https - - 443 -"),
        // With something that the client has written in front of it.
        ("X-Forwarded-Proto: http, https, http\r\n", "https - - 443 -"),
        // One of them has replaced what was there.
        ("X-Forwarded-Proto: https\r\n", "https - - 443 -"),
        ("X-Forwarded-Host: a.example, b.example, c.example\r\n", "- b.example b.example 80 -"),
    ] {
        assert_eq!(address(ALL, &format!("{chain}{lines}")).as_deref(), Ok(expected), "{lines}");
    }
    // One proxy: the client's own addition is left of what counts.
    let lines = "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https, http\r\n";
    assert_eq!(address(ALL, lines).as_deref(), Ok("http - - 80 -"));
}

#[test]
fn headers_that_are_not_named_do_not_count() {
    let lines = "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.example\r\n\
                 X-Forwarded-Port: x\r\nX-Forwarded-Prefix: /evil\r\nForwarded: for=127.0.0.1;host=evil.example\r\n";
    let names = "x-forwarded-for,x-forwarded-proto";
    assert_eq!(origin(names, lines).map(|origin| origin.client), Ok(client("192.0.2.1")));
    assert_eq!(address(names, lines).as_deref(), Ok("https - - 443 -"));
    assert_eq!(
        origin("forwarded", lines).map(|origin| origin.client),
        Ok(Client::Address("127.0.0.1".parse().unwrap(), None))
    );
}

#[test]
fn forwarded_is_read_from_the_right() {
    for (lines, expected) in [
        ("", Ok((Client::Peer, "- - - - -"))),
        ("Forwarded: for=192.0.2.1\r\n", Ok((client("192.0.2.1"), "- - - - -"))),
        (
            "Forwarded: for=192.0.2.1;proto=https;host=shop.example\r\n",
            Ok((client("192.0.2.1"), "https shop.example shop.example 443 -")),
        ),
        // The element of the proxy that the client is connected to is the one that counts.
        (
            "Forwarded: for=127.0.0.1;proto=https, for=192.0.2.1;host=a.example, for=10.0.0.2;proto=https\r\n",
            Ok((client("192.0.2.1"), "- a.example a.example 80 -")),
        ),
        ("Forwarded: for=\"[2001:db8::1]\"\r\nForwarded: for=10.0.0.2\r\n", Ok((client("2001:db8::1"), "- - - - -"))),
        ("Forwarded: for=unknown;proto=https\r\n", Ok((Client::Hidden, "https - - 443 -"))),
        ("Forwarded: for=192.0.2.1, for=_SEVKISEK\r\n", Ok((Client::Hidden, "- - - - -"))),
        // Nobody is named, so whoever is known stays.
        ("Forwarded: proto=https\r\n", Ok((Client::Peer, "https - - 443 -"))),
        ("Forwarded: proto=https, for=10.0.0.2\r\n", Ok((client("10.0.0.2"), "https - - 443 -"))),
        // A line of the client's own is not looked at when the proxy adds one.
        ("Forwarded: for=\"\r\nForwarded: for=192.0.2.1\r\n", Ok((client("192.0.2.1"), "- - - - -"))),
        // On the same line an open quote would hide what the proxy has appended.
        ("Forwarded: for=\", for=192.0.2.1\r\n", Err("forwarded")),
        ("Forwarded: 192.0.2.1\r\n", Err("forwarded")),
        ("Forwarded: for=example.com\r\n", Err("forwarded")),
        ("Forwarded: for=192.0.2.1;proto=gopher\r\n", Err("forwarded")),
        ("Forwarded: for=192.0.2.1;host=\"a b\"\r\n", Err("forwarded")),
        ("Forwarded: for=192.0.2.1;for=127.0.0.1\r\n", Err("forwarded")),
    ] {
        let found = origin("forwarded", lines).map(|origin| origin.client);
        let address = address("forwarded", lines);
        assert_eq!(found, expected.map(|(client, _)| client), "{lines}");
        assert_eq!(address.as_deref(), expected.as_ref().map(|(_, address)| *address), "{lines}");
    }
}

proptest! {
    /// Whatever is in them, headers are judged or refused; and what is believed is fit for a URL.
    #[test]
    fn any_headers_are_judged(
        lines in prop::collection::vec(
            (0..6_usize, prop_oneof![
                "[ -~\u{80}-\u{ff}]{0,40}",
                "(for|proto|host|by|x)=(\"?[a-z0-9.:\\[\\]\\\\_]{0,20}\"?)([,;] ?(for|proto|host)=\"?[a-z0-9.:\\[\\]_]{0,20}\"?){0,4}",
                "[0-9a-f.:, \\[\\]]{0,40}",
                "/?[a-z/.%]{0,10}",
            ]),
            0..6,
        )
    ) {
        let names = ["Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix"];
        let text: String = lines.iter().map(|(name, value)| format!("{}: {}\r\n", names[*name], value.trim())).collect();
        for headers in ["forwarded", ALL] {
            let Ok(Forwarding::Believed(origin)) = verdict(&judge("*,10.0.0.0/8", headers), tcp("10.0.0.1:5"), text.as_bytes()) else {
                continue;
            };
            if let Some(host) = &origin.host {
                prop_assert!(is_host_and_port(host.as_bytes()), "{}", host);
            }
            if let Some(prefix) = &origin.prefix {
                prop_assert!(prefix.starts_with('/') && !prefix.starts_with("//") && !prefix.ends_with('/'));
            }
            prop_assert_ne!(origin.server_port, Some(0));
        }
    }
}
