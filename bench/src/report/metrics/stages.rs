//! A load in stages, as the figures of a step see it: which part is the burst, and what the processes did.

use loadgen::{Distribution, Interval};

use super::{Reading, quantile_ms};
use crate::observe::sampler::{Sample, integral};
use crate::scenario::{Pace, Watched};

/// When the last stage ends, in seconds.
pub(crate) fn end(stages: &[Pace]) -> f64 {
    stages.iter().map(|stage| stage.seconds).sum()
}

/// Where the stage with the highest rate begins and ends.
pub(super) fn high(stages: &[Pace]) -> (f64, f64) {
    let (mut at, mut high, mut rate) = (0.0, (0.0, 0.0), 0.0);
    for stage in stages {
        if stage.rate > rate {
            (high, rate) = ((at, at + stage.seconds), stage.rate);
        }
        at += stage.seconds;
    }
    high
}

/// The samples within the stages: afterwards the generator only waits for what is outstanding.
pub(super) fn during<'a>(stages: &[Pace], watched: &'a Watched) -> &'a [Sample] {
    let end = end(stages);
    let samples = &watched.watch.samples;
    &samples[..samples.partition_point(|sample| sample.at <= end)]
}

/// The processes that serve, over time: (seconds, how many).
pub(super) fn workers(stages: &[Pace], managers: u32, watched: &Watched) -> Vec<(f64, f64)> {
    during(stages, watched).iter().map(|s| (s.at, f64::from(s.workers(managers)))).collect()
}

/// Their integral over the stages.
pub(super) fn worker_seconds(stages: &[Pace], managers: u32, watched: &Watched) -> Reading {
    Reading::Value(integral(&workers(stages, managers, watched), end(stages)))
}

/// The integral of the tree's PSS over the stages, in MiB·s.
pub(super) fn pss_seconds(stages: &[Pace], watched: &Watched) -> Result<Reading, String> {
    let samples = during(stages, watched).iter();
    let points: Vec<(f64, f64)> = samples.filter_map(|s| Some((s.at, s.pss_kib? as f64 / 1024.0))).collect();
    match (&watched.watch.pss_missing, points.is_empty()) {
        (None, false) => Ok(Reading::Value(integral(&points, end(stages)))),
        (reason, _) => Err(reason.clone().unwrap_or("no sample of the memory".into())),
    }
}

fn intervals<'a>(stages: &[Pace], watched: &'a Watched) -> Result<Vec<&'a Interval>, String> {
    let high = high(stages);
    let inside: Vec<&Interval> = watched
        .load
        .intervals
        .iter()
        .filter(|i| !i.drain && i.start_s >= high.0 - 1e-6 && i.start_s < high.1 - 1e-6)
        .collect();
    if inside.is_empty() { Err("the run ended before the burst".into()) } else { Ok(inside) }
}

/// The latencies of the answers that were given in the intervals that begin within the burst.
pub(crate) fn burst_latency(stages: &[Pace], watched: &Watched) -> Result<Distribution, String> {
    let burst = intervals(stages, watched)?;
    Distribution::merged(burst.iter().map(|interval| &interval.latency)).map_err(|error| error.to_string())
}

/// The p99 of the whole burst.
pub(super) fn burst_p99(stages: &[Pace], watched: &Watched) -> Result<Reading, String> {
    quantile_ms(&burst_latency(stages, watched)?, 0.99)
}

/// One second of a run as the recovery sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Second {
    pub(super) length: f64,
    /// `None`: nothing was answered.
    pub(super) p99_ms: Option<f64>,
    errors: u64,
}

impl Second {
    /// What happened in an interval, whatever its length.
    pub(super) fn of(interval: &Interval) -> Self {
        Self {
            length: interval.duration_s,
            p99_ms: (interval.latency.count > 0).then(|| interval.latency.p99_ns as f64 / 1e6),
            errors: interval.errors_total(),
        }
    }

    /// Something failed, was too slow, or nothing was answered.
    pub(super) fn is_bad(&self, objective_ms: f64) -> bool {
        self.errors > 0 || self.p99_ms.is_none_or(|p99| p99 > objective_ms)
    }

    /// Nothing was answered and nothing failed.
    pub(super) fn is_silent(&self) -> bool {
        self.errors == 0 && self.p99_ms.is_none()
    }
}

/// The burst, second by second.
pub(super) fn burst(stages: &[Pace], watched: &Watched) -> Result<Vec<Second>, String> {
    Ok(intervals(stages, watched)?.into_iter().map(Second::of).collect())
}

/// From the step to the end of the last bad second.
pub(super) fn recovery(burst: &[Second], objective_ms: f64) -> Reading {
    let good_at_the_end = burst.iter().rev().take_while(|second| !second.is_bad(objective_ms)).count();
    // From a positive zero: the sum of nothing is a negative one.
    let until = burst[..burst.len() - good_at_the_end].iter().fold(0.0, |sum, s| sum + s.length);
    if good_at_the_end == 0 { Reading::Beyond(until) } else { Reading::Value(until) }
}

/// From `from`, the end of the burst, until the processes of `points` are as few as they were before `burst_from`, and
/// stay so.
pub(super) fn settling(points: &[(f64, f64)], burst_from: f64, from: f64, end: f64) -> Result<Reading, String> {
    let before = points.iter().filter(|(at, _)| *at < burst_from).map(|(_, count)| *count);
    let fewest = before.min_by(f64::total_cmp).ok_or("no sample of the tree before the burst")?;
    let Some(last) = points.iter().rposition(|(_, count)| *count > fewest) else {
        return Ok(Reading::Value(0.0));
    };
    Ok(match points.get(last + 1) {
        None => Reading::Beyond(end - from),
        Some((at, _)) => Reading::Value((at - from).max(0.0)),
    })
}

/// How often the number of processes begins to grow or to shrink, after it was constant or did the other.
pub(super) fn turns(points: &[(f64, f64)]) -> u32 {
    let mut turns = 0;
    let mut direction = 0.0;
    for pair in points.windows(2) {
        let change = pair[1].1 - pair[0].1;
        if change != 0.0 && change.signum() != direction {
            direction = change.signum();
            turns += 1;
        }
    }
    turns
}

/// How often the load changes.
pub(super) fn changes(stages: &[Pace]) -> usize {
    stages.windows(2).filter(|pair| pair[0].rate != pair[1].rate).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stages() -> Vec<Pace> {
        [(2.0, 20.0), (10.0, 400.0), (12.0, 20.0)].map(|(seconds, rate)| Pace { seconds, rate }).to_vec()
    }

    /// Counts at every second from 0.
    fn points(counts: &[u32]) -> Vec<(f64, f64)> {
        counts.iter().enumerate().map(|(at, count)| (at as f64, f64::from(*count))).collect()
    }

    #[test]
    fn the_burst_is_the_highest_stage() {
        assert_eq!((high(&stages()), end(&stages()), changes(&stages())), ((2.0, 12.0), 24.0, 2));
        assert_eq!(high(&[]), (0.0, 0.0));
    }

    #[test]
    fn recovery_is_the_end_of_the_last_bad_second() {
        let second = |p99: Option<f64>, errors| Second { length: 1.0, p99_ms: p99, errors };
        let good = second(Some(55.0), 0);
        let slow = second(Some(900.0), 0);
        let rows = [
            (vec![good, good], Reading::Value(0.0)),
            (vec![slow, good, good], Reading::Value(1.0)),
            // A relapse counts: it has not recovered before it stays so.
            (vec![slow, good, slow, good], Reading::Value(3.0)),
            (vec![good, slow], Reading::Beyond(2.0)),
            // Fast answers beside errors are no recovery.
            (vec![second(Some(1.0), 3), good], Reading::Value(1.0)),
            // Nor is silence.
            (vec![second(None, 0), good], Reading::Value(1.0)),
            // Exactly at the objective is within it.
            (vec![second(Some(100.0), 0)], Reading::Value(0.0)),
        ];
        for (burst, expected) in rows {
            assert_eq!(recovery(&burst, 100.0), expected, "{burst:?}");
        }
    }

    #[test]
    fn settled_is_who_is_back_and_stays_back() {
        // The burst is from 2 to 5, the last stage ends at 9.
        let rows: [(&[u32], Result<Reading, String>); 7] = [
            (&[1, 1, 1, 1, 1, 1, 1, 1, 1], Ok(Reading::Value(0.0))),
            (&[1, 1, 3, 3, 3, 3, 2, 1, 1], Ok(Reading::Value(2.0))),
            // Back before the burst has ended.
            (&[1, 1, 3, 1, 1, 1, 1, 1, 1], Ok(Reading::Value(0.0))),
            (&[1, 1, 3, 3, 3, 1, 2, 1, 1], Ok(Reading::Value(2.0))),
            (&[1, 1, 3, 3, 3, 3, 3, 3, 2], Ok(Reading::Beyond(4.0))),
            // The fewest before the burst, whatever came in it.
            (&[2, 1, 3, 3, 3, 0, 0, 0, 0], Ok(Reading::Value(0.0))),
            (&[], Err("no sample of the tree before the burst".into())),
        ];
        for (counts, expected) in rows {
            assert_eq!(settling(&points(counts), 2.0, 5.0, 9.0), expected, "{counts:?}");
        }
    }

    #[test]
    fn a_turn_is_a_new_direction() {
        let rows: [(&[u32], u32); 6] = [
            (&[], 0),
            (&[4, 4, 4], 0),
            (&[1, 2, 2, 4, 4], 1),
            (&[1, 2, 4, 4, 3, 1], 2),
            (&[1, 2, 1, 2, 1], 4),
            (&[5, 4, 4, 3], 1),
        ];
        for (counts, expected) in rows {
            assert_eq!(turns(&points(counts)), expected, "{counts:?}");
        }
    }
}
