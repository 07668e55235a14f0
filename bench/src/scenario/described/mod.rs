//! Scenarios that a file describes: requests, load, what goes on beside it, and what fails meanwhile.
//!
//! Owns the format of `scenarios/*.toml` and carries a description out. Knows no server: how one is told to reload comes
//! with the [`Subject`]. Called by `scenario`; `files` reads descriptions, `failure` and `slow` do what their names say.

pub(crate) mod failure;
pub(crate) mod files;
mod slow;

use std::thread;
use std::time::Duration;

use loadgen::{Arrivals, Entry, Load, Order, Plan, RequestList, Reuse, Stage};
use serde::{Deserialize, Serialize};

use super::crowd::Crowd;
use super::{Subject, Watched};
use failure::{Failure, Strike};
use slow::{Slow, Slowness};

/// Length of an interval of a load in which something fails: short, so that the time until p99 is back is known to it.
const FINE: Duration = Duration::from_millis(250);

/// One `scenarios/NAME.toml`; stored with the results, so that a report needs no file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Description {
    /// The file's name without its ending.
    #[serde(default)]
    pub(crate) name: String,
    /// Heading of the report.
    pub(crate) title: String,
    /// What it does and why: a paragraph of the report.
    pub(crate) about: String,
    /// Module of `bench/apps` whose `app` is served. It answers a GET of `/` with 200.
    pub(crate) app: String,
    /// The module, run as a program with a folder, makes its data there; the server has the folder in `BENCH_DATA`.
    #[serde(default)]
    pub(crate) data: bool,
    /// Server starts per contender; intervals need 3.
    #[serde(default = "Description::starts")]
    pub(crate) starts: u32,
    /// How much of its length a quick session has, where a quarter says nothing.
    #[serde(default = "Description::quarter", skip_serializing_if = "Description::is_quarter")]
    pub(crate) quick: f64,
    #[serde(default)]
    pub(crate) connections: Connections,
    /// One, or several of which one is drawn by weight for each request.
    pub(crate) request: Vec<Request>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) closed: Option<Closed>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) open: Option<Open>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) beside: Option<Beside>,
    /// Happens during the open loop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<Failure>,
}

/// What becomes of a connection after an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Connections {
    #[default]
    KeepAlive,
    PerRequest,
}

/// A request, and the answer that the gate insists on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    #[serde(default = "Request::get")]
    pub(crate) method: String,
    /// May have places to fill in, such as `{rand:1..1000}`.
    pub(crate) path: String,
    /// The path of the gate's request, where `path` has places.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) check: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) headers: Vec<(String, String)>,
    /// Length of the request's body.
    #[serde(default)]
    pub(crate) bytes: usize,
    #[serde(default = "Request::weight")]
    pub(crate) weight: u32,
    pub(crate) expect: Expect,
}

/// A right answer. What is absent may be anything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expect {
    pub(crate) status: u16,
    /// Header fields with their whole values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) headers: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<String>,
    /// The length of the body in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bytes: Option<usize>,
}

/// As many requests as the server answers: says throughput and cost, not latency.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Closed {
    pub(crate) connections: usize,
    pub(crate) warmup_s: f64,
    pub(crate) seconds: f64,
}

/// The same load for all, whatever they answer: says latency.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Open {
    #[serde(default)]
    pub(crate) warmup_s: f64,
    #[serde(default)]
    pub(crate) arrivals: Spread,
    /// The objective: a p99 per interval at or below this, in milliseconds.
    pub(crate) objective_ms: f64,
    pub(crate) stages: Vec<Part>,
}

/// How arrivals are spread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Spread {
    #[default]
    Even,
    /// As from many users who know nothing of one another; the same arrivals for every server.
    Poisson,
}

/// A time with one rate, or with one that changes evenly.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Part {
    pub(crate) seconds: f64,
    /// Requests per second.
    pub(crate) rate: f64,
    /// The rate at its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<f64>,
}

/// Other clients, during both loads; none of them is in the figures of the load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Beside {
    /// Connections that have had one request answered.
    #[serde(default)]
    pub(crate) idle: usize,
    /// Clients whose request's body drips.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) slow_uploads: Option<Slowness>,
    /// Clients that read their answer little by little.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) slow_readers: Option<Slowness>,
}

/// What one run observed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Observation {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) closed: Option<Watched>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) open: Option<Watched>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) beside: Option<Others>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) strike: Option<Strike>,
}

/// What became of the other clients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Others {
    /// Idle connections that were made, and those of them that the server had not closed in the end.
    pub(crate) idle_made: usize,
    pub(crate) idle_left: usize,
    /// Slow clients that got their whole answer, and those that were refused or cut off.
    pub(crate) slow_served: u64,
    pub(crate) slow_failed: u64,
}

impl Description {
    fn starts() -> u32 {
        3
    }

    fn quarter() -> f64 {
        0.25
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_quarter(share: &f64) -> bool {
        *share == Self::quarter()
    }

    /// Seconds of load in one run.
    pub(crate) fn seconds(&self) -> f64 {
        let closed = self.closed.as_ref().map_or(0.0, |closed| closed.warmup_s + closed.seconds);
        let open = self.open.as_ref().map_or(0.0, |open| open.warmup_s + open.seconds());
        closed + open
    }

    /// The same in a part of the time, once, and with fewer idle connections.
    pub(crate) fn quick(mut self) -> Self {
        let share = self.quick;
        self.starts = 1;
        if let Some(closed) = &mut self.closed {
            closed.warmup_s *= share;
            closed.seconds *= share;
        }
        if let Some(open) = &mut self.open {
            open.warmup_s *= share;
            open.stages.iter_mut().for_each(|stage| stage.seconds *= share);
        }
        if let Some(failure) = &mut self.failure {
            failure.at_s *= share;
        }
        if let Some(beside) = &mut self.beside {
            beside.idle = beside.idle.div_ceil(4);
        }
        self
    }

    /// Whether the process needs a descriptor for each of many connections.
    pub(crate) fn is_crowded(&self) -> bool {
        self.beside.as_ref().is_some_and(|beside| beside.idle > 0)
    }

    fn plan(&self, subject: Subject<'_>, load: Load, warmup_s: f64) -> Result<Plan, String> {
        let first = self.request.first().ok_or("the description has no request")?;
        let mut plan = subject.plan(&first.path, load)?;
        plan.warmup = Duration::from_secs_f64(warmup_s);
        if self.connections == Connections::PerRequest {
            plan.reuse = Reuse::NewConnectionPerRequest;
        }
        if self.request.len() == 1 {
            (plan.method, plan.headers, plan.body) = (first.method.clone(), first.headers.clone(), first.content());
        } else {
            let entries = self.request.iter().map(Request::entry).collect();
            plan.list = Some(RequestList { entries, order: Order::Random });
        }
        Ok(plan)
    }
}

impl Request {
    fn get() -> String {
        "GET".into()
    }

    fn weight() -> u32 {
        1
    }

    /// The request's body.
    pub(crate) fn content(&self) -> Vec<u8> {
        vec![b'x'; self.bytes]
    }

    fn entry(&self) -> Entry {
        Entry {
            method: self.method.clone(),
            path: self.path.clone(),
            headers: self.headers.clone(),
            body: self.content(),
            weight: self.weight,
        }
    }
}

impl Open {
    /// How many requests there are to be.
    pub(crate) fn requests(&self) -> f64 {
        self.stages.iter().map(|stage| stage.seconds * (stage.rate + stage.to.unwrap_or(stage.rate)) / 2.0).sum()
    }

    /// Seconds of all stages.
    pub(crate) fn seconds(&self) -> f64 {
        self.stages.iter().map(|stage| stage.seconds).sum()
    }

    fn load(&self) -> Load {
        let stages = self.stages.iter().map(|stage| Stage {
            duration: Duration::from_secs_f64(stage.seconds),
            rate: stage.rate,
            to: stage.to,
        });
        let arrivals = match self.arrivals {
            Spread::Even => Arrivals::Constant,
            Spread::Poisson => Arrivals::Poisson,
        };
        Load::Open { stages: stages.collect(), arrivals, seed: 1 }
    }
}

/// Carries it out.
///
/// # Errors
/// The load generator's reason, or why the other clients could not come, in a sentence.
pub(crate) fn run(subject: Subject<'_>, description: &Description) -> Result<Observation, String> {
    let others = description.beside.as_ref().map(|beside| begin(subject, beside)).transpose()?;
    let closed = match &description.closed {
        None => None,
        Some(closed) => {
            let load = Load::closed_for(Duration::from_secs_f64(closed.seconds));
            let mut plan = description.plan(subject, load, closed.warmup_s)?;
            plan.connections = closed.connections;
            Some(subject.watched(&plan)?)
        }
    };
    let (mut watched, mut strike) = (None, None);
    if let Some(open) = &description.open {
        let mut plan = description.plan(subject, open.load(), open.warmup_s)?;
        match &description.failure {
            None => watched = Some(subject.watched(&plan)?),
            Some(failure) => {
                plan.interval = FINE;
                let (load, done) = thread::scope(|scope| {
                    let beside = scope.spawn(|| failure::strike(subject, failure, plan.warmup));
                    let load = subject.watched(&plan);
                    (load, beside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                });
                (watched, strike) = (Some(load?), Some(done));
            }
        }
    }
    Ok(Observation { closed, open: watched, beside: others.map(end), strike })
}

/// Clients that are there.
struct Company {
    crowd: Option<Crowd>,
    made: usize,
    slow: Vec<Slow>,
}

fn begin(subject: Subject<'_>, beside: &Beside) -> Result<Company, String> {
    let timeout = Duration::from_secs_f64(subject.timeout_s);
    let crowd = match beside.idle {
        0 => None,
        count => Some(Crowd::gather(subject.base, count, timeout)?),
    };
    let uploads = beside.slow_uploads.iter().map(|slowness| Slow::uploading(subject.base, slowness));
    let readers = beside.slow_readers.iter().map(|slowness| Slow::reading(subject.base, slowness));
    let slow = uploads.chain(readers).collect::<Result<_, _>>()?;
    Ok(Company { crowd, made: beside.idle, slow })
}

fn end(company: Company) -> Others {
    let mut others = Others {
        idle_made: company.made,
        idle_left: company.crowd.as_ref().map_or(0, Crowd::left),
        ..Others::default()
    };
    for slow in company.slow {
        let (served, failed) = slow.finish();
        others.slow_served += served;
        others.slow_failed += failed;
    }
    others
}
