use super::*;

const LIMITS: Limits =
    Limits { min_workers: 1, max_workers: 20, min_threads: 1, max_threads: 16, cpus: 2.0, memory_workers: 100 };

/// Calls that ended at `rate` a second after `service` seconds each, `cpu_share` of them computing.
fn demand(rate: f64, service: f64, cpu_share: f64) -> Demand {
    let load = rate * service;
    Demand { rate, service, load, arrivals: rate, cpu: load * cpu_share, running: load, ..Demand::default() }
}

#[test]
fn slots_and_workers() {
    let quiet = Demand::default();
    let database = demand(400.0, 0.05, 0.01);
    let computing = demand(280.0, 0.005, 1.0);
    let rows = [
        // name, demand, serving, expected slots (rounded up), expected workers
        ("nothing to do: the minimum", quiet, 1, 0.0, 1),
        ("a = 20: 20 + 2√20", database, 2, 29.0, 2),
        // 9 wait, and each holds a slot for half of the 100 ms in which the queue should be gone.
        ("with a queue", Demand { waiting: 9, ..database }, 2, 34.0, 3),
        // Starts take 5 s: by then 29 slots have served 100 calls of 50 ms many times over.
        ("with a queue and slow starts", Demand { waiting: 100, start_time: 5.0, ..database }, 2, 30.0, 2),
        ("with a long queue and slow starts", Demand { waiting: 1_000, start_time: 5.0, ..database }, 2, 39.0, 3),
        ("a queue of unknown calls: a slot each", Demand { waiting: 40, ..quiet }, 1, 40.0, 3),
        // Full, nothing ended yet: what runs counts as the load, 16 + 2·4.
        ("full of unknown calls", Demand { running: 16.0, ..quiet }, 1, 24.0, 2),
        ("the same with room", Demand { running: 16.0, ..quiet }, 2, 0.0, 1),
        // 1,000 arrivals a second of 50 ms: the mean over the window doesn't know yet, the last moments do.
        ("a burst, seen when full", Demand { running: 32.0, arrivals: 1_000.0, ..database }, 2, 65.0, 5),
        ("the same with room", Demand { running: 31.0, arrivals: 1_000.0, ..database }, 2, 29.0, 2),
        ("computing: 1.4 cores of 2", computing, 2, 4.0, 2),
        // However much waits: beyond two calls and their headroom nothing gets faster.
        ("computing, overloaded", Demand { waiting: 5_000, cpu: 2.0, ..computing }, 2, 7.0, 2),
        ("more than the limit", demand(10_000.0, 0.05, 0.0), 20, 545.0, 20),
    ];
    for (name, demand, serving, slots, wanted) in rows {
        let staffing = staff(&demand, cores_needed(&demand, &LIMITS), serving, &LIMITS);
        assert_eq!(staffing.slots.ceil(), slots, "{name}: {staffing:?}");
        assert_eq!(staffing.wanted, wanted, "{name}: {staffing:?}");
        assert!(staffing.kept >= staffing.wanted, "{name}: {staffing:?}");
    }
}

#[test]
fn workers_are_kept_beyond_the_point_where_they_would_be_started() {
    let rows = [
        // load, wanted, kept
        (0.0, 1, 1),
        (7.0, 1, 1),
        (8.0, 1, 2), // 8 + 2√8 = 13.7, 8 + 3√8 = 16.5
        (9.5, 1, 2),
        (9.7, 1, 2),
        (11.0, 2, 2),
    ];
    for (load, wanted, kept) in rows {
        let staffing = staff(&demand(load, 1.0, 0.0), 1, 4, &LIMITS);
        assert_eq!((staffing.wanted, staffing.kept), (wanted, kept), "{load}");
    }
}

#[test]
fn cores_follow_cpu_time_and_what_waits_for_it() {
    let rows = [
        // cpus, demand, expected
        (2.0, demand(10.0, 0.05, 1.0), 1),
        (2.0, demand(160.0, 0.005, 1.0), 1), // exactly 0.8 of a core
        (2.0, demand(170.0, 0.005, 1.0), 2),
        (2.0, demand(900.0, 0.005, 1.0), 2), // no more than cores
        (8.0, demand(900.0, 0.005, 1.0), 6),
        (2.5, demand(900.0, 0.005, 1.0), 3), // the third gets half a core
        (0.5, demand(900.0, 0.005, 1.0), 1),
        // 0.5 cores, and 40 waiting × 5 ms in 100 ms need two more.
        (8.0, Demand { waiting: 40, ..demand(100.0, 0.005, 1.0) }, 4),
        (8.0, Demand { waiting: 40, ..Demand::default() }, 0), // nothing is known about them
    ];
    for (cpus, demand, expected) in rows {
        let limits = Limits { cpus, ..LIMITS };
        assert_eq!(cores_needed(&demand, &limits), expected, "{cpus} cores, {demand:?}");
    }
}

#[test]
fn limits_win_in_order() {
    let rows = [
        // min, max, memory, needed by 545 slots → 35 workers, expected
        (1, 20, 100, 20),
        (1, 20, 7, 7),
        (3, 20, 2, 3), // the operator's word against an estimate
        (9, 5, 100, 9),
        (0, 0, 0, 1),
        (1, 200, 100, 35),
    ];
    for (min_workers, max_workers, memory_workers, expected) in rows {
        let limits = Limits { min_workers, max_workers, memory_workers, ..LIMITS };
        let staffing = staff(&demand(10_000.0, 0.05, 0.0), 1, 1, &limits);
        assert_eq!(staffing.wanted, expected, "{min_workers}..{max_workers}, memory {memory_workers}");
    }
}
