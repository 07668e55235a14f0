use std::time::Duration;

use proptest::prelude::*;

use super::*;

const DATE: &str = "Sun, 09 Sep 2001 01:46:40 GMT";
const EARLIER: &str = "Sun, 09 Sep 2001 01:46:39 GMT";
const LATER: &str = "Sun, 09 Sep 2001 01:46:41 GMT";

fn current(weak: bool) -> Validators {
    let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    Validators { tag: "now".to_owned(), weak, modified: Some(modified) }
}

/// From lines like `If-Match: "now"`, separated by `|`.
fn wishes(lines: &str) -> Wishes<'_> {
    let mut wishes = Wishes::default();
    for line in lines.split('|').filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ").unwrap();
        let single = |field: &mut Single<'_>| *field == Single::Absent;
        let value = value.as_bytes();
        match name {
            "If-Match" => wishes.if_match.push(value),
            "If-None-Match" => wishes.if_none_match.push(value),
            "If-Modified-Since" if single(&mut wishes.if_modified_since) => {
                wishes.if_modified_since = Single::Once(value);
            }
            "If-Modified-Since" => wishes.if_modified_since = Single::Repeated,
            "If-Unmodified-Since" => wishes.if_unmodified_since = Single::Once(value),
            "If-Range" if single(&mut wishes.if_range) => wishes.if_range = Single::Once(value),
            "If-Range" => wishes.if_range = Single::Repeated,
            _ => panic!("{name}"),
        }
    }
    wishes
}

#[test]
fn preconditions_are_judged_in_their_order() {
    use Verdict::{Failed, NotModified, Proceed};
    let table = [
        (String::new(), Proceed),
        ("If-Match: \"now\"".into(), Proceed),
        ("If-Match: *".into(), Proceed),
        ("If-Match: \"other\"".into(), Failed),
        ("If-Match: \"a\", \"now\"".into(), Proceed),
        ("If-Match: \"a\"|If-Match: \"now\"".into(), Proceed),
        // Strong comparison (RFC 9110 §13.1.1).
        ("If-Match: W/\"now\"".into(), Failed),
        // Malformed: matches nothing.
        ("If-Match: now".into(), Failed),
        ("If-Match: \"now".into(), Failed),
        ("If-Match: \"a\" \"now\"".into(), Failed),
        ("If-Match: ".into(), Failed),
        ("If-None-Match: \"now\"".into(), NotModified),
        ("If-None-Match: W/\"now\"".into(), NotModified),
        ("If-None-Match: *".into(), NotModified),
        ("If-None-Match: , ,W/\"a\",\"now\"".into(), NotModified),
        ("If-None-Match: \"a\"|If-None-Match: \"now\"".into(), NotModified),
        ("If-None-Match: \"a,\\\"now\"".into(), Proceed),
        ("If-None-Match: \"a,b\",\"now\"".into(), NotModified),
        ("If-None-Match: \"other\"".into(), Proceed),
        ("If-None-Match: now".into(), Proceed),
        ("If-None-Match: \"*\"".into(), Proceed),
        (format!("If-Modified-Since: {DATE}"), NotModified),
        (format!("If-Modified-Since: {LATER}"), NotModified),
        (format!("If-Modified-Since: {EARLIER}"), Proceed),
        // The obsolete forms (RFC 9110 §5.6.7).
        ("If-Modified-Since: Sunday, 09-Sep-01 01:46:40 GMT".into(), NotModified),
        ("If-Modified-Since: Sun Sep  9 01:46:40 2001".into(), NotModified),
        ("If-Modified-Since: yesterday".into(), Proceed),
        (format!("If-Modified-Since: {DATE}|If-Modified-Since: {DATE}"), Proceed),
        (format!("If-Unmodified-Since: {DATE}"), Proceed),
        (format!("If-Unmodified-Since: {EARLIER}"), Failed),
        ("If-Unmodified-Since: yesterday".into(), Proceed),
        // The tags are asked, the dates beside them are not (§13.1.3, §13.1.4).
        (format!("If-None-Match: \"other\"|If-Modified-Since: {LATER}"), Proceed),
        (format!("If-None-Match: \"now\"|If-Modified-Since: {EARLIER}"), NotModified),
        (format!("If-Match: \"now\"|If-Unmodified-Since: {EARLIER}"), Proceed),
        (format!("If-Match: \"other\"|If-Unmodified-Since: {LATER}"), Failed),
        // Both kinds: the first one that says no decides.
        ("If-Match: \"other\"|If-None-Match: \"now\"".into(), Failed),
        ("If-Match: \"now\"|If-None-Match: \"now\"".into(), NotModified),
        (format!("If-Unmodified-Since: {EARLIER}|If-Modified-Since: {LATER}"), Failed),
    ];
    for (lines, expected) in table {
        assert_eq!(judge(&wishes(&lines), &current(false)), expected, "{lines}");
    }
}

#[test]
fn a_weak_tag_is_good_for_caches_only() {
    let table = [
        ("If-Match: \"now\"", Verdict::Failed),
        ("If-Match: W/\"now\"", Verdict::Failed),
        ("If-Match: *", Verdict::Proceed),
        ("If-None-Match: \"now\"", Verdict::NotModified),
        ("If-None-Match: W/\"now\"", Verdict::NotModified),
    ];
    for (lines, expected) in table {
        assert_eq!(judge(&wishes(lines), &current(true)), expected, "{lines}");
    }
}

#[test]
fn a_file_without_a_date_has_no_conditions_on_it() {
    let undated = Validators { modified: None, ..current(false) };
    for lines in [format!("If-Modified-Since: {LATER}"), format!("If-Unmodified-Since: {EARLIER}")] {
        assert_eq!(judge(&wishes(&lines), &undated), Verdict::Proceed, "{lines}");
    }
    assert!(!range_stands(&wishes("If-Range: yesterday"), &undated), "no date is not the same as no date");
}

#[test]
fn a_range_stands_for_the_very_version() {
    let table = [
        (String::new(), true, true),
        // field, with a strong validator, with a weak one
        ("If-Range: \"now\"".into(), true, false),
        ("If-Range: W/\"now\"".into(), false, false),
        ("If-Range: \"other\"".into(), false, false),
        ("If-Range: \"now\", \"other\"".into(), false, false),
        ("If-Range: *".into(), false, false),
        (format!("If-Range: {DATE}"), true, false),
        // Exactly, not at least (RFC 9110 §13.1.5).
        (format!("If-Range: {LATER}"), false, false),
        (format!("If-Range: {EARLIER}"), false, false),
        ("If-Range: yesterday".into(), false, false),
        ("If-Range: \"now\"|If-Range: \"now\"".into(), false, false),
    ];
    for (lines, strong, weak) in table {
        assert_eq!(range_stands(&wishes(&lines), &current(false)), strong, "{lines}");
        assert_eq!(range_stands(&wishes(&lines), &current(true)), weak, "{lines}, weak");
    }
}

proptest! {
    #[test]
    fn nothing_sent_panics(value: Vec<u8>) {
        let single = Single::Once(value.as_slice());
        let wishes = Wishes {
            if_match: vec![&value],
            if_none_match: vec![&value],
            if_modified_since: single,
            if_unmodified_since: single,
            if_range: single,
            ..Wishes::default()
        };
        judge(&wishes, &current(false));
        range_stands(&wishes, &current(false));
        judge(&Wishes { if_match: Vec::new(), if_none_match: Vec::new(), ..wishes }, &current(false));
    }

    /// Shapes that random bytes would never have.
    #[test]
    fn a_list_matches_if_an_element_does(tags in proptest::collection::vec("[a-c,]{0,3}", 1..5), weak: bool) {
        let prefix = if weak { "W/" } else { "" };
        let list: Vec<String> = tags.iter().map(|tag| format!("{prefix}\"{tag}\"")).collect();
        let line = list.join(" ,, ");
        let current = Validators { tag: "a".to_owned(), ..current(false) };
        let wishes = Wishes { if_none_match: vec![line.as_bytes()], ..Wishes::default() };
        prop_assert_eq!(judge(&wishes, &current) == Verdict::NotModified, tags.iter().any(|tag| tag == "a"));
    }
}
