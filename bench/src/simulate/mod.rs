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
//! | `outcome`, `table`, `charts`, `page` | the figures; as text, pictures, html |
//! | `validate` | the model against the runs of a session |
//!
//! It must not know: processes, sockets, the clock (but for a folder's name). It is called by `main` only, and uses of the
//! harness what writes and reads results folders and draws pictures.

mod arrivals;
mod calls;
mod charts;
mod model;
mod oracle;
mod outcome;
mod page;
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
mod validate;

use serde::Serialize;

use self::arrivals::{Arrivals, Profile};
use self::calls::{Cost, Costs};
use self::outcome::Outcome;
use self::page::Part;
use self::policies::{ROWS, Row};
use self::scenario::Scenario;
use self::time::{Nanos, nanos};
use crate::cli::SimulateArguments;
use crate::failure::Failure;
use crate::results::calendar;
use crate::results::store::Store;
use crate::workspace::Workspace;

/// One scenario and what came of it: a file below `raw/`, and an element of `--json`.
#[derive(Debug, Serialize)]
struct Simulated {
    scenario: Scenario,
    outcomes: Vec<Outcome>,
}

/// Carries out what was asked for.
///
/// # Errors
/// An unknown name, results that can't be read, or a folder that can't be written.
pub(crate) fn run(arguments: &SimulateArguments) -> Result<(), Failure> {
    if arguments.list {
        return list();
    }
    if let Some(folder) = &arguments.validate {
        let validation = validate::compare(&Store::open(folder)?, arguments.seed)?;
        let text = if arguments.json { json(&validation)? } else { validate::table(&validation) };
        println!("{text}");
        return validation.judge();
    }
    let policies = policies::chosen(&arguments.policies)?;
    let scenarios = scenario::chosen(&arguments.scenarios)?;
    // Before the work: a folder that can't be made is told at once.
    let store = store(arguments)?;
    let mut all = Vec::new();
    for scenario in scenarios {
        let outcomes = outcomes(&scenario, &policies, arguments.workers_max, arguments.seed);
        if !arguments.json {
            println!("{}", table::of(&scenario, &outcomes));
        }
        all.push(Simulated { scenario, outcomes });
    }
    if let Some(store) = &store {
        write(store, arguments.seed, &all)?;
    }
    if arguments.json {
        println!("{}", json(&all)?);
    } else {
        println!("{}", table::LEGEND);
        if let Some(store) = &store {
            println!("pictures and data: {}", store.folder().join(PAGE).display());
        }
    }
    Ok(())
}

const PAGE: &str = "simulation.html";

/// Where results go: the folder that was named, or a new one; nowhere when they are only to be printed for a program.
fn store(arguments: &SimulateArguments) -> Result<Option<Store>, Failure> {
    match &arguments.out {
        Some(folder) => Store::create(folder).map(Some),
        None if arguments.json => Ok(None),
        None => {
            let name = format!("simulate-{}", calendar::date(calendar::now()));
            Store::create_in(&Workspace::find()?.results(), &name).map(Some)
        }
    }
}

fn json<T: Serialize>(value: &T) -> Result<String, Failure> {
    serde_json::to_string_pretty(value).map_err(|error| Failure::Usage(format!("--json: {error}")))
}

/// Writes data, tables and pictures.
fn write(store: &Store, seed: u64, all: &[Simulated]) -> Result<(), Failure> {
    let undrawn = |reason: String| Failure::Results { path: store.folder().to_owned(), reason };
    let mut parts = Vec::new();
    for one @ Simulated { scenario, outcomes } in all {
        store.write_json(&format!("raw/{}.json", scenario.name), one)?;
        let pictures = charts::of_scenario(scenario, seed, outcomes, store.folder()).map_err(undrawn)?;
        parts.push(Part { name: scenario.name.clone(), table: table::of(scenario, outcomes), pictures });
    }
    let outcomes: Vec<Outcome> = all.iter().flat_map(|one| one.outcomes.iter().cloned()).collect();
    let cost = charts::of_all(&outcomes, store.folder()).map_err(undrawn)?;
    for picture in parts.iter().flat_map(|part| &part.pictures).chain([&cost]) {
        store.write(&format!("{}.svg", picture.name), picture.standalone_svg().as_bytes())?;
    }
    let tables: Vec<&str> = parts.iter().map(|part| part.table.as_str()).collect();
    store.write("tables.txt", format!("{}\n{}\n", tables.join("\n"), table::LEGEND).as_bytes())?;
    store.write(PAGE, page::page(seed, &parts, table::LEGEND, &cost).as_bytes())
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
