//! Computing calls: how many processes a server has for them, and how many threads.
//!
//! The server may use every CPU of the machine here, and so may the generator, which has little to do: the scheduler
//! finds it the one that is free. It says itself whether it was held up all the same.

use std::collections::BTreeMap;
use std::thread;

use loadgen::{Arrivals, Load};
use serde::{Deserialize, Serialize};

use super::{Pace, Subject, Watched};
use crate::machine;
use crate::observe::tree;

/// Seed of the arrivals in which the server finds its size …
pub(crate) const SETTLING: u64 = 1;
/// … and of those of the measurement.
const MEASURED: u64 = 2;

/// How long and how hard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// A handler that uses `call_ms` of CPU, however long it takes to get them.
    pub(crate) path: String,
    pub(crate) call_ms: f64,
    /// Server starts per contender.
    pub(crate) replicates: u32,
    /// The part of all the CPUs that the calls need.
    pub(crate) utilisation: f64,
    /// The same load before the measurement, in which the server finds its size.
    pub(crate) settle_s: f64,
    pub(crate) measured_s: f64,
}

impl Settings {
    pub(crate) fn of(quick: bool) -> Self {
        let (replicates, settle_s, measured_s) = if quick { (1, 0.6, 1.2) } else { (3, 2.5, 4.0) };
        Self { path: "/burn/5".into(), call_ms: 5.0, replicates, utilisation: 0.7, settle_s, measured_s }
    }

    /// Seconds of load in one run.
    pub(crate) fn seconds(&self) -> f64 {
        self.settle_s + self.measured_s
    }

    /// Requests per second that need this part of `cpus`.
    fn rate(&self, cpus: usize) -> f64 {
        self.utilisation * cpus as f64 * 1000.0 / self.call_ms
    }
}

/// What one run observed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Observation {
    /// CPUs that the server could use.
    pub(crate) cpus: usize,
    /// Threads of the process that has most of them, before any load.
    pub(crate) at_rest: u32,
    pub(crate) load: Watched,
    /// CPU seconds that each living process used during the measurement, the busiest first.
    pub(crate) shares: Vec<f64>,
}

/// Carries it out: arrivals as from many users, the same ones for every server.
///
/// # Errors
/// The load generator's reason, in a sentence.
pub(crate) fn run(subject: Subject<'_>, settings: &Settings) -> Result<Observation, String> {
    // A thread of its own, which everything below inherits its CPUs from.
    let everywhere = || {
        if !subject.server.is_empty() {
            machine::confine(subject.server).map_err(|error| format!("the generator's CPUs: {error}"))?;
        }
        load(Subject { generator: &[], ..subject }, settings)
    };
    thread::scope(|scope| scope.spawn(everywhere).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
}

fn load(subject: Subject<'_>, settings: &Settings) -> Result<Observation, String> {
    let at_rest = tree::most_threads(&tree::members(subject.root));
    let cpus = subject.server.len().max(1);
    let rate = settings.rate(cpus);
    let plan = |seconds, seed| {
        let stages = vec![Pace { seconds, rate }.into()];
        subject.plan(&settings.path, Load::Open { stages, arrivals: Arrivals::Poisson, seed })
    };
    subject.watched(&plan(settings.settle_s, SETTLING)?)?;
    let before = ticks(subject.root);
    let load = subject.watched(&plan(settings.measured_s, MEASURED)?)?;
    let shares = shares(&before, &ticks(subject.root), subject.ticks_per_second);
    Ok(Observation { cpus, at_rest, load, shares })
}

/// Clock ticks that each process of the tree has used itself; by pid and start time, which name it for good.
fn ticks(root: i32) -> BTreeMap<(i32, u64), u64> {
    tree::members(root).iter().map(|stat| ((stat.pid, stat.started), stat.own_ticks)).collect()
}

fn shares(before: &BTreeMap<(i32, u64), u64>, after: &BTreeMap<(i32, u64), u64>, ticks_per_second: f64) -> Vec<f64> {
    let mut shares: Vec<f64> = after
        .iter()
        .map(|(process, ticks)| ticks.saturating_sub(before.get(process).copied().unwrap_or(0)) as f64)
        .map(|ticks| ticks / ticks_per_second)
        .collect();
    shares.sort_by(|a, b| b.total_cmp(a));
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_what_was_used_meanwhile() {
        let before = BTreeMap::from([((1, 10), 50), ((2, 10), 7), ((4, 10), 99)]);
        // The third is new, the fourth has left.
        let after = BTreeMap::from([((1, 10), 60), ((2, 10), 207), ((3, 20), 30)]);
        assert_eq!(shares(&before, &after, 100.0), [2.0, 0.3, 0.1]);
    }

    #[test]
    fn the_rate_follows_the_cpus() {
        let settings = Settings::of(false);
        assert_eq!(settings.rate(2), 280.0);
        assert_eq!(settings.rate(8), 1120.0);
    }
}
