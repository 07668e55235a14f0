//! The figures of scenarios that files describe: the same for all of them, as far as a file has what they are about.

use super::{
    Better, Described, Metric, Of, Part, Reading, largest_pss, most_processes, per_answer, quantile_ms, stages,
};
use crate::observe::sampler::integral;
use crate::scenario::Watched;
use crate::scenario::described::failure::Strike;
use crate::scenario::described::{Description, Open, Others};

const GENERATOR: &str = "load generator";
const HISTOGRAM: &str = "load generator: HdrHistogram of latencies from the intended send time";
const CPU: &str = "Σ utime+stime (+ reaped children) of /proc/PID/stat over the tree ÷ answers";
const PSS: &str = "Σ Pss of /proc/PID/smaps_rollup over the tree, once a second, the largest";
const CLIENTS: &str = "the clients themselves";

/// Every figure, in the order of the tables.
pub(super) const METRICS: &[Metric] = &[
    Metric {
        better: Better::Higher,
        ..closed("described_throughput", "throughput, saturated", "requests/s", GENERATOR, |load| {
            Ok(Reading::Value(load.load.answered_rate))
        })
    },
    closed("described_cpu", "CPU per request, saturated", "µs", CPU, |load| {
        per_answer(load, load.watch.cpu_seconds * 1e6)
    }),
    closed("described_pss", "memory, most (PSS), saturated", "MiB", PSS, |load| largest_pss(&load.watch)),
    closed("described_closed_errors", "errors, saturated", "requests", GENERATOR, |load| {
        Ok(Reading::Value(load.load.failed() as f64))
    }),
    open("described_p50", "p50", "ms", HISTOGRAM, |load, _, _| quantile_ms(&load.load.latency, 0.5)),
    open("described_p99", "p99", "ms", HISTOGRAM, |load, _, _| quantile_ms(&load.load.latency, 0.99)),
    open(RARE, "p99.9", "ms", HISTOGRAM, |load, _, _| quantile_ms(&load.load.latency, 0.999)),
    open(
        "described_missed",
        "time with a p99 above the objective",
        "s",
        "load generator, interval by interval: those with a p99 above the objective, or with an error",
        |load, open, _| Ok(Reading::Value(missed(load, open))),
    ),
    open("described_errors", "errors", "requests", GENERATOR, |load, _, _| {
        Ok(Reading::Value(load.load.failed() as f64))
    }),
    open("described_paced_cpu", "CPU per request", "µs", CPU, |load, _, _| {
        per_answer(load, load.watch.cpu_seconds * 1e6)
    }),
    open("described_paced_pss", "memory, most (PSS)", "MiB", PSS, |load, _, _| largest_pss(&load.watch)),
    open(
        "described_worker_seconds",
        "worker-seconds",
        "s",
        "integral over the stages of (processes of the tree − managers), sampled every 100 ms",
        |load, open, managers| Ok(Reading::Value(worker_seconds(load, open, managers))),
    ),
    open(
        "described_processes",
        "processes, most",
        "",
        "/proc/PID/stat of the server's tree, every 100 ms",
        |load, _, _| most_processes(&load.watch.samples),
    ),
    failure(
        "described_lost",
        "requests lost after it",
        "requests",
        "load generator: errors from the interval in which it happened on, and what was never answered",
        |load, _, at| Ok(Reading::Value(lost(load, at))),
    ),
    failure(
        "described_back",
        "from it until the p99 is back",
        "s",
        "load generator, every 250 ms: to the end of the last interval with a p99 above the objective, an error, or no answer",
        back,
    ),
    Metric {
        better: Better::Higher,
        ..beside(IDLE, "idle connections left open", "", |others| others.idle_left as f64)
    },
    Metric {
        better: Better::Higher,
        ..beside("described_slow_served", "slow clients served", "requests", |others| others.slow_served as f64)
    },
    beside("described_slow_failed", "slow clients refused or cut off", "requests", |others| others.slow_failed as f64),
];

const IDLE: &str = "described_idle_left";
const RARE: &str = "described_p999";

/// Whether a figure of the open loop can be had with as many requests as the description has: a quantile takes ten
/// answers beyond it, and a row without a figure says nothing.
pub(super) fn is_in_reach(id: &str, description: &Description) -> bool {
    description.open.as_ref().is_some_and(|open| id != RARE || open.requests() >= 10_000.0)
}

/// Whether a figure about other clients is about some that the description has.
pub(super) fn is_beside(id: &str, description: &Description) -> bool {
    description.beside.as_ref().is_some_and(|beside| {
        let slow = beside.slow_uploads.is_some() || beside.slow_readers.is_some();
        if id == IDLE { beside.idle > 0 } else { slow }
    })
}

const fn metric(
    id: &'static str,
    part: Part,
    (label, unit): (&'static str, &'static str),
    source: &'static str,
    of: Of,
) -> Metric {
    Metric { id, part, label, unit, better: Better::Lower, source, of }
}

const fn closed(
    id: &'static str,
    label: &'static str,
    unit: &'static str,
    source: &'static str,
    of: fn(&Watched) -> Result<Reading, String>,
) -> Metric {
    metric(id, Part::AnyClosed, (label, unit), source, Of::Described(OfRun::Closed(of)))
}

const fn open(
    id: &'static str,
    label: &'static str,
    unit: &'static str,
    source: &'static str,
    of: fn(&Watched, &Open, u32) -> Result<Reading, String>,
) -> Metric {
    metric(id, Part::AnyOpen, (label, unit), source, Of::Described(OfRun::Open(of)))
}

const fn failure(
    id: &'static str,
    label: &'static str,
    unit: &'static str,
    source: &'static str,
    of: fn(&Watched, &Open, f64) -> Result<Reading, String>,
) -> Metric {
    metric(id, Part::AnyFailure, (label, unit), source, Of::Described(OfRun::Failure(of)))
}

const fn beside(id: &'static str, label: &'static str, unit: &'static str, of: fn(&Others) -> f64) -> Metric {
    metric(id, Part::AnyBeside, (label, unit), CLIENTS, Of::Described(OfRun::Beside(of)))
}

/// How a figure is computed, by the part of the run that it needs.
#[derive(Clone, Copy)]
pub(super) enum OfRun {
    Closed(fn(&Watched) -> Result<Reading, String>),
    /// The load, its description, and the number of managers.
    Open(fn(&Watched, &Open, u32) -> Result<Reading, String>),
    /// The load, its description, and when something failed in it.
    Failure(fn(&Watched, &Open, f64) -> Result<Reading, String>),
    Beside(fn(&Others) -> f64),
}

impl OfRun {
    pub(super) fn read(self, run: &Described<'_>) -> Result<Reading, String> {
        let observation = run.observation;
        let absent = || "the run had no such part".to_owned();
        let load = observation.open.as_ref().zip(run.description.open.as_ref()).ok_or_else(absent);
        match self {
            Self::Closed(of) => of(observation.closed.as_ref().ok_or_else(absent)?),
            Self::Open(of) => load.and_then(|(load, open)| of(load, open, run.managers)),
            Self::Failure(of) => match observation.strike.as_ref().ok_or_else(absent)? {
                Strike::NotDone(reason) => Err(reason.clone()),
                Strike::Done { at_s, .. } => load.and_then(|(load, open)| of(load, open, *at_s)),
            },
            Self::Beside(of) => Ok(Reading::Value(of(observation.beside.as_ref().ok_or_else(absent)?))),
        }
    }
}

fn seconds(load: &Watched, from: f64) -> Vec<stages::Second> {
    let intervals = load.load.intervals.iter();
    intervals.filter(|i| !i.drain && i.start_s + i.duration_s > from + 1e-6).map(stages::Second::of).collect()
}

fn missed(load: &Watched, open: &Open) -> f64 {
    let seconds = seconds(load, 0.0);
    // Without an answer there may have been no request.
    let bad = seconds.iter().filter(|second| second.is_bad(open.objective_ms) && !second.is_silent());
    bad.fold(0.0, |sum, second| sum + second.length)
}

fn worker_seconds(load: &Watched, open: &Open, managers: u32) -> f64 {
    let samples = load.watch.samples.iter().filter(|sample| sample.at <= open.seconds());
    let points: Vec<_> = samples.map(|s| (s.at, f64::from(s.workers(managers)))).collect();
    integral(&points, open.seconds())
}

fn lost(load: &Watched, at: f64) -> f64 {
    let after = load.load.intervals.iter().filter(|interval| interval.start_s + interval.duration_s > at);
    after.map(|interval| interval.errors_total()).sum::<u64>() as f64 + load.load.abandoned as f64
}

fn back(load: &Watched, open: &Open, at: f64) -> Result<Reading, String> {
    let after = seconds(load, at);
    if after.is_empty() {
        return Err("the run ended before it happened".into());
    }
    Ok(stages::recovery(&after, open.objective_ms))
}
