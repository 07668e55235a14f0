//! What can go wrong: with one request ([`ErrorKind`], counted), with a plan ([`PlanError`]) and
//! with a whole run ([`RunError`]).
//!
//! Every request that is not a plain success is counted under exactly one kind. The modules that
//! meet the error choose the kind; this module only names them.

use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};

/// Why a request did not succeed. Each request is counted under at most one kind.
///
/// `Status4xx` and `Status5xx` are answers: they are in the latency distribution as well. All
/// other kinds have no latency, because there was no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The target refused the connection (`ECONNREFUSED`, or a unix socket that does not exist).
    ConnectRefused,
    /// The connection was not established within the connect timeout.
    ConnectTimeout,
    /// The connection could not be made for another reason (no route, no free port, no descriptor).
    ConnectFailed,
    /// The connection was made, TLS on it was not: a certificate that is not trusted, no common version, no TLS at all.
    Tls,
    /// The request could not be written whole, and no answer came back either.
    Write,
    /// Reading failed before the answer was whole, as a rule because the target reset the connection.
    Read,
    /// The target closed the connection before the first byte of an answer.
    ClosedBeforeResponse,
    /// The target closed the connection inside a head or a body.
    Truncated,
    /// No whole answer within the timeout, counted from the write.
    Timeout,
    /// The bytes are no HTTP response, or frame it ambiguously.
    Protocol,
    /// The target redirected more often than was to be followed, or to where nothing can be sent.
    Redirect,
    /// A whole answer with a 4xx status.
    #[serde(rename = "status_4xx")]
    Status4xx,
    /// A whole answer with a 5xx status.
    #[serde(rename = "status_5xx")]
    Status5xx,
    /// The request was due, but no connection became free for it before the run had to end, or more
    /// requests than the plan allows were outstanding.
    Unsent,
}

impl ErrorKind {
    /// Every kind, in the order of a request's life.
    pub const ALL: [Self; 14] = [
        Self::ConnectRefused,
        Self::ConnectTimeout,
        Self::ConnectFailed,
        Self::Tls,
        Self::Write,
        Self::Read,
        Self::ClosedBeforeResponse,
        Self::Truncated,
        Self::Timeout,
        Self::Protocol,
        Self::Redirect,
        Self::Status4xx,
        Self::Status5xx,
        Self::Unsent,
    ];

    /// True for the kinds where a whole answer arrived, so that the request has a latency.
    #[must_use]
    pub fn is_answer(self) -> bool {
        matches!(self, Self::Status4xx | Self::Status5xx)
    }

    /// The words used in summaries.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::ConnectRefused => "connection refused",
            Self::ConnectTimeout => "connect timeout",
            Self::ConnectFailed => "connect failed",
            Self::Tls => "TLS failed",
            Self::Write => "write failed",
            Self::Read => "read failed (reset)",
            Self::ClosedBeforeResponse => "closed before a response",
            Self::Truncated => "truncated response",
            Self::Timeout => "timeout",
            Self::Protocol => "not valid HTTP",
            Self::Redirect => "too many redirects",
            Self::Status4xx => "status 4xx",
            Self::Status5xx => "status 5xx",
            Self::Unsent => "never sent (no free connection)",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// A plan that cannot be run, with the field at fault.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct PlanError {
    /// The field of the plan, spelled like the command's option without its dashes.
    pub field: &'static str,
    /// What is wrong with it and what would be right.
    pub reason: String,
}

/// Why a run produced no report.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The plan is wrong; nothing was sent.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The host name has no address.
    #[error("cannot resolve {host}: {source}; check the host name in the target")]
    Resolve {
        /// The name that was looked up.
        host: String,
        /// The resolver's answer.
        source: io::Error,
    },
    /// The first connection of the run failed: nothing answers there.
    #[error("cannot connect to {target}: {source}; is a server listening there?")]
    TargetDown {
        /// The target as the user gave it.
        target: String,
        /// Why the connection failed.
        source: io::Error,
    },
    /// The first connection of the run was made, but TLS on it was not.
    #[error(
        "no TLS with {target}: {source}; does it speak TLS there, and who signed its certificate? \
         --cacert FILE trusts an authority of your own, --insecure trusts anyone"
    )]
    Tls {
        /// The target as the user gave it.
        target: String,
        /// Why there is no TLS.
        source: io::Error,
    },
    /// The process may not open as many descriptors as the plan has connections.
    #[error(
        "{connections} connections need {needed} open files but the limit is {limit}; \
         lower --connections or raise the limit (ulimit -n)"
    )]
    FileLimit {
        /// Connections planned.
        connections: usize,
        /// Descriptors needed.
        needed: u64,
        /// The hard limit of this process.
        limit: u64,
    },
    /// The machine refused something that every run needs (epoll, timer, pinning, a thread).
    #[error("cannot {what}: {source}")]
    Setup {
        /// What was tried, for instance "pin a generator thread to CPU 7".
        what: String,
        /// The system's answer.
        source: io::Error,
    },
}
