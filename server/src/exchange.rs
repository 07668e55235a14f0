//! Request in, response out: the one thing that protocols and applications share.
//!
//! A protocol (`connection`) builds a [`Request`] and offers a [`ResponseSink`]; an [`Application`] (`wsgi`, `native`)
//! reads the one and fills the other. Neither knows the other's types. What an application wants done later it leaves as a
//! [`Task`] at a [`TaskDesk`]. HTTP/1 has one exchange alive per connection,
//! HTTP/2 and 3 will have many.

use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http1::RequestHead;
use serde::{Deserialize, Serialize};

/// One end of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Endpoint {
    /// A TCP address.
    Tcp(SocketAddr),
    /// A unix socket: its path (empty for an unnamed client).
    Unix(String),
}

/// What every request on one connection has in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoints {
    /// The client; behind a PROXY protocol header, the proxy's client.
    pub(crate) peer: Endpoint,
    /// The client's IP address as text, made once; empty for a unix socket. An IPv4 client of an IPv6 socket is told by its
    /// IPv4 address.
    pub(crate) peer_ip: Box<str>,
    /// Our side: the address that was bound; behind a PROXY protocol header, what the client connected to.
    pub(crate) local: Endpoint,
    /// `http` or `https`.
    pub(crate) scheme: &'static str,
}

impl Endpoints {
    /// Of a connection from `peer` to `local`.
    pub(crate) fn new(peer: Endpoint, local: Endpoint, scheme: &'static str) -> Endpoints {
        let peer_ip = match &peer {
            Endpoint::Tcp(address) => address.ip().to_canonical().to_string(),
            Endpoint::Unix(_) => String::new(),
        };
        Endpoints { peer, peer_ip: peer_ip.into_boxed_str(), local, scheme }
    }
}

/// What proxies in front have said of one request, as far as they are believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Forwarding {
    /// Nothing that counts here. Headers about it are the application's matter, like all others.
    #[default]
    Nothing,
    /// The request comes from somebody who is not believed: what it says of other clients is not for the application.
    Distrusted,
    /// The request is not from whom it seems.
    Believed(Box<Origin>),
}

/// Where a request comes from and was sent to, in place of what the connection says. `None`: what the connection says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The client.
    pub(crate) client: Client,
    /// `http` or `https`.
    pub(crate) scheme: Option<&'static str>,
    /// A valid `host[:port]`, in place of Host.
    pub(crate) host: Option<String>,
    /// The host that the client meant; IPv6 in brackets.
    pub(crate) server_name: Option<String>,
    /// The port that the client connected to.
    pub(crate) server_port: Option<u16>,
    /// What was taken off the path's start, still percent-encoded: `/` and segments.
    pub(crate) prefix: Option<String>,
}

/// Who is behind a proxy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Client {
    /// Whoever is connected: no proxy named anybody.
    #[default]
    Peer,
    /// Somebody at this address, and this port if a proxy told it.
    Address(IpAddr, Option<u16>),
    /// Somebody whose address a proxy keeps to itself.
    Hidden,
}

/// Memory of large bodies between two requests. Fresh memory has to be cleared by the kernel page by page, which costs more
/// than receiving the body.
#[derive(Debug, Default)]
pub(crate) struct Shelf(Mutex<Vec<Vec<u8>>>);

impl Shelf {
    /// Buffers kept, and from which size on: the allocator is good at smaller ones.
    const KEPT: usize = 8;
    const LARGE: usize = 128 * 1024;

    /// Empty memory for `capacity` bytes.
    pub(crate) fn take(&self, capacity: usize) -> Vec<u8> {
        if capacity >= Shelf::LARGE {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(place) = kept.iter().position(|buffer| buffer.capacity() >= capacity) {
                return kept.swap_remove(place);
            }
        }
        Vec::with_capacity(capacity)
    }

    fn put(&self, mut buffer: Vec<u8>) {
        if buffer.capacity() >= Shelf::LARGE {
            buffer.clear();
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() < Shelf::KEPT {
                kept.push(buffer);
            }
        }
    }
}

/// Bytes whose memory goes back to where it came from.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    home: Option<Arc<Shelf>>,
}

impl Buffer {
    /// `bytes` in memory from `home`.
    pub(crate) fn new(bytes: Vec<u8>, home: Arc<Shelf>) -> Buffer {
        Buffer { bytes, home: Some(home) }
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(home) = &self.home {
            home.put(std::mem::take(&mut self.bytes));
        }
    }
}

/// A request's body, complete before the application is called.
#[derive(Debug, Default)]
pub(crate) enum Body {
    /// No body, or an empty one.
    #[default]
    Empty,
    /// The whole body in memory.
    Memory(Buffer),
    /// The whole body in an unlinked temporary file, positioned at its start.
    File {
        /// Open for reading, offset 0.
        file: File,
        /// Bytes in the file.
        len: u64,
    },
}

impl Body {
    /// Bytes in the body.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Body::Empty => 0,
            Body::Memory(buffer) => buffer.as_ref().len() as u64,
            Body::File { len, .. } => *len,
        }
    }

    /// A reader over the body from its start.
    pub(crate) fn into_reader(self) -> BodyReader {
        match self {
            Body::Empty => BodyReader::Memory(io::Cursor::default()),
            Body::Memory(buffer) => BodyReader::Memory(io::Cursor::new(buffer)),
            Body::File { file, .. } => BodyReader::File(io::BufReader::with_capacity(64 * 1024, file)),
        }
    }
}

/// Reads a [`Body`] wherever it is.
#[derive(Debug)]
pub(crate) enum BodyReader {
    /// From memory.
    Memory(io::Cursor<Buffer>),
    /// From the temporary file.
    File(io::BufReader<File>),
}

impl Read for BodyReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            BodyReader::Memory(cursor) => cursor.read(into),
            BodyReader::File(file) => file.read(into),
        }
    }
}

impl io::BufRead for BodyReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self {
            BodyReader::Memory(cursor) => cursor.fill_buf(),
            BodyReader::File(file) => file.fill_buf(),
        }
    }

    fn consume(&mut self, amount: usize) {
        match self {
            BodyReader::Memory(cursor) => cursor.consume(amount),
            BodyReader::File(file) => file.consume(amount),
        }
    }
}

/// One complete request. `head` holds spans into `bytes`. Boxed and reused, so that it moves between connection, pool and
/// application as one pointer and brings its memory along.
#[derive(Debug)]
pub(crate) struct Request {
    /// The bytes that `head`'s spans point into: the head's.
    pub(crate) bytes: Vec<u8>,
    /// The parsed head.
    pub(crate) head: RequestHead,
    /// The complete body.
    pub(crate) body: Body,
    /// Who talks to whom.
    pub(crate) endpoints: Arc<Endpoints>,
    /// Who stands behind that.
    pub(crate) forwarding: Forwarding,
}

/// Why a response could not go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SinkError {
    /// The application broke the protocol (header injection, hop-by-hop header, body before the status …).
    #[error(transparent)]
    Application(#[from] http1::ResponseError),
    /// The client is gone or too slow; nothing more can be sent. Not the application's fault.
    #[error("the client went away: {0}")]
    Client(#[from] io::Error),
}

/// A part of a body that stays where the application has it until it is sent.
pub(crate) trait Payload: Send {
    /// The bytes: always the same ones.
    fn bytes(&self) -> &[u8];
}

impl Payload for Vec<u8> {
    fn bytes(&self) -> &[u8] {
        self
    }
}

/// Where an application puts its response.
///
/// Order: `begin`, any number of `header`, then either one `whole`, `parts` or `file`, or any number of `piece` and `flush`.
/// The caller of the application finishes the response after [`Application::handle`] returned. No method but `flush` ever
/// blocks.
pub(crate) trait ResponseSink {
    /// The status line's code and reason, e.g. `200 OK`, in Latin-1. Called again before anything was sent, it drops what was
    /// collected (WSGI's `exc_info`).
    fn begin(&mut self, status: &[u8]) -> Result<(), SinkError>;
    /// Adds one header.
    fn header(&mut self, name: &[u8], value: &[u8]) -> Result<(), SinkError>;
    /// The whole body at once: its length becomes the Content-Length if the application gave none.
    fn whole(&mut self, body: &[u8]) -> Result<(), SinkError>;
    /// The whole body at once, `total` bytes in parts that are kept, not copied, until the client has them.
    fn parts(&mut self, parts: Vec<Box<dyn Payload>>, total: u64) -> Result<(), SinkError>;
    /// One of several pieces. Buffered until `flush`.
    fn piece(&mut self, body: &[u8]) -> Result<(), SinkError>;
    /// Sends what is buffered. Blocks while the client is slower than the buffer's bound, so call it without the
    /// interpreter lock.
    fn flush(&mut self) -> Result<(), SinkError>;
    /// Whether `len` more bytes are all that the Content-Length still promises. They can go as a `whole` or as `parts`, also
    /// after pieces, and be followed by [`ResponseSink::dispatch`].
    fn completes(&self, len: u64) -> bool;
    /// The response is complete, although the application goes on: sends what the socket takes, or has it sent soon,
    /// together with others. Never waits. What comes after it is cut.
    fn dispatch(&mut self) -> Result<(), SinkError>;
    /// `len` bytes of `file` from `offset` as the whole body, sent by the event loop without passing through memory.
    fn file(&mut self, file: File, offset: u64, len: u64) -> Result<(), SinkError>;
    /// True once the head is made and no further byte of body would be sent: all of Content-Length was, or there is no body
    /// (HEAD, 204, 304).
    fn is_full(&self) -> bool;
    /// True once the head left the buffer: `begin` can't be called again.
    fn committed(&self) -> bool;
}

/// The application failed; it has been logged with all there is to know. A 500 is sent if nothing was committed,
/// else the connection is cut.
#[derive(Debug)]
pub(crate) struct Failed;

/// What one call cost, by the application's own measurement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallCost {
    /// When it began, in nanoseconds of the monotonic clock: given by the caller.
    pub(crate) began_ns: u64,
    /// Whether the first wait for the interpreter lock is worth a look at the clock: given by the caller.
    pub(crate) first_wait: bool,
    /// Nanoseconds spent waiting for the interpreter lock.
    pub(crate) lock_wait_ns: u64,
}

/// Work that an application leaves for after its responses. Plain data, opaque to all but the application, so that it can
/// wait while what it was made from changes, and could be done in another process.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Task {
    /// What the log calls it.
    pub(crate) name: String,
    /// What is to be called, with what.
    pub(crate) call: Vec<u8>,
}

/// Why a task is not taken. The application decides what becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// As many wait as may.
    #[error("{0} background tasks wait in this worker already, and no more may (--tasks-queue)")]
    Full(usize),
    /// The worker has no time left for it.
    #[error("this worker is leaving and takes no more background tasks")]
    Leaving,
}

/// Where an application leaves its tasks.
pub(crate) trait TaskDesk: Send + Sync {
    /// Takes a task, to be run once. If a response is being made on this thread, the task begins after it. Never waits for
    /// anything that the application does, so the interpreter lock may be held.
    fn submit(self: Arc<Self>, task: Task) -> Result<(), Refused>;
}

/// Something that answers requests: the WSGI callable, or native handlers.
pub(crate) trait Application: Send + Sync {
    /// Answers one request. Runs on a pool thread; may block. The request's `body` is taken out of it; `bytes` and `head` stay for the caller to reuse.
    fn handle(&self, request: &mut Request, sink: &mut dyn ResponseSink, cost: &mut CallCost) -> Result<(), Failed>;

    /// Runs `body` as a pool thread of this application: whatever per-thread state the application's language needs lives
    /// around it. Called once per thread.
    fn enter_thread(&self, body: &mut dyn FnMut());

    /// Says where tasks can be left. Called at most once in a process, before its first request. Applications without tasks
    /// don't listen.
    fn open_desk(&self, _desk: Arc<dyn TaskDesk>) {}

    /// Runs a task that this application has left. Runs on a thread that has entered; may block. A failure has been logged.
    fn run_task(&self, _task: &Task) -> Result<(), Failed> {
        Err(Failed)
    }

    /// Waits until a call of this thread could run, for want of whatever lock all calls share. In a thread that was entered.
    fn await_turn(&self) {}

    /// What a pool thread (its `pthread_t`) is doing now, as text for the log; `None` if that can't be told. Asked by another
    /// thread, which waits no longer than about `patience`.
    fn stack_of(&self, _thread: u64, _patience: Duration) -> Option<String> {
        None
    }
}
