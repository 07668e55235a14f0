//! From settings to a [`Config`]: fills in the defaults and checks what only several values together can get wrong.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::app::AppSource;
use super::comparators;
use super::error::CliError;
use super::layers::{Origin, Settings};
use super::machine::Machine;
use super::options::{AccessLogName, ForwardedHeader, MpmName, Options};
use super::quantity::{Count, Mode, Size, Span, Switch};
use super::rehearsal::Rehearsal;
use super::{
    AccessFormat, AccessLog, Admin, AdminToken, Bind, Config, Forwarded, Hooks, Limits, LogFormat, LogLevel, LogTarget,
    Mount, Mpm, Proxies, Python, Statics, Tasks, Timeouts,
};

const DEFAULT_BIND: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8000);
/// Apache's ListenBacklog.
const PREFORK_BACKLOG: u32 = 511;
const DEFAULT_BACKLOG: u32 = 2048;
/// What nearly every proxy sets itself. It passes on what a client sent in the other ones unless told otherwise.
const DEFAULT_FORWARDED: [ForwardedHeader; 2] = [ForwardedHeader::XForwardedFor, ForwardedHeader::XForwardedProto];
/// Fewer than this would starve an application that waits for others, whatever the CPUs.
const LEAST_MAX_WORKERS: u32 = 8;
const MAX_WORKERS_PER_CPU: u32 = 4;
/// More than wait anywhere unless tasks don't keep up: then the application is to learn of it before memory runs out.
const DEFAULT_TASKS_QUEUE: u32 = 1000;
/// More threads than this are a slip of the keyboard.
const MAX_TASKS: u32 = 256;
/// Apache's KeepAliveTimeout: an idle connection holds a whole process.
const PREFORK_KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Longer than the 60 s after which common load balancers drop an idle connection, so that it is they who close it.
const DEFAULT_KEEP_ALIVE: Duration = Duration::from_secs(65);

/// The configuration that `settings` ask for on this machine. `is_activated`: systemd has opened sockets for this process.
pub(super) fn resolve(
    settings: &Settings,
    machine: &Machine,
    virtual_env: Option<&OsString>,
    is_activated: bool,
) -> Result<Config, CliError> {
    let options = settings.options()?;
    let app = options.app.clone().ok_or(CliError::NoApplication)?;
    let mpm_name = options.mpm.unwrap_or(MpmName::Adaptive);
    refuse_others_options(settings, mpm_name)?;
    let (default_backlog, default_keep_alive) = match mpm_name {
        MpmName::Prefork => (PREFORK_BACKLOG, PREFORK_KEEP_ALIVE),
        MpmName::Adaptive | MpmName::Static => (DEFAULT_BACKLOG, DEFAULT_KEEP_ALIVE),
        // A connection is a request, as at uWSGI's http-socket and between a web server and PHP-FPM.
        MpmName::Busyness | MpmName::Spare | MpmName::Dynamic | MpmName::Ondemand | MpmName::Unit => {
            (DEFAULT_BACKLOG, Duration::ZERO)
        }
    };
    let (control, control_off) = match &options.control_socket {
        None => (None, false),
        Some(Switch::Off) => (None, true),
        Some(Switch::On(path)) => (Some(absolute(Path::new(path))), false),
    };
    let mpm = match mpm_name {
        MpmName::Adaptive => adaptive(settings, &options, machine)?,
        MpmName::Prefork => prefork(settings, &options)?,
        MpmName::Static => Mpm::Static {
            workers: options.workers.map_or_else(|| machine.whole_cpus(), Count::get),
            threads: options.threads.map_or(8, Count::get),
        },
        MpmName::Busyness => comparators::busyness(settings, &options)?,
        MpmName::Spare => comparators::spare(settings, &options)?,
        MpmName::Dynamic => comparators::dynamic(settings, &options)?,
        MpmName::Ondemand => comparators::ondemand(&options),
        MpmName::Unit => comparators::unit(settings, &options)?,
    };
    Ok(Config {
        bind: bind(settings, &options, is_activated)?,
        backlog: options.backlog.map_or(default_backlog, Count::get),
        unix_socket_mode: options.unix_socket_mode.map(|Mode(mode)| mode),
        root_path: options.root_path.clone().unwrap_or_default(),
        proxies: proxies(settings, &options)?,
        python: python(settings, &options, &app, virtual_env)?,
        preload: options.preload.unwrap_or(true),
        rehearse: rehearse(settings, &options, &app)?,
        watch: options.reload.unwrap_or(false),
        watch_extra: watch_extra(settings, &options)?,
        hooks: hooks(settings, &options, &app)?,
        statics: statics(settings, &options)?,
        limits: limits(settings, &options)?,
        timeouts: timeouts(settings, &options, default_keep_alive)?,
        access_log: access_log(&options),
        error_log: options.log_level.unwrap_or(LogLevel::Info),
        log_format: options.log_format.unwrap_or(LogFormat::Text),
        admin: admin(settings, &options)?,
        control,
        control_off,
        decision_log: match &options.decision_log {
            None | Some(Switch::Off) => None,
            Some(Switch::On(path)) => Some(absolute(Path::new(path))),
        },
        max_requests: match options.max_requests {
            None | Some(Switch::Off | Switch::On(0)) => None,
            Some(Switch::On(requests)) => Some(requests),
        },
        max_requests_jitter: options.max_requests_jitter.unwrap_or(0),
        tasks: tasks(settings, &options, &mpm)?,
        mpm,
        max_worker_rss: match options.max_worker_rss {
            None | Some(Switch::Off) => None,
            Some(Switch::On(Size(0))) => {
                return Err(blame(
                    settings,
                    "max-worker-rss",
                    "no worker gets by with 0; give a size, e.g. 512m, or off",
                ));
            }
            Some(Switch::On(Size(bytes))) => Some(bytes),
        },
        max_worker_lifetime: limited_time(settings, "max-worker-lifetime", options.max_worker_lifetime.as_ref(), "6h")?,
        app,
    })
}

/// Blames whoever gave `option`. A default is never wrong, so there is somebody; the flag is named if there isn't.
pub(super) fn blame(
    settings: &Settings,
    option: &str,
    problem: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> CliError {
    let origin = settings.origin(option).cloned().unwrap_or_else(|| Origin::Flag(format!("--{option}")));
    CliError::Setting { origin, problem: problem.into() }
}

/// On the command line an option that will not be used is a misunderstanding. In a file or the environment it may wait
/// for another `--mpm`.
fn refuse_others_options(settings: &Settings, mpm: MpmName) -> Result<(), CliError> {
    for option in settings.flags() {
        let owners = MpmName::owners(option);
        if !owners.is_empty() && !owners.contains(&mpm) {
            let said = if settings.origin("mpm").is_some() { "it is" } else { "the default is" };
            let names: Vec<_> = owners.iter().map(|owner| owner.name()).collect();
            let (theirs, choice) = match names.as_slice() {
                [first @ .., last] if !first.is_empty() => {
                    (format!("{} or {last}", first.join(", ")), "one of them".to_owned())
                }
                names => (names.concat(), format!("--mpm {}", names.concat())),
            };
            let mpm = mpm.name();
            let problem = format!("belongs to --mpm {theirs}, but {said} {mpm}; choose {choice} or leave it out");
            return Err(blame(settings, option, problem));
        }
    }
    Ok(())
}

fn bind(settings: &Settings, options: &Options, is_activated: bool) -> Result<Vec<Bind>, CliError> {
    let mut binds = Vec::new();
    for spec in options.bind.iter().flatten() {
        let bind = spec.resolve().map_err(|error| blame(settings, "bind", error))?;
        let any_port = matches!(bind, Bind::Tcp(address) if address.port() == 0);
        if binds.contains(&bind) && !any_port {
            return Err(blame(settings, "bind", format!("{bind} is given twice; leave one out")));
        }
        binds.push(bind);
    }
    if options.bind.is_none() {
        binds.push(if is_activated { Bind::Systemd(None) } else { Bind::Tcp(DEFAULT_BIND) });
    } else if binds.is_empty() {
        return Err(blame(settings, "bind", "the list is empty; give an address, e.g. 127.0.0.1:8000"));
    }
    Ok(binds)
}

fn proxies(settings: &Settings, options: &Options) -> Result<Proxies, CliError> {
    let name = "forwarded-headers";
    let headers = match &options.forwarded_headers {
        None => DEFAULT_FORWARDED.to_vec(),
        Some(headers) if headers.is_empty() => {
            return Err(blame(settings, name, "the list is empty; name a header, e.g. x-forwarded-for"));
        }
        // Two ways to say the same can contradict each other, and a proxy that sets one passes the other one on.
        Some(headers) if headers.len() > 1 && headers.contains(&ForwardedHeader::Forwarded) => {
            return Err(blame(
                settings,
                name,
                "forwarded goes with no other header; name the kind that the proxies set",
            ));
        }
        Some(headers) => headers.clone(),
    };
    if options.forwarded_allow_ips.is_none() && settings.flags().any(|flag| flag == name) {
        return Err(blame(settings, name, "means nothing without --forwarded-allow-ips; say whose headers to believe"));
    }
    Ok(Proxies {
        forwarded: options.forwarded_allow_ips.clone().map(|allow| Forwarded { allow, headers }),
        protocol: options.proxy_protocol_allow_ips.clone().unwrap_or_default(),
    })
}

/// A minimum and a maximum, of which a default gives way to the other one's given value.
pub(super) struct Bounds<'a> {
    pub(super) low: (&'a str, Option<Count>, u32),
    pub(super) high: (&'a str, Option<Count>, u32),
    /// How much the maximum is above the minimum at least.
    pub(super) gap: u32,
}

impl Bounds<'_> {
    pub(super) fn resolve(&self, settings: &Settings) -> Result<(u32, u32), CliError> {
        let (low_name, low, low_default) = self.low;
        let (high_name, high, high_default) = self.high;
        match (low.map(Count::get), high.map(Count::get)) {
            (Some(low), Some(high)) if high < low + self.gap => {
                let than = if self.gap == 0 { "at least" } else { "more than" };
                let low_origin = settings.origin(low_name).map(Origin::to_string).unwrap_or_default();
                Err(blame(
                    settings,
                    high_name,
                    format!("{high} must be {than} the {low} of {low_origin}; change either"),
                ))
            }
            (Some(low), Some(high)) => Ok((low, high)),
            (Some(low), None) => Ok((low, high_default.max(low + self.gap))),
            (None, Some(high)) => {
                let low = high.saturating_sub(self.gap).min(low_default);
                if low == 0 {
                    return Err(blame(settings, high_name, format!("must be at least {}", 1 + self.gap)));
                }
                Ok((low, high))
            }
            (None, None) => Ok((low_default, high_default)),
        }
    }
}

fn adaptive(settings: &Settings, options: &Options, machine: &Machine) -> Result<Mpm, CliError> {
    let by_cpus = machine.whole_cpus().saturating_mul(MAX_WORKERS_PER_CPU).max(LEAST_MAX_WORKERS);
    let (min_workers, max_workers) = Bounds {
        low: ("min-workers", options.min_workers, 1),
        high: ("max-workers", options.max_workers, Count::nearest(by_cpus).get()),
        gap: 0,
    }
    .resolve(settings)?;
    let (min_threads, max_threads) =
        Bounds { low: ("min-threads", options.min_threads, 1), high: ("max-threads", options.max_threads, 64), gap: 0 }
            .resolve(settings)?;
    Ok(Mpm::Adaptive { min_workers, max_workers, min_threads, max_threads })
}

/// Apache's defaults. MaxSpareServers must exceed MinSpareServers: Apache raises it silently, we say so.
fn prefork(settings: &Settings, options: &Options) -> Result<Mpm, CliError> {
    let (min_spare_servers, max_spare_servers) = Bounds {
        low: ("min-spare-servers", options.min_spare_servers, 5),
        high: ("max-spare-servers", options.max_spare_servers, 10),
        gap: 1,
    }
    .resolve(settings)?;
    let (start_servers, max_request_workers) = Bounds {
        low: ("start-servers", options.start_servers, 5),
        high: ("max-request-workers", options.max_request_workers, 256),
        gap: 0,
    }
    .resolve(settings)?;
    Ok(Mpm::Prefork {
        start_servers,
        min_spare_servers,
        max_spare_servers,
        max_request_workers,
        max_connections_per_child: options.max_connections_per_child.unwrap_or(0),
    })
}

fn python(
    settings: &Settings,
    options: &Options,
    app: &AppSource,
    virtual_env: Option<&OsString>,
) -> Result<Python, CliError> {
    if let AppSource::Native { .. } = app {
        return Ok(Python::default());
    }
    let chdir = options.chdir.as_deref().map(absolute);
    if let Some(directory) = chdir.as_deref().filter(|directory| !directory.is_dir()) {
        return Err(blame(settings, "chdir", format!("{} is not a directory", directory.display())));
    }
    let from_variable = virtual_env.filter(|path| !path.is_empty());
    let (venv, origin) = match (&options.venv, from_variable) {
        (Some(given), _) => (Some(absolute(given)), settings.origin("venv").cloned()),
        (None, Some(active)) => (Some(absolute(Path::new(active))), Some(Origin::Variable("VIRTUAL_ENV".to_owned()))),
        (None, None) => (None, None),
    };
    if let (Some(venv), Some(origin)) = (&venv, origin)
        && !venv.join("bin/python").exists()
    {
        let problem = format!("{} is not a virtual environment (it has no bin/python)", venv.display());
        return Err(CliError::Setting { origin, problem: problem.into() });
    }
    let from = chdir.clone().unwrap_or_default();
    let pythonpath = options.pythonpath.iter().flatten().map(|directory| absolute(&from.join(directory))).collect();
    Ok(Python { chdir, pythonpath, venv })
}

fn watch_extra(settings: &Settings, options: &Options) -> Result<Vec<PathBuf>, CliError> {
    let from = options.chdir.as_deref().map(absolute).unwrap_or_default();
    let given: Vec<PathBuf> = options.reload_extra.iter().flatten().map(|path| absolute(&from.join(path))).collect();
    if let Some(path) = given.iter().find(|path| !path.exists()) {
        return Err(blame(
            settings,
            "reload-extra",
            format!("{} does not exist; name a file or a folder", path.display()),
        ));
    }
    if !given.is_empty() && options.reload != Some(true) && settings.flags().any(|flag| flag == "reload-extra") {
        return Err(blame(settings, "reload-extra", "means nothing without --reload; give that as well"));
    }
    Ok(given)
}

fn hooks(settings: &Settings, options: &Options, app: &AppSource) -> Result<Hooks, CliError> {
    let (post_fork, worker_exit) = (options.on_post_fork.clone(), options.on_worker_exit.clone());
    let given = [("on-post-fork", &post_fork), ("on-worker-exit", &worker_exit)];
    match (app, given.iter().find(|(_, hook)| hook.is_some())) {
        (AppSource::Native { .. }, Some((name, _))) => {
            Err(blame(settings, name, "there is no Python beside a native application; leave it out"))
        }
        _ => Ok(Hooks { post_fork, worker_exit }),
    }
}

fn rehearse(settings: &Settings, options: &Options, app: &AppSource) -> Result<Vec<Rehearsal>, CliError> {
    let paths = options.rehearse.clone().unwrap_or_default();
    if matches!(app, AppSource::Native { .. }) && !paths.is_empty() {
        return Err(blame(settings, "rehearse", "a native application has nothing to rehearse; leave it out"));
    }
    Ok(paths)
}

fn statics(settings: &Settings, options: &Options) -> Result<Statics, CliError> {
    let from = options.chdir.as_deref().map(absolute).unwrap_or_default();
    let mut mounts: Vec<Mount> = Vec::new();
    for given in options.r#static.iter().flatten() {
        let Mount { prefix, .. } = given;
        if mounts.iter().any(|mount| mount.prefix == *prefix) {
            return Err(blame(settings, "static", format!("{prefix} is given twice; leave one out")));
        }
        let directory = absolute(&given.below(&from));
        if !directory.is_dir() {
            let problem = format!("{} is not a directory; give one for {prefix}, or leave it out", directory.display());
            return Err(blame(settings, "static", problem));
        }
        mounts.push(Mount { prefix: prefix.clone(), directory });
    }
    let unused = settings.flags().find(|option| option.starts_with("static-"));
    if let Some(option) = unused.filter(|_| mounts.is_empty()) {
        return Err(blame(
            settings,
            option,
            "belongs to --static, and there is none; give --static /PREFIX=DIR as well",
        ));
    }
    Ok(Statics {
        mounts,
        max_age: match options.static_max_age {
            None | Some(Switch::Off) => None,
            Some(Switch::On(Span(age))) => Some(age.as_secs()),
        },
        precompressed: options.static_precompressed.unwrap_or(false),
        follow_links: options.static_follow_links.unwrap_or(false),
    })
}

fn tasks(settings: &Settings, options: &Options, mpm: &Mpm) -> Result<Option<Tasks>, CliError> {
    let concurrency = match options.tasks_concurrency {
        None => 1,
        Some(Switch::Off | Switch::On(0)) => 0,
        Some(Switch::On(count)) if count > MAX_TASKS => {
            let problem =
                format!("{count} is more than {MAX_TASKS}, and each may take a thread; give a smaller number");
            return Err(blame(settings, "tasks-concurrency", problem));
        }
        Some(Switch::On(count)) => count,
    };
    let one_at_a_time = match mpm {
        Mpm::Adaptive { max_threads: threads, .. } | Mpm::Static { threads, .. } => *threads == 1,
        Mpm::Prefork { .. }
        | Mpm::Busyness { .. }
        | Mpm::Spare { .. }
        | Mpm::Dynamic { .. }
        | Mpm::Ondemand { .. }
        | Mpm::Unit { .. } => true,
    };
    if one_at_a_time && concurrency > 1 && settings.flags().any(|flag| flag == "tasks-concurrency") {
        let problem = "a worker with one thread does one thing at a time, be it a request or a task; leave it out, or allow \
                       more threads";
        return Err(blame(settings, "tasks-concurrency", problem));
    }
    if concurrency == 0 && settings.flags().any(|flag| flag == "tasks-queue") {
        let problem = "means nothing while --tasks-concurrency is off; leave out either";
        return Err(blame(settings, "tasks-queue", problem));
    }
    let queue = options.tasks_queue.map_or(DEFAULT_TASKS_QUEUE, Count::get);
    Ok((concurrency > 0).then_some(Tasks { concurrency, queue }))
}

/// As seen from the directory we were started in. Fails only where there is no such directory any more: then the path
/// stays as it is.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

fn limits(settings: &Settings, options: &Options) -> Result<Limits, CliError> {
    let size = |name: &str, given: Option<Size>, default: u64| match given {
        Some(Size(0)) => Err(blame(settings, name, "0 would refuse every request; give a size, e.g. 64k")),
        given => Ok(usize::try_from(given.map_or(default, |Size(bytes)| bytes)).unwrap_or(usize::MAX)),
    };
    Ok(Limits {
        // Apache's LimitRequestLine.
        request_line: size("limit-request-line", options.limit_request_line, 8190)?,
        header_count: options.limit_header_count.map_or(100, |count| count.get() as usize),
        header_bytes: size("limit-header-size", options.limit_header_size, 64 << 10)?,
        body: match options.limit_body {
            None => 1 << 30,
            Some(Switch::Off) => u64::MAX,
            Some(Switch::On(Size(bytes))) => bytes,
        },
        // 0 is a choice: everything to the file.
        body_memory: options.body_memory.map_or(1 << 20, |Size(bytes)| usize::try_from(bytes).unwrap_or(usize::MAX)),
    })
}

fn timeouts(settings: &Settings, options: &Options, keep_alive: Duration) -> Result<Timeouts, CliError> {
    let positive = |name: &str, given: Option<Span>, default: u64| match given {
        Some(Span(Duration::ZERO)) => Err(blame(settings, name, "0 would cut every connection; give a time, e.g. 30s")),
        given => Ok(given.map_or(Duration::from_secs(default), |Span(duration)| duration)),
    };
    Ok(Timeouts {
        head: positive("head-timeout", options.head_timeout, 10)?,
        body: positive("body-timeout", options.body_timeout, 30)?,
        keep_alive: options.keep_alive_timeout.map_or(keep_alive, |Span(duration)| duration),
        write: positive("write-timeout", options.write_timeout, 30)?,
        // 0 is a choice: don't wait.
        graceful: options.graceful_timeout.map_or(Duration::from_secs(30), |Span(duration)| duration),
        request: limited_time(settings, "request-timeout", options.request_timeout.as_ref(), "60s")?,
    })
}

/// A time that may be off, which it is by default; never 0. `example` goes into the complaint.
fn limited_time(
    settings: &Settings,
    name: &str,
    given: Option<&Switch<Span>>,
    example: &str,
) -> Result<Option<Duration>, CliError> {
    match given {
        None | Some(Switch::Off) => Ok(None),
        Some(Switch::On(Span(Duration::ZERO))) => {
            Err(blame(settings, name, format!("0 leaves no time at all; give a time, e.g. {example}, or off")))
        }
        Some(Switch::On(Span(time))) => Ok(Some(*time)),
    }
}

fn access_log(options: &Options) -> Option<AccessLog> {
    let format = match (options.access_log, &options.access_log_file) {
        (Some(AccessLogName::Off), _) | (None, None) => return None,
        (Some(AccessLogName::Common), _) => AccessFormat::Common,
        (Some(AccessLogName::Combined), _) | (None, Some(_)) => AccessFormat::Combined,
        (Some(AccessLogName::Json), _) => AccessFormat::Json,
    };
    let target = match &options.access_log_file {
        Some(path) if path.as_os_str() != "-" => LogTarget::File(absolute(path)),
        _ => LogTarget::Stdout,
    };
    Some(AccessLog { format, target })
}

fn admin(settings: &Settings, options: &Options) -> Result<Option<Admin>, CliError> {
    let Some(Switch::On(spec)) = &options.admin else {
        return match settings.flags().find(|option| *option == "admin-token") {
            Some(option) => Err(blame(settings, option, "means nothing without --admin; give that an address as well")),
            None => Ok(None),
        };
    };
    let bind = spec.resolve().map_err(|error| blame(settings, "admin", error))?;
    let token = options.admin_token.clone().map(|token| match token {
        AdminToken::File(path) => AdminToken::File(absolute(&path)),
        literal @ AdminToken::Literal(_) => literal,
    });
    match bind {
        Bind::Tcp(address) if !address.ip().is_loopback() && token.is_none() => {
            let problem = format!(
                "{address} can be reached from other machines; give an --admin-token as well, or a port alone, which is \
                 127.0.0.1's"
            );
            Err(blame(settings, "admin", problem))
        }
        bind => Ok(Some(Admin { bind, token })),
    }
}
