//! The `loadgen` command: arguments in, progress and a report out, an exit code that means
//! something. Everything that measures is in the library.

#![forbid(unsafe_code)]

mod cli;
mod commands;
mod failure;
mod interrupt;
mod live;
mod output;
mod progress;
mod search;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::SystemTime;

use clap::{CommandFactory, Parser};
use loadgen::{FloorQuestion, Outcome, Report, RunError, measure_floor};

use cli::Arguments;
use failure::Failure;
use output::{Output, Outputs};
use progress::Progress;

fn main() -> ExitCode {
    if std::env::args_os().len() < 2 {
        // Nothing is left to do when standard error is closed.
        let _ = io::stderr().write_all(cli::SHORT_HELP.as_bytes());
        return ExitCode::from(2);
    }
    let arguments = Arguments::parse();
    if let Some(shell) = arguments.output.completions {
        clap_complete::generate(shell, &mut Arguments::command(), "loadgen", &mut io::stdout());
        return ExitCode::SUCCESS;
    }
    let code = dispatch(&arguments).unwrap_or_else(|failure| {
        let _ = writeln!(io::stderr(), "loadgen: {failure}");
        failure.exit_code()
    });
    ExitCode::from(code)
}

/// Does what is asked for, to its exit code.
fn dispatch(arguments: &Arguments) -> Result<u8, Failure> {
    if let Some(command) = &arguments.command {
        return command.execute();
    }
    match arguments.question()? {
        Some(question) => search::execute(&question, &arguments.output).map(|found| search::exit_code(&found.finding)),
        None => execute(arguments),
    }
}

/// The exit code that a report means; `--help` lists them.
fn exit_code(report: &Report) -> u8 {
    match (report.interrupted, report.verdict()) {
        (true, _) => interrupt::EXIT_CODE,
        (false, Outcome::Missed) => 3,
        (false, Outcome::Undecided) => 5,
        (false, Outcome::Met) => 0,
    }
}

/// Runs the plan, shows and writes what it found; gives the exit code.
fn execute(arguments: &Arguments) -> Result<u8, Failure> {
    let plan = arguments.plan()?;
    plan.check().map_err(RunError::from)?;
    let options = &arguments.output;
    let outputs = Outputs::open(&options.files, options.json.as_deref())?;
    let stop = interrupt::watch().map_err(Failure::Signals)?;

    if let Some(wait) = plan.start_at.and_then(|start| start.duration_since(SystemTime::now()).ok())
        && !options.quiet
    {
        let _ = writeln!(io::stderr(), "loadgen: starts in {:.1} s", wait.as_secs_f64());
    }
    let mut progress = Progress::new(options.quiet, !options.no_live, &plan);
    let report = loadgen::run(&plan, &mut |interval| progress.show(interval), &stop);
    progress.end();
    let mut report = report?;
    report.hold_to(&arguments.judgement.assertions());
    if arguments.generator.measures_floor(&plan.engine) && !report.interrupted {
        match measure_floor(&FloorQuestion::of(&plan), &stop) {
            Ok(floor) => report.floor = floor,
            // The run is over, and must not be lost to this.
            Err(error) => {
                let _ = writeln!(io::stderr(), "loadgen: --floor: {error}; the report does without");
            }
        }
    }

    let summary = report.summary();
    if outputs.take_stdout() {
        let _ = io::stderr().write_all(summary.as_bytes());
    } else {
        Output::stdout().write(summary.as_bytes())?;
    }
    outputs.write(&report)?;
    Ok(exit_code(&report))
}
