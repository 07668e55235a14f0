//! The figures: what each is, where it comes from, and how it is computed from one run.

use loadgen::{Distribution, Interval};
use serde::{Deserialize, Serialize};

use crate::observe::sampler::{Sample, Watch, integral};
use crate::scenario::{Lengths, Observation, Scenario, Watched};

/// One figure of one run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Reading {
    Value(f64),
    /// More than this: the run ended before it happened.
    Beyond(f64),
}

/// Which direction is the better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Better {
    Lower,
    Higher,
}

/// What a metric may depend on besides what was observed.
pub(crate) struct Terms<'a> {
    pub(crate) lengths: &'a Lengths,
    /// Processes of the tree that serve no request.
    pub(crate) managers: u32,
}

/// The definition of a figure.
pub(crate) struct Metric {
    pub(crate) id: &'static str,
    pub(crate) part: Part,
    pub(crate) label: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
    /// Where the figure comes from, for the report.
    pub(crate) source: &'static str,
    of: fn(&Terms<'_>, &Watched) -> Result<Reading, String>,
}

/// The part of a run that a figure is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The closed loop of steady load.
    Closed,
    /// The open loop of steady load, equal for all.
    Paced,
    Step,
}

impl Part {
    /// The scenario that it belongs to.
    pub(crate) fn scenario(self) -> Scenario {
        match self {
            Self::Closed | Self::Paced => Scenario::Steady,
            Self::Step => Scenario::Step,
        }
    }

    /// It, when the observation is of its scenario.
    pub(crate) fn of(self, observation: &Observation) -> Option<&Watched> {
        match (self, observation) {
            (Self::Closed, Observation::Steady(steady)) => Some(&steady.closed),
            (Self::Paced, Observation::Steady(steady)) => Some(&steady.paced),
            (Self::Step, Observation::Step(step)) => Some(&step.step),
            (Self::Closed | Self::Paced, Observation::Step(_)) | (Self::Step, Observation::Steady(_)) => None,
        }
    }
}

impl Metric {
    /// The figure of one run, from this metric's part of it, or why there is none.
    pub(crate) fn read(&self, terms: &Terms<'_>, watched: &Watched) -> Result<Reading, String> {
        (self.of)(terms, watched)
    }
}

const GENERATOR: &str = "load generator";
const HISTOGRAM: &str = "load generator: HdrHistogram of latencies from the intended send time";
const TREE: &str = "/proc/PID/stat of the server's tree, every 100 ms";
const PSS: &str = "Pss of /proc/PID/smaps_rollup, summed over the tree, once a second";

/// Every figure, in the order of the tables.
pub(crate) const METRICS: &[Metric] = &[
    Metric {
        id: "throughput",
        part: Part::Closed,
        label: "throughput, saturated",
        unit: "requests/s",
        better: Better::Higher,
        source: "load generator: closed loop, whole answers per second",
        of: |_, watched| {
            let load = &watched.load;
            Ok(Reading::Value(load.answered_rate))
        },
    },
    Metric {
        id: "cpu_per_request",
        part: Part::Closed,
        label: "CPU per request",
        unit: "µs",
        better: Better::Lower,
        source: "Σ utime+stime (+ reaped children) of /proc/PID/stat over the tree ÷ answers, closed loop",
        of: |_, watched| per_answer(watched, watched.watch.cpu_seconds * 1e6),
    },
    Metric {
        id: "switches_per_request",
        part: Part::Closed,
        label: "context switches per request",
        unit: "",
        better: Better::Lower,
        source: "voluntary + nonvoluntary of /proc/PID/task/*/status over the tree ÷ answers, closed loop; a task that ends counts up to its last reading (one a second)",
        of: |_, watched| per_answer(watched, watched.watch.switches as f64),
    },
    Metric {
        id: "pss",
        part: Part::Closed,
        label: "memory (PSS), largest",
        unit: "MiB",
        better: Better::Lower,
        source: PSS,
        of: |_, watched| largest_pss(&watched.watch),
    },
    Metric {
        id: "processes",
        part: Part::Closed,
        label: "processes, most",
        unit: "",
        better: Better::Lower,
        source: TREE,
        of: |_, watched| most_processes(&watched.watch.samples),
    },
    Metric {
        id: "saturated_p99",
        part: Part::Closed,
        label: "p99 under saturation",
        unit: "ms",
        better: Better::Lower,
        source: "load generator: closed loop; says how answers are shared out under overload, not how fast the server is",
        of: |_, watched| quantile(&watched.load.latency, 0.99),
    },
    Metric {
        id: "paced_p50",
        part: Part::Paced,
        label: "p50 at equal load",
        unit: "ms",
        better: Better::Lower,
        source: HISTOGRAM,
        of: |_, watched| quantile(&watched.load.latency, 0.5),
    },
    Metric {
        id: "paced_p90",
        part: Part::Paced,
        label: "p90 at equal load",
        unit: "ms",
        better: Better::Lower,
        source: HISTOGRAM,
        of: |_, watched| quantile(&watched.load.latency, 0.9),
    },
    Metric {
        id: "paced_p99",
        part: Part::Paced,
        label: "p99 at equal load",
        unit: "ms",
        better: Better::Lower,
        source: HISTOGRAM,
        of: |_, watched| quantile(&watched.load.latency, 0.99),
    },
    Metric {
        id: "closed_errors",
        part: Part::Closed,
        label: "errors, saturated",
        unit: "requests",
        better: Better::Lower,
        source: GENERATOR,
        of: |_, watched| Ok(Reading::Value(watched.load.errors_total() as f64)),
    },
    Metric {
        id: "paced_errors",
        part: Part::Paced,
        label: "errors at equal load",
        unit: "requests",
        better: Better::Lower,
        source: GENERATOR,
        of: |_, watched| Ok(Reading::Value(watched.load.errors_total() as f64)),
    },
    Metric {
        id: "burst_p99",
        part: Part::Step,
        label: "p99 during the burst",
        unit: "ms",
        better: Better::Lower,
        source: HISTOGRAM,
        of: |terms, watched| {
            let burst = burst(terms, watched)?;
            let merged = Distribution::merged(burst.iter().map(|interval| &interval.latency))
                .map_err(|error| error.to_string())?;
            quantile(&merged, 0.99)
        },
    },
    Metric {
        id: "recovery",
        part: Part::Step,
        label: "time to recover",
        unit: "s",
        better: Better::Lower,
        source: "load generator, second by second: from the step to the last second of the burst with a p99 above the objective, an error, or no answer",
        of: |terms, watched| {
            let objective = terms.lengths.step.objective_ms;
            Ok(recovery(&seconds(&burst(terms, watched)?), objective))
        },
    },
    Metric {
        id: "excess",
        part: Part::Step,
        label: "p99 above the objective, summed",
        unit: "ms·s",
        better: Better::Lower,
        source: "load generator: Σ max(0, p99 − objective) over the seconds of the burst that had answers",
        of: |terms, watched| {
            let objective = terms.lengths.step.objective_ms;
            let excess = seconds(&burst(terms, watched)?)
                .iter()
                .filter_map(|second| second.p99_ms)
                .fold(0.0, |sum, p99| sum + (p99 - objective).max(0.0));
            Ok(Reading::Value(excess))
        },
    },
    Metric {
        id: "step_errors",
        part: Part::Step,
        label: "errors",
        unit: "requests",
        better: Better::Lower,
        source: GENERATOR,
        of: |_, watched| Ok(Reading::Value(watched.load.errors_total() as f64)),
    },
    Metric {
        id: "peak_processes",
        part: Part::Step,
        label: "processes, most",
        unit: "",
        better: Better::Lower,
        source: TREE,
        of: |terms, watched| most_processes(during(terms, watched)),
    },
    Metric {
        id: "final_processes",
        part: Part::Step,
        label: "processes at the end",
        unit: "",
        better: Better::Lower,
        source: TREE,
        of: |terms, watched| match during(terms, watched).last() {
            Some(sample) => Ok(Reading::Value(f64::from(sample.processes))),
            None => Err("no sample of the tree".into()),
        },
    },
    Metric {
        id: "worker_seconds",
        part: Part::Step,
        label: "worker-seconds",
        unit: "s",
        better: Better::Lower,
        source: "integral over the stages of (processes of the tree − managers), sampled every 100 ms",
        of: |terms, watched| {
            let points: Vec<(f64, f64)> = during(terms, watched)
                .iter()
                .map(|s| (s.at, f64::from(s.processes.saturating_sub(terms.managers))))
                .collect();
            Ok(Reading::Value(integral(&points, stages_end(terms))))
        },
    },
    Metric {
        id: "pss_seconds",
        part: Part::Step,
        label: "memory spent (PSS-seconds)",
        unit: "MiB·s",
        better: Better::Lower,
        source: PSS,
        of: |terms, watched| {
            let points: Vec<(f64, f64)> =
                during(terms, watched).iter().filter_map(|s| Some((s.at, s.pss_kib? as f64 / 1024.0))).collect();
            match (&watched.watch.pss_missing, points.is_empty()) {
                (None, false) => Ok(Reading::Value(integral(&points, stages_end(terms)))),
                (reason, _) => Err(reason.clone().unwrap_or("no sample of the memory".into())),
            }
        },
    },
    Metric {
        id: "peak_pss",
        part: Part::Step,
        label: "memory (PSS), largest",
        unit: "MiB",
        better: Better::Lower,
        source: PSS,
        of: |_, watched| largest_pss(&watched.watch),
    },
];

fn per_answer(watched: &Watched, amount: f64) -> Result<Reading, String> {
    match watched.load.answered {
        0 => Err("no request was answered".into()),
        answered => Ok(Reading::Value(amount / answered as f64)),
    }
}

fn quantile(latency: &Distribution, quantile: f64) -> Result<Reading, String> {
    if !latency.supports(quantile) {
        return Err(format!("{} answers are too few for a {} % quantile", latency.count, quantile * 100.0));
    }
    let histogram = latency.histogram().map_err(|error| error.to_string())?;
    Ok(Reading::Value(histogram.value_at_quantile(quantile) as f64 / 1e6))
}

fn largest_pss(watch: &Watch) -> Result<Reading, String> {
    let largest = watch.samples.iter().filter_map(|sample| sample.pss_kib).max();
    match (&watch.pss_missing, largest) {
        (None, Some(kib)) => Ok(Reading::Value(kib as f64 / 1024.0)),
        (reason, _) => Err(reason.clone().unwrap_or("no sample of the memory".into())),
    }
}

fn most_processes(samples: &[Sample]) -> Result<Reading, String> {
    samples
        .iter()
        .map(|sample| sample.processes)
        .max()
        .map(|most| Reading::Value(f64::from(most)))
        .ok_or_else(|| "no sample of the tree".into())
}

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

    #[test]
    fn ids_are_unique_and_sources_given() {
        let mut ids: Vec<&str> = METRICS.iter().map(|metric| metric.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), METRICS.len());
        assert!(METRICS.iter().all(|metric| !metric.source.is_empty()));
    }
}
