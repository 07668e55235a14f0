//! A worker's monitor: the thread that only watches, every two milliseconds while calls happen.
//!
//! It replaces a leader that is away for long and lets more calls run when those that run are blocked. Its looks are
//! modelled only where they could find something.

use super::worker::{Look, Stage};
use super::{Event, Model};
use crate::simulate::time::{MILLISECOND, Nanos};

/// Between two looks.
const LOOK: Nanos = 2 * MILLISECOND;

impl Model<'_> {
    /// Nobody attends to the worker's connections, for at least `alone` unless something else comes up.
    pub(super) fn note_absence(&mut self, slot: u32, alone: Nanos) {
        let Some(worker) = self.workers[slot as usize].as_deref_mut() else { return };
        worker.absence = worker.absence.wrapping_add(1);
        let (generation, absence) = (worker.generation, worker.absence);
        // A short call that nothing holds up ends before the second look that finds its thread away.
        if alone < LOOK && worker.lock.is_empty() && self.cores.is_idle() {
            return;
        }
        let first_look = (self.chance.unit() * LOOK as f64) as Nanos;
        self.events.push(self.now + first_look + LOOK, Event::Promote { slot, generation, absence });
    }

    /// The second look that finds nobody attending: another thread does from now on.
    pub(super) fn promote(&mut self, slot: u32, generation: u32, absence: u32) {
        let Some(worker) = self.same(slot, generation) else { return };
        if worker.stage != Stage::Serving || worker.attended || worker.absence != absence {
            return;
        }
        worker.attended = true;
        self.turn(slot);
        self.dispatch();
    }

    /// The monitor will look, if it has a reason to.
    pub(super) fn watch(&mut self, slot: u32) {
        let Some(worker) = self.workers[slot as usize].as_deref_mut() else { return };
        if worker.watched || !worker.needs_looks() {
            return;
        }
        worker.watched = true;
        let generation = worker.generation;
        let first_look = (self.chance.unit() * LOOK as f64) as Nanos;
        self.events.push(self.now + first_look, Event::Look { slot, generation });
    }

    /// Lets more calls run if those that run are blocked, or have run for so long that they count as exceptions.
    pub(super) fn look(&mut self, slot: u32, generation: u32) {
        let (now, clock) = (self.now, self.cores.clock(self.now));
        let Some(worker) = self.workers[slot as usize].as_deref_mut().filter(|one| one.generation == generation) else {
            return;
        };
        worker.watched = false;
        if worker.stage != Stage::Serving || !worker.needs_looks() {
            return;
        }
        let long = worker.long();
        let stragglers =
            worker.running.iter().filter(|call| now - self.requests.get(**call).began() >= long).count() as u32;
        let more_stragglers = stragglers > std::mem::replace(&mut worker.stragglers, stragglers);
        let cpu = worker.cpu(clock);
        let (elapsed, used) = (now - worker.looked.at, cpu - worker.looked.cpu);
        let mut relieved = false;
        if elapsed >= LOOK {
            worker.looked = Look { at: now, cpu };
            // After a pause in looking, only what comes next counts.
            let idle = elapsed < 10 * LOOK && used * 3 < elapsed;
            if worker.is_waited_for() && idle && worker.lock.is_empty() {
                let more = (worker.queue.len() as u32).max(worker.limit);
                let raised = worker.limit.saturating_add(more).min(worker.kind.max_threads);
                relieved = raised > worker.limit;
                worker.limit = raised;
                worker.hand_off |= relieved;
            }
        }
        if worker.needs_looks() {
            worker.watched = true;
            self.events.push(now + LOOK, Event::Look { slot, generation });
        }
        if relieved || more_stragglers {
            self.turn(slot);
            self.dispatch();
        }
    }
}
