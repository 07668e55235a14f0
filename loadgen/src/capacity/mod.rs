//! How much load a target bears: the highest rate at which a run meets objectives.
//!
//! Each trial is a run of its own at one rate. `search` decides which rate is next, this module
//! carries the trials out and says what each of them shows, `text` shows the whole. A trial in
//! which the generator was at its limit shows nothing about the target and is never counted as its
//! capacity.

mod search;
mod text;

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{ErrorKind, PlanError, RunError};
use crate::objective::{Objective, Outcome};
use crate::plan::{Arrivals, Load, Plan};
use crate::report::{Interval, Report};
use crate::stage::Stage;
use crate::validity;

pub use search::{Purpose, Standing};
use search::{Range, Search, rounded};

/// What to search for, and how.
#[derive(Clone, Debug)]
pub struct Question {
    /// Everything about a trial but its load.
    pub plan: Plan,
    /// What a rate has to meet to be sustained.
    pub objectives: Vec<Objective>,
    /// The measured time of a trial.
    pub duration: Duration,
    /// How arrivals are spread.
    pub arrivals: Arrivals,
    /// Seed of [`Arrivals::Poisson`].
    pub seed: u64,
    /// The rate of the first trial, requests per second; `None` for the lowest at which a trial has
    /// enough requests for the objectives, and at least 10/s.
    pub minimum: Option<f64>,
    /// The highest rate tried.
    pub maximum: f64,
    /// How near the highest rate that is sustained and the lowest that is not must be, as a share
    /// of the rate: 0.05 is 5 %.
    pub precision: f64,
}

/// What the search is doing.
#[derive(Debug)]
pub enum SearchEvent<'a> {
    /// A trial begins.
    Begun {
        /// Counted from 1.
        number: usize,
        /// Requests per second.
        rate: f64,
        /// What it is for.
        purpose: Purpose,
    },
    /// An interval of the trial is over.
    Interval(&'a Interval),
    /// The trial is over.
    Ended(&'a Trial),
}

/// One run of the search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Counted from 1.
    pub number: usize,
    /// Requests per second.
    pub rate: f64,
    /// What it was for.
    pub purpose: Purpose,
    /// What it showed.
    pub standing: Standing,
    /// Why it was not sustained, one sentence each.
    pub reasons: Vec<String>,
    /// The run, with the verdict on each objective.
    pub report: Report,
}

/// The answer to a [`Question`], with everything it rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Capacity {
    /// Program and version that made it.
    pub generator: String,
    /// The target as given.
    pub target: String,
    /// What a rate had to meet.
    pub objectives: Vec<String>,
    /// Lowest rate tried, requests per second.
    pub minimum: f64,
    /// Highest rate that would have been tried.
    pub maximum: f64,
    /// Nearness asked for, as a share of the rate.
    pub precision: f64,
    /// What was found.
    pub finding: Finding,
    /// Every trial, in its order.
    pub trials: Vec<Trial>,
}

/// What a search found. Rates in requests per second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Finding {
    /// The capacity: `rate` was sustained, again in a run of its own, and `above` was not.
    Found {
        /// Sustained and confirmed.
        rate: f64,
        /// The lowest rate that was not sustained.
        above: f64,
        /// Why it was not.
        reasons: Vec<String>,
    },
    /// `rate` was confirmed and is the highest that was asked for: the capacity is no less.
    AtLeast {
        /// Sustained and confirmed.
        rate: f64,
    },
    /// `rate` was confirmed; at `above` the generator was at its limit, so that the target's is not
    /// known.
    GeneratorLimited {
        /// Sustained and confirmed.
        rate: f64,
        /// The lowest rate at which no valid run could be made.
        above: f64,
        /// What limited it.
        reasons: Vec<String>,
    },
    /// The objectives were missed at the lowest rate already, or no rate was confirmed.
    NotSustained {
        /// The lowest rate that failed.
        rate: f64,
        /// Why it failed.
        reasons: Vec<String>,
    },
    /// No valid run could be made at the lowest rate.
    NotMeasured {
        /// That rate.
        rate: f64,
        /// Why not.
        reasons: Vec<String>,
    },
    /// The search was stopped from outside; `rate` is the highest that was sustained until then.
    Interrupted {
        /// Sustained, not confirmed.
        rate: Option<f64>,
    },
    /// The target stopped accepting connections in the course of the search.
    TargetLost {
        /// Sustained before, not confirmed.
        rate: Option<f64>,
        /// The rate of the trial that could not be made.
        at: f64,
        /// The error.
        message: String,
    },
}

impl Capacity {
    /// The text summary, several lines.
    #[must_use]
    pub fn summary(&self) -> String {
        text::render(self)
    }

    /// The run that confirmed the rate found, if there is one.
    #[must_use]
    pub fn confirmation(&self) -> Option<&Trial> {
        let last = self.trials.last()?;
        (last.purpose == Purpose::Confirm && last.standing == Standing::Sustained).then_some(last)
    }
}

impl Trial {
    /// One line for progress displays, without a line break.
    #[must_use]
    pub fn line(&self) -> String {
        text::trial(self)
    }
}

impl Question {
    /// Highest rate tried when nothing else is asked for.
    pub const MAXIMUM: f64 = 1e6;
    /// Precision when nothing else is asked for.
    pub const PRECISION: f64 = 0.05;

    /// Checks what the types cannot. [`find_capacity`] calls this first.
    ///
    /// # Errors
    /// The first part that makes no sense.
    pub fn check(&self) -> Result<(), PlanError> {
        let wrong = |field, reason: String| Err(PlanError { field, reason });
        if self.plan.shard.is_some() || self.plan.start_at.is_some() {
            let reason = "is for one run, and a search makes several; leave it out".to_owned();
            return wrong(if self.plan.shard.is_some() { "shard" } else { "start-at" }, reason);
        }
        if self.objectives.is_empty() {
            return wrong("find-capacity", "needs an objective, for instance p99<50ms".to_owned());
        }
        if let Some(objective) = self.objectives.iter().find(|objective| !objective.limits_load()) {
            let reason =
                format!("{objective} is no bound that more load breaks; write for instance p99<50ms,errors<0.1%");
            return wrong("find-capacity", reason);
        }
        if !(0.01..=0.5).contains(&self.precision) {
            return wrong("precision", "must be from 1% to 50%".to_owned());
        }
        if self.duration.is_zero() {
            return wrong("duration", "must be more than 0".to_owned());
        }
        let minimum = self.lowest();
        if !(minimum.is_finite() && minimum > 0.0) {
            return wrong("min-rate", "must be more than 0".to_owned());
        }
        if self.maximum.is_nan() || self.maximum < minimum {
            let reason = match self.minimum {
                Some(_) => format!("must be at least --min-rate, {minimum}/s"),
                None => format!(
                    "must be at least {minimum}/s, the lowest rate with enough requests for the objectives in a trial \
                     of {} s; raise it, or --duration",
                    self.duration.as_secs_f64()
                ),
            };
            return wrong("max-rate", reason);
        }
        let seconds = self.duration.as_secs_f64();
        let needed = self.objectives.iter().map(Objective::needed).max().unwrap_or(1);
        if minimum * seconds < needed as f64 {
            let reason = format!(
                "a trial of {seconds} s at {minimum}/s has too few requests for the objectives, which take {needed}; \
                 raise it to {} or lengthen --duration",
                rounded(needed as f64 / seconds * MARGIN).ceil()
            );
            return wrong("min-rate", reason);
        }
        self.trial(minimum).check()
    }

    /// The rate of the first trial.
    fn lowest(&self) -> f64 {
        let needed = self.objectives.iter().map(Objective::needed).max().unwrap_or(1);
        let enough = needed as f64 / self.duration.as_secs_f64() * MARGIN;
        self.minimum.unwrap_or_else(|| enough.max(10.0).ceil())
    }

    /// The plan of a trial.
    fn trial(&self, rate: f64) -> Plan {
        let stages = vec![Stage::steady(self.duration, rate)];
        Plan { load: Load::Open { stages, arrivals: self.arrivals, seed: self.seed }, ..self.plan.clone() }
    }
}

/// How many times the requests that the objectives take the first trial has: some may fail, and
/// Poisson arrivals are some less or some more.
const MARGIN: f64 = 1.2;

/// Searches for the highest rate at which a run meets the objectives. Calls `watch` on the calling
/// thread. Setting `stop` ends the search as it ends a [`run`](crate::run()), with what was found
/// so far.
///
/// # Errors
/// See [`RunError`]. A target that goes down after the first trial is a finding, no error.
pub fn find_capacity(
    question: &Question,
    watch: &mut dyn FnMut(SearchEvent<'_>),
    stop: &AtomicBool,
) -> Result<Capacity, RunError> {
    question.check()?;
    let range = Range { minimum: question.lowest(), maximum: question.maximum, precision: question.precision };
    let mut search = Search::new(range);
    let mut trials: Vec<Trial> = Vec::new();
    let mut cut_short = None;
    while let Some((purpose, rate)) = search.next() {
        let number = trials.len() + 1;
        watch(SearchEvent::Begun { number, rate, purpose });
        let ran = crate::run(&question.trial(rate), &mut |interval| watch(SearchEvent::Interval(interval)), stop);
        let mut report = match ran {
            Ok(report) => report,
            Err(error @ RunError::TargetDown { .. }) if !trials.is_empty() => {
                cut_short =
                    Some(Finding::TargetLost { rate: search.sustained(), at: rate, message: error.to_string() });
                break;
            }
            Err(error) => return Err(error),
        };
        report.hold_to(&question.objectives);
        let interrupted = report.interrupted;
        let (standing, reasons) =
            if interrupted { (Standing::Invalid, vec!["interrupted".to_owned()]) } else { judge(&report) };
        trials.push(Trial { number, rate, purpose, standing, reasons, report });
        if let Some(trial) = trials.last() {
            watch(SearchEvent::Ended(trial));
        }
        if interrupted {
            cut_short = Some(Finding::Interrupted { rate: search.sustained() });
            break;
        }
        search.record(standing);
    }
    Ok(Capacity {
        generator: concat!("loadgen ", env!("CARGO_PKG_VERSION")).to_owned(),
        target: question.plan.target.to_string(),
        objectives: question.objectives.iter().map(ToString::to_string).collect(),
        minimum: range.minimum,
        maximum: range.maximum,
        precision: range.precision,
        finding: cut_short.unwrap_or_else(|| conclude(&search, &trials)),
        trials,
    })
}

/// What a report that was held to the objectives shows about the target, and why.
fn judge(report: &Report) -> (Standing, Vec<String>) {
    let mut limits = validity::generator_limits(report);
    if report.errors_of(ErrorKind::ConnectFailed) > 0 {
        let example = report.error_examples.get(&ErrorKind::ConnectFailed);
        limits.push(format!(
            "{} connections could not be made from this machine{}",
            report.errors_of(ErrorKind::ConnectFailed),
            example.map(|example| format!(": {example}")).unwrap_or_default(),
        ));
    }
    if !limits.is_empty() {
        return (Standing::Invalid, limits);
    }
    let of = |outcome| report.assertions.iter().filter(move |verdict| verdict.outcome == outcome);
    let mut missed: Vec<String> =
        of(Outcome::Missed).map(|verdict| format!("{}: {}", verdict.objective, verdict.shown)).collect();
    if report.answered == 0 {
        missed.push("no request was answered".to_owned());
    }
    // A target that frees no connection for what is due has not sustained the rate, however well it
    // answers the rest.
    if let Some(ratio) = report.achieved_over_offered().filter(|ratio| *ratio < validity::LEAST_ACHIEVED) {
        missed.push(format!("only {:.1} % of the rate was achieved", ratio * 100.0));
    }
    let undecided: Vec<String> = of(Outcome::Undecided).filter_map(|verdict| verdict.reason.clone()).collect();
    if !undecided.is_empty() && report.failed() > 0 {
        missed.push(format!("{} of {} requests failed", report.failed(), report.requests));
    }
    match (missed.is_empty(), undecided.is_empty()) {
        (false, _) => (Standing::Missed, missed),
        (true, false) => (Standing::Invalid, undecided),
        (true, true) => (Standing::Sustained, Vec::new()),
    }
}

/// What a search that has ended by itself found.
fn conclude(search: &Search, trials: &[Trial]) -> Finding {
    let refused = search.refused();
    // Of two trials at a rate, the later one decided.
    let reasons = |rate: f64| {
        let failed = trials.iter().rev().find(|trial| trial.rate == rate && trial.standing != Standing::Sustained);
        failed.map(|trial| trial.reasons.clone()).unwrap_or_default()
    };
    match (search.confirmed(), refused) {
        (Some(rate), None) => Finding::AtLeast { rate },
        (Some(rate), Some(refused)) if refused.standing == Standing::Invalid => {
            Finding::GeneratorLimited { rate, above: refused.rate, reasons: reasons(refused.rate) }
        }
        (Some(rate), Some(refused)) => Finding::Found { rate, above: refused.rate, reasons: reasons(refused.rate) },
        (None, Some(refused)) if refused.standing == Standing::Invalid => {
            Finding::NotMeasured { rate: refused.rate, reasons: reasons(refused.rate) }
        }
        (None, refused) => {
            let rate = refused.map_or(0.0, |refused| refused.rate);
            Finding::NotSustained { rate, reasons: reasons(rate) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::parse_objectives;
    use crate::report::tests::report;

    fn question(objectives: &str) -> Question {
        Question {
            plan: Plan::new("http://a/".parse().unwrap(), Load::closed_for(Duration::from_secs(1))),
            objectives: parse_objectives(objectives).unwrap(),
            duration: Duration::from_secs(10),
            arrivals: Arrivals::Constant,
            seed: 1,
            minimum: None,
            maximum: Question::MAXIMUM,
            precision: Question::PRECISION,
        }
    }

    #[test]
    fn wrong_questions_name_the_option() {
        let rows = [
            (question("p99<50ms,errors<1%"), None),
            (Question { objectives: vec![], ..question("p99<1s") }, Some("find-capacity")),
            (question("p99<50ms,rps>5"), Some("find-capacity")),
            (question("p99>50ms"), Some("find-capacity")),
            (Question { precision: 0.0, ..question("p99<1s") }, Some("precision")),
            (Question { duration: Duration::ZERO, ..question("p99<1s") }, Some("duration")),
            (Question { minimum: Some(0.0), ..question("errors<1%") }, Some("min-rate")),
            // 10 s at 99/s are 990 requests, and a p99 takes 1000.
            (Question { minimum: Some(99.0), ..question("p99<1s") }, Some("min-rate")),
            (Question { minimum: Some(100.0), ..question("p99<1s") }, None),
            (Question { maximum: 50.0, ..question("p99<1s") }, Some("max-rate")),
            (Question { maximum: f64::NAN, ..question("p99<1s") }, Some("max-rate")),
        ];
        for (question, field) in rows {
            assert_eq!(question.check().err().map(|e| e.field), field, "{question:?}");
        }
        let mut wrong = question("p99<1s");
        wrong.plan.threads = 0;
        assert_eq!(wrong.check().unwrap_err().field, "threads");
    }

    #[test]
    fn the_first_trial_has_enough_requests() {
        for (objectives, lowest) in [("p99<1s", 120.0), ("p99.9<1s,errors<1%", 1200.0), ("errors<1%,max<1s", 10.0)] {
            assert_eq!(question(objectives).lowest(), lowest, "{objectives}");
        }
    }

    #[test]
    fn a_trial_blames_the_generator_before_the_target() {
        type Change = fn(&mut Report);
        let judged = |objectives: &str, change: Change| {
            let mut report = report();
            change(&mut report);
            report.hold_to(&parse_objectives(objectives).unwrap());
            judge(&report)
        };
        let rows: [(&str, Change, Standing, &str); 7] = [
            ("p99<50ms,errors<1%", |_| {}, Standing::Sustained, ""),
            ("p99<1ms", |_| {}, Standing::Missed, "p99<1ms: "),
            // The bound is missed, but by a generator that had no CPU left.
            ("p99<1ms", |report| report.threads[0].cpu_share = 0.95, Standing::Invalid, "used 95 % of a CPU"),
            ("p99<50ms", |report| report.achieved_rate = 80.0, Standing::Missed, "only 80.0 % of the rate"),
            ("p99.9<50ms", |_| {}, Standing::Invalid, "it takes 10000 requests"),
            // Requests that failed are missing in the percentiles: no lack of length.
            (
                "p99.9<50ms",
                |report| {
                    report.errors.insert(ErrorKind::Timeout, 30);
                },
                Standing::Missed,
                "30 of 1000 requests failed",
            ),
            (
                "p99<50ms",
                |report| {
                    report.errors.insert(ErrorKind::ConnectFailed, 3);
                },
                Standing::Invalid,
                "3 connections could not be made from this machine",
            ),
        ];
        for (objectives, change, standing, reason) in rows {
            let (found, reasons) = judged(objectives, change);
            assert_eq!(found, standing, "{objectives} {reasons:?}");
            assert!(reasons.first().map_or("", String::as_str).contains(reason), "{reasons:?}");
        }
    }
}
