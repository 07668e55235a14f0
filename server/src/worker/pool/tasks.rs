//! Background tasks: work that the application leaves for after its responses, done where no request waits.
//!
//! Tasks have threads of their own, made when there are tasks and gone when there are none for a while, so a worker without
//! tasks has nothing of them but one look at a counter after each call. A task never begins while a request waits for a
//! thread. Where calls may run at once, a task runs beside them. Where an application counts on one call at a time (prefork,
//! one thread), a task takes the place of a call: it begins when none runs, and requests wait until it has ended.
//!
//! A worker that leaves does its tasks first. What has not begun shortly before its time is up is dropped and named in the
//! log, because the supervisor, who ends the worker then, knows how many there are, but not their names. A call over its
//! `--request-timeout` holds up nobody's tasks in a worker that leaves, not its own ones either.

use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::crew::{AGED, STACK};
use super::stragglers::Began;
use super::{Pool, lock};
use crate::exchange::{Failed, Refused, Task, TaskDesk};
use crate::scoreboard::TaskStep;
use crate::worker::agenda::{Agenda, GivenUp, Next, enumerate};
use crate::worker::overtime::Overtime;

/// A task that requests keep from beginning looks again after this long. (The end of a call tells nobody, because that
/// would cost something where there are no tasks.)
const LOOK: Duration = Duration::from_millis(2);
/// This part of the graceful timeout is left when tasks that have not begun are dropped, and at most so much.
const LAST_PART: u32 = 10;
const LAST: Duration = Duration::from_millis(500);

thread_local! {
    /// Where this pool thread notes its calls; none in a thread of the application's.
    static OWN: RefCell<Option<Began>> = const { RefCell::new(None) };
}

/// This pool thread notes its calls here.
pub(super) fn sign_on(began: &Began) {
    OWN.with_borrow_mut(|own| *own = Some(Arc::clone(began)));
}

/// The call that this thread makes.
fn current_call() -> Option<usize> {
    OWN.with_borrow(|own| own.as_ref().filter(|began| began.load(Ordering::Relaxed) != 0).map(name_of))
}

/// What calls of the thread that notes them here go by.
fn name_of(began: &Began) -> usize {
    Arc::as_ptr(began).addr()
}

/// A worker's tasks, and what their threads need.
pub(super) struct Tasks {
    agenda: Mutex<Agenda>,
    /// Rings when there is a task for an idle thread, or all is over.
    bell: Condvar,
    /// How many tasks wait for the end of their calls.
    held: AtomicUsize,
    deadline: Mutex<Deadline>,
}

/// When what has not begun is dropped.
enum Deadline {
    /// The worker serves.
    None,
    /// Then; there was nothing to be dropped yet.
    At(Instant),
    /// A thread waits for it.
    Watched,
}

impl Tasks {
    /// At most `most` wait, at most `concurrency` run.
    pub(super) fn new(most: usize, concurrency: usize) -> Tasks {
        Tasks {
            agenda: Mutex::new(Agenda::new(most, concurrency)),
            bell: Condvar::new(),
            held: AtomicUsize::new(0),
            deadline: Mutex::new(Deadline::None),
        }
    }

    /// Whether a call that has just ended may have left something.
    pub(super) fn are_held(&self) -> bool {
        self.held.load(Ordering::Relaxed) > 0
    }

    /// Ends it all, if nothing is left to do. True when that is so.
    pub(super) fn close(&self) -> bool {
        let closed = lock(&self.agenda).close();
        if closed {
            self.bell.notify_all();
        }
        closed
    }

    /// Waits for the bell, at most `patience`. True if that was all that came.
    fn wait<'a>(&self, agenda: MutexGuard<'a, Agenda>, patience: Duration) -> (MutexGuard<'a, Agenda>, bool) {
        let (agenda, waited) = self.bell.wait_timeout(agenda, patience).unwrap_or_else(PoisonError::into_inner);
        (agenda, waited.timed_out())
    }
}

impl TaskDesk for Pool {
    fn submit(self: Arc<Pool>, task: Task) -> Result<(), Refused> {
        let call = current_call();
        let mut agenda = lock(&self.tasks.agenda);
        if let Err(refused) = agenda.submit(task, call) {
            self.slot.count_task(TaskStep::Refused);
            return Err(refused);
        }
        self.slot.count_task(TaskStep::Submitted);
        self.tasks.held.store(agenda.held(), Ordering::Relaxed);
        match call {
            Some(_) => drop(agenda),
            None => self.summon(agenda),
        }
        if self.draining.load(Ordering::Relaxed) {
            self.see_to_deadline();
        }
        Ok(())
    }
}

impl Pool {
    /// The thread that notes its calls in `began` has ended one: what that left may begin.
    pub(super) fn release_tasks(self: &Arc<Pool>, began: &Began) {
        let mut agenda = lock(&self.tasks.agenda);
        agenda.release(name_of(began));
        self.tasks.held.store(agenda.held(), Ordering::Relaxed);
        self.summon(agenda);
    }

    /// Sees to it that somebody does what is ready.
    fn summon(self: &Arc<Pool>, mut agenda: MutexGuard<'_, Agenda>) {
        let mut wanted = 0;
        while agenda.wants_thread() {
            wanted += 1;
        }
        drop(agenda);
        self.tasks.bell.notify_all();
        for _ in 0..wanted {
            let pool = Arc::clone(self);
            let spawned = thread::Builder::new().name("task".to_owned()).stack_size(STACK).spawn(move || {
                pool.caller.enter_thread(&mut || pool.run_tasks());
            });
            if let Err(error) = spawned {
                tracing::error!("no thread for background tasks: {error}");
                lock(&self.tasks.agenda).lose_thread();
            }
        }
    }

    /// The life of a thread that runs tasks.
    fn run_tasks(self: &Arc<Pool>) {
        while let Some(task) = self.next_task() {
            if self.outbox.write() {
                // Nobody's response waits for a task. The leader goes on with those connections.
                self.wake.ring();
            }
            let step = match self.caller.run_task(&task) {
                Ok(()) => TaskStep::Done,
                Err(Failed) => TaskStep::Failed,
            };
            self.end_task(&task, step);
        }
    }

    /// The next task, once it may begin; `None` when the thread is to leave.
    fn next_task(&self) -> Option<Task> {
        let mut agenda = lock(&self.tasks.agenda);
        loop {
            match agenda.next() {
                Next::Begin if self.claim() => {
                    let task = agenda.begin()?;
                    self.slot.count_task(TaskStep::Begun);
                    return Some(task);
                }
                Next::Begin => (agenda, _) = self.tasks.wait(agenda, LOOK),
                Next::Wait => {
                    let aged;
                    agenda.set_idle(true);
                    (agenda, aged) = self.tasks.wait(agenda, AGED);
                    agenda.set_idle(false);
                    if aged && agenda.next() == Next::Wait {
                        break;
                    }
                }
                Next::Leave => break,
            }
        }
        agenda.lose_thread();
        None
    }

    /// Whether a task may begin now. Where it takes the place of a call, it has done so then.
    fn claim(&self) -> bool {
        if !self.tasks_are_calls() {
            // A worker that leaves takes no more requests, and has the same time for both.
            return self.queued.load(Ordering::Relaxed) == 0 || self.draining.load(Ordering::Relaxed);
        }
        let ready = lock(&self.ready);
        if !ready.is_empty() || self.slot.in_flight() > self.stuck_for_good() {
            return false;
        }
        self.slot.begin_call();
        self.rouse_supervisor();
        drop(ready);
        // The leader leaves new connections to other workers.
        self.wake.ring();
        true
    }

    /// Calls over their time in a worker that leaves: it won't see their end.
    fn stuck_for_good(&self) -> usize {
        let leaves = self.slot.kill_pending() || self.scoreboard.stopping() || self.draining.load(Ordering::Relaxed);
        self.overtime.as_ref().filter(|_| leaves).map_or(0, Overtime::stuck)
    }

    /// Ends it all, if nothing is left to do, in a worker that leaves and has calls over their time only: what these have
    /// left for afterwards does not wait for their end. True when it is over.
    pub(super) fn close_beside_stuck(self: &Arc<Pool>) -> bool {
        let mut agenda = lock(&self.tasks.agenda);
        agenda.release_all();
        self.tasks.held.store(0, Ordering::Relaxed);
        self.summon(agenda);
        self.tasks.close()
    }

    /// Whether tasks and calls take turns.
    fn tasks_are_calls(&self) -> bool {
        self.bounds.max_threads == 1
    }

    fn end_task(&self, task: &Task, step: TaskStep) {
        self.slot.count_task(step);
        lock(&self.tasks.agenda).end(&task.name);
        if self.tasks_are_calls() {
            self.slot.end_call();
        }
        if self.tasks_are_calls() || self.draining.load(Ordering::Relaxed) {
            // The leader takes what waits, or leaves.
            self.wake.ring();
        }
    }

    /// The worker is to leave within the graceful timeout, and its tasks are to be done by then.
    pub(super) fn drain_tasks(self: &Arc<Pool>) {
        let last = (self.bounds.graceful / LAST_PART).min(LAST);
        // A time that no clock reaches is none.
        let Some(at) = Instant::now().checked_add(self.bounds.graceful - last) else { return };
        *lock(&self.tasks.deadline) = Deadline::At(at);
        if lock(&self.tasks.agenda).has_any() {
            self.see_to_deadline();
        }
    }

    /// Has a thread watch the deadline, if there is one and nobody does.
    fn see_to_deadline(self: &Arc<Pool>) {
        let mut deadline = lock(&self.tasks.deadline);
        let Deadline::At(at) = *deadline else { return };
        *deadline = Deadline::Watched;
        drop(deadline);
        let pool = Arc::clone(self);
        let timer = thread::Builder::new().name("task deadline".to_owned()).spawn(move || pool.watch_deadline(at));
        if let Err(error) = timer {
            tracing::error!("no thread to watch the time for background tasks: {error}");
        }
    }

    /// Drops what has not begun at the deadline, unless all is done before.
    fn watch_deadline(&self, deadline: Instant) {
        let mut agenda = lock(&self.tasks.agenda);
        while !agenda.is_closed() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let given_up = agenda.give_up();
                given_up.dropped.iter().for_each(|_| self.slot.count_task(TaskStep::Dropped));
                self.tasks.held.store(0, Ordering::Relaxed);
                drop(agenda);
                report(&given_up);
                // The leader leaves, if that was all.
                self.wake.ring();
                return;
            }
            (agenda, _) = self.tasks.wait(agenda, left);
        }
    }
}

fn report(given_up: &GivenUp) {
    let GivenUp { dropped, running } = given_up;
    if !dropped.is_empty() {
        tracing::error!(
            "the graceful timeout is nearly over: {} background task(s) dropped that have not begun: {}",
            dropped.len(),
            enumerate(dropped)
        );
    }
    if !running.is_empty() {
        tracing::error!(
            "the graceful timeout is nearly over: {} background task(s) still run and are lost if they don't end now: {}",
            running.len(),
            enumerate(running)
        );
    }
}
