//! Where the admin page is, and what its clients have to know: from their text to types. Looks names up; opens nothing.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Bind;
use super::bind::{BindError, BindSpec};

/// An address as given: that of `--bind`, or a port alone, which is the loopback interface's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AdminSpec(BindSpec);

/// Why a text is no such address, or no token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminError {
    /// None of the forms.
    #[error("'{0}' is no address of an admin page; give a port, HOST:PORT or unix:PATH, e.g. 9000, or off")]
    Form(String),
    /// The part that is wrong is that of an address in general.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// Not to be sent in a header.
    #[error("a token is made of visible ASCII characters without blanks; give one, or @FILE that has one")]
    Token,
    /// `@` alone.
    #[error("'@' names no file; give @FILE, e.g. @/run/secrets/admin-token")]
    NoFile,
}

impl FromStr for AdminSpec {
    type Err = AdminError;

    fn from_str(text: &str) -> Result<AdminSpec, AdminError> {
        let is_port = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let spec: BindSpec = if is_port { format!("127.0.0.1:{text}").parse()? } else { text.parse()? };
        match spec {
            BindSpec::Tcp { .. } | BindSpec::Unix(_) | BindSpec::Abstract(_) => Ok(AdminSpec(spec)),
            BindSpec::Descriptor(_) | BindSpec::Systemd(_) => Err(AdminError::Form(text.to_owned())),
        }
    }
}

impl AdminSpec {
    /// What resolves to `bind`.
    pub(super) fn of(bind: &Bind) -> AdminSpec {
        AdminSpec(bind.spec())
    }

    /// The address itself.
    pub(super) fn resolve(&self) -> Result<Bind, BindError> {
        self.0.resolve()
    }
}

impl fmt::Display for AdminSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The secret that clients send as `Authorization: Bearer TOKEN`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum AdminToken {
    /// Itself.
    Literal(String),
    /// The file that has it.
    File(PathBuf),
}

/// Whether `text` can be a token: what a header can carry without ambiguity (RFC 6750 section 2.1 allows less).
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

impl FromStr for AdminToken {
    type Err = AdminError;

    fn from_str(text: &str) -> Result<AdminToken, AdminError> {
        match text.strip_prefix('@') {
            Some("") => Err(AdminError::NoFile),
            Some(path) => Ok(AdminToken::File(path.into())),
            None if is_token(text) => Ok(AdminToken::Literal(text.to_owned())),
            None => Err(AdminError::Token),
        }
    }
}

impl TryFrom<String> for AdminToken {
    type Error = AdminError;

    fn try_from(text: String) -> Result<AdminToken, AdminError> {
        text.parse()
    }
}

impl From<AdminToken> for String {
    fn from(token: AdminToken) -> String {
        match token {
            AdminToken::Literal(text) => text,
            AdminToken::File(path) => format!("@{}", path.display()),
        }
    }
}

impl fmt::Debug for AdminToken {
    /// A secret has no place in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AdminToken::Literal(_) => f.write_str("Literal(…)"),
            AdminToken::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_the_loopback_interfaces() {
        let table = [
            ("9000", "127.0.0.1:9000"),
            ("0", "127.0.0.1:0"),
            (":9000", "0.0.0.0:9000"),
            ("[::1]:9000", "[::1]:9000"),
            ("unix:/run/admin.sock", "unix:/run/admin.sock"),
        ];
        for (text, expected) in table {
            let bind = text.parse::<AdminSpec>().unwrap().resolve().unwrap();
            assert_eq!(bind.to_string(), expected, "{text}");
            assert_eq!(AdminSpec::of(&bind).resolve().unwrap(), bind, "{text}");
        }
        for text in ["systemd", "fd:3"] {
            assert!(matches!(text.parse::<AdminSpec>(), Err(AdminError::Form(_))), "{text}");
        }
        for text in ["", "99999", "admin", "::1"] {
            assert!(text.parse::<AdminSpec>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_token_is_itself_or_in_a_file_and_is_not_shown() {
        let literal: AdminToken = "s3cret".parse().unwrap();
        assert_eq!(literal, AdminToken::Literal("s3cret".to_owned()));
        assert!(!format!("{literal:?}").contains("s3cret"));
        let file: AdminToken = "@/run/t".parse().unwrap();
        assert_eq!(file, AdminToken::File("/run/t".into()));
        assert_eq!(String::from(file), "@/run/t");
        for text in ["", "@", "two words", "tab\t", "größe"] {
            assert!(text.parse::<AdminToken>().is_err(), "{text}");
        }
    }
}
