//! What is done to a running server, and what is observed meanwhile. Raw observations only: `report` computes.
//!
//! A scenario knows the server's address and its tree's root, never which server it is. Two of them are the default
//! comparison; the others are run on request: the *request path* looks at one worker from several sides, the *process
//! manager* at how many processes and threads there are, *offered load* at how much a server bears and how it fares then.
//! The *evidence* is what the comparison's claims need beside it: it counts in runs of its own.
//! These are code; whatever requests, load, other clients and a failure can say is a file, see [`described`].

mod account;
pub(crate) mod bodies;
pub(crate) mod calls;
pub(crate) mod capacity;
pub(crate) mod compute;
pub(crate) mod counters;
mod crowd;
pub(crate) mod curve;
pub(crate) mod described;
pub(crate) mod file;
pub(crate) mod idle;
pub(crate) mod isolation;
pub(crate) mod lengths;
pub(crate) mod memory;
pub(crate) mod mixed;
pub(crate) mod onlooker;
pub(crate) mod rest;
pub(crate) mod small;
pub(crate) mod spawn;
pub(crate) mod steady;
pub(crate) mod step;
pub(crate) mod threads;
pub(crate) mod tune;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use loadgen::{Arrivals, Plan, Report, Stage, Target};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::failure::Failure;
use crate::observe::sampler::{Sampler, Watch};
pub(crate) use lengths::Lengths;

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
    /// That of a file, by its name; what it is stands in [`Lengths`].
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
        Self::ALL.into_iter().filter(|scenario| scenario.is_comparison() || *scenario == Self::Counters).collect()
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

    /// Carries it out against a server that is ready for it.
    ///
    /// # Errors
    /// The load generator's reason, or another tool's, in a sentence.
    pub(crate) fn observe(self, subject: Subject<'_>, lengths: &Lengths) -> Result<Observation, String> {
        let path = &lengths.request_path;
        let manager = &lengths.process_manager;
        let offered = &lengths.offered_load;
        Ok(match self {
            Self::Steady => Observation::Steady(Box::new(steady::run(subject, &lengths.steady)?)),
            Self::Step => Observation::Step(Box::new(step::run(subject, &lengths.step)?)),
            Self::Hello => Observation::Hello(Box::new(small::run(subject, &path.small)?)),
            Self::Flask => Observation::Flask(Box::new(small::run(subject, &path.small)?)),
            Self::Bodies => Observation::Bodies(Box::new(bodies::run(subject, &path.bodies)?)),
            Self::File => Observation::File(Box::new(file::run(subject, &path.file)?)),
            Self::Syscalls => Observation::Syscalls(Box::new(calls::run(subject, &path.calls)?)),
            Self::Isolation => Observation::Isolation(Box::new(isolation::run(subject, &path.isolation)?)),
            Self::Threads => Observation::Threads(Box::new(threads::run(subject, &path.threads)?)),
            Self::Idle => Observation::Idle(Box::new(idle::run(subject, &path.idle)?)),
            Self::Burst => Observation::Burst(Box::new(step::run(subject, &manager.burst)?)),
            Self::Compute => Observation::Compute(Box::new(compute::run(subject, &manager.compute)?)),
            Self::Search => Observation::Search(Box::new(mixed::search(subject, &manager.mixed)?)),
            Self::Mixed => Observation::Mixed(Box::new(mixed::run(subject, &manager.mixed)?)),
            Self::Spawn => Observation::Spawn(Box::new(spawn::run(subject, &manager.spawn)?)),
            Self::Memory => Observation::Memory(Box::new(memory::run(subject, &manager.memory)?)),
            Self::Curve => Observation::Curve(Box::new(curve::run(subject, &offered.curve)?)),
            Self::Capacity => Observation::Capacity(Box::new(capacity::run(subject, &offered.capacity)?)),
            Self::Counters => Observation::Counters(Box::new(counters::run(subject, &lengths.evidence.counters)?)),
            Self::Rest => Observation::Rest(Box::new(rest::run(subject, &lengths.evidence.rest)?)),
            Self::Tune => Observation::Tune(Box::new(tune::run(subject, &lengths.tune)?)),
            Self::Described(name) => {
                let description = lengths.description(self).ok_or_else(|| format!("no description of {name}"))?;
                Observation::Described(Box::new(described::run(subject, description)?))
            }
        })
    }
}

/// What one run observed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Observation {
    Steady(Box<steady::Observation>),
    Step(Box<step::Observation>),
    Hello(Box<small::Observation>),
    Flask(Box<small::Observation>),
    Bodies(Box<bodies::Observation>),
    File(Box<file::Observation>),
    Syscalls(Box<calls::Observation>),
    Isolation(Box<isolation::Observation>),
    Threads(Box<threads::Observation>),
    Idle(Box<idle::Observation>),
    Burst(Box<step::Observation>),
    Compute(Box<compute::Observation>),
    Search(Box<mixed::Observation>),
    Mixed(Box<mixed::Observation>),
    Spawn(Box<spawn::Observation>),
    Memory(Box<memory::Observation>),
    Curve(Box<curve::Observation>),
    Capacity(Box<capacity::Observation>),
    Counters(Box<counters::Observation>),
    Rest(Box<rest::Observation>),
    Tune(Box<tune::Observation>),
    Described(Box<described::Observation>),
}

impl Observation {
    /// Every load of the run, with the words that the report has for it.
    pub(crate) fn loads(&self) -> Vec<(&'static str, &Watched)> {
        match self {
            Self::Steady(steady) => vec![("closed loop", &steady.closed), ("equal load", &steady.paced)],
            Self::Step(step) | Self::Burst(step) => vec![("step", &step.step)],
            Self::Hello(small) | Self::Flask(small) => {
                vec![("many connections", &small.many), ("one connection", &small.one)]
            }
            Self::Bodies(bodies) => vec![
                ("small uploads", &bodies.small_up),
                ("large uploads", &bodies.large_up),
                ("small downloads", &bodies.small_down),
                ("large downloads", &bodies.large_down),
            ],
            Self::File(file) => vec![("file", &file.load)],
            Self::Syscalls(calls) => vec![("counted", &calls.counted), ("traced", &calls.traced)],
            Self::Isolation(isolation) => vec![
                ("undisturbed", &isolation.alone),
                ("beside a call that blocks", &isolation.blocked),
                ("beside a call that computes", &isolation.spinning),
                ("new connections beside a call that computes", &isolation.accepting),
            ],
            Self::Threads(threads) => vec![("computing", &threads.computing), ("blocking", &threads.blocking)],
            Self::Idle(idle) => {
                vec![("alone", &idle.alone), ("among idle connections", &idle.among), ("alone again", &idle.after)]
            }
            Self::Compute(compute) => vec![("computing", &compute.load)],
            Self::Search(mixed) | Self::Mixed(mixed) => {
                vec![("calls that compute", &mixed.short), ("calls that block", &mixed.blocking)]
            }
            // Past the knee only the generator's own limits speak against a point.
            Self::Curve(curve) => {
                let limited = curve.points.iter().filter(|point| point.is_limited());
                let points = limited.map(|point| ("a point of the curve", &point.load));
                std::iter::once(("closed loop", &curve.saturation)).chain(points).collect()
            }
            Self::Tune(tune) => vec![("closed loop", &tune.closed), ("step", &tune.step)],
            // The search judges its own trials.
            Self::Capacity(_) => Vec::new(),
            // Counted and not timed: a request that was sent late is as much of one as any.
            Self::Counters(_) => Vec::new(),
            Self::Described(described) => {
                let closed = described.closed.iter().map(|load| ("closed loop", load));
                closed.chain(described.open.iter().map(|load| ("open loop", load))).collect()
            }
            // No load: the server's own doings.
            Self::Spawn(_) | Self::Memory(_) | Self::Rest(_) => Vec::new(),
        }
    }
}

/// A server to put under load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    /// `http://127.0.0.1:PORT`, no slash at the end.
    pub(crate) base: &'a str,
    /// Pid of the tree's root.
    pub(crate) root: i32,
    /// How the command line of its processes that serve begins; `None` where they are all but a known number.
    pub(crate) serving: Option<&'a str>,
    /// CPUs of the generator's threads; empty: not pinned.
    pub(crate) generator: &'a [usize],
    /// The server's CPUs; empty: not pinned.
    pub(crate) server: &'a [usize],
    /// The command that asks the server for its workers; empty where it has none.
    pub(crate) account: &'a [String],
    /// How it is told to reload; `None` where it cannot.
    pub(crate) reload: Option<&'a described::failure::Reload>,
    pub(crate) ticks_per_second: f64,
    /// Longest wait for an answer, in seconds.
    pub(crate) timeout_s: f64,
    /// A folder for files that a tool leaves, this run's own.
    pub(crate) scratch: &'a Path,
}

/// Load, and the tree while it lasted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Watched {
    pub(crate) load: Report,
    pub(crate) watch: Watch,
}

impl Subject<'_> {
    fn plan(&self, path: &str, load: loadgen::Load) -> Result<Plan, String> {
        let target: Target =
            format!("{}{path}", self.base).parse().map_err(|error: loadgen::TargetError| error.to_string())?;
        let mut plan = Plan::new(target, load);
        plan.timeout = Duration::from_secs_f64(self.timeout_s);
        if !self.generator.is_empty() {
            plan.threads = self.generator.len();
            plan.cpus = Some(self.generator.to_vec());
        }
        Ok(plan)
    }

    /// A closed loop of `seconds` after `warmup_s` over so many connections.
    fn closed(&self, path: &str, connections: usize, warmup_s: f64, seconds: f64) -> Result<Plan, String> {
        let mut plan = self.plan(path, loadgen::Load::closed_for(Duration::from_secs_f64(seconds)))?;
        plan.connections = connections;
        plan.warmup = Duration::from_secs_f64(warmup_s);
        Ok(plan)
    }

    /// An open loop at one rate for `seconds` after `warmup_s`.
    fn paced(&self, path: &str, rate: f64, warmup_s: f64, seconds: f64) -> Result<Plan, String> {
        let mut plan = self.plan(path, loadgen::Load::constant(vec![Pace { seconds, rate }.into()]))?;
        plan.warmup = Duration::from_secs_f64(warmup_s);
        Ok(plan)
    }

    /// The same with Poisson arrivals, as from many users who know nothing of one another; `seed` gives every server the
    /// same ones.
    fn poisson(&self, path: &str, rate: f64, warmup_s: f64, seconds: f64, seed: u64) -> Result<Plan, String> {
        let stages = vec![Pace { seconds, rate }.into()];
        let mut plan = self.plan(path, loadgen::Load::Open { stages, arrivals: Arrivals::Poisson, seed })?;
        plan.warmup = Duration::from_secs_f64(warmup_s);
        Ok(plan)
    }

    /// Carries out `plan` with the tree watched, except during its warm-up.
    fn watched(&self, plan: &Plan) -> Result<Watched, String> {
        let sampler = Sampler::start(self.root, self.serving, self.ticks_per_second, plan.warmup);
        // Ctrl-C ends the whole harness from its signal thread: nothing here has to stop early.
        let load = loadgen::run(plan, &mut |_| {}, &AtomicBool::new(false)).map_err(|error| error.to_string())?;
        Ok(Watched { load, watch: sampler.finish() })
    }
}

/// A time with one rate, as the results store it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Pace {
    pub(crate) seconds: f64,
    /// Requests per second.
    pub(crate) rate: f64,
}

impl From<Pace> for Stage {
    fn from(pace: Pace) -> Self {
        Self::steady(Duration::from_secs_f64(pace.seconds), pace.rate)
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
        assert_eq!(chosen(&[]).unwrap(), [Scenario::Steady, Scenario::Step, Scenario::Counters]);
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
