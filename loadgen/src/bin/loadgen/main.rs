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

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use loadgen::RunError;

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
    if let Some(shell) = arguments.completions {
        clap_complete::generate(shell, &mut Arguments::command(), "loadgen", &mut io::stdout());
        return ExitCode::SUCCESS;
    }
    let outcome = match &arguments.command {
        Some(command) => command.execute(),
        None => execute(&arguments),
    };
    outcome.map_or_else(
        |failure| {
            let _ = writeln!(io::stderr(), "loadgen: {failure}");
            ExitCode::from(failure.exit_code())
        },
        ExitCode::from,
    )
}

/// Runs the plan, shows and writes what it found; gives the exit code.
fn execute(arguments: &Arguments) -> Result<u8, Failure> {
    let plan = arguments.plan()?;
    plan.check().map_err(RunError::from)?;
    let options = &arguments.output;
    let outputs = Outputs::open(&options.files, options.json.as_deref())?;
    let stop = interrupt::watch().map_err(Failure::Signals)?;

    let mut progress = Progress::new(options.quiet, !options.no_live, &plan);
    let report = loadgen::run(&plan, &mut |interval| progress.show(interval), &stop);
    progress.end();
    let report = report?;

    let summary = report.summary();
    if outputs.take_stdout() {
        let _ = io::stderr().write_all(summary.as_bytes());
    } else {
        Output::stdout().write(summary.as_bytes())?;
    }
    outputs.write(&report)?;
    Ok(match (report.interrupted, report.is_valid()) {
        (true, _) => interrupt::EXIT_CODE,
        (false, false) => 5,
        (false, true) => 0,
    })
}
