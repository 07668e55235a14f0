//! How much work there is, measured: differences of the workers' counters over a sliding window.
//!
//! Workers come and go, so differences are taken per slot and generation and summed. What a worker did between its last
//! snapshot and its exit is lost: at most one tick's worth. Sums are kept per stretch of time and not since the start, so
//! that a nonsensical counter is forgotten with its stretch. Nothing here knows how many workers the demand needs.

use std::collections::VecDeque;
use std::time::Duration;

use crate::sizing::CallStats;
use crate::{Phase, Snapshot, Totals, WorkerView};

/// The shortest window: long enough for a steady rate, short against an operator's patience.
const WINDOW: Duration = Duration::from_secs(1);
/// The longest window, for calls that take seconds.
const LONGEST_WINDOW: Duration = Duration::from_secs(10);
/// The window for noticing a burst: two ticks.
const BURST_WINDOW: Duration = Duration::from_millis(200);
/// The window holds about this many calls one after the other, so that a load of `a` is averaged over `10·a` calls.
const CALLS_IN_WINDOW: f64 = 10.0;
/// Time differences below this one say nothing about rates.
const SHORTEST_ELAPSED: f64 = 0.1;
/// Snapshots closer together than this share one stretch of the history.
const GRAIN: Duration = Duration::from_millis(50);

/// Measured demand. All means are over the window.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Demand {
    /// λ: calls that ended, per second.
    pub(super) rate: f64,
    /// W: mean seconds a call takes without waiting for the interpreter lock; 0 when no call ended.
    pub(super) service: f64,
    /// Offered load by Little's law: calls that run at once on average. λ·W, or what was seen running if that is clearly
    /// more, because calls that take long haven't ended yet.
    pub(super) load: f64,
    /// Requests that arrived, per second, over the last moments: those that ended and those that are there now and were
    /// not before. Noisy, but the first to see a burst.
    pub(super) arrivals: f64,
    /// Cores that calls use.
    pub(super) cpu: f64,
    /// Calls that wait for the interpreter lock on average.
    pub(super) lock_waits: f64,
    /// Whether calls mostly compute.
    pub(super) cpu_bound: bool,
    /// Calls running now in workers that stay, without those that wait for the interpreter lock.
    pub(super) running: f64,
    /// Requests and connections that wait now: queued in workers that stay, and in the kernel.
    pub(super) waiting: u32,
    /// The same on average.
    pub(super) mean_waiting: f64,
    /// Seconds from the order of a worker until it serves: what the last ones took, or what those that are starting have
    /// taken already.
    pub(super) start_time: f64,
}

impl Demand {
    /// Mean seconds from start to end of a call: Little's law the other way round, which sees calls that take long before
    /// they end. `None` when no call ended.
    pub(super) fn residence(&self) -> Option<f64> {
        (self.rate > 0.0).then(|| self.load / self.rate)
    }

    /// No call, now or in the window. Processes may use some CPU all the same.
    pub(super) fn is_nothing(&self) -> bool {
        [self.rate, self.load, self.arrivals, self.running, self.mean_waiting].iter().all(|figure| *figure == 0.0)
            && self.waiting == 0
    }

    /// Mean CPU seconds of a call; 0 when no call ended.
    pub(super) fn cpu_per_call(&self) -> f64 {
        if self.rate > 0.0 { self.cpu / self.rate } else { 0.0 }
    }
}

/// Turns snapshots into [`Demand`].
#[derive(Debug, Clone, Default)]
pub(super) struct Meter {
    /// The workers of the last snapshot, by slot.
    seen: Vec<Seen>,
    last: Option<Instant>,
    /// What the last workers took to start.
    started_in: Duration,
    /// Oldest first, without gaps up to the last snapshot; together at least as long as the longest window once there
    /// were that many snapshots.
    history: VecDeque<Stretch>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    slot: u32,
    generation: u32,
    phase: Phase,
    totals: Totals,
}

/// What held at the last snapshot, until the next one.
#[derive(Debug, Clone, Copy)]
struct Instant {
    at: Duration,
    in_flight: u64,
    waiting: u32,
}

/// What happened from `start` to the start of the next stretch.
#[derive(Debug, Clone, Copy, Default)]
struct Stretch {
    start: Duration,
    /// Requests that were there at the start, running or waiting.
    present: f64,
    /// Calls that ended.
    calls: CallStats,
    /// Calls in flight × seconds.
    in_flight: f64,
    /// Waiting requests × seconds.
    waiting: f64,
}

impl Meter {
    /// Takes the snapshot in. Linear in the number of workers.
    pub(super) fn observe(&mut self, snapshot: &Snapshot<'_>) -> Demand {
        let elapsed = self.last.map(|last| snapshot.now.saturating_sub(last.at));
        let calls = self.differences(snapshot, elapsed);
        if let (Some(stretch), Some(last), Some(elapsed)) = (self.history.back_mut(), self.last, elapsed) {
            stretch.calls.add(&calls);
            stretch.in_flight += last.in_flight as f64 * elapsed.as_secs_f64();
            stretch.waiting += f64::from(last.waiting) * elapsed.as_secs_f64();
        }
        let instant = Instant::of(snapshot);
        self.last = Some(instant);
        self.turn_over(instant);
        let starting = snapshot.workers.iter().filter(|worker| worker.phase == Phase::Starting);
        let start_time = starting.map(|worker| worker.age).fold(self.started_in, Duration::max);
        Demand { start_time: start_time.as_secs_f64(), ..self.demand(instant) }
    }

    /// Calls that ended since the last snapshot.
    fn differences(&mut self, snapshot: &Snapshot<'_>, elapsed: Option<Duration>) -> CallStats {
        let mut calls = CallStats::default();
        let mut workers: Vec<&WorkerView> = snapshot.workers.iter().collect();
        // Already sorted by contract, which makes this one linear check.
        workers.sort_unstable_by_key(|worker| worker.slot);
        let mut before = self.seen.iter().peekable();
        let mut started_in = None;
        for worker in &workers {
            while before.next_if(|old| old.slot < worker.slot).is_some() {}
            let known = before.next_if(|old| old.slot == worker.slot).filter(|old| old.generation == worker.generation);
            if worker.phase == Phase::Ready && known.is_none_or(|old| old.phase == Phase::Starting) {
                // One that was ready before anybody looked has been so for an unknown time.
                let just_now = known.is_some() || elapsed.is_some_and(|elapsed| worker.age <= elapsed);
                started_in = started_in.max(just_now.then_some(worker.age));
            }
            let base = match (known, elapsed) {
                (Some(old), _) => old.totals,
                // Younger than the last snapshot: all of its work was done since.
                (None, Some(elapsed)) if worker.age <= elapsed => Totals::default(),
                // Older, but never seen (this meter is new): nobody knows when it did its work.
                (None, _) => worker.totals,
            };
            // What a worker computes before it serves (imports) is no demand.
            if worker.phase != Phase::Starting {
                calls.add(&CallStats::from(worker.totals).since(&base.into()));
            }
        }
        self.seen = workers.into_iter().map(Seen::of).collect();
        self.started_in = started_in.unwrap_or(self.started_in);
        calls
    }

    /// Begins a new stretch when the last one is long enough, and forgets those that no window reaches.
    fn turn_over(&mut self, instant: Instant) {
        let age = |stretch: &Stretch| instant.at.saturating_sub(stretch.start);
        if self.history.back().is_none_or(|stretch| age(stretch) >= GRAIN) {
            self.history.push_back(Stretch { start: instant.at, present: instant.present(), ..Stretch::default() });
        }
        while self.history.get(1).is_some_and(|stretch| age(stretch) >= LONGEST_WINDOW) {
            self.history.pop_front();
        }
    }

    fn demand(&self, instant: Instant) -> Demand {
        let short = self.over(instant, WINDOW);
        let residence = short.residence().unwrap_or(0.0);
        let window = (CALLS_IN_WINDOW * residence).clamp(WINDOW.as_secs_f64(), LONGEST_WINDOW.as_secs_f64());
        Demand {
            arrivals: self.over(instant, BURST_WINDOW).arrivals,
            ..self.over(instant, Duration::from_secs_f64(window))
        }
    }

    /// Demand over the last `window`, or over as much of it as there is.
    fn over(&self, instant: Instant, window: Duration) -> Demand {
        let start = instant.at.saturating_sub(window);
        let later = self.history.partition_point(|stretch| stretch.start <= start);
        let end = self.history.get(later).map_or(instant.at, |stretch| stretch.start);
        let mut stretches = self.history.range(later.saturating_sub(1)..);
        let Some(first) = stretches.next() else {
            return Demand::default();
        };
        let mut sum = first.within(start, end);
        for stretch in stretches {
            sum.calls.add(&stretch.calls);
            sum.in_flight += stretch.in_flight;
            sum.waiting += stretch.waiting;
        }
        let Stretch { calls, .. } = sum;
        let seconds = instant.at.saturating_sub(sum.start).as_secs_f64().max(SHORTEST_ELAPSED);
        let ended = calls.requests as f64;
        // Of the time in calls, this share is not just waiting for the interpreter lock.
        let wall = calls.wall.as_secs_f64();
        let served_share = if wall > 0.0 { calls.service_seconds() / wall } else { 1.0 };
        let seen_running = sum.in_flight / seconds * served_share;
        let ended_load = calls.service_seconds() / seconds;
        // Snapshots are samples, and samples of a load of a scatter by √a.
        let clearly_more = seen_running > ended_load + seen_running.sqrt();
        Demand {
            rate: ended / seconds,
            service: if calls.requests > 0 { calls.service_seconds() / ended } else { 0.0 },
            load: if clearly_more { seen_running } else { ended_load },
            arrivals: (ended + instant.present() - sum.present).max(0.0) / seconds,
            cpu: calls.cpu.as_secs_f64() / seconds,
            lock_waits: calls.lock_seconds() / seconds,
            cpu_bound: calls.is_cpu_bound(),
            running: instant.in_flight as f64 * served_share,
            waiting: instant.waiting,
            mean_waiting: sum.waiting / seconds,
            start_time: 0.0,
        }
    }
}

impl Stretch {
    /// What counts of it in a window that begins at `start`, if it ends at `end`. One of a tick counts as a whole, and the
    /// window is longer by that much; one of a rest, which may be longer than the window, by its share.
    fn within(&self, start: Duration, end: Duration) -> Self {
        let length = end.saturating_sub(self.start);
        if self.start >= start || length <= BURST_WINDOW {
            return *self;
        }
        let share = end.saturating_sub(start).as_secs_f64() / length.as_secs_f64();
        Self {
            start,
            present: self.present,
            calls: self.calls.share(share),
            in_flight: self.in_flight * share,
            waiting: self.waiting * share,
        }
    }
}

impl Seen {
    fn of(worker: &WorkerView) -> Self {
        let WorkerView { slot, generation, phase, totals, .. } = *worker;
        Self { slot, generation, phase, totals }
    }
}

impl Instant {
    /// A draining worker's calls end where they are: they need no room elsewhere.
    fn of(snapshot: &Snapshot<'_>) -> Self {
        let staying = || snapshot.workers.iter().filter(|worker| worker.serves());
        let queued: u64 = staying().map(|worker| u64::from(worker.queued)).sum();
        Self {
            at: snapshot.now,
            in_flight: staying().map(|worker| u64::from(worker.in_flight)).sum(),
            waiting: u32::try_from(queued + u64::from(snapshot.backlog)).unwrap_or(u32::MAX),
        }
    }
    fn present(&self) -> f64 {
        self.in_flight as f64 + f64::from(self.waiting)
    }
}

#[cfg(test)]
#[path = "demand_tests.rs"]
mod tests;
