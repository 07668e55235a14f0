//! New code and options without a stop: `ctl reload`, SIGHUP, `--reload`.
//!
//! A second template imports the new code while the workers of the first one serve. When it has, it forks as many workers
//! as serve now; when these are ready, those of the old code are asked to leave, and their template is. Until then nothing
//! has changed: whatever goes wrong ends the newcomers, and the old ones have never stopped.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use mpm::{Action, Decision};

use super::control::Ticket;
use super::lives::spawn_from;
use super::nursery::Template;
use super::renewal::{Renewal, Wear};
use super::{Phase, Supervisor, TEMPLATE_PATIENCE, decision_log, policy, recycling};
use crate::config::{self, Command, Config, Mpm, fixed};
use crate::ctl::protocol::{Answer, Reloaded, Reply};
use crate::scoreboard::Phase as Published;

/// How long a reload that nobody gave a time may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// Workers begin to leave within milliseconds of being asked. One that is stopped, or inside a call in prefork, may not; it
/// takes no new request either.
const LEAVE_TAKING: Duration = Duration::from_secs(1);

/// Who wants a reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asker {
    /// `ctl reload`, which waits for the answer.
    Ctl(Ticket),
    /// Somebody who reads the log.
    Log(String),
}

impl fmt::Display for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Asker::Ctl(_) => f.write_str("ctl reload"),
            Asker::Log(name) => f.write_str(name),
        }
    }
}

/// New code and options on their way in.
pub(super) struct Reload {
    config: Config,
    pub(super) template: Template,
    asker: Asker,
    since: Duration,
    deadline: Duration,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The template imports the application.
    Loading,
    /// Workers start until so many serve.
    Starting { wanted: u32 },
}

/// New code has taken over; those who asked are told when all workers of the old one know.
pub(super) struct Handover {
    asker: Asker,
    outcome: Reloaded,
    reason: String,
    until: Duration,
}

impl Supervisor {
    /// Begins a reload, or says why not.
    pub(super) fn reload(&mut self, asker: &Asker, patience: Duration) {
        match self.begin_reload(asker, patience) {
            Ok(()) => tracing::info!("reload (asked by {asker}): loading the new code"),
            Err(problem) => self.refuse_reload(asker, &problem),
        }
    }

    fn begin_reload(&mut self, asker: &Asker, patience: Duration) -> Result<(), String> {
        match self.phase {
            Phase::Serving => {}
            Phase::Starting => return Err("the server is still starting; try again when it serves".to_owned()),
            Phase::Stopping { .. } | Phase::Draining => return Err("the server is stopping".to_owned()),
        }
        let now = self.now();
        if let Some(reload) = &self.reload {
            let running = now.saturating_sub(reload.since).as_secs_f64();
            return Err(format!("a reload is under way since {running:.1} s; wait for its end"));
        }
        if self.handover.is_some() {
            return Err("the last reload is about to end; try again".to_owned());
        }
        let mut config = match config::parse(std::env::args_os()) {
            Ok(Command::Serve(config)) => *config,
            // The arguments are those that this server was started with.
            Ok(_) => return Err("the options ask for something else than serving".to_owned()),
            Err(error) => return Err(error.to_string()),
        };
        let mut fixed = fixed(&self.config, &config);
        // Kept from those who run the application.
        if config.admin.take() != self.admin_wanted {
            fixed.push("admin");
        }
        if !fixed.is_empty() {
            return Err(format!("only a restart changes {}; undo the change or restart the server", fixed.join(", ")));
        }
        let (most, room) = (policy::bounds(&config.mpm).1, self.ceiling);
        if most > room {
            return Err(format!(
                "{most} workers are more than the {room} that this server has room for; lower the maximum or restart it"
            ));
        }
        let template =
            self.new_template(&config).map_err(|error| format!("the new template can't be started: {error}"))?;
        self.reload = Some(Reload {
            config,
            template,
            asker: asker.clone(),
            since: now,
            deadline: now.saturating_add(patience),
            stage: Stage::Loading,
        });
        Ok(())
    }

    /// The new code is loaded: starts its workers, as many as the old ones that serve.
    pub(super) fn start_next_workers(&mut self) {
        let serving = self.roster.views().iter().filter(|view| view.phase != mpm::Phase::Draining).count() as u32;
        let free = self.roster.free();
        let Some(reload) = &mut self.reload else { return };
        let wanted = policy::successors(&reload.config.mpm, serving);
        if wanted > 0 && free == 0 {
            return self.fail_reload("every slot is taken by workers that leave; try again when they have left");
        }
        let wanted = wanted.min(free);
        reload.stage = Stage::Starting { wanted };
        spawn_from(&reload.template, &mut self.roster, wanted);
        if wanted == 0 {
            // Nobody serves, because nobody asks (ondemand, unit): the next to be started has the new code.
            self.hand_over();
        }
    }

    /// Looks how far it is: hands over when the new workers are ready, and tells the asker when the old ones know.
    pub(super) fn advance_reload(&mut self) {
        if let Some(Reload { stage: Stage::Starting { wanted }, template, .. }) = &self.reload {
            let (wanted, number) = (*wanted, template.number);
            if self.roster.serving(number) >= wanted {
                self.hand_over();
            } else {
                // One that was ready has died meanwhile.
                let missing = wanted.saturating_sub(self.roster.coming(number));
                spawn_from(template, &mut self.roster, missing);
            }
        }
        if self.handover.as_ref().is_some_and(|handover| self.now() >= handover.until || self.olds_know()) {
            self.report_handover();
        }
    }

    fn hand_over(&mut self) {
        let Some(Reload { config, template, asker, since, .. }) = self.reload.take() else { return };
        let now = self.now();
        let (number, ready) = (template.number, self.roster.serving(template.number));
        if let Some(old) = self.template.replace(template) {
            self.leaving.push((old, now));
        }
        self.policy = decision_log::policy(policy::setup(&config.mpm), self.decision_log.as_ref());
        self.policy.graceful_restart();
        self.scaled = None;
        self.renewal = Renewal::new(Wear::of(&config));
        self.recycles = recycling::is_wanted(&config);
        self.roster.set_max_rss(config.max_worker_rss);
        self.config = config;
        self.template_backoff.succeeded();
        self.worker_backoff.succeeded();
        let retired: Vec<Action> = self
            .roster
            .workers()
            .filter(|(_, worker)| worker.template != number && !worker.retired)
            .map(|(slot, _)| Action::Retire { slot: slot as u32 })
            .collect();
        let leaving = self.roster.retire_all(now, |template| template != number);
        self.code_generation += 1;
        self.counters.reloads += 1;
        let outcome = Reloaded {
            code_generation: self.code_generation,
            ready,
            ready_seconds: now.saturating_sub(since).as_secs_f64(),
            leaving,
        };
        let reason = format!(
            "generation {} (asked by {asker}): {ready} ready, {leaving} of the old code leave",
            self.code_generation
        );
        self.remember(Decision { at: now, actions: retired, reason: reason.clone(), inputs: BTreeMap::new() });
        self.handover = Some(Handover { asker, outcome, reason, until: now + LEAVE_TAKING });
    }

    /// Whether every worker of old code takes no new request any more.
    fn olds_know(&self) -> bool {
        let current = self.template.as_ref().map(|template| template.number);
        let keeps = matches!(self.config.mpm, Mpm::Prefork { .. });
        if self.leaving.iter().any(|(template, _)| self.roster.awaits(template.number)) {
            // One more of them is being forked.
            return false;
        }
        self.roster.workers().filter(|(_, worker)| Some(worker.template) != current).all(|(slot, _)| {
            let seen = self.roster.look(slot);
            // In prefork an idle connection stays for a moment and may have a last request.
            matches!(seen.phase, Published::Draining | Published::Dead) && !(keeps && seen.connections > 0)
        })
    }

    fn report_handover(&mut self) {
        let Some(Handover { asker, outcome, reason, .. }) = self.handover.take() else { return };
        tracing::info!("{reason}");
        if let Asker::Ctl(ticket) = asker {
            self.answer(ticket, &Reply::Ok(Answer::Reloaded(outcome)));
        }
    }

    /// The newcomers leave, the others go on as before.
    pub(super) fn fail_reload(&mut self, problem: &str) {
        let Some(Reload { template, asker, .. }) = self.reload.take() else { return };
        let (now, number) = (self.now(), template.number);
        self.leaving.push((template, now));
        self.roster.retire_all(now, |template| template == number);
        self.refuse_reload(&asker, problem);
    }

    fn refuse_reload(&mut self, asker: &Asker, problem: &str) {
        // A traceback was printed where it happened.
        let first = problem.lines().next().unwrap_or_default();
        tracing::error!("not reloaded (asked by {asker}), all goes on as before: {first}");
        if let Asker::Ctl(ticket) = asker {
            self.answer(*ticket, &Reply::Error(problem.to_owned()));
        }
    }

    /// The server stops: nobody is to take over any more.
    pub(super) fn forget_reload(&mut self) {
        self.fail_reload("the server is stopping");
        self.report_handover();
    }

    /// When a reload, or a template that is to leave, has had its time.
    pub(super) fn reload_deadline(&self) -> Option<Duration> {
        let reload = self.reload.as_ref().map(|reload| reload.deadline);
        let handover = self.handover.as_ref().map(|handover| handover.until);
        let leaving = self.leaving.iter().map(|(_, since)| *since + TEMPLATE_PATIENCE).min();
        let change = self.watch.as_ref().filter(|_| self.may_reload()).and_then(|watch| watch.deadline());
        [reload, handover, leaving, change].into_iter().flatten().min()
    }

    fn may_reload(&self) -> bool {
        self.phase == Phase::Serving && self.reload.is_none() && self.handover.is_none()
    }

    /// Ends what has had its time, and begins what a change of files asks for.
    pub(super) fn keep_reload_deadlines(&mut self) {
        let now = self.now();
        if let Some(reload) = self.reload.as_ref().filter(|reload| now >= reload.deadline) {
            let time = (reload.deadline - reload.since).as_secs_f64();
            let done = match reload.stage {
                Stage::Loading => "it was not loaded".to_owned(),
                Stage::Starting { wanted } => {
                    format!("{} of {wanted} workers were ready", self.roster.serving(reload.template.number))
                }
            };
            self.fail_reload(&format!("{done} within {time} s; give it more --timeout"));
        }
        self.advance_reload();
        // A change during a reload waits for its end: the new code may have been read before it.
        if self.may_reload()
            && let Some(path) = self.watch.as_mut().and_then(|watch| watch.take_change(now))
        {
            self.reload(&Asker::Log(format!("--reload: {} has changed", path.display())), PATIENCE);
        }
        for (template, since) in &mut self.leaving {
            if !self.roster.awaits(template.number) {
                template.dismiss();
            }
            if now >= *since + TEMPLATE_PATIENCE {
                // Stuck in an import, or stopped.
                template.kill();
                *since = now;
            }
        }
    }
}
