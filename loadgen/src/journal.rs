//! One thread's tallies in time: the current one, where its interval ends, and handing it over.
//!
//! Knows the timeline and the thread's CPU clock; what is counted is the driver's business.

use std::sync::mpsc::Sender;

use crate::clock;
use crate::tally::Tally;
use crate::task::Message;
use crate::timeline::Timeline;

/// What is going on at the end of an interval.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Levels {
    /// Requests due that no connection has taken up.
    pub(crate) queued: u64,
    /// Requests taken up and not answered.
    pub(crate) in_flight: u64,
    /// Open connections.
    pub(crate) connections: u64,
}

/// The current interval of a thread.
#[derive(Debug)]
pub(crate) struct Journal {
    /// What to count into.
    pub(crate) tally: Box<Tally>,
    timeline: Timeline,
    thread: usize,
    out: Sender<Message>,
    from: u64,
    border: u64,
    /// The thread's CPU clock at `from`.
    cpu: u64,
}

impl Journal {
    /// Starts the first interval. Must be called on the thread whose CPU time is meant.
    pub(crate) fn new(timeline: Timeline, thread: usize, out: Sender<Message>) -> Self {
        Self {
            tally: Box::new(Tally::new()),
            timeline,
            thread,
            out,
            from: timeline.start,
            border: timeline.border_after(timeline.start),
            cpu: clock::thread_cpu(),
        }
    }

    /// When the current interval ends.
    pub(crate) fn border(&self) -> u64 {
        self.border
    }

    /// Ends the current interval at `until`; `last` when the thread ends with it.
    pub(crate) fn close(&mut self, until: u64, levels: Levels, last: bool) {
        let cpu = clock::thread_cpu();
        let mut tally = std::mem::replace(&mut self.tally, Box::new(Tally::new()));
        tally.cpu = cpu - std::mem::replace(&mut self.cpu, cpu);
        tally.queued = levels.queued;
        tally.in_flight = levels.in_flight;
        tally.connections = levels.connections;
        let from = std::mem::replace(&mut self.from, until);
        self.border = self.timeline.border_after(until);
        // A coordinator that is gone has already returned an error.
        let thread = self.thread;
        let _ = self.out.send(Message::Interval { thread, from, until, last, tally });
    }
}
