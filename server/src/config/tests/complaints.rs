//! What is wrong is said in one line that names the culprit.

use super::*;

#[test]
fn wrong_arguments_get_one_line_that_names_them() {
    let list = "(smarthttpd --help lists the options)";
    let table: [(&[&str], String); 72] = [
        (&["--backlog", "5"], "no application given; add MODULE:CALLABLE, e.g. smarthttpd app:app".into()),
        (&["--worker", "3"], format!("unexpected argument '--worker' found; a similar argument exists: '--workers' {list}")),
        (&["a", "b"], format!("unexpected argument 'b' found {list}")),
        (&["a", "--load", "b"], "MODULE:CALLABLE says a:app, but --load says b:app; one server serves one application".into()),
        (&["--app=native:hello", "--lode:b"], "--load says b:app, but --app says native:hello; one server serves one application".into()),
        (&["my-app"], "MODULE:CALLABLE: 'my-app' is not a module name; give MODULE:CALLABLE, e.g. app:app or project.wsgi:application".into()),
        (&["a", "--bind", "80"], "--bind: '80' is not an address; give HOST:PORT, [IPV6]:PORT, :PORT, unix:PATH, systemd or fd:N, e.g. 127.0.0.1:8000".into()),
        (&["a", "-b", ":1", "-b", ":1"], "--bind: 0.0.0.0:1 is given twice; leave one out".into()),
        (&["a", "--backlog"], "--backlog: needs a value".into()),
        (&["a", "--backlog", "0"], "--backlog: '0' is not a whole number from 1 to 65536".into()),
        (&["a", "--mpm", "worker"], "--mpm: 'worker' is not a value it takes; it takes adaptive, prefork, static, busyness, spare, dynamic, ondemand, unit".into()),
        (&["a", "--workers", "3"], "--workers: belongs to --mpm static, but the default is adaptive; choose --mpm static or leave it out".into()),
        (&["a", "--mpm=adaptive", "--workers=3"], "--workers: belongs to --mpm static, but it is adaptive; choose --mpm static or leave it out".into()),
        (&["a", "--mpm=static", "--min-threads=3"], "--min-threads: belongs to --mpm adaptive, but it is static; choose --mpm adaptive or leave it out".into()),
        (&["a", "--mpm=static", "--start-servers=3"], "--start-servers: belongs to --mpm prefork, dynamic, busyness or spare, but it is static; choose one of them or leave it out".into()),
        (&["a", "--busyness-max=90"], "--busyness-max: belongs to --mpm busyness, but the default is adaptive; choose --mpm busyness or leave it out".into()),
        (&["a", "--mpm=dynamic", "--idle-timeout=3"], "--idle-timeout: belongs to --mpm ondemand or unit, but it is dynamic; choose one of them or leave it out".into()),
        (&["a", "--mpm=ondemand", "--min-workers=3"], "--min-workers: belongs to --mpm adaptive, busyness or spare, but it is ondemand; choose one of them or leave it out".into()),
        (&["a", "--mpm=busyness", "--busyness-max=101"], "--busyness-max: 101 is no percentage; give at most 100".into()),
        (&["a", "--mpm=busyness", "--busyness-max=30", "--busyness-min=40"], "--busyness-max: 30 must be at least the 40 of --busyness-min; change either".into()),
        (&["a", "--mpm=spare", "--min-workers=3", "--start-servers=2"], "--start-servers: 2 must be at least the 3 of --min-workers; change either".into()),
        (&["a", "--mpm=spare", "--max-workers=3", "--start-servers=4"], "--start-servers: 4 is more than the 3 there may be; change either".into()),
        (&["a", "--mpm=dynamic", "--start-servers=4"], "--start-servers: 4 is more than the 3 there may be; change either".into()),
        (&["a", "--mpm=dynamic", "--max-workers=4", "--max-spare-servers=5"], "--max-spare-servers: more than the 4 of --max-workers can't be idle; change either".into()),
        (&["a", "--mpm=dynamic", "--max-workers=4", "--min-spare-servers=5"], "--min-spare-servers: more than the 4 of --max-workers can't be idle; change either".into()),
        (&["a", "--mpm=unit", "--max-workers=4", "--spare-processes=5"], "--spare-processes: more than the 4 of --max-workers can't be idle; change either".into()),
        (&["a", "--min-workers=9", "--max-workers=3"], "--max-workers: 3 must be at least the 9 of --min-workers; change either".into()),
        (&["a", "--mpm=prefork", "--min-spare-servers=5", "--max-spare-servers=5"], "--max-spare-servers: 5 must be more than the 5 of --min-spare-servers; change either".into()),
        (&["a", "--mpm=prefork", "--max-spare-servers=1"], "--max-spare-servers: must be at least 2".into()),
        (&["a", "--head-timeout", "0"], "--head-timeout: 0 would cut every connection; give a time, e.g. 30s".into()),
        (&["a", "--head-timeout", "soon"], "--head-timeout: 'soon' is not a duration; give seconds or a number with ms, s, m or h, e.g. 500ms, 30s, 2m".into()),
        (&["a", "--request-timeout", "0"], "--request-timeout: 0 leaves no time at all; give a time, e.g. 60s, or off".into()),
        (&["a", "--max-worker-lifetime", "0s"], "--max-worker-lifetime: 0 leaves no time at all; give a time, e.g. 6h, or off".into()),
        (&["a", "--max-worker-rss", "0"], "--max-worker-rss: no worker gets by with 0; give a size, e.g. 512m, or off".into()),
        (&["a", "--limit-header-size", "0"], "--limit-header-size: 0 would refuse every request; give a size, e.g. 64k".into()),
        (&["a", "--limit-body", "big"], "--limit-body: 'big' is not a size; give bytes or a number with k, m or g (powers of 1024), e.g. 64k, 10m".into()),
        (&["a", "--root-path", "shop"], "--root-path: 'shop' does not begin with a slash; give a path such as /shop".into()),
        (&["a", "--forwarded-allow-ips", "proxy"], "--forwarded-allow-ips: 'proxy' is not a peer; give an address, a network such as 10.0.0.0/8, unix, or *".into()),
        (&["a", "--proxy-protocol-allow-ips", "*,10.0.0.1/8"], "--proxy-protocol-allow-ips: '10.0.0.1/8' has bits set beyond its prefix; give 10.0.0.0/8, or the address alone".into()),
        (&["a", "--admin=:9000"], "--admin: 0.0.0.0:9000 can be reached from other machines; give an --admin-token as well, or a port alone, which is 127.0.0.1's".into()),
        (&["a", "--admin=systemd"], "--admin: 'systemd' is no address of an admin page; give a port, HOST:PORT or unix:PATH, e.g. 9000, or off".into()),
        (&["a", "--admin-token=t"], "--admin-token: means nothing without --admin; give that an address as well".into()),
        (&["a", "--admin=1", "--admin-token=two words"], "--admin-token: a token is made of visible ASCII characters without blanks; give one, or @FILE that has one".into()),
        (&["a", "--forwarded-headers", "x-forwarded-proto"], "--forwarded-headers: means nothing without --forwarded-allow-ips; say whose headers to believe".into()),
        (&["a", "--forwarded-allow-ips=*", "--forwarded-headers=via"], "--forwarded-headers: 'via' is not a value it takes; it takes forwarded, x-forwarded-for, x-forwarded-proto, x-forwarded-host, x-forwarded-port, x-forwarded-prefix".into()),
        (&["a", "--forwarded-allow-ips=*", "--forwarded-headers="], "--forwarded-headers: needs a value; it takes forwarded, x-forwarded-for, x-forwarded-proto, x-forwarded-host, x-forwarded-port, x-forwarded-prefix".into()),
        (&["a", "--forwarded-allow-ips=*", "--forwarded-headers=forwarded,x-forwarded-for"], "--forwarded-headers: forwarded goes with no other header; name the kind that the proxies set".into()),
        (&["a", "--reload", "--reload-extra", "/nowhere"], "--reload-extra: /nowhere does not exist; name a file or a folder".into()),
        (&["a", "--reload-extra", "/"], "--reload-extra: means nothing without --reload; give that as well".into()),
        (&["a", "--on-post-fork", "seed"], "--on-post-fork: 'seed' names no callable; give MODULE:CALLABLE, e.g. shop.db:engine.dispose".into()),
        (&["--app=native:hello", "--on-worker-exit", "a:b"], "--on-worker-exit: there is no Python beside a native application; leave it out".into()),
        (&["a", "--rehearse", "health"], "--rehearse: 'health' does not begin with a slash; give a path such as /health".into()),
        (&["--app=native:hello", "--rehearse=/"], "--rehearse: a native application has nothing to rehearse; leave it out".into()),
        (&["a", "--chdir", "/nowhere"], "--chdir: /nowhere is not a directory".into()),
        (&["a", "--venv", "/nowhere"], "--venv: /nowhere is not a virtual environment (it has no bin/python)".into()),
        (&["a", "--static", "/static"], "--static: '/static' has no directory; give /PREFIX=DIR, e.g. /static=public".into()),
        (&["a", "--static", "static=/"], "--static: the prefix 'static' does not begin with a slash; give /PREFIX=DIR, e.g. /static=public".into()),
        (&["a", "--static", "/s=/nowhere"], "--static: /nowhere is not a directory; give one for /s, or leave it out".into()),
        (&["a", "--static", "/s=/", "--static", "/s/=/tmp"], "--static: /s is given twice; leave one out".into()),
        (&["a", "--static-max-age", "1h"], "--static-max-age: belongs to --static, and there is none; give --static /PREFIX=DIR as well".into()),
        (&["a", "--tasks-concurrency=1000"], "--tasks-concurrency: 1000 is more than 256, and each may take a thread; give a smaller number".into()),
        (&["a", "--tasks-concurrency=2", "--mpm=prefork"], "--tasks-concurrency: a worker with one thread does one thing at a time, be it a request or a task; leave it out, or allow more threads".into()),
        (&["a", "--tasks-concurrency=2", "--mpm=static", "--threads=1"], "--tasks-concurrency: a worker with one thread does one thing at a time, be it a request or a task; leave it out, or allow more threads".into()),
        (&["a", "--tasks-concurrency=off", "--tasks-queue=5"], "--tasks-queue: means nothing while --tasks-concurrency is off; leave out either".into()),
        (&["a", "--tasks-queue=0"], "--tasks-queue: '0' is not a whole number from 1 to 65536".into()),
        (&["--config", "/nowhere.toml"], "--config: /nowhere.toml: No such file or directory (os error 2); give a readable TOML file".into()),
        (&["--backlog=5", "ctl", "status"], "`smarthttpd ctl` takes none of the server's options (smarthttpd ctl --help lists its own)".into()),
        (&["ctl", "dance"], "unrecognized subcommand 'dance' (smarthttpd --help lists the options)".into()),
        (&["ctl"], "ctl: say what to do, e.g. status (smarthttpd ctl --help lists it)".into()),
        (&["ctl", "scale", "0"], "N: '0' is not a whole number from 1 to 65536".into()),
        (&["ctl", "scale", "--max", "many"], "--max: 'many' is not a whole number from 1 to 65536".into()),
        (&["ctl", "reload", "--timeout", "soon"], "--timeout: 'soon' is not a duration; give seconds or a number with ms, s, m or h, e.g. 500ms, 30s, 2m".into()),
    ];
    for (arguments, expected) in table {
        assert_eq!(complaint(arguments, &[]), expected, "{arguments:?}");
    }
}

#[test]
fn a_wrong_variable_is_named() {
    let table = [
        (("SMARTHTTPD_BACKLOG", "many"), "SMARTHTTPD_BACKLOG: 'many' is not a whole number from 1 to 65536"),
        (
            ("SMARTHTTPD_MPM", "x"),
            "SMARTHTTPD_MPM: 'x' is not a value it takes; it takes adaptive, prefork, static, busyness, spare, dynamic, ondemand, unit",
        ),
        (("SMARTHTTPD_PRELOAD", "maybe"), "SMARTHTTPD_PRELOAD: 'maybe' is not a value it takes; it takes true, false"),
        (
            ("SMARTHTTPD_HEAD_TIMEOUT", "0"),
            "SMARTHTTPD_HEAD_TIMEOUT: 0 would cut every connection; give a time, e.g. 30s",
        ),
        (("SMARTHTTPD_CHDIR", "/nowhere"), "SMARTHTTPD_CHDIR: /nowhere is not a directory"),
        (
            ("SMARTHTTPD_MAX_WORKERS", "2"),
            "SMARTHTTPD_MAX_WORKERS: 2 must be at least the 4 of --min-workers; change either",
        ),
        (("VIRTUAL_ENV", "/nowhere"), "VIRTUAL_ENV: /nowhere is not a virtual environment (it has no bin/python)"),
        (
            ("SMARTHTTPD_CONFIG", "/nowhere.toml"),
            "SMARTHTTPD_CONFIG: /nowhere.toml: No such file or directory (os error 2); give a readable TOML file",
        ),
        // A value is never taken for a flag of its own.
        (
            ("SMARTHTTPD_BIND", "--help"),
            "SMARTHTTPD_BIND: '--help' is not an address; give HOST:PORT, [IPV6]:PORT, :PORT, unix:PATH, systemd or fd:N, e.g. 127.0.0.1:8000",
        ),
    ];
    for (variable, expected) in table {
        assert_eq!(complaint(&["a", "--min-workers", "4"], &[variable]), expected);
    }
    // Kubernetes makes such a one for a service named "smarthttpd"; an empty one is as good as none.
    let variables = [("SMARTHTTPD_PORT_8000_TCP", "tcp://10.0.0.1:8000"), ("SMARTHTTPD_MPM", "")];
    assert_eq!(config(&["app:app"], &variables), config(&["app:app"], &[]));
}

#[test]
fn a_conflict_inside_the_file_names_its_line() {
    let (_place, path) = file("app = \"a:a\"\n\nmin-workers = 5\nmax-workers = 2\n");
    let expected = format!("{path}:4: max-workers: 2 must be at least the 5 of {path}:3: min-workers; change either");
    assert_eq!(complaint(&["-c", &path], &[]), expected);
}

#[test]
fn without_arguments_a_short_help_appears() {
    let error = command(&[], &[]).unwrap_err();
    assert_eq!(error.exit(), Exit::Usage);
    let text = error.to_string();
    assert!(text.starts_with("no application given\n\nUsage: smarthttpd [OPTIONS] MODULE:CALLABLE\n"), "{text}");
    assert!(text.lines().count() <= 8, "{text}");
}
