//! Watches a server's tree through a run from a thread of its own.
//!
//! Every 100 ms it counts processes and threads; once a second it also reads the proportional set size and the context
//! switches, which cost more (the kernel walks every mapping for a PSS). It has the generator's CPUs, and gives way there
//! to whatever else wants to run. Called by `scenario`; stores nothing.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
};

use super::proc;
use super::tree::{self, SwitchLedger};

/// Between two counts of the processes.
pub(crate) const PERIOD: Duration = Duration::from_millis(100);

/// Every so many periods the costly figures are read: at most once a second.
const COSTLY_EVERY: u64 = 10;

/// One look at the tree.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// Seconds since the watch began.
    pub(crate) at: f64,
    /// Living processes of the tree, managers included.
    pub(crate) processes: u32,
    /// Those of them that serve, where they can be told from the others by their name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) serving: Option<u32>,
    pub(crate) threads: u32,
    /// Threads of the process that has most of them; 0 in folders from before this was looked at.
    #[serde(default)]
    pub(crate) most_threads: u32,
    /// Proportional set size of the tree in KiB; read once a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pss_kib: Option<u64>,
}

impl Sample {
    /// How many processes serve, in a tree with so many `managers`.
    pub(crate) fn workers(&self, managers: u32) -> u32 {
        self.serving.unwrap_or_else(|| self.processes.saturating_sub(managers))
    }
}

/// What a whole watch found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Watch {
    pub(crate) samples: Vec<Sample>,
    /// CPU time of the tree during the watch, in seconds: user and system, children that were reaped included.
    pub(crate) cpu_seconds: f64,
    /// Context switches of all tasks of the tree during the watch, voluntary and not.
    pub(crate) switches: u64,
    /// Why there is no proportional set size, if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pss_missing: Option<String>,
    /// How long the watch lasted, in seconds.
    pub(crate) seconds: f64,
    /// CPU time that all of the machine used meanwhile, this watch and time stolen by a hypervisor included, in seconds;
    /// none in folders from before this was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) machine_cpu_seconds: Option<f64>,
}

/// A running watch. Dropping it without [`Sampler::finish`] ends its thread too.
pub(crate) struct Sampler {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<View>>,
    ticks_per_second: f64,
}

impl Sampler {
    /// Starts to watch the tree under `root`, `after` a warm-up that the caller begins right now. `serving` is how the
    /// command line of those who serve begins; without it nobody is told from the others.
    pub(crate) fn start(root: i32, serving: Option<&str>, ticks_per_second: f64, after: Duration) -> Self {
        let (stop, stopped) = mpsc::channel();
        let serving = serving.map(str::to_owned);
        let thread = thread::spawn(move || {
            // Ends early only when the run does: then there is nothing to watch.
            let _ = stopped.recv_timeout(after);
            let mut view = View::begin(root, serving);
            let mut due = view.began;
            give_way();
            loop {
                due += PERIOD;
                match stopped.recv_timeout(due.saturating_duration_since(Instant::now())) {
                    Err(RecvTimeoutError::Timeout) => view.look(),
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
                }
                // A late look is not made up for: the next one is due a period from now.
                due = due.max(Instant::now() - PERIOD);
            }
            view
        });
        Self { stop: Some(stop), thread: Some(thread), ticks_per_second }
    }

    /// Takes the last readings and ends the watch.
    pub(crate) fn finish(mut self) -> Watch {
        drop(self.stop.take());
        match self.thread.take().map(JoinHandle::join) {
            // Here and not in the thread, which may have to wait for a CPU.
            Some(Ok(view)) => view.end(self.ticks_per_second),
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => unreachable!("finish consumes the sampler, so its thread is still there"),
        }
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // Its own panic has been reported by the panic hook.
            let _ = thread.join();
        }
    }
}

/// From now on this thread runs only while no other on its CPU wants to (SCHED_IDLE). A look at 250 processes takes
/// longer than a turn of the scheduler; without this a request that falls due meanwhile is sent a turn (1.4 ms on two CPUs)
/// too late, and of all the latencies that are measured it is the p99 that suffers.
fn give_way() {
    let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    // Whoever is refused watches as anybody would; the generator's send lag shows what it costs.
    let _ = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy);
}

struct View {
    root: i32,
    serving: Option<String>,
    began: Instant,
    looks: u64,
    samples: Vec<Sample>,
    ticks_at_start: u64,
    machine_ticks_at_start: Option<u64>,
    ledger: SwitchLedger,
    pss_missing: Option<String>,
}

impl View {
    fn begin(root: i32, serving: Option<String>) -> Self {
        let mut view = Self {
            root,
            serving,
            began: Instant::now(),
            looks: 0,
            samples: Vec::new(),
            ticks_at_start: tree::cpu_ticks(&tree::members(root)),
            machine_ticks_at_start: machine_ticks(),
            ledger: SwitchLedger::default(),
            pss_missing: None,
        };
        view.look();
        view
    }

    fn look(&mut self) {
        let members = tree::members(self.root);
        let costly = self.looks.is_multiple_of(COSTLY_EVERY);
        self.looks += 1;
        let at = self.began.elapsed().as_secs_f64();
        let pss_kib = if costly {
            self.ledger.read(&members);
            match tree::pss_kib(&members) {
                Ok(kib) => Some(kib),
                Err(reason) => {
                    self.pss_missing = Some(reason);
                    None
                }
            }
        } else {
            None
        };
        self.samples.push(Sample {
            at,
            processes: u32::try_from(members.len()).unwrap_or(u32::MAX),
            serving: self.serving.as_deref().map(|beginning| tree::count_called(&members, beginning)),
            threads: tree::threads(&members),
            most_threads: tree::most_threads(&members),
            pss_kib,
        });
    }

    fn end(mut self, ticks_per_second: f64) -> Watch {
        let members = tree::members(self.root);
        let ticks = tree::cpu_ticks(&members).saturating_sub(self.ticks_at_start);
        self.ledger.read(&members);
        Watch {
            cpu_seconds: ticks as f64 / ticks_per_second,
            switches: self.ledger.total(),
            pss_missing: self.pss_missing,
            seconds: self.began.elapsed().as_secs_f64(),
            machine_cpu_seconds: machine_ticks()
                .zip(self.machine_ticks_at_start)
                .map(|(end, start)| end.saturating_sub(start) as f64 / ticks_per_second),
            samples: self.samples,
        }
    }
}

/// Clock ticks that the machine's CPUs were not idle, since its start.
fn machine_ticks() -> Option<u64> {
    proc::busy_ticks(&std::fs::read_to_string("/proc/stat").ok()?)
}

/// The integral of a step function through `(at, value)` points, each value holding until the next point, the last one
/// until `end`: process-seconds from process counts, KiB-seconds from sizes.
pub(crate) fn integral(points: &[(f64, f64)], end: f64) -> f64 {
    points
        .iter()
        .enumerate()
        .map(|(i, &(at, value))| {
            let until = points.get(i + 1).map_or(end, |next| next.0);
            value * (until - at).max(0.0)
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integrals_hold_each_value_until_the_next() {
        type Row<'a> = (&'a [(f64, f64)], f64, f64);
        let rows: [Row<'_>; 4] = [
            (&[], 5.0, 0.0),
            (&[(0.0, 2.0)], 5.0, 10.0),
            (&[(0.0, 2.0), (1.0, 4.0)], 3.0, 10.0),
            // An end before the last point adds nothing and takes nothing away.
            (&[(0.0, 2.0), (1.0, 4.0)], 1.0, 2.0),
        ];
        for (points, end, expected) in rows {
            assert!((integral(points, end) - expected).abs() < 1e-9, "{points:?}");
        }
    }

    #[test]
    fn who_serves_is_counted_or_what_the_managers_leave() {
        let sample =
            |processes, serving| Sample { at: 0.0, processes, serving, threads: 1, most_threads: 1, pss_kib: None };
        // (processes, counted, managers, workers)
        for (processes, serving, managers, expected) in [(5, None, 2, 3), (1, None, 2, 0), (8, Some(2), 4, 2)] {
            assert_eq!(sample(processes, serving).workers(managers), expected);
        }
    }

    #[test]
    fn who_watches_gives_way() {
        let policy = thread::spawn(|| {
            give_way();
            thread_priority::thread_schedule_policy().unwrap()
        });
        assert_eq!(policy.join().unwrap(), ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle));
    }

    #[test]
    fn a_watch_of_this_process_sees_it() {
        let me = i32::try_from(std::process::id()).unwrap();
        let watch = Sampler::start(me, None, 100.0, Duration::ZERO).finish();
        assert!(watch.samples[0].processes >= 1);
        assert_eq!(watch.samples[0].serving, None);
        assert!(watch.samples[0].pss_kib.is_some());
        assert!(watch.seconds >= 0.0);
    }
}
