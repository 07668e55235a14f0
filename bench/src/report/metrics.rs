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
    pub(crate) scenario: Scenario,
    pub(crate) label: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
    /// Where the figure comes from, for the report.
    pub(crate) source: &'static str,
    of: fn(&Terms<'_>, &Observed<'_>) -> Result<Reading, String>,
}

/// The parts of an observation that metrics read.
enum Observed<'a> {
    Steady { closed: &'a Watched, paced: &'a Watched },
    Step(&'a Watched),
}

impl Metric {
    /// The figure of one run, or why there is none. Asking for a figure of another scenario is such a reason.
    pub(crate) fn read(&self, terms: &Terms<'_>, observation: &Observation) -> Result<Reading, String> {
        let observed = match observation {
            Observation::Steady(steady) => Observed::Steady { closed: &steady.closed, paced: &steady.paced },
            Observation::Step(step) => Observed::Step(&step.step),
        };
        (self.of)(terms, &observed)
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
        scenario: Scenario::Steady,
        label: "throughput, saturated",
        unit: "requests/s",
        better: Better::Higher,
        source: "load generator: closed loop, whole answers per second",
        of: |_, observed| {
            let load = &closed(observed)?.load;
            Ok(Reading::Value(load.answered_rate))
        },
    },
    Metric {
        id: "cpu_per_request",
        scenario: Scenario::Steady,
        label: "CPU per request",
        unit: "µs",
        better: Better::Lower,
        source: "Σ utime+stime (+ reaped children) of /proc/PID/stat over the tree ÷ answers, closed loop",
        of: |_, observed| {
            let watched = closed(observed)?;
            per_answer(watched, watched.watch.cpu_seconds * 1e6)
        },
    },
    Metric {
        id: "switches_per_request",
        scenario: Scenario::Steady,
        label: "context switches per request",
        unit: "",
        better: Better::Lower,
        source: "voluntary + nonvoluntary of /proc/PID/task/*/status over the tree ÷ answers, closed loop; a task that ends counts up to its last reading (one a second)",
        of: |_, observed| {
            let watched = closed(observed)?;
            per_answer(watched, watched.watch.switches as f64)
        },
    },
    Metric {
        id: "pss",
        scenario: Scenario::Steady,
        label: "memory (PSS), largest",
        unit: "MiB",
        better: Better::Lower,
        source: PSS,
        of: |_, observed| largest_pss(&closed(observed)?.watch),
    },
    Metric {
        id: "processes",
        scenario: Scenario::Steady,
        label: "processes, most",
        unit: "",
        better: Better::Lower,
        source: TREE,
        of: |_, observed| most_processes(&closed(observed)?.watch.samples),
    },
    Metric {
        id: "saturated_p99",
        scenario: Scenario::Steady,
        label: "p99 under saturation",
        unit: "ms",
        better: Better::Lower,
        source: "load generator: closed loop; says how answers are shared out under overload, not how fast the server is",
        of: |_, observed| quantile(&closed(observed)?.load.latency, 0.99),
    },
    Metric {
        id: "paced_p50",
        scenario: Scenario::Steady,
        label: "p50 at equal load",
        unit: "ms",
        better: Better::Lower,
        source: HISTOGRAM,
        of: |_, observed| quantile(&paced(observed)?.load.latency, 0.5),
    },
    Metric {
        id: "paced_p90",
        scenario: Scenario::Steady,
        label: "p90 at equal load",
        unit: "ms",
        better: Better::Lower,
        source: HISTOGRAM,
        of: |_, observed| quantile(&paced(observed)?.load.latency, 0.9),
    },
    Metric {
        id: "paced_p99",
        scenario: Scenario::Steady,
        label: "p99 at equal load",
        unit: "ms",
        better: Better::Lower,
        source: HISTOGRAM,
        of: |_, observed| quantile(&paced(observed)?.load.latency, 0.99),
    },
    Metric {
        id: "steady_errors",
        scenario: Scenario::Steady,
        label: "errors",
        unit: "requests",
        better: Better::Lower,
        source: GENERATOR,
        of: |_, observed| {
            let errors = closed(observed)?.load.errors_total() + paced(observed)?.load.errors_total();
            Ok(Reading::Value(errors as f64))
        },
    },
    Metric {
        id: "burst_p99",
        scenario: Scenario::Step,
        label: "p99 during the burst",
        unit: "ms",
        better: Better::Lower,
        source: HISTOGRAM,
        of: |terms, observed| {
            let burst = burst(terms, observed)?;
            let merged = Distribution::merged(burst.iter().map(|interval| &interval.latency))
                .map_err(|error| error.to_string())?;
            quantile(&merged, 0.99)
        },
    },
    Metric {
        id: "recovery",
        scenario: Scenario::Step,
        label: "time to recover",
        unit: "s",
        better: Better::Lower,
        source: "load generator, second by second: from the step to the last second of the burst with a p99 above the objective, an error, or no answer",
        of: |terms, observed| {
            let objective = terms.lengths.step.objective_ms;
            Ok(recovery(&seconds(&burst(terms, observed)?), objective))
        },
    },
    Metric {
        id: "excess",
        scenario: Scenario::Step,
        label: "p99 above the objective, summed",
        unit: "ms·s",
        better: Better::Lower,
        source: "load generator: Σ max(0, p99 − objective) over the seconds of the burst that had answers",
        of: |terms, observed| {
            let objective = terms.lengths.step.objective_ms;
            let excess = seconds(&burst(terms, observed)?)
                .iter()
                .filter_map(|second| second.p99_ms)
                .fold(0.0, |sum, p99| sum + (p99 - objective).max(0.0));
            Ok(Reading::Value(excess))
        },
    },
    Metric {
        id: "step_errors",
        scenario: Scenario::Step,
        label: "errors",
        unit: "requests",
        better: Better::Lower,
        source: GENERATOR,
        of: |_, observed| Ok(Reading::Value(step(observed)?.load.errors_total() as f64)),
    },
    Metric {
        id: "peak_processes",
        scenario: Scenario::Step,
        label: "processes, most",
        unit: "",
        better: Better::Lower,
        source: TREE,
        of: |terms, observed| most_processes(during(terms, step(observed)?)),
    },
    Metric {
        id: "final_processes",
        scenario: Scenario::Step,
        label: "processes at the end",
        unit: "",
        better: Better::Lower,
        source: TREE,
        of: |terms, observed| match during(terms, step(observed)?).last() {
            Some(sample) => Ok(Reading::Value(f64::from(sample.processes))),
            None => Err("no sample of the tree".into()),
        },
    },
    Metric {
        id: "worker_seconds",
        scenario: Scenario::Step,
        label: "worker-seconds",
        unit: "s",
        better: Better::Lower,
        source: "integral over the stages of (processes of the tree − managers), sampled every 100 ms",
        of: |terms, observed| {
            let points: Vec<(f64, f64)> = during(terms, step(observed)?)
                .iter()
                .map(|s| (s.at, f64::from(s.processes.saturating_sub(terms.managers))))
                .collect();
            Ok(Reading::Value(integral(&points, stages_end(terms))))
        },
    },
    Metric {
        id: "pss_seconds",
        scenario: Scenario::Step,
        label: "memory spent (PSS-seconds)",
        unit: "MiB·s",
        better: Better::Lower,
        source: PSS,
        of: |terms, observed| {
            let watched = step(observed)?;
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
        scenario: Scenario::Step,
        label: "memory (PSS), largest",
        unit: "MiB",
        better: Better::Lower,
        source: PSS,
        of: |_, observed| largest_pss(&step(observed)?.watch),
    },
];

fn closed<'a>(observed: &Observed<'a>) -> Result<&'a Watched, String> {
    match observed {
        Observed::Steady { closed, .. } => Ok(closed),
        Observed::Step(_) => Err("not part of this scenario".into()),
    }
}

fn paced<'a>(observed: &Observed<'a>) -> Result<&'a Watched, String> {
    match observed {
        Observed::Steady { paced, .. } => Ok(paced),
        Observed::Step(_) => Err("not part of this scenario".into()),
    }
}

fn step<'a>(observed: &Observed<'a>) -> Result<&'a Watched, String> {
    match observed {
        Observed::Step(step) => Ok(step),
        Observed::Steady { .. } => Err("not part of this scenario".into()),
    }
}

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
fn burst<'a>(terms: &Terms<'_>, observed: &Observed<'a>) -> Result<Vec<&'a Interval>, String> {
    let stages = &terms.lengths.step.stages;
    let (mut at, mut high) = (0.0, (0.0, 0.0, 0.0));
    for stage in stages {
        if stage.rate > high.2 {
            high = (at, at + stage.seconds, stage.rate);
        }
        at += stage.seconds;
    }
    let inside: Vec<&Interval> = step(observed)?
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
