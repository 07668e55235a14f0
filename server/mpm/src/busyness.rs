//! uWSGI's *cheaper busyness*: more workers while they are busy for a large share of the time, fewer after they have been
//! idle for long, and emergency workers when the listen queue overflows.
//!
//! The rules and their order are those of `cheaper_busyness_algo`, `spawn_emergency_worker`, `set_next_cheap_time` and
//! `decrease_multi` in uWSGI 2.0.31's `plugins/cheaper_busyness/cheaper_busyness.c`. `uwsgi_calc_cheaper` in
//! `core/master_utils.c` asks them once a second and dismisses the oldest worker, busy or not; its master restarts
//! whoever else ends. uWSGI says that the maximum is reached in every window, this once until it is no longer true.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::complement::Complement;
use crate::per_worker::PerWorker;
use crate::spawn_pause::SpawnPause;
use crate::{Cause, Decision, Policy, Snapshot, WorkerView, inputs};

/// uWSGI's master cycle.
pub(crate) const CYCLE: Duration = Duration::from_secs(1);
/// uWSGI's `forkbomb_delay`: its master sleeps this long when a worker ends as soon as it has begun.
pub(crate) const FORKBOMB_DELAY: Duration = Duration::from_secs(2);
/// Windows between the thresholds after which the time without need counts from anew.
const TOLERANCE: u32 = 3;

/// The thresholds, named as in uWSGI's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BusynessConfig {
    /// `workers`: never more.
    pub workers: u32,
    /// `cheaper`: never fewer.
    pub cheaper: u32,
    /// `cheaper-initial`: workers at the start; at least `cheaper`.
    pub cheaper_initial: u32,
    /// `cheaper-step`: workers started at once.
    pub cheaper_step: u32,
    /// `cheaper-overload`: the window over which busyness is measured; uWSGI takes whole seconds.
    pub cheaper_overload: Duration,
    /// `cheaper-busyness-max`: above this many percent, more workers.
    pub busyness_max: u32,
    /// `cheaper-busyness-min`: below this many percent, fewer workers.
    pub busyness_min: u32,
    /// `cheaper-busyness-multiplier`: windows without need before a worker is dismissed, at first and at least.
    pub multiplier: u32,
    /// `cheaper-busyness-penalty`: added to the multiplier when a worker was dismissed too soon.
    pub penalty: u32,
    /// `cheaper-busyness-backlog-alert`: with more requests than this waiting, an emergency worker a second.
    pub backlog_alert: u32,
    /// `cheaper-busyness-backlog-multiplier`: the multiplier while there are emergency workers.
    pub backlog_multiplier: u32,
    /// `cheaper-busyness-backlog-step`: emergency workers started at once.
    pub backlog_step: u32,
    /// `cheaper-busyness-backlog-nonzero`: an emergency worker when requests have waited without a break for this long.
    pub backlog_nonzero: Duration,
}

impl Default for BusynessConfig {
    /// uWSGI's defaults where it has some. Of its own it starts one worker and is not dynamic: `workers` is Apache's
    /// MaxRequestWorkers here, so that a maximum decides no comparison, and `cheaper` the smallest possible.
    fn default() -> Self {
        Self {
            workers: 256,
            cheaper: 1,
            cheaper_initial: 1,
            cheaper_step: 1,
            cheaper_overload: Duration::from_secs(3),
            busyness_max: 50,
            busyness_min: 25,
            multiplier: 10,
            penalty: 2,
            backlog_alert: 33,
            backlog_multiplier: 3,
            backlog_step: 1,
            backlog_nonzero: Duration::from_secs(60),
        }
    }
}

impl BusynessConfig {
    /// Where uWSGI would not start, or take a zero for "the default": the nearest that works.
    fn repaired(self) -> Self {
        let workers = self.workers.max(1);
        let cheaper = self.cheaper.clamp(1, workers);
        Self {
            workers,
            cheaper,
            cheaper_initial: self.cheaper_initial.clamp(cheaper, workers),
            cheaper_step: self.cheaper_step.max(1),
            cheaper_overload: self.cheaper_overload.max(CYCLE),
            busyness_min: self.busyness_min.min(self.busyness_max),
            multiplier: self.multiplier.max(1),
            backlog_multiplier: self.backlog_multiplier.max(1),
            backlog_step: self.backlog_step.max(1),
            ..self
        }
    }
}

/// What was done last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    Nothing,
    Spawned,
    Cheaped,
}

/// What is remembered of a worker.
#[derive(Debug, Clone, Copy)]
struct Seen {
    /// Its running time at the last window's end.
    running: Duration,
    /// Whether it was busy at a tick since then.
    was_busy: bool,
}

/// The `busyness` policy.
#[derive(Debug, Clone)]
pub struct Busyness {
    config: BusynessConfig,
    complement: Complement,
    seen: PerWorker<Seen>,
    /// When the last window ended; `None` before the first tick.
    checked: Option<Duration>,
    /// No worker is dismissed before.
    next_cheap: Duration,
    last_cheaped: Option<Duration>,
    last: Last,
    /// The multiplier as it is now.
    multiplier: u32,
    /// Windows between the thresholds, one after the other.
    tolerated: u32,
    emergency: u32,
    /// Since when requests have waited without a break.
    nonzero_since: Option<Duration>,
    reached_max: bool,
    pause: SpawnPause,
    /// What the last window had, in percent.
    busyness: u32,
}

impl Busyness {
    /// Starts with the first window.
    pub fn new(config: BusynessConfig) -> Self {
        let config = config.repaired();
        Self {
            config,
            complement: Complement::new(config.cheaper_initial),
            seen: PerWorker::default(),
            checked: None,
            next_cheap: Duration::ZERO,
            last_cheaped: None,
            last: Last::Nothing,
            multiplier: config.multiplier,
            tolerated: 0,
            emergency: 0,
            nonzero_since: None,
            reached_max: false,
            pause: SpawnPause::constant(FORKBOMB_DELAY),
            busyness: 0,
        }
    }

    /// The figures that a decision goes by, when workers were to be quiet for so many windows.
    fn inputs(&self, snapshot: &Snapshot<'_>, patience: u32) -> BTreeMap<String, f64> {
        let BusynessConfig { workers, cheaper, cheaper_overload, busyness_min, busyness_max, backlog_alert, .. } =
            self.config;
        let seconds = |time: Duration| time.as_secs_f64();
        let own = [
            ("busyness_percent", f64::from(self.busyness)),
            ("busyness_min_percent", f64::from(busyness_min)),
            ("busyness_max_percent", f64::from(busyness_max)),
            ("min_workers", f64::from(cheaper)),
            ("max_workers", f64::from(workers)),
            ("window_seconds", seconds(cheaper_overload)),
            ("quiet_windows", f64::from(patience)),
            ("backlog_alert", f64::from(backlog_alert)),
            ("backlog_nonzero_seconds", seconds(self.config.backlog_nonzero)),
        ];
        inputs::of(snapshot, own)
    }

    /// One master cycle.
    fn cycle(&mut self, snapshot: &Snapshot<'_>) -> Option<Decision> {
        let now = snapshot.now;
        self.seen.update(snapshot.workers, |worker, seen| {
            let mut seen = seen.unwrap_or(Seen { running: Duration::ZERO, was_busy: false });
            seen.was_busy |= worker.is_taken();
            seen
        });
        let Some(checked) = self.checked else {
            self.checked = Some(now);
            self.set_next_cheap(now);
            return None;
        };
        if now.saturating_sub(checked) < self.config.cheaper_overload {
            return self.watch_backlog(snapshot);
        }
        self.checked = Some(now);
        let busyness = self.measure(snapshot);
        self.busyness = busyness;
        let active = snapshot.count(WorkerView::serves);
        self.end_window(snapshot, busyness, active)
    }

    /// The mean share of the window in which the workers ran calls, in whole percent, rounded down as uWSGI does. A call
    /// counts when it ends, and at most as the whole window; a worker that had one all the time and ended none is busy.
    fn measure(&mut self, snapshot: &Snapshot<'_>) -> u32 {
        let window = self.config.cheaper_overload.as_micros();
        let (mut total, mut active) = (0, 0);
        for (worker, seen) in snapshot.workers.iter().zip(self.seen.values_mut()) {
            let ran = worker.totals.wall.saturating_sub(seen.running).as_micros();
            let percent = match ran {
                0 if seen.was_busy => 100,
                ran => (ran.saturating_mul(100) / window).min(100),
            };
            *seen = Seen { running: worker.totals.wall, was_busy: false };
            if worker.serves() {
                total += percent;
                active += 1;
            }
        }
        u32::try_from(total.checked_div(active).unwrap_or(0)).unwrap_or(100)
    }

    fn end_window(&mut self, snapshot: &Snapshot<'_>, busyness: u32, active: u32) -> Option<Decision> {
        let BusynessConfig { busyness_max, busyness_min, cheaper, .. } = self.config;
        if busyness > busyness_max {
            self.tolerated = 0;
            let reason = format!("busyness {busyness} % of {active} > cheaper-busyness-max {busyness_max} %");
            return self.grow(snapshot, reason);
        }
        if snapshot.waiting() > self.config.backlog_alert && active < self.config.workers {
            return self.alert(snapshot);
        }
        // One worker is a case of its own there: its timer stands still.
        if active <= 1 {
            return None;
        }
        if busyness < busyness_min {
            self.tolerated = 0;
            if active > cheaper && snapshot.now >= self.next_cheap {
                return self.shrink(snapshot, busyness, active);
            }
            return None;
        }
        self.emergency = self.emergency.saturating_sub(1);
        self.tolerated += 1;
        if self.tolerated >= TOLERANCE {
            self.set_next_cheap(snapshot.now);
        } else {
            self.next_cheap = self.next_cheap.saturating_add(self.config.cheaper_overload);
        }
        None
    }

    fn grow(&mut self, snapshot: &Snapshot<'_>, reason: String) -> Option<Decision> {
        let count = self.free(snapshot).min(self.config.cheaper_step);
        if count == 0 {
            return self.note_maximum(snapshot, &reason);
        }
        self.last = Last::Spawned;
        if self.last_cheaped.is_some_and(|at| self.windows_since(at, snapshot.now) <= u128::from(self.multiplier)) {
            self.multiplier = self.multiplier.saturating_add(self.config.penalty);
        } else {
            self.decrease_multiplier();
        }
        self.set_next_cheap(snapshot.now);
        Some(self.spawn(snapshot, count, reason))
    }

    fn shrink(&mut self, snapshot: &Snapshot<'_>, busyness: u32, active: u32) -> Option<Decision> {
        let slot = snapshot.oldest(WorkerView::serves)?.slot;
        let reason = format!(
            "busyness {busyness} % of {active} < cheaper-busyness-min {} %, for {} windows of {:?}",
            self.config.busyness_min,
            self.patience(),
            self.config.cheaper_overload
        );
        if self.last == Last::Cheaped {
            self.decrease_multiplier();
        }
        self.set_next_cheap(snapshot.now);
        self.last_cheaped = Some(snapshot.now);
        self.last = Last::Cheaped;
        self.emergency = self.emergency.saturating_sub(1);
        self.complement.retired();
        Some(Decision::retire(snapshot.now, &[slot], reason))
    }

    /// Between the ends of windows.
    fn watch_backlog(&mut self, snapshot: &Snapshot<'_>) -> Option<Decision> {
        let waiting = snapshot.waiting();
        if waiting > self.config.backlog_alert && snapshot.count(WorkerView::serves) < self.config.workers {
            return self.alert(snapshot);
        }
        if waiting == 0 {
            self.nonzero_since = None;
            return None;
        }
        let since = *self.nonzero_since.get_or_insert(snapshot.now);
        if snapshot.now.saturating_sub(since) < self.config.backlog_nonzero {
            return None;
        }
        self.nonzero_since = Some(snapshot.now);
        let reason = format!("{waiting} waiting, and never none for {:?}", self.config.backlog_nonzero);
        self.emergency(snapshot, reason)
    }

    fn alert(&mut self, snapshot: &Snapshot<'_>) -> Option<Decision> {
        let (waiting, alert) = (snapshot.waiting(), self.config.backlog_alert);
        self.emergency(snapshot, format!("{waiting} waiting > cheaper-busyness-backlog-alert {alert}"))
    }

    fn emergency(&mut self, snapshot: &Snapshot<'_>, reason: String) -> Option<Decision> {
        self.multiplier = self.config.multiplier;
        self.last = Last::Spawned;
        let count = self.free(snapshot).min(self.config.backlog_step);
        self.emergency = self.emergency.saturating_add(count);
        self.set_next_cheap(snapshot.now);
        if count == 0 {
            return self.note_maximum(snapshot, &reason);
        }
        Some(self.spawn(snapshot, count, reason))
    }

    fn spawn(&mut self, snapshot: &Snapshot<'_>, count: u32, reason: String) -> Decision {
        self.reached_max = false;
        self.complement.ordered(count);
        Decision::spawn(snapshot.now, count, reason)
    }

    fn note_maximum(&mut self, snapshot: &Snapshot<'_>, reason: &str) -> Option<Decision> {
        if std::mem::replace(&mut self.reached_max, true) {
            return None;
        }
        let reason = format!("{reason}, but reached workers {}: consider raising it", self.config.workers);
        Some(Decision::note(snapshot.now, reason))
    }

    /// A dismissed worker occupies its place until it is gone.
    fn free(&self, snapshot: &Snapshot<'_>) -> u32 {
        self.config.workers.saturating_sub(snapshot.count(|_| true))
    }

    /// Windows without need before a worker is dismissed.
    fn patience(&self) -> u32 {
        if self.emergency > 0 { self.config.backlog_multiplier } else { self.multiplier }
    }

    fn set_next_cheap(&mut self, now: Duration) {
        self.next_cheap = now.saturating_add(self.config.cheaper_overload.saturating_mul(self.patience()));
    }

    fn decrease_multiplier(&mut self) {
        self.multiplier = self.multiplier.saturating_sub(1).max(self.config.multiplier);
    }

    fn windows_since(&self, at: Duration, now: Duration) -> u128 {
        now.saturating_sub(at).as_micros() / self.config.cheaper_overload.as_micros()
    }
}

impl Policy for Busyness {
    fn name(&self) -> &'static str {
        "busyness"
    }

    fn tick(&self) -> Duration {
        CYCLE
    }

    fn initial(&self) -> u32 {
        self.config.cheaper_initial
    }

    /// Decides about the load on ticks only; successors start whenever one is missing.
    fn decide(&mut self, snapshot: &Snapshot<'_>) -> Option<Decision> {
        let missing = self.complement.missing(snapshot, self.config.workers);
        if self.pause.active(snapshot.now) {
            return None;
        }
        let patience = self.patience();
        let decision = match snapshot.cause {
            _ if missing > 0 => Some(Decision::successors(snapshot, missing)),
            Cause::Tick => self.cycle(snapshot),
            Cause::Saturated | Cause::Exited | Cause::Started => None,
        };
        decision.map(|decision| decision.with_inputs(self.inputs(snapshot, patience)))
    }

    fn spawn_failed(&mut self, now: Duration) {
        self.pause.failed(now);
    }
}

#[cfg(test)]
mod tests;
