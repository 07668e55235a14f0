//! The processes of one server, found by a mark in their environment that they all inherit.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::wait;

/// The variable that carries the mark. Not one of the server's own, which start with `SMARTHTTPD_`.
const VARIABLE: &str = "INTEGRATION_TEST_SERVER";

/// What the processes of one server have in common, and no others.
#[derive(Debug, Clone)]
pub(crate) struct Mark(String);

impl Mark {
    /// One that nobody has yet.
    pub(crate) fn new() -> Mark {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        Mark(format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)))
    }

    /// The variable and its value.
    pub(crate) fn variable(&self) -> (&'static str, &str) {
        (VARIABLE, &self.0)
    }

    /// The living processes that have the mark. Zombies have no environment and so don't count.
    pub(crate) fn processes(&self) -> Vec<i32> {
        let entry = format!("{VARIABLE}={}", self.0);
        let pids = fs::read_dir("/proc")
            .expect("/proc is there")
            .filter_map(|process| process.ok()?.file_name().to_str()?.parse::<i32>().ok());
        pids.filter(|pid| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == entry.as_bytes())
        })
        .collect()
    }

    /// Waits until all have left by themselves.
    pub(crate) fn await_end(&self) {
        wait::until_true("the end of all processes of a server", || self.processes().is_empty());
    }

    /// Kills whatever still has the mark.
    pub(crate) fn kill_all(&self) {
        wait::until_true("the end of killed processes", || {
            let left = self.processes();
            left.iter().for_each(|pid| send(*pid, Signal::SIGKILL));
            left.is_empty()
        });
    }
}

/// Sends a signal; a process that is gone already needs none.
pub(crate) fn send(pid: i32, signal: Signal) {
    match kill(Pid::from_raw(pid), signal) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(error) => panic!("{signal} can't be sent to {pid}: {error}"),
    }
}

/// A line of `/proc/PID/status`, e.g. `SigCgt`; `None` when the process is gone.
pub(crate) fn status_field(pid: i32, field: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    Some(line?.trim().to_owned())
}
