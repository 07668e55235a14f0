//! The event loop's state: listeners, connections, deadlines. Whoever holds it is the leader.
//!
//! Turns readiness into complete requests ([`Job`]) and takes answered ones back ([`Done`]). Knows neither threads nor the
//! application; the pool decides who holds it and who runs the jobs.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use http1::error_response;
use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

use super::access::AccessLog;
use super::outbox::Delivery;
use super::timers::{Deadline, Due, Timers};
use crate::config::Timeouts;
use crate::connection::{DateCache, H1, Intake, Outgoing, Step, Transport, Verdict, Waiting, Written};
use crate::exchange::{Endpoints, Request};
use crate::handoff::Handoff;
use crate::listener::Listener;
use crate::proxies::{BadGreeting, Ends, Greeting, Heard, Judge, Malformed, Trusted};
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
/// A body that is received where it stays is read in larger pieces.
const READ_BODY: usize = 256 * 1024;
/// How much one connection may bring before it is the others' turn.
const TURN: usize = 1 << 20;
/// Events taken from the kernel at once.
const BATCH: usize = 256;
/// How long a connection that the worker wants to leave may still bring a request: longer than a round trip, so that a
/// request on its way is answered instead of reset.
const FAREWELL_NS: u64 = 500_000_000;
/// How long, and how much, is read and dropped after a refusal, so that the client sees the answer instead of a reset.
const LINGER_NS: u64 = 2_000_000_000;
const LINGER_BYTES: usize = 4 << 20;
/// Accepting pauses this long when the process or machine is out of descriptors.
const OUT_OF_DESCRIPTORS_NS: u64 = 100_000_000;

/// A complete request and the way back.
pub(super) struct Job {
    pub(super) key: usize,
    pub(super) request: Box<Request>,
    pub(super) transport: Arc<Transport>,
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

/// What of `input` is for the protocol: all behind a PROXY protocol header. `None` while that is not whole.
fn greeted<'a>(
    awaited: &mut Option<Box<Greeting>>,
    endpoints: &mut Arc<Endpoints>,
    input: &'a [u8],
) -> Result<Option<&'a [u8]>, BadGreeting> {
    let Some(greeting) = awaited else { return Ok(Some(input)) };
    let Heard::Whole { consumed, ends } = greeting.receive(input)? else { return Ok(None) };
    *awaited = None;
    if let Some(Ends { peer, local }) = ends {
        *endpoints = Arc::new(Endpoints::new(peer, local, endpoints.scheme));
    }
    Ok(Some(&input[consumed..]))
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

    /// When something last happened here, in monotonic nanoseconds.
    pub(super) fn now_ns(&self) -> u64 {
        self.now_ns
    }

    /// True once the worker has accepted as many connections as it may in its life.
    pub(super) fn is_spent(&self) -> bool {
        self.settings.most_accepted > 0 && self.accepted >= self.settings.most_accepted
    }

    /// Takes new connections, or leaves them to others, if that is a change.
    pub(super) fn listen(&mut self, wanted: bool) {
        let wanted = wanted
            && !self.draining
            && !self.is_spent()
            && self.connections.len() < self.settings.most_connections
            && self.now_ns >= self.pause_until_ns;
        if wanted == self.listening {
            return;
        }
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
        self.expire();
        turned
    }

    /// An answered request comes back; its connection may have the next one already. With `give_away`, another worker
    /// shall have the connection, if nothing of a next request is here.
    pub(super) fn settle(&mut self, done: Done, give_away: bool, jobs: &mut VecDeque<Job>) {
        let Done { key, verdict, request, ended_ns } = done;
        let Some(connection) = self.connections.get_mut(key) else { return };
        // The last turn may have been long ago: the thread that took it has answered a request since.
        self.now_ns = self.now_ns.max(ended_ns);
        let goes_on = match verdict {
            Verdict::KeepAlive => true,
            Verdict::Posted { keep_alive } | Verdict::Unsent { keep_alive, .. } => keep_alive,
            Verdict::Close | Verdict::Cut => false,
        };
        if goes_on {
            connection.protocol.resume(request, &mut self.settings.intake);
        } else {
            self.settings.intake.give_back(request);
        }
        match verdict {
            Verdict::KeepAlive => self.go_on(key, give_away, jobs),
            Verdict::Close => self.finish(key),
            Verdict::Posted { keep_alive } => {
                connection.phase = Phase::Posted { keep_alive };
                if let Some(outcome) = connection.delivered.take() {
                    self.delivered(Delivery { key, outcome }, give_away, jobs);
                }
            }
            Verdict::Unsent { rest, keep_alive } => self.write_later(key, rest, keep_alive),
            Verdict::Cut => {
                connection.transport.cut();
                self.close(key);
            }
        }
    }

    /// A posted response was written, as far as it could be.
    pub(super) fn delivered(&mut self, delivery: Delivery, give_away: bool, jobs: &mut VecDeque<Job>) {
        let Delivery { key, outcome } = delivery;
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Phase::Posted { keep_alive } = connection.phase else {
            connection.delivered = Some(outcome);
            return;
        };
        match outcome {
            Ok(None) if keep_alive => self.go_on(key, give_away, jobs),
            Ok(None) => self.finish(key),
            Ok(Some(rest)) => self.write_later(key, rest, keep_alive),
            Err(_) => {
                connection.transport.cut();
                self.close(key);
            }
        }
    }

    /// The next request may come, here or with another worker.
    fn go_on(&mut self, key: usize, give_away: bool, jobs: &mut VecDeque<Job>) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.phase = Phase::Reading;
        if !(give_away && self.give_away(key)) {
            self.advance(key, jobs);
        }
    }

    /// Leaves: takes no more connections and asks idle clients to go. With `backlog`, first takes all that wait in the
    /// kernel's queue, because nobody else will.
    pub(super) fn drain(&mut self, backlog: bool, give_away: bool, jobs: &mut VecDeque<Job>) {
        if !self.draining {
            self.listen(false);
            self.draining = true;
        }
        if give_away {
            let idle: Vec<usize> =
                self.connections.iter().filter(|(_, open)| open.is_idle()).map(|(key, _)| key).collect();
            for key in idle {
                self.give_away(key);
            }
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

    fn accept(&mut self, listener: usize, room: usize, jobs: &mut VecDeque<Job>) {
        for _ in 0..room.max(1) {
            let full = self.connections.len() >= self.settings.most_connections && !self.draining;
            let Some(listener) = self.listeners.get(listener) else { return };
            if full || (self.is_spent() && !self.draining) {
                return;
            }
            match listener.accept() {
                Ok((transport, endpoints)) => {
                    let greeting = self.settings.greeters.has_peer(&endpoints.peer).then(|| Box::new(Greeting::new()));
                    self.open(transport, endpoints, greeting, jobs);
                }
                Err(error) => match error.raw_os_error() {
                    Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => {
                        tracing::error!(
                            "no connection can be accepted: {error}; raise the limit of open files (ulimit -n)"
                        );
                        self.pause_until_ns = self.now_ns + OUT_OF_DESCRIPTORS_NS;
                        self.listen(false);
                        return;
                    }
                    _ if error.kind() == io::ErrorKind::WouldBlock => return,
                    // The client gave up while it waited (ECONNABORTED), or a network error of its connection.
                    _ => {}
                },
            }
        }
    }

    /// Leaves an idle connection to another worker. False when it stays.
    fn give_away(&mut self, key: usize) -> bool {
        let Some(handoff) = &self.handoff else { return false };
        let Some(connection) = self.connections.get(key) else { return false };
        let Connection { transport, endpoints, .. } = connection;
        if !connection.is_idle() || connection.readable {
            return false;
        }
        // As long as another process has the socket open, only this takes it out of our event loop.
        if transport.unregister(self.poll.registry()).is_err() {
            return false;
        }
        if handoff.give(transport, endpoints).is_ok() {
            self.close(key);
            return true;
        }
        // No room: it comes back, and with it, as a first event, all that it has become ready for meanwhile.
        if transport.register(self.poll.registry(), Token(FIRST_CONNECTION + key)).is_err() {
            self.close(key);
            return true;
        }
        false
    }

    /// Takes the connections that other workers gave away, as far as there is room.
    fn take_over(&mut self, jobs: &mut VecDeque<Job>) {
        while self.draining || self.connections.len() < self.settings.most_connections {
            let Some(taken) = self.handoff.as_ref().map(Handoff::take) else { return };
            match taken {
                Ok((transport, endpoints)) => self.open(transport, endpoints, None, jobs),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // A connection whose client has gone meanwhile.
                Err(error) => tracing::debug!("a connection was lost on its way between workers: {error}"),
            }
            if !self.draining {
                // One at a time: those that wait are for whoever is idle.
                return;
            }
        }
    }

    fn open(
        &mut self,
        transport: Transport,
        endpoints: Arc<Endpoints>,
        greeting: Option<Box<Greeting>>,
        jobs: &mut VecDeque<Job>,
    ) {
        self.accepted += 1;
        let key = self.connections.vacant_key();
        let token = Token(FIRST_CONNECTION + key);
        if let Err(error) = transport.register(self.poll.registry(), token) {
            tracing::error!("a connection can't be watched: {error}");
            return;
        }
        self.connections.insert(Connection {
            transport: Arc::new(transport),
            endpoints,
            greeting,
            protocol: H1::new(),
            phase: Phase::Reading,
            readable: true,
            read_closed: false,
            waiting: Waiting::FirstByte,
            delivered: None,
            deadline: Deadline::default(),
        });
        self.wait(key, Waiting::FirstByte);
        // Usually the request is there already: it counts against the worker's room before the next connection is taken,
        // and needs no event of its own.
        self.read(key, jobs);
    }

    fn ready(&mut self, key: usize, event: &Event, jobs: &mut VecDeque<Job>) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.read_closed |= event.is_read_closed() || event.is_error();
        connection.readable |= event.is_readable() || connection.read_closed;
        match &connection.phase {
            Phase::Reading => self.read(key, jobs),
            Phase::InCall | Phase::Posted { .. } => {}
            Phase::Writing { .. } if event.is_writable() || event.is_error() => self.write(key, jobs),
            Phase::Writing { .. } => {}
            Phase::Lingering { .. } => self.linger(key),
        }
    }

    /// Reads while there is something to read, the protocol wants it, and it is not others' turn.
    fn read(&mut self, key: usize, jobs: &mut VecDeque<Job>) {
        let mut turn = TURN;
        while let Some(connection) = self.connections.get_mut(key) {
            if !connection.readable || !matches!(connection.phase, Phase::Reading) {
                return;
            }
            if turn == 0 {
                self.unread.push(key);
                return;
            }
            let Connection { transport, protocol, endpoints, greeting, .. } = connection;
            // A large body is received where it stays, all else passes through the scratch memory.
            let (stays, asked, received) = match protocol.body_room(READ) {
                Some((body, room)) => (true, room.min(READ_BODY), transport.read_into(body, room.min(READ_BODY))),
                None => (false, READ, transport.read(&mut self.scratch)),
            };
            match received {
                Ok(0) => return self.close(key),
                Ok(count) => {
                    turn = turn.saturating_sub(count);
                    // A short read has drained the socket; only the end of the stream may still be behind it.
                    connection.readable = count == asked || connection.read_closed;
                    let step = match stays {
                        true => protocol.received(count),
                        false => match greeted(greeting, endpoints, &self.scratch[..count]) {
                            Ok(Some(input)) => protocol.receive(input, endpoints, &mut self.settings.intake),
                            Ok(None) => continue,
                            Err(bad) => return self.refuse(key, "400 Bad Request", &bad.to_string(), false),
                        },
                    };
                    self.perform(key, step, jobs);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    connection.readable = false;
                    return;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return self.close(key),
            }
        }
    }

    /// Goes on after an answer: first with what was received already, then with what waits in the socket.
    fn advance(&mut self, key: usize, jobs: &mut VecDeque<Job>) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let step = connection.protocol.receive(&[], &connection.endpoints, &mut self.settings.intake);
        self.perform(key, step, jobs);
        self.read(key, jobs);
    }

    /// Does what the protocol asks for.
    fn perform(&mut self, key: usize, step: Step, jobs: &mut VecDeque<Job>) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        match step {
            Step::Wait(waiting) => self.wait(key, waiting),
            Step::Continue => {
                // An empty socket takes 25 bytes; if it does not, the client sends its body after its own time-out.
                let _ = connection.transport.write(http1::CONTINUE);
                self.wait(key, Waiting::Body);
            }
            Step::Request(mut request) => {
                if let Err(malformed) = self.settings.judge(&mut request) {
                    let head_only = request.head.is_head();
                    return self.refuse(key, "400 Bad Request", &malformed.to_string(), head_only);
                }
                connection.phase = Phase::InCall;
                connection.waiting = Waiting::NextRequest;
                connection.deadline.clear();
                jobs.push_back(Job { key, request, transport: Arc::clone(&connection.transport) });
            }
            Step::Refuse { refusal, head_only } => self.refuse(key, refusal.status(), &refusal.to_string(), head_only),
            Step::Broken(error) => {
                tracing::error!("a request body can't be stored: {error}");
                self.refuse(key, "503 Service Unavailable", "the request body can't be stored", false);
            }
        }
    }

    fn wait(&mut self, key: usize, waiting: Waiting) {
        let timeouts = &self.settings.timeouts;
        let patience = match waiting {
            Waiting::FirstByte | Waiting::Head => timeouts.head,
            Waiting::Body => timeouts.body,
            Waiting::NextRequest => timeouts.keep_alive,
        };
        let mut patience_ns = nanoseconds(patience);
        let idle = matches!(waiting, Waiting::FirstByte | Waiting::NextRequest);
        if idle && self.draining {
            patience_ns = patience_ns.min(FAREWELL_NS);
        }
        if let Some(connection) = self.connections.get_mut(key) {
            // A head has one deadline for all its bytes, so that a client can't keep it open a byte at a time.
            let before = std::mem::replace(&mut connection.waiting, waiting);
            if waiting == Waiting::Head && before == Waiting::Head {
                return;
            }
            self.timers.set(&mut connection.deadline, key, self.now_ns + patience_ns);
        }
    }

    fn refuse(&mut self, key: usize, status: &str, detail: &str, head_only: bool) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let mut bytes = Vec::with_capacity(512);
        error_response(&mut bytes, status, detail, &[], self.date.at(clock::wall_seconds()), head_only);
        self.access.refused(&connection.endpoints, status, bytes.len());
        let mut rest = Outgoing::new(bytes, 0);
        match rest.write_to(&connection.transport) {
            Ok(Written::All) => self.finish(key),
            Ok(Written::Full | Written::Turn) => self.write_later(key, rest, false),
            Err(_) => self.close(key),
        }
    }

    fn write_later(&mut self, key: usize, rest: Outgoing, keep_alive: bool) {
        let token = Token(FIRST_CONNECTION + key);
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.phase = Phase::Writing { rest, keep_alive };
        self.timers.set(&mut connection.deadline, key, self.now_ns + nanoseconds(self.settings.timeouts.write));
        if connection.transport.want_writable(self.poll.registry(), token, true).is_err() {
            self.close(key);
        }
    }

    fn write(&mut self, key: usize, jobs: &mut VecDeque<Job>) {
        let token = Token(FIRST_CONNECTION + key);
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Phase::Writing { rest, keep_alive } = &mut connection.phase else { return };
        let keep_alive = *keep_alive;
        match rest.write_to(&connection.transport) {
            Ok(unfinished @ (Written::Full | Written::Turn)) => {
                let at_ns = self.now_ns + nanoseconds(self.settings.timeouts.write);
                self.timers.set(&mut connection.deadline, key, at_ns);
                // A socket that still has room says so only when it is asked anew.
                if unfinished == Written::Turn
                    && connection.transport.want_writable(self.poll.registry(), token, true).is_err()
                {
                    self.close(key);
                }
            }
            Ok(Written::All) if keep_alive => {
                connection.phase = Phase::Reading;
                // Re-arming reports readiness anew, so nothing that came in the meantime is missed.
                if connection.transport.want_writable(self.poll.registry(), token, false).is_err() {
                    return self.close(key);
                }
                self.advance(key, jobs);
            }
            Ok(Written::All) => self.finish(key),
            Err(_) => {
                connection.transport.cut();
                self.close(key);
            }
        }
    }

    /// All is said: ends our direction. Bytes that are still unread would turn a close into a reset, which can overtake
    /// the answer, so they are dropped first.
    fn finish(&mut self, key: usize) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if !connection.readable && connection.protocol.is_answered() {
            return self.close(key);
        }
        connection.transport.finish();
        connection.protocol.close();
        connection.phase = Phase::Lingering { dropped: 0 };
        connection.readable = true;
        self.timers.set(&mut connection.deadline, key, self.now_ns + LINGER_NS);
        self.linger(key);
    }

    fn linger(&mut self, key: usize) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Phase::Lingering { dropped } = &mut connection.phase else { return };
        loop {
            match connection.transport.read(&mut self.scratch) {
                Ok(count) if count > 0 && *dropped < LINGER_BYTES => *dropped += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => return self.close(key),
            }
        }
    }

    fn close(&mut self, key: usize) {
        // Dropping the last reference closes the socket, which leaves the epoll set with it.
        self.connections.try_remove(key);
    }

    /// Ends what has waited too long.
    fn expire(&mut self) {
        while let Some((mark_ns, key)) = self.timers.pop(self.now_ns) {
            let Some(connection) = self.connections.get_mut(key) else { continue };
            if self.timers.judge(&mut connection.deadline, key, mark_ns, self.now_ns) == Due::NotYet {
                continue;
            }
            match &connection.phase {
                Phase::Reading if connection.protocol.is_idle() => self.close(key),
                Phase::Reading => {
                    connection.protocol.close();
                    self.refuse(key, "408 Request Timeout", "the request did not arrive in time", false);
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
