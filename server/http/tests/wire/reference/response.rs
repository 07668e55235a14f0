//! A response as a client reads it (RFC 9112 §4, §6.3).

use super::{chunked, head};

/// A whole response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Response<'a> {
    pub(crate) code: u16,
    pub(crate) reason: &'a str,
    pub(crate) fields: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    /// What comes after it.
    pub(crate) rest: &'a [u8],
}

impl Response<'_> {
    /// The values of that field, as text.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        let named = self.fields.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name));
        named.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect()
    }
}

/// The response at the start of `bytes`, to a HEAD request or another. `None` when there is anything wrong with it, or not
/// all of it is there.
pub(crate) fn read(bytes: &[u8], to_head: bool) -> Option<Response<'_>> {
    let length = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let lines = bytes[..length - 4].split(|&byte| byte == b'\n').collect::<Vec<_>>();
    let (last, others) = lines.split_last()?;
    // Every line but the last has its CR still, and none has another.
    let mut lines = others.iter().map(|line| line.strip_suffix(b"\r")).collect::<Option<Vec<_>>>()?;
    lines.push(last);
    if lines.iter().any(|line| line.contains(&b'\r')) {
        return None;
    }
    let (status, lines) = lines.split_first()?;
    let status = std::str::from_utf8(status).ok()?.strip_prefix("HTTP/1.1 ")?;
    let (code, reason) = status.split_at_checked(3)?;
    let code = code.parse().ok().filter(|code| (100..1000).contains(code))?;
    let fields = lines.iter().map(|line| head::field(line)).collect::<Option<Vec<_>>>()?;
    let mut response =
        Response { code, reason: reason.strip_prefix(' ')?, fields, body: Vec::new(), rest: &bytes[length..] };

    let (length, coding) = (response.all("content-length"), response.all("transfer-encoding"));
    let interim_or_no_content = code < 200 || code == 204;
    match (length.as_slice(), coding.as_slice()) {
        // RFC 9110 §8.6, RFC 9112 §6.1.
        ([], []) | ([_], []) | ([], [_]) if !interim_or_no_content => {}
        ([], []) => {}
        _ => return None,
    }
    if to_head || interim_or_no_content || code == 304 {
        return Some(response);
    }
    if let [length] = length.as_slice() {
        let (body, rest) = response.rest.split_at_checked(length.parse().ok()?)?;
        (response.body, response.rest) = (body.to_vec(), rest);
    } else if let [coding] = coding.as_slice() {
        let (body, consumed) = chunked::read(response.rest, u64::MAX, 0).filter(|_| coding == "chunked")?;
        (response.body, response.rest) = (body, &response.rest[consumed..]);
    } else {
        // The end of the connection is the end of the body: that has to be said.
        let said = response.all("connection");
        (response.body, response.rest) = (response.rest.to_vec(), &[]);
        return (said == ["close"]).then_some(response);
    }
    Some(response)
}
