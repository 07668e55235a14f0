//! Starts the harness in a folder of its own, and finds every process that descends from it.

// Every test file uses its own part of this module.
#![allow(dead_code)]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The variable that every process of a test inherits.
const MARK: &str = "BENCH_TEST_MARK";

/// The harness of one test.
pub(crate) struct Bench {
    folder: TempDir,
}

/// What a finished harness said.
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A stand-in server of `tests/servers`.
fn fake(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers").join(name);
    path.to_str().unwrap().to_owned()
}

/// Sends a signal by its short name.
pub(crate) fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").args(["-s", name, &pid.to_string()]).status().unwrap();
    assert!(status.success());
}

/// Runs a command to its end.
fn finish(command: &mut Command) -> Done {
    let output = command.output().unwrap();
    Done {
        code: output.status.code().expect("ended by itself"),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A results folder that is not there yet.
    pub(crate) fn out(&self) -> String {
        self.folder.path().join("out").to_str().unwrap().to_owned()
    }

    /// Where the harness puts its scratch folders.
    fn scratch(&self) -> PathBuf {
        self.folder.path().join("scratch")
    }

    fn mark(&self) -> String {
        self.folder.path().to_str().unwrap().to_owned()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        fs::create_dir_all(self.scratch()).unwrap();
        // Apache's user must be able to pass through.
        open(self.folder.path());
        open(&self.scratch());
        let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
        command
            .args(arguments)
            .env(MARK, self.mark())
            .env("TMPDIR", self.scratch())
            .env("CARGO_TARGET_DIR", target())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// A quick session of these scenarios (none: all) against a stand-in server, into [`Bench::out`].
    fn session(&self, scenarios: &[&str], server: &str) -> Command {
        let (out, server) = (self.out(), fake(server));
        let options = ["--quick", "--contender", "smarthttpd-adaptive", "--out", &out, "--smarthttpd", &server];
        self.command(&[&["run"], scenarios, &options].concat())
    }

    /// Runs such a session to its end.
    pub(crate) fn run_session(&self, scenarios: &[&str], server: &str) -> Done {
        finish(&mut self.session(scenarios, server))
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Done {
        finish(&mut self.command(arguments))
    }

    /// Starts a session against the right stand-in server and returns once its first run is announced.
    pub(crate) fn start_until_first_run(&self) -> Child {
        let mut child = self.session(&[], "right.py").spawn().unwrap();
        let mut said = String::new();
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        while !said.contains("1/4 steady") {
            let mut line = String::new();
            let read = errors.read_line(&mut line).unwrap();
            assert!(read > 0, "ended before its first run:\n{said}");
            said += &line;
        }
        child.stderr = Some(errors.into_inner());
        child
    }

    /// Every living process that was started with this test's mark.
    fn marked(&self) -> Vec<u32> {
        let wanted = format!("{MARK}={}", self.mark());
        fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
            .filter(|pid| {
                let mut environment = Vec::new();
                fs::File::open(format!("/proc/{pid}/environ"))
                    .and_then(|mut file| file.read_to_end(&mut environment))
                    .is_ok()
                    && environment.split(|byte| *byte == 0).any(|v| v == wanted.as_bytes())
            })
            .collect()
    }

    /// Looks until the marked processes are as wanted; there is nothing to wait on but /proc.
    pub(crate) fn await_marked(&self, wanted: impl Fn(&[u32]) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(15);
        while !wanted(&self.marked()) {
            assert!(Instant::now() < deadline, "still there: {:?}", self.marked());
            std::thread::yield_now();
        }
    }

    pub(crate) fn assert_nothing_stays(&self) {
        assert_eq!(self.marked(), Vec::<u32>::new(), "processes are left");
        let left: Vec<_> = fs::read_dir(self.scratch()).unwrap().flatten().collect();
        assert!(left.is_empty(), "scratch folders are left: {left:?}");
    }
}

/// The target folder that this test was built in.
pub(crate) fn target() -> PathBuf {
    // TARGET/debug/bench
    Path::new(env!("CARGO_BIN_EXE_bench")).ancestors().nth(2).unwrap().to_owned()
}

/// Builds the server in the profile of this test and gives its path.
pub(crate) fn smarthttpd() -> String {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "-p", "smarthttpd"])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap())
        .env("CARGO_TARGET_DIR", target())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    target().join("debug/smarthttpd").to_str().unwrap().to_owned()
}

fn open(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
}
