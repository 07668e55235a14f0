//! The figures by which settings of a contender are compared, one start each.

use super::{Better, Metric, Of, Part, Reading, largest_pss, most_processes, stages};
use crate::scenario::Watched;

const GENERATOR: &str = "load generator";

/// Every figure, in the order of the tables.
pub(super) const METRICS: &[Metric] = &[
    Metric {
        better: Better::Higher,
        ..figure("tune_throughput", Part::TunedClosed, ("throughput", "requests/s"), GENERATOR, |_, watched| {
            Ok(Reading::Value(watched.load.answered_rate))
        })
    },
    figure("tune_closed_errors", Part::TunedClosed, ("errors, closed loop", ""), GENERATOR, |_, watched| {
        Ok(Reading::Value(watched.load.errors_total() as f64))
    }),
    figure(
        "tune_step_p99",
        Part::TunedStep,
        ("p99 across the step", "ms"),
        "load generator: HdrHistogram of latencies from the intended send time",
        // For a choice a p99 of few answers is as good as there is.
        |_, watched| match watched.load.latency.count {
            0 => Err("nothing was answered".into()),
            _ => Ok(Reading::Value(watched.load.latency.p99_ns as f64 / 1e6)),
        },
    ),
    figure("tune_step_errors", Part::TunedStep, ("errors, step", ""), GENERATOR, |_, watched| {
        Ok(Reading::Value(watched.load.errors_total() as f64))
    }),
    figure(
        "tune_worker_seconds",
        Part::TunedStep,
        ("worker-seconds, step", "s"),
        "integral over the stages of (processes of the tree − managers), sampled every 100 ms",
        |terms, watched| Ok(stages::worker_seconds(&terms.lengths.tune.stages, terms.managers, watched)),
    ),
    figure(
        "tune_processes",
        Part::TunedStep,
        ("processes, most", ""),
        "/proc/PID/stat of the server's tree, every 100 ms",
        |_, watched| most_processes(&watched.watch.samples),
    ),
    figure(
        "tune_pss",
        Part::TunedStep,
        ("memory (PSS), largest", "MiB"),
        "Pss of /proc/PID/smaps_rollup, summed over the tree, once a second",
        |_, watched| largest_pss(&watched.watch),
    ),
];

const fn figure(
    id: &'static str,
    part: Part,
    (label, unit): (&'static str, &'static str),
    source: &'static str,
    of: fn(&super::Terms<'_>, &Watched) -> Result<Reading, String>,
) -> Metric {
    Metric { id, part, label, unit, better: Better::Lower, source, of: Of::Load(of) }
}
