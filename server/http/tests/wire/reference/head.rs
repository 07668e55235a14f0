//! A request's head, read line by line and field by field (RFC 9112 §2 to §6).

use std::net::Ipv6Addr;

use http1::{Framing, Limits};

/// What a head says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    /// With empty lines before it and the one that ends it.
    pub(crate) len: usize,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) fields: Vec<(String, Vec<u8>)>,
    pub(crate) framing: Framing,
    pub(crate) keep_alive: bool,
    pub(crate) expects_continue: bool,
}

/// The head at the start of `bytes`, if it is whole, right and within the limits.
pub(crate) fn read(bytes: &[u8], limits: &Limits) -> Option<Head> {
    let mut skipped = 0;
    while bytes[skipped..].starts_with(b"\r\n") {
        skipped += 2;
    }
    let length = bytes[skipped..].windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = &bytes[skipped..skipped + length - 4];
    let mut lines: Vec<&[u8]> = Vec::new();
    let mut rest = text;
    while let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") {
        lines.push(&rest[..end]);
        rest = &rest[end + 2..];
    }
    lines.push(rest);
    let stray = lines.iter().any(|line| line.contains(&b'\r') || line.contains(&b'\n'));
    let (request_line, lines) = lines.split_first()?;
    let over = request_line.len() > limits.request_line
        || lines.len() > limits.header_count
        || length - request_line.len() - 2 > limits.header_bytes;
    if stray || over || skipped > 16 {
        return None;
    }

    let words: Vec<&[u8]> = request_line.split(|&byte| byte == b' ').collect();
    let [method, target, version] = words.as_slice() else { return None };
    let minor = version.strip_prefix(b"HTTP/1.").filter(|minor| minor.len() == 1 && minor[0].is_ascii_digit())?[0];
    let new = minor != b'0';
    let method = token(method)?;
    let target = std::str::from_utf8(target).ok()?;
    if target.bytes().any(|byte| byte < 0x21 || byte == 0x7f) || !is_target(&method, target) {
        return None;
    }

    let fields = lines.iter().map(|line| field(line)).collect::<Option<Vec<_>>>()?;
    let values = |name: &str| -> Vec<&[u8]> {
        let named = fields.iter().filter(|(found, _)| found.to_ascii_lowercase() == name);
        named.map(|(_, value)| value.as_slice()).collect()
    };
    match values("host").as_slice() {
        [] | [b""] if !new => {}
        [value] if is_host(std::str::from_utf8(value).ok()?) => {}
        _ => return None,
    }
    let list = |name: &str| -> Vec<String> {
        let joined = values(name).join(&b","[..]);
        let elements = joined.split(|&byte| byte == b',').map(|element| String::from_utf8_lossy(element).into_owned());
        elements.map(|element| element.trim_matches([' ', '\t']).to_ascii_lowercase()).collect()
    };
    let framing = match (values("content-length").as_slice(), values("transfer-encoding").len()) {
        ([], 0) => Framing::None,
        ([length], 0) => {
            let digits = !length.is_empty() && length.iter().all(u8::is_ascii_digit);
            let length = std::str::from_utf8(length).ok().filter(|_| digits)?.parse().ok()?;
            Some(length).filter(|length| *length <= limits.body).map(Framing::Length)?
        }
        ([], _) if new && list("transfer-encoding") == ["chunked"] => Framing::Chunked,
        _ => return None,
    };
    let expected: Vec<_> = list("expect").into_iter().filter(|expectation| !expectation.is_empty()).collect();
    if expected.iter().any(|expectation| expectation != "100-continue") {
        return None;
    }
    let options = list("connection");
    let said = |option: &str| options.iter().any(|said| said == option);
    Some(Head {
        len: skipped + length,
        method,
        target: target.to_owned(),
        framing,
        keep_alive: !said("close") && (new || said("keep-alive")),
        expects_continue: !expected.is_empty() && new && !matches!(framing, Framing::None | Framing::Length(0)),
        fields,
    })
}

/// A field line: its name, and its value without the whitespace around it.
pub(crate) fn field(line: &[u8]) -> Option<(String, Vec<u8>)> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let value = line[colon + 1..].to_vec();
    if value.iter().any(|&byte| (byte < 0x20 && byte != b'\t') || byte == 0x7f) {
        return None;
    }
    let start = value.iter().position(|byte| !b" \t".contains(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !b" \t".contains(byte)).map_or(start, |last| last + 1);
    Some((token(&line[..colon])?, value[start..end].to_vec()))
}

fn token(bytes: &[u8]) -> Option<String> {
    let other = b"!#$%&'*+-.^_`|~";
    let token = !bytes.is_empty() && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || other.contains(byte));
    token.then(|| String::from_utf8_lossy(bytes).into_owned())
}

fn is_target(method: &str, target: &str) -> bool {
    if method == "CONNECT" || target.contains('#') {
        return false;
    }
    let before_query = target.split('?').next().unwrap_or_default();
    let Some((scheme, rest)) = target.split_once("://").filter(|_| !target.starts_with('/')) else {
        return (target.starts_with('/') && is_path(before_query)) || (target == "*" && method == "OPTIONS");
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let path = path.split('?').next().unwrap_or_default();
    matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https") && is_host(authority) && is_path(path)
}

/// Two hexadecimal digits after each percent sign, and not `00`.
fn is_path(path: &str) -> bool {
    path.split('%').skip(1).all(|after| {
        let digits = after.as_bytes().get(..2).unwrap_or_default();
        digits.len() == 2 && digits.iter().all(u8::is_ascii_hexdigit) && digits != b"00"
    })
}

/// `uri-host [":" port]`, the host not empty.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.rfind(':') {
        Some(colon) if !text[colon..].contains(']') => (&text[..colon], &text[colon + 1..]),
        _ => (text, ""),
    };
    let port_fits = port.is_empty()
        || (port.chars().all(|digit| digit.is_ascii_digit()) && port.parse().is_ok_and(|port: u128| port < 65_536));
    let host_fits = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').is_some_and(|inside| inside.parse::<Ipv6Addr>().is_ok()),
        None => {
            // What is left when every escape is replaced by a letter has no percent sign.
            let mut plain = String::new();
            let mut rest = host;
            while let Some((before, after)) = rest.split_once('%') {
                let escape = after.get(..2).filter(|two| two.chars().all(|digit| digit.is_ascii_hexdigit()));
                let Some(escape) = escape else { return false };
                plain.push_str(before);
                rest = &after[escape.len()..];
            }
            plain.push_str(rest);
            !host.is_empty()
                && plain.chars().all(|letter| letter.is_ascii_alphanumeric() || "-._~!$&'()*+,;=".contains(letter))
        }
    };
    host_fits && port_fits
}
