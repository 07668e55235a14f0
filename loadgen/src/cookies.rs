//! The cookies of one connection: what its responses set, as its next request sends it back. Pure.
//!
//! One connection speaks for one user of one host, so a cookie's domain and path are not looked at.

/// Cookies by name, in the order in which they were first set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cookies {
    /// The value of the `Cookie` field.
    field: Vec<u8>,
}

impl Cookies {
    /// The value of the `Cookie` field; empty for none.
    pub(crate) fn field(&self) -> &[u8] {
        &self.field
    }

    /// Takes the value of a `Set-Cookie` field (RFC 6265 §5.2): a cookie to keep, in place of one
    /// with the same name, or one that has expired and is no longer sent. What is no cookie is
    /// ignored, as browsers ignore it.
    pub(crate) fn set(&mut self, value: &[u8]) {
        let mut parts = value.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let pair = parts.next().unwrap_or_default();
        let Some(equals) = pair.iter().position(|byte| *byte == b'=').filter(|at| *at > 0) else {
            return;
        };
        // httparse lets bytes above ASCII through; a line break it does not.
        let name = pair[..equals].trim_ascii();
        let expired = expired(parts);
        let mut field = Vec::with_capacity(self.field.len() + pair.len() + 2);
        let mut kept = false;
        let mut keep = |cookie: &[u8]| {
            if !field.is_empty() {
                field.extend_from_slice(b"; ");
            }
            field.extend_from_slice(cookie);
        };
        for cookie in self.field.split(|byte| *byte == b';').map(<[u8]>::trim_ascii).filter(|one| !one.is_empty()) {
            let same = cookie.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii() == name;
            if !same {
                keep(cookie);
            } else if !expired {
                keep(pair);
                kept = true;
            }
        }
        if !kept && !expired {
            keep(pair);
        }
        self.field = field;
    }
}

/// Servers delete a cookie by an age of nothing, or by a date long past (RFC 6265 §3.1), for which
/// 1970 and 1994 are the customary years. No other date is reached within a run.
fn expired<'a>(attributes: impl Iterator<Item = &'a [u8]>) -> bool {
    let mut by_date = false;
    for attribute in attributes {
        let mut halves = attribute.splitn(2, |byte| *byte == b'=').map(<[u8]>::trim_ascii);
        let (name, value) = (halves.next().unwrap_or_default(), halves.next().unwrap_or_default());
        if name.eq_ignore_ascii_case(b"max-age") {
            // It takes precedence over the date (§4.1.2.2).
            return value == b"0" || value.starts_with(b"-");
        }
        if name.eq_ignore_ascii_case(b"expires") {
            by_date = std::str::from_utf8(value)
                .is_ok_and(|date| date.split([' ', '-']).any(|part| matches!(part, "1970" | "1994" | "70" | "94")));
        }
    }
    by_date
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_responses_set_is_sent_back() {
        // Set-Cookie values one after the other, the Cookie field after them.
        let rows: [(&[&str], &str); 12] = [
            (&[], ""),
            (&["a=1"], "a=1"),
            (&["a=1; Path=/; HttpOnly", "b=2;Secure"], "a=1; b=2"),
            // The same name again keeps its place.
            (&["a=1", "b=2", "a=3"], "a=3; b=2"),
            (&["a=1", "b=2", "a=; Max-Age=0"], "b=2"),
            (&["a=1", "a=x; expires=Thu, 01 Jan 1970 00:00:00 GMT"], ""),
            // The age takes precedence over the date.
            (&["a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=60"], "a=1"),
            (&["a=1; Expires=Wed, 21 Oct 2065 07:28:00 GMT"], "a=1"),
            (&["a=b=c"], "a=b=c"),
            (&["a="], "a="),
            // No cookies.
            (&["", "novalue", "=x", "; Path=/"], ""),
            (&["ab=1", "a=2"], "ab=1; a=2"),
        ];
        for (values, expected) in rows {
            let mut cookies = Cookies::default();
            for value in values {
                cookies.set(value.as_bytes());
            }
            assert_eq!(std::str::from_utf8(cookies.field()), Ok(expected), "{values:?}");
        }
    }
}
