//! Latency over offered load, up to and past the knee.
//!
//! First a closed loop says what this start of this server answers at most. Then open loops at shares of that, which
//! show the shape of the curve wherever it lies, and at rates that are the same for all, at which contenders are
//! compared. The rates go up, so that what an overload leaves behind harms no point but later overloads.

use serde::{Deserialize, Serialize};

use super::{Subject, Watched};

/// How long, how hard, and at which rates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) path: String,
    /// Server starts per contender.
    pub(crate) replicates: u32,
    /// Connections of the closed loop.
    pub(crate) connections: usize,
    /// Closed loop before its measurement, see `steady`.
    pub(crate) warmup_s: f64,
    /// Measured closed loop.
    pub(crate) closed_s: f64,
    /// Rates as shares of the throughput of that loop.
    pub(crate) shares: Vec<f64>,
    /// Rates that are the same for all, in requests per second.
    pub(crate) ladder: Vec<f64>,
    /// Those of the ladder above this share of its own throughput are not offered to a server.
    pub(crate) reach: f64,
    /// Open loop before the measurement of each point.
    pub(crate) settle_s: f64,
    /// Requests that a point should have: some more than its p99 needs.
    pub(crate) requests: f64,
    /// However many that are in it, a point is measured for at least and at most so long.
    pub(crate) least_s: f64,
    pub(crate) most_s: f64,
    /// How often a point at which the generator was at its limit is measured again.
    #[serde(default)]
    pub(crate) again: u32,
}

impl Settings {
    pub(crate) fn of(quick: bool) -> Self {
        let settings = Self {
            path: "/".into(),
            replicates: 3,
            connections: 8,
            warmup_s: 4.0,
            closed_s: 2.0,
            shares: vec![0.25, 0.5, 0.7, 0.8, 0.9, 0.95, 1.0, 1.1, 1.25],
            ladder: vec![200.0, 400.0, 800.0, 1600.0, 3200.0],
            reach: 1.1,
            settle_s: 0.3,
            requests: 1_100.0,
            least_s: 2.0,
            most_s: 6.0,
            again: 1,
        };
        if !quick {
            return settings;
        }
        Self {
            replicates: 1,
            warmup_s: 1.0,
            closed_s: 1.0,
            shares: vec![0.5, 0.8, 1.0, 1.1],
            ladder: vec![400.0, 800.0],
            settle_s: 0.2,
            least_s: 0.5,
            most_s: 1.5,
            ..settings
        }
    }

    /// Seconds of load in one run, about: how many rates are within reach, and how long each takes, is seen only in it.
    pub(crate) fn seconds(&self) -> f64 {
        let points = self.shares.len() + self.ladder.len();
        let each = self.settle_s + f64::midpoint(self.least_s, self.most_s) * 0.8;
        self.warmup_s + self.closed_s + points as f64 * each
    }
}

/// Why a rate is offered.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Offered {
    /// This share of the throughput of the closed loop of the same start.
    Share(f64),
    /// This rate, as to everybody.
    Rate(f64),
}

/// One rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Point {
    pub(crate) offered: Offered,
    /// Requests per second.
    pub(crate) rate: f64,
    pub(crate) load: Watched,
}

impl Point {
    /// The generator was at its own limit, so that the point says nothing about the server.
    pub(crate) fn is_limited(&self) -> bool {
        !self.load.load.generator_limits().is_empty()
    }
}

/// What one run observed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Observation {
    pub(crate) saturation: Watched,
    /// In the order in which they were measured: that of the rates. A point that was measured again is there as often.
    pub(crate) points: Vec<Point>,
    /// Rates that were to be offered, and could not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) refused: Vec<Refused>,
}

/// A rate at which the server let nobody in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Refused {
    pub(crate) offered: Offered,
    /// Requests per second.
    pub(crate) rate: f64,
    /// The generator's reason.
    pub(crate) reason: String,
}

impl Observation {
    /// Points about which no attempt says anything, because the generator was at its limit each time.
    pub(crate) fn limited(&self) -> impl Iterator<Item = &Point> {
        let is_there =
            |offered: Offered| self.points.iter().any(move |point| point.offered == offered && !point.is_limited());
        self.points.iter().filter(move |point| point.is_limited() && !is_there(point.offered))
    }
}

/// Carries it out.
///
/// # Errors
/// The load generator's reason, in a sentence.
pub(crate) fn run(subject: Subject<'_>, settings: &Settings) -> Result<Observation, String> {
    let closed = subject.closed(&settings.path, settings.connections, settings.warmup_s, settings.closed_s)?;
    let saturation = subject.watched(&closed)?;
    let most = saturation.load.answered_rate;
    if most <= 0.0 {
        return Err("the closed loop got no answer, so there are no rates to offer".into());
    }
    let (mut points, mut refused) = (Vec::new(), Vec::new());
    for (number, (offered, rate, seconds)) in (1..).zip(schedule(settings, most)) {
        let plan = subject.poisson(&settings.path, rate, settings.settle_s, seconds, number)?;
        for _ in 0..=settings.again {
            match subject.watched(&plan) {
                Ok(load) => points.push(Point { offered, rate, load }),
                // Whoever has nobody left to accept a connection may have somebody at the next rate.
                Err(reason) => refused.push(Refused { offered, rate, reason }),
            }
            if !points.last().is_some_and(|point: &Point| point.offered == offered && point.is_limited()) {
                break;
            }
        }
    }
    match (points.is_empty(), refused.first()) {
        (true, Some(first)) => Err(first.reason.clone()),
        _ => Ok(Observation { saturation, points, refused }),
    }
}

/// Why, at which rate and for how many seconds each point is measured, by the throughput of the closed loop.
fn schedule(settings: &Settings, most: f64) -> Vec<(Offered, f64, f64)> {
    let shares = settings.shares.iter().map(|share| (Offered::Share(*share), share * most));
    let reachable = settings.ladder.iter().filter(|rate| **rate <= settings.reach * most);
    let ladder = reachable.map(|rate| (Offered::Rate(*rate), *rate));
    let mut points: Vec<_> = shares
        .chain(ladder)
        .map(|(offered, rate)| (offered, rate, (settings.requests / rate).clamp(settings.least_s, settings.most_s)))
        .collect();
    points.sort_by(|a, b| a.1.total_cmp(&b.1));
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_go_up_and_leave_out_what_is_far_beyond() {
        let settings = Settings {
            shares: vec![1.0, 0.25, 1.25],
            ladder: vec![100.0, 400.0, 1000.0, 2000.0],
            reach: 1.1,
            requests: 1_100.0,
            least_s: 2.0,
            most_s: 6.0,
            ..Settings::of(false)
        };
        let expected = [
            // Slow ones are cut short: such a point has no p99.
            (Offered::Rate(100.0), 100.0, 6.0),
            (Offered::Share(0.25), 250.0, 4.4),
            (Offered::Rate(400.0), 400.0, 2.75),
            (Offered::Share(1.0), 1000.0, 2.0),
            (Offered::Rate(1000.0), 1000.0, 2.0),
            (Offered::Share(1.25), 1250.0, 2.0),
        ];
        assert_eq!(schedule(&settings, 1000.0), expected);
    }

    #[test]
    fn every_rate_is_named_once() {
        for quick in [true, false] {
            let settings = Settings::of(quick);
            for list in [&settings.shares, &settings.ladder] {
                assert!(list.windows(2).all(|pair| pair[0] < pair[1]), "{list:?}");
            }
            assert!(settings.shares.last().is_some_and(|share| *share > 1.0), "past the knee");
        }
    }
}
