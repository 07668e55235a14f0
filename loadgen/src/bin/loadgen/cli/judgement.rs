//! The options that say what a run is held to.

use clap::Args;
use loadgen::{Objective, ObjectiveError, Plan, Question, parse_objectives, parse_rate, parse_share};

use super::load::LoadOptions;

/// What a search decides itself, or cannot be held to. Its own options exclude it as well: the parser
/// does not ask for a partner that is excluded already.
const NOT_IN_A_SEARCH: [&str; 5] = ["rate", "stages", "requests", "hdr", "assertions"];

/// What is decided with the figures.
#[derive(Debug, Args)]
#[command(next_help_heading = "Judgement")]
pub(crate) struct JudgementOptions {
    /// Fail, with exit code 3, unless this holds: METRIC<BOUND, for instance p99<50ms, errors<1%,
    /// rate>0.99; may be repeated, or hold several with commas. Metrics: p50…p99.999, max, mean of
    /// the latency (also service.p99, ttfb.p99, connect.p99, lag.p99, queue.p99), errors, rate (achieved over
    /// offered), rps (answers per second); compared with <, <=, > or >=.
    #[arg(long = "assert", value_name = "OBJECTIVE", value_parser = parse_list)]
    assertions: Vec<ObjectiveList>,

    /// Search for the highest rate at which this holds: OBJECTIVE,… as for --assert, for instance
    /// 'p99<50ms,errors<0.1%'. Each rate is a run of --duration; rates are doubled, then bisected,
    /// and the result is confirmed.
    #[arg(long, value_name = "OBJECTIVES", value_parser = parse_list)]
    #[arg(conflicts_with_all = NOT_IN_A_SEARCH)]
    find_capacity: Option<ObjectiveList>,

    /// Search: the first rate [default: the lowest that has enough requests for the objectives].
    #[arg(long, value_name = "RATE", value_parser = parse_rate, requires = "find_capacity")]
    #[arg(conflicts_with_all = NOT_IN_A_SEARCH)]
    min_rate: Option<f64>,

    /// Search: try no higher rate.
    #[arg(long, value_name = "RATE", default_value = "1000000/s", value_parser = parse_rate)]
    #[arg(requires = "find_capacity", conflicts_with_all = NOT_IN_A_SEARCH)]
    max_rate: f64,

    /// Search: end when the rate found and the one that failed differ by no more than this.
    #[arg(long, value_name = "SHARE", default_value = "5%", value_parser = parse_share)]
    #[arg(requires = "find_capacity", conflicts_with_all = NOT_IN_A_SEARCH)]
    precision: f64,
}

impl JudgementOptions {
    /// Whether many runs are asked for, with rates of the search's choice.
    pub(super) fn is_search(&self) -> bool {
        self.find_capacity.is_some()
    }

    /// The search that `--find-capacity` asks for, made of trials like `plan` with this load.
    pub(super) fn question(&self, plan: Plan, load: &LoadOptions) -> Option<Question> {
        let ObjectiveList(objectives) = self.find_capacity.as_ref()?;
        Some(Question {
            plan,
            objectives: objectives.clone(),
            duration: load.duration(),
            arrivals: load.arrivals(),
            seed: load.seed,
            minimum: self.min_rate,
            maximum: self.max_rate,
            precision: self.precision,
        })
    }

    /// What `--assert` asks for, in its order.
    pub(crate) fn assertions(&self) -> Vec<Objective> {
        self.assertions.iter().flat_map(|ObjectiveList(list)| list.iter().cloned()).collect()
    }
}

/// One value for clap, which would take a bare `Vec` for a repeated option.
#[derive(Clone, Debug)]
struct ObjectiveList(Vec<Objective>);

fn parse_list(text: &str) -> Result<ObjectiveList, ObjectiveError> {
    parse_objectives(text).map(ObjectiveList)
}
