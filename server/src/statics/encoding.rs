//! Accept-Encoding (RFC 9110 §12.5.3): which precompressed siblings of a file the client takes, the dearest first.
//!
//! Pure. A client that refuses everything, the file as it is included, gets the file as it is.

/// A coding that siblings of files may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// RFC 7932.
    Brotli,
    /// RFC 8878.
    Zstandard,
    /// RFC 1952.
    Gzip,
}

/// In the order of our own preference: what makes files of text smallest.
const CODINGS: [Coding; 3] = [Coding::Brotli, Coding::Zstandard, Coding::Gzip];

/// A weight of 1, in thousandths.
const FULL: u16 = 1000;

impl Coding {
    /// As in Content-Encoding.
    pub(super) fn name(self) -> &'static str {
        match self {
            Coding::Brotli => "br",
            Coding::Zstandard => "zstd",
            Coding::Gzip => "gzip",
        }
    }

    /// What its files' names end with.
    pub(super) fn extension(self) -> &'static [u8] {
        match self {
            Coding::Brotli => b".br",
            Coding::Zstandard => b".zst",
            Coding::Gzip => b".gz",
        }
    }

    fn of(name: &[u8]) -> Option<Coding> {
        // RFC 9110 §8.4.1.3.
        let name = if name.eq_ignore_ascii_case(b"x-gzip") { b"gzip" } else { name };
        CODINGS.into_iter().find(|coding| name.eq_ignore_ascii_case(coding.name().as_bytes()))
    }
}

/// The codings that these field lines accept, and prefer to none, by their weight and then ours.
pub(super) fn accepted(lines: &[&[u8]]) -> [Option<Coding>; CODINGS.len()] {
    let (mut named, mut others, mut plain) = ([None; CODINGS.len()], None, None);
    for element in lines.iter().flat_map(|line| line.split(|byte| *byte == b',')) {
        let mut parts = element.split(|byte| *byte == b';');
        let name = parts.next().unwrap_or_default().trim_ascii();
        let Some(weight) = weight(parts) else { continue };
        match Coding::of(name) {
            Some(coding) => named[coding as usize] = Some(weight),
            None if name == b"*" => others = Some(weight),
            None if name.eq_ignore_ascii_case(b"identity") => plain = Some(weight),
            None => {}
        }
    }
    let mut weighted = CODINGS.map(|coding| (named[coding as usize].or(others).unwrap_or(0), coding));
    // Stable, so that our order decides between equals.
    weighted.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    weighted.map(|(weight, coding)| (weight > 0 && weight >= plain.unwrap_or(0)).then_some(coding))
}

/// The weight among an element's parameters in thousandths, 1 without one; `None` if it is malformed.
fn weight<'a>(mut parameters: impl Iterator<Item = &'a [u8]>) -> Option<u16> {
    let Some(parameter) = parameters.next() else {
        return Some(FULL);
    };
    let value = match parameter.trim_ascii() {
        [b'q' | b'Q', b'=', value @ ..] => value,
        _ => return None,
    };
    let (whole, fraction) = match value {
        [whole] => (whole, &[][..]),
        [whole, b'.', fraction @ ..] if fraction.len() <= 3 => (whole, fraction),
        _ => return None,
    };
    if !matches!(whole, b'0' | b'1') || !fraction.iter().all(u8::is_ascii_digit) || parameters.next().is_some() {
        return None;
    }
    let digits = fraction.iter().chain(b"000").take(3);
    let thousandths = digits.fold(u16::from(whole - b'0'), |number, digit| number * 10 + u16::from(digit - b'0'));
    (thousandths <= FULL).then_some(thousandths)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(lines: &[&str]) -> Vec<&'static str> {
        let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
        accepted(&lines).into_iter().flatten().map(Coding::name).collect()
    }

    #[test]
    fn weights_decide_and_then_our_order() {
        let table: [(&[&str], &[&str]); 20] = [
            (&[], &[]),
            (&[""], &[]),
            (&["gzip"], &["gzip"]),
            (&["gzip, deflate, br, zstd"], &["br", "zstd", "gzip"]),
            (&["gzip", "br"], &["br", "gzip"]),
            (&["br;q=0.5, gzip"], &["gzip", "br"]),
            (&["gzip;q=0.001"], &["gzip"]),
            (&["gzip;q=0, br"], &["br"]),
            (&["gzip;q=0.000"], &[]),
            (&["*"], &["br", "zstd", "gzip"]),
            (&["*;q=0, gzip"], &["gzip"]),
            (&["br;q=0, *"], &["zstd", "gzip"]),
            // Who likes the plain file better gets it; who likes both alike gets the smaller one.
            (&["identity, gzip;q=0.5"], &[]),
            (&["identity;q=0.5, gzip;q=0.5, br;q=0.4"], &["gzip"]),
            (&["identity;q=0"], &[]),
            (&["GZIP ; Q=1.0"], &["gzip"]),
            (&["x-gzip"], &["gzip"]),
            (&["deflate, compress"], &[]),
            // Malformed: that element is not there.
            (&["gzip;q=2, br;q=0.1234, zstd;q=1"], &["zstd"]),
            (&["gzip;q=1.001, br;level=1, zstd;q=.5"], &[]),
        ];
        for (lines, expected) in table {
            assert_eq!(names(lines), expected, "{lines:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_sent_panics(lines: Vec<Vec<u8>>) {
            let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
            accepted(&lines);
        }

        /// A coding whose weight is 0 is never sent, whatever stands beside it.
        #[test]
        fn what_is_refused_is_refused(rest in "[a-z*,;=q0-9. ]{0,30}") {
            prop_assert!(!names(&[&rest, "br;q=0"]).contains(&"br"));
        }
    }
}
