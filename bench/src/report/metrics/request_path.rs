//! The figures of the request path: one worker, seen from several sides.

use loadgen::Distribution;

use super::{Better, Metric, Of, Part, Reading, Terms, per_answer, quantile_ms};
use crate::observe::sampler::Sample;
use crate::scenario::calls;
use crate::scenario::onlooker::Count;
use crate::scenario::{Watched, idle, threads};

const CPU: &str = "Σ utime+stime (+ reaped children) of /proc/PID/stat over the tree ÷ answers, closed loop";
const THROUGHPUT: &str = "load generator: closed loop, whole answers per second";
const LATENCY: &str = "load generator: HdrHistogram of latencies, closed loop over one connection";
const SWITCHES: &str = "voluntary + nonvoluntary of /proc/PID/task/*/status over the tree ÷ answers";
const PER_CPU: &str = "load generator: body bytes of whole answers ÷ Σ utime+stime of /proc/PID/stat over the tree";
const BYTES: &str = "load generator: body bytes of whole answers per second, closed loop";
const TRACED: &str = "strace -c -f on every process of the tree ÷ answers, closed loop; what a server does by the clock seems more frequent, because strace slows it down";
const COUNTED: &str = "perf stat -e raw_syscalls:sys_enter on every process of the tree ÷ answers, closed loop";
const WAIT: &str = "load generator: open loop, latencies from the intended send time";
const THREADS: &str = "num_threads of /proc/PID/stat of the process that has most, every 100 ms";
const QUIET: &str = "Σ utime+stime of /proc/PID/stat over the tree while nothing is asked, to a clock tick";
const PSS: &str =
    "Pss of /proc/PID/smaps_rollup over the tree, with the idle connections − without them, ÷ their number";

const MIB: f64 = 1024.0 * 1024.0;

/// Every figure, in the order of the tables.
pub(super) const METRICS: &[Metric] = &[
    cost("hello_cpu", Part::HelloMany),
    throughput("hello_throughput", Part::HelloMany),
    switches("hello_switches", Part::HelloMany),
    median("hello_p50", "p50 over one connection", Part::HelloOne),
    cost("flask_cpu", Part::FlaskMany),
    throughput("flask_throughput", Part::FlaskMany),
    switches("flask_switches", Part::FlaskMany),
    median("flask_p50", "p50 over one connection", Part::FlaskOne),
    moved("small_up_per_cpu", Part::SmallUp, "64 KiB up, per CPU second", PER_CPU, |terms, watched| {
        per_cpu(small(terms), watched)
    }),
    moved("large_up_per_cpu", Part::LargeUp, "1 MiB up, per CPU second", PER_CPU, |terms, watched| {
        per_cpu(large(terms), watched)
    }),
    moved("small_down_per_cpu", Part::SmallDown, "64 KiB down, per CPU second", PER_CPU, |terms, watched| {
        per_cpu(small(terms), watched)
    }),
    moved("large_down_per_cpu", Part::LargeDown, "1 MiB down, per CPU second", PER_CPU, |terms, watched| {
        per_cpu(large(terms), watched)
    }),
    moved("small_up_rate", Part::SmallUp, "64 KiB up, per second", BYTES, |terms, watched| {
        Ok(rate(small(terms), watched))
    }),
    moved("large_up_rate", Part::LargeUp, "1 MiB up, per second", BYTES, |terms, watched| {
        Ok(rate(large(terms), watched))
    }),
    moved("small_down_rate", Part::SmallDown, "64 KiB down, per second", BYTES, |terms, watched| {
        Ok(rate(small(terms), watched))
    }),
    moved("large_down_rate", Part::LargeDown, "1 MiB down, per second", BYTES, |terms, watched| {
        Ok(rate(large(terms), watched))
    }),
    moved("file_rate", Part::File, "the file, per second", BYTES, |terms, watched| Ok(rate(whole(terms), watched))),
    moved("file_per_cpu", Part::File, "the file, per CPU second", PER_CPU, |terms, watched| {
        per_cpu(whole(terms), watched)
    }),
    system_calls("calls", Part::Counted, "system calls per request", COUNTED, |calls| {
        share(&calls.number, |number| *number, &calls.counted)
    }),
    system_calls("calls_traced", Part::Traced, "the same under strace", TRACED, |calls| {
        share(&calls.names, |names| names.values().sum(), &calls.traced)
    }),
    wait("undisturbed_p99", Part::Undisturbed, "p99, undisturbed", p99),
    wait("blocked_p99", Part::Blocked, "p99 beside a call that blocks", p99),
    wait("blocked_longest", Part::Blocked, "longest beside a call that blocks", longest),
    wait("spinning_p50", Part::Spinning, "p50 beside a call that computes", p50),
    wait("spinning_longest", Part::Spinning, "longest beside a call that computes", longest),
    wait("accepting_longest", Part::Accepting, "longest over new connections beside it", longest),
    errors("blocked_errors", Part::Blocked, "errors beside a call that blocks"),
    errors("spinning_errors", Part::Spinning, "errors beside a call that computes"),
    errors("accepting_errors", Part::Accepting, "errors over new connections beside it"),
    count("threads_at_rest", Part::Computing, "threads at rest", |threads| {
        Ok(Reading::Value(f64::from(threads.at_rest)))
    }),
    count("computing_threads", Part::Computing, "more threads for calls that compute", |threads| {
        more(threads, &threads.computing.watch.samples)
    }),
    count("blocking_threads", Part::Blocking, "more threads for calls that block", |threads| {
        more(threads, &threads.blocking.watch.samples)
    }),
    Metric {
        id: "blocking_p99",
        part: Part::Blocking,
        label: "p99 of calls that block 50 ms",
        unit: "ms",
        better: Better::Lower,
        source: WAIT,
        of: Of::Load(p99),
    },
    errors("threads_errors", Part::Blocking, "errors of calls that block"),
    quiet("idle_memory", "memory per idle connection", "KiB", PSS, |idle| {
        let more = idle.with.pss_kib as f64 - idle.without.pss_kib as f64;
        Ok(Reading::Value(more / idle.made as f64))
    }),
    quiet("idle_cpu_without", "CPU of a quiet server", "ms/s", QUIET, |idle| Ok(Reading::Value(busy(idle.without)))),
    quiet("idle_cpu", "more CPU with idle connections", "ms/s", QUIET, |idle| {
        Ok(Reading::Value(busy(idle.with) - busy(idle.without)))
    }),
    median("busy_p50_alone", "p50 of a busy connection, alone", Part::BusyAlone),
    median("busy_p50_among", "p50 of a busy connection among idle ones", Part::BusyAmong),
    quiet("busy_p50_ratio", "p50 among idle connections ÷ alone", "", LATENCY, |idle| slowdown(idle, 0.5)),
    quiet("busy_p99_ratio", "p99 among idle connections ÷ alone", "", LATENCY, |idle| slowdown(idle, 0.99)),
];

const fn metric(id: &'static str, part: Part, label: &'static str, unit: &'static str, of: Of) -> Metric {
    Metric { id, part, label, unit, better: Better::Lower, source: CPU, of }
}

const fn cost(id: &'static str, part: Part) -> Metric {
    metric(
        id,
        part,
        "CPU per request",
        "µs",
        Of::Load(|_, watched| per_answer(watched, watched.watch.cpu_seconds * 1e6)),
    )
}

const fn throughput(id: &'static str, part: Part) -> Metric {
    let of = Of::Load(|_, watched| Ok(Reading::Value(watched.load.answered_rate)));
    let metric = metric(id, part, "throughput, saturated", "requests/s", of);
    Metric { better: Better::Higher, source: THROUGHPUT, ..metric }
}

const fn switches(id: &'static str, part: Part) -> Metric {
    let of = Of::Load(|_, watched| per_answer(watched, watched.watch.switches as f64));
    Metric { source: SWITCHES, ..metric(id, part, "context switches per request", "", of) }
}

const fn median(id: &'static str, label: &'static str, part: Part) -> Metric {
    let of = Of::Load(|_, watched| scaled(&watched.load.latency, 0.5, 1000.0).map(Reading::Value));
    Metric { source: LATENCY, ..metric(id, part, label, "µs", of) }
}

const fn moved(id: &'static str, part: Part, label: &'static str, source: &'static str, of: Figure) -> Metric {
    Metric { better: Better::Higher, source, ..metric(id, part, label, "MiB", Of::Load(of)) }
}

const fn wait(id: &'static str, part: Part, label: &'static str, of: Figure) -> Metric {
    Metric { source: WAIT, ..metric(id, part, label, "ms", Of::Load(of)) }
}

const fn errors(id: &'static str, part: Part, label: &'static str) -> Metric {
    let of = Of::Load(|_, watched| Ok(Reading::Value(watched.load.errors_total() as f64)));
    Metric { source: "load generator", ..metric(id, part, label, "requests", of) }
}

const fn count(
    id: &'static str,
    part: Part,
    label: &'static str,
    of: fn(&threads::Observation) -> Result<Reading, String>,
) -> Metric {
    Metric { source: THREADS, ..metric(id, part, label, "", Of::Threads(of)) }
}

const fn system_calls(
    id: &'static str,
    part: Part,
    label: &'static str,
    source: &'static str,
    of: fn(&calls::Observation) -> Result<Reading, String>,
) -> Metric {
    Metric { source, ..metric(id, part, label, "", Of::Calls(of)) }
}

const fn quiet(
    id: &'static str,
    label: &'static str,
    unit: &'static str,
    source: &'static str,
    of: fn(&idle::Observation) -> Result<Reading, String>,
) -> Metric {
    Metric { source, ..metric(id, Part::BusyAmong, label, unit, Of::Idle(of)) }
}

type Figure = fn(&Terms<'_>, &Watched) -> Result<Reading, String>;

fn small(terms: &Terms<'_>) -> usize {
    terms.lengths.request_path.bodies.small
}

fn large(terms: &Terms<'_>) -> usize {
    terms.lengths.request_path.bodies.large
}

fn whole(terms: &Terms<'_>) -> usize {
    terms.lengths.request_path.file.length
}

/// MiB per second of bodies of this many bytes, whichever direction they went.
fn rate(length: usize, watched: &Watched) -> Reading {
    Reading::Value(watched.load.answered_rate * length as f64 / MIB)
}

/// The same per second of the server's CPU.
fn per_cpu(length: usize, watched: &Watched) -> Result<Reading, String> {
    let seconds = watched.watch.cpu_seconds;
    if seconds <= 0.0 {
        return Err("the server used less CPU than a clock tick".into());
    }
    Ok(Reading::Value(watched.load.answered as f64 * length as f64 / MIB / seconds))
}

/// Counted calls per answer.
fn share<T>(count: &Count<T>, total: fn(&T) -> u64, watched: &Watched) -> Result<Reading, String> {
    match count {
        Count::NotCounted(reason) => Err(reason.clone()),
        Count::Counted(counted) => per_answer(watched, total(counted) as f64),
    }
}

/// A quantile in milliseconds times `scale`.
fn scaled(latency: &Distribution, quantile: f64, scale: f64) -> Result<f64, String> {
    match quantile_ms(latency, quantile)? {
        Reading::Value(ms) | Reading::Beyond(ms) => Ok(ms * scale),
    }
}

fn p99(_: &Terms<'_>, watched: &Watched) -> Result<Reading, String> {
    quantile_ms(&watched.load.latency, 0.99)
}

fn p50(_: &Terms<'_>, watched: &Watched) -> Result<Reading, String> {
    quantile_ms(&watched.load.latency, 0.5)
}

fn longest(_: &Terms<'_>, watched: &Watched) -> Result<Reading, String> {
    match watched.load.latency.count {
        0 => Err("no request was answered".into()),
        _ => Ok(Reading::Value(watched.load.latency.max_ns as f64 / 1e6)),
    }
}

/// The most threads in these samples, beyond those at rest.
fn more(threads: &threads::Observation, samples: &[Sample]) -> Result<Reading, String> {
    let most = samples.iter().map(|sample| sample.most_threads).max().ok_or("no sample of the tree")?;
    Ok(Reading::Value(f64::from(most.saturating_sub(threads.at_rest))))
}

/// Milliseconds of CPU per second.
fn busy(quiet: idle::Quiet) -> f64 {
    1000.0 * quiet.cpu_seconds / quiet.seconds
}

/// How many times as long the busy connection's requests take among idle ones as, on average, before and after.
fn slowdown(idle: &idle::Observation, quantile: f64) -> Result<Reading, String> {
    let among = scaled(&idle.among.load.latency, quantile, 1.0)?;
    let before = scaled(&idle.alone.load.latency, quantile, 1.0)?;
    let after = scaled(&idle.after.load.latency, quantile, 1.0)?;
    Ok(Reading::Value(among / (before * after).sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::idle::Quiet;

    #[test]
    fn a_quiet_server_s_cpu_is_told_per_second() {
        let quiet = |cpu_seconds, seconds| busy(Quiet { seconds, cpu_seconds, pss_kib: 0 });
        assert_eq!(quiet(0.01, 5.0), 2.0);
        assert_eq!(quiet(0.0, 5.0), 0.0);
    }
}
