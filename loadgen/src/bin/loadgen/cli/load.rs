//! The options that say how requests come about, and the load they mean.

use std::time::Duration;

use clap::{Args, ValueEnum};
use loadgen::{Arrivals, Load, Stage, Stop, parse_duration, parse_rate, parse_stages};

/// How much to send, and when.
#[derive(Debug, Args)]
#[command(next_help_heading = "Load")]
pub(super) struct LoadOptions {
    /// Run this long [default: 10s].
    #[arg(short, long, value_name = "TIME", value_parser = parse_duration)]
    duration: Option<Duration>,

    /// Closed loop: stop after this many requests instead.
    #[arg(short = 'n', long, value_name = "COUNT", conflicts_with_all = ["duration", "rate", "stages"])]
    requests: Option<u64>,

    /// Open loop at this total rate, for instance 500/s.
    #[arg(short, long, value_parser = parse_rate)]
    rate: Option<f64>,

    /// Open loop with several rates: TIME@RATE,… for instance 5s@20,15s@400,12s@20; a rate
    /// FROM..TO is a ramp, for instance 30s@100..1000.
    #[arg(long, value_parser = parse_stage_list, conflicts_with_all = ["duration", "rate"])]
    stages: Option<StageList>,

    /// Open loop: requests evenly spaced, or independent of one another as from many users.
    #[arg(long, value_enum, default_value_t = Spread::Constant)]
    arrivals: Spread,

    /// Seed of Poisson arrivals, of --order random and of {rand}.
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,

    /// Send load for this long before measuring.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = parse_duration)]
    pub(super) warmup: Duration,

    /// Open loop: most requests due and unanswered; further ones are not sent, and are errors.
    #[arg(long, value_name = "COUNT")]
    pub(super) max_outstanding: Option<usize>,

    /// Longest time of the whole run; what is unanswered then makes it INVALID.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(super) deadline: Option<Duration>,

    /// Closed loop: wait this long between an answer and the next request of its connection.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = parse_duration)]
    pub(super) think_time: Duration,
}

/// The spelling of [`Arrivals`]. Its variants have no help of their own, which would make clap
/// spread the whole help over twice the lines.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Spread {
    Constant,
    Poisson,
}

/// One value for clap, which would take a bare `Vec` for a repeated option.
#[derive(Clone, Debug)]
struct StageList(Vec<Stage>);

impl LoadOptions {
    /// How long a run with one rate, or a closed loop, lasts.
    pub(super) fn duration(&self) -> Duration {
        self.duration.unwrap_or(Duration::from_secs(10))
    }

    /// How arrivals of an open loop are spread.
    pub(super) fn arrivals(&self) -> Arrivals {
        match self.arrivals {
            Spread::Constant => Arrivals::Constant,
            Spread::Poisson => Arrivals::Poisson,
        }
    }

    /// The load of a search's trial, at a rate that the search replaces.
    pub(super) fn trial(&self) -> Load {
        let stages = vec![Stage::steady(self.duration(), 1.0)];
        Load::Open { stages, arrivals: self.arrivals(), seed: self.seed }
    }

    /// The load that these options mean.
    pub(super) fn load(&self) -> Load {
        let duration = self.duration();
        let stages = match (&self.stages, self.rate) {
            (Some(StageList(stages)), _) => Some(stages.clone()),
            (None, Some(rate)) => Some(vec![Stage::steady(duration, rate)]),
            (None, None) => None,
        };
        match stages {
            Some(stages) => Load::Open { stages, arrivals: self.arrivals(), seed: self.seed },
            None => Load::Closed { stop: self.requests.map_or(Stop::Duration(duration), Stop::Requests) },
        }
    }
}

fn parse_stage_list(text: &str) -> Result<StageList, loadgen::QuantityError> {
    parse_stages(text).map(StageList)
}
