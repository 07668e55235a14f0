//! What the exit code says. The one place that gives the codes their numbers; `--help` documents them.

use std::process::ExitCode;

/// How a process of ours ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All went as asked.
    Ok,
    /// Something unexpected failed.
    Failure,
    /// The options, the environment or the configuration file are wrong.
    Usage,
    /// The application could not be loaded.
    Application,
    /// An address can't be bound.
    Address,
    /// `ctl` reached no server.
    NoServer,
}

impl Exit {
    /// The number the parent process sees.
    pub(crate) fn code(self) -> u8 {
        match self {
            Exit::Ok => 0,
            Exit::Failure => 1,
            Exit::Usage => 2,
            Exit::Application => 3,
            Exit::Address => 4,
            Exit::NoServer => 5,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}
