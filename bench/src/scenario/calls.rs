//! System calls per request: how many, by perf(1) at full speed, and which, by strace(1).
//!
//! perf counts a tracepoint and hardly slows anything down. strace stops the server twice per call, so that what is
//! called by the clock and not by the request (a monitor, a tick) seems many times as frequent; but it knows names, and
//! needs no tracepoints. Nothing that it looks at is ever timed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::onlooker::{Count, Onlooker, words};
use super::{Subject, Watched};
use crate::observe::counting;

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

/// Carries it out.
///
/// # Errors
/// The load generator's reason, in a sentence. That a tool could not count is an observation.
pub(crate) fn run(subject: Subject<'_>, settings: &Settings) -> Result<Observation, String> {
    let (counted, number) = under(subject, &PERF, settings.connections, settings.counted_s)?;
    let (traced, names) = under(subject, &STRACE, settings.connections, settings.traced_s)?;
    Ok(Observation { counted, number, traced, names })
}

const PERF: Onlooker<u64> = Onlooker {
    title: "perf (apt-get install linux-perf)",
    name: "perf",
    command: |file, pids| words("perf stat -x, -e raw_syscalls:sys_enter -o", &[file, "-p", &pids.join(",")]),
    // One descriptor per thread; nothing is printed.
    holds: |_, files, _, threads| files.iter().filter(|file| file.contains("[perf_event]")).count() >= threads,
    read: counting::perf_total,
};

pub(super) const STRACE: Onlooker<BTreeMap<String, u64>> = Onlooker {
    title: "strace (apt-get install strace)",
    name: "strace",
    command: |file, pids| {
        let pids: Vec<&str> = pids.iter().flat_map(|pid| ["-p", pid.as_str()]).collect();
        words("strace -c -f -o", &[&[file], &pids[..]].concat())
    },
    holds: |log, _, processes, _| counting::strace_attached(log) >= processes,
    read: counting::strace_table,
};

/// A closed loop of `seconds` with the tool looking on; without it when it cannot.
fn under<T>(
    subject: Subject<'_>,
    tool: &Onlooker<T>,
    connections: usize,
    seconds: f64,
) -> Result<(Watched, Count<T>), String> {
    let plan = subject.closed("/", connections, 0.0, seconds)?;
    let attached = tool.attach(subject);
    let load = subject.watched(&plan)?;
    Ok((load, tool.count(subject, attached)))
}
