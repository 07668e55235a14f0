//! As many workers as the measured demand needs.
//!
//! | Module | What it owns |
//! | --- | --- |
//! | `demand` | measuring: counters over a sliding window → rate, time, load, CPU |
//! | `staffing` | arithmetic: demand → slots and cores → workers |
//! | `contention` | one process more when calls get in each other's way on the CPU |
//! | `shrink` | who leaves, when, how fast |
//! | `reason` | the inputs in one line |
//! | `sliding_max` | the largest value of the last few seconds |
//!
//! Up at once and for the whole need: workers that are starting count as capacity, so the same need never starts two.
//! Down late and slowly. Equal input gives equal output: the state is nothing but the past snapshots.

mod contention;
mod demand;
mod reason;
mod shrink;
mod sliding_max;
mod staffing;

use std::time::Duration;

use crate::least_used::surplus;
use crate::spawn_pause::SpawnPause;
use crate::{Cause, Decision, LONGEST_REST, Limits, Phase, Policy, Snapshot, WorkerView};

use contention::Contention;
use demand::Meter;
use reason::{Inputs, Workers};
use shrink::{PATIENCE, Shrink};

/// The `adaptive` policy.
#[derive(Debug, Clone)]
pub struct Adaptive {
    limits: Limits,
    meter: Meter,
    contention: Contention,
    shrink: Shrink,
    pause: SpawnPause,
    capped: Capped,
    /// The limits were changed, and more workers may be there than they allow: the surplus leaves without patience.
    rescaled: bool,
    /// There was no call at the last snapshot and in the window before, and no CPU that needs more than the fewest workers.
    quiet: bool,
}

impl Adaptive {
    /// Stays within `limits`: `min_workers` wins over `max_workers` and `memory_workers`, there is always one worker, and
    /// a CPU quota that is no positive number counts as one core.
    pub fn new(limits: Limits) -> Self {
        let cpus = if limits.cpus.is_finite() && limits.cpus > 0.0 { limits.cpus } else { 1.0 };
        Self {
            limits: Limits { cpus, ..limits },
            meter: Meter::default(),
            contention: Contention::new(),
            shrink: Shrink::new(),
            pause: SpawnPause::doubling(Duration::from_secs(1), Duration::from_secs(10)),
            capped: Capped::No,
            rescaled: false,
            quiet: false,
        }
    }

    /// How many of `missing` workers fit into memory beside all living ones (draining ones still hold theirs); what the
    /// minimum needs is started in any case.
    fn startable(&self, missing: u32, serving: u32, living: u32) -> u32 {
        let room = self.limits.memory_workers.saturating_sub(living);
        let below_minimum = staffing::floor(&self.limits).saturating_sub(serving);
        missing.min(room.max(below_minimum))
    }
}

impl Policy for Adaptive {
    fn name(&self) -> &'static str {
        "adaptive"
    }

    fn tick(&self) -> Duration {
        Duration::from_millis(100)
    }

    fn initial(&self) -> u32 {
        staffing::floor(&self.limits)
    }

    /// Until something happens, while there is nothing to do for the fewest workers that there may be, and the windows that
    /// demand is measured over hold no call.
    fn rest(&self, snapshot: &Snapshot<'_>) -> Duration {
        let fewest = staffing::floor(&self.limits);
        let there = snapshot.count(|worker| worker.phase == Phase::Ready);
        let settled = there == fewest && snapshot.count(WorkerView::serves) == fewest;
        if settled && self.quiet && !self.rescaled { LONGEST_REST } else { self.tick() }
    }

    /// Acts the same whatever the cause: what counts is in the snapshot.
    fn decide(&mut self, snapshot: &Snapshot<'_>) -> Option<Decision> {
        if snapshot.cause == Cause::Started {
            self.pause.succeeded();
        }
        let now = snapshot.now;
        let living = snapshot.count(|_| true);
        let serving = snapshot.count(|worker| worker.serves());
        let starting = snapshot.count(|worker| worker.phase == Phase::Starting);

        let demand = self.meter.observe(snapshot);
        let (by_cpu, symptom) = self.contention.observe(now, &demand, serving, &self.limits);
        let staffing = staffing::staff(&demand, by_cpu, serving, &self.limits);
        self.quiet = demand.is_nothing() && staffing.kept <= staffing::floor(&self.limits);
        let needed_lately = self.shrink.observe(now, staffing.kept);
        let inputs = Inputs { demand: &demand, staffing: &staffing, symptom, limits: &self.limits, serving, starting };

        let missing = staffing.wanted.saturating_sub(serving);
        if missing > 0 {
            let count = self.startable(missing, serving, living);
            return (count > 0 && !self.pause.active(now))
                .then(|| Decision::spawn(now, count, inputs.summary()).with_inputs(inputs.figures()));
        }
        let ceiling = staffing::ceiling(&self.limits);
        if self.rescaled {
            let slots = surplus(snapshot, ceiling);
            if !slots.is_empty() {
                let reason = format!("{}, but at most {} may run", inputs.summary(), Workers(ceiling));
                return Some(Decision::retire(now, &slots, reason).with_inputs(inputs.figures()));
            }
            self.rescaled = serving > ceiling;
        }
        let slots = self.shrink.retire(snapshot, serving, needed_lately);
        if !slots.is_empty() {
            let reason = format!("{}, needed {needed_lately} at most for {} s", inputs.summary(), PATIENCE.as_secs());
            return Some(Decision::retire(now, &slots, reason).with_inputs(inputs.figures()));
        }
        let reason = self.capped.newly(staffing.needed > ceiling, needed_lately >= ceiling).then(|| {
            format!(
                "{}, but at most {} may run: raise the maximum or the memory limit",
                inputs.summary(),
                Workers(ceiling)
            )
        });
        reason.map(|reason| Decision::note(now, reason).with_inputs(inputs.figures()))
    }

    fn spawn_failed(&mut self, now: Duration) {
        self.pause.failed(now);
    }

    fn scale(&mut self, min: u32, max: u32) -> Result<(), &'static str> {
        self.limits.min_workers = min;
        self.limits.max_workers = max;
        self.rescaled = true;
        Ok(())
    }
}

/// Whether the limits stand in the way, so that the operator is told once and not ten times a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Capped {
    No,
    Told,
}

impl Capped {
    /// True when `exceeded` is news. It stays old news while everything that is allowed was `needed` lately.
    fn newly(&mut self, exceeded: bool, needed: bool) -> bool {
        match (*self, exceeded) {
            (Self::No, true) => {
                *self = Self::Told;
                true
            }
            (Self::Told, false) if !needed => {
                *self = Self::No;
                false
            }
            (Self::No, false) | (Self::Told, _) => false,
        }
    }
}
