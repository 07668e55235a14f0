//! The path below which the application is seen from outside: from its text to one that can be put before other paths.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Empty, or `/` and segments that are neither empty nor dots, percent-encoded or not. So root path and path together are
/// a path again, and whoever normalises it gets the same one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct RootPath(String);

/// Why a text is no root path.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RootPathError {
    /// Relative.
    #[error("'{0}' does not begin with a slash; give a path such as /shop")]
    Relative(String),
    /// Ends with a slash; with that alone it would be no prefix at all.
    #[error("'{0}' ends with a slash; leave that out")]
    Slash(String),
    /// Something that no path has.
    #[error("'{path}' has {what}, which no path of an application has; give a path such as /shop")]
    Unfit {
        /// As given.
        path: String,
        /// The unfit part.
        what: &'static str,
    },
}

impl RootPath {
    /// As given; empty if the application is at the root.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RootPath {
    type Err = RootPathError;

    fn from_str(text: &str) -> Result<RootPath, RootPathError> {
        if text.is_empty() {
            return Ok(RootPath::default());
        }
        if !text.starts_with('/') {
            return Err(RootPathError::Relative(text.to_owned()));
        }
        if text.ends_with('/') {
            return Err(RootPathError::Slash(text.to_owned()));
        }
        match unfit(text) {
            Some(what) => Err(RootPathError::Unfit { path: text.to_owned(), what }),
            None => Ok(RootPath(text.to_owned())),
        }
    }
}

/// What keeps `text`, which begins with a slash, from being a path without surprises.
fn unfit(text: &str) -> Option<&'static str> {
    if text.contains(|c: char| c.is_control() || c.is_whitespace()) {
        return Some("a blank");
    }
    if text.contains('?') {
        return Some("a query");
    }
    if text.contains('#') {
        return Some("a fragment");
    }
    for segment in text[1..].split('/') {
        match segment {
            "" => return Some("an empty segment"),
            "." | ".." => return Some("a dot segment"),
            _ => {}
        }
    }
    let escapes = text.split('%').skip(1);
    for escape in escapes {
        match escape.get(..2).map(|digits| u8::from_str_radix(digits, 16)) {
            // `from_str_radix` takes a sign as well.
            Some(Ok(byte)) if !escape.starts_with('+') => match byte {
                0..0x20 | 0x7f => return Some("an encoded control character"),
                b'/' | b'.' => return Some("an encoded slash or dot"),
                _ => {}
            },
            _ => return Some("a % that encodes nothing"),
        }
    }
    None
}

impl TryFrom<String> for RootPath {
    type Error = RootPathError;

    fn try_from(text: String) -> Result<RootPath, RootPathError> {
        text.parse()
    }
}

impl fmt::Display for RootPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<RootPath> for String {
    fn from(path: RootPath) -> String {
        path.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_without_surprises_are_taken() {
        // Nothing is a value too: it takes back what a file says.
        for text in ["", "/shop", "/a/b", "/caf%C3%A9", "/café", "/a.b", "/...", "/~me", "/a%20b"] {
            assert_eq!(text.parse::<RootPath>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn others_are_told_why_not() {
        let unfit = |what: &str| format!("has {what}, which no path of an application has; give a path such as /shop");
        for (text, expected) in [
            ("shop", "does not begin with a slash; give a path such as /shop".to_owned()),
            ("http://host/shop", "does not begin with a slash; give a path such as /shop".to_owned()),
            ("/", "ends with a slash; leave that out".to_owned()),
            ("/shop/", "ends with a slash; leave that out".to_owned()),
            ("/shop?a=b", unfit("a query")),
            ("/shop#top", unfit("a fragment")),
            ("/my shop", unfit("a blank")),
            ("/a\r\nb", unfit("a blank")),
            ("//shop", unfit("an empty segment")),
            ("/a/../b", unfit("a dot segment")),
            ("/%2e%2e", unfit("an encoded slash or dot")),
            ("/a%2Fb", unfit("an encoded slash or dot")),
            ("/a%00", unfit("an encoded control character")),
            ("/100%", unfit("a % that encodes nothing")),
            ("/%+1", unfit("a % that encodes nothing")),
            ("/%é", unfit("a % that encodes nothing")),
        ] {
            assert_eq!(text.parse::<RootPath>().unwrap_err().to_string(), format!("'{text}' {expected}"));
        }
    }
}
