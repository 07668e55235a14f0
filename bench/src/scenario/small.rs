//! Small answers: what a request costs over many connections, and how long it takes over one.

use serde::{Deserialize, Serialize};

use super::{Subject, Watched};

/// How long and how hard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) path: String,
    /// Server starts per contender. The goals are a few percent apart, which takes more than three.
    pub(crate) replicates: u32,
    /// Connections of the first closed loop.
    pub(crate) connections: usize,
    /// Closed loop before each measurement.
    pub(crate) warmup_s: f64,
    /// Measured closed loop over `connections`.
    pub(crate) many_s: f64,
    /// Measured closed loop over one connection.
    pub(crate) one_s: f64,
}

impl Settings {
    pub(crate) fn of(quick: bool) -> Self {
        let (replicates, warmup_s, many_s, one_s) = if quick { (1, 0.2, 0.8, 0.4) } else { (5, 0.5, 2.0, 1.0) };
        Self { path: "/".into(), replicates, connections: 32, warmup_s, many_s, one_s }
    }

    /// Makes every time shorter.
    pub(crate) fn divide(&mut self, by: u32) {
        for seconds in [&mut self.warmup_s, &mut self.many_s, &mut self.one_s] {
            *seconds /= f64::from(by);
        }
    }

    /// Seconds of load in one run.
    pub(crate) fn seconds(&self) -> f64 {
        2.0 * self.warmup_s + self.many_s + self.one_s
    }
}

/// What one run observed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Observation {
    pub(crate) many: Watched,
    pub(crate) one: Watched,
}

/// Carries it out.
///
/// # Errors
/// The load generator's reason, in a sentence.
pub(crate) fn run(subject: Subject<'_>, settings: &Settings) -> Result<Observation, String> {
    let many = subject.closed(&settings.path, settings.connections, settings.warmup_s, settings.many_s)?;
    let one = subject.closed(&settings.path, 1, settings.warmup_s, settings.one_s)?;
    Ok(Observation { many: subject.watched(&many)?, one: subject.watched(&one)? })
}
