//! System calls per request: how many, by perf(1) at full speed, and which, by strace(1).
//!
//! perf counts a tracepoint and hardly slows anything down. strace stops the server twice per call, so that what is
//! called by the clock and not by the request (a monitor, a tick) seems many times as frequent; but it knows names, and
//! needs no tracepoints. Nothing that it looks at is ever timed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Subject, Watched};
use crate::observe::{counting, tree};
use crate::process::server::{Server, Start};

/// How long a tool may take until it holds every process of the tree, and until it has let go of them.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long and how hard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// Server starts per contender.
    pub(crate) replicates: u32,
    pub(crate) connections: usize,
    /// Closed loop under perf.
    pub(crate) counted_s: f64,
    /// Closed loop under strace.
    pub(crate) traced_s: f64,
}

impl Settings {
    pub(crate) fn of(quick: bool) -> Self {
        let (replicates, counted_s, traced_s) = if quick { (1, 0.4, 0.6) } else { (3, 1.0, 2.0) };
        Self { replicates, connections: 32, counted_s, traced_s }
    }

    /// Seconds of load in one run, with about what it takes to attach and to let go, twice.
    pub(crate) fn seconds(&self) -> f64 {
        self.counted_s + self.traced_s + 0.8
    }
}

/// What one run observed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Observation {
    /// The load while perf counted.
    pub(crate) counted: Watched,
    pub(crate) number: Count<u64>,
    /// The load while strace counted.
    pub(crate) traced: Watched,
    /// By name.
    pub(crate) names: Count<BTreeMap<String, u64>>,
}

/// The system calls of the tree during a load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Count<T> {
    Counted(T),
    /// The tool is not installed or not permitted: its own words.
    NotCounted(String),
}

/// Carries it out.
///
/// # Errors
/// The load generator's reason, in a sentence. That a tool could not count is an observation.
pub(crate) fn run(subject: Subject<'_>, settings: &Settings) -> Result<Observation, String> {
    let (counted, number) = under(subject, &Tool::PERF, settings.connections, settings.counted_s)?;
    let (traced, names) = under(subject, &Tool::STRACE, settings.connections, settings.traced_s)?;
    Ok(Observation { counted, number, traced, names })
}

/// A program that attaches to processes, counts, and writes what it counted into a file when it is interrupted.
struct Tool<T> {
    /// For messages.
    title: &'static str,
    /// Its name, which is also that of its files.
    name: &'static str,
    /// The command for a file and the processes.
    command: fn(&str, &[String]) -> Vec<String>,
    /// Whether it holds so many processes with so many threads, by its log and its open files.
    holds: fn(log: &str, files: &[String], processes: usize, threads: usize) -> bool,
    /// What it wrote.
    read: fn(&str) -> Option<T>,
}

impl Tool<u64> {
    const PERF: Self = Self {
        title: "perf (apt-get install linux-perf)",
        name: "perf",
        command: |file, pids| words("perf stat -x, -e raw_syscalls:sys_enter -o", &[file, "-p", &pids.join(",")]),
        // One descriptor per thread; nothing is printed.
        holds: |_, files, _, threads| files.iter().filter(|file| file.contains("[perf_event]")).count() >= threads,
        read: counting::perf_total,
    };
}

impl Tool<BTreeMap<String, u64>> {
    const STRACE: Self = Self {
        title: "strace (apt-get install strace)",
        name: "strace",
        command: |file, pids| {
            let pids: Vec<&str> = pids.iter().flat_map(|pid| ["-p", pid.as_str()]).collect();
            words("strace -c -f -o", &[&[file], &pids[..]].concat())
        },
        holds: |log, _, processes, _| counting::strace_attached(log) >= processes,
        read: counting::strace_table,
    };
}

fn words(fixed: &str, others: &[&str]) -> Vec<String> {
    fixed.split(' ').chain(others.iter().copied()).map(String::from).collect()
}

/// A closed loop of `seconds` with the tool looking on; without it when it cannot.
fn under<T>(
    subject: Subject<'_>,
    tool: &Tool<T>,
    connections: usize,
    seconds: f64,
) -> Result<(Watched, Count<T>), String> {
    let plan = subject.closed("/", connections, 0.0, seconds)?;
    let file = subject.scratch.join(format!("{}.counts", tool.name));
    let attached = attach(subject, tool, &file);
    let load = subject.watched(&plan)?;
    let count = match attached {
        // One line: its log is part of it.
        Err(reason) => Count::NotCounted(reason.replace('\n', " ")),
        Ok(running) => {
            running.interrupt(PATIENCE);
            running.stop();
            let text = fs::read_to_string(&file).unwrap_or_default();
            (tool.read)(&text)
                .map_or_else(|| Count::NotCounted(format!("{} left no counts", tool.title)), Count::Counted)
        }
    };
    Ok((load, count))
}

/// Starts the tool on every process of the tree and waits until it has them all.
fn attach<T>(subject: Subject<'_>, tool: &Tool<T>, file: &Path) -> Result<Server, String> {
    let members = tree::members(subject.root);
    let pids: Vec<String> = members.iter().map(|stat| stat.pid.to_string()).collect();
    let threads = tree::threads(&members) as usize;
    let running = Server::spawn(Start {
        title: tool.title,
        command: &(tool.command)(&file.display().to_string(), &pids),
        folder: subject.scratch,
        log: subject.scratch.join(format!("{}.log", tool.name)),
        cpus: subject.generator,
        environment: &[],
    })?;
    running.await_with(PATIENCE, "attaching to the server", |running| {
        (tool.holds)(&running.log(), &tree::open_files(running.pid()), pids.len(), threads).then_some(())
    })?;
    Ok(running)
}
