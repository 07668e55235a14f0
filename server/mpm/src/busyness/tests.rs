//! uWSGI's rules, one row per case. Time is in seconds; the first tick only starts the first window.

use super::*;
use crate::sample::{crowd, draining, idle, starting};
use crate::{Action, Phase, Totals};

const DEFAULT: BusynessConfig = BusynessConfig {
    workers: 8,
    cheaper: 1,
    cheaper_initial: 1,
    cheaper_step: 2,
    cheaper_overload: Duration::from_secs(3),
    busyness_max: 50,
    busyness_min: 25,
    multiplier: 10,
    penalty: 2,
    backlog_alert: 33,
    backlog_multiplier: 3,
    backlog_step: 1,
    backlog_nonzero: Duration::from_secs(60),
};

/// A policy and workers that do as it says.
struct Ship {
    policy: Busyness,
    workers: Vec<WorkerView>,
    second: u64,
}

impl Ship {
    fn new(config: BusynessConfig, workers: u32) -> Self {
        let mut ship = Self { policy: Busyness::new(config), workers: crowd(0, workers), second: 100 };
        assert_eq!(ship.tick(0, 0), None);
        ship
    }

    /// A second in which every worker ran calls for so many percent of the time and ended them.
    fn tick(&mut self, percent: u64, backlog: u32) -> Option<Decision> {
        self.second += 1;
        for worker in &mut self.workers {
            worker.totals.wall += Duration::from_millis(percent * 10);
            worker.age += Duration::from_secs(1);
        }
        self.ask(backlog)
    }

    fn ask(&mut self, backlog: u32) -> Option<Decision> {
        let now = Duration::from_secs(self.second);
        let snapshot = Snapshot { now, cause: Cause::Tick, workers: &self.workers, backlog };
        let decision = self.policy.decide(&snapshot)?;
        for action in &decision.actions {
            match *action {
                Action::Retire { slot } => self.workers.retain(|worker| worker.slot != slot),
                Action::Spawn { count } => {
                    for _ in 0..count {
                        let slot = (0..).find(|slot| self.workers.iter().all(|worker| worker.slot != *slot));
                        let youngest = WorkerView { age: Duration::ZERO, ..idle(slot.expect("endless")) };
                        self.workers.push(WorkerView { generation: self.second as u32, ..youngest });
                        self.workers.sort_by_key(|worker| worker.slot);
                    }
                }
            }
        }
        Some(decision)
    }

    /// Ticks until something is done, at most `seconds`; how many it took.
    fn until_done(&mut self, seconds: u64, percent: u64, backlog: u32) -> Option<(u64, Decision)> {
        (1..=seconds).find_map(|second| self.tick(percent, backlog).map(|decision| (second, decision)))
    }
}

#[test]
fn a_window_ends_with_what_its_busyness_asks_for() {
    let rows: &[(u64, u32, u32, Option<&str>)] = &[
        (51, 2, 0, Some("busyness 51 % of 2 > cheaper-busyness-max 50 % → +2 workers")),
        (50, 2, 0, None), // exactly the maximum is within
        (51, 7, 0, Some("busyness 51 % of 7 > cheaper-busyness-max 50 % → +1 worker")), // the step does not fit
        (51, 8, 0, Some("busyness 51 % of 8 > cheaper-busyness-max 50 %, but reached workers 8: consider raising it")),
        (100, 1, 0, Some("busyness 100 % of 1 > cheaper-busyness-max 50 % → +2 workers")),
        (30, 2, 33, None),
        (5, 2, 0, None), // idle, but not for long enough
    ];
    for &(percent, workers, backlog, expected) in rows {
        let mut ship = Ship::new(DEFAULT, workers);
        let done = ship.until_done(3, percent, backlog);
        assert_eq!(done.as_ref().map(|(_, decision)| decision.reason.as_str()), expected, "{percent} % of {workers}");
        assert!(done.is_none_or(|(second, _)| second == 3), "the window has three seconds");
    }
}

#[test]
fn a_call_that_ends_in_no_window_counts_as_busy() {
    let mut ship = Ship::new(DEFAULT, 3);
    (ship.workers[0].in_flight, ship.workers[2].in_flight) = (1, 1);
    let (second, decision) = ship.until_done(9, 0, 0).expect("two of three are busy all the time");
    assert_eq!(second, 3);
    assert!(decision.reason.starts_with("busyness 66 % of 3"), "{}", decision.reason);
}

#[test]
fn calls_count_when_they_end_and_as_one_window_at_most() {
    let mut ship = Ship::new(DEFAULT, 2);
    ship.workers[0].totals.wall += Duration::from_secs(3_600);
    ship.workers[1].totals.wall += Duration::from_millis(61);
    let (_, decision) = ship.until_done(3, 0, 0).expect("100 % and 2 % are 51 %");
    assert!(decision.reason.starts_with("busyness 51 % of 2"), "{}", decision.reason);
    // A clock that went back, or a worker that is gone, is no busyness.
    let mut ship = Ship::new(DEFAULT, 2);
    ship.workers[0].totals = Totals::default();
    assert_eq!(ship.until_done(3, 0, 0), None);
}

#[test]
fn workers_leave_after_ten_windows_and_the_oldest_first() {
    let mut ship = Ship::new(BusynessConfig { cheaper: 2, ..DEFAULT }, 4);
    ship.workers[3].age = Duration::from_secs(5_000);
    let (second, decision) = ship.until_done(99, 10, 0).expect("30 s without need");
    assert_eq!((second, decision.actions), (30, vec![Action::Retire { slot: 3 }]));
    assert_eq!(
        decision.reason,
        "busyness 10 % of 4 < cheaper-busyness-min 25 %, for 10 windows of 3s → −1 worker (slot 3)"
    );
    let (second, decision) = ship.until_done(99, 10, 0).expect("and 30 s more");
    assert_eq!((second, decision.actions), (30, vec![Action::Retire { slot: 0 }]));
    assert_eq!(ship.until_done(99, 10, 0), None, "never fewer than cheaper");
}

#[test]
fn respawning_too_soon_makes_patient() {
    let mut ship = Ship::new(DEFAULT, 2);
    assert_eq!(ship.until_done(99, 10, 0).expect("one too many").0, 30);
    ship.until_done(3, 90, 0).expect("it was needed after all");
    assert_eq!(ship.workers.len(), 3);
    let patience: Vec<_> = (0..2).map(|_| ship.until_done(99, 10, 0).expect("idle").0).collect();
    // 12 windows instead of 10; then one fewer for each that goes without having been missed.
    assert_eq!(patience, [36, 36]);
    ship.until_done(3, 90, 0).expect("needed again, and too soon again");
    assert_eq!(ship.until_done(99, 10, 0).expect("idle").0, 39, "11 + 2 windows");
}

#[test]
fn busyness_between_the_thresholds_postpones() {
    let mut ship = Ship::new(DEFAULT, 2);
    assert_eq!(ship.until_done(27, 10, 0), None);
    assert_eq!(ship.until_done(3, 30, 0), None, "one such window is not counted as idle");
    assert_eq!(ship.until_done(99, 10, 0).expect("the tenth idle one").0, 3);
    let mut ship = Ship::new(DEFAULT, 2);
    assert_eq!(ship.until_done(27, 10, 0), None);
    assert_eq!(ship.until_done(9, 30, 0), None, "after three in a row the time counts from anew");
    assert_eq!(ship.until_done(99, 10, 0).expect("all ten idle ones").0, 30);
}

#[test]
fn a_full_listen_queue_starts_emergency_workers() {
    let mut ship = Ship::new(DEFAULT, 1);
    let (second, decision) = ship.until_done(9, 30, 34).expect("more than 33 wait");
    assert_eq!((second, decision.actions), (1, vec![Action::Spawn { count: 1 }]), "every second, not every window");
    assert_eq!(decision.reason, "34 waiting > cheaper-busyness-backlog-alert 33 → +1 worker");
    assert_eq!(ship.until_done(9, 30, 34).expect("one more").0, 1);
    // Emergency workers go after three windows, the first one from their start on, one each.
    let patience: Vec<_> = (0..2).map(|_| ship.until_done(99, 10, 0).expect("idle").0).collect();
    assert_eq!(patience, [10, 9]);
    // Requests that wait within workers wait as well.
    let mut ship = Ship::new(DEFAULT, 2);
    ship.workers[1].queued = 30;
    assert!(ship.tick(0, 4).is_some());
}

#[test]
fn a_listen_queue_that_is_never_empty_does_after_a_minute() {
    let mut ship = Ship::new(DEFAULT, 2);
    let (second, decision) = ship.until_done(99, 30, 1).expect("a minute");
    assert_eq!((second, decision.actions), (61, vec![Action::Spawn { count: 1 }]));
    assert_eq!(decision.reason, "1 waiting, and never none for 60s → +1 worker");
    for _ in 0..20 {
        assert_eq!(ship.until_done(58, 30, 1), None);
        assert_eq!(ship.until_done(2, 30, 0), None, "empty for a moment");
    }
}

#[test]
fn successors_do_not_wait_for_the_window() {
    let mut policy = Busyness::new(BusynessConfig { cheaper_initial: 3, ..DEFAULT });
    let rows: [(Cause, Vec<WorkerView>, u32); 4] = [
        (Cause::Exited, vec![idle(0), idle(2)], 1),
        (Cause::Exited, vec![idle(0), starting(1), idle(2)], 0), // ordered already
        (Cause::Started, vec![idle(0), idle(1), draining(2)], 1), // it has had its requests
        (Cause::Tick, vec![], 3),
    ];
    for (cause, workers, expected) in rows {
        let snapshot = Snapshot { now: Duration::from_secs(1), cause, workers: &workers, backlog: 0 };
        let spawned = policy.decide(&snapshot).map_or(vec![], |decision| decision.actions);
        let expected: Vec<_> = (expected > 0).then_some(Action::Spawn { count: expected }).into_iter().collect();
        assert_eq!(spawned, expected, "{cause:?} {workers:?}");
    }
}

#[test]
fn the_master_sleeps_after_a_failed_start() {
    let mut ship = Ship::new(DEFAULT, 1);
    ship.policy.spawn_failed(Duration::from_secs(ship.second + 2));
    let (second, _) = ship.until_done(9, 90, 0).expect("after the pause");
    assert_eq!(second, 4, "the window ended within the pause");
}

#[test]
fn reaching_the_maximum_is_said_once() {
    let mut ship = Ship::new(DEFAULT, 8);
    assert_eq!(ship.until_done(3, 90, 0).expect("full").1.actions, []);
    assert_eq!(ship.until_done(30, 90, 0), None);
    ship.workers.pop();
    // A dismissed one that is still there leaves no room.
    ship.workers.push(WorkerView { phase: Phase::Draining, ..idle(7) });
    ship.policy.complement.retired();
    assert_eq!(ship.until_done(30, 90, 0), None);
}

#[test]
fn impossible_thresholds_are_repaired() {
    let none = BusynessConfig {
        workers: 0,
        cheaper: 9,
        cheaper_initial: 0,
        cheaper_step: 0,
        cheaper_overload: Duration::ZERO,
        busyness_max: 10,
        busyness_min: 90,
        multiplier: 0,
        backlog_multiplier: 0,
        backlog_step: 0,
        ..DEFAULT
    };
    let repaired = none.repaired();
    assert_eq!((repaired.workers, repaired.cheaper, repaired.cheaper_initial), (1, 1, 1));
    assert_eq!((repaired.cheaper_overload, repaired.busyness_min), (CYCLE, 10));
    assert_eq!(BusynessConfig::default().repaired(), BusynessConfig::default());
}
