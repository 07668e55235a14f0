//! The worker's threads: leader and followers.
//!
//! One thread at a time, the leader, holds the [`Reactor`]: it waits for events and, for a complete request, lets go of the
//! reactor, *calls the application itself*, and takes the reactor back if nobody else has. A short call therefore costs no
//! hand-off, no queue and no wake-up. When calls are known to block, the leader promotes a follower before it goes; when a
//! call turns out long, the monitor does, within about a millisecond. So no call stalls the other connections.
//!
//! At most `limit` calls run at once (see [`mpm::sizing`]); one more thread exists to serve I/O meanwhile. Idle threads
//! wait in a stack, so that the ones on top stay busy and the ones below age out.

mod lockout;
mod monitor;
mod siblings;
mod stragglers;
mod stuck;
mod tasks;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use mpm::sizing;

use self::lockout::Lockout;
use self::siblings::DRIP;
use self::stragglers::Began;
use self::tasks::Tasks;
use super::call::{Caller, Measured, Office, Tools};
use super::outbox::{Delivery, Outbox};
use super::overtime::{Overtime, Ticket};
use super::reactor::{Done, Job, Reactor};
use super::window::Window;
use crate::connection::{Outgoing, Transport};
use crate::scoreboard::{LogState, Phase, Scoreboard, Slot};
use crate::sys::wakeup::Wakeup;
use crate::sys::{clock, process};

/// How often the number of calls to run at once is thought over.
const REVIEW_NS: u64 = 100_000_000;
/// The supervisor is told of a lack of room at most this often.
const REPORT_NS: u64 = 10_000_000;
/// Responses are held back, to be written together, only while calls take no longer than this on average.
const DEFERRED_CALLS_NS: u64 = 200_000;
/// A follower that nobody needed for this long leaves.
const AGED: Duration = Duration::from_secs(5);

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

/// What a thread works with.
struct Desk {
    tools: Tools,
    /// When its call began.
    began: Began,
    /// Its call, where there is a limit to its time.
    ticket: Option<Arc<Ticket>>,
}

/// A parked follower.
struct Seat {
    thread: Thread,
    called: AtomicBool,
}

/// The threads that exist.
#[derive(Default)]
struct Crew {
    /// Parked followers, the last to park on top.
    parked: Vec<Arc<Seat>>,
    /// All pool threads, the worker's main thread among them.
    threads: usize,
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

#[derive(Default)]
struct Review {
    window: Window,
    next_ns: u64,
}

/// Why a parked thread goes on.
enum Called {
    ToLead,
    Off,
}

/// What a thread does that nobody needs for long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ageing {
    /// The main thread stays: its end is the worker's.
    Never,
    /// Others leave.
    Leaves,
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
            crew: Mutex::new(Crew { parked: Vec::new(), threads: 1 }),
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
        loop {
            self.absence.store(0, Ordering::Release);
            if self.undone.load(Ordering::Acquire) > 0 {
                self.settle_all(&mut reactor, &mut jobs);
            }
            self.enqueue(&mut jobs);
            self.slot.set_connections(reactor.connections());
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
        let room = free.max(usize::from(self.is_drip_due(reactor.connections(), now_ns)));
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
            if self.is_left_with_stuck(reactor.connections()) && self.tasks.close() {
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

    /// Reopens the log if that was asked for.
    fn keep_logs(&self) {
        let wanted = self.scoreboard.log_generation();
        if self.slot.logs().generation() == Some(wanted) {
            return;
        }
        let state = match self.caller.reopen_logs() {
            Ok(()) => LogState::Open(wanted),
            Err(error) => {
                tracing::error!("{error}; the old file is still written to");
                LogState::Kept(wanted)
            }
        };
        self.slot.set_logs(state);
        self.notify_supervisor();
    }

    /// Tells the supervisor, once, when the worker has served as many requests as it may. It goes on until a successor
    /// serves.
    fn note_wear(&self) {
        let worn = self.bounds.most_requests > 0 && self.slot.requests() >= self.bounds.most_requests;
        if worn && self.slot.set_worn() {
            self.notify_supervisor();
        }
    }

    /// Without a supervisor there is nobody to end a worker whose calls never do.
    fn leave_in_time(&self) {
        let patience = self.bounds.graceful;
        let timer = thread::Builder::new().name("last resort".to_owned()).spawn(move || {
            thread::sleep(patience);
            tracing::error!("requests did not finish within the graceful timeout, and the supervisor is gone: leaving");
            process::leave(1);
        });
        if let Err(error) = timer {
            tracing::error!("no thread to watch the graceful timeout: {error}");
        }
    }

    fn drain(self: &Arc<Pool>, reactor: &mut Reactor, backlog: bool, jobs: &mut VecDeque<Job>) {
        let begins = !self.draining.swap(true, Ordering::Relaxed);
        if begins {
            self.drain_tasks();
        }
        reactor.drain(backlog, self.has_sibling(|_| true), jobs);
        if begins {
            // Now it is true: no new connection, and none that is idle, ends up with this worker.
            self.slot.set_phase(Phase::Draining);
            self.notify_supervisor();
        }
    }

    /// Notes whether connections are left to others, and tells the supervisor when that begins.
    fn report_fullness(&self, full: bool, now_ns: u64) {
        if !full {
            self.full.store(false, Ordering::Relaxed);
            return;
        }
        if self.bounds.followers {
            self.wake_monitor();
        }
        let began = !self.full.swap(true, Ordering::Relaxed);
        if began && now_ns >= self.next_report_ns.load(Ordering::Relaxed) {
            self.next_report_ns.store(now_ns + REPORT_NS, Ordering::Relaxed);
            self.slot.count_saturation();
            self.notify_supervisor();
        }
    }

    fn notify_supervisor(&self) {
        self.supervisor.ring();
    }

    /// Queues new jobs.
    fn enqueue(&self, jobs: &mut VecDeque<Job>) {
        if jobs.is_empty() {
            return;
        }
        let queued = {
            let mut ready = lock(&self.ready);
            ready.append(jobs);
            ready.len()
        };
        self.queued.store(queued, Ordering::Relaxed);
        self.slot.set_queued(queued);
    }

    /// The next job, if one waits and one more call may run. The call counts from here on.
    fn take(&self) -> Option<Job> {
        if self.queued.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut ready = lock(&self.ready);
        if self.slot.in_flight() >= self.allowed() {
            return None;
        }
        let job = ready.pop_front()?;
        self.slot.begin_call();
        self.queued.store(ready.len(), Ordering::Relaxed);
        self.slot.set_queued(ready.len());
        Some(job)
    }

    /// The leader leaves the reactor for a call: sees to it that somebody can take over.
    fn announce(self: &Arc<Pool>) {
        if !self.bounds.followers {
            return;
        }
        if self.hand_off.load(Ordering::Relaxed) {
            self.promote();
        }
        if self.monitor_asleep.load(Ordering::SeqCst) {
            self.wake_monitor();
        }
    }

    fn call(self: &Arc<Pool>, job: Job, desk: &mut Desk, now_ns: u64) -> Done {
        desk.began.store(now_ns, Ordering::Relaxed);
        let alone = self.slot.in_flight() <= 1;
        let timed = self.overtime.as_ref().zip(desk.ticket.as_deref());
        if let Some((overtime, ticket)) = timed {
            overtime.begin(ticket, &job, clock::monotonic_ns());
        }
        let (done, Measured { status, cost }) =
            self.caller.call(job, &mut desk.tools, &**self, now_ns, alone, desk.ticket.as_deref());
        if let Some((overtime, ticket)) = timed {
            overtime.end(ticket);
        }
        desk.began.store(0, Ordering::Relaxed);
        self.slot.count_request(status, cost);
        self.slot.end_call();
        if self.tasks.are_held() {
            self.release_tasks(&desk.began);
        }
        self.note_wear();
        done
    }

    /// Leaves an answered request for the leader, and wakes it.
    fn deliver(&self, done: Done) {
        // The leader may be asleep: nothing is held back for it.
        self.outbox.write();
        let first = {
            let mut queue = lock(&self.done);
            queue.push(done);
            self.undone.store(queue.len(), Ordering::Release);
            queue.len() == 1
        };
        if first {
            self.wake.ring();
        }
    }

    /// Gives the reactor to a parked follower, or to a new thread if there may be one more.
    fn promote(self: &Arc<Pool>) {
        let mut crew = lock(&self.crew);
        if let Some(seat) = crew.parked.pop() {
            drop(crew);
            seat.called.store(true, Ordering::Release);
            seat.thread.unpark();
            return;
        }
        if crew.threads > self.allowed() {
            return;
        }
        crew.threads += 1;
        self.slot.set_threads(crew.threads);
        drop(crew);
        let pool = Arc::clone(self);
        let spawned = thread::Builder::new().name("pool".to_owned()).stack_size(STACK).spawn(move || {
            pool.caller.enter_thread(&mut || pool.work(Ageing::Leaves));
            pool.sign_off();
        });
        if let Err(error) = spawned {
            tracing::error!("no more threads: {error}");
            self.sign_off();
        }
    }

    /// Rests until called. Leaves when all is over, or, if the pool has more than it must, when nobody called for long.
    fn park(&self, ageing: Ageing) -> Called {
        let seat = Arc::new(Seat { thread: thread::current(), called: AtomicBool::new(false) });
        lock(&self.crew).parked.push(Arc::clone(&seat));
        loop {
            if self.over.load(Ordering::Acquire) {
                return Called::Off;
            }
            if seat.called.load(Ordering::Acquire) {
                return Called::ToLead;
            }
            let parked_at = Instant::now();
            match ageing {
                Ageing::Never => thread::park(),
                Ageing::Leaves => thread::park_timeout(AGED),
            }
            if ageing == Ageing::Never || parked_at.elapsed() < AGED {
                continue;
            }
            let mut crew = lock(&self.crew);
            let spare = crew.threads > self.bounds.min_threads as usize + 1;
            // A seat that is gone was called between the wake-up and here: the loop sees it.
            if spare && let Some(place) = crew.parked.iter().position(|other| Arc::ptr_eq(other, &seat)) {
                crew.parked.remove(place);
                return Called::Off;
            }
        }
    }

    fn sign_off(&self) {
        let mut crew = lock(&self.crew);
        crew.threads -= 1;
        self.slot.set_threads(crew.threads);
        drop(crew);
        if self.over.load(Ordering::Acquire) {
            self.wake_all();
        }
    }

    /// Everything is served: every thread may go.
    fn end(&self) {
        self.over.store(true, Ordering::Release);
        self.wake_all();
    }

    fn wake_all(&self) {
        for seat in std::mem::take(&mut lock(&self.crew).parked) {
            seat.called.store(true, Ordering::Release);
            seat.thread.unpark();
        }
        self.dismiss_trier();
        for watcher in [&self.monitor, &self.timekeeper] {
            if let Some(thread) = &*lock(watcher) {
                thread.unpark();
            }
        }
    }

    /// Thinks over, ten times a second, how many calls at once are useful. Threads are made only when calls need them.
    fn review(&self, now_ns: u64) {
        let Ok(mut review) = self.review.try_lock() else { return };
        if now_ns < review.next_ns {
            return;
        }
        review.next_ns = now_ns + REVIEW_NS;
        review.window.note(now_ns, &self.slot.look());
        let stats = review.window.stats();
        if stats.requests == 0 {
            return;
        }
        let Bounds { min_threads, max_threads, .. } = self.bounds;
        let current = self.limit.load(Ordering::Relaxed);
        let limit = sizing::concurrency(&stats, current, max_threads, min_threads, max_threads);
        self.limit.store(limit, Ordering::Relaxed);
        self.hand_off.store(limit > 1 && sizing::hand_off_first(&stats), Ordering::Relaxed);
    }
}

impl Office for Pool {
    fn may_keep(&self) -> bool {
        self.may_keep()
    }

    fn waits(&self, begins: bool) {
        if !begins {
            self.stalled.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        self.stalled.fetch_add(1, Ordering::Relaxed);
        if self.is_waited_for() {
            // There is room for one more.
            self.wake.ring();
        }
    }

    /// While requests wait for this thread anyway, and calls are so short that it is back soon.
    fn defers(&self) -> bool {
        self.queued.load(Ordering::Relaxed) > 0
            && self.caller.mean_wall_ns() <= DEFERRED_CALLS_NS
            && !self.hand_off.load(Ordering::Relaxed)
    }

    fn post(&self, key: usize, transport: &Arc<Transport>, outgoing: Outgoing) -> Vec<u8> {
        self.outbox.post(key, transport, outgoing)
    }
}

/// A thread's stack: what Linux gives a main thread, because deep recursion in C extensions counts on it. Only touched
/// pages cost memory.
const STACK: usize = 8 << 20;

/// A panic in another thread leaves our structures whole (none is changed in two steps), so the lock stays usable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
