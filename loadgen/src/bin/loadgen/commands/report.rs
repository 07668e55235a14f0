//! `loadgen report`: an earlier run's report, shown or written in other formats.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use crate::failure::Failure;
use crate::output::{FileOptions, Output, Outputs};

/// Its arguments.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The report, as written by --json.
    #[arg(value_name = "RESULT.json", value_hint = ValueHint::FilePath)]
    result: PathBuf,

    #[command(flatten)]
    files: FileOptions,
}

impl Arguments {
    /// Writes what is asked for; the summary, if nothing is.
    pub(super) fn execute(&self) -> Result<u8, Failure> {
        let report = super::read(&self.result)?;
        let outputs = Outputs::open(&self.files, None)?;
        if outputs.is_empty() {
            Output::stdout().write(report.summary().as_bytes())?;
        } else {
            outputs.write(&report)?;
        }
        Ok(0)
    }
}
