//! FPM's rules, one row per case.

use super::*;
use crate::sample::{busy, crowd, draining, idle, starting};
use crate::{Action, Cause};

const CONFIG: OnDemandConfig = OnDemandConfig { max_children: 4, process_idle_timeout: Duration::from_secs(10) };

fn ask(policy: &mut OnDemand, milliseconds: u64, workers: &[WorkerView], backlog: u32) -> Option<Decision> {
    policy.decide(&Snapshot { now: Duration::from_millis(milliseconds), cause: Cause::Tick, workers, backlog })
}

#[test]
fn one_connection_one_child() {
    let note = "but reached pm.max_children 4: consider raising it";
    let rows: Vec<(Vec<WorkerView>, u32, Option<String>)> = vec![
        (vec![], 0, None),
        (vec![], 1, Some("1 waiting, none idle of 0 → +1 worker".into())),
        (vec![], 9, Some("9 waiting, none idle of 0 → +1 worker".into())), // one at a time
        (vec![starting(0)], 1, None),                                      // it is on its way
        (vec![starting(0)], 2, Some("2 waiting, none idle of 1 → +1 worker".into())),
        (vec![busy(0), idle(1)], 5, None), // the idle one will take it
        (vec![busy(0)], 0, None),
        (vec![busy(0), WorkerView { queued: 1, ..busy(1) }], 0, Some("1 waiting, none idle of 2 → +1 worker".into())),
        (crowd(4, 0), 7, Some(format!("7 waiting, none idle of 4, {note}"))),
        // A dismissed child has its place until it is reaped.
        ([crowd(3, 0), vec![draining(3)]].concat(), 7, Some(format!("7 waiting, none idle of 4, {note}"))),
    ];
    for (workers, backlog, expected) in rows {
        let decision = ask(&mut OnDemand::new(CONFIG), 1_000, &workers, backlog);
        assert_eq!(decision.map(|decision| decision.reason), expected, "{backlog} wait for {workers:?}");
    }
}

#[test]
fn every_event_is_an_occasion() {
    let mut policy = OnDemand::new(CONFIG);
    for cause in [Cause::Saturated, Cause::Exited, Cause::Started, Cause::Tick] {
        let snapshot = Snapshot { now: Duration::from_secs(1), cause, workers: &[], backlog: 1 };
        policy.complement.forget();
        assert!(policy.decide(&snapshot).is_some(), "{cause:?}");
    }
    assert_eq!((policy.initial(), policy.tick()), (0, LOOK));
}

#[test]
fn reaching_the_maximum_is_said_once() {
    let mut policy = OnDemand::new(CONFIG);
    let mut said = |second: u64, busy| {
        policy.complement.forget();
        ask(&mut policy, second * 1_000, &crowd(busy, 0), 7).map(|decision| decision.actions.len())
    };
    assert_eq!([said(1, 4), said(2, 4), said(3, 3), said(4, 4)], [Some(0), None, Some(1), Some(0)]);
}

/// What is retired, and when, of workers that change as `change` says, asked every tenth of a second.
fn watch(seconds: u64, mut workers: Vec<WorkerView>, change: impl Fn(u64, &mut Vec<WorkerView>)) -> Vec<(u64, u32)> {
    let mut policy = OnDemand::new(CONFIG);
    let mut retired = Vec::new();
    for tenth in 0..seconds * 10 {
        change(tenth, &mut workers);
        let Some(decision) = ask(&mut policy, tenth * 100, &workers, 0) else { continue };
        for action in decision.actions {
            let Action::Retire { slot } = action else { panic!("{action:?}") };
            retired.push((tenth / 10, slot));
            workers.retain(|worker| worker.slot != slot);
        }
    }
    retired
}

#[test]
fn the_idle_leave_one_a_second_and_the_oldest_first() {
    assert_eq!(watch(20, crowd(0, 3), |_, _| {}), [(11, 0), (12, 1), (13, 2)], "more than ten seconds, to the last");
    assert_eq!(watch(60, crowd(3, 0), |_, _| {}), [], "the busy never");
}

#[test]
fn only_the_oldest_idle_child_is_considered() {
    let works = |slot: usize| {
        move |tenth: u64, workers: &mut Vec<WorkerView>| {
            if tenth.is_multiple_of(50) {
                workers[slot].totals.requests += 1;
            }
        }
    };
    // The first child has a request every five seconds: it is never idle for long, and the others are not looked at.
    assert_eq!(watch(60, crowd(0, 3), works(0)), []);
    // The last one has: the others go.
    let works_at_the_end = |tenth: u64, workers: &mut Vec<WorkerView>| {
        if tenth.is_multiple_of(50) {
            workers.last_mut().expect("it stays").totals.requests += 1;
        }
    };
    assert_eq!(watch(60, crowd(0, 3), works_at_the_end), [(11, 0), (12, 1)]);
}

#[test]
fn successors_start_at_once_but_not_for_the_dismissed() {
    let mut policy = OnDemand::new(CONFIG);
    assert_eq!(ask(&mut policy, 0, &crowd(0, 3), 0), None);
    let retired = ask(&mut policy, 11_000, &crowd(0, 3), 0).expect("idle for eleven seconds");
    assert_eq!(retired.actions, [Action::Retire { slot: 0 }]);
    assert_eq!(retired.reason, "the oldest idle of 3, for 11.0s > pm.process_idle_timeout 10s → −1 worker (slot 0)");
    assert_eq!(ask(&mut policy, 11_100, &[idle(1), idle(2)], 0), None);
    let successor = ask(&mut policy, 11_200, &[idle(1)], 0).expect("one has died");
    assert_eq!(successor.actions, [Action::Spawn { count: 1 }]);
}

#[test]
fn a_failed_fork_waits_for_a_second() {
    let mut policy = OnDemand::new(CONFIG);
    assert!(ask(&mut policy, 100, &[], 1).is_some());
    policy.spawn_failed(Duration::from_millis(110));
    assert_eq!(ask(&mut policy, 1_100, &[], 1), None);
    assert!(ask(&mut policy, 1_200, &[], 1).is_some());
    assert_eq!(ask(&mut policy, 1_300, &[starting(0)], 0), None, "the first one is not owed any more");
}

#[test]
fn impossible_bounds_are_repaired() {
    assert_eq!(OnDemandConfig { max_children: 0, ..CONFIG }.repaired().max_children, 1);
    assert_eq!(OnDemandConfig::default().repaired(), OnDemandConfig::default());
}
