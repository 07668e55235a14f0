//! PHP-FPM's `pm = dynamic`: Apache's thresholds on idle children, except that no more are forked than are missing.
//!
//! The order of the rules is that of `fpm_pctl_perform_idle_server_maintenance` in php-src's
//! `sapi/fpm/fpm/fpm_process_ctl.c`; `fpm_children_bury` in `fpm_children.c` restarts every child that was not dismissed
//! for idleness. A child is idle while it waits to accept, so one that is still starting is not; a dismissed one counts
//! for the maximum until it is reaped.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::complement::Complement;
use crate::spawn_pause::SpawnPause;
use crate::{Cause, Decision, Policy, Snapshot, WorkerView, inputs};

/// `FPM_IDLE_SERVER_MAINTENANCE_HEARTBEAT`.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(1);
/// `FPM_MAX_SPAWN_RATE`.
const MAX_SPAWN_RATE: u32 = 32;

/// The thresholds, named as in FPM's pool configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DynamicConfig {
    /// `pm.max_children`: never more.
    pub max_children: u32,
    /// `pm.start_servers`: children at the start.
    pub start_servers: u32,
    /// `pm.min_spare_servers`: with fewer idle ones, fork.
    pub min_spare_servers: u32,
    /// `pm.max_spare_servers`: with more idle ones, dismiss one.
    pub max_spare_servers: u32,
}

impl Default for DynamicConfig {
    /// The spare servers of the pool that FPM is shipped with (`www.conf`), and FPM's own start between them. It has no
    /// default for `pm.max_children`; Apache's MaxRequestWorkers here, so that a maximum decides no comparison.
    fn default() -> Self {
        Self { max_children: 256, start_servers: 2, min_spare_servers: 1, max_spare_servers: 3 }
    }
}

impl DynamicConfig {
    /// Where FPM refuses to start (`fpm_conf_process_all_pools`): the nearest that it takes.
    fn repaired(self) -> Self {
        let max_children = self.max_children.max(1);
        let min_spare_servers = self.min_spare_servers.clamp(1, max_children);
        let max_spare_servers = self.max_spare_servers.clamp(min_spare_servers, max_children);
        Self {
            max_children,
            start_servers: self.start_servers.clamp(min_spare_servers, max_spare_servers),
            min_spare_servers,
            max_spare_servers,
        }
    }
}

/// The `dynamic` policy.
#[derive(Debug, Clone)]
pub struct Dynamic {
    config: DynamicConfig,
    complement: Complement,
    /// `idle_spawn_rate`: children forked in one beat at most.
    rate: u32,
    /// `warn_max_children`.
    reached_max: bool,
    pause: SpawnPause,
}

impl Dynamic {
    /// Starts with the lowest spawn rate.
    pub fn new(config: DynamicConfig) -> Self {
        let config = config.repaired();
        Self {
            config,
            complement: Complement::new(config.start_servers),
            rate: 1,
            reached_max: false,
            pause: SpawnPause::constant(HEARTBEAT),
        }
    }

    /// The figures that a decision at this spawn rate goes by.
    fn inputs(&self, snapshot: &Snapshot<'_>, spawn_rate: u32) -> BTreeMap<String, f64> {
        let DynamicConfig { max_children, min_spare_servers, max_spare_servers, .. } = self.config;
        let own = [
            ("workers_idle", snapshot.count(WorkerView::has_nothing_to_do)),
            ("min_spare", min_spare_servers),
            ("max_spare", max_spare_servers),
            ("max_workers", max_children),
            ("spawn_rate", spawn_rate),
        ];
        inputs::of(snapshot, own.map(|(name, value)| (name, f64::from(value))))
    }

    /// One heartbeat.
    fn maintain(&mut self, snapshot: &Snapshot<'_>) -> Option<Decision> {
        let DynamicConfig { max_children, min_spare_servers, max_spare_servers, .. } = self.config;
        let idle = snapshot.count(WorkerView::has_nothing_to_do);
        let living = snapshot.count(|_| true);
        if idle > max_spare_servers {
            self.rate = 1;
            let slot = snapshot.oldest(WorkerView::has_nothing_to_do)?.slot;
            self.complement.retired();
            let reason = format!("{idle} idle of {living} > pm.max_spare_servers {max_spare_servers}");
            return Some(Decision::retire(snapshot.now, &[slot], reason));
        }
        if idle >= min_spare_servers {
            self.rate = 1;
            return None;
        }
        let count = self.rate.min(min_spare_servers - idle).min(max_children.saturating_sub(living));
        if count == 0 {
            self.rate = 1;
            if std::mem::replace(&mut self.reached_max, true) {
                return None;
            }
            let reason = format!(
                "{idle} idle < pm.min_spare_servers {min_spare_servers}, but reached pm.max_children {max_children}: consider raising it"
            );
            return Some(Decision::note(snapshot.now, reason));
        }
        let reason =
            format!("{idle} idle of {living} < pm.min_spare_servers {min_spare_servers}, spawn rate {}", self.rate);
        self.reached_max = false;
        self.complement.ordered(count);
        self.rate = (self.rate * 2).min(MAX_SPAWN_RATE);
        Some(Decision::spawn(snapshot.now, count, reason))
    }
}

impl Policy for Dynamic {
    fn name(&self) -> &'static str {
        "dynamic"
    }

    fn tick(&self) -> Duration {
        HEARTBEAT
    }

    fn initial(&self) -> u32 {
        self.config.start_servers
    }

    /// Decides about the load on ticks only; successors start whenever one is missing.
    fn decide(&mut self, snapshot: &Snapshot<'_>) -> Option<Decision> {
        let missing = self.complement.missing(snapshot, self.config.max_children);
        if self.pause.active(snapshot.now) {
            return None;
        }
        let spawn_rate = self.rate;
        let decision = match snapshot.cause {
            _ if missing > 0 => Some(Decision::successors(snapshot, missing)),
            Cause::Tick => self.maintain(snapshot),
            Cause::Saturated | Cause::Exited | Cause::Started => None,
        };
        decision.map(|decision| decision.with_inputs(self.inputs(snapshot, spawn_rate)))
    }

    /// A child that could not be forked is not owed any more (`fpm_children_make` gives up): the next heartbeat looks at
    /// what is idle then.
    fn spawn_failed(&mut self, now: Duration) {
        self.pause.failed(now);
        self.complement.forget();
    }
}

#[cfg(test)]
mod tests;
