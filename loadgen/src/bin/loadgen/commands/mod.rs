//! The subcommands: what can be done with the results of runs, and what the generator itself costs. None of them sends
//! anything to a target.

pub(crate) mod compare;
pub(crate) mod floor;
pub(crate) mod merge;
pub(crate) mod report;

use std::path::Path;

use clap::Subcommand;
use loadgen::Report;

use crate::failure::Failure;

/// What to do instead of running.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the report of an earlier run, or write it in other formats.
    Report(report::Arguments),
    /// Say what differs between two runs, beyond what their samples leave open.
    Compare(compare::Arguments),
    /// Join the results of a run's shards into one.
    Merge(merge::Arguments),
    /// Say what the generator costs and adds by itself, on this machine.
    Floor(floor::Arguments),
}

impl Command {
    /// Carries it out; gives the exit code.
    pub(crate) fn execute(&self) -> Result<u8, Failure> {
        match self {
            Self::Report(arguments) => arguments.execute(),
            Self::Compare(arguments) => arguments.execute(),
            Self::Merge(arguments) => arguments.execute(),
            Self::Floor(arguments) => arguments.execute(),
        }
    }
}

/// Reads a JSON report.
fn read(path: &Path) -> Result<Report, Failure> {
    let text = read_text(path)?;
    serde_json::from_str(&text).map_err(|error| Failure::Content {
        path: path.to_owned(),
        reason: format!("no report of loadgen (written by --json): {error}"),
    })
}

fn read_text(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|source| Failure::Input { path: path.to_owned(), source })
}
