//! Signals as they happen: sent, raised by the kernel, delivered. What tracepoints and strace(1) say of them.
//!
//! Pure parsers; `scenario::counters` runs the programs. Masks, which say who *could* be signalled, are in `signals`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::signals;

/// How often each signal, by name, in a tree of processes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Signals {
    /// Sent by a process of the tree (kill(2) and its like), whoever was to get them.
    pub(crate) sent: BTreeMap<String, u64>,
    /// Raised by the kernel for a process of the tree, ignored ones as well: a SIGCHLD for every child that ends.
    pub(crate) raised: BTreeMap<String, u64>,
    /// Delivered to a process of the tree: a handler ran, or the process ended. A signal that ends a process is delivered
    /// as SIGKILL, whatever it was. What signalfd(2) and sigwait(3) read is not delivered.
    pub(crate) delivered: BTreeMap<String, u64>,
}

impl Signals {
    /// From what `perf script -F pid,tid,event,trace` prints of `signal:signal_generate`, `signal:signal_deliver` and
    /// `sched:sched_process_fork` of the whole machine; `tree` are the tasks that were there before.
    ///
    /// ```text
    /// 71/71 signal:signal_generate: sig=17 errno=0 code=1 comm=sh pid=70 grp=1 res=0
    /// 70/70 signal:signal_deliver: sig=17 errno=0 code=1 sa_handler=555714776dc0 sa_flags=4000000
    /// 70/70 sched:sched_process_fork: comm=sh pid=70 child_comm=sh child_pid=72
    /// ```
    pub(crate) fn of_events(script: &str, tree: &BTreeSet<i32>) -> Self {
        let mut tree = tree.clone();
        let mut signals = Self::default();
        for line in script.lines() {
            let Some((task, event)) = line.trim_start().split_once(char::is_whitespace) else { continue };
            let Some(process) = task.split('/').next().and_then(|pid| pid.parse::<i32>().ok()) else { continue };
            let Some((event, fields)) = event.trim_start().split_once(": ") else { continue };
            match event {
                "sched:sched_process_fork" if tree.contains(&process) => tree.extend(last(fields, "child_pid=")),
                "signal:signal_generate" => {
                    let (Some(name), Some(code)) = (name(fields), first(fields, "code=")) else { continue };
                    // SI_USER is 0, the codes of the other ways to send one are below (sigaction(2)).
                    let map = match code <= 0 {
                        true if tree.contains(&process) => &mut signals.sent,
                        false if last(fields, "pid=").is_some_and(|pid| tree.contains(&pid)) => &mut signals.raised,
                        _ => continue,
                    };
                    *map.entry(name).or_insert(0) += 1;
                }
                "signal:signal_deliver" if tree.contains(&process) => {
                    let Some(name) = name(fields) else { continue };
                    *signals.delivered.entry(name).or_insert(0) += 1;
                }
                _ => {}
            }
        }
        signals
    }

    /// From the log of `strace -f`. It sees signals before they are ignored, and calls them all delivered.
    ///
    /// ```text
    /// 70    --- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=71, …} ---
    /// 70    kill(71, SIGTERM) = 0
    /// ```
    pub(crate) fn of_strace(log: &str) -> Self {
        let mut signals = Self::default();
        for line in log.lines() {
            let Some((_, said)) = line.split_once(' ') else { continue };
            let said = said.trim_start();
            if let Some(name) = said.strip_prefix("--- SIG").and_then(|rest| rest.split(' ').next()) {
                *signals.delivered.entry(format!("SIG{name}")).or_insert(0) += 1;
            } else if SENDERS.iter().any(|call| said.starts_with(call))
                && let Some((_, name)) = said.split_once(", SIG")
                && let Some(name) = name.split([')', ',']).next()
            {
                *signals.sent.entry(format!("SIG{name}")).or_insert(0) += 1;
            }
        }
        signals
    }
}

/// The calls that send signals.
const SENDERS: [&str; 6] =
    ["kill(", "tkill(", "tgkill(", "rt_sigqueueinfo(", "rt_tgsigqueueinfo(", "pidfd_send_signal("];

fn name(fields: &str) -> Option<String> {
    let number: u32 = first(fields, "sig=")?.try_into().ok()?;
    signals::names(1_u64.checked_shl(number.checked_sub(1)?)?).pop()
}

/// The number behind the first `key`.
fn first(fields: &str, key: &str) -> Option<i32> {
    fields.split(' ').find_map(|field| field.strip_prefix(key)?.parse().ok())
}

/// The number behind the last `key`: in front of it stands a command's name, which may hold anything.
fn last(fields: &str, key: &str) -> Option<i32> {
    fields.split(' ').rev().find_map(|field| field.strip_prefix(key)?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(rows: &[(&str, u64)]) -> BTreeMap<String, u64> {
        rows.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    #[test]
    fn events_of_the_tree_are_counted_and_others_not() {
        let script = "\
   70/70    sched:sched_process_fork: comm=sh pid=70 child_comm=pid=9 child_pid=71
   71/71    signal:signal_generate: sig=17 errno=0 code=1 comm=a pid=9 b pid=70 grp=1 res=0
   70/70      signal:signal_deliver: sig=17 errno=0 code=1 sa_handler=555714776dc0 sa_flags=4000000
   70/72    signal:signal_generate: sig=10 errno=0 code=0 comm=sh pid=71 grp=1 res=0
   71/71      signal:signal_deliver: sig=9 errno=0 code=0 sa_handler=0 sa_flags=0
  800/800   signal:signal_generate: sig=17 errno=0 code=1 comm=sh pid=801 grp=1 res=0
  800/800     signal:signal_deliver: sig=17 errno=0 code=1 sa_handler=1 sa_flags=0
  800/800   signal:signal_generate: sig=2 errno=0 code=0 comm=sh pid=70 grp=1 res=0
something else
";
        let signals = Signals::of_events(script, &BTreeSet::from([70]));
        assert_eq!(signals.sent, map(&[("SIGUSR1", 1)]));
        assert_eq!(signals.raised, map(&[("SIGCHLD", 1)]));
        assert_eq!(signals.delivered, map(&[("SIGCHLD", 1), ("SIGKILL", 1)]));
        assert_eq!(Signals::of_events(script, &BTreeSet::new()), Signals::default());
    }

    #[test]
    fn a_log_of_strace_is_read() {
        let log = "\
70    kill(71, SIGTERM)                 = 0
70    --- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=71} ---
71    tgkill(71, 73, SIGRT_2) = 0
71    read(3, \"kill(1, SIGHUP)\", 20) = 20
71    +++ exited with 0 +++
";
        let signals = Signals::of_strace(log);
        assert_eq!(signals.sent, map(&[("SIGRT_2", 1), ("SIGTERM", 1)]));
        assert_eq!(signals.delivered, map(&[("SIGCHLD", 1)]));
        assert!(signals.raised.is_empty());
    }
}
