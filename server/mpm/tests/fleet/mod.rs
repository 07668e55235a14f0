//! A small model of a server under load, in steps of one millisecond, for tests of policies in motion.
//!
//! Every worker has one interpreter lock: of its calls that want to compute, the oldest does and the others wait. Workers
//! that compute share the cores evenly. A call is blocked first and computes then. Requests wait in one backlog and go to
//! the first ready worker with a free slot; workers size themselves with [`mpm::sizing`] ten times a second.

use std::collections::VecDeque;
use std::time::Duration;

use mpm::sizing::{CallStats, concurrency};
use mpm::{Action, Cause, Phase, Policy, Snapshot, Totals, WorkerView};

/// What one request costs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) blocked_ms: f64,
    pub(crate) cpu_ms: f64,
}

/// The machine and the workers on it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Machine {
    pub(crate) cores: f64,
    pub(crate) max_threads: u32,
    /// From the order to ready.
    pub(crate) start_ms: u64,
}

struct Call {
    arrived: u64,
    started: u64,
    cost: Cost,
    blocked_left: f64,
    cpu_left: f64,
    lock_wait: f64,
}

struct Worker {
    slot: u32,
    generation: u32,
    phase: Phase,
    ordered: u64,
    calls: Vec<Call>,
    slots: u32,
    totals: Totals,
    window_base: Totals,
}

/// What was seen in one stretch of time.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    /// Latencies in milliseconds, by arrival.
    pub(crate) latencies: Vec<u64>,
    /// Most workers, draining ones included.
    pub(crate) peak_workers: usize,
    /// Most calls that one worker was allowed to run at once.
    pub(crate) peak_slots: u32,
    /// Workers × seconds.
    pub(crate) worker_seconds: f64,
    /// Started and retired, in order: +n and −1.
    pub(crate) changes: Vec<i64>,
    pub(crate) reasons: Vec<String>,
}

impl Observed {
    /// How often growing turned into shrinking or back.
    pub(crate) fn direction_changes(&self) -> usize {
        self.changes.windows(2).filter(|pair| pair[0].signum() != pair[1].signum()).count()
    }

    pub(crate) fn percentile(&self, share: f64) -> u64 {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let rank = (share * sorted.len() as f64) as usize;
        sorted.get(rank.min(sorted.len().saturating_sub(1))).copied().unwrap_or(0)
    }
}

pub(crate) struct Fleet<P> {
    pub(crate) policy: P,
    machine: Machine,
    now: u64,
    workers: Vec<Worker>,
    backlog: VecDeque<(u64, Cost)>,
    next_generation: u32,
    due: f64,
    random: u64,
}

impl<P: Policy> Fleet<P> {
    pub(crate) fn new(policy: P, machine: Machine) -> Self {
        let initial = policy.initial();
        let mut fleet = Self {
            policy,
            machine,
            now: 0,
            workers: Vec::new(),
            backlog: VecDeque::new(),
            next_generation: 1,
            due: 1.0,
            random: 42,
        };
        fleet.spawn(initial);
        fleet
    }

    /// Workers that are there, in any phase.
    pub(crate) fn workers(&self) -> usize {
        self.workers.len()
    }

    /// Runs for `seconds` with `rate` requests a second, evenly spaced.
    pub(crate) fn constant(&mut self, seconds: u64, rate: f64, cost: Cost) -> Observed {
        self.run(seconds, rate, |_| 1.0, |_| cost)
    }

    /// The same with exponential gaps (from a fixed seed) and a cost drawn with a number in `0..1`.
    pub(crate) fn poisson(&mut self, seconds: u64, rate: f64, cost: impl Fn(f64) -> Cost) -> Observed {
        self.run(seconds, rate, |random| -(1.0 - random).ln(), cost)
    }

    fn run(&mut self, seconds: u64, rate: f64, gap: impl Fn(f64) -> f64, cost: impl Fn(f64) -> Cost) -> Observed {
        let mut observed = Observed::default();
        for _ in 0..seconds * 1_000 {
            self.now += 1;
            self.due -= rate / 1_000.0;
            while self.due <= 0.0 {
                let (gap, cost) = (gap(self.next_random()), cost(self.next_random()));
                self.due += gap;
                self.backlog.push_back((self.now, cost));
            }
            self.step(&mut observed);
        }
        observed
    }

    /// A linear congruential generator (Knuth's MMIX constants): the same numbers on every run.
    fn next_random(&mut self) -> f64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn step(&mut self, observed: &mut Observed) {
        let mut started = false;
        for worker in &mut self.workers {
            if worker.phase == Phase::Starting && self.now >= worker.ordered + self.machine.start_ms {
                worker.phase = Phase::Ready;
                started = true;
            }
        }
        self.serve(observed);
        let waiting_before = self.backlog.len();
        self.dispatch();
        let before = self.workers.len();
        self.workers.retain(|worker| worker.phase != Phase::Draining || !worker.calls.is_empty());
        if self.now.is_multiple_of(100) {
            self.size();
        }
        if u128::from(self.now).is_multiple_of(self.policy.tick().as_millis()) {
            self.decide(Cause::Tick, observed);
        }
        if started {
            self.decide(Cause::Started, observed);
        }
        if self.workers.len() < before {
            self.decide(Cause::Exited, observed);
        }
        // A worker that ran out of room wakes the supervisor; not for every request that finds it so.
        if waiting_before == 0 && !self.backlog.is_empty() {
            self.size();
            self.decide(Cause::Saturated, observed);
        }
        observed.peak_workers = observed.peak_workers.max(self.workers.len());
        observed.worker_seconds += self.workers.len() as f64 / 1_000.0;
        let slots = self.workers.iter().map(|worker| worker.slots).max();
        observed.peak_slots = observed.peak_slots.max(slots.unwrap_or(0));
    }

    fn serve(&mut self, observed: &mut Observed) {
        let computing =
            |worker: &Worker| worker.calls.iter().any(|call| call.blocked_left <= 0.0 && call.cpu_left > 0.0);
        let active = self.workers.iter().filter(|worker| computing(worker)).count();
        let share = (self.machine.cores / active.max(1) as f64).min(1.0);
        for worker in &mut self.workers {
            let mut core = share;
            for call in &mut worker.calls {
                if call.blocked_left > 0.0 {
                    call.blocked_left -= 1.0;
                } else if core > 0.0 {
                    let used = core.min(call.cpu_left);
                    call.cpu_left -= used;
                    core -= used;
                } else {
                    call.lock_wait += 1.0;
                }
            }
            for call in worker.calls.extract_if(.., |call| call.blocked_left <= 0.0 && call.cpu_left <= 1e-9) {
                let ms = |value: f64| Duration::from_secs_f64(value / 1_000.0);
                worker.totals.requests += 1;
                worker.totals.wall += ms((self.now - call.started) as f64);
                worker.totals.cpu += ms(call.cost.cpu_ms);
                worker.totals.gil_wait += ms(call.lock_wait);
                observed.latencies.push(self.now - call.arrived);
            }
        }
    }

    fn dispatch(&mut self) {
        for worker in self.workers.iter_mut().filter(|worker| worker.phase == Phase::Ready) {
            while worker.calls.len() < worker.slots as usize {
                let Some((arrived, cost)) = self.backlog.pop_front() else {
                    return;
                };
                let (blocked_left, cpu_left) = (cost.blocked_ms, cost.cpu_ms);
                let started = self.now;
                worker.calls.push(Call { arrived, started, cost, blocked_left, cpu_left, lock_wait: 0.0 });
            }
        }
    }

    fn size(&mut self) {
        let queued = self.backlog.len() as u32;
        for worker in &mut self.workers {
            let (totals, base) = (worker.totals, worker.window_base);
            let window = CallStats {
                requests: totals.requests - base.requests,
                wall: totals.wall - base.wall,
                cpu: totals.cpu - base.cpu,
                gil_wait: totals.gil_wait - base.gil_wait,
            };
            let queued = if worker.calls.len() >= worker.slots as usize { queued } else { 0 };
            worker.slots = concurrency(&window, worker.slots, queued, 1, self.machine.max_threads);
            if window.requests >= 20 {
                worker.window_base = totals;
            }
        }
        self.dispatch();
    }

    fn decide(&mut self, cause: Cause, observed: &mut Observed) {
        let views: Vec<WorkerView> = self.workers.iter().map(|worker| worker.view(self.now)).collect();
        let now = Duration::from_millis(self.now);
        let backlog = self.backlog.len() as u32;
        let Some(decision) = self.policy.decide(&Snapshot { now, cause, workers: &views, backlog }) else {
            return;
        };
        observed.reasons.push(format!("{:.1} s: {}", now.as_secs_f64(), decision.reason));
        for action in decision.actions {
            match action {
                Action::Spawn { count } => {
                    self.spawn(count);
                    observed.changes.push(i64::from(count));
                }
                Action::Retire { slot } => {
                    let worker = self.workers.iter_mut().find(|worker| worker.slot == slot);
                    worker.expect("a slot of the snapshot").phase = Phase::Draining;
                    observed.changes.push(-1);
                }
            }
        }
    }

    fn spawn(&mut self, count: u32) {
        for _ in 0..count {
            let taken = |slot: &u32| self.workers.iter().any(|worker| worker.slot == *slot);
            let slot = (0..).find(|slot| !taken(slot)).expect("slots are endless here");
            self.workers.push(Worker {
                slot,
                generation: self.next_generation,
                phase: Phase::Starting,
                ordered: self.now,
                calls: Vec::new(),
                slots: 1,
                totals: Totals::default(),
                window_base: Totals::default(),
            });
            self.next_generation += 1;
        }
        self.workers.sort_by_key(|worker| worker.slot);
    }
}

impl Worker {
    fn view(&self, now: u64) -> WorkerView {
        WorkerView {
            slot: self.slot,
            generation: self.generation,
            phase: self.phase,
            age: Duration::from_millis(now - self.ordered),
            connections: self.calls.len() as u32,
            in_flight: self.calls.len() as u32,
            queued: 0,
            threads: self.slots,
            totals: self.totals,
        }
    }
}
