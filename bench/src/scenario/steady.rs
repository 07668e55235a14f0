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
    /// Closed loop before the measurement: prefork servers need about four seconds to fork one process per connection.
    pub(crate) warmup_s: f64,
    /// Measured closed loop.
    pub(crate) closed_s: f64,
    /// Open loop at `paced_rate`.
    pub(crate) paced_s: f64,
    /// Requests per second, below the knee of every contender.
    pub(crate) paced_rate: f64,
}

impl Settings {
    pub(crate) fn of(quick: bool) -> Self {
        let (replicates, warmup_s, closed_s, paced_s) = if quick { (1, 1.0, 1.5, 1.0) } else { (3, 3.5, 2.5, 3.0) };
        Self { path: "/".into(), replicates, connections: 16, warmup_s, closed_s, paced_s, paced_rate: 350.0 }
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
    let closed = |seconds: f64| {
        let load = Load::closed_for(Duration::from_secs_f64(seconds));
        subject.plan(&settings.path, load).map(|mut plan| {
            plan.connections = settings.connections;
            plan
        })
    };
    Subject::load(&closed(settings.warmup_s)?)?;
    let measured = subject.watched(&closed(settings.closed_s)?)?;
    let handlers = handlers(subject.root);
    let paced =
        Load::constant(vec![Stage { duration: Duration::from_secs_f64(settings.paced_s), rate: settings.paced_rate }]);
    let paced = subject.watched(&subject.plan(&settings.path, paced)?)?;
    Ok(Observation { closed: measured, paced, handlers })
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
