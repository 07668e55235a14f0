//! When policies can do without their ticks, and that they decide the same without them.

use std::time::Duration;

use mpm::record::Setup;
use mpm::{
    BusynessConfig, Cause, DynamicConfig, LONGEST_REST, Limits, OnDemandConfig, Phase, Policy, PreforkConfig, Snapshot,
    SpareConfig, Totals, UnitConfig, WorkerView,
};

fn worker(slot: u32) -> WorkerView {
    WorkerView {
        slot,
        generation: 1,
        phase: Phase::Ready,
        age: Duration::from_secs(100),
        connections: 0,
        in_flight: 0,
        queued: 0,
        threads: 1,
        totals: Totals::default(),
    }
}

fn busy(slot: u32) -> WorkerView {
    WorkerView { connections: 1, in_flight: 1, ..worker(slot) }
}

fn adaptive(min_workers: u32) -> Setup {
    let cpus = 4.0;
    Setup::Adaptive(Limits { min_workers, max_workers: 8, min_threads: 1, max_threads: 4, cpus, memory_workers: 9 })
}

/// How long it can rest when it has seen the same in so many ticks, and has nothing to say to the last one.
fn rest_after(ticks: u32, setup: Setup, workers: &[WorkerView], backlog: u32) -> Duration {
    let mut policy = setup.policy();
    let mut rest = Duration::ZERO;
    for tick in 1..=ticks {
        let now = policy.tick() * tick;
        let snapshot = Snapshot { now, cause: Cause::Tick, workers, backlog };
        let decision = policy.decide(&snapshot);
        rest = if decision.is_some() { Duration::ZERO } else { policy.rest(&snapshot) };
    }
    rest
}

#[test]
fn who_rests_how_long() {
    let unit = Setup::Unit(UnitConfig { max: 8, spare: 1, idle_timeout: Duration::from_secs(15) });
    let ondemand = Setup::Ondemand(OnDemandConfig::default());
    let tick = |setup: Setup| setup.policy().tick();
    let rows: Vec<(&str, Setup, Vec<WorkerView>, u32, Duration)> = vec![
        ("nothing to do", adaptive(1), vec![worker(0)], 0, LONGEST_REST),
        ("a call", adaptive(1), vec![busy(0)], 0, tick(adaptive(1))),
        ("a connection waits", adaptive(1), vec![worker(0)], 1, tick(adaptive(1))),
        (
            "a kept connection is no call",
            adaptive(1),
            vec![WorkerView { connections: 9, ..worker(0) }],
            0,
            LONGEST_REST,
        ),
        ("one too many, for now", adaptive(1), vec![worker(0), worker(1)], 0, tick(adaptive(1))),
        ("one starts", adaptive(1), vec![WorkerView { phase: Phase::Starting, ..worker(0) }], 0, tick(adaptive(1))),
        ("all are there", Setup::Static(2), vec![worker(0), busy(1)], 0, LONGEST_REST),
        ("the spare one is there", unit, vec![worker(0)], 0, LONGEST_REST),
        ("a request", unit, vec![busy(0), worker(1)], 0, tick(unit)),
        ("nobody, and nobody is needed", ondemand, vec![], 0, LONGEST_REST),
        ("a child", ondemand, vec![busy(0)], 0, tick(ondemand)),
    ];
    for (name, setup, workers, backlog, expected) in rows {
        assert_eq!(rest_after(20, setup, &workers, backlog), expected, "{name}: {setup:?}");
    }
    // Until the second one has been idle for long: since the first tick, of which there were twenty.
    let expected = Duration::from_secs(15) - 19 * tick(unit);
    assert_eq!(rest_after(20, unit, &[worker(0), worker(1)], 0), expected);
    // Until the next heartbeat: the last one was with the first tick.
    assert_eq!(rest_after(6, ondemand, &[worker(0)], 0), Duration::from_secs(1) - 5 * tick(ondemand));
}

/// Apache's pass is one a second, uWSGI counts cycles, FPM's heartbeat goes on.
#[test]
fn who_counts_ticks_does_not_rest() {
    let setups = [
        Setup::Prefork(PreforkConfig::default()),
        Setup::Dynamic(DynamicConfig::default()),
        Setup::Spare(SpareConfig::default()),
        Setup::Busyness(BusynessConfig::default()),
    ];
    for setup in setups {
        let mut policy = setup.policy();
        let workers: Vec<WorkerView> = (0..policy.initial()).map(worker).collect();
        let snapshot = Snapshot { now: Duration::from_secs(1), cause: Cause::Tick, workers: &workers, backlog: 0 };
        let _ = policy.decide(&snapshot);
        assert_eq!(policy.rest(&snapshot), policy.tick(), "{setup:?}");
        assert_eq!(policy.tick(), Duration::from_secs(1), "{setup:?}");
    }
}

/// What it orders in two minutes, each half of which has calls, and when (in tenths of a second): first no call, then some
/// that begin together and are seen from then on.
fn orders(policy: &mut dyn Policy, rests: bool) -> Vec<String> {
    let mut orders = Vec::new();
    let mut next = 0;
    let mut requests = 0;
    for tenth in 0..1_200_u64 {
        let calls = tenth % 600 >= 300;
        requests += if calls && tenth % 600 > 300 { 60 } else { 0 };
        if !calls && tenth < next {
            continue;
        }
        let mut only = if calls { busy(0) } else { worker(0) };
        only.in_flight *= 7;
        only.totals = Totals { requests, wall: Duration::from_millis(12) * requests as u32, ..Totals::default() };
        let workers = [only];
        let now = Duration::from_millis(tenth * 100);
        let snapshot = Snapshot { now, cause: Cause::Tick, workers: &workers, backlog: 0 };
        match policy.decide(&snapshot) {
            Some(decision) => orders.push(format!("{tenth}: {:?}", decision.actions)),
            None if rests => next = tenth + policy.rest(&snapshot).min(LONGEST_REST).as_millis() as u64 / 100,
            None => {}
        }
    }
    orders
}

#[test]
fn a_rest_changes_no_order() {
    for setup in [adaptive(1), Setup::Static(1), Setup::Unit(UnitConfig { max: 4, ..UnitConfig::default() })] {
        let (resting, awake) = (orders(&mut *setup.policy(), true), orders(&mut *setup.policy(), false));
        let difference = resting.iter().zip(&awake).find(|(resting, awake)| resting != awake);
        assert_eq!((difference, resting.len()), (None, awake.len()), "{setup:?}");
    }
    assert!(!orders(&mut *adaptive(1).policy(), true).is_empty(), "something was ordered");
}
