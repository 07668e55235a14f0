//! What each scenario does, in a heading and a paragraph with the lengths and loads of the session.

use crate::report::format::number;
use crate::scenario::described::{Connections, Description, Spread};
use crate::scenario::{Lengths, Pace, Scenario, step};

/// Heading and paragraph.
pub(super) fn scenario(scenario: Scenario, lengths: &Lengths) -> (&str, String) {
    let path = &lengths.request_path;
    let manager = &lengths.process_manager;
    let replicates = lengths.replicates(scenario);
    let starts = format!("{replicates} start{} each.", if replicates == 1 { "" } else { "s" });
    let (title, about) = match scenario {
        Scenario::Steady => {
            let s = &lengths.steady;
            (
                "Steady load",
                format!(
                    "GET {} over {} keep-alive connections. After {} s of warm-up: {} s of closed loop, which saturates the server and says throughput and cost; then {} s of open loop at {} requests/s, equal for all and below every knee, which says latency.",
                    s.path, s.connections, s.warmup_s, s.closed_s, s.paced_s, s.paced_rate,
                ),
            )
        }
        Scenario::Step => ("A step of load", step(&lengths.step)),
        Scenario::Hello => ("The smallest application", small(lengths, "a WSGI callable of three lines")),
        Scenario::Flask => ("The smallest Flask application", small(lengths, "one Flask view")),
        Scenario::Bodies => (
            "Bodies",
            format!(
                "Bodies of {} KiB and {} KiB in closed loops over {} connections, {} s each: POST to a callable that reads all of wsgi.input, and GET from one that returns bytes it has.",
                path.bodies.small / 1024,
                path.bodies.large / 1024,
                path.bodies.connections,
                path.bodies.each_s
            ),
        ),
        Scenario::File => (
            "A large file",
            format!(
                "A file of {} MiB from the disk’s cache, in a closed loop over {} connections for {} s: through wsgi.file_wrapper, or as a static file.",
                path.file.length / 1024 / 1024,
                path.file.connections,
                path.file.seconds
            ),
        ),
        Scenario::Syscalls => (
            "System calls",
            format!(
                "The smallest application in a closed loop over {} connections for {} s, with strace on every process of the tree. A traced server is many times slower, and its batches are larger than they would be.",
                path.calls.connections, path.calls.traced_s
            ),
        ),
        Scenario::Counters => {
            let s = &lengths.evidence.counters;
            let saturated = s.saturated.map_or_else(String::new, |load| {
                format!(
                    ", then a closed loop over {} keep-alive connections for {} s (saturated)",
                    load.connections,
                    number(load.seconds)
                )
            });
            let crowds = match s.crowds.iter().map(ToString::to_string).collect::<Vec<_>>().join(", then ") {
                none if none.is_empty() => none,
                crowds => format!(
                    " A server that writes down what its process manager decides gets something to decide: closed loops of {} s each to the same handler, over {crowds} connections.",
                    number(s.crowd_s)
                ),
            };
            (
                "Counters",
                format!(
                    "Runs of their own, in which nothing is timed. perf counts tracepoints over the whole tree, strace where perf may not: first {} s at {} requests/s over keep-alive connections (low load), then a step of {} over a new connection per request, during which the process manager works{saturated}.{crowds} Then strace tells the names of the calls, in a closed loop of {} s.",
                    number(s.paced.seconds),
                    number(s.paced.rate),
                    s.stages.iter().map(pace).collect::<Vec<_>>().join(", then "),
                    number(s.traced_s)
                ),
            )
        }
        Scenario::Rest => {
            let s = &lengths.evidence.rest;
            (
                "At rest",
                format!(
                    "After {} s of requests over one connection and {} s to settle, {} s in which nobody asks for anything.",
                    number(s.warmup_s),
                    number(s.settle_s),
                    number(s.rest_s)
                ),
            )
        }
        Scenario::Isolation => (
            "Isolation",
            format!(
                "What other clients of one worker wait for: {} undisturbed; {} beside a call that blocks for {} ms; {}, and the same over new connections, beside a call that keeps the CPU busy as long in Python. There is always one such call in progress.",
                pace(&path.isolation.alone),
                pace(&path.isolation.blocked),
                path.isolation.call_ms,
                pace(&path.isolation.spinning)
            ),
        ),
        Scenario::Threads => (
            "Threads",
            format!(
                "One worker: {} s of closed loop over {} connections to a handler that only computes, then {} of a handler that blocks 50 ms, which keeps {} calls in progress at once (Little’s law).",
                path.threads.computing_s,
                path.threads.connections,
                pace(&path.threads.blocking),
                path.threads.blocking.rate * 0.05
            ),
        ),
        Scenario::Idle => (
            "Idle connections",
            format!(
                "{} connections that have had one request answered, and nothing more for {} s; one busy connection in a closed loop for {} s before they come, among them, and after they have gone.",
                path.idle.connections, path.idle.idle_s, path.idle.busy_s
            ),
        ),
        Scenario::Burst => ("A burst, and what becomes of the processes that came for it", step(&manager.burst)),
        Scenario::Compute => {
            let s = &manager.compute;
            (
                "Calls that compute",
                format!(
                    "GET {}, a handler that uses {} ms of CPU, in an open loop with Poisson arrivals, the same for all: {} s, in which the server finds its size, then {} s that are measured, at a rate that needs {} % of all CPUs. Neither server nor generator is kept to CPUs of its own here: the server may use every one, and the generator, whose work is small, has the one that is free; where it was held up, its own verdict says so.",
                    s.path,
                    s.call_ms,
                    s.settle_s,
                    s.measured_s,
                    s.utilisation * 100.0
                ),
            )
        }
        Scenario::Search => (
            "Fixed sizes, searched",
            format!(
                "Every number of workers among {:?} with every number of threads among {:?}, each started once. {} The {} with the fewest errors and the shortest p99 take part in the next scenario; no target is judged by these runs.",
                manager.mixed.workers,
                manager.mixed.threads,
                mixed(lengths, manager.mixed.search_settle_s, manager.mixed.search_s),
                manager.mixed.finalists
            ),
        ),
        Scenario::Mixed => (
            "Calls that compute and calls that block",
            mixed(lengths, manager.mixed.settle_s, manager.mixed.measured_s),
        ),
        Scenario::Spawn => (
            "Spawning",
            format!(
                "Workers that are at least a second old are killed one after the other, {} in all; each time the server starts another one in its place, from the application as it was imported once, and says how long that took.",
                manager.spawn.spawns
            ),
        ),
        Scenario::Described(name) => match lengths.description(scenario) {
            Some(description) => (description.title.as_str(), described(description)),
            None => (name, String::new()),
        },
        Scenario::Memory => (
            "What one more idle worker costs",
            format!(
                "{} workers, of which the server lets go what it does not need, one in a second: what its whole tree frees each time one has left, {} times after the start and {} times after every worker has answered a request of its own.",
                manager.memory.workers, manager.memory.departures, manager.memory.departures
            ),
        ),
        Scenario::Curve => ("Latency over offered load", curve(lengths)),
        Scenario::Capacity => ("Capacity under an objective", capacity(lengths)),
        Scenario::Tune => ("Settings, tried", tune(lengths)),
    };
    (title, format!("{about} {starts}"))
}

fn curve(lengths: &Lengths) -> String {
    let s = &lengths.offered_load.curve;
    let percent: Vec<String> = s.shares.iter().map(|share| number(share * 100.0)).collect();
    let ladder: Vec<String> = s.ladder.iter().map(|rate| number(*rate)).collect();
    format!(
        "GET {} over keep-alive connections. A closed loop over {} of them for {} s, after {} s of warm-up, says what this start answers at most. Then open loops with Poisson arrivals, the same for all, at rising rates: {} % of that, which shows the curve’s shape, and {} requests/s, at which contenders can be compared, as far as they are not above {} % of it; each for as long as {} requests take, at least {} s and at most {} s.",
        s.path,
        s.connections,
        s.closed_s,
        s.warmup_s,
        percent.join(", "),
        ladder.join(", "),
        number(s.reach * 100.0),
        number(s.requests),
        s.least_s,
        s.most_s,
    )
}

fn tune(lengths: &Lengths) -> String {
    let s = &lengths.tune;
    format!(
        "Every setting that a contender’s file names, each started once, by the same objectives for all: GET {} in a closed loop over {} connections for {} s after {} s of warm-up; then GET {} in an open loop with a new connection per request, {}. The one with the fewest errors and the shortest p99 takes part in step and burst beside the contender as it comes, the one with the most requests per second in steady, curve and capacity; both are started and measured anew there.",
        s.path,
        s.connections,
        s.closed_s,
        s.warmup_s,
        s.blocking_path,
        s.stages.iter().map(pace).collect::<Vec<_>>().join(", then "),
    )
}

fn capacity(lengths: &Lengths) -> String {
    let s = &lengths.offered_load.capacity;
    format!(
        "GET {}: the highest rate at which {} holds and at least 99 % of the rate is achieved. After {} s of closed loop, trials of {} s of open loop with Poisson arrivals: the rate is doubled until it fails twice, bisected down to {} %, and the highest confirmed in a trial of its own; a trial in which the generator was at its limit counts for nothing.",
        s.path,
        s.objective.replace(',', " and "),
        s.warmup_s,
        s.trial_s,
        number(s.precision * 100.0),
    )
}

fn step(settings: &step::Settings) -> String {
    let timeout = settings.timeout_s.map_or_else(String::new, |seconds| {
        format!(" Here a request without a whole answer after {} s is an error.", number(seconds))
    });
    let stages: Vec<String> = settings.stages.iter().map(pace).collect();
    format!(
        "GET {}, a handler that blocks 50 ms, in an open loop with a new connection per request: {}. At the high rate 20 calls are in progress at once (Little’s law). The objective is a p99 per second of at most {} ms.{timeout}",
        settings.path,
        stages.join(", then "),
        settings.objective_ms,
    )
}

fn mixed(lengths: &Lengths, settle_s: f64, seconds: f64) -> String {
    let s = &lengths.process_manager.mixed;
    format!(
        "Two open loops side by side with Poisson arrivals, the same for all: GET {} at {}/s, which uses 2 ms of CPU, and GET {} at {}/s, which blocks 200 ms off it; {settle_s} s, then {seconds} s that are measured.",
        s.short.path,
        number(s.short.rate),
        s.blocking.path,
        number(s.blocking.rate),
    )
}

fn small(lengths: &Lengths, what: &str) -> String {
    let small = &lengths.request_path.small;
    format!(
        "GET {} from {what}, in a closed loop: over {} keep-alive connections for {} s, then over one for {} s, each after {} s of warm-up.",
        small.path, small.connections, small.many_s, small.one_s, small.warmup_s
    )
}

fn described(description: &Description) -> String {
    let mut parts = vec![description.about.clone()];
    let requests = description.request.iter().map(|request| match request.weight {
        1 => format!("{} {}", request.method, request.path),
        weight => format!("{} {} (weight {weight})", request.method, request.path),
    });
    let connections = match description.connections {
        Connections::KeepAlive => "over keep-alive connections",
        Connections::PerRequest => "over a new connection each",
    };
    parts.push(format!("{} {connections}.", requests.collect::<Vec<_>>().join(", ")));
    if let Some(closed) = &description.closed {
        parts.push(format!(
            "Closed loop: {} connections for {} s, after {} s of warm-up.",
            closed.connections, closed.seconds, closed.warmup_s
        ));
    }
    if let Some(open) = &description.open {
        let stages = open.stages.iter().map(|stage| match stage.to {
            None => format!("{} s at {}/s", stage.seconds, number(stage.rate)),
            Some(to) => format!("{} s from {} to {}/s", stage.seconds, number(stage.rate), number(to)),
        });
        let arrivals = match open.arrivals {
            Spread::Even => "evenly spaced",
            Spread::Poisson => "Poisson, the same for all",
        };
        parts.push(format!(
            "Open loop, arrivals {arrivals}, after {} s of warm-up: {}. The objective is a p99 of at most {} ms.",
            open.warmup_s,
            stages.collect::<Vec<_>>().join(", then "),
            open.objective_ms
        ));
    }
    parts.join(" ")
}

fn pace(pace: &Pace) -> String {
    format!("{} s at {}/s", pace.seconds, pace.rate)
}
