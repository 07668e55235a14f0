//! The options that say what connections there are and how long they wait.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};
use loadgen::{Resolution, Reuse, Target, parse_duration};

/// How the target is connected to.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connections")]
pub(super) struct ConnectionOptions {
    /// Connections: exactly so many (closed loop, default 32), or at most (open loop, default 4096).
    #[arg(short, long, value_name = "COUNT")]
    pub(super) connections: Option<usize>,

    /// Close a connection after this many requests.
    #[arg(long, value_name = "COUNT")]
    pub(super) requests_per_connection: Option<u64>,

    /// Write up to so many requests on a connection before the first one's answer (HTTP/1.1 pipelining).
    #[arg(long, value_name = "DEPTH", default_value_t = 1)]
    pub(super) pipeline: usize,

    /// Open a new connection for every request.
    #[arg(long)]
    no_keepalive: bool,

    /// Send back, on each connection, the cookies that responses on it have set.
    #[arg(long)]
    pub(super) cookies: bool,

    /// Longest wait for an answer.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    pub(super) timeout: Duration,

    /// Longest wait for a connection.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_duration)]
    pub(super) connect_timeout: Duration,

    /// Connect to ADDRESS for HOST:PORT instead of asking the resolver; may be repeated.
    #[arg(long, value_name = "HOST:PORT:ADDRESS", conflicts_with = "unix_socket")]
    pub(super) resolve: Vec<Resolution>,

    /// Connect to this unix socket; the host of the target is what is asked for (Host).
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    unix_socket: Option<PathBuf>,
}

impl ConnectionOptions {
    /// The target, reached as these options say.
    pub(super) fn reach(&self, target: Target) -> Target {
        match &self.unix_socket {
            Some(socket) => target.over_unix_socket(socket.clone()),
            None => target,
        }
    }

    /// What happens to a connection after an answer.
    pub(super) fn reuse(&self) -> Reuse {
        if self.no_keepalive { Reuse::NewConnectionPerRequest } else { Reuse::KeepAlive }
    }
}
