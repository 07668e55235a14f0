//! What the server says of itself: the scoreboard, the counters and the latest decisions as one value.

use std::time::Duration;

use mpm::{Action, Decision, Phase, WorkerView};

use super::roster::Roster;
use crate::ctl::protocol::{self, Totals};

/// Workers by what they do. `one_connection_each`: a worker that has a connection is busy (prefork).
pub(super) fn totals(views: &[WorkerView], one_connection_each: bool) -> Totals {
    let mut totals = Totals::default();
    for view in views {
        totals.total += 1;
        let busy = is_busy(view, one_connection_each);
        match view.phase {
            Phase::Starting => totals.starting += 1,
            Phase::Draining => totals.kill_pending += 1,
            Phase::Ready if !busy => totals.idle += 1,
            Phase::Ready => {}
        }
        totals.busy += u32::from(busy);
    }
    totals
}

fn is_busy(view: &WorkerView, one_connection_each: bool) -> bool {
    view.in_flight > 0 || view.queued > 0 || (one_connection_each && view.connections > 0)
}

/// One row per living worker.
pub(super) fn workers(roster: &Roster, views: &[WorkerView], one_connection_each: bool) -> Vec<protocol::Worker> {
    views
        .iter()
        .map(|view| {
            let slot = view.slot as usize;
            let seen = roster.look(slot);
            let pid = roster.worker(slot).map_or(0, |worker| worker.pid);
            let requests = seen.requests;
            protocol::Worker {
                slot: view.slot,
                pid: pid as u32,
                generation: seen.generation,
                phase: phase_name(view.phase).to_owned(),
                busy: is_busy(view, one_connection_each),
                connections: view.connections,
                in_flight: view.in_flight,
                queued: view.queued,
                threads: view.threads,
                requests,
                errors: seen.errors,
                age_seconds: view.age.as_secs_f64(),
                rss_bytes: resident_bytes(pid),
                mean_ms: (requests > 0).then(|| seen.wall.as_secs_f64() * 1e3 / requests as f64),
            }
        })
        .collect()
}

/// The decisions, oldest first.
pub(super) fn decisions<'a>(ring: impl Iterator<Item = &'a Decision>, now: Duration) -> Vec<protocol::Decision> {
    ring.map(|decision| protocol::Decision {
        seconds_ago: now.saturating_sub(decision.at).as_secs_f64(),
        at_seconds: decision.at.as_secs_f64(),
        reason: decision.reason.clone(),
        actions: decision.actions.iter().map(action).collect(),
    })
    .collect()
}

fn action(action: &Action) -> String {
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
fn resident_bytes(pid: i32) -> Option<u64> {
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
        let expected = Totals { total: 4, busy: 2, idle: 1, kill_pending: 1, starting: 1 };
        assert_eq!(totals(&views, false), expected);
        // In prefork a kept connection keeps its worker.
        assert_eq!(totals(&views, true), Totals { busy: 3, idle: 0, ..expected });
    }
}
