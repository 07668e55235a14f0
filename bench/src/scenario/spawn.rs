//! Spawning: how long it takes from the order to start a worker until it can serve.
//!
//! Workers are killed one after the other; each time the server starts one in its place, and tells how long that took.

use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::Subject;
use super::account::{self, Worker};
use crate::observe::tree;

/// How old a worker has to be before it is killed. One that dies within its first second looks as if the application
/// could not be started, and servers wait before they try again.
const RIPE: Duration = Duration::from_millis(1100);

/// Between two questions.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// How long a worker may take to appear, or to ripen.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// Server starts per contender.
    pub(crate) replicates: u32,
    /// Workers killed, and so workers started, in one run.
    pub(crate) spawns: u32,
}

impl Settings {
    pub(crate) fn of(quick: bool) -> Self {
        let (replicates, spawns) = if quick { (1, 20) } else { (3, 108) };
        Self { replicates, spawns }
    }

    /// Seconds that one run takes, about: there is a question or two for each worker, and now and then a wait.
    pub(crate) fn seconds(&self) -> f64 {
        1.0 + f64::from(self.spawns) * 0.06
    }
}

/// What one run observed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Observation {
    /// From the order until the worker could serve, as the server tells it, in milliseconds; in the order of the starts.
    pub(crate) ready_ms: Vec<f64>,
}

/// Carries it out.
///
/// # Errors
/// A worker that was not replaced, or a server that tells nothing: a sentence.
pub(crate) fn run(subject: Subject<'_>, settings: &Settings) -> Result<Observation, String> {
    let mut ready_ms = Vec::new();
    while ready_ms.len() < settings.spawns as usize {
        let ripe = ripe(subject)?;
        let mut newest = ripe.iter().map(|worker| worker.generation).max().unwrap_or(0);
        for victim in ripe.iter().take(settings.spawns as usize - ready_ms.len()) {
            end(subject, victim.pid)?;
            let heir = await_workers(subject, "start a worker in the place of one that was killed", |workers| {
                workers.iter().find(|worker| worker.generation > newest && worker.is_ready()).cloned()
            })?;
            newest = heir.generation;
            ready_ms.push(heir.ready_ms.ok_or("the server does not tell how long a worker took to be ready")?);
        }
    }
    Ok(Observation { ready_ms })
}

/// All workers, once each is ready and old enough to be killed.
fn ripe(subject: Subject<'_>) -> Result<Vec<Worker>, String> {
    let is_ripe = |worker: &Worker| worker.is_ready() && worker.age_seconds >= RIPE.as_secs_f64();
    await_workers(subject, "have workers that serve for a second", |workers| {
        (!workers.is_empty() && workers.iter().all(is_ripe)).then(|| workers.to_vec())
    })
}

/// Kills a process, if it is one of this server's.
fn end(subject: Subject<'_>, pid: i32) -> Result<(), String> {
    if pid == subject.root || tree::members(subject.root).iter().all(|stat| stat.pid != pid) {
        return Err(format!("the server calls process {pid} a worker, which is none of its own"));
    }
    kill(Pid::from_raw(pid), Signal::SIGKILL).map_err(|error| format!("worker {pid} cannot be killed: {error}"))
}

/// Asks until `look` finds what it looks for.
pub(super) fn await_workers<T>(
    subject: Subject<'_>,
    what: &str,
    look: impl Fn(&[Worker]) -> Option<T>,
) -> Result<T, String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look(&account::workers(subject)?) {
            return Ok(found);
        }
        if Instant::now() > deadline {
            return Err(format!("the server did not {what} within {} s", PATIENCE.as_secs()));
        }
        thread::sleep(LOOK_AGAIN);
    }
}
