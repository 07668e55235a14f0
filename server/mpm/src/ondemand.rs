//! PHP-FPM's `pm = ondemand`: a child for each connection that finds none idle, and none without need.
//!
//! The rules are those of `fpm_pctl_on_socket_accept`, which forks, and of the part for ondemand in
//! `fpm_pctl_perform_idle_server_maintenance`, which dismisses, in php-src's `sapi/fpm/fpm/fpm_process_ctl.c`;
//! `fpm_children_bury` in `fpm_children.c` restarts every child that was not dismissed for idleness.
//!
//! FPM learns of each arriving connection (the event is edge-triggered, `fpm_children_create_initial`). Here the
//! connections that wait are looked at whenever something happens, ten times a second at least, and a child is forked
//! while more wait than children are starting for them. FPM counts idleness in whole seconds of the clock, this exactly.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::complement::Complement;
use crate::dynamic::HEARTBEAT;
use crate::per_worker::PerWorker;
use crate::spawn_pause::SpawnPause;
use crate::{Decision, LONGEST_REST, Phase, Policy, Snapshot, WorkerView, inputs};

/// Between two looks at the listener when nothing else happens.
const LOOK: Duration = Duration::from_millis(100);

/// The bounds, named as in FPM's pool configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnDemandConfig {
    /// `pm.max_children`: never more.
    pub max_children: u32,
    /// `pm.process_idle_timeout`: who has been idle for longer may be dismissed.
    pub process_idle_timeout: Duration,
}

impl Default for OnDemandConfig {
    /// FPM's `pm.process_idle_timeout`; `max_children` as in [`DynamicConfig`](crate::DynamicConfig).
    fn default() -> Self {
        Self { max_children: 256, process_idle_timeout: Duration::from_secs(10) }
    }
}

impl OnDemandConfig {
    fn repaired(self) -> Self {
        Self { max_children: self.max_children.max(1), ..self }
    }
}

/// What is remembered of a child.
#[derive(Debug, Clone, Copy)]
struct Seen {
    requests: u64,
    /// When it was last seen to have done something.
    active_at: Duration,
}

/// The `ondemand` policy.
#[derive(Debug, Clone)]
pub struct OnDemand {
    config: OnDemandConfig,
    complement: Complement,
    seen: PerWorker<Seen>,
    next_beat: Duration,
    /// `warn_max_children`.
    reached_max: bool,
    pause: SpawnPause,
}

impl OnDemand {
    /// Starts with nobody.
    pub fn new(config: OnDemandConfig) -> Self {
        Self {
            config: config.repaired(),
            complement: Complement::new(0),
            seen: PerWorker::default(),
            next_beat: Duration::ZERO,
            reached_max: false,
            pause: SpawnPause::constant(HEARTBEAT),
        }
    }

    /// The figures that a decision goes by.
    fn inputs(&self, snapshot: &Snapshot<'_>) -> BTreeMap<String, f64> {
        let OnDemandConfig { max_children, process_idle_timeout } = self.config;
        let own = [
            ("workers_idle", f64::from(snapshot.count(WorkerView::has_nothing_to_do))),
            ("max_workers", f64::from(max_children)),
            ("longest_idle_seconds", self.longest_idle(snapshot).map_or(0.0, |(_, idle_for)| idle_for.as_secs_f64())),
            ("idle_timeout_seconds", process_idle_timeout.as_secs_f64()),
        ];
        inputs::of(snapshot, own)
    }

    /// The oldest of the idle children, and how long it has been idle.
    fn longest_idle(&self, snapshot: &Snapshot<'_>) -> Option<(u32, Duration)> {
        let oldest = snapshot.oldest(WorkerView::has_nothing_to_do)?;
        let place = snapshot.workers.iter().position(|worker| worker.slot == oldest.slot)?;
        Some((oldest.slot, snapshot.now.saturating_sub(self.seen.values().nth(place)?.active_at)))
    }

    fn choose(&mut self, snapshot: &Snapshot<'_>, missing: u32) -> Option<Decision> {
        let now = snapshot.now;
        if !self.pause.active(now) {
            if missing > 0 {
                return Some(Decision::successors(snapshot, missing));
            }
            if let Some(decision) = self.accept(snapshot) {
                return Some(decision);
            }
        }
        if now < self.next_beat {
            return None;
        }
        self.next_beat = now.saturating_add(HEARTBEAT);
        self.maintain(snapshot)
    }

    /// Somebody waits for a child: forks one unless one is idle, or on its way.
    fn accept(&mut self, snapshot: &Snapshot<'_>) -> Option<Decision> {
        let max_children = self.config.max_children;
        let waiting = snapshot.waiting();
        let living = snapshot.count(|_| true);
        let starting = snapshot.count(|worker| worker.phase == Phase::Starting);
        // At the maximum FPM doesn't look whether somebody is idle before it complains.
        if waiting <= starting || snapshot.workers.iter().any(WorkerView::has_nothing_to_do) {
            return None;
        }
        let reason = format!("{waiting} waiting, none idle of {living}");
        if living >= max_children {
            if std::mem::replace(&mut self.reached_max, true) {
                return None;
            }
            let reason = format!("{reason}, but reached pm.max_children {max_children}: consider raising it");
            return Some(Decision::note(snapshot.now, reason));
        }
        self.reached_max = false;
        self.complement.ordered(1);
        Some(Decision::spawn(snapshot.now, 1, reason))
    }

    /// One heartbeat: of the idle children only the oldest is considered, whoever has been idle for longest.
    fn maintain(&mut self, snapshot: &Snapshot<'_>) -> Option<Decision> {
        let (timeout, living) = (self.config.process_idle_timeout, snapshot.workers.len());
        let (slot, idle_for) = self.longest_idle(snapshot)?;
        if idle_for <= timeout {
            return None;
        }
        self.complement.retired();
        let reason = format!("the oldest idle of {living}, for {idle_for:.1?} > pm.process_idle_timeout {timeout:?}");
        Some(Decision::retire(snapshot.now, &[slot], reason))
    }
}

impl Policy for OnDemand {
    fn name(&self) -> &'static str {
        "ondemand"
    }

    fn tick(&self) -> Duration {
        LOOK
    }

    /// Until the next heartbeat while children are there and nobody waits for one; until somebody does while none is.
    fn rest(&self, snapshot: &Snapshot<'_>) -> Duration {
        let quiet = snapshot.backlog == 0 && snapshot.workers.iter().all(WorkerView::has_nothing_to_do);
        let rest = match snapshot.workers {
            _ if !quiet || self.complement.is_short(snapshot) => LOOK,
            [] => LONGEST_REST,
            _ => self.next_beat.saturating_sub(snapshot.now),
        };
        rest.max(LOOK)
    }

    fn initial(&self) -> u32 {
        0
    }

    fn decide(&mut self, snapshot: &Snapshot<'_>) -> Option<Decision> {
        let now = snapshot.now;
        self.seen.update(snapshot.workers, |worker, seen| {
            let requests = worker.totals.requests;
            let unchanged = seen.filter(|seen| worker.has_nothing_to_do() && seen.requests == requests);
            Seen { requests, active_at: unchanged.map_or(now, |seen| seen.active_at) }
        });
        let missing = self.complement.missing(snapshot, self.config.max_children);
        self.choose(snapshot, missing).map(|decision| decision.with_inputs(self.inputs(snapshot)))
    }

    /// A child that could not be forked is not owed any more (`fpm_children_make` gives up). FPM forks for the next
    /// connection; those that wait already would make that at once.
    fn spawn_failed(&mut self, now: Duration) {
        self.pause.failed(now);
        self.complement.forget();
    }
}

#[cfg(test)]
mod tests;
