//! The arguments of `smarthttpd ctl`. What they lead to is the business of the `ctl` module.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand};

use super::quantity::{Count, QuantityError, Span};

/// What to ask a running server, and how to show the answer.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(crate) struct Invocation {
    #[command(subcommand)]
    pub(crate) command: Verb,
    /// The server's control socket [default: $SMARTHTTPD_CONTROL_SOCKET, else the only one in
    /// $XDG_RUNTIME_DIR/smarthttpd and /tmp/smarthttpd-UID]
    #[arg(long, value_name = "PATH", global = true)]
    pub(crate) socket: Option<PathBuf>,
    /// Answer with the server's JSON as it is
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub(crate) enum Verb {
    /// How many workers there are, what they do, and why
    Status,
    /// The same in a terminal, live; q quits
    Top {
        /// Print one frame of 80 by 24 characters instead
        #[arg(long)]
        once: bool,
    },
    /// Take new code and options without losing a request; waits until the new workers serve
    Reload {
        /// Time the new workers have to become ready; after it the old ones go on
        #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time)]
        timeout: Duration,
    },
    /// Open the access log anew by its name, e.g. after logrotate has renamed it
    ReopenLogs,
    /// Keep another number of workers, until the next reload or restart
    #[command(group = ArgGroup::new("number").required(true).multiple(true))]
    Scale {
        /// Exactly so many; for --mpm static the only form
        #[arg(value_name = "N", conflicts_with_all = ["min", "max"], group = "number", value_parser = count)]
        workers: Option<u32>,
        /// At least so many, also without load
        #[arg(long, value_name = "N", group = "number", value_parser = count)]
        min: Option<u32>,
        /// At most so many
        #[arg(long, value_name = "N", group = "number", value_parser = count)]
        max: Option<u32>,
    },
    /// Finish the requests under way, then leave
    Stop,
}

fn count(text: &str) -> Result<u32, QuantityError> {
    text.parse().map(Count::get)
}

fn time(text: &str) -> Result<Duration, QuantityError> {
    text.parse().map(|Span(time)| time)
}

impl Invocation {
    /// Takes the socket from the server's own variable unless a flag names one.
    pub(super) fn or_socket(mut self, variable: Option<&OsStr>) -> Invocation {
        let named = variable.filter(|path| !path.is_empty() && *path != "off");
        self.socket = self.socket.or_else(|| named.map(PathBuf::from));
        self
    }
}
