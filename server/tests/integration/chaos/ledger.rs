//! What was asked, what came of it, which processes ended when; and which losses that explains.
//!
//! Written to by witnesses and blows, read by the audit. Times are of the monotonic clock, which the application's
//! journal uses as well.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use super::question::{Kind, Question};
use crate::support::Broken;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Not known yet.
    Asked,
    /// The right answer came.
    Whole,
    /// The answer was cut, as the application was asked to.
    CutAsAsked,
    /// The server gave the answer, because the application did not.
    TimedOut,
    /// It ended its own process, or was asked to.
    Deadly,
    /// The client did not wait.
    Left,
    /// The server closed in good order after an earlier answer on the connection; the client may ask again.
    Returned,
    /// The connection ended without the whole answer.
    Lost,
}

/// A connection that ended without all answers.
#[derive(Debug, Clone)]
pub(super) struct Loss {
    /// The requests without a whole answer.
    pub(super) numbers: Vec<u64>,
    /// Who had begun to answer.
    pub(super) pid: Option<i32>,
    /// Since when nobody has answered here: the last answered request was sent, or the connection was made, then.
    pub(super) since: Duration,
    /// When it was noticed.
    pub(super) at: Duration,
    pub(super) broken: Broken,
}

/// What ended a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// A worker, killed.
    Worker,
    /// The template, killed: serves nobody.
    Template,
    /// The server: a worker that serves, but that its template died before it could report.
    Server,
    /// The application.
    Application,
}

/// A process that was ended: some time from `earliest` to `latest`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Death {
    pub(super) pid: i32,
    pub(super) cause: Cause,
    pub(super) earliest: Duration,
    pub(super) latest: Duration,
    /// Connections that were open at some time meanwhile: it can't have taken more along.
    pub(super) connections: usize,
}

/// A request that was to end its process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadly {
    pub(super) number: u64,
    /// When its connection ended.
    pub(super) ended: Duration,
    /// Connections that were open at some time while it was.
    pub(super) connections: usize,
}

/// How many connections there were when somebody looked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Count {
    open: usize,
    opened: usize,
}

impl Death {
    /// It may have taken a connection with it that was alive at `since` and gone `at`.
    fn overlaps(&self, since: Duration, at: Duration) -> bool {
        self.earliest <= at && since <= self.latest
    }
}

/// Whether these deaths explain the loss. `inside`: the process that had the request, if that is known.
pub(super) fn is_explained(loss: &Loss, inside: Option<i32>, deaths: &[Death]) -> bool {
    deaths.iter().any(|death| {
        let is_it = inside.map_or(death.cause != Cause::Template, |pid| death.pid == pid);
        is_it && death.overlaps(loss.since, loss.at)
    })
}

/// The books.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// By number.
    fates: Mutex<Vec<Fate>>,
    losses: Mutex<Vec<Loss>>,
    deaths: Mutex<Vec<Death>>,
    deadly: Mutex<Vec<Deadly>>,
    open: AtomicUsize,
    /// Ever.
    opened: AtomicUsize,
    obeyed: AtomicUsize,
    refused: AtomicUsize,
    over: AtomicBool,
}

impl Ledger {
    /// A new request.
    pub(super) fn ask(&self, kind: Kind, size: usize) -> Question {
        let mut fates = lock(&self.fates);
        fates.push(Fate::Asked);
        Question { number: fates.len() as u64 - 1, kind, size }
    }

    /// What became of it.
    pub(super) fn settle(&self, number: u64, fate: Fate) {
        let mut fates = lock(&self.fates);
        let known = &mut fates[number as usize];
        assert_eq!(*known, Fate::Asked, "number {number} is {fate:?} now");
        *known = fate;
    }

    /// A connection ended without all answers.
    pub(super) fn lose(&self, loss: Loss) {
        loss.numbers.iter().for_each(|number| self.settle(*number, Fate::Lost));
        lock(&self.losses).push(loss);
    }

    /// A process was ended.
    pub(super) fn bury(&self, death: Death) {
        lock(&self.deaths).push(death);
    }

    /// The connection of a deadly request has ended.
    pub(super) fn end_deadly(&self, deadly: Deadly) {
        self.settle(deadly.number, Fate::Deadly);
        lock(&self.deadly).push(deadly);
    }

    /// An order was obeyed, or not.
    pub(super) fn note_order(&self, obeyed: bool) {
        if obeyed { &self.obeyed } else { &self.refused }.fetch_add(1, Ordering::Relaxed);
    }

    /// Orders that were obeyed, and others.
    pub(super) fn orders(&self) -> [usize; 2] {
        [&self.obeyed, &self.refused].map(|count| count.load(Ordering::Relaxed))
    }

    /// One more connection is open, until this is dropped.
    pub(super) fn open(&self) -> Open<'_> {
        // In this order, so that `count`, which reads in the other one, may count it twice, but never misses it.
        self.open.fetch_add(1, Ordering::SeqCst);
        self.opened.fetch_add(1, Ordering::SeqCst);
        Open(&self.open)
    }

    /// How many connections there are.
    pub(super) fn count(&self) -> Count {
        let opened = self.opened.load(Ordering::SeqCst);
        Count { open: self.open.load(Ordering::SeqCst), opened }
    }

    /// Connections that were open then, or have been since.
    pub(super) fn open_since(&self, then: Count) -> usize {
        then.open + self.opened.load(Ordering::SeqCst) - then.opened
    }

    /// No further request is to be made.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Ends it all when dropped, also by a panic.
    pub(super) fn ends_it(&self) -> End<'_> {
        End { over: &self.over, always: true }
    }

    /// Ends it all when dropped by a panic: nobody waits for a storm that has failed.
    pub(super) fn fails_with_us(&self) -> End<'_> {
        End { over: &self.over, always: false }
    }

    /// How many requests there have been.
    pub(super) fn asked(&self) -> usize {
        lock(&self.fates).len()
    }

    /// By number.
    pub(super) fn fates(&self) -> Vec<Fate> {
        lock(&self.fates).clone()
    }

    /// All losses.
    pub(super) fn losses(&self) -> Vec<Loss> {
        lock(&self.losses).clone()
    }

    /// The deaths by our own hand.
    pub(super) fn deaths(&self) -> Vec<Death> {
        lock(&self.deaths).clone()
    }

    /// When a process was last ended.
    pub(super) fn last_death(&self) -> Option<Duration> {
        let by_us = lock(&self.deaths).last().map(|death| death.latest);
        let by_itself = lock(&self.deadly).last().map(|deadly| deadly.ended);
        by_us.max(by_itself)
    }

    /// The requests that were to end their process.
    pub(super) fn deadly(&self) -> Vec<Deadly> {
        lock(&self.deadly).clone()
    }
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Open<'a>(&'a AtomicUsize);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// See [`Ledger::ends_it`] and [`Ledger::fails_with_us`].
#[derive(Debug)]
pub(super) struct End<'a> {
    over: &'a AtomicBool,
    always: bool,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        if self.always || thread::panicking() {
            self.over.store(true, Ordering::Relaxed);
        }
    }
}

/// The monotonic clock, as `time.monotonic_ns()` reads it.
pub(super) fn now() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).expect("every Linux has it").into()
}

/// A witness that panics leaves the books in order.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn only_a_death_at_the_right_time_in_the_right_place_explains_a_loss() {
    let seconds = Duration::from_secs;
    let loss = Loss { numbers: vec![1], pid: None, since: seconds(10), at: seconds(12), broken: Broken::Nothing };
    let death = |pid, cause, earliest, latest| Death {
        pid,
        cause,
        earliest: seconds(earliest),
        latest: seconds(latest),
        connections: 1,
    };
    let worker = |pid, earliest, latest| vec![death(pid, Cause::Worker, earliest, latest)];
    let by = |cause| vec![death(7, cause, 11, 11)];
    let nobody: Vec<Death> = Vec::new();
    // (what, who had the request, who has died, is it explained)
    let rows = [
        ("nobody has died", None, nobody.clone(), false),
        ("nobody has died", Some(7), nobody, false),
        ("somebody has, in time", None, worker(7, 11, 11), true),
        ("long before", None, worker(7, 8, 9), false),
        ("long after", None, worker(7, 13, 14), false),
        ("perhaps just before the last answer was read", None, worker(7, 8, 10), true),
        ("perhaps just before it was noticed", None, worker(7, 12, 14), true),
        ("it has", Some(7), worker(7, 11, 11), true),
        ("another has", Some(8), worker(7, 11, 11), false),
        ("a template serves nobody", None, by(Cause::Template), false),
        ("what it could not report may have served", None, by(Cause::Server), true),
        ("and had a pid of its own", Some(8), by(Cause::Server), false),
    ];
    for (what, inside, deaths, explained) in rows {
        assert_eq!(is_explained(&loss, inside, &deaths), explained, "{what}, {inside:?}");
    }
}
