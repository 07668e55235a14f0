//! uWSGI's *cheaper spare*, which it takes unless told otherwise: more workers after all have been busy for a while, one
//! fewer after more than one has been idle for as long.
//!
//! The rules are those of `uwsgi_cheaper_algo_spare` in uWSGI 2.0.31's `core/master_utils.c`. `uwsgi_calc_cheaper` beside
//! it asks them once a second and dismisses the oldest worker, busy or not; its master restarts whoever else ends.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::busyness::{CYCLE, FORKBOMB_DELAY};
use crate::complement::Complement;
use crate::spawn_pause::SpawnPause;
use crate::{Cause, Decision, Policy, Snapshot, WorkerView, inputs};

/// The thresholds, named as in uWSGI's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpareConfig {
    /// `workers`: never more.
    pub workers: u32,
    /// `cheaper`: never fewer.
    pub cheaper: u32,
    /// `cheaper-initial`: workers at the start; at least `cheaper`.
    pub cheaper_initial: u32,
    /// `cheaper-step`: workers started at once.
    pub cheaper_step: u32,
    /// `cheaper-overload`: in seconds, for how long all have to be busy, or more than one idle.
    pub cheaper_overload: u32,
}

impl Default for SpareConfig {
    /// uWSGI's defaults; `workers` and `cheaper` as in [`BusynessConfig`](crate::BusynessConfig).
    fn default() -> Self {
        Self { workers: 256, cheaper: 1, cheaper_initial: 1, cheaper_step: 1, cheaper_overload: 3 }
    }
}

impl SpareConfig {
    /// Where uWSGI would not start, or divide by zero: the nearest that works.
    fn repaired(self) -> Self {
        let workers = self.workers.max(1);
        let cheaper = self.cheaper.clamp(1, workers);
        Self {
            workers,
            cheaper,
            cheaper_initial: self.cheaper_initial.clamp(cheaper, workers),
            cheaper_step: self.cheaper_step.max(1),
            cheaper_overload: self.cheaper_overload.max(1),
        }
    }
}

/// The `spare` policy.
#[derive(Debug, Clone)]
pub struct Spare {
    config: SpareConfig,
    complement: Complement,
    /// Grows with every cycle that finds all busy, shrinks with every other one.
    overloaded: u32,
    /// Cycles with several idle ones since all were busy.
    idle: u64,
    reached_max: bool,
    pause: SpawnPause,
}

impl Spare {
    /// Starts with nothing seen.
    pub fn new(config: SpareConfig) -> Self {
        let config = config.repaired();
        Self {
            config,
            complement: Complement::new(config.cheaper_initial),
            overloaded: 0,
            idle: 0,
            reached_max: false,
            pause: SpawnPause::constant(FORKBOMB_DELAY),
        }
    }

    /// The figures that a decision goes by, after `overloaded` cycles of too much to do.
    fn inputs(&self, snapshot: &Snapshot<'_>, overloaded: u32) -> BTreeMap<String, f64> {
        let SpareConfig { workers, cheaper, cheaper_step, cheaper_overload, .. } = self.config;
        let own = [
            ("workers_busy", snapshot.count(|worker| worker.serves() && worker.is_taken())),
            ("workers_idle", snapshot.count(|worker| worker.serves() && !worker.is_taken())),
            ("min_workers", cheaper),
            ("max_workers", workers),
            ("step", cheaper_step),
            ("overload_seconds", overloaded),
            ("overload_threshold_seconds", cheaper_overload),
        ];
        inputs::of(snapshot, own.map(|(name, value)| (name, f64::from(value))))
    }

    /// One master cycle.
    fn cycle(&mut self, snapshot: &Snapshot<'_>) -> Option<Decision> {
        let SpareConfig { cheaper, cheaper_overload, .. } = self.config;
        let active = snapshot.count(WorkerView::serves);
        // A starting worker is not busy: uWSGI doesn't start another one on top of it.
        let busy = snapshot.count(|worker| worker.serves() && worker.is_taken());
        if busy == active {
            self.overloaded = self.overloaded.saturating_add(1);
            self.idle = 0;
        } else {
            self.overloaded = self.overloaded.saturating_sub(1);
        }
        if self.overloaded > cheaper_overload {
            self.overloaded = 0;
            return self.grow(snapshot, active);
        }
        // One spare worker is what is aimed at.
        if self.overloaded > 0 || active.saturating_sub(busy) == 1 {
            return None;
        }
        self.idle = self.idle.saturating_add(1);
        if active <= cheaper || !self.idle.is_multiple_of(u64::from(cheaper_overload)) {
            return None;
        }
        let slot = snapshot.oldest(WorkerView::serves)?.slot;
        self.complement.retired();
        let reason = format!("{} idle of {active} > 1 spare, for cheaper-overload {cheaper_overload} s", active - busy);
        Some(Decision::retire(snapshot.now, &[slot], reason))
    }

    fn grow(&mut self, snapshot: &Snapshot<'_>, active: u32) -> Option<Decision> {
        let SpareConfig { workers, cheaper_step, cheaper_overload, .. } = self.config;
        let reason = format!("all of {active} busy, for more than cheaper-overload {cheaper_overload} s");
        // A dismissed worker occupies its place until it is gone.
        let count = workers.saturating_sub(snapshot.count(|_| true)).min(cheaper_step);
        if count > 0 {
            self.reached_max = false;
            self.complement.ordered(count);
            return Some(Decision::spawn(snapshot.now, count, reason));
        }
        if std::mem::replace(&mut self.reached_max, true) {
            return None;
        }
        Some(Decision::note(snapshot.now, format!("{reason}, but reached workers {workers}: consider raising it")))
    }
}

impl Policy for Spare {
    fn name(&self) -> &'static str {
        "spare"
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
        let overloaded = self.overloaded;
        let decision = match snapshot.cause {
            _ if missing > 0 => Some(Decision::successors(snapshot, missing)),
            Cause::Tick => self.cycle(snapshot),
            Cause::Saturated | Cause::Exited | Cause::Started => None,
        };
        decision.map(|decision| decision.with_inputs(self.inputs(snapshot, overloaded)))
    }

    fn spawn_failed(&mut self, now: Duration) {
        self.pause.failed(now);
    }
}

#[cfg(test)]
mod tests;
