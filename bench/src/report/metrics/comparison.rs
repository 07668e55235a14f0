//! The figures of the default comparison.

use super::{Better, Metric, Of, Part, Reading, largest_pss, most_processes, per_answer, quantile_ms, stages};

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
        of: Of::Load(|terms, watched| stages::burst_p99(&terms.lengths.step.stages, watched)),
    },
    Metric {
        id: "recovery",
        part: Part::Step,
        label: "time to recover",
        unit: "s",
        better: Better::Lower,
        source: "load generator, second by second: from the step to the last second of the burst with a p99 above the objective, an error, or no answer",
        of: Of::Load(|terms, watched| {
            let step = &terms.lengths.step;
            Ok(stages::recovery(&stages::burst(&step.stages, watched)?, step.objective_ms))
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
            let excess = stages::burst(&terms.lengths.step.stages, watched)?
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
        of: Of::Load(|terms, watched| most_processes(stages::during(&terms.lengths.step.stages, watched))),
    },
    Metric {
        id: "final_processes",
        part: Part::Step,
        label: "processes at the end",
        unit: "",
        better: Better::Lower,
        source: TREE,
        of: Of::Load(|terms, watched| match stages::during(&terms.lengths.step.stages, watched).last() {
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
        of: Of::Load(|terms, watched| Ok(stages::worker_seconds(&terms.lengths.step.stages, terms.managers, watched))),
    },
    Metric {
        id: "pss_seconds",
        part: Part::Step,
        label: "memory spent (PSS-seconds)",
        unit: "MiB·s",
        better: Better::Lower,
        source: PSS,
        of: Of::Load(|terms, watched| stages::pss_seconds(&terms.lengths.step.stages, watched)),
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
