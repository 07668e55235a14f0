//! The Range field (RFC 9110 §14): which part of a file to send.
//!
//! Pure. One part is sent, or the whole file: several parts that don't touch are answered with the whole, as §14.2
//! allows. A body of parts could not be sent by the kernel, and next to nobody asks for one.

/// Ranges in one field. More is no honest request (RFC 9110 §17.15).
const MOST: usize = 64;

/// What to send of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Selection {
    /// All of it.
    Whole,
    /// `len` bytes from `offset` on, at least one, all of them within the file.
    Part {
        /// The first byte.
        offset: u64,
        /// Bytes.
        len: u64,
    },
    /// None of it: the ranges are all behind its end.
    Unsatisfiable,
}

/// What the field's `value` selects of a file of `len` bytes. A field that is malformed, or of another unit than bytes, is
/// ignored.
pub(super) fn select(value: &[u8], len: u64) -> Selection {
    // Of an empty file no range can be sent, and clients that ask for one all the same expect nothing but that.
    if len == 0 {
        return Selection::Whole;
    }
    let Some(ranges) = parse(value, len) else {
        return Selection::Whole;
    };
    let mut parts: Vec<(u64, u64)> = ranges.into_iter().flatten().collect();
    parts.sort_unstable();
    let Some(&(first, mut last)) = parts.first() else {
        return Selection::Unsatisfiable;
    };
    for &(start, end) in &parts[1..] {
        if start > last + 1 {
            return Selection::Whole;
        }
        last = last.max(end);
    }
    Selection::Part { offset: first, len: last - first + 1 }
}

/// First and last byte of each range, `None` for one behind the end; `None` altogether if the field is to be ignored.
fn parse(value: &[u8], len: u64) -> Option<Vec<Option<(u64, u64)>>> {
    let unit = value.iter().position(|byte| *byte == b'=')?;
    if !value[..unit].eq_ignore_ascii_case(b"bytes") {
        return None;
    }
    let elements = value[unit + 1..].split(|byte| *byte == b',').map(|element| element.trim_ascii());
    let mut ranges = Vec::new();
    for element in elements.filter(|element| !element.is_empty()) {
        if ranges.len() == MOST {
            return None;
        }
        ranges.push(one(element, len)?);
    }
    (!ranges.is_empty()).then_some(ranges)
}

/// One `first-last`, `first-` or `-suffix`.
fn one(element: &[u8], len: u64) -> Option<Option<(u64, u64)>> {
    let dash = element.iter().position(|byte| *byte == b'-')?;
    let (first, last) = (&element[..dash], &element[dash + 1..]);
    let end = len - 1;
    if first.is_empty() {
        let suffix = number(last)?;
        return Some((suffix > 0).then(|| (len.saturating_sub(suffix), end)));
    }
    let first = number(first)?;
    let last = if last.is_empty() { u64::MAX } else { number(last)? };
    if last < first {
        return None;
    }
    Some((first <= end).then(|| (first, last.min(end))))
}

/// Digits; too many of them are as good as the largest number, which is behind the end of any file.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = digits.iter().map(|digit| u64::from(digit - b'0'));
    Some(digits.fold(0, |number: u64, digit| number.saturating_mul(10).saturating_add(digit)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_ranges_of_a_file_of_ten_bytes() {
        use Selection::{Unsatisfiable, Whole};
        let part = |offset, len| Selection::Part { offset, len };
        let table = [
            ("bytes=0-0", part(0, 1)),
            ("bytes=0-9", part(0, 10)),
            ("bytes=2-5", part(2, 4)),
            ("bytes=9-", part(9, 1)),
            ("bytes=0-", part(0, 10)),
            ("bytes=-3", part(7, 3)),
            ("bytes=-10", part(0, 10)),
            // More than there is, from either side.
            ("bytes=-11", part(0, 10)),
            ("bytes=5-10", part(5, 5)),
            ("bytes=5-99999999999999999999999999", part(5, 5)),
            ("bytes=-99999999999999999999999999", part(0, 10)),
            ("bytes=0005-0006", part(5, 2)),
            ("Bytes=1-2", part(1, 2)),
            ("bytes= 1-2 ", part(1, 2)),
            ("bytes=,1-2,,", part(1, 2)),
            ("bytes=10-", Unsatisfiable),
            ("bytes=10-20", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
            ("bytes=99999999999999999999999999-", Unsatisfiable),
            ("bytes=10-,11-", Unsatisfiable),
            // Only one of them is there.
            ("bytes=1-2,10-", part(1, 2)),
            // They touch, or overlap, in any order.
            ("bytes=0-1,2-3", part(0, 4)),
            ("bytes=5-9,0-6", part(0, 10)),
            ("bytes=0-8,1-2", part(0, 9)),
            ("bytes=0-0,-1", Whole),
            ("bytes=0-1,3-4", Whole),
            // To be ignored.
            ("bytes=5-4", Whole),
            ("bytes=1-2,5-4", Whole),
            ("bytes=", Whole),
            ("bytes=,", Whole),
            ("bytes=-", Whole),
            ("bytes=a-", Whole),
            ("bytes=+1-2", Whole),
            ("bytes=1-2-3", Whole),
            ("bytes=--1", Whole),
            ("bytes=0x1-2", Whole),
            ("bytes=1 - 2", Whole),
            ("bytes =1-2", Whole),
            ("bytes 1-2", Whole),
            ("lines=1-2", Whole),
            ("", Whole),
        ];
        for (value, expected) in table {
            assert_eq!(select(value.as_bytes(), 10), expected, "{value}");
        }
    }

    #[test]
    fn of_an_empty_file_no_range_is_sent() {
        for value in ["bytes=0-", "bytes=-1", "bytes=5-6"] {
            assert_eq!(select(value.as_bytes(), 0), Selection::Whole, "{value}");
        }
    }

    #[test]
    fn a_file_of_any_size_has_a_last_byte() {
        assert_eq!(select(b"bytes=-1", u64::MAX), Selection::Part { offset: u64::MAX - 1, len: 1 });
        assert_eq!(select(b"bytes=0-", u64::MAX), Selection::Part { offset: 0, len: u64::MAX });
        assert_eq!(select(b"bytes=0-,0-", u64::MAX), Selection::Part { offset: 0, len: u64::MAX });
    }

    #[test]
    fn too_many_ranges_are_ignored() {
        let many = |count| format!("bytes={}", vec!["0-0"; count].join(","));
        assert_eq!(select(many(MOST).as_bytes(), 10), Selection::Part { offset: 0, len: 1 });
        assert_eq!(select(many(MOST + 1).as_bytes(), 10), Selection::Whole);
    }

    proptest! {
        #[test]
        fn a_part_lies_within_the_file(value in "bytes=[0-9,\\- ]{0,40}", len in prop_oneof![0..20u64, any::<u64>()]) {
            if let Selection::Part { offset, len: part } = select(value.as_bytes(), len) {
                prop_assert!(part > 0 && offset.checked_add(part).is_some_and(|end| end <= len));
            }
        }

        #[test]
        fn nothing_sent_panics(value: Vec<u8>, len: u64) {
            select(&value, len);
        }

        /// Against the definition of RFC 9110 §14.1.2, byte by byte.
        #[test]
        fn one_range_is_what_it_says(first in 0..30u64, last in 0..30u64, len in 1..20u64) {
            let wanted: Vec<u64> = (0..len).filter(|byte| (first..=last).contains(byte)).collect();
            let expected = match (wanted.first(), last < first) {
                (_, true) => Selection::Whole,
                (None, _) => Selection::Unsatisfiable,
                (Some(offset), _) => Selection::Part { offset: *offset, len: wanted.len() as u64 },
            };
            prop_assert_eq!(select(format!("bytes={first}-{last}").as_bytes(), len), expected);
        }
    }
}
