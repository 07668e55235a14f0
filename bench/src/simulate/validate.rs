//! The model against reality: a session of `bench run step`, simulated with the same schedule and the same settings.
//!
//! What the model is told of the run is what it cannot know: the schedule, the CPUs, how long the handler is blocked (its
//! path says so) and what an answer cost in CPU time (all of the tree's but that of forks, so the supervisor's share is in
//! it).
//!
//! Nor can it know how the server's clock stood when the load began, and for a policy that acts once a second that
//! decides much. So each run is simulated with every sixteenth of a second, and the one counts whose processes over time
//! are nearest to the run's. Latencies take no part in that choice.

use serde::Serialize;

use super::arrivals::{Load, Profile, Spacing};
use super::calls::{CallKind, Spread};
use super::model::{self, Clients, Faults, Machine, Terms};
use super::outcome::Outcome;
use super::policies::{self, Allowed, Row};
use super::time::{Nanos, SECOND, nanos};
use crate::failure::Failure;
use crate::report::{self, aligned, number};
use crate::results::schema::{Entrant, Outcome as Measured, Run, Session};
use crate::results::store::Store;
use crate::scenario::{Observation, Pace, Watched};
use crate::stats;

/// Simulations of each run, by how far the server's clock is between two seconds when the load begins.
const PHASES: u64 = 16;
/// Simulations with each phase: monitors and clients have their moments, too.
const SEEDS: u64 = 3;
/// CPU time of a fork with a Flask application's pages, and of the new process until it serves.
const FORK_MS: f64 = 6.0;
/// What comes before a policy's name in a contender's name.
const OURS: &str = "smarthttpd-";

/// One figure of one run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Comparison {
    pub(crate) run: String,
    pub(crate) figure: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) real: f64,
    /// With the clock's phase that fits the run's processes; and the least and the most of all phases.
    pub(crate) simulated: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
    /// Simulated to real.
    pub(crate) ratio: f64,
}

/// Simulates every run of the step in `store` whose policy is known.
///
/// # Errors
/// Damaged results, or none to compare with.
pub(crate) fn compare(store: &Store, seed: u64) -> Result<Vec<Comparison>, Failure> {
    let (session, runs) = store.read()?;
    let damaged = |reason: String| Failure::Results { path: store.folder().to_owned(), reason };
    let mut comparisons = Vec::new();
    for run in &runs {
        let (Some(row), Some(entrant)) = (row(run), entrant(&session, run)) else { continue };
        let Measured::Measured { observation, .. } = &run.outcome else { continue };
        let Observation::Step(step) = observation else { continue };
        let real = |id| report::figure(id, &session.lengths, entrant.managers, observation);
        let allowed = allowed(&session, entrant).map_err(|reason| damaged(format!("{}: {reason}", run.id.label())))?;
        let measured = processes(&step.step, entrant.managers);
        let phases: Vec<Vec<Outcome>> = (0..PHASES)
            .map(|part| {
                let chances = (0..SEEDS).map(|number| (part * SECOND / PHASES, seed.wrapping_add(number)));
                chances.map(|chance| simulate(&session, &step.step, &measured, row, &allowed, chance)).collect()
            })
            .collect::<Result<_, String>>()
            .map_err(|reason| damaged(format!("{}: {reason}", run.id.label())))?;
        let far = |outcomes: &[Outcome]| outcomes.iter().map(|one| distance(&measured, one)).sum::<f64>();
        let Some(nearest) = phases.iter().min_by(|one, other| far(one).total_cmp(&far(other))) else { continue };
        let figures: [Figure; 3] = [
            ("burst_p99", "p99 during the burst", "ms", |outcome| outcome.burst_p99_ms),
            ("worker_seconds", "worker-seconds", "s", |outcome| Some(outcome.worker_seconds)),
            ("peak_processes", "most workers", "", |outcome| Some(f64::from(outcome.peak_workers))),
        ];
        for (id, figure, unit, of) in figures {
            let real = match id {
                "peak_processes" => Ok(measured.iter().map(|sample| sample.1).fold(0.0, f64::max)),
                _ => real(id),
            }
            .map_err(&damaged)?;
            let values: Vec<f64> = phases.iter().flatten().filter_map(of).collect();
            let Some(simulated) = stats::median(&nearest.iter().filter_map(of).collect::<Vec<f64>>()) else { continue };
            comparisons.push(Comparison {
                run: run.id.label(),
                figure,
                unit,
                real,
                simulated,
                least: values.iter().copied().fold(f64::INFINITY, f64::min),
                most: values.iter().copied().fold(0.0, f64::max),
                ratio: simulated / real,
            });
        }
    }
    if comparisons.is_empty() {
        return Err(damaged(format!("no run of the step by one of {}", known())));
    }
    Ok(comparisons)
}

/// A figure's id in the report, its words, its unit, and where the simulation has it.
type Figure = (&'static str, &'static str, &'static str, fn(&Outcome) -> Option<f64>);

fn known() -> String {
    let names: Vec<String> = policies::ROWS.iter().map(|row| format!("{OURS}{}", row.name)).collect();
    names.join(", ")
}

/// The policy that the run's contender has.
fn row(run: &Run) -> Option<&'static Row> {
    let policy = run.id.contender.strip_prefix(OURS)?;
    policies::ROWS.iter().find(|row| row.name == policy)
}

fn entrant<'a>(session: &'a Session, run: &Run) -> Option<&'a Entrant> {
    session.contenders.iter().find(|entrant| entrant.name == run.id.contender)
}

/// The run's processes that serve, over the seconds of its load.
fn processes(watched: &Watched, managers: u32) -> Vec<(f64, f64)> {
    let samples = watched.watch.samples.iter();
    samples.map(|sample| (sample.at, f64::from(sample.processes.saturating_sub(managers)))).collect()
}

/// How far simulated processes are from those that were measured, in processes × samples.
fn distance(measured: &[(f64, f64)], outcome: &Outcome) -> f64 {
    let at = |time: f64| {
        let later = outcome.workers.partition_point(|point| point.0 <= time);
        later.checked_sub(1).map_or(0.0, |place| f64::from(outcome.workers[place].1))
    };
    measured.iter().map(|&(time, count)| (at(time) - count).abs()).sum()
}

/// The bounds on the contender's command line, and its CPUs.
fn allowed(session: &Session, entrant: &Entrant) -> Result<Allowed, String> {
    let value = |option: &str| {
        let mut words = entrant.command.iter().skip_while(|word| *word != option);
        let given = words.nth(1);
        given.map(|word| word.parse::<u32>().map_err(|_| format!("{option} {word} is no number"))).transpose()
    };
    let most_requests = value("--max-request-workers")?;
    Ok(Allowed {
        cores: session.pinning.server_cpus() as f64,
        max_workers: value("--max-workers")?.or(most_requests),
        max_threads: value("--max-threads")?,
    })
}

/// One simulation of what was measured.
fn simulate(
    session: &Session,
    watched: &Watched,
    processes: &[(f64, f64)],
    row: &Row,
    allowed: &Allowed,
    (phase, seed): (Nanos, u64),
) -> Result<Outcome, String> {
    let setup = &watched.load.setup;
    let loadgen::Load::Open { stages, arrivals, .. } = &setup.load else {
        return Err("its load is no schedule".into());
    };
    if stages.iter().any(|stage| stage.to.is_some()) {
        return Err("it has a ramp, which the simulation does not know".into());
    }
    let stages = stages.iter().map(|stage| Pace { seconds: stage.duration.as_secs_f64(), rate: stage.rate }).collect();
    let spacing = match arrivals {
        loadgen::Arrivals::Constant => Spacing::Even,
        loadgen::Arrivals::Poisson => Spacing::Poisson,
    };
    if watched.load.answered == 0 {
        return Err("nothing was answered".into());
    }
    let forks: f64 = processes.windows(2).map(|pair| (pair[1].1 - pair[0].1).max(0.0)).sum();
    let cpu_ms = (watched.watch.cpu_seconds * 1e3 - forks * FORK_MS).max(0.0) / watched.load.answered as f64;
    let calls = [CallKind { share: 1.0, cpu_ms, blocked_ms: blocked_ms(&setup.target), spread: Spread::Fixed }];
    let profile = Profile::new(&Load::Steps { stages }, seed);
    let terms = Terms {
        profile: &profile,
        spacing,
        calls: &calls,
        machine: Machine { cores: allowed.cores, fork: nanos(FORK_MS / 1e3), import: 0 },
        faults: Faults::default(),
        clients: Clients { connect: nanos(setup.connect_timeout_s), answer: nanos(setup.timeout_s) },
        objective: nanos(session.lengths.step.objective_ms / 1e3),
        phase: Some(phase),
        seed,
    };
    Ok(Outcome::new("step", row.name, seed, f64::NAN, model::run(terms, row.contender(allowed))))
}

/// How long the handler is blocked: `/sleep50` says 50 ms.
fn blocked_ms(target: &str) -> f64 {
    target.rsplit_once("/sleep").and_then(|(_, ms)| ms.parse().ok()).unwrap_or(0.0)
}

/// The comparison for a terminal.
pub(crate) fn table(comparisons: &[Comparison]) -> String {
    let mut rows = vec![["run, figure", "real", "simulated", "least", "most", "ratio"].map(String::from).to_vec()];
    rows.extend(comparisons.iter().map(|one| {
        let unit = if one.unit.is_empty() { String::new() } else { format!(", {}", one.unit) };
        vec![
            format!("{} {}{unit}", one.run, one.figure),
            number(one.real),
            number(one.simulated),
            number(one.least),
            number(one.most),
            number(one.ratio),
        ]
    }));
    format!(
        "{}simulated: with the clock's phase whose processes fit the run's (median of {SEEDS}), and the least and most of {PHASES} phases; \
         ratio: simulated to real",
        aligned(&rows)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_says_how_long_a_handler_is_blocked() {
        for (target, ms) in
            [("http://127.0.0.1:80/sleep50", 50.0), ("http://127.0.0.1:80/sleep7", 7.0), ("http://x/", 0.0)]
        {
            assert_eq!(blocked_ms(target), ms, "{target}");
        }
    }

    /// The committed session: what the model is worth is known.
    #[test]
    fn a_measured_session_is_met_within_its_bounds() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../results/2026-11-22-amd-epyc-2-cores");
        let comparisons = compare(&Store::open(folder.as_ref()).unwrap(), 1).unwrap();
        assert_eq!(comparisons.len(), 6, "{comparisons:#?}");
        for one in &comparisons {
            assert!((one.ratio - 1.0).abs() <= 0.15, "{one:#?}");
        }
    }
}
