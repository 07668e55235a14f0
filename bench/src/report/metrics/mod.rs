//! The figures: what each is, where it comes from, and how it is computed from one run.

mod comparison;
mod cost;
mod described;
mod evidence;
pub(crate) mod offered_load;
mod process_manager;
mod request_path;
pub(crate) mod stages;
mod tune;

pub(crate) use self::evidence::linux_only;
pub(crate) use self::stages::burst_latency;
use loadgen::Distribution;
use serde::{Deserialize, Serialize};

use crate::observe::sampler::{Sample, Watch};
use crate::scenario::described::{self as files, Description};
use crate::scenario::{
    Lengths, Observation, Scenario, Watched, calls, capacity, compute, counters, curve, idle, memory, mixed, rest,
    spawn, step, threads,
};

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
    /// What the file of the scenario says, where it has one.
    pub(crate) description: Option<&'a Description>,
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
    of: Of,
}

/// How a figure is computed, by what it needs to see.
#[derive(Clone, Copy)]
enum Of {
    /// The load of its part and the tree meanwhile.
    Load(fn(&Terms<'_>, &Watched) -> Result<Reading, String>),
    Calls(fn(&calls::Observation) -> Result<Reading, String>),
    Threads(fn(&threads::Observation) -> Result<Reading, String>),
    Idle(fn(&idle::Observation) -> Result<Reading, String>),
    /// The settings of the burst, the number of managers, the load and the tree meanwhile.
    Burst(fn(&step::Settings, u32, &Watched) -> Result<Reading, String>),
    Compute(fn(&compute::Observation) -> Result<Reading, String>),
    /// Both loads.
    Mixed(fn(&mixed::Observation) -> Result<Reading, String>),
    Spawn(fn(&spawn::Observation) -> Result<Reading, String>),
    Memory(fn(&memory::Observation) -> Result<Reading, String>),
    Curve(fn(&curve::Observation) -> Result<Reading, String>),
    Capacity(fn(&capacity::Observation) -> Result<Reading, String>),
    Counters(fn(&counters::Observation) -> Result<Reading, String>),
    Rest(fn(&rest::Observation) -> Result<Reading, String>),
    Described(described::OfRun),
}

/// A described run as its figures see it.
struct Described<'a> {
    description: &'a Description,
    managers: u32,
    observation: &'a files::Observation,
}

/// Every figure, in the order of the tables.
pub(crate) fn all() -> impl Iterator<Item = &'static Metric> {
    let own = comparison::METRICS.iter().chain(request_path::METRICS).chain(process_manager::METRICS);
    let own = own.chain(offered_load::METRICS).chain(cost::METRICS).chain(evidence::METRICS).chain(tune::METRICS);
    own.chain(described::METRICS)
}

/// The part of a run that a figure is about, and whose load decides whether it is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The closed loop of steady load.
    Closed,
    /// The open loop of steady load, equal for all.
    Paced,
    Step,
    HelloMany,
    HelloOne,
    FlaskMany,
    FlaskOne,
    SmallUp,
    LargeUp,
    SmallDown,
    LargeDown,
    File,
    Counted,
    Traced,
    Undisturbed,
    Blocked,
    Spinning,
    Accepting,
    Computing,
    Blocking,
    BusyAlone,
    BusyAmong,
    Burst,
    /// Computing calls on CPUs that the server shares with the generator.
    Shared,
    Search,
    Mixed,
    Spawn,
    Memory,
    Curve,
    Capacity,
    /// The equal load while perf counted.
    PacedCounted,
    /// The step while perf counted.
    StepCounted,
    /// Saturation while perf counted.
    SaturatedCounted,
    /// The load during which strace told names.
    TracedNames,
    Rest,
    /// The closed loop and the step by which settings are compared.
    TunedClosed,
    TunedStep,
    /// The loads of scenarios that files describe.
    AnyClosed,
    AnyOpen,
    /// The other clients beside them.
    AnyBeside,
    /// The open loop after something has failed.
    AnyFailure,
}

impl Part {
    /// Whether it belongs to this scenario; the scenarios of files have their parts in common.
    pub(crate) fn is_of(self, scenario: Scenario) -> bool {
        self.scenario().map_or(scenario.is_described(), |own| own == scenario)
    }

    /// The one scenario that it belongs to.
    pub(crate) fn scenario(self) -> Option<Scenario> {
        Some(match self {
            Self::Closed | Self::Paced => Scenario::Steady,
            Self::Step => Scenario::Step,
            Self::HelloMany | Self::HelloOne => Scenario::Hello,
            Self::FlaskMany | Self::FlaskOne => Scenario::Flask,
            Self::SmallUp | Self::LargeUp | Self::SmallDown | Self::LargeDown => Scenario::Bodies,
            Self::File => Scenario::File,
            Self::Counted | Self::Traced => Scenario::Syscalls,
            Self::Undisturbed | Self::Blocked | Self::Spinning | Self::Accepting => Scenario::Isolation,
            Self::Computing | Self::Blocking => Scenario::Threads,
            Self::BusyAlone | Self::BusyAmong => Scenario::Idle,
            Self::Burst => Scenario::Burst,
            Self::Shared => Scenario::Compute,
            Self::Search => Scenario::Search,
            Self::Mixed => Scenario::Mixed,
            Self::Spawn => Scenario::Spawn,
            Self::Memory => Scenario::Memory,
            Self::Curve => Scenario::Curve,
            Self::Capacity => Scenario::Capacity,
            Self::PacedCounted | Self::StepCounted | Self::SaturatedCounted | Self::TracedNames => Scenario::Counters,
            Self::Rest => Scenario::Rest,
            Self::TunedClosed | Self::TunedStep => Scenario::Tune,
            Self::AnyClosed | Self::AnyOpen | Self::AnyBeside | Self::AnyFailure => return None,
        })
    }

    /// It, when the observation is of its scenario and the part is one load.
    fn of(self, observation: &Observation) -> Option<&Watched> {
        match (self, observation) {
            (Self::Closed, Observation::Steady(steady)) => Some(&steady.closed),
            (Self::Paced, Observation::Steady(steady)) => Some(&steady.paced),
            (Self::Step, Observation::Step(step)) => Some(&step.step),
            (Self::HelloMany, Observation::Hello(small)) | (Self::FlaskMany, Observation::Flask(small)) => {
                Some(&small.many)
            }
            (Self::HelloOne, Observation::Hello(small)) | (Self::FlaskOne, Observation::Flask(small)) => {
                Some(&small.one)
            }
            (Self::SmallUp, Observation::Bodies(bodies)) => Some(&bodies.small_up),
            (Self::LargeUp, Observation::Bodies(bodies)) => Some(&bodies.large_up),
            (Self::SmallDown, Observation::Bodies(bodies)) => Some(&bodies.small_down),
            (Self::LargeDown, Observation::Bodies(bodies)) => Some(&bodies.large_down),
            (Self::File, Observation::File(file)) => Some(&file.load),
            (Self::Counted, Observation::Syscalls(calls)) => Some(&calls.counted),
            (Self::Traced, Observation::Syscalls(calls)) => Some(&calls.traced),
            (Self::Undisturbed, Observation::Isolation(isolation)) => Some(&isolation.alone),
            (Self::Blocked, Observation::Isolation(isolation)) => Some(&isolation.blocked),
            (Self::Spinning, Observation::Isolation(isolation)) => Some(&isolation.spinning),
            (Self::Accepting, Observation::Isolation(isolation)) => Some(&isolation.accepting),
            (Self::Computing, Observation::Threads(threads)) => Some(&threads.computing),
            (Self::Blocking, Observation::Threads(threads)) => Some(&threads.blocking),
            (Self::BusyAlone, Observation::Idle(idle)) => Some(&idle.alone),
            (Self::BusyAmong, Observation::Idle(idle)) => Some(&idle.among),
            (Self::Burst, Observation::Burst(step)) => Some(&step.step),
            (Self::Shared, Observation::Compute(compute)) => Some(&compute.load),
            (Self::TunedClosed, Observation::Tune(tune)) => Some(&tune.closed),
            (Self::TunedStep, Observation::Tune(tune)) => Some(&tune.step),
            (Self::AnyClosed, Observation::Described(described)) => described.closed.as_ref(),
            (Self::AnyOpen | Self::AnyBeside | Self::AnyFailure, Observation::Described(described)) => {
                described.open.as_ref()
            }
            _ => None,
        }
    }
}

impl Metric {
    /// Whether a scenario of this description has the part; one that is code has all of its own.
    pub(crate) fn is_asked(&self, description: Option<&Description>) -> bool {
        description.is_none_or(|description| match self.part {
            Part::AnyClosed => description.closed.is_some(),
            Part::AnyOpen => described::is_in_reach(self.id, description),
            Part::AnyBeside => described::is_beside(self.id, description),
            Part::AnyFailure => description.failure.is_some(),
            _ => true,
        })
    }

    /// The figure of one run of its scenario, or why there is none.
    pub(crate) fn read(&self, terms: &Terms<'_>, observation: &Observation) -> Result<Reading, String> {
        match (self.of, observation) {
            (Of::Load(of), _) => match self.part.of(observation) {
                Some(watched) => of(terms, watched),
                None => Err("the run is of another scenario".into()),
            },
            (Of::Calls(of), Observation::Syscalls(calls)) => of(calls),
            (Of::Threads(of), Observation::Threads(threads)) => of(threads),
            (Of::Idle(_), Observation::Idle(idle)) if idle.left < idle.made => {
                Err(format!("the server closed {} of {} idle connections", idle.made - idle.left, idle.made))
            }
            (Of::Idle(of), Observation::Idle(idle)) => of(idle),
            (Of::Burst(of), Observation::Burst(step)) => {
                of(process_manager::settings(terms), terms.managers, &step.step)
            }
            (Of::Compute(of), Observation::Compute(compute)) => of(compute),
            (Of::Mixed(of), Observation::Search(mixed) | Observation::Mixed(mixed)) => of(mixed),
            (Of::Spawn(of), Observation::Spawn(spawn)) => of(spawn),
            (Of::Memory(of), Observation::Memory(memory)) => of(memory),
            (Of::Curve(of), Observation::Curve(curve)) => of(curve),
            (Of::Capacity(of), Observation::Capacity(capacity)) => of(capacity),
            (Of::Counters(of), Observation::Counters(counters)) => of(counters),
            (Of::Rest(of), Observation::Rest(rest)) => of(rest),
            (Of::Described(of), Observation::Described(observation)) => {
                let description = terms.description.ok_or("the session has no description of the scenario")?;
                of.read(&Described { description, managers: terms.managers, observation })
            }
            (
                Of::Calls(_)
                | Of::Threads(_)
                | Of::Idle(_)
                | Of::Burst(_)
                | Of::Compute(_)
                | Of::Mixed(_)
                | Of::Spawn(_)
                | Of::Memory(_)
                | Of::Curve(_)
                | Of::Capacity(_)
                | Of::Counters(_)
                | Of::Rest(_)
                | Of::Described(_),
                _,
            ) => Err("the run is of another scenario".into()),
        }
    }

    /// Whether the load generator vouches for what the figure was read from.
    pub(crate) fn is_valid(&self, observation: &Observation) -> bool {
        match (self.of, observation) {
            (Of::Mixed(_), _) => observation.loads().iter().all(|(_, watched)| watched.load.is_valid()),
            _ => self.part.of(observation).is_none_or(|watched| watched.load.is_valid()),
        }
    }
}

fn per_answer(watched: &Watched, amount: f64) -> Result<Reading, String> {
    match watched.load.answered {
        0 => Err("no request was answered".into()),
        answered => Ok(Reading::Value(amount / answered as f64)),
    }
}

fn quantile_ms(latency: &Distribution, quantile: f64) -> Result<Reading, String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_sources_given() {
        let mut ids: Vec<&str> = all().map(|metric| metric.id).collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count);
        assert!(all().all(|metric| !metric.source.is_empty()));
    }
}
