//! The event loop's state: listeners, connections, deadlines. Whoever holds it is the leader.
//!
//! Turns readiness into complete requests ([`Job`]) and takes answered ones back ([`Done`]). Knows neither threads nor the
//! application; the pool decides who holds it and who runs the jobs. Here is what it has and one turn of it; connections
//! come and go in `arrivals`, requests come in in `reading`, answers go out in `writing`.

mod arrivals;
mod reading;
mod writing;

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

use super::access::AccessLog;
use super::timers::{Deadline, Due, Timers};
use crate::config::Timeouts;
use crate::connection::{DateCache, H1, Intake, Outgoing, Transport, Verdict, Waiting};
use crate::exchange::{Endpoints, Request};
use crate::handoff::Handoff;
use crate::listener::Listener;
use crate::proxies::{Greeting, Judge, Malformed, Trusted};
use crate::sys::wakeup::Wakeup;
use crate::sys::{clock, epoll};

const WAKE: Token = Token(0);
const LIFELINE: Token = Token(1);
const HANDOFF: Token = Token(2);
const FIRST_LISTENER: usize = 3;
/// Connections' tokens start here, whether or not the listeners are still there.
const FIRST_CONNECTION: usize = FIRST_LISTENER + crate::sys::message::MOST_DESCRIPTORS;

/// One read's worth. Larger bodies take several; the memory exists once per worker.
const READ: usize = 64 * 1024;
/// Events taken from the kernel at once.
const BATCH: usize = 256;
/// How long a connection that the worker wants to leave may still bring a request: longer than a round trip, so that a
/// request on its way is answered instead of reset.
const FAREWELL_NS: u64 = 500_000_000;
/// A complete request and the way back.
pub(super) struct Job {
    pub(super) key: usize,
    pub(super) request: Box<Request>,
    pub(super) transport: Arc<Transport>,
    /// When the request was complete, in monotonic nanoseconds.
    pub(super) complete_ns: u64,
}

/// An answered request, on its way back to its connection.
pub(super) struct Done {
    pub(super) key: usize,
    pub(super) verdict: Verdict,
    pub(super) request: Box<Request>,
    /// When the application had answered, in monotonic nanoseconds.
    pub(super) ended_ns: u64,
}

/// What a connection is doing.
enum Phase {
    /// Receiving a request, or waiting for one.
    Reading,
    /// Its request is with the pool.
    InCall,
    /// Its response is with the outbox.
    Posted { keep_alive: bool },
    /// Sending what the socket had no room for.
    Writing { rest: Outgoing, keep_alive: bool },
    /// Nothing more to say; dropping what still comes.
    Lingering { dropped: usize },
}

/// A large body wakes the worker once for many packets, unless it comes slowly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gathers {
    /// Whatever has arrived is read.
    Nothing,
    /// So many bytes of the current body have to be there.
    Bytes(usize),
    /// The current body comes slowly: whatever has arrived is progress.
    Slowly,
}

struct Connection {
    transport: Arc<Transport>,
    endpoints: Arc<Endpoints>,
    /// A proxy has to say who its client is, and has not done so yet.
    greeting: Option<Box<Greeting>>,
    protocol: H1,
    phase: Phase,
    /// Edge-triggered readiness that has not been used up.
    readable: bool,
    /// The peer has closed its direction: read on to the end of the stream.
    read_closed: bool,
    /// What it waits for while reading.
    waiting: Waiting,
    /// How many bytes of a body have to arrive before the socket is readable.
    gathers: Gathers,
    /// The client has asked for the connection to end with this exchange.
    is_last: bool,
    /// What became of a posted response whose call has not ended yet.
    delivered: Option<io::Result<Option<Outgoing>>>,
    deadline: Deadline,
}

impl Connection {
    /// Between requests, with nothing received of the next one.
    fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Reading) && self.protocol.is_idle() && self.greeting.is_none()
    }
}

/// What a reactor needs to know, fixed for its life.
pub(super) struct Settings {
    pub(super) intake: Intake,
    pub(super) timeouts: Timeouts,
    /// Connections open at once.
    pub(super) most_connections: usize,
    /// Connections accepted in the worker's life; 0: no limit.
    pub(super) most_accepted: u64,
    /// Peers whose connections begin with a PROXY protocol header.
    pub(super) greeters: Trusted,
    /// Who is behind the proxies in front; `None`: nobody asks.
    pub(super) judge: Option<Judge>,
}

impl Settings {
    /// Notes where the request comes from.
    fn judge(&self, request: &mut Request) -> Result<(), Malformed> {
        if let Some(judge) = &self.judge {
            request.forwarding = judge.judge(&request.head, &request.bytes, &request.endpoints)?;
        }
        Ok(())
    }
}

/// The event loop's state.
pub(super) struct Reactor {
    poll: Poll,
    events: Events,
    scratch: Box<[u8]>,
    settings: Settings,
    listeners: Vec<Listener>,
    handoff: Option<Handoff>,
    listening: bool,
    accepted: u64,
    refused: u64,
    /// No accepting before this time.
    pause_until_ns: u64,
    connections: Slab<Connection>,
    /// Connections that have more to read, and had their turn.
    unread: Vec<usize>,
    timers: Timers,
    wake: Arc<Wakeup>,
    /// Held so that its end of stream tells that the supervisor is gone.
    _lifeline: OwnedFd,
    draining: bool,
    now_ns: u64,
    date: DateCache,
    access: Arc<AccessLog>,
}

/// Something from outside the connections happened in a turn.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turned {
    /// The wake-up was written: look at completions and the scoreboard.
    pub(super) woken: bool,
    /// The supervisor is gone.
    pub(super) orphaned: bool,
}

impl Reactor {
    /// A reactor over listeners that are not accepted from yet.
    pub(super) fn new(
        settings: Settings,
        listeners: Vec<Listener>,
        handoff: Option<Handoff>,
        wake: Arc<Wakeup>,
        lifeline: OwnedFd,
        access: Arc<AccessLog>,
    ) -> io::Result<Reactor> {
        let poll = Poll::new()?;
        poll.registry().register(&mut SourceFd(&wake.as_fd().as_raw_fd()), WAKE, Interest::READABLE)?;
        poll.registry().register(&mut SourceFd(&lifeline.as_raw_fd()), LIFELINE, Interest::READABLE)?;
        Ok(Reactor {
            poll,
            events: Events::with_capacity(BATCH),
            scratch: vec![0; READ].into_boxed_slice(),
            settings,
            listeners,
            handoff,
            listening: false,
            accepted: 0,
            refused: 0,
            pause_until_ns: 0,
            connections: Slab::new(),
            unread: Vec::new(),
            timers: Timers::default(),
            wake,
            _lifeline: lifeline,
            draining: false,
            now_ns: clock::monotonic_ns(),
            date: DateCache::default(),
            access,
        })
    }

    /// Open connections.
    pub(super) fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Requests refused so far: those that no application has seen.
    pub(super) fn refused(&self) -> u64 {
        self.refused
    }

    /// True once the worker has accepted as many connections as it may in its life.
    pub(super) fn is_spent(&self) -> bool {
        self.settings.most_accepted > 0 && self.accepted >= self.settings.most_accepted
    }

    /// There are as many connections as there may be, or no descriptors for more.
    fn is_full(&self) -> bool {
        self.connections.len() >= self.settings.most_connections || !self.settings.intake.has_descriptors()
    }

    /// Takes new connections, or leaves them to others, if that is a change.
    pub(super) fn listen(&mut self, wanted: bool) {
        let wanted =
            wanted && !self.draining && !self.is_spent() && !self.is_full() && self.now_ns >= self.pause_until_ns;
        if wanted == self.listening {
            return;
        }
        self.watch_sources(wanted);
    }

    /// Lets other workers that wait for connections have them first. The kernel wakes the one that has waited in line for
    /// the longest, and whoever stays in line while it computes would be asked before those that have nothing to do.
    pub(super) fn go_last_in_line(&mut self) {
        if self.listening {
            self.watch_sources(false);
            self.watch_sources(true);
        }
    }

    fn watch_sources(&mut self, wanted: bool) {
        let listeners = self.listeners.iter().enumerate();
        let sources = listeners.map(|(index, listener)| (listener.as_fd(), Token(FIRST_LISTENER + index)));
        let handoff = self.handoff.iter().map(|handoff| (handoff.readiness(), HANDOFF));
        for (source, token) in sources.chain(handoff) {
            let changed = match wanted {
                true => epoll::add_exclusive(&self.poll, source, token),
                false => epoll::remove(&self.poll, source),
            };
            if let Err(error) = changed {
                tracing::error!(
                    "a source of connections can't be {}: {error}",
                    if wanted { "watched" } else { "left" }
                );
            }
        }
        self.listening = wanted;
    }

    /// Waits for events, at most `patience`, and turns them into jobs. New connections are accepted as far as
    /// `room` calls go.
    pub(super) fn turn(&mut self, patience: Option<Duration>, room: usize, jobs: &mut VecDeque<Job>) -> Turned {
        let patience = if self.unread.is_empty() { self.timeout(patience) } else { Some(Duration::ZERO) };
        let mut events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        if let Err(error) = self.poll.poll(&mut events, patience)
            && error.kind() != io::ErrorKind::Interrupted
        {
            tracing::error!("waiting for events: {error}");
        }
        self.now_ns = clock::monotonic_ns();
        let mut turned = Turned::default();
        for event in &events {
            match event.token() {
                WAKE => {
                    self.wake.silence();
                    turned.woken = true;
                }
                LIFELINE => turned.orphaned = true,
                HANDOFF => self.take_over(jobs),
                Token(token) if token < FIRST_CONNECTION => self.accept(token - FIRST_LISTENER, room, jobs),
                Token(token) => self.ready(token - FIRST_CONNECTION, event, jobs),
            }
        }
        self.events = events;
        for key in std::mem::take(&mut self.unread) {
            self.read(key, jobs);
        }
        self.expire(jobs);
        turned
    }

    /// Leaves: takes no more connections and asks idle clients to go. With `backlog`, first takes all that wait in the
    /// kernel's queue, because nobody else will.
    pub(super) fn drain(&mut self, backlog: bool, give_away: bool, jobs: &mut VecDeque<Job>) {
        if !self.draining {
            self.listen(false);
            self.draining = true;
        }
        if give_away {
            self.give_idle_away();
        }
        if backlog {
            for index in 0..self.listeners.len() {
                self.accept(index, usize::MAX, jobs);
            }
            self.take_over(jobs);
        }
        self.listeners.clear();
        let farewell_ns = self.now_ns + FAREWELL_NS;
        for (key, connection) in &mut self.connections {
            if connection.is_idle() || connection.greeting.is_some() {
                let at_ns = connection.deadline.at_ns().min(farewell_ns);
                self.timers.set(&mut connection.deadline, key, at_ns);
            }
        }
    }

    /// Leaves the idle connections to other workers. False when not all of them could be.
    pub(super) fn give_idle_away(&mut self) -> bool {
        let idle: Vec<usize> = self.connections.iter().filter(|(_, open)| open.is_idle()).map(|(key, _)| key).collect();
        idle.into_iter().all(|key| self.give_away(key))
    }

    /// The earlier of `patience` and the next deadline.
    fn timeout(&self, patience: Option<Duration>) -> Option<Duration> {
        let mut wake_ns = self.timers.next_ns();
        if self.pause_until_ns > self.now_ns {
            wake_ns = Some(wake_ns.map_or(self.pause_until_ns, |at_ns| at_ns.min(self.pause_until_ns)));
        }
        let Some(wake_ns) = wake_ns else { return patience };
        let due = Duration::from_nanos(wake_ns.saturating_sub(clock::monotonic_ns()));
        Some(patience.map_or(due, |patience| patience.min(due)))
    }

    fn close(&mut self, key: usize) {
        // Dropping the last reference closes the socket, which leaves the epoll set with it.
        self.connections.try_remove(key);
        self.settings.intake.set_connections(self.connections.len());
    }

    /// Ends what has waited too long.
    fn expire(&mut self, jobs: &mut VecDeque<Job>) {
        while let Some((mark_ns, key)) = self.timers.pop(self.now_ns) {
            let Some(connection) = self.connections.get_mut(key) else { continue };
            if self.timers.judge(&mut connection.deadline, key, mark_ns, self.now_ns) == Due::NotYet {
                continue;
            }
            match &connection.phase {
                Phase::Reading if connection.protocol.is_idle() => self.close(key),
                Phase::Reading => {
                    if !self.read_slowly(key, jobs) {
                        self.give_up(key);
                    }
                }
                Phase::InCall | Phase::Posted { .. } => {}
                Phase::Writing { .. } => {
                    connection.transport.cut();
                    self.close(key);
                }
                Phase::Lingering { .. } => self.close(key),
            }
        }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 2).min(u64::MAX / 2)
}
