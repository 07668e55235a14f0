//! The model: a server, its machine and its clients, moved from event to event.
//!
//! ```text
//! arrivals ─▶ intake (the kernel's backlog, accepting) ─▶ work (lock, cores, blocking) ─▶ record
//!                       ▲ monitor (more threads)            │
//!             lives (fork, import, leave, crash) ◀── supervisor (news, ticks ─▶ mpm::Policy ─▶ orders)
//! ```
//!
//! Workers follow the rules of the server's own pool, see `worker`; the policy and the number of calls at once are not
//! modelled at all: they are crate `mpm`. Clients open a connection for each request, or keep theirs, see `clients`. It
//! must not know: files, command lines, how results are shown.

pub(crate) mod backoff;
mod clients;
pub(crate) mod cores;
mod intake;
mod lives;
mod monitor;
pub(crate) mod places;
pub(crate) mod record;
mod supervisor;
mod work;
pub(crate) mod worker;

use std::collections::{BTreeSet, VecDeque};

use mpm::Policy;
use serde::{Deserialize, Serialize};

use self::clients::Kept;
use self::cores::Cores;
use self::intake::Drips;
use self::lives::Template;
use self::places::Places;
use self::record::Recorder;
pub(crate) use self::supervisor::Order;
use self::supervisor::Supervisor;
use self::work::{Request, Requests};
use self::worker::{CallId, Kind, Worker};
use super::arrivals::{Arrivals, Planned, Profile, Requests as Coming, Spacing};
use super::calls::{CallKind, Costs};
use super::queue::Queue;
use super::random::{Purpose, Random};
use super::time::{Nanos, SECOND, nanos};

/// What does not depend on the policy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms<'a> {
    pub(crate) profile: &'a Profile,
    pub(crate) spacing: Spacing,
    pub(crate) calls: &'a [CallKind],
    pub(crate) machine: Machine,
    pub(crate) faults: Faults,
    pub(crate) clients: Clients,
    /// The latency that a request should have at most.
    pub(crate) objective: Nanos,
    /// The very requests, where they are known; `None`: `calls` come as `profile` and `spacing` say.
    pub(crate) listed: Option<&'a [Planned]>,
    /// Latencies count from here on, since the beginning of the load; before, the server finds its size.
    pub(crate) warmup: Nanos,
    /// How far the server's clock is between two seconds when the load begins; `None`: a matter of chance.
    pub(crate) phase: Option<Nanos>,
    pub(crate) seed: u64,
}

/// The machine, and how long processes take to start on it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Machine {
    /// May be fractional, as a quota is.
    pub(crate) cores: f64,
    /// CPU time of one fork; the template makes one after the other.
    pub(crate) fork: Nanos,
    /// CPU time that a new worker needs before it serves, all of them at once.
    pub(crate) import: Nanos,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Faults {
    /// Workers that die, per second, in the time between the two below (seconds of the load).
    pub(crate) deaths_per_s: f64,
    pub(crate) deaths_from_s: f64,
    pub(crate) deaths_until_s: f64,
    /// Between these two no fork succeeds.
    pub(crate) no_forks_from_s: f64,
    pub(crate) no_forks_until_s: f64,
}

/// How patient clients are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Clients {
    /// Until the connection is there.
    pub(crate) connect: Nanos,
    /// Until the answer is there.
    pub(crate) answer: Nanos,
    /// Whether they use their connections again.
    pub(crate) keep_alive: bool,
}

/// A policy with the workers that go with it.
pub(crate) struct Contender {
    pub(crate) policy: Box<dyn Policy>,
    pub(crate) kind: Kind,
    /// Workers that may exist at once, those that leave included.
    pub(crate) slots: usize,
}

/// All that can happen, besides arrivals and the ends of computations.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// A client whose connection the kernel dropped tries again.
    Retry { call: CallId, attempt: usize },
    /// A call's blocked time is over.
    Unblocked { call: CallId, stamp: u32 },
    /// The monitor finds that nobody has attended to connections since it looked last.
    Promote { slot: u32, generation: u32, absence: u32 },
    /// The monitor looks for calls that should not wait.
    Look { slot: u32, generation: u32 },
    /// A full worker may take one connection that nobody else takes.
    Drip,
    /// The supervisor gets to what it was told.
    Turn,
    /// A worker that left is gone.
    Gone { slot: u32, generation: u32 },
    /// Some worker dies.
    Death,
}

/// Who computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Job {
    Template,
    Import { slot: u32 },
    Call { slot: u32 },
}

/// The whole model.
struct Model<'a> {
    terms: Terms<'a>,
    kind: Kind,
    now: Nanos,
    /// When the load begins.
    start: Nanos,
    events: Queue<Event>,
    cores: Cores<Job>,
    coming: Coming<'a>,
    next_arrival: Option<Planned>,
    requests: Requests,
    /// Connections that clients keep.
    kept: Kept,
    /// The kernel's accept queue.
    backlog: VecDeque<CallId>,
    /// By slot.
    workers: Vec<Option<Box<Worker>>>,
    /// Workers that would take a connection, in the order in which the kernel wakes them: by the time since which they
    /// listen, and slots.
    open: BTreeSet<(u64, u32)>,
    /// How often a worker has begun to listen.
    listened: u64,
    drips: Drips,
    /// Slots without a worker.
    vacant: Places,
    population: u32,
    supervisor: Supervisor,
    template: Template,
    chance: Random,
    mishaps: Random,
    record: Recorder,
}

/// Runs `contender` under `terms` to the last answer.
pub(crate) fn run(terms: Terms<'_>, contender: Contender) -> Recorder {
    Model::new(terms, contender).run()
}

/// The server has been up for this long when the load begins, and for up to a second more.
const LEAD: Nanos = 2 * SECOND;

impl<'a> Model<'a> {
    fn new(terms: Terms<'a>, contender: Contender) -> Self {
        let Contender { policy, kind, slots } = contender;
        let mut chance = Random::new(terms.seed, Purpose::Server);
        let first_imports = f64::from(policy.initial()).max(terms.machine.cores) / terms.machine.cores;
        let chosen = nanos(chance.unit());
        let start = LEAD + terms.phase.unwrap_or(chosen) + (terms.machine.import as f64 * first_imports) as Nanos;
        let mut coming = match terms.listed {
            Some(listed) => Coming::Listed(listed.iter()),
            None => Coming::Drawn {
                arrivals: Arrivals::new(terms.profile.clone(), terms.spacing, terms.seed),
                costs: Costs::new(terms.calls, terms.seed),
            },
        };
        Self {
            kind,
            now: 0,
            start,
            events: Queue::new(),
            cores: Cores::new(terms.machine.cores),
            next_arrival: coming.next(),
            coming,
            kept: Kept::default(),
            requests: Requests::default(),
            backlog: VecDeque::new(),
            workers: (0..slots).map(|_| None).collect(),
            open: BTreeSet::new(),
            listened: 0,
            drips: Drips::default(),
            vacant: Places::all_below(slots),
            population: 0,
            supervisor: Supervisor::new(policy),
            template: Template::default(),
            chance,
            mishaps: Random::new(terms.seed, Purpose::Faults),
            record: Recorder::new(&terms, start),
            terms,
        }
    }

    fn run(mut self) -> Recorder {
        self.spawn(self.supervisor.initial());
        self.schedule_supervisor();
        if self.terms.faults.deaths_per_s > 0.0 {
            let first = self.start + nanos(self.terms.faults.deaths_from_s);
            self.events.push(first, Event::Death);
        }
        let end = self.start + nanos(self.terms.profile.seconds());
        let deadline = end + self.terms.clients.answer;
        loop {
            let (computed, event) = (self.cores.next_at(), self.events.next_at());
            let arrival = self.next_arrival.map(|planned| self.start + planned.at);
            let Some(at) = [computed, event, arrival].into_iter().flatten().min() else { break };
            if at > deadline || (at > end && self.next_arrival.is_none() && self.requests.is_empty()) {
                break;
            }
            self.now = at;
            self.record.count_event();
            if computed == Some(at) {
                if let Some(job) = self.cores.finish(at) {
                    self.computed(job);
                }
            } else if event == Some(at) {
                if let Some((_, event)) = self.events.pop() {
                    self.handle(event);
                }
            } else if let Some(planned) = self.next_arrival.take() {
                self.next_arrival = self.coming.next();
                self.arrive(planned);
            }
        }
        for Request { arrived, .. } in self.requests.all() {
            self.record.failed(*arrived);
        }
        self.record.finish(end);
        self.record
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Retry { call, attempt } => self.connect(call, attempt),
            Event::Unblocked { call, stamp } => self.unblocked(call, stamp),
            Event::Promote { slot, generation, absence } => self.promote(slot, generation, absence),
            Event::Look { slot, generation } => self.look(slot, generation),
            Event::Drip => self.drip(),
            Event::Turn => self.supervise(),
            Event::Gone { slot, generation } => self.gone(slot, generation),
            Event::Death => self.death(),
        }
    }

    fn computed(&mut self, job: Job) {
        match job {
            Job::Template => self.forked(),
            Job::Import { slot } => self.ready(slot),
            Job::Call { slot } => self.piece_computed(slot),
        }
    }

    /// The worker in `slot`, if it is still the one of this generation.
    fn same(&mut self, slot: u32, generation: u32) -> Option<&mut Worker> {
        self.workers[slot as usize].as_deref_mut().filter(|worker| worker.generation == generation)
    }

    /// Seconds of the load.
    fn load_time(&self) -> f64 {
        (self.now as f64 - self.start as f64) / SECOND as f64
    }
}
