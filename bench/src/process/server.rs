//! One running server: started, awaited, stopped with everything it started.

use std::fs::{self, OpenOptions};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::sys::time::TimeValLike;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::tool::tail;
use super::{launch, pidfd, registry};
use crate::observe::tree;

/// Between two looks whether a server answers yet. A foreign server has no other way to say so.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Variables that would change a server's configuration behind the harness's back.
const FOREIGN: [&str; 5] = ["SMARTHTTPD_", "GUNICORN_", "PYTHON", "VIRTUAL_ENV", "APACHE_"];

/// How to start a server.
#[derive(Debug)]
pub(crate) struct Start<'a> {
    /// For messages.
    pub(crate) title: &'a str,
    /// Program and arguments.
    pub(crate) command: &'a [String],
    /// The folder it runs in.
    pub(crate) folder: &'a Path,
    /// Where standard output and error go.
    pub(crate) log: PathBuf,
    /// The CPUs it may use.
    pub(crate) cpus: &'a [usize],
    /// Variables that it has beside those of the harness.
    pub(crate) environment: &'a [(&'static str, String)],
}

/// What the whole life of a server's tree cost, as the kernel added it up for reaped processes (getrusage(2)).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Life {
    /// User and system time in seconds, start and stop included.
    pub(crate) cpu_seconds: f64,
    /// Voluntary and involuntary context switches of every process of the tree that was waited for.
    pub(crate) switches: i64,
}

/// How a server ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ending {
    pub(crate) life: Life,
    /// Names of the processes that did not end by themselves within the grace and were killed.
    pub(crate) killed: Vec<String>,
    /// Seconds from SIGTERM to the last process's end.
    pub(crate) seconds: f64,
}

/// A running server and everything it starts; stopped at the latest when dropped.
pub(crate) struct Server {
    child: Child,
    pidfd: OwnedFd,
    title: String,
    log: PathBuf,
    usage_before: Life,
    stopped: bool,
}

impl Server {
    /// Starts a server.
    ///
    /// # Errors
    /// A sentence that names the server and the reason.
    pub(crate) fn spawn(start: Start<'_>) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("{} cannot be started: {error}", start.title);
        let (program, arguments) = start.command.split_first().ok_or("no command")?;
        // Appended to: a server may open its standard error again by name.
        let log = OpenOptions::new().create(true).append(true).open(&start.log).map_err(failed)?;
        let before = launch::Before { cpus: start.cpus };
        let mut command = launch::command(&before, program).map_err(failed)?;
        command
            .args(arguments)
            .current_dir(start.folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(failed)?)
            .stderr(log);
        for (name, _) in std::env::vars_os() {
            let foreign = name.to_str().is_some_and(|name| FOREIGN.iter().any(|prefix| name.starts_with(prefix)));
            if foreign {
                command.env_remove(name);
            }
        }
        command.envs(start.environment.iter().map(|(name, value)| (name, value)));
        let usage_before = usage();
        let mut running = registry::lock();
        let child = command.spawn().map_err(failed)?;
        running.roots.push(child.id().cast_signed());
        drop(running);
        let pidfd = pidfd::open(child.id().cast_signed()).map_err(failed)?;
        Ok(Self { child, pidfd, title: start.title.to_owned(), log: start.log, usage_before, stopped: false })
    }

    /// The pid of the tree's root.
    pub(crate) fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Calls `look` until it gives a value: whether the server answers, which port it chose.
    ///
    /// # Errors
    /// When the server ends meanwhile or `limit` passes: a sentence and the tail of its log.
    pub(crate) fn await_with<T>(
        &self,
        limit: Duration,
        what: &str,
        mut look: impl FnMut(&Self) -> Option<T>,
    ) -> Result<T, String> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(value) = look(self) {
                return Ok(value);
            }
            let said = || match tail(&self.log(), 15) {
                log if log.is_empty() => "it logged nothing".to_owned(),
                log => format!("its log ends with:\n{log}"),
            };
            if pidfd::ended_within(&self.pidfd, LOOK_AGAIN) {
                return Err(format!("{} ended before {what}; {}", self.title, said()));
            }
            if Instant::now() > deadline {
                let limit = limit.as_secs();
                return Err(format!("{} did not come to {what} within {limit} s; {}", self.title, said()));
            }
        }
    }

    /// Sends SIGINT, on which some tools write down what they have counted, and waits for the end, at most `limit`.
    /// Whatever is left then, [`Server::stop`] ends.
    pub(crate) fn interrupt(&self, limit: Duration) {
        // Fails only when it has ended already.
        let _ = kill(Pid::from_raw(self.pid()), Signal::SIGINT);
        pidfd::ended_within(&self.pidfd, limit);
    }

    /// Stops the whole tree, see [`registry::end_tree`].
    pub(crate) fn stop(mut self) -> Ending {
        self.end()
    }

    fn end(&mut self) -> Ending {
        self.stopped = true;
        let began = Instant::now();
        let root = self.pid();
        let mut killed = registry::end_tree(root, registry::GRACE);
        // Reaps the root; its status says nothing that the log does not.
        let _ = self.child.wait();
        registry::reaped(root);
        killed.extend(registry::end_strays());
        debug_assert!(tree::members(root).is_empty());
        let after = usage();
        Ending {
            life: Life {
                cpu_seconds: after.cpu_seconds - self.usage_before.cpu_seconds,
                switches: after.switches - self.usage_before.switches,
            },
            killed,
            seconds: began.elapsed().as_secs_f64(),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !self.stopped {
            self.end();
        }
    }
}

/// What all reaped children of the harness have used so far.
fn usage() -> Life {
    getrusage(UsageWho::RUSAGE_CHILDREN).map_or(Life { cpu_seconds: 0.0, switches: 0 }, |usage| Life {
        cpu_seconds: (usage.user_time() + usage.system_time()).num_microseconds() as f64 / 1e6,
        switches: usage.voluntary_context_switches() + usage.involuntary_context_switches(),
    })
}
