//! The arguments of `smarthttpd ctl`. What they lead to is the business of the `ctl` module.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// What to ask a running server, and how to show the answer.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(crate) struct Invocation {
    /// What to ask for
    pub(crate) command: Verb,
    /// The server's control socket [default: $SMARTHTTPD_CONTROL_SOCKET, else the only one in
    /// $XDG_RUNTIME_DIR/smarthttpd and /tmp/smarthttpd-UID]
    #[arg(long, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
    /// Answer with the server's JSON as it is
    #[arg(long)]
    pub(crate) json: bool,
    /// top: print one frame of 80 by 24 characters instead of a live one
    #[arg(long)]
    pub(crate) once: bool,
}

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Verb {
    /// How many workers there are, what they do, and why
    Status,
    /// The same in a terminal, live; q quits
    Top,
    /// Finish the requests under way, then leave
    Stop,
}

impl Invocation {
    /// Takes the socket from the server's own variable unless a flag names one.
    pub(super) fn or_socket(mut self, variable: Option<&OsStr>) -> Invocation {
        let named = variable.filter(|path| !path.is_empty() && *path != "off");
        self.socket = self.socket.or_else(|| named.map(PathBuf::from));
        self
    }
}
