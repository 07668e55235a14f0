//! The model against queueing theory: where a formula is known, the simulation must give its value.

use mpm::Static;

use super::arrivals::{Load, Profile, Spacing};
use super::calls::{CallKind, Costs, Spread};
use super::model::record::Recorder;
use super::model::worker::Kind;
use super::model::{Clients, Contender, Faults, Machine, Terms, run};
use super::time::{Nanos, SECOND, seconds};

const PATIENT: Clients = Clients { connect: 1_000 * SECOND, answer: 1_000 * SECOND, keep_alive: false };
/// One connection per process and an endless queue: a textbook's server.
const TEXTBOOK: Kind = Kind { min_threads: 1, max_threads: 1, followers: false, backlog: u32::MAX };

/// The mean wait in milliseconds of a load on `workers` textbook servers: what the mean latency is beyond the mean of the
/// very service times that were drawn; and the load in Erlangs that was drawn.
fn mean_wait(rate: f64, length_s: f64, call: CallKind, workers: u32, cores: f64) -> (f64, f64) {
    let calls = [call.clone()];
    let record = poisson(rate, length_s, call, workers, cores);
    let mut costs = Costs::new(&calls, 5);
    let count = record.latencies.len();
    let service: u64 = (0..count).map(|_| costs.draw().alone()).sum();
    let wait = record.mean_ms().unwrap() - service as f64 / count as f64 / 1e6;
    (wait, service as f64 / (length_s * SECOND as f64))
}

/// A run of `workers` textbook servers under a Poisson load.
fn poisson(rate: f64, length_s: f64, call: CallKind, workers: u32, cores: f64) -> Recorder {
    let profile = Profile::new(&Load::Constant { rate, seconds: length_s }, 5);
    let calls = [call];
    let terms = Terms {
        profile: &profile,
        spacing: Spacing::Poisson,
        calls: &calls,
        machine: Machine { cores, fork: SECOND / 1000, import: 0 },
        faults: Faults::default(),
        clients: PATIENT,
        objective: SECOND,
        listed: None,
        warmup: 0,
        phase: None,
        seed: 5,
    };
    run(terms, Contender { policy: Box::new(Static::new(workers)), kind: TEXTBOOK, slots: workers as usize })
}

fn blocked(blocked_ms: f64, spread: Spread) -> CallKind {
    CallKind { share: 1.0, cpu_ms: 0.0, blocked_ms, spread }
}

fn computing(cpu_ms: f64, spread: Spread) -> CallKind {
    CallKind { share: 1.0, cpu_ms, blocked_ms: 0.0, spread }
}

/// Mean wait in an M/M/c queue with `load` Erlangs, in service times (Erlang 1917).
fn erlang_c(servers: u32, load: f64) -> f64 {
    let servers_f = f64::from(servers);
    let (mut term, mut sum) = (1.0, 1.0);
    for k in 1..servers {
        term *= load / f64::from(k);
        sum += term;
    }
    let last = term * load / servers_f * servers_f / (servers_f - load);
    last / (sum + last) / (servers_f - load)
}

fn assert_near(name: &str, value: f64, expected: f64, tolerance: f64) {
    assert!((value / expected - 1.0).abs() <= tolerance, "{name}: {value}, expected {expected}");
}

#[test]
fn m_m_c_waits_as_erlang_says() {
    // (servers, load, tolerance: the wait's own correlation time grows as the load gets near the servers)
    for (servers, load, tolerance) in [(1, 0.5, 0.03), (2, 1.4, 0.04), (10, 7.5, 0.05), (40, 34.0, 0.08)] {
        let rate = load * 100.0;
        let (wait, load) = mean_wait(rate, 200_000.0 / rate, blocked(10.0, Spread::Exponential), servers, 1.0);
        assert_near(&format!("M/M/{servers}"), wait, 10.0 * erlang_c(servers, load), tolerance);
    }
}

/// One server whose calls compute: the wait is λ·E[S²]/2(1−ρ).
#[test]
fn m_g_1_waits_as_pollaczek_and_khinchine_say() {
    let rows = [
        ("M/D/1", Spread::Fixed, 1.0, 0.03),
        ("M/M/1", Spread::Exponential, 2.0, 0.05),
        // E[S²]/E[S]² is e^σ².
        ("M/LN/1", Spread::Lognormal { sigma: 0.8 }, (0.64_f64).exp(), 0.06),
        // α(α−2)⁻¹·((α−1)/α)²
        ("M/Pareto/1", Spread::Pareto { alpha: 4.0 }, 4.0 / 2.0 * (0.75 * 0.75), 0.05),
    ];
    for (name, spread, second_moment, tolerance) in rows {
        let (rate, service) = (140.0, 5e-3);
        let load = rate * service;
        let (wait, _) = mean_wait(rate, 1_500.0, computing(5.0, spread), 1, 1.0);
        let expected = rate * second_moment * service * service / (2.0 * (1.0 - load)) * 1e3;
        assert_near(name, wait, expected, tolerance);
    }
}

/// Many processes on one core share it: the mean time is S/(1−ρ), whatever the spread (Kleinrock 1967).
#[test]
fn m_g_1_with_processor_sharing_depends_on_the_mean_only() {
    for (name, spread) in [("fixed", Spread::Fixed), ("exponential", Spread::Exponential)] {
        let record = poisson(120.0, 1_000.0, computing(5.0, spread), 60, 1.0);
        assert_near(name, record.mean_ms().unwrap(), 5.0 / (1.0 - 0.6), 0.03);
    }
}

/// Little's law ties what was counted to what was timed: workers are busy for the sum of all service times.
#[test]
fn worker_seconds_are_the_population_times_the_time() {
    let record = poisson(50.0, 20.0, blocked(10.0, Spread::Fixed), 3, 1.0);
    assert_eq!(record.worker_seconds(), 60.0);
    assert_eq!((record.peak, record.forks), (3, 0));
    let length: Nanos = 20 * SECOND;
    assert_eq!(record.workers, [(0.0, 3), (seconds(length), 3)]);
}
