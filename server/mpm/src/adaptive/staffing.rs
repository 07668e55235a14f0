//! How many workers a demand needs: the arithmetic, without memory.
//!
//! **Slots** (calls at once) by square-root staffing: an offered load `a` fluctuates by about `√a`, so `a + 2√a` slots
//! leave about 3 % of arrivals without a free one (Halfin & Whitt 1981), and `a` alone would leave nearly all. What
//! waits now gets the slots that finish it within [`DRAIN`], or within the time that a worker takes to start if that is
//! longer: whoever comes later finds nothing of it any more, and what gathers while workers start is no reason for more of
//! them. As long as nobody knows how long a call takes, it is a slot each. Threads first: a worker carries `max_threads`
//! slots.
//!
//! **Cores**: a process runs Python on one core, so CPU demand counts processes, each loaded to [`CORE_TARGET`] and never
//! more of them than there are cores. More slots than the cores can keep busy are never wanted either: if calls compute
//! a tenth of their time, `10·cpus` slots (and their headroom) use the machine up.

use crate::Limits;

use super::demand::Demand;

/// Slots beyond the load, in square roots of the load.
const HEADROOM: f64 = 2.0;
/// The same for keeping workers that are there already, so that a load near a boundary doesn't start and retire in turn.
const HEADROOM_TO_KEEP: f64 = 3.0;
/// What waits should have been served after this many seconds, where workers start sooner.
pub(super) const DRAIN: f64 = 0.1;
/// How busy one process' core should be: at 80 % a call finds it taken four times out of five, and beyond, the wait for
/// it grows without bound.
const CORE_TARGET: f64 = 0.8;
/// Rounding errors don't cost a worker.
const EPSILON: f64 = 1e-9;

/// Workers wanted, with the figures that lead to them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Staffing {
    /// Calls at once.
    pub(super) slots: f64,
    /// Workers for these slots.
    pub(super) by_slots: u32,
    /// Workers for the CPU demand.
    pub(super) by_cpu: u32,
    /// Workers for both, before the limits.
    pub(super) needed: u32,
    /// `needed` within the limits: below this, start.
    pub(super) wanted: u32,
    /// Above this, retire. Never less than `wanted`.
    pub(super) kept: u32,
}

/// Workers for `demand`, with at least `by_cpu` for the CPU (see [`cores_needed`] and `contention`), given that
/// `serving` are there or on their way.
pub(super) fn staff(demand: &Demand, by_cpu: u32, serving: u32, limits: &Limits) -> Staffing {
    let threads = f64::from(limits.max_threads.max(1));
    // When every slot is taken, what runs is what there is room for, not what was offered; then the load is taken from
    // what arrives.
    let full = demand.running + f64::from(demand.waiting) >= f64::from(serving) * threads;
    let load = if full { demand.load.max(arriving_load(demand)) } else { demand.load };
    let each = demand.residence().map_or(1.0, |residence| (residence / drain_time(demand)).min(1.0));
    let drain = f64::from(demand.waiting) * each;
    let slots_with = |headroom: f64| (load + headroom * load.sqrt() + drain).min(usable_slots(demand, load, limits));
    let slots = slots_with(HEADROOM);
    // What runs now is kept running, whatever the mean says.
    let slots_to_keep = slots_with(HEADROOM_TO_KEEP).max(demand.running);
    let by_slots = ceil(slots / threads);
    let needed = by_slots.max(by_cpu);
    let wanted = within(limits, needed);
    let kept = within(limits, ceil(slots_to_keep / threads).max(by_cpu)).max(wanted);
    Staffing { slots, by_slots, by_cpu, needed, wanted, kept }
}

/// Seconds within which what waits should have been served.
pub(super) fn drain_time(demand: &Demand) -> f64 {
    demand.start_time.max(DRAIN)
}

/// Processes for the CPU demand and what waits for it, at most one per core.
pub(super) fn cores_needed(demand: &Demand, limits: &Limits) -> u32 {
    let to_drain = f64::from(demand.waiting) * demand.cpu_per_call() / drain_time(demand);
    ceil((demand.cpu + to_drain) / CORE_TARGET).min(cores(limits))
}

/// Whole cores: a fractional quota still lets one more process run part of the time.
pub(super) fn cores(limits: &Limits) -> u32 {
    ceil(limits.cpus).max(1)
}

/// The most workers there may be: the operator's minimum wins over the memory estimate, and there is always one.
pub(super) fn ceiling(limits: &Limits) -> u32 {
    limits.max_workers.min(limits.memory_workers).max(floor(limits))
}

/// The fewest workers there may be.
pub(super) fn floor(limits: &Limits) -> u32 {
    limits.min_workers.max(1)
}

fn within(limits: &Limits, workers: u32) -> u32 {
    workers.clamp(floor(limits), ceiling(limits))
}

/// Offered load at the rate of the last moments. While no call ended nobody knows how long one takes: then what runs is
/// the best guess.
fn arriving_load(demand: &Demand) -> f64 {
    demand.residence().map_or(demand.running, |residence| demand.arrivals * residence)
}

/// Slots at which calls like these use up all cores, with headroom. Never below what the load itself needs.
fn usable_slots(demand: &Demand, load: f64, limits: &Limits) -> f64 {
    if demand.cpu <= 0.0 || load <= 0.0 {
        return f64::INFINITY;
    }
    let computing = (demand.cpu / load).min(1.0);
    let busy = (limits.cpus / computing).max(load);
    busy + HEADROOM_TO_KEEP * busy.sqrt()
}

/// Rounds up; saturates.
fn ceil(value: f64) -> u32 {
    (value - EPSILON).ceil() as u32
}

#[cfg(test)]
#[path = "staffing_tests.rs"]
mod tests;
