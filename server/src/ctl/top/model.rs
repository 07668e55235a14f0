//! What `top` knows: the last look at the server, what changed since the one before, and the past few minutes of that.

use std::collections::VecDeque;

use crate::ctl::protocol::{Status, Worker};

/// Seconds of past that are kept: wider than a terminal.
const KEPT: usize = 512;

/// One second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    /// Requests answered per second.
    pub(super) rate: f64,
    /// Of these, with a server error, or cut.
    pub(super) failures: f64,
    /// Median time in seconds; `None` if nothing was answered.
    pub(super) p50: Option<f64>,
    /// 99th percentile in seconds.
    pub(super) p99: Option<f64>,
}

/// All of it.
pub(super) struct Model {
    latest: Status,
    before: Option<Status>,
    points: VecDeque<Point>,
    trouble: Option<String>,
}

impl Model {
    /// After the first look.
    pub(super) fn new(first: Status) -> Model {
        Model { latest: first, before: None, points: VecDeque::new(), trouble: None }
    }

    /// Takes one look more, or why there was none.
    pub(super) fn take(&mut self, look: Result<Status, String>) {
        let status = match look {
            Ok(status) => status,
            Err(why) => {
                self.trouble = Some(why);
                return;
            }
        };
        self.trouble = None;
        let before = std::mem::replace(&mut self.latest, status);
        if before.pid != self.latest.pid {
            // Another server has taken its place.
            (self.before, self.points) = (None, VecDeque::new());
            return;
        }
        self.points.extend(point(&before, &self.latest));
        while self.points.len() > KEPT {
            self.points.pop_front();
        }
        self.before = Some(before);
    }

    /// The last look that succeeded.
    pub(super) fn status(&self) -> &Status {
        &self.latest
    }

    /// Why the last look failed.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// The past, oldest first.
    pub(super) fn points(&self) -> &VecDeque<Point> {
        &self.points
    }

    /// A worker's requests per second between the last two looks; `None` if it was not there before.
    pub(super) fn rate(&self, worker: &Worker) -> Option<f64> {
        let before = self.before.as_ref()?;
        let earlier = before.workers.iter().find(|earlier| earlier.generation == worker.generation)?;
        per_second(worker.requests, earlier.requests, self.latest.uptime_seconds - before.uptime_seconds)
    }
}

fn per_second(now: u64, before: u64, seconds: f64) -> Option<f64> {
    (seconds > 0.0).then(|| now.saturating_sub(before) as f64 / seconds)
}

fn point(before: &Status, now: &Status) -> Option<Point> {
    let seconds = now.uptime_seconds - before.uptime_seconds;
    let (earlier, later) = (&before.served, &now.served);
    let failures = |answered: &crate::ctl::protocol::Answered| answered.server_error + answered.cut;
    let latency = later.latency.since(&earlier.latency);
    Some(Point {
        rate: per_second(later.answered.total(), earlier.answered.total(), seconds)?,
        failures: per_second(failures(&later.answered), failures(&earlier.answered), seconds)?,
        p50: latency.quantile(0.5),
        p99: latency.quantile(0.99),
    })
}
