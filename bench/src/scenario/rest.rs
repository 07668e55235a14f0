//! A server that nobody asks for anything: how often it wakes up, and what CPU time that takes.
//!
//! What wakes up keeps a CPU from sleeping deeply, on a laptop as on a machine with a thousand idle applications.

use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::Subject;
use crate::observe::tree::{self, Activity};

/// How long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// Server starts per contender.
    pub(crate) replicates: u32,
    /// Closed loop over one connection before, so that the application is there.
    pub(crate) warmup_s: f64,
    /// After it, until it counts: connections close, spare processes are started.
    pub(crate) settle_s: f64,
    pub(crate) rest_s: f64,
}

impl Settings {
    pub(crate) fn of(quick: bool) -> Self {
        let (replicates, warmup_s, settle_s, rest_s) = if quick { (1, 0.1, 0.5, 1.5) } else { (3, 0.2, 1.0, 2.0) };
        Self { replicates, warmup_s, settle_s, rest_s }
    }

    /// Seconds of one run.
    pub(crate) fn seconds(&self) -> f64 {
        self.warmup_s + self.settle_s + self.rest_s
    }
}

/// What one run observed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Observation {
    pub(crate) seconds: f64,
    pub(crate) processes: u32,
    pub(crate) threads: u32,
    /// Times that a task of the tree went to sleep of its own accord, and so was woken.
    pub(crate) wakeups: u64,
    /// CPU time of the tree, in seconds; none where the kernel does not keep it to the nanosecond.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cpu_seconds: Option<f64>,
}

/// Carries it out: time passes, which is what is measured.
///
/// # Errors
/// The load generator's reason, in a sentence.
pub(crate) fn run(subject: Subject<'_>, settings: &Settings) -> Result<Observation, String> {
    subject.watched(&subject.closed("/", 1, 0.0, settings.warmup_s)?)?;
    thread::sleep(Duration::from_secs_f64(settings.settle_s));
    let (began, before) = (Instant::now(), Activity::of(&tree::members(subject.root)));
    thread::sleep(Duration::from_secs_f64(settings.rest_s));
    let members = tree::members(subject.root);
    let spent = Activity::of(&members).since(&before);
    Ok(Observation {
        seconds: began.elapsed().as_secs_f64(),
        processes: u32::try_from(members.len()).unwrap_or(u32::MAX),
        threads: tree::threads(&members),
        wakeups: spent.wakeups,
        cpu_seconds: spent.cpu_seconds,
    })
}
