//! The options of the generator itself.

use std::time::Duration;

use clap::Args;
use loadgen::parse_duration;

/// How this machine generates the load.
#[derive(Debug, Args)]
#[command(next_help_heading = "Generator")]
pub(super) struct GeneratorOptions {
    /// Generator threads.
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    pub(super) threads: usize,

    /// Pin the threads to these CPUs, for instance 1 or 2,3.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub(super) cpus: Option<Vec<usize>>,

    /// Length of an interval of the report and of the progress display.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    pub(super) interval: Duration,
}
