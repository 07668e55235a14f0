//! What the operator asked for, as types: options typed on the command line, set in the environment or written in a
//! TOML file become one [`Config`].
//!
//! The way there: [`options`] is the one table of options, which feeds the parser, the help, the completions and the
//! file format; [`layers`] lays flags over environment over file and remembers where each value came from; [`resolve`]
//! fills in the defaults, checks what only several values together can get wrong, and yields a [`Config`] whose types
//! carry the guarantees; [`mod@print`] goes the way back. [`command`] ties them together for `main`. [`machine`] reads what
//! the defaults depend on.
//!
//! It opens nothing and knows nothing about sockets, processes, Python or HTTP. `main` calls it; the roles receive a
//! [`Config`], or better the few values of it they need.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

mod activation;
mod admin;
mod app;
mod bind;
mod command;
mod comparators;
mod error;
mod exit;
mod fixed;
mod hook;
mod invocation;
mod layers;
pub(crate) mod machine;
mod mount;
mod options;
mod peer;
mod print;
mod quantity;
mod rehearsal;
mod resolve;
mod root_path;
#[cfg(test)]
mod tests;

pub(crate) use activation::{Passed, VARIABLES as ACTIVATION_VARIABLES, passed};
pub(crate) use admin::{AdminToken, is_token};
pub(crate) use app::AppSource;
pub(crate) use command::{Command, parse};
pub(crate) use exit::Exit;
pub(crate) use fixed::fixed;
pub(crate) use hook::Hook;
pub(crate) use invocation::{Invocation, Verb};
pub(crate) use layers::secret_variables;
pub(crate) use mount::Mount;
pub(crate) use options::ForwardedHeader;
pub(crate) use peer::Peer;
pub(crate) use rehearsal::Rehearsal;
pub(crate) use root_path::RootPath;

/// The resolved configuration: every default filled in, every value checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Config {
    /// The application to serve.
    pub(crate) app: AppSource,
    /// Addresses to listen on, in the order given; never empty.
    pub(crate) bind: Vec<Bind>,
    /// Length of each listener's accept queue.
    pub(crate) backlog: u32,
    /// Permissions of the files of unix sockets; `None`: what the umask leaves.
    pub(crate) unix_socket_mode: Option<u32>,
    /// Where the application is, as seen from outside.
    pub(crate) root_path: RootPath,
    /// Whom to believe of those that stand in front.
    pub(crate) proxies: Proxies,
    /// The process manager and its bounds.
    pub(crate) mpm: Mpm,
    /// Where Python finds its modules.
    pub(crate) python: Python,
    /// Whether the template imports the application once, before it forks the workers.
    pub(crate) preload: bool,
    /// What the application answers before it is shared, or before its worker serves.
    pub(crate) rehearse: Vec<Rehearsal>,
    /// Whether a change of the application's files reloads it.
    pub(crate) watch: bool,
    /// Absolute paths of further files, and of folders with all that is in them, whose change does the same.
    pub(crate) watch_extra: Vec<PathBuf>,
    /// What of the application is called when workers come and go.
    pub(crate) hooks: Hooks,
    /// Files served beside the application.
    pub(crate) statics: Statics,
    /// Sizes beyond which a request is refused.
    pub(crate) limits: Limits,
    /// How long each step of a request may take.
    pub(crate) timeouts: Timeouts,
    /// One line per request, if wanted.
    pub(crate) access_log: Option<AccessLog>,
    /// The least severe messages that are still written to standard error.
    pub(crate) error_log: LogLevel,
    /// How these are written.
    pub(crate) log_format: LogFormat,
    /// Where the server can be watched, if anywhere.
    pub(crate) admin: Option<Admin>,
    /// Path of the control socket; `None`: `<pid>.sock` in the user's own directory for them.
    pub(crate) control: Option<PathBuf>,
    /// No control socket at all.
    pub(crate) control_off: bool,
    /// Where it is written down what the process manager is told and decides; `None`: nowhere.
    pub(crate) decision_log: Option<PathBuf>,
    /// A worker is replaced after this many requests; `None`: never.
    pub(crate) max_requests: Option<u64>,
    /// Each worker adds a random number from 0 to this one to `max_requests`, so that they don't all leave at once.
    pub(crate) max_requests_jitter: u64,
    /// Background tasks of the application; `None`: it can leave none.
    pub(crate) tasks: Option<Tasks>,
    /// A worker whose resident memory exceeds so many bytes is replaced; `None`: never.
    pub(crate) max_worker_rss: Option<u64>,
    /// A worker is replaced at this age, or a little earlier; `None`: never.
    pub(crate) max_worker_lifetime: Option<Duration>,
}

/// An address to listen on. As text: `127.0.0.1:8000`, `[::1]:8000`, `unix:/run/app.sock`, `unix:@name`, `fd:3`, `systemd`,
/// `systemd:NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum Bind {
    /// TCP; port 0 lets the kernel choose.
    Tcp(SocketAddr),
    /// A unix stream socket at an absolute path.
    Unix(PathBuf),
    /// A unix stream socket with a name instead of a file (unix(7), "Abstract sockets").
    Abstract(String),
    /// A listening socket that whoever starts the server has opened; above 2.
    Descriptor(i32),
    /// All sockets that systemd has opened, or those of this name. Which these are is seen only when they are taken over.
    Systemd(Option<String>),
}

/// Which proxies are believed, and what of theirs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Proxies {
    /// `None`: the headers mean nothing to the server, and reach the application as they came.
    pub(crate) forwarded: Option<Forwarded>,
    /// Those whose connections begin with a PROXY protocol header; usually nobody.
    pub(crate) protocol: Vec<Peer>,
}

/// What proxies say in headers of each request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Forwarded {
    /// Those that are believed.
    pub(crate) allow: Vec<Peer>,
    /// What they are believed in; either [`ForwardedHeader::Forwarded`] alone or any of the others, never empty.
    pub(crate) headers: Vec<ForwardedHeader>,
}

/// The process manager and its bounds. Counts are at least 1 and every minimum is at most its maximum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mpm {
    /// Sizes itself from measured load, between these bounds.
    Adaptive {
        /// Workers kept even without load.
        min_workers: u32,
        /// Workers never exceeded.
        max_workers: u32,
        /// Threads each worker keeps.
        min_threads: u32,
        /// Threads no worker exceeds.
        max_threads: u32,
    },
    /// Apache's fixed thresholds, one connection per process.
    Prefork {
        /// Workers at the start.
        start_servers: u32,
        /// Fewer idle workers than this: fork.
        min_spare_servers: u32,
        /// More idle workers than this: retire one a second.
        max_spare_servers: u32,
        /// Workers never exceeded.
        max_request_workers: u32,
        /// A worker is replaced after this many connections; 0: never.
        max_connections_per_child: u64,
    },
    /// A fixed number of workers and threads.
    Static {
        /// Workers.
        workers: u32,
        /// Threads in each.
        threads: u32,
    },
    /// uWSGI's cheaper busyness, one connection per process.
    Busyness {
        /// What it shares with `Spare`.
        cheaper: Cheaper,
        /// Less busy than this many percent: fewer workers.
        busyness_min: u32,
        /// Busier than this many percent: more workers.
        busyness_max: u32,
    },
    /// uWSGI's cheaper spare, one connection per process.
    Spare {
        /// What it shares with `Busyness`.
        cheaper: Cheaper,
    },
    /// PHP-FPM's `pm = dynamic`, one connection per process.
    Dynamic {
        /// Workers never exceeded.
        max_workers: u32,
        /// Workers at the start.
        start_servers: u32,
        /// Fewer idle workers than this: fork.
        min_spare_servers: u32,
        /// More idle workers than this: retire one a second.
        max_spare_servers: u32,
    },
    /// PHP-FPM's `pm = ondemand`, one connection per process.
    Ondemand {
        /// Workers never exceeded.
        max_workers: u32,
        /// Who has been idle for longer may leave; serialised as seconds.
        #[serde(with = "quantity::seconds")]
        idle_timeout: Duration,
    },
    /// NGINX Unit's processes, one connection per process.
    Unit {
        /// Workers never exceeded.
        max_workers: u32,
        /// Workers kept idle; may be 0, at most `max_workers`.
        spare_processes: u32,
        /// Who has been idle for as long, beyond the spare ones, leaves; serialised as seconds.
        #[serde(with = "quantity::seconds")]
        idle_timeout: Duration,
    },
}

impl Mpm {
    /// Workers that are never exceeded.
    pub(crate) fn most_workers(&self) -> u32 {
        match *self {
            Mpm::Adaptive { max_workers, .. }
            | Mpm::Dynamic { max_workers, .. }
            | Mpm::Ondemand { max_workers, .. }
            | Mpm::Unit { max_workers, .. } => max_workers,
            Mpm::Prefork { max_request_workers, .. } => max_request_workers,
            Mpm::Static { workers, .. } => workers,
            Mpm::Busyness { cheaper, .. } | Mpm::Spare { cheaper } => cheaper.max_workers,
        }
    }

    /// Whether a worker has one connection at a time and one thread. So it is in Apache's prefork and in the servers whose
    /// process managers are there to compare with: who finds nobody free waits at the listener, where the next free worker
    /// takes it from, and never behind somebody else's call.
    pub(crate) fn one_connection_each(&self) -> bool {
        match self {
            Mpm::Adaptive { .. } | Mpm::Static { .. } => false,
            Mpm::Prefork { .. }
            | Mpm::Busyness { .. }
            | Mpm::Spare { .. }
            | Mpm::Dynamic { .. }
            | Mpm::Ondemand { .. }
            | Mpm::Unit { .. } => true,
        }
    }
}

/// What uWSGI's two algorithms have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cheaper {
    /// Workers kept even without load.
    pub(crate) min_workers: u32,
    /// Workers never exceeded.
    pub(crate) max_workers: u32,
    /// Workers at the start, between the two.
    pub(crate) start_servers: u32,
    /// Workers started at once.
    pub(crate) step: u32,
    /// Seconds after which something is done.
    pub(crate) overload: u32,
}

/// Where Python finds its modules.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Python {
    /// Absolute directory to change to before the application is imported.
    pub(crate) chdir: Option<PathBuf>,
    /// Absolute directories searched before all others.
    pub(crate) pythonpath: Vec<PathBuf>,
    /// Absolute directory of the virtual environment.
    pub(crate) venv: Option<PathBuf>,
}

/// How many background tasks there may be in each worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tasks {
    /// Running at once; at least 1.
    pub(crate) concurrency: u32,
    /// Waiting; at least 1.
    pub(crate) queue: u32,
}

/// Callables at moments of a worker's life.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hooks {
    /// In a new worker, before it serves.
    pub(crate) post_fork: Option<Hook>,
    /// In a worker that leaves, after its last request.
    pub(crate) worker_exit: Option<Hook>,
}

/// Files served beside the application.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Statics {
    /// Directories, each with a prefix of its own, absolute; there when they were looked at.
    pub(crate) mounts: Vec<Mount>,
    /// Seconds for which caches need not ask again; `None`: left to them.
    pub(crate) max_age: Option<u64>,
    /// Whether `FILE.br`, `FILE.zst` and `FILE.gz` stand for `FILE` where the client takes them.
    pub(crate) precompressed: bool,
    /// Whether symbolic links may lead out of their directory.
    pub(crate) follow_links: bool,
}

/// Sizes beyond which a request is refused, in bytes where not said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Limits {
    /// The request line.
    pub(crate) request_line: usize,
    /// Number of header fields.
    pub(crate) header_count: usize,
    /// The whole header block.
    pub(crate) header_bytes: usize,
    /// The body; `u64::MAX`: no limit.
    pub(crate) body: u64,
    /// What is kept of a body in memory; a longer one goes to a temporary file.
    pub(crate) body_memory: usize,
}

/// How long each step of a request may take. Serialised as seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Timeouts {
    /// From a head's first byte to its last.
    #[serde(with = "quantity::seconds")]
    pub(crate) head: Duration,
    /// Without a byte of an expected body.
    #[serde(with = "quantity::seconds")]
    pub(crate) body: Duration,
    /// Between two requests on one connection; zero closes after each response.
    #[serde(with = "quantity::seconds")]
    pub(crate) keep_alive: Duration,
    /// Without the client taking a byte of the response.
    #[serde(with = "quantity::seconds")]
    pub(crate) write: Duration,
    /// For requests under way when a worker retires or the server stops; then the worker is killed.
    #[serde(with = "quantity::seconds")]
    pub(crate) graceful: Duration,
    /// For one call of the application; `None`: as long as it likes.
    pub(crate) request: Option<Duration>,
}

/// Where the server can be watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Admin {
    /// TCP or a unix socket.
    pub(crate) bind: Bind,
    /// What clients have to know; never `None` where other machines can connect.
    pub(crate) token: Option<AdminToken>,
}

/// How and where requests are logged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AccessLog {
    /// A line's format.
    pub(crate) format: AccessFormat,
    /// Where lines go.
    pub(crate) target: LogTarget,
}

/// A format of access log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AccessFormat {
    /// Apache's Common Log Format.
    Common,
    /// Common, then the Referer and User-Agent headers.
    Combined,
    /// One JSON object per line.
    Json,
}

/// Where log lines go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogTarget {
    /// Standard output.
    Stdout,
    /// A file at an absolute path, appended to.
    File(PathBuf),
}

/// The least severe messages that are still logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogLevel {
    /// What went wrong.
    Error,
    /// What may go wrong.
    Warn,
    /// What the server does.
    Info,
    /// Why it does it.
    Debug,
}

/// How messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people
    Text,
    /// One JSON object per line
    Json,
}
