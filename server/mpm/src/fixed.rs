//! A constant number of workers: what is missing is started at once, what is too much (after [`Policy::scale`]) leaves at
//! once, and nothing else ever happens.
//!
//! Draining workers don't count, so a worker that is recycled gets its replacement while it still finishes.

use std::time::Duration;

use crate::least_used::surplus;
use crate::spawn_pause::SpawnPause;
use crate::{Cause, Decision, LONGEST_REST, Policy, Snapshot, WorkerView, inputs};

/// The `static` policy.
#[derive(Debug, Clone)]
pub struct Static {
    workers: u32,
    pause: SpawnPause,
}

impl Static {
    /// Keeps `workers` workers (at least one).
    pub fn new(workers: u32) -> Self {
        Self { workers: workers.max(1), pause: SpawnPause::doubling(Duration::from_secs(1), Duration::from_secs(10)) }
    }
}

impl Static {
    fn explained(&self, snapshot: &Snapshot<'_>, decision: Decision) -> Decision {
        decision.with_inputs(inputs::of(snapshot, [("workers_wanted", f64::from(self.workers))]))
    }
}

impl Policy for Static {
    fn name(&self) -> &'static str {
        "static"
    }

    fn tick(&self) -> Duration {
        Duration::from_secs(1)
    }

    /// Until one ends, once all are there.
    fn rest(&self, snapshot: &Snapshot<'_>) -> Duration {
        if snapshot.count(WorkerView::serves) == self.workers { LONGEST_REST } else { self.tick() }
    }

    fn initial(&self) -> u32 {
        self.workers
    }

    fn decide(&mut self, snapshot: &Snapshot<'_>) -> Option<Decision> {
        if snapshot.cause == Cause::Started {
            self.pause.succeeded();
        }
        let serving = snapshot.count(WorkerView::serves);
        let slots = surplus(snapshot, self.workers);
        if !slots.is_empty() {
            let reason = format!("want {}, have {serving}", self.workers);
            return Some(self.explained(snapshot, Decision::retire(snapshot.now, &slots, reason)));
        }
        let missing = self.workers.saturating_sub(serving);
        if missing == 0 || self.pause.active(snapshot.now) {
            return None;
        }
        let reason = format!("want {}, have {serving}", self.workers);
        Some(self.explained(snapshot, Decision::spawn(snapshot.now, missing, reason)))
    }

    fn spawn_failed(&mut self, now: Duration) {
        self.pause.failed(now);
    }

    fn scale(&mut self, min: u32, max: u32) -> Result<(), &'static str> {
        if min != max {
            return Err("it keeps one number; give that number alone");
        }
        self.workers = min;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Action, Phase, Totals};

    fn worker(slot: u32, phase: Phase) -> WorkerView {
        WorkerView {
            slot,
            generation: 1,
            phase,
            age: Duration::from_secs(60),
            connections: 0,
            in_flight: 0,
            queued: 0,
            threads: 1,
            totals: Totals::default(),
        }
    }

    fn decide(policy: &mut Static, now: u64, cause: Cause, phases: &[Phase]) -> Vec<Action> {
        let workers: Vec<_> = (0..).zip(phases).map(|(slot, &phase)| worker(slot, phase)).collect();
        let snapshot = Snapshot { now: Duration::from_secs(now), cause, workers: &workers, backlog: 9 };
        policy.decide(&snapshot).map(|decision| decision.actions).unwrap_or_default()
    }

    fn ask(policy: &mut Static, now: u64, cause: Cause, phases: &[Phase]) -> u32 {
        match &*decide(policy, now, cause, phases) {
            [] => 0,
            [Action::Spawn { count }] => *count,
            other => panic!("unexpected {other:?}"),
        }
    }

    #[test]
    fn what_is_missing_is_started() {
        use Phase::{Draining, Ready, Starting};
        let rows: &[(Cause, &[Phase], u32)] = &[
            (Cause::Tick, &[], 3),
            (Cause::Exited, &[Ready, Ready], 1),
            (Cause::Tick, &[Ready, Starting, Starting], 0), // ordered already
            (Cause::Tick, &[Ready, Ready, Draining], 1),    // the replacement doesn't wait for the exit
            (Cause::Saturated, &[Ready, Ready, Ready], 0),  // load is none of its business
        ];
        for (cause, phases, expected) in rows {
            assert_eq!(ask(&mut Static::new(3), 1, *cause, phases), *expected, "{cause:?} {phases:?}");
        }
    }

    #[test]
    fn a_new_number_holds_at_once() {
        use Phase::{Draining, Ready, Starting};
        let retire = |slots: &[u32]| slots.iter().map(|slot| Action::Retire { slot: *slot }).collect::<Vec<_>>();
        let mut policy = Static::new(3);
        assert!(policy.scale(2, 3).is_err());
        policy.scale(2, 2).expect("one number");
        assert_eq!(decide(&mut policy, 1, Cause::Tick, &[Ready, Ready, Ready]), retire(&[2]));
        assert_eq!(decide(&mut policy, 1, Cause::Tick, &[Ready, Ready, Draining]), []);
        // Who is starting can't leave yet, and does not serve yet.
        policy.scale(1, 1).expect("one number");
        assert_eq!(decide(&mut policy, 1, Cause::Tick, &[Ready, Ready, Starting]), retire(&[1]));
        assert_eq!(decide(&mut policy, 1, Cause::Started, &[Ready, Draining, Ready]), retire(&[2]));
        policy.scale(4, 4).expect("one number");
        assert_eq!(ask(&mut policy, 1, Cause::Tick, &[Ready, Starting]), 2);
    }

    #[test]
    fn waits_after_a_failed_start() {
        let mut policy = Static::new(2);
        policy.spawn_failed(Duration::from_secs(10));
        assert_eq!(ask(&mut policy, 10, Cause::Tick, &[]), 0);
        assert_eq!(ask(&mut policy, 11, Cause::Tick, &[]), 2);
    }
}
