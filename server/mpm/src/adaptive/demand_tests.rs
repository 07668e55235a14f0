use super::*;
use crate::Cause;

/// A worker that has run `requests` calls of 50 ms with 1 ms of CPU.
fn worker(slot: u32, generation: u32, age: u64, requests: u64) -> WorkerView {
    WorkerView {
        slot,
        generation,
        phase: Phase::Ready,
        age: Duration::from_millis(age),
        connections: 0,
        in_flight: 0,
        queued: 0,
        threads: 1,
        totals: Totals {
            requests,
            wall: Duration::from_millis(50) * requests as u32,
            cpu: Duration::from_millis(requests),
            gil_wait: Duration::ZERO,
        },
    }
}

fn observe(meter: &mut Meter, milliseconds: u64, workers: &[WorkerView], backlog: u32) -> Demand {
    let now = Duration::from_millis(milliseconds);
    meter.observe(&Snapshot { now, cause: Cause::Tick, workers, backlog })
}

#[test]
fn differences_survive_coming_and_going() {
    let mut meter = Meter::default();
    let rows: [(u64, &[WorkerView], u64); 7] = [
        // time, workers, calls known to have ended since the first snapshot
        (1_000, &[worker(0, 1, 9_000, 500)], 0), // nobody knows when those 500 were
        (1_100, &[worker(0, 1, 9_100, 540)], 40),
        (1_200, &[worker(0, 1, 9_200, 550), worker(3, 2, 50, 7)], 57), // a new worker's are all new
        (1_300, &[worker(3, 2, 150, 9)], 59),                          // worker 0 left
        (1_400, &[worker(0, 3, 60, 4), worker(3, 2, 250, 9)], 63),     // its slot has a new one
        (1_500, &[worker(0, 3, 160, 4), worker(3, 2, 350, 3)], 63),    // a counter went back: no news
        (1_600, &[worker(3, 2, 450, 8), worker(0, 3, 260, 5)], 69),    // not in order
    ];
    for (at, workers, expected) in rows {
        observe(&mut meter, at, workers, 0);
        let ended: u64 = meter.history.iter().map(|stretch| stretch.calls.requests).sum();
        assert_eq!(ended, expected, "at {at} ms");
    }
}

#[test]
fn rates_are_means_over_the_last_second() {
    let mut meter = Meter::default();
    let mut requests = 0;
    let mut demand = Demand::default();
    for tick in 0..=30 {
        demand = observe(&mut meter, tick * 100, &[worker(0, 1, 60_000 + tick * 100, requests)], 0);
        requests += 2;
    }
    assert!((demand.rate - 20.0).abs() < 1e-6, "{demand:?}");
    assert!((demand.service - 0.05).abs() < 1e-6, "{demand:?}");
    assert!((demand.load - 1.0).abs() < 1e-6, "{demand:?}");
    assert!((demand.cpu - 0.02).abs() < 1e-6, "{demand:?}");
    // 20/s → 400/s: after half a second half of the window is new.
    for tick in 31..=35 {
        requests += 38;
        demand = observe(&mut meter, tick * 100, &[worker(0, 1, 70_000, requests)], 0);
        requests += 2;
    }
    assert!((demand.rate - 210.0).abs() < 1e-6, "{demand:?}");
    // The last moments know already.
    assert!((demand.arrivals - 400.0).abs() < 1e-6, "{demand:?}");
}

#[test]
fn calls_that_have_not_ended_count_as_load() {
    let mut meter = Meter::default();
    let busy = WorkerView { in_flight: 30, queued: 3, ..worker(0, 1, 60_000, 100) };
    let leaving = WorkerView { phase: Phase::Draining, slot: 1, in_flight: 50, queued: 50, ..busy };
    let mut demand = Demand::default();
    for tick in 0..=20 {
        demand = observe(&mut meter, tick * 100, &[busy, leaving], 4);
    }
    assert!((demand.load - 30.0).abs() < 1e-6, "{demand:?}");
    assert_eq!(demand.residence(), None);
    // What a draining worker has needs no room elsewhere.
    assert_eq!((demand.running, demand.waiting), (30.0, 7));
    assert!((demand.mean_waiting - 7.0).abs() < 1e-6, "{demand:?}");
}

#[test]
fn waiting_for_the_interpreter_lock_is_no_load() {
    let mut meter = Meter::default();
    let mut demand = Demand::default();
    // Eight calls at once share one core: 1 ms of CPU, 7 ms of waiting for the lock.
    for tick in 0..=20_u64 {
        let calls = tick * 100;
        let mut busy = WorkerView { in_flight: 8, ..worker(0, 1, 60_000, calls) };
        busy.totals.wall = Duration::from_millis(8 * calls);
        busy.totals.gil_wait = Duration::from_millis(7 * calls);
        demand = observe(&mut meter, tick * 100, &[busy], 0);
    }
    assert!((demand.load - 1.0).abs() < 0.01, "{demand:?}");
    assert!((demand.running - 1.0).abs() < 0.01, "{demand:?}");
    assert!((demand.lock_waits - 7.0).abs() < 0.01, "{demand:?}");
    assert!(demand.cpu_bound);
}

#[test]
fn starting_is_no_demand() {
    let mut meter = Meter::default();
    let import = |tick: u64, phase: Phase| {
        let mut worker = WorkerView { phase, ..worker(0, 1, tick * 100, 0) };
        worker.totals.cpu = Duration::from_millis(tick.min(9) * 100);
        worker
    };
    observe(&mut meter, 0, &[], 0);
    for tick in 1..10 {
        let demand = observe(&mut meter, tick * 100, &[import(tick, Phase::Starting)], 0);
        assert_eq!(demand.cpu, 0.0, "at {tick}00 ms");
    }
    assert_eq!(observe(&mut meter, 1_000, &[import(10, Phase::Ready)], 0).cpu, 0.0);
}

#[test]
fn nonsense_is_forgotten() {
    let mut meter = Meter::default();
    let mut nonsense = worker(0, 1, 60_000, 0);
    observe(&mut meter, 0, &[nonsense], 0);
    nonsense.totals = Totals { requests: u64::MAX, wall: Duration::MAX, cpu: Duration::MAX, gil_wait: Duration::MAX };
    let mut demand = observe(&mut meter, 100, &[nonsense], u32::MAX);
    assert!(demand.rate > 1e9, "{demand:?}");
    for tick in 2..=120 {
        demand = observe(&mut meter, tick * 100, &[worker(0, 2, 60_000 + tick * 100, tick * 2)], 0);
    }
    assert!((demand.rate - 20.0).abs() < 1e-6 && (demand.load - 1.0).abs() < 1e-6, "{demand:?}");
}

#[test]
fn the_history_stays_short() {
    let mut meter = Meter::default();
    // A storm of snapshots, one a millisecond for a minute.
    for millisecond in 0..60_000 {
        observe(&mut meter, millisecond, &[], 0);
    }
    assert!(meter.history.len() <= 202, "{}", meter.history.len());
}

#[test]
fn a_start_takes_what_the_last_ones_took_or_take() {
    let starting = |slot, age| WorkerView { phase: Phase::Starting, ..worker(slot, 1, age, 0) };
    let mut meter = Meter::default();
    let rows: [(u64, &[WorkerView], u64); 7] = [
        // time, workers, milliseconds
        (1_000, &[worker(0, 1, 9_000, 0)], 0), // ready for nobody knows how long
        (1_100, &[worker(0, 1, 9_100, 0), starting(1, 80)], 80),
        (3_000, &[worker(0, 1, 11_000, 0), starting(1, 1_980), starting(2, 500)], 1_980),
        (3_100, &[worker(0, 1, 11_100, 0), worker(1, 1, 2_080, 0), starting(2, 600)], 2_080),
        (3_200, &[worker(0, 1, 11_200, 0), worker(1, 1, 2_180, 0)], 2_080), // the other one died
        (3_300, &[worker(0, 1, 11_300, 0), worker(2, 2, 10, 0)], 10),       // started since the last look
        (9_000, &[worker(0, 1, 17_000, 0), worker(2, 2, 5_710, 0)], 10),
    ];
    for (now, workers, milliseconds) in rows {
        let start_time = observe(&mut meter, now, workers, 0).start_time;
        assert!((start_time * 1e3 - milliseconds as f64).abs() < 1e-6, "at {now} ms: {start_time}");
    }
}

/// Three seconds without a snapshot, then calls at 50 a second, and some CPU all the time.
#[test]
fn a_rest_neither_dilutes_what_comes_nor_concentrates_what_was() {
    let mut meter = Meter::default();
    let look = |meter: &mut Meter, now: u64, requests: u64| {
        let mut worker = worker(0, 1, 60_000 + now, requests);
        // A thread of the application computes a twentieth of the time.
        worker.totals.cpu += Duration::from_micros(now * 50);
        observe(meter, now, &[worker], 0)
    };
    look(&mut meter, 0, 0);
    look(&mut meter, 100, 0);
    let woken = look(&mut meter, 3_100, 1);
    assert!((woken.cpu - 0.05).abs() < 0.002, "{woken:?}");
    let soon = look(&mut meter, 3_200, 6);
    assert!((soon.arrivals - 25.0).abs() < 3.0, "five calls in the last two of ten moments: {soon:?}");
    let mut demand = soon;
    for tick in 2..=9 {
        demand = look(&mut meter, 3_100 + tick * 100, 1 + 5 * tick);
    }
    assert!((demand.rate - 45.0).abs() < 1.5, "{demand:?}");
    assert!((demand.cpu - 0.05 - 0.045).abs() < 0.003, "{demand:?}");
    demand = look(&mut meter, 4_100, 51);
    assert!((demand.rate - 50.0).abs() < 1e-6, "{demand:?}");
}
