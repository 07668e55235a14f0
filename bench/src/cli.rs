//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

const EXIT_CODES: &str = "\
Exit codes:
  0  everything that was asked for has been measured
  1  a file could not be read or written, or results are damaged
  2  the command line makes no sense: an unknown name, a folder that is not empty
  3  something that a run needs could not be built or installed; compare: a figure is worse than before
  4  a contender could not be measured; the report says which and why; compare: one that was measured before
  5  simulate --validate: a figure of the model is off by more than 15 %
  128+n  ended by signal n; everything that was started has been stopped";

/// Drives smarthttpd's modes and real servers side by side and writes a comparison report.
///
/// Alone it makes the default comparison: adaptive against prefork, real Apache and gunicorn, on a Flask application,
/// in at most four minutes after the build.
#[derive(Debug, Parser)]
#[command(name = "bench", version, after_help = EXIT_CODES, max_term_width = 100)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) session: SessionArguments,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run chosen scenarios with chosen contenders
    #[command(after_help = EXIT_CODES)]
    Run {
        /// Scenarios, see `bench list`, or files that describe one, as those of bench/scenarios do; request-path,
        /// process-manager and described stand for all of theirs [default: steady step]
        #[arg(value_name = "SCENARIO")]
        scenarios: Vec<String>,
        /// A contender, see `bench list`; may be repeated [default: those that the list marks]. The same one twice is an
        /// A/A comparison: what differs between the two is noise
        #[arg(long = "contender", value_name = "NAME")]
        contenders: Vec<String>,
        /// Go on with an interrupted session: make the runs that its folder does not hold yet, under the same
        /// circumstances; of the other options only --smarthttpd, where it was begun with one
        #[arg(long, value_name = "DIR")]
        #[arg(conflicts_with_all = ["scenarios", "contenders", "quick", "starts", "divide", "retries", "out", "seed"])]
        resume: Option<PathBuf>,
        /// Several scenarios, each with contenders of its own, see `bench list`; or a file that says which, as those of
        /// bench/suites do
        #[arg(long, value_name = "NAME", conflicts_with_all = ["scenarios", "contenders", "resume"])]
        suite: Option<String>,
        #[command(flatten)]
        session: SessionArguments,
    },
    /// List the scenarios and the contenders, and which of them can run here
    List,
    /// Compute summary, pictures and report again from the raw data in a results folder
    Report {
        /// The results folder
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Tell what changed from one session to another beyond noise, figure by figure; exit code 3 on a regression
    ///
    /// Differences are those whose bootstrap interval of new/old over starts excludes 1, and that remain when the share of
    /// false alarms among all that is told is held at 5 %.
    #[command(after_help = EXIT_CODES)]
    Compare(CompareArguments),
    /// Run the server's policies on a model of server, machine and clients, in simulated time
    #[command(after_help = EXIT_CODES)]
    Simulate(SimulateArguments),
}

/// Options of a comparison of two sessions.
#[derive(Debug, Args)]
pub(crate) struct CompareArguments {
    /// The results folder of the earlier session, or its summary.json
    #[arg(value_name = "OLD")]
    pub(crate) old: PathBuf,
    /// The results folder of the later session, or its summary.json
    #[arg(value_name = "NEW")]
    pub(crate) new: PathBuf,
    /// Ignore changes below so many percent
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = percent)]
    pub(crate) threshold: f64,
    /// Print everything as JSON instead of tables
    #[arg(long, conflicts_with = "markdown")]
    pub(crate) json: bool,
    /// Print Markdown for a pull request instead of tables
    #[arg(long)]
    pub(crate) markdown: bool,
}

/// A number of percent that makes sense as a bound of a change.
fn percent(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(percent) if (0.0..1e6).contains(&percent) => Ok(percent),
        _ => Err("a number of percent is needed, 0 or more, such as 2.5".into()),
    }
}

/// Options of a simulation.
#[derive(Debug, Args)]
pub(crate) struct SimulateArguments {
    /// A policy, see --list; may be repeated [default: all]
    #[arg(long = "policy", value_name = "NAME", num_args = 1..)]
    pub(crate) policies: Vec<String>,
    /// A scenario, see --list; may be repeated [default: those that the list marks]
    #[arg(long = "scenario", value_name = "NAME", num_args = 1..)]
    pub(crate) scenarios: Vec<String>,
    /// At most so many workers, instead of what the scenario or the policy says
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) workers_max: Option<u32>,
    /// Seed of everything that chance decides; the same seed gives the same results to the last byte
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Write data, tables, pictures and a page to this folder, which must be new or empty [default:
    /// results/simulate-DATE, or none with --json]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Print everything as JSON instead of tables
    #[arg(long)]
    pub(crate) json: bool,
    /// Compare the model with reality: simulate the runs of step, burst, compute, search and mixed in this results
    /// folder, and print both
    #[arg(long, value_name = "DIR", conflicts_with_all = ["policies", "scenarios", "workers_max", "out", "list"])]
    pub(crate) validate: Option<PathBuf>,
    /// List the scenarios and the policies
    #[arg(long)]
    pub(crate) list: bool,
}

/// Options of a session.
#[derive(Debug, Args)]
pub(crate) struct SessionArguments {
    /// Shorter stages and one start per contender: at most a minute (request-path: two and a half;
    /// process-manager: one and a half), figures without intervals
    #[arg(long)]
    pub(crate) quick: bool,
    /// Start each contender so many times for each scenario but search and tune, whatever the scenario's own number is; intervals
    /// need 3, and more starts narrow them
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) starts: Option<u32>,
    /// Try several settings of every contender that has some, and measure the best beside it as it comes
    #[arg(long)]
    pub(crate) tuned: bool,
    /// Divide the times of hello and flask by so much: for A/A comparisons, which need many starts and no long ones
    #[arg(long, value_name = "N", hide = true, value_parser = clap::value_parser!(u32).range(1..=20))]
    pub(crate) divide: Option<u32>,
    /// Make a run that the load generator calls INVALID again, up to so many times; the earlier attempts are kept
    /// beside the raw data
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) retries: u32,
    /// Write the results to this folder, which must be new or empty [default: results/DATE-MACHINE]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Seed of the order of runs, to repeat a session's order [default: from the clock; recorded]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Measure this smarthttpd binary instead of building one from the checkout
    #[arg(long, value_name = "FILE")]
    pub(crate) smarthttpd: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
