//! What a run is asked to hold: `p99<50ms`, `errors<1%`, `rate>0.99`; and whether a report holds
//! it. Pure: text and reports in, verdicts out. The command's gates and the search for a capacity
//! use it.
//!
//! ```text
//! objectives = objective *( "," objective )
//! objective  = metric ( "<" | "<=" | ">" | ">=" ) bound            ; spaces are allowed between
//! metric     = [ times "." ] figure | "errors" | "rate" | "rps"
//! times      = "latency" | "service" | "connect" | "lag" | "queue" ; latency if not given
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
        "{0:?} is no metric; write p50, p99.9, max or mean (also service.p99, connect.max, lag.p99, \
         queue.p99), errors, rate or rps"
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
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::error::ErrorKind;
    use crate::report::tests::report;

    fn objective(text: &str) -> Objective {
        text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn objectives_are_read() {
        let latency = |figure| Metric::Time(Times::Latency, figure);
        let rows = [
            ("p99<50ms", latency(Figure::Quantile(0.99)), Comparison::Less, 50e6),
            ("p50<=1.5s", latency(Figure::Quantile(0.5)), Comparison::AtMost, 1.5e9),
            ("p99.999 > 250us", latency(Figure::Quantile(0.99999)), Comparison::More, 250e3),
            ("latency.max>=1m1s", latency(Figure::Max), Comparison::AtLeast, 61e9),
            ("mean<20µs", latency(Figure::Mean), Comparison::Less, 20e3),
            ("service.p99.9<1s", Metric::Time(Times::Service, Figure::Quantile(0.999)), Comparison::Less, 1e9),
            ("connect.max<1s", Metric::Time(Times::Connect, Figure::Max), Comparison::Less, 1e9),
            ("lag.p90<1ms", Metric::Time(Times::Lag, Figure::Quantile(0.9)), Comparison::Less, 1e6),
            ("queue.mean<1ms", Metric::Time(Times::Queue, Figure::Mean), Comparison::Less, 1e6),
            ("errors<1%", Metric::Errors, Comparison::Less, 0.01),
            ("errors<=0", Metric::Errors, Comparison::AtMost, 0.0),
            ("rate>0.99", Metric::Rate, Comparison::More, 0.99),
            ("rate >= 99.5 %", Metric::Rate, Comparison::AtLeast, 0.995),
            ("rps>500", Metric::Throughput, Comparison::More, 500.0),
            ("rps>30000/m", Metric::Throughput, Comparison::More, 500.0),
        ];
        for (text, metric, comparison, bound) in rows {
            let objective = objective(text);
            assert_eq!((objective.metric, objective.comparison), (metric, comparison), "{text}");
            assert!((objective.bound - bound).abs() <= bound * 1e-12, "{text}: {}", objective.bound);
        }
        let several: Vec<String> =
            parse_objectives("p99 < 50ms, errors<1%").unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(several, ["p99<50ms", "errors<1%"]);
    }

    #[test]
    fn wrong_objectives_say_what_is_wrong() {
        let quoted = |text: &str| text.to_owned();
        let rows = [
            ("", ObjectiveError::Comparison(quoted(""))),
            ("p99=50ms", ObjectiveError::Comparison(quoted("p99=50ms"))),
            ("p99", ObjectiveError::Comparison(quoted("p99"))),
            ("<5ms", ObjectiveError::Metric(quoted(""))),
            ("p0<5ms", ObjectiveError::Metric(quoted("p0"))),
            ("p100<5ms", ObjectiveError::Metric(quoted("p100"))),
            // Some write p999 and mean p99.9.
            ("p999<5ms", ObjectiveError::Metric(quoted("p999"))),
            ("p<5ms", ObjectiveError::Metric(quoted("p"))),
            ("disk.p99<5ms", ObjectiveError::Metric(quoted("disk.p99"))),
            ("service.errors<1%", ObjectiveError::Metric(quoted("service.errors"))),
            ("p99<50", ObjectiveError::Time(quoted("50"))),
            ("p99<", ObjectiveError::Time(quoted(""))),
            ("p99<-5ms", ObjectiveError::Time(quoted("-5ms"))),
            ("p99<5%", ObjectiveError::Time(quoted("5%"))),
            ("p99<<5ms", ObjectiveError::Time(quoted("<5ms"))),
            ("errors<5", ObjectiveError::Share(quoted("5"))),
            ("errors<1ms", ObjectiveError::Share(quoted("1ms"))),
            ("rate>101%", ObjectiveError::Share(quoted("101%"))),
            ("rps>x", ObjectiveError::Rate(quoted("x"))),
        ];
        for (text, error) in rows {
            assert_eq!(text.parse::<Objective>(), Err(error), "{text}");
        }
        assert!(parse_objectives("p99<50ms,").is_err());
    }

    #[test]
    fn a_report_meets_or_misses_them() {
        use Outcome::{Met, Missed, Undecided};
        // 1000 answers of 2 to 3 ms; 100/s offered and achieved, 99.9/s answered; 2 of 1000 failed.
        let rows = [
            ("p99<50ms", Met),
            ("p99<2ms", Missed),
            ("max>=2.9ms", Met),
            ("mean>2.4ms", Met),
            ("mean>2.6ms", Missed),
            ("service.p50<2.6ms", Met),
            ("errors<1%", Met),
            ("errors<0.2%", Missed),
            ("errors<=0.2%", Met),
            ("rate>0.99", Met),
            ("rate>1", Missed),
            ("rate>=100%", Met),
            ("rps>99", Met),
            ("rps>99.9", Missed),
            // 1000 answers do not state a p99.9, and no connect was timed.
            ("p99.9<50ms", Undecided),
            ("p99.9<1ms", Undecided),
            ("connect.max<1s", Undecided),
        ];
        for (text, outcome) in rows {
            let verdict = objective(text).judge(&report());
            assert_eq!(verdict.outcome, outcome, "{text}: {verdict:?}");
            assert_eq!(verdict.reason.is_some(), outcome == Undecided, "{text}: {verdict:?}");
        }
        let verdict = objective("p99.9<50ms").judge(&report());
        assert!(verdict.reason.unwrap().contains("10000 requests to state a p99.9, and there are 1000"));
    }

    #[test]
    fn a_closed_loop_has_no_rate_to_hold() {
        let mut closed = report();
        closed.offered_rate = None;
        let verdict = objective("rate>0.99").judge(&closed);
        assert_eq!(verdict.outcome, Outcome::Undecided);
        assert!(verdict.reason.unwrap().contains("--rate"));
    }

    #[test]
    fn a_run_without_requests_decides_nothing() {
        let mut empty = report();
        empty.requests = 0;
        empty.latency = Distribution::default();
        empty.errors = BTreeMap::from([(ErrorKind::Read, 0)]);
        empty.offered_rate = Some(0.0);
        empty.achieved_rate = 0.0;
        for text in ["errors<1%", "p50<1s", "max<1s", "rate>0.5"] {
            assert_eq!(objective(text).judge(&empty).outcome, Outcome::Undecided, "{text}");
        }
    }

    #[test]
    fn only_bounds_that_load_can_break_limit_a_capacity() {
        for (text, limits) in [
            ("p99<50ms", true),
            ("errors<=1%", true),
            ("rate>0.99", true),
            ("p99>50ms", false),
            ("errors>1%", false),
            ("rate<0.5", false),
            ("rps>5", false),
        ] {
            assert_eq!(objective(text).limits_load(), limits, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[ -~µ]{0,24}") {
            if let Ok(objective) = text.parse::<Objective>() {
                // What was accepted is accepted again as it is shown.
                prop_assert_eq!(objective.to_string().parse::<Objective>(), Ok(objective));
            }
        }

        #[test]
        fn every_percentile_and_time_is_what_was_written(
            tenths in 1..1000u32, millis in 1..1_000_000u32, comparison in 0..4usize,
        ) {
            let sign = ["<", "<=", ">", ">="][comparison];
            let percent = f64::from(tenths) / 10.0;
            let objective = objective(&format!("p{percent}{sign}{millis}ms"));
            let quantile = f64::from(tenths) / 1000.0;
            prop_assert_eq!(objective.metric, Metric::Time(Times::Latency, Figure::Quantile(quantile)));
            prop_assert!((objective.bound / 1e6 - f64::from(millis)).abs() < 1e-6);
        }
    }
}
