//! A worker: one process that accepts connections and answers their requests until it is asked to leave.
//!
//! [`Reactor`] is the event loop's state, [`Pool`] the threads that share it, `call` one
//! call into the application. It is forked by the template, reads its orders from the scoreboard when its wake-up is
//! written, and ends by itself when the lifeline closes. It knows the application only as a trait.

mod access;
mod agenda;
mod call;
mod heap;
mod outbox;
mod overtime;
mod pool;
mod reactor;
#[cfg(test)]
pub(crate) mod steady;
mod timers;
mod window;

use std::os::fd::OwnedFd;
use std::sync::Arc;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use self::access::AccessLog;
use self::call::Caller;
use self::pool::{Bounds, Pool, TaskBounds};
use self::reactor::{Reactor, Settings};
use crate::config::{Config, Exit, Mpm, Tasks};
use crate::connection::Intake;
use crate::exchange::{Application, TaskDesk};
use crate::handoff::Handoff;
use crate::listener::Listener;
use crate::proxies::{Judge, Trusted};
use crate::scoreboard::{LogState, Scoreboard, Slot};
use crate::sys::wakeup::Wakeup;

/// Descriptors kept free for the application and ourselves.
const RESERVED: u64 = 128;

/// All that a worker is given.
pub(crate) struct Outfit {
    /// What the operator asked for.
    pub(crate) config: Config,
    /// What answers requests.
    pub(crate) application: Arc<dyn Application>,
    /// Everybody's scoreboard, and the worker's slot in it.
    pub(crate) scoreboard: Scoreboard,
    /// The worker's slot.
    pub(crate) slot: Slot,
    /// Closes when the supervisor is gone.
    pub(crate) lifeline: OwnedFd,
    /// Wakes the supervisor.
    pub(crate) supervisor: Wakeup,
    /// Wakes this worker.
    pub(crate) wake: Wakeup,
    /// Where connections change workers.
    pub(crate) handoff: Handoff,
    /// Shared with all workers.
    pub(crate) listeners: Vec<Listener>,
    /// Distinguishes this worker's random choices from its siblings'.
    pub(crate) generation: u64,
}

/// A worker's whole life.
pub(crate) fn run(outfit: Outfit) -> Exit {
    let Outfit { config, application, scoreboard, slot, lifeline, supervisor, wake, handoff, listeners, generation } =
        outfit;
    heap::settle();
    // In this order: a command to reopen in between is heard in the first turn of the event loop.
    slot.set_logs(LogState::Open(scoreboard.log_generation()));
    let access = match AccessLog::open(config.access_log.as_ref()) {
        Ok(access) => Arc::new(access),
        Err(error) => {
            tracing::error!("{error}");
            return Exit::Failure;
        }
    };
    let wake = Arc::new(wake);
    let settings = Settings {
        intake: Intake::new(
            http1::Limits {
                request_line: config.limits.request_line,
                header_count: config.limits.header_count,
                header_bytes: config.limits.header_bytes,
                body: config.limits.body,
            },
            config.limits.body_memory,
            descriptors(),
        ),
        timeouts: config.timeouts,
        most_connections: most_connections(&config.mpm),
        most_accepted: most_accepted(&config.mpm),
        judge: config.proxies.forwarded.as_ref().map(Judge::new),
        greeters: Trusted::new(&config.proxies.protocol),
    };
    // In prefork a connection stays with its process, as in Apache.
    let handoff = (!config.mpm.one_connection_each()).then_some(handoff);
    let reactor = match Reactor::new(settings, listeners, handoff, Arc::clone(&wake), lifeline, Arc::clone(&access)) {
        Ok(reactor) => reactor,
        Err(error) => {
            tracing::error!("the worker can't set up its event loop: {error}");
            return Exit::Failure;
        }
    };
    let keep_alive = !config.timeouts.keep_alive.is_zero();
    let caller = Caller::new(Arc::clone(&application), Arc::clone(&access), config.timeouts.write, keep_alive);
    let pool = Pool::new(bounds(&config, generation), caller, reactor, scoreboard, slot, wake, supervisor);
    if config.tasks.is_some() {
        application.open_desk(Arc::clone(&pool) as Arc<dyn TaskDesk>);
    }
    pool.run();
    access.flush();
    Exit::Ok
}

fn bounds(config: &Config, generation: u64) -> Bounds {
    let (min_threads, max_threads, followers) = match config.mpm {
        Mpm::Adaptive { min_threads, max_threads, .. } => (min_threads, max_threads, true),
        Mpm::Static { threads, .. } => (threads, threads, true),
        Mpm::Prefork { .. }
        | Mpm::Busyness { .. }
        | Mpm::Spare { .. }
        | Mpm::Dynamic { .. }
        | Mpm::Ondemand { .. }
        | Mpm::Unit { .. } => (1, 1, false),
    };
    let most_requests =
        config.max_requests.map_or(0, |most| most + mpm::scatter(generation, config.max_requests_jitter));
    let tasks = config.tasks.map_or(TaskBounds { queue: 0, concurrency: 0 }, |Tasks { queue, concurrency }| {
        // Where an application counts on one call at a time, a task is one.
        TaskBounds { queue, concurrency: if max_threads == 1 { 1 } else { concurrency } }
    });
    Bounds {
        min_threads,
        max_threads,
        followers,
        most_requests,
        graceful: config.timeouts.graceful,
        tasks,
        most_time: config.timeouts.request,
    }
}

/// Prefork serves one connection at a time; otherwise connections are as cheap as descriptors.
fn most_connections(mpm: &Mpm) -> usize {
    if mpm.one_connection_each() { 1 } else { usize::MAX }
}

/// Descriptors that connections, and files that belong to them, may have.
fn descriptors() -> usize {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 512 };
    let raised = if soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() { hard } else { soft };
    usize::try_from(raised.saturating_sub(RESERVED).max(16)).unwrap_or(usize::MAX)
}

fn most_accepted(mpm: &Mpm) -> u64 {
    match mpm {
        Mpm::Prefork { max_connections_per_child, .. } => *max_connections_per_child,
        Mpm::Adaptive { .. }
        | Mpm::Static { .. }
        | Mpm::Busyness { .. }
        | Mpm::Spare { .. }
        | Mpm::Dynamic { .. }
        | Mpm::Ondemand { .. }
        | Mpm::Unit { .. } => 0,
    }
}
