//! What is done to a running server, and what is observed meanwhile. Raw observations only: `report` computes.
//!
//! A scenario knows the server's address and its tree's root, never which server it is.

pub(crate) mod steady;
pub(crate) mod step;

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use loadgen::{Plan, Report, Stage, Target};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::observe::sampler::{Sampler, Watch};

/// The scenarios, in the order in which they run and are reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Scenario {
    Steady,
    Step,
}

impl Scenario {
    pub(crate) const ALL: [Self; 2] = [Self::Steady, Self::Step];

    /// What the command line calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Step => "step",
        }
    }

    /// One line for `bench list`.
    pub(crate) fn about(self) -> &'static str {
        match self {
            Self::Steady => {
                "closed loop over keep-alive connections for throughput and cost, then equal offered load for latency"
            }
            Self::Step => {
                "open loop 20 → 400 → 20 requests/s, a new connection per request, a handler that blocks 50 ms"
            }
        }
    }

    /// The scenarios of these names; all when there is no name.
    ///
    /// # Errors
    /// A name that is not known.
    pub(crate) fn chosen(names: &[String]) -> Result<Vec<Self>, Failure> {
        if let Some(unknown) = names.iter().find(|name| Self::ALL.iter().all(|scenario| scenario.name() != **name)) {
            let known: Vec<&str> = Self::ALL.iter().map(|scenario| scenario.name()).collect();
            return Err(Failure::Usage(format!("unknown scenario {unknown:?}; known are {}", known.join(", "))));
        }
        Ok(Self::ALL
            .into_iter()
            .filter(|scenario| names.is_empty() || names.iter().any(|name| name == scenario.name()))
            .collect())
    }
}

/// Lengths and loads of a session, all in the results.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Lengths {
    /// Longest wait for an answer, in seconds; a request without one is an error.
    pub(crate) timeout_s: f64,
    pub(crate) steady: steady::Settings,
    pub(crate) step: step::Settings,
}

impl Lengths {
    /// Those of a full session (at most four minutes for four contenders) or of a quick one (at most one).
    pub(crate) fn of(quick: bool) -> Self {
        Self {
            timeout_s: if quick { 2.0 } else { 6.0 },
            steady: steady::Settings::of(quick),
            step: step::Settings::of(quick),
        }
    }

    /// How often each contender is started for `scenario`.
    pub(crate) fn replicates(&self, scenario: Scenario) -> u32 {
        match scenario {
            Scenario::Steady => self.steady.replicates,
            Scenario::Step => self.step.replicates,
        }
    }

    /// Seconds of load in one run of `scenario`.
    pub(crate) fn seconds(&self, scenario: Scenario) -> f64 {
        match scenario {
            Scenario::Steady => self.steady.seconds(),
            Scenario::Step => self.step.stages.iter().map(|stage| stage.seconds).sum(),
        }
    }
}

/// What one run observed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Observation {
    Steady(Box<steady::Observation>),
    Step(Box<step::Observation>),
}

/// A server to put under load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    /// `http://127.0.0.1:PORT`, no slash at the end.
    pub(crate) base: &'a str,
    /// Pid of the tree's root.
    pub(crate) root: i32,
    /// CPUs of the generator's threads; empty: not pinned.
    pub(crate) generator: &'a [usize],
    pub(crate) ticks_per_second: f64,
    /// Longest wait for an answer, in seconds.
    pub(crate) timeout_s: f64,
}

/// Load, and the tree while it lasted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Watched {
    pub(crate) load: Report,
    pub(crate) watch: Watch,
}

impl Subject<'_> {
    fn plan(&self, path: &str, load: loadgen::Load) -> Result<Plan, String> {
        let target: Target =
            format!("{}{path}", self.base).parse().map_err(|error: loadgen::TargetError| error.to_string())?;
        let mut plan = Plan::new(target, load);
        plan.timeout = Duration::from_secs_f64(self.timeout_s);
        if !self.generator.is_empty() {
            plan.threads = self.generator.len();
            plan.cpus = Some(self.generator.to_vec());
        }
        Ok(plan)
    }

    /// Carries out `plan` with the tree watched, except during its warm-up.
    fn watched(&self, plan: &Plan) -> Result<Watched, String> {
        let sampler = Sampler::start(self.root, self.ticks_per_second, plan.warmup);
        // Ctrl-C ends the whole harness from its signal thread: nothing here has to stop early.
        let load = loadgen::run(plan, &mut |_| {}, &AtomicBool::new(false)).map_err(|error| error.to_string())?;
        Ok(Watched { load, watch: sampler.finish() })
    }
}

/// A time with one rate, as the results store it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Pace {
    pub(crate) seconds: f64,
    /// Requests per second.
    pub(crate) rate: f64,
}

impl From<Pace> for Stage {
    fn from(pace: Pace) -> Self {
        Self { duration: Duration::from_secs_f64(pace.seconds), rate: pace.rate }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_choose_and_unknown_ones_are_told() {
        assert_eq!(Scenario::chosen(&[]).unwrap(), Scenario::ALL);
        // The order is ours, whatever was asked first.
        let both = ["step".to_owned(), "steady".to_owned()];
        assert_eq!(Scenario::chosen(&both).unwrap(), Scenario::ALL);
        let error = Scenario::chosen(&["spike".into()]).unwrap_err();
        assert_eq!(error.to_string(), "unknown scenario \"spike\"; known are steady, step");
    }

    #[test]
    fn sessions_keep_their_promised_lengths() {
        // Start, gate and stop of a server take less than two seconds together; the rest is for answers that are
        // still awaited when a stage ends.
        let total = |lengths: &Lengths| -> f64 {
            Scenario::ALL.into_iter().map(|s| 4.0 * f64::from(lengths.replicates(s)) * (lengths.seconds(s) + 1.7)).sum()
        };
        assert!(total(&Lengths::of(true)) <= 54.0, "{}", total(&Lengths::of(true)));
        assert!(total(&Lengths::of(false)) <= 212.0, "{}", total(&Lengths::of(false)));
    }
}
