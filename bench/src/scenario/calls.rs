//! System calls per request, counted by strace(1) on the whole tree.
//!
//! A run of its own: a traced server is many times slower, so nothing of it is ever timed.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Subject, Watched};
use crate::observe::{strace, tree};
use crate::process::server::{Server, Start};

/// How long strace may take until it holds every process of the tree.
const ATTACHED_WITHIN: Duration = Duration::from_secs(10);

/// How long and how hard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// Server starts per contender.
    pub(crate) replicates: u32,
    pub(crate) connections: usize,
    /// Closed loop before strace is there: connections are made and buffers allocated.
    pub(crate) warmup_s: f64,
    /// Closed loop under strace.
    pub(crate) traced_s: f64,
}

impl Settings {
    pub(crate) fn of(quick: bool) -> Self {
        let (replicates, warmup_s, traced_s) = if quick { (1, 0.2, 0.6) } else { (3, 0.5, 2.0) };
        Self { replicates, connections: 32, warmup_s, traced_s }
    }

    /// Seconds of load in one run, with about what it takes to attach and to let go.
    pub(crate) fn seconds(&self) -> f64 {
        self.warmup_s + self.traced_s + 0.5
    }
}

/// What one run observed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Observation {
    /// The load while (and only while) strace was there, or, when it could not be, the warm-up.
    pub(crate) load: Watched,
    pub(crate) counts: Counts,
}

/// The system calls of the tree during the load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Counts {
    /// By name.
    Counted(BTreeMap<String, u64>),
    /// strace is not installed or not permitted: its own words.
    NotCounted(String),
}

/// Carries it out.
///
/// # Errors
/// The load generator's reason, in a sentence. That strace could not count is an observation.
pub(crate) fn run(subject: Subject<'_>, settings: &Settings) -> Result<Observation, String> {
    let warmup = subject.watched(&subject.closed("/", settings.connections, 0.0, settings.warmup_s)?)?;
    let strace = match attach(subject) {
        Ok(strace) => strace,
        Err(reason) => return Ok(Observation { load: warmup, counts: Counts::NotCounted(reason) }),
    };
    let load = subject.watched(&subject.closed("/", settings.connections, 0.0, settings.traced_s)?)?;
    // It lets go of everything and writes its table when it is told to end.
    strace.stop();
    let table = fs::read_to_string(table(subject)).map_err(|error| format!("strace's table: {error}"))?;
    let counts = match strace::calls(&table) {
        Some(calls) => Counts::Counted(calls),
        None => Counts::NotCounted("strace left no table".into()),
    };
    Ok(Observation { load, counts })
}

fn table(subject: Subject<'_>) -> std::path::PathBuf {
    subject.scratch.join("strace.table")
}

/// Starts strace on every process of the tree and waits until it has them all.
fn attach(subject: Subject<'_>) -> Result<Server, String> {
    let pids: Vec<i32> = tree::members(subject.root).iter().map(|stat| stat.pid).collect();
    let mut command: Vec<String> = ["strace", "-c", "-f", "-o"].map(String::from).into();
    command.push(table(subject).display().to_string());
    for pid in &pids {
        command.extend(["-p".to_owned(), pid.to_string()]);
    }
    let strace = Server::spawn(Start {
        title: "strace (apt-get install strace)",
        command: &command,
        folder: subject.scratch,
        log: subject.scratch.join("strace.log"),
        cpus: subject.generator,
        environment: &[],
    })?;
    strace.await_with(ATTACHED_WITHIN, "attaching to the server", |strace| {
        (strace::attached(&strace.log()) >= pids.len()).then_some(())
    })?;
    Ok(strace)
}
