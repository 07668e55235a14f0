//! What the model is told of a real run: what it cannot know.
//!
//! The very requests and when they were due, from the load generator's own schedule; what each kind of call does, from its
//! path; the CPUs; the options on the contender's command line; what a start costs, where the session measured it. What a
//! request costs beyond its handler is all the CPU time of the server's tree that the handlers and forks did not use, in
//! equal parts: so the event loop's, the monitors' and the supervisor's share is in it; and everybody else's where
//! the server shares all CPUs with the generator, whoever watches, and the hypervisor. Nothing is fitted to a latency.

use loadgen::{Load as Offered, Reuse, Setup};

use crate::results::schema::{Entrant, Outcome, Run, Session};
use crate::scenario::{Observation, Pace, Watched, compute};
use crate::simulate::arrivals::{Load, Planned};
use crate::simulate::calls::Cost;
use crate::simulate::model::{Clients, Machine};
use crate::simulate::policies::{Allowed, ROWS, Row};
use crate::simulate::time::{Nanos, nanos};
use crate::stats;

/// CPU milliseconds of a fork with a Flask application's pages, and of the new process until it serves, where the session
/// has not measured how long a start takes.
const FORK_MS: f64 = 6.0;
/// From the end of one load of `compute` to the first request of the next: threads end, others start.
const BETWEEN_LOADS: Nanos = 10_000_000;

/// One real run, as the model needs it.
pub(super) struct Told<'a> {
    pub(super) row: &'static Row,
    pub(super) allowed: Allowed,
    pub(super) machine: Machine,
    pub(super) clients: Clients,
    /// The rate over time, for what is counted within bursts.
    pub(super) load: Load,
    pub(super) requests: Vec<Planned>,
    pub(super) warmup: Nanos,
    /// Its loads; the tree was watched during each, and the first one's watch is as good as another's.
    pub(super) measured: Vec<&'a Watched>,
    pub(super) managers: u32,
}

/// One of a run's loads: its generator's number, and the CPU and blocked milliseconds of its handler.
struct Part<'a> {
    watched: &'a Watched,
    handler: (f64, f64),
}

impl<'a> Told<'a> {
    /// What the model is told of `run`; `None` if it has no model for the scenario.
    ///
    /// # Errors
    /// Why the model would not be that of this contender.
    pub(super) fn of(session: &Session, runs: &[Run], entrant: &Entrant, run: &'a Run) -> Option<Result<Self, String>> {
        let Outcome::Measured { observation, .. } = &run.outcome else { return None };
        let (measured, cores): (Vec<&Watched>, usize) = match observation {
            Observation::Step(step) | Observation::Burst(step) => (vec![&step.step], session.pinning.server_cpus()),
            Observation::Compute(compute) => (vec![&compute.load], compute.cpus),
            Observation::Search(mixed) | Observation::Mixed(mixed) => {
                (vec![&mixed.short, &mixed.blocking], session.pinning.server_cpus())
            }
            _ => return None,
        };
        let policy = value(entrant, "--mpm")?;
        let row = ROWS.iter().find(|row| row.name == policy)?;
        Some(Self::read(session, runs, entrant, observation, (row, measured, cores)))
    }

    fn read(
        session: &Session,
        runs: &[Run],
        entrant: &Entrant,
        observation: &Observation,
        (row, measured, cores): (&'static Row, Vec<&'a Watched>, usize),
    ) -> Result<Self, String> {
        let Some(first) = measured.first() else { return Err("it has no load".into()) };
        let setup = &first.load.setup;
        let fork_ms = ready_ms(runs).unwrap_or(FORK_MS);
        let parts: Vec<Part<'_>> =
            measured.iter().map(|watched| Part { watched, handler: handler_ms(&watched.load.setup.target) }).collect();
        let forks = processes(first, entrant.managers);
        let forks: f64 = forks.windows(2).map(|pair| (pair[1].1 - pair[0].1).max(0.0)).sum();
        // Where the server has no CPUs of its own, what everybody else uses is taken from it.
        let used_s = match (observation, first.watch.machine_cpu_seconds) {
            (Observation::Compute(_), Some(all)) => all.max(first.watch.cpu_seconds),
            _ => first.watch.cpu_seconds,
        };
        let cpu_ms = used_s * 1e3 - forks * fork_ms;
        let beyond_ms = beyond_handlers_ms(&parts, cpu_ms)?;
        let cost =
            |handler: (f64, f64)| Cost { cpu: nanos((handler.0 + beyond_ms) / 1e3), blocked: nanos(handler.1 / 1e3) };
        let mut requests = Vec::new();
        let mut warmup = nanos(setup.warmup_s);
        if let Observation::Compute(_) = observation {
            let settle_s = session.lengths.process_manager.compute.settle_s;
            requests = settling(setup, settle_s, cost(parts[0].handler))?;
            warmup = nanos(settle_s) + BETWEEN_LOADS;
        }
        let before = requests.len();
        let settled = before > 0;
        for (number, part) in parts.iter().enumerate() {
            let generator = number + usize::from(settled);
            let from = if settled { warmup } else { 0 };
            let cost = cost(part.handler);
            let due = part.watched.load.setup.schedule();
            requests.extend(due.into_iter().map(|at| Planned { at: from + at, cost, generator, after: None }));
        }
        if let (true, Some(first)) = (settled, requests.get_mut(before)) {
            first.after = Some(0);
        }
        requests.sort_by_key(|planned| planned.at);
        let Offered::Open { stages, .. } = &setup.load else { return Err("its load is no schedule".into()) };
        let pace = |stage: &loadgen::Stage| Pace { seconds: stage.duration.as_secs_f64(), rate: stage.rate };
        let lead = Pace { seconds: warmup as f64 / 1e9, rate: stages.first().map_or(0.0, |stage| stage.rate) };
        let stages = (warmup > 0).then_some(lead).into_iter().chain(stages.iter().map(pace)).collect();
        Ok(Self {
            row,
            allowed: allowed(entrant, cores)?,
            machine: Machine { cores: cores as f64, fork: nanos(fork_ms / 1e3), import: 0 },
            clients: Clients {
                connect: nanos(setup.connect_timeout_s),
                answer: nanos(setup.timeout_s),
                keep_alive: setup.reuse == Reuse::KeepAlive,
            },
            load: Load::Steps { stages },
            requests,
            warmup,
            measured,
            managers: entrant.managers,
        })
    }

    /// The run's processes that serve, over the seconds of what was measured.
    pub(super) fn processes(&self) -> Vec<(f64, f64)> {
        self.measured.first().map(|watched| processes(watched, self.managers)).unwrap_or_default()
    }
}

fn processes(watched: &Watched, managers: u32) -> Vec<(f64, f64)> {
    let samples = watched.watch.samples.iter();
    samples.map(|sample| (sample.at, f64::from(sample.workers(managers)))).collect()
}

/// CPU milliseconds of an answer beyond its handler, when the tree used `cpu_ms` for everything but forks.
fn beyond_handlers_ms(parts: &[Part<'_>], cpu_ms: f64) -> Result<f64, String> {
    let answered = |part: &Part<'_>| part.watched.load.answered as f64;
    let all: f64 = parts.iter().map(answered).sum();
    let handlers: f64 = parts.iter().map(|part| answered(part) * part.handler.0).sum();
    if all > 0.0 { Ok(((cpu_ms - handlers) / all).max(0.0)) } else { Err("nothing was answered".into()) }
}

/// The load before the measurement of `compute`, which is the same but for its length and seed.
fn settling(setup: &Setup, seconds: f64, cost: Cost) -> Result<Vec<Planned>, String> {
    let Offered::Open { stages, arrivals, .. } = &setup.load else { return Err("its load is no schedule".into()) };
    let rate = stages.first().map_or(0.0, |stage| stage.rate);
    let stages = vec![Pace { seconds, rate }.into()];
    let load = Offered::Open { stages, arrivals: *arrivals, seed: compute::SETTLING };
    let due = Setup { load, ..setup.clone() }.schedule();
    Ok(due.into_iter().map(|at| Planned { at, cost, generator: 0, after: None }).collect())
}

/// The median time of a start, where the session has measured starts.
fn ready_ms(runs: &[Run]) -> Option<f64> {
    let spawned = runs.iter().filter_map(|run| match &run.outcome {
        Outcome::Measured { observation: Observation::Spawn(spawn), .. } => Some(&spawn.ready_ms),
        _ => None,
    });
    stats::median(&spawned.flatten().copied().collect::<Vec<f64>>())
}

/// What a handler does, CPU and blocked milliseconds, as its path says: `/sleep50`, `/sleep/200`, `/burn/5`.
fn handler_ms(target: &str) -> (f64, f64) {
    let after = |word: &str| {
        let rest = target.rsplit_once(word)?.1;
        rest.trim_start_matches('/').parse().ok()
    };
    (after("/burn").unwrap_or(0.0), after("/sleep").unwrap_or(0.0))
}

/// The word behind an option on the contender's command line.
fn value<'e>(entrant: &'e Entrant, option: &str) -> Option<&'e str> {
    let mut words = entrant.command.iter().skip_while(|word| *word != option);
    words.nth(1).map(String::as_str)
}

/// Options that the model knows, or that make no difference to it.
const KNOWN: [&str; 11] = [
    "--mpm",
    "--bind",
    "--chdir",
    "--venv",
    "--control-socket",
    "--max-workers",
    "--max-request-workers",
    "--max-threads",
    "--workers",
    "--threads",
    "--app",
];

/// The bounds on the contender's command line.
fn allowed(entrant: &Entrant, cores: usize) -> Result<Allowed, String> {
    let options = entrant.command.iter().filter(|word| word.starts_with("--"));
    if let Some(unknown) = options.clone().find(|option| !KNOWN.contains(&option.as_str())) {
        return Err(format!("the model does not know {unknown}"));
    }
    let number = |option: &str| {
        value(entrant, option)
            .map(|word| word.parse::<u32>().map_err(|_| format!("{option} {word} is no number")))
            .transpose()
    };
    let size = number("--workers")?.zip(number("--threads")?);
    Ok(Allowed {
        cores: cores as f64,
        max_workers: number("--max-workers")?.or(number("--max-request-workers")?),
        max_threads: number("--max-threads")?,
        size,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_says_what_a_handler_does() {
        let rows = [
            ("http://127.0.0.1:80/sleep50", (0.0, 50.0)),
            ("http://127.0.0.1:80/sleep/200", (0.0, 200.0)),
            ("http://127.0.0.1:80/burn/5", (5.0, 0.0)),
            ("http://x/", (0.0, 0.0)),
        ];
        for (target, ms) in rows {
            assert_eq!(handler_ms(target), ms, "{target}");
        }
    }

    #[test]
    fn a_command_line_is_read_or_not_modelled() {
        let entrant = |words: &[&str]| Entrant {
            name: "x".into(),
            title: "x".into(),
            terms: "x".into(),
            managers: 2,
            scenarios: Vec::new(),
            command: words.iter().map(|word| (*word).to_owned()).collect(),
            config: None,
            versions: Default::default(),
            tuning: None,
            missing: None,
        };
        let sized = entrant(&["s", "--mpm", "static", "--workers", "3", "--threads", "32"]);
        assert_eq!(allowed(&sized, 2).unwrap().size, Some((3, 32)));
        let bounded = allowed(&entrant(&["s", "--mpm", "prefork", "--max-request-workers", "9"]), 1).unwrap();
        assert_eq!((bounded.max_workers, bounded.cores, bounded.size), (Some(9), 1.0, None));
        let other = allowed(&entrant(&["s", "--mpm", "busyness", "--cheaper-step", "4"]), 1);
        assert_eq!(other.unwrap_err(), "the model does not know --cheaper-step");
        assert!(allowed(&entrant(&["s", "--max-workers", "many"]), 1).is_err());
    }
}
