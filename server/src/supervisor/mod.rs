//! The supervisor: starts the template, applies the policy's decisions, answers `ctl`, and ends it all in good order.
//!
//! One loop over one closed enum of [`Event`]s. It runs no Python and no request: what workers do it reads from the
//! scoreboard, what it wants of them it writes there. No signal handler is installed and none is needed: the operator's
//! signals arrive as a readable descriptor, the end of a process as another.

mod backoff;
mod control;
mod lives;
mod logs;
mod nursery;
mod obituary;
mod policy;
mod recycling;
mod reload;
mod renewal;
mod roster;
mod scale;
mod status;
mod stopping;
mod terminal;
mod watch;
mod watching;

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
use self::control::{Control, Ticket};
use self::logs::Reopening;
use self::nursery::Template;
use self::obituary::Coroner;
use self::reload::{Asker, Handover, Reload};
use self::renewal::{Renewal, Wear};
use self::roster::Roster;
use self::status::Decided;
use self::terminal::Terminal;
use self::watch::Watch;
use crate::admin::{self, Admin, Readiness};
use crate::config::{self, AppSource, Config, Exit, Mpm, passed};
use crate::ctl;
use crate::ctl::protocol::{Answer, Counters, Reply, Request, Tasks};
use crate::handoff::Handoff;
use crate::link::FromTemplate;
use crate::listener::{self, Listener};
use crate::scoreboard::Scoreboard;
use crate::sys::message::MOST_DESCRIPTORS;
use crate::sys::wakeup::Wakeup;

const SIGNALS: Token = Token(0);
const WAKE: Token = Token(1);
const CONTROL: Token = Token(2);
const FILES: Token = Token(3);
const ADMIN: Token = Token(4);
/// Two for each template: its link, its end.
const FIRST_TEMPLATE: usize = 5;
/// One that the server lives from, one of a reload, and some that are to leave.
const MOST_TEMPLATES: usize = 6;
const FIRST_CLIENT: Token = Token(FIRST_TEMPLATE + 2 * MOST_TEMPLATES);
const FIRST_WATCHER: Token = Token(FIRST_CLIENT.0 + control::MOST);
const FIRST_WORKER: usize = FIRST_WATCHER.0 + admin::MOST;

/// Readable when the template in this seat has spoken.
fn link_of(seat: usize) -> Token {
    Token(FIRST_TEMPLATE + 2 * seat)
}

/// Readable when the template in this seat has ended.
fn end_of(seat: usize) -> Token {
    Token(FIRST_TEMPLATE + 2 * seat + 1)
}

/// What one message can carry, less what every template gets.
const MOST_LISTENERS: usize = MOST_DESCRIPTORS - 5;
/// Decisions kept for `ctl status`.
const REMEMBERED: usize = 64;
/// A template that does not leave by itself when its link closes is stuck in the application's import.
const TEMPLATE_PATIENCE: Duration = Duration::from_secs(1);
/// A worker whose calls can't run for so long is no capacity: longer than calls that compute in native code keep the
/// interpreter lock, or than one of them lasts when it shares its core with a few others.
const LOCKED_OUT: Duration = Duration::from_secs(1);
/// A worker that dies younger than this makes its successor wait.
const YOUNG: Duration = Duration::from_secs(1);

/// All that can happen.
#[derive(Debug)]
enum Event {
    /// The policy's clock.
    Tick,
    /// An operator's signal.
    Signal(Signal),
    /// A worker has published something that concerns us.
    Notified,
    /// The template of this number has spoken.
    Template(u64, FromTemplate, Vec<OwnedFd>),
    /// The process of the template of this number has ended.
    TemplateEnded(u64),
    /// A worker that no template reaps has ended.
    OrphanEnded,
    /// Files of the application may have changed.
    FilesChanged,
    /// Somebody connects to the control socket.
    ControlKnock,
    /// A control client is ready.
    ControlClient(usize),
    /// Somebody connects to the admin listener.
    AdminKnock,
    /// A client of the admin listener is ready.
    AdminClient(usize, Readiness),
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
    terminal: Terminal,
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
    admin: Option<Admin>,
    /// What was asked for in its place.
    admin_wanted: Option<config::Admin>,
    policy: Box<dyn Policy>,
    /// The bounds that `ctl scale` has set.
    scaled: Option<(u32, u32)>,
    renewal: Renewal,
    /// Whether anything wears workers out.
    recycles: bool,
    next_weighing: Duration,
    roster: Roster,
    /// The template that the workers come from.
    template: Option<Template>,
    /// Templates started so far.
    templates: u64,
    /// New code and options on their way in.
    reload: Option<Reload>,
    /// Code and options that have just come in.
    handover: Option<Handover>,
    /// What `--reload` watches.
    watch: Option<Watch>,
    /// Logs on their way to new files.
    reopening: Option<Reopening>,
    /// Which code and options serve, counted from 1.
    code_generation: u64,
    /// Templates that are not needed any more, and since when.
    leaving: Vec<(Template, Duration)>,
    /// The most workers that there is room for.
    ceiling: u32,
    template_backoff: Backoff,
    worker_backoff: Backoff,
    fork_backoff: Backoff,
    coroner: Coroner,
    phase: Phase,
    /// What we leave with, if not with success.
    verdict: Option<Exit>,
    next_tick: Duration,
    decisions: VecDeque<Decision>,
    decided: Decided,
    counters: Counters,
    /// Background tasks of workers that are gone.
    tasks: Tasks,
    started: Instant,
}

/// Serves `config` until told to stop.
pub(crate) fn run(config: Config) -> Exit {
    crate::log::init(config.error_log, config.log_format, "supervisor");
    let mut supervisor = match Supervisor::new(config) {
        Ok(supervisor) => supervisor,
        Err(StartError::Address(error)) => {
            eprintln!("smarthttpd: {error}");
            return Exit::Address;
        }
        Err(StartError::Admin(error)) => {
            eprintln!("smarthttpd: {error}");
            return match error {
                admin::OpenError::Address(_) => Exit::Address,
                admin::OpenError::Token { .. } => Exit::Usage,
                admin::OpenError::System(_) => Exit::Failure,
            };
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
    Address(listener::BindError),
    Admin(admin::OpenError),
    System(String, io::Error),
}

impl From<admin::OpenError> for StartError {
    fn from(error: admin::OpenError) -> StartError {
        StartError::Admin(error)
    }
}

fn system(what: &str) -> impl Fn(io::Error) -> StartError {
    move |error| StartError::System(what.to_owned(), error)
}

impl Supervisor {
    fn new(mut config: Config) -> Result<Supervisor, StartError> {
        // First of all, while no descriptor is ours yet.
        let passed = passed(|name| std::env::var(name).ok(), std::process::id());
        let listeners = listener::open(&config.bind, config.backlog, config.unix_socket_mode, &passed)
            .map_err(StartError::Address)?;
        if listeners.len() > MOST_LISTENERS {
            let error = io::Error::other(format!("at most {MOST_LISTENERS} are possible"));
            return Err(StartError::System("too many --bind addresses".to_owned(), error));
        }
        let listening: Vec<String> = listeners.iter().map(Listener::url).collect();
        // Workers whose template died become our children, not init's.
        nix::sys::prctl::set_child_subreaper(true).map_err(|error| system("becoming the subreaper")(error.into()))?;
        let ceiling = policy::ceiling(&config.mpm);
        let scoreboard_fd = Scoreboard::create(policy::slots(ceiling)).map_err(system("creating the scoreboard"))?;
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
        let watch = match config.watch {
            true => Some(Watch::new(&config.watch_extra).map_err(system("watching files (--reload)"))?),
            false => None,
        };
        if let Some(watch) = &watch {
            register(watch.readiness().as_raw_fd(), FILES).map_err(system("watching files (--reload)"))?;
        }
        let control = match config.control_off {
            true => None,
            false => Some(open_control(&config, &poll).map_err(|(path, error)| {
                StartError::System(format!("the control socket {path} (choose another with --control-socket)"), error)
            })?),
        };
        // The configuration goes on to the processes that run the application, which has no business with the token.
        let admin_wanted = config.admin.take();
        let open = |wanted| Admin::open(wanted, poll.registry(), ADMIN, FIRST_WATCHER);
        let admin = admin_wanted.as_ref().map(open).transpose()?;
        Ok(Supervisor {
            policy: policy::policy(&config.mpm),
            scaled: None,
            renewal: Renewal::new(Wear::of(&config)),
            recycles: recycling::is_wanted(&config),
            next_weighing: Duration::ZERO,
            roster: Roster::new(scoreboard, config.max_worker_rss),
            config,
            poll,
            signals,
            terminal: Terminal::find(),
            wake,
            handoff,
            scoreboard,
            scoreboard_fd,
            lifeline,
            _lifeline_end: lifeline_end,
            listeners,
            listening,
            control,
            admin,
            admin_wanted,
            template: None,
            templates: 0,
            reload: None,
            handover: None,
            watch,
            reopening: None,
            code_generation: 1,
            leaving: Vec::new(),
            ceiling,
            template_backoff: Backoff::default(),
            worker_backoff: Backoff::default(),
            fork_backoff: Backoff::default(),
            coroner: Coroner::new(),
            phase: Phase::Starting,
            verdict: None,
            next_tick: Duration::ZERO,
            decisions: VecDeque::new(),
            decided: Decided::default(),
            counters: Counters::default(),
            tasks: Tasks::default(),
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
            if let Some(control) = &mut self.control {
                control.accept_waiting(self.poll.registry());
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
                CONTROL => happened.push(Event::ControlKnock),
                FILES => happened.push(Event::FilesChanged),
                token if (FIRST_TEMPLATE..FIRST_CLIENT.0).contains(&token.0) => {
                    let seat = (token.0 - FIRST_TEMPLATE) / 2;
                    let Some(template) = self.template_mut(|template| template.seat == seat) else { continue };
                    let number = template.number;
                    if token == end_of(seat) {
                        happened.push(Event::TemplateEnded(number));
                        continue;
                    }
                    while let Some((message, descriptors)) = template.receive() {
                        happened.push(Event::Template(number, message, descriptors));
                    }
                }
                ADMIN => happened.push(Event::AdminKnock),
                Token(token) if token >= FIRST_WORKER => happened.push(Event::OrphanEnded),
                Token(token) if token >= FIRST_WATCHER.0 => {
                    happened.push(Event::AdminClient(token - FIRST_WATCHER.0, Readiness::of(event)));
                }
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
                self.bury_strangers();
                self.read_news();
                self.decide(Cause::Tick);
            }
            // The kernel and the shell may both say so: that is no impatience.
            Event::Signal(Signal::SIGHUP) if self.terminal.is_gone() => {
                if matches!(self.phase, Phase::Starting | Phase::Serving) {
                    self.stop("the terminal is gone");
                }
            }
            Event::Signal(Signal::SIGHUP) => self.reload(&Asker::Log("SIGHUP".to_owned()), reload::PATIENCE),
            Event::Signal(signal) => self.stop(signal.as_str()),
            Event::Notified => self.read_news(),
            Event::Template(number, message, descriptors) => self.listen_to_template(number, message, descriptors),
            Event::TemplateEnded(number) => self.bury_template(number),
            Event::OrphanEnded => self.bury_orphans(),
            Event::FilesChanged => {
                let now = self.now();
                if let Some(watch) = &mut self.watch {
                    watch.read(now);
                }
            }
            Event::ControlKnock => {
                if let Some(control) = &mut self.control {
                    control.accept(self.poll.registry());
                }
            }
            Event::ControlClient(index) => self.obey(index),
            Event::AdminKnock => self.admit(),
            Event::AdminClient(index, readiness) => self.show(index, readiness),
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
        let fork = self.fork_backoff.ends(self.now());
        let admin = self.admin.as_ref().and_then(Admin::next_deadline);
        let commands = [self.reload_deadline(), self.reopening_deadline()];
        [overdue, template, tick, worker, fork, admin].into_iter().chain(commands).flatten().min()
    }

    /// What is due by the clock rather than by an event.
    fn keep_deadlines(&mut self) {
        let now = self.now();
        for (slot, pid) in self.roster.kill_overdue(now, self.config.timeouts.graceful) {
            self.counters.killed += 1;
            tracing::warn!("worker {slot} (pid {pid}) did not finish within the graceful timeout and was killed");
        }
        if let Some(admin) = &mut self.admin {
            admin.expire(self.poll.registry(), now);
        }
        if self.worker_backoff.has_ended(now) | self.fork_backoff.has_ended(now) {
            self.decide(Cause::Exited);
        }
        self.keep_reload_deadlines();
        self.advance_reopening();
        self.renew();
        match self.phase {
            Phase::Stopping { since } => {
                if now >= since + TEMPLATE_PATIENCE
                    && let Some(template) = &self.template
                {
                    template.kill();
                }
                self.dismiss_workers();
            }
            // A new template that is ready takes over in a moment, or fails.
            Phase::Starting | Phase::Serving
                if self.template.is_none() && self.breeder().is_none() && !self.template_backoff.holds(now) =>
            {
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

    // Decisions.

    fn decide(&mut self, cause: Cause) {
        if self.phase != Phase::Serving && !(self.phase == Phase::Starting && cause == Cause::Tick) {
            return;
        }
        // Before the first worker was asked for there is nothing to decide about.
        if !self.can_spawn() {
            return;
        }
        let mut workers = self.roster.views();
        // Who is there only to take another one's place is no capacity of its own.
        workers.retain(|worker| !self.renewal.is_successor(worker.slot as usize));
        if matches!(self.config.mpm, Mpm::Adaptive { .. }) {
            // Nor is who can't run a call now: it counts like one that leaves. If it can again, there may be one too many
            // for a while, which this policy sees to.
            for worker in workers.iter_mut().filter(|worker| worker.phase == mpm::Phase::Ready) {
                if self.roster.look(worker.slot as usize).locked_out() >= LOCKED_OUT {
                    worker.phase = mpm::Phase::Draining;
                }
            }
        }
        let backlog = self.listeners.iter().map(Listener::waiting).sum();
        let snapshot = Snapshot { now: self.now(), cause, workers: &workers, backlog };
        let Some(mut decision) = self.policy.decide(&snapshot) else { return };
        if self.reload.as_ref().is_some_and(|reload| reload.template.ready) {
            // There are two generations of workers, of which one leaves soon.
            decision.actions.retain(|action| matches!(action, Action::Spawn { .. }));
            if decision.actions.is_empty() {
                return;
            }
        }
        watching::log(&decision, self.config.log_format);
        let actions = decision.actions.clone();
        self.remember(decision);
        for action in actions {
            match action {
                Action::Spawn { count } => self.spawn(count),
                Action::Retire { slot } => {
                    let now = self.now();
                    self.roster.retire(slot as usize, now);
                }
            }
        }
    }

    /// Keeps a decision for a while.
    fn remember(&mut self, decision: Decision) {
        self.decided.count(&decision);
        if self.decisions.len() == REMEMBERED {
            self.decisions.pop_front();
        }
        self.decisions.push_back(decision);
    }

    // Control.

    fn obey(&mut self, index: usize) {
        let Some((request, ticket)) = self.control.as_mut().and_then(|control| control.ready(index)) else { return };
        let reply = match request {
            Request::Status => Reply::status(self.status()),
            Request::Reload { timeout_seconds } => match Duration::try_from_secs_f64(timeout_seconds) {
                // It is answered when it is done.
                Ok(patience) => return self.reload(&Asker::Ctl(ticket), patience),
                Err(error) => Reply::Error(format!("timeout_seconds: {error}")),
            },
            Request::ReopenLogs => return self.reopen_logs(ticket),
            Request::Scale { min, max } => match self.scale(min, max) {
                Ok(scaled) => Reply::Ok(Answer::Scaled(scaled)),
                Err(problem) => Reply::Error(problem),
            },
            Request::Stop => Reply::stopping(),
        };
        self.answer(ticket, &reply);
        if request == Request::Stop {
            self.stop("ctl stop");
        }
    }

    fn answer(&mut self, ticket: Ticket, reply: &Reply) {
        if let Some(control) = &mut self.control {
            control.answer(ticket, reply);
        }
    }
}

/// The signals that mean something to the server, as a descriptor.
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

fn name(app: &AppSource) -> String {
    match app {
        AppSource::Wsgi { module, callable } => format!("{module}:{callable}"),
        AppSource::Native { name } => format!("native:{name}"),
    }
}
