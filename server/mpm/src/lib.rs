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
//! | `fixed` | a constant number of workers |
//! | `adaptive` | square-root staffing on measured demand |
//! | `spawn_pause` | how long nothing is started after a failed start |
//! | [`sizing`] | how many calls one worker runs at once |
//! | `scatter` | numbers that differ from worker to worker |
//!
//! It must not know: signals, descriptors, Python, HTTP. Its callers are the server's supervisor (policies), the
//! server's workers ([`sizing`]) and the simulator (both).

#![forbid(unsafe_code)]

mod adaptive;
mod decision;
mod fixed;
mod prefork;
mod scatter;
pub mod sizing;
mod snapshot;
mod spawn_pause;

use std::time::Duration;

pub use adaptive::Adaptive;
pub use decision::{Action, Decision};
pub use fixed::Static;
pub use prefork::{Prefork, PreforkConfig};
pub use scatter::scatter;
pub use snapshot::{Cause, Limits, Phase, Snapshot, Totals, WorkerView};

/// Decides how many workers there should be.
///
/// The caller asks once every [`tick`](Policy::tick) with [`Cause::Tick`], and at once with the other causes when they
/// happen; a policy that acts on ticks only answers `None` to the rest. Snapshots come with a monotonic `now`.
pub trait Policy: Send {
    /// The policy's name as the operator selects it.
    fn name(&self) -> &'static str;

    /// The time between two [`Cause::Tick`]s.
    fn tick(&self) -> Duration;

    /// How many workers to start with, before the first snapshot.
    fn initial(&self) -> u32;

    /// What to do about this snapshot; `None` when there is nothing to do. The answer assumes that its actions are
    /// carried out before the next snapshot is taken: spawned workers are then `Starting`, retired ones `Draining`.
    fn decide(&mut self, snapshot: &Snapshot<'_>) -> Option<Decision>;

    /// A start that this policy ordered failed at `now` (the fork itself, or the worker before it was ready).
    fn spawn_failed(&mut self, now: Duration);

    /// A new generation of workers is taking over from the old one without a stop. Most policies don't care.
    fn graceful_restart(&mut self) {}
}
