//! What a run found: plain data that serialises to the JSON report and reads back unchanged.
//!
//! Times are nanoseconds (`_ns`) or seconds (`_s`). Nothing here computes; `run` fills it in.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::distribution::Distribution;
use crate::engine::Engine;
use crate::error::ErrorKind;
use crate::floor::Floor;
use crate::objective::{Objective, Outcome, Verdict};
use crate::plan::{Load, Reuse, Shard};
use crate::targets::Order;

/// The result of a run.
///
/// Counts are about **recorded** requests: in an open loop those due in the measured time, in a
/// closed loop those started in it; never those of the warm-up. They add up:
/// `requests = answered + Σ errors of kinds that are no answer + abandoned`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Report {
    /// Program and version that made the report.
    pub generator: String,
    /// What was run.
    pub setup: Setup,
    /// Wall-clock time at which the measured time began (after the warm-up), seconds since 1970.
    pub started_unix_s: f64,
    /// Length of the measured time: the stages' sum, the closed loop's duration, or until the
    /// last answer when a number of requests was asked for; less when interrupted.
    pub duration_s: f64,
    /// Requests recorded.
    pub requests: u64,
    /// Whole responses received for them, whatever the status, also those after `duration_s`.
    pub answered: u64,
    /// Requests in flight or queued when the run was interrupted, or ended by its deadline. 0 for a
    /// run that ended by itself.
    pub abandoned: u64,
    /// Open loop: requests due per second over `duration_s`. `None` in a closed loop.
    pub offered_rate: Option<f64>,
    /// Requests taken up by a connection, per second of the time from the beginning to the end of
    /// the measured time or to the last take-up, whichever is later. In an open loop it falls below
    /// the offered rate when the generator, or the limit on connections, holds requests back.
    pub achieved_rate: f64,
    /// Whole responses per second, within `duration_s`: the throughput.
    pub answered_rate: f64,
    /// Bytes received, heads included; of the reqwest engine, which does not show them, content only.
    pub bytes_received: u64,
    /// Bytes sent; of the reqwest engine the content of answered requests only.
    pub bytes_sent: u64,
    /// Answers per status code.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests that failed, or were answered 4xx or 5xx. Kinds that did not occur are absent.
    pub errors: BTreeMap<ErrorKind, u64>,
    /// What the first error of each kind said, where there is more to say than the kind.
    pub error_examples: BTreeMap<ErrorKind, String>,
    /// Connections attempted, in the whole run (warm-up included).
    pub connects: u64,
    /// Of those, connections that replace one lost or closed by the target under keep-alive.
    pub reconnects: u64,
    /// Latency of the answered requests: from the intended send time (open loop) or from the
    /// moment a connection took up the request (closed loop) to the last byte.
    pub latency: Distribution,
    /// Service time of the answered requests: from the actual write to the last byte.
    pub service: Distribution,
    /// Open loop: how late the generator itself was, from the intended time to the moment it
    /// acted on the request. The target has no part in it, except through the CPU both share.
    pub send_lag: Distribution,
    /// Open loop: wait in the generator's queue for a free connection; 0 for most requests.
    pub queue_wait: Distribution,
    /// Time from starting a connection to the first write on it, of connections made; with TLS, to
    /// the beginning of its handshake. A proxy's own part is in it.
    pub connect: Distribution,
    /// Time to the first byte of the answered requests: from the actual write to the first byte of
    /// the answer that was read, interim (1xx) answers included; with the reqwest engine, to the end
    /// of its head. Absent from reports of versions that did not measure it, and empty then.
    #[serde(default)]
    pub first_byte: Distribution,
    /// Each request of a list, in its order; empty when the plan had only one.
    #[serde(default)]
    pub targets: Vec<RequestReport>,
    /// Time of the TLS handshake, of connections made; empty without TLS.
    #[serde(default)]
    pub tls: Distribution,
    /// CPU time of the generator's threads per answered request, the drain included: what this engine cost. `None` when
    /// nothing was answered.
    #[serde(default)]
    pub cpu_per_request_ns: Option<f64>,
    /// What the engine costs and adds by itself, on this machine. `None`: not measured. A run does not measure it;
    /// [`measure_floor`](crate::measure_floor) does. Of joined shards that of the one where it cost the most.
    #[serde(default)]
    pub floor: Option<Floor>,
    /// The run second by second (or whatever [`Setup::interval_s`] is).
    pub intervals: Vec<Interval>,
    /// One entry per generator thread.
    pub threads: Vec<ThreadReport>,
    /// True when the run was stopped from outside before its end.
    pub interrupted: bool,
    /// Why this run must not be used as a measurement, one sentence each. Empty: valid.
    pub validity: Vec<String>,
    /// What the run was held to, see [`Report::hold_to`]. Empty when to nothing.
    #[serde(default)]
    pub assertions: Vec<Verdict>,
}

impl Report {
    /// True when nothing speaks against using the figures.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.validity.is_empty()
    }

    /// Signs that the generator was at its own limit, one sentence each. They are among the reasons of
    /// [`Report::validity`]; a run that is past its target's limit on purpose is INVALID only by these.
    #[must_use]
    pub fn generator_limits(&self) -> Vec<String> {
        crate::validity::generator_limits(self)
    }

    /// Requests of every error kind together, 4xx and 5xx answers included.
    #[must_use]
    pub fn errors_total(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Requests that got no whole answer (abandoned ones not included).
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.errors.iter().filter(|(kind, _)| !kind.is_answer()).map(|(_, count)| count).sum()
    }

    /// Count of one error kind.
    #[must_use]
    pub fn errors_of(&self, kind: ErrorKind) -> u64 {
        self.errors.get(&kind).copied().unwrap_or(0)
    }

    /// Answers of one status class, 1 to 5.
    #[must_use]
    pub fn status_class(&self, class: u16) -> u64 {
        self.statuses.iter().filter(|(code, _)| *code / 100 == class).map(|(_, count)| count).sum()
    }

    /// Achieved over offered rate; `None` in a closed loop.
    #[must_use]
    pub fn achieved_over_offered(&self) -> Option<f64> {
        self.offered_rate.map(|offered| self.achieved_rate / offered)
    }

    /// Judges the run by `objectives`, and keeps the verdicts in [`Report::assertions`].
    pub fn hold_to(&mut self, objectives: &[Objective]) {
        self.assertions = objectives.iter().map(|objective| objective.judge(self)).collect();
    }

    /// Whether the run holds what it was held to. A missed bound counts only in a valid run, in
    /// which the figures are the target's; but a rate that was not achieved was not achieved,
    /// whoever is to blame.
    #[must_use]
    pub fn verdict(&self) -> Outcome {
        let is = |outcome| self.assertions.iter().filter(move |verdict| verdict.outcome == outcome);
        if is(Outcome::Missed).any(|verdict| verdict.of_rate || self.is_valid()) {
            Outcome::Missed
        } else if !self.is_valid() || is(Outcome::Undecided).next().is_some() {
            Outcome::Undecided
        } else {
            Outcome::Met
        }
    }

    /// The text summary of the run, several lines.
    #[must_use]
    pub fn summary(&self) -> String {
        crate::summary::render(self)
    }
}

/// What was run, so that a report stands on its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Setup {
    /// The target as given.
    pub target: String,
    /// The address that was connected to.
    pub address: String,
    /// What sent the requests.
    #[serde(default)]
    pub engine: Engine,
    /// Request method.
    pub method: String,
    /// Extra header fields; the values of `Authorization`, `Proxy-Authorization` and `Cookie` are
    /// hidden.
    pub headers: Vec<(String, String)>,
    /// Length of the request body.
    pub body_bytes: usize,
    /// The order of a list of requests; `None` without a list.
    #[serde(default)]
    pub order: Option<Order>,
    /// Seed of what is left to chance in requests.
    #[serde(default)]
    pub seed: u64,
    /// Connections sent back the cookies they were given.
    #[serde(default)]
    pub cookies: bool,
    /// Connections (closed loop) or most connections (open loop); of a shard its own part.
    pub connections: usize,
    /// Generator threads that ran.
    pub threads: usize,
    /// How requests came about; of a shard the load of all of them together.
    pub load: Load,
    /// Connection reuse.
    pub reuse: Reuse,
    /// Longest wait for an answer.
    pub timeout_s: f64,
    /// Longest wait for a connection.
    pub connect_timeout_s: f64,
    /// Load before the measured time.
    pub warmup_s: f64,
    /// CPUs that the threads were pinned to.
    pub cpus: Option<Vec<usize>>,
    /// Length of an interval.
    pub interval_s: f64,
    /// The part of a larger run that this one was; `None` for a run of its own.
    #[serde(default)]
    pub shard: Option<Shard>,
    /// Open loop: most requests due and unanswered. Absent here and below: a version that knew no
    /// such limit.
    #[serde(default)]
    pub max_outstanding: Option<usize>,
    /// Requests after which the generator closed a connection.
    #[serde(default)]
    pub requests_per_connection: Option<u64>,
    /// Longest time of the whole run.
    #[serde(default)]
    pub deadline_s: Option<f64>,
    /// Closed loop: time between an answer and the connection's next request.
    #[serde(default)]
    pub think_time_s: f64,
    /// Most requests that a connection had written and unanswered at a time.
    #[serde(default = "one")]
    pub pipeline: usize,
}

/// What versions that knew no pipelining did.
fn one() -> usize {
    1
}

/// What became of one request of a list, in the whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RequestReport {
    /// Request method.
    pub method: String,
    /// Path and query, places unfilled.
    pub path: String,
    /// How often it was to be sent, relative to the others.
    pub weight: u32,
    /// Recorded requests taken up by a connection.
    pub requests: u64,
    /// Whole responses received for them.
    pub answered: u64,
    /// Those that failed, and answers 4xx and 5xx.
    pub errors: u64,
    /// Latency of the answered ones; `None` in lists of more than 64 requests.
    pub latency: Option<Distribution>,
}

/// One interval of the run. Answers and errors belong to the interval in which they happened;
/// `offered` to that in which the requests were due.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Interval {
    /// Start, seconds after the beginning of the measured time.
    pub start_s: f64,
    /// Length; the last interval, and the last one of the measured time, may be shorter.
    pub duration_s: f64,
    /// True after the measured time, while outstanding requests are awaited.
    pub drain: bool,
    /// Requests due (open loop) or started (closed loop).
    pub offered: u64,
    /// The same per second.
    pub offered_rate: f64,
    /// Requests taken up by a connection.
    pub started: u64,
    /// Whole responses received.
    pub answered: u64,
    /// The same per second.
    pub answered_rate: f64,
    /// Requests due and not yet taken up at the end of the interval: the generator's queue.
    pub queued: u64,
    /// Requests taken up and unanswered at the end of the interval.
    pub in_flight: u64,
    /// Connections open at the end of the interval, idle ones included. (The reqwest engine learns only with the next
    /// request that the target has closed an idle one.)
    pub connections: u64,
    /// Answers per status code.
    pub statuses: BTreeMap<u16, u64>,
    /// Errors by kind.
    pub errors: BTreeMap<ErrorKind, u64>,
    /// Connections attempted.
    pub connects: u64,
    /// Of those, replacements under keep-alive.
    pub reconnects: u64,
    /// Latency of the answers in this interval.
    pub latency: Distribution,
    /// Their service time.
    pub service: Distribution,
    /// Their time to the first byte. Empty in reports of versions that did not keep it by interval.
    #[serde(default)]
    pub first_byte: Distribution,
    /// Send lag of the requests acted upon in this interval.
    pub send_lag: Distribution,
    /// CPU time per generator thread, as a share of the interval (1.0 is one CPU).
    pub thread_cpu: Vec<f64>,
}

impl Interval {
    /// Errors of every kind together.
    #[must_use]
    pub fn errors_total(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Start as a duration after the beginning of the measured time.
    #[must_use]
    pub fn start(&self) -> Duration {
        Duration::from_secs_f64(self.start_s)
    }
}

/// What one generator thread did in the measured time and the drain after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ThreadReport {
    /// CPU time, user and system.
    pub cpu_s: f64,
    /// CPU time over wall time, drain excluded; 1.0 is one CPU.
    pub cpu_share: f64,
    /// The CPU it was pinned to.
    pub pinned_to: Option<usize>,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::objective::parse_objectives;
    use crate::plan::Arrivals;
    use crate::stage::Stage;

    /// A plausible valid report of an open loop, for the tests of what reads reports.
    pub(crate) fn report() -> Report {
        let stage = Stage::steady(Duration::from_secs(10), 100.0);
        let mut histogram = Distribution::default().histogram().unwrap();
        for request in 0..1000 {
            histogram.record(2_000_000 + request * 1_000).unwrap();
        }
        let latency = Distribution::of(&histogram, 0);
        Report {
            generator: "loadgen test".to_owned(),
            setup: Setup {
                target: "http://127.0.0.1:8000/".to_owned(),
                address: "127.0.0.1:8000".to_owned(),
                engine: Engine::Fast,
                method: "GET".to_owned(),
                headers: Vec::new(),
                body_bytes: 0,
                order: None,
                seed: 0,
                cookies: false,
                connections: 64,
                threads: 1,
                load: Load::Open { stages: vec![stage], arrivals: Arrivals::Poisson, seed: 7 },
                reuse: Reuse::KeepAlive,
                timeout_s: 10.0,
                connect_timeout_s: 5.0,
                warmup_s: 0.0,
                cpus: None,
                interval_s: 1.0,
                shard: None,
                max_outstanding: None,
                requests_per_connection: None,
                deadline_s: None,
                think_time_s: 0.0,
                pipeline: 1,
            },
            started_unix_s: 1.7e9,
            duration_s: 10.0,
            requests: 1000,
            answered: 1000,
            abandoned: 0,
            offered_rate: Some(100.0),
            achieved_rate: 100.0,
            answered_rate: 99.9,
            bytes_received: 123_456,
            bytes_sent: 60_000,
            statuses: BTreeMap::from([(200, 998), (503, 2)]),
            errors: BTreeMap::from([(ErrorKind::Status5xx, 2)]),
            error_examples: BTreeMap::new(),
            connects: 5,
            reconnects: 1,
            service: latency.clone(),
            send_lag: Distribution::default(),
            queue_wait: Distribution::default(),
            connect: Distribution::default(),
            first_byte: Distribution::default(),
            tls: Distribution::default(),
            cpu_per_request_ns: Some(25_000.0),
            floor: None,
            latency,
            targets: Vec::new(),
            intervals: Vec::new(),
            threads: vec![ThreadReport { cpu_s: 1.0, cpu_share: 0.1, pinned_to: Some(1) }],
            interrupted: false,
            validity: Vec::new(),
            assertions: Vec::new(),
        }
    }

    #[test]
    fn a_verdict_needs_a_valid_run_unless_it_is_about_the_rate() {
        use Outcome::{Met, Missed, Undecided};
        // objectives, the run is valid, verdict
        let rows = [
            ("p50<1s", true, Met),
            ("p50<1s,errors<1%", true, Met),
            ("p50<1s,errors<0.1%", true, Missed),
            ("p99.9<1s", true, Undecided),
            ("p99.9<1s,errors<0.1%", true, Missed),
            ("errors<0.1%", false, Undecided),
            ("p50<1s", false, Undecided),
            ("rate>1", false, Missed),
            ("rate>0.9", false, Undecided),
        ];
        for (objectives, valid, verdict) in rows {
            let mut report = report();
            if !valid {
                report.validity.push("the generator was too slow".to_owned());
            }
            report.hold_to(&parse_objectives(objectives).unwrap());
            assert_eq!(report.verdict(), verdict, "{objectives} {valid}");
        }
    }

    /// A second of a run that had these latencies and nothing else.
    pub(crate) fn interval(start_s: f64, latencies_ns: &[u64]) -> Interval {
        let mut histogram = Distribution::default().histogram().unwrap();
        latencies_ns.iter().for_each(|nanos| histogram.record(*nanos).unwrap());
        let latency = Distribution::of(&histogram, 0);
        let answered = latency.count;
        Interval {
            start_s,
            duration_s: 1.0,
            drain: false,
            offered: answered,
            offered_rate: answered as f64,
            started: answered,
            answered,
            answered_rate: answered as f64,
            queued: 0,
            in_flight: 0,
            connections: 5,
            statuses: if answered > 0 { BTreeMap::from([(200, answered)]) } else { BTreeMap::new() },
            errors: BTreeMap::new(),
            connects: 0,
            reconnects: 0,
            service: latency.clone(),
            first_byte: latency.clone(),
            send_lag: Distribution::default(),
            latency,
            thread_cpu: vec![0.1],
        }
    }

    #[test]
    fn a_report_survives_json() {
        let mut report = report();
        report.hold_to(&parse_objectives("p50<1s,p99.9<1s").unwrap());
        let json = serde_json::to_string(&report).unwrap();
        assert!(json.contains(r#""status_5xx":2"#), "{json}");
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    }

    #[test]
    fn a_report_of_a_version_that_measured_less_can_still_be_read() {
        let mut report = report();
        report.intervals = vec![Interval { first_byte: Distribution::default(), ..interval(0.0, &[1_000]) }];
        let mut json = serde_json::to_value(&report).unwrap();
        json.as_object_mut().unwrap().remove("first_byte");
        json["intervals"][0].as_object_mut().unwrap().remove("first_byte");
        let setup = json["setup"].as_object_mut().unwrap();
        for field in ["max_outstanding", "requests_per_connection", "deadline_s", "think_time_s", "pipeline"] {
            assert!(setup.remove(field).is_some(), "{field}");
        }
        assert_eq!(serde_json::from_value::<Report>(json).unwrap(), report);
    }
}
