//! The options that say what is shown and written.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use clap_complete::Shell;

use crate::output::FileOptions;

/// What is shown, and where results go.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputOptions {
    /// Write the report as JSON to FILE; - or nothing means standard output (and the summary then
    /// goes to standard error).
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) json: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) files: FileOptions,

    /// Show no progress.
    #[arg(short, long)]
    pub(crate) quiet: bool,

    /// Show progress as lines also on a terminal.
    #[arg(long)]
    pub(crate) no_live: bool,

    /// Print a completion script and exit.
    #[arg(long, value_name = "SHELL", exclusive = true)]
    pub(crate) completions: Option<Shell>,
}
