//! Process-management policies: what was measured goes in, what to start and to retire comes out.
//!
//! The crate is pure. It opens nothing, reads no clock and starts no process: the caller takes a [`Snapshot`] of its
//! workers, passes the time in, and carries out the [`Decision`]. So the server and the simulator run the very same
//! code, and anyone can recompute a decision from its inputs.
//!
//! | Module | What it owns |
//! | --- | --- |
//! | `snapshot` | what a policy may know: workers, counters, backlog, limits |
//! | `decision` | what a policy may order, and its reason |
//! | `prefork` | Apache 2.4's fixed thresholds |
//! | `busyness`, `spare` | uWSGI's two cheaper algorithms |
//! | `dynamic`, `ondemand` | PHP-FPM's two ways to manage children |
//! | `unit` | NGINX Unit's processes |
//! | `fixed` | a constant number of workers |
//! | `adaptive` | square-root staffing on measured demand |
//! | `inputs` | the figures of a decision, by name |
//! | `complement` | who was ordered and not retired, so that others get successors |
//! | `per_worker` | what is remembered of each worker between two snapshots |
//! | `least_used` | who leaves when some must |
//! | `spawn_pause` | how long nothing is started after a failed start |
//! | [`sizing`] | how many calls one worker runs at once |
//! | [`record`] | what a policy was told and answered, and the same again |
//! | `scatter` | numbers that differ from worker to worker |
//!
//! It must not know: signals, descriptors, Python, HTTP. Its callers are the server's supervisor (policies), the
//! server's workers ([`sizing`]) and the simulator (both).

#![forbid(unsafe_code)]

mod adaptive;
mod busyness;
mod complement;
mod decision;
mod dynamic;
mod fixed;
mod inputs;
mod least_used;
mod ondemand;
mod per_worker;
mod prefork;
pub mod record;
#[cfg(test)]
mod sample;
mod scatter;
pub mod sizing;
mod snapshot;
mod spare;
mod spawn_pause;
mod unit;

use std::time::Duration;

pub use adaptive::Adaptive;
pub use busyness::{Busyness, BusynessConfig};
pub use decision::{Action, Decision};
pub use dynamic::{Dynamic, DynamicConfig};
pub use fixed::Static;
pub use ondemand::{OnDemand, OnDemandConfig};
pub use prefork::{Prefork, PreforkConfig};
pub use scatter::scatter;
pub use snapshot::{Cause, Limits, Phase, Snapshot, Totals, WorkerView};
pub use spare::{Spare, SpareConfig};
pub use unit::{Unit, UnitConfig};

/// The longest rest between two ticks. What nobody is woken for is noticed this late: limits of the machine that have changed,
/// a clock, a worker that is there and does not answer.
pub const LONGEST_REST: Duration = Duration::from_secs(2);

/// Decides how many workers there should be.
///
/// The caller asks once every [`tick`](Policy::tick) with [`Cause::Tick`], and at once with the other causes when they
/// happen; a policy that acts on ticks only answers `None` to the rest. Snapshots come with a monotonic `now`. Where a policy
/// [rests](Policy::rest), the next tick comes later, unless something happens.
pub trait Policy: Send {
    /// The policy's name as the operator selects it.
    fn name(&self) -> &'static str;

    /// The time between two [`Cause::Tick`]s.
    fn tick(&self) -> Duration;

    /// How long it can do without a tick after this snapshot, the last one that it was asked about and had nothing to say
    /// to, as long as nothing happens: no call begins, no connection comes, nobody is started or ends. Whatever does happen
    /// is a [`Cause::Tick`] at once. Pure, and never less than [`tick`](Policy::tick); the caller rests for
    /// [`LONGEST_REST`] at most. Policies that count their ticks don't rest.
    fn rest(&self, snapshot: &Snapshot<'_>) -> Duration {
        let _ = snapshot;
        self.tick()
    }

    /// How many workers to start with, before the first snapshot.
    fn initial(&self) -> u32;

    /// What to do about this snapshot; `None` when there is nothing to do. The answer assumes that its actions are
    /// carried out before the next snapshot is taken: spawned workers are then `Starting`, retired ones `Draining`.
    fn decide(&mut self, snapshot: &Snapshot<'_>) -> Option<Decision>;

    /// A start that this policy ordered failed at `now` (the fork itself, or the worker before it was ready).
    fn spawn_failed(&mut self, now: Duration);

    /// A new generation of workers is taking over from the old one without a stop. Most policies don't care.
    fn graceful_restart(&mut self) {}

    /// Keeps at least `min` and at most `max` workers from the next snapshot on (`1 <= min <= max`). Surplus workers are
    /// retired at once, whatever they were needed for lately.
    ///
    /// # Errors
    /// A policy that can't be told so says why, and what to change instead.
    fn scale(&mut self, min: u32, max: u32) -> Result<(), &'static str> {
        let _ = (min, max);
        Err("it goes by thresholds of its own; change those")
    }
}
