//! The one table of options. Each field is an option of the command line (`--min-workers`), a variable of the
//! environment (`SMARTHTTPD_MIN_WORKERS`) and a key of the configuration file (`min-workers`), with the same values
//! everywhere: all three names follow from the field's name, so none can be forgotten.
//!
//! Every field is optional here. Defaults are filled in by `resolve`; the ones that the help names in brackets are the
//! constants below.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use super::admin::{AdminSpec, AdminToken};
use super::app::AppSource;
use super::bind::BindSpec;
use super::hook::Hook;
use super::mount::Mount;
use super::peer::Peer;
use super::quantity::{Count, Mode, Size, Span, Switch, one_or_many};
use super::rehearsal::Rehearsal;
use super::root_path::RootPath;
use super::{LogFormat, LogLevel};

const BINDING: &str = "Binding";
const PROXIES: &str = "Behind a proxy";
const PROCESSES: &str = "Process management";
const APPLICATION: &str = "Application";
const TASKS: &str = "Background tasks";
const STATICS: &str = "Static files";
const LIMITS: &str = "Limits and timeouts";
const LOGGING: &str = "Logging";
const WATCHING: &str = "Watching";
/// Heading of the options that say where options come from.
pub(super) const CONFIGURATION: &str = "Configuration";

/// Options as typed. A `None` was not given.
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct Options {
    /// What to serve: MODULE:CALLABLE, or native:hello, which answers without Python (a ceiling to compare against)
    #[arg(long, value_name = "APP", help_heading = APPLICATION)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) app: Option<AppSource>,
    /// Directory to change to before the application is imported [default: the current one]
    #[arg(long, value_name = "DIR", help_heading = APPLICATION)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) chdir: Option<PathBuf>,
    /// Directories searched for modules before all others, separated by colons; relative ones start at --chdir
    #[arg(long, value_name = "DIRS", value_delimiter = ':', help_heading = APPLICATION)]
    #[serde(deserialize_with = "one_or_many", skip_serializing_if = "Option::is_none")]
    pub(crate) pythonpath: Option<Vec<PathBuf>>,
    /// Virtual environment to run in [default: $VIRTUAL_ENV]
    #[arg(long, value_name = "DIR", help_heading = APPLICATION)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) venv: Option<PathBuf>,
    /// Import the application once and fork the workers from there [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true,
          overrides_with = "no_preload", help_heading = APPLICATION)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) preload: Option<bool>,
    /// Paths that the application answers some times before the workers are forked, so that what its first requests set up is
    /// shared and the workers are fast at once; the user agent is smarthttpd-rehearsal; may be repeated
    #[arg(long, value_name = "PATH", value_delimiter = ',', help_heading = APPLICATION)]
    #[serde(deserialize_with = "one_or_many", skip_serializing_if = "Option::is_none")]
    pub(crate) rehearse: Option<Vec<Rehearsal>>,

    /// For development: reload when a file of the application changes; broken code is told, and the old one goes on
    /// [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true,
          help_heading = APPLICATION)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reload: Option<bool>,
    /// Files, and folders with all that is in them, whose change reloads as well; relative ones start at --chdir; may be
    /// repeated
    #[arg(long, value_name = "PATH", value_delimiter = ',', help_heading = APPLICATION)]
    #[serde(deserialize_with = "one_or_many", skip_serializing_if = "Option::is_none")]
    pub(crate) reload_extra: Option<Vec<PathBuf>>,
    /// Call this in each new worker before it serves, without arguments, e.g. shop.db:engine.dispose; a worker in which it
    /// raises does not start
    #[arg(long, value_name = "MODULE:CALLABLE", help_heading = APPLICATION)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) on_post_fork: Option<Hook>,
    /// Call this in each worker that leaves, after its last request, without arguments
    #[arg(long, value_name = "MODULE:CALLABLE", help_heading = APPLICATION)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) on_worker_exit: Option<Hook>,

    /// Address to listen on: HOST:PORT (IPv6 in brackets; all of it takes IPv4 as well), :PORT (every IPv4 address), unix:PATH
    /// (unix:@NAME without a file), systemd (all sockets of its unit) or systemd:NAME, fd:N (a descriptor passed
    /// otherwise); port 0 takes a free one; may be repeated [default: systemd if it has passed sockets, else 127.0.0.1:8000]
    #[arg(short, long, value_name = "ADDRESS", value_delimiter = ',', help_heading = BINDING)]
    #[serde(deserialize_with = "one_or_many", skip_serializing_if = "Option::is_none")]
    pub(crate) bind: Option<Vec<BindSpec>>,
    /// Connections that may wait to be accepted, per address [default: 2048; prefork: 511]
    #[arg(long, value_name = "N", help_heading = BINDING)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) backlog: Option<Count>,
    /// Permissions of the files of unix sockets, in octal, e.g. 660 [default: what the umask leaves]
    #[arg(long, value_name = "MODE", help_heading = BINDING)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unix_socket_mode: Option<Mode>,
    /// Path below which the application is seen from outside, e.g. /shop: its SCRIPT_NAME, taken off the path of a request
    /// that has it (a proxy may have done so)
    #[arg(long, value_name = "PATH", help_heading = PROXIES)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) root_path: Option<RootPath>,
    /// Proxies whose --forwarded-headers are believed: addresses, networks, unix (whoever connects to a unix socket), or *
    /// (whoever connects); from others these headers are dropped [default: not looked at, left to the application]
    #[arg(long, value_name = "PEERS", value_delimiter = ',', help_heading = PROXIES)]
    #[serde(deserialize_with = "one_or_many", skip_serializing_if = "Option::is_none")]
    pub(crate) forwarded_allow_ips: Option<Vec<Peer>>,
    /// Headers that every believed proxy sets anew or appends to, so that no client can: forwarded alone, or any of
    /// x-forwarded-for, -proto, -host, -port, -prefix [default: x-forwarded-for,x-forwarded-proto]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', hide_possible_values = true, help_heading = PROXIES)]
    #[serde(deserialize_with = "one_or_many", skip_serializing_if = "Option::is_none")]
    pub(crate) forwarded_headers: Option<Vec<ForwardedHeader>>,
    /// Proxies whose connections have to begin with a PROXY protocol header (version 1 or 2), as in --forwarded-allow-ips
    /// [default: nobody]
    #[arg(long, value_name = "PEERS", value_delimiter = ',', help_heading = PROXIES)]
    #[serde(deserialize_with = "one_or_many", skip_serializing_if = "Option::is_none")]
    pub(crate) proxy_protocol_allow_ips: Option<Vec<Peer>>,

    /// How the number of workers is managed [default: adaptive]
    #[arg(long, value_name = "MPM", help_heading = PROCESSES)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mpm: Option<MpmName>,
    /// adaptive, busyness, spare: workers kept even without load (uWSGI's cheaper) [default: 1]
    #[arg(long, value_name = "N", help_heading = PROCESSES)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) min_workers: Option<Count>,
    /// adaptive and those of other servers: workers never exceeded (uWSGI's workers, PHP-FPM's pm.max_children, Unit's max)
    /// [default: four per available CPU, at least 8; all but adaptive: 256]
    #[arg(long, value_name = "N", help_heading = PROCESSES)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_workers: Option<Count>,
    /// adaptive: threads each worker keeps [default: 1]
    #[arg(long, value_name = "N", help_heading = PROCESSES)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) min_threads: Option<Count>,
    /// adaptive: threads no worker exceeds [default: 64]
    #[arg(long, value_name = "N", help_heading = PROCESSES)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_threads: Option<Count>,
    /// prefork, dynamic, busyness, spare: workers at the start (uWSGI's cheaper-initial) [default: 5; dynamic: between its
    /// spare ones; busyness, spare: --min-workers]
    #[arg(long, value_name = "N", help_heading = PROCESSES)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) start_servers: Option<Count>,
    /// prefork, dynamic: fork when fewer workers than this are idle [default: 5; dynamic: 1]
    #[arg(long, value_name = "N", help_heading = PROCESSES)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) min_spare_servers: Option<Count>,
    /// prefork, dynamic: retire one worker a second while more than this are idle [default: 10; dynamic: 3]
    #[arg(long, value_name = "N", help_heading = PROCESSES)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_spare_servers: Option<Count>,
    /// prefork: workers never exceeded [default: 256]
    #[arg(long, value_name = "N", help_heading = PROCESSES)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_request_workers: Option<Count>,
    /// prefork: replace a worker after this many connections; 0 is never [default: 0]
    #[arg(long, value_name = "N", help_heading = PROCESSES)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_connections_per_child: Option<u64>,
    /// busyness, spare: workers started at once (uWSGI's cheaper-step) [default: 1]
    #[arg(long, value_name = "N", help_heading = PROCESSES)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cheaper_step: Option<Count>,
    /// busyness: seconds over which busyness is measured; spare: seconds for which all have to be busy, or several idle
    /// (uWSGI's cheaper-overload) [default: 3]
    #[arg(long, value_name = "SECONDS", help_heading = PROCESSES)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cheaper_overload: Option<Count>,
    /// busyness: with less than this many percent, fewer workers (uWSGI's cheaper-busyness-min) [default: 25]
    #[arg(long, value_name = "PERCENT", help_heading = PROCESSES)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) busyness_min: Option<Count>,
    /// busyness: with more than this many percent, more workers (uWSGI's cheaper-busyness-max) [default: 50]
    #[arg(long, value_name = "PERCENT", help_heading = PROCESSES)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) busyness_max: Option<Count>,
    /// ondemand, unit: time after which an idle worker leaves (PHP-FPM's pm.process_idle_timeout, Unit's idle_timeout)
    /// [default: 10s; unit: 15s]
    #[arg(long, value_name = "TIME", help_heading = PROCESSES)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) idle_timeout: Option<Span>,
    /// unit: workers kept idle (Unit's spare) [default: 0]
    #[arg(long, value_name = "N", help_heading = PROCESSES)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) spare_processes: Option<u32>,
    /// static: number of workers [default: one per available CPU]
    #[arg(short, long, value_name = "N", help_heading = PROCESSES)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) workers: Option<Count>,
    /// static: threads in each worker [default: 8]
    #[arg(long, value_name = "N", help_heading = PROCESSES)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) threads: Option<Count>,
    /// Replace a worker after this many requests, or off [default: off]
    #[arg(long, value_name = "N", help_heading = PROCESSES)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_requests: Option<Switch<u64>>,
    /// Each worker adds a random number up to this one to --max-requests, so that they don't all leave at once
    /// [default: 0]
    #[arg(long, value_name = "N", help_heading = PROCESSES)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_requests_jitter: Option<u64>,
    /// Replace a worker whose resident memory exceeds this, or off [default: off]
    #[arg(long, value_name = "SIZE", help_heading = PROCESSES)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_worker_rss: Option<Switch<Size>>,
    /// Replace a worker at this age, or up to a tenth earlier, so that they don't all leave at once; or off [default: off]
    #[arg(long, value_name = "TIME", help_heading = PROCESSES)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_worker_lifetime: Option<Switch<Span>>,
    /// Socket through which `smarthttpd ctl` asks, or off [default: PID.sock in $XDG_RUNTIME_DIR/smarthttpd, else in
    /// /tmp/smarthttpd-UID]
    #[arg(long, value_name = "PATH", help_heading = PROCESSES)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) control_socket: Option<Switch<String>>,
    /// Write down everything that the process manager is told and decides, as lines of JSON, from which each decision can
    /// be recomputed; some 10 kB a second, or off [default: off]
    #[arg(long, value_name = "PATH", help_heading = PROCESSES)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) decision_log: Option<Switch<String>>,

    /// Background tasks that each worker runs at once, beside requests; off (or 0) takes none [default: 1]
    #[arg(long, value_name = "N", help_heading = TASKS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tasks_concurrency: Option<Switch<u32>>,
    /// Background tasks that may wait in each worker [default: 1000]
    #[arg(long, value_name = "N", help_heading = TASKS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tasks_queue: Option<Count>,

    /// Serve the files below a directory, which wins over the application where it has one; a relative DIR starts at
    /// --chdir; may be repeated
    #[arg(long, value_name = "/PREFIX=DIR", value_delimiter = ',', help_heading = STATICS)]
    #[serde(deserialize_with = "one_or_many", skip_serializing_if = "Option::is_none")]
    pub(crate) r#static: Option<Vec<Mount>>,
    /// Time for which caches need not ask for a file again, or off [default: off]
    #[arg(long, value_name = "TIME", help_heading = STATICS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) static_max_age: Option<Switch<Span>>,
    /// Send FILE.br, FILE.zst or FILE.gz in place of FILE to clients that take it [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true,
          help_heading = STATICS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) static_precompressed: Option<bool>,
    /// Follow symbolic links that lead out of their directory [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true,
          help_heading = STATICS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) static_follow_links: Option<bool>,

    /// Longest request line [default: 8190]
    #[arg(long, value_name = "SIZE", help_heading = LIMITS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limit_request_line: Option<Size>,
    /// Most header fields of a request [default: 100]
    #[arg(long, value_name = "N", help_heading = LIMITS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limit_header_count: Option<Count>,
    /// Largest header block of a request [default: 64k]
    #[arg(long, value_name = "SIZE", help_heading = LIMITS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limit_header_size: Option<Size>,
    /// Largest request body, or off [default: 1g]
    #[arg(long, value_name = "SIZE", help_heading = LIMITS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limit_body: Option<Switch<Size>>,
    /// Request bodies up to this size stay in memory, longer ones go to a temporary file [default: 1m]
    #[arg(long, value_name = "SIZE", help_heading = LIMITS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) body_memory: Option<Size>,
    /// Time a client has for a request's head [default: 10s]
    #[arg(long, value_name = "TIME", help_heading = LIMITS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) head_timeout: Option<Span>,
    /// Time a client may pause within a request's body [default: 30s]
    #[arg(long, value_name = "TIME", help_heading = LIMITS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) body_timeout: Option<Span>,
    /// Time an idle connection stays open; 0 closes it after each response [default: 65s; prefork: 5s; busyness,
    /// spare, dynamic, ondemand, unit: 0]
    #[arg(long, value_name = "TIME", help_heading = LIMITS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) keep_alive_timeout: Option<Span>,
    /// Time a client may pause while it takes a response [default: 30s]
    #[arg(long, value_name = "TIME", help_heading = LIMITS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) write_timeout: Option<Span>,
    /// Time that requests under way have when a worker retires or the server stops [default: 30s]
    #[arg(long, value_name = "TIME", help_heading = LIMITS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) graceful_timeout: Option<Span>,
    /// Time the application has for one request, not counting that in which it waits for the client; then the client gets
    /// a 504 or a cut response, the stack is logged and the worker is replaced; or off [default: off]
    #[arg(long, value_name = "TIME", help_heading = LIMITS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request_timeout: Option<Switch<Span>>,

    /// Log each request in this format, or not [default: off; combined if there is an --access-log-file]
    #[arg(long, value_name = "FORMAT", help_heading = LOGGING)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) access_log: Option<AccessLogName>,
    /// File the requests are logged to; `-` is standard output [default: -]
    #[arg(long, value_name = "PATH", help_heading = LOGGING)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) access_log_file: Option<PathBuf>,
    /// The least severe messages that go to standard error [default: info]
    #[arg(long, value_name = "LEVEL", help_heading = LOGGING)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) log_level: Option<LogLevel>,
    /// How they are written: for people, or one JSON object per line [default: text]
    #[arg(long, value_name = "FORMAT", help_heading = LOGGING)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) log_format: Option<LogFormat>,

    /// Address of the live page, /metrics, /status and /healthz: a port (of 127.0.0.1), HOST:PORT, unix:PATH, or off; one
    /// that other machines reach needs an --admin-token [default: off]
    #[arg(long, value_name = "ADDRESS", help_heading = WATCHING)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) admin: Option<Switch<AdminSpec>>,
    /// What clients of --admin have to send (Authorization: Bearer TOKEN) to see more than /healthz: the token, or
    /// @FILE that has it, which no list of processes shows [default: none]
    #[arg(long, value_name = "TOKEN", help_heading = WATCHING)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) admin_token: Option<AdminToken>,
}

/// Names of the process managers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MpmName {
    /// Sizes itself from measured load
    Adaptive,
    /// Apache's fixed thresholds, one connection per process
    Prefork,
    /// A fixed number of workers and threads
    Static,
    /// uWSGI's cheaper busyness, one connection per process, to compare with
    Busyness,
    /// uWSGI's cheaper spare, one connection per process, to compare with
    Spare,
    /// PHP-FPM's pm = dynamic, one connection per process, to compare with
    Dynamic,
    /// PHP-FPM's pm = ondemand, one connection per process, to compare with
    Ondemand,
    /// NGINX Unit's processes, one connection per process, to compare with
    Unit,
}

impl MpmName {
    /// As typed.
    pub(crate) fn name(self) -> &'static str {
        match self {
            MpmName::Adaptive => "adaptive",
            MpmName::Prefork => "prefork",
            MpmName::Static => "static",
            MpmName::Busyness => "busyness",
            MpmName::Spare => "spare",
            MpmName::Dynamic => "dynamic",
            MpmName::Ondemand => "ondemand",
            MpmName::Unit => "unit",
        }
    }

    /// The process managers that an option means something to; empty: all of them.
    pub(crate) fn owners(option: &str) -> &'static [MpmName] {
        use MpmName::{Adaptive, Busyness, Dynamic, Ondemand, Prefork, Spare, Static, Unit};
        match option {
            "min-threads" | "max-threads" => &[Adaptive],
            "min-workers" => &[Adaptive, Busyness, Spare],
            "max-workers" => &[Adaptive, Busyness, Spare, Dynamic, Ondemand, Unit],
            "start-servers" => &[Prefork, Dynamic, Busyness, Spare],
            "min-spare-servers" | "max-spare-servers" => &[Prefork, Dynamic],
            "max-request-workers" | "max-connections-per-child" => &[Prefork],
            "workers" | "threads" => &[Static],
            "cheaper-step" | "cheaper-overload" => &[Busyness, Spare],
            "busyness-min" | "busyness-max" => &[Busyness],
            "idle-timeout" => &[Ondemand, Unit],
            "spare-processes" => &[Unit],
            _ => &[],
        }
    }
}

/// What `--access-log` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AccessLogName {
    /// Apache's Common Log Format
    Common,
    /// Common, then the Referer and User-Agent headers
    Combined,
    /// One JSON object per line
    Json,
    /// No access log
    Off,
}

/// A header in which proxies say whom they speak for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ForwardedHeader {
    /// RFC 7239: all of it in one header
    Forwarded,
    /// The client's address
    XForwardedFor,
    /// http or https
    XForwardedProto,
    /// What the client had in Host
    XForwardedHost,
    /// The port that the client connected to
    XForwardedPort,
    /// The start of the path that the proxy has taken off
    XForwardedPrefix,
}

impl ForwardedHeader {
    /// In lower case, as typed.
    pub(crate) fn name(self) -> &'static str {
        match self {
            ForwardedHeader::Forwarded => "forwarded",
            ForwardedHeader::XForwardedFor => "x-forwarded-for",
            ForwardedHeader::XForwardedProto => "x-forwarded-proto",
            ForwardedHeader::XForwardedHost => "x-forwarded-host",
            ForwardedHeader::XForwardedPort => "x-forwarded-port",
            ForwardedHeader::XForwardedPrefix => "x-forwarded-prefix",
        }
    }
}

impl FromStr for ForwardedHeader {
    type Err = String;

    fn from_str(text: &str) -> Result<ForwardedHeader, String> {
        let known = ForwardedHeader::value_variants().iter().find(|header| header.name() == text);
        known.copied().ok_or_else(|| {
            let names: Vec<_> = ForwardedHeader::value_variants().iter().map(|header| header.name()).collect();
            format!("'{text}' is not a value it takes; it takes {}", names.join(", "))
        })
    }
}
