//! The command line as operators meet it: what is wrong is said in one line, and nothing is left behind.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::Signal;

use crate::support::Launch;

#[test]
fn wrong_options_are_named() {
    let table = [
        ("--worker 3", "'--worker'"),
        ("--mpm thread", "--mpm: 'thread'"),
        ("--min-workers 0", "--min-workers: '0'"),
        ("--min-workers 9 --max-workers 3", "--max-workers: 3"),
        ("--workers 3", "--workers: belongs to --mpm static"),
        ("--head-timeout soon", "--head-timeout: 'soon'"),
        ("--venv /nowhere", "--venv: /nowhere"),
        ("--chdir /nowhere", "--chdir: /nowhere"),
        ("--config /nowhere.toml", "--config: /nowhere.toml"),
        ("--bind 80", "--bind: '80'"),
        ("second:app", "'second:app'"),
    ];
    for (arguments, culprit) in table {
        let finished = Launch::new("plain:app").stay().args(arguments).fail();
        let line = finished.complaint(2);
        assert!(line.starts_with("smarthttpd: ") && line.contains(culprit), "{arguments}: {line}");
    }
    let finished = Launch::bare().fail();
    assert!(finished.complaint(2).contains("no application given"));
}

#[test]
fn a_wrong_file_or_variable_is_named() {
    let launch = Launch::new("plain:app");
    let path = launch.folder().join("server.toml");
    for (content, culprit) in [
        ("backlog = \"many\"\n", "server.toml:1: "),
        ("\nwrokers = 3\n", "server.toml:2: "),
        ("= nonsense\n", "server.toml:1: "),
    ] {
        fs::write(&path, content).expect("a file can be written");
        let finished = Launch::new("plain:app").arg("--config").arg(&path).fail();
        assert!(finished.complaint(2).contains(culprit), "{content}: {finished:#?}");
    }
    let finished = Launch::new("plain:app").arg("--config").arg(launch.folder()).fail();
    assert!(finished.complaint(2).contains(&*launch.folder().to_string_lossy()));
    let finished = Launch::new("plain:app").env("SMARTHTTPD_BACKLOG", "many").fail();
    assert!(finished.complaint(2).contains("SMARTHTTPD_BACKLOG: 'many'"));
}

#[test]
fn a_file_and_the_environment_configure_the_server() {
    let launch = Launch::bare();
    let path = launch.folder().join("server.toml");
    fs::write(&path, "app = \"plain:app\"\nmpm = \"static\"\nworkers = 3\nthreads = 1\n")
        .expect("a file can be written");
    let server = launch.arg("--config").arg(&path).env("SMARTHTTPD_WORKERS", "2").start();
    let status = server.await_status("two workers", |status| status.settled(2));
    assert_eq!(status.mpm, "static");
    assert_eq!(server.get("/").text(), "Hello");
}

#[test]
fn an_address_that_can_not_be_bound_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let finished = Launch::new("plain:app").bind(&[&address]).fail();
    let line = finished.complaint(4);
    assert!(line.contains(&address) && line.contains("choose another --bind"), "{line}");

    for (address, remedy) in
        [("192.0.2.1:0", "not one of this machine's"), ("unix:/nowhere/web.sock", "does not exist")]
    {
        let finished = Launch::new("plain:app").bind(&["127.0.0.1:0", address]).fail();
        let line = finished.complaint(4);
        assert!(line.contains(address) && line.contains(remedy), "{line}");
    }
    // A unix socket that somebody serves is not taken away from him.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = format!("unix:{}", folder.path().join("web.sock").display());
    let _first = Launch::new("plain:app").bind(&[&path]).start();
    assert!(Launch::new("plain:app").bind(&[&path]).fail().complaint(4).contains(&path));
}

#[test]
fn an_access_log_that_can_not_be_written_ends_the_start() {
    let finished = Launch::new("plain:app").args("--access-log-file /nowhere/access.log").fail();
    let line = finished.complaint(1);
    assert!(line.contains("/nowhere/access.log") && line.contains("--access-log-file"), "{line}");
}

#[test]
fn the_prototypes_spellings_work() {
    let spellings: [&[&str]; 6] = [
        &["plain:app"],
        &["plain->app"],
        &["--load", "plain->app"],
        &["--lode:plain->app"],
        &["--app", "plain:app"],
        &["plain"],
    ];
    for spelling in spellings {
        let server = spelling.iter().fold(Launch::bare().fixed(1, 1), |launch, word| launch.arg(word)).start();
        assert_eq!(server.get("/").text(), "Hello", "{spelling:?}");
        assert!(server.log().contains("serving plain:app on http://127.0.0.1:"), "{}", server.log());
    }
}

#[test]
fn a_native_application_needs_no_python() {
    let server = Launch::new("--app").arg("native:hello").fixed(2, 2).start();
    let response = server.get("/");
    assert_eq!(response.status(), 200);
    assert!(!response.body.is_empty());
}

#[test]
fn an_empty_environment_is_enough() {
    let server = Launch::new("flask_site:app").venv().fixed(1, 1).clear_environment().start();
    assert_eq!(server.get("/").text(), "Hello from Flask");
}

#[test]
fn the_search_path_is_as_asked_for() {
    let launch = Launch::bare();
    let library = launch.folder().join("library");
    fs::create_dir(&library).expect("a folder can be made");
    fs::write(library.join("wording.py"), "GREETING = b'from the library'\n").expect("a module can be written");
    let source = "import wording
def app(environ, start_response):
    start_response('200 OK', [])
    return [wording.GREETING]
";
    // Relative to --chdir.
    let server = launch.with_module("speaks", source).args("speaks:app --pythonpath library").start();
    assert_eq!(server.get("/").text(), "from the library");
}

#[test]
fn ctl_tells_what_the_server_does() {
    let mut server = Launch::new("plain:app").fixed(2, 3).start();
    let status = server.await_status("two workers", |status| status.settled(2));
    assert_eq!((status.pid, &*status.phase, &*status.mpm), (server.pid(), "serving", "static"));
    assert_eq!(status.version, env!("CARGO_PKG_VERSION"));
    assert!(status.uptime_seconds > 0.0);
    assert_eq!(status.totals.idle, 2);
    let text = server.ctl(&["status"]);
    let text = String::from_utf8(text.stdout).expect("text");
    for word in ["serving", "static", &server.pid().to_string(), &server.listening()[0]] {
        assert!(text.contains(word), "{word} is not in\n{text}");
    }
    let mode = fs::metadata(server.control()).expect("the control socket is there").permissions().mode();
    assert_eq!(mode & 0o077, 0, "others may control the server");

    let output = server.ctl(&["dance"]);
    assert_eq!(output.status.code(), Some(2));
    server.signal(Signal::SIGTERM);
    server.await_exit();
    let output = server.ctl(&["status"]);
    assert_eq!(output.status.code(), Some(5));
    let complaint = String::from_utf8(output.stderr).expect("text");
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
    assert!(complaint.contains("control.sock"), "{complaint}");
}

#[test]
fn help_and_version_are_no_failures() {
    for (argument, expected) in [("--version", env!("CARGO_PKG_VERSION")), ("--help", "--max-request-workers")] {
        let finished = Launch::bare().arg(argument).fail();
        assert_eq!(finished.status.code(), Some(0));
        assert!(finished.stdout.contains(expected) && finished.stderr.is_empty(), "{finished:#?}");
    }
}
