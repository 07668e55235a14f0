//! The grammar of what proxies say: RFC 7239's `Forwarded`, and the customs of `X-Forwarded-*`.
//!
//! Pure functions from bytes to parts. What the parts are worth is for `forwarded` to judge.

use std::net::IpAddr;

/// Who was connected to a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    /// At this address, and this port where it is told.
    Address(IpAddr, Option<u16>),
    /// The proxy does not tell (RFC 7239 §6.2, §6.3).
    Hidden,
}

/// One element of `Forwarded`: what one proxy says. Values without their quotes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    /// Who was connected to it.
    pub(super) client: Option<String>,
    /// By which scheme.
    pub(super) proto: Option<String>,
    /// With which Host.
    pub(super) host: Option<String>,
    /// With which of its own interfaces: of no use, but not to be given twice.
    by: Option<String>,
}

/// The node of an `X-Forwarded-For` element, or of RFC 7239's `for` (§6). Takes an IPv6 address with or without brackets.
/// `None`: it is none.
pub(super) fn node(text: &str) -> Option<Node> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(Node::Address(address.to_canonical(), None));
    }
    let (ip, rest) = match text.strip_prefix('[') {
        Some(inside) => {
            let (inside, rest) = inside.split_once(']')?;
            (Some(IpAddr::V6(inside.parse().ok()?)), rest)
        }
        None => {
            let (name, rest) = text.split_at(text.find(':').unwrap_or(text.len()));
            (if is_hidden(name) { None } else { Some(IpAddr::V4(name.parse().ok()?)) }, rest)
        }
    };
    // node-port = port / obfport
    let port = match rest.strip_prefix(':') {
        None if rest.is_empty() => None,
        None => return None,
        Some(hidden) if is_obfuscated(hidden) => None,
        Some(digits) => Some(port(digits)?),
    };
    Some(ip.map_or(Node::Hidden, |ip| Node::Address(ip.to_canonical(), port)))
}

fn is_hidden(text: &str) -> bool {
    text.eq_ignore_ascii_case("unknown") || is_obfuscated(text)
}

/// `"_" 1*( ALPHA / DIGIT / "." / "_" / "-" )` (RFC 7239 §6.3)
fn is_obfuscated(text: &str) -> bool {
    text.strip_prefix('_').is_some_and(|rest| {
        !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    })
}

/// A port that something can be connected to.
pub(super) fn port(text: &str) -> Option<u16> {
    let digits = (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port > 0)
}

/// The scheme of the request, where that of a WebSocket's handshake is http's (RFC 6455 §4.1).
pub(super) fn scheme(text: &str) -> Option<&'static str> {
    const SCHEMES: [(&str, &str); 4] = [("http", "http"), ("https", "https"), ("ws", "http"), ("wss", "https")];
    SCHEMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, scheme)| *scheme)
}

/// A `host[:port]` in its two parts.
pub(super) fn host_and_port(host: &str) -> (&str, Option<u16>) {
    match host.rsplit_once(':') {
        // The colon may be one of an IPv6 address; the port may be empty (RFC 3986 §3.2.3).
        Some((name, digits)) if !digits.contains(']') => (name, port(digits)),
        _ => (host, None),
    }
}

/// The elements of one `Forwarded` line (RFC 7239 §4), from left to right. `None`: it is not well-formed.
///
/// Blanks around semicolons, which the grammar lacks but many proxies write, are taken.
pub(super) fn elements(line: &str) -> Option<Vec<Element>> {
    let mut elements = Vec::new();
    let mut element = Element::default();
    let mut rest = blanks(line);
    loop {
        rest = match rest.as_bytes().first() {
            None | Some(b',' | b';') => rest,
            Some(_) => pair(rest, &mut element)?,
        };
        rest = blanks(rest);
        match rest.as_bytes().first() {
            None => break,
            Some(b';') => {}
            Some(b',') => push(&mut elements, &mut element),
            Some(_) => return None,
        }
        rest = blanks(&rest[1..]);
    }
    push(&mut elements, &mut element);
    Some(elements)
}

/// Empty elements of a list don't count (RFC 9110 §5.6.1.2).
fn push(elements: &mut Vec<Element>, element: &mut Element) {
    let element = std::mem::take(element);
    if element != Element::default() {
        elements.push(element);
    }
}

/// `token "=" ( token / quoted-string )` at the start of `text`; what follows it.
fn pair<'a>(text: &'a str, element: &mut Element) -> Option<&'a str> {
    let (name, rest) = token(text)?;
    let (value, rest) = value(rest.strip_prefix('=')?)?;
    let place = match () {
        () if name.eq_ignore_ascii_case("for") => &mut element.client,
        () if name.eq_ignore_ascii_case("proto") => &mut element.proto,
        () if name.eq_ignore_ascii_case("host") => &mut element.host,
        () if name.eq_ignore_ascii_case("by") => &mut element.by,
        // An extension (§5.5).
        () => return Some(rest),
    };
    // "Each parameter MUST NOT occur more than once per field-value" (§4).
    if place.is_some() {
        return None;
    }
    *place = Some(value);
    Some(rest)
}

fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        return token(text).map(|(value, rest)| (value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

/// RFC 9110 §5.6.2; and the rest. A token is not empty.
fn token(text: &str) -> Option<(&str, &str)> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let end = text.bytes().position(|byte| !is_token(byte)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

fn blanks(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes() {
        let address = |ip: &str, port| Some(Node::Address(ip.parse().unwrap(), port));
        for (text, expected) in [
            ("192.0.2.1", address("192.0.2.1", None)),
            // Azure's gateways add the port.
            ("192.0.2.1:443", address("192.0.2.1", Some(443))),
            ("2001:db8::1", address("2001:db8::1", None)),
            ("[2001:db8::1]", address("2001:db8::1", None)),
            ("[2001:db8::1]:4711", address("2001:db8::1", Some(4711))),
            // Without brackets this is an address, never address and port.
            ("2001:db8::1:443", address("2001:db8::1:443", None)),
            ("::ffff:192.0.2.1", address("192.0.2.1", None)),
            ("192.0.2.1:_port", address("192.0.2.1", None)),
            ("[::1]:_port", address("::1", None)),
            ("unknown", Some(Node::Hidden)),
            ("Unknown:80", Some(Node::Hidden)),
            ("_hidden", Some(Node::Hidden)),
            ("_SEVKISEK:_x", Some(Node::Hidden)),
            ("", None),
            ("_", None),
            ("_a b", None),
            ("localhost", None),
            ("192.0.2", None),
            ("192.0.2.01", None),
            ("192.0.2.1:", None),
            ("192.0.2.1:0", None),
            ("192.0.2.1:65536", None),
            ("192.0.2.1:+80", None),
            ("192.0.2.1:80:_x", None),
            ("::1:_x", None),
            ("[192.0.2.1]", None),
            ("[::1", None),
            ("[fe80::1%1]:80", None),
            ("fe80::1%eth0", None),
            ("192.0.2.1 ", None),
        ] {
            assert_eq!(node(text), expected, "{text:?}");
        }
    }

    #[test]
    fn hosts_come_apart() {
        for (host, expected) in [
            ("example.com", ("example.com", None)),
            ("example.com:8443", ("example.com", Some(8443))),
            ("example.com:", ("example.com", None)),
            ("[::1]", ("[::1]", None)),
            ("[::1]:80", ("[::1]", Some(80))),
        ] {
            assert_eq!(host_and_port(host), expected);
        }
    }

    #[test]
    fn forwarded_lines_come_apart() {
        let element = |client: &str, proto: &str, host: &str| {
            let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            Element { client: some(client), proto: some(proto), host: some(host), by: None }
        };
        for (line, expected) in [
            ("", Some(vec![])),
            (" , ,", Some(vec![])),
            ("for=192.0.2.60", Some(vec![element("192.0.2.60", "", "")])),
            (
                "for=\"[2001:db8::1]:4711\";proto=https;host=example.com",
                Some(vec![element("[2001:db8::1]:4711", "https", "example.com")]),
            ),
            // Names are the same in any case; blanks after semicolons are common.
            ("For=a; PROTO=http ;;host=\"b:80\";", Some(vec![element("a", "http", "b:80")])),
            ("for=a,for=b ,\tfor=c", Some(vec![element("a", "", ""), element("b", "", ""), element("c", "", "")])),
            // Commas and semicolons within quotes; quoted pairs.
            ("for=\"_a,b;c\\\"d\", for=e", Some(vec![element("_a,b;c\"d", "", ""), element("e", "", "")])),
            ("secret=x;for=a;secret=y", Some(vec![element("a", "", "")])),
            ("for=\"\"", Some(vec![Element { client: Some(String::new()), ..Element::default() }])),
            ("for", None),
            ("for=", None),
            ("=a", None),
            ("for = a", None),
            ("for=a b", None),
            ("for=a;for=b", None),
            ("by=a;By=b", None),
            ("for=\"a", None),
            ("for=\"a\\", None),
            ("for=\"a\"b", None),
            // An address with colons has to be quoted.
            ("for=[::1]", None),
            ("for=192.0.2.1:80", None),
        ] {
            assert_eq!(elements(line), expected, "{line:?}");
        }
    }
}
