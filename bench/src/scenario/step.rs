//! A step of load: how fast a server notices, how many processes it takes, and how it lets them go.

use std::time::Duration;

use loadgen::{Load, Reuse};
use serde::{Deserialize, Serialize};

use super::{Pace, Subject, Watched};

/// How long and how hard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// A handler that blocks 50 ms: 400 requests/s keep 20 calls busy at once (Little's law).
    pub(crate) path: String,
    /// Server starts per contender.
    pub(crate) replicates: u32,
    /// Low, high, low.
    pub(crate) stages: Vec<Pace>,
    /// The objective: a p99 per second at or below this, in milliseconds.
    pub(crate) objective_ms: f64,
    /// Longest wait for an answer, where it is not that of the session: what is thirty times as late as the objective is
    /// as good as none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) timeout_s: Option<f64>,
}

impl Settings {
    pub(crate) fn of(quick: bool) -> Self {
        // Whole seconds, because the figures go by the second.
        let lengths = [1.0, 3.0, 1.0];
        let rates = [20.0, 400.0, 20.0];
        Self {
            path: "/sleep50".into(),
            replicates: if quick { 1 } else { 3 },
            stages: lengths.into_iter().zip(rates).map(|(seconds, rate)| Pace { seconds, rate }).collect(),
            objective_ms: 100.0,
            timeout_s: (!quick).then_some(3.0),
        }
    }

    /// A longer burst, in which slower ones may come to terms with it, and longer after it, so that it shows when the last
    /// process that came for it has left.
    pub(crate) fn with_end(quick: bool) -> Self {
        let lengths = if quick { [1.0, 2.5, 3.0] } else { [2.0, 10.0, 12.0] };
        let mut settings = Self { timeout_s: None, ..Self::of(quick) };
        for (stage, seconds) in settings.stages.iter_mut().zip(lengths) {
            stage.seconds = seconds;
        }
        settings
    }

    /// Seconds of load in one run.
    pub(crate) fn seconds(&self) -> f64 {
        self.stages.iter().map(|stage| stage.seconds).sum()
    }
}

/// What one run observed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Observation {
    pub(crate) step: Watched,
}

/// Carries it out: an open loop, a new connection per request as from a proxy without keep-alive.
///
/// # Errors
/// The load generator's reason, in a sentence.
pub(crate) fn run(subject: Subject<'_>, settings: &Settings) -> Result<Observation, String> {
    let stages = settings.stages.iter().copied().map(Into::into).collect();
    let mut plan = subject.plan(&settings.path, Load::constant(stages))?;
    plan.reuse = Reuse::NewConnectionPerRequest;
    if let Some(seconds) = settings.timeout_s {
        plan.timeout = Duration::from_secs_f64(seconds);
    }
    Ok(Observation { step: subject.watched(&plan)? })
}
