//! `bench simulate`: what a policy would do on loads, machines and scales that no test machine has.
//!
//! The policies are the server's own code (crate `mpm`), and so is the number of calls that a worker runs at once; the
//! workers, the machine, the kernel's queue and the clients are a model. Time is simulated: one run of a minute with a
//! few workers takes some milliseconds. The same seed gives the same results to the last byte.
//!
//! | Module | What it owns |
//! | --- | --- |
//! | `scenario` | what is simulated, from files |
//! | `policies` | which policies there are, and what their workers are like |
//! | `arrivals`, `calls` | when requests come; what they cost |
//! | `random`, `time`, `queue` | seeded randomness, integer time, the events to come |
//! | `model` | the server, its machine and its clients (its own picture is there) |
//! | `oracle` | what perfect foresight would cost |
//! | `outcome`, `table` | the figures; as text |
//!
//! It must not know: processes, sockets, the clock. It is called by `main` only.

mod arrivals;
mod calls;
mod model;
mod oracle;
mod outcome;
mod policies;
mod queue;
mod random;
mod scenario;
mod table;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod theory_tests;
mod time;

use self::arrivals::{Arrivals, Profile};
use self::calls::{Cost, Costs};
use self::outcome::Outcome;
use self::policies::{ROWS, Row};
use self::scenario::Scenario;
use self::time::{Nanos, nanos};
use crate::cli::SimulateArguments;
use crate::failure::Failure;

/// Carries out what was asked for.
///
/// # Errors
/// An unknown name, or a folder that can't be written.
pub(crate) fn run(arguments: &SimulateArguments) -> Result<(), Failure> {
    if arguments.list {
        return list();
    }
    let policies = policies::chosen(&arguments.policies)?;
    let scenarios = scenario::chosen(&arguments.scenarios)?;
    for scenario in &scenarios {
        let outcomes = outcomes(scenario, &policies, arguments.workers_max, arguments.seed);
        println!("{}", table::of(scenario, &outcomes));
    }
    println!("{}", table::LEGEND);
    Ok(())
}

fn list() -> Result<(), Failure> {
    println!("scenarios (* when none is named):");
    for scenario in scenario::all()? {
        let mark = if scenario.default { '*' } else { ' ' };
        println!("{mark} {:<13} {}", scenario.name, scenario.about);
    }
    println!("\npolicies (all when none is named):");
    for row in ROWS {
        println!("  {:<13} {}", row.name, row.about);
    }
    Ok(())
}

/// Every policy in one scenario.
fn outcomes(scenario: &Scenario, policies: &[&Row], max_workers: Option<u32>, seed: u64) -> Vec<Outcome> {
    let profile = Profile::new(&scenario.load, seed);
    let requests = requests(scenario, &profile, seed);
    let allowed = scenario.allowed(max_workers);
    policies
        .iter()
        .map(|row| {
            let contender = row.contender(&allowed);
            let threads = contender.kind.max_threads;
            let terms = scenario.terms(&profile, seed);
            let oracle = oracle::worker_seconds(&requests, nanos(profile.seconds()), threads, terms.objective);
            Outcome::new(&scenario.name, row.name, seed, oracle, model::run(terms, contender))
        })
        .collect()
}

/// The requests that every policy meets: arrival and cost.
fn requests(scenario: &Scenario, profile: &Profile, seed: u64) -> Vec<(Nanos, Cost)> {
    let mut costs = Costs::new(&scenario.calls, seed);
    Arrivals::new(profile.clone(), scenario.spacing, seed).map(|at| (at, costs.draw())).collect()
}
