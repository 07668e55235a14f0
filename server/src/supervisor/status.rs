//! What the server says of itself: the scoreboard, the counters and the latest decisions as one value.

use std::time::Duration;

use mpm::{Action, Decision, Phase, WorkerView};

use super::roster::Roster;
use super::{Phase as Life, Supervisor};
use crate::ctl::protocol::{self, Answered, Latency, Served, Status, Totals};
use crate::listener::Listener;
use crate::scoreboard::{Tally, TaskCounts, upper_ns};

/// How many decisions there were since the start, by what they order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Decided {
    to_spawn: u64,
    to_retire: u64,
    in_vain: u64,
}

impl Decided {
    /// Counts one more.
    pub(super) fn count(&mut self, decision: &Decision) {
        match decision.actions.first() {
            Some(Action::Spawn { .. }) => self.to_spawn += 1,
            Some(Action::Retire { .. }) => self.to_retire += 1,
            None => self.in_vain += 1,
        }
    }
}

impl Supervisor {
    /// The server as it is now.
    pub(super) fn status(&self) -> Status {
        let one_connection_each = self.config.mpm.one_connection_each();
        let rows = rows(self.roster.views(), &self.roster, one_connection_each);
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            mpm: self.policy.name().to_owned(),
            uptime_seconds: self.now().as_secs_f64(),
            listening: self.listening.clone(),
            phase: match self.phase {
                Life::Starting => "starting",
                Life::Serving => "serving",
                Life::Stopping { .. } | Life::Draining => "draining",
            }
            .to_owned(),
            totals: totals(&rows),
            workers: workers(&self.roster, &rows),
            counters: self.counters,
            tasks: tasks(&rows, self.tasks),
            served: served(&self.roster.tally(), self.roster.cpu(), self.decided),
            backlog: self.listeners.iter().map(Listener::waiting).sum(),
            admin: self.admin.as_ref().map(|admin| admin.url()),
            decisions: decisions(self.decisions.iter(), self.now()),
        }
    }
}

/// What happened to requests.
fn served(tally: &Tally, cpu: Duration, decided: Decided) -> Served {
    let [cut, informational, success, redirection, client_error, server_error] = tally.answered;
    let seconds = |ns: u64| ns as f64 / 1e9;
    let buckets = tally.latency.iter().enumerate();
    Served {
        answered: Answered { cut, informational, success, redirection, client_error, server_error },
        refused: tally.refused,
        latency: Latency {
            count: tally.latency.iter().sum(),
            sum_seconds: tally.took.as_secs_f64(),
            buckets: buckets.map(|(bucket, count)| (upper_ns(bucket).map(seconds), *count)).collect(),
        },
        call_seconds: tally.wall.as_secs_f64(),
        lock_wait_seconds: tally.lock_wait.as_secs_f64(),
        cpu_seconds: cpu.as_secs_f64(),
        saturated: tally.saturated,
        decided_to_spawn: decided.to_spawn,
        decided_to_retire: decided.to_retire,
        decided_in_vain: decided.in_vain,
    }
}

/// One worker, and what it has to do beside requests.
pub(super) struct Row {
    view: WorkerView,
    tasks: TaskCounts,
    /// It has something to do.
    busy: bool,
}

/// The workers, each looked at once. `one_connection_each`: a worker that has a connection is busy (prefork).
pub(super) fn rows(views: Vec<WorkerView>, roster: &Roster, one_connection_each: bool) -> Vec<Row> {
    let row = |view: WorkerView| Row::new(view, roster.tasks(view.slot as usize), one_connection_each);
    views.into_iter().map(row).collect()
}

impl Row {
    fn new(view: WorkerView, tasks: TaskCounts, one_connection_each: bool) -> Row {
        let with_requests = view.in_flight > 0 || view.queued > 0 || (one_connection_each && view.connections > 0);
        Row { busy: with_requests || tasks.open() > 0, view, tasks }
    }
}

/// Workers by what they do.
pub(super) fn totals(rows: &[Row]) -> Totals {
    let mut totals = Totals::default();
    for Row { view, busy, .. } in rows {
        totals.total += 1;
        match view.phase {
            Phase::Starting => totals.starting += 1,
            Phase::Draining => totals.kill_pending += 1,
            Phase::Ready if !busy => totals.idle += 1,
            Phase::Ready => {}
        }
        totals.busy += u32::from(*busy);
    }
    totals
}

/// The background tasks of living workers, and of those that are `gone`.
pub(super) fn tasks(rows: &[Row], gone: protocol::Tasks) -> protocol::Tasks {
    rows.iter().map(|row| told(row.tasks)).fold(gone, |sum, tasks| protocol::Tasks {
        queued: sum.queued + tasks.queued,
        running: sum.running + tasks.running,
        done: sum.done + tasks.done,
        failed: sum.failed + tasks.failed,
        dropped: sum.dropped + tasks.dropped,
        refused: sum.refused + tasks.refused,
    })
}

fn told(tasks: TaskCounts) -> protocol::Tasks {
    let TaskCounts { queued, running, done, failed, dropped, refused } = tasks;
    protocol::Tasks { queued, running, done, failed, dropped, refused }
}

/// One row per living worker.
pub(super) fn workers(roster: &Roster, rows: &[Row]) -> Vec<protocol::Worker> {
    rows.iter()
        .map(|Row { view, tasks, busy }| {
            let slot = view.slot as usize;
            let seen = roster.look(slot);
            let pid = roster.worker(slot).map_or(0, |worker| worker.pid);
            let requests = seen.requests;
            protocol::Worker {
                slot: view.slot,
                pid: pid as u32,
                generation: seen.generation,
                phase: phase_name(view.phase).to_owned(),
                busy: *busy,
                connections: seen.connections,
                in_flight: view.in_flight,
                queued: view.queued,
                threads: view.threads,
                requests,
                errors: seen.errors,
                age_seconds: view.age.as_secs_f64(),
                ready_ms: seen.birth().map(|birth| birth.as_secs_f64() * 1e3),
                rss_bytes: resident_bytes(pid),
                mean_ms: (requests > 0).then(|| seen.wall.as_secs_f64() * 1e3 / requests as f64),
                tasks: told(*tasks),
            }
        })
        .collect()
}

/// The decisions, oldest first.
fn decisions<'a>(ring: impl Iterator<Item = &'a Decision>, now: Duration) -> Vec<protocol::Decision> {
    ring.map(|decision| protocol::Decision {
        seconds_ago: now.saturating_sub(decision.at).as_secs_f64(),
        at_seconds: decision.at.as_secs_f64(),
        reason: decision.reason.clone(),
        actions: decision.actions.iter().map(action).collect(),
        inputs: decision.inputs.clone(),
    })
    .collect()
}

/// One order in words.
pub(super) fn action(action: &Action) -> String {
    match action {
        Action::Spawn { count } => format!("spawn {count}"),
        Action::Retire { slot } => format!("retire slot {slot}"),
    }
}

fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Starting => "starting",
        Phase::Ready => "ready",
        Phase::Draining => "draining",
    }
}

/// Resident memory of a process: the second field of `/proc/PID/statm`, in pages.
pub(super) fn resident_bytes(pid: i32) -> Option<u64> {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok()??;
    Some(pages * page as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(phase: Phase, in_flight: u32, connections: u32) -> WorkerView {
        WorkerView {
            slot: 0,
            generation: 1,
            phase,
            age: Duration::ZERO,
            connections,
            in_flight,
            queued: 0,
            threads: 1,
            totals: mpm::Totals::default(),
        }
    }

    #[test]
    fn every_worker_is_counted_once_by_phase() {
        let views = [
            view(Phase::Starting, 0, 0),
            view(Phase::Ready, 0, 3),
            view(Phase::Ready, 2, 3),
            // Busy and leaving: both are true, and it is not idle.
            view(Phase::Draining, 1, 1),
        ];
        let none = TaskCounts::default();
        let count = |views: &[WorkerView], tasks: TaskCounts, one_connection_each: bool| {
            let rows: Vec<Row> = views.iter().map(|view| Row::new(*view, tasks, one_connection_each)).collect();
            totals(&rows)
        };
        let expected = Totals { total: 4, busy: 2, idle: 1, kill_pending: 1, starting: 1 };
        assert_eq!(count(&views, none, false), expected);
        // In prefork a kept connection keeps its worker.
        assert_eq!(count(&views, none, true), Totals { busy: 3, idle: 0, ..expected });
        // So do tasks everywhere, also before they begin.
        for tasks in [TaskCounts { running: 1, ..none }, TaskCounts { queued: 1, ..none }] {
            assert_eq!(count(&views[1..2], tasks, false).idle, 0);
        }
    }

    #[test]
    fn tasks_of_workers_that_are_gone_stay_in_the_account() {
        let gone = protocol::Tasks { done: 7, dropped: 2, refused: 1, ..protocol::Tasks::default() };
        let rows = [3, 4].map(|done| {
            let counts = TaskCounts { done, queued: 1, refused: 5, ..TaskCounts::default() };
            Row::new(view(Phase::Ready, 0, 0), counts, false)
        });
        assert_eq!(tasks(&rows, gone), protocol::Tasks { queued: 2, done: 14, refused: 11, ..gone });
    }
}
