//! The figures of the process manager: how many processes and threads, how soon, and what they cost.

use super::{Better, Metric, Of, Part, Reading, Terms, most_processes, per_answer, quantile_ms, stages};
use crate::scenario::memory::Departure;
use crate::scenario::{Watched, compute, memory, mixed, spawn, step};
use crate::stats::median;

const HISTOGRAM: &str = "load generator: HdrHistogram of latencies from the intended send time";
const TREE: &str = "/proc/PID/stat of the server's tree, every 100 ms";
const BOTH: &str = "load generator: HdrHistograms of both open loops merged, latencies from the intended send time";
const CPU: &str = "utime+stime of /proc/PID/stat of each living process during the measurement, to a clock tick";
const THREADS: &str = "num_threads of /proc/PID/stat of the process that has most, every 100 ms, − before any load";
const BIRTH: &str =
    "ready_ms of the server's own status: from the supervisor's order until the worker serves, both on CLOCK_MONOTONIC";
const PSS: &str = "Pss of /proc/PID/smaps_rollup summed over the tree, before − after one worker has left; median of the departures of a start";

/// Every figure, in the order of the tables.
pub(super) const METRICS: &[Metric] = &[
    burst("manager_burst_p99", "p99 during the burst", "ms", HISTOGRAM, |step, _, watched| {
        stages::burst_p99(&step.stages, watched)
    }),
    burst(
        "manager_recovery",
        "time to recover",
        "s",
        "load generator, second by second: from the step to the last second of the burst with a p99 above the objective, an error, or no answer",
        |step, _, watched| Ok(stages::recovery(&stages::burst(&step.stages, watched)?, step.objective_ms)),
    ),
    burst(
        "manager_worker_seconds",
        "worker-seconds",
        "s",
        "integral over the stages of (processes of the tree − managers), sampled every 100 ms",
        |step, managers, watched| Ok(stages::worker_seconds(&step.stages, managers, watched)),
    ),
    burst(
        "manager_settling",
        "from the end of the burst to as few processes as before",
        "s",
        "/proc/PID/stat of the server's tree, every 100 ms: until they are no more than the fewest before the burst, and stay so",
        |step, managers, watched| {
            let (from, until) = stages::high(&step.stages);
            let points = stages::workers(&step.stages, managers, watched);
            stages::settling(&points, from, until, stages::end(&step.stages))
        },
    ),
    burst(
        "manager_turns",
        "changes of direction per change of load",
        "",
        "/proc/PID/stat of the server's tree, every 100 ms: how often the processes begin to grow, or to shrink, ÷ how often the load changes",
        |step, managers, watched| {
            let turns = f64::from(stages::turns(&stages::workers(&step.stages, managers, watched)));
            match stages::changes(&step.stages) {
                0 => Err("the load does not change".into()),
                changes => Ok(Reading::Value(turns / changes as f64)),
            }
        },
    ),
    burst("manager_peak", "processes, most", "", TREE, |step, _, watched| {
        most_processes(stages::during(&step.stages, watched))
    }),
    burst("manager_burst_errors", "errors", "requests", "load generator", |_, _, watched| {
        Ok(Reading::Value(watched.load.errors_total() as f64))
    }),
    computing("compute_workers", "workers that bear 90 % of the calls, per CPU", "", CPU, |compute| {
        bearers(&compute.shares).map(|bearers| Reading::Value(bearers as f64 / compute.cpus as f64))
    }),
    computing("compute_threads", "more threads than at rest, most in a process", "", THREADS, |compute| {
        let most = compute.load.watch.samples.iter().map(|sample| sample.most_threads).max();
        let most = most.ok_or("no sample of the tree")?;
        Ok(Reading::Value(f64::from(most.saturating_sub(compute.at_rest))))
    }),
    computing("compute_p50", "p50", "ms", HISTOGRAM, |compute| quantile_ms(&compute.load.load.latency, 0.5)),
    computing("compute_p99", "p99", "ms", HISTOGRAM, |compute| quantile_ms(&compute.load.load.latency, 0.99)),
    computing(
        "compute_cpu",
        "CPU per request",
        "ms",
        "Σ utime+stime (+ reaped children) of /proc/PID/stat over the tree ÷ answers",
        |compute| per_answer(&compute.load, compute.load.watch.cpu_seconds * 1e3),
    ),
    computing("compute_errors", "errors", "requests", "load generator", |compute| {
        Ok(Reading::Value(compute.load.load.errors_total() as f64))
    }),
    mixture("search_p99", Part::Search, ("p99 of all calls", "ms"), BOTH, whole_p99),
    mixture("search_errors", Part::Search, ("errors", "requests"), "load generator", errors),
    mixture("mixed_p99", Part::Mixed, ("p99 of all calls", "ms"), BOTH, whole_p99),
    mixture("mixed_short_p50", Part::Mixed, ("p50 of calls that compute", "ms"), HISTOGRAM, |mixed| {
        quantile_ms(&mixed.short.load.latency, 0.5)
    }),
    mixture("mixed_short_p99", Part::Mixed, ("p99 of calls that compute", "ms"), HISTOGRAM, |mixed| {
        quantile_ms(&mixed.short.load.latency, 0.99)
    }),
    mixture("mixed_processes", Part::Mixed, ("processes, most", ""), TREE, |mixed| {
        most_processes(&mixed.short.watch.samples)
    }),
    mixture("mixed_threads", Part::Mixed, ("threads of a process, most", ""), TREE, |mixed| {
        let most = mixed.short.watch.samples.iter().map(|sample| sample.most_threads).max();
        Ok(Reading::Value(f64::from(most.ok_or("no sample of the tree")?)))
    }),
    mixture("mixed_errors", Part::Mixed, ("errors", "requests"), "load generator", errors),
    spawning("spawn_p50", "p50 of order to ready", |spawn| quantile(&spawn.ready_ms, 0.5)),
    spawning("spawn_p99", "p99 of order to ready", |spawn| quantile(&spawn.ready_ms, 0.99)),
    spawning("spawn_longest", "longest from order to ready", |spawn| {
        let longest = spawn.ready_ms.iter().copied().max_by(f64::total_cmp);
        longest.map(Reading::Value).ok_or_else(|| "no worker was started".into())
    }),
    weighing("memory_fresh", "one more idle worker, before its first request", |memory| {
        cost(&memory.fresh, |departure| departure.requests == 0)
    }),
    weighing("memory_used", "one more idle worker, after a request", |memory| {
        cost(&memory.used, |departure| departure.requests > 0)
    }),
];

const fn metric(
    id: &'static str,
    part: Part,
    label: &'static str,
    unit: &'static str,
    source: &'static str,
    of: Of,
) -> Metric {
    Metric { id, part, label, unit, better: Better::Lower, source, of }
}

const fn burst(
    id: &'static str,
    label: &'static str,
    unit: &'static str,
    source: &'static str,
    of: fn(&step::Settings, u32, &Watched) -> Result<Reading, String>,
) -> Metric {
    metric(id, Part::Burst, label, unit, source, Of::Burst(of))
}

const fn computing(
    id: &'static str,
    label: &'static str,
    unit: &'static str,
    source: &'static str,
    of: fn(&compute::Observation) -> Result<Reading, String>,
) -> Metric {
    metric(id, Part::Shared, label, unit, source, Of::Compute(of))
}

const fn mixture(
    id: &'static str,
    part: Part,
    (label, unit): (&'static str, &'static str),
    source: &'static str,
    of: fn(&mixed::Observation) -> Result<Reading, String>,
) -> Metric {
    metric(id, part, label, unit, source, Of::Mixed(of))
}

const fn spawning(
    id: &'static str,
    label: &'static str,
    of: fn(&spawn::Observation) -> Result<Reading, String>,
) -> Metric {
    metric(id, Part::Spawn, label, "ms", BIRTH, Of::Spawn(of))
}

const fn weighing(
    id: &'static str,
    label: &'static str,
    of: fn(&memory::Observation) -> Result<Reading, String>,
) -> Metric {
    metric(id, Part::Memory, label, "MiB", PSS, Of::Memory(of))
}

/// The settings of the burst.
pub(super) fn settings<'a>(terms: &'a Terms<'_>) -> &'a step::Settings {
    &terms.lengths.process_manager.burst
}

fn whole_p99(mixed: &mixed::Observation) -> Result<Reading, String> {
    quantile_ms(&mixed.latency()?, 0.99)
}

fn errors(mixed: &mixed::Observation) -> Result<Reading, String> {
    Ok(Reading::Value((mixed.short.load.errors_total() + mixed.blocking.load.errors_total()) as f64))
}

/// How many of the busiest processes have used 90 % of the CPU time together. A call takes the same CPU wherever it
/// runs, so these are those that served 90 % of the calls.
fn bearers(shares: &[f64]) -> Result<usize, String> {
    let whole: f64 = shares.iter().sum();
    if whole <= 0.0 {
        return Err("the server used less CPU than a clock tick".into());
    }
    let mut sum = 0.0;
    let fewer = shares.iter().take_while(|share| {
        sum += **share;
        sum < 0.9 * whole
    });
    Ok(fewer.count() + 1)
}

/// A quantile of single values, by rank: the smallest that so many are not above. Needs as many as have one beyond it.
fn quantile(values: &[f64], quantile: f64) -> Result<Reading, String> {
    // The tiny allowance is for 1 - 0.99, which is not exactly 0.01.
    if (values.len() as f64) * (1.0 - quantile) < 1.0 - 1e-6 {
        return Err(format!("{} workers are too few for a {} % quantile", values.len(), quantile * 100.0));
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (quantile * sorted.len() as f64 - 1e-6).ceil() as usize;
    Ok(Reading::Value(sorted[rank.clamp(1, sorted.len()) - 1]))
}

/// What the departures of this kind freed, in MiB: their median, because whoever reads memory frees and takes some.
fn cost(departures: &[Departure], is_meant: fn(&Departure) -> bool) -> Result<Reading, String> {
    let freed: Vec<f64> =
        departures.iter().filter(|departure| is_meant(departure)).map(|d| d.freed_kib as f64 / 1024.0).collect();
    median(&freed).map(Reading::Value).ok_or_else(|| "no such worker left while it was watched".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bearers_are_the_fewest_with_most_of_the_work() {
        let rows: [(&[f64], Option<usize>); 7] = [
            (&[], None),
            (&[0.0, 0.0], None),
            (&[3.5], Some(1)),
            (&[1.7, 1.7, 0.1, 0.0], Some(2)),
            // Exactly nine tenths are enough.
            (&[9.0, 1.0], Some(1)),
            (&[1.0, 1.0, 1.0], Some(3)),
            (&[8.0, 0.9, 0.9, 0.2], Some(3)),
        ];
        for (shares, expected) in rows {
            assert_eq!(bearers(shares).ok(), expected, "{shares:?}");
        }
    }

    #[test]
    fn quantiles_go_by_rank_and_need_enough() {
        let values = |count: u32| (1..=count).rev().map(f64::from).collect::<Vec<_>>();
        let rows = [
            (values(120), 0.99, Ok(Reading::Value(119.0))),
            (values(100), 0.99, Ok(Reading::Value(99.0))),
            (values(99), 0.99, Err("99 workers are too few for a 99 % quantile".to_owned())),
            (values(3), 0.5, Ok(Reading::Value(2.0))),
            (values(0), 0.5, Err("0 workers are too few for a 50 % quantile".to_owned())),
        ];
        for (values, q, expected) in rows {
            assert_eq!(quantile(&values, q), expected, "{} {q}", values.len());
        }
    }

    #[test]
    fn a_worker_costs_what_its_departure_frees() {
        let departure = |requests, freed_kib| Departure { left: 3, requests, freed_kib };
        // The gate has had one of them answer: that one is no fresh worker.
        let departures = [departure(0, 1024), departure(3, 9000), departure(0, 3072), departure(0, 1536)];
        assert_eq!(cost(&departures, |d| d.requests == 0), Ok(Reading::Value(1.5)));
        assert!(cost(&departures[1..2], |d| d.requests == 0).is_err());
    }
}
