//! NGINX Unit's processes: started while requests outnumber them, one after the other, and kept for a while after.
//!
//! The rules are those of `nxt_router_app_can_start`, `nxt_router_app_need_start` (asked in `nxt_router_app_port_get`,
//! `nxt_router_req_headers_ack_handler` and `nxt_router_app_port_close`), `nxt_router_app_port_release` and
//! `nxt_router_adjust_idle_timer` in Unit's `src/nxt_router.c`. Unit asks them whenever a request arrives or a process is
//! taken or gone; here whenever something happens, ten times a second at least. Nobody is owed a successor there: who is
//! gone is replaced if requests or the spare ones need it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::per_worker::PerWorker;
use crate::spawn_pause::SpawnPause;
use crate::{Decision, LONGEST_REST, Phase, Policy, Snapshot, WorkerView, inputs};

/// Between two looks when nothing else happens.
const LOOK: Duration = Duration::from_millis(100);
/// Unit does not pause: it answers 503 to the requests that wait, and starts for the next one. Here they go on waiting.
const PAUSE: Duration = Duration::from_secs(1);

/// The bounds, named as in Unit's `processes` object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitConfig {
    /// `max`: never more.
    pub max: u32,
    /// `spare`: processes kept idle; at most `max`.
    pub spare: u32,
    /// `idle_timeout`: who has been idle for as long, beyond the spare ones, leaves.
    pub idle_timeout: Duration,
}

impl Default for UnitConfig {
    /// Unit's defaults, except that its `max` of 1 would not be dynamic: Apache's MaxRequestWorkers here, so that a
    /// maximum decides no comparison.
    fn default() -> Self {
        Self { max: 256, spare: 0, idle_timeout: Duration::from_secs(15) }
    }
}

impl UnitConfig {
    /// Unit refuses more spare processes than the maximum (`nxt_conf_vldt_processes`).
    fn repaired(self) -> Self {
        let max = self.max.max(1);
        Self { max, spare: self.spare.min(max), ..self }
    }
}

/// Which list of Unit's a process is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// It starts, has a request or is on its way out: in none.
    None,
    /// `spare_ports`: idle, and kept.
    Spare,
    /// `idle_ports`: idle since then.
    Idle(Duration),
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    requests: u64,
    place: Place,
}

/// The `unit` policy.
#[derive(Debug, Clone)]
pub struct Unit {
    config: UnitConfig,
    seen: PerWorker<Seen>,
    pause: SpawnPause,
}

impl Unit {
    /// Starts with the spare ones.
    pub fn new(config: UnitConfig) -> Self {
        Self { config: config.repaired(), seen: PerWorker::default(), pause: SpawnPause::constant(PAUSE) }
    }

    /// Moves every process to the list that it belongs in now. One that had a request since the last look has been taken
    /// and released again.
    fn sort(&mut self, snapshot: &Snapshot<'_>) {
        let spare = self.config.spare as usize;
        let mut newly_idle = Vec::new();
        self.seen.update(snapshot.workers, |worker, seen| {
            let requests = worker.totals.requests;
            let rested = seen.filter(|seen| worker.has_nothing_to_do() && seen.requests == requests);
            newly_idle.push(worker.has_nothing_to_do() && rested.is_none_or(|seen| seen.place == Place::None));
            Seen { requests, place: rested.map_or(Place::None, |seen| seen.place) }
        });
        let mut spares = self.seen.values().filter(|seen| seen.place == Place::Spare).count();
        // Where a spare one was taken, the last that became idle moves up, before others join.
        if spares < spare {
            let mut idle: Vec<_> = self.seen.values_mut().filter(|seen| matches!(seen.place, Place::Idle(_))).collect();
            idle.sort_by_key(|seen| std::cmp::Reverse(seen.place));
            for seen in idle.into_iter().take(spare - spares) {
                seen.place = Place::Spare;
                spares += 1;
            }
        }
        for (seen, _) in self.seen.values_mut().zip(newly_idle).filter(|(_, newly)| *newly) {
            seen.place = if spares < spare { Place::Spare } else { Place::Idle(snapshot.now) };
            spares += 1;
        }
    }

    /// How many to start, and why. Unit starts one for each occasion; several may have passed since the last look.
    fn need(&self, snapshot: &Snapshot<'_>) -> Option<(u32, String)> {
        let UnitConfig { max, spare, .. } = self.config;
        let pending = snapshot.count(|worker| worker.phase == Phase::Starting);
        let started = snapshot.count(|worker| worker.phase == Phase::Ready);
        let idle = snapshot.count(WorkerView::has_nothing_to_do);
        let active = running(snapshot).saturating_add(snapshot.waiting());
        let there = started.saturating_add(pending);
        let for_requests = active.saturating_sub(there);
        let for_spare = spare.saturating_sub(idle.saturating_add(pending));
        let can = max.saturating_sub(there).min(spare.max(1).saturating_sub(pending));
        let count = for_requests.max(for_spare).min(can);
        let reason = if for_requests > 0 {
            format!("{active} requests > {started} started + {pending} starting")
        } else {
            format!("{idle} idle + {pending} starting < spare {spare}")
        };
        (count > 0).then_some((count, reason))
    }

    /// The figures that a decision goes by.
    fn inputs(&self, snapshot: &Snapshot<'_>) -> BTreeMap<String, f64> {
        let UnitConfig { max, spare, idle_timeout } = self.config;
        let running = running(snapshot);
        let own = [
            ("workers_ready", f64::from(snapshot.count(|worker| worker.phase == Phase::Ready))),
            ("workers_idle", f64::from(snapshot.count(WorkerView::has_nothing_to_do))),
            ("workers_overdue", self.overdue(snapshot).len() as f64),
            ("running", f64::from(running)),
            ("requests", f64::from(running.saturating_add(snapshot.waiting()))),
            ("spare_workers", f64::from(spare)),
            ("max_workers", f64::from(max)),
            ("idle_timeout_seconds", idle_timeout.as_secs_f64()),
        ];
        inputs::of(snapshot, own)
    }

    /// Those beyond the spare ones that have been idle for long.
    fn overdue(&self, snapshot: &Snapshot<'_>) -> Vec<u32> {
        let due = |place| match place {
            Place::Idle(since) => snapshot.now.saturating_sub(since) >= self.config.idle_timeout,
            Place::None | Place::Spare => false,
        };
        let seen = snapshot.workers.iter().zip(self.seen.values());
        seen.filter(|(_, seen)| due(seen.place)).map(|(worker, _)| worker.slot).collect()
    }
}

/// Calls that run now.
fn running(snapshot: &Snapshot<'_>) -> u32 {
    snapshot.workers.iter().fold(0_u32, |sum, worker| sum.saturating_add(worker.in_flight))
}

impl Policy for Unit {
    fn name(&self) -> &'static str {
        "unit"
    }

    fn tick(&self) -> Duration {
        LOOK
    }

    /// Until the first of those beyond the spare ones has been idle for long, while nobody has a request.
    fn rest(&self, snapshot: &Snapshot<'_>) -> Duration {
        let quiet = snapshot.backlog == 0 && snapshot.workers.iter().all(WorkerView::has_nothing_to_do);
        if !quiet || self.need(snapshot).is_some() {
            return LOOK;
        }
        let due = self.seen.values().filter_map(|seen| match seen.place {
            Place::Idle(since) => Some(since.saturating_add(self.config.idle_timeout).saturating_sub(snapshot.now)),
            Place::None | Place::Spare => None,
        });
        due.min().unwrap_or(LONGEST_REST).max(LOOK)
    }

    fn initial(&self) -> u32 {
        self.config.spare
    }

    fn decide(&mut self, snapshot: &Snapshot<'_>) -> Option<Decision> {
        self.sort(snapshot);
        if !self.pause.active(snapshot.now)
            && let Some((count, reason)) = self.need(snapshot)
        {
            return Some(Decision::spawn(snapshot.now, count, reason).with_inputs(self.inputs(snapshot)));
        }
        let leaving = self.overdue(snapshot);
        if leaving.is_empty() {
            return None;
        }
        let UnitConfig { spare, idle_timeout, .. } = self.config;
        let idle = snapshot.count(WorkerView::has_nothing_to_do);
        let reason =
            format!("{idle} idle > spare {spare}, {} of them for idle_timeout {idle_timeout:?}", leaving.len());
        Some(Decision::retire(snapshot.now, &leaving, reason).with_inputs(self.inputs(snapshot)))
    }

    fn spawn_failed(&mut self, now: Duration) {
        self.pause.failed(now);
    }
}

#[cfg(test)]
mod tests;
