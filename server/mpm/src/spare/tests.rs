//! uWSGI's rules, one row per case. A row is a second.

use super::*;
use crate::Action;
use crate::sample::{crowd, draining, starting};

const CONFIG: SpareConfig =
    SpareConfig { workers: 8, cheaper: 2, cheaper_initial: 2, cheaper_step: 2, cheaper_overload: 3 };

fn ask(policy: &mut Spare, second: u64, cause: Cause, workers: &[WorkerView]) -> Option<Decision> {
    policy.decide(&Snapshot { now: Duration::from_secs(second), cause, workers, backlog: 50 })
}

/// The second at which something was done, and the change.
type Change = (u64, i64);

/// What is done, with so many busy and idle.
fn watch(policy: &mut Spare, from: u64, seconds: u64, busy: u32, idle: u32) -> Vec<Change> {
    let workers = crowd(busy, idle);
    let change = |action: &Action| match action {
        Action::Spawn { count } => i64::from(*count),
        Action::Retire { .. } => -1,
    };
    (from..from + seconds)
        .filter_map(|second| {
            // As if nothing had ever been obeyed: the same workers are there each time.
            policy.complement.forget();
            let decision = ask(policy, second, Cause::Tick, &workers)?;
            Some((second, decision.actions.iter().map(change).sum()))
        })
        .collect()
}

#[test]
fn grows_after_all_were_busy_for_longer_than_the_overload() {
    let mut policy = Spare::new(CONFIG);
    assert_eq!(watch(&mut policy, 1, 12, 4, 0), [(4, 2), (8, 2), (12, 2)]);
}

#[test]
fn one_idle_worker_takes_a_busy_second_back() {
    let mut policy = Spare::new(CONFIG);
    let mut second = 0;
    // Busy for three seconds, with a spare one for one: never more than three.
    for _ in 0..5 {
        assert_eq!(watch(&mut policy, second, 3, 4, 0), [], "after {second} s");
        assert_eq!(watch(&mut policy, second + 3, 3, 4, 1), [], "after {second} s");
        second += 6;
    }
    assert_eq!(watch(&mut policy, second, 3, 4, 0), []);
    assert_eq!(watch(&mut policy, second + 3, 1, 4, 1), []);
    assert_eq!(watch(&mut policy, second + 4, 2, 4, 0), [(second + 5, 2)], "3 − 1 + 2 > 3");
}

#[test]
fn shrinks_by_one_each_time_several_were_idle_for_the_overload() {
    let rows: &[(u32, u32, &[Change])] = &[
        (0, 4, &[(3, -1), (6, -1), (9, -1)]),
        (2, 2, &[(3, -1), (6, -1), (9, -1)]),
        (3, 1, &[]), // one spare is stable
        (0, 2, &[]), // never fewer than cheaper
        (1, 1, &[]),
    ];
    for &(busy, idle, expected) in rows {
        assert_eq!(watch(&mut Spare::new(CONFIG), 1, 10, busy, idle), expected, "{busy} busy, {idle} idle");
    }
}

#[test]
fn the_oldest_leaves_even_if_it_is_busy() {
    let mut policy = Spare::new(CONFIG);
    let workers = crowd(1, 3);
    let last = (1..=3).filter_map(|second| ask(&mut policy, second, Cause::Tick, &workers)).next_back();
    let last = last.expect("three seconds with three idle");
    assert_eq!(last.actions, [Action::Retire { slot: 0 }]);
    assert_eq!(last.reason, "3 idle of 4 > 1 spare, for cheaper-overload 3 s → −1 worker (slot 0)");
}

#[test]
fn a_starting_worker_is_a_spare_one() {
    let mut policy = Spare::new(CONFIG);
    let workers = [crowd(3, 0), vec![starting(3)]].concat();
    assert!((1..20).all(|second| ask(&mut policy, second, Cause::Tick, &workers).is_none()));
}

#[test]
fn the_step_and_the_maximum_bound_the_growth() {
    let reasons = |busy: u32, leaving: u32| {
        let mut policy = Spare::new(CONFIG);
        let workers = [crowd(busy, 0), (busy..busy + leaving).map(draining).collect()].concat();
        let decisions: Vec<_> = (1..=12).filter_map(|second| ask(&mut policy, second, Cause::Tick, &workers)).collect();
        decisions[0].reason.clone()
    };
    let busy = "busy, for more than cheaper-overload 3 s";
    assert_eq!(reasons(7, 0), format!("all of 7 {busy} → +1 worker"));
    // Who leaves still has its place.
    assert_eq!(reasons(6, 2), format!("all of 6 {busy}, but reached workers 8: consider raising it"));
    let mut policy = Spare::new(CONFIG);
    assert_eq!(watch(&mut policy, 1, 20, 8, 0), [(4, 0)], "said once");
}

#[test]
fn successors_start_at_once_except_after_a_failure() {
    let mut policy = Spare::new(CONFIG);
    let spawn = |count| Some(vec![Action::Spawn { count }]);
    let actions = |decision: Option<Decision>| decision.map(|decision| decision.actions);
    assert_eq!(actions(ask(&mut policy, 1, Cause::Exited, &crowd(1, 0))), spawn(1));
    policy.spawn_failed(Duration::from_secs(1));
    assert_eq!(ask(&mut policy, 2, Cause::Exited, &crowd(1, 0)), None, "uWSGI's master sleeps for two seconds");
    assert_eq!(actions(ask(&mut policy, 3, Cause::Tick, &crowd(1, 0))), spawn(1));
    assert_eq!(ask(&mut policy, 4, Cause::Saturated, &crowd(2, 0)), None);
}

#[test]
fn impossible_thresholds_are_repaired() {
    let none = SpareConfig { workers: 0, cheaper: 5, cheaper_initial: 0, cheaper_step: 0, cheaper_overload: 0 };
    let expected = SpareConfig { workers: 1, cheaper: 1, cheaper_initial: 1, cheaper_step: 1, cheaper_overload: 1 };
    assert_eq!(none.repaired(), expected);
    assert_eq!(SpareConfig::default().repaired(), SpareConfig::default());
    assert_eq!(Spare::new(SpareConfig { cheaper_initial: 1, ..CONFIG }).initial(), 2);
}
