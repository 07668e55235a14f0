//! Why a command did not do what was asked, and the exit code that says so.

use std::io;
use std::path::PathBuf;

use loadgen::RunError;

use crate::cli::UsageError;

/// One line for the user.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// Arguments that make no sense together.
    #[error("{0}")]
    Words(String),
    /// Results that must not be used for what was asked.
    #[error("{0}")]
    Refused(String),
    #[error("{}", run_message(.0))]
    Run(#[from] RunError),
    #[error("cannot read {}: {source}", path.display())]
    Input { path: PathBuf, source: io::Error },
    #[error("{}: {reason}", path.display())]
    Content { path: PathBuf, reason: String },
    #[error("cannot write {}: {source}", path.display())]
    Output { path: PathBuf, source: io::Error },
    #[error("cannot watch for Ctrl-C: {0}")]
    Signals(io::Error),
}

impl Failure {
    /// The one place that maps failures to the exit codes in `--help`.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Words(_) | Self::Run(RunError::Plan(_) | RunError::FileLimit { .. }) => 2,
            Self::Run(RunError::TargetDown { .. } | RunError::Tls { .. } | RunError::Resolve { .. }) => 4,
            Self::Run(RunError::Setup { .. })
            | Self::Input { .. }
            | Self::Content { .. }
            | Self::Refused(_)
            | Self::Output { .. }
            | Self::Signals(_) => 1,
        }
    }
}

/// A plan's fields are spelled like options; on the command line they get their dashes back.
fn run_message(error: &RunError) -> String {
    match error {
        RunError::Plan(plan) => format!("--{plan}"),
        other => other.to_string(),
    }
}
