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
mod kind;
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

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use loadgen::{Arrivals, Plan, Report, Stage, Target};
use serde::{Deserialize, Serialize};

use crate::observe::sampler::{Sampler, Watch};
pub(crate) use kind::{Application, Group, Scenario};
pub(crate) use lengths::Lengths;

impl Scenario {
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
                let points = curve.limited().map(|point| ("a point of the curve", &point.load));
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
