//! The search for a capacity as users see it: progress, outputs and the exit code. The searching is
//! done by the library.

use std::io::{self, Write};
use std::sync::atomic::AtomicBool;

use loadgen::{Capacity, Finding, Purpose, Question, RunError, SearchEvent};

use crate::cli::OutputOptions;
use crate::failure::Failure;
use crate::interrupt;
use crate::output::Output;
use crate::progress::TrialLines;

/// Carries out the search and writes what was asked for.
pub(crate) fn execute(question: &Question, output: &OutputOptions) -> Result<Capacity, Failure> {
    question.check().map_err(RunError::from)?;
    // Opened before the search: an hour's work must not be lost to a misspelt folder.
    let json = output.json.as_deref().map(Output::create).transpose()?;
    let stop = interrupt::watch().map_err(Failure::Signals)?;
    let capacity = search(question, output.quiet, &stop)?;
    let summary = capacity.summary();
    if json.as_ref().is_some_and(Output::is_stdout) {
        let _ = io::stderr().write_all(summary.as_bytes());
    } else {
        Output::stdout().write(summary.as_bytes())?;
    }
    if let Some(json) = json {
        json.write_json(&capacity)?;
    }
    Ok(capacity)
}

fn search(question: &Question, quiet: bool, stop: &AtomicBool) -> Result<Capacity, RunError> {
    let mut progress = TrialLines::new(quiet);
    let found = loadgen::find_capacity(
        question,
        &mut |event| match event {
            SearchEvent::Begun { number, rate, purpose } => {
                let purpose = match purpose {
                    Purpose::Double => "doubling",
                    Purpose::Bisect => "bisecting",
                    Purpose::Confirm => "confirming",
                };
                progress.passing(&format!("trial {number}: {purpose}, {rate}/s"));
            }
            SearchEvent::Interval(interval) => progress.passing(&interval.line()),
            SearchEvent::Ended(trial) => progress.lasting(&trial.line()),
        },
        stop,
    );
    progress.end();
    found
}

/// The exit code that a finding means; `--help` lists them.
pub(crate) fn exit_code(finding: &Finding) -> u8 {
    match finding {
        Finding::Found { .. } | Finding::AtLeast { .. } => 0,
        Finding::NotSustained { .. } => 3,
        Finding::TargetLost { .. } => 4,
        Finding::GeneratorLimited { .. } | Finding::NotMeasured { .. } => 5,
        Finding::Interrupted { .. } => interrupt::EXIT_CODE,
    }
}
