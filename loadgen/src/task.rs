//! What a generator thread is told and what it tells: the interface of `run` and `driver`.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::Sender;

use mio::Waker;

use crate::connection::Endpoint;
use crate::pacer::Pacer;
use crate::script::{Cursor, Script};
use crate::tally::{EntryTally, Tally};

/// The flags that threads share.
#[derive(Debug, Default)]
pub(crate) struct Flags {
    /// Stop now; set before waking the threads.
    pub(crate) halt: AtomicBool,
    /// The target has accepted a connection.
    pub(crate) reached: AtomicBool,
}

/// Where a thread's requests come from.
#[derive(Debug)]
pub(crate) enum Source {
    /// The next request is due when a slot is free; `left` requests to record, if counted.
    Closed { left: Option<u64> },
    /// Requests are due when the pacer says.
    Open { pacer: Pacer },
}

/// What one thread has to do.
#[derive(Debug)]
pub(crate) struct Task<'a> {
    pub(crate) thread: usize,
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) script: &'a Script,
    pub(crate) cursor: Cursor,
    /// Connections send back the cookies that they are given.
    pub(crate) cookies: bool,
    pub(crate) keep_alive: bool,
    pub(crate) slots: usize,
    /// Nanoseconds.
    pub(crate) timeout: u64,
    /// Nanoseconds.
    pub(crate) connect_timeout: u64,
    /// Open loop: most requests due and unanswered.
    pub(crate) outstanding: u64,
    /// Requests written to a connection and unanswered, at most.
    pub(crate) depth: usize,
    /// Requests per connection.
    pub(crate) per_connection: u64,
    /// Nanoseconds.
    pub(crate) think_time: u64,
    pub(crate) flags: &'a Flags,
    pub(crate) out: Sender<Message>,
}

/// What a thread tells the coordinator.
#[derive(Debug)]
pub(crate) enum Message {
    /// Set up; waits for the timeline.
    Ready(Arc<Waker>),
    /// Could not be set up, or its event loop failed.
    Broken { what: String, source: io::Error },
    /// No connection of the run has succeeded, and this thread's first one failed.
    Down(io::Error),
    /// What became of each request of the plan, before the last interval of a thread; not sent when
    /// the plan has only one.
    Entries(Vec<EntryTally>),
    /// The same, but the connection was made and only TLS failed.
    #[cfg_attr(not(feature = "reqwest"), allow(dead_code, reason = "only that engine speaks TLS"))]
    NoTls(io::Error),
    /// An interval is over; `last` when the thread is.
    Interval { thread: usize, from: u64, until: u64, last: bool, tally: Box<Tally> },
}
