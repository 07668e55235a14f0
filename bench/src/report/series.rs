//! What the pictures show: curves over percentiles and over time, from the raw data.

use hdrhistogram::Histogram;
use loadgen::{Distribution, Interval};

use super::metrics::stages;
use crate::results::schema::{Outcome, Run, Session};
use crate::scenario::{Observation, Pace, Scenario};

/// The curves of a contender as it comes; those of scenarios in which it was not measured are empty.
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) title: String,
    /// Latencies in nanoseconds at equal load, of all replicates together.
    pub(crate) paced: Option<Histogram<u64>>,
    /// The same of the saturated closed loop.
    pub(crate) closed: Option<Histogram<u64>>,
    /// The same of the whole step.
    pub(crate) step: Option<Histogram<u64>>,
    /// Of the first replicate of the step: (middle of the second, p99 in ms); `None` where nothing was answered.
    pub(crate) p99: Vec<(f64, Option<f64>)>,
    /// Of the same, every answer of each second.
    pub(crate) seconds: Vec<Second>,
    /// Of the same: (seconds, processes that serve).
    pub(crate) workers: Vec<(f64, f64)>,
}

/// An interval of a run, from and to these seconds, with its latencies in nanoseconds.
pub(crate) struct Second {
    pub(crate) start: f64,
    pub(crate) end: f64,
    pub(crate) latency: Histogram<u64>,
}

/// The step whose course is drawn: that of the comparison, or else the one with the longer end.
pub(crate) struct Stepped<'a> {
    pub(crate) scenario: Scenario,
    pub(crate) stages: &'a [Pace],
    pub(crate) objective_ms: f64,
}

impl<'a> Stepped<'a> {
    pub(crate) fn of(session: &'a Session) -> Self {
        let has_step = session.order.iter().any(|id| id.scenario == Scenario::Step);
        let (scenario, settings) = if has_step {
            (Scenario::Step, &session.lengths.step)
        } else {
            (Scenario::Burst, &session.lengths.process_manager.burst)
        };
        Self { scenario, stages: &settings.stages, objective_ms: settings.objective_ms }
    }
}

/// One per contender, at its place.
///
/// # Errors
/// A damaged histogram.
pub(crate) fn collect(session: &Session, runs: &[Run]) -> Result<Vec<Series>, String> {
    let stepped = Stepped::of(session);
    session
        .compared()
        .map(|entrant| {
            let observations = || {
                runs.iter().filter(|run| run.id.contender == entrant.name).filter_map(|run| match &run.outcome {
                    Outcome::Measured { observation, .. } => Some(observation),
                    Outcome::Failed { .. } => None,
                })
            };
            let steady = || {
                observations().filter_map(|observation| match observation {
                    Observation::Steady(steady) => Some(steady),
                    _ => None,
                })
            };
            let step = || {
                observations().filter_map(|observation| match observation {
                    Observation::Step(step) if stepped.scenario == Scenario::Step => Some(&step.step),
                    Observation::Burst(step) if stepped.scenario == Scenario::Burst => Some(&step.step),
                    _ => None,
                })
            };
            let end = stages::end(stepped.stages);
            let first = step().next();
            Ok(Series {
                name: entrant.name.clone(),
                title: entrant.title.clone(),
                paced: merged(steady().map(|s| &s.paced.load.latency))?,
                closed: merged(steady().map(|s| &s.closed.load.latency))?,
                step: merged(step().map(|s| &s.load.latency))?,
                p99: first.map_or_else(Vec::new, |watched| {
                    watched
                        .load
                        .intervals
                        .iter()
                        .filter(|interval| !interval.drain && interval.start_s < end)
                        .map(|interval| {
                            let middle = interval.start_s + interval.duration_s / 2.0;
                            let p99 = (interval.latency.count > 0).then(|| interval.latency.p99_ns as f64 / 1e6);
                            (middle, p99)
                        })
                        .collect()
                }),
                seconds: first.map_or_else(|| Ok(Vec::new()), |watched| seconds(&watched.load.intervals, end))?,
                workers: first.map_or_else(Vec::new, |watched| {
                    watched
                        .watch
                        .samples
                        .iter()
                        .filter(|sample| sample.at <= end)
                        .map(|s| (s.at, f64::from(s.workers(entrant.managers))))
                        .collect()
                }),
            })
        })
        .collect()
}

/// Those before `end`.
fn seconds(intervals: &[Interval], end: f64) -> Result<Vec<Second>, String> {
    intervals
        .iter()
        .filter(|interval| !interval.drain && interval.start_s < end)
        .map(|interval| {
            let latency = interval.latency.histogram().map_err(|error| error.to_string())?;
            let from = interval.start_s;
            Ok(Second { start: from, end: (from + interval.duration_s).min(end), latency })
        })
        .collect()
}

/// All of them as one histogram; percentiles are never averaged.
fn merged<'a>(parts: impl Iterator<Item = &'a Distribution>) -> Result<Option<Histogram<u64>>, String> {
    let merged = Distribution::merged(parts).map_err(|error| error.to_string())?;
    if merged.count == 0 {
        return Ok(None);
    }
    merged.histogram().map(Some).map_err(|error| error.to_string())
}
