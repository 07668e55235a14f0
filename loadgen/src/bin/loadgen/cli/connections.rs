//! The options that say what connections there are and how long they wait.

use std::time::Duration;

use clap::Args;
use loadgen::{Reuse, parse_duration};

/// How the target is connected to.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connections")]
pub(super) struct ConnectionOptions {
    /// Connections (closed loop, default 32), or most requests outstanding (open loop, default 4096).
    #[arg(short, long, value_name = "COUNT")]
    pub(super) connections: Option<usize>,

    /// Open a new connection for every request.
    #[arg(long)]
    no_keepalive: bool,

    /// Longest wait for an answer.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    pub(super) timeout: Duration,

    /// Longest wait for a connection.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_duration)]
    pub(super) connect_timeout: Duration,
}

impl ConnectionOptions {
    /// What happens to a connection after an answer.
    pub(super) fn reuse(&self) -> Reuse {
        if self.no_keepalive { Reuse::NewConnectionPerRequest } else { Reuse::KeepAlive }
    }
}
