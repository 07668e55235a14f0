//! The part of a browser that frameworks count on: cookies, forms, uploads.

use super::client::Response;

/// What the server has set.
#[derive(Debug, Default)]
pub(crate) struct Cookies(Vec<(String, String)>);

impl Cookies {
    /// Takes what this response sets.
    pub(crate) fn take(&mut self, response: &Response) {
        for cookie in response.head.all("Set-Cookie") {
            let (name, value) =
                cookie.split(';').next().and_then(|pair| pair.split_once('=')).expect("a name and a value");
            self.0.retain(|(known, _)| known != name);
            self.0.push((name.to_owned(), value.to_owned()));
        }
    }

    /// The value of the Cookie header.
    pub(crate) fn header(&self) -> String {
        let pairs: Vec<String> = self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("; ")
    }
}

/// The Content-Type of a submitted form.
pub(crate) const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

/// The boundary of [`multipart`].
pub(crate) const MULTIPART: (&str, &str) = ("Content-Type", "multipart/form-data; boundary=----boundary1234");

/// The body of a form with a field `comment` and a file `file`.
pub(crate) fn multipart(comment: &str, filename: &str, content: &[u8]) -> Vec<u8> {
    let mut body = format!(
        "------boundary1234\r\nContent-Disposition: form-data; name=\"comment\"\r\n\r\n{comment}\r\n\
         ------boundary1234\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{filename}\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    )
    .into_bytes();
    body.extend_from_slice(content);
    body.extend_from_slice(b"\r\n------boundary1234--\r\n");
    body
}

/// Bytes in which a piece that is missing, doubled or moved shows.
pub(crate) fn content(length: usize) -> Vec<u8> {
    let numbers = (0u32..).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes());
    numbers.take(length).collect()
}
