//! Which scenarios there are: their names, what they belong to, what is served in them, and how they are chosen.
//!
//! Knows nothing of how one is carried out, which is [`super`]'s.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::described;
use crate::failure::Failure;

/// The scenarios, in the order in which they run and are reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scenario {
    Steady,
    Step,
    Hello,
    Flask,
    Bodies,
    File,
    Syscalls,
    Isolation,
    Threads,
    Idle,
    Burst,
    Compute,
    Search,
    Mixed,
    Spawn,
    Memory,
    Curve,
    Capacity,
    Counters,
    Rest,
    Tune,
    /// That of a file, by its name; what it is stands in [`Lengths`](super::Lengths).
    Described(&'static str),
}

impl Serialize for Scenario {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Scenario {
    /// One that is code, or else that of a file: whether there is one is for whoever has the files to say.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let known = Self::ALL.into_iter().find(|scenario| scenario.name() == name);
        Ok(known.unwrap_or_else(|| Self::described(&name)))
    }
}

/// What is served while a scenario runs: the module of `bench/apps`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Application {
    Flask,
    Plain,
    /// The one that the scenario's file names.
    Described,
}

impl Application {
    /// The value of `{app}` in contender files; `None` where a file says it.
    pub(crate) fn module(self) -> Option<&'static str> {
        match self {
            Self::Flask => Some("flask_app"),
            Self::Plain => Some("plain_app"),
            Self::Described => None,
        }
    }
}

/// Scenarios that belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    Comparison,
    RequestPath,
    ProcessManager,
    OfferedLoad,
    Evidence,
    Tuning,
    Described,
}

impl Group {
    /// What the command line calls all of its scenarios; the default comparison is what runs without a name.
    fn name(self) -> Option<&'static str> {
        match self {
            Self::Comparison | Self::Tuning => None,
            Self::RequestPath => Some("request-path"),
            Self::ProcessManager => Some("process-manager"),
            Self::OfferedLoad => Some("offered-load"),
            Self::Evidence => Some("evidence"),
            Self::Described => Some(described::files::GROUP),
        }
    }
}

impl Scenario {
    pub(crate) const ALL: [Self; 21] = [
        Self::Steady,
        Self::Step,
        Self::Hello,
        Self::Flask,
        Self::Bodies,
        Self::File,
        Self::Syscalls,
        Self::Isolation,
        Self::Threads,
        Self::Idle,
        Self::Burst,
        Self::Compute,
        Self::Search,
        Self::Mixed,
        Self::Spawn,
        Self::Memory,
        Self::Curve,
        Self::Capacity,
        Self::Counters,
        Self::Rest,
        Self::Tune,
    ];

    /// That of the file of this name.
    pub(crate) fn described(name: &str) -> Self {
        // Names live as long as the process, so that a scenario can be copied; there are as many as files.
        static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
        let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = names.get(name) {
            return Self::Described(known);
        }
        let name: &'static str = Box::leak(name.to_owned().into_boxed_str());
        names.insert(name);
        Self::Described(name)
    }

    /// Whether it is that of a file.
    pub(crate) fn is_described(self) -> bool {
        matches!(self, Self::Described(_))
    }

    /// What the command line calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Step => "step",
            Self::Hello => "hello",
            Self::Flask => "flask",
            Self::Bodies => "bodies",
            Self::File => "file",
            Self::Syscalls => "syscalls",
            Self::Isolation => "isolation",
            Self::Threads => "threads",
            Self::Idle => "idle",
            Self::Burst => "burst",
            Self::Compute => "compute",
            Self::Search => "search",
            Self::Mixed => "mixed",
            Self::Spawn => "spawn",
            Self::Memory => "memory",
            Self::Curve => "curve",
            Self::Capacity => "capacity",
            Self::Counters => "counters",
            Self::Rest => "rest",
            Self::Tune => "tune",
            Self::Described(name) => name,
        }
    }

    /// One line for `bench list`.
    pub(crate) fn about(self) -> &'static str {
        match self {
            Self::Steady => {
                "closed loop over keep-alive connections for throughput and cost, then equal offered load for latency"
            }
            Self::Step => {
                "open loop 20 → 400 → 20 requests/s, a new connection per request, a handler that blocks 50 ms"
            }
            Self::Hello => "the smallest WSGI application over 32 connections for its cost, over one for its latency",
            Self::Flask => "the same with the smallest Flask application",
            Self::Bodies => "request and response bodies of 64 KiB and 1 MiB: throughput per CPU second",
            Self::File => "a large file through wsgi.file_wrapper",
            Self::Syscalls => "system calls per hello request: how many (perf), and which (strace)",
            Self::Isolation => "how long others wait while one call blocks, or computes, for a second",
            Self::Threads => "how many threads one worker has for calls that compute, and for calls that block",
            Self::Idle => "thousands of idle connections: their memory and CPU, and a busy one among them",
            Self::Burst => {
                "step with a longer end: how many processes come and go, and what becomes of them afterwards"
            }
            Self::Compute => "calls of 5 ms of CPU at 70 % of all CPUs: processes and threads that bear them",
            Self::Search => "fixed sizes, workers × threads, under the load of mixed: which are the best",
            Self::Mixed => "of ten calls nine compute 2 ms and one blocks 200 ms: p99 beside the best fixed sizes",
            Self::Spawn => "workers are killed: time from the order to replace one until it can serve",
            Self::Memory => "what one more idle worker costs, before and after its first request",
            Self::Curve => "latency, CPU and memory over offered load, up to and past the knee",
            Self::Capacity => "the highest rate at which p99 and errors stay within an objective, by search",
            Self::Counters => "system calls, waits, signals and context switches, counted in runs of their own",
            Self::Rest => "an idle server: how often it wakes up, and the CPU time that takes",
            Self::Tune => "several settings of each contender, under a closed loop and a step: which are the best",
            Self::Described(_) => "as its file describes it",
        }
    }

    /// What it belongs to.
    pub(crate) fn group(self) -> Group {
        match self {
            Self::Steady | Self::Step => Group::Comparison,
            Self::Hello
            | Self::Flask
            | Self::Bodies
            | Self::File
            | Self::Syscalls
            | Self::Isolation
            | Self::Threads
            | Self::Idle => Group::RequestPath,
            Self::Burst | Self::Compute | Self::Search | Self::Mixed | Self::Spawn | Self::Memory => {
                Group::ProcessManager
            }
            Self::Curve | Self::Capacity => Group::OfferedLoad,
            Self::Counters | Self::Rest => Group::Evidence,
            Self::Tune => Group::Tuning,
            Self::Described(_) => Group::Described,
        }
    }

    /// Whether it is part of the default comparison.
    pub(crate) fn is_comparison(self) -> bool {
        self.group() == Group::Comparison
    }

    /// Whether the server may use every CPU, also the generator's.
    pub(crate) fn shares_cpus(self) -> bool {
        self == Self::Compute
    }

    /// The scenarios of the default comparison.
    pub(crate) fn comparison() -> Vec<Self> {
        Self::ALL.into_iter().filter(|scenario| scenario.is_comparison()).collect()
    }

    /// The scenarios that run when nobody names one: the comparison, and what its claims need beside it.
    pub(crate) fn unnamed() -> Vec<Self> {
        let is_asked = |scenario: &Self| matches!(scenario.group(), Group::Comparison | Group::Evidence);
        Self::ALL.into_iter().filter(is_asked).collect()
    }

    /// What has to be served.
    pub(crate) fn application(self) -> Application {
        match self {
            Self::Steady
            | Self::Step
            | Self::Flask
            | Self::Burst
            | Self::Spawn
            | Self::Memory
            | Self::Curve
            | Self::Capacity
            | Self::Counters
            | Self::Rest
            | Self::Tune => Application::Flask,
            Self::Hello
            | Self::Bodies
            | Self::File
            | Self::Syscalls
            | Self::Isolation
            | Self::Threads
            | Self::Idle
            | Self::Compute
            | Self::Search
            | Self::Mixed => Application::Plain,
            Self::Described(_) => Application::Described,
        }
    }

    /// The scenarios of these names, or of the group that a name stands for; those of the default comparison when there
    /// is no name. Whoever asks for `mixed` needs the search before it.
    ///
    /// # Errors
    /// A name that is not known.
    pub(crate) fn chosen(names: &[String]) -> Result<Vec<Self>, Failure> {
        let named = |scenario: Self, name: &str| name == scenario.name() || scenario.group().name() == Some(name);
        if let Some(unknown) = names.iter().find(|name| Self::ALL.iter().all(|scenario| !named(*scenario, name))) {
            let mut known: Vec<String> = Self::ALL.iter().map(|scenario| scenario.name().to_owned()).collect();
            known.extend(described::files::all()?.into_iter().map(|description| description.name));
            return Err(Failure::Usage(format!(
                "unknown scenario {unknown:?}; known are {}, the path of a file that ends in .toml, and the groups described, \
                 request-path, process-manager, offered-load and evidence",
                known.join(", ")
            )));
        }
        if names.is_empty() {
            return Ok(Self::unnamed());
        }
        let asked = |scenario: Self| names.iter().any(|name| named(scenario, name));
        let needed = |scenario: Self| scenario == Self::Search && asked(Self::Mixed);
        Ok(Self::ALL.into_iter().filter(|scenario| asked(*scenario) || needed(*scenario)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_choose_and_unknown_ones_are_told() {
        let chosen = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            Scenario::chosen(&names)
        };
        assert_eq!(chosen(&[]).unwrap(), [Scenario::Steady, Scenario::Step, Scenario::Counters, Scenario::Rest]);
        // The order is ours, whatever was asked first.
        assert_eq!(chosen(&["step", "steady"]).unwrap(), [Scenario::Steady, Scenario::Step]);
        assert_eq!(chosen(&["request-path"]).unwrap(), Scenario::ALL[2..10]);
        assert_eq!(chosen(&["process-manager"]).unwrap(), Scenario::ALL[10..16]);
        assert_eq!(chosen(&["offered-load"]).unwrap(), [Scenario::Curve, Scenario::Capacity]);
        assert_eq!(chosen(&["evidence"]).unwrap(), Scenario::ALL[18..20]);
        // A member of a group that was asked for is in it once.
        assert_eq!(chosen(&["hello", "request-path", "step"]).unwrap(), Scenario::ALL[1..10]);
        assert_eq!(chosen(&["mixed"]).unwrap(), [Scenario::Search, Scenario::Mixed]);
        let error = chosen(&["spike"]).unwrap_err().to_string();
        assert!(error.starts_with("unknown scenario \"spike\"; known are steady, step, hello, "), "{error}");
        assert!(error.ends_with("request-path, process-manager, offered-load and evidence"), "{error}");
    }
}
