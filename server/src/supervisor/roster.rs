//! The supervisor's account of its workers: one place per scoreboard slot.
//!
//! Owns what only the supervisor may hold (pidfds, wake-ups, who was asked to leave and when) and puts it together with
//! what the workers publish. It performs no policy: it says what is, and does to one slot what it is told.

use std::cell::Cell;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use mpm::{Totals, WorkerView};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::renewal::{Life, Member, Stage};
use super::status::resident_bytes;
use crate::scoreboard::{LogState, Phase, Scoreboard, Seen, Stir, Tally, TaskCounts};
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
    timed_out: u64,
    /// The CPU time that its process had used when somebody last looked: once it has ended nobody can tell.
    cpu_ns: Cell<u64>,
    memory: Memory,
}

/// What is known of a worker's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Memory {
    /// Nothing, or it is not to be judged by: it had too much from the start.
    Unjudged,
    /// So many bytes, when somebody last looked.
    Resident(u64),
}

/// What the supervisor knows of a slot.
#[derive(Debug)]
enum Place {
    Free,
    /// The template of this number was asked; it has not answered.
    Asked {
        generation: u64,
        template: u64,
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
    /// So many calls were found to run for longer than they may.
    pub(super) timed_out: u64,
    /// A worker has begun with so many bytes, more than it may ever have; told once.
    pub(super) born_heavy: Option<u64>,
}

/// All places.
pub(super) struct Roster {
    scoreboard: Scoreboard,
    places: Vec<Place>,
    generation: u64,
    /// Memory that a worker may have.
    max_rss: Option<u64>,
    /// That workers have more from the start was told.
    told_of_heavy: bool,
    /// What those have counted that are gone.
    departed: Tally,
    departed_cpu_ns: u64,
}

impl Roster {
    /// Nobody yet.
    pub(super) fn new(scoreboard: Scoreboard, max_rss: Option<u64>) -> Roster {
        let places = (0..scoreboard.slots()).map(|_| Place::Free).collect();
        Roster {
            scoreboard,
            places,
            generation: 0,
            max_rss,
            told_of_heavy: false,
            departed: Tally::default(),
            departed_cpu_ns: 0,
        }
    }

    /// From now on a worker may have so much memory.
    pub(super) fn set_max_rss(&mut self, max_rss: Option<u64>) {
        self.max_rss = max_rss;
        self.told_of_heavy = false;
    }

    /// Takes the first free slot for a worker that `template` is to fork: the slot and the life that begins in it.
    pub(super) fn claim(&mut self, template: u64) -> Option<(usize, u64)> {
        let slot = self.places.iter().position(|place| matches!(place, Place::Free))?;
        self.generation += 1;
        self.scoreboard.slot(slot).begin(self.generation, clock::monotonic_ns());
        self.places[slot] = Place::Asked { generation: self.generation, template };
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
            timed_out: 0,
            memory: Memory::Unjudged,
            cpu_ns: Cell::new(0),
        });
    }

    /// The slot is free again: the worker that was in it, if there was one of this life.
    pub(super) fn release(&mut self, slot: usize, generation: u64) -> Option<Worker> {
        let place = self.places.get_mut(slot)?;
        let matches = match place {
            Place::Free => false,
            Place::Asked { generation: asked, .. } => *asked == generation,
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
    pub(super) fn forget_asked(&mut self, dead: u64) -> Vec<i32> {
        let mut strays = Vec::new();
        for (slot, place) in self.places.iter_mut().enumerate() {
            if matches!(place, Place::Asked { template, .. } if *template == dead) {
                *place = Place::Free;
                self.departed.add(&self.scoreboard.slot(slot).tally());
                strays.extend(self.scoreboard.slot(slot).disown());
            }
        }
        strays
    }

    /// True while this template owes an answer.
    pub(super) fn awaits(&self, debtor: u64) -> bool {
        self.places.iter().any(|place| matches!(place, Place::Asked { template, .. } if *template == debtor))
    }

    /// Slots without a worker.
    pub(super) fn free(&self) -> u32 {
        self.places.iter().filter(|place| matches!(place, Place::Free)).count() as u32
    }

    /// True when every slot is taken.
    pub(super) fn is_full(&self) -> bool {
        !self.places.iter().any(|place| matches!(place, Place::Free))
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

    /// Workers whose process has ended and whose template is not among the `reporting` ones: the supervisor itself must
    /// reap those.
    pub(super) fn orphans_that_ended(&self, reporting: &[u64]) -> Vec<(usize, u64, process::Ending)> {
        let orphans = self.workers().filter(|(_, worker)| !reporting.contains(&worker.template));
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

    /// Asks all workers whose template `is_old` to leave: how many there are.
    pub(super) fn retire_all(&mut self, now: Duration, is_old: impl Fn(u64) -> bool) -> u32 {
        let old: Vec<usize> =
            self.workers().filter(|(_, worker)| is_old(worker.template)).map(|(slot, _)| slot).collect();
        for slot in &old {
            self.retire(*slot, now);
        }
        old.len() as u32
    }

    /// How many workers of this template serve.
    pub(super) fn serving(&self, template: u64) -> u32 {
        let own = self.workers().filter(|(_, worker)| worker.template == template);
        own.filter(|(_, worker)| worker.was_ready && worker.leaving_since.is_none()).count() as u32
    }

    /// How many workers of this template serve or will.
    pub(super) fn coming(&self, number: u64) -> u32 {
        let coming = self.places.iter().filter(|place| match place {
            Place::Free => false,
            Place::Asked { template, .. } => *template == number,
            Place::Taken(worker) => worker.template == number && worker.leaving_since.is_none(),
        });
        coming.count() as u32
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
                let weight = self.max_rss.and_then(|most| Some((most, resident_bytes(worker.pid)?)));
                match weight {
                    Some((most, bytes)) if bytes > most => {
                        let untold = !std::mem::replace(&mut self.told_of_heavy, true);
                        news.born_heavy = news.born_heavy.or(untold.then_some(bytes));
                    }
                    Some((_, bytes)) => worker.memory = Memory::Resident(bytes),
                    None => {}
                }
            }
            if matches!(seen.phase, Phase::Draining | Phase::Dead) {
                worker.leaving_since.get_or_insert(now);
            }
            news.timed_out += seen.timed_out.saturating_sub(worker.timed_out);
            worker.timed_out = seen.timed_out;
            if seen.saturated != worker.saturated {
                worker.saturated = seen.saturated;
                news.saturated = true;
            }
        }
        news
    }

    /// Looks how much memory those have that are judged by it.
    pub(super) fn weigh(&mut self) {
        for place in &mut self.places {
            if let Place::Taken(Worker { pid, memory: memory @ Memory::Resident(_), .. }) = place
                && let Some(bytes) = resident_bytes(*pid)
            {
                *memory = Memory::Resident(bytes);
            }
        }
    }

    /// What renewals are decided upon.
    pub(super) fn members(&self) -> Vec<Member> {
        let taken = self.places.iter().enumerate().filter(|(_, place)| !matches!(place, Place::Free));
        taken
            .map(|(slot, place)| {
                let seen = self.scoreboard.slot(slot).look();
                let (stage, memory) = match place {
                    Place::Free | Place::Asked { .. } => (Stage::Starting, Memory::Unjudged),
                    Place::Taken(worker) => {
                        let stage = match policy_phase(&seen, worker.leaving_since.is_some()) {
                            mpm::Phase::Starting => Stage::Starting,
                            mpm::Phase::Ready => Stage::Serving,
                            mpm::Phase::Draining => Stage::Leaving,
                        };
                        (stage, worker.memory)
                    }
                };
                Member {
                    life: Life { slot, generation: seen.generation },
                    stage,
                    age: seen.age(),
                    worn: seen.worn,
                    requests: seen.requests,
                    timed_out: seen.timed_out,
                    rss: match memory {
                        Memory::Unjudged => None,
                        Memory::Resident(bytes) => Some(bytes),
                    },
                }
            })
            .collect()
    }

    /// What the workers do and have done, for comparison.
    pub(super) fn stir(&self) -> Stir {
        self.workers().map(|(slot, _)| self.scoreboard.slot(slot).stir()).sum()
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

    /// Wakes every worker: there is something new in the scoreboard.
    pub(super) fn rouse_all(&self) {
        self.workers().for_each(|(_, worker)| worker.rouse());
    }

    /// How the worker in `slot` is, and what its log is like.
    pub(super) fn logs(&self, slot: usize) -> (Phase, LogState) {
        let slot = self.scoreboard.slot(slot);
        (slot.phase(), slot.logs())
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
