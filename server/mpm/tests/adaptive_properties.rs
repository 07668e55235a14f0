//! What holds for the adaptive policy whatever the snapshots say.

use std::collections::BTreeSet;
use std::time::Duration;

use mpm::{Action, Adaptive, Cause, Limits, Phase, Policy, Snapshot, Totals, WorkerView};
use proptest::prelude::*;

#[allow(dead_code, reason = "each test with random snapshots needs its part of them")]
mod moments;

use moments::{moment, serving, workers};

prop_compose! {
    fn limits()(
        min_workers in 0_u32..8, max_workers in 0_u32..40, max_threads in 0_u32..70,
        cpus in prop_oneof![0.1_f64..8.0, Just(f64::NAN), Just(0.0), Just(f64::INFINITY)], memory_workers in 0_u32..50,
    ) -> Limits {
        Limits { min_workers, max_workers, min_threads: 1, max_threads, cpus, memory_workers }
    }
}

proptest! {
    /// Any sequence of snapshots, however contradictory: the orders keep to the limits and to the workers there are.
    #[test]
    fn orders_stay_within_bounds(limits in limits(), moments in prop::collection::vec(moment(), 1..40)) {
        let floor = limits.min_workers.max(1);
        let ceiling = limits.max_workers.min(limits.memory_workers).max(floor);
        let mut policy = Adaptive::new(limits);
        prop_assert_eq!(policy.initial(), floor);
        let mut now = Duration::from_secs(100);
        let mut last_retired: Option<Duration> = None;
        for moment in &moments {
            now += moment.after;
            let snapshot = Snapshot { now, cause: moment.cause, workers: &moment.workers, backlog: moment.backlog };
            let have = serving(&moment.workers);
            let Some(decision) = policy.decide(&snapshot) else {
                prop_assert!(have >= floor, "nothing done below the minimum");
                continue;
            };
            prop_assert_eq!(decision.at, now);
            prop_assert!(!decision.reason.contains('\n') && !decision.reason.contains("NaN"), "{}", decision.reason);
            let mut retired = BTreeSet::new();
            for action in &decision.actions {
                match *action {
                    Action::Spawn { count } => {
                        prop_assert!(count >= 1);
                        prop_assert!(have + count <= ceiling, "{have} + {count} > {ceiling}");
                        let living = moment.workers.len() as u32;
                        prop_assert!(living + count <= limits.memory_workers || have + count <= floor);
                        prop_assert_eq!(decision.actions.len(), 1);
                    }
                    Action::Retire { slot } => {
                        let worker = moment.workers.iter().find(|worker| worker.slot == slot);
                        let worker = worker.expect("a slot of the snapshot");
                        prop_assert_eq!(worker.phase, Phase::Ready);
                        prop_assert!(worker.age >= Duration::from_secs(2));
                        prop_assert!(retired.insert(slot), "retired twice");
                    }
                }
            }
            let retired = retired.len() as u32;
            if retired > 0 {
                prop_assert!(have - retired >= floor);
                prop_assert!(retired <= (have / 4).max(1), "{retired} of {have} at once");
                prop_assert!(last_retired.is_none_or(|at| now - at >= Duration::from_secs(1)));
                last_retired = Some(now);
            }
        }
    }

    /// Of two moments that differ in what is there to do only, the busier one never gets fewer workers.
    #[test]
    fn more_demand_never_means_fewer_workers(
        limits in limits(), rate in 0_u64..200, milliseconds in 1_u64..400, cpu_share in 0.0_f64..1.0,
        have in 1_u32..6, in_flight in 0_u32..70, queued in 0_u32..50, backlog in 0_u32..200,
        more_in_flight in 0_u32..20, more_queued in 0_u32..50, more_backlog in 0_u32..200,
    ) {
        let ask = |in_flight: u32, queued: u32, backlog: u32| {
            let mut policy = Adaptive::new(limits);
            let mut model = Constant::new(have, rate, milliseconds, cpu_share);
            for _ in 0..12 {
                let workers = model.tick();
                policy.decide(&Snapshot { now: model.now, cause: Cause::Tick, workers: &workers, backlog: 0 });
            }
            let mut workers = model.tick();
            workers[0].in_flight = in_flight;
            workers[0].queued = queued;
            let snapshot = Snapshot { now: model.now, cause: Cause::Saturated, workers: &workers, backlog };
            match policy.decide(&snapshot).map(|decision| decision.actions).as_deref() {
                Some([Action::Spawn { count }]) => i64::from(*count),
                Some(retired) => -(retired.len() as i64),
                None => 0,
            }
        };
        let less = ask(in_flight, queued, backlog);
        let more = ask(in_flight + more_in_flight, queued + more_queued, backlog + more_backlog);
        prop_assert!(more >= less, "{more} < {less}");
    }

    /// From any past, constant demand leads to a number of workers that stays, and soon.
    #[test]
    fn constant_demand_settles(
        limits in limits(), past in prop::collection::vec(moment(), 0..10),
        have in 0_u32..30, rate in 0_u64..100, milliseconds in 1_u64..300, cpu_share in 0.0_f64..1.0,
    ) {
        let mut policy = Adaptive::new(limits);
        let mut now = Duration::from_secs(100);
        for moment in &past {
            now += moment.after;
            policy.decide(&Snapshot { now, cause: moment.cause, workers: &moment.workers, backlog: moment.backlog });
        }
        let mut model = Constant::new(have, rate, milliseconds, cpu_share);
        model.now = now;
        // 10 s until the longest window holds nothing else, 5 s of patience, then 30 workers step by step.
        for _ in 0..400 {
            model.obey(&mut policy);
        }
        let settled = model.workers.len() as u32;
        for _ in 0..200 {
            model.obey(&mut policy);
            prop_assert_eq!(model.workers.len() as u32, settled);
        }
        let floor = limits.min_workers.max(1);
        prop_assert!((floor..=limits.max_workers.min(limits.memory_workers).max(floor)).contains(&settled));
    }

    /// Constant demand makes the number of workers grow or shrink, and turn round once at most.
    #[test]
    fn constant_demand_makes_nothing_oscillate(
        limits in limits(), have in 0_u32..30, rate in 0_u64..100, milliseconds in 1_u64..300, cpu_share in 0.0_f64..1.0,
    ) {
        let mut policy = Adaptive::new(limits);
        let mut model = Constant::new(have, rate, milliseconds, cpu_share);
        let mut directions = Vec::new();
        for _ in 0..600 {
            let before = model.workers.len();
            model.obey(&mut policy);
            directions.extend(Some(model.workers.len().cmp(&before)).filter(|direction| direction.is_ne()));
        }
        directions.dedup();
        prop_assert!(directions.len() <= 2, "{directions:?}");
    }

    /// Whatever the scoreboard says at first, of workers in any phase with any counters: once it is sane, there are soon
    /// enough workers, within the bounds, and they stay.
    #[test]
    fn any_scoreboard_recovers(
        limits in limits(), scoreboard in workers(), backlog in any::<u32>(),
        rate in 0_u64..100, milliseconds in 1_u64..300, cpu_share in 0.0_f64..1.0,
    ) {
        let mut policy = Adaptive::new(limits);
        let mut model = Constant::new(0, rate, milliseconds, cpu_share);
        policy.decide(&Snapshot { now: model.now, cause: Cause::Tick, workers: &scoreboard, backlog });
        // Those that were to leave have left, those that were starting have started, the others go on.
        model.workers = scoreboard.into_iter().filter(|worker| worker.phase != Phase::Draining).collect();
        for worker in &mut model.workers {
            let Totals { requests, wall, cpu, .. } = worker.totals;
            let sane = |time: Duration| time.min(Duration::from_secs(1 << 40));
            worker.totals = Totals { requests: requests >> 1, wall: sane(wall), cpu: sane(cpu), ..worker.totals };
            (worker.phase, worker.in_flight, worker.queued) = (Phase::Ready, 0, 0);
        }
        for _ in 0..600 {
            model.obey(&mut policy);
        }
        let settled = model.workers.len() as u32;
        for _ in 0..200 {
            model.obey(&mut policy);
            prop_assert_eq!(model.workers.len() as u32, settled);
        }
        let floor = limits.min_workers.max(1);
        let ceiling = limits.max_workers.min(limits.memory_workers).max(floor);
        prop_assert!((floor..=ceiling).contains(&settled));
        let load = rate as f64 * 10.0 * milliseconds as f64 / 1_000.0;
        let needed = (load / f64::from(limits.max_threads.max(1))).ceil() as u32;
        prop_assert!(settled >= needed.min(ceiling), "{settled} workers for {load} calls at once");
    }
}

/// Workers under the same load for ever: every tick, each does its share of `rate` calls of the same kind.
struct Constant {
    now: Duration,
    workers: Vec<WorkerView>,
    rate: u64,
    call: Totals,
    ticks: u64,
}

impl Constant {
    fn new(have: u32, rate: u64, milliseconds: u64, cpu_share: f64) -> Self {
        let wall = Duration::from_millis(milliseconds);
        let mut model = Self {
            now: Duration::from_secs(100),
            workers: Vec::new(),
            rate,
            call: Totals { requests: 1, wall, cpu: wall.mul_f64(cpu_share), gil_wait: Duration::ZERO },
            ticks: 0,
        };
        for slot in 0..have {
            model.start(slot);
        }
        model
    }

    fn start(&mut self, slot: u32) {
        self.workers.push(WorkerView {
            slot,
            generation: 1_000 + self.ticks as u32,
            phase: Phase::Ready,
            age: Duration::ZERO,
            connections: 0,
            in_flight: 0,
            queued: 0,
            threads: 1,
            totals: Totals::default(),
        });
    }

    /// A tenth of a second: `rate` calls each, and the mean of them running.
    fn tick(&mut self) -> Vec<WorkerView> {
        self.now += Duration::from_millis(100);
        self.ticks += 1;
        let count = self.workers.len().max(1) as u64;
        let running = self.rate as f64 * 10.0 * self.call.wall.as_secs_f64();
        for (index, worker) in self.workers.iter_mut().enumerate() {
            let calls = self.rate / count + u64::from((index as u64) < self.rate % count);
            worker.age += Duration::from_millis(100);
            worker.in_flight = (running / count as f64) as u32;
            worker.totals.requests += calls;
            worker.totals.wall += self.call.wall * calls as u32;
            worker.totals.cpu += self.call.cpu * calls as u32;
        }
        self.workers.clone()
    }

    /// A tick whose orders are carried out at once.
    fn obey(&mut self, policy: &mut Adaptive) {
        let workers = self.tick();
        let snapshot = Snapshot { now: self.now, cause: Cause::Tick, workers: &workers, backlog: 0 };
        let actions = policy.decide(&snapshot).map(|decision| decision.actions).unwrap_or_default();
        for action in actions {
            match action {
                Action::Retire { slot } => self.workers.retain(|worker| worker.slot != slot),
                Action::Spawn { count } => {
                    let taken: BTreeSet<u32> = self.workers.iter().map(|worker| worker.slot).collect();
                    for slot in (0..).filter(|slot| !taken.contains(slot)).take(count as usize) {
                        self.start(slot);
                    }
                    self.workers.sort_by_key(|worker| worker.slot);
                }
            }
        }
    }
}

#[test]
fn a_failed_start_is_not_repeated_at_once() {
    let limits =
        Limits { min_workers: 2, max_workers: 9, min_threads: 1, max_threads: 8, cpus: 2.0, memory_workers: 9 };
    let mut policy = Adaptive::new(limits);
    let mut ask = |milliseconds: u64, failed: bool| {
        let now = Duration::from_millis(milliseconds);
        let spawned = policy.decide(&Snapshot { now, cause: Cause::Tick, workers: &[], backlog: 0 }).is_some();
        if failed {
            policy.spawn_failed(now);
        }
        spawned
    };
    assert!(ask(0, true));
    assert!(!ask(900, false));
    assert!(ask(1_000, true), "after a second");
    assert!(!ask(2_900, false));
    assert!(ask(3_000, false), "then after two");
}

#[test]
fn the_limit_is_mentioned_once() {
    let limits =
        Limits { min_workers: 1, max_workers: 2, min_threads: 1, max_threads: 8, cpus: 2.0, memory_workers: 9 };
    let mut policy = Adaptive::new(limits);
    let mut model = Constant::new(2, 0, 1, 0.0);
    let mut ask = |backlog: u32| {
        let workers = model.tick();
        policy.decide(&Snapshot { now: model.now, cause: Cause::Tick, workers: &workers, backlog })
    };
    let first = ask(100).expect("100 waiting need more than 2 workers of 8");
    assert_eq!(first.actions, []);
    assert!(first.reason.contains("at most 2 workers may run"), "{}", first.reason);
    assert_eq!(ask(100), None);
    assert_eq!(ask(0), None);
    assert_eq!(ask(100), None, "the same shortage, a moment later");
}

#[test]
fn a_reason_can_be_recomputed() {
    let limits =
        Limits { min_workers: 1, max_workers: 9, min_threads: 1, max_threads: 16, cpus: 2.0, memory_workers: 9 };
    let mut policy = Adaptive::new(limits);
    let mut model = Constant::new(1, 40, 50, 0.02);
    let mut decisions = Vec::new();
    for _ in 0..12 {
        let workers = model.tick();
        decisions.extend(policy.decide(&Snapshot {
            now: model.now,
            cause: Cause::Tick,
            workers: &workers,
            backlog: 0,
        }));
    }
    let last = decisions.pop().expect("20 calls at once need more than one worker of 16");
    assert_eq!(last.actions, [Action::Spawn { count: 1 }]);
    assert_eq!(
        last.reason,
        "λ=400/s W=50 ms, 20 running → 29 slots (2 workers), CPU 0.4 of 2 cores (1 worker), have 1 → +1 worker"
    );
}

/// How long a tick takes then is measured, not tested (`benches/tick.rs`).
#[test]
fn ten_thousand_workers_are_no_problem() {
    let limits = Limits {
        min_workers: 1,
        max_workers: 20_000,
        min_threads: 1,
        max_threads: 64,
        cpus: 5_000.0,
        memory_workers: 20_000,
    };
    let mut policy = Adaptive::new(limits);
    let mut model = Constant::new(10_000, 100_000, 50, 0.02);
    let mut retired = 0;
    for _ in 0..80 {
        let workers = model.tick();
        let snapshot = Snapshot { now: model.now, cause: Cause::Tick, workers: &workers, backlog: 0 };
        retired += policy.decide(&snapshot).map_or(0, |decision| decision.actions.len());
    }
    assert!(retired >= 2_500, "a quarter at once: {retired}");
}
