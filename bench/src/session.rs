//! One session: prepare, plan, then one run after the other, each stored as soon as it is over.

use std::path::PathBuf;

use nix::unistd::geteuid;

use crate::contender::{Contender, Places, availability};
use crate::failure::Failure;
use crate::machine::{self, Machine, Pinning};
use crate::probe::Probe;
use crate::progress::Progress;
use crate::results::calendar;
use crate::results::schema::{Outcome, Run, RunId, SCHEMA, Session};
use crate::results::store::Store;
use crate::scenario::{self, Lengths, Observation, Scenario, Subject};
use crate::stage::Stage;
use crate::start::Circumstances;
use crate::stats::Generator;
use crate::workspace::Workspace;

/// Estimated seconds that a run takes beside its load: start, gate, stop.
const AROUND: f64 = 1.7;

/// Whom Apache serves as when root starts it (Debian's choice).
const APACHE_USER: &str = "www-data";

/// What somebody asked for.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    pub(crate) scenarios: Vec<Scenario>,
    pub(crate) contenders: Vec<Contender>,
    /// Whether they were asked for by name: then each of them has to be there.
    pub(crate) named: bool,
    pub(crate) quick: bool,
    /// Of the order of runs; chosen from the clock when nobody asks for one.
    pub(crate) seed: Option<u64>,
    /// Exactly this folder, instead of a new one under `results/`.
    pub(crate) out: Option<PathBuf>,
    /// This binary, instead of one built from the checkout.
    pub(crate) smarthttpd: Option<PathBuf>,
}

/// Carries it out and gives the folder with the raw data.
///
/// # Errors
/// When nothing can be measured at all. A contender that fails is part of the results.
pub(crate) fn run(wish: &Wish) -> Result<Store, Failure> {
    let workspace = Workspace::find()?;
    let probe =
        Probe::new().map_err(|reason| Failure::Prepare { what: "setting up the HTTP client".into(), reason })?;
    let prepared = prepare(wish, &workspace)?;
    let cpus = machine::allowed_cpus();
    let pinning = Pinning::over(&cpus);
    let circumstances = Circumstances {
        places: &prepared.places,
        published: &prepared.published,
        scratch: prepared.stage.path(),
        cpus: &pinning.server,
        cpu_count: pinning.server_cpus(),
    };

    let mut entrants = Vec::new();
    let mut present = Vec::new();
    for contender in &wish.contenders {
        let missing = availability::missing(contender, &prepared.places);
        let versions = match missing {
            None => availability::versions(contender, &prepared.places),
            Some(_) => Default::default(),
        };
        if missing.is_none() {
            present.push(contender);
        }
        entrants.push(circumstances.entrant(contender, versions, missing));
    }
    if present.is_empty() || (wish.named && present.len() < entrants.len()) {
        let reasons: Vec<String> =
            entrants.iter().filter_map(|e| Some(format!("{}: {}", e.name, e.missing.as_ref()?))).collect();
        return Err(Failure::Contenders(reasons.join("; ")));
    }

    let lengths = Lengths::of(wish.quick);
    let started = calendar::now();
    let seed = wish.seed.unwrap_or(started);
    let machine = Machine::here(cpus.len());
    let names: Vec<&str> = present.iter().map(|c| c.name.as_str()).collect();
    let session = Session {
        schema: SCHEMA,
        started: calendar::timestamp(started),
        quick: wish.quick,
        seed,
        revision: workspace.revision(),
        server_build: match &wish.smarthttpd {
            None => "cargo build --release -p smarthttpd".into(),
            Some(_) => "a binary given with --smarthttpd".into(),
        },
        order: order(&wish.scenarios, &names, &lengths, seed),
        lengths,
        contenders: entrants,
        pinning: pinning.clone(),
        machine,
    };
    let store = match &wish.out {
        Some(folder) => Store::create(folder)?,
        None => {
            let name = format!("{}-{}", calendar::date(started), session.machine.label());
            Store::create_in(&workspace.results(), &name)?
        }
    };
    store.write_json("session.json", &session)?;

    if !pinning.generator.is_empty() {
        // Before any thread of the measurement exists: all of them inherit it.
        if let Err(error) = machine::confine(&pinning.generator) {
            return Err(Failure::Prepare { what: "pinning the generator".into(), reason: error.to_string() });
        }
    }
    measure(&session, &present, &circumstances, &probe, &store)?;
    Ok(store)
}

struct Prepared {
    stage: Stage,
    places: Places,
    published: Places,
}

/// Builds and installs what the contenders need.
fn prepare(wish: &Wish, workspace: &Workspace) -> Result<Prepared, Failure> {
    let needs =
        |what: &str| wish.contenders.iter().any(|contender| contender.command.iter().any(|word| word.contains(what)));
    let smarthttpd = match &wish.smarthttpd {
        Some(binary) => binary.clone(),
        None if needs("{smarthttpd}") => {
            eprintln!("building smarthttpd (cargo build --release; the first time takes minutes)");
            workspace.build_server()?
        }
        None => workspace.server(),
    };
    eprintln!("preparing Flask and gunicorn in target/bench/venv");
    let venv = workspace.prepare_venv()?;
    let stage = Stage::new()?;
    let root = geteuid().is_root();
    let user = if root {
        format!("User {APACHE_USER}\nGroup {APACHE_USER}")
    } else {
        "# started without privileges: serves as the user who started it".into()
    };
    let places = places(workspace)
        .with("smarthttpd", &smarthttpd, "target/release/smarthttpd")
        .with("venv", &venv, "target/bench/venv")
        .with_value("user", &user);
    let mut published = places.clone();
    if wish.contenders.iter().any(|c| c.packages == crate::contender::spec::Packages::ModWsgi)
        && let Some(packages) = workspace.prepare_mod_wsgi_packages()?
    {
        let (apps, packages) = if root {
            (stage.publish(&workspace.apps(), "apps", APACHE_USER)?, stage.publish(&packages, "packages", APACHE_USER)?)
        } else {
            (workspace.apps(), packages)
        };
        published = published.with("apps", &apps, "bench/apps").with("packages", &packages, "target/bench/packages");
    }
    Ok(Prepared { stage, places, published })
}

/// The places that are known without building anything.
pub(crate) fn places(workspace: &Workspace) -> Places {
    Places::default()
        .with("apps", &workspace.apps(), "bench/apps")
        .with("venv", &workspace.venv(), "target/bench/venv")
        .with("smarthttpd", &workspace.server(), "target/release/smarthttpd")
}

/// Scenario after scenario, round after round; inside a round every contender once, in a shuffled order, so that a
/// drift of the machine hits all alike.
fn order(scenarios: &[Scenario], names: &[&str], lengths: &Lengths, seed: u64) -> Vec<RunId> {
    let mut generator = Generator::new(seed);
    let mut order = Vec::new();
    for &scenario in scenarios {
        for replicate in 1..=lengths.replicates(scenario) {
            let mut round = names.to_vec();
            generator.shuffle(&mut round);
            order.extend(round.into_iter().map(|contender| RunId {
                scenario,
                replicate,
                contender: contender.to_owned(),
            }));
        }
    }
    order
}

fn measure(
    session: &Session,
    contenders: &[&Contender],
    circumstances: &Circumstances<'_>,
    probe: &Probe,
    store: &Store,
) -> Result<(), Failure> {
    let estimate = |id: &RunId| session.lengths.seconds(id.scenario) + AROUND;
    let mut progress = Progress::begin(session.order.iter().map(estimate).sum());
    let total = session.order.len();
    for (number, id) in (1..).zip(&session.order) {
        let Some(contender) = contenders.iter().find(|c| c.name == id.contender) else {
            continue;
        };
        progress.step(&format!(
            "{number}/{total} {} · {} · start {}",
            id.scenario.name(),
            contender.title,
            id.replicate
        ));
        let started = calendar::timestamp(calendar::now());
        let outcome = match observe(session, id, contender, circumstances, probe) {
            Ok(outcome) => outcome,
            Err(reason) => {
                progress.note(&format!("{}: {reason}", id.label()));
                Outcome::Failed { reason: without_places(&reason, circumstances) }
            }
        };
        store.write_run(&Run { schema: SCHEMA, id: id.clone(), started, outcome })?;
        progress.done(estimate(id));
    }
    progress.end();
    Ok(())
}

fn observe(
    session: &Session,
    id: &RunId,
    contender: &Contender,
    circumstances: &Circumstances<'_>,
    probe: &Probe,
) -> Result<Outcome, String> {
    let ready = circumstances.start(contender, &id.label(), probe)?;
    let subject = Subject {
        base: &ready.base,
        root: ready.server.pid(),
        generator: &session.pinning.generator,
        ticks_per_second: machine::ticks_per_second(),
        timeout_s: session.lengths.timeout_s,
    };
    let observation = match id.scenario {
        Scenario::Steady => {
            let observed = scenario::steady::run(subject, &session.lengths.steady)?;
            Observation::Steady(Box::new(observed))
        }
        Scenario::Step => {
            let observed = scenario::step::run(subject, &session.lengths.step)?;
            Observation::Step(Box::new(observed))
        }
    };
    Ok(Outcome::Measured { about: ready.about, observation, ending: ready.server.stop() })
}

/// A reason as the results tell it: a log's tail may name folders of this machine.
fn without_places(reason: &str, circumstances: &Circumstances<'_>) -> String {
    circumstances.published.hide(&circumstances.places.hide(reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_whole_and_shuffled_by_the_seed() {
        let lengths = Lengths::of(false);
        let names = ["a", "b", "c", "d"];
        let runs = order(&Scenario::ALL, &names, &lengths, 1);
        assert_eq!(runs.len(), 4 * 3 + 4);
        for round in runs.chunks(4) {
            let mut there: Vec<&str> = round.iter().map(|id| id.contender.as_str()).collect();
            there.sort_unstable();
            assert_eq!(there, names);
            assert!(round.iter().all(|id| id.replicate == round[0].replicate));
        }
        assert_eq!(runs, order(&Scenario::ALL, &names, &lengths, 1));
        assert_ne!(runs, order(&Scenario::ALL, &names, &lengths, 2));
        assert_eq!(runs[0].label(), format!("steady-r1-{}", runs[0].contender));
    }
}
