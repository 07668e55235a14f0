//! An application's response on its way to the socket.
//!
//! Runs on the thread that called the application: encodes into the thread's [`Scratch`], writes at once what the socket
//! takes, and hands the event loop only what is left over, so neither a slow client holds a thread nor a finished
//! response waits for the event loop. The exception is a streamed response, whose pieces can't be kept back:
//! [`ResponseSink::flush`] waits for the client, up to the write timeout.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http1::{Persistence, RequestFacts, ResponseEncoder};

use super::{DateCache, Transport};
use crate::exchange::{ResponseSink, SinkError};

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

/// Bytes, and perhaps a part of a file, that the socket has not taken yet.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    bytes: Vec<u8>,
    written: usize,
    file: Option<FilePart>,
}

#[derive(Debug)]
struct FilePart {
    file: File,
    offset: u64,
    remaining: u64,
}

impl Outgoing {
    /// Only bytes.
    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Outgoing {
        Outgoing { bytes, written: 0, file: None }
    }

    /// Writes until all is sent (`true`) or the socket is full (`false`).
    pub(crate) fn write_to(&mut self, transport: &Transport) -> io::Result<bool> {
        while self.written < self.bytes.len() {
            match transport.write(&self.bytes[self.written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let Some(part) = &mut self.file else { return Ok(true) };
        while part.remaining > 0 {
            match transport.send_file(&part.file, &mut part.offset, part.remaining) {
                // The file was cut after its length was promised: the connection must not look complete.
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => part.remaining -= count as u64,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

/// What becomes of the connection after a response.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// All is sent; the next request may come.
    KeepAlive,
    /// All is sent; close.
    Close,
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

/// One response.
pub(crate) struct Responder<'a> {
    transport: &'a Arc<Transport>,
    scratch: &'a mut Scratch,
    facts: RequestFacts,
    /// Asked late, when the head is made: may the connection be kept?
    may_keep: &'a dyn Fn() -> bool,
    write_timeout: Duration,
    file: Option<FilePart>,
    written: usize,
    broken: bool,
}

impl<'a> Responder<'a> {
    /// Answers one request with these facts.
    pub(crate) fn new(
        transport: &'a Arc<Transport>,
        scratch: &'a mut Scratch,
        facts: RequestFacts,
        may_keep: &'a dyn Fn() -> bool,
        write_timeout: Duration,
    ) -> Responder<'a> {
        scratch.encoder.reset(facts);
        scratch.out.clear();
        Responder { transport, scratch, facts, may_keep, write_timeout, file: None, written: 0, broken: false }
    }

    /// The application failed: a 500 if nothing was committed, else a visible cut.
    pub(crate) fn fail(mut self) -> (Verdict, Sent) {
        if self.scratch.encoder.committed() {
            return (Verdict::Cut, self.sent());
        }
        self.scratch.out.clear();
        self.scratch.encoder.reset(self.facts);
        let answered = self
            .begin("500 Internal Server Error")
            .and_then(|()| self.header(b"Content-Type", b"text/plain; charset=utf-8"))
            .and_then(|()| self.whole(b"The application failed to answer this request.\n"));
        match answered {
            Ok(()) => self.finish(),
            Err(_) => (Verdict::Cut, self.sent()),
        }
    }

    /// Ends the response and writes what the socket takes.
    pub(crate) fn finish(self) -> (Verdict, Sent) {
        let Scratch { encoder, out, date } = &mut *self.scratch;
        let persistence = match encoder.finish(out, date.at(SystemTime::now())) {
            Ok(persistence) if !self.broken => persistence,
            Ok(_) => return (Verdict::Cut, self.sent()),
            Err(error) => {
                tracing::error!("the application's response is wrong: {error}");
                return self.fail();
            }
        };
        let sent = self.sent();
        let keep_alive = persistence == Persistence::KeepAlive;
        let mut outgoing =
            Outgoing { bytes: std::mem::take(&mut self.scratch.out), written: self.written, file: self.file };
        let verdict = match outgoing.write_to(self.transport) {
            Ok(true) => {
                if outgoing.bytes.capacity() <= KEPT {
                    self.scratch.out = outgoing.bytes;
                }
                if keep_alive { Verdict::KeepAlive } else { Verdict::Close }
            }
            Ok(false) => Verdict::Unsent { rest: outgoing, keep_alive },
            Err(_) => Verdict::Cut,
        };
        (verdict, sent)
    }

    fn sent(&self) -> Sent {
        Sent { status: self.scratch.encoder.status_code(), body_bytes: self.scratch.encoder.sent_body_bytes() }
    }

    /// Writes all that is buffered; waits for the client when the socket is full.
    fn drain(&mut self) -> io::Result<()> {
        while self.written < self.scratch.out.len() {
            match self.transport.write(&self.scratch.out[self.written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.transport.wait_writable(self.write_timeout)?;
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

impl ResponseSink for Responder<'_> {
    fn begin(&mut self, status: &str) -> Result<(), SinkError> {
        if !(self.may_keep)() {
            self.scratch.encoder.close_after();
        }
        Ok(self.scratch.encoder.begin(status)?)
    }

    fn header(&mut self, name: &[u8], value: &[u8]) -> Result<(), SinkError> {
        Ok(self.scratch.encoder.header(name, value)?)
    }

    fn whole(&mut self, body: &[u8]) -> Result<(), SinkError> {
        let Scratch { encoder, out, date } = &mut *self.scratch;
        Ok(encoder.whole(out, body, date.at(SystemTime::now()))?)
    }

    fn piece(&mut self, body: &[u8]) -> Result<(), SinkError> {
        let Scratch { encoder, out, date } = &mut *self.scratch;
        Ok(encoder.piece(out, body, date.at(SystemTime::now()))?)
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.drain().map_err(|error| {
            self.broken = true;
            SinkError::Client(error)
        })
    }

    fn file(&mut self, file: File, offset: u64, len: u64) -> Result<(), SinkError> {
        let Scratch { encoder, out, date } = &mut *self.scratch;
        let remaining = encoder.head_for(out, len, date.at(SystemTime::now()))?;
        if remaining > 0 {
            self.file = Some(FilePart { file, offset, remaining });
        }
        Ok(())
    }

    fn committed(&self) -> bool {
        self.scratch.encoder.committed()
    }
}
