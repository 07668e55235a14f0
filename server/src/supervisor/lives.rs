//! Births and deaths: the template's and the workers'.
//!
//! What the supervisor does when a process appears, serves, or is gone, and how it tells an accident from an end that was
//! asked for.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use mio::unix::SourceFd;
use mio::{Interest, Token};
use mpm::Cause;

use super::nursery::{Shared, Template};
use super::roster::Worker;
use super::{FIRST_WORKER, LINK, Phase, Supervisor, TEMPLATE, YOUNG, name};
use crate::config::{Exit, LogFormat};
use crate::link::FromTemplate;
use crate::scoreboard::{Phase as Published, TaskCounts};
use crate::sys::process::{self, Ending};
use crate::sys::wakeup::Wakeup;

impl Supervisor {
    pub(super) fn start_template(&mut self) -> io::Result<()> {
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

    pub(super) fn listen_to_template(&mut self, message: FromTemplate, descriptors: Vec<OwnedFd>) {
        match message {
            FromTemplate::Ready => {
                if let Some(template) = &mut self.template {
                    template.ready = true;
                }
                if self.roster.workers().next().is_none() {
                    match self.policy.initial() {
                        // Without a worker the application is loaded and the addresses are open: that is serving.
                        0 => self.begin_to_serve(),
                        count => self.spawn(count),
                    }
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

    pub(super) fn welcome(&mut self, slot: usize, generation: u64, pid: i32, descriptors: Vec<OwnedFd>) {
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

    pub(super) fn bury_template(&mut self) {
        let Some(ending) = self.template.as_mut().and_then(Template::ended) else { return };
        // What it said before it died still counts.
        while let Some((message, descriptors)) = self.template.as_mut().and_then(Template::receive) {
            self.listen_to_template(message, descriptors);
        }
        self.template = None;
        for pid in self.roster.forget_asked() {
            end_stray(pid);
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

    /// Reaps what is nobody's: processes that the application left behind, which became our children when their parents
    /// ended, because we are the subreaper.
    pub(super) fn bury_strangers(&self) {
        let template = self.template.as_ref().map(|template| template.pid() as i32);
        process::reap_children_but(|pid| {
            Some(pid) == template || self.roster.workers().any(|(_, worker)| worker.pid == pid)
        });
    }

    pub(super) fn spawn(&mut self, count: u32) {
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

    pub(super) fn read_news(&mut self) {
        let now = self.now();
        let news = self.roster.news(now);
        if news.started {
            self.template_backoff.succeeded();
            self.begin_to_serve();
            self.decide(Cause::Started);
        }
        if news.saturated {
            self.decide(Cause::Saturated);
        }
    }

    fn begin_to_serve(&mut self) {
        if self.phase == Phase::Starting {
            self.phase = Phase::Serving;
            self.announce();
        }
    }

    /// Tells the operator, once, that the server serves.
    fn announce(&self) {
        let (app, mpm) = (name(&self.config.app), self.policy.name());
        let (places, pid, version) = (self.listening.join(", "), std::process::id(), env!("CARGO_PKG_VERSION"));
        match self.config.log_format {
            LogFormat::Text => eprintln!("smarthttpd {version}: serving {app} on {places} ({mpm}, pid {pid})"),
            LogFormat::Json => tracing::info!(version, app, listening = places, mpm, "serving {app} on {places}"),
        }
        if let Some(admin) = &self.admin {
            tracing::info!("admin page at {}", admin.url());
        }
        if let Some(control) = &self.control {
            tracing::debug!("control socket {}", control.path().display());
        }
    }

    pub(super) fn bury_orphans(&mut self) {
        let living = self.template.as_ref().map(|template| template.number);
        for (slot, generation, ending) in self.roster.orphans_that_ended(living) {
            self.bury_worker(slot, generation, ending);
        }
    }

    pub(super) fn bury_worker(&mut self, slot: usize, generation: u64, ending: Ending) {
        // What it published before it died still counts.
        self.read_news();
        let now = self.now();
        let seen = self.roster.look(slot);
        let age = seen.age();
        let tasks = self.roster.tasks(slot);
        let Some(worker) = self.roster.release(slot, generation) else { return };
        let Worker { pid, retired, killed, was_ready, .. } = worker;
        self.take_over_tasks(slot, pid, tasks);
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

    /// The worker is gone: its background tasks stay in the account, and those that were not done are lost.
    fn take_over_tasks(&mut self, slot: usize, pid: i32, tasks: TaskCounts) {
        self.tasks.done += tasks.done;
        self.tasks.failed += tasks.failed;
        self.tasks.dropped += tasks.dropped + tasks.open();
        if tasks.open() > 0 {
            let TaskCounts { running, queued, .. } = tasks;
            tracing::error!(
                "worker {slot} (pid {pid}) took {} background task(s) with it: {running} running, {queued} waiting",
                tasks.open()
            );
        }
    }

    /// A worker ended before any had served: the next one would fare no better.
    pub(super) fn give_up_on_worker(&mut self, ending: Ending) {
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
}

/// Ends a worker that a dying template forked but could not report: nobody could ever ask it to leave.
fn end_stray(pid: i32) {
    // It is our child now and not reaped, so the pid is still its own.
    if process::open(pid).is_ok_and(|pidfd| process::kill(pidfd.as_fd()).is_ok()) {
        tracing::warn!("a worker (pid {pid}) that the template could not report any more was killed");
    }
}
