//! Reports against what the server knows it did: freezes, fixed and scattered delays, ramps.
//!
//! The server writes down when each request came and when it was answered, so that the lateness of
//! its own timers is not charged to the generator. What remains is the machine's: a witness thread
//! sees how late threads are woken while a run lasts, and that much is allowed for. Lower bounds
//! need no allowance.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, RwLock};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use loadgen::{Distribution, Load, Plan, Report, Stop};

use crate::command::loadgen;
use crate::server::{OK, Server, check, run, stages};

/// When a request had come, and when it was answered.
type Served = (Instant, Instant);

/// A server's own record of a run.
#[derive(Clone, Default)]
struct Record(Arc<Mutex<Vec<Served>>>);

impl Record {
    fn add(&self, served: Served) {
        self.0.lock().unwrap().push(served);
    }

    /// What the server took for each request, shortest first, in nanoseconds.
    fn times(&self) -> Vec<u64> {
        let served = self.0.lock().unwrap();
        let mut times: Vec<u64> = served.iter().map(|(came, went)| (*went - *came).as_nanos() as u64).collect();
        times.sort_unstable();
        times
    }
}

/// The value of rank ⌈q·n⌉, which is what HdrHistogram calls a quantile.
fn quantile(sorted: &[u64], q: f64) -> u64 {
    let rank = (q * sorted.len() as f64).ceil().max(1.0) as usize;
    sorted[rank.min(sorted.len()) - 1]
}

/// Runs `work`; also how late a thread that wanted to sleep for a millisecond was woken at worst.
fn witnessed<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let witness = scope.spawn(|| {
            let nap = Duration::from_millis(1);
            let mut worst = Duration::ZERO;
            while !over.load(Ordering::SeqCst) {
                let before = Instant::now();
                thread::sleep(nap);
                worst = worst.max(before.elapsed().saturating_sub(nap));
            }
            worst
        });
        let done = work();
        over.store(true, Ordering::SeqCst);
        (done, witness.join().unwrap().as_nanos() as u64)
    })
}

/// A server that takes these times for its requests, in the order in which they come.
fn taking(delays: Vec<Duration>) -> (Server, Record) {
    let record = Record::default();
    let mine = record.clone();
    let next = AtomicU64::new(0);
    let server = Server::start(move |client| {
        while client.request().is_some() {
            let came = Instant::now();
            let delay = delays[next.fetch_add(1, Ordering::SeqCst) as usize % delays.len()];
            if !delay.is_zero() {
                thread::sleep(delay);
            }
            // Before the answer is sent: what the generator measures contains this.
            mine.add((came, Instant::now()));
            client.send(OK);
        }
    });
    (server, record)
}

/// Runs as many requests as there are delays, and holds the report to the server's record.
fn holds_to_the_record(delays: Vec<Duration>, load: impl Fn(u64) -> (Load, usize)) -> (Report, Vec<u64>) {
    let count = delays.len() as u64;
    let plan = |server: &Server, count: u64| {
        let (load, connections) = load(count);
        Plan { connections, timeout: Duration::from_secs(60), ..Plan::new(server.target(), load) }
    };
    // The floor: what generator, sockets and machine take when the server takes nothing.
    let (idle, _) = taking(vec![Duration::ZERO]);
    let floor = run(&plan(&idle, count.min(500)));
    let (server, record) = taking(delays);
    let (report, worst) = witnessed(|| run(&plan(&server, count)));
    let record = record.times();
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    assert_eq!((report.answered, record.len() as u64), (count, count));
    // Several threads have to be woken for an answer, each of which may be as late.
    let allowed = floor.service.p99_ns + 2 * worst;
    for q in [0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0] {
        let truth = quantile(&record, q);
        let most = truth + truth / 1000 + allowed;
        for (name, times) in [("service", &report.service), ("first byte", &report.first_byte)] {
            let measured = times.histogram().unwrap().value_at_quantile(q);
            // 0.1 % is the histogram's precision. Each time measured contains the time recorded, so
            // no quantile can be below its own.
            assert!(measured >= truth - truth / 1000, "{name} {q}: {measured} is less than {truth}");
            // Beyond p99, single requests that the machine held up would decide.
            assert!(q > 0.99 || measured <= most, "{name} {q}: {measured} is more than {truth} and {allowed} allowed");
        }
        let measured = report.latency.histogram().unwrap().value_at_quantile(q);
        assert!(measured >= truth - truth / 1000, "latency {q}: {measured} is less than {truth}");
    }
    (report, record)
}

fn closed(connections: usize) -> impl Fn(u64) -> (Load, usize) {
    move |count| (Load::Closed { stop: Stop::Requests(count) }, connections)
}

fn open(rate: u64) -> impl Fn(u64) -> (Load, usize) {
    move |count| {
        let length = format!("{}ms@{rate}", count * 1000 / rate);
        (Load::constant(loadgen::parse_stages(&length).unwrap()), 4096)
    }
}

#[test]
fn a_fixed_delay_is_reported_as_the_server_kept_it() {
    let delays = vec![Duration::from_millis(20); 1000];
    let (_, record) = holds_to_the_record(delays.clone(), closed(16));
    assert!(record[0] >= 20_000_000, "the server slept: {}", record[0]);
    holds_to_the_record(delays, open(500));
}

/// Random numbers in (0, 1], always the same ones (Steele, Lea, Flood: SplitMix, 2014).
fn chances() -> impl Iterator<Item = f64> {
    (1..).map(|index: u64| {
        let mut z = index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (((z ^ (z >> 31)) >> 11) + 1) as f64 / (1_u64 << 53) as f64
    })
}

#[test]
fn lognormal_times_are_reported_as_the_server_kept_them() {
    // Median 8 ms, σ 0.8, by Box and Muller.
    let mut chances = chances();
    let mut normal = || {
        let (radius, angle) = (chances.next().unwrap(), chances.next().unwrap());
        (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
    };
    let delays: Vec<Duration> = (0..2000).map(|_| Duration::from_secs_f64(8e-3 * (0.8 * normal()).exp())).collect();
    let (_, record) = holds_to_the_record(delays.clone(), closed(16));
    let mut sorted: Vec<u64> = delays.iter().map(|delay| delay.as_nanos() as u64).collect();
    sorted.sort_unstable();
    // The draw is the distribution it is meant to be, and the server did no less.
    for (q, z) in [(0.5, 0.0_f64), (0.9, 1.2816), (0.99, 2.3263)] {
        let expected = 8e6 * (0.8 * z).exp();
        let drawn = quantile(&sorted, q);
        assert!((drawn as f64 / expected - 1.0).abs() < 0.1, "{q}: {drawn} is not {expected}");
        assert!(quantile(&record, q) >= drawn, "{q}");
    }
    holds_to_the_record(delays, open(500));
}

#[test]
fn two_kinds_of_answers_are_told_apart() {
    // Nine of ten take 2 ms and one takes 60 ms.
    let delays: Vec<Duration> = (0..2000).map(|n| Duration::from_millis(if n % 10 == 3 { 60 } else { 2 })).collect();
    let (report, record) = holds_to_the_record(delays, closed(16));
    // The step stands where it belongs: as many answers took 60 ms as the server made.
    let slow = record.iter().filter(|nanos| **nanos >= 60_000_000).count() as u64;
    let measured = report.service.histogram().unwrap().count_between(59_900_000, u64::MAX);
    assert!(slow >= 200 && measured >= slow, "{slow} {measured}");
}

/// How long every tenth second is frozen, and when the freezes begin.
const FREEZE: Duration = Duration::from_secs(1);
const FREEZES: [Duration; 2] = [Duration::from_millis(4_500), Duration::from_millis(14_500)];
/// Requests per second of this test, and for how many seconds.
const RATE: u64 = 200;
const SECONDS: u64 = 20;

/// The longest `x` with at least `count` requests that waited longer than `x`: in a freeze of length
/// D, the requests due in the first D − x wait longer than x. Nanoseconds; 0 when fewer were due.
fn frozen_quantile(freezes: &[u64], count: f64) -> u64 {
    let (mut low, mut high) = (0, freezes.iter().copied().max().unwrap_or(0));
    while high - low > 1_000 {
        let x = u64::midpoint(low, high);
        let longer: f64 = freezes.iter().map(|d| d.saturating_sub(x) as f64 / 1e9 * RATE as f64).sum();
        if longer >= count { low = x } else { high = x }
    }
    low
}

/// Asks a server that freezes twice, over at most so many connections.
fn frozen(connections: usize) {
    // Whoever answers holds the gate open; the freeze closes it.
    let gate = Arc::new(RwLock::new(()));
    let (asked, first) = channel();
    let freezer = thread::spawn({
        let gate = Arc::clone(&gate);
        move || {
            let began: Instant = first.recv().unwrap();
            FREEZES.map(|at| {
                thread::sleep(at.saturating_sub(began.elapsed()));
                let closed = gate.write().unwrap();
                let start = Instant::now();
                thread::sleep(FREEZE);
                let end = Instant::now();
                drop(closed);
                (start, end)
            })
        }
    });
    let record = Record::default();
    let mine = record.clone();
    let server = Server::start(move |client| {
        while client.request().is_some() {
            let came = Instant::now();
            // Only the first matters, and the freezer may be done.
            let _ = asked.send(came);
            let open = gate.read().unwrap();
            mine.add((came, Instant::now()));
            client.send(OK);
            drop(open);
        }
    });
    let load = format!("{SECONDS}s@{RATE}");
    let plan = Plan { timeout: Duration::from_secs(30), connections, ..stages(server.target(), &load) };
    let (report, worst) = witnessed(|| run(&plan));
    let freezes = freezer.join().unwrap();
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    assert_eq!(report.answered, RATE * SECONDS);
    // What a freeze has left takes a moment to be worked off, which the server has seen.
    let mut answers: Vec<Instant> = record.0.lock().unwrap().iter().map(|(_, went)| *went).collect();
    answers.sort_unstable();
    let left = (RATE * FREEZE.as_secs()) as usize - 1;
    let worked_off = freezes.map(|(_, end)| {
        let first = answers.partition_point(|went| *went < end);
        (answers[first + left] - end).as_nanos() as u64
    });
    let late = worked_off.into_iter().max().unwrap();
    // The floor: what an answer takes when nothing is frozen, measured in the same run.
    let thawed = report.intervals.iter().filter(|i| i.start_s + i.duration_s <= 4.0);
    let floor = Distribution::merged(thawed.map(|i| &i.latency)).unwrap().p99_ns;
    let lengths: Vec<u64> = freezes.iter().map(|(start, end)| (*end - *start).as_nanos() as u64).collect();
    let total = (RATE * SECONDS) as f64;
    for q in [0.5, 0.9, 0.99, 0.999, 1.0] {
        let truth = frozen_quantile(&lengths, (1.0 - q) * total) as f64;
        let measured = report.latency.histogram().unwrap().value_at_quantile(q) as f64;
        let off = truth * 0.02;
        let allowed = off + (floor + late + 2 * worst) as f64;
        // One request more or less of each freeze.
        let step = 1e9 / RATE as f64;
        let words = format!("{connections} connections, {q}: {measured} is not {truth} ({allowed} allowed)");
        assert!(measured >= truth - off - step, "{words}\n{}", report.summary());
        assert!(measured <= truth + allowed + step, "{words}\n{}", report.summary());
    }
}

/// A server that freezes for one second in ten: of all requests a tenth waits, evenly from the whole
/// second to none of it. So p99 is 0.9 s, p99.9 is 0.99 s and p90 is next to nothing.
#[test]
fn repeated_freezes_have_the_percentiles_of_the_arithmetic() {
    let rows = [(0.5, 0), (0.9, 0), (0.99, 900_000_000), (0.999, 990_000_000), (1.0, 1_000_000_000)];
    for (q, expected) in rows {
        let arithmetic = frozen_quantile(&[1_000_000_000; 2], (1.0 - q) * (RATE * SECONDS) as f64);
        assert!(arithmetic.abs_diff(expected) <= 2_000, "{q}: {arithmetic}");
    }
    // Whether the requests wait in the server or in the generator's queue makes no difference.
    thread::scope(|scope| {
        scope.spawn(|| frozen(4096));
        scope.spawn(|| frozen(1));
    });
}

/// Requests that a ramp from 50/s to 450/s over two seconds has sent after so many seconds.
fn ramped(seconds: f64) -> f64 {
    let t = seconds.clamp(0.0, 2.0);
    50.0 * t + 100.0 * t * t
}

#[test]
fn a_ramp_sends_what_its_integral_says() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mine = Arc::clone(&seen);
    let server = Server::start(move |client| {
        while client.request().is_some() {
            mine.lock().unwrap().push(SystemTime::now());
            client.send(OK);
        }
    });
    let url = server.target().to_string();
    let words = ["--target", &url, "--stages", "2s@50..450", "--interval", "250ms", "-q", "--json"];
    let (output, worst) = witnessed(|| loadgen(&words));
    assert!(matches!(output.status.code(), Some(0 | 5)), "{output:?}");
    let report: Report = serde_json::from_slice(&output.stdout).unwrap();
    check(&report);
    assert_eq!((report.requests, report.answered), (500, 500));
    // What was due is arithmetic, whatever the machine did.
    for interval in report.intervals.iter().filter(|interval| !interval.drain) {
        let (start, end) = (interval.start_s, interval.start_s + interval.duration_s);
        let due = ramped(end) - ramped(start);
        assert!((interval.offered as f64 - due).abs() <= 1.0, "{start} s: {} is not {due}", interval.offered);
    }
    // What the server saw is never ahead of it, and behind by what the generator owns up to.
    let mut seen: Vec<f64> = seen.lock().unwrap().iter().map(|at| seconds_since(*at, report.started_unix_s)).collect();
    seen.sort_unstable_by(f64::total_cmp);
    assert_eq!(seen.len(), 500);
    let late = (report.send_lag.max_ns + report.queue_wait.max_ns + report.connect.max_ns + 2 * worst) as f64 / 1e9;
    for step in 1..=16 {
        let at = 0.125 * f64::from(step);
        let came = seen.iter().filter(|seen| **seen < at).count() as f64;
        // The two clocks were read one after the other.
        assert!(came <= ramped(at + 0.005) + 1.0, "{at} s: {came} came, {} were due", ramped(at));
        assert!(came >= ramped(at - 0.005 - late) - 1.0, "{at} s: only {came} came, {} were due", ramped(at));
    }
}

fn seconds_since(at: SystemTime, unix_s: f64) -> f64 {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64() - unix_s
}
