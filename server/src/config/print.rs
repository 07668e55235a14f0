//! A [`Config`] as the file that would ask for it: `--print-config`.

use std::time::Duration;

use super::admin::AdminSpec;
use super::error::{CliError, one_line};
use super::options::{AccessLogName, MpmName, Options};
use super::quantity::{Count, Mode, Size, Span, Switch};
use super::{AccessFormat, AccessLog, Bind, Cheaper, Config, LogTarget, Mpm};

/// Every option of `config` as a TOML file that `--config` takes back.
pub(super) fn to_toml(config: &Config) -> Result<String, CliError> {
    let body = toml::to_string(&options(config)).map_err(|error| CliError::Usage(one_line(&error.to_string())))?;
    Ok(format!("# smarthttpd {}: the configuration with every default filled in\n{body}", env!("CARGO_PKG_VERSION")))
}

/// The options that resolve to `config`.
fn options(config: &Config) -> Options {
    let mut options = Options {
        app: Some(config.app.clone()),
        chdir: config.python.chdir.clone(),
        pythonpath: Some(config.python.pythonpath.clone()),
        venv: config.python.venv.clone(),
        preload: Some(config.preload),
        rehearse: Some(config.rehearse.clone()),
        reload: Some(config.watch),
        reload_extra: Some(config.watch_extra.clone()),
        on_post_fork: config.hooks.post_fork.clone(),
        on_worker_exit: config.hooks.worker_exit.clone(),
        r#static: Some(config.statics.mounts.clone()),
        static_max_age: Some(
            config.statics.max_age.map_or(Switch::Off, |seconds| Switch::On(Span(Duration::from_secs(seconds)))),
        ),
        static_precompressed: Some(config.statics.precompressed),
        static_follow_links: Some(config.statics.follow_links),
        bind: Some(config.bind.iter().map(Bind::spec).collect()),
        backlog: Some(Count::nearest(config.backlog)),
        unix_socket_mode: config.unix_socket_mode.map(Mode),
        root_path: Some(config.root_path.clone()),
        forwarded_allow_ips: config.proxies.forwarded.as_ref().map(|forwarded| forwarded.allow.clone()),
        forwarded_headers: config.proxies.forwarded.as_ref().map(|forwarded| forwarded.headers.clone()),
        proxy_protocol_allow_ips: Some(config.proxies.protocol.clone()),
        max_requests: Some(config.max_requests.map_or(Switch::Off, Switch::On)),
        max_requests_jitter: Some(config.max_requests_jitter),
        tasks_concurrency: Some(config.tasks.map_or(Switch::Off, |tasks| Switch::On(tasks.concurrency))),
        tasks_queue: config.tasks.map(|tasks| Count::nearest(tasks.queue)),
        max_worker_rss: Some(config.max_worker_rss.map_or(Switch::Off, |bytes| Switch::On(Size(bytes)))),
        max_worker_lifetime: Some(config.max_worker_lifetime.map_or(Switch::Off, |age| Switch::On(Span(age)))),
        control_socket: match &config.control {
            _ if config.control_off => Some(Switch::Off),
            control => control.as_ref().map(|path| Switch::On(path.display().to_string())),
        },
        decision_log: Some(
            config.decision_log.as_ref().map_or(Switch::Off, |path| Switch::On(path.display().to_string())),
        ),
        limit_request_line: Some(Size(config.limits.request_line as u64)),
        limit_header_count: Some(Count::nearest(u32::try_from(config.limits.header_count).unwrap_or(u32::MAX))),
        limit_header_size: Some(Size(config.limits.header_bytes as u64)),
        limit_body: Some(match config.limits.body {
            u64::MAX => Switch::Off,
            bytes => Switch::On(Size(bytes)),
        }),
        body_memory: Some(Size(config.limits.body_memory as u64)),
        head_timeout: Some(Span(config.timeouts.head)),
        body_timeout: Some(Span(config.timeouts.body)),
        keep_alive_timeout: Some(Span(config.timeouts.keep_alive)),
        write_timeout: Some(Span(config.timeouts.write)),
        graceful_timeout: Some(Span(config.timeouts.graceful)),
        request_timeout: Some(config.timeouts.request.map_or(Switch::Off, |time| Switch::On(Span(time)))),
        log_level: Some(config.error_log),
        log_format: Some(config.log_format),
        admin: Some(config.admin.as_ref().map_or(Switch::Off, |admin| Switch::On(AdminSpec::of(&admin.bind)))),
        admin_token: config.admin.as_ref().and_then(|admin| admin.token.clone()),
        ..Options::default()
    };
    set_mpm(&mut options, &config.mpm);
    set_access_log(&mut options, config.access_log.as_ref());
    options
}

fn set_mpm(options: &mut Options, mpm: &Mpm) {
    let count = |number: &u32| Some(Count::nearest(*number));
    match mpm {
        Mpm::Adaptive { min_workers, max_workers, min_threads, max_threads } => {
            options.mpm = Some(MpmName::Adaptive);
            options.min_workers = count(min_workers);
            options.max_workers = count(max_workers);
            options.min_threads = count(min_threads);
            options.max_threads = count(max_threads);
        }
        Mpm::Prefork {
            start_servers,
            min_spare_servers,
            max_spare_servers,
            max_request_workers,
            max_connections_per_child,
        } => {
            options.mpm = Some(MpmName::Prefork);
            options.start_servers = count(start_servers);
            options.min_spare_servers = count(min_spare_servers);
            options.max_spare_servers = count(max_spare_servers);
            options.max_request_workers = count(max_request_workers);
            options.max_connections_per_child = Some(*max_connections_per_child);
        }
        Mpm::Static { workers, threads } => {
            options.mpm = Some(MpmName::Static);
            options.workers = count(workers);
            options.threads = count(threads);
        }
        Mpm::Busyness { cheaper, busyness_min, busyness_max } => {
            options.mpm = Some(MpmName::Busyness);
            set_cheaper(options, cheaper);
            options.busyness_min = count(busyness_min);
            options.busyness_max = count(busyness_max);
        }
        Mpm::Spare { cheaper } => {
            options.mpm = Some(MpmName::Spare);
            set_cheaper(options, cheaper);
        }
        Mpm::Dynamic { max_workers, start_servers, min_spare_servers, max_spare_servers } => {
            options.mpm = Some(MpmName::Dynamic);
            options.max_workers = count(max_workers);
            options.start_servers = count(start_servers);
            options.min_spare_servers = count(min_spare_servers);
            options.max_spare_servers = count(max_spare_servers);
        }
        Mpm::Ondemand { max_workers, idle_timeout } => {
            options.mpm = Some(MpmName::Ondemand);
            options.max_workers = count(max_workers);
            options.idle_timeout = Some(Span(*idle_timeout));
        }
        Mpm::Unit { max_workers, spare_processes, idle_timeout } => {
            options.mpm = Some(MpmName::Unit);
            options.max_workers = count(max_workers);
            options.spare_processes = Some(*spare_processes);
            options.idle_timeout = Some(Span(*idle_timeout));
        }
    }
}

fn set_cheaper(options: &mut Options, cheaper: &Cheaper) {
    let count = |number: u32| Some(Count::nearest(number));
    options.min_workers = count(cheaper.min_workers);
    options.max_workers = count(cheaper.max_workers);
    options.start_servers = count(cheaper.start_servers);
    options.cheaper_step = count(cheaper.step);
    options.cheaper_overload = count(cheaper.overload);
}

fn set_access_log(options: &mut Options, log: Option<&AccessLog>) {
    let Some(log) = log else {
        options.access_log = Some(AccessLogName::Off);
        return;
    };
    options.access_log = Some(match log.format {
        AccessFormat::Common => AccessLogName::Common,
        AccessFormat::Combined => AccessLogName::Combined,
        AccessFormat::Json => AccessLogName::Json,
    });
    options.access_log_file = Some(match &log.target {
        LogTarget::Stdout => "-".into(),
        LogTarget::File(path) => path.clone(),
    });
}
