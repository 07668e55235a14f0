//! What is printed instead of served: configuration, help, version, completions.

use super::*;

#[test]
fn the_printed_configuration_is_read_back() {
    let place = tempfile::tempdir().unwrap();
    let chdir = place.path().to_str().unwrap();
    let mount = format!("/static={chdir}");
    let table: [&[&str]; 22] = [
        &["app:app"],
        &["--app", "native:hello", "--control-socket", "/run/c.sock"],
        &["native:hello", "--mpm=prefork", "--max-connections-per-child=7", "--no-preload"],
        &["a", "--mpm=static", "--workers=3", "--control-socket=off", "--limit-body=off", "--write-timeout=2m"],
        &[
            "a",
            "-b",
            "[::1]:80,unix:/s,unix:@s,fd:3,systemd",
            "--unix-socket-mode=660",
            "--access-log=json",
            "--access-log-file=/l",
            "--log-level=debug",
        ],
        &[
            "a",
            "--static",
            &mount,
            "--static=/=/",
            "--static-max-age=1h",
            "--static-precompressed",
            "--static-follow-links",
        ],
        &["a", "--root-path=/shop", "--forwarded-allow-ips=*,10.0.0.0/8", "--proxy-protocol-allow-ips=unix,::1"],
        &["a", "--reload", "--reload-extra=/,/tmp"],
        &["a", "--rehearse=/,/search?q=a", "--no-preload"],
        &["a", "--on-post-fork=random:seed", "--on-worker-exit=a.db:pool.close"],
        &["a", "--admin=:0", "--admin-token=@/run/t", "--log-format=json"],
        &["a", "--chdir", chdir, "--pythonpath=a:b", "--max-requests=9", "--head-timeout=1.5"],
        &["a", "--tasks-concurrency=4", "--tasks-queue=9"],
        &["a", "--tasks-concurrency=off"],
        &["a", "--mpm=busyness", "--cheaper-step=4", "--cheaper-overload=1", "--busyness-min=10", "--busyness-max=90"],
        &["a", "--mpm=spare", "--min-workers=2", "--max-workers=64", "--start-servers=5"],
        &["a", "--mpm=dynamic"],
        &["a", "--mpm=dynamic", "--start-servers=9", "--min-spare-servers=8", "--max-spare-servers=9"],
        &["a", "--mpm=ondemand", "--idle-timeout=1500ms", "--max-workers=9"],
        &["a", "--mpm=unit"],
        &["a", "--mpm=unit", "--spare-processes=2", "--idle-timeout=3s"],
        &["a", "--max-worker-rss=200m", "--max-worker-lifetime=90m", "--request-timeout=2.5", "--decision-log=/l"],
    ];
    for arguments in table {
        let asked = config(arguments, &[]);
        let text = printed(&[arguments, &["--print-config"]].concat());
        let (_file_place, path) = file(&text);
        assert_eq!(config(&["--config", &path], &[]), asked, "{text}");
    }
}

#[test]
fn the_configuration_survives_its_way_to_another_process() {
    let arguments = [
        "a",
        "--head-timeout=123ms",
        "-b",
        "unix:/s",
        "--limit-body=off",
        "--request-timeout=1.5",
        "--max-worker-lifetime=6h",
    ];
    for arguments in
        [&arguments[..], &["--app=native:hello", "--mpm=prefork"], &["a", "--access-log=json", "--mpm=static"]]
    {
        let config = config(arguments, &[]);
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<Config>(&json).unwrap(), config, "{json}");
    }
    let json = serde_json::to_value(config(&arguments, &[])).unwrap();
    assert_eq!(json["timeouts"]["head"], 0.123, "seconds");
}

#[test]
fn what_is_not_serving_is_printed() {
    assert_eq!(printed(&["app:app", "--check-config"]), "configuration ok\n");
    assert_eq!(
        complaint(&["app:app", "--check-config", "--chdir=/nowhere"], &[]),
        "--chdir: /nowhere is not a directory"
    );
    assert_eq!(printed(&["--version"]), format!("smarthttpd {}\n", env!("CARGO_PKG_VERSION")));
    for shell in ["bash", "zsh", "fish"] {
        let script = printed(&["--completions", shell]);
        assert!(script.contains("max-request-workers") && script.contains("ctl"), "{shell}");
    }
}

#[test]
fn help_shows_the_groups_the_codes_and_fits_a_terminal() {
    let help = printed(&["--help"]);
    let headings = [
        "Application:",
        "Binding:",
        "Behind a proxy:",
        "Process management:",
        "Background tasks:",
        "Limits and timeouts:",
        "Logging:",
        "Watching:",
        "Configuration:",
    ];
    for expected in headings.iter().chain(&["Usage: smarthttpd [OPTIONS] MODULE:CALLABLE", "Examples:", "Exit codes:"])
    {
        assert!(help.lines().any(|line| line == *expected), "{expected} in {help}");
    }
    assert!(!help.contains("__template"));
    assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
    for exit in [Exit::Ok, Exit::Failure, Exit::Usage, Exit::Application, Exit::Address, Exit::NoServer] {
        assert!(help.contains(&format!("\n  {}  ", exit.code())), "{exit:?}");
    }
}

fn invocation(command: Verb, socket: &str, json: bool) -> Invocation {
    Invocation { command, socket: Some(socket.into()), json }
}

#[test]
fn the_roles_are_reached() {
    let reload = |seconds| Verb::Reload { timeout: Duration::from_secs(seconds) };
    let scale = |workers, min, max| Verb::Scale { workers, min, max };
    let table: [(&[&str], Invocation); 8] = [
        (&["ctl", "status", "--json"], invocation(Verb::Status, "/variable", true)),
        (&["ctl", "--socket", "/flag", "stop"], invocation(Verb::Stop, "/flag", false)),
        (&["ctl", "stop"], invocation(Verb::Stop, "/variable", false)),
        (&["ctl", "reopen-logs"], invocation(Verb::ReopenLogs, "/variable", false)),
        (&["ctl", "scale", "3"], invocation(scale(Some(3), None, None), "/variable", false)),
        (&["ctl", "scale", "--max", "5", "--min=2"], invocation(scale(None, Some(2), Some(5)), "/variable", false)),
        (&["ctl", "reload"], invocation(reload(60), "/variable", false)),
        (&["ctl", "reload", "--timeout", "2m", "--socket", "/flag"], invocation(reload(120), "/flag", false)),
    ];
    for (arguments, expected) in table {
        match command(arguments, &[("SMARTHTTPD_CONTROL_SOCKET", "/variable")]) {
            Ok(Command::Ctl(asked)) => assert_eq!(asked, expected),
            other => panic!("{arguments:?}: {other:?}"),
        }
    }
    assert!(matches!(command(&["__template"], &[]).unwrap(), Command::Template));
}
