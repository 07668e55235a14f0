//! Bodies that do not fit into one packet, in both directions: what the server's CPU can move.

use loadgen::Plan;
use serde::{Deserialize, Serialize};

use super::{Subject, Watched};

/// How long and how hard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// Server starts per contender.
    pub(crate) replicates: u32,
    pub(crate) connections: usize,
    /// Closed loop before each measurement.
    pub(crate) warmup_s: f64,
    /// Each of the four measured closed loops.
    pub(crate) each_s: f64,
    /// Bytes of a small and of a large body.
    pub(crate) small: usize,
    pub(crate) large: usize,
}

impl Settings {
    pub(crate) fn of(quick: bool) -> Self {
        let (replicates, warmup_s, each_s) = if quick { (1, 0.1, 0.4) } else { (3, 0.3, 1.5) };
        Self { replicates, connections: 8, warmup_s, each_s, small: 64 * 1024, large: 1024 * 1024 }
    }

    /// Seconds of load in one run.
    pub(crate) fn seconds(&self) -> f64 {
        4.0 * (self.warmup_s + self.each_s)
    }
}

/// What one run observed: each size sent by the clients (up) and by the server (down).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Observation {
    pub(crate) small_up: Watched,
    pub(crate) large_up: Watched,
    pub(crate) small_down: Watched,
    pub(crate) large_down: Watched,
}

/// Carries it out.
///
/// # Errors
/// The load generator's reason, in a sentence.
pub(crate) fn run(subject: Subject<'_>, settings: &Settings) -> Result<Observation, String> {
    let plan = |path: &str| subject.closed(path, settings.connections, settings.warmup_s, settings.each_s);
    let up = |length: usize| {
        let plan = Plan { method: "POST".into(), body: vec![b'x'; length], ..plan("/upload")? };
        subject.watched(&plan)
    };
    let down = |length: usize| subject.watched(&plan(&format!("/download/{length}"))?);
    Ok(Observation {
        small_up: up(settings.small)?,
        large_up: up(settings.large)?,
        small_down: down(settings.small)?,
        large_down: down(settings.large)?,
    })
}
