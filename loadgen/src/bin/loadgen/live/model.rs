//! What the live view knows: the intervals so far, added up, and the latest of them one by one.

use std::collections::{BTreeMap, VecDeque};

use hdrhistogram::Histogram;
use loadgen::{Distribution, ErrorKind, Interval, Load, Plan, Stop};

/// Intervals that are kept one by one: wider than a terminal.
const KEPT: usize = 512;

/// One interval.
#[derive(Clone, Debug)]
pub(super) struct Point {
    /// Its end, in seconds.
    pub(super) at: f64,
    pub(super) offered: f64,
    pub(super) answered: f64,
    /// Errors per second.
    pub(super) errors: f64,
    /// p50, p90, p99 and maximum in nanoseconds; `None` if nothing was answered.
    pub(super) latency: Option<[u64; 4]>,
}

/// Everything so far.
pub(super) struct Model {
    pub(super) title: String,
    /// How long it is going to take, in seconds; `None` when a number of requests decides.
    pub(super) planned: Option<f64>,
    pub(super) open: bool,
    pub(super) points: VecDeque<Point>,
    pub(super) latest: Option<Interval>,
    pub(super) requests: u64,
    pub(super) answered: u64,
    /// Answers by the first digit of their status.
    pub(super) classes: [u64; 6],
    pub(super) errors: BTreeMap<ErrorKind, u64>,
    pub(super) latency: Histogram<u64>,
}

impl Model {
    pub(super) fn new(plan: &Plan) -> Self {
        let planned = match &plan.load {
            Load::Closed { stop: Stop::Duration(duration) } => Some(duration.as_secs_f64()),
            Load::Closed { stop: Stop::Requests(_) } => None,
            Load::Open { stages, .. } => Some(stages.iter().map(|stage| stage.duration.as_secs_f64()).sum()),
        };
        Self {
            title: format!("{} {}", plan.method, plan.target),
            planned,
            open: matches!(plan.load, Load::Open { .. }),
            points: VecDeque::new(),
            latest: None,
            requests: 0,
            answered: 0,
            classes: [0; 6],
            errors: BTreeMap::new(),
            latency: Distribution::default().histogram().expect("an empty one is never damaged"),
        }
    }

    pub(super) fn take(&mut self, interval: &Interval) {
        self.requests += interval.offered;
        self.answered += interval.answered;
        for (code, count) in &interval.statuses {
            if let Some(class) = self.classes.get_mut(usize::from(code / 100)) {
                *class += count;
            }
        }
        for (kind, count) in &interval.errors {
            *self.errors.entry(*kind).or_default() += count;
        }
        // Made by this process a moment ago: neither is damaged, and their bounds are alike.
        if let Ok(latency) = interval.latency.histogram() {
            let _ = self.latency.add(latency);
        }
        let times = &interval.latency;
        self.points.push_back(Point {
            at: interval.start_s + interval.duration_s,
            offered: interval.offered_rate,
            answered: interval.answered_rate,
            errors: interval.errors_total() as f64 / interval.duration_s,
            latency: (times.count > 0).then_some([times.p50_ns, times.p90_ns, times.p99_ns, times.max_ns]),
        });
        while self.points.len() > KEPT {
            self.points.pop_front();
        }
        self.latest = Some(interval.clone());
    }

    /// Answers by latency: so many bins from the shortest to the longest, evenly spaced by factors.
    /// Gives the edges in nanoseconds (one more than bins) and the counts.
    pub(super) fn bins(&self, count: usize) -> (Vec<f64>, Vec<u64>) {
        if self.latency.is_empty() || count == 0 {
            return (Vec::new(), Vec::new());
        }
        let low = self.latency.min().max(1) as f64;
        // The last bin must hold the longest, and one value alone must still have a width.
        let high = (self.latency.max() as f64 * 1.001).max(low * 1.1);
        let edge = |bin: usize| low * (high / low).powf(bin as f64 / count as f64);
        let mut counts = vec![0; count];
        for value in self.latency.iter_recorded() {
            let place = (value.value_iterated_to() as f64 / low).ln() / (high / low).ln() * count as f64;
            counts[(place.max(0.0) as usize).min(count - 1)] += value.count_at_value();
        }
        ((0..=count).map(edge).collect(), counts)
    }
}
