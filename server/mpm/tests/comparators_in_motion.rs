//! The policies that `adaptive` is compared with, on a model of a server: what is characteristic of each.
//!
//! The load is the step that they were all measured with: 20 → 400 → 20 requests a second of 50 ms, one call at once per
//! worker. Twenty workers are enough.

#[allow(dead_code, reason = "each test of policies in motion needs its part of the model")]
mod fleet;

use std::time::Duration;

use fleet::{Cost, Fleet, Machine, Observed};
use mpm::{
    Adaptive, Busyness, BusynessConfig, Dynamic, DynamicConfig, Limits, OnDemand, OnDemandConfig, Policy, Spare,
    SpareConfig, Unit, UnitConfig,
};

const BLOCKS_50_MS: Cost = Cost { blocked_ms: 50.0, cpu_ms: 0.2 };
const ONE_CALL_EACH: Machine = Machine { cores: 2.0, max_threads: 1, start_ms: 10 };
const BURST: u64 = 40;

/// What was seen in each second.
struct Step {
    burst: Vec<Observed>,
    after: Vec<Observed>,
    left: usize,
}

impl Step {
    /// Workers that were started in each second of the burst.
    fn started(&self) -> Vec<i64> {
        self.burst.iter().map(|second| second.changes.iter().filter(|change| **change > 0).sum()).collect()
    }

    /// The largest number of workers that one decision started.
    fn most_at_once(&self) -> i64 {
        self.burst.iter().flat_map(|second| second.changes.iter().copied()).max().unwrap_or(0)
    }

    fn peak(&self) -> usize {
        self.burst.iter().map(|second| second.peak_workers).max().unwrap_or(0)
    }

    /// Seconds from the step until p99 is back below 100 ms for good; the whole burst if it never is.
    fn recovery(&self) -> usize {
        let slow = |second: &Observed| second.percentile(0.99) > 100;
        self.burst.iter().rposition(slow).map_or(0, |last| last + 1)
    }

    fn retired_after(&self) -> Vec<usize> {
        self.after.iter().map(|second| second.changes.iter().filter(|change| **change < 0).count()).collect()
    }
}

fn step(policy: impl Policy) -> Step {
    let mut fleet = Fleet::new(policy, ONE_CALL_EACH);
    fleet.constant(10, 20.0, BLOCKS_50_MS);
    let burst = (0..BURST).map(|_| fleet.constant(1, 400.0, BLOCKS_50_MS)).collect();
    let after = (0..40).map(|_| fleet.constant(1, 20.0, BLOCKS_50_MS)).collect();
    Step { burst, after, left: fleet.workers() }
}

fn adaptive() -> Step {
    step(Adaptive::new(Limits {
        min_workers: 2,
        max_workers: 64,
        min_threads: 1,
        max_threads: 1,
        cpus: 2.0,
        memory_workers: 10_000,
    }))
}

/// As uWSGI was measured: `-p 64 --cheaper 2 --cheaper-step 4 --cheaper-overload 1`.
fn busyness() -> BusynessConfig {
    BusynessConfig {
        workers: 64,
        cheaper: 2,
        cheaper_initial: 2,
        cheaper_step: 4,
        cheaper_overload: Duration::from_secs(1),
        ..BusynessConfig::default()
    }
}

#[test]
fn adaptive_is_ready_within_the_first_second() {
    let step = adaptive();
    assert!(step.recovery() <= 1, "{} s", step.recovery());
    assert!(step.left <= 5, "{} left", step.left);
}

/// Measured with uWSGI itself: p99 back after 11 s, 58 processes at most.
#[test]
fn busyness_adds_its_step_a_window_and_takes_back_one_in_ten() {
    let step = step(Busyness::new(busyness()));
    assert!(step.started().iter().all(|started| [0, 4].contains(started)), "{:?}", step.started());
    assert!((7..=12).contains(&step.recovery()), "{} s", step.recovery());
    assert!((30..=64).contains(&step.peak()), "it goes on while the queue makes all look busy: {}", step.peak());
    let retired = step.retired_after();
    assert!(retired.iter().sum::<usize>() >= 3, "{retired:?}");
    assert!(retired.windows(10).all(|seconds| seconds.iter().sum::<usize>() <= 1), "{retired:?}");
}

/// As uWSGI comes: windows of three seconds, one worker each, and one a second while more than 33 wait.
#[test]
fn busyness_by_default_is_carried_by_its_backlog_alert() {
    let step = step(Busyness::new(BusynessConfig::default()));
    assert_eq!(step.most_at_once(), 1);
    assert!(step.started()[..30].iter().all(|started| *started == 1), "{:?}", step.started());
    assert!(step.recovery() > 30, "{} s", step.recovery());
}

/// Measured with uWSGI itself: p99 33 s, and not back within the burst.
#[test]
fn spare_adds_its_step_every_fourth_second_only() {
    let config = SpareConfig { workers: 64, cheaper: 2, cheaper_initial: 2, cheaper_step: 4, ..SpareConfig::default() };
    let step = step(Spare::new(config));
    let started = step.started();
    let expected: Vec<i64> = (1..=36).map(|second| if second % 4 == 0 { 4 } else { 0 }).collect();
    assert_eq!(started[..36], expected);
    assert!(step.recovery() > 30, "{} s", step.recovery());
    assert!(step.retired_after().windows(3).all(|seconds| seconds.iter().sum::<usize>() <= 1), "one in three seconds");
}

#[test]
fn dynamic_doubles_up_to_what_is_missing() {
    let as_shipped = step(Dynamic::new(DynamicConfig::default()));
    assert_eq!(as_shipped.most_at_once(), 1, "one spare child is missing at a time");
    assert!(as_shipped.recovery() > 30, "{} s", as_shipped.recovery());
    assert!((4..=5).contains(&as_shipped.left), "three spare ones beside the busy: {}", as_shipped.left);
    let like_apache =
        DynamicConfig { start_servers: 5, min_spare_servers: 5, max_spare_servers: 10, ..DynamicConfig::default() };
    let like_apache = step(Dynamic::new(like_apache));
    assert_eq!(like_apache.started()[..6], [1, 2, 4, 5, 5, 5]);
    assert!((7..=12).contains(&like_apache.recovery()), "{} s", like_apache.recovery());
    assert!(like_apache.retired_after().iter().all(|retired| *retired <= 1), "one a second");
}

#[test]
fn ondemand_forks_one_for_each_that_waits_and_keeps_them_for_ten_seconds() {
    let step = step(OnDemand::new(OnDemandConfig::default()));
    assert_eq!(step.most_at_once(), 1);
    assert!(step.recovery() <= 2, "{} s", step.recovery());
    assert!(step.peak() > 40, "the queue of the first moments has children of its own: {}", step.peak());
    let retired = step.retired_after();
    assert!(retired[..10].iter().all(|retired| *retired == 0), "{retired:?}");
    assert!(retired[11..25].iter().all(|retired| *retired == 1), "{retired:?}");
}

#[test]
fn unit_starts_one_after_the_other_and_lets_them_go_together() {
    let serial = step(Unit::new(UnitConfig::default()));
    assert_eq!(serial.most_at_once(), 1);
    assert!(serial.recovery() <= 2, "{} s", serial.recovery());
    let retired = serial.retired_after();
    assert!(retired[..14].iter().all(|retired| *retired == 0), "{retired:?}");
    assert!(retired[14..17].iter().sum::<usize>() >= 10, "{retired:?}");
    let spare = step(Unit::new(UnitConfig { spare: 4, ..UnitConfig::default() }));
    assert_eq!(spare.most_at_once(), 4, "as many at once as spare ones");
    assert!(spare.left >= 5, "four spare ones beside the busy: {}", spare.left);
}
