//! Durations, rates and stages as people type them. Pure parsing; knows nothing of plans.

use std::time::Duration;

use crate::stage::Stage;

/// A quantity that cannot be read; the message quotes it and shows a right one.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Not a duration.
    #[error("{0:?} is no duration; write for instance 10s, 500ms, 1m30s")]
    Duration(String),
    /// Not a rate.
    #[error("{0:?} is no rate; write for instance 500/s, 30000/m or 500")]
    Rate(String),
    /// Not a share.
    #[error("{0:?} is no share; write for instance 5% or 0.05")]
    Share(String),
    /// Not a list of stages.
    #[error("{0:?} is no stage; write DURATION@RATE or DURATION@RATE..RATE, for instance 5s@20,30s@20..400")]
    Stage(String),
}

/// Reads a duration: numbers with units `us`, `ms`, `s`, `m`, `h`, added up (`1m30s`); a bare
/// number means seconds.
///
/// # Errors
/// Anything else, a negative number, or more than a year.
pub fn parse_duration(text: &str) -> Result<Duration, QuantityError> {
    let wrong = || QuantityError::Duration(text.to_owned());
    if let Some(seconds) = number(text) {
        return seconds_to_duration(seconds).ok_or_else(wrong);
    }
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (value, after) = rest.split_at(digits);
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, next) = after.split_at(letters);
        let scale = match unit {
            "us" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(wrong()),
        };
        seconds += number(value).ok_or_else(wrong)? * scale;
        rest = next;
    }
    if text.is_empty() { Err(wrong()) } else { seconds_to_duration(seconds).ok_or_else(wrong) }
}

/// Reads a rate in requests per second: `500`, `500/s`, `30000/m`, `7200/h`.
///
/// # Errors
/// Anything else, zero, or more than 100 million per second.
pub fn parse_rate(text: &str) -> Result<f64, QuantityError> {
    rate(text).filter(|rate| *rate > 0.0).ok_or_else(|| QuantityError::Rate(text.to_owned()))
}

/// Reads a share: `5%` or `0.05`.
///
/// # Errors
/// Anything else, or more than everything: a bare `5` is more likely 5 % than five times the whole.
pub fn parse_share(text: &str) -> Result<f64, QuantityError> {
    let share = match text.strip_suffix('%') {
        Some(percent) => number(percent).map(|percent| percent / 100.0),
        None => number(text),
    };
    share.filter(|share| *share <= 1.0).ok_or_else(|| QuantityError::Share(text.to_owned()))
}

/// Reads stages, `DURATION@RATE` separated by commas: `5s@20,15s@400,12s@20`. A stage's rate may
/// be 0: a pause; two rates with dots between them, `30s@100..1000`, are a ramp.
///
/// # Errors
/// The first stage that cannot be read, or whose duration is zero.
pub fn parse_stages(text: &str) -> Result<Vec<Stage>, QuantityError> {
    text.split(',')
        .map(|part| {
            let wrong = || QuantityError::Stage(part.to_owned());
            let (duration, requests) = part.trim().split_once('@').ok_or_else(wrong)?;
            let duration = parse_duration(duration).map_err(|_| wrong())?;
            let stage = match requests.split_once("..") {
                Some((_, to)) if to.starts_with('.') => return Err(wrong()),
                Some((from, to)) => Stage::ramp(duration, rate(from).ok_or_else(wrong)?, rate(to).ok_or_else(wrong)?),
                None => Stage::steady(duration, rate(requests).ok_or_else(wrong)?),
            };
            if duration.is_zero() { Err(wrong()) } else { Ok(stage) }
        })
        .collect()
}

/// A rate that may be zero.
pub(crate) fn rate(text: &str) -> Option<f64> {
    let (value, scale) = match text.split_once('/') {
        None | Some((_, "s")) => (text.split('/').next()?, 1.0),
        Some((value, "m")) => (value, 60.0),
        Some((value, "h")) => (value, 3600.0),
        Some(_) => return None,
    };
    // Above this, requests are due faster than the clock can tell them apart usefully.
    number(value).map(|value| value / scale).filter(|rate| *rate <= 1e8)
}

/// A plain decimal number: digits with at most one dot. `f64`'s own parser also takes `inf`,
/// `nan`, signs and exponents.
pub(crate) fn number(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if plain { text.parse().ok() } else { None }
}

fn seconds_to_duration(seconds: f64) -> Option<Duration> {
    const YEAR: f64 = 365.0 * 86_400.0;
    if seconds <= YEAR { Duration::try_from_secs_f64(seconds).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let rows = [
            ("10s", Some(10_000_000)),
            ("500ms", Some(500_000)),
            ("250us", Some(250)),
            ("1m30s", Some(90_000_000)),
            ("1.5s", Some(1_500_000)),
            ("2h", Some(7_200_000_000)),
            // A bare number is seconds, as wrk and hey users expect.
            ("10", Some(10_000_000)),
            ("0", Some(0)),
            ("", None),
            ("s", None),
            ("10x", None),
            ("10s5", None),
            ("-1s", None),
            ("inf", None),
            ("1e3", None),
            ("1.2.3s", None),
            (".", None),
            ("9999999999h", None),
        ];
        for (text, micros) in rows {
            let expected = micros.map(Duration::from_micros);
            assert_eq!(parse_duration(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn rates() {
        let rows = [
            ("500", Some(500.0)),
            ("500/s", Some(500.0)),
            ("0.5/s", Some(0.5)),
            ("30000/m", Some(500.0)),
            ("7200/h", Some(2.0)),
            // A run at rate 0 would never send anything; only a stage may pause.
            ("0", None),
            ("", None),
            ("/s", None),
            ("500/ms", None),
            ("500/s/s", None),
            ("-5", None),
            ("nan", None),
            ("1000000000", None),
        ];
        for (text, expected) in rows {
            assert_eq!(parse_rate(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn shares() {
        let rows = [
            ("5%", Some(0.05)),
            ("0.05", Some(0.05)),
            ("0", Some(0.0)),
            ("100%", Some(1.0)),
            ("1", Some(1.0)),
            ("5", None),
            ("101%", None),
            ("%", None),
            ("-1%", None),
            ("", None),
        ];
        for (text, expected) in rows {
            assert_eq!(parse_share(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn stages() {
        let stage = |seconds, rate| Stage::steady(Duration::from_secs(seconds), rate);
        let ramp = |seconds, from, to| Stage::ramp(Duration::from_secs(seconds), from, to);
        let rows = [
            ("5s@20,15s@400,12s@20", Some(vec![stage(5, 20.0), stage(15, 400.0), stage(12, 20.0)])),
            ("1m@60/m", Some(vec![stage(60, 1.0)])),
            (" 5s@20 , 1s@0", Some(vec![stage(5, 20.0), stage(1, 0.0)])),
            ("30s@100..1000,1s@1000", Some(vec![ramp(30, 100.0, 1000.0), stage(1, 1000.0)])),
            ("1m@60/m..1", Some(vec![ramp(60, 1.0, 1.0)])),
            ("2s@0.5..0", Some(vec![ramp(2, 0.5, 0.0)])),
            // Three dots: one too many, or 0.5? A ramp has two ends.
            ("2s@1...5", None),
            ("2s@1..", None),
            ("2s@..5", None),
            ("2s@1..2..3", None),
            ("", None),
            ("5s@20,", None),
            ("5s", None),
            ("@20", None),
            ("0s@20", None),
            ("5s@", None),
        ];
        for (text, expected) in rows {
            assert_eq!(parse_stages(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn an_error_quotes_the_stage_at_fault() {
        let error = parse_stages("5s@20,x@400").unwrap_err();
        assert_eq!(error, QuantityError::Stage("x@400".to_owned()));
    }
}
