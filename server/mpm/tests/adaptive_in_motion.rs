//! The adaptive policy together with the workers' own sizing, on a model of a server under load.

#[allow(dead_code, reason = "each test of policies in motion needs its part of the model")]
mod fleet;

use fleet::{Cost, Fleet, Machine};
use mpm::{Adaptive, Limits, Policy as _};

const BLOCKS_50_MS: Cost = Cost { blocked_ms: 50.0, cpu_ms: 0.2 };
const COMPUTES_5_MS: Cost = Cost { blocked_ms: 0.0, cpu_ms: 5.0 };
const TWO_CORES: Machine = Machine { cores: 2.0, max_threads: 64, start_ms: 10 };

fn adaptive(min_workers: u32, max_workers: u32, machine: Machine) -> Fleet<Adaptive> {
    let limits = Limits {
        min_workers,
        max_workers,
        min_threads: 1,
        max_threads: machine.max_threads,
        cpus: machine.cores,
        memory_workers: 10_000,
    };
    Fleet::new(Adaptive::new(limits), machine)
}

/// The step that the product is measured by: 20 → 400 → 20 requests a second of 50 ms.
#[test]
fn step_of_blocking_calls_needs_no_more_than_two_workers() {
    let mut fleet = adaptive(1, 64, TWO_CORES);
    fleet.constant(5, 20.0, BLOCKS_50_MS);
    let burst = fleet.constant(15, 400.0, BLOCKS_50_MS);
    assert!(burst.peak_workers <= 2, "{:#?}", burst.reasons);
    assert!(burst.percentile(0.99) <= 100, "p99 {} ms", burst.percentile(0.99));
    let after = fleet.constant(10, 20.0, BLOCKS_50_MS);
    assert_eq!(fleet.workers(), 1, "{:#?}", after.reasons);
    assert!(after.direction_changes() == 0, "{:#?}", after.reasons);
}

/// The same with few threads per worker, so that processes have to do it.
#[test]
fn step_of_blocking_calls_with_few_threads_adds_processes_and_takes_them_back() {
    let machine = Machine { max_threads: 4, ..TWO_CORES };
    let mut fleet = adaptive(1, 64, machine);
    fleet.constant(5, 20.0, BLOCKS_50_MS);
    let burst = fleet.constant(15, 400.0, BLOCKS_50_MS);
    // 20 calls at once need 5 workers of 4; with headroom 8.
    assert!((6..=12).contains(&burst.peak_workers), "{:#?}", burst.reasons);
    assert!(burst.percentile(0.99) <= 150, "p99 {} ms: {:#?}", burst.percentile(0.99), burst.reasons);
    assert!(burst.percentile(0.9) <= 55, "p90 {} ms: {:#?}", burst.percentile(0.9), burst.reasons);
    let after = fleet.constant(20, 20.0, BLOCKS_50_MS);
    assert!(after.changes.iter().all(|change| *change < 0), "{:#?}", after.reasons);
    assert!(fleet.workers() <= 2, "{:#?}", after.reasons);
}

#[test]
fn computing_calls_get_as_many_processes_as_cores_and_no_threads() {
    let mut fleet = adaptive(1, 64, TWO_CORES);
    // 280/s × 5 ms = 1.4 cores = 70 % of two.
    let warm_up = fleet.poisson(3, 280.0, |_| COMPUTES_5_MS);
    assert_eq!(fleet.workers(), 2, "{:#?}", warm_up.reasons);
    let load = fleet.poisson(60, 280.0, |_| COMPUTES_5_MS);
    assert!(load.changes.is_empty(), "{:#?}", load.reasons);
    assert!(load.peak_slots <= 2, "{} threads", load.peak_slots);
}

#[test]
fn overload_by_computing_calls_does_not_blow_up() {
    let mut fleet = adaptive(1, 64, TWO_CORES);
    let load = fleet.poisson(20, 1_000.0, |_| COMPUTES_5_MS);
    assert_eq!(load.peak_workers, 2, "{:#?}", load.reasons);
    assert!(load.peak_slots <= 2, "{} threads", load.peak_slots);
}

/// A second core is used before the first is full, because calls wait for the lock; and then it stays in use.
#[test]
fn computing_calls_that_wait_for_each_other_get_a_second_process_for_good() {
    let mut fleet = adaptive(1, 64, TWO_CORES);
    let start = fleet.poisson(60, 140.0, |_| COMPUTES_5_MS);
    assert_eq!(start.changes, [1], "{:#?}", start.reasons);
    let load = fleet.poisson(120, 140.0, |_| COMPUTES_5_MS);
    assert!(load.changes.is_empty(), "{:#?}", load.reasons);
    fleet.poisson(15, 5.0, |_| COMPUTES_5_MS);
    assert_eq!(fleet.workers(), 1);
}

#[test]
fn a_mixed_load_gets_both() {
    let cost = |random: f64| {
        if random < 0.9 { Cost { blocked_ms: 0.0, cpu_ms: 2.0 } } else { Cost { blocked_ms: 200.0, cpu_ms: 0.2 } }
    };
    let mut fleet = adaptive(1, 64, TWO_CORES);
    // 16 calls blocked on average and 1.2 cores computing.
    let warm_up = fleet.poisson(5, 660.0, cost);
    let load = fleet.poisson(60, 660.0, cost);
    assert_eq!(fleet.workers(), 2, "{:#?} {:#?}", warm_up.reasons, load.reasons);
    assert!(load.changes.is_empty(), "{:#?}", load.reasons);
    assert!(load.percentile(0.99) <= 260, "p99 {} ms", load.percentile(0.99));
}

#[test]
fn constant_load_changes_nothing_after_the_start() {
    // Rates chosen so that the slots wanted lie just below, on and above the boundaries between 1, 2 and 3 workers of 16.
    for rate in [140.0, 180.0, 200.0, 220.0, 400.0, 440.0, 480.0, 520.0] {
        let mut fleet = adaptive(1, 64, Machine { max_threads: 16, ..TWO_CORES });
        let start = fleet.poisson(20, rate, |_| BLOCKS_50_MS);
        assert!(start.direction_changes() <= 1, "{rate}/s: {:#?}", start.reasons);
        let steady = fleet.poisson(120, rate, |_| BLOCKS_50_MS);
        assert!(steady.direction_changes() <= 1, "{rate}/s: {:#?}", steady.reasons);
        assert!(steady.percentile(0.99) <= 60, "{rate}/s: p99 {} ms", steady.percentile(0.99));
    }
}

/// Calls that take longer than the window haven't ended when the decision is due.
#[test]
fn long_calls_are_seen_before_they_end() {
    let long = Cost { blocked_ms: 5_000.0, cpu_ms: 1.0 };
    let mut fleet = adaptive(1, 64, Machine { max_threads: 8, ..TWO_CORES });
    let start = fleet.constant(15, 8.0, long); // 40 at once: 5 workers of 8, 7 with headroom
    let steady = fleet.constant(30, 8.0, long);
    assert!((7..=9).contains(&fleet.workers()), "{:#?} {:#?}", start.reasons, steady.reasons);
    assert!(steady.changes.len() <= 2, "{:#?}", steady.reasons);
    assert!(steady.percentile(0.99) <= 5_100, "p99 {} ms", steady.percentile(0.99));
}

/// While a start takes seconds (an import without preloading), the same need is not answered again and again.
#[test]
fn slow_starts_are_not_ordered_twice() {
    let machine = Machine { start_ms: 5_000, max_threads: 8, ..TWO_CORES };
    let mut fleet = adaptive(1, 64, machine);
    fleet.constant(6, 10.0, BLOCKS_50_MS);
    let burst = fleet.constant(4, 200.0, BLOCKS_50_MS);
    // The backlog grows by about 40/s beyond what one worker serves; a bounded number of workers finishes it.
    assert!(burst.peak_workers <= 30, "{} workers: {:#?}", burst.peak_workers, burst.reasons);
}

/// The operator's word counts at once, both ways, and the limits hold after it.
#[test]
fn new_limits_hold_at_once() {
    let mut fleet = adaptive(1, 8, TWO_CORES);
    fleet.constant(10, 20.0, BLOCKS_50_MS);
    assert_eq!(fleet.workers(), 1);
    fleet.policy.scale(5, 5).expect("it has limits");
    fleet.constant(1, 20.0, BLOCKS_50_MS);
    assert_eq!(fleet.workers(), 5);
    fleet.policy.scale(2, 3).expect("it has limits");
    let after = fleet.constant(1, 20.0, BLOCKS_50_MS);
    assert_eq!(fleet.workers(), 3, "{:#?}", after.reasons);
    let after = fleet.constant(20, 20.0, BLOCKS_50_MS);
    assert_eq!(fleet.workers(), 2, "{:#?}", after.reasons);
}
