//! The supervisor: starts the template, applies the policy's decisions, answers `ctl`, and ends it all in good order.
//!
//! One loop over one closed enum of [`Event`]s. It runs no Python and no request: what workers do it reads from the
//! scoreboard, what it wants of them it writes there. No signal handler is installed and none is needed: the operator's
//! signals arrive as a readable descriptor, the end of a process as another.

mod backoff;
mod control;
mod nursery;
mod roster;
mod status;

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use mpm::{Action, Cause, Decision, Policy, Snapshot};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use self::backoff::Backoff;
use self::control::Control;
use self::nursery::{Shared, Template};
use self::roster::{Roster, Worker};
use crate::config::machine::Machine;
use crate::config::{AppSource, Config, Exit, Mpm};
use crate::ctl;
use crate::ctl::protocol::{Counters, Reply, Request, Status};
use crate::handoff::Handoff;
use crate::link::FromTemplate;
use crate::listener::Listener;
use crate::scoreboard::{Phase as Published, Scoreboard};
use crate::sys::message::MOST_DESCRIPTORS;
use crate::sys::process::{self, Ending};
use crate::sys::wakeup::Wakeup;

const SIGNALS: Token = Token(0);
const WAKE: Token = Token(1);
const LINK: Token = Token(2);
const TEMPLATE: Token = Token(3);
const CONTROL: Token = Token(4);
const FIRST_CLIENT: Token = Token(16);
const FIRST_WORKER: usize = FIRST_CLIENT.0 + control::MOST;

/// What one message can carry, less what every template gets.
const MOST_LISTENERS: usize = MOST_DESCRIPTORS - 5;
/// Decisions kept for `ctl status`.
const REMEMBERED: usize = 64;
/// A template that does not leave by itself when its link closes is stuck in the application's import.
const TEMPLATE_PATIENCE: Duration = Duration::from_secs(1);
/// A worker that dies younger than this makes its successor wait.
const YOUNG: Duration = Duration::from_secs(1);
/// What a worker is taken to need at least, to bound their number by memory: the private part of a small Flask app.
const WORKER_BYTES: u64 = 16 << 20;

/// All that can happen.
#[derive(Debug)]
enum Event {
    /// The policy's clock.
    Tick,
    /// An operator's signal.
    Signal(Signal),
    /// A worker has published something that concerns us.
    Notified,
    /// The template has spoken.
    Template(FromTemplate, Vec<OwnedFd>),
    /// The template's process has ended.
    TemplateEnded,
    /// A worker that no template reaps has ended.
    OrphanEnded,
    /// Somebody connects to the control socket.
    ControlKnock,
    /// A control client is ready.
    ControlClient(usize),
}

/// Where the server is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No worker has served yet.
    Starting,
    /// At least one has.
    Serving,
    /// Asked to stop: the template goes first, so that only workers hold the listeners.
    Stopping { since: Duration },
    /// The workers finish what they have.
    Draining,
}

/// The whole supervisor.
struct Supervisor {
    config: Config,
    poll: Poll,
    signals: SignalFd,
    wake: Wakeup,
    handoff: Handoff,
    scoreboard: Scoreboard,
    scoreboard_fd: OwnedFd,
    lifeline: OwnedFd,
    /// Never written: every process sees its end when we are gone.
    _lifeline_end: OwnedFd,
    listeners: Vec<Listener>,
    listening: Vec<String>,
    control: Option<Control>,
    policy: Box<dyn Policy>,
    roster: Roster,
    template: Option<Template>,
    templates: u64,
    template_backoff: Backoff,
    worker_backoff: Backoff,
    phase: Phase,
    /// What we leave with, if not with success.
    verdict: Option<Exit>,
    next_tick: Duration,
    decisions: VecDeque<Decision>,
    counters: Counters,
    started: Instant,
}

/// Serves `config` until told to stop.
pub(crate) fn run(config: Config) -> Exit {
    crate::log::init(config.error_log, "supervisor");
    let mut supervisor = match Supervisor::new(config) {
        Ok(supervisor) => supervisor,
        Err(StartError::Address(error)) => {
            eprintln!("smarthttpd: {error}");
            return Exit::Address;
        }
        Err(StartError::System(what, error)) => {
            eprintln!("smarthttpd: {what}: {error}");
            return Exit::Failure;
        }
    };
    supervisor.run()
}

/// Why the supervisor could not begin.
#[derive(Debug)]
enum StartError {
    Address(crate::listener::BindError),
    System(String, io::Error),
}

fn system(what: &str) -> impl Fn(io::Error) -> StartError {
    move |error| StartError::System(what.to_owned(), error)
}

impl Supervisor {
    fn new(config: Config) -> Result<Supervisor, StartError> {
        let listeners = config
            .bind
            .iter()
            .map(|bind| Listener::bind(bind, config.backlog))
            .collect::<Result<Vec<_>, _>>()
            .map_err(StartError::Address)?;
        if listeners.len() > MOST_LISTENERS {
            let error = io::Error::other(format!("at most {MOST_LISTENERS} are possible"));
            return Err(StartError::System("too many --bind addresses".to_owned(), error));
        }
        let listening: Vec<String> = listeners.iter().map(Listener::url).collect();
        // Workers whose template died become our children, not init's.
        nix::sys::prctl::set_child_subreaper(true).map_err(|error| system("becoming the subreaper")(error.into()))?;
        let scoreboard_fd = Scoreboard::create(slots(&config.mpm)).map_err(system("creating the scoreboard"))?;
        let scoreboard = Scoreboard::map(scoreboard_fd.as_fd()).map_err(system("mapping the scoreboard"))?;
        let (lifeline, lifeline_end) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)
            .map_err(|error| system("creating the lifeline")(error.into()))?;
        let wake = Wakeup::new().map_err(|error| system("creating the wake-up")(error.into()))?;
        let handoff = Handoff::new().map_err(system("creating the hand-off"))?;
        let signals = operator_signals().map_err(|error| system("reading signals as a descriptor")(error.into()))?;
        let poll = Poll::new().map_err(system("creating the event loop"))?;
        let register = |fd, token| poll.registry().register(&mut SourceFd(&fd), token, Interest::READABLE);
        register(signals.as_fd().as_raw_fd(), SIGNALS).map_err(system("watching signals"))?;
        register(wake.as_fd().as_raw_fd(), WAKE).map_err(system("watching the wake-up"))?;
        let control = match config.control_off {
            true => None,
            false => Some(open_control(&config, &poll).map_err(|(path, error)| {
                StartError::System(format!("the control socket {path} (choose another with --control-socket)"), error)
            })?),
        };
        Ok(Supervisor {
            policy: policy(&config.mpm),
            roster: Roster::new(scoreboard),
            config,
            poll,
            signals,
            wake,
            handoff,
            scoreboard,
            scoreboard_fd,
            lifeline,
            _lifeline_end: lifeline_end,
            listeners,
            listening,
            control,
            template: None,
            templates: 0,
            template_backoff: Backoff::default(),
            worker_backoff: Backoff::default(),
            phase: Phase::Starting,
            verdict: None,
            next_tick: Duration::ZERO,
            decisions: VecDeque::new(),
            counters: Counters::default(),
            started: Instant::now(),
        })
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn run(&mut self) -> Exit {
        if let Err(error) = self.start_template() {
            eprintln!("smarthttpd: the template can't be started: {error}");
            return Exit::Failure;
        }
        let mut events = Events::with_capacity(128);
        loop {
            for event in self.wait(&mut events) {
                tracing::debug!("{event:?}");
                self.handle(event);
            }
            self.keep_deadlines();
            if let Some(exit) = self.ended() {
                return exit;
            }
        }
    }

    /// Everything that has happened since the last call, waiting until something does.
    fn wait(&mut self, events: &mut Events) -> Vec<Event> {
        let patience = self.next_deadline().map(|at| at.saturating_sub(self.now()));
        if let Err(error) = self.poll.poll(events, patience)
            && error.kind() != io::ErrorKind::Interrupted
        {
            tracing::error!("waiting for events: {error}");
        }
        let mut happened = Vec::new();
        for event in events.iter() {
            match event.token() {
                SIGNALS => {
                    while let Ok(Some(info)) = self.signals.read_signal() {
                        happened.extend(Signal::try_from(info.ssi_signo as i32).map(Event::Signal));
                    }
                }
                WAKE => {
                    // What workers have to say stands in the scoreboard.
                    self.wake.silence();
                    happened.push(Event::Notified);
                }
                LINK => {
                    while let Some((message, descriptors)) = self.template.as_mut().and_then(Template::receive) {
                        happened.push(Event::Template(message, descriptors));
                    }
                }
                TEMPLATE => happened.push(Event::TemplateEnded),
                CONTROL => happened.push(Event::ControlKnock),
                Token(token) if token >= FIRST_WORKER => happened.push(Event::OrphanEnded),
                Token(token) => happened.push(Event::ControlClient(token - FIRST_CLIENT.0)),
            }
        }
        if self.now() >= self.next_tick {
            happened.push(Event::Tick);
        }
        happened
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Tick => {
                self.next_tick = self.now() + self.policy.tick();
                self.read_news();
                self.decide(Cause::Tick);
            }
            Event::Signal(signal) => self.stop(signal.as_str()),
            Event::Notified => self.read_news(),
            Event::Template(message, descriptors) => self.listen_to_template(message, descriptors),
            Event::TemplateEnded => self.bury_template(),
            Event::OrphanEnded => self.bury_orphans(),
            Event::ControlKnock => {
                if let Some(control) = &mut self.control {
                    control.accept(self.poll.registry());
                }
            }
            Event::ControlClient(index) => self.obey(index),
        }
    }

    fn next_deadline(&self) -> Option<Duration> {
        let overdue = self.roster.next_overdue(self.config.timeouts.graceful);
        let template = match (self.phase, &self.template) {
            (Phase::Stopping { since }, Some(_)) => Some(since + TEMPLATE_PATIENCE),
            (_, None) => self.template_backoff.ends(self.now()),
            _ => None,
        };
        let tick = matches!(self.phase, Phase::Starting | Phase::Serving).then_some(self.next_tick);
        let worker = self.worker_backoff.ends(self.now());
        [overdue, template, tick, worker].into_iter().flatten().min()
    }

    /// What is due by the clock rather than by an event.
    fn keep_deadlines(&mut self) {
        let now = self.now();
        for (slot, pid) in self.roster.kill_overdue(now, self.config.timeouts.graceful) {
            self.counters.killed += 1;
            tracing::warn!("worker {slot} (pid {pid}) did not finish within the graceful timeout and was killed");
        }
        if self.worker_backoff.has_ended(now) {
            self.decide(Cause::Exited);
        }
        match self.phase {
            Phase::Stopping { since } => {
                if now >= since + TEMPLATE_PATIENCE
                    && let Some(template) = &self.template
                {
                    template.kill();
                }
                self.dismiss_workers();
            }
            Phase::Starting | Phase::Serving if self.template.is_none() && !self.template_backoff.holds(now) => {
                self.counters.template_restarts += 1;
                if let Err(error) = self.start_template() {
                    let pause = self.template_backoff.failed(now);
                    tracing::error!("the template can't be started, next try in {pause:?}: {error}");
                }
            }
            Phase::Starting | Phase::Serving | Phase::Draining => {}
        }
    }

    /// The exit code, once nothing is left to do.
    fn ended(&mut self) -> Option<Exit> {
        if self.phase != Phase::Draining || !self.roster.is_empty() {
            return None;
        }
        if self.verdict.is_none() {
            tracing::info!("stopped");
        }
        Some(self.verdict.unwrap_or(Exit::Ok))
    }

    // The template.

    fn start_template(&mut self) -> io::Result<()> {
        self.templates += 1;
        let shared = Shared {
            scoreboard: self.scoreboard_fd.as_fd(),
            lifeline: self.lifeline.as_fd(),
            wake: self.wake.as_fd(),
            handoff: self.handoff.ends(),
        };
        let listeners: Vec<_> = self.listeners.iter().map(|listener| (listener.as_fd(), listener.address())).collect();
        let template = Template::start(self.templates, &self.config, &shared, &listeners)?;
        let watch = |fd: i32, token| self.poll.registry().register(&mut SourceFd(&fd), token, Interest::READABLE);
        watch(template.pidfd().as_raw_fd(), TEMPLATE)?;
        if let Some(link) = template.link() {
            watch(link.as_raw_fd(), LINK)?;
        }
        tracing::debug!("template {} started (pid {})", template.number, template.pid());
        self.template = Some(template);
        Ok(())
    }

    fn listen_to_template(&mut self, message: FromTemplate, descriptors: Vec<OwnedFd>) {
        match message {
            FromTemplate::Ready => {
                if let Some(template) = &mut self.template {
                    template.ready = true;
                }
                if self.roster.workers().next().is_none() {
                    self.spawn(self.policy.initial());
                }
            }
            FromTemplate::LoadFailed => {
                if self.phase == Phase::Starting {
                    self.give_up(Exit::Application);
                }
            }
            FromTemplate::Spawned { slot, generation, pid } => self.welcome(slot, generation, pid, descriptors),
            FromTemplate::SpawnFailed { slot, generation, error } => {
                self.roster.release(slot, generation);
                tracing::error!("no worker could be forked: {error}");
                let now = self.now();
                self.policy.spawn_failed(now);
                self.worker_backoff.failed(now);
            }
            FromTemplate::Exited { slot, generation, ending } => self.bury_worker(slot, generation, ending),
        }
    }

    fn welcome(&mut self, slot: usize, generation: u64, pid: i32, descriptors: Vec<OwnedFd>) {
        let Ok([pidfd, wake]) = <[OwnedFd; 2]>::try_from(descriptors) else {
            tracing::error!("the template forked worker {slot} but sent no way to reach it");
            return;
        };
        let wake = Wakeup::from(wake);
        let number = self.template.as_ref().map_or(0, |template| template.number);
        let watched = self.poll.registry().register(
            &mut SourceFd(&pidfd.as_raw_fd()),
            Token(FIRST_WORKER + slot),
            Interest::READABLE,
        );
        if let Err(error) = watched {
            tracing::error!("the end of worker {slot} can't be watched: {error}");
        }
        self.counters.spawned += 1;
        self.roster.settle(slot, generation, pid, pidfd, wake, number);
        self.read_news();
    }

    fn bury_template(&mut self) {
        let Some(ending) = self.template.as_mut().and_then(Template::ended) else { return };
        // What it said before it died still counts.
        while let Some((message, descriptors)) = self.template.as_mut().and_then(Template::receive) {
            self.listen_to_template(message, descriptors);
        }
        self.template = None;
        let forgotten = self.roster.forget_asked();
        if forgotten {
            self.end_strays();
        }
        self.bury_orphans();
        match self.phase {
            Phase::Starting if ending == Ending::Exited(i32::from(Exit::Application.code())) => {
                self.give_up(Exit::Application);
            }
            Phase::Starting => {
                eprintln!("smarthttpd: loading {} ended the process that tried it: {ending}", name(&self.config.app));
                self.give_up(Exit::Application);
            }
            Phase::Serving => {
                let pause = self.template_backoff.failed(self.now());
                tracing::error!("the template has ended ({ending}); workers go on, a new one starts in {pause:?}");
            }
            Phase::Stopping { .. } | Phase::Draining => {}
        }
    }

    /// Ends workers that a dying template forked but could not report: nobody could ever ask them to leave.
    fn end_strays(&self) {
        let own = std::process::id();
        let children = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
        for pid in children.split_ascii_whitespace().filter_map(|pid| pid.parse::<i32>().ok()) {
            if !self.roster.workers().any(|(_, worker)| worker.pid == pid)
                && let Ok(pidfd) = process::open(pid)
                && process::kill(pidfd.as_fd()).is_ok()
            {
                tracing::warn!("a worker (pid {pid}) that the template could not report any more was killed");
            }
        }
    }

    // Workers.

    fn spawn(&mut self, count: u32) {
        let now = self.now();
        if self.worker_backoff.holds(now) {
            return;
        }
        let Some(template) = self.template.as_ref().filter(|template| template.ready) else { return };
        for _ in 0..count {
            let Some((slot, generation)) = self.roster.claim() else {
                tracing::warn!("every slot is taken; no further worker is started until one leaves");
                return;
            };
            if let Err(error) = template.spawn(slot, generation) {
                // It is dying; its end is on its way to us and releases the slot.
                tracing::debug!("the template can't be asked for a worker: {error}");
                self.roster.release(slot, generation);
                return;
            }
        }
    }

    fn read_news(&mut self) {
        let now = self.now();
        let news = self.roster.news(now);
        if news.started {
            self.template_backoff.succeeded();
            if self.phase == Phase::Starting {
                self.phase = Phase::Serving;
                self.announce();
            }
            self.decide(Cause::Started);
        }
        if news.saturated {
            self.decide(Cause::Saturated);
        }
    }

    /// Tells the operator, once, that the server serves.
    fn announce(&self) {
        let (app, mpm) = (name(&self.config.app), self.policy.name());
        let (places, pid) = (self.listening.join(", "), std::process::id());
        eprintln!("smarthttpd {}: serving {app} on {places} ({mpm}, pid {pid})", env!("CARGO_PKG_VERSION"));
        if let Some(control) = &self.control {
            tracing::debug!("control socket {}", control.path().display());
        }
    }

    fn bury_orphans(&mut self) {
        let living = self.template.as_ref().map(|template| template.number);
        for (slot, generation, ending) in self.roster.orphans_that_ended(living) {
            self.bury_worker(slot, generation, ending);
        }
    }

    fn bury_worker(&mut self, slot: usize, generation: u64, ending: Ending) {
        // What it published before it died still counts.
        self.read_news();
        let now = self.now();
        let seen = self.roster.look(slot);
        let age = seen.age();
        let Some(worker) = self.roster.release(slot, generation) else { return };
        let Worker { pid, retired, killed, was_ready, .. } = worker;
        // A worker that has had its requests leaves by itself, and says so before. Others end with 0 because the
        // application made them.
        let left = ending == Ending::Exited(0) && matches!(seen.phase, Published::Draining | Published::Dead);
        if retired || killed || left {
            self.counters.retired += 1;
            if !killed {
                tracing::debug!("worker {slot} (pid {pid}) has left");
            }
            if was_ready {
                self.worker_backoff.succeeded();
            }
        } else {
            self.counters.died += 1;
            if self.phase == Phase::Starting {
                return self.give_up_on_worker(ending);
            }
            if was_ready && age >= YOUNG {
                self.worker_backoff.succeeded();
                tracing::error!("worker {slot} (pid {pid}) died: {ending}");
            } else {
                let pause = self.worker_backoff.failed(now);
                tracing::error!(
                    "worker {slot} (pid {pid}) died: {ending}, {age:.1?} old; the next one starts in {pause:?}"
                );
            }
        }
        self.decide(Cause::Exited);
    }

    /// A worker ended before any had served: the next one would fare no better.
    fn give_up_on_worker(&mut self, ending: Ending) {
        let ended_with = |exit: Exit| ending == Ending::Exited(i32::from(exit.code()));
        // In the first two cases the worker has said why.
        if ended_with(Exit::Application) {
            self.give_up(Exit::Application);
        } else if ended_with(Exit::Failure) {
            self.give_up(Exit::Failure);
        } else {
            eprintln!("smarthttpd: {} ended the first worker before it could serve: {ending}", name(&self.config.app));
            self.give_up(Exit::Application);
        }
    }

    // Decisions.

    fn decide(&mut self, cause: Cause) {
        if self.phase != Phase::Serving && !(self.phase == Phase::Starting && cause == Cause::Tick) {
            return;
        }
        // Before the first worker was asked for there is nothing to decide about.
        if self.template.as_ref().is_none_or(|template| !template.ready) || self.worker_backoff.holds(self.now()) {
            return;
        }
        let workers = self.roster.views();
        let backlog = self.listeners.iter().map(Listener::waiting).sum();
        let snapshot = Snapshot { now: self.now(), cause, workers: &workers, backlog };
        let Some(decision) = self.policy.decide(&snapshot) else { return };
        tracing::info!("{}", decision.reason);
        for action in &decision.actions {
            match *action {
                Action::Spawn { count } => self.spawn(count),
                Action::Retire { slot } => {
                    let now = self.now();
                    self.roster.retire(slot as usize, now);
                }
            }
        }
        if self.decisions.len() == REMEMBERED {
            self.decisions.pop_front();
        }
        self.decisions.push_back(decision);
    }

    // Control.

    fn obey(&mut self, index: usize) {
        let Some(request) = self.control.as_mut().and_then(|control| control.ready(index)) else { return };
        let reply = match request {
            Request::Status => Reply::status(self.status()),
            Request::Stop => Reply::stopping(),
        };
        if let Some(control) = &mut self.control {
            control.answer(index, &reply);
        }
        if request == Request::Stop {
            self.stop("ctl stop");
        }
    }

    fn status(&self) -> Status {
        let views = self.roster.views();
        let one_connection_each = matches!(self.config.mpm, Mpm::Prefork { .. });
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            mpm: self.policy.name().to_owned(),
            uptime_seconds: self.now().as_secs_f64(),
            listening: self.listening.clone(),
            phase: match self.phase {
                Phase::Starting => "starting",
                Phase::Serving => "serving",
                Phase::Stopping { .. } | Phase::Draining => "draining",
            }
            .to_owned(),
            totals: status::totals(&views, one_connection_each),
            workers: status::workers(&self.roster, &views, one_connection_each),
            counters: self.counters,
            decisions: status::decisions(self.decisions.iter(), self.now()),
        }
    }

    // The end.

    /// Nothing can be served: leaves with `exit`.
    fn give_up(&mut self, exit: Exit) {
        if self.verdict.is_none() {
            self.verdict = Some(exit);
            self.begin_to_stop();
        }
    }

    fn stop(&mut self, why: &str) {
        match self.phase {
            Phase::Starting | Phase::Serving => {
                tracing::info!("{why}: finishing what is under way, then stopping; once more stops at once");
                self.begin_to_stop();
            }
            Phase::Stopping { .. } | Phase::Draining => {
                tracing::warn!("{why} again: stopping at once");
                // Workers may not have been asked yet, because the template has not left.
                let now = self.now();
                self.roster.dismiss_all(now);
                if let Some(template) = &self.template {
                    template.kill();
                }
                for (slot, pid) in self.roster.kill_overdue(now, Duration::ZERO) {
                    self.counters.killed += 1;
                    tracing::warn!("worker {slot} (pid {pid}) was killed");
                }
            }
        }
    }

    /// First the template goes, and with it and us all holders of the listeners but the workers; they then empty the
    /// backlog before they close it, so that no connection that the kernel has accepted is reset.
    fn begin_to_stop(&mut self) {
        self.phase = Phase::Stopping { since: self.now() };
        for listener in self.listeners.drain(..) {
            listener.unlink();
        }
        self.dismiss_workers();
    }

    fn dismiss_workers(&mut self) {
        if let Some(template) = &mut self.template {
            if !self.roster.awaits_template() {
                template.dismiss();
            }
            return;
        }
        self.phase = Phase::Draining;
        self.scoreboard.set_stopping();
        let now = self.now();
        self.roster.dismiss_all(now);
    }
}

/// The signals that stop the server, as a descriptor.
fn operator_signals() -> nix::Result<SignalFd> {
    let mut set = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        set.add(signal);
    }
    set.thread_block()?;
    SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
}

fn open_control(config: &Config, poll: &Poll) -> Result<Control, (String, io::Error)> {
    let path = match &config.control {
        Some(path) => path.clone(),
        None => {
            let directory = ctl::default_directory();
            ctl::prepare_directory(&directory).map_err(|error| (directory.display().to_string(), error))?;
            directory.join(format!("{}.sock", std::process::id()))
        }
    };
    Control::bind(&path, poll.registry(), CONTROL, FIRST_CLIENT).map_err(|error| (path.display().to_string(), error))
}

fn policy(mpm: &Mpm) -> Box<dyn Policy> {
    match *mpm {
        Mpm::Adaptive { min_workers, max_workers, min_threads, max_threads } => {
            let machine = Machine::read();
            Box::new(mpm::Adaptive::new(mpm::Limits {
                min_workers,
                max_workers,
                min_threads,
                max_threads,
                cpus: machine.cpus,
                memory_workers: u32::try_from(machine.memory / WORKER_BYTES).unwrap_or(u32::MAX).max(1),
            }))
        }
        Mpm::Prefork { start_servers, min_spare_servers, max_spare_servers, max_request_workers, .. } => {
            Box::new(mpm::Prefork::new(mpm::PreforkConfig {
                start_servers,
                min_spare: min_spare_servers,
                max_spare: max_spare_servers,
                max_request_workers,
            }))
        }
        Mpm::Static { workers, .. } => Box::new(mpm::Static::new(workers)),
    }
}

/// How many workers may exist at once. Prefork counts those that leave, as Apache does; otherwise half as many again may
/// leave while their successors serve.
fn slots(mpm: &Mpm) -> usize {
    let with_successors = |workers: u32| workers as usize + (workers as usize).div_ceil(2) + 1;
    match *mpm {
        Mpm::Adaptive { max_workers, .. } => with_successors(max_workers),
        Mpm::Prefork { max_request_workers, .. } => max_request_workers as usize,
        Mpm::Static { workers, .. } => with_successors(workers),
    }
}

fn name(app: &AppSource) -> String {
    match app {
        AppSource::Wsgi { module, callable } => format!("{module}:{callable}"),
        AppSource::Native { name } => format!("native:{name}"),
    }
}
