//! Calls that run for longer than they may (`--request-timeout`).
//!
//! Nobody can end a call: Python has no means to, and its thread may hold any lock. So it is dealt with around it. Its
//! client gets a 504 if nothing of the response has left, else a cut that it notices; what the thread does is logged; and
//! the scoreboard says that the worker has such a call, so that the supervisor replaces it. The call itself goes on, and
//! finds its response taken from it should it ever come back.
//!
//! A thread of its own watches, and only where there is a limit. It sleeps until the first call's time could be up, which
//! is never sooner than the limit from now when there is none. It needs nothing that a call can hold: neither the event
//! loop nor the interpreter. Knows calls by their [`Ticket`]s; the pool makes those and acts on what is found.

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http1::error_response;

use super::reactor::Job;
use crate::connection::{DateCache, Outgoing, Transport, Written};
use crate::sys::{clock, threads};

/// `due_ns` of a thread without a call, of a call that waits for its client, of one that is over its time.
const NONE: u64 = 0;
const PAUSED: u64 = u64::MAX;
const OVER: u64 = u64::MAX - 1;

/// Who answers a request. Only ever moves down this list.
const OPEN: u8 = 0;
/// A part of the response has left, or is about to.
const BEGUN: u8 = 1;
/// All of it has, or is about to.
const COMPLETE: u8 = 2;
/// The application no longer does.
const TAKEN: u8 = 3;

/// A thread's call, as far as somebody else has to know it.
pub(super) struct Ticket {
    thread: u64,
    /// When its time is up, in monotonic nanoseconds, or one of the marks above.
    due_ns: AtomicU64,
    /// What was left of its time when it began to wait for its client.
    left_ns: AtomicU64,
    answer: AtomicU8,
    /// Held by whoever speaks to the client in place of the call.
    errand: Mutex<Errand>,
}

/// What is asked, and by whom.
#[derive(Default)]
struct Errand {
    transport: Option<Arc<Transport>>,
    head_only: bool,
    method: String,
    path: String,
}

/// A call that was found to be over its time.
pub(super) struct Found {
    /// The thread that makes it, as the system's threads know themselves.
    pub(super) thread: u64,
    pub(super) method: String,
    pub(super) path: String,
    /// What became of the client.
    pub(super) client: Client,
    ticket: Arc<Ticket>,
}

/// What became of the client of a call over its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Client {
    /// It was told with a 504.
    Told,
    /// Its response had begun and was cut.
    Cut,
    /// It has its whole response already.
    Served,
}

impl Client {
    /// For the log.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Client::Told => "its client got a 504",
            Client::Cut => "its response was cut",
            Client::Served => "its client has the whole response",
        }
    }
}

/// The calls of one worker, and how long each may take.
pub(super) struct Overtime {
    limit: Duration,
    tickets: Mutex<Vec<Arc<Ticket>>>,
    /// Calls over their time that have been dealt with and have not ended.
    stuck: AtomicU32,
}

impl Overtime {
    pub(super) fn new(limit: Duration) -> Overtime {
        Overtime { limit, tickets: Mutex::default(), stuck: AtomicU32::new(0) }
    }

    /// How long a call may take.
    pub(super) fn limit(&self) -> Duration {
        self.limit
    }

    /// Calls over their time that have not ended.
    pub(super) fn stuck(&self) -> usize {
        self.stuck.load(Ordering::Acquire) as usize
    }

    /// The calling thread is going to make calls.
    pub(super) fn sign_on(&self) -> Arc<Ticket> {
        let ticket = Arc::new(Ticket {
            thread: threads::current(),
            due_ns: AtomicU64::new(NONE),
            left_ns: AtomicU64::new(0),
            answer: AtomicU8::new(OPEN),
            errand: Mutex::default(),
        });
        lock(&self.tickets).push(Arc::clone(&ticket));
        ticket
    }

    /// It makes no more calls.
    pub(super) fn sign_out(&self, ticket: &Arc<Ticket>) {
        lock(&self.tickets).retain(|other| !Arc::ptr_eq(other, ticket));
    }

    /// The thread's call begins.
    pub(super) fn begin(&self, ticket: &Ticket, job: &Job, now_ns: u64) {
        let mut errand = lock(&ticket.errand);
        errand.transport = Some(Arc::clone(&job.transport));
        let (head, bytes) = (&job.request.head, &job.request.bytes);
        errand.head_only = head.is_head();
        errand.method.clear();
        errand.method.push_str(head.method(bytes));
        errand.path.clear();
        errand.path.push_str(head.path(bytes));
        ticket.answer.store(OPEN, Ordering::Release);
        ticket.due_ns.store(now_ns + nanoseconds(self.limit), Ordering::Release);
    }

    /// The thread's call has ended. Waits while somebody speaks to its client in its place.
    pub(super) fn end(&self, ticket: &Ticket) {
        let mut errand = lock(&ticket.errand);
        if ticket.due_ns.swap(NONE, Ordering::AcqRel) == OVER {
            self.stuck.fetch_sub(1, Ordering::AcqRel);
        }
        errand.transport = None;
    }

    /// Deals with the clients of calls whose time is up; how long nothing more can be up.
    pub(super) fn look(&self, now_ns: u64, date: &mut DateCache) -> (Vec<Found>, Duration) {
        let mut next_ns = now_ns + nanoseconds(self.limit);
        let mut found = Vec::new();
        for ticket in lock(&self.tickets).iter() {
            match ticket.due_ns.load(Ordering::Acquire) {
                NONE | OVER => {}
                // It may go on at any moment, with little left.
                PAUSED => next_ns = next_ns.min(now_ns + nanoseconds(self.limit / 8)),
                due_ns if due_ns > now_ns => next_ns = next_ns.min(due_ns),
                due_ns => found.extend(self.take_from(ticket, due_ns, date)),
            }
        }
        (found, Duration::from_nanos(next_ns - now_ns))
    }

    /// Answers in place of the call that was due then, unless it has ended or gone on meanwhile.
    fn take_from(&self, ticket: &Arc<Ticket>, due_ns: u64, date: &mut DateCache) -> Option<Found> {
        let errand = lock(&ticket.errand);
        ticket.due_ns.compare_exchange(due_ns, OVER, Ordering::AcqRel, Ordering::Acquire).ok()?;
        // Counted before its end can be.
        self.stuck.fetch_add(1, Ordering::AcqRel);
        let client = match (ticket.take(), &errand.transport) {
            (OPEN, Some(transport)) => tell(transport, errand.head_only, self.limit, date),
            (BEGUN, Some(transport)) => {
                transport.abort();
                Client::Cut
            }
            _ => Client::Served,
        };
        let (method, path) = (errand.method.clone(), errand.path.clone());
        Some(Found { thread: ticket.thread, method, path, client, ticket: Arc::clone(ticket) })
    }
}

impl Ticket {
    /// Whether the call's own bytes may still go to the client; `whole`: the last ones of its response among them.
    pub(super) fn may_send(&self, whole: bool) -> bool {
        let next = if whole { COMPLETE } else { BEGUN };
        let moved =
            self.answer.fetch_update(Ordering::AcqRel, Ordering::Acquire, |answer| (answer < next).then_some(next));
        moved.map_or_else(|answer| answer != TAKEN, |_| true)
    }

    /// Takes the answer from the call, if it is not given: who answered until now.
    fn take(&self) -> u8 {
        let taken = self
            .answer
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |answer| (answer < COMPLETE).then_some(TAKEN));
        taken.unwrap_or_else(|answer| answer)
    }

    /// The call begins, or ends, to wait for its client: that is not its own time.
    pub(super) fn waits(&self, begins: bool) {
        let now_ns = clock::monotonic_ns();
        let due_ns = self.due_ns.load(Ordering::Acquire);
        match (begins, due_ns) {
            (_, NONE | OVER) | (true, PAUSED) => {}
            (true, due_ns) => {
                self.left_ns.store(due_ns.saturating_sub(now_ns), Ordering::Relaxed);
                // If its time is up at this moment, so be it.
                let _ = self.due_ns.compare_exchange(due_ns, PAUSED, Ordering::AcqRel, Ordering::Acquire);
            }
            (false, _) => {
                let due_ns = now_ns + self.left_ns.load(Ordering::Relaxed);
                let _ = self.due_ns.compare_exchange(PAUSED, due_ns, Ordering::AcqRel, Ordering::Acquire);
            }
        }
    }
}

impl Found {
    /// Whether it has not ended meanwhile.
    pub(super) fn goes_on(&self) -> bool {
        self.ticket.due_ns.load(Ordering::Acquire) == OVER
    }
}

/// Tells the client that there will be no answer.
fn tell(transport: &Transport, head_only: bool, limit: Duration, date: &mut DateCache) -> Client {
    let mut bytes = Vec::with_capacity(512);
    let detail = format!("the application has not answered within {} s", limit.as_secs_f64());
    error_response(&mut bytes, "504 Gateway Timeout", &detail, &[], date.at(clock::wall_seconds()), head_only);
    match Outgoing::new(bytes, 0).write_to(transport) {
        Ok(Written::All) => {
            transport.finish();
            Client::Told
        }
        // What the client has not taken of earlier answers leaves no room: nobody may wait for it here.
        Ok(Written::Full | Written::Turn) | Err(_) => {
            transport.abort();
            Client::Cut
        }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 4).min(u64::MAX / 4)
}

/// A panic in another thread leaves these lists whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket() -> (Overtime, Arc<Ticket>) {
        let overtime = Overtime::new(Duration::from_secs(1));
        let ticket = overtime.sign_on();
        (overtime, ticket)
    }

    #[test]
    fn a_response_has_one_author() {
        // What the call has done, who answers then, and whether the call may go on sending, and complete its response.
        let rows: [(&[bool], u8, bool); 5] = [
            (&[], OPEN, false),
            (&[false], BEGUN, false),
            (&[false, false], BEGUN, false),
            (&[true], COMPLETE, true),
            (&[false, true], COMPLETE, true),
        ];
        for (sends, answer, goes_on) in rows {
            let (_overtime, ticket) = ticket();
            assert!(sends.iter().all(|whole| ticket.may_send(*whole)), "{sends:?}");
            assert_eq!(ticket.take(), answer, "{sends:?}");
            assert_eq!((ticket.may_send(false), ticket.may_send(true)), (goes_on, goes_on), "{sends:?}");
        }
    }

    #[test]
    fn what_is_due_is_found_once_and_waiting_for_the_client_does_not_count() {
        let (overtime, ticket) = ticket();
        let mut date = DateCache::default();
        let now_ns = clock::monotonic_ns();
        let look = |at_ns: u64, date: &mut DateCache| {
            let (found, pause) = overtime.look(at_ns, date);
            (found.len(), pause)
        };
        let second = Duration::from_secs(1);
        assert_eq!(look(now_ns, &mut date), (0, second), "no call: none can be due earlier");
        ticket.due_ns.store(now_ns + 600_000_000, Ordering::Release);
        assert_eq!(look(now_ns, &mut date), (0, Duration::from_millis(600)));
        ticket.waits(true);
        assert_eq!(look(now_ns + 5_000_000_000, &mut date), (0, second / 8), "it waits for its client");
        ticket.waits(false);
        let due_ns = ticket.due_ns.load(Ordering::Acquire);
        assert!(due_ns >= now_ns + 600_000_000, "it has what was left");
        assert_eq!(look(due_ns, &mut date), (1, second));
        assert_eq!(look(due_ns + 1, &mut date), (0, second), "dealt with");
        assert_eq!(overtime.stuck(), 1);
        overtime.end(&ticket);
        assert_eq!(overtime.stuck(), 0);
        overtime.sign_out(&ticket);
        assert!(lock(&overtime.tickets).is_empty());
    }
}
