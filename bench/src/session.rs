//! One session: prepare (`preparation`), plan, then one run after the other, each stored as soon as it is over.

use std::path::{Path, PathBuf};

use crate::builds;
use crate::contender::{Contender, availability};
use crate::failure::Failure;
use crate::machine::{self, Machine, Pinning};
use crate::preparation;
use crate::probe::Probe;
use crate::process::registry;
use crate::progress::Progress;
use crate::results::calendar;
use crate::results::schema::{Outcome, Plan, Resumption, Run, RunId, SCHEMA, Session};
use crate::results::store::Store;
use crate::resume;
use crate::scenario::described::Description;
use crate::scenario::tune::Aim;
use crate::scenario::{Lengths, Scenario, Subject};
use crate::search;
use crate::start::Circumstances;
use crate::stats::Generator;
use crate::workspace::Workspace;

/// Estimated seconds that a run takes beside its load: start, gate, stop.
const AROUND: f64 = 1.7;

/// How the server's binary came about when it was named.
pub(crate) const GIVEN: &str = "a binary given with --smarthttpd";

/// What somebody asked for.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    pub(crate) scenarios: Vec<Scenario>,
    /// What the files of the described ones among them say.
    pub(crate) described: Vec<Description>,
    pub(crate) contenders: Vec<Contender>,
    /// Whether they were asked for by name: then each of them has to be there.
    pub(crate) named: bool,
    pub(crate) quick: bool,
    /// Starts per contender and scenario, instead of each scenario's own number.
    pub(crate) starts: Option<u32>,
    /// How much shorter small answers are measured.
    pub(crate) divide: Option<u32>,
    /// How often an INVALID run is made again.
    pub(crate) retries: u32,
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
    carry_out(wish, None)
}

/// Goes on with an interrupted session: makes the runs that are not stored yet.
///
/// # Errors
/// When what it would measure is not what was measured before.
pub(crate) fn resume(folder: &Path, smarthttpd: Option<PathBuf>) -> Result<Store, Failure> {
    let store = Store::open(folder)?;
    let session = store.session()?;
    let wish = resume::wish(&session, folder, smarthttpd)?;
    if resume::is_complete(&session, |id| matches!(store.run(id), Ok(Some(_)))) {
        eprintln!("every run of {} is stored: only the report is made again", folder.display());
        return Ok(store);
    }
    carry_out(&wish, Some((store, session)))
}

fn carry_out(wish: &Wish, begun: Option<(Store, Session)>) -> Result<Store, Failure> {
    let workspace = Workspace::find()?;
    let probe =
        Probe::new().map_err(|reason| Failure::Prepare { what: "setting up the HTTP client".into(), reason })?;
    let mut lengths = match &begun {
        Some((_, session)) => session.lengths.clone(),
        None => {
            let mut lengths = Lengths::of(wish.quick);
            lengths.describe(&wish.described, wish.quick);
            lengths
        }
    };
    if let Some(starts) = wish.starts {
        lengths.start_each(starts);
    }
    if let Some(by) = wish.divide {
        lengths.request_path.small.divide(by);
    }
    let prepared = preparation::prepare(wish, &workspace, &lengths)?;
    let cpus = machine::allowed_cpus();
    let pinning = Pinning::over(&cpus);
    let circumstances = Circumstances {
        places: &prepared.places,
        published: &prepared.published,
        scratch: prepared.stage.path(),
        cpus: &pinning.server,
        cpu_count: pinning.server_cpus(),
        all_cpus: if pinning.server.is_empty() { &[] } else { &cpus },
        lengths: &lengths,
        environment: &prepared.environment,
    };

    let mut entrants = Vec::new();
    let mut present = Vec::new();
    let contenders = search::expanded(
        &wish.contenders,
        &lengths.process_manager.mixed,
        search::Tries::of(&wish.scenarios, wish.quick),
    );
    for contender in &contenders {
        // A setting that is tried is as present as the contender that it is of.
        let of = contender.tried_for.as_ref().map_or(&contender.name, |(of, _)| of);
        let refused = prepared.refused.iter().find(|(name, _)| name == of);
        let missing = match refused {
            Some((_, reason)) => Some(reason.clone()),
            None => availability::missing(contender, &prepared.places),
        };
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

    let started = calendar::now();
    let seed = wish.seed.unwrap_or(started);
    let machine = Machine::here(cpus.len());
    let planned = Session {
        schema: SCHEMA,
        started: calendar::timestamp(started),
        quick: wish.quick,
        seed,
        revision: workspace.revision(),
        server_build: match &wish.smarthttpd {
            None => "cargo build --release -p smarthttpd".into(),
            Some(_) => GIVEN.into(),
        },
        order: order(&before_the_search_ends(&wish.scenarios), &present, &lengths, seed),
        lengths: lengths.clone(),
        contenders: entrants,
        pinning: pinning.clone(),
        machine,
        plan: Some(Plan {
            scenarios: wish.scenarios.clone(),
            contenders: wish.contenders.iter().map(|contender| contender.listed().to_owned()).collect(),
            named: wish.named,
            retries: wish.retries,
            builds: builds::fingerprints(prepared.server.as_deref(), &workspace.apps())?,
        }),
        resumed: Vec::new(),
    };
    let (store, mut session) = match begun {
        None => (new_folder(wish, &workspace, &planned, started)?, planned),
        Some((store, mut session)) => {
            resume::check(&session, &planned, store.folder())?;
            let kept = session.order.iter().filter(|id| matches!(store.run(id), Ok(Some(_)))).count();
            session.resumed.push(Resumption { at: calendar::timestamp(started), kept });
            (store, session)
        }
    };
    let _writing = store.claim()?;
    store.write_json("session.json", &session)?;
    registry::part_with(Some(how_to_resume(wish, store.folder())));

    if !pinning.generator.is_empty() {
        // Before any thread of the measurement exists: all of them inherit it.
        if let Err(error) = machine::confine(&pinning.generator) {
            return Err(Failure::Prepare { what: "pinning the generator".into(), reason: error.to_string() });
        }
    }
    let mut measuring = Measuring {
        circumstances: &circumstances,
        probe: &probe,
        store: &store,
        retries: wish.retries,
        progress: Progress::begin(),
    };
    let rest = after_the_search(&wish.scenarios);
    let (later, mut before): (Vec<RunId>, Vec<RunId>) =
        session.order.iter().cloned().partition(|id| rest.contains(&id.scenario));
    let expected = if later.is_empty() { expected(&rest, &present, &lengths) } else { later.len() };
    measuring.expect(&session, &before, &rest, expected);
    let runs = measuring.runs(&session, &before, &present)?;
    if !rest.is_empty() {
        before = later;
        if before.is_empty() {
            let best = search::best(&runs, lengths.process_manager.mixed.finalists);
            let mut finalists: Vec<Contender> =
                present.iter().copied().filter(|c| !search::is_sized(c) || best.contains(&c.name)).cloned().collect();
            search::admit(&search::choices(&session.contenders, &runs), &rest, &mut finalists);
            before = order(&rest, &finalists.iter().collect::<Vec<_>>(), &lengths, seed);
            for entrant in &mut session.contenders {
                if let Some(finalist) = finalists.iter().find(|finalist| finalist.name == entrant.name) {
                    entrant.scenarios.clone_from(&finalist.scenarios);
                }
            }
            session.order.extend(before.iter().cloned());
            for entrant in session.contenders.iter_mut().filter(|e| search::is_beaten(e, &best)) {
                entrant.scenarios.retain(|scenario| !rest.contains(scenario));
            }
            store.write_json("session.json", &session)?;
        }
        measuring.runs(&session, &before, &present)?;
    }
    measuring.progress.end();
    registry::part_with(None);
    Ok(store)
}

/// The folder that was asked for, or a new one under `results/`.
fn new_folder(wish: &Wish, workspace: &Workspace, planned: &Session, started: u64) -> Result<Store, Failure> {
    match &wish.out {
        Some(folder) => Store::create(folder),
        None => {
            let name = format!("{}-{}", calendar::date(started), planned.machine.label());
            Store::create_in(&workspace.results(), &name)
        }
    }
}

/// What is said to somebody who interrupts the session: the command that goes on with it.
fn how_to_resume(wish: &Wish, folder: &Path) -> String {
    let program = std::env::args_os().next().map_or_else(|| "bench".into(), PathBuf::from);
    let mut command = format!("{} run --resume {}", quoted(&program), quoted(folder));
    if let Some(smarthttpd) = &wish.smarthttpd {
        command += &format!(" --smarthttpd {}", quoted(smarthttpd));
    }
    format!("the runs so far are stored; this goes on with the others:\n  {command}")
}

/// A path as a shell reads it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    if text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+=:@".contains(c)) {
        return text;
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// The scenarios whose contenders are known at the start.
fn before_the_search_ends(scenarios: &[Scenario]) -> Vec<Scenario> {
    let later = after_the_search(scenarios);
    scenarios.iter().copied().filter(|scenario| !later.contains(scenario)).collect()
}

/// The scenarios in which those take part that came out best of the search.
pub(crate) fn after_the_search(scenarios: &[Scenario]) -> Vec<Scenario> {
    let is_tuned = scenarios.contains(&Scenario::Tune);
    let waits = |scenario: &Scenario| *scenario == Scenario::Mixed || (is_tuned && Aim::of(*scenario).is_some());
    scenarios.iter().copied().filter(waits).collect()
}

/// How many runs there will be after the search, about: only its best take part.
fn expected(rest: &[Scenario], contenders: &[&Contender], lengths: &Lengths) -> usize {
    let runs = |scenario: &Scenario| {
        let taking_part = || contenders.iter().filter(|c| c.scenarios.contains(scenario));
        let sized = taking_part().filter(|contender| search::is_sized(contender)).count();
        let finalists = sized.min(lengths.process_manager.mixed.finalists);
        (taking_part().count() - sized + finalists) * lengths.replicates(*scenario) as usize
    };
    rest.iter().map(runs).sum()
}

/// Scenario after scenario, round after round; inside a round every contender once, in a shuffled order, so that a
/// drift of the machine hits all alike.
fn order(scenarios: &[Scenario], contenders: &[&Contender], lengths: &Lengths, seed: u64) -> Vec<RunId> {
    let mut generator = Generator::new(seed);
    let mut order = Vec::new();
    for &scenario in scenarios {
        for replicate in 1..=lengths.replicates(scenario) {
            let mut round: Vec<_> = contenders.iter().filter(|c| c.scenarios.contains(&scenario)).collect();
            generator.shuffle(&mut round);
            order.extend(round.into_iter().map(|contender| RunId {
                scenario,
                replicate,
                contender: contender.name.clone(),
            }));
        }
    }
    order
}

/// What every run of a session needs.
struct Measuring<'a> {
    circumstances: &'a Circumstances<'a>,
    probe: &'a Probe,
    store: &'a Store,
    /// How often an INVALID run is made again.
    retries: u32,
    progress: Progress,
}

impl Measuring<'_> {
    /// How much there is to do: the runs of `order` that are not stored, and about so many `later` ones of `rest`.
    fn expect(&mut self, session: &Session, order: &[RunId], rest: &[Scenario], later: usize) {
        let to_make = order.iter().filter(|id| !matches!(self.store.run(id), Ok(Some(_))));
        let seconds: f64 = to_make.map(|id| estimate(session, id.scenario)).sum();
        let each = rest.iter().map(|scenario| estimate(session, *scenario)).sum::<f64>() / rest.len().max(1) as f64;
        self.progress.expect(order.len() + later, seconds + each * later as f64);
    }

    /// Makes the runs of `order` that are not stored yet, stores each, and gives all.
    fn runs(&mut self, session: &Session, order: &[RunId], contenders: &[&Contender]) -> Result<Vec<Run>, Failure> {
        let mut runs = Vec::new();
        for id in order {
            let Some(contender) = contenders.iter().find(|c| c.name == id.contender) else {
                continue;
            };
            match self.store.run(id) {
                Ok(Some(run)) => {
                    self.progress.stored();
                    runs.push(run);
                    continue;
                }
                Ok(None) => {}
                Err(failure) => self.progress.note(&format!("{failure}: the run is made again")),
            }
            self.progress.step(&format!("{} · {} · start {}", id.scenario.name(), contender.title, id.replicate));
            runs.push(self.run(session, id, contender)?);
            self.progress.done(estimate(session, id.scenario));
        }
        Ok(runs)
    }

    /// Makes one run, again where it is INVALID and that may help, and stores it.
    fn run(&mut self, session: &Session, id: &RunId, contender: &Contender) -> Result<Run, Failure> {
        let mut invalid = self.store.attempts(id);
        loop {
            let started = calendar::timestamp(calendar::now());
            let outcome = match self.observe(session, id, invalid.len(), contender) {
                Ok(outcome) => outcome,
                Err(reason) => {
                    self.progress.note(&format!("{}: {reason}", id.label()));
                    Outcome::Failed { reason: without_places(&reason, self.circumstances) }
                }
            };
            registry::go_on_unless_ending();
            let run = Run { schema: SCHEMA, id: id.clone(), started, invalid: invalid.clone(), outcome };
            let reasons = run.outcome.invalid();
            if !run.outcome.failed_for_the_generator() || invalid.len() >= self.retries as usize {
                self.store.write_run(&run)?;
                return Ok(run);
            }
            self.progress.note(&format!("{} is INVALID and made again: {}", id.label(), reasons.join("; ")));
            self.progress.again(estimate(session, id.scenario));
            self.store.write_attempt(&run)?;
            invalid.push(reasons.join("; "));
        }
    }

    /// One attempt at a run, after so many `earlier` ones, whose scratch folders are still there.
    fn observe(&self, session: &Session, id: &RunId, earlier: usize, contender: &Contender) -> Result<Outcome, String> {
        let scratch = if earlier == 0 { id.label() } else { format!("{}-again-{earlier}", id.label()) };
        let ready = self.circumstances.start(contender, id.scenario, &scratch, self.probe)?;
        let subject = Subject {
            base: &ready.base,
            root: ready.server.pid(),
            serving: contender.serving.as_deref(),
            generator: &session.pinning.generator,
            server: self.circumstances.cpus(id.scenario),
            account: &ready.account,
            reload: ready.reload.as_ref(),
            ticks_per_second: machine::ticks_per_second(),
            timeout_s: session.lengths.timeout_s,
            scratch: &ready.scratch,
        };
        let observation = id.scenario.observe(subject, &session.lengths)?;
        Ok(Outcome::Measured { about: ready.about, observation, ending: ready.server.stop() })
    }
}

/// Seconds that a run takes, about.
fn estimate(session: &Session, scenario: Scenario) -> f64 {
    session.lengths.seconds(scenario) + AROUND
}

/// A reason as the results tell it: a log's tail may name folders of this machine.
fn without_places(reason: &str, circumstances: &Circumstances<'_>) -> String {
    circumstances.published.hide(&circumstances.places.hide(reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contender::spec;

    #[test]
    fn rounds_are_whole_and_shuffled_by_the_seed() {
        let lengths = Lengths::of(false);
        let comparison = Scenario::comparison();
        let all = spec::chosen(&[], &comparison).unwrap();
        let all: Vec<&Contender> = all.iter().collect();
        let mut names: Vec<&str> = all.iter().map(|c| c.name.as_str()).collect();
        names.sort_unstable();
        let runs = order(&comparison, &all, &lengths, 1);
        assert_eq!(runs.len(), 4 * 3 + 2 * 3);
        let (steady, step) = runs.split_at(4 * 3);
        let in_step = vec!["apache-prefork", "smarthttpd-adaptive"];
        for (round, expected) in
            steady.chunks(4).map(|round| (round, &names)).chain(step.chunks(2).map(|round| (round, &in_step)))
        {
            let mut there: Vec<&str> = round.iter().map(|id| id.contender.as_str()).collect();
            there.sort_unstable();
            assert_eq!(there, *expected);
            assert!(round.iter().all(|id| id.replicate == round[0].replicate));
        }
        assert_eq!(runs, order(&comparison, &all, &lengths, 1));
        assert_ne!(runs, order(&comparison, &all, &lengths, 2));
        assert_eq!(runs[0].label(), format!("steady-r1-{}", runs[0].contender));
    }

    #[test]
    fn the_command_that_resumes_can_be_pasted() {
        let rows = [
            ("results/2026-11-27-x", "results/2026-11-27-x"),
            ("my results/x", "'my results/x'"),
            ("it's", r"'it'\''s'"),
        ];
        for (path, expected) in rows {
            assert_eq!(quoted(Path::new(path)), expected);
        }
    }

    #[test]
    fn contenders_run_in_their_scenarios_only() {
        let path = Scenario::chosen(&["request-path".into()]).unwrap();
        let all = spec::chosen(&[], &path).unwrap();
        let runs = order(&path, &all.iter().collect::<Vec<_>>(), &Lengths::of(true), 1);
        let of = |scenario| runs.iter().filter(move |id| id.scenario == scenario).map(|id| id.contender.as_str());
        let mut file: Vec<&str> = of(Scenario::File).collect();
        file.sort_unstable();
        assert_eq!(file, ["nginx-static", "smarthttpd-one"]);
        assert_eq!(of(Scenario::Threads).collect::<Vec<_>>(), ["smarthttpd-one"]);
        assert_eq!(of(Scenario::Hello).count(), 6);
    }
}
