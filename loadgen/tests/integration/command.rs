//! The command: exit codes, outputs, Ctrl-C.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

use loadgen::Report;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::server::{Client, OK, Server, check};

pub(crate) fn loadgen(words: &[&str]) -> Output {
    command(words).output().unwrap()
}

pub(crate) fn command(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
    command.args(words).stdin(Stdio::null());
    command
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn without_arguments_it_shows_how_to_use_it() {
    let output = loadgen(&[]);
    assert_eq!(output.status.code(), Some(2));
    let shown = text(&output.stderr);
    assert!(shown.contains("loadgen --target http://") && shown.contains("--help"), "{shown}");
}

#[test]
fn a_cpu_that_is_not_there_names_the_option() {
    let server = Server::answering(OK);
    let output = loadgen(&["-t", &format!("http://127.0.0.1:{}/", server.port()), "-n", "1", "--cpus", "1023"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("CPU 1023 (--cpus must name"), "{}", text(&output.stderr));
}

#[test]
fn help_version_and_completions() {
    let help = loadgen(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    for part in ["--stages", "Examples:", "Exit codes:", "130"] {
        assert!(text(&help.stdout).contains(part), "{part}");
    }
    let version = loadgen(&["--version"]);
    assert_eq!(text(&version.stdout), concat!("loadgen ", env!("CARGO_PKG_VERSION"), "\n"));
    let completions = loadgen(&["--completions", "bash"]);
    assert_eq!(completions.status.code(), Some(0));
    assert!(text(&completions.stdout).contains("--connect-timeout"));
}

#[test]
fn wrong_usage_is_refused_in_words() {
    let rows: &[(&[&str], &str)] = &[
        (&["--target", "https://a/", "--engine", "fast"], "--engine: fast sends plain HTTP only; for https leave"),
        (&["--target", "http://a/", "--engine", "fast", "--http2"], "--engine fast has no --http2"),
        (
            &["--target", "https://127.0.0.1/", "--cacert", "/nonexistent.pem"],
            "--cacert: /nonexistent.pem: cannot be read",
        ),
        (&["--target", "http://a/", "--proxy", "a:3128"], "--proxy: \"a:3128\" is no proxy; write http://HOST:PORT"),
        (&["--target", "a:80"], "is no target"),
        (&["--target", "http://a/", "--duration", "5x"], "is no duration"),
        (&["--target", "http://a/", "--connections", "0"], "--connections: must be at least 1"),
        (&["--target", "http://a/", "--interval", "1us"], "--interval: must be at least 10ms"),
        (&["--target", "http://a/", "--body-file", "/nonexistent"], "cannot read --body-file"),
        (&["--rate", "5"], "--target"),
        (&["--target", "http://a/", "--assert", "p99<50"], "write a number with its unit"),
        (&["--target", "http://a/", "--assert", "speed>5"], "is no metric"),
        (&["--target", "http://a/", "--find-capacity", "rps>5"], "--find-capacity: rps>5 is no bound"),
        (
            &["--target", "http://a/", "--find-capacity", "p99<1s", "--min-rate", "5"],
            "--min-rate: a trial of 10 s at 5/s has too few requests",
        ),
        // An option that would have no effect alone names its partner.
        (&["--target", "http://a/", "--min-rate", "5"], "--find-capacity <OBJECTIVES>"),
        (&["--target", "http://a/", "--max-rate", "5"], "--find-capacity <OBJECTIVES>"),
        (&["--target", "http://a/", "--precision", "5%"], "--find-capacity <OBJECTIVES>"),
        (&["--target", "http://a/", "--order", "random"], "--targets <FILE>"),
        // Nor does what excludes the partner make it needless.
        (&["--target", "http://a/", "--min-rate", "5", "--rate", "5"], "cannot be used with"),
        (&["--target", "http://a/", "--max-rate", "5", "-n", "5"], "cannot be used with"),
        (&["--target", "http://a/", "--precision", "5%", "--assert", "p99<1s"], "cannot be used with"),
        (&["--target", "http://a/", "--order", "random", "-X", "PUT"], "cannot be used with"),
        (&["--target", "http://a/", "--rate", "5", "--find-capacity", "p99<1s"], "cannot be used with"),
        (&["--target", "http://a/", "--assert", "p99<1s", "--find-capacity", "p99<1s"], "cannot be used with"),
    ];
    for (words, message) in rows {
        let output = loadgen(words);
        let shown = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {shown}");
        assert!(shown.contains(message), "{words:?}: {shown}");
    }
}

#[test]
fn a_target_that_is_down_has_its_own_exit_code() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    for words in [&["--target", &url][..], &["--target", &url, "--rate", "50"]] {
        let output = loadgen(words);
        let shown = text(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{shown}");
        assert!(shown.contains(&url) && shown.contains("is a server listening there?"), "{shown}");
        assert_eq!(shown.lines().count(), 1, "{shown}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn an_output_that_cannot_be_written_stops_the_run_before_it_starts() {
    let server = Server::answering(OK);
    let url = server.target().to_string();
    let output = loadgen(&["--target", &url, "--json", "/nonexistent/report.json"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("/nonexistent/report.json"));
    assert_eq!(server.accepted(), 0);
}

#[test]
fn a_run_writes_summary_progress_json_and_percentiles() {
    let server = Server::answering(OK);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (json, hdr) = (path("report.json"), path("latency.hgrm"));
    let url = server.target().to_string();
    let words = ["--target", &url, "-n", "300", "-c", "2", "--json", &json, "--hdr", &hdr];
    let output = loadgen(&words);
    // A busy machine may make the generator the bottleneck; the run is then INVALID, as it should.
    assert!(matches!(output.status.code(), Some(0 | 5)), "{output:?}");
    assert!(text(&output.stdout).contains("300 answered, 0 failed"), "{output:?}");
    assert!(text(&output.stderr).contains("answered"), "progress: {output:?}");
    let report: Report = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    check(&report);
    assert_eq!(report.requests, 300);
    assert!(std::fs::read_to_string(&hdr).unwrap().contains("Percentile"));

    let output = loadgen(&["--target", &url, "-n", "5", "-q", "--json"]);
    let report: Report = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report.answered, 5);
    assert!(text(&output.stderr).contains("5 answered"), "the summary makes way: {output:?}");
}

#[test]
fn a_run_that_measures_nothing_is_invalid() {
    let server = Server::start(Client::peek);
    let url = server.target().to_string();
    let output = loadgen(&["--target", &url, "-n", "4"]);
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    assert!(text(&output.stdout).contains("INVALID       no request was answered"), "{output:?}");
}

#[test]
fn ctrl_c_ends_the_run_with_a_report() {
    let server = Server::answering(OK);
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let url = server.target().to_string();
        let words = ["--target", &url, "--rate", "50", "-d", "60s", "--interval", "100ms", "--json"];
        let mut child = command(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut progress = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        // The first line of progress: it is running.
        progress.read_line(&mut line).unwrap();
        assert!(line.contains("answered"), "{line}");
        kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
        let mut rest = String::new();
        progress.read_to_string(&mut rest).unwrap();
        let mut json = String::new();
        child.stdout.take().unwrap().read_to_string(&mut json).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130));
        assert!(rest.contains("interrupted"), "{rest}");
        let report: Report = serde_json::from_str(&json).unwrap();
        check(&report);
        assert!(report.interrupted && report.duration_s < 30.0);
    }
}
