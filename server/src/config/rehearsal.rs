//! What `--rehearse` asks for: a request target that the application answers before anybody is served.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A path, perhaps with a query, as it stands in a request line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Rehearsal(String);

/// Why a text is none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RehearsalError {
    /// Relative, or a whole URL.
    #[error("'{0}' does not begin with a slash; give a path such as /health")]
    Relative(String),
    /// A character that no request line has.
    #[error("'{path}' has {unfit:?} in it; percent-encode it, as a client would")]
    Unfit {
        /// As given.
        path: String,
        /// The first such character.
        unfit: char,
    },
}

impl Rehearsal {
    /// As given.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Rehearsal {
    type Err = RehearsalError;

    fn from_str(text: &str) -> Result<Rehearsal, RehearsalError> {
        if !text.starts_with('/') {
            return Err(RehearsalError::Relative(text.to_owned()));
        }
        match text.chars().find(|c| !c.is_ascii_graphic() || *c == '#') {
            Some(unfit) => Err(RehearsalError::Unfit { path: text.to_owned(), unfit }),
            None => Ok(Rehearsal(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Rehearsal {
    type Error = RehearsalError;

    fn try_from(text: String) -> Result<Rehearsal, RehearsalError> {
        text.parse()
    }
}

impl fmt::Display for Rehearsal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Rehearsal> for String {
    fn from(path: Rehearsal) -> String {
        path.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_a_request_line_is_taken() {
        for text in ["/", "/health", "/search?q=a%20b&n=1", "/caf%C3%A9/"] {
            assert_eq!(text.parse::<Rehearsal>().unwrap().as_str(), text);
        }
        for (text, expected) in [
            ("", "'' does not begin with a slash; give a path such as /health"),
            ("http://a/", "'http://a/' does not begin with a slash; give a path such as /health"),
            ("/a b", "'/a b' has ' ' in it; percent-encode it, as a client would"),
            ("/a\r\nb", "'/a\r\nb' has '\\r' in it; percent-encode it, as a client would"),
            ("/é", "'/é' has 'é' in it; percent-encode it, as a client would"),
            ("/a#b", "'/a#b' has '#' in it; percent-encode it, as a client would"),
        ] {
            assert_eq!(text.parse::<Rehearsal>().unwrap_err().to_string(), expected);
        }
    }
}
