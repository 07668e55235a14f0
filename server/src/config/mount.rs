//! `--static /PREFIX=DIR`: a directory whose files are laid over the application's paths.
//!
//! Owns the spelling. Whether the directory is there, and where a relative one starts, is `resolve`'s business.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A directory and the paths it answers. As text: `/static=/srv/shop/static`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Mount {
    /// `/`, or segments with a slash before each and none at the end: `/static`. As people read it, not percent-encoded.
    pub(crate) prefix: String,
    /// Absolute once resolved.
    pub(crate) directory: PathBuf,
}

/// Why a text is no mount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MountError {
    /// No prefix, or no directory.
    #[error("'{0}' has no directory; give /PREFIX=DIR, e.g. /static=public")]
    Form(String),
    /// The prefix is not a path from the root.
    #[error("the prefix '{0}' does not begin with a slash; give /PREFIX=DIR, e.g. /static=public")]
    Relative(String),
    /// The prefix could never be that of a request for a file.
    #[error(
        "the prefix '{0}' is no plain path; give one without empty, '.' or '..' parts and without %, ?, # or \\, \
         e.g. /static"
    )]
    NotPlain(String),
}

impl FromStr for Mount {
    type Err = MountError;

    fn from_str(text: &str) -> Result<Mount, MountError> {
        // The first one: directories may have another in their name, prefixes have not.
        let (prefix, directory) = text
            .split_once('=')
            .filter(|(_, directory)| !directory.is_empty())
            .ok_or_else(|| MountError::Form(text.to_owned()))?;
        let Some(below_root) = prefix.strip_prefix('/') else {
            return Err(MountError::Relative(prefix.to_owned()));
        };
        let plain = below_root.strip_suffix('/').filter(|parts| !parts.is_empty()).unwrap_or(below_root);
        let is_plain = |part: &str| {
            !matches!(part, "" | "." | "..") && !part.contains(|c: char| "%?#\\".contains(c) || c.is_control())
        };
        if !plain.is_empty() && !plain.split('/').all(is_plain) {
            return Err(MountError::NotPlain(prefix.to_owned()));
        }
        Ok(Mount { prefix: format!("/{plain}"), directory: directory.into() })
    }
}

impl Mount {
    /// The same with a relative directory starting at `from`.
    pub(super) fn below(&self, from: &Path) -> PathBuf {
        from.join(&self.directory)
    }
}

impl TryFrom<String> for Mount {
    type Error = MountError;

    fn try_from(text: String) -> Result<Mount, MountError> {
        text.parse()
    }
}

impl fmt::Display for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.prefix, self.directory.display())
    }
}

impl From<Mount> for String {
    fn from(mount: Mount) -> String {
        mount.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read() {
        let table = [
            ("/static=public", "/static", "public"),
            ("/static/=/srv/public/", "/static", "/srv/public/"),
            ("/a/b=x", "/a/b", "x"),
            // Over the whole of the application.
            ("/=public", "/", "public"),
            // Only the first one separates.
            ("/s=a=b", "/s", "a=b"),
            ("/ü x=y", "/ü x", "y"),
            // What is given by name is served, dot or not.
            ("/.well-known=w", "/.well-known", "w"),
        ];
        for (text, prefix, directory) in table {
            let mount: Mount = text.parse().unwrap();
            assert_eq!((mount.prefix.as_str(), mount.directory.to_str()), (prefix, Some(directory)), "{text}");
            assert_eq!(Mount::try_from(mount.to_string()), Ok(mount), "{text} again from its own text");
        }
    }

    #[test]
    fn a_wrong_mount_is_told_its_form() {
        let form = |text: &str| MountError::Form(text.to_owned());
        let plain = |text: &str| MountError::NotPlain(text.to_owned());
        let table = [
            ("", form("")),
            ("/static", form("/static")),
            ("/static=", form("/static=")),
            ("=public", MountError::Relative(String::new())),
            ("static=public", MountError::Relative("static".to_owned())),
            ("//=x", plain("//")),
            ("/a//b=x", plain("/a//b")),
            ("/a/../b=x", plain("/a/../b")),
            ("/./b=x", plain("/./b")),
            // Encoded or not? Nobody could say.
            ("/a%20b=x", plain("/a%20b")),
            ("/a?b=x", plain("/a?b")),
            ("/a\\b=x", plain("/a\\b")),
        ];
        for (text, expected) in table {
            assert_eq!(text.parse::<Mount>(), Err(expected), "{text}");
        }
    }
}
