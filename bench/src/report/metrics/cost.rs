//! What a load cost, and how far its objective was missed: the same figures for steady load, the step and the burst, so
//! that the one can be held against the other.

use super::stages::{pss_seconds, worker_seconds};
use super::{Better, Metric, Of, Part, Reading, per_answer};
use crate::scenario::{Pace, Watched, steady};

const WORKERS: &str = "integral over the stages of (processes of the tree − managers), sampled every 100 ms";
const PSS: &str = "integral over the stages of Pss of /proc/PID/smaps_rollup, summed over the tree, once a second";
const CPU: &str = "Σ utime+stime (+ reaped children) of /proc/PID/stat over the tree ÷ answers, the whole load";
const LATE: &str =
    "load generator: answers later than the objective for a step, and errors, ÷ requests, the whole load";

/// Every figure; each follows those of its scenario in the tables.
pub(super) const METRICS: &[Metric] = &[
    load("paced_worker_seconds", Part::Paced, ("worker-seconds at equal load", "s"), WORKERS, |terms, watched| {
        Ok(worker_seconds(&paced(&terms.lengths.steady), terms.managers, watched))
    }),
    load("paced_pss_seconds", Part::Paced, ("memory spent at equal load", "MiB·s"), PSS, |terms, watched| {
        pss_seconds(&paced(&terms.lengths.steady), watched)
    }),
    load("paced_cpu", Part::Paced, ("CPU per request at equal load", "µs"), CPU, |_, watched| cpu(watched)),
    load("paced_late", Part::Paced, ("late or failed at equal load", "%"), LATE, |terms, watched| {
        late(watched, terms.lengths.step.objective_ms)
    }),
    load("step_cpu", Part::Step, ("CPU per request", "µs"), CPU, |_, watched| cpu(watched)),
    load("step_late", Part::Step, ("late or failed", "%"), LATE, |terms, watched| {
        late(watched, terms.lengths.step.objective_ms)
    }),
    load("manager_pss_seconds", Part::Burst, ("memory spent (PSS-seconds)", "MiB·s"), PSS, |terms, watched| {
        pss_seconds(&super::process_manager::settings(terms).stages, watched)
    }),
    load("manager_cpu", Part::Burst, ("CPU per request", "µs"), CPU, |_, watched| cpu(watched)),
    load("manager_late", Part::Burst, ("late or failed", "%"), LATE, |terms, watched| {
        late(watched, super::process_manager::settings(terms).objective_ms)
    }),
];

const fn load(
    id: &'static str,
    part: Part,
    (label, unit): (&'static str, &'static str),
    source: &'static str,
    of: fn(&super::Terms<'_>, &Watched) -> Result<Reading, String>,
) -> Metric {
    Metric { id, part, label, unit, better: Better::Lower, source, of: Of::Load(of) }
}

/// The open loop of steady load as the one stage that it is.
fn paced(settings: &steady::Settings) -> [Pace; 1] {
    [Pace { seconds: settings.paced_s, rate: settings.paced_rate }]
}

fn cpu(watched: &Watched) -> Result<Reading, String> {
    per_answer(watched, watched.watch.cpu_seconds * 1e6)
}

/// In percent of the requests.
fn late(watched: &Watched, objective_ms: f64) -> Result<Reading, String> {
    let load = &watched.load;
    if load.requests == 0 {
        return Err("no request was sent".into());
    }
    let over = match load.latency.count {
        0 => 0,
        _ => {
            let histogram = load.latency.histogram().map_err(|error| error.to_string())?;
            let within = histogram.count_between(0, (objective_ms * 1e6) as u64);
            // What is longer than an hour is not in the histogram, and late.
            histogram.len().saturating_sub(within) + load.latency.overflow
        }
    };
    // An answer 5xx may be late as well: it is counted once.
    let bad = (over + load.errors_total()).min(load.requests);
    Ok(Reading::Value(100.0 * bad as f64 / load.requests as f64))
}
