//! Something fails while a load goes on: a worker is killed, or the server is told to reload.
//!
//! Knows a tree of processes, not what they are to each other: a worker is the descendant of the root that used most of
//! the CPU just before, which under load is one that serves. Called by the executor of descriptions.

use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::observe::proc::Stat;
use crate::observe::tree;
use crate::process::tool;
use crate::scenario::Subject;

/// How long processes are watched for who of them works.
const LOOK: Duration = Duration::from_millis(200);

/// What fails, and when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Failure {
    /// Seconds after the beginning of the measured open loop.
    pub(crate) at_s: f64,
    pub(crate) what: What,
}

/// What fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum What {
    /// A process that serves gets SIGKILL.
    KillWorker,
    /// The server is told to load its code anew, in the way that its contender file says.
    Reload,
}

/// How a server is told to reload.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Reload {
    /// A signal to the root of its tree, by its name: `SIGHUP`.
    Signal(String),
    /// A command that ends when it has done so, or when the server has taken the order.
    Command(Vec<String>),
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Strike {
    Done {
        /// Seconds after the beginning of the measured open loop.
        at_s: f64,
        /// To whom or with what.
        how: String,
    },
    /// It was not possible: the reason in a sentence.
    NotDone(String),
}

/// Lets it happen at its time, the load beginning with a warm-up right now.
pub(super) fn strike(subject: Subject<'_>, failure: &Failure, warmup: Duration) -> Strike {
    let began = Instant::now();
    let due = began + warmup + Duration::from_secs_f64(failure.at_s);
    // Time is what is waited for here: the failure has a time of its own.
    let until = |moment: Instant| thread::sleep(moment.saturating_duration_since(Instant::now()));
    until(due.checked_sub(LOOK).unwrap_or(due));
    let done = match failure.what {
        What::KillWorker => {
            let before = tree::members(subject.root);
            until(due);
            end_worker(subject.root, &before)
        }
        What::Reload => {
            until(due);
            reload(subject)
        }
    };
    match done {
        Err(reason) => Strike::NotDone(reason),
        Ok(how) => Strike::Done { at_s: (due - began).saturating_sub(warmup).as_secs_f64(), how },
    }
}

fn end_worker(root: i32, before: &[Stat]) -> Result<String, String> {
    let now = tree::members(root);
    let worker = busiest(root, before, &now).ok_or("the server has one process, and no worker to kill")?;
    let (pid, name) = (worker.pid, worker.name.clone());
    kill(Pid::from_raw(pid), Signal::SIGKILL).map_err(|error| format!("worker {pid} cannot be killed: {error}"))?;
    Ok(format!("SIGKILL to {name}"))
}

/// The descendant of `root` that used most of the CPU between two looks; of idle ones, that which ever used most.
fn busiest<'a>(root: i32, before: &[Stat], now: &'a [Stat]) -> Option<&'a Stat> {
    let used = |stat: &Stat| {
        let earlier = before.iter().find(|other| other.pid == stat.pid).map_or(0, |other| other.own_ticks);
        stat.own_ticks.saturating_sub(earlier)
    };
    now.iter().filter(|stat| stat.pid != root).max_by_key(|stat| (used(stat), stat.own_ticks))
}

fn reload(subject: Subject<'_>) -> Result<String, String> {
    match subject.reload {
        None => Err("the contender's file says no way to reload it".into()),
        Some(Reload::Signal(name)) => {
            let signal: Signal = name.parse().map_err(|_| format!("{name} is no signal"))?;
            kill(Pid::from_raw(subject.root), signal).map_err(|error| format!("{name}: {error}"))?;
            Ok(format!("{name} to the server"))
        }
        Some(Reload::Command(words)) => {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let outcome = tool::run(&words, None, &[], tool::ASK)?;
            if !outcome.success {
                return Err(format!("the server did not reload: {}", outcome.last_words()));
            }
            Ok("the server's own command".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(pid: i32, own_ticks: u64) -> Stat {
        let text = format!("{pid} (worker) S 1 1 1 0 -1 0 0 0 0 0 {own_ticks} 0 0 0 20 0 1 0 100 0 0");
        crate::observe::proc::stat(&text).unwrap()
    }

    #[test]
    fn a_worker_is_who_worked_last() {
        // (ticks before, ticks now) of 1, which is the root, 2 and 3; who is taken
        let rows: [(&[u64], &[u64], Option<i32>); 4] = [
            (&[0, 5, 90], &[500, 25, 95], Some(2)),
            // Nobody worked: who ever did most.
            (&[0, 5, 90], &[0, 5, 90], Some(3)),
            // One that is new.
            (&[0, 5], &[0, 6, 9], Some(3)),
            (&[7], &[9], None),
        ];
        let stats = |ticks: &[u64]| -> Vec<Stat> { (1..).zip(ticks).map(|(pid, ticks)| stat(pid, *ticks)).collect() };
        for (before, now, expected) in rows {
            let now = stats(now);
            assert_eq!(busiest(1, &stats(before), &now).map(|stat| stat.pid), expected);
        }
    }
}
