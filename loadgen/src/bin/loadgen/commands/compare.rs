//! `loadgen compare`: two reports side by side, and a gate on what has become worse.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use loadgen::compare::Comparison;

use crate::failure::Failure;
use crate::output::Output;

/// The second run is worse than it may be.
const REGRESSION: u8 = 3;

/// Its arguments.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The run to compare with, as written by --json.
    #[arg(value_name = "A.json", value_hint = ValueHint::FilePath)]
    a: PathBuf,

    /// The run to judge.
    #[arg(value_name = "B.json", value_hint = ValueHint::FilePath)]
    b: PathBuf,

    /// Exit with 3 when a latency percentile, the answered rate or the share of errors of B is worse
    /// than A's by more than this, for instance 5%, and the samples are enough to tell.
    #[arg(long, value_name = "PERCENT", value_parser = parse_percent)]
    fail_on_regression: Option<f64>,

    /// Print the comparison as JSON.
    #[arg(long)]
    json: bool,
}

impl Arguments {
    /// Prints the comparison.
    pub(super) fn execute(&self) -> Result<u8, Failure> {
        let (a, b) = (super::read(&self.a)?, super::read(&self.b)?);
        let comparison = Comparison::of(&a, &b).map_err(|error| {
            // Only one of them is damaged, as a rule.
            let path = if a.latency.histogram().is_err() { &self.a } else { &self.b };
            Failure::Content { path: path.clone(), reason: error.to_string() }
        })?;
        let names = (self.a.display().to_string(), self.b.display().to_string());
        let mut text = if self.json {
            let json = serde_json::to_string_pretty(&comparison);
            json.map_err(|error| Failure::Words(error.to_string()))? + "\n"
        } else {
            comparison.text((&names.0, &a), (&names.1, &b))
        };
        let Some(limit) = self.fail_on_regression else {
            Output::stdout().write(text.as_bytes())?;
            return Ok(0);
        };
        let regressions: Vec<&str> = comparison.regressions(limit).map(|row| row.name).collect();
        let failed = !regressions.is_empty();
        if !self.json {
            text += &match failed {
                true => format!("\n  FAILED: worse by more than {limit} %: {}\n", regressions.join(", ")),
                false => format!("\n  passed: nothing is worse by more than {limit} %\n"),
            };
        }
        Output::stdout().write(text.as_bytes())?;
        Ok(if failed { REGRESSION } else { 0 })
    }
}

fn parse_percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim_end();
    number
        .parse()
        .ok()
        .filter(|percent| (0.0..=1e6).contains(percent))
        .ok_or_else(|| "write a percentage such as 5% or 2.5".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages() {
        let rows =
            [("5%", Some(5.0)), ("2.5", Some(2.5)), ("0 %", Some(0.0)), ("x", None), ("-1", None), ("NaN", None)];
        for (text, expected) in rows {
            assert_eq!(parse_percent(text).ok(), expected, "{text}");
        }
    }
}
