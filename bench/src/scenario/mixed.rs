//! Mixed calls: most compute for a moment, some block for long. Also the search for the fixed size that suits them best.
//!
//! Two open loops side by side, so that the mixture is the same for every server and is not left to the application.

use std::thread;

use loadgen::Distribution;
use serde::{Deserialize, Serialize};

use super::{Subject, Watched};

/// One kind of call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Calls {
    pub(crate) path: String,
    /// Requests per second.
    pub(crate) rate: f64,
}

/// How long, how hard, and among which sizes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// Nine of ten calls: 2 ms of CPU each, which is 60 % of one CPU.
    pub(crate) short: Calls,
    /// One of ten: blocks for 200 ms, so that between six and seven are in progress (Little's law).
    pub(crate) blocking: Calls,
    /// Server starts per contender, also of each of the sizes that came out best.
    pub(crate) replicates: u32,
    /// The load before the measurement, in which an adaptive server finds its size.
    pub(crate) settle_s: f64,
    pub(crate) measured_s: f64,
    /// The same of the search, in which every size is started once.
    pub(crate) search_settle_s: f64,
    pub(crate) search_s: f64,
    /// The sizes of the search: each number of workers with each number of threads.
    pub(crate) workers: Vec<u32>,
    pub(crate) threads: Vec<u32>,
    /// How many of them, the best, are measured beside the others.
    pub(crate) finalists: usize,
}

impl Settings {
    pub(crate) fn of(quick: bool) -> Self {
        let (replicates, [settle_s, measured_s, search_settle_s, search_s], workers, threads, finalists) = if quick {
            (1, [0.3, 1.5, 0.2, 1.0], vec![1, 2], vec![8, 16], 2)
        } else {
            (3, [1.5, 5.0, 0.5, 3.0], vec![1, 2, 3], vec![1, 2, 4, 8, 16, 32], 3)
        };
        Self {
            short: Calls { path: "/burn/2".into(), rate: 300.0 },
            blocking: Calls { path: "/sleep/200".into(), rate: 100.0 / 3.0 },
            replicates,
            settle_s,
            measured_s,
            search_settle_s,
            search_s,
            workers,
            threads,
            finalists,
        }
    }

    /// Seconds of load in one run.
    pub(crate) fn seconds(&self) -> f64 {
        self.settle_s + self.measured_s
    }

    /// The same of the search.
    pub(crate) fn search_seconds(&self) -> f64 {
        self.search_settle_s + self.search_s
    }
}

/// What one run observed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Observation {
    pub(crate) short: Watched,
    pub(crate) blocking: Watched,
}

impl Observation {
    /// The latencies of both kinds of calls together.
    ///
    /// # Errors
    /// A damaged histogram.
    pub(crate) fn latency(&self) -> Result<Distribution, String> {
        Distribution::merged([&self.short.load.latency, &self.blocking.load.latency]).map_err(|error| error.to_string())
    }
}

/// Carries it out.
///
/// # Errors
/// The load generator's reason, in a sentence.
pub(crate) fn run(subject: Subject<'_>, settings: &Settings) -> Result<Observation, String> {
    both(subject, settings, settings.settle_s, settings.measured_s)
}

/// A run of the search: the same, shorter.
///
/// # Errors
/// The load generator's reason, in a sentence.
pub(crate) fn search(subject: Subject<'_>, settings: &Settings) -> Result<Observation, String> {
    both(subject, settings, settings.search_settle_s, settings.search_s)
}

fn both(subject: Subject<'_>, settings: &Settings, settle_s: f64, seconds: f64) -> Result<Observation, String> {
    let plan = |calls: &Calls, seed| subject.poisson(&calls.path, calls.rate, settle_s, seconds, seed);
    let (short, blocking) = (plan(&settings.short, 1)?, plan(&settings.blocking, 2)?);
    thread::scope(|scope| {
        let beside = scope.spawn(|| subject.watched(&blocking));
        let short = subject.watched(&short);
        let blocking = beside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok(Observation { short: short?, blocking: blocking? })
    })
}
