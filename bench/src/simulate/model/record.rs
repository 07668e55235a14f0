//! What was seen while the model ran: latencies second by second, the workers over time, the orders.
//!
//! Counts from the beginning of the load to its end; answers that come later still count for their requests. A request
//! belongs to the second in which it arrived, except for the p99 within bursts, which is that of the answers given then,
//! as `bench run step` measures it.

use hdrhistogram::Histogram;

use super::Terms;
use super::supervisor::Order;
use crate::simulate::time::{MICROSECOND, Nanos, SECOND, nanos, seconds};

/// The share of requests that must be within the objective.
pub(crate) const SHARE: f64 = 0.99;

/// Why recording can't fail.
const RESIZES: &str = "a histogram without bounds takes any value";

/// The requests of one second.
#[derive(Debug)]
pub(crate) struct Second {
    latencies: Histogram<u64>,
    pub(crate) requests: u64,
    /// Answered too late, or not at all.
    pub(crate) late: u64,
}

impl Second {
    /// More than one request in a hundred was late.
    pub(crate) fn is_bad(&self) -> bool {
        self.late as f64 > self.requests as f64 * (1.0 - SHARE)
    }

    /// p99 in milliseconds; `None` when nothing was answered.
    pub(crate) fn p99_ms(&self) -> Option<f64> {
        quantile_ms(&self.latencies, SHARE)
    }
}

/// A quantile of latencies that are kept in microseconds, in milliseconds.
pub(crate) fn quantile_ms(latencies: &Histogram<u64>, quantile: f64) -> Option<f64> {
    (!latencies.is_empty()).then(|| latencies.value_at_quantile(quantile) as f64 / 1e3)
}

/// The record of one run.
#[derive(Debug)]
pub(crate) struct Recorder {
    start: Nanos,
    end: Nanos,
    objective: Nanos,
    /// A client gives up after this.
    patience: Nanos,
    /// Nothing is counted before, neither requests nor workers.
    counted_from: Nanos,
    /// Whether each second of the load begins within a burst: so `bench run step` counts them.
    bursts: Vec<bool>,
    pub(crate) seconds: Vec<Second>,
    /// In microseconds.
    pub(crate) latencies: Histogram<u64>,
    pub(crate) in_bursts: Histogram<u64>,
    /// Without rounding, for means.
    sum: u128,
    pub(crate) failed: u64,
    /// (seconds of the load, workers), each holding until the next.
    pub(crate) workers: Vec<(f64, u32)>,
    populated: (Nanos, u32),
    worker_nanos: u128,
    pub(crate) peak: u32,
    pub(crate) forks: u64,
    pub(crate) crashes: u64,
    pub(crate) orders: Vec<Order>,
    pub(crate) events: u64,
}

/// Any latency from a microsecond on, with three digits.
fn histogram() -> Histogram<u64> {
    Histogram::new(3).expect("three digits are allowed")
}

impl Recorder {
    /// Of a load that begins at `start`.
    pub(super) fn new(terms: &Terms<'_>, start: Nanos) -> Self {
        let Terms { profile, objective, warmup, .. } = *terms;
        let count = profile.seconds().ceil() as usize;
        let second = || Second { latencies: histogram(), requests: 0, late: 0 };
        Self {
            start,
            end: start + nanos(profile.seconds()),
            objective,
            patience: terms.clients.answer,
            counted_from: start + warmup,
            bursts: (0..count).map(|second| profile.is_burst(second as f64)).collect(),
            seconds: (0..count).map(|_| second()).collect(),
            latencies: histogram(),
            in_bursts: histogram(),
            sum: 0,
            failed: 0,
            workers: Vec::new(),
            populated: (start + warmup, 0),
            worker_nanos: 0,
            peak: 0,
            forks: 0,
            crashes: 0,
            orders: Vec::new(),
            events: 0,
        }
    }

    fn second(&mut self, at: Nanos) -> Option<&mut Second> {
        self.seconds.get_mut((at.saturating_sub(self.start) / SECOND) as usize)
    }

    pub(super) fn arrived(&mut self, at: Nanos) {
        if at < self.counted_from {
            return;
        }
        if let Some(second) = self.second(at) {
            second.requests += 1;
        }
    }

    pub(super) fn answered(&mut self, arrived: Nanos, now: Nanos) {
        let latency = now - arrived;
        if arrived < self.counted_from {
            return;
        }
        if latency > self.patience {
            return self.failed(arrived);
        }
        self.sum += u128::from(latency);
        let micros = (latency + MICROSECOND / 2) / MICROSECOND;
        self.latencies.record(micros).expect(RESIZES);
        let answered_in = (now.saturating_sub(self.start) / SECOND) as usize;
        if self.bursts.get(answered_in).copied().unwrap_or(false) {
            self.in_bursts.record(micros).expect(RESIZES);
        }
        let late = latency > self.objective;
        if let Some(second) = self.second(arrived) {
            second.latencies.record(micros).expect(RESIZES);
            second.late += u64::from(late);
        }
    }

    /// The request that arrived then gets no answer, or too late for its client.
    pub(super) fn failed(&mut self, arrived: Nanos) {
        if arrived < self.counted_from {
            return;
        }
        self.failed += 1;
        if let Some(second) = self.second(arrived) {
            second.late += 1;
        }
    }

    pub(super) fn forked(&mut self, now: Nanos) {
        self.forks += u64::from(now >= self.start);
    }

    pub(super) fn crashed(&mut self) {
        self.crashes += 1;
    }

    pub(super) fn ordered(&mut self, order: Order) {
        if order.at >= 0.0 {
            self.orders.push(order);
        }
    }

    pub(super) fn count_event(&mut self) {
        self.events += 1;
    }

    /// So many workers live from now on.
    pub(super) fn population(&mut self, now: Nanos, count: u32) {
        self.integrate(now);
        self.populated.1 = count;
        if now <= self.end {
            self.workers.push(((now as f64 - self.start as f64) / SECOND as f64, count));
            if now >= self.counted_from {
                self.peak = self.peak.max(count);
            }
        }
    }

    fn integrate(&mut self, now: Nanos) {
        let (from, until) = (self.populated.0.max(self.counted_from), now.min(self.end));
        if until > from {
            self.peak = self.peak.max(self.populated.1);
            self.worker_nanos += u128::from(until - from) * u128::from(self.populated.1);
        }
        self.populated.0 = now.max(self.counted_from);
    }

    /// The load is over, and all answers are there.
    pub(super) fn finish(&mut self, end: Nanos) {
        self.integrate(end);
        // What was there before the load is one point.
        let before = self.workers.partition_point(|point| point.0 <= 0.0);
        let first = before.checked_sub(1).map_or(0, |place| self.workers[place].1);
        self.workers.splice(..before, [(0.0, first)]);
        // Nobody who came or went after the end is in the curve.
        let last = self.workers.last().map_or(0, |point| point.1);
        self.workers.push((seconds(end - self.start), last));
    }

    /// Workers × seconds while the load lasted.
    pub(crate) fn worker_seconds(&self) -> f64 {
        self.worker_nanos as f64 / SECOND as f64
    }

    /// Mean latency in milliseconds.
    pub(crate) fn mean_ms(&self) -> Option<f64> {
        (!self.latencies.is_empty()).then(|| self.sum as f64 / self.latencies.len() as f64 / 1e6)
    }

    /// How often growing turned into shrinking or back.
    pub(crate) fn direction_changes(&self) -> usize {
        let changes: Vec<i64> =
            self.orders.iter().map(|order| order.change.signum()).filter(|sign| *sign != 0).collect();
        changes.windows(2).filter(|pair| pair[0] != pair[1]).count()
    }
}
