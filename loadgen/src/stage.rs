//! A part of a schedule: a time with one rate, or with a rate that changes evenly. Pure arithmetic.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A time in which requests are due at a rate: steady, or changing evenly from one rate to another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Stage {
    /// How long, more than zero.
    pub duration: Duration,
    /// Requests per second at its beginning, total; 0 is a pause.
    pub rate: f64,
    /// A ramp: requests per second at its end, reached evenly. `None` is a steady rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<f64>,
}

impl Stage {
    /// One rate for the whole time.
    #[must_use]
    pub fn steady(duration: Duration, rate: f64) -> Self {
        Self { duration, rate, to: None }
    }

    /// A rate that changes evenly.
    #[must_use]
    pub fn ramp(duration: Duration, from: f64, to: f64) -> Self {
        Self { duration, rate: from, to: Some(to) }
    }

    /// Requests per second at its end.
    #[must_use]
    pub fn end_rate(&self) -> f64 {
        self.to.unwrap_or(self.rate)
    }

    /// Requests due in it; fractions are carried into the next stage.
    #[must_use]
    pub fn requests(&self) -> f64 {
        (self.rate + self.end_rate()) / 2.0 * self.duration.as_secs_f64()
    }
}

impl fmt::Display for Stage {
    /// As it is written on the command line: `30s@100..1000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s@{}", self.duration.as_secs_f64(), self.rate)?;
        match self.to {
            Some(to) => write!(f, "..{to}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_knows_its_ends_and_its_sum() {
        let ten = Duration::from_secs(10);
        // stage, rate at its end, requests, text
        let rows = [
            (Stage::steady(ten, 50.0), 50.0, 500.0, "10s@50"),
            (Stage::ramp(ten, 100.0, 1000.0), 1000.0, 5500.0, "10s@100..1000"),
            (Stage::ramp(ten, 100.0, 0.0), 0.0, 500.0, "10s@100..0"),
            (Stage::steady(Duration::from_millis(1500), 0.5), 0.5, 0.75, "1.5s@0.5"),
        ];
        for (stage, end, requests, text) in rows {
            assert_eq!((stage.end_rate(), stage.requests()), (end, requests), "{stage:?}");
            assert_eq!(stage.to_string(), text);
        }
    }

    #[test]
    fn a_steady_stage_is_stored_as_it_always_was() {
        let stored = r#"{"duration":{"secs":2,"nanos":0},"rate":20.0}"#;
        let stage: Stage = serde_json::from_str(stored).unwrap();
        assert_eq!(stage, Stage::steady(Duration::from_secs(2), 20.0));
        assert_eq!(serde_json::to_string(&stage).unwrap(), stored);
    }
}
