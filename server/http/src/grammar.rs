//! Character classes and numbers of RFC 9110 §5 and RFC 5234, as pure functions over bytes.
//!
//! Knows no field and no message; everything that parses or writes fields calls it.

/// `tchar` of RFC 9110 §5.6.2.
pub(crate) const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}

/// `token`: at least one `tchar`.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    // Most names are made of letters, digits and hyphens, which are quickly told.
    all(bytes, |byte| byte.is_ascii_alphanumeric() || byte == b'-') && !bytes.is_empty() || is_unusual_token(bytes)
}

#[cold]
fn is_unusual_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_token_byte(byte))
}

/// Bytes that a field value, a reason phrase or a chunk extension may hold (RFC 9110 §5.5): tab, everything visible,
/// and obs-text; no other control character.
pub(crate) const fn is_text_byte(byte: u8) -> bool {
    (byte >= b' ' && byte != 0x7f) || byte == b'\t'
}

/// Only [text bytes](is_text_byte); may be empty.
pub(crate) fn is_text(bytes: &[u8]) -> bool {
    all(bytes, is_text_byte)
}

/// Whether all bytes are `good`. Does not stop at the first offender, but looks at many at a time, the last ones perhaps
/// twice, so that the compiler can use vectors for what is short, too.
fn all(bytes: &[u8], good: impl Fn(u8) -> bool) -> bool {
    let wide = |window: &[u8; 16]| window.iter().fold(true, |all, &byte| all & good(byte));
    let narrow = |window: &[u8; 8]| window.iter().fold(true, |all, &byte| all & good(byte));
    match (bytes.as_chunks().0, bytes.last_chunk(), bytes.first_chunk(), bytes.last_chunk()) {
        (windows, Some(last), _, _) => windows.iter().fold(true, |all, window| all & wide(window)) & wide(last),
        (_, None, Some(first), Some(last)) => narrow(first) & narrow(last),
        _ => bytes.iter().fold(true, |all, &byte| all & good(byte)),
    }
}

/// Whether a token is this name, which is written in lower case, with letters and hyphens only. Setting one bit makes
/// capitals small, hyphens stay what they are, and no other token byte becomes either; so all bytes are compared at once.
pub(crate) fn is_name<const LENGTH: usize>(token: &[u8], name: &[u8; LENGTH]) -> bool {
    <&[u8; LENGTH]>::try_from(token)
        .is_ok_and(|token| token.iter().zip(name).fold(true, |same, (byte, small)| same & (byte | 0x20 == *small)))
}

/// `1*DIGIT` as a number; `None` for anything else (sign, space, `0x`, empty) or above `u64::MAX`. Unlike
/// `str::parse`, it takes no `+`.
pub(crate) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    // Nineteen digits always fit.
    if digits.len() < 20 {
        let add = |number: u64, digit: &u8| digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0'));
        return digits.iter().try_fold(0, add);
    }
    digits.iter().try_fold(0u64, |number, &digit| {
        if !digit.is_ascii_digit() {
            return None;
        }
        number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    })
}

/// Without the optional whitespace (space, tab) at both ends (RFC 9110 §5.6.3).
pub(crate) fn trim_ows(bytes: &[u8]) -> &[u8] {
    let Some(start) = bytes.iter().position(|byte| !matches!(byte, b' ' | b'\t')) else {
        return &[];
    };
    let end = bytes.iter().rposition(|byte| !matches!(byte, b' ' | b'\t')).unwrap_or(start);
    &bytes[start..=end]
}

/// The elements of a comma-separated list (RFC 9110 §5.6.1), trimmed, empty ones included. Does not know quoted
/// strings: for the fields read here a comma inside quotes only ever leads to a refusal or to an ignored element.
pub(crate) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim_ows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_takes_digits_only() {
        for (text, expected) in [
            ("0", Some(0)),
            ("007", Some(7)),
            ("9999999999999999999", Some(9_999_999_999_999_999_999)),
            ("18446744073709551615", Some(u64::MAX)),
            ("00000000000000000000000000000018446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("99999999999999999999999", None),
            ("", None),
            ("+1", None), // u64::from_str takes it
            ("-1", None),
            ("0x1", None),
            ("1 2", None),
            ("1_000", None),
            ("\u{0661}", None), // ARABIC-INDIC DIGIT ONE
        ] {
            assert_eq!(decimal(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn names_are_compared_without_case_and_nothing_else() {
        for (token, same) in [
            ("content-length", true),
            ("Content-Length", true),
            ("CONTENT-LENGTH", true),
            ("content-lengt", false),
            ("content-lengthh", false),
            ("content_length", false),
            ("content.length", false),
            ("", false),
        ] {
            assert_eq!(is_name(token.as_bytes(), b"content-length"), same, "{token}");
        }
        // No token byte but a letter's two cases is taken for the letter, and only the hyphen for a hyphen.
        for byte in (0..=255u8).filter(|&byte| is_token_byte(byte)) {
            for name in [b"a", b"z", b"-"] {
                assert_eq!(is_name(&[byte], name), byte.eq_ignore_ascii_case(&name[0]), "{byte:#04x} {name:?}");
            }
        }
    }

    #[test]
    fn text_excludes_every_control_but_tab() {
        for byte in 0..=255u8 {
            let expected = byte == b'\t' || (byte >= 0x20 && byte != 0x7f);
            // At every place of every length that is looked at in another way.
            for length in 1..50 {
                let mut text = vec![b'a'; length];
                for place in 0..length {
                    text[place] = byte;
                    assert_eq!(is_text(&text), expected, "{byte:#04x} at {place} of {length}");
                    text[place] = b'a';
                }
            }
        }
        assert!(is_text(b""));
    }

    #[test]
    fn tokens_are_never_empty() {
        assert!(is_token(b"X-Forwarded_For~1") && is_token(b"Content-Security-Policy-Report-Only"));
        for byte in 0..=255u8 {
            for length in [1, 7, 8, 9, 15, 16, 17, 33] {
                let name = [vec![b'X'; length - 1], vec![byte]].concat();
                assert_eq!(is_token(&name), is_token_byte(byte), "{byte:#04x} after {length}");
            }
        }
        for bad in ["", "a b", "a:", "a\t", "(a)", "a\u{e9}", "a/b", "\"a\""] {
            assert!(!is_token(bad.as_bytes()), "{bad:?}");
        }
    }

    #[test]
    fn whitespace_is_trimmed_to_nothing_or_to_the_visible() {
        for (from, to) in [("", ""), (" \t ", ""), (" a ", "a"), ("\ta b\t", "a b"), ("\u{b}a", "\u{b}a")] {
            assert_eq!(trim_ows(from.as_bytes()), to.as_bytes(), "{from:?}");
        }
    }
}
