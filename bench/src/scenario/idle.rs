//! Idle connections: what thousands of them cost, and what a busy one among them notices.

use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::crowd::Crowd;
use super::{Subject, Watched};
use crate::observe::tree;

/// How long and how hard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// Server starts per contender.
    pub(crate) replicates: u32,
    /// Idle connections; each has had one request answered.
    pub(crate) connections: usize,
    /// Closed loop before each measurement of the busy connection.
    pub(crate) warmup_s: f64,
    /// Measured closed loop over one busy connection: alone, among the idle ones, and alone again.
    pub(crate) busy_s: f64,
    /// How long nobody does anything, without the idle connections and with them.
    pub(crate) idle_s: f64,
}

impl Settings {
    pub(crate) fn of(quick: bool) -> Self {
        let (replicates, connections, warmup_s, busy_s, idle_s) =
            if quick { (1, 500, 0.1, 0.5, 0.5) } else { (3, 10_000, 0.3, 1.5, 5.0) };
        Self { replicates, connections, warmup_s, busy_s, idle_s }
    }

    /// Seconds of one run, with what it takes to make the connections.
    pub(crate) fn seconds(&self) -> f64 {
        3.0 * (self.warmup_s + self.busy_s) + 2.0 * self.idle_s + self.connections as f64 / 5_000.0
    }
}

/// A time without a request.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Quiet {
    pub(crate) seconds: f64,
    /// CPU time of the tree meanwhile, in seconds, to a clock tick.
    pub(crate) cpu_seconds: f64,
    /// Proportional set size of the tree in KiB at its end.
    pub(crate) pss_kib: u64,
}

/// What one run observed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Observation {
    /// The busy connection with nobody else.
    pub(crate) alone: Watched,
    /// Before there were idle connections.
    pub(crate) without: Quiet,
    /// With all of them.
    pub(crate) with: Quiet,
    /// The busy connection with all of them.
    pub(crate) among: Watched,
    /// The busy connection after they have gone: what the machine itself has become slower or faster meanwhile.
    pub(crate) after: Watched,
    /// Idle connections that were made.
    pub(crate) made: usize,
    /// Of those, connections that the server had not closed in the end.
    pub(crate) left: usize,
}

/// Carries it out.
///
/// # Errors
/// The load generator's reason, or why the connections could not be made, in a sentence.
pub(crate) fn run(subject: Subject<'_>, settings: &Settings) -> Result<Observation, String> {
    let busy = subject.closed("/", 1, settings.warmup_s, settings.busy_s)?;
    let alone = subject.watched(&busy)?;
    let without = quiet(subject, settings.idle_s)?;
    let crowd = Crowd::gather(subject.base, settings.connections, Duration::from_secs_f64(subject.timeout_s))?;
    let with = quiet(subject, settings.idle_s)?;
    let among = subject.watched(&busy)?;
    let left = crowd.left();
    drop(crowd);
    let after = subject.watched(&busy)?;
    Ok(Observation { alone, without, with, among, after, made: settings.connections, left })
}

/// Lets time pass: it is what is measured.
fn quiet(subject: Subject<'_>, seconds: f64) -> Result<Quiet, String> {
    let ticks = || tree::cpu_ticks(&tree::members(subject.root));
    let (began, before) = (Instant::now(), ticks());
    thread::sleep(Duration::from_secs_f64(seconds));
    let (after, seconds) = (ticks(), began.elapsed().as_secs_f64());
    Ok(Quiet {
        seconds,
        cpu_seconds: after.saturating_sub(before) as f64 / subject.ticks_per_second,
        // Last, because the kernel walks the tree's memory for it.
        pss_kib: tree::pss_kib(&tree::members(subject.root))?,
    })
}
