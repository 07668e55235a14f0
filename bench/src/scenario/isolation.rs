//! Isolation: what the clients of a worker notice of one call that blocks, or computes, for a second.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use loadgen::{Load, Plan, Reuse};
use serde::{Deserialize, Serialize};

use super::{Pace, Subject, Watched};

/// How long and how hard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// Server starts per contender.
    pub(crate) replicates: u32,
    /// How long each disturbing call takes, in milliseconds. One is in progress at any time.
    pub(crate) call_ms: u32,
    /// The open loop before the measurement, beside the disturbing calls.
    pub(crate) warmup_s: f64,
    /// Undisturbed, over kept-alive connections.
    pub(crate) alone: Pace,
    /// The same beside a call that blocks. A thousand requests, so that there is a p99.
    pub(crate) blocked: Pace,
    /// Beside a call that computes: few enough that each may wait for the interpreter lock, which Python hands over
    /// every 5 ms.
    pub(crate) spinning: Pace,
    /// The same, each request over a new connection.
    pub(crate) accepting: Pace,
}

impl Settings {
    pub(crate) fn of(quick: bool) -> Self {
        let pace = |seconds, rate| Pace { seconds, rate };
        let (replicates, warmup_s, seconds) =
            if quick { (1, 0.1, [1.1, 1.1, 1.2, 1.2]) } else { (3, 0.2, [1.1, 2.2, 3.0, 3.0]) };
        Self {
            replicates,
            call_ms: 1000,
            warmup_s,
            alone: pace(seconds[0], 1000.0),
            blocked: pace(seconds[1], 1000.0),
            spinning: pace(seconds[2], 50.0),
            accepting: pace(seconds[3], 50.0),
        }
    }

    /// Seconds of load in one run, with what the last disturbing calls take to end.
    pub(crate) fn seconds(&self) -> f64 {
        let disturbed = [self.blocked, self.spinning, self.accepting];
        let measured: f64 = self.alone.seconds + disturbed.iter().map(|pace| pace.seconds).sum::<f64>();
        measured + 4.0 * self.warmup_s
    }
}

/// What one run observed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Observation {
    pub(crate) alone: Watched,
    pub(crate) blocked: Watched,
    pub(crate) spinning: Watched,
    pub(crate) accepting: Watched,
}

/// Carries it out.
///
/// # Errors
/// The load generator's reason, in a sentence.
pub(crate) fn run(subject: Subject<'_>, settings: &Settings) -> Result<Observation, String> {
    let others = |pace: Pace| {
        let mut plan = subject.paced("/", pace.rate, settings.warmup_s, pace.seconds)?;
        // Who has not been answered when a whole call is over will not be while the next one runs.
        plan.timeout = Duration::from_millis(2 * u64::from(settings.call_ms));
        Ok::<_, String>(plan)
    };
    let sleep = format!("/sleep/{}", settings.call_ms);
    let spin = format!("/spin/{}", settings.call_ms);
    let accepting = Plan { reuse: Reuse::NewConnectionPerRequest, ..others(settings.accepting)? };
    Ok(Observation {
        alone: subject.watched(&others(settings.alone)?)?,
        blocked: beside(subject, &sleep, &others(settings.blocked)?)?,
        spinning: beside(subject, &spin, &others(settings.spinning)?)?,
        accepting: beside(subject, &spin, &accepting)?,
    })
}

/// Carries out `plan` while one more connection keeps a call to `path` in progress.
fn beside(subject: Subject<'_>, path: &str, plan: &Plan) -> Result<Watched, String> {
    // Ended by the flag; the time is for the case that nobody sets it.
    let length = plan.warmup + Duration::from_secs(60);
    let mut calls = subject.plan(path, Load::closed_for(length))?;
    calls.connections = 1;
    // Others may go first; that it is slow is not what is looked at.
    calls.timeout = Duration::from_secs(60);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let disturbing = scope.spawn(|| loadgen::run(&calls, &mut |_| {}, &over));
        let watched = subject.watched(plan);
        over.store(true, Ordering::Relaxed);
        match disturbing.join() {
            Ok(Ok(report)) if report.errors_total() > 0 => {
                Err(format!("{} of the calls to {path} failed", report.errors_total()))
            }
            Ok(Ok(_)) => watched,
            Ok(Err(error)) => Err(format!("calls to {path}: {error}")),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
