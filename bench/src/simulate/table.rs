//! A scenario's outcomes as a table for a terminal.

use super::outcome::Outcome;
use super::scenario::Scenario;
use crate::report::{aligned, number};

const HEADER: [&str; 14] = [
    "policy",
    "p50, ms",
    "p99, ms",
    "burst p99",
    "late, %",
    "met",
    "bad s",
    "failed",
    "worker-s",
    "×oracle",
    "peak",
    "forks",
    "crashes",
    "turns",
];

/// What the columns mean, once below all tables.
pub(crate) const LEGEND: &str = "\
late: share of requests later than the objective, or failed; met: at most 1 %; bad s: seconds in which it was more
worker-s: processes × seconds while the load lasted; ×oracle: against a lower bound, which knows the future, of what\n\
meeting the objective takes
turns: how often growing became shrinking or back";

/// The table, with a line above that says what was simulated.
pub(crate) fn of(scenario: &Scenario, outcomes: &[Outcome]) -> String {
    let mut rows = vec![HEADER.map(String::from).to_vec()];
    let milliseconds = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), number);
    rows.extend(outcomes.iter().map(|outcome| {
        vec![
            outcome.policy.clone(),
            milliseconds(outcome.p50_ms),
            milliseconds(outcome.p99_ms),
            milliseconds(outcome.burst_p99_ms),
            number(outcome.late_share * 100.0),
            if outcome.meets_objective() { "yes" } else { "no" }.to_owned(),
            outcome.bad_seconds.to_string(),
            outcome.failed.to_string(),
            number(outcome.worker_seconds),
            number(outcome.over_oracle()),
            outcome.peak_workers.to_string(),
            outcome.forks.to_string(),
            outcome.crashes.to_string(),
            outcome.direction_changes.to_string(),
        ]
    }));
    let requests = outcomes.first().map_or(0.0, |outcome| outcome.requests as f64);
    format!(
        "{}: {} ({} requests, objective {} ms, {} cores)\n{}",
        scenario.name,
        scenario.about,
        number(requests),
        number(scenario.objective_ms),
        number(scenario.cores),
        aligned(&rows)
    )
}
