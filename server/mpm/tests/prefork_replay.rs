//! Apache's prefork replayed: the passes and the times that its documented algorithm gives.

use std::time::Duration;

use mpm::{Action, Cause, Phase, Policy, Prefork, PreforkConfig, Snapshot, Totals, WorkerView};

fn child(slot: u32, phase: Phase, connections: u32) -> WorkerView {
    WorkerView {
        slot,
        generation: 1,
        phase,
        age: Duration::from_secs(60),
        connections,
        in_flight: connections,
        queued: 0,
        threads: 1,
        totals: Totals::default(),
    }
}

/// `busy` children with a connection in the lowest slots, then `idle` ones.
fn children(busy: u32, idle: u32) -> Vec<WorkerView> {
    (0..busy + idle).map(|slot| child(slot, Phase::Ready, u32::from(slot < busy))).collect()
}

fn ask(policy: &mut Prefork, second: u64, cause: Cause, workers: &[WorkerView]) -> Vec<Action> {
    let snapshot = Snapshot { now: Duration::from_secs(second), cause, workers, backlog: 100 };
    policy.decide(&snapshot).map(|decision| decision.actions).unwrap_or_default()
}

fn spawned(actions: &[Action]) -> u32 {
    match actions {
        [] => 0,
        [Action::Spawn { count }] => *count,
        other => panic!("expected one spawn: {other:?}"),
    }
}

#[test]
fn one_pass() {
    use Phase::{Draining, Ready, Starting};
    let config = PreforkConfig { start_servers: 2, min_spare: 2, max_spare: 4, max_request_workers: 8 };
    let (idle, busy) = (|slot| child(slot, Ready, 0), |slot| child(slot, Ready, 1));
    let rows: Vec<(&str, Vec<WorkerView>, Vec<Action>)> = vec![
        ("nobody", vec![], vec![Action::Spawn { count: 1 }]),
        ("enough idle", vec![idle(0), idle(1)], vec![]),
        ("too few idle", vec![busy(0), idle(1)], vec![Action::Spawn { count: 1 }]),
        ("starting counts as idle", vec![busy(0), child(1, Starting, 0), idle(2)], vec![]),
        ("draining doesn't", vec![idle(0), child(1, Draining, 0)], vec![Action::Spawn { count: 1 }]),
        ("exactly MaxSpare", (0..4).map(idle).collect(), vec![]),
        ("too many idle: the highest slot", (0..6).map(idle).collect(), vec![Action::Retire { slot: 5 }]),
        (
            "too many idle: one a pass, and a busy one never",
            [vec![idle(0), busy(1)], (2..7).map(idle).collect(), vec![busy(7)]].concat(),
            vec![Action::Retire { slot: 6 }],
        ),
        (
            "a starting one goes last",
            [(0..5).map(idle).collect(), vec![child(5, Starting, 0)]].concat(),
            vec![Action::Retire { slot: 4 }],
        ),
        ("only starting ones", (0..5).map(|slot| child(slot, Starting, 0)).collect(), vec![Action::Retire { slot: 4 }]),
        // The draining child still occupies its slot, so there is no free one.
        ("all slots taken", [(0..7).map(busy).collect(), vec![child(7, Draining, 1)]].concat(), vec![]),
    ];
    for (name, workers, expected) in rows {
        let mut policy = Prefork::new(config);
        for cause in [Cause::Saturated, Cause::Exited, Cause::Started] {
            assert_eq!(ask(&mut policy, 1, cause, &workers), [], "{name}: {cause:?} is no pass");
        }
        assert_eq!(ask(&mut policy, 1, Cause::Tick, &workers), expected, "{name}");
    }
}

#[test]
fn five_to_256_takes_twelve_passes_under_saturating_load() {
    let mut policy = Prefork::new(PreforkConfig::default());
    assert_eq!(policy.initial(), 5);
    assert_eq!(policy.tick(), Duration::from_secs(1));
    let mut living = policy.initial();
    let mut passes = Vec::new();
    while living < 256 {
        let forked = spawned(&ask(&mut policy, passes.len() as u64 + 1, Cause::Tick, &children(living, 0)));
        assert!(forked > 0, "stuck at {living} children");
        living += forked;
        passes.push(forked);
    }
    assert_eq!(passes, [1, 2, 4, 8, 16, 32, 32, 32, 32, 32, 32, 28]);
}

#[test]
fn all_collected_slots_are_forked_although_fewer_are_missing() {
    let mut policy = Prefork::new(PreforkConfig::default());
    for (second, expected) in [(1, 1), (2, 2), (3, 4), (4, 8)] {
        // One idle child is missing each time.
        assert_eq!(spawned(&ask(&mut policy, second, Cause::Tick, &children(10, 4))), expected);
    }
}

#[test]
fn the_rate_falls_back_when_enough_are_idle() {
    let mut policy = Prefork::new(PreforkConfig::default());
    for (second, idle, expected) in [(1, 0, 1), (2, 0, 2), (3, 0, 4), (4, 5, 0), (5, 0, 1), (6, 0, 2)] {
        assert_eq!(spawned(&ask(&mut policy, second, Cause::Tick, &children(10, idle))), expected, "second {second}");
    }
}

#[test]
fn back_from_256_takes_about_four_minutes() {
    let mut policy = Prefork::new(PreforkConfig::default());
    let mut idle = 256;
    let mut second = 0;
    while idle > 10 {
        second += 1;
        let actions = ask(&mut policy, second, Cause::Tick, &children(0, idle));
        assert_eq!(actions, [Action::Retire { slot: idle - 1 }]);
        idle -= 1;
        // The retired child exits before the next pass, and that neither is a pass nor costs one.
        assert_eq!(ask(&mut policy, second, Cause::Exited, &children(0, idle)), []);
    }
    assert_eq!(second, 246);
    assert_eq!(ask(&mut policy, second + 1, Cause::Tick, &children(0, idle)), []);
}

#[test]
fn reaching_the_maximum_is_said_once() {
    let mut policy = Prefork::new(PreforkConfig { max_request_workers: 6, ..PreforkConfig::default() });
    let full = children(6, 0);
    let snapshot =
        |second| Snapshot { now: Duration::from_secs(second), cause: Cause::Tick, workers: &full, backlog: 0 };
    let decision = policy.decide(&snapshot(1)).expect("the first time");
    assert_eq!(decision.actions, []);
    assert!(decision.reason.contains("reached MaxRequestWorkers 6"), "{}", decision.reason);
    assert_eq!(policy.decide(&snapshot(2)), None);
    assert_eq!(spawned(&ask(&mut policy, 3, Cause::Tick, &children(5, 0))), 1, "the rate is back at 1");
    assert_eq!(policy.decide(&snapshot(4)), None);
}

#[test]
fn a_failed_fork_pauses_for_ten_seconds() {
    let mut policy = Prefork::new(PreforkConfig::default());
    assert_eq!(spawned(&ask(&mut policy, 1, Cause::Tick, &children(5, 0))), 1);
    policy.spawn_failed(Duration::from_secs(1));
    for second in 2..11 {
        assert_eq!(ask(&mut policy, second, Cause::Tick, &children(5, 0)), [], "second {second}");
        assert_eq!(ask(&mut policy, second, Cause::Tick, &children(0, 20)), [], "it sleeps: nobody retires either");
    }
    assert_eq!(spawned(&ask(&mut policy, 11, Cause::Tick, &children(5, 0))), 2);
}

#[test]
fn after_a_graceful_restart_ten_spawning_passes_do_not_double() {
    let mut policy = Prefork::new(PreforkConfig::default());
    policy.graceful_restart();
    let rates: Vec<u32> =
        (1..=13).map(|second| spawned(&ask(&mut policy, second, Cause::Tick, &children(20, 0)))).collect();
    assert_eq!(rates, [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 4]);
}

#[test]
fn impossible_thresholds_are_repaired() {
    let none = PreforkConfig { start_servers: 9, min_spare: 0, max_spare: 0, max_request_workers: 0 };
    let mut policy = Prefork::new(none);
    assert_eq!(policy.initial(), 1);
    assert_eq!(spawned(&ask(&mut policy, 1, Cause::Tick, &[])), 1);
    // MaxSpare is at least MinSpare + 1: one idle and two idle are both fine.
    assert_eq!(ask(&mut policy, 2, Cause::Tick, &children(0, 1)), []);
    assert_eq!(ask(&mut policy, 3, Cause::Tick, &children(0, 2)), []);
}
