//! The supervisor's account of its workers: one place per scoreboard slot.
//!
//! Owns what only the supervisor may hold (pidfds, wake-ups, who was asked to leave and when) and puts it together with
//! what the workers publish. It performs no policy: it says what is, and does to one slot what it is told.

use std::cell::Cell;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use mpm::{Totals, WorkerView};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::scoreboard::{Phase, Scoreboard, Seen, Tally, TaskCounts};
use crate::sys::wakeup::Wakeup;
use crate::sys::{clock, process};

/// A process in a slot.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) generation: u64,
    pub(super) pid: i32,
    pidfd: OwnedFd,
    wake: Wakeup,
    /// Which template is its parent, by its number.
    pub(super) template: u64,
    /// Since when it is to leave, by our clock.
    leaving_since: Option<Duration>,
    /// It was told to leave by us.
    pub(super) retired: bool,
    /// The last resort was used.
    pub(super) killed: bool,
    /// It has said that it serves.
    pub(super) was_ready: bool,
    saturated: u64,
    /// The CPU time that its process had used when somebody last looked: once it has ended nobody can tell.
    cpu_ns: Cell<u64>,
}

/// What the supervisor knows of a slot.
#[derive(Debug)]
enum Place {
    Free,
    /// The template was asked; it has not answered.
    Asked {
        generation: u64,
    },
    Taken(Worker),
}

/// What has changed in the scoreboard since the last look.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct News {
    /// A worker serves that did not.
    pub(super) started: bool,
    /// A worker has run out of room.
    pub(super) saturated: bool,
}

/// All places.
pub(super) struct Roster {
    scoreboard: Scoreboard,
    places: Vec<Place>,
    generation: u64,
    /// What those have counted that are gone.
    departed: Tally,
    departed_cpu_ns: u64,
}

impl Roster {
    /// Nobody yet.
    pub(super) fn new(scoreboard: Scoreboard) -> Roster {
        let places = (0..scoreboard.slots()).map(|_| Place::Free).collect();
        Roster { scoreboard, places, generation: 0, departed: Tally::default(), departed_cpu_ns: 0 }
    }

    /// Takes the first free slot for a worker to come: the slot and the life that begins in it.
    pub(super) fn claim(&mut self) -> Option<(usize, u64)> {
        let slot = self.places.iter().position(|place| matches!(place, Place::Free))?;
        self.generation += 1;
        self.scoreboard.slot(slot).begin(self.generation, clock::monotonic_ns());
        self.places[slot] = Place::Asked { generation: self.generation };
        Some((slot, self.generation))
    }

    /// The template has forked the worker it was asked for.
    pub(super) fn settle(
        &mut self,
        slot: usize,
        generation: u64,
        pid: i32,
        pidfd: OwnedFd,
        wake: Wakeup,
        template: u64,
    ) {
        self.places[slot] = Place::Taken(Worker {
            generation,
            pid,
            pidfd,
            wake,
            template,
            leaving_since: None,
            retired: false,
            killed: false,
            was_ready: false,
            saturated: 0,
            cpu_ns: Cell::new(0),
        });
    }

    /// The slot is free again: the worker that was in it, if there was one of this life.
    pub(super) fn release(&mut self, slot: usize, generation: u64) -> Option<Worker> {
        let place = self.places.get_mut(slot)?;
        let matches = match place {
            Place::Free => false,
            Place::Asked { generation: asked } => *asked == generation,
            Place::Taken(worker) => worker.generation == generation,
        };
        if !matches {
            return None;
        }
        let place = std::mem::replace(place, Place::Free);
        self.departed.add(&self.scoreboard.slot(slot).tally());
        self.scoreboard.slot(slot).clear();
        match place {
            Place::Taken(worker) => {
                self.departed_cpu_ns += worker.cpu_ns.get();
                Some(worker)
            }
            Place::Free | Place::Asked { .. } => None,
        }
    }

    /// Forgets the spawns that a dead template can't answer any more: the pids of workers that it has forked all the same.
    pub(super) fn forget_asked(&mut self) -> Vec<i32> {
        let mut strays = Vec::new();
        for (slot, place) in self.places.iter_mut().enumerate() {
            if matches!(place, Place::Asked { .. }) {
                *place = Place::Free;
                self.departed.add(&self.scoreboard.slot(slot).tally());
                strays.extend(self.scoreboard.slot(slot).disown());
            }
        }
        strays
    }

    /// True while the template owes an answer.
    pub(super) fn awaits_template(&self) -> bool {
        self.places.iter().any(|place| matches!(place, Place::Asked { .. }))
    }

    /// True when no worker is left.
    pub(super) fn is_empty(&self) -> bool {
        self.places.iter().all(|place| matches!(place, Place::Free))
    }

    /// All processes, by slot.
    pub(super) fn workers(&self) -> impl Iterator<Item = (usize, &Worker)> {
        self.places.iter().enumerate().filter_map(|(slot, place)| match place {
            Place::Taken(worker) => Some((slot, worker)),
            Place::Free | Place::Asked { .. } => None,
        })
    }

    /// The process in this slot.
    pub(super) fn worker(&self, slot: usize) -> Option<&Worker> {
        match self.places.get(slot)? {
            Place::Taken(worker) => Some(worker),
            Place::Free | Place::Asked { .. } => None,
        }
    }

    /// Workers of other templates than the living one whose process has ended: the supervisor itself must reap those.
    pub(super) fn orphans_that_ended(&self, living: Option<u64>) -> Vec<(usize, u64, process::Ending)> {
        let orphans = self.workers().filter(|(_, worker)| Some(worker.template) != living);
        let ended = orphans.filter(|(_, worker)| worker.has_ended());
        ended
            .map(|(slot, worker)| {
                (slot, worker.generation, process::reap(worker.pidfd.as_fd()).unwrap_or(process::Ending::Unknown))
            })
            .collect()
    }

    /// Asks the worker in `slot` to leave. False when there is none, or it has been asked already.
    pub(super) fn retire(&mut self, slot: usize, now: Duration) -> bool {
        let Some(Place::Taken(worker)) = self.places.get_mut(slot) else { return false };
        if worker.retired {
            return false;
        }
        worker.retired = true;
        worker.leaving_since.get_or_insert(now);
        self.scoreboard.slot(slot).set_kill_pending();
        worker.rouse();
        true
    }

    /// The server stops: everybody leaves. The scoreboard must say so before.
    pub(super) fn dismiss_all(&mut self, now: Duration) {
        for place in &mut self.places {
            if let Place::Taken(worker) = place {
                worker.retired = true;
                worker.leaving_since.get_or_insert(now);
                worker.rouse();
            }
        }
    }

    /// Kills those that should have left `patience` ago: their slots and pids.
    pub(super) fn kill_overdue(&mut self, now: Duration, patience: Duration) -> Vec<(usize, i32)> {
        let mut killed = Vec::new();
        for (slot, place) in self.places.iter_mut().enumerate() {
            let Place::Taken(worker) = place else { continue };
            let overdue = worker.leaving_since.is_some_and(|since| now >= since + patience);
            if overdue && !worker.killed && process::kill(worker.pidfd.as_fd()).is_ok() {
                worker.killed = true;
                killed.push((slot, worker.pid));
            }
        }
        killed
    }

    /// When the next worker is overdue.
    pub(super) fn next_overdue(&self, patience: Duration) -> Option<Duration> {
        let leaving =
            self.workers().filter(|(_, worker)| !worker.killed).filter_map(|(_, worker)| worker.leaving_since);
        leaving.min().map(|since| since + patience)
    }

    /// Looks at the scoreboard for what workers have published since the last look.
    pub(super) fn news(&mut self, now: Duration) -> News {
        let mut news = News::default();
        for (slot, place) in self.places.iter_mut().enumerate() {
            let Place::Taken(worker) = place else { continue };
            let seen = self.scoreboard.slot(slot).look();
            if seen.phase == Phase::Ready && !worker.was_ready {
                worker.was_ready = true;
                news.started = true;
            }
            if matches!(seen.phase, Phase::Draining | Phase::Dead) {
                worker.leaving_since.get_or_insert(now);
            }
            if seen.saturated != worker.saturated {
                worker.saturated = seen.saturated;
                news.saturated = true;
            }
        }
        news
    }

    /// What policies decide upon.
    pub(super) fn views(&self) -> Vec<WorkerView> {
        let taken = self.places.iter().enumerate().filter(|(_, place)| !matches!(place, Place::Free));
        taken
            .map(|(slot, place)| {
                let seen = self.scoreboard.slot(slot).look();
                // A worker that has tasks to do is no more dispensable than one that has clients.
                let tasks = u32::try_from(self.tasks(slot).open()).unwrap_or(u32::MAX);
                // The whole process's: a worker with short calls spends most of its core in the event loop.
                let cpu = match place {
                    Place::Taken(worker) => worker.cpu().unwrap_or(seen.cpu),
                    Place::Free | Place::Asked { .. } => Duration::ZERO,
                };
                WorkerView {
                    slot: slot as u32,
                    generation: seen.generation as u32,
                    phase: match place {
                        Place::Taken(worker) => policy_phase(&seen, worker.leaving_since.is_some()),
                        // It may serve already, but nobody has told us its pid.
                        Place::Free | Place::Asked { .. } => mpm::Phase::Starting,
                    },
                    age: seen.age(),
                    connections: seen.connections.saturating_add(tasks),
                    in_flight: seen.in_flight,
                    queued: seen.queued,
                    threads: seen.threads,
                    totals: Totals { requests: seen.requests, wall: seen.wall, cpu, gil_wait: seen.lock_wait },
                }
            })
            .collect()
    }

    /// The background tasks of the worker in `slot`.
    pub(super) fn tasks(&self, slot: usize) -> TaskCounts {
        self.scoreboard.slot(slot).tasks()
    }

    /// What all workers have counted since the server's start, also those that are gone. No field ever goes down.
    pub(super) fn tally(&self) -> Tally {
        let mut tally = self.departed.clone();
        for (slot, place) in self.places.iter().enumerate() {
            if !matches!(place, Place::Free) {
                tally.add(&self.scoreboard.slot(slot).tally());
            }
        }
        tally
    }

    /// CPU time that all workers have used since the server's start; of those that are gone, as of the last look at them.
    pub(super) fn cpu(&self) -> Duration {
        let living: u64 = self
            .workers()
            .map(|(_, worker)| {
                worker.cpu();
                worker.cpu_ns.get()
            })
            .sum();
        Duration::from_nanos(self.departed_cpu_ns + living)
    }

    /// What the worker in `slot` publishes.
    pub(super) fn look(&self, slot: usize) -> Seen {
        self.scoreboard.slot(slot).look()
    }
}

impl Worker {
    /// CPU time that its process has used; `None` once it is gone.
    fn cpu(&self) -> Option<Duration> {
        let cpu_ns = clock::cpu_ns_of(self.pid)?;
        self.cpu_ns.set(self.cpu_ns.get().max(cpu_ns));
        Some(Duration::from_nanos(cpu_ns))
    }

    fn rouse(&self) {
        self.wake.ring();
    }

    fn has_ended(&self) -> bool {
        let mut descriptors = [PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
        poll(&mut descriptors, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }
}

impl AsFd for Worker {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

/// A worker's phase as policies see it: whoever is to leave is no capacity any more, even if it does not know yet.
pub(super) fn policy_phase(seen: &Seen, leaving: bool) -> mpm::Phase {
    match seen.phase {
        _ if leaving => mpm::Phase::Draining,
        Phase::Ready => mpm::Phase::Ready,
        Phase::Draining | Phase::Dead => mpm::Phase::Draining,
        Phase::Starting | Phase::Empty => mpm::Phase::Starting,
    }
}
