//! An application's response on its way to the socket.
//!
//! Runs on the thread that called the application: encodes into the thread's [`Scratch`], writes at once what the socket
//! takes, and hands the event loop only what is left over, so neither a slow client holds a thread nor a finished
//! response waits for the event loop. Two exceptions: while other requests wait for this thread, complete responses are
//! left to be written together ([`Surroundings::defers`]); and a streamed response, whose pieces can't be kept back, waits
//! for its client in [`ResponseSink::flush`], up to the write timeout.

use std::fmt;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http1::{Persistence, RequestFacts, ResponseEncoder};

use super::{DateCache, Outgoing, Transport, Written};
use crate::exchange::{Payload, ResponseSink, SinkError};
use crate::sys::clock;

/// Output memory that a thread keeps from one response to the next.
const KEPT: usize = 256 * 1024;

/// What a thread reuses for every response.
#[derive(Debug)]
pub(crate) struct Scratch {
    encoder: ResponseEncoder,
    out: Vec<u8>,
    date: DateCache,
}

impl Scratch {
    /// Empty; grows with use.
    pub(crate) fn new() -> Scratch {
        Scratch { encoder: ResponseEncoder::new(), out: Vec::new(), date: DateCache::default() }
    }
}

/// What becomes of the connection after a response.
pub(crate) enum Verdict {
    /// All is sent; the next request may come.
    KeepAlive,
    /// All is sent; close.
    Close,
    /// It was [posted](Surroundings::post).
    Posted {
        /// Whether the next request may come once it is sent.
        keep_alive: bool,
    },
    /// The event loop sends the rest.
    Unsent {
        /// The rest.
        rest: Outgoing,
        /// Whether the next request may come then.
        keep_alive: bool,
    },
    /// The response can't be completed: cut the connection so that the client notices.
    Cut,
}

/// The response's facts for the access log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    /// Status code; 0 if none was sent.
    pub(crate) status: u16,
    /// Body bytes.
    pub(crate) body_bytes: u64,
}

/// What a response must know of the worker that it is made in.
pub(crate) trait Surroundings {
    /// May the connection be kept? Asked late, when the head is made.
    fn may_keep(&self) -> bool;
    /// The thread begins, or ends, to wait for the client.
    fn waits(&self, begins: bool);
    /// May bytes of this response leave? `whole`: its last ones are among them. No, once its time was up and the client was
    /// answered by somebody else.
    fn may_send(&self, whole: bool) -> bool;
    /// Are complete responses to be [posted](Self::post)?
    fn defers(&self) -> bool;
    /// Leaves a complete response to be written soon, together with others. Returns empty memory for the next one.
    fn post(&self, outgoing: Outgoing) -> Vec<u8>;
}

/// One response.
pub(crate) struct Responder<'a> {
    transport: &'a Arc<Transport>,
    scratch: &'a mut Scratch,
    facts: RequestFacts,
    around: &'a dyn Surroundings,
    write_timeout: Duration,
    /// How much of what is buffered is written.
    written: usize,
    /// Something was written, or nearly.
    begun: bool,
    body: Body,
    stage: Stage,
}

/// A body that does not pass through the buffer.
#[derive(Default)]
enum Body {
    #[default]
    Buffered,
    Parts(Vec<Box<dyn Payload>>, u64),
    File(File, u64, u64),
}

/// How far the response is.
enum Stage {
    /// The application makes it.
    Made,
    /// The client is gone, or too slow.
    Broken,
    /// Somebody else has answered.
    Overtaken,
    /// It is complete, and this became of it.
    Dispatched(Verdict),
}

impl<'a> Responder<'a> {
    /// Answers one request with these facts.
    pub(crate) fn new(
        transport: &'a Arc<Transport>,
        scratch: &'a mut Scratch,
        facts: RequestFacts,
        around: &'a dyn Surroundings,
        write_timeout: Duration,
    ) -> Responder<'a> {
        scratch.encoder.reset(facts);
        scratch.out.clear();
        let (body, stage) = (Body::Buffered, Stage::Made);
        Responder { transport, scratch, facts, around, write_timeout, written: 0, begun: false, body, stage }
    }

    /// The application failed: a 500 if nothing was committed, else a visible cut, unless the response was complete
    /// before.
    pub(crate) fn fail(mut self) -> (Verdict, Sent) {
        if let Stage::Dispatched(verdict) = self.stage {
            return (verdict, sent(&self.scratch.encoder));
        }
        if matches!(self.stage, Stage::Overtaken) {
            return self.overtaken();
        }
        if self.scratch.encoder.committed() {
            return (Verdict::Cut, sent(&self.scratch.encoder));
        }
        self.scratch.out.clear();
        self.scratch.encoder.reset(self.facts);
        let answered = self
            .begin(b"500 Internal Server Error")
            .and_then(|()| self.header(b"Content-Type", b"text/plain; charset=utf-8"))
            .and_then(|()| self.whole(b"The application failed to answer this request.\n"));
        match answered {
            Ok(()) => self.finish(&|_| {}),
            Err(_) => (Verdict::Cut, sent(&self.scratch.encoder)),
        }
    }

    /// Ends the response and writes what the socket takes. Tells `complain` what was wrong with it, if anything.
    pub(crate) fn finish(mut self, complain: &dyn Fn(fmt::Arguments<'_>)) -> (Verdict, Sent) {
        let Scratch { encoder, out, date } = &mut *self.scratch;
        match self.stage {
            Stage::Dispatched(verdict) => return (verdict, sent(encoder)),
            Stage::Broken => return (Verdict::Cut, sent(encoder)),
            Stage::Overtaken => return self.overtaken(),
            Stage::Made => {}
        }
        match encoder.finish(out, date.at(clock::wall_seconds())) {
            Ok(persistence) => {
                if encoder.overran() {
                    complain(format_args!("the application gave more body than its Content-Length: the rest was cut"));
                }
                let sent = sent(encoder);
                match self.send(persistence) {
                    Some(verdict) => (verdict, sent),
                    None => self.overtaken(),
                }
            }
            Err(error) => {
                complain(format_args!("the application's response is wrong: {error}"));
                // A head that promises too much is not sent, nor taken back for something else: the application meant it.
                if encoder.committed() {
                    return (Verdict::Cut, sent(encoder));
                }
                self.fail()
            }
        }
    }

    /// Sends what is left of a complete response. `None` when somebody else has answered.
    fn send(&mut self, persistence: Persistence) -> Option<Verdict> {
        if !self.around.may_send(true) {
            return None;
        }
        Some(self.send_rest(persistence))
    }

    fn send_rest(&mut self, persistence: Persistence) -> Verdict {
        let keep_alive = persistence == Persistence::KeepAlive;
        let sent = if keep_alive { Verdict::KeepAlive } else { Verdict::Close };
        let body = std::mem::take(&mut self.body);
        if self.written == self.scratch.out.len() && matches!(body, Body::Buffered) {
            return sent;
        }
        let mut outgoing = Outgoing::new(std::mem::take(&mut self.scratch.out), self.written);
        self.written = 0;
        match body {
            Body::Buffered => {}
            Body::Parts(parts, len) => outgoing.add_parts(parts, len),
            Body::File(file, offset, len) => outgoing.add_file(file, offset, len),
        }
        if self.around.defers() {
            self.scratch.out = self.around.post(outgoing);
            return Verdict::Posted { keep_alive };
        }
        match outgoing.write_to(self.transport) {
            Ok(Written::All) => {
                self.scratch.out = outgoing.into_buffer();
                self.scratch.out.shrink_to(KEPT);
                sent
            }
            Ok(Written::Full | Written::Turn) => Verdict::Unsent { rest: outgoing, keep_alive },
            Err(_) => Verdict::Cut,
        }
    }

    /// The client was told by somebody else, who has ended our direction as well, or was cut.
    fn overtaken(&self) -> (Verdict, Sent) {
        let told = Sent { status: 504, body_bytes: 0 };
        (Verdict::Close, if self.begun { sent(&self.scratch.encoder) } else { told })
    }

    /// Writes all that is buffered; waits for the client when the socket is full.
    fn drain(&mut self) -> io::Result<()> {
        while self.written < self.scratch.out.len() {
            if !self.around.may_send(false) {
                self.stage = Stage::Overtaken;
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.begun = true;
            match self.transport.write(&self.scratch.out[self.written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.around.waits(true);
                    let room = self.transport.wait_writable(self.write_timeout);
                    self.around.waits(false);
                    room?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.scratch.out.clear();
        self.written = 0;
        Ok(())
    }
}

/// For the access log.
fn sent(encoder: &ResponseEncoder) -> Sent {
    Sent { status: encoder.status_code(), body_bytes: encoder.sent_body_bytes() }
}

impl ResponseSink for Responder<'_> {
    fn begin(&mut self, status: &[u8]) -> Result<(), SinkError> {
        if !self.around.may_keep() {
            self.scratch.encoder.close_after();
        }
        Ok(self.scratch.encoder.begin(status)?)
    }

    fn header(&mut self, name: &[u8], value: &[u8]) -> Result<(), SinkError> {
        Ok(self.scratch.encoder.header(name, value)?)
    }

    fn whole(&mut self, body: &[u8]) -> Result<(), SinkError> {
        let Scratch { encoder, out, date } = &mut *self.scratch;
        Ok(encoder.whole(out, body, date.at(clock::wall_seconds()))?)
    }

    fn parts(&mut self, parts: Vec<Box<dyn Payload>>, total: u64) -> Result<(), SinkError> {
        let Scratch { encoder, out, date } = &mut *self.scratch;
        let remaining = encoder.head_for(out, total, date.at(clock::wall_seconds()))?;
        if remaining > 0 {
            self.body = Body::Parts(parts, remaining);
        }
        Ok(())
    }

    fn piece(&mut self, body: &[u8]) -> Result<(), SinkError> {
        if matches!(self.stage, Stage::Dispatched(_)) {
            return Ok(());
        }
        let Scratch { encoder, out, date } = &mut *self.scratch;
        Ok(encoder.piece(out, body, date.at(clock::wall_seconds()))?)
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        if matches!(self.stage, Stage::Dispatched(_)) {
            return Ok(());
        }
        self.drain().map_err(|error| {
            if !matches!(self.stage, Stage::Overtaken) {
                self.stage = Stage::Broken;
            }
            SinkError::Client(error)
        })
    }

    fn completes(&self, len: u64) -> bool {
        self.scratch.encoder.completes(len)
    }

    fn dispatch(&mut self) -> Result<(), SinkError> {
        let Scratch { encoder, out, date } = &mut *self.scratch;
        let persistence = encoder.finish(out, date.at(clock::wall_seconds()))?;
        self.stage = self.send(persistence).map_or(Stage::Overtaken, Stage::Dispatched);
        match self.stage {
            Stage::Overtaken => Err(SinkError::Client(io::ErrorKind::TimedOut.into())),
            _ => Ok(()),
        }
    }

    fn file(&mut self, file: File, offset: u64, len: u64) -> Result<(), SinkError> {
        let Scratch { encoder, out, date } = &mut *self.scratch;
        let remaining = encoder.head_for(out, len, date.at(clock::wall_seconds()))?;
        if remaining > 0 {
            self.body = Body::File(file, offset, remaining);
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.scratch.encoder.is_full()
    }

    fn committed(&self) -> bool {
        self.scratch.encoder.committed()
    }
}
