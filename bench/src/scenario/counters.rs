//! What a whole tree asks of the kernel, counted: system calls, waits, futexes, context switches, signals; and which
//! calls these are.
//!
//! Runs of their own, never timed. perf(1) counts tracepoints and hardly slows anything down; where it may not, strace(1)
//! counts, which stops a server at every call and sees signals before they are ignored. Three loads are counted, the same
//! for everybody: a low one over keep-alive connections, a step over a new connection per request, because that is where
//! a process manager works (it forks, reaps and signals), and saturation over keep-alive connections, where the kernel has
//! the most reasons to take a CPU away. Low load and saturation last as long for every server.
//!
//! A server that writes down what its process manager decides is given crowds of calls that block in addition, each
//! beyond the last, so that there is something to decide. The record is written in these runs only.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use loadgen::{Load, Plan, Reuse};
use mpm::Action;
use mpm::record::{self, Entry, Replay};
use serde::{Deserialize, Serialize};

use super::onlooker::{Count, Onlooker, words};
use super::{Pace, Subject, Watched, calls};
use crate::observe::signalling::Signals;
use crate::observe::{counting, interfaces, tree};
use crate::process::server::Server;
use crate::process::tool;

/// The kernel's initial namespace of processes always has this link (PROC_PID_INIT_INO). In any other one tracepoints
/// name processes by numbers that nobody there knows.
const FIRST_NAMESPACE: &str = "pid:[4026531836]";

/// How long and how hard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// Server starts per contender.
    pub(crate) replicates: u32,
    /// The equal load over keep-alive connections, after a warm-up of this many seconds: our own server sends requests
    /// through a second thread for the better part of a second after calls that blocked, such as the gate's.
    pub(crate) warmup_s: f64,
    pub(crate) paced: Pace,
    /// The step over a new connection per request, to a handler that blocks 50 ms.
    pub(crate) path: String,
    pub(crate) stages: Vec<Pace>,
    /// Closed loop over keep-alive connections that keeps the server saturated, after a warm-up. Absent from folders that
    /// are older than it, as the crowds are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) saturated: Option<Saturated>,
    /// Connections of the closed loops to `path`, one after the other, that a process manager has to answer with more
    /// workers: a worker has 64 threads at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) crowds: Vec<usize>,
    /// Seconds of each.
    #[serde(default)]
    pub(crate) crowd_s: f64,
    /// Closed loop under strace, which tells the calls' names: over so many connections, new for every request, to `path`.
    pub(crate) connections: usize,
    pub(crate) traced_s: f64,
}

/// A closed loop over keep-alive connections.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Saturated {
    pub(crate) connections: usize,
    pub(crate) warmup_s: f64,
    pub(crate) seconds: f64,
}

impl Settings {
    pub(crate) fn of(quick: bool) -> Self {
        let (replicates, warmup_s, paced_s, stages, traced_s) =
            if quick { (1, 0.1, 0.5, [0.3, 0.9, 0.3], 0.5) } else { (3, 1.0, 1.0, [0.3, 1.3, 0.7], 0.5) };
        let saturated_s = if quick { 0.3 } else { 0.6 };
        let rates = [20.0, 300.0, 20.0];
        Self {
            replicates,
            warmup_s,
            paced: Pace { seconds: paced_s, rate: 200.0 },
            path: "/sleep50".into(),
            stages: stages.into_iter().zip(rates).map(|(seconds, rate)| Pace { seconds, rate }).collect(),
            saturated: Some(Saturated { connections: 8, warmup_s: 0.2, seconds: saturated_s }),
            crowds: vec![100, 200],
            crowd_s: 0.6,
            connections: 12,
            traced_s,
        }
    }

    /// Seconds of the step.
    pub(crate) fn step_seconds(&self) -> f64 {
        self.stages.iter().map(|stage| stage.seconds).sum()
    }

    /// Seconds of load in one run, with about what it takes to attach and to let go.
    pub(crate) fn seconds(&self) -> f64 {
        let saturated = self.saturated.map_or(0.0, |saturated| saturated.warmup_s + saturated.seconds);
        let crowds = self.crowd_s * self.crowds.len() as f64;
        self.warmup_s + self.paced.seconds + self.step_seconds() + saturated + crowds + self.traced_s + 1.0
    }
}

/// What one run observed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Observation {
    /// The low load.
    pub(crate) paced: Counted,
    /// The step.
    pub(crate) step: Counted,
    /// Saturation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) saturated: Option<Counted>,
    /// The closed loop under strace.
    pub(crate) traced: Watched,
    /// The calls during it, by name.
    pub(crate) names: Count<BTreeMap<String, u64>>,
    /// The calls that must have made what processes had open after the step.
    pub(crate) behind: BTreeSet<String>,
    /// What its process manager had decided until then, decided again.
    pub(crate) decisions: Count<Replay>,
    /// The orders among these decisions.
    #[serde(default)]
    pub(crate) orders: Orders,
}

/// How many workers a process manager ordered to come and to go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Orders {
    pub(crate) start: u64,
    pub(crate) leave: u64,
}

/// A load, and what the tree asked of the kernel meanwhile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Counted {
    pub(crate) load: Watched,
    pub(crate) by: By,
    pub(crate) asked: Count<Asked>,
    pub(crate) signals: Count<Signals>,
    /// Why perf did not count, where it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refused: Option<String>,
}

/// Who counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum By {
    Perf,
    Strace,
}

/// Numbers of calls, and of context switches where somebody counted them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) calls: u64,
    /// wait4 and waitid.
    pub(crate) waits: u64,
    pub(crate) futexes: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) switches: Option<u64>,
}

/// Carries it out.
///
/// # Errors
/// The load generator's reason, in a sentence. That a tool could not count is an observation.
pub(crate) fn run(subject: Subject<'_>, settings: &Settings) -> Result<Observation, String> {
    let Pace { seconds, rate } = settings.paced;
    // Connections, threads and the application are there before anybody counts.
    subject.watched(&subject.paced("/", rate, 0.0, settings.warmup_s)?)?;
    let paced = counted(subject, &subject.paced("/", rate, 0.0, seconds)?, Signalled::No)?;
    let stages = settings.stages.iter().copied().map(Into::into).collect();
    let mut step = subject.plan(&settings.path, Load::constant(stages))?;
    step.reuse = Reuse::NewConnectionPerRequest;
    let step = counted(subject, &step, Signalled::Yes)?;
    let saturated = settings.saturated.map(|load| {
        // Those who came for the step are there, and import what they need, before anybody counts.
        let plan = |seconds| subject.closed("/", load.connections, 0.0, seconds);
        subject.watched(&plan(load.warmup_s)?)?;
        counted(subject, &plan(load.seconds)?, Signalled::No)
    });
    let saturated = saturated.transpose()?;
    let behind = tree::members(subject.root)
        .iter()
        .flat_map(|stat| tree::open_files(stat.pid))
        .filter_map(|file| interfaces::behind(&file).map(String::from))
        .collect();
    let (decisions, orders) = match decided(subject, settings)? {
        Ok((replay, orders)) => (Count::Counted(replay), orders),
        Err(reason) => (Count::NotCounted(reason), Orders::default()),
    };
    // Last, because nothing is as it was after that.
    let mut traced = subject.closed(&settings.path, settings.connections, 0.0, settings.traced_s)?;
    traced.reuse = Reuse::NewConnectionPerRequest;
    let strace = calls::STRACE.attach(subject);
    let traced = subject.watched(&traced)?;
    let names = calls::STRACE.count(subject, strace);
    Ok(Observation { paced, step, saturated, traced, names, behind, decisions, orders })
}

/// Gives a server that keeps a record something to decide, and decides again what it has written down; or why not.
///
/// # Errors
/// The load generator's reason, in a sentence.
fn decided(subject: Subject<'_>, settings: &Settings) -> Result<Result<(Replay, Orders), String>, String> {
    let record = subject.scratch.join("decisions.log");
    if !record.exists() {
        return Ok(Err("it keeps no record of what its process manager decides".into()));
    }
    for connections in &settings.crowds {
        subject.watched(&subject.closed(&settings.path, *connections, 0.0, settings.crowd_s)?)?;
    }
    let text = fs::read_to_string(&record).map_err(|error| error.to_string());
    Ok(text.and_then(|text| again(&text)).map_err(|reason| format!("its record of decisions cannot be read: {reason}")))
}

/// Decides again what a record says; a server that runs has written whole lines.
fn again(record: &str) -> Result<(Replay, Orders), String> {
    let whole = record.rfind('\n').map_or("", |end| &record[..end]);
    let entries: Result<Vec<Entry>, _> = whole.lines().map(serde_json::from_str).collect();
    let entries = entries.map_err(|error| error.to_string())?;
    let mut orders = Orders::default();
    for entry in &entries {
        if let Entry::Asked { decision: Some(decision), .. } = entry {
            for action in &decision.actions {
                match action {
                    Action::Spawn { count } => orders.start += u64::from(*count),
                    Action::Retire { .. } => orders.leave += 1,
                }
            }
        }
    }
    Ok((record::replay(entries)?, orders))
}

/// Whether signals are of interest, which takes another perf: where workers come and go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signalled {
    Yes,
    No,
}

/// A load with perf looking on, or strace where perf cannot.
fn counted(subject: Subject<'_>, plan: &Plan, signalled: Signalled) -> Result<Counted, String> {
    let perf = PERF.attach(subject);
    let refused = match perf {
        Ok(perf) => {
            let events = match signalled {
                Signalled::Yes => first_namespace().and_then(|()| EVENTS.attach(subject)),
                Signalled::No => Err("signals are counted during the step".into()),
            };
            // Listed while perf already looks on: who is born later, it has seen.
            let tree = tree::tasks(&tree::members(subject.root));
            let load = subject.watched(plan)?;
            let signals = signals(subject, events, &tree);
            let asked = PERF.count(subject, Ok(perf));
            return Ok(Counted { load, by: By::Perf, asked, signals, refused: None });
        }
        Err(reason) => reason.replace('\n', " "),
    };
    let strace = LOG.attach(subject);
    let load = subject.watched(plan)?;
    let (asked, signals) = match LOG.count(subject, strace) {
        Count::Counted((asked, signals)) => (Count::Counted(asked), Count::Counted(signals)),
        Count::NotCounted(reason) => {
            let both = format!("{refused}; {reason}");
            (Count::NotCounted(both.clone()), Count::NotCounted(both))
        }
    };
    Ok(Counted { load, by: By::Strace, asked, signals, refused: Some(refused) })
}

const PERF: Onlooker<Asked> = Onlooker {
    title: "perf (apt-get install linux-perf)",
    name: "perf",
    command: |file, pids| {
        words(
            "perf stat -x, -e raw_syscalls:sys_enter,syscalls:sys_enter_wait4,syscalls:sys_enter_waitid,syscalls:sys_enter_futex,context-switches -o",
            &[file, "-p", &pids.join(",")],
        )
    },
    // One descriptor per event and thread; nothing is printed.
    holds: |_, files, _, threads| files.iter().filter(|file| file.contains("[perf_event]")).count() >= 5 * threads,
    read: |text| {
        let events = counting::perf_events(text)?;
        let of = |event: &str| events.get(event).copied();
        Some(Asked {
            calls: of("raw_syscalls:sys_enter")?,
            waits: of("syscalls:sys_enter_wait4")? + of("syscalls:sys_enter_waitid")?,
            futexes: of("syscalls:sys_enter_futex")?,
            switches: of("context-switches"),
        })
    },
};

/// The whole machine's: a SIGCHLD is raised by a child that has ended, which no counter of processes counts any more.
const EVENTS: Onlooker<()> = Onlooker {
    title: "perf (apt-get install linux-perf)",
    name: "signals",
    command: |file, _| {
        words("perf record -a -q -e signal:signal_generate,signal:signal_deliver,sched:sched_process_fork -o", &[file])
    },
    // Its buffers are mapped last.
    holds: |_, files, _, _| {
        files.iter().any(|file| file.contains("[perf_event]"))
            && files.iter().any(|file| file.ends_with("signals.counts"))
    },
    read: |_| Some(()),
};

const LOG: Onlooker<(Asked, Signals)> = Onlooker {
    title: "strace (apt-get install strace)",
    name: "log",
    command: |file, pids| {
        let pids: Vec<&str> = pids.iter().flat_map(|pid| ["-p", pid.as_str()]).collect();
        // The signals and every call that sends one as lines, and all calls as a table behind them.
        words("strace -f -C -s 0 -o", &[&[file], &pids[..]].concat())
    },
    holds: |log, _, processes, _| counting::strace_attached(log) >= processes,
    read: |text| {
        let table = &text[text.find("% time ")?..];
        let names = counting::strace_table(table)?;
        let of = |call: &str| names.get(call).copied().unwrap_or(0);
        let asked = Asked {
            calls: names.values().sum(),
            waits: of("wait4") + of("waitid"),
            futexes: of("futex"),
            switches: None,
        };
        Some((asked, Signals::of_strace(text)))
    },
};

fn first_namespace() -> Result<(), String> {
    let here = fs::read_link("/proc/self/ns/pid").map_err(|error| format!("/proc/self/ns/pid: {error}"))?;
    match here.to_str() {
        Some(FIRST_NAMESPACE) => Ok(()),
        _ => Err("in a container, tracepoints name processes by numbers that nobody knows there".into()),
    }
}

/// Ends the recording and reads the signals out of it.
fn signals(subject: Subject<'_>, recording: Result<Server, String>, tree: &BTreeSet<i32>) -> Count<Signals> {
    let file = EVENTS.file(subject).display().to_string();
    if let Count::NotCounted(reason) = EVENTS.count(subject, recording) {
        return Count::NotCounted(reason);
    }
    let words = ["perf", "script", "-i", &file, "-F", "pid,tid,event,trace"];
    match tool::run(&words, Some(subject.scratch), &[], Duration::from_secs(30)) {
        Ok(outcome) if outcome.success => Count::Counted(Signals::of_events(&outcome.out, tree)),
        Ok(outcome) => Count::NotCounted(outcome.last_words().replace('\n', " ")),
        Err(reason) => Count::NotCounted(reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_decided_is_decided_again() {
        let limits = r#"{"adaptive":{"min_workers":1,"max_workers":8,"min_threads":1,"max_threads":64,"cpus":1.0,"memory_workers":99}}"#;
        let zero = r#"{"secs":0,"nanos":0}"#;
        let worker = |in_flight: u32| {
            format!(
                r#"{{"slot":0,"generation":1,"phase":"ready","age":{zero},"connections":{in_flight},"in_flight":{in_flight},"queued":0,"threads":64,"totals":{{"requests":0,"wall":{zero},"cpu":{zero},"gil_wait":{zero}}}}}"#
            )
        };
        let asked = |at: u32, in_flight: u32, decision: &str| {
            format!(
                r#"{{"asked":{{"now":{{"secs":{at},"nanos":0}},"cause":"tick","workers":[{}],"backlog":{},"decision":{decision}}}}}"#,
                worker(in_flight),
                in_flight / 2
            )
        };
        let said = r#"{"at":1.0,"actions":[{"spawn":{"count":7}},{"retire":{"slot":3}}],"reason":"a whim"}"#;
        let made = format!("{{\"made\":{limits}}}");
        // Nothing to do, nothing said; then a crowd, to which something else was said than would be now.
        let record = format!("{made}\n{}\n{}\n{{\"as", asked(0, 1, "null"), asked(1, 64, said));
        let (replay, orders) = again(&record).unwrap();
        assert_eq!((replay.asked, replay.decisions, replay.same), (2, 1, 0));
        assert!(replay.difference.unwrap().contains("a whim"));
        assert_eq!(orders, Orders { start: 7, leave: 1 });
        assert!(again("nonsense\n").is_err());
        assert!(again("").unwrap().0 == Replay::default());
    }

    #[test]
    fn what_the_tools_wrote_is_read() {
        let stat = "# started on a day\n\n100,,raw_syscalls:sys_enter,1,100.00,,\n3,,syscalls:sys_enter_wait4,1,100.00,,\n1,,syscalls:sys_enter_waitid,1,100.00,,\n7,,syscalls:sys_enter_futex,1,100.00,,\n20,,context-switches,1,100.00,,\n";
        let expected = Asked { calls: 100, waits: 4, futexes: 7, switches: Some(20) };
        assert_eq!((PERF.read)(stat), Some(expected));
        // A tracepoint that it may not have is no zero.
        assert_eq!((PERF.read)("100,,raw_syscalls:sys_enter,1,100.00,,\n"), None);
        let log = "\
70    kill(71, SIGTERM)                 = 0
70    --- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED} ---
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.000300           1         2           wait4
 40.00    0.000200           1        10         2 futex
------ ----------- ----------- --------- --------- ----------------
100.00    0.000500           1        12         2 total
";
        let (asked, signals) = (LOG.read)(log).unwrap();
        assert_eq!(asked, Asked { calls: 12, waits: 2, futexes: 10, switches: None });
        assert_eq!((signals.sent.get("SIGTERM"), signals.delivered.get("SIGCHLD")), (Some(&1), Some(&1)));
    }
}
