//! FPM's rules, one row per case.

use super::*;
use crate::Action;
use crate::sample::{busy, crowd, draining, idle, starting};

const CONFIG: DynamicConfig =
    DynamicConfig { max_children: 20, start_servers: 2, min_spare_servers: 2, max_spare_servers: 4 };

fn ask(policy: &mut Dynamic, second: u64, cause: Cause, workers: &[WorkerView]) -> Option<Decision> {
    policy.decide(&Snapshot { now: Duration::from_secs(second), cause, workers, backlog: 50 })
}

fn actions(decision: Option<Decision>) -> Vec<Action> {
    decision.map(|decision| decision.actions).unwrap_or_default()
}

/// What each beat forks with so many busy and idle, as if it had not been obeyed.
fn rates(config: DynamicConfig, beats: u64, busy: u32, idle: u32) -> Vec<u32> {
    let mut policy = Dynamic::new(config);
    let beat = |second| {
        policy.complement.forget();
        match actions(ask(&mut policy, second, Cause::Tick, &crowd(busy, idle))).as_slice() {
            [] => 0,
            [Action::Spawn { count }] => *count,
            other => panic!("{other:?}"),
        }
    };
    (1..=beats).map(beat).collect()
}

#[test]
fn one_beat() {
    let spawn = |count| vec![Action::Spawn { count }];
    let retire = |slot| vec![Action::Retire { slot }];
    let rows: Vec<(&str, Vec<WorkerView>, Vec<Action>)> = vec![
        ("nobody", vec![], spawn(2)), // two have died that nobody dismissed
        ("enough idle", vec![idle(0), idle(1)], vec![]),
        ("too few idle", vec![busy(0), busy(1), idle(2)], spawn(1)),
        ("starting is not idle", vec![busy(0), starting(1), starting(2)], spawn(1)),
        ("a request in the queue is not idle", vec![WorkerView { queued: 1, ..idle(0) }, idle(1)], spawn(1)),
        (
            "neither is a connection without a request",
            vec![WorkerView { connections: 1, ..idle(0) }, idle(1)],
            spawn(1),
        ),
        ("exactly max_spare", crowd(1, 4), vec![]),
        ("too many idle: the oldest of them", crowd(1, 5), retire(1)),
        ("one a beat", crowd(0, 9), retire(0)),
        ("full", crowd(20, 0), vec![]),
        // A dismissed child has its place until it is reaped.
        ("full, one leaves", [crowd(19, 0), vec![draining(19)]].concat(), vec![]),
    ];
    for (name, workers, expected) in rows {
        let mut policy = Dynamic::new(CONFIG);
        for cause in [Cause::Saturated, Cause::Started] {
            if workers.len() > 1 {
                assert_eq!(ask(&mut policy, 1, cause, &workers), None, "{name}: {cause:?} is no beat");
            }
        }
        assert_eq!(actions(ask(&mut policy, 1, Cause::Tick, &workers)), expected, "{name}");
    }
}

#[test]
fn the_rate_doubles_but_no_more_are_forked_than_are_missing() {
    let wide = DynamicConfig { max_children: 256, start_servers: 60, min_spare_servers: 60, max_spare_servers: 99 };
    let rows: &[(DynamicConfig, u64, u32, u32, &[u32])] = &[
        (wide, 8, 9, 0, &[1, 2, 4, 8, 16, 32, 32, 32]),
        (wide, 8, 9, 55, &[1, 2, 4, 5, 5, 5, 5, 5]), // five are missing
        (CONFIG, 4, 9, 0, &[1, 2, 2, 2]),
        (DynamicConfig::default(), 4, 9, 0, &[1, 1, 1, 1]), // as shipped: one a second
        (wide, 3, 254, 0, &[1, 2, 2]),                      // room for two
    ];
    for &(config, beats, busy, idle, expected) in rows {
        assert_eq!(rates(config, beats, busy, idle), expected, "{busy} busy, {idle} idle: {config:?}");
    }
}

#[test]
fn the_rate_falls_back_when_enough_are_idle() {
    let wide = DynamicConfig { max_children: 256, start_servers: 60, min_spare_servers: 60, max_spare_servers: 99 };
    let mut policy = Dynamic::new(wide);
    for (second, idle, expected) in [(1, 0, 1), (2, 0, 2), (3, 60, 0), (4, 0, 1), (5, 0, 2)] {
        policy.complement.forget();
        let forked = match actions(ask(&mut policy, second, Cause::Tick, &crowd(10, idle))).as_slice() {
            [Action::Spawn { count }] => *count,
            _ => 0,
        };
        assert_eq!(forked, expected, "second {second}");
    }
}

#[test]
fn reasons_name_fpms_options() {
    let reason = |workers: &[WorkerView]| {
        let decision = ask(&mut Dynamic::new(CONFIG), 1, Cause::Tick, workers);
        decision.expect("something to do").reason
    };
    assert_eq!(reason(&crowd(5, 1)), "1 idle of 6 < pm.min_spare_servers 2, spawn rate 1 → +1 worker");
    assert_eq!(reason(&crowd(5, 5)), "5 idle of 10 > pm.max_spare_servers 4 → −1 worker (slot 5)");
    assert_eq!(
        reason(&crowd(20, 0)),
        "0 idle < pm.min_spare_servers 2, but reached pm.max_children 20: consider raising it"
    );
}

#[test]
fn the_maximum_is_said_once_until_there_is_room() {
    let mut policy = Dynamic::new(CONFIG);
    let mut said = |second, busy| {
        policy.complement.forget();
        ask(&mut policy, second, Cause::Tick, &crowd(busy, 0)).map(|decision| decision.actions.len())
    };
    assert_eq!([said(1, 20), said(2, 20), said(3, 19), said(4, 20)], [Some(0), None, Some(1), Some(0)]);
}

#[test]
fn successors_start_at_once_but_not_for_the_dismissed() {
    let mut policy = Dynamic::new(CONFIG);
    assert_eq!(actions(ask(&mut policy, 1, Cause::Tick, &crowd(0, 6))), [Action::Retire { slot: 0 }]);
    let five: Vec<_> = (1..6).map(idle).collect();
    assert_eq!(ask(&mut policy, 1, Cause::Exited, &five), None);
    assert_eq!(actions(ask(&mut policy, 1, Cause::Exited, &five[1..])), [Action::Spawn { count: 1 }]);
}

#[test]
fn a_failed_fork_waits_for_the_next_beat() {
    let mut policy = Dynamic::new(CONFIG);
    assert_eq!(actions(ask(&mut policy, 1, Cause::Tick, &crowd(4, 0))), [Action::Spawn { count: 1 }]);
    policy.spawn_failed(Duration::from_millis(1_010));
    assert_eq!(ask(&mut policy, 2, Cause::Tick, &crowd(4, 0)), None);
    assert_eq!(actions(ask(&mut policy, 3, Cause::Tick, &crowd(4, 0))), [Action::Spawn { count: 2 }], "it has doubled");
}

#[test]
fn impossible_thresholds_are_repaired() {
    let none = DynamicConfig { max_children: 0, start_servers: 9, min_spare_servers: 0, max_spare_servers: 0 };
    let expected = DynamicConfig { max_children: 1, start_servers: 1, min_spare_servers: 1, max_spare_servers: 1 };
    assert_eq!(none.repaired(), expected);
    assert_eq!(DynamicConfig::default().repaired(), DynamicConfig::default());
    assert_eq!(Dynamic::new(DynamicConfig { start_servers: 9, ..CONFIG }).initial(), 4);
}
