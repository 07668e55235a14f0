//! From arguments, environment and file to a command, end to end.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::command::{Surroundings, parse_in};
use super::error::CliError;
use super::*;

mod complaints;
mod output;

/// A machine with a quota of one and a half CPUs and 1 GiB.
fn surroundings(variables: &[(&str, &str)]) -> Surroundings {
    Surroundings {
        variables: variables.iter().map(|(name, value)| ((*name).to_owned(), OsString::from(value))).collect(),
        machine: machine::Machine { cpus: 1.5, memory: 1 << 30 },
        pid: 7,
    }
}

fn command(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Command, CliError> {
    parse_in(["smarthttpd"].iter().chain(arguments).map(OsString::from), &surroundings(variables))
}

pub(super) fn config(arguments: &[&str], variables: &[(&str, &str)]) -> Config {
    match command(arguments, variables) {
        Ok(Command::Serve(config)) => *config,
        other => panic!("{arguments:?}: {other:?}"),
    }
}

fn printed(arguments: &[&str]) -> String {
    match command(arguments, &[]) {
        Ok(Command::Print(text)) => text,
        other => panic!("{arguments:?}: {other:?}"),
    }
}

fn complaint(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let error = command(arguments, variables).expect_err(&format!("{arguments:?} {variables:?}"));
    assert_eq!(error.exit(), Exit::Usage);
    let text = error.to_string();
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

/// A configuration file in a folder of its own.
fn file(text: &str) -> (tempfile::TempDir, String) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("server.toml");
    fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (place, path)
}

fn wsgi(module: &str, callable: &str) -> AppSource {
    AppSource::Wsgi { module: module.to_owned(), callable: callable.to_owned() }
}

#[test]
fn the_defaults_need_no_tuning() {
    let expected = Config {
        app: wsgi("app", "app"),
        bind: vec![Bind::Tcp("127.0.0.1:8000".parse().unwrap())],
        backlog: 2048,
        unix_socket_mode: None,
        root_path: RootPath::default(),
        proxies: Proxies::default(),
        // Four per CPU, of which there are two after rounding.
        mpm: Mpm::Adaptive { min_workers: 1, max_workers: 8, min_threads: 1, max_threads: 64 },
        python: Python::default(),
        preload: true,
        rehearse: Vec::new(),
        watch: false,
        watch_extra: Vec::new(),
        hooks: Hooks::default(),
        statics: Statics::default(),
        limits: Limits {
            request_line: 8190,
            header_count: 100,
            header_bytes: 65_536,
            body: 1 << 30,
            body_memory: 1 << 20,
        },
        timeouts: Timeouts {
            head: Duration::from_secs(10),
            body: Duration::from_secs(30),
            keep_alive: Duration::from_secs(65),
            write: Duration::from_secs(30),
            graceful: Duration::from_secs(30),
            request: None,
        },
        access_log: None,
        error_log: LogLevel::Info,
        log_format: LogFormat::Text,
        admin: None,
        control: None,
        control_off: false,
        decision_log: None,
        max_requests: None,
        max_requests_jitter: 0,
        tasks: Some(Tasks { concurrency: 1, queue: 1000 }),
        max_worker_rss: None,
        max_worker_lifetime: None,
    };
    assert_eq!(config(&["app:app"], &[]), expected);
}

#[test]
fn prefork_has_apaches_defaults() {
    let config = config(&["--mpm", "prefork", "app:app"], &[]);
    let expected = Mpm::Prefork {
        start_servers: 5,
        min_spare_servers: 5,
        max_spare_servers: 10,
        max_request_workers: 256,
        max_connections_per_child: 0,
    };
    assert_eq!(config.mpm, expected);
    assert_eq!(config.backlog, 511);
    assert_eq!(config.timeouts.keep_alive, Duration::from_secs(5));
}

#[test]
fn other_servers_process_managers_have_their_defaults() {
    let cheaper = Cheaper { min_workers: 1, max_workers: 256, start_servers: 1, step: 1, overload: 3 };
    let seconds = Duration::from_secs;
    let table: [(&[&str], Mpm); 8] = [
        (&["--mpm=busyness"], Mpm::Busyness { cheaper, busyness_min: 25, busyness_max: 50 }),
        (&["--mpm=spare"], Mpm::Spare { cheaper }),
        // uWSGI starts with its minimum.
        (
            &["--mpm=spare", "--min-workers=4"],
            Mpm::Spare { cheaper: Cheaper { min_workers: 4, start_servers: 4, ..cheaper } },
        ),
        (
            &["--mpm=dynamic"],
            Mpm::Dynamic { max_workers: 256, start_servers: 2, min_spare_servers: 1, max_spare_servers: 3 },
        ),
        (
            &["--mpm=dynamic", "--max-workers=2"],
            Mpm::Dynamic { max_workers: 2, start_servers: 1, min_spare_servers: 1, max_spare_servers: 2 },
        ),
        // PHP-FPM starts half-way.
        (
            &["--mpm=dynamic", "--min-spare-servers=5", "--max-spare-servers=10"],
            Mpm::Dynamic { max_workers: 256, start_servers: 7, min_spare_servers: 5, max_spare_servers: 10 },
        ),
        (&["--mpm=ondemand"], Mpm::Ondemand { max_workers: 256, idle_timeout: seconds(10) }),
        (&["--mpm=unit"], Mpm::Unit { max_workers: 256, spare_processes: 0, idle_timeout: seconds(15) }),
    ];
    for (arguments, expected) in table {
        let config = config(&[&["app:app"], arguments].concat(), &[]);
        assert_eq!(config.mpm, expected, "{arguments:?}");
        assert_eq!((config.backlog, config.timeouts.keep_alive), (2048, Duration::ZERO), "{arguments:?}");
    }
}

#[test]
fn every_spelling_of_the_application_arrives() {
    let table: [(&[&str], AppSource); 9] = [
        (&["app:app"], wsgi("app", "app")),
        (&["project.wsgi"], wsgi("project.wsgi", "app")),
        (&["--load", "module->callable"], wsgi("module", "callable")),
        (&["--load=module->callable"], wsgi("module", "callable")),
        (&["--lode:module->callable"], wsgi("module", "callable")),
        (&["--load:module->callable", "--backlog", "5"], wsgi("module", "callable")),
        (&["--app", "native:hello"], AppSource::Native { name: "hello".to_owned() }),
        (&["native:hello"], wsgi("native", "hello")),
        // Saying the same twice is no contradiction.
        (&["--load", "app->app", "app:app"], wsgi("app", "app")),
    ];
    for (arguments, expected) in table {
        assert_eq!(config(arguments, &[]).app, expected, "{arguments:?}");
    }
    assert_eq!(config(&["--backlog=5"], &[("SMARTHTTPD_APP", "shop:site")]).app, wsgi("shop", "site"));
    assert_eq!(config(&[], &[("SMARTHTTPD_APP", "shop:site")]).app, wsgi("shop", "site"), "no argument at all");
    assert_eq!(config(&["ctl:app"], &[]).app, wsgi("ctl", "app"), "a module named like the subcommand");
}

#[test]
fn a_flag_beats_the_environment_beats_the_file() {
    let (_place, path) = file("app = \"file:app\"\nbacklog = 1\nmin-workers = 1\nmax-workers = 100\nbind = \":1\"\n");
    let variables =
        [("SMARTHTTPD_CONFIG", path.as_str()), ("SMARTHTTPD_BACKLOG", "2"), ("SMARTHTTPD_MIN_WORKERS", "2")];
    let config = config(&["--min-workers", "3"], &variables);
    assert_eq!(config.app, wsgi("file", "app"));
    assert_eq!(config.backlog, 2);
    assert_eq!(config.mpm, Mpm::Adaptive { min_workers: 3, max_workers: 100, min_threads: 1, max_threads: 64 });
    assert_eq!(config.bind, [Bind::Tcp("0.0.0.0:1".parse().unwrap())]);
}

#[test]
fn lists_replace_each_other_and_take_several_forms() {
    let texts = |config: &Config| config.bind.iter().map(Bind::to_string).collect::<Vec<_>>();
    let (_place, path) = file("app = \"a:a\"\nbind = [\":1\", \":2\"]\n");
    assert_eq!(texts(&config(&["-c", &path], &[])), ["0.0.0.0:1", "0.0.0.0:2"]);
    assert_eq!(texts(&config(&["-c", &path], &[("SMARTHTTPD_BIND", ":3,unix:/s")])), ["0.0.0.0:3", "unix:/s"]);
    assert_eq!(texts(&config(&["-c", &path, "--bind", ":4", "-b", ":5"], &[])), ["0.0.0.0:4", "0.0.0.0:5"]);
    assert_eq!(texts(&config(&["a", "-b", ":0", "-b", ":0"], &[])), ["0.0.0.0:0", "0.0.0.0:0"], "two free ports");
}

#[test]
fn sockets_of_systemd_are_served_unless_other_addresses_are_given() {
    let bind = |arguments: &[&str], pid| {
        config(&[&["a"], arguments].concat(), &[("LISTEN_PID", pid), ("LISTEN_FDS", "1")]).bind
    };
    let address = Bind::Tcp("0.0.0.0:1".parse().unwrap());
    assert_eq!(bind(&[], "7"), [Bind::Systemd(None)]);
    assert_eq!(bind(&["-b", ":1,systemd"], "7"), [address.clone(), Bind::Systemd(None)]);
    assert_eq!(bind(&["-b", ":1"], "7"), [address]);
    // They are somebody else's.
    assert_eq!(bind(&[], "8"), [Bind::Tcp("127.0.0.1:8000".parse().unwrap())]);
    // Whether there are any is seen when they are taken over.
    assert_eq!(
        bind(&["-b", "systemd:web", "-b", "fd:5"], "8"),
        [Bind::Systemd(Some("web".to_owned())), Bind::Descriptor(5)]
    );
}

#[test]
fn zero_and_off_switch_off_what_can_be_off() {
    let config =
        config(&["a", "--limit-body=off", "--max-requests=0", "--control-socket=off", "--keep-alive-timeout=0"], &[]);
    let off = self::config(&["a", "--max-worker-rss=off", "--max-worker-lifetime=off", "--request-timeout=off"], &[]);
    assert_eq!((off.max_worker_rss, off.max_worker_lifetime, off.timeouts.request), (None, None, None));
    assert_eq!((config.limits.body, config.max_requests), (u64::MAX, None));
    assert_eq!((config.control, config.control_off), (None, true));
    assert_eq!(config.timeouts.keep_alive, Duration::ZERO);
}

#[test]
fn proxies_are_believed_in_what_they_usually_set() {
    let proxies = |arguments: &[&str]| config(&[&["a"], arguments].concat(), &[]).proxies;
    assert_eq!(proxies(&[]), Proxies::default());
    let allow = vec!["10.0.0.0/8".parse().unwrap(), Peer::Unix];
    let headers = vec![ForwardedHeader::XForwardedFor, ForwardedHeader::XForwardedProto];
    let expected = Forwarded { allow: allow.clone(), headers };
    assert_eq!(proxies(&["--forwarded-allow-ips=10.0.0.0/8,unix"]).forwarded, Some(expected));
    let expected = Forwarded { allow, headers: vec![ForwardedHeader::Forwarded] };
    let arguments = ["--forwarded-allow-ips", "10.0.0.0/8,unix", "--forwarded-headers", "forwarded"];
    assert_eq!(proxies(&arguments).forwarded, Some(expected));

    // In a file the headers may wait for somebody to allow. An empty list is a list: nobody.
    let (_place, path) = file("app = \"a:a\"\nforwarded-headers = \"forwarded\"\nproxy-protocol-allow-ips = []\n");
    assert_eq!(config(&["-c", &path], &[]).proxies, Proxies::default());
    let (_place, path) = file("app = \"a:a\"\nforwarded-allow-ips = []\nroot-path = \"/shop\"\n");
    let found = config(&["-c", &path], &[]);
    assert_eq!(found.proxies.forwarded.map(|forwarded| forwarded.allow), Some(vec![]));
    assert_eq!(found.root_path.as_str(), "/shop");
    assert_eq!(config(&["-c", &path, "--root-path="], &[]).root_path, RootPath::default());
}

#[test]
fn python_paths_become_absolute() {
    let place = tempfile::tempdir().unwrap();
    let here = place.path();
    fs::create_dir_all(here.join("venv/bin")).unwrap();
    fs::write(here.join("venv/bin/python"), "").unwrap();
    let (chdir, venv) = (here.to_str().unwrap(), here.join("venv"));
    let arguments = ["a", "--chdir", chdir, "--pythonpath", "lib:/opt/lib"];
    let expected = Python {
        chdir: Some(here.to_path_buf()),
        pythonpath: vec![here.join("lib"), PathBuf::from("/opt/lib")],
        venv: Some(venv.clone()),
    };
    assert_eq!(config(&arguments, &[("VIRTUAL_ENV", venv.to_str().unwrap())]).python, expected);
    // What Python would need is no concern of an application without Python.
    let native = config(&["--app", "native:hello"], &[("VIRTUAL_ENV", "/nowhere")]);
    assert_eq!(native.python, Python::default());
}

#[test]
fn directories_of_static_files_start_at_chdir() {
    let place = tempfile::tempdir().unwrap();
    let here = place.path();
    fs::create_dir_all(here.join("assets")).unwrap();
    let (_file, path) = file("app = \"a:a\"\nstatic = [\"/static/=assets\", \"/=.\"]\nstatic-max-age = 90\n");
    let mount = |prefix: &str, directory: PathBuf| Mount { prefix: prefix.to_owned(), directory };
    let expected = Statics {
        mounts: vec![mount("/static", here.join("assets")), mount("/", here.to_path_buf())],
        max_age: Some(90),
        precompressed: false,
        follow_links: false,
    };
    let chdir = here.to_str().unwrap();
    assert_eq!(config(&["-c", &path, "--chdir", chdir], &[]).statics, expected);
    // A native application has no use for --chdir otherwise.
    assert_eq!(config(&["-c", &path, "--chdir", chdir, "--app=native:hello"], &[]).statics, expected);
    let variables = [("SMARTHTTPD_STATIC", "/a=assets,/b=/"), ("SMARTHTTPD_STATIC_MAX_AGE", "off")];
    let statics = config(&["-c", &path, "--chdir", chdir], &variables).statics;
    assert_eq!(statics.mounts, [mount("/a", here.join("assets")), mount("/b", "/".into())], "lists replace each other");
    assert_eq!(statics.max_age, None);
}

#[test]
fn what_only_this_machine_reaches_needs_no_token() {
    let admin = |arguments: &[&str]| config(&[&["a"], arguments].concat(), &[]).admin;
    let place =
        |address: &str, token: Option<AdminToken>| Some(Admin { bind: Bind::Tcp(address.parse().unwrap()), token });
    assert_eq!(admin(&["--admin=9000"]), place("127.0.0.1:9000", None));
    assert_eq!(admin(&["--admin=[::1]:0"]), place("[::1]:0", None));
    let literal = AdminToken::Literal("t".to_owned());
    assert_eq!(admin(&["--admin=:9000", "--admin-token=t"]), place("0.0.0.0:9000", Some(literal)));
    let file = AdminToken::File("/run/t".into());
    assert_eq!(admin(&["--admin=9000", "--admin-token=@/run/t"]), place("127.0.0.1:9000", Some(file)));
    assert_eq!(admin(&["--admin=unix:/a"]), Some(Admin { bind: Bind::Unix("/a".into()), token: None }));
    // A file's port, and its token, may wait for somebody to want them.
    let (_place, path) = file_of_admin();
    assert_eq!(admin(&["-c", &path]), place("127.0.0.1:9000", Some(AdminToken::Literal("t".to_owned()))));
    assert_eq!(admin(&["-c", &path, "--admin=off"]), None);
}

fn file_of_admin() -> (tempfile::TempDir, String) {
    file("admin = 9000\nadmin-token = \"t\"\n")
}
