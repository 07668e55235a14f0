//! One client of the admin listener: the server's HTTP/1 on a socket of the supervisor's event loop.
//!
//! Reads until a request is complete, has it answered, writes as the socket takes it. Never blocks: the pages are whole in
//! memory before the first byte goes out.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http1::{RequestFacts, error_response};
use mio::{Registry, Token};

use super::Readiness;
use crate::connection::{
    DateCache, H1, Intake, Outgoing, Responder, Scratch, Step, Surroundings, Transport, Verdict, Waiting, Written,
};
use crate::exchange::{Application, CallCost, Endpoints, Request};
use crate::sys::clock;

/// For a whole request head, and for each pause while a response is taken.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two requests: the usual distance of two scrapes.
const IDLE: Duration = Duration::from_secs(60);
/// How long a client may be silent while others wait for a place.
const GRACE: Duration = Duration::from_secs(1);
/// For the client to see an answer and close, before a close of ours could overtake it.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 64 * 1024;
/// One read's worth.
const READ: usize = 8 * 1024;

/// What all clients share.
pub(super) struct Desk {
    intake: Intake,
    scratch: Scratch,
    date: DateCache,
}

impl Desk {
    /// For requests that `intake` takes in.
    pub(super) fn new(intake: Intake) -> Desk {
        Desk { intake, scratch: Scratch::new(), date: DateCache::default() }
    }
}

/// What a client is doing.
enum Phase {
    /// Sending a request, or about to.
    Asking,
    /// Waiting for the answer to a complete one.
    Asked(Box<Request>),
    /// Taking the answer.
    Answered { rest: Outgoing, keep_alive: bool },
    /// Seeing the end of the stream; what it still sends is dropped.
    Lingering { dropped: usize },
    /// Gone.
    Over,
}

/// A client.
pub(super) struct Client {
    transport: Arc<Transport>,
    endpoints: Arc<Endpoints>,
    protocol: H1,
    phase: Phase,
    waiting: Waiting,
    deadline: Duration,
    /// When it was last heard of.
    heard: Duration,
}

impl Client {
    /// A fresh connection.
    pub(super) fn new(transport: Transport, endpoints: Arc<Endpoints>, now: Duration) -> Client {
        Client {
            transport: Arc::new(transport),
            endpoints,
            protocol: H1::new(),
            phase: Phase::Asking,
            waiting: Waiting::FirstByte,
            deadline: now + PATIENCE,
            heard: now,
        }
    }

    /// From when on it may be sent away for the sake of others: it waits between two requests, or for its first one, and
    /// has had time to send it.
    pub(super) fn dispensable_from(&self) -> Option<Duration> {
        self.is_idle().then_some(self.heard + GRACE)
    }

    /// Between two requests.
    fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Asking) && self.protocol.is_idle()
    }

    /// A request of it is there.
    pub(super) fn asks(&self) -> bool {
        matches!(self.phase, Phase::Asked(_))
    }

    /// It is gone.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    /// When it has had its time.
    pub(super) fn deadline(&self) -> Duration {
        self.deadline
    }

    /// The socket is readable, or writable.
    pub(super) fn ready(&mut self, readiness: Readiness, desk: &mut Desk, now: Duration) {
        self.heard = now;
        match &mut self.phase {
            Phase::Asking => self.read(desk, now),
            Phase::Answered { .. } if readiness == Readiness::Writable => self.write(desk, now),
            Phase::Lingering { .. } => self.linger(),
            Phase::Asked(_) | Phase::Answered { .. } | Phase::Over => {}
        }
    }

    /// Reads while there is something to read and no request is complete.
    fn read(&mut self, desk: &mut Desk, now: Duration) {
        let mut buffer = [0; READ];
        while let Phase::Asking = self.phase {
            match self.transport.read(&mut buffer) {
                Ok(0) => self.phase = Phase::Over,
                Ok(count) => {
                    let step = self.protocol.receive(&buffer[..count], &self.endpoints, &mut desk.intake);
                    self.perform(step, desk, now);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.phase = Phase::Over,
            }
        }
    }

    /// Does what the protocol asks for.
    fn perform(&mut self, step: Step, desk: &mut Desk, now: Duration) {
        match step {
            Step::Wait(waiting) => {
                let before = std::mem::replace(&mut self.waiting, waiting);
                match waiting {
                    // One deadline for all bytes of a head.
                    Waiting::Head if before == Waiting::Head => {}
                    Waiting::NextRequest => self.deadline = now + IDLE,
                    Waiting::FirstByte | Waiting::Head | Waiting::Body => self.deadline = now + PATIENCE,
                }
            }
            Step::Continue => {
                // An empty socket takes 25 bytes; if it does not, the client goes on by itself after a while.
                let _ = self.transport.write(http1::CONTINUE);
            }
            Step::Request(request) => self.phase = Phase::Asked(request),
            Step::Refuse { refusal, head_only } => {
                self.refuse(refusal.status(), &refusal.to_string(), head_only, desk, now);
            }
            Step::Broken(error) => {
                self.refuse("503 Service Unavailable", &error.to_string(), false, desk, now);
            }
        }
    }

    fn refuse(&mut self, status: &str, detail: &str, head_only: bool, desk: &mut Desk, now: Duration) {
        let mut bytes = Vec::with_capacity(512);
        error_response(&mut bytes, status, detail, &[], desk.date.at(clock::wall_seconds()), head_only);
        self.phase = Phase::Answered { rest: Outgoing::new(bytes, 0), keep_alive: false };
        self.write(desk, now);
    }

    /// Has `site` answer the request that is there.
    pub(super) fn answer(
        &mut self,
        site: &dyn Application,
        registry: &Registry,
        token: Token,
        desk: &mut Desk,
        now: Duration,
    ) {
        let Phase::Asked(mut request) = std::mem::replace(&mut self.phase, Phase::Over) else { return };
        let facts = RequestFacts {
            head: request.head.is_head(),
            version: request.head.version(),
            keep_alive: request.head.keep_alive(),
        };
        let around = Alone;
        let mut responder = Responder::new(&self.transport, &mut desk.scratch, facts, &around, PATIENCE);
        let mut cost = CallCost { began_ns: 0, first_wait: false, lock_wait_ns: 0 };
        let (verdict, _) = match site.handle(&mut request, &mut responder, &mut cost) {
            Ok(()) => responder.finish(&|complaint| tracing::error!("the admin listener: {complaint}")),
            Err(_) => responder.fail(),
        };
        self.deadline = now + PATIENCE;
        match verdict {
            Verdict::KeepAlive => {
                self.protocol.resume(request, &mut desk.intake);
                self.phase = Phase::Asking;
                self.go_on(desk, now);
            }
            Verdict::Unsent { rest, keep_alive } => {
                if keep_alive {
                    self.protocol.resume(request, &mut desk.intake);
                }
                // Asking for room reports it anew, if there is some by now.
                if self.transport.want_writable(registry, token, true).is_ok() {
                    self.phase = Phase::Answered { rest, keep_alive };
                }
            }
            Verdict::Close => self.finish(now),
            Verdict::Posted { .. } | Verdict::Cut => self.transport.cut(),
        }
    }

    /// Writes as much as the socket takes, then goes on.
    fn write(&mut self, desk: &mut Desk, now: Duration) {
        let Phase::Answered { rest, keep_alive } = &mut self.phase else { return };
        match rest.write_to(&self.transport) {
            // Pages are smaller than one turn's worth.
            Ok(Written::Full | Written::Turn) => self.deadline = now + PATIENCE,
            Ok(Written::All) if *keep_alive => {
                self.phase = Phase::Asking;
                self.go_on(desk, now);
            }
            Ok(Written::All) => self.finish(now),
            Err(_) => self.phase = Phase::Over,
        }
    }

    /// The next request: first what was received already, then what waits in the socket.
    fn go_on(&mut self, desk: &mut Desk, now: Duration) {
        let step = self.protocol.receive(&[], &self.endpoints, &mut desk.intake);
        self.perform(step, desk, now);
        self.read(desk, now);
    }

    /// All is said. Unread bytes would turn a close into a reset, which can overtake the answer.
    fn finish(&mut self, now: Duration) {
        self.transport.finish();
        self.protocol.close();
        self.phase = Phase::Lingering { dropped: 0 };
        self.deadline = now + LINGER;
        self.linger();
    }

    fn linger(&mut self) {
        let mut buffer = [0; READ];
        while let Phase::Lingering { dropped } = &mut self.phase {
            match self.transport.read(&mut buffer) {
                Ok(count) if count > 0 && *dropped < LINGER_BYTES => *dropped += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => self.phase = Phase::Over,
            }
        }
    }
}

/// There is nothing around a response here: no pool that could close connections or hold responses back.
struct Alone;

impl Surroundings for Alone {
    fn may_keep(&self) -> bool {
        true
    }

    fn waits(&self, _: bool) {}

    fn may_send(&self, _: bool) -> bool {
        true
    }

    fn defers(&self) -> bool {
        false
    }

    /// Not asked for, because nothing is held back.
    fn post(&self, outgoing: Outgoing) -> Vec<u8> {
        outgoing.into_buffer()
    }
}
