//! What can end the harness early, and the exit code of each.

use std::io;
use std::path::{Path, PathBuf};

/// An error for the person who started the harness. `Display` is one line, with the tail of a log below it where there
/// is one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A name or an option that makes no sense.
    #[error("{0}")]
    Usage(String),
    /// Something that a run needs could not be built or installed.
    #[error("{what} failed: {reason}")]
    Prepare {
        /// The step, for instance "building smarthttpd".
        what: String,
        /// What to do about it, or the tool's last words.
        reason: String,
    },
    /// No contender could be measured at all, or some could not; the report says which and why.
    #[error("not measured: {0}")]
    Contenders(String),
    /// `bench compare` found figures that became worse by more than noise; the table says by how much.
    #[error("worse than before: {0}")]
    Regression(String),
    /// The model of `bench simulate` is too far from what was measured; the table says how far.
    #[error("the model is off by more than 15 %: {0}")]
    Model(String),
    /// Results that cannot be read back.
    #[error("{}: {reason}", path.display())]
    Results {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// "read", "write", ….
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The kernel's reason.
        source: io::Error,
    },
}

impl Failure {
    /// The process's exit code; the table in `--help` says the same.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Results { .. } | Self::Io { .. } => 1,
            Self::Usage(_) => 2,
            Self::Prepare { .. } | Self::Regression(_) => 3,
            Self::Contenders(_) => 4,
            Self::Model(_) => 5,
        }
    }

    /// For `map_err` on file operations.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}
