//! One call into the application: made, measured, answered and logged.
//!
//! Runs on whichever pool thread took the job. Knows neither the reactor nor the crew.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http1::{RequestFacts, error_response};

use super::access::{AccessLog, OpenError};
use super::overtime::Ticket;
use super::reactor::{Done, Job};
use crate::connection::{DateCache, Outgoing, Responder, Scratch, Sent, Surroundings, Transport, Verdict, Written};
use crate::exchange::{Application, CallCost, Failed, Task};
use crate::scoreboard::Cost;
use crate::sys::{clock, threads};

/// Calls shorter than this on average are taken to be all CPU and measured one in [`SAMPLE`]: reading the thread's
/// usage is a system call, and two of them would be a tenth of a short call.
const LONG_NS: u64 = 100_000;
const SAMPLE: u32 = 128;

/// What one thread reuses from call to call.
pub(super) struct Tools {
    scratch: Scratch,
    calls: u32,
}

impl Tools {
    /// For a new thread.
    pub(super) fn new() -> Tools {
        Tools { scratch: Scratch::new(), calls: 0 }
    }
}

/// What came of a call.
pub(super) struct Measured {
    /// The status that was sent; 0 if none was.
    pub(super) status: u16,
    pub(super) cost: Cost,
}

/// What a call asks of the pool.
pub(super) trait Office {
    /// May the connection be kept after the response that is being made?
    fn may_keep(&self) -> bool;
    /// The thread begins, or ends, to wait for its client.
    fn waits(&self, begins: bool);
    /// Are complete responses to be written later, together?
    fn defers(&self) -> bool;
    /// Takes a complete response for connection `key`, to be written soon. Returns memory for the next one.
    fn post(&self, key: usize, transport: &Arc<Transport>, outgoing: Outgoing) -> Vec<u8>;
}

/// The pool as one response sees it.
struct Around<'a> {
    office: &'a dyn Office,
    /// Where there is a limit to the call's time.
    ticket: Option<&'a Ticket>,
    key: usize,
    transport: &'a Arc<Transport>,
}

impl Surroundings for Around<'_> {
    fn may_keep(&self) -> bool {
        self.office.may_keep()
    }

    fn waits(&self, begins: bool) {
        if let Some(ticket) = self.ticket {
            ticket.waits(begins);
        }
        self.office.waits(begins);
    }

    fn may_send(&self, whole: bool) -> bool {
        self.ticket.is_none_or(|ticket| ticket.may_send(whole))
    }

    fn defers(&self) -> bool {
        self.office.defers()
    }

    fn post(&self, outgoing: Outgoing) -> Vec<u8> {
        self.office.post(self.key, self.transport, outgoing)
    }
}

/// Makes the calls.
pub(super) struct Caller {
    application: Arc<dyn Application>,
    access: Arc<AccessLog>,
    write_timeout: Duration,
    /// False: every response closes its connection.
    keep_alive: bool,
    /// Moving average of recent calls.
    mean_wall_ns: AtomicU64,
}

impl Caller {
    /// Calls `application`.
    pub(super) fn new(
        application: Arc<dyn Application>,
        access: Arc<AccessLog>,
        write_timeout: Duration,
        keep_alive: bool,
    ) -> Caller {
        Caller { application, access, write_timeout, keep_alive, mean_wall_ns: AtomicU64::new(0) }
    }

    /// Runs `body` as a thread of the application.
    pub(super) fn enter_thread(&self, body: &mut dyn FnMut()) {
        self.application.enter_thread(body);
    }

    /// Runs a background task.
    pub(super) fn run_task(&self, task: &Task) -> Result<(), Failed> {
        let outcome = catch_unwind(AssertUnwindSafe(|| self.application.run_task(task)));
        outcome.unwrap_or_else(|_| {
            tracing::error!("smarthttpd itself panicked while it ran a background task; please report this");
            Err(Failed)
        })
    }

    /// Writes out what the access log has gathered.
    pub(super) fn flush_logs(&self) {
        self.access.flush();
    }

    /// Opens the access log anew.
    pub(super) fn reopen_logs(&self) -> Result<(), OpenError> {
        self.access.reopen()
    }

    /// How long recent calls took on average, in nanoseconds.
    pub(super) fn mean_wall_ns(&self) -> u64 {
        self.mean_wall_ns.load(Ordering::Relaxed)
    }

    /// Waits until a call of this thread could run.
    pub(super) fn await_turn(&self) {
        self.application.await_turn();
    }

    /// What a pool thread is doing in the application.
    pub(super) fn stack_of(&self, thread: u64, patience: Duration) -> Option<String> {
        self.application.stack_of(thread, patience)
    }

    /// Answers a request that no thread can take any more.
    pub(super) fn decline(&self, job: Job) -> Done {
        let Job { key, request, transport, .. } = job;
        let now_ns = clock::monotonic_ns();
        let (status, detail) = ("503 Service Unavailable", "the process that had the request leaves; try again");
        let mut bytes = Vec::with_capacity(512);
        let mut date = DateCache::default();
        let date = date.at(clock::wall_seconds());
        error_response(&mut bytes, status, detail, &[("Retry-After", "1")], date, request.head.is_head());
        self.access.answered(&request, Sent { status: 503, body_bytes: bytes.len() as u64 }, 0);
        let mut rest = Outgoing::new(bytes, 0);
        let verdict = match rest.write_to(&transport) {
            Ok(Written::All) => Verdict::Close,
            Ok(Written::Full | Written::Turn) => Verdict::Unsent { rest, keep_alive: false },
            Err(_) => Verdict::Cut,
        };
        Done { key, verdict, request, ended_ns: now_ns }
    }

    /// Answers one request, beginning at `now_ns`. `alone`: no other call is under way in this process.
    /// `ticket`: there is a limit to the call's time.
    pub(super) fn call(
        &self,
        job: Job,
        tools: &mut Tools,
        office: &dyn Office,
        now_ns: u64,
        alone: bool,
        ticket: Option<&Ticket>,
    ) -> (Done, Measured) {
        let Job { key, mut request, transport, complete_ns } = job;
        let facts = RequestFacts {
            head: request.head.is_head(),
            version: request.head.version(),
            keep_alive: self.keep_alive && request.head.keep_alive(),
        };
        tools.calls = tools.calls.wrapping_add(1);
        let mean_wall_ns = self.mean_wall_ns();
        let before = (mean_wall_ns > LONG_NS || tools.calls.is_multiple_of(SAMPLE)).then(threads::usage);
        // Looking at the clock costs as much as a good part of parsing a short head. Where calls are short, `now_ns` is
        // true enough, and nobody is there to wait for but threads of the application's own, who show in long calls.
        let began_ns = if before.is_some() { clock::monotonic_ns() } else { now_ns };
        let mut cost = CallCost { began_ns, first_wait: before.is_some() || !alone, lock_wait_ns: 0 };
        let around = Around { office, ticket, key, transport: &transport };
        let mut responder = Responder::new(&transport, &mut tools.scratch, facts, &around, self.write_timeout);
        let outcome =
            catch_unwind(AssertUnwindSafe(|| self.application.handle(&mut request, &mut responder, &mut cost)));
        let outcome = outcome.unwrap_or_else(|_| {
            tracing::error!("smarthttpd itself panicked while it answered a request; please report this");
            Err(Failed)
        });
        let ended_ns = clock::monotonic_ns();
        let wall_ns = ended_ns.saturating_sub(began_ns);
        let cpu_ns = match before {
            Some(before) => {
                let after = threads::usage();
                match after.waits == before.waits {
                    // It never waited: if it had no CPU at times, others had it.
                    true => wall_ns.saturating_sub(cost.lock_wait_ns),
                    false => after.cpu_ns.saturating_sub(before.cpu_ns).min(wall_ns),
                }
            }
            // A short call among short ones; a long one here is usually a short one that lost its CPU for a while.
            None => wall_ns.saturating_sub(cost.lock_wait_ns),
        };
        self.mean_wall_ns.store(mean_wall_ns - mean_wall_ns / 8 + wall_ns / 8, Ordering::Relaxed);
        let (verdict, sent) = match outcome {
            Ok(()) => responder.finish(&|complaint| {
                let (method, path) = (request.head.method(&request.bytes), request.head.path(&request.bytes));
                tracing::error!(method, path, "{complaint}");
            }),
            Err(Failed) => responder.fail(),
        };
        self.access.answered(&request, sent, wall_ns);
        let done = Done { key, verdict, request, ended_ns };
        let took_ns = ended_ns.saturating_sub(complete_ns);
        let cost = Cost { took_ns, wall_ns, cpu_ns, lock_wait_ns: cost.lock_wait_ns };
        (done, Measured { status: sent.status, cost })
    }
}
