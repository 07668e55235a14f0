//! Conditional requests (RFC 9110 §13): whether the client's copy still stands.
//!
//! Pure. What is malformed counts as not said, except that a malformed If-Match matches nothing: who sends it does not
//! want another version than theirs.

use std::time::SystemTime;

use super::validators::Validators;
use super::wishes::{Single, Wishes};

/// What the preconditions of a GET or HEAD come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Answer as if there were none.
    Proceed,
    /// 304: the client has this version.
    NotModified,
    /// 412: this is not the version that the client means.
    Failed,
}

/// Evaluates the preconditions in the order of RFC 9110 §13.2.2, If-Range excepted.
pub(super) fn judge(wishes: &Wishes<'_>, current: &Validators) -> Verdict {
    if !wishes.if_match.is_empty() {
        if !any_tag(&wishes.if_match, |tag| tag.is_strongly(current)) {
            return Verdict::Failed;
        }
    } else if let (Some(date), Some(modified)) = (date(wishes.if_unmodified_since), current.modified)
        && modified > date
    {
        return Verdict::Failed;
    }
    if !wishes.if_none_match.is_empty() {
        if any_tag(&wishes.if_none_match, |tag| tag.is_weakly(current)) {
            return Verdict::NotModified;
        }
    } else if let (Some(date), Some(modified)) = (date(wishes.if_modified_since), current.modified)
        && modified <= date
    {
        return Verdict::NotModified;
    }
    Verdict::Proceed
}

/// Whether a Range is still of the version that the client has a part of (If-Range, RFC 9110 §13.1.5). Without the field
/// it is taken to be.
pub(super) fn range_stands(wishes: &Wishes<'_>, current: &Validators) -> bool {
    match wishes.if_range {
        Single::Absent => true,
        Single::Repeated => false,
        Single::Once(value) => match Tag::take(value) {
            Some((tag, rest)) => rest.is_empty() && tag.is_strongly(current),
            // A date is as good as a strong tag only if nothing can have changed since within its second.
            None => !current.weak && current.modified.is_some() && date(wishes.if_range) == current.modified,
        },
    }
}

/// One entity tag of a request (RFC 9110 §8.8.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tag<'a> {
    /// `*`: any version.
    Any,
    Exactly {
        weak: bool,
        opaque: &'a [u8],
    },
}

impl<'a> Tag<'a> {
    /// The tag that `text` begins with, and what follows it; not `*`.
    fn take(text: &'a [u8]) -> Option<(Tag<'a>, &'a [u8])> {
        let (weak, quoted) = match text.strip_prefix(b"W/") {
            Some(quoted) => (true, quoted),
            None => (false, text),
        };
        let opaque = quoted.strip_prefix(b"\"")?;
        // Any byte but quotes, spaces and control characters; commas as well.
        let len = opaque.iter().position(|byte| matches!(byte, b'"' | ..=b' ' | 0x7f))?;
        let rest = opaque[len..].strip_prefix(b"\"")?;
        Some((Tag::Exactly { weak, opaque: &opaque[..len] }, rest))
    }

    fn is_weakly(self, current: &Validators) -> bool {
        match self {
            Tag::Any => true,
            Tag::Exactly { opaque, .. } => opaque == current.tag.as_bytes(),
        }
    }

    fn is_strongly(self, current: &Validators) -> bool {
        match self {
            Tag::Any => true,
            Tag::Exactly { weak, .. } => !weak && !current.weak && self.is_weakly(current),
        }
    }
}

/// Whether `matches` is true of any tag of the list, up to where it is malformed.
fn any_tag(lines: &[&[u8]], matches: impl Fn(Tag<'_>) -> bool) -> bool {
    lines.iter().any(|line| {
        if line.trim_ascii() == b"*" {
            return matches(Tag::Any);
        }
        let mut rest = skip_separators(line);
        while let Some((tag, behind)) = Tag::take(rest) {
            if matches(tag) {
                return true;
            }
            rest = match behind.trim_ascii_start() {
                behind @ [b',', ..] => skip_separators(behind),
                _ => return false,
            };
        }
        false
    })
}

/// Lists may have empty elements (RFC 9110 §5.6.1.2).
fn skip_separators(list: &[u8]) -> &[u8] {
    let start = list.iter().position(|byte| !matches!(byte, b',' | b' ' | b'\t'));
    &list[start.unwrap_or(list.len())..]
}

/// A single field's date, in any of the three forms of RFC 9110 §5.6.7; `None` must be ignored (§13.1.3).
fn date(field: Single<'_>) -> Option<SystemTime> {
    match field {
        Single::Once(value) => httpdate::parse_http_date(str::from_utf8(value).ok()?).ok(),
        Single::Absent | Single::Repeated => None,
    }
}

#[cfg(test)]
#[path = "conditions_tests.rs"]
mod tests;
