//! The figures that were counted in runs of their own: what a tree asks of the kernel, and what it does at rest.

use super::{Better, Metric, Of, Part, Reading};
use crate::observe::interfaces;
use crate::scenario::counters::{By, Counted, Observation};
use crate::scenario::onlooker::Count;
use crate::scenario::rest;

const CALLS: &str = "perf stat, tracepoint raw_syscalls:sys_enter over the tree, forked children included, ÷ answers to the same load (low: 200 requests/s; saturated: a closed loop over 8 connections; a step); where perf may not: strace -f -C";
const FUTEXES: &str = "perf stat, tracepoint syscalls:sys_enter_futex over the tree ÷ answers to the same load; where perf may not: strace -f -C";
const SWITCHES: &str = "perf stat, context-switches over the tree, forked children included, ÷ answers to the same load over keep-alive connections: 200 requests/s (low), or a closed loop over 8 connections (saturated)";
const WAITS: &str = "perf stat, tracepoints syscalls:sys_enter_wait4 and sys_enter_waitid over the tree ÷ seconds of the same load (low: 200 requests/s; saturated: a closed loop over 8 connections; a step); where perf may not: strace -f -C";
const SIGNALS: &str = "perf record of the whole machine, tracepoints signal:signal_generate and signal_deliver, those of the tree; where perf may not: strace -f, which also calls ignored ones delivered";
const OPEN: &str = "strace -c -f of a closed loop of new connections, and the links of /proc/PID/fd for what was made at the start; calls of section 2 of the manual that only Linux has and that a program asks for by name";
const DECISIONS: &str = "--decision-log from the server's start, given again to the policies' code (crate mpm); orders and reasons compared";
const SLEEPS: &str = "voluntary_ctxt_switches of /proc/PID/task/*/status over the tree ÷ seconds";
const RAN: &str = "/proc/PID/task/*/schedstat over the tree (nanoseconds on a CPU), as if for an hour";

/// Every figure, in the order of the tables.
pub(super) const METRICS: &[Metric] = &[
    counter("counted_calls", Part::PacedCounted, "system calls per request, low load", CALLS, |seen| {
        per_answer(&seen.paced, seen.paced.asked.get()?.calls)
    }),
    counter("saturated_calls", Part::SaturatedCounted, "system calls per request, saturated", CALLS, |seen| {
        let counted = saturated(seen)?;
        per_answer(counted, counted.asked.get()?.calls)
    }),
    counter("counted_futexes", Part::PacedCounted, "futex calls per request, low load", FUTEXES, |seen| {
        per_answer(&seen.paced, seen.paced.asked.get()?.futexes)
    }),
    counter("saturated_futexes", Part::SaturatedCounted, "futex calls per request, saturated", FUTEXES, |seen| {
        let counted = saturated(seen)?;
        per_answer(counted, counted.asked.get()?.futexes)
    }),
    counter("counted_switches", Part::PacedCounted, "context switches per request, low load", SWITCHES, |seen| {
        switches(&seen.paced)
    }),
    counter(
        "saturated_switches",
        Part::SaturatedCounted,
        "context switches per request, saturated",
        SWITCHES,
        |seen| switches(saturated(seen)?),
    ),
    waiting("counted_waits", Part::PacedCounted, "wait* calls, low load", |seen| waits(&seen.paced)),
    waiting("saturated_waits", Part::SaturatedCounted, "wait* calls, saturated", |seen| waits(saturated(seen)?)),
    waiting("waits", Part::StepCounted, "wait* calls during a step", |seen| waits(&seen.step)),
    counter("step_calls", Part::StepCounted, "system calls per request during a step", CALLS, |seen| {
        per_answer(&seen.step, seen.step.asked.get()?.calls)
    }),
    counter("signals_sent", Part::StepCounted, "signals sent by its processes during a step", SIGNALS, |seen| {
        let signals = seen.step.signals.get()?;
        Ok(Reading::Value(signals.sent.values().sum::<u64>() as f64))
    }),
    counter("signals_delivered", Part::StepCounted, "signals delivered during a step", SIGNALS, |seen| {
        let signals = seen.step.signals.get()?;
        Ok(Reading::Value(signals.delivered.values().sum::<u64>() as f64))
    }),
    counter("signals_raised", Part::StepCounted, "signals raised by the kernel, ignored ones too", SIGNALS, |seen| {
        match seen.step.by {
            By::Perf => Ok(Reading::Value(seen.step.signals.get()?.raised.values().sum::<u64>() as f64)),
            By::Strace => Err(refusal(&seen.step)),
        }
    }),
    counter("interfaces", Part::TracedNames, "Linux-only interfaces used", OPEN, |seen| {
        Ok(Reading::Value(linux_only(seen)?.len() as f64))
    }),
    counter("interfaces_all", Part::TracedNames, "different system calls made", OPEN, |seen| {
        Ok(Reading::Value(seen.names.get()?.len() as f64))
    }),
    Metric {
        unit: "%",
        better: Better::Higher,
        ..counter("decisions_same", Part::StepCounted, "decisions that come out the same again", DECISIONS, |seen| {
            let replay = seen.decisions.get()?;
            match replay.decisions {
                0 => Err("nothing had to be decided".into()),
                decisions => Ok(Reading::Value(replay.same as f64 / decisions as f64 * 100.0)),
            }
        })
    },
    rest("rest_wakeups", "wake-ups when idle", "per s", SLEEPS, |seen| {
        Ok(Reading::Value(seen.wakeups as f64 / seen.seconds))
    }),
    rest("rest_cpu", "CPU per idle hour", "s", RAN, |seen| {
        let spent = seen.cpu_seconds.ok_or("the kernel keeps no run times (CONFIG_SCHED_INFO)")?;
        Ok(Reading::Value(spent / seen.seconds * 3600.0))
    }),
    rest("rest_processes", "processes", "", "/proc/PID/stat of the server's tree", |seen| {
        Ok(Reading::Value(f64::from(seen.processes)))
    }),
    rest("rest_threads", "threads", "", "num_threads of /proc/PID/stat over the tree", |seen| {
        Ok(Reading::Value(f64::from(seen.threads)))
    }),
];

/// The Linux-only calls of a run, by name.
pub(crate) fn linux_only(seen: &Observation) -> Result<Vec<&str>, String> {
    let calls = seen.names.get()?.keys().chain(&seen.behind).map(String::as_str);
    Ok(interfaces::linux_only(calls).into_iter().collect())
}

const fn counter(
    id: &'static str,
    part: Part,
    label: &'static str,
    source: &'static str,
    of: fn(&Observation) -> Result<Reading, String>,
) -> Metric {
    Metric { id, part, label, unit: "", better: Better::Lower, source, of: Of::Counters(of) }
}

const fn waiting(
    id: &'static str,
    part: Part,
    label: &'static str,
    of: fn(&Observation) -> Result<Reading, String>,
) -> Metric {
    Metric { id, part, label, unit: "per s", better: Better::Lower, source: WAITS, of: Of::Counters(of) }
}

const fn rest(
    id: &'static str,
    label: &'static str,
    unit: &'static str,
    source: &'static str,
    of: fn(&rest::Observation) -> Result<Reading, String>,
) -> Metric {
    Metric { id, part: Part::Rest, label, unit, better: Better::Lower, source, of: Of::Rest(of) }
}

/// Saturation, which older folders did not count.
fn saturated(seen: &Observation) -> Result<&Counted, String> {
    seen.saturated.as_ref().ok_or_else(|| "saturation was not counted".into())
}

fn switches(counted: &Counted) -> Result<Reading, String> {
    per_answer(counted, counted.asked.get()?.switches.ok_or_else(|| refusal(counted))?)
}

fn waits(counted: &Counted) -> Result<Reading, String> {
    Ok(Reading::Value(counted.asked.get()?.waits as f64 / counted.load.watch.seconds))
}

fn per_answer(counted: &Counted, count: u64) -> Result<Reading, String> {
    match counted.load.load.answered {
        0 => Err("no answers".into()),
        answered => Ok(Reading::Value(count as f64 / answered as f64)),
    }
}

/// Why perf did not count.
fn refusal(counted: &Counted) -> String {
    counted.refused.clone().unwrap_or_else(|| match &counted.signals {
        Count::NotCounted(reason) => reason.clone(),
        Count::Counted(_) => "perf did not count it".into(),
    })
}
