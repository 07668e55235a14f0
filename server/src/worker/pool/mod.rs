//! The worker's threads: leader and followers.
//!
//! One thread at a time, the leader, holds the [`Reactor`]: it waits for events and, for a complete request, lets go of the
//! reactor, *calls the application itself*, and takes the reactor back if nobody else has. A short call therefore costs no
//! hand-off, no queue and no wake-up. When calls are known to block, the leader promotes a follower before it goes; when a
//! call turns out long, the monitor does, within about a millisecond. So no call stalls the other connections.
//!
//! At most `limit` calls run at once (see [`mpm::sizing`]); one more thread exists to serve I/O meanwhile. This file has
//! the leader; what else there is to a pool stands beside it.

mod calls;
mod crew;
mod departure;
mod lockout;
mod monitor;
mod reports;
mod review;
mod siblings;
mod stragglers;
mod stuck;
mod tasks;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::{self, Thread};
use std::time::Duration;

use self::calls::Desk;
use self::crew::{Ageing, Called, Crew};
use self::lockout::Lockout;
use self::review::Review;
use self::siblings::DRIP;
use self::stragglers::Began;
use self::tasks::Tasks;
use super::call::{Caller, Tools};
use super::outbox::{Delivery, Outbox};
use super::overtime::Overtime;
use super::reactor::{Done, Job, Reactor};
use crate::scoreboard::{Phase, Scoreboard, Slot};
use crate::sys::clock;
use crate::sys::wakeup::Wakeup;

/// Bounds of the pool.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Calls that may always run at once.
    pub(super) min_threads: u32,
    /// Calls that never run at once beyond this.
    pub(super) max_threads: u32,
    /// False for prefork: one thread, one connection, and nobody to promote.
    pub(super) followers: bool,
    /// Requests after which the worker wants to be replaced; 0: never.
    pub(super) most_requests: u64,
    /// How long requests may take to finish when the worker is to leave.
    pub(super) graceful: Duration,
    pub(super) tasks: TaskBounds,
    /// How long one call may take.
    pub(super) most_time: Option<Duration>,
}

/// Bounds of the background tasks.
#[derive(Debug, Clone, Copy)]
pub(super) struct TaskBounds {
    /// Tasks that may wait.
    pub(super) queue: u32,
    /// Tasks that may run at once; 0: there are none.
    pub(super) concurrency: u32,
}

/// What all threads of a worker share.
pub(super) struct Pool {
    bounds: Bounds,
    caller: Caller,
    slot: Slot,
    scoreboard: Scoreboard,
    reactor: Mutex<Reactor>,
    /// Complete requests that wait for a thread.
    ready: Mutex<VecDeque<Job>>,
    queued: AtomicUsize,
    /// Answered requests whose thread could not get the reactor, and how many there are.
    done: Mutex<Vec<Done>>,
    undone: AtomicUsize,
    /// Responses that are written together.
    outbox: Outbox,
    crew: Mutex<Crew>,
    /// How many calls may run at once now.
    limit: AtomicU32,
    /// When the calls under way began, thread by thread, and how many of them are stragglers.
    calls: Mutex<Vec<Began>>,
    stragglers: AtomicU32,
    /// Whether calls get the lock that they share.
    lockout: Lockout,
    /// The calls' time, where there is a limit to it.
    overtime: Option<Overtime>,
    /// What was found over its time is being logged.
    reporting: AtomicBool,
    timekeeper: Mutex<Option<Thread>>,
    /// Calls that wait for a slow client to take more of a streamed response.
    stalled: AtomicU32,
    /// Whether calls block so long that the reactor is handed over first.
    hand_off: AtomicBool,
    /// Which absence of the leader this is; 0: it attends to the reactor.
    absence: AtomicU64,
    /// How many absences there have been.
    absences: AtomicU64,
    /// The monitor sleeps and must be woken when calls happen.
    monitor_asleep: AtomicBool,
    monitor: Mutex<Option<Thread>>,
    draining: AtomicBool,
    /// Everything is served; threads leave.
    over: AtomicBool,
    wake: Arc<Wakeup>,
    supervisor: Wakeup,
    /// There is no room for one more call, so connections are left to others.
    full: AtomicBool,
    /// When the supervisor may next be told so.
    next_report_ns: AtomicU64,
    /// When a full worker may let in the next connection.
    next_drip_ns: AtomicU64,
    /// When a less busy worker may next be looked for.
    next_search_ns: AtomicU64,
    review: Mutex<Review>,
    tasks: Tasks,
}

impl Pool {
    /// A pool of one thread: the caller's, which goes on to [`Pool::work`].
    pub(super) fn new(
        bounds: Bounds,
        caller: Caller,
        reactor: Reactor,
        scoreboard: Scoreboard,
        slot: Slot,
        wake: Arc<Wakeup>,
        supervisor: Wakeup,
    ) -> Arc<Pool> {
        slot.set_threads(1);
        Arc::new(Pool {
            bounds,
            caller,
            slot,
            scoreboard,
            reactor: Mutex::new(reactor),
            ready: Mutex::default(),
            queued: AtomicUsize::new(0),
            done: Mutex::default(),
            undone: AtomicUsize::new(0),
            outbox: Outbox::default(),
            crew: Mutex::new(Crew::of_one()),
            limit: AtomicU32::new(bounds.min_threads.max(1)),
            calls: Mutex::default(),
            stragglers: AtomicU32::new(0),
            lockout: Lockout::default(),
            overtime: bounds.most_time.map(Overtime::new),
            reporting: AtomicBool::new(false),
            timekeeper: Mutex::new(None),
            stalled: AtomicU32::new(0),
            hand_off: AtomicBool::new(false),
            absence: AtomicU64::new(0),
            absences: AtomicU64::new(0),
            monitor_asleep: AtomicBool::new(false),
            monitor: Mutex::new(None),
            draining: AtomicBool::new(false),
            over: AtomicBool::new(false),
            wake,
            supervisor,
            full: AtomicBool::new(false),
            next_report_ns: AtomicU64::new(0),
            next_drip_ns: AtomicU64::new(0),
            next_search_ns: AtomicU64::new(0),
            review: Mutex::default(),
            tasks: Tasks::new(bounds.tasks.queue as usize, bounds.tasks.concurrency as usize),
        })
    }

    /// The life of the worker's main thread: returns when all is served and every other thread has left.
    pub(super) fn run(self: &Arc<Pool>) {
        if self.bounds.followers {
            let pool = Arc::clone(self);
            let spawned = thread::Builder::new().name("monitor".to_owned()).spawn(move || pool.watch());
            match spawned {
                Ok(handle) => *lock(&self.monitor) = Some(handle.thread().clone()),
                Err(error) => tracing::error!("no monitor thread: {error}; long calls will hold up other connections"),
            }
        }
        self.start_timekeeper();
        self.learn_from_siblings();
        self.slot.set_ready(clock::monotonic_ns());
        self.notify_supervisor();
        self.caller.enter_thread(&mut || self.work(Ageing::Never));
        self.slot.set_phase(Phase::Dead);
    }

    /// One thread's life.
    fn work(self: &Arc<Pool>, ageing: Ageing) {
        let ticket = self.overtime.as_ref().map(Overtime::sign_on);
        let mut desk = Desk { tools: Tools::new(), began: self.sign_on(), ticket };
        tasks::sign_on(&desk.began);
        loop {
            match self.reactor.try_lock() {
                Ok(reactor) => self.lead(reactor, &mut desk),
                Err(TryLockError::Poisoned(poisoned)) => self.lead(poisoned.into_inner(), &mut desk),
                Err(TryLockError::WouldBlock) => {}
            }
            match self.park(ageing) {
                Called::ToLead => {}
                Called::Off => break,
            }
        }
        self.sign_out(&desk.began);
        if let (Some(overtime), Some(ticket)) = (&self.overtime, &desk.ticket) {
            overtime.sign_out(ticket);
        }
    }

    /// Attends to the reactor and calls the application, until another thread has the reactor or all is over.
    fn lead<'a>(self: &'a Arc<Pool>, mut reactor: MutexGuard<'a, Reactor>, desk: &mut Desk) {
        let mut jobs = VecDeque::new();
        let mut deliveries = Vec::new();
        let mut now_ns = clock::monotonic_ns();
        if self.bounds.followers && self.slot.in_flight() > 0 {
            // In the place of a leader whose call is long.
            reactor.go_last_in_line();
        }
        loop {
            self.absence.store(0, Ordering::Release);
            if self.undone.load(Ordering::Acquire) > 0 {
                self.settle_all(&mut reactor, &mut jobs);
            }
            self.enqueue(&mut jobs);
            if self.slot.set_connections(reactor.connections()) {
                self.rouse_supervisor();
            }
            if self.outbox.is_due(now_ns) {
                self.post_off(&mut reactor, &mut deliveries, &mut jobs);
                now_ns = clock::monotonic_ns();
            }
            let Some(job) = self.take() else {
                if !self.post_off(&mut reactor, &mut deliveries, &mut jobs) && self.turn(&mut reactor, &mut jobs) {
                    self.end();
                    return;
                }
                // Reading what had arrived took its time.
                now_ns = clock::monotonic_ns();
                continue;
            };
            self.leave();
            drop(reactor);
            self.announce();
            let done = self.call(job, desk, now_ns);
            now_ns = done.ended_ns;
            reactor = match self.reactor.try_lock() {
                Ok(reactor) => reactor,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => return self.follow(done, desk),
            };
            let give_away = self.gives_away(reactor.connections());
            reactor.settle(done, give_away, &mut jobs);
        }
    }

    /// The leader is about to leave the reactor.
    fn leave(&self) {
        // Only who holds the reactor counts.
        let absence = self.absences.load(Ordering::Relaxed) + 1;
        self.absences.store(absence, Ordering::Relaxed);
        self.absence.store(absence, Ordering::SeqCst);
    }

    /// Another thread attends to the reactor: takes what is queued, then rests.
    fn follow(self: &Arc<Pool>, done: Done, desk: &mut Desk) {
        self.deliver(done);
        let mut now_ns = clock::monotonic_ns();
        while let Some(job) = self.take() {
            let done = self.call(job, desk, now_ns);
            self.deliver(done);
            now_ns = clock::monotonic_ns();
        }
    }

    /// Takes back what other threads have answered.
    fn settle_all(&self, reactor: &mut Reactor, jobs: &mut VecDeque<Job>) {
        let all = {
            let mut queue = lock(&self.done);
            self.undone.store(0, Ordering::Relaxed);
            std::mem::take(&mut *queue)
        };
        for done in all {
            let give_away = self.gives_away(reactor.connections());
            reactor.settle(done, give_away, jobs);
        }
    }

    /// Writes the responses that were held back, and goes on with their connections. False if there were none. (What the
    /// monitor is writing at this moment comes with its wake-up.)
    fn post_off(&self, reactor: &mut Reactor, deliveries: &mut Vec<Delivery>, jobs: &mut VecDeque<Job>) -> bool {
        if self.outbox.is_empty() {
            return false;
        }
        self.outbox.write();
        self.outbox.collect(deliveries);
        let any = !deliveries.is_empty();
        for delivery in deliveries.drain(..) {
            let give_away = self.gives_away(reactor.connections());
            reactor.delivered(delivery, give_away, jobs);
        }
        self.enqueue(jobs);
        any
    }

    /// One turn of the event loop. True when the worker has nothing more to do in this life.
    fn turn(self: &Arc<Pool>, reactor: &mut Reactor, jobs: &mut VecDeque<Job>) -> bool {
        let now_ns = clock::monotonic_ns();
        self.review(now_ns);
        self.slot.beat(now_ns);
        self.keep_logs();
        self.slot.set_refused(reactor.refused());
        let stopping = self.scoreboard.stopping();
        if (reactor.is_spent() || stopping || self.slot.kill_pending()) && !self.draining.load(Ordering::Relaxed) {
            self.drain(reactor, stopping, jobs);
            if !jobs.is_empty() {
                return false;
            }
        }
        self.leave_idle_to_others(reactor, now_ns);
        let free = self.room();
        let room = match free {
            0 => usize::from(self.is_drip_due(reactor.connections(), now_ns)),
            free => free,
        };
        reactor.listen(room > 0);
        let draining = self.draining.load(Ordering::Relaxed);
        self.report_fullness(!draining && free == 0, now_ns);
        if self.queued.load(Ordering::Relaxed) > 0 && self.bounds.followers {
            self.wake_monitor();
        }
        // The others may not have had room for all idle connections at once.
        let gives_away = draining && self.has_sibling(|_| true) && !reactor.give_idle_away();
        if draining {
            self.decline_queued(reactor, jobs);
            if self.is_left_with_stuck(reactor.connections()) && self.close_beside_stuck() {
                self.leave_without_stuck();
            }
            if reactor.connections() == 0 && self.tasks.close() {
                return true;
            }
        }
        self.caller.flush_logs();
        let patience = ((free == 0 && self.bounds.followers) || gives_away).then_some(DRIP);
        let turned = reactor.turn(patience, room, jobs);
        if turned.orphaned {
            // In the place of the supervisor, which is gone: nobody may count on a sibling any more.
            if !self.scoreboard.stopping() {
                self.scoreboard.set_stopping();
            }
            self.leave_in_time();
            self.drain(reactor, true, jobs);
        }
        false
    }
}

/// A panic in another thread leaves our structures whole (none is changed in two steps), so the lock stays usable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
