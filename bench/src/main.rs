//! `bench`: drives servers side by side and writes comparison reports.
//!
//! ```text
//! cli ─▶ session ─▶ start ─▶ contender (what to start)     ─▶ results (raw data, as it happens)
//!                     │       process   (how it is started and stopped), probe, gate
//!                     ├─────▶ scenario ─▶ loadgen, observe  (load on it, eyes on it)
//!                     └─────▶ search    (which of many sizes and settings go on)
//!                             floor (a contender of our own)
//!        report ◀── results (nothing else): figures, tables, pictures, html
//!        compare ◀─ two of them
//!
//!        simulate ─▶ mpm                                       (the server's policies on a model instead of a server)
//! ```
//!
//! Measuring and reporting meet only in the results folder: `bench report DIR` computes from a folder alone exactly
//! what the session computed at its end.

#![forbid(unsafe_code)]

mod builds;
mod cli;
mod compare;
mod contender;
mod failure;
mod floor;
mod gate;
mod machine;
mod observe;
mod preparation;
mod probe;
mod process;
mod progress;
mod report;
mod results;
mod resume;
mod scenario;
mod search;
mod session;
mod simulate;
mod stage;
mod start;
mod stats;
mod suite;
mod workspace;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command, SessionArguments};
use crate::compare::Form;
use crate::contender::{Contender, availability, spec};
use crate::failure::Failure;
use crate::process::{launch, registry, signals};
use crate::results::store::Store;
use crate::scenario::Scenario;
use crate::scenario::described::files;
use crate::scenario::tune::Aim;
use crate::session::Wish;
use crate::suite::Lineup;
use crate::workspace::Workspace;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next() {
        Some(word) if word == launch::WORD => return ExitCode::from(launch::run(arguments)),
        Some(word) if word == floor::WORD => return ExitCode::from(floor::run(arguments)),
        _ => {}
    }
    let cli = Cli::parse();
    if let Err(error) = signals::watch() {
        eprintln!("bench: cannot watch for signals: {error}");
        return ExitCode::FAILURE;
    }
    let outcome = carry_out(cli);
    // Held until the process is gone, so that the signal thread and this one do not both clean up.
    let mut running = registry::lock();
    registry::end_everything(&mut running, registry::GRACE);
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("bench: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn carry_out(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        None => measure(&wish(&[], &[], cli.session)?),
        Some(Command::Run { resume: Some(folder), session, .. }) => {
            tell(&session::resume(&folder, smarthttpd(&session)?)?)
        }
        Some(Command::Run { suite: Some(suite), session, .. }) => {
            measure(&wished(suite::chosen(&suite)?, false, session)?)
        }
        Some(Command::Run { scenarios, contenders, resume: None, suite: None, session }) => {
            measure(&wish(&scenarios, &contenders, session)?)
        }
        Some(Command::List) => list(),
        Some(Command::Report { folder }) => tell(&Store::open(&folder)?),
        Some(Command::Compare(arguments)) => {
            let form = match (arguments.json, arguments.markdown) {
                (true, _) => Form::Json,
                (false, true) => Form::Markdown,
                (false, false) => Form::Text,
            };
            compare::run(&arguments.old, &arguments.new, arguments.threshold, form)
        }
        Some(Command::Simulate(arguments)) => simulate::run(&arguments),
    }
}

fn wish(scenarios: &[String], contenders: &[String], arguments: SessionArguments) -> Result<Wish, Failure> {
    let (scenarios, described) = suite::scenarios(scenarios)?;
    let named = !contenders.is_empty();
    let places = preparation::places(&Workspace::find()?);
    // What is a package of Python is installed on the way.
    let is_missing =
        |contender: &Contender| contender.package.is_none() && availability::missing(contender, &places).is_some();
    let contenders = spec::chosen_here(contenders, &scenarios, is_missing)?;
    let tuned = arguments.tuned;
    wished(Lineup { scenarios, described, contenders, tuned }, named, arguments)
}

fn wished(lineup: Lineup, named: bool, arguments: SessionArguments) -> Result<Wish, Failure> {
    let smarthttpd = smarthttpd(&arguments)?;
    let Lineup { mut scenarios, described, contenders, tuned } = lineup;
    // The search has no contenders of its own: whose settings are tried takes part in what they are chosen for.
    if (tuned || arguments.tuned) && !scenarios.contains(&Scenario::Tune) {
        if scenarios.iter().all(|scenario| Aim::of(*scenario).is_none()) {
            return Err(Failure::Usage(
                "--tuned: no setting is chosen for these scenarios; add steady, step, burst, curve or capacity".into(),
            ));
        }
        scenarios.push(Scenario::Tune);
    }
    Ok(Wish {
        contenders,
        scenarios,
        described,
        named,
        quick: arguments.quick,
        starts: arguments.starts,
        divide: arguments.divide,
        retries: arguments.retries,
        seed: arguments.seed,
        out: arguments.out,
        smarthttpd,
    })
}

/// The named binary's whole path: a server is started in another folder.
fn smarthttpd(arguments: &SessionArguments) -> Result<Option<PathBuf>, Failure> {
    let whole = |file: &PathBuf| {
        file.canonicalize().map_err(|error| Failure::Usage(format!("--smarthttpd {}: {error}", file.display())))
    };
    arguments.smarthttpd.as_ref().map(whole).transpose()
}

fn measure(wish: &Wish) -> Result<(), Failure> {
    tell(&session::run(wish)?)
}

/// Computes the report of a folder, prints its tables, and fails when something was not measured.
fn tell(store: &Store) -> Result<(), Failure> {
    let told = report::write(store)?;
    println!("{}", told.text);
    println!("report: {}", shown(&store.folder().join("report.html")));
    if told.unmeasured.is_empty() { Ok(()) } else { Err(Failure::Contenders(told.unmeasured.join("; "))) }
}

/// Relative to the current folder where that is possible.
fn shown(path: &Path) -> String {
    std::env::current_dir().ok().and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path).display().to_string()
}

fn list() -> Result<(), Failure> {
    let places = preparation::places(&Workspace::find()?);
    println!(
        "scenarios (* when no scenario is named; groups: request-path up to idle, process-manager up to memory, offered-load up to capacity, evidence up to rest):"
    );
    for scenario in Scenario::ALL {
        let mark = if Scenario::unnamed().contains(&scenario) { '*' } else { ' ' };
        println!("{mark} {:<20} {}", scenario.name(), scenario.about());
    }
    println!("\nscenarios that files describe, together called {}:", files::GROUP);
    for description in files::all()? {
        println!("  {:<22} {}: {}", description.name, description.title, description.about);
    }
    println!("\nsuites (--suite): scenarios, each with contenders of its own:");
    for suite in suite::all()? {
        println!("  {:<22} {}", suite.name, suite.about);
    }
    println!("\ncontenders (* in its scenarios when no contender is named):");
    let contenders = spec::all()?;
    for contender in &contenders {
        let mark = if contender.default { '*' } else { ' ' };
        println!("{mark} {:<20} {}", contender.name, contender.terms);
        let scenarios: Vec<&str> = contender.scenarios.iter().map(|scenario| scenario.name()).collect();
        println!("  {:<20} in {}", "", scenarios.join(", "));
        let available = match availability::missing(contender, &places) {
            Some(missing) => missing,
            None => availability::versions(contender, &places)
                .into_iter()
                .map(|(of, version)| format!("{of} {version}"))
                .collect::<Vec<_>>()
                .join(", "),
        };
        println!("  {:<20} {available}", "");
    }
    for (number, line) in availability::to_install(&contenders, &places).iter().enumerate() {
        println!("{}{line}", if number == 0 { "\nto install the rest:\n  " } else { "  " });
    }
    Ok(())
}
