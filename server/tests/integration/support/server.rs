//! A server that runs.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::launch::PROGRAM;
use super::processes::{self, Mark};
use super::status::Reply;
use super::{Client, Response, Status, wait};

/// What a process has written so far, line by line.
pub(crate) struct Lines {
    written: Arc<(Mutex<Written>, Condvar)>,
    reader: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Written {
    text: String,
    over: bool,
}

impl Lines {
    /// Collects what comes from `source` in a thread.
    pub(crate) fn of(source: impl Read + Send + 'static) -> Lines {
        let written = Arc::<(Mutex<Written>, Condvar)>::default();
        let ours = Arc::clone(&written);
        let reader = thread::spawn(move || {
            let mut source = BufReader::new(source);
            let mut line = Vec::new();
            while source.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
                written.0.lock().expect("no reader panics").text.push_str(&String::from_utf8_lossy(&line));
                written.1.notify_all();
                line.clear();
            }
            written.0.lock().expect("no reader panics").over = true;
            written.1.notify_all();
        });
        Lines { written: ours, reader: Mutex::new(Some(reader)) }
    }

    /// All of it up to now.
    pub(crate) fn text(&self) -> String {
        self.written.0.lock().unwrap_or_else(PoisonError::into_inner).text.clone()
    }

    /// All of it, once every process that could write has ended.
    pub(crate) fn whole(&self) -> String {
        if let Some(reader) = self.reader.lock().unwrap_or_else(PoisonError::into_inner).take() {
            reader.join().expect("no reader panics");
        }
        self.text()
    }

    /// Waits for a line that contains `mark`: what follows it there.
    pub(crate) fn await_after(&self, mark: &str) -> String {
        let rest = |line: &str| line.split_once(mark).map(|(_, rest)| rest.trim_end().to_owned());
        let whole = |text: &str| text.split_inclusive('\n').filter(|line| line.ends_with('\n')).find_map(rest);
        self.find(whole).unwrap_or_else(|| panic!("no line with {mark:?} in:\n{}", self.text()))
    }

    /// Waits for `find` to find something; `None` when the writers have ended without it.
    fn find<T>(&self, find: impl Fn(&str) -> Option<T>) -> Option<T> {
        let (lock, changed) = &*self.written;
        let mut written = lock.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(found) = find(&written.text) {
                return Some(found);
            }
            if written.over {
                return None;
            }
            let (back, waited) = changed.wait_timeout(written, wait::PATIENCE).unwrap_or_else(PoisonError::into_inner);
            written = back;
            assert!(!waited.timed_out(), "waited in vain for a line; it said:\n{}", written.text);
        }
    }
}

/// A server. Dropping it ends all its processes.
pub(crate) struct Server {
    child: Child,
    mark: Mark,
    folder: TempDir,
    stdout: Lines,
    stderr: Lines,
    listening: Vec<String>,
}

impl Server {
    /// The server that `child` is about to become.
    pub(super) fn new(mut child: Child, mark: Mark, folder: TempDir) -> Server {
        let stdout = Lines::of(child.stdout.take().expect("piped"));
        let stderr = Lines::of(child.stderr.take().expect("piped"));
        Server { child, mark, folder, stdout, stderr, listening: Vec::new() }
    }

    /// Waits until it serves.
    pub(super) fn await_serving(&mut self) {
        assert!(self.try_await_serving(), "the server does not serve; it said:\n{}", self.log());
    }

    /// Waits until it serves, or has ended.
    pub(crate) fn try_await_serving(&mut self) -> bool {
        let listening = self.stderr.find(announcement);
        let serves = listening.is_some();
        self.listening = listening.unwrap_or_default();
        serves
    }

    /// The supervisor's pid.
    pub(crate) fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// The template's pid: the only process of ours whose parent is the supervisor, and that is no worker.
    pub(crate) fn template(&self) -> i32 {
        let workers = self.status().pids();
        wait::until("a template", || self.children_of(self.pid()).into_iter().find(|pid| !workers.contains(pid)))
    }

    /// The living processes of this server whose parent is `parent`.
    pub(crate) fn children_of(&self, parent: i32) -> Vec<i32> {
        let parent = Some(parent.to_string());
        self.processes().into_iter().filter(|pid| processes::status_field(*pid, "PPid") == parent).collect()
    }

    /// Every living process of this server.
    pub(crate) fn processes(&self) -> Vec<i32> {
        self.mark.processes()
    }

    /// A folder for what belongs to this server.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The control socket.
    pub(crate) fn control(&self) -> PathBuf {
        self.folder.path().join("control.sock")
    }

    /// The addresses as announced.
    pub(crate) fn listening(&self) -> &[String] {
        &self.listening
    }

    /// The first TCP address.
    pub(crate) fn address(&self) -> SocketAddr {
        let address = self.listening.iter().find_map(|place| place.strip_prefix("http://"));
        address.and_then(|address| address.parse().ok()).unwrap_or_else(|| panic!("no address in {:?}", self.listening))
    }

    /// The admin listener's TCP address.
    pub(crate) fn admin(&self) -> SocketAddr {
        let url = self.status().admin.expect("the server was started with --admin");
        let address = url.strip_prefix("http://").and_then(|address| address.parse().ok());
        address.unwrap_or_else(|| panic!("no TCP address: {url}"))
    }

    /// One GET on a new connection to the admin listener, with these headers as well.
    pub(crate) fn watch_with(&self, target: &str, headers: &str) -> Response {
        let address = self.admin();
        let mut client = Client::connect(address).expect("the admin listener can be reached");
        client.send(format!("GET {target} HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n"));
        client.answer()
    }

    /// One GET on a new connection to the admin listener.
    pub(crate) fn watch(&self, target: &str) -> Response {
        self.watch_with(target, "")
    }

    /// What it has written to standard error.
    pub(crate) fn log(&self) -> String {
        self.stderr.text()
    }

    /// What it has written to standard output, once it has ended.
    pub(crate) fn output(&self) -> String {
        self.stdout.whole()
    }

    /// Waits until standard error contains `text`.
    pub(crate) fn await_log(&self, text: &str) {
        self.await_log_after(0, text);
    }

    /// Waits until standard error contains `text` after its first `before` bytes.
    pub(crate) fn await_log_after(&self, before: usize, text: &str) {
        let found = self.stderr.find(|written| written[before..].contains(text).then_some(()));
        assert!(found.is_some(), "the server ended without {text:?}; it said:\n{}", self.log());
    }

    /// A new connection.
    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address()).expect("the server can be reached")
    }

    /// One GET on a connection of its own.
    pub(crate) fn get(&self, target: &str) -> Response {
        self.connect().get(target)
    }

    /// Runs `smarthttpd ctl` with these arguments against this server.
    pub(crate) fn ctl(&self, arguments: &[&str]) -> std::process::Output {
        let mut command = Command::new(PROGRAM);
        command.args(["ctl", "--socket"]).arg(self.control()).args(arguments);
        command.output().expect("ctl can be started")
    }

    /// What `ctl status --json` says, or `None` when no server answers.
    pub(crate) fn try_status(&self) -> Option<Status> {
        let output = self.ctl(&["status", "--json"]);
        if !output.status.success() {
            return None;
        }
        let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
        let reply: Reply = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"));
        reply.ok.check();
        Some(reply.ok)
    }

    /// What `ctl status --json` says.
    pub(crate) fn status(&self) -> Status {
        self.try_status().unwrap_or_else(|| panic!("no status; the server said:\n{}", self.log()))
    }

    /// Waits until the published status is as wanted.
    pub(crate) fn await_status(&self, what: &str, mut wanted: impl FnMut(&Status) -> bool) -> Status {
        let mut last = None;
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait::until(what, || {
                let status = self.status();
                let found = wanted(&status);
                last = Some(status);
                if found { last.take() } else { None }
            })
        }));
        found.unwrap_or_else(|_| panic!("{what} did not come true; last {last:#?}; the server said:\n{}", self.log()))
    }

    /// How many requests the living workers have answered, once none is under way: a request is counted after its answer.
    pub(crate) fn requests(&self) -> u64 {
        self.await_status("no request is under way", |status| status.in_flight() == 0).requests()
    }

    /// Sends a signal to the supervisor.
    pub(crate) fn signal(&self, signal: Signal) {
        processes::send(self.pid(), signal);
    }

    /// Waits for the supervisor's end; none of its processes may be left then.
    pub(crate) fn await_exit(&mut self) -> ExitStatus {
        let status = await_exit(&mut self.child, &self.stderr, &self.mark);
        let left = self.processes();
        assert!(left.is_empty(), "left behind: {left:?}; it said:\n{}", self.log());
        status
    }

    /// The supervisor is killed: it can't do anything about that.
    pub(crate) fn kill_supervisor(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it can be waited for");
    }

    /// Waits until no process is left, after the supervisor has ended.
    pub(crate) fn await_end_of_all(&self) {
        self.mark.await_end();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the server (pid {}) said:\n{}", self.pid(), self.log());
        }
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.mark.kill_all();
    }
}

/// Waits for the end of a supervisor.
pub(super) fn await_exit(child: &mut Child, stderr: &Lines, mark: &Mark) -> ExitStatus {
    let exit = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wait::until("the server's end", || child.try_wait().expect("our child can be waited for"))
    }));
    exit.unwrap_or_else(|_| {
        let said = stderr.text();
        let _ = child.kill();
        mark.kill_all();
        panic!("the server does not end; it said:\n{said}")
    })
}

/// The addresses in `smarthttpd 0.1.0: serving app:app on http://127.0.0.1:1, unix:/a (adaptive, pid 3)`, or in the same as
/// a JSON object.
fn announcement(text: &str) -> Option<Vec<String>> {
    let split = |places: &str| places.split(", ").map(str::to_owned).collect();
    let object = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    if let Some(places) = object.into_iter().find_map(|object| Some(object["listening"].as_str()?.to_owned())) {
        return Some(split(&places));
    }
    let line = text.lines().find(|line| line.starts_with("smarthttpd ") && line.contains(": serving "))?;
    let (_, places) = line.split_once(" on ")?;
    let (places, _) = places.rsplit_once(" (")?;
    Some(split(places))
}
