//! Births and deaths of workers: forked one after the other by the template, imported side by side, retired, crashed.

use std::collections::VecDeque;

use mpm::sizing::CallStats;

use super::intake::WAKE;
use super::worker::{Stage, Worker};
use super::{Event, Job, Model};
use crate::simulate::time::{MILLISECOND, Nanos, nanos};

/// How long a process that has nothing more to do takes to end: Python's interpreter goes through its exit functions.
const ENDING: Nanos = 2 * MILLISECOND;

/// The process that forks workers.
#[derive(Debug, Default)]
pub(super) struct Template {
    /// Slots and generations that it was asked for.
    orders: VecDeque<(u32, u32)>,
    is_forking: bool,
}

impl Model<'_> {
    /// Asks for `count` workers, in the lowest free slots as far as there are any.
    pub(super) fn spawn(&mut self, count: u32) {
        if self.supervisor.backoff.holds(self.now) {
            return;
        }
        for _ in 0..count {
            let Some(slot) = self.vacant.first() else { break };
            self.vacant.set(slot, false);
            self.supervisor.generation += 1;
            let generation = self.supervisor.generation;
            self.workers[slot as usize] = Some(Box::new(Worker::new(self.kind, slot, generation, self.now)));
            self.template.orders.push_back((slot, generation));
        }
        self.fork();
    }

    /// The template turns to its next order.
    fn fork(&mut self) {
        if !self.template.is_forking && !self.template.orders.is_empty() {
            self.template.is_forking = true;
            self.cores.start(self.now, Job::Template, self.terms.machine.fork);
        }
    }

    /// The template has forked, or tried to.
    pub(super) fn forked(&mut self) {
        self.template.is_forking = false;
        let order = self.template.orders.pop_front();
        self.fork();
        let Some((slot, generation)) = order else { return };
        let (now, at) = (self.now, self.load_time());
        let faults = self.terms.faults;
        if at >= faults.no_forks_from_s && at < faults.no_forks_until_s {
            self.workers[slot as usize] = None;
            self.vacant.set(slot, true);
            self.supervisor.fork_failed(now);
            return self.wake_supervisor(now + WAKE);
        }
        self.record.forked(now);
        self.populate(1);
        let import = self.terms.machine.import;
        let Some(worker) = self.same(slot, generation) else { return };
        if import > 0 {
            let job = self.cores.start(now, Job::Import { slot }, import);
            if let Some(worker) = self.same(slot, generation) {
                worker.stage = Stage::Importing(job);
            }
        } else {
            worker.stage = Stage::Serving;
            self.ready(slot);
        }
    }

    /// A worker serves from now on.
    pub(super) fn ready(&mut self, slot: u32) {
        let others = self.workers.iter().flatten().filter(|other| other.slot != slot && other.is_open());
        let known = others.fold(CallStats::default(), |known, other| known.with(&other.experience()));
        let Some(worker) = self.workers[slot as usize].as_deref_mut() else { return };
        worker.stage = Stage::Serving;
        worker.was_ready = true;
        worker.attended = true;
        worker.learn(&known);
        self.supervisor.started();
        self.wake_supervisor(self.now + WAKE);
        self.turn(slot);
        self.dispatch();
    }

    /// A worker is told to leave: it finishes what it has. One that was not forked yet can't be told.
    pub(super) fn retire(&mut self, slot: u32) {
        let Some(worker) = self.workers[slot as usize].as_deref_mut() else { return };
        if worker.stage == Stage::Asked {
            return;
        }
        worker.retired = true;
        self.give_connections_away(slot);
        self.turn(slot);
    }

    /// A worker that was told to leave has finished.
    pub(super) fn leave(&mut self, slot: u32) {
        let Some(worker) = self.workers[slot as usize].as_deref_mut() else { return };
        worker.stage = Stage::Leaving;
        let generation = worker.generation;
        self.leave_connections(slot);
        self.events.push(self.now + ENDING, Event::Gone { slot, generation });
    }

    /// Its process has ended.
    pub(super) fn gone(&mut self, slot: u32, generation: u32) {
        let Some(worker) = self.same(slot, generation).filter(|worker| worker.stage == Stage::Leaving) else { return };
        worker.stage = Stage::Ended { crashed: false };
        self.finished(slot, generation);
    }

    /// One of the living workers dies, whichever chance picks, and the next one's time is drawn.
    pub(super) fn death(&mut self) {
        let faults = self.terms.faults;
        let at = self.load_time();
        if at >= faults.deaths_until_s {
            return;
        }
        let next = self.now + nanos(self.mishaps.exponential() / faults.deaths_per_s);
        self.events.push(next, Event::Death);
        let living: Vec<u32> =
            self.workers.iter().flatten().filter(|worker| worker.lives()).map(|worker| worker.slot).collect();
        if living.is_empty() {
            return;
        }
        let slot = living[self.mishaps.below(living.len())];
        self.lose(slot);
        self.leave_connections(slot);
        let Some(worker) = self.workers[slot as usize].as_deref_mut() else { return };
        worker.stage = Stage::Ended { crashed: true };
        let generation = worker.generation;
        self.record.crashed();
        self.finished(slot, generation);
    }

    fn finished(&mut self, slot: u32, generation: u32) {
        self.populate(-1);
        self.supervisor.ended(slot, generation);
        self.wake_supervisor(self.now + WAKE);
    }

    fn populate(&mut self, change: i32) {
        self.population = self.population.saturating_add_signed(change);
        self.record.population(self.now, self.population);
    }
}
