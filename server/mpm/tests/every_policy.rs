//! What holds for every policy, whatever the snapshots say: one table of policies, the same questions to all.

use std::collections::BTreeSet;
use std::time::Duration;

use mpm::{
    Action, Adaptive, Busyness, BusynessConfig, Cause, Decision, Dynamic, DynamicConfig, Limits, OnDemand,
    OnDemandConfig, Phase, Policy, Prefork, PreforkConfig, Snapshot, Spare, SpareConfig, Static, Totals, Unit,
    UnitConfig, WorkerView,
};
use proptest::prelude::*;

#[allow(dead_code, reason = "each test with random snapshots needs its part of them")]
mod moments;

use moments::{Moment, moment, serving};

/// A policy with bounds, and what they promise.
struct Case {
    name: &'static str,
    policy: Box<dyn Policy>,
    /// Workers there are always.
    floor: u32,
    /// Workers there are never more of.
    ceiling: u32,
    /// Workers that are left, at most, when there has been nothing to do for long. `None`: nobody is ever dismissed.
    at_rest: Option<u32>,
}

/// Every policy, kept between `low` and `high` workers as far as it has a minimum.
fn every_policy(low: u32, high: u32) -> Vec<Case> {
    let second = Duration::from_secs(1);
    // The spare ones are within the minimum and the maximum as well.
    let max_spare = low + 2;
    let case = |name, policy: Box<dyn Policy>, floor, at_rest| Case { name, policy, floor, ceiling: high, at_rest };
    vec![
        case("static", Box::new(Static::new(high)), high, None),
        case(
            "adaptive",
            Box::new(Adaptive::new(Limits {
                min_workers: low,
                max_workers: high,
                min_threads: 1,
                max_threads: 1,
                cpus: 2.0,
                memory_workers: u32::MAX,
            })),
            low,
            Some(low),
        ),
        case(
            "prefork",
            Box::new(Prefork::new(PreforkConfig {
                start_servers: low,
                min_spare: low,
                max_spare,
                max_request_workers: high,
            })),
            1,
            Some(max_spare),
        ),
        case(
            "busyness",
            Box::new(Busyness::new(BusynessConfig {
                workers: high,
                cheaper: low,
                cheaper_initial: low,
                cheaper_step: 3,
                cheaper_overload: second,
                ..BusynessConfig::default()
            })),
            low,
            Some(low),
        ),
        case(
            "spare",
            Box::new(Spare::new(SpareConfig {
                workers: high,
                cheaper: low,
                cheaper_initial: low,
                cheaper_step: 3,
                cheaper_overload: 2,
            })),
            low,
            Some(low),
        ),
        case(
            "dynamic",
            Box::new(Dynamic::new(DynamicConfig {
                max_children: high,
                start_servers: low,
                min_spare_servers: low,
                max_spare_servers: max_spare,
            })),
            1,
            Some(max_spare),
        ),
        case(
            "ondemand",
            Box::new(OnDemand::new(OnDemandConfig { max_children: high, ..OnDemandConfig::default() })),
            0,
            Some(0),
        ),
        case(
            "unit",
            Box::new(Unit::new(UnitConfig { max: high, spare: low, ..UnitConfig::default() })),
            low,
            Some(low),
        ),
    ]
}

/// Workers that have nothing to do from now on, and do what they are told.
struct Idlers {
    now: Duration,
    workers: Vec<WorkerView>,
    generations: u32,
}

impl Idlers {
    fn ask(&mut self, policy: &mut dyn Policy, cause: Cause) -> Option<Decision> {
        let decision = policy.decide(&Snapshot { now: self.now, cause, workers: &self.workers, backlog: 0 })?;
        for action in &decision.actions {
            match *action {
                Action::Retire { slot } => self.workers.retain(|worker| worker.slot != slot),
                Action::Spawn { count } => {
                    let taken: BTreeSet<u32> = self.workers.iter().map(|worker| worker.slot).collect();
                    for slot in (0..).filter(|slot| !taken.contains(slot)).take(count as usize) {
                        self.generations += 1;
                        self.workers.push(worker(slot, self.generations));
                    }
                    self.workers.sort_by_key(|worker| worker.slot);
                }
            }
        }
        Some(decision)
    }

    fn tick(&mut self, policy: &mut dyn Policy) -> Option<Decision> {
        self.now += policy.tick();
        for worker in &mut self.workers {
            worker.age += policy.tick();
            (worker.phase, worker.connections, worker.in_flight, worker.queued) = (Phase::Ready, 0, 0, 0);
        }
        self.ask(policy, Cause::Tick)
    }
}

fn worker(slot: u32, generation: u32) -> WorkerView {
    WorkerView {
        slot,
        generation,
        phase: Phase::Ready,
        age: Duration::ZERO,
        connections: 0,
        in_flight: 0,
        queued: 0,
        threads: 1,
        totals: Totals::default(),
    }
}

/// The whole numbers in a reason, without those of what comes of it.
fn figures(reason: &str) -> Vec<f64> {
    let cause = reason.rsplit_once(" → ").map_or(reason, |(cause, _)| cause);
    cause.split([' ', ',', ':', '%']).filter_map(|word| word.parse::<u32>().ok()).map(f64::from).collect()
}

fn check(case: &Case, moment: &Moment, decision: &Decision, now: Duration) -> Result<(), TestCaseError> {
    let name = case.name;
    let have = serving(&moment.workers);
    prop_assert_eq!(decision.at, now);
    prop_assert!(!decision.reason.is_empty() && !decision.reason.contains('\n'), "{name}: {}", decision.reason);
    let json = serde_json::to_string(decision).expect("a decision is plain data");
    let read: Decision = serde_json::from_str(&json).expect("its own form");
    // A fraction may come back with another last digit.
    let pairs = read.inputs.iter().zip(&decision.inputs);
    prop_assert!(read.inputs.len() == decision.inputs.len(), "{json}");
    for ((name, value), (expected_name, expected)) in pairs {
        prop_assert!(name == expected_name && (value - expected).abs() <= 1e-12 * expected.abs(), "{json}");
    }
    prop_assert_eq!(&Decision { inputs: decision.inputs.clone(), ..read }, decision);
    let inputs = &decision.inputs;
    prop_assert!(inputs.values().all(|value| value.is_finite()), "{name}: {inputs:?}");
    prop_assert_eq!(inputs.get("workers_serving"), Some(&f64::from(have)), "{}: {:?}", name, decision);
    // Whoever reads the reason finds its figures among the inputs. Those of adaptive are rounded to be read.
    for figure in figures(&decision.reason).into_iter().filter(|_| name != "adaptive") {
        let is_input = inputs.values().any(|value| (value - figure).abs() < 1e-9);
        prop_assert!(is_input, "{name}: {figure} of {:?} is not in {inputs:?}", decision.reason);
    }
    let mut retired = BTreeSet::new();
    for action in &decision.actions {
        match *action {
            Action::Spawn { count } => {
                prop_assert!(count >= 1);
                prop_assert_eq!(decision.actions.len(), 1, "{}: {:?}", name, decision);
                prop_assert!(have.saturating_add(count) <= case.ceiling, "{name}: {have} + {count}, {decision:?}");
            }
            Action::Retire { slot } => {
                let worker = moment.workers.iter().find(|worker| worker.slot == slot);
                let worker = worker.expect("a slot of the snapshot");
                prop_assert!(worker.phase != Phase::Draining, "{name}: told twice");
                prop_assert!(retired.insert(slot), "{name}: retired twice");
            }
        }
    }
    let left = have - retired.len() as u32;
    prop_assert!(retired.is_empty() || left >= case.floor, "{name}: {left} left, {decision:?}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any sequence of snapshots, however contradictory, with failures between them: no panic, orders within the bounds
    /// that concern workers there are, and reasons that can be stored.
    #[test]
    fn orders_stay_within_bounds(
        low in 1_u32..6, more in 3_u32..30,
        moments in prop::collection::vec((moment(), prop::bool::weighted(0.1), prop::bool::weighted(0.1)), 1..40),
    ) {
        for mut case in every_policy(low, low + more) {
            prop_assert_eq!(case.name, case.policy.name());
            prop_assert!((case.floor.min(low)..=case.ceiling).contains(&case.policy.initial()), "{}", case.name);
            prop_assert!(case.policy.tick() >= Duration::from_millis(100));
            let mut now = Duration::from_secs(100);
            let mut failed_at = None;
            for (moment, fails, restarts) in &moments {
                now += moment.after;
                if *fails {
                    case.policy.spawn_failed(now);
                    failed_at = Some(now);
                }
                if *restarts {
                    case.policy.graceful_restart();
                }
                let snapshot = Snapshot { now, cause: moment.cause, workers: &moment.workers, backlog: moment.backlog };
                let decision = case.policy.decide(&snapshot);
                if let Some(decision) = &decision {
                    check(&case, moment, decision, now)?;
                }
                // No pause after a failure is longer than ten seconds.
                let may_start = failed_at.is_none_or(|at| now - at > Duration::from_secs(10));
                let room = (moment.workers.len() as u32) < case.ceiling;
                let starting = moment.workers.iter().any(|worker| worker.phase == Phase::Starting);
                if moment.cause == Cause::Tick && serving(&moment.workers) < case.floor && may_start && room && !starting {
                    let spawns = decision.is_some_and(|decision| matches!(decision.actions[..], [Action::Spawn { .. }]));
                    prop_assert!(spawns, "{}: nothing done below the minimum", case.name);
                }
            }
        }
    }

    /// From any past and any scoreboard: without anything to do, every policy comes to rest, where its thresholds say.
    #[test]
    fn all_come_to_rest(
        low in 1_u32..4, more in 3_u32..9, past in prop::collection::vec(moment(), 0..10),
        scoreboard in moments::workers(),
    ) {
        for mut case in every_policy(low, low + more) {
            let mut idlers = Idlers { now: Duration::from_secs(100), workers: Vec::new(), generations: 1_000 };
            for moment in &past {
                idlers.now += moment.after;
                let (cause, backlog) = (moment.cause, moment.backlog);
                case.policy.decide(&Snapshot { now: idlers.now, cause, workers: &moment.workers, backlog });
            }
            idlers.workers = scoreboard.iter().filter(|worker| worker.phase != Phase::Draining).copied().collect();
            // The most patient is busyness: ten seconds for each worker, some more after each sudden rise. Those that tick
            // more often have at most fifteen seconds of patience, and then a worker a second.
            for _ in 0..2_000 {
                idlers.tick(&mut *case.policy);
            }
            let rest = idlers.workers.len() as u32;
            let most = case.at_rest.unwrap_or(u32::MAX);
            prop_assert!((case.floor..=most).contains(&rest), "{}: {rest} at rest", case.name);
            for _ in 0..100 {
                let decision = idlers.tick(&mut *case.policy);
                let changes = decision.map_or(0, |decision| decision.actions.len());
                prop_assert_eq!(changes, 0, "{}: it does not rest", case.name);
            }
        }
    }
}

/// Whoever dies is replaced at once or at the next tick, as far as the load or the minimum needs it.
#[test]
fn a_fleet_that_died_is_replaced() {
    for mut case in every_policy(2, 9) {
        let mut idlers = Idlers { now: Duration::from_secs(100), workers: Vec::new(), generations: 1 };
        idlers.workers = (0..case.policy.initial()).map(|slot| worker(slot, 1)).collect();
        for _ in 0..50 {
            idlers.tick(&mut *case.policy);
        }
        idlers.workers.clear();
        idlers.ask(&mut *case.policy, Cause::Exited);
        for _ in 0..5 {
            idlers.tick(&mut *case.policy);
        }
        let count = idlers.workers.len() as u32;
        assert!(count >= case.floor, "{}: {count} of {}", case.name, case.floor);
    }
}
