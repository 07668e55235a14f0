//! Text with places to fill in: `{seq}`, `{rand}`, `{rand:1..1000}`. Pure.
//!
//! Split into pieces once; filling in writes into a buffer that is used again, so that no request
//! allocates. `message` makes whole requests of templates.

use crate::random::SplitMix;

/// A place without bounds holds a number of up to nine digits.
const RANDOM_LIMIT: u64 = 1_000_000_000;
/// Digits of the longest number.
const DIGITS: usize = 20;

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Vec<u8>),
    /// The number of the request.
    Seq,
    /// A random number from `low` on, of `count` different ones.
    Rand {
        low: u64,
        count: u64,
    },
}

/// Text, split at its places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Template {
    pieces: Vec<Piece>,
}

/// A place whose bounds make no sense.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no place to fill in; write {{seq}}, {{rand}} or {{rand:FIRST..LAST}}, for instance {{rand:1..1000}}")]
pub(crate) struct TemplateError(String);

/// What a request is filled in with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Numbers {
    /// The number of the request, counted from 1.
    pub(crate) seq: u64,
    pub(crate) random: SplitMix,
}

impl Template {
    /// Splits `text`. Braces that enclose anything but a place are text: JSON needs no escapes.
    ///
    /// # Errors
    /// `{rand:…}` with anything but two whole numbers, the first not larger than the last.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, TemplateError> {
        let mut template = Self::default();
        let mut rest = text;
        while let Some(at) = rest.iter().position(|byte| *byte == b'{') {
            let (before, from) = rest.split_at(at);
            template.text(before);
            let (piece, length) = place(from)?;
            match piece {
                Some(piece) => template.pieces.push(piece),
                None => template.text(&from[..length]),
            }
            rest = &from[length..];
        }
        template.text(rest);
        Ok(template)
    }

    /// Appends text as it is.
    pub(crate) fn text(&mut self, text: &[u8]) {
        match self.pieces.last_mut() {
            _ if text.is_empty() => {}
            Some(Piece::Text(before)) => before.extend_from_slice(text),
            _ => self.pieces.push(Piece::Text(text.to_vec())),
        }
    }

    /// Appends another template.
    pub(crate) fn append(&mut self, other: Self) {
        for piece in other.pieces {
            match piece {
                Piece::Text(text) => self.text(&text),
                place => self.pieces.push(place),
            }
        }
    }

    /// The text, if there is no place in it.
    pub(crate) fn fixed(&self) -> Option<&[u8]> {
        match self.pieces.as_slice() {
            [] => Some(&[]),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Appends the text to `out`, its places filled in.
    pub(crate) fn fill(&self, numbers: &mut Numbers, out: &mut Vec<u8>) {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text),
                Piece::Seq => decimal(numbers.seq, out),
                Piece::Rand { low, count } => decimal(low + numbers.random.below(*count), out),
            }
        }
    }

    /// The length that [`Template::fill`] adds with these numbers; moves them on as it does.
    pub(crate) fn length(&self, numbers: &mut Numbers) -> usize {
        let digits = |number: u64| number.checked_ilog10().unwrap_or(0) as usize + 1;
        let lengths = self.pieces.iter().map(|piece| match piece {
            Piece::Text(text) => text.len(),
            Piece::Seq => digits(numbers.seq),
            Piece::Rand { low, count } => digits(low + numbers.random.below(*count)),
        });
        lengths.sum()
    }
}

/// Appends a decimal number.
pub(crate) fn decimal(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0; DIGITS];
    let mut at = DIGITS;
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// The place at the beginning of `text`, which begins with a brace, and how much of it that is; or
/// no place, and how much is certainly text.
fn place(text: &[u8]) -> Result<(Option<Piece>, usize), TemplateError> {
    let places: [(&[u8], Piece); 2] =
        [(b"{seq}", Piece::Seq), (b"{rand}", Piece::Rand { low: 0, count: RANDOM_LIMIT })];
    if let Some((word, piece)) = places.into_iter().find(|(word, _)| text.starts_with(word)) {
        return Ok((Some(piece), word.len()));
    }
    let Some(bounds) = text.strip_prefix(b"{rand:") else {
        return Ok((None, 1));
    };
    let end = bounds.iter().position(|byte| *byte == b'}').unwrap_or(bounds.len());
    let whole = &text[..text.len().min(b"{rand:".len() + end + 1)];
    let wrong = || TemplateError(String::from_utf8_lossy(&whole[..whole.len().min(60)]).into_owned());
    let number = |text: &str| -> Option<u64> {
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if plain { text.parse().ok() } else { None }
    };
    let bounds = std::str::from_utf8(&bounds[..end]).ok().and_then(|bounds| bounds.split_once(".."));
    let bounds = bounds.and_then(|(low, high)| Some((number(low)?, number(high)?)));
    let Some((low, high)) = bounds.filter(|(low, high)| low <= high && whole.ends_with(b"}")) else {
        return Err(wrong());
    };
    let count = (high - low).checked_add(1).ok_or_else(wrong)?;
    Ok((Some(Piece::Rand { low, count }), whole.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn numbers(seq: u64) -> Numbers {
        Numbers { seq, random: SplitMix::new(7, 0) }
    }

    fn filled(text: &str, seq: u64) -> String {
        let mut out = Vec::new();
        Template::parse(text.as_bytes()).unwrap().fill(&mut numbers(seq), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn places_are_filled_in() {
        let rows = [
            ("/items/{seq}", 12, "/items/12"),
            ("{seq}{seq}", u64::MAX, "1844674407370955161518446744073709551615"),
            ("/x?y={rand:5..5}", 1, "/x?y=5"),
            ("", 1, ""),
            // Everything else in braces is text.
            (r#"{"id": {seq}, "of": {}}"#, 3, r#"{"id": 3, "of": {}}"#),
            ("{{seq}}", 4, "{4}"),
            ("{SEQ} {seq {rand", 1, "{SEQ} {seq {rand"),
        ];
        for (text, seq, expected) in rows {
            assert_eq!(filled(text, seq), expected, "{text}");
        }
    }

    #[test]
    fn wrong_bounds_are_refused() {
        for text in [
            "{rand:}",
            "{rand:1}",
            "{rand:5..1}",
            "{rand:1..x}",
            "{rand:-1..5}",
            "a{rand:1..5",
            "{rand:+1..5}",
            "{rand:0..18446744073709551615}",
            "{rand:0..99999999999999999999}",
        ] {
            assert!(Template::parse(text.as_bytes()).is_err(), "{text}");
        }
        let error = Template::parse(b"/x/{rand:5..1}/y").unwrap_err();
        assert!(error.to_string().starts_with(r#""{rand:5..1}" is no place"#), "{error}");
    }

    #[test]
    fn text_without_places_is_fixed() {
        for (text, fixed) in [("abc", true), ("", true), ("{x}", true), ("{seq}", false), ("a{rand}", false)] {
            let template = Template::parse(text.as_bytes()).unwrap();
            assert_eq!(template.fixed(), fixed.then_some(text.as_bytes()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_length_is_known_before(
            parts in proptest::collection::vec("[a{}.:0-9]{0,6}|\\{seq\\}|\\{rand\\}|\\{rand:0\\.\\.99999\\}", 0..8),
            seq in any::<u64>(), seed in any::<u64>(),
        ) {
            if let Ok(template) = Template::parse(parts.concat().as_bytes()) {
                let mut numbers = Numbers { seq, random: SplitMix::new(seed, 0) };
                let length = template.length(&mut numbers.clone());
                let mut out = Vec::new();
                template.fill(&mut numbers, &mut out);
                prop_assert_eq!(out.len(), length);
            }
        }

        #[test]
        fn any_bytes_are_text_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if !bytes.windows(5).any(|window| window == b"{seq}" || window == b"{rand") {
                let template = Template::parse(&bytes).unwrap();
                prop_assert_eq!(template.fixed(), Some(bytes.as_slice()));
            }
        }

        #[test]
        fn random_numbers_keep_their_bounds(low in 0..1000u64, more in 0..1000u64) {
            let high = low + more;
            let template = Template::parse(format!("{{rand:{low}..{high}}}").as_bytes()).unwrap();
            let mut numbers = numbers(1);
            for _ in 0..20 {
                let mut out = Vec::new();
                template.fill(&mut numbers, &mut out);
                let number: u64 = String::from_utf8(out).unwrap().parse().unwrap();
                prop_assert!((low..=high).contains(&number));
            }
        }
    }
}
