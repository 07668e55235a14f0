//! Steady load: what a server can do at most and what that costs, then its latency at a load that all can bear.

use std::time::Duration;

use loadgen::{Load, Stage};
use serde::{Deserialize, Serialize};

use super::{Subject, Watched};
use crate::observe::proc::Masks;
use crate::observe::tree;

/// How long and how hard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) path: String,
    /// Server starts per contender.
    pub(crate) replicates: u32,
    /// Connections of the closed loop.
    pub(crate) connections: usize,
    /// Closed loop before the measurement, over the same connections. Prefork servers need about three seconds until
    /// there is a process for each of eight connections, and longer until each has imported the application.
    pub(crate) warmup_s: f64,
    /// Measured closed loop.
    pub(crate) closed_s: f64,
    /// Open loop before its measurement.
    pub(crate) paced_warmup_s: f64,
    /// Measured open loop at `paced_rate`.
    pub(crate) paced_s: f64,
    /// Requests per second, below the knee of every contender.
    pub(crate) paced_rate: f64,
}

impl Settings {
    pub(crate) fn of(quick: bool) -> Self {
        let (replicates, warmup_s, closed_s, paced_warmup_s, paced_s) =
            if quick { (1, 1.1, 1.0, 0.3, 1.0) } else { (3, 2.9, 1.5, 0.4, 2.2) };
        Self {
            path: "/".into(),
            replicates,
            connections: 8,
            warmup_s,
            closed_s,
            paced_warmup_s,
            paced_s,
            paced_rate: 480.0,
        }
    }
}

impl Settings {
    /// Seconds of load in one run.
    pub(crate) fn seconds(&self) -> f64 {
        self.warmup_s + self.closed_s + self.paced_warmup_s + self.paced_s
    }
}

/// The signal masks of one process of the tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Handlers {
    pub(crate) process: String,
    pub(crate) root: bool,
    /// SigCgt, SigIgn and SigBlk, as bit masks (bit 0 is signal 1).
    pub(crate) caught: u64,
    pub(crate) ignored: u64,
    pub(crate) blocked: u64,
}

/// What one run observed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Observation {
    /// The closed loop: as many requests as the server answers.
    pub(crate) closed: Watched,
    /// The open loop at equal offered load.
    pub(crate) paced: Watched,
    /// One entry per process, right after the closed loop.
    pub(crate) handlers: Vec<Handlers>,
}

/// Carries it out.
///
/// # Errors
/// The load generator's reason, in a sentence.
pub(crate) fn run(subject: Subject<'_>, settings: &Settings) -> Result<Observation, String> {
    let load = Load::closed_for(Duration::from_secs_f64(settings.closed_s));
    let mut closed = subject.plan(&settings.path, load)?;
    closed.connections = settings.connections;
    closed.warmup = Duration::from_secs_f64(settings.warmup_s);
    let closed = subject.watched(&closed)?;
    let handlers = handlers(subject.root);
    let load = Load::constant(vec![Stage::steady(Duration::from_secs_f64(settings.paced_s), settings.paced_rate)]);
    let mut paced = subject.plan(&settings.path, load)?;
    paced.warmup = Duration::from_secs_f64(settings.paced_warmup_s);
    let paced = subject.watched(&paced)?;
    Ok(Observation { closed, paced, handlers })
}

fn handlers(root: i32) -> Vec<Handlers> {
    tree::masks(&tree::members(root))
        .into_iter()
        .map(|(pid, process, masks)| {
            let Masks { caught, ignored, blocked } = masks;
            Handlers { process, root: pid == root, caught, ignored, blocked }
        })
        .collect()
}
