//! Unit's rules, one row per case.

use super::*;
use crate::sample::{busy, crowd, draining, idle, starting};
use crate::{Action, Cause};

const CONFIG: UnitConfig = UnitConfig { max: 4, spare: 0, idle_timeout: Duration::from_secs(15) };
const SPARE_2: UnitConfig = UnitConfig { max: 8, spare: 2, ..CONFIG };

fn ask(policy: &mut Unit, milliseconds: u64, workers: &[WorkerView], backlog: u32) -> Option<Decision> {
    policy.decide(&Snapshot { now: Duration::from_millis(milliseconds), cause: Cause::Tick, workers, backlog })
}

#[test]
fn processes_start_while_requests_outnumber_them() {
    let rows: Vec<(UnitConfig, Vec<WorkerView>, u32, Option<&str>)> = vec![
        (CONFIG, vec![], 0, None),
        (CONFIG, vec![], 1, Some("1 requests > 0 started + 0 starting → +1 worker")),
        (CONFIG, vec![], 9, Some("9 requests > 0 started + 0 starting → +1 worker")), // serial
        (CONFIG, vec![starting(0)], 9, None),                                         // serial
        (CONFIG, vec![busy(0)], 0, None),
        (CONFIG, vec![busy(0)], 1, Some("2 requests > 1 started + 0 starting → +1 worker")),
        (CONFIG, vec![WorkerView { queued: 1, ..busy(0) }], 0, Some("2 requests > 1 started + 0 starting → +1 worker")),
        (CONFIG, vec![busy(0), idle(1)], 1, None), // as many processes as requests
        (CONFIG, crowd(4, 0), 9, None),            // the maximum, which Unit does not mention either
        // A process that was told to quit is none of the application's any more.
        (CONFIG, [crowd(3, 0), vec![draining(3)]].concat(), 1, Some("5 requests > 3 started + 0 starting → +1 worker")),
        (SPARE_2, vec![], 0, Some("0 idle + 0 starting < spare 2 → +2 workers")),
        (SPARE_2, vec![busy(0), idle(1)], 0, Some("1 idle + 0 starting < spare 2 → +1 worker")),
        (SPARE_2, vec![busy(0), idle(1), starting(2)], 0, None),
        (SPARE_2, vec![busy(0), busy(1)], 9, Some("11 requests > 2 started + 0 starting → +2 workers")), // two at a time
        (SPARE_2, vec![busy(0), busy(1), starting(2)], 9, Some("11 requests > 2 started + 1 starting → +1 worker")),
        (SPARE_2, crowd(7, 0), 9, Some("16 requests > 7 started + 0 starting → +1 worker")),
        (SPARE_2, crowd(8, 0), 9, None),
    ];
    for (config, workers, backlog, expected) in rows {
        let decision = ask(&mut Unit::new(config), 1_000, &workers, backlog);
        let reason = decision.map(|decision| decision.reason);
        assert_eq!(reason.as_deref(), expected, "{backlog} wait for {workers:?}");
    }
}

/// What is retired, and when (in tenths of a second), of workers that change as `change` says.
fn watch(
    config: UnitConfig,
    tenths: u64,
    mut workers: Vec<WorkerView>,
    change: impl Fn(u64, &mut Vec<WorkerView>),
) -> Vec<(u64, Vec<u32>)> {
    let mut policy = Unit::new(config);
    let mut retired = Vec::new();
    for tenth in 0..tenths {
        change(tenth, &mut workers);
        let Some(decision) = ask(&mut policy, tenth * 100, &workers, 0) else { continue };
        let slots: Vec<u32> = decision
            .actions
            .iter()
            .map(|action| match action {
                Action::Retire { slot } => *slot,
                Action::Spawn { .. } => panic!("{decision:?}"),
            })
            .collect();
        workers.retain(|worker| !slots.contains(&worker.slot));
        retired.push((tenth, slots));
    }
    retired
}

#[test]
fn the_idle_leave_after_the_timeout_together() {
    assert_eq!(watch(CONFIG, 300, crowd(1, 3), |_, _| {}), [(150, vec![1, 2, 3])]);
    assert_eq!(watch(SPARE_2, 300, crowd(0, 5), |_, _| {}), [(150, vec![2, 3, 4])], "the spare ones stay");
    assert_eq!(watch(SPARE_2, 300, crowd(0, 2), |_, _| {}), []);
}

#[test]
fn a_request_starts_the_time_again() {
    let changed = |tenth: u64, workers: &mut Vec<WorkerView>| {
        if tenth == 100 {
            workers[1].totals.requests += 1;
        }
    };
    assert_eq!(watch(CONFIG, 400, crowd(0, 3), changed), [(150, vec![0, 2]), (250, vec![1])]);
}

#[test]
fn the_last_that_became_idle_replaces_a_spare_one() {
    // Of four, 0 and 1 are spare. 3 works at 5 s, so it is the last of the idle ones; 0 works for ten seconds from 10 s on.
    let changed = |tenth: u64, workers: &mut Vec<WorkerView>| match tenth {
        50 => workers[3].totals.requests += 1,
        100 => workers[0].in_flight = 1,
        200 => {
            workers[0].in_flight = 0;
            workers[0].totals.requests += 1;
        }
        _ => {}
    };
    // 3 became spare, 2 goes after its 15 s, 0 after those since it is idle again.
    assert_eq!(watch(SPARE_2, 400, crowd(0, 4), changed), [(150, vec![2]), (350, vec![0])]);
}

#[test]
fn retiring_has_a_reason() {
    let mut policy = Unit::new(SPARE_2);
    assert_eq!(ask(&mut policy, 0, &crowd(2, 4), 0), None);
    let decision = ask(&mut policy, 15_000, &crowd(2, 4), 0).expect("two too many");
    assert_eq!(decision.reason, "4 idle > spare 2, 2 of them for idle_timeout 15s → −2 workers");
}

#[test]
fn nobody_is_owed_a_successor() {
    let mut policy = Unit::new(CONFIG);
    assert_eq!(ask(&mut policy, 0, &crowd(2, 0), 0), None);
    let snapshot = Snapshot { now: Duration::from_secs(1), cause: Cause::Exited, workers: &[busy(0)], backlog: 0 };
    assert_eq!(policy.decide(&snapshot), None);
}

#[test]
fn a_failed_start_waits_for_a_second() {
    let mut policy = Unit::new(CONFIG);
    policy.spawn_failed(Duration::from_secs(1));
    assert_eq!(ask(&mut policy, 1_900, &[], 1), None);
    assert!(ask(&mut policy, 2_000, &[], 1).is_some());
}

#[test]
fn impossible_bounds_are_repaired() {
    let repaired = UnitConfig { max: 0, spare: 9, ..CONFIG }.repaired();
    assert_eq!((repaired.max, repaired.spare), (1, 1));
    assert_eq!(UnitConfig::default().repaired(), UnitConfig::default());
    assert_eq!(Unit::new(SPARE_2).initial(), 2);
}
