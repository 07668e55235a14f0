//! Connections that clients keep between requests: who has them, and who they belong to meanwhile.
//!
//! A client sends its next request over the connection that it used last and opens one more when all are in use, as the
//! load generator does. An idle connection belongs to the worker that answered on it, which gives it away by the rules of
//! `server/src/worker/pool/siblings.rs`: when it leaves, and when requests queue there while another worker with fewer
//! connections has less than half as much to do.

use super::Model;
use super::worker::{CallId, Stage, Worker};

/// Idle connections of each generator of load, the one used last at the end: slots and generations of their workers.
#[derive(Debug, Default)]
pub(super) struct Kept {
    idle: Vec<Vec<(u32, u32)>>,
}

impl Model<'_> {
    /// Takes the connection that this generator used last, if its worker is still there: the worker's slot.
    pub(super) fn kept_connection(&mut self, generator: usize) -> Option<u32> {
        while let Some((slot, generation)) = self.kept.idle.get_mut(generator).and_then(Vec::pop) {
            // The end of a process closes its connections, and the client forgets them.
            if let Some(worker) = self.same(slot, generation).filter(|worker| worker.stage == Stage::Serving) {
                worker.idle_connections = worker.idle_connections.saturating_sub(1);
                return Some(slot);
            }
        }
        None
    }

    /// A generator of load has finished, and its connections with it.
    pub(super) fn end_connections(&mut self, generator: usize) {
        let ended = self.kept.idle.get_mut(generator).map(std::mem::take).unwrap_or_default();
        for (slot, generation) in ended {
            if let Some(worker) = self.same(slot, generation) {
                worker.idle_connections = worker.idle_connections.saturating_sub(1);
            }
        }
    }

    /// A request comes over a connection that the worker has: there is no leaving it to others.
    pub(super) fn deliver(&mut self, slot: u32, call: CallId) {
        if let Some(worker) = self.workers[slot as usize].as_deref_mut() {
            worker.queue.push_back(call);
        }
        self.turn(slot);
        self.dispatch();
    }

    /// The answer is sent by the worker in `slot`: its connection is idle, here or with another worker.
    pub(super) fn keep(&mut self, slot: u32, generator: usize) {
        if !self.terms.clients.keep_alive || !self.kind.followers {
            return;
        }
        let Some(worker) = self.workers[slot as usize].as_deref() else { return };
        let better = if worker.retired || !worker.queue.is_empty() { self.less_busy(slot) } else { None };
        if worker.retired && better.is_none() {
            return;
        }
        let Some(worker) = self.workers[better.unwrap_or(slot) as usize].as_deref_mut() else { return };
        worker.idle_connections += 1;
        let owner = (worker.slot, worker.generation);
        if self.kept.idle.len() <= generator {
            self.kept.idle.resize(generator + 1, Vec::new());
        }
        self.kept.idle[generator].push(owner);
    }

    /// A worker leaves: its idle connections go to another one, or end with it.
    pub(super) fn give_connections_away(&mut self, slot: u32) {
        let Some(worker) = self.workers[slot as usize].as_deref_mut() else { return };
        let (leaver, count) = ((slot, worker.generation), std::mem::take(&mut worker.idle_connections));
        let Some(heir) = self.less_busy(slot) else { return };
        let Some(worker) = self.workers[heir as usize].as_deref_mut() else { return };
        worker.idle_connections += count;
        let heir = (heir, worker.generation);
        for owner in self.kept.idle.iter_mut().flatten().filter(|owner| **owner == leaver) {
            *owner = heir;
        }
    }

    /// Who may have an idle connection of the worker in `slot`: anybody if it leaves, else one with less to do.
    fn less_busy(&self, slot: u32) -> Option<u32> {
        let giver = self.workers[slot as usize].as_deref()?;
        let (load, connections) = (giver.load(), giver.connections());
        let would = |other: &&Worker| {
            let less = 2 * other.load() + 2 < load && other.connections() + 1 < connections;
            other.slot != slot && other.is_open() && (giver.retired || less)
        };
        self.workers.iter().flatten().map(|worker| &**worker).find(would).map(|worker| worker.slot)
    }
}
