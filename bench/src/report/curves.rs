//! Throughput–latency curves: every point of a contender over its starts. Pictures, tables and `summary.json` show them.

use serde::{Deserialize, Serialize};

use super::format::number;
use super::metrics::offered_load::{knee, pss_mib};
use super::text;
use crate::results::schema::{Outcome, Run, Session};
use crate::scenario::Observation;
use crate::scenario::curve::{self, Offered};
use crate::stats::{geometric_mean, mean_interval, median};

/// A contender's curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) title: String,
    /// It is the best setting of a contender that has a curve as it comes, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) tuned: bool,
    /// By their rate.
    pub(crate) points: Vec<Mark>,
    /// Medians of the starts: requests per second answered, and p99 in milliseconds where there were enough answers.
    pub(crate) knee: Option<(f64, Option<f64>)>,
}

/// One point of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Mark {
    pub(crate) offered: Offered,
    /// Offered, requests per second; of a share the mean of the starts.
    pub(crate) rate: f64,
    /// Answered in time, requests per second.
    pub(crate) answered: Option<f64>,
    /// Milliseconds.
    pub(crate) p50: Option<Estimate>,
    pub(crate) p99: Option<Estimate>,
    /// CPU per answer, µs.
    pub(crate) cpu_us: Option<f64>,
    /// The largest PSS of the tree, MiB.
    pub(crate) pss_mib: Option<f64>,
    pub(crate) errors: u64,
    /// How many starts it rests on; those in which the generator was at its limit are left out, and counted.
    pub(crate) starts: usize,
    pub(crate) limited: usize,
}

/// A figure over starts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Estimate {
    /// The geometric mean.
    pub(crate) value: f64,
    /// Its 95 % interval, where there are enough starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) interval: Option<(f64, f64)>,
}

/// One per contender that has a curve, in the session's order.
pub(crate) fn collect(session: &Session, runs: &[Run]) -> Vec<Curve> {
    let entrants = session.contenders.iter();
    entrants
        .filter_map(|entrant| {
            let of_it = runs.iter().filter(|run| run.id.contender == entrant.name);
            let observed: Vec<&curve::Observation> = of_it
                .filter_map(|run| match &run.outcome {
                    Outcome::Measured { observation: Observation::Curve(curve), .. } => Some(&**curve),
                    _ => None,
                })
                .collect();
            (!observed.is_empty()).then(|| Curve {
                name: entrant.name.clone(),
                title: entrant.title.clone(),
                tuned: entrant.setting_of().is_some(),
                points: points(&observed, session.seed),
                knee: middle(&observed),
            })
        })
        .collect()
}

fn middle(observed: &[&curve::Observation]) -> Option<(f64, Option<f64>)> {
    let knees: Vec<_> = observed.iter().filter_map(|curve| Some(&knee(curve).ok()?.load.load)).collect();
    let rates: Vec<f64> = knees.iter().map(|load| load.answered_rate).collect();
    let latencies = knees.iter().map(|load| &load.latency).filter(|latency| latency.supports(0.99));
    let p99s: Vec<f64> = latencies.map(|latency| latency.p99_ns as f64 / 1e6).collect();
    Some((median(&rates)?, median(&p99s)))
}

fn points(observed: &[&curve::Observation], seed: u64) -> Vec<Mark> {
    let mut offered: Vec<Offered> = Vec::new();
    for point in observed.iter().flat_map(|curve| &curve.points) {
        if !offered.contains(&point.offered) {
            offered.push(point.offered);
        }
    }
    let mut marks: Vec<Mark> = offered.into_iter().map(|offered| mark(observed, offered, seed)).collect();
    marks.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    marks
}

fn mark(observed: &[&curve::Observation], offered: Offered, seed: u64) -> Mark {
    let all: Vec<_> = observed.iter().flat_map(|c| &c.points).filter(|point| point.offered == offered).collect();
    let valid: Vec<_> = all.iter().filter(|point| !point.is_limited()).collect();
    let mean = |values: Vec<f64>| (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64);
    let quantile = |quantile: f64, of: fn(&loadgen::Distribution) -> u64| {
        let latencies = valid.iter().map(|point| &point.load.load.latency);
        let values: Vec<f64> =
            latencies.filter(|latency| latency.supports(quantile)).map(|latency| of(latency) as f64 / 1e6).collect();
        Some(Estimate { value: geometric_mean(&values)?, interval: mean_interval(&values, seed) })
    };
    Mark {
        offered,
        // Of the starts that the other figures are of, or else they could not be held against it.
        rate: mean(valid.iter().map(|point| point.rate).collect())
            .or_else(|| mean(all.iter().map(|point| point.rate).collect()))
            .unwrap_or_default(),
        answered: mean(valid.iter().map(|point| point.load.load.answered_rate).collect()),
        p50: quantile(0.5, |latency| latency.p50_ns),
        p99: quantile(0.99, |latency| latency.p99_ns),
        cpu_us: mean(
            valid
                .iter()
                .filter(|point| point.load.load.answered > 0)
                .map(|point| point.load.watch.cpu_seconds * 1e6 / point.load.load.answered as f64)
                .collect(),
        ),
        pss_mib: mean(valid.iter().filter_map(|point| pss_mib(&point.load)).collect()),
        errors: valid.iter().map(|point| point.load.load.errors_total()).sum(),
        starts: valid.len(),
        limited: all.len() - valid.len(),
    }
}

/// The points of every curve, a line for each; the first line has the names of the columns.
pub(crate) fn rows(curves: &[Curve]) -> Vec<Vec<String>> {
    let titles =
        ["curve", "offered/s", "of saturation", "answered/s", "p50, ms", "p99, ms", "CPU, µs", "PSS, MiB", "errors"];
    let mut rows = vec![titles.map(String::from).to_vec()];
    let plain = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), number);
    for curve in curves {
        for mark in &curve.points {
            let share = match mark.offered {
                Offered::Share(share) => format!("{} %", number(share * 100.0)),
                Offered::Rate(_) => String::new(),
            };
            rows.push(vec![
                curve.title.clone(),
                number(mark.rate.round()),
                share,
                plain(mark.answered.map(f64::round)),
                estimate(mark.p50),
                estimate(mark.p99),
                plain(mark.cpu_us),
                plain(mark.pss_mib),
                mark.errors.to_string(),
            ]);
        }
    }
    rows
}

/// `4.5 [4.1–5.0]`.
fn estimate(of: Option<Estimate>) -> String {
    match of {
        None => "–".into(),
        Some(Estimate { value, interval: None }) => number(value),
        Some(Estimate { value, interval: Some((low, high)) }) => {
            format!("{} [{}–{}]", number(value), number(low), number(high))
        }
    }
}

/// The same for a terminal.
pub(crate) fn text(curves: &[Curve]) -> String {
    let mut text = text::aligned(&rows(curves));
    let limited: usize = curves.iter().flat_map(|curve| &curve.points).map(|mark| mark.limited).sum();
    if limited > 0 {
        text += &format!("{limited} measurements are left out: the generator was at its limit\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_say_what_is_not_there() {
        let mark = |offered, rate, p99| Mark {
            offered,
            rate,
            answered: Some(rate),
            p50: None,
            p99,
            cpu_us: Some(500.0),
            pss_mib: None,
            errors: 0,
            starts: 3,
            limited: 0,
        };
        let p99 = Estimate { value: 4.5, interval: Some((4.0, 5.0)) };
        let curve = Curve {
            name: "a".into(),
            title: "A".into(),
            tuned: false,
            points: vec![mark(Offered::Share(0.25), 99.6, None), mark(Offered::Rate(400.0), 400.0, Some(p99))],
            knee: None,
        };
        let rows = rows(&[curve]);
        assert_eq!(rows[1], ["A", "100", "25 %", "100", "–", "–", "500", "–", "0"]);
        assert_eq!(rows[2], ["A", "400", "", "400", "–", "4.50 [4–5]", "500", "–", "0"]);
    }
}
