//! What a request says about the file it wants: the fields that matter here, gathered in one pass over its head.

use http1::RequestHead;

/// A field of which there may be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Single<'a> {
    /// There is none.
    #[default]
    Absent,
    /// Its value.
    Once(&'a [u8]),
    /// Several: whoever sent that, they can't all be meant.
    Repeated,
}

impl<'a> Single<'a> {
    fn add(&mut self, value: &'a [u8]) {
        *self = match self {
            Single::Absent => Single::Once(value),
            Single::Once(_) | Single::Repeated => Single::Repeated,
        };
    }
}

/// The fields of one request. Lists have one item per field line, in order.
#[derive(Debug, Default)]
pub(super) struct Wishes<'a> {
    pub(super) if_match: Vec<&'a [u8]>,
    pub(super) if_none_match: Vec<&'a [u8]>,
    pub(super) if_modified_since: Single<'a>,
    pub(super) if_unmodified_since: Single<'a>,
    pub(super) if_range: Single<'a>,
    pub(super) range: Single<'a>,
    pub(super) accept_encoding: Vec<&'a [u8]>,
}

impl<'a> Wishes<'a> {
    /// Those of `head`, parsed from `bytes`.
    pub(super) fn of(head: &'a RequestHead, bytes: &'a [u8]) -> Wishes<'a> {
        let mut wishes = Wishes::default();
        for (name, value) in head.fields(bytes) {
            let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
            match name.len() {
                5 if is(b"Range") => wishes.range.add(value),
                8 if is(b"If-Match") => wishes.if_match.push(value),
                8 if is(b"If-Range") => wishes.if_range.add(value),
                13 if is(b"If-None-Match") => wishes.if_none_match.push(value),
                15 if is(b"Accept-Encoding") => wishes.accept_encoding.push(value),
                17 if is(b"If-Modified-Since") => wishes.if_modified_since.add(value),
                19 if is(b"If-Unmodified-Since") => wishes.if_unmodified_since.add(value),
                _ => {}
            }
        }
        wishes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_found_whatever_their_case() {
        let bytes = b"GET / HTTP/1.1\r\nHost: a\r\nRANGE: bytes=0-\r\nif-match: \"a\"\r\nIf-Match: \"b\"\r\n\
            if-none-match: *\r\nIf-Range: \"c\"\r\nAccept-Encoding: gzip\r\naccept-encoding: br\r\n\
            If-Modified-Since: x\r\nIf-Modified-Since: x\r\nX-Range: bytes=1-\r\n\r\n";
        let mut head = RequestHead::default();
        head.parse(bytes, 0, &http1::Limits::default()).unwrap();
        let wishes = Wishes::of(&head, bytes);
        assert_eq!(wishes.range, Single::Once(b"bytes=0-"));
        assert_eq!(wishes.if_match, [b"\"a\"", b"\"b\""]);
        assert_eq!(wishes.if_none_match, [b"*"]);
        assert_eq!(wishes.if_range, Single::Once(b"\"c\""));
        assert_eq!(wishes.accept_encoding, [&b"gzip"[..], b"br"]);
        assert_eq!(wishes.if_modified_since, Single::Repeated);
        assert_eq!(wishes.if_unmodified_since, Single::Absent);
    }
}
