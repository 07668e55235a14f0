//! The processes of one server, found by a mark in their environment that they all inherit.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::time::{clock_getcpuclockid, clock_gettime};
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

/// The process and all its threads have ended, whether or not it was reaped.
pub(crate) fn has_ended(pid: i32) -> bool {
    // A leader that has ended is a zombie also while its threads go on.
    let threads = || fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    stat_field(pid, 3).is_none_or(|state| state == "X" || (state == "Z" && threads() <= 1))
}

/// When the process was born, by the system's clock: with the pid, what tells it from all others. `None`: it is gone.
pub(crate) fn born(pid: i32) -> Option<u64> {
    stat_field(pid, 22)?.parse().ok()
}

/// The processes that have ended and that `parent` has not reaped.
pub(crate) fn zombies(parent: i32) -> Vec<i32> {
    let pids = fs::read_dir("/proc").expect("/proc is there");
    let pids = pids.filter_map(|process| process.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let parent = parent.to_string();
    pids.filter(|pid| stat_field(*pid, 4).as_ref() == Some(&parent) && stat_field(*pid, 3).as_deref() == Some("Z"))
        .collect()
}

/// A field of `/proc/PID/stat`, as proc_pid_stat(5) numbers those after the name: from 3 on.
fn stat_field(pid: i32, number: usize) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(number - 3).map(str::to_owned)
}

/// Memory that is the process's own, in bytes: what its sockets' buffers take is the kernel's and not in it.
pub(crate) fn memory(pid: i32) -> u64 {
    let field = status_field(pid, "RssAnon").unwrap_or_else(|| panic!("process {pid} is gone"));
    let kibibytes: u64 = field.trim_end_matches(" kB").parse().expect("a number of kB");
    kibibytes * 1024
}

/// CPU time that the process has used, to the nanosecond.
pub(crate) fn cpu_time(pid: i32) -> Duration {
    let clock = clock_getcpuclockid(Pid::from_raw(pid)).expect("the process lives");
    clock_gettime(clock).expect("its clock can be read").into()
}

/// How many descriptors the process has open.
pub(crate) fn descriptors(pid: i32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).expect("the process lives").count()
}

/// Waits until the process has no more descriptors open than this; now and then a worker reads a file for a moment.
pub(crate) fn await_descriptors(pid: i32, most: usize) {
    wait::until_true("the descriptors that were open before", || descriptors(pid) <= most);
}

/// Sets another process's soft limit of a resource (e.g. `NOFILE`), or lifts it as far as its hard limit lets it.
pub(crate) fn limit(pid: i32, resource: &str, soft: Option<usize>) {
    const SCRIPT: &str = "\
import resource, sys
pid, kind = int(sys.argv[1]), getattr(resource, 'RLIMIT_' + sys.argv[2])
_, hard = resource.prlimit(pid, kind)
resource.prlimit(pid, kind, (int(sys.argv[3]) if sys.argv[3] else hard, hard))
";
    let soft = soft.map(|soft| soft.to_string()).unwrap_or_default();
    let mut command = std::process::Command::new(super::python::interpreter());
    let status = command.args(["-c", SCRIPT, &pid.to_string(), resource, &soft]).status();
    assert!(status.is_ok_and(|status| status.success()), "{resource} of {pid} can't be set");
}

/// Raises our own limit of open files to what the system allows, for servers started from now on too, and returns how
/// many connections one test may have: half of that, because others run beside it.
pub(crate) fn most_connections() -> usize {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("limits can be read");
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).expect("a limit can be raised up to the hard one");
    usize::try_from(hard / 2).unwrap_or(usize::MAX)
}
