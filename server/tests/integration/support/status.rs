//! What `smarthttpd ctl status --json` answers, read by what its documentation says rather than with the server's types.

use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub(crate) struct Reply {
    pub(crate) ok: Status,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Status {
    pub(crate) version: String,
    pub(crate) pid: i32,
    pub(crate) mpm: String,
    pub(crate) uptime_seconds: f64,
    pub(crate) listening: Vec<String>,
    pub(crate) phase: String,
    pub(crate) totals: Totals,
    pub(crate) workers: Vec<Worker>,
    pub(crate) counters: Counters,
    pub(crate) tasks: Tasks,
    pub(crate) admin: Option<String>,
    pub(crate) decisions: Vec<Decision>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) struct Totals {
    pub(crate) total: u32,
    pub(crate) busy: u32,
    pub(crate) idle: u32,
    pub(crate) kill_pending: u32,
    pub(crate) starting: u32,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Worker {
    pub(crate) slot: u32,
    pub(crate) pid: i32,
    pub(crate) generation: u64,
    pub(crate) phase: String,
    pub(crate) busy: bool,
    pub(crate) connections: u32,
    pub(crate) in_flight: u32,
    pub(crate) queued: u32,
    pub(crate) threads: u32,
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    pub(crate) age_seconds: f64,
    pub(crate) tasks: Tasks,
    pub(crate) ready_ms: Option<f64>,
}

/// Background tasks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Tasks {
    pub(crate) queued: u64,
    pub(crate) running: u64,
    pub(crate) done: u64,
    pub(crate) failed: u64,
    pub(crate) dropped: u64,
    pub(crate) refused: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) struct Counters {
    pub(crate) spawned: u64,
    pub(crate) retired: u64,
    pub(crate) died: u64,
    pub(crate) killed: u64,
    pub(crate) template_restarts: u64,
    pub(crate) reloads: u64,
    pub(crate) timed_out: u64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Decision {
    pub(crate) at_seconds: f64,
    pub(crate) reason: String,
    pub(crate) actions: Vec<String>,
}

impl Status {
    /// Calls that run now, in all workers.
    pub(crate) fn in_flight(&self) -> u32 {
        self.workers.iter().map(|worker| worker.in_flight).sum()
    }

    /// Open connections, in all workers.
    pub(crate) fn connections(&self) -> u32 {
        self.workers.iter().map(|worker| worker.connections).sum()
    }

    /// Requests that the living workers have answered.
    pub(crate) fn requests(&self) -> u64 {
        self.workers.iter().map(|worker| worker.requests).sum()
    }

    /// Pool threads, in all workers.
    pub(crate) fn threads(&self) -> u32 {
        self.workers.iter().map(|worker| worker.threads).sum()
    }

    /// All workers' pids, by slot.
    pub(crate) fn pids(&self) -> Vec<i32> {
        self.workers.iter().map(|worker| worker.pid).collect()
    }

    /// `count` workers serve, none starts or leaves.
    pub(crate) fn settled(&self, count: u32) -> bool {
        self.totals.total == count && self.totals.starting == 0 && self.totals.kill_pending == 0
    }

    /// What must hold between the counters whenever it is looked at.
    pub(crate) fn check(&self) {
        let Totals { total, busy, idle, kill_pending, starting } = self.totals;
        let Counters { spawned, retired, died, killed, .. } = self.counters;
        assert_eq!(total as usize, self.workers.len(), "{self:#?}");
        assert!(idle + kill_pending + starting <= total, "{self:#?}");
        assert!(busy <= total - idle, "{self:#?}");
        let of_phase = |phase: &str| self.workers.iter().filter(|worker| worker.phase == phase).count() as u32;
        assert_eq!(starting, of_phase("starting"), "{self:#?}");
        assert_eq!(kill_pending, of_phase("draining"), "{self:#?}");
        assert_eq!(busy, self.workers.iter().filter(|worker| worker.busy).count() as u32, "{self:#?}");
        // A worker that was asked for and is not there yet is in the total, but not spawned.
        assert!(spawned <= retired + died + u64::from(total), "{self:#?}");
        assert!(spawned + u64::from(starting) >= retired + died + u64::from(total), "{self:#?}");
        assert!(killed <= spawned, "{self:#?}");
        let mut slots: Vec<u32> = self.workers.iter().map(|worker| worker.slot).collect();
        slots.dedup();
        assert_eq!(slots.len(), self.workers.len(), "{self:#?}");
    }
}
