//! The loads by which settings are compared: as much as a server answers, and a step. Short, because there are many.

use loadgen::{Load, Reuse};
use serde::{Deserialize, Serialize};

use super::{Pace, Scenario, Subject, Watched};

/// What a setting is chosen for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Aim {
    /// The most requests per second in the closed loop.
    Throughput,
    /// The shortest p99 across the step.
    Step,
}

impl Aim {
    pub(crate) const ALL: [Self; 2] = [Self::Throughput, Self::Step];

    /// What a setting has to be good at for `scenario`; `None`: none is chosen for it.
    pub(crate) fn of(scenario: Scenario) -> Option<Self> {
        match scenario {
            Scenario::Steady | Scenario::Curve | Scenario::Capacity => Some(Self::Throughput),
            Scenario::Step | Scenario::Burst => Some(Self::Step),
            _ => None,
        }
    }
}

/// How long and how hard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// The closed loop, over so many connections.
    pub(crate) path: String,
    pub(crate) connections: usize,
    pub(crate) warmup_s: f64,
    pub(crate) closed_s: f64,
    /// The step, as in the scenario of that name: a new connection per request.
    pub(crate) blocking_path: String,
    pub(crate) stages: Vec<Pace>,
}

impl Default for Settings {
    fn default() -> Self {
        Self::of(false)
    }
}

impl Settings {
    pub(crate) fn of(quick: bool) -> Self {
        let (warmup_s, closed_s, low_s, high_s) = if quick { (0.3, 0.7, 0.3, 1.2) } else { (2.0, 1.5, 1.0, 5.0) };
        Self {
            path: "/".into(),
            connections: 8,
            warmup_s,
            closed_s,
            blocking_path: "/sleep50".into(),
            stages: vec![Pace { seconds: low_s, rate: 20.0 }, Pace { seconds: high_s, rate: 400.0 }],
        }
    }

    /// Seconds of load in one run.
    pub(crate) fn seconds(&self) -> f64 {
        self.warmup_s + self.closed_s + self.stages.iter().map(|stage| stage.seconds).sum::<f64>()
    }
}

/// What one run observed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Observation {
    pub(crate) closed: Watched,
    pub(crate) step: Watched,
}

/// Carries it out. The step comes last: calls that a small setting could not bear are still in its queue long after
/// their clients have given up, and would be taken for a lack of throughput.
///
/// # Errors
/// The load generator's reason, in a sentence.
pub(crate) fn run(subject: Subject<'_>, settings: &Settings) -> Result<Observation, String> {
    let closed = subject.closed(&settings.path, settings.connections, settings.warmup_s, settings.closed_s)?;
    let closed = subject.watched(&closed)?;
    let stages = settings.stages.iter().copied().map(Into::into).collect();
    let mut step = subject.plan(&settings.blocking_path, Load::constant(stages))?;
    step.reuse = Reuse::NewConnectionPerRequest;
    Ok(Observation { closed, step: subject.watched(&step)? })
}
