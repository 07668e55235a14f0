//! The figures of the default comparison.

use loadgen::{Distribution, Interval};

use super::{Better, Metric, Of, Part, Reading, Terms, largest_pss, most_processes, per_answer, quantile_ms};
use crate::observe::sampler::{Sample, integral};
use crate::scenario::Watched;

const GENERATOR: &str = "load generator";
const HISTOGRAM: &str = "load generator: HdrHistogram of latencies from the intended send time";
const TREE: &str = "/proc/PID/stat of the server's tree, every 100 ms";
const PSS: &str = "Pss of /proc/PID/smaps_rollup, summed over the tree, once a second";

/// Every figure, in the order of the tables.
pub(super) const METRICS: &[Metric] = &[
    Metric {
        id: "throughput",
        part: Part::Closed,
        label: "throughput, saturated",
        unit: "requests/s",
        better: Better::Higher,
        source: "load generator: closed loop, whole answers per second",
        of: Of::Load(|_, watched| {
            let load = &watched.load;
            Ok(Reading::Value(load.answered_rate))
        }),
    },
    Metric {
        id: "cpu_per_request",
        part: Part::Closed,
        label: "CPU per request",
        unit: "µs",
        better: Better::Lower,
        source: "Σ utime+stime (+ reaped children) of /proc/PID/stat over the tree ÷ answers, closed loop",
        of: Of::Load(|_, watched| per_answer(watched, watched.watch.cpu_seconds * 1e6)),
    },
    Metric {
        id: "switches_per_request",
        part: Part::Closed,
        label: "context switches per request",
        unit: "",
        better: Better::Lower,
        source: "voluntary + nonvoluntary of /proc/PID/task/*/status over the tree ÷ answers, closed loop; a task that ends counts up to its last reading (one a second)",
        of: Of::Load(|_, watched| per_answer(watched, watched.watch.switches as f64)),
    },
    Metric {
        id: "pss",
        part: Part::Closed,
        label: "memory (PSS), largest",
        unit: "MiB",
        better: Better::Lower,
        source: PSS,
        of: Of::Load(|_, watched| largest_pss(&watched.watch)),
    },
    Metric {
        id: "processes",
        part: Part::Closed,
        label: "processes, most",
        unit: "",
        better: Better::Lower,
        source: TREE,
        of: Of::Load(|_, watched| most_processes(&watched.watch.samples)),
    },
    Metric {
        id: "saturated_p99",
        part: Part::Closed,
        label: "p99 under saturation",
        unit: "ms",
        better: Better::Lower,
        source: "load generator: closed loop; says how answers are shared out under overload, not how fast the server is",
        of: Of::Load(|_, watched| quantile_ms(&watched.load.latency, 0.99)),
    },
    Metric {
        id: "paced_p50",
        part: Part::Paced,
        label: "p50 at equal load",
        unit: "ms",
        better: Better::Lower,
        source: HISTOGRAM,
        of: Of::Load(|_, watched| quantile_ms(&watched.load.latency, 0.5)),
    },
    Metric {
        id: "paced_p90",
        part: Part::Paced,
        label: "p90 at equal load",
        unit: "ms",
        better: Better::Lower,
        source: HISTOGRAM,
        of: Of::Load(|_, watched| quantile_ms(&watched.load.latency, 0.9)),
    },
    Metric {
        id: "paced_p99",
        part: Part::Paced,
        label: "p99 at equal load",
        unit: "ms",
        better: Better::Lower,
        source: HISTOGRAM,
        of: Of::Load(|_, watched| quantile_ms(&watched.load.latency, 0.99)),
    },
    Metric {
        id: "closed_errors",
        part: Part::Closed,
        label: "errors, saturated",
        unit: "requests",
        better: Better::Lower,
        source: GENERATOR,
        of: Of::Load(|_, watched| Ok(Reading::Value(watched.load.errors_total() as f64))),
    },
    Metric {
        id: "paced_errors",
        part: Part::Paced,
        label: "errors at equal load",
        unit: "requests",
        better: Better::Lower,
        source: GENERATOR,
        of: Of::Load(|_, watched| Ok(Reading::Value(watched.load.errors_total() as f64))),
    },
    Metric {
        id: "burst_p99",
        part: Part::Step,
        label: "p99 during the burst",
        unit: "ms",
        better: Better::Lower,
        source: HISTOGRAM,
        of: Of::Load(|terms, watched| {
            let burst = burst(terms, watched)?;
            let merged = Distribution::merged(burst.iter().map(|interval| &interval.latency))
                .map_err(|error| error.to_string())?;
            quantile_ms(&merged, 0.99)
        }),
    },
    Metric {
        id: "recovery",
        part: Part::Step,
        label: "time to recover",
        unit: "s",
        better: Better::Lower,
        source: "load generator, second by second: from the step to the last second of the burst with a p99 above the objective, an error, or no answer",
        of: Of::Load(|terms, watched| {
            let objective = terms.lengths.step.objective_ms;
            Ok(recovery(&seconds(&burst(terms, watched)?), objective))
        }),
    },
    Metric {
        id: "excess",
        part: Part::Step,
        label: "p99 above the objective, summed",
        unit: "ms·s",
        better: Better::Lower,
        source: "load generator: Σ max(0, p99 − objective) over the seconds of the burst that had answers",
        of: Of::Load(|terms, watched| {
            let objective = terms.lengths.step.objective_ms;
            let excess = seconds(&burst(terms, watched)?)
                .iter()
                .filter_map(|second| second.p99_ms)
                .fold(0.0, |sum, p99| sum + (p99 - objective).max(0.0));
            Ok(Reading::Value(excess))
        }),
    },
    Metric {
        id: "step_errors",
        part: Part::Step,
        label: "errors",
        unit: "requests",
        better: Better::Lower,
        source: GENERATOR,
        of: Of::Load(|_, watched| Ok(Reading::Value(watched.load.errors_total() as f64))),
    },
    Metric {
        id: "peak_processes",
        part: Part::Step,
        label: "processes, most",
        unit: "",
        better: Better::Lower,
        source: TREE,
        of: Of::Load(|terms, watched| most_processes(during(terms, watched))),
    },
    Metric {
        id: "final_processes",
        part: Part::Step,
        label: "processes at the end",
        unit: "",
        better: Better::Lower,
        source: TREE,
        of: Of::Load(|terms, watched| match during(terms, watched).last() {
            Some(sample) => Ok(Reading::Value(f64::from(sample.processes))),
            None => Err("no sample of the tree".into()),
        }),
    },
    Metric {
        id: "worker_seconds",
        part: Part::Step,
        label: "worker-seconds",
        unit: "s",
        better: Better::Lower,
        source: "integral over the stages of (processes of the tree − managers), sampled every 100 ms",
        of: Of::Load(|terms, watched| {
            let points: Vec<(f64, f64)> = during(terms, watched)
                .iter()
                .map(|s| (s.at, f64::from(s.processes.saturating_sub(terms.managers))))
                .collect();
            Ok(Reading::Value(integral(&points, stages_end(terms))))
        }),
    },
    Metric {
        id: "pss_seconds",
        part: Part::Step,
        label: "memory spent (PSS-seconds)",
        unit: "MiB·s",
        better: Better::Lower,
        source: PSS,
        of: Of::Load(|terms, watched| {
            let points: Vec<(f64, f64)> =
                during(terms, watched).iter().filter_map(|s| Some((s.at, s.pss_kib? as f64 / 1024.0))).collect();
            match (&watched.watch.pss_missing, points.is_empty()) {
                (None, false) => Ok(Reading::Value(integral(&points, stages_end(terms)))),
                (reason, _) => Err(reason.clone().unwrap_or("no sample of the memory".into())),
            }
        }),
    },
    Metric {
        id: "peak_pss",
        part: Part::Step,
        label: "memory (PSS), largest",
        unit: "MiB",
        better: Better::Lower,
        source: PSS,
        of: Of::Load(|_, watched| largest_pss(&watched.watch)),
    },
];

/// When the last stage ends, in seconds.
pub(crate) fn stages_end(terms: &Terms<'_>) -> f64 {
    terms.lengths.step.stages.iter().map(|stage| stage.seconds).sum()
}

/// The samples within the stages: afterwards the generator only waits for what is outstanding.
fn during<'a>(terms: &Terms<'_>, watched: &'a Watched) -> &'a [Sample] {
    let end = stages_end(terms);
    let samples = &watched.watch.samples;
    &samples[..samples.partition_point(|sample| sample.at <= end)]
}

/// The intervals of the stage with the highest rate.
fn burst<'a>(terms: &Terms<'_>, watched: &'a Watched) -> Result<Vec<&'a Interval>, String> {
    let stages = &terms.lengths.step.stages;
    let (mut at, mut high) = (0.0, (0.0, 0.0, 0.0));
    for stage in stages {
        if stage.rate > high.2 {
            high = (at, at + stage.seconds, stage.rate);
        }
        at += stage.seconds;
    }
    let inside: Vec<&Interval> = watched
        .load
        .intervals
        .iter()
        .filter(|i| !i.drain && i.start_s >= high.0 - 1e-6 && i.start_s < high.1 - 1e-6)
        .collect();
    if inside.is_empty() {
        return Err("the run ended before the burst".into());
    }
    Ok(inside)
}

/// One second of a run as the recovery sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Second {
    length: f64,
    /// `None`: nothing was answered.
    p99_ms: Option<f64>,
    errors: u64,
}

fn seconds(intervals: &[&Interval]) -> Vec<Second> {
    intervals
        .iter()
        .map(|interval| Second {
            length: interval.duration_s,
            p99_ms: (interval.latency.count > 0).then(|| interval.latency.p99_ns as f64 / 1e6),
            errors: interval.errors_total(),
        })
        .collect()
}

/// From the step to the end of the last bad second.
fn recovery(burst: &[Second], objective_ms: f64) -> Reading {
    let bad = |second: &Second| second.errors > 0 || second.p99_ms.is_none_or(|p99| p99 > objective_ms);
    let good_at_the_end = burst.iter().rev().take_while(|second| !bad(second)).count();
    // From a positive zero: the sum of nothing is a negative one.
    let until = burst[..burst.len() - good_at_the_end].iter().fold(0.0, |sum, s| sum + s.length);
    if good_at_the_end == 0 { Reading::Beyond(until) } else { Reading::Value(until) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recovery_is_the_end_of_the_last_bad_second() {
        let second = |p99: Option<f64>, errors| Second { length: 1.0, p99_ms: p99, errors };
        let good = second(Some(55.0), 0);
        let slow = second(Some(900.0), 0);
        let rows = [
            (vec![good, good], Reading::Value(0.0)),
            (vec![slow, good, good], Reading::Value(1.0)),
            // A relapse counts: it has not recovered before it stays so.
            (vec![slow, good, slow, good], Reading::Value(3.0)),
            (vec![good, slow], Reading::Beyond(2.0)),
            // Fast answers beside errors are no recovery.
            (vec![second(Some(1.0), 3), good], Reading::Value(1.0)),
            // Nor is silence.
            (vec![second(None, 0), good], Reading::Value(1.0)),
            // Exactly at the objective is within it.
            (vec![second(Some(100.0), 0)], Reading::Value(0.0)),
        ];
        for (burst, expected) in rows {
            assert_eq!(recovery(&burst, 100.0), expected, "{burst:?}");
        }
    }
}
