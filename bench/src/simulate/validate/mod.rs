//! The model against reality: the runs of a session, simulated with the same requests and the same settings.
//!
//! Every run that the model can stand for: `step`, `burst`, `compute`, `search` and `mixed`, by a contender whose policy and
//! options it knows. What it is told of a run is in `told`.
//!
//! It is not told how the server's clock stood when the load began, and for a policy that acts once a second that decides
//! much. So each run is simulated with every sixteenth of a second, and the one counts whose processes over time are nearest
//! to the run's. Latencies take no part in that choice.
//!
//! A contender's figure in a scenario is the median of its starts, on both sides.

mod told;

use loadgen::Distribution;
use serde::Serialize;

use self::told::Told;
use super::arrivals::{Profile, Spacing};
use super::model::{self, Faults, Terms};
use super::outcome::Outcome;
use super::time::{Nanos, SECOND, nanos};
use crate::failure::Failure;
use crate::observe::sampler::integral;
use crate::report::{self, aligned, number};
use crate::results::schema::{Outcome as Measured, Run, Session};
use crate::results::store::Store;
use crate::scenario::{Observation, Scenario};
use crate::stats;

/// Simulations of each run, by how far the server's clock is between two seconds when the load begins.
const PHASES: u64 = 16;
/// Simulations with each phase: monitors and clients have their moments, too.
const SEEDS: u64 = 3;
/// How far simulated figures may be from real ones, as a share of these.
const BOUND: f64 = 0.15;

/// One figure of one contender in one scenario.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Comparison {
    pub(crate) scenario: &'static str,
    pub(crate) contender: String,
    pub(crate) policy: &'static str,
    pub(crate) figure: &'static str,
    pub(crate) unit: &'static str,
    /// Starts of the server that were compared.
    pub(crate) runs: usize,
    /// Medians of the runs.
    pub(crate) real: f64,
    /// With the clock's phase that fits the run's processes; and the least and the most of all phases.
    pub(crate) simulated: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
    /// Simulated to real.
    pub(crate) ratio: f64,
    pub(crate) verdict: Verdict,
}

/// What the ratio says of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Within,
    Outside,
    /// Too few answers to state the real figure.
    TooFew,
    /// Shown for orientation: small whole numbers, of which no share says much.
    Unjudged,
}

impl Verdict {
    fn words(self) -> &'static str {
        match self {
            Self::Within => "within 15 %",
            Self::Outside => "OUTSIDE",
            Self::TooFew => "too few answers",
            Self::Unjudged => "",
        }
    }
}

/// All that came of a folder.
#[derive(Debug, Serialize)]
pub(crate) struct Validation {
    pub(crate) comparisons: Vec<Comparison>,
    /// Contenders and scenarios that the model does not stand for, and why.
    pub(crate) without_model: Vec<String>,
}

impl Validation {
    /// Fails when a judged figure is outside of the bound.
    ///
    /// # Errors
    /// Which ones.
    pub(crate) fn judge(&self) -> Result<(), Failure> {
        let outside = self.comparisons.iter().filter(|one| one.verdict == Verdict::Outside);
        let named: Vec<String> =
            outside.map(|one| format!("{} {} {}", one.scenario, one.contender, one.figure)).collect();
        if named.is_empty() { Ok(()) } else { Err(Failure::Model(named.join(", "))) }
    }
}

/// A figure of one run: real, simulated with the fitting phase, and the least and most of all phases.
struct Reading {
    real: f64,
    simulated: f64,
    least: f64,
    most: f64,
    supported: bool,
}

/// Simulates every run in `store` that the model can stand for.
///
/// # Errors
/// Damaged results, or none to compare with.
pub(crate) fn compare(store: &Store, seed: u64) -> Result<Validation, Failure> {
    let (session, runs) = store.read()?;
    let damaged = |reason: String| Failure::Results { path: store.folder().to_owned(), reason };
    let mut all = Validation { comparisons: Vec::new(), without_model: Vec::new() };
    for scenario in Scenario::ALL {
        for entrant in &session.contenders {
            let is_one = |run: &&Run| run.id.scenario == scenario && run.id.contender == entrant.name;
            let mut figures: Vec<(Figure, Vec<Reading>)> = FIGURES.map(|figure| (figure, Vec::new())).into();
            let mut policy = "";
            for run in runs.iter().filter(is_one) {
                let told = match Told::of(&session, &runs, entrant, run) {
                    None => continue,
                    Some(Ok(told)) => told,
                    Some(Err(reason)) => {
                        all.without_model.push(format!("{}: {reason}", run.id.label()));
                        continue;
                    }
                };
                policy = told.row.name;
                let simulated = Simulated::of(&told, seed);
                for (figure, readings) in &mut figures {
                    let reading = simulated.reading(figure, &session, run, &told);
                    readings.extend(reading.map_err(|reason| damaged(format!("{}: {reason}", run.id.label())))?);
                }
            }
            let pairs = figures
                .into_iter()
                .filter_map(|(figure, readings)| summed_up(scenario.name(), &entrant.name, policy, &figure, &readings));
            all.comparisons.extend(pairs);
        }
    }
    if all.comparisons.is_empty() {
        return Err(damaged("no run of step, burst, compute, search or mixed that the model can stand for".into()));
    }
    Ok(all)
}

/// One figure: its words and unit, whether it is judged, and where a simulation has it.
#[derive(Clone, Copy)]
struct Figure {
    kind: FigureKind,
    words: &'static str,
    unit: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FigureKind {
    P99,
    WorkerSeconds,
    MostWorkers,
}

const FIGURES: [Figure; 3] = [
    Figure { kind: FigureKind::P99, words: "p99", unit: "ms" },
    Figure { kind: FigureKind::WorkerSeconds, words: "worker-seconds", unit: "s" },
    Figure { kind: FigureKind::MostWorkers, words: "most workers", unit: "" },
];

/// The medians over runs, and the verdict.
fn summed_up(
    scenario: &'static str,
    contender: &str,
    policy: &'static str,
    figure: &Figure,
    readings: &[Reading],
) -> Option<Comparison> {
    let median = |of: fn(&Reading) -> f64| stats::median(&readings.iter().map(of).collect::<Vec<f64>>());
    let (real, simulated) = (median(|one| one.real)?, median(|one| one.simulated)?);
    let ratio = simulated / real;
    let verdict = match figure.kind {
        FigureKind::MostWorkers => Verdict::Unjudged,
        _ if !readings.iter().all(|one| one.supported) => Verdict::TooFew,
        _ if (ratio - 1.0).abs() <= BOUND => Verdict::Within,
        _ => Verdict::Outside,
    };
    Some(Comparison {
        scenario,
        contender: contender.to_owned(),
        policy,
        figure: figure.words,
        unit: figure.unit,
        runs: readings.len(),
        real,
        simulated,
        least: readings.iter().map(|one| one.least).fold(f64::INFINITY, f64::min),
        most: readings.iter().map(|one| one.most).fold(0.0, f64::max),
        ratio,
        verdict,
    })
}

/// The simulations of one run.
struct Simulated {
    all: Vec<Outcome>,
    nearest: Vec<Outcome>,
}

impl Simulated {
    fn of(told: &Told<'_>, seed: u64) -> Self {
        let measured = told.processes();
        let warmup_s = told.warmup as f64 / SECOND as f64;
        let phases: Vec<Vec<Outcome>> = (0..PHASES)
            .map(|part| {
                let chances = (0..SEEDS).map(|number| (part * SECOND / PHASES, seed.wrapping_add(number)));
                chances.map(|chance| simulate(told, chance)).collect()
            })
            .collect();
        let far = |outcomes: &[Outcome]| outcomes.iter().map(|one| distance(&measured, warmup_s, one)).sum::<f64>();
        let least = phases.iter().map(|outcomes| far(outcomes)).fold(f64::INFINITY, f64::min);
        // Where the clock makes no difference to the processes, every phase fits.
        let nearest = phases.iter().filter(|outcomes| far(outcomes) <= least).flatten().cloned().collect();
        Self { all: phases.into_iter().flatten().collect(), nearest }
    }

    /// One figure of this run; `None` where a simulation has none.
    fn reading(
        &self,
        figure: &Figure,
        session: &Session,
        run: &Run,
        told: &Told<'_>,
    ) -> Result<Option<Reading>, String> {
        let Measured::Measured { observation, .. } = &run.outcome else { return Ok(None) };
        let is_step = matches!(observation, Observation::Step(_) | Observation::Burst(_));
        let of = |outcome: &Outcome| match figure.kind {
            FigureKind::P99 if is_step => outcome.burst_p99_ms,
            FigureKind::P99 => outcome.p99_ms,
            FigureKind::WorkerSeconds => Some(outcome.worker_seconds),
            FigureKind::MostWorkers => Some(f64::from(outcome.peak_workers)),
        };
        let (real, supported) = match figure.kind {
            FigureKind::P99 => real_p99(session, told, observation)?,
            FigureKind::WorkerSeconds => (real_worker_seconds(told), true),
            FigureKind::MostWorkers => (told.processes().iter().map(|sample| sample.1).fold(0.0, f64::max), true),
        };
        let values: Vec<f64> = self.all.iter().filter_map(of).collect();
        let fitting: Vec<f64> = self.nearest.iter().filter_map(of).collect();
        Ok(stats::median(&fitting).map(|simulated| Reading {
            real,
            simulated,
            least: values.iter().copied().fold(f64::INFINITY, f64::min),
            most: values.iter().copied().fold(0.0, f64::max),
            supported,
        }))
    }
}

/// p99 in milliseconds: of the burst, or of all answers; and whether there were enough of them.
fn real_p99(session: &Session, told: &Told<'_>, observation: &Observation) -> Result<(f64, bool), String> {
    let merged = match observation {
        Observation::Step(step) => report::burst_latency(&session.lengths.step.stages, &step.step)?,
        Observation::Burst(step) => report::burst_latency(&session.lengths.process_manager.burst.stages, &step.step)?,
        _ => {
            let latencies = told.measured.iter().map(|watched| &watched.load.latency);
            Distribution::merged(latencies).map_err(|error| error.to_string())?
        }
    };
    let histogram = merged.histogram().map_err(|error| error.to_string())?;
    Ok((histogram.value_at_quantile(0.99) as f64 / 1e6, merged.supports(0.99)))
}

/// Processes that serve, integrated over what was measured.
fn real_worker_seconds(told: &Told<'_>) -> f64 {
    let length = told.measured.first().map_or(0.0, |watched| watched.load.duration_s);
    // Afterwards the generator only waits for what is outstanding.
    let during: Vec<(f64, f64)> = told.processes().into_iter().filter(|sample| sample.0 <= length).collect();
    integral(&during, length)
}

/// How far simulated processes are from those that were measured, in processes × samples.
fn distance(measured: &[(f64, f64)], warmup_s: f64, outcome: &Outcome) -> f64 {
    let at = |time: f64| {
        let later = outcome.workers.partition_point(|point| point.0 <= time);
        later.checked_sub(1).map_or(0.0, |place| f64::from(outcome.workers[place].1))
    };
    let far = measured.iter().map(|&(time, count)| (at(time + warmup_s) - count).abs());
    far.sum()
}

/// One simulation of what was measured.
fn simulate(told: &Told<'_>, (phase, seed): (Nanos, u64)) -> Outcome {
    let profile = Profile::new(&told.load, seed);
    let terms = Terms {
        profile: &profile,
        spacing: Spacing::Even,
        calls: &[],
        listed: Some(&told.requests),
        warmup: told.warmup,
        machine: told.machine,
        faults: Faults::default(),
        clients: told.clients,
        objective: nanos(0.1),
        phase: Some(phase),
        seed,
    };
    let record = model::run(terms, told.row.contender(&told.allowed));
    Outcome::new("", told.row.name, seed, f64::NAN, record)
}

/// The comparison for a terminal.
pub(crate) fn table(validation: &Validation) -> String {
    let header =
        ["scenario", "contender", "figure", "starts", "real", "simulated", "least", "most", "ratio", "verdict"];
    let mut rows = vec![header.map(String::from).to_vec()];
    rows.extend(validation.comparisons.iter().map(|one| {
        let unit = if one.unit.is_empty() { String::new() } else { format!(", {}", one.unit) };
        vec![
            one.scenario.to_owned(),
            one.contender.clone(),
            format!("{}{unit}", one.figure),
            one.runs.to_string(),
            number(one.real),
            number(one.simulated),
            number(one.least),
            number(one.most),
            number(one.ratio),
            one.verdict.words().to_owned(),
        ]
    }));
    let without: String = validation.without_model.iter().map(|reason| format!("no model: {reason}\n")).collect();
    format!(
        "{}{without}simulated: with the clock's phase whose processes fit the run's (median), and the least and most of {PHASES} \
         phases; real and simulated: medians of the starts; ratio: simulated to real",
        aligned(&rows)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The committed session: what the model is worth is known.
    #[test]
    fn a_measured_session_is_met_within_its_bounds() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../results/2026-11-22-amd-epyc-2-cores");
        let validation = compare(&Store::open(folder.as_ref()).unwrap(), 1).unwrap();
        assert_eq!(validation.comparisons.len(), 6, "{validation:#?}");
        assert!(validation.judge().is_ok(), "{validation:#?}");
        for one in &validation.comparisons {
            assert!((one.ratio - 1.0).abs() <= BOUND, "{one:#?}");
        }
    }

    #[test]
    fn a_figure_outside_of_the_bound_fails() {
        let reading = |simulated: f64, supported| Reading { real: 100.0, simulated, least: 0.0, most: 0.0, supported };
        let rows = [
            (FIGURES[0], [reading(114.0, true), reading(109.0, true)], Verdict::Within, true),
            (FIGURES[0], [reading(130.0, true), reading(101.0, true)], Verdict::Outside, false),
            (FIGURES[1], [reading(84.0, true), reading(84.0, true)], Verdict::Outside, false),
            (FIGURES[0], [reading(130.0, true), reading(130.0, false)], Verdict::TooFew, true),
            (FIGURES[2], [reading(300.0, true), reading(300.0, true)], Verdict::Unjudged, true),
        ];
        for (figure, readings, verdict, passes) in rows {
            let one = summed_up("mixed", "x", "static", &figure, &readings).unwrap();
            assert_eq!(one.verdict, verdict, "{one:?}");
            let all = Validation { comparisons: vec![one], without_model: Vec::new() };
            assert_eq!(all.judge().is_ok(), passes, "{verdict:?}");
        }
        assert!(summed_up("mixed", "x", "static", &FIGURES[0], &[]).is_none());
    }
}
