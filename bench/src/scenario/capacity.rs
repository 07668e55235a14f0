//! How much load a server bears while it meets an objective: the load generator's search, against every start anew.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use loadgen::{Arrivals, Load, Plan, Question, parse_objectives};
use serde::{Deserialize, Serialize};

use super::Subject;

/// The objective, and how it is searched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) path: String,
    /// Server starts per contender: each has a search of its own.
    pub(crate) replicates: u32,
    /// What a rate has to meet, in the load generator's words. That 99 % of the rate is achieved goes without saying.
    pub(crate) objective: String,
    /// Closed loop before the search, in which a server makes its processes; so many connections.
    pub(crate) warmup_s: f64,
    pub(crate) connections: usize,
    /// Open loop before the measurement of each trial, and that itself.
    pub(crate) settle_s: f64,
    pub(crate) trial_s: f64,
    /// How near the last two rates are to each other, as a share.
    pub(crate) precision: f64,
}

impl Settings {
    pub(crate) fn of(quick: bool) -> Self {
        let settings = Self {
            path: "/".into(),
            replicates: 3,
            objective: "p99<=50ms,errors<=0.1%".into(),
            warmup_s: 4.0,
            connections: 8,
            settle_s: 0.5,
            trial_s: 4.0,
            precision: 0.05,
        };
        if !quick {
            return settings;
        }
        Self {
            replicates: 1,
            // A p99 would take ten times as many requests.
            objective: "p90<=50ms,errors<=1%".into(),
            warmup_s: 1.0,
            settle_s: 0.1,
            trial_s: 1.0,
            precision: 0.25,
            ..settings
        }
    }

    /// Seconds of load in one run, about: doubling a few times, bisecting down to the precision, confirming.
    pub(crate) fn seconds(&self) -> f64 {
        let bisections = (1.0 / self.precision).log2().ceil();
        self.warmup_s + (self.settle_s + self.trial_s) * (5.0 + bisections)
    }
}

/// What one run observed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Observation {
    pub(crate) capacity: loadgen::Capacity,
}

/// Carries it out.
///
/// # Errors
/// The load generator's reason, in a sentence.
pub(crate) fn run(subject: Subject<'_>, settings: &Settings) -> Result<Observation, String> {
    let warmup = subject.closed(&settings.path, settings.connections, 0.0, settings.warmup_s)?;
    subject.watched(&warmup)?;
    // The search gives each trial a load of its own.
    let question = question(subject.plan(&settings.path, Load::constant(Vec::new()))?, settings)?;
    // Ctrl-C ends the whole harness from its signal thread: nothing here has to stop early.
    let capacity =
        loadgen::find_capacity(&question, &mut |_| {}, &AtomicBool::new(false)).map_err(|error| error.to_string())?;
    Ok(Observation { capacity })
}

fn question(mut plan: Plan, settings: &Settings) -> Result<Question, String> {
    plan.warmup = Duration::from_secs_f64(settings.settle_s);
    Ok(Question {
        plan,
        objectives: parse_objectives(&settings.objective).map_err(|error| error.to_string())?,
        duration: Duration::from_secs_f64(settings.trial_s),
        // As from many users who know nothing of one another; the same arrivals for every server.
        arrivals: Arrivals::Poisson,
        seed: 1,
        minimum: None,
        maximum: Question::MAXIMUM,
        precision: settings.precision,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_makes_sense() {
        for quick in [true, false] {
            let plan = Plan::new("http://127.0.0.1:1/".parse().unwrap(), Load::constant(Vec::new()));
            question(plan, &Settings::of(quick)).unwrap().check().unwrap();
        }
    }
}
