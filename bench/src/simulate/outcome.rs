//! The figures of one simulation.

use serde::{Deserialize, Serialize};

use super::model::record::{Recorder, quantile_ms};

/// What came of one policy in one scenario with one seed. Latencies are of answered requests, from the moment at which
/// the client wanted to send.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) scenario: String,
    pub(crate) policy: String,
    pub(crate) seed: u64,
    pub(crate) requests: u64,
    /// Requests without an answer in their client's time.
    pub(crate) failed: u64,
    pub(crate) mean_ms: Option<f64>,
    pub(crate) p50_ms: Option<f64>,
    pub(crate) p99_ms: Option<f64>,
    pub(crate) p99_9_ms: Option<f64>,
    pub(crate) max_ms: Option<f64>,
    /// Of the answers given while the load was nearer to its highest than to its lowest; `None` without such a time.
    pub(crate) burst_p99_ms: Option<f64>,
    /// The share of requests that were later than the objective, or failed.
    pub(crate) late_share: f64,
    /// Seconds in which more than one request in a hundred was.
    pub(crate) bad_seconds: u64,
    /// Workers (processes that serve, from their fork to their end) integrated over the time of the load.
    pub(crate) worker_seconds: f64,
    /// A lower bound of what meeting the objective takes with such workers.
    pub(crate) oracle_worker_seconds: f64,
    pub(crate) peak_workers: u32,
    pub(crate) forks: u64,
    pub(crate) crashes: u64,
    /// How often growing turned into shrinking or back.
    pub(crate) direction_changes: usize,
    /// By second of the load: p99 in milliseconds of the requests that arrived in it.
    pub(crate) p99_by_second: Vec<Option<f64>>,
    /// (second of the load, workers), each holding until the next.
    pub(crate) workers: Vec<(f64, u32)>,
    /// Orders of the policy, with their reasons.
    pub(crate) orders: Vec<Order>,
    /// How many events that took.
    pub(crate) events: u64,
}

pub(crate) use super::model::Order;

impl Outcome {
    /// Sums up what was recorded.
    pub(crate) fn new(scenario: &str, policy: &str, seed: u64, oracle: f64, record: Recorder) -> Self {
        let requests: u64 = record.seconds.iter().map(|second| second.requests).sum();
        let late: u64 = record.seconds.iter().map(|second| second.late).sum();
        let of = |quantile| quantile_ms(&record.latencies, quantile);
        Self {
            scenario: scenario.to_owned(),
            policy: policy.to_owned(),
            seed,
            requests,
            failed: record.failed,
            mean_ms: record.mean_ms(),
            p50_ms: of(0.5),
            p99_ms: of(0.99),
            p99_9_ms: of(0.999),
            max_ms: of(1.0),
            burst_p99_ms: quantile_ms(&record.in_bursts, 0.99),
            late_share: if requests > 0 { late as f64 / requests as f64 } else { 0.0 },
            bad_seconds: record.seconds.iter().filter(|second| second.is_bad()).count() as u64,
            worker_seconds: record.worker_seconds(),
            oracle_worker_seconds: oracle,
            peak_workers: record.peak,
            forks: record.forks,
            crashes: record.crashes,
            direction_changes: record.direction_changes(),
            p99_by_second: record.seconds.iter().map(|second| second.p99_ms()).collect(),
            workers: record.workers,
            orders: record.orders,
            events: record.events,
        }
    }

    /// At most one request in a hundred was late.
    pub(crate) fn meets_objective(&self) -> bool {
        self.late_share <= 1.0 - super::model::record::SHARE
    }

    /// What it spent, compared with the least that could have been spent.
    pub(crate) fn over_oracle(&self) -> f64 {
        self.worker_seconds / self.oracle_worker_seconds
    }
}
