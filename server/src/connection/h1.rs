//! HTTP/1 on one connection, without I/O: received bytes in, what to do next out.
//!
//! One exchange at a time: while the application answers, further bytes stay in the socket or in `pending`, so pipelined
//! answers can't change places. Buffers are lent to the request and come back with [`H1::resume`], so a connection in
//! steady state allocates nothing.

use std::io;
use std::sync::Arc;

use http1::{BodyDecoder, Framing, Limits, Parse, Refusal, RequestHead};

use super::spool::Spool;
use crate::exchange::{Body, Endpoints, Request};

/// What to do after bytes were fed.
#[derive(Debug)]
pub(crate) enum Step {
    /// Read more.
    Wait(Waiting),
    /// The client waits for `100 Continue` before it sends the body: send it, then read more.
    Continue,
    /// A complete request for the application; call [`H1::resume`] when it is answered.
    Request(Request),
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

/// A request whose body is not complete.
#[derive(Debug)]
struct Receiving {
    bytes: Vec<u8>,
    head: RequestHead,
    decoder: BodyDecoder,
    spool: Spool,
}

/// Where the connection is in its current message.
#[derive(Debug)]
enum State {
    /// Between messages, or inside a head.
    Head,
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
    /// Received and not consumed.
    pending: Vec<u8>,
    /// How many of `pending` have been searched for the head's end.
    seen: usize,
    /// Spare, for the next head.
    head: RequestHead,
    answered: bool,
    limits: Limits,
    body_memory: usize,
}

impl H1 {
    /// A fresh connection. Bodies over `body_memory` bytes go to a temporary file.
    pub(crate) fn new(limits: Limits, body_memory: usize) -> H1 {
        let state = State::Head;
        H1 { state, pending: Vec::new(), seen: 0, head: RequestHead::default(), answered: false, limits, body_memory }
    }

    /// True between requests, with nothing received of the next one.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.state, State::Head) && self.pending.is_empty()
    }

    /// True when the application has answered, or is about to, and nothing of a next request was received.
    pub(crate) fn is_answered(&self) -> bool {
        matches!(self.state, State::Exchange) && self.pending.is_empty()
    }

    /// Takes `input` in and says what comes next. Bytes beyond the current request are kept for the next one.
    pub(crate) fn receive(&mut self, input: &[u8], endpoints: &Arc<Endpoints>) -> Step {
        match &mut self.state {
            State::Head => {
                self.pending.extend_from_slice(input);
                self.parse(endpoints)
            }
            State::Body(_) => self.continue_body(input, endpoints),
            State::Exchange => {
                self.pending.extend_from_slice(input);
                Step::Wait(Waiting::NextRequest)
            }
            State::Closed => Step::Wait(Waiting::NextRequest),
        }
    }

    /// The exchange is over and the connection goes on: takes the lent buffers back. Feed `&[]` to [`H1::receive`] next,
    /// for what is pending.
    pub(crate) fn resume(&mut self, mut bytes: Vec<u8>, head: RequestHead) {
        self.answered = true;
        self.state = State::Head;
        self.head = head;
        if self.pending.is_empty() {
            bytes.clear();
            self.pending = bytes;
        }
    }

    /// Stops reading for good.
    pub(crate) fn close(&mut self) {
        self.state = State::Closed;
        self.pending = Vec::new();
    }

    fn parse(&mut self, endpoints: &Arc<Endpoints>) -> Step {
        if self.pending.is_empty() {
            return Step::Wait(if self.answered { Waiting::NextRequest } else { Waiting::FirstByte });
        }
        let head_len = match self.head.parse(&self.pending, self.seen, &self.limits) {
            Ok(Parse::Complete { head_len }) => head_len,
            Ok(Parse::Incomplete) => {
                self.seen = self.pending.len();
                return Step::Wait(Waiting::Head);
            }
            Err(refusal) => return self.refuse(refusal, self.pending.starts_with(b"HEAD ")),
        };
        self.seen = 0;
        let head = std::mem::take(&mut self.head);
        // The request takes the buffer; what follows its head, seldom anything, moves to a new one.
        let rest = self.pending[head_len..].to_vec();
        let bytes = std::mem::replace(&mut self.pending, rest);
        if matches!(head.framing(), Framing::None | Framing::Length(0)) {
            return self.complete(bytes, head, Body::Empty, endpoints);
        }
        let wants_continue = head.expects_continue() && self.pending.is_empty();
        let decoder = BodyDecoder::new(head.framing(), &self.limits);
        self.state = State::Body(Box::new(Receiving { bytes, head, decoder, spool: Spool::new(self.body_memory) }));
        if wants_continue {
            return Step::Continue;
        }
        let pending = std::mem::take(&mut self.pending);
        self.continue_body(&pending, endpoints)
    }

    fn continue_body(&mut self, input: &[u8], endpoints: &Arc<Endpoints>) -> Step {
        let State::Body(receiving) = &mut self.state else { return Step::Wait(Waiting::Body) };
        let head_only = receiving.head.is_head();
        let decoded = match receiving.decoder.decode(input, receiving.spool.buffer()) {
            Ok(decoded) => decoded,
            Err(refusal) => return self.refuse(refusal, head_only),
        };
        if let Err(error) = receiving.spool.settle() {
            self.close();
            return Step::Broken(error);
        }
        if !decoded.complete {
            return Step::Wait(Waiting::Body);
        }
        self.pending.extend_from_slice(&input[decoded.consumed..]);
        match std::mem::replace(&mut self.state, State::Exchange) {
            State::Body(receiving) => {
                let Receiving { bytes, head, spool, .. } = *receiving;
                match spool.finish() {
                    Ok(body) => self.complete(bytes, head, body, endpoints),
                    Err(error) => {
                        self.close();
                        Step::Broken(error)
                    }
                }
            }
            State::Head | State::Exchange | State::Closed => Step::Wait(Waiting::NextRequest),
        }
    }

    fn complete(&mut self, bytes: Vec<u8>, head: RequestHead, body: Body, endpoints: &Arc<Endpoints>) -> Step {
        self.state = State::Exchange;
        Step::Request(Request { bytes, head, body, endpoints: Arc::clone(endpoints) })
    }

    fn refuse(&mut self, refusal: Refusal, head_only: bool) -> Step {
        self.close();
        Step::Refuse { refusal, head_only }
    }
}
