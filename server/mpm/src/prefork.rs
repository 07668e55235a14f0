//! Apache httpd 2.4's prefork: fixed thresholds on the number of idle children, one pass a second.
//!
//! The order of the rules is that of `perform_idle_server_maintenance` in httpd's `server/mpm/prefork/prefork.c`. Where
//! httpd hands the retirement to whichever idle child reads it first, this picks the one in the highest slot.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::spawn_pause::SpawnPause;
use crate::{Cause, Decision, Phase, Policy, Snapshot, WorkerView, inputs};

/// httpd's `MAX_SPAWN_RATE`: children forked in one pass at most.
const MAX_SPAWN_RATE: u32 = 32;
/// Passes that fork without doubling after a graceful restart (`hold_off_on_exponential_spawning`).
const HOLD_OFF: u32 = 10;
/// httpd's `SCOREBOARD_MAINTENANCE_INTERVAL`.
const PASS: Duration = Duration::from_secs(1);
/// httpd sleeps this long after a failed fork.
const FORK_PAUSE: Duration = Duration::from_secs(10);

/// The thresholds, named as in Apache's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreforkConfig {
    /// `StartServers`.
    pub start_servers: u32,
    /// `MinSpareServers`.
    pub min_spare: u32,
    /// `MaxSpareServers`.
    pub max_spare: u32,
    /// `MaxRequestWorkers`.
    pub max_request_workers: u32,
}

impl Default for PreforkConfig {
    /// Apache's defaults.
    fn default() -> Self {
        Self { start_servers: 5, min_spare: 5, max_spare: 10, max_request_workers: 256 }
    }
}

impl PreforkConfig {
    /// Repairs impossible thresholds the way httpd does: at least one child, at least one spare, the upper threshold
    /// above the lower one.
    fn repaired(self) -> Self {
        let max_request_workers = self.max_request_workers.max(1);
        let min_spare = self.min_spare.max(1);
        Self {
            start_servers: self.start_servers.min(max_request_workers),
            min_spare,
            max_spare: self.max_spare.max(min_spare.saturating_add(1)),
            max_request_workers,
        }
    }
}

/// The `prefork` policy.
#[derive(Debug, Clone)]
pub struct Prefork {
    config: PreforkConfig,
    /// `idle_spawn_rate`: free slots collected in a pass.
    rate: u32,
    hold_off: u32,
    reached_max: bool,
    pause: SpawnPause,
}

impl Prefork {
    /// Starts with the lowest spawn rate.
    pub fn new(config: PreforkConfig) -> Self {
        Self {
            config: config.repaired(),
            rate: 1,
            hold_off: 0,
            reached_max: false,
            pause: SpawnPause::constant(FORK_PAUSE),
        }
    }

    /// A pass, with the figures that it went by.
    fn maintain(&mut self, snapshot: &Snapshot<'_>) -> Option<Decision> {
        let PreforkConfig { min_spare, max_spare, max_request_workers, .. } = self.config;
        let spawn_rate = self.rate;
        let decision = self.pass(snapshot)?;
        let own = [
            ("workers_idle", snapshot.count(is_idle)),
            ("min_spare", min_spare),
            ("max_spare", max_spare),
            ("max_workers", max_request_workers),
            ("spawn_rate", spawn_rate),
        ];
        Some(decision.with_inputs(inputs::of(snapshot, own.map(|(name, value)| (name, f64::from(value))))))
    }

    fn pass(&mut self, snapshot: &Snapshot<'_>) -> Option<Decision> {
        let PreforkConfig { min_spare, max_spare, max_request_workers, .. } = self.config;
        let idle = snapshot.count(is_idle);
        // A draining child is neither idle nor a free slot.
        let living = snapshot.count(|_| true);
        let free = max_request_workers.saturating_sub(living).min(self.rate);

        if idle > max_spare {
            self.rate = 1;
            let slot = to_retire(snapshot.workers)?;
            let reason = format!("{idle} idle of {living} > MaxSpareServers {max_spare}");
            return Some(Decision::retire(snapshot.now, &[slot], reason));
        }
        if idle >= min_spare {
            self.rate = 1;
            return None;
        }
        if free == 0 {
            self.rate = 1;
            if self.reached_max {
                return None;
            }
            self.reached_max = true;
            let reason = format!(
                "{idle} idle < MinSpareServers {min_spare}, but reached MaxRequestWorkers {max_request_workers}: consider raising it"
            );
            return Some(Decision::note(snapshot.now, reason));
        }
        let reason = format!("{idle} idle of {living} < MinSpareServers {min_spare}, spawn rate {}", self.rate);
        if self.hold_off > 0 {
            self.hold_off -= 1;
        } else {
            self.rate = (self.rate * 2).min(MAX_SPAWN_RATE);
        }
        Some(Decision::spawn(snapshot.now, free, reason))
    }
}

impl Policy for Prefork {
    fn name(&self) -> &'static str {
        "prefork"
    }

    fn tick(&self) -> Duration {
        PASS
    }

    fn initial(&self) -> u32 {
        self.config.start_servers
    }

    /// Acts on ticks only. httpd's loop reaps first: a turn that reaped a child goes straight back to reaping, without
    /// maintenance and without the one-second sleep, so an exit frees its slot and neither causes nor delays a pass.
    fn decide(&mut self, snapshot: &Snapshot<'_>) -> Option<Decision> {
        match snapshot.cause {
            // httpd's parent sleeps through the pause: it retires nobody either.
            Cause::Tick if !self.pause.active(snapshot.now) => self.maintain(snapshot),
            Cause::Tick | Cause::Saturated | Cause::Exited | Cause::Started => None,
        }
    }

    fn spawn_failed(&mut self, now: Duration) {
        self.pause.failed(now);
    }

    fn graceful_restart(&mut self) {
        self.hold_off = HOLD_OFF;
    }
}

/// Waits for a connection, or will soon: httpd counts starting children as idle so as not to fork for them twice.
fn is_idle(worker: &WorkerView) -> bool {
    match worker.phase {
        Phase::Starting => true,
        Phase::Ready => worker.connections == 0,
        Phase::Draining => false,
    }
}

/// The idle child in the highest slot; a starting one only when no other is idle.
fn to_retire(workers: &[WorkerView]) -> Option<u32> {
    workers
        .iter()
        .filter(|worker| is_idle(worker))
        .max_by_key(|worker| (worker.phase == Phase::Ready, worker.slot))
        .map(|worker| worker.slot)
}
