//! Threads: how many one worker has for calls that compute, and for calls that block.

use serde::{Deserialize, Serialize};

use super::{Pace, Subject, Watched};
use crate::observe::tree;

/// How long and how hard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// Server starts per contender.
    pub(crate) replicates: u32,
    /// A handler that does nothing but compute.
    pub(crate) computing_path: String,
    /// Connections of the closed loop over it.
    pub(crate) connections: usize,
    pub(crate) computing_s: f64,
    /// A handler that blocks.
    pub(crate) blocking_path: String,
    /// The open loop over it.
    pub(crate) blocking: Pace,
}

impl Settings {
    pub(crate) fn of(quick: bool) -> Self {
        let (replicates, computing_s, seconds) = if quick { (1, 0.8, 1.5) } else { (3, 3.0, 6.0) };
        Self {
            replicates,
            computing_path: "/compute/20000".into(),
            connections: 8,
            computing_s,
            blocking_path: "/sleep/50".into(),
            blocking: Pace { seconds, rate: 400.0 },
        }
    }

    /// Seconds of load in one run.
    pub(crate) fn seconds(&self) -> f64 {
        self.computing_s + self.blocking.seconds
    }
}

/// What one run observed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Observation {
    /// Threads of the process that has most of them, before any load.
    pub(crate) at_rest: u32,
    pub(crate) computing: Watched,
    pub(crate) blocking: Watched,
}

/// Carries it out: computing first, because threads that were needed once stay for a while.
///
/// # Errors
/// The load generator's reason, in a sentence.
pub(crate) fn run(subject: Subject<'_>, settings: &Settings) -> Result<Observation, String> {
    let at_rest = tree::most_threads(&tree::members(subject.root));
    let computing = subject.closed(&settings.computing_path, settings.connections, 0.0, settings.computing_s)?;
    let blocking = subject.paced(&settings.blocking_path, settings.blocking.rate, 0.0, settings.blocking.seconds)?;
    Ok(Observation { at_rest, computing: subject.watched(&computing)?, blocking: subject.watched(&blocking)? })
}
