//! What one tick costs with ten thousand workers, for every policy. The target is 1 ms (`cargo bench -p smarthttpd-mpm`).
//!
//! Half of the workers run a call at each tick, the others have just ended one, so every counter moves and nobody is idle
//! for long. Between the ticks, untimed, the orders are carried out: who is retired has a successor.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use mpm::{
    Action, Adaptive, Busyness, BusynessConfig, Cause, Dynamic, DynamicConfig, Limits, OnDemand, OnDemandConfig, Phase,
    Policy, Prefork, PreforkConfig, Snapshot, Spare, SpareConfig, Static, Totals, Unit, UnitConfig, WorkerView,
};

const WORKERS: u32 = 10_000;

struct Fleet {
    now: Duration,
    ticks: u64,
    workers: Vec<WorkerView>,
}

impl Fleet {
    fn new() -> Self {
        let worker = |slot| WorkerView {
            slot,
            generation: 1,
            phase: Phase::Ready,
            age: Duration::from_secs(60),
            connections: 1,
            in_flight: 0,
            queued: 0,
            threads: 1,
            totals: Totals::default(),
        };
        Self { now: Duration::from_secs(100), ticks: 0, workers: (0..WORKERS).map(worker).collect() }
    }

    /// Lets `tick` pass.
    fn pass(&mut self, tick: Duration) {
        self.now += tick;
        self.ticks += 1;
        for worker in &mut self.workers {
            worker.age += tick;
            worker.in_flight = u32::from((u64::from(worker.slot) + self.ticks).is_multiple_of(2));
            worker.connections = worker.in_flight;
            worker.totals.requests += 1;
            worker.totals.wall += tick / 3;
            worker.totals.cpu += tick / 300;
        }
    }

    /// One tick of `policy`, timed.
    fn tick(&mut self, policy: &mut dyn Policy) -> Duration {
        self.pass(policy.tick());
        let snapshot = Snapshot { now: self.now, cause: Cause::Tick, workers: &self.workers, backlog: 10 };
        let start = Instant::now();
        let decision = black_box(policy.decide(black_box(&snapshot)));
        let spent = start.elapsed();
        for action in decision.map(|decision| decision.actions).unwrap_or_default() {
            if let Action::Retire { slot } = action {
                let worker = &mut self.workers[slot as usize];
                worker.generation += 1;
                worker.age = Duration::ZERO;
                worker.totals = Totals::default();
            }
        }
        spent
    }
}

fn policies() -> Vec<Box<dyn Policy>> {
    let limits = Limits {
        min_workers: 1,
        max_workers: WORKERS,
        min_threads: 1,
        max_threads: 64,
        cpus: f64::from(WORKERS),
        memory_workers: WORKERS,
    };
    vec![
        Box::new(Adaptive::new(limits)),
        Box::new(Prefork::new(PreforkConfig { max_request_workers: WORKERS, ..PreforkConfig::default() })),
        Box::new(Static::new(WORKERS)),
        Box::new(Busyness::new(BusynessConfig {
            workers: WORKERS,
            cheaper_initial: WORKERS,
            // Every tick ends a window, which is the longer way.
            cheaper_overload: Duration::from_secs(1),
            ..BusynessConfig::default()
        })),
        Box::new(Spare::new(SpareConfig { workers: WORKERS, cheaper_initial: WORKERS, ..SpareConfig::default() })),
        Box::new(Dynamic::new(DynamicConfig { max_children: WORKERS, ..DynamicConfig::default() })),
        Box::new(OnDemand::new(OnDemandConfig { max_children: WORKERS, ..OnDemandConfig::default() })),
        Box::new(Unit::new(UnitConfig { max: WORKERS, spare: 100, ..UnitConfig::default() })),
    ]
}

fn tick(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(format!("tick over {WORKERS} workers"));
    for mut policy in policies() {
        let mut fleet = Fleet::new();
        group.bench_function(policy.name(), |bencher| {
            bencher.iter_custom(|times| (0..times).map(|_| fleet.tick(&mut *policy)).sum());
        });
    }
    group.finish();
}

criterion_group!(benches, tick);
criterion_main!(benches);
