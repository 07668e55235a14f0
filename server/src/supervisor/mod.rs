//! The supervisor: starts the template, applies the policy's decisions, answers `ctl`, and ends it all in good order.
//!
//! One loop over one closed enum of [`Event`]s. It runs no Python and no request: what workers do it reads from the
//! scoreboard, what it wants of them it writes there. No signal handler is installed and none is needed: the operator's
//! signals arrive as a readable descriptor, the end of a process as another.

mod backoff;
mod control;
mod deciding;
mod decision_log;
mod events;
mod lives;
mod logs;
mod nursery;
mod obituary;
mod policy;
mod recycling;
mod reload;
mod renewal;
mod rest;
mod roster;
mod scale;
mod start;
mod status;
mod stopping;
mod terminal;
mod watch;
mod watching;

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use mio::{Events, Poll};
use mpm::{Cause, Decision, Policy};
use nix::sys::signal::Signal;
use nix::sys::signalfd::SignalFd;

use self::backoff::Backoff;
use self::control::{Control, Ticket};
use self::decision_log::DecisionLog;
use self::events::Event;
use self::logs::Reopening;
use self::nursery::Template;
use self::obituary::Coroner;
use self::reload::{Asker, Handover, Reload};
use self::renewal::Renewal;
use self::rest::Rest;
use self::roster::Roster;
use self::status::Decided;
use self::terminal::Terminal;
use self::watch::Watch;
use crate::admin::Admin;
use crate::config::{self, AppSource, Config, Exit};
use crate::ctl::protocol::{Answer, Counters, Reply, Request, Tasks};
use crate::handoff::Handoff;
use crate::listener::Listener;
use crate::scoreboard::{Scoreboard, Stir};
use crate::sys::wakeup::Wakeup;

/// A template that does not leave by itself when its link closes is stuck in the application's import.
const TEMPLATE_PATIENCE: Duration = Duration::from_secs(1);
/// A worker that dies younger than this makes its successor wait.
const YOUNG: Duration = Duration::from_secs(1);
/// How often we look for ended processes that nobody tells us of: the application's, whose parents ended before them.
const BURIALS: Duration = Duration::from_secs(5);

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
    /// Where it is written down what the policy is told.
    decision_log: Option<DecisionLog>,
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
    rest: Rest,
    /// What the workers had done at the last tick.
    last_stir: Option<Stir>,
    /// Connections that come are events here too.
    watches_listeners: bool,
    next_burial: Duration,
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
    match Supervisor::new(config) {
        Ok(mut supervisor) => supervisor.run(),
        Err(error) => error.tell(),
    }
}

impl Supervisor {
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

    fn handle(&mut self, event: Event) {
        match event {
            Event::Tick => {
                let now = self.now();
                self.next_tick = now + self.policy.tick();
                if now >= self.next_burial {
                    self.next_burial = now + BURIALS;
                    self.bury_strangers();
                }
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

fn name(app: &AppSource) -> String {
    match app {
        AppSource::Wsgi { module, callable } => format!("{module}:{callable}"),
        AppSource::Native { name } => format!("native:{name}"),
    }
}
