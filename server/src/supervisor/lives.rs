//! Births and deaths: the template's and the workers'.
//!
//! What the supervisor does when a process appears, serves, or is gone, and how it tells an accident from an end that was
//! asked for.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Interest, Token};
use mpm::Cause;

use super::events::{FIRST_WORKER, MOST_TEMPLATES, end_of, link_of};
use super::nursery::{Shared, Template};
use super::roster::{Roster, Worker};
use super::{Phase, Supervisor, YOUNG, name};
use crate::config::{Config, Exit, LogFormat};
use crate::link::FromTemplate;
use crate::scoreboard::{Phase as Published, TaskCounts};
use crate::sys::process::{self, Ending};
use crate::sys::wakeup::Wakeup;

impl Supervisor {
    /// Starts the template that the server lives from.
    pub(super) fn start_template(&mut self) -> io::Result<()> {
        let template = self.new_template(&self.config.clone())?;
        self.template = Some(template);
        Ok(())
    }

    /// Starts a template for `config` and watches it.
    pub(super) fn new_template(&mut self, config: &Config) -> io::Result<Template> {
        let taken: Vec<usize> = self.all_templates().map(|template| template.seat).collect();
        let seat = (0..MOST_TEMPLATES).find(|seat| !taken.contains(seat));
        let seat = seat.ok_or_else(|| io::Error::other("too many earlier ones have not left yet"))?;
        self.templates += 1;
        let shared = Shared {
            scoreboard: self.scoreboard_fd.as_fd(),
            lifeline: self.lifeline.as_fd(),
            wake: self.wake.as_fd(),
            handoff: self.handoff.ends(),
        };
        let listeners: Vec<_> = self.listeners.iter().map(|listener| (listener.as_fd(), listener.address())).collect();
        let template = Template::start((self.templates, seat), config, &shared, &listeners)?;
        let watch = |fd: i32, token| self.poll.registry().register(&mut SourceFd(&fd), token, Interest::READABLE);
        watch(template.pidfd().as_raw_fd(), end_of(seat))?;
        if let Some(link) = template.link() {
            watch(link.as_raw_fd(), link_of(seat))?;
        }
        tracing::debug!("template {} started (pid {})", template.number, template.pid());
        Ok(template)
    }

    /// Every template process that has not been reaped: the one that the server lives from, the one of a reload, and
    /// those that are to leave.
    pub(super) fn all_templates(&self) -> impl Iterator<Item = &Template> {
        let next = self.reload.as_ref().map(|reload| &reload.template);
        self.template.iter().chain(next).chain(self.leaving.iter().map(|(template, _)| template))
    }

    pub(super) fn template_mut(&mut self, is_meant: impl Fn(&Template) -> bool) -> Option<&mut Template> {
        let next = self.reload.as_mut().map(|reload| &mut reload.template);
        let leaving = self.leaving.iter_mut().map(|(template, _)| template);
        self.template.iter_mut().chain(next).chain(leaving).find(|template| is_meant(template))
    }

    /// True if this is the template of a reload.
    pub(super) fn is_next(&self, template: u64) -> bool {
        self.reload.as_ref().is_some_and(|reload| reload.template.number == template)
    }

    /// True if workers of this template are none of ours any more.
    fn is_past(&self, template: u64) -> bool {
        self.leaving.iter().any(|(leaving, _)| leaving.number == template)
    }

    pub(super) fn listen_to_template(&mut self, number: u64, message: FromTemplate, descriptors: Vec<OwnedFd>) {
        match message {
            FromTemplate::Ready => {
                if let Some(template) = self.template_mut(|template| template.number == number) {
                    template.ready = true;
                }
                if self.is_next(number) {
                    self.start_next_workers();
                } else if self.roster.workers().next().is_none() {
                    match self.policy.initial() {
                        // Without a worker the application is loaded and the addresses are open: that is serving.
                        0 => self.begin_to_serve(),
                        count => self.spawn(count),
                    }
                }
            }
            FromTemplate::Imported { files } => {
                if let Some(watch) = &mut self.watch {
                    files.iter().for_each(|file| watch.add_file(Path::new(file)));
                }
            }
            FromTemplate::LoadFailed { problem } => {
                if self.is_next(number) {
                    self.fail_reload(&problem);
                } else if self.phase == Phase::Starting {
                    self.give_up(Exit::Application);
                }
            }
            FromTemplate::WorkerFailed { problem, .. } => {
                if self.is_next(number) {
                    self.fail_reload(&problem);
                }
            }
            FromTemplate::Spawned { slot, generation, pid } => self.welcome(number, slot, generation, pid, descriptors),
            FromTemplate::SpawnFailed { slot, generation, error } => {
                self.roster.release(slot, generation);
                if self.is_next(number) {
                    return self.fail_reload(&format!("no worker could be forked: {error}"));
                }
                let now = self.now();
                self.policy.spawn_failed(now);
                let pause = self.fork_backoff.failed(now);
                tracing::error!("no worker could be forked: {error}; the next try is in {pause:?}");
            }
            FromTemplate::Exited { slot, generation, ending } => self.bury_worker(slot, generation, ending),
        }
    }

    fn welcome(&mut self, template: u64, slot: usize, generation: u64, pid: i32, descriptors: Vec<OwnedFd>) {
        let Ok([pidfd, wake]) = <[OwnedFd; 2]>::try_from(descriptors) else {
            tracing::error!("the template forked worker {slot} but sent no way to reach it");
            return;
        };
        let wake = Wakeup::from(wake);
        let watched = self.poll.registry().register(
            &mut SourceFd(&pidfd.as_raw_fd()),
            Token(FIRST_WORKER + slot),
            Interest::READABLE,
        );
        if let Err(error) = watched {
            tracing::error!("the end of worker {slot} can't be watched: {error}");
        }
        self.counters.spawned += 1;
        self.fork_backoff.succeeded();
        self.roster.settle(slot, generation, pid, pidfd, wake, template);
        if self.is_past(template) {
            // Asked for before others took over.
            let now = self.now();
            self.roster.retire(slot, now);
        }
        self.read_news();
    }

    pub(super) fn bury_template(&mut self, number: u64) {
        let is_it = |template: &Template| template.number == number;
        let Some(ending) = self.template_mut(is_it).and_then(Template::ended) else { return };
        // What it said before it died still counts. It may be that it is dismissed for what it says.
        while let Some((message, descriptors)) = self.template_mut(is_it).and_then(Template::receive) {
            self.listen_to_template(number, message, descriptors);
        }
        let was_next = self.is_next(number);
        if was_next {
            self.fail_reload(&format!("loading it ended the process that tried it: {ending}"));
        }
        let was_current = self.template.take_if(|template| is_it(template)).is_some();
        self.leaving.retain(|(template, _)| !is_it(template));
        for pid in self.roster.forget_asked(number) {
            end_stray(pid);
        }
        self.bury_orphans();
        if !was_current {
            return;
        }
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
        process::reap_children_but(|pid| {
            self.all_templates().any(|template| template.pid() as i32 == pid)
                || self.roster.workers().any(|(_, worker)| worker.pid == pid)
        });
    }

    /// The template that new workers come from: the one of a reload as soon as it is ready.
    pub(super) fn breeder(&self) -> Option<&Template> {
        let next = self.reload.as_ref().map(|reload| &reload.template);
        next.into_iter().chain(&self.template).find(|template| template.ready)
    }

    /// Starts workers as a policy wants them.
    pub(super) fn spawn(&mut self, count: u32) {
        for _ in 0..count {
            if self.can_spawn() && self.roster.is_full() {
                tracing::warn!("every slot is taken; no further worker is started until one leaves");
                return;
            }
            if self.spawn_one().is_none() {
                return;
            }
        }
    }

    /// Whether a worker can be asked for: there is somebody to ask, and no pause after a failure.
    pub(super) fn can_spawn(&self) -> bool {
        let now = self.now();
        self.breeder().is_some() && !self.worker_backoff.holds(now) && !self.fork_backoff.holds(now)
    }

    /// Asks for one worker: its slot and its life there. `None` when that is not possible now.
    pub(super) fn spawn_one(&mut self) -> Option<(usize, u64)> {
        if !self.can_spawn() {
            return None;
        }
        let next = self.reload.as_ref().map(|reload| &reload.template);
        let template = next.into_iter().chain(&self.template).find(|template| template.ready)?;
        let (slot, generation) = self.roster.claim(template.number)?;
        if let Err(error) = template.spawn(slot, generation) {
            // It is dying; its end is on its way to us and releases the slot.
            tracing::debug!("the template can't be asked for a worker: {error}");
            self.roster.release(slot, generation);
            return None;
        }
        Some((slot, generation))
    }

    pub(super) fn read_news(&mut self) {
        let now = self.now();
        let news = self.roster.news(now);
        self.counters.timed_out += news.timed_out;
        if news.started {
            self.template_backoff.succeeded();
            self.begin_to_serve();
            self.decide(Cause::Started);
        }
        if news.saturated {
            self.decide(Cause::Saturated);
        }
        if let Some(bytes) = news.born_heavy {
            let mebibytes = bytes.div_ceil(1 << 20);
            tracing::error!(
                "a new worker has {mebibytes} MiB already, more than --max-worker-rss: replacing it would not help, so it is \
                 not; raise the limit"
            );
        }
        self.advance_reload();
        self.advance_reopening();
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
        let reporting: Vec<u64> =
            self.all_templates().filter(|template| template.reports()).map(|template| template.number).collect();
        for (slot, generation, ending) in self.roster.orphans_that_ended(&reporting) {
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
        let Worker { pid, retired, killed, was_ready, template, .. } = worker;
        self.take_over_tasks(slot, pid, tasks);
        if retired || killed || has_left(seen.phase, ending) {
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
            if self.is_next(template) && !was_ready {
                // The others go on as before: this is no reason to wait before one of theirs is replaced.
                tracing::error!("worker {slot} (pid {pid}) of the new code died: {ending}");
                return self.fail_reload(&format!("its first worker ended before it could serve: {ending}"));
            }
            let cause = self.coroner.report(ending);
            if !is_stillborn(was_ready, age, seen.requests) {
                if age >= YOUNG {
                    self.worker_backoff.succeeded();
                }
                tracing::error!("worker {slot} (pid {pid}) died: {cause}");
            } else {
                let pause = self.worker_backoff.failed(now);
                tracing::error!(
                    "worker {slot} (pid {pid}) died: {cause}, {age:.1?} old; the next one starts in {pause:?}"
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
        self.tasks.refused += tasks.refused;
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

/// Asks `template` for workers, as far as there are slots.
pub(super) fn spawn_from(template: &Template, roster: &mut Roster, count: u32) {
    for _ in 0..count {
        let Some((slot, generation)) = roster.claim(template.number) else {
            tracing::warn!("every slot is taken; no further worker is started until one leaves");
            return;
        };
        if let Err(error) = template.spawn(slot, generation) {
            // It is dying; its end is on its way to us and releases the slot.
            tracing::debug!("the template can't be asked for a worker: {error}");
            roster.release(slot, generation);
            return;
        }
    }
}

/// A worker that has had its requests leaves by itself, and says so before. Others end with 0 because the application made
/// them. How one ended is not known if its template was killed between reaping and reporting it; what it has said is.
fn has_left(said: Published, ending: Ending) -> bool {
    match ending {
        Ending::Exited(0) => matches!(said, Published::Draining | Published::Dead),
        Ending::Unknown => said == Published::Dead,
        Ending::Exited(_) | Ending::Signaled(_) => false,
    }
}

/// Whether the next one would most likely fare no better: it died before it could serve, or soon and without a single
/// answer. One that has answered something died of what it was asked to do or of somebody's hand, and a pause before its
/// successor would only take more service away.
fn is_stillborn(was_ready: bool, age: Duration, answered: u64) -> bool {
    !was_ready || (age < YOUNG && answered == 0)
}

/// Ends a worker that a dying template forked but could not report: nobody could ever ask it to leave.
fn end_stray(pid: i32) {
    // It is our child now and not reaped, so the pid is still its own.
    if process::open(pid).is_ok_and(|pidfd| process::kill(pidfd.as_fd()).is_ok()) {
        tracing::warn!("a worker (pid {pid}) that the template could not report any more was killed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_answered_is_replaced_without_a_pause() {
        let rows = [
            // was ready, milliseconds old, answered, stillborn
            (false, 10, 0, true),
            (false, 9_000, 0, true), // a long import that ends badly
            (true, 10, 0, true),     // the first request, or what `post_fork` began
            (true, 10, 1, false),
            (true, 999, 0, true),
            (true, 1_000, 0, false),
            (true, 1_000, 7, false),
        ];
        for (was_ready, milliseconds, answered, expected) in rows {
            let stillborn = is_stillborn(was_ready, Duration::from_millis(milliseconds), answered);
            assert_eq!(stillborn, expected, "ready {was_ready}, {milliseconds} ms, {answered} answers");
        }
    }

    #[test]
    fn who_has_left_has_not_died() {
        let rows = [
            (Published::Draining, Ending::Exited(0), true),
            (Published::Dead, Ending::Exited(0), true),
            // The application has called exit.
            (Published::Ready, Ending::Exited(0), false),
            (Published::Starting, Ending::Exited(0), false),
            (Published::Draining, Ending::Exited(3), false),
            (Published::Dead, Ending::Signaled(9), false),
            // Nobody knows how, but it had served everybody.
            (Published::Dead, Ending::Unknown, true),
            (Published::Draining, Ending::Unknown, false),
            (Published::Ready, Ending::Unknown, false),
        ];
        for (said, ending, left) in rows {
            assert_eq!(has_left(said, ending), left, "{said:?}, {ending:?}");
        }
    }
}
