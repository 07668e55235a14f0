//! What goes through the control socket: the client sends one [`Request`] as a line of JSON, the server sends one
//! [`Reply`] as a line of JSON and closes.
//!
//! ```text
//! → {"command":"status"}
//! ← {"ok":{"version":"0.1.0","pid":71,…}}
//! → {"command":"reload","timeout_seconds":60}
//! ← {"ok":{"code_generation":2,"ready":3,"ready_seconds":0.24,"leaving":3}}
//! → {"command":"reopen-logs"}
//! ← {"ok":{"reopened":3,"kept":0,"pending":0}}
//! → {"command":"scale","min":2,"max":5}
//! ← {"ok":{"min_workers":2,"max_workers":5}}
//! → {"command":"stop"}
//! ← {"ok":"stopping"}
//! ← {"error":"unknown command"}
//! ```

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A question to the server.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub(crate) enum Request {
    /// How are you?
    Status,
    /// Take new code and options. The answer comes when the new workers serve, or can't.
    Reload {
        /// How long the new workers may take to become ready.
        timeout_seconds: f64,
    },
    /// Open the access log anew, by its name. The answer comes when all workers have.
    ReopenLogs,
    /// Keep at least, or at most, so many workers from now on.
    Scale {
        /// `None`: as before.
        min: Option<u32>,
        /// `None`: as before.
        max: Option<u32>,
    },
    /// Finish the requests under way, then leave.
    Stop,
}

/// The server's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Reply {
    /// Done.
    Ok(Answer),
    /// Not done, and why.
    Error(String),
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Answer {
    /// To [`Request::Status`].
    Status(Box<Status>),
    /// To [`Request::Reload`].
    Reloaded(Reloaded),
    /// To [`Request::ReopenLogs`].
    Reopened(Reopened),
    /// To [`Request::Scale`].
    Scaled(Scaled),
    /// To [`Request::Stop`].
    Stopping(Stopping),
}

/// A generation of code and options that has taken over.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reloaded {
    /// Counts generations since the start of the server, which is the first.
    pub(crate) code_generation: u64,
    /// Workers of it that serve.
    pub(crate) ready: u32,
    /// How long it took until they did.
    pub(crate) ready_seconds: f64,
    /// Workers of older generations that finish what they have.
    pub(crate) leaving: u32,
}

/// How far workers are with the new log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reopened {
    /// Workers that write to the new file.
    pub(crate) reopened: u32,
    /// Workers that could not open it and write to the old one.
    pub(crate) kept: u32,
    /// Workers that have not come to it yet.
    pub(crate) pending: u32,
}

impl fmt::Display for Reopened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Reopened { reopened, kept, pending } = *self;
        write!(f, "{reopened} {} reopened the access log", if reopened == 1 { "worker has" } else { "workers have" })?;
        if kept > 0 {
            write!(f, "; {kept} can't and {} the old file", if kept == 1 { "keeps" } else { "keep" })?;
        }
        if pending > 0 {
            write!(
                f,
                "; {pending} will when {} ended",
                if pending == 1 { "its call has" } else { "their calls have" }
            )?;
        }
        Ok(())
    }
}

/// The bounds that count now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Scaled {
    /// Workers kept even without load.
    pub(crate) min_workers: u32,
    /// Workers never exceeded.
    pub(crate) max_workers: u32,
}

/// The word `stopping`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stopping {
    /// The server drains and leaves.
    Stopping,
}

impl Reply {
    /// The answer to [`Request::Stop`].
    pub(crate) fn stopping() -> Reply {
        Reply::Ok(Answer::Stopping(Stopping::Stopping))
    }

    /// The answer to [`Request::Status`].
    pub(crate) fn status(status: Status) -> Reply {
        Reply::Ok(Answer::Status(Box::new(status)))
    }
}

/// The server at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Status {
    /// Of the server's program.
    pub(crate) version: String,
    /// The supervisor's.
    pub(crate) pid: u32,
    /// The process manager's name.
    pub(crate) mpm: String,
    /// Since the supervisor started.
    pub(crate) uptime_seconds: f64,
    /// The addresses, ports as the kernel chose them.
    pub(crate) listening: Vec<String>,
    /// The server's own phase, e.g. `serving` or `draining`.
    pub(crate) phase: String,
    /// Workers by what they do.
    pub(crate) totals: Totals,
    /// One per living worker, by slot.
    pub(crate) workers: Vec<Worker>,
    /// What happened to processes since the start.
    pub(crate) counters: Counters,
    /// Background tasks of all workers, also of those that are gone.
    pub(crate) tasks: Tasks,
    /// What happened to requests since the start, also in workers that are gone.
    pub(crate) served: Served,
    /// Connections that wait in the kernel's queues, all addresses together.
    pub(crate) backlog: u32,
    /// Where the admin page is, if there is one.
    pub(crate) admin: Option<String>,
    /// The latest decisions of the process manager, oldest first.
    pub(crate) decisions: Vec<Decision>,
}

/// Workers by what they do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Totals {
    /// All that live.
    pub(crate) total: u32,
    /// With a request in them.
    pub(crate) busy: u32,
    /// Ready, without a request.
    pub(crate) idle: u32,
    /// Told to leave, not gone yet.
    pub(crate) kill_pending: u32,
    /// Not ready yet.
    pub(crate) starting: u32,
}

/// One worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Worker {
    /// Its place in the scoreboard.
    pub(crate) slot: u32,
    /// Its process.
    pub(crate) pid: u32,
    /// Which of the server's workers it is, counted from 1 in the order of their starts.
    pub(crate) generation: u64,
    /// `starting`, `ready` or `draining`.
    pub(crate) phase: String,
    /// A request is in it.
    pub(crate) busy: bool,
    /// Open connections.
    pub(crate) connections: u32,
    /// Requests in the application.
    pub(crate) in_flight: u32,
    /// Requests that wait for a thread.
    pub(crate) queued: u32,
    /// Threads that can run the application.
    pub(crate) threads: u32,
    /// Requests answered.
    pub(crate) requests: u64,
    /// Requests that failed in the application.
    pub(crate) errors: u64,
    /// Since it was forked.
    pub(crate) age_seconds: f64,
    /// From the order to start it until it could serve, in milliseconds; `None` before.
    pub(crate) ready_ms: Option<f64>,
    /// Resident memory, where known.
    pub(crate) rss_bytes: Option<u64>,
    /// Mean time in the application per request, in milliseconds; `None` before the first.
    pub(crate) mean_ms: Option<f64>,
    /// Background tasks that were left in it.
    pub(crate) tasks: Tasks,
}

/// Background tasks. Each that was taken is in one of these but the last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tasks {
    /// They wait.
    pub(crate) queued: u64,
    /// They run.
    pub(crate) running: u64,
    /// They have ended well.
    pub(crate) done: u64,
    /// They have ended with an exception.
    pub(crate) failed: u64,
    /// They are lost: their worker was killed, or had no time left for them.
    pub(crate) dropped: u64,
    /// They were not taken: as many waited as may, or their worker had no time left.
    #[serde(default)]
    pub(crate) refused: u64,
}

impl Tasks {
    /// All that were taken from the application.
    pub(crate) fn taken(&self) -> u64 {
        self.queued + self.running + self.done + self.failed + self.dropped
    }

    /// Those that are still to be done.
    pub(crate) fn open(&self) -> u64 {
        self.queued + self.running
    }

    /// Whether there ever was one.
    pub(crate) fn were_there(&self) -> bool {
        *self != Tasks::default()
    }
}

/// What happened to processes since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counters {
    /// Workers forked.
    pub(crate) spawned: u64,
    /// Workers that left because they were told to.
    pub(crate) retired: u64,
    /// Workers that left by themselves: crashed, exited, or were killed by somebody else.
    pub(crate) died: u64,
    /// Workers killed by us after the graceful timeout.
    pub(crate) killed: u64,
    /// Templates started in place of one that had died.
    pub(crate) template_restarts: u64,
    /// New code and options that have taken over.
    #[serde(default)]
    pub(crate) reloads: u64,
    /// Requests over their `--request-timeout`.
    #[serde(default)]
    pub(crate) timed_out: u64,
}

/// What happened to requests since the server's start. Every figure only grows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Served {
    /// Requests that the application has answered, by class of status.
    pub(crate) answered: Answered,
    /// Requests that the server itself has refused: malformed, too large, too slow.
    pub(crate) refused: u64,
    /// How long the answered ones took: from when a request was complete until the application had answered it.
    pub(crate) latency: Latency,
    /// Time in the application, all calls added up.
    pub(crate) call_seconds: f64,
    /// Of it, time spent waiting for the interpreter lock.
    pub(crate) lock_wait_seconds: f64,
    /// CPU time of all workers.
    pub(crate) cpu_seconds: f64,
    /// Times a worker had no room for one more call.
    pub(crate) saturated: u64,
    /// Decisions that were made to start workers.
    pub(crate) decided_to_spawn: u64,
    /// Decisions that were made to let workers go.
    pub(crate) decided_to_retire: u64,
    /// Decisions that nothing could be done.
    pub(crate) decided_in_vain: u64,
}

/// Answers by class of status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answered {
    /// Cut off before there was a status.
    pub(crate) cut: u64,
    /// Interim.
    #[serde(rename = "1xx")]
    pub(crate) informational: u64,
    /// Success.
    #[serde(rename = "2xx")]
    pub(crate) success: u64,
    /// Elsewhere, or unchanged.
    #[serde(rename = "3xx")]
    pub(crate) redirection: u64,
    /// The client's fault.
    #[serde(rename = "4xx")]
    pub(crate) client_error: u64,
    /// The application's fault.
    #[serde(rename = "5xx")]
    pub(crate) server_error: u64,
}

impl Answered {
    /// With the names that the classes have in JSON and in metrics.
    pub(crate) fn by_name(&self) -> [(&'static str, u64); 6] {
        [
            ("cut", self.cut),
            ("1xx", self.informational),
            ("2xx", self.success),
            ("3xx", self.redirection),
            ("4xx", self.client_error),
            ("5xx", self.server_error),
        ]
    }

    /// All of them.
    pub(crate) fn total(&self) -> u64 {
        self.by_name().iter().map(|(_, count)| count).sum()
    }
}

/// A histogram of times.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Latency {
    /// How many there are.
    pub(crate) count: u64,
    /// All times added up.
    pub(crate) sum_seconds: f64,
    /// Each bucket's upper bound in seconds (`None`: no bound) and how many times lie below it and not below the one
    /// before. Always the same bounds, in ascending order.
    pub(crate) buckets: Vec<(Option<f64>, u64)>,
}

impl Latency {
    /// What has come since `before`, an earlier look at the same server.
    pub(crate) fn since(&self, before: &Latency) -> Latency {
        let earlier = |index: usize| before.buckets.get(index).map_or(0, |(_, count)| *count);
        let buckets = self.buckets.iter().enumerate();
        Latency {
            count: self.count.saturating_sub(before.count),
            sum_seconds: (self.sum_seconds - before.sum_seconds).max(0.0),
            buckets: buckets.map(|(index, (bound, count))| (*bound, count.saturating_sub(earlier(index)))).collect(),
        }
    }

    /// The time in seconds that this share of all lies below, taken to be spread evenly within a bucket; `None` of none.
    pub(crate) fn quantile(&self, share: f64) -> Option<f64> {
        let count: u64 = self.buckets.iter().map(|(_, count)| count).sum();
        if count == 0 {
            return None;
        }
        let rank = share * count as f64;
        let (mut below, mut lower) = (0.0, 0.0);
        for (bound, inside) in &self.buckets {
            let inside = *inside as f64;
            // Nobody knows how far beyond the last bound the rest is.
            let Some(upper) = *bound else { return Some(lower) };
            if inside > 0.0 && below + inside >= rank {
                return Some(lower + (upper - lower) * ((rank - below) / inside).clamp(0.0, 1.0));
            }
            below += inside;
            lower = upper;
        }
        Some(lower)
    }
}

/// One decision of the process manager.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Decision {
    /// How long ago it was taken.
    pub(crate) seconds_ago: f64,
    /// When it was taken, since the supervisor's start.
    pub(crate) at_seconds: f64,
    /// From which figures it follows.
    pub(crate) reason: String,
    /// What was done, e.g. `spawn 1`, `retire slot 3`.
    pub(crate) actions: Vec<String>,
    /// These figures by name, where the policy has them.
    pub(crate) inputs: BTreeMap<String, f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_the_documented_form() {
        let json = |reply: &Reply| serde_json::to_string(reply).unwrap();
        assert_eq!(serde_json::to_string(&Request::Status).unwrap(), r#"{"command":"status"}"#);
        assert_eq!(serde_json::from_str::<Request>(r#"{"command":"stop"}"#).unwrap(), Request::Stop);
        let reload = Request::Reload { timeout_seconds: 60.0 };
        assert_eq!(serde_json::to_string(&reload).unwrap(), r#"{"command":"reload","timeout_seconds":60.0}"#);
        assert!(serde_json::from_str::<Request>(r#"{"command":"dance"}"#).is_err());
        assert_eq!(json(&Reply::stopping()), r#"{"ok":"stopping"}"#);
        assert_eq!(serde_json::from_str::<Reply>(r#"{"ok":"stopping"}"#).unwrap(), Reply::stopping());
        assert_eq!(json(&Reply::Error("no".to_owned())), r#"{"error":"no"}"#);
        let text = |reopened, kept, pending| Reopened { reopened, kept, pending }.to_string();
        assert_eq!(text(3, 0, 0), "3 workers have reopened the access log");
        assert_eq!(
            text(1, 1, 2),
            "1 worker has reopened the access log; 1 can't and keeps the old file; 2 will when their calls have ended"
        );
        // Answers are told apart by their fields.
        let reloaded = Reloaded { code_generation: 2, ready: 3, ready_seconds: 0.24, leaving: 3 };
        let reply = Reply::Ok(Answer::Reloaded(reloaded));
        assert_eq!(json(&reply), r#"{"ok":{"code_generation":2,"ready":3,"ready_seconds":0.24,"leaving":3}}"#);
        assert_eq!(serde_json::from_str::<Reply>(&json(&reply)).unwrap(), reply);
    }

    #[test]
    fn quantiles_lie_where_the_counts_say() {
        let latency = |counts: [u64; 4]| {
            let bounds = [Some(0.1), Some(0.2), Some(0.4), None];
            Latency { count: counts.iter().sum(), sum_seconds: 0.0, buckets: bounds.into_iter().zip(counts).collect() }
        };
        let table = [
            ([0, 0, 0, 0], 0.5, None),
            ([10, 0, 0, 0], 0.5, Some(0.05)),
            ([0, 10, 0, 0], 0.5, Some(0.15)),
            ([0, 10, 0, 0], 1.0, Some(0.2)),
            ([50, 0, 50, 0], 0.5, Some(0.1)),
            ([98, 0, 2, 0], 0.99, Some(0.3)),
            // Beyond all bounds: at least the last one.
            ([0, 0, 0, 5], 0.99, Some(0.4)),
        ];
        for (counts, share, expected) in table {
            let found = latency(counts).quantile(share);
            let close = match (found, expected) {
                (Some(found), Some(expected)) => f64::abs(found - expected) < 1e-9,
                (found, expected) => found == expected,
            };
            assert!(close, "{counts:?} {share}: {found:?} instead of {expected:?}");
        }
        let before = latency([1, 2, 3, 4]);
        assert_eq!(latency([1, 5, 3, 4]).since(&before), latency([0, 3, 0, 0]));
        assert_eq!(before.since(&Latency::default()), before);
    }
}
