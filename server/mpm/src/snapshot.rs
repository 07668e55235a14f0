//! What a policy may know: the workers, their counters, the backlog, the limits.
//!
//! Plain values, copied out of the server's scoreboard (or the simulator's model) by the caller. No decision is made here.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Where a living worker is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Ordered, not yet able to accept.
    Starting,
    /// Accepts connections.
    Ready,
    /// Told to leave: finishes what it has and accepts nothing.
    Draining,
}

/// What a worker has counted since it started. Every field only grows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Calls of the application that ended.
    pub requests: u64,
    /// Time those calls took, from start to end.
    pub wall: Duration,
    /// CPU time those calls used. For policies, better that of the whole process: its event loop needs a core too, and a
    /// process that spends most of its core there looks idle otherwise.
    pub cpu: Duration,
    /// Time those calls waited for the interpreter lock; part of `wall`.
    pub gil_wait: Duration,
}

/// One living worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerView {
    /// Its place in the scoreboard; unique among living workers.
    pub slot: u32,
    /// Distinguishes it from earlier workers in the same slot.
    pub generation: u32,
    /// Where it is in its life.
    pub phase: Phase,
    /// Time since it was ordered.
    pub age: Duration,
    /// Open connections, busy or not, and background tasks that are to be done: what keeps it from leaving.
    pub connections: u32,
    /// Calls running now.
    pub in_flight: u32,
    /// Complete requests that wait for a thread.
    pub queued: u32,
    /// Threads that run calls.
    pub threads: u32,
    /// Its counters.
    pub totals: Totals,
}

impl WorkerView {
    /// True unless it was told to leave: it serves, or is about to.
    pub(crate) fn serves(&self) -> bool {
        self.phase != Phase::Draining
    }

    /// True if somebody has it, who need not have a call yet: a process of uWSGI, PHP-FPM or Apache has one connection.
    pub(crate) fn is_taken(&self) -> bool {
        self.connections > 0 || self.in_flight > 0 || self.queued > 0
    }

    /// True if a request could begin in it at once.
    pub(crate) fn has_nothing_to_do(&self) -> bool {
        self.phase == Phase::Ready && !self.is_taken()
    }
}

/// Why a policy is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// Its time has come round.
    Tick,
    /// A worker ran out of idle capacity.
    Saturated,
    /// A worker's process ended.
    Exited,
    /// A worker became ready.
    Started,
}

/// What an adaptive policy has to stay within.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Workers that are always there.
    pub min_workers: u32,
    /// Workers that there may be at most.
    pub max_workers: u32,
    /// Threads that a worker always has.
    pub min_threads: u32,
    /// Threads that a worker may have at most.
    pub max_threads: u32,
    /// Cores that may be used: the cgroup's quota within the CPU affinity. May be fractional.
    pub cpus: f64,
    /// Workers that fit into the memory limit.
    pub memory_workers: u32,
}

/// What was true at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Snapshot<'a> {
    /// Monotonic time since the server started.
    pub now: Duration,
    /// Why this snapshot was taken.
    pub cause: Cause,
    /// The living workers, ordered by slot.
    pub workers: &'a [WorkerView],
    /// Connections in the kernel's accept queues, all listeners together.
    pub backlog: u32,
}

impl Snapshot<'_> {
    /// How many workers are like this.
    pub(crate) fn count(&self, like: impl Fn(&WorkerView) -> bool) -> u32 {
        let count = self.workers.iter().filter(|worker| like(worker)).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Requests and connections that nobody serves yet. A server with one request per process and connection leaves them
    /// all in the listener's queue; here a worker holds those that arrive over connections that it has.
    pub(crate) fn waiting(&self) -> u32 {
        self.workers.iter().fold(self.backlog, |waiting, worker| waiting.saturating_add(worker.queued))
    }

    /// The one that has been there for longest among those like this; the lowest slot of several.
    pub(crate) fn oldest(&self, like: impl Fn(&WorkerView) -> bool) -> Option<&WorkerView> {
        let eldest = |worker: &&WorkerView| (worker.age, std::cmp::Reverse(worker.slot));
        self.workers.iter().filter(|worker| like(worker)).max_by_key(eldest)
    }
}
