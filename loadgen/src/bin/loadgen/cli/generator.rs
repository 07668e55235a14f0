//! The options of the generator itself.

use std::time::Duration;

use clap::{Args, ValueEnum};
use loadgen::{Engine, parse_duration};

/// How this machine generates the load.
#[derive(Debug, Args)]
#[command(next_help_heading = "Generator")]
pub(crate) struct GeneratorOptions {
    /// Generator threads.
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    pub(super) threads: usize,

    /// Pin the threads to these CPUs, for instance 1 or 2,3.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub(super) cpus: Option<Vec<usize>>,

    /// Length of an interval of the report and of the progress display.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    pub(super) interval: Duration,

    /// Measure for a second after the run what the engine costs and adds by itself, against a server in this process
    /// that does nothing: always, never, or auto, which is after runs of the reqwest engine.
    #[arg(long, value_name = "WHEN", value_enum, num_args = 0..=1, default_value = "auto")]
    #[arg(default_missing_value = "always", conflicts_with = "find_capacity")]
    floor: When,
}

/// Whether the engine's floor is measured after a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum When {
    Auto,
    Always,
    Never,
}

impl GeneratorOptions {
    /// Whether the floor of `engine` is asked for. The fast engine's is so low that it seldom matters; the other's can be
    /// taken for a target's latency.
    pub(crate) fn measures_floor(&self, engine: &Engine) -> bool {
        match self.floor {
            When::Auto => *engine != Engine::Fast,
            When::Always => true,
            When::Never => false,
        }
    }
}
