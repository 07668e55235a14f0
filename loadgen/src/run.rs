//! Carries out a plan: resolves the target, starts the threads, gathers what they count.
//!
//! The calling thread coordinates and generates no load. It learns everything from the threads'
//! messages and touches none of their state.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mio::Waker;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Pid;

use crate::clock::{self, nanos};
use crate::collect::Collector;
use crate::connection::Endpoint;
use crate::distribution::Recorder;
use crate::driver;
use crate::engine::Engine;
use crate::error::{PlanError, RunError};
use crate::pacer::Pacer;
use crate::plan::{Load, Plan, Reuse, Stop};
use crate::report::{Interval, Report, RequestReport, Setup};
#[cfg(feature = "reqwest")]
use crate::reqwest_engine::{self, Outlet};
use crate::resolution::Resolution;
use crate::script::{Cursor, Script};
use crate::shard::{Part, share};
use crate::tally::EntryTally;
use crate::target::Address;
use crate::targets::Entry;
use crate::task::{Flags, Message, Source, Task};
use crate::timeline::Timeline;

/// How often the caller's `stop` is looked at.
const STOP_CHECK: Duration = Duration::from_millis(50);
/// Time between telling the threads when to start and that start.
const HEAD_START: Duration = Duration::from_millis(2);
/// Descriptors that a run needs besides its connections, generously.
const OTHER_FILES: u64 = 64;

/// The plan's engine, ready for every thread.
enum Prepared {
    Fast,
    #[cfg(feature = "reqwest")]
    Reqwest(Box<Outlet>),
}

impl Prepared {
    // The fast engine is told the endpoint with each task.
    #[cfg_attr(not(feature = "reqwest"), allow(unused_variables))]
    fn of(plan: &Plan, endpoint: &Endpoint) -> Result<Self, RunError> {
        match &plan.engine {
            Engine::Fast => Ok(Self::Fast),
            #[cfg(feature = "reqwest")]
            Engine::Reqwest(transport) => Ok(Self::Reqwest(Box::new(Outlet::new(plan, transport, endpoint)?))),
            #[cfg(not(feature = "reqwest"))]
            Engine::Reqwest(_) => unreachable!("the plan's check refuses it"),
        }
    }
}

/// Carries out `plan` and blocks until it is over: until its last request is answered or timed
/// out, at most about twice the timeout after the measured time. Calls `progress` on the calling
/// thread after every interval. Setting `stop` ends the run within about 50 ms, with a report of
/// what was measured so far that has [`Report::interrupted`] set.
///
/// When a host name has several addresses, each is tried with a connection of its own first; a
/// target with one address sees no connection but those of the plan. The soft limit on open files
/// is raised when the plan needs it.
///
/// # Errors
/// See [`RunError`]. Once the target has accepted one connection, failures of requests are counted
/// in the report and are no errors of the run.
pub fn run(plan: &Plan, progress: &mut dyn FnMut(&Interval), stop: &AtomicBool) -> Result<Report, RunError> {
    plan.check()?;
    let part = Part::of(plan);
    ensure_files(part.connections)?;
    let endpoint = resolve(plan)?;
    let engine = Prepared::of(plan, &endpoint)?;
    let script = Script::new(plan.messages()?, plan.choice()?);
    let script = script.map_err(|e| set_up("put the request into memory", e))?;
    let flags = Flags::default();
    thread::scope(|scope| {
        let count = part.threads;
        let (out, inbox) = mpsc::channel();
        let mut begins = Vec::with_capacity(count);
        for thread in 0..count {
            // Its number among those of all shards, and how many those are.
            let (number, all) = (part.first_thread + thread, part.all_threads);
            let (begin, wait) = mpsc::channel();
            let task = Task {
                thread,
                endpoint: &endpoint,
                script: &script,
                cursor: Cursor::new(plan.seed, number, all),
                cookies: plan.cookies,
                keep_alive: plan.reuse == Reuse::KeepAlive,
                slots: share(part.connections as u64, thread, count) as usize,
                timeout: nanos(plan.timeout),
                connect_timeout: nanos(plan.connect_timeout),
                outstanding: plan.max_outstanding.map_or(u64::MAX, |most| share(most as u64, number, all)),
                depth: plan.pipeline,
                per_connection: plan.requests_per_connection.unwrap_or(u64::MAX),
                think_time: nanos(plan.think_time),
                flags: &flags,
                out: out.clone(),
            };
            let (engine, source) = (&engine, source(plan, number, all));
            let cpu = plan.cpus.as_ref().map(|cpus| cpus[thread % cpus.len()]);
            thread::Builder::new()
                .name(format!("load-{thread}"))
                .spawn_scoped(scope, move || start(task, source, engine, cpu, &wait))
                .map_err(|source| set_up("start a generator thread", source))?;
            begins.push(begin);
        }
        drop(out);
        let threads = Threads { inbox, begins, wakers: Vec::with_capacity(count), flags: &flags };
        threads.coordinate(plan, part, &endpoint, progress, stop)
    })
}

/// The first thing a generator thread does: go to its CPU. Memory it touches later is then local.
fn start(task: Task<'_>, source: Source, engine: &Prepared, cpu: Option<usize>, begin: &Receiver<Timeline>) {
    if let Some(cpu) = cpu {
        let mut set = CpuSet::new();
        let pinned = set.set(cpu).and_then(|()| sched_setaffinity(Pid::from_raw(0), &set));
        if let Err(e) = pinned {
            let what =
                format!("pin a generator thread to CPU {cpu} (--cpus must name those that this process may use)");
            let _ = task.out.send(Message::Broken { what, source: e.into() });
            return;
        }
    }
    match engine {
        Prepared::Fast => driver::drive(task, source, begin),
        #[cfg(feature = "reqwest")]
        Prepared::Reqwest(outlet) => reqwest_engine::drive(task, source, outlet, begin),
    }
}

/// The generator threads, as the coordinator sees them.
struct Threads<'a> {
    inbox: Receiver<Message>,
    begins: Vec<Sender<Timeline>>,
    wakers: Vec<Arc<Waker>>,
    flags: &'a Flags,
}

impl Threads<'_> {
    fn coordinate(
        mut self,
        plan: &Plan,
        part: Part,
        endpoint: &Endpoint,
        progress: &mut dyn FnMut(&Interval),
        stop: &AtomicBool,
    ) -> Result<Report, RunError> {
        self.await_ready()?;
        let timeline = timeline(plan, clock::now().saturating_add(nanos(until_start(plan, SystemTime::now())?)));
        let to_measured = Duration::from_nanos(timeline.measured.saturating_sub(clock::now()));
        let started_unix_s = unix_seconds(SystemTime::now() + to_measured);
        let count = self.begins.len();
        for begin in self.begins.drain(..) {
            // A thread that is gone has said why; that message comes next.
            let _ = begin.send(timeline);
        }
        let deadline = plan.deadline.map_or(u64::MAX, |deadline| timeline.start.saturating_add(nanos(deadline)));
        let mut collector = Collector::new(timeline, count);
        let mut entries: Vec<EntryTally> = Vec::new();
        let (mut interrupted, mut halted) = (false, false);
        let mut running = count;
        while running > 0 {
            let left = Duration::from_nanos(deadline.saturating_sub(clock::now()));
            if left.is_zero() && !halted {
                halted = true;
                self.halt();
            }
            match self.inbox.recv_timeout(if halted { STOP_CHECK } else { STOP_CHECK.min(left) }) {
                Ok(Message::Interval { thread, from, until, last, tally }) => {
                    collector.add(thread, (from, until), last, &tally).iter().for_each(&mut *progress);
                    running -= usize::from(last);
                }
                Ok(Message::Entries(more)) if entries.is_empty() => entries = more,
                Ok(Message::Entries(more)) => entries.iter_mut().zip(&more).for_each(|(sum, one)| sum.add(one)),
                Ok(Message::Down(source)) => {
                    self.halt();
                    return Err(RunError::TargetDown { target: way(plan), source });
                }
                Ok(Message::NoTls(source)) => {
                    self.halt();
                    return Err(RunError::Tls { target: way(plan), source });
                }
                Ok(Message::Broken { what, source }) => {
                    self.halt();
                    return Err(RunError::Setup { what, source });
                }
                Ok(Message::Ready(_)) | Err(RecvTimeoutError::Timeout) => {}
                // Every thread is gone without a last tally: one panicked, and the scope says so.
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if stop.load(Ordering::Relaxed) && !halted && running > 0 {
                (interrupted, halted) = (true, true);
                self.halt();
            }
        }
        let open = matches!(plan.load, Load::Open { .. });
        let mut report = collector.report(setup(plan, part, endpoint), started_unix_s, open, interrupted);
        report.targets = requests(plan, &entries);
        Ok(report)
    }

    /// Waits until every thread is set up. On an error the dropped channels call the others off.
    fn await_ready(&mut self) -> Result<(), RunError> {
        while self.wakers.len() < self.begins.len() {
            match self.inbox.recv() {
                Ok(Message::Ready(waker)) => self.wakers.push(waker),
                Ok(Message::Broken { what, source }) => {
                    return Err(RunError::Setup { what, source });
                }
                Ok(Message::Down(_) | Message::NoTls(_) | Message::Entries(_) | Message::Interval { .. }) => {}
                Err(mpsc::RecvError) => break,
            }
        }
        Ok(())
    }

    fn halt(&self) {
        self.flags.halt.store(true, Ordering::Release);
        for waker in &self.wakers {
            // The only failure is a full counter, which wakes just as well.
            let _ = waker.wake();
        }
    }
}

/// The time from `now` until load begins.
///
/// # Errors
/// A beginning that is over by now: a shard that began late would not be part of the run.
fn until_start(plan: &Plan, now: SystemTime) -> Result<Duration, PlanError> {
    match plan.start_at.map(|start| start.duration_since(now)) {
        None => Ok(HEAD_START),
        Some(Ok(wait)) if wait >= HEAD_START => Ok(wait),
        Some(_) => Err(PlanError {
            field: "start-at",
            reason: "that time was over before the generator was ready; choose a later one".to_owned(),
        }),
    }
}

/// Where the plan's parts of time lie when load begins at `start`.
fn timeline(plan: &Plan, start: u64) -> Timeline {
    let measured = start.saturating_add(nanos(plan.warmup));
    let length = match &plan.load {
        Load::Closed { stop: Stop::Duration(duration) } => Some(nanos(*duration)),
        Load::Closed { stop: Stop::Requests(_) } => None,
        Load::Open { stages, .. } => {
            Some(stages.iter().fold(0u64, |sum, stage| sum.saturating_add(nanos(stage.duration))))
        }
    };
    Timeline {
        start,
        measured,
        end: length.map(|length| measured.saturating_add(length)),
        interval: nanos(plan.interval),
    }
}

/// A thread's part of the plan's load.
fn source(plan: &Plan, thread: usize, threads: usize) -> Source {
    match &plan.load {
        Load::Closed { stop: Stop::Duration(_) } => Source::Closed { left: None },
        Load::Closed { stop: Stop::Requests(requests) } => {
            Source::Closed { left: Some(share(*requests, thread, threads)) }
        }
        Load::Open { stages, arrivals, seed } => {
            let pacer = Pacer::after_warmup(plan.warmup, stages, *arrivals, *seed, thread, threads);
            Source::Open { pacer }
        }
    }
}

/// Whom the plan's connections are made to.
fn peer(plan: &Plan) -> Result<Address, RunError> {
    match plan.engine.proxy() {
        #[cfg(feature = "reqwest")]
        Some(proxy) => Ok(reqwest_engine::proxy_address(proxy)?),
        _ => Ok(plan.target.address().clone()),
    }
}

/// The target, and what is in between, for messages.
fn way(plan: &Plan) -> String {
    match plan.engine.for_report().proxy() {
        Some(proxy) => format!("{} through {proxy}", plan.target),
        None => plan.target.to_string(),
    }
}

fn resolve(plan: &Plan) -> Result<Endpoint, RunError> {
    let (host, port) = match peer(plan)? {
        Address::Unix(path) => return Ok(Endpoint::Unix(path)),
        Address::Tcp { host, port } => (host, port),
    };
    let given = |entry: &&Resolution| plan.target.is_at(&entry.host, entry.port);
    if let Some(entry) = plan.resolve.iter().find(given) {
        return Ok(Endpoint::Tcp(SocketAddr::new(entry.address, port)));
    }
    let failed = |source| RunError::Resolve { host: host.clone(), source };
    let found: Vec<SocketAddr> = (host.as_str(), port).to_socket_addrs().map_err(failed)?.collect();
    match found.as_slice() {
        [] => Err(failed(io::Error::new(io::ErrorKind::NotFound, "the name has no address"))),
        [only] => Ok(Endpoint::Tcp(*only)),
        // As a rule `localhost`, with a server on only one of ::1 and 127.0.0.1.
        several => first_reachable(several, plan),
    }
}

fn first_reachable(addresses: &[SocketAddr], plan: &Plan) -> Result<Endpoint, RunError> {
    let mut refusal = io::Error::from(io::ErrorKind::NotFound);
    for address in addresses {
        match TcpStream::connect_timeout(address, plan.connect_timeout) {
            Ok(_) => return Ok(Endpoint::Tcp(*address)),
            Err(e) => refusal = e,
        }
    }
    Err(RunError::TargetDown { target: way(plan), source: refusal })
}

/// Makes sure that so many connections can be open, raising the soft limit if need be.
fn ensure_files(connections: usize) -> Result<(), RunError> {
    let needed = connections as u64 + OTHER_FILES;
    let failed = |e: nix::Error| set_up("read or raise the limit on open files", e.into());
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(failed)?;
    if soft >= needed {
        return Ok(());
    }
    if hard < needed {
        return Err(RunError::FileLimit { connections, needed, limit: hard });
    }
    setrlimit(Resource::RLIMIT_NOFILE, needed, hard).map_err(failed)
}

fn set_up(what: &str, source: io::Error) -> RunError {
    RunError::Setup { what: what.to_owned(), source }
}

fn setup(plan: &Plan, part: Part, endpoint: &Endpoint) -> Setup {
    Setup {
        target: plan.target.to_string(),
        address: endpoint.to_string(),
        engine: plan.engine.for_report(),
        method: plan.method.clone(),
        headers: plan.headers.iter().map(|(name, value)| (name.clone(), shown(name, value))).collect(),
        body_bytes: plan.body.len(),
        order: plan.list.as_ref().map(|list| list.order),
        seed: plan.seed,
        cookies: plan.cookies,
        connections: part.connections,
        threads: part.threads,
        load: plan.load.clone(),
        reuse: plan.reuse,
        timeout_s: plan.timeout.as_secs_f64(),
        connect_timeout_s: plan.connect_timeout.as_secs_f64(),
        warmup_s: plan.warmup.as_secs_f64(),
        cpus: plan.cpus.clone(),
        interval_s: plan.interval.as_secs_f64(),
        shard: plan.shard,
        max_outstanding: plan.max_outstanding,
        requests_per_connection: plan.requests_per_connection,
        deadline_s: plan.deadline.map(|deadline| deadline.as_secs_f64()),
        pipeline: plan.pipeline,
        think_time_s: plan.think_time.as_secs_f64(),
    }
}

/// What became of each request of a list.
fn requests(plan: &Plan, tallies: &[EntryTally]) -> Vec<RequestReport> {
    let entries = plan.list.iter().flat_map(|list| &list.entries);
    let report = |(entry, tally): (&Entry, &EntryTally)| RequestReport {
        method: entry.method.clone(),
        path: entry.path.clone(),
        weight: entry.weight,
        requests: tally.requests,
        answered: tally.answered,
        errors: tally.errors,
        latency: tally.latency.as_ref().map(Recorder::summarise),
    };
    entries.zip(tallies).map(report).collect()
}

/// The value of a field, for a report: reports are kept and passed on, credentials are not.
fn shown(name: &str, value: &str) -> String {
    let secret = ["authorization", "proxy-authorization", "cookie"];
    if secret.iter().any(|secret| name.eq_ignore_ascii_case(secret)) { "(hidden)".to_owned() } else { value.to_owned() }
}

fn unix_seconds(time: SystemTime) -> f64 {
    // A clock before 1970 is a clock that was never set; 0 says so plainly.
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_stay_out_of_reports() {
        for (name, value) in [("Authorization", "(hidden)"), ("COOKIE", "(hidden)"), ("X-Authorization", "secret")] {
            assert_eq!(shown(name, "secret"), value, "{name}");
        }
    }

    #[test]
    fn a_beginning_is_waited_for_and_must_not_be_over() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000);
        let wait = |start_at| {
            let load = Load::closed_for(Duration::from_secs(1));
            let plan = Plan { start_at, ..Plan::new("http://a/".parse().unwrap(), load) };
            until_start(&plan, now).map_err(|e| e.field)
        };
        let second = Duration::from_secs(1);
        assert_eq!(wait(None), Ok(HEAD_START));
        assert_eq!(wait(Some(now + second)), Ok(second));
        assert_eq!(wait(Some(now)), Err("start-at"));
        assert_eq!(wait(Some(now - second)), Err("start-at"));
    }
}
