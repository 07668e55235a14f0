//! What a run is asked to hold: `p99<50ms`, `errors<1%`, `rate>0.99`; and whether a report holds
//! it. Pure: text and reports in, verdicts out. The command's gates and the search for a capacity
//! use it.
//!
//! ```text
//! objectives = objective *( "," objective )
//! objective  = metric ( "<" | "<=" | ">" | ">=" ) bound            ; spaces are allowed between
//! metric     = [ times "." ] figure | "errors" | "rate" | "rps"
//! times      = "latency" | "service" | "ttfb" | "connect" | "lag" | "queue"
//!                                                              ; latency if not given
//! figure     = "p" number | "max" | "mean"                         ; p50, p99.9, p99.999
//! bound      = a duration with its unit, for a time: 50ms, 1.5s, 250us
//!            | a share, for errors and rate: 1% or 0.01
//!            | requests per time, for rps: 500, 500/s, 30000/m
//! ```

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::distribution::{Distribution, needed};
use crate::quantity::{number, parse_duration, parse_share, rate};
use crate::report::Report;

/// A bound on one figure of a report.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    metric: Metric,
    comparison: Comparison,
    bound: f64,
    /// As it was written, without its spaces.
    text: String,
}

/// Which figure of a report.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Metric {
    /// Nanoseconds.
    Time(Times, Figure),
    /// Failed requests and answers 4xx or 5xx, over all requests.
    Errors,
    /// Achieved over offered rate.
    Rate,
    /// Whole answers per second.
    Throughput,
}

/// Which times.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Times {
    Latency,
    Service,
    FirstByte,
    Connect,
    Lag,
    Queue,
}

/// Which figure of the times.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Figure {
    /// More than 0 and less than 1.
    Quantile(f64),
    Max,
    Mean,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Less,
    AtMost,
    More,
    AtLeast,
}

/// An objective that cannot be read; the message quotes it and shows a right one.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ObjectiveError {
    /// No comparison in it.
    #[error("{0:?} compares nothing; write METRIC<BOUND, for instance p99<50ms (also <=, >, >=)")]
    Comparison(String),
    /// A figure that no report has.
    #[error(
        "{0:?} is no metric; write p50, p99.9, max or mean (also service.p99, ttfb.p99, connect.max, \
         lag.p99, queue.p99), errors, rate or rps"
    )]
    Metric(String),
    /// No time with a unit.
    #[error("{0:?} is no bound of a time; write a number with its unit, for instance 50ms, 1.5s, 250us")]
    Time(String),
    /// No share.
    #[error("{0:?} is no share; write for instance 1% or 0.01")]
    Share(String),
    /// No rate.
    #[error("{0:?} is no rate; write for instance 500/s, 30000/m or 500")]
    Rate(String),
}

/// What a report says about an objective.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The bound holds.
    Met,
    /// It does not.
    Missed,
    /// The report cannot tell, see [`Verdict::reason`].
    Undecided,
}

/// An objective, judged by a report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Verdict {
    /// The objective as it was written.
    pub objective: String,
    /// What the report says.
    pub outcome: Outcome,
    /// The figure that was compared: nanoseconds, a share from 0 to 1, or answers per second.
    /// `None` when the report has none.
    pub value: Option<f64>,
    /// What it was compared with, in the same unit.
    pub bound: f64,
    /// The figure with its unit, for people; or why there is none.
    pub shown: String,
    /// Why the outcome is undecided.
    pub reason: Option<String>,
    /// The objective is about the generator's side of the schedule: achieved over offered rate.
    /// Such a verdict stands in an INVALID run too, because it says the same.
    pub of_rate: bool,
}

impl Verdict {
    /// The metric that the objective is about, as it was written.
    #[must_use]
    pub fn metric(&self) -> &str {
        metric_of(&self.objective)
    }
}

fn metric_of(objective: &str) -> &str {
    objective.split(['<', '>']).next().unwrap_or_default()
}

/// Reads objectives separated by commas.
///
/// # Errors
/// The first that cannot be read.
pub fn parse_objectives(text: &str) -> Result<Vec<Objective>, ObjectiveError> {
    text.split(',').map(str::parse).collect()
}

impl Objective {
    /// Holds `report` to the objective. A percentile that fewer than ten requests lie beyond
    /// decides nothing.
    #[must_use]
    pub fn judge(&self, report: &Report) -> Verdict {
        let verdict = |outcome, value, shown: String, reason| Verdict {
            objective: self.text.clone(),
            outcome,
            value,
            bound: self.bound,
            shown,
            reason,
            of_rate: self.metric == Metric::Rate,
        };
        let Some(value) = self.metric.value(report) else {
            let reason = self.metric.absence();
            return verdict(Outcome::Undecided, None, reason.to_owned(), Some(reason.to_owned()));
        };
        let shown = self.metric.show(value);
        if let Some((needed, count)) = self.samples(report).filter(|(needed, count)| count < needed) {
            let reason = format!(
                "it takes {needed} requests to state a {}, and there are {count}: run longer",
                metric_of(&self.text)
            );
            return verdict(Outcome::Undecided, Some(value), shown, Some(reason));
        }
        let holds = match self.comparison {
            Comparison::Less => value < self.bound,
            Comparison::AtMost => value <= self.bound,
            Comparison::More => value > self.bound,
            Comparison::AtLeast => value >= self.bound,
        };
        verdict(if holds { Outcome::Met } else { Outcome::Missed }, Some(value), shown, None)
    }

    /// Requests that it takes to decide, and those that the report has.
    fn samples(&self, report: &Report) -> Option<(u64, u64)> {
        match self.metric {
            Metric::Time(times, Figure::Quantile(quantile)) => Some((needed(quantile), times.of(report).count)),
            _ => None,
        }
    }

    /// Answered requests without which it decides nothing; 1 where any number will do.
    pub(crate) fn needed(&self) -> u64 {
        match self.metric {
            Metric::Time(_, Figure::Quantile(quantile)) => needed(quantile),
            _ => 1,
        }
    }

    /// More load cannot make it hold: a bound from above on times or errors, from below on what was
    /// achieved. Only such objectives limit a capacity.
    pub(crate) fn limits_load(&self) -> bool {
        let above = matches!(self.comparison, Comparison::Less | Comparison::AtMost);
        match self.metric {
            Metric::Time(..) | Metric::Errors => above,
            Metric::Rate => !above,
            Metric::Throughput => false,
        }
    }
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Objective {
    type Err = ObjectiveError;

    fn from_str(text: &str) -> Result<Self, ObjectiveError> {
        let text: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        let at = text.find(['<', '>']).ok_or_else(|| ObjectiveError::Comparison(text.clone()))?;
        let (metric, rest) = text.split_at(at);
        let (comparison, bound) = match rest.as_bytes() {
            [b'<', b'=', ..] => (Comparison::AtMost, &rest[2..]),
            [b'<', ..] => (Comparison::Less, &rest[1..]),
            [b'>', b'=', ..] => (Comparison::AtLeast, &rest[2..]),
            _ => (Comparison::More, &rest[1..]),
        };
        let metric: Metric = metric.parse()?;
        let bound = metric.bound(bound)?;
        Ok(Self { metric, comparison, bound, text })
    }
}

impl FromStr for Metric {
    type Err = ObjectiveError;

    fn from_str(text: &str) -> Result<Self, ObjectiveError> {
        let wrong = || ObjectiveError::Metric(text.to_owned());
        match text {
            "errors" => return Ok(Self::Errors),
            "rate" => return Ok(Self::Rate),
            "rps" => return Ok(Self::Throughput),
            _ => {}
        }
        // The first point of "p99.9" is no separator.
        let (times, figure) = match text.split_once('.') {
            Some(("latency", figure)) => (Times::Latency, figure),
            Some(("service", figure)) => (Times::Service, figure),
            Some(("ttfb", figure)) => (Times::FirstByte, figure),
            Some(("connect", figure)) => (Times::Connect, figure),
            Some(("lag", figure)) => (Times::Lag, figure),
            Some(("queue", figure)) => (Times::Queue, figure),
            _ => (Times::Latency, text),
        };
        let figure = match figure {
            "max" => Figure::Max,
            "mean" => Figure::Mean,
            _ => {
                let digits = figure.strip_prefix('p').filter(|digits| number(digits).is_some()).ok_or_else(wrong)?;
                // Read as a whole: 99.9 / 100 is a little more than 0.999, and may be one request
                // further up.
                let quantile =
                    format!("{digits}e-2").parse().ok().filter(|quantile| *quantile > 0.0 && *quantile < 1.0);
                Figure::Quantile(quantile.ok_or_else(wrong)?)
            }
        };
        Ok(Self::Time(times, figure))
    }
}

impl Metric {
    fn bound(self, text: &str) -> Result<f64, ObjectiveError> {
        match self {
            Self::Time(..) => {
                let wrong = || ObjectiveError::Time(text.to_owned());
                // Of a bare number nobody knows whether seconds or milliseconds are meant.
                let unit = text.bytes().any(|b| b.is_ascii_alphabetic());
                let text = text.replace('µ', "u");
                let time = parse_duration(&text).ok().filter(|_| unit).ok_or_else(wrong)?;
                Ok(time.as_secs_f64() * 1e9)
            }
            Self::Errors | Self::Rate => parse_share(text).map_err(|_| ObjectiveError::Share(text.to_owned())),
            Self::Throughput => rate(text).ok_or_else(|| ObjectiveError::Rate(text.to_owned())),
        }
    }

    fn value(self, report: &Report) -> Option<f64> {
        match self {
            Self::Time(times, figure) => figure.of(times.of(report)),
            Self::Errors => (report.requests > 0).then(|| report.errors_total() as f64 / report.requests as f64),
            Self::Rate => report.achieved_over_offered().filter(|ratio| ratio.is_finite()),
            Self::Throughput => Some(report.answered_rate),
        }
    }

    /// Why a report has no such figure.
    fn absence(self) -> &'static str {
        match self {
            Self::Time(Times::Lag | Times::Queue, _) => "only an open loop (--rate, --stages) has these times",
            Self::Time(..) => "no such time was measured",
            Self::Errors => "there was no request",
            Self::Rate => "only an open loop (--rate, --stages) has an offered rate",
            Self::Throughput => "there was no time",
        }
    }

    fn show(self, value: f64) -> String {
        match self {
            Self::Time(..) => crate::summary::time(value),
            Self::Errors | Self::Rate => format!("{:.2} %", value * 100.0),
            Self::Throughput => format!("{value:.1}/s"),
        }
    }
}

impl Times {
    fn of(self, report: &Report) -> &Distribution {
        match self {
            Self::Latency => &report.latency,
            Self::Service => &report.service,
            Self::FirstByte => &report.first_byte,
            Self::Connect => &report.connect,
            Self::Lag => &report.send_lag,
            Self::Queue => &report.queue_wait,
        }
    }
}

impl Figure {
    /// In nanoseconds; `None` when nothing was measured or the histogram cannot be read.
    fn of(self, times: &Distribution) -> Option<f64> {
        if times.count == 0 {
            return None;
        }
        match self {
            Self::Quantile(quantile) => Some(times.histogram().ok()?.value_at_quantile(quantile) as f64),
            Self::Max => Some(times.max_ns as f64),
            Self::Mean => Some(times.mean_ns),
        }
    }
}

#[cfg(test)]
#[path = "objective_tests.rs"]
mod tests;
