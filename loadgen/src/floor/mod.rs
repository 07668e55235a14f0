//! The floor of an engine: what the generator itself costs and adds on this machine, found with a
//! server that does nothing.
//!
//! Whatever a run of the same engine shows can't be below: a latency near the floor's is the
//! generator's and not the target's, and a rate near it says more about the generator. The figures
//! come from [`run`](crate::run()) itself, with its clocks and histograms. The CPU time is that of
//! the generator's thread alone; the round trip has the loopback interface, the server's one read
//! and one write and the kernel's wake-ups in it, which no target can do without.

mod server;
mod text;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::engine::{Engine, Transport};
use crate::error::RunError;
use crate::plan::{Load, Plan};
use crate::report::Report;
use crate::run::run;
use server::Server;

pub use text::floor_table;
pub(crate) use text::lines;

/// Connections come into being, and code and memory into the caches.
const WARMUP: Duration = Duration::from_millis(100);

/// What an engine costs and adds by itself, on the machine that measured it. A closed loop of one
/// thread sends small GETs by HTTP/1.1 without TLS over loopback TCP, on kept connections.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Floor {
    /// What was measured. TLS, HTTP/2 and proxies cost more than this.
    pub engine: Engine,
    /// One entry per number of connections, rising; the first is a single connection.
    pub exchanges: Vec<FloorExchange>,
}

/// The floor with some number of connections.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FloorExchange {
    /// Connections, each with one request at a time.
    pub connections: usize,
    /// Answers that the figures are of.
    pub answered: u64,
    /// Answers per second.
    pub answered_rate: f64,
    /// CPU time of the generator's thread per answer, nanoseconds.
    pub cpu_per_request_ns: f64,
    /// Median time from the write of a request to the last byte of its answer, nanoseconds.
    pub p50_ns: u64,
    /// The 99th percentile of the same; `None` when there were too few answers for it.
    pub p99_ns: Option<u64>,
}

/// What to measure the floor of, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct FloorQuestion {
    /// The engine; of what it was told about TLS, HTTP/2, proxies and redirects nothing is used.
    pub engine: Engine,
    /// Measured besides a single connection.
    pub connections: usize,
    /// Measured time per number of connections.
    pub duration: Duration,
    /// The CPU to pin the generator's thread to.
    pub cpu: Option<usize>,
}

impl FloorQuestion {
    /// Most connections that [`FloorQuestion::of`] asks for: more change nothing about the floor.
    pub const CONNECTIONS: usize = 16;

    /// The floor that belongs to a run of `plan`: its engine, its connections up to 16, its first
    /// CPU, in one second altogether.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        Self {
            engine: plan.engine.clone(),
            connections: plan.connections.min(Self::CONNECTIONS),
            duration: Duration::from_millis(400),
            cpu: plan.cpus.as_ref().and_then(|cpus| cpus.first().copied()),
        }
    }
}

/// Measures the floor of an engine, with a server in a thread of this process. `None` when `stop`
/// was set meanwhile.
///
/// # Errors
/// See [`RunError`].
pub fn measure_floor(question: &FloorQuestion, stop: &AtomicBool) -> Result<Option<Floor>, RunError> {
    let broken = |source| RunError::Setup { what: "set up the server that does nothing".to_owned(), source };
    let server = Server::new().map_err(broken)?;
    let target = format!("http://{}/", server.address().map_err(broken)?);
    let end = server.stop();
    let engine = match question.engine {
        Engine::Fast => Engine::Fast,
        Engine::Reqwest(_) => Engine::Reqwest(Transport::default()),
    };
    thread::scope(|scope| {
        let name = thread::Builder::new().name("floor".to_owned());
        let serving = name.spawn_scoped(scope, move || server.serve()).map_err(broken)?;
        let measured = exchanges(question, &engine, &target, stop);
        // The only failure is a full counter, which wakes just as well.
        let _ = end.wake();
        let served = serving.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        // A server that failed is why the run did, if that did.
        served.map_err(broken)?;
        Ok(measured?.map(|exchanges| Floor { engine, exchanges }))
    })
}

/// The single connection, and then as many as asked for.
fn exchanges(
    question: &FloorQuestion,
    engine: &Engine,
    target: &str,
    stop: &AtomicBool,
) -> Result<Option<Vec<FloorExchange>>, RunError> {
    let mut exchanges = Vec::with_capacity(2);
    let several = Some(question.connections).filter(|connections| *connections > 1);
    for connections in [1].into_iter().chain(several) {
        let target = target.parse().expect("an address makes a target");
        let plan = Plan {
            engine: engine.clone(),
            connections,
            warmup: WARMUP,
            cpus: question.cpu.map(|cpu| vec![cpu]),
            ..Plan::new(target, Load::closed_for(question.duration))
        };
        let report = run(&plan, &mut |_| {}, stop)?;
        if report.interrupted || stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        exchanges.push(FloorExchange::of(&report));
    }
    Ok(Some(exchanges))
}

impl FloorExchange {
    fn of(report: &Report) -> Self {
        let times = &report.service;
        Self {
            connections: report.setup.connections,
            answered: report.answered,
            answered_rate: report.answered_rate,
            cpu_per_request_ns: report.cpu_per_request_ns.unwrap_or_default(),
            p50_ns: times.p50_ns,
            p99_ns: times.supports(0.99).then_some(times.p99_ns),
        }
    }
}

impl Floor {
    /// The costlier one of two: what a joined report can say of machines that differ.
    pub(crate) fn costlier(self, other: Self) -> Self {
        let cost = |floor: &Self| floor.exchanges.iter().map(|one| one.cpu_per_request_ns).fold(0.0, f64::max);
        if cost(&other) > cost(&self) { other } else { self }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn floor(cpu_per_request_ns: f64) -> Floor {
        let one = FloorExchange {
            connections: 1,
            answered: 20_000,
            answered_rate: 50_000.0,
            cpu_per_request_ns,
            p50_ns: 18_000,
            p99_ns: Some(31_000),
        };
        let several = FloorExchange { connections: 16, answered: 900, p99_ns: None, ..one };
        Floor { engine: Engine::Fast, exchanges: vec![one, several] }
    }

    #[test]
    fn a_floor_has_a_single_connection_and_those_of_the_run() {
        let target = || "http://a/".parse().unwrap();
        let load = || Load::closed_for(Duration::from_secs(1));
        // Connections of a run, and of its floor.
        for (connections, expected) in [(1, vec![1]), (3, vec![1, 3]), (4096, vec![1, 16])] {
            let plan = Plan { connections, ..Plan::new(target(), load()) };
            let question = FloorQuestion { duration: Duration::from_millis(50), ..FloorQuestion::of(&plan) };
            let floor = measure_floor(&question, &AtomicBool::new(false)).unwrap().unwrap();
            assert_eq!(floor.engine, Engine::Fast);
            assert_eq!(floor.exchanges.iter().map(|one| one.connections).collect::<Vec<_>>(), expected);
            for one in floor.exchanges {
                assert!(one.answered > 0 && one.answered_rate > 0.0, "{one:?}");
                assert!(one.cpu_per_request_ns > 0.0 && one.p50_ns > 0, "{one:?}");
                assert!(one.p99_ns.is_none_or(|p99| p99 >= one.p50_ns), "{one:?}");
            }
        }
    }

    #[test]
    fn a_floor_that_was_stopped_is_none() {
        let plan = Plan::new("http://a/".parse().unwrap(), Load::closed_for(Duration::from_secs(1)));
        assert_eq!(measure_floor(&FloorQuestion::of(&plan), &AtomicBool::new(true)).unwrap(), None);
    }

    #[test]
    fn the_costlier_floor_remains() {
        let (cheap, dear) = (floor(2_000.0), floor(9_000.0));
        assert_eq!(cheap.clone().costlier(dear.clone()), dear);
        assert_eq!(dear.clone().costlier(cheap), dear);
    }
}
