//! HTTP/1 on one connection, without I/O: received bytes in, what to do next out.
//!
//! One exchange at a time: while the application answers, further bytes stay in the socket or in `pending`, so pipelined
//! answers can't change places. A request's memory comes from the worker's [`Intake`] with the first byte of its head and
//! goes back when it is answered, so an idle connection has none, and a busy worker reuses what is warm.

use std::io;
use std::sync::Arc;

use http1::{BodyDecoder, Framing, Limits, Parse, Refusal, RequestHead};

use super::descriptors::held;
use super::spool::Spool;
use crate::exchange::{Body, Endpoints, Forwarding, Request, Shelf};

/// What to do after bytes were fed.
#[derive(Debug)]
pub(crate) enum Step {
    /// Read more.
    Wait(Waiting),
    /// The client waits for `100 Continue` before it sends the body: send it, then read more.
    Continue,
    /// A complete request for the application; call [`H1::resume`] when it is answered.
    Request(Box<Request>),
    /// Answer with this refusal and close. `head_only`: the refused request was a HEAD.
    Refuse { refusal: Refusal, head_only: bool },
    /// The body could not be stored. Not the client's fault.
    Broken(io::Error),
}

/// What the connection waits for, which decides how long it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// The first byte of a connection's first request.
    FirstByte,
    /// The rest of a head.
    Head,
    /// More of a body.
    Body,
    /// The next request.
    NextRequest,
}

/// What all connections of a worker share while they receive.
#[derive(Debug)]
pub(crate) struct Intake {
    limits: Limits,
    body_memory: usize,
    /// Descriptors for connections and their files, and how many connections have one.
    descriptors: usize,
    connections: usize,
    shelf: Arc<Shelf>,
    #[expect(clippy::vec_box, reason = "requests come in their boxes and leave in them")]
    spare: Vec<Box<Request>>,
}

/// Requests kept for reuse: more than a worker answers at once.
const SPARE: usize = 64;
/// A head's memory that is kept for the next one. Few heads are larger.
const KEPT: usize = 16 * 1024;

impl Intake {
    /// For requests within `limits`, whose bodies over `body_memory` bytes go to a temporary file, while connections and
    /// files have no more than `descriptors`.
    pub(crate) fn new(limits: Limits, body_memory: usize, descriptors: usize) -> Intake {
        Intake { limits, body_memory, descriptors, connections: 0, shelf: Arc::default(), spare: Vec::new() }
    }

    /// Takes note of how many connections there are.
    pub(crate) fn set_connections(&mut self, connections: usize) {
        self.connections = connections;
    }

    /// Whether there are descriptors for one more connection or file.
    pub(crate) fn has_descriptors(&self) -> bool {
        self.connections + held() < self.descriptors
    }

    fn take(&mut self, endpoints: &Arc<Endpoints>) -> Box<Request> {
        let endpoints = Arc::clone(endpoints);
        match self.spare.pop() {
            Some(mut request) => {
                request.endpoints = endpoints;
                request
            }
            None => Box::new(Request {
                bytes: Vec::new(),
                head: RequestHead::default(),
                body: Body::Empty,
                endpoints,
                forwarding: Forwarding::Nothing,
            }),
        }
    }

    /// Takes the memory of a request that was answered.
    pub(crate) fn give_back(&mut self, mut request: Box<Request>) {
        if self.spare.len() < SPARE && request.bytes.capacity() <= KEPT {
            request.bytes.clear();
            request.body = Body::Empty;
            request.forwarding = Forwarding::Nothing;
            self.spare.push(request);
        }
    }
}

/// A request whose body is not complete.
#[derive(Debug)]
struct Receiving {
    request: Box<Request>,
    decoder: BodyDecoder,
    spool: Spool,
}

/// Where the connection is in its current message.
#[derive(Debug)]
enum State {
    /// Between messages.
    Idle,
    /// Inside a head, whose first `seen` bytes have been searched for its end.
    Head { request: Box<Request>, seen: usize },
    /// Inside a body.
    Body(Box<Receiving>),
    /// The application has the request.
    Exchange,
    /// Nothing more is read.
    Closed,
}

/// The protocol's state on one connection.
#[derive(Debug)]
pub(crate) struct H1 {
    state: State,
    /// Received beyond the current request: the next ones, pipelined. Never more than one read brought.
    pending: Vec<u8>,
    answered: bool,
}

impl H1 {
    /// A fresh connection.
    pub(crate) fn new() -> H1 {
        H1 { state: State::Idle, pending: Vec::new(), answered: false }
    }

    /// True between requests, with nothing received of the next one.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle) && self.pending.is_empty()
    }

    /// True when the application has answered, or is about to, and nothing of a next request was received.
    pub(crate) fn is_answered(&self) -> bool {
        matches!(self.state, State::Exchange) && self.pending.is_empty()
    }

    /// Takes `input` in and says what comes next. Bytes beyond the current request are kept for the next one.
    pub(crate) fn receive(&mut self, input: &[u8], endpoints: &Arc<Endpoints>, intake: &mut Intake) -> Step {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Idle if self.pending.is_empty() => self.begin(input, endpoints, intake),
            State::Idle => {
                let mut pending = std::mem::take(&mut self.pending);
                pending.extend_from_slice(input);
                self.begin(&pending, endpoints, intake)
            }
            State::Head { mut request, seen } => {
                request.bytes.extend_from_slice(input);
                self.continue_head(request, seen, intake)
            }
            State::Body(receiving) => self.continue_body(receiving, input, intake),
            State::Exchange => {
                self.state = State::Exchange;
                self.pending.extend_from_slice(input);
                Step::Wait(Waiting::NextRequest)
            }
            State::Closed => Step::Wait(Waiting::NextRequest),
        }
    }

    /// Where the next bytes of the body may be received without passing through [`H1::receive`], and how many at most;
    /// tell [`H1::received`] how many came. `None` unless more than `worthwhile` bytes of body are still to come as they are.
    pub(crate) fn body_room(&mut self, worthwhile: usize) -> Option<(&mut Vec<u8>, usize)> {
        let State::Body(receiving) = &mut self.state else { return None };
        let verbatim = usize::try_from(receiving.decoder.verbatim()?).unwrap_or(usize::MAX);
        (verbatim > worthwhile).then(|| (receiving.spool.buffer(), verbatim))
    }

    /// Bytes of the body were appended to where [`H1::body_room`] said.
    pub(crate) fn received(&mut self, count: usize, intake: &Intake) -> Step {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Body(mut receiving) => {
                receiving.decoder.count(count as u64);
                self.settle_body(receiving, intake)
            }
            other => {
                self.state = other;
                Step::Wait(Waiting::NextRequest)
            }
        }
    }

    /// The exchange is over and the connection goes on: takes the request's memory back. Feed `&[]` to [`H1::receive`]
    /// next, for what is pending.
    pub(crate) fn resume(&mut self, request: Box<Request>, intake: &mut Intake) {
        self.answered = true;
        self.state = State::Idle;
        intake.give_back(request);
    }

    /// Stops reading for good.
    pub(crate) fn close(&mut self) {
        self.state = State::Closed;
        self.pending = Vec::new();
    }

    /// A new message, which usually is here as a whole: parsed where it lies, and only then copied.
    fn begin(&mut self, input: &[u8], endpoints: &Arc<Endpoints>, intake: &mut Intake) -> Step {
        if input.is_empty() {
            self.state = State::Idle;
            return Step::Wait(if self.answered { Waiting::NextRequest } else { Waiting::FirstByte });
        }
        let mut request = intake.take(endpoints);
        match request.head.parse(input, 0, &intake.limits) {
            Ok(Parse::Complete { head_len }) => {
                let (head, rest) = input.split_at(head_len);
                request.bytes.extend_from_slice(head);
                self.begin_body(request, rest, intake)
            }
            Ok(Parse::Incomplete) => {
                request.bytes.extend_from_slice(input);
                self.state = State::Head { request, seen: input.len() };
                Step::Wait(Waiting::Head)
            }
            Err(refusal) => self.refuse(refusal, input.starts_with(b"HEAD ")),
        }
    }

    fn continue_head(&mut self, mut request: Box<Request>, seen: usize, intake: &mut Intake) -> Step {
        let Request { head, bytes, .. } = &mut *request;
        match head.parse(bytes, seen, &intake.limits) {
            Ok(Parse::Complete { head_len }) => {
                let rest = bytes.split_off(head_len);
                self.begin_body(request, &rest, intake)
            }
            Ok(Parse::Incomplete) => {
                let seen = bytes.len();
                self.state = State::Head { request, seen };
                Step::Wait(Waiting::Head)
            }
            Err(refusal) => self.refuse(refusal, request.bytes.starts_with(b"HEAD ")),
        }
    }

    /// The head is complete; `rest` followed it.
    fn begin_body(&mut self, request: Box<Request>, rest: &[u8], intake: &Intake) -> Step {
        let framing = request.head.framing();
        if matches!(framing, Framing::None | Framing::Length(0)) {
            self.pending.extend_from_slice(rest);
            return self.complete(request);
        }
        let wants_continue = request.head.expects_continue() && rest.is_empty();
        let expected = match framing {
            Framing::Length(length) => length,
            Framing::None | Framing::Chunked => 0,
        };
        let decoder = BodyDecoder::new(framing, &intake.limits);
        let receiving =
            Box::new(Receiving { request, decoder, spool: Spool::new(intake.body_memory, expected, &intake.shelf) });
        if wants_continue {
            self.state = State::Body(receiving);
            return Step::Continue;
        }
        self.continue_body(receiving, rest, intake)
    }

    fn continue_body(&mut self, mut receiving: Box<Receiving>, input: &[u8], intake: &Intake) -> Step {
        match receiving.decoder.decode(input, receiving.spool.buffer()) {
            Ok(decoded) => {
                self.pending.extend_from_slice(&input[decoded.consumed..]);
                self.settle_body(receiving, intake)
            }
            Err(refusal) => self.refuse(refusal, receiving.request.head.is_head()),
        }
    }

    /// More of the body is in the spool.
    fn settle_body(&mut self, mut receiving: Box<Receiving>, intake: &Intake) -> Step {
        if let Err(error) = receiving.spool.settle(|| intake.has_descriptors()) {
            return self.broken(error);
        }
        if !receiving.decoder.is_complete() {
            self.state = State::Body(receiving);
            return Step::Wait(Waiting::Body);
        }
        let Receiving { mut request, spool, .. } = *receiving;
        match spool.finish() {
            Ok(body) => {
                request.body = body;
                self.complete(request)
            }
            Err(error) => self.broken(error),
        }
    }

    fn complete(&mut self, request: Box<Request>) -> Step {
        self.state = State::Exchange;
        Step::Request(request)
    }

    fn refuse(&mut self, refusal: Refusal, head_only: bool) -> Step {
        self.close();
        Step::Refuse { refusal, head_only }
    }

    fn broken(&mut self, error: io::Error) -> Step {
        self.close();
        Step::Broken(error)
    }
}
