//! One connection: a non-blocking socket and the decoder of what comes back.
//!
//! Performs single steps and says what they came to; keeps no time and counts nothing. `driver`
//! calls it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;

use mio::event::Source;
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use crate::error::ErrorKind;
use crate::request::Request;
use crate::response::{Answer, Decoder, End, Heads, ProtocolError};

/// A resolved address.
#[derive(Clone, Debug)]
pub(crate) enum Endpoint {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Endpoint {
    /// On this machine: connecting takes no round trip.
    pub(crate) fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Most bytes copied by one read.
const COPIED: usize = 64 * 1024;
/// What is left of a body is not copied from this length on.
const LARGE: u64 = 16 * 1024;
/// Bytes copied in the hope of a whole head.
const HEAD: usize = 4 * 1024;
/// Length of the buffer that reads go to. Most of it is only room for the kernel to count discarded
/// bytes in; what is never written takes no memory.
const BUFFER: usize = 4 << 20;

/// What all connections of a thread read with, one after the other.
#[derive(Debug)]
pub(crate) struct Reader {
    buffer: Vec<u8>,
    heads: Heads,
    /// Where in the buffer the bytes lie that were read together with the end of an answer.
    left: Range<usize>,
    /// The last read filled its room: more may have come.
    full: bool,
}

impl Reader {
    pub(crate) fn new() -> Self {
        Self { buffer: vec![0; BUFFER], heads: Heads::new(), left: 0..0, full: false }
    }

    /// Begins with another connection: what the former one has left is of no interest any more.
    pub(crate) fn begin(&mut self) {
        self.left = 0..0;
        self.full = false;
    }

    /// After an answer: there may be more to decode or to read without another event.
    pub(crate) fn unfinished(&self) -> bool {
        !self.left.is_empty() || self.full
    }
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

/// How far a write got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// Not a byte: the connection is not established, or its buffer is full.
    Nothing,
    /// This many bytes, more remain.
    Part(usize),
    /// This many bytes, and the request is out.
    Whole(usize),
}

/// What reading came to.
#[derive(Debug)]
pub(crate) enum Received {
    /// More is to come.
    Partly,
    /// The response is whole.
    Answer(Answer),
    /// It will never be.
    Failed(ErrorKind, String),
}

/// A socket, what is to be written to it, and the answer that is read from it.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: Socket,
    decoder: Decoder,
    /// The current request, where it is not one that all connections send; or, where several are
    /// written before the first one's answer, those that were taken up together.
    own: Request,
    /// Bytes of it written.
    written: usize,
}

impl Connection {
    /// Starts connecting and registers for everything, once and for all. `cookies`: what responses
    /// set is kept.
    ///
    /// # Errors
    /// The system's. On a unix socket `WouldBlock` means that the listener's backlog is full;
    /// unlike TCP, nobody queues then, and the attempt has to be made again.
    pub(crate) fn open(endpoint: &Endpoint, cookies: bool, registry: &Registry, token: Token) -> io::Result<Self> {
        let both = Interest::READABLE | Interest::WRITABLE;
        let socket = match endpoint {
            Endpoint::Tcp(address) => {
                let mut stream = TcpStream::connect(*address)?;
                // Without it, the tail of a long request waits for an acknowledgement.
                stream.set_nodelay(true)?;
                stream.register(registry, token, both)?;
                Socket::Tcp(stream)
            }
            Endpoint::Unix(path) => {
                let mut stream = UnixStream::connect(path)?;
                stream.register(registry, token, both)?;
                Socket::Unix(stream)
            }
        };
        Ok(Self { socket, decoder: Decoder::new(cookies), own: Request::empty(), written: 0 })
    }

    /// Expects a response; `bodiless` when it is a HEAD request's.
    pub(crate) fn expect(&mut self, bodiless: bool) {
        self.decoder.begin(bodiless);
    }

    /// Begins a new request: one that all connections send, or one to be made in [`Connection::own`].
    pub(crate) fn begin(&mut self) {
        self.written = 0;
        self.own.refill().clear();
    }

    /// The value of the `Cookie` field that responses have asked for; and where the bytes of the
    /// next request go, behind those that are there, when they are made for this connection alone.
    pub(crate) fn own(&mut self) -> (&[u8], &mut Vec<u8>) {
        (self.decoder.cookies(), self.own.refill())
    }

    /// How many bytes of [`Connection::own`] are written.
    pub(crate) fn written(&self) -> usize {
        self.written
    }

    /// A byte of the current response has come.
    pub(crate) fn answering(&self) -> bool {
        self.decoder.touched()
    }

    /// Writes what remains of `request`, or of the connection's own where there is none.
    ///
    /// # Errors
    /// The system's; before the first byte, they may be the outcome of connecting.
    pub(crate) fn write(&mut self, request: Option<&Request>) -> io::Result<Sent> {
        let request = request.unwrap_or(&self.own);
        let before = self.written;
        while self.written < request.len() {
            match request.send(&self.socket, self.written) {
                Ok(count) => self.written += count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // A socket that is still connecting says either of the two.
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected) => {
                    let count = self.written - before;
                    return Ok(if count == 0 { Sent::Nothing } else { Sent::Part(count) });
                }
                Err(e) => return Err(e),
            }
        }
        Ok(Sent::Whole(self.written - before))
    }

    /// Reads until the response is whole, the socket is empty, or nothing can come any more; adds
    /// the bytes read to `bytes`. `followed`: another response is to come after this one, and may
    /// already be there. `ending`: the peer is known to have closed its side, so read on until the
    /// end shows even after a short read.
    pub(crate) fn read(&mut self, reader: &mut Reader, followed: bool, ending: bool, bytes: &mut u64) -> Received {
        loop {
            let decoded = if reader.left.is_empty() {
                let (room, discarded) = self.room(followed);
                // Discarding is TCP's alone; elsewhere the flag means something else (recv(2), tcp(7)).
                let flags = if discarded { RecvFlags::TRUNC } else { RecvFlags::empty() };
                // Past the C library, as in `Request::send`.
                let count = match recv(&self.socket, &mut reader.buffer[..room], flags) {
                    Ok((_, count)) => count,
                    Err(Errno::AGAIN) => return Received::Partly,
                    Err(Errno::INTR) => continue,
                    Err(e) => return Received::Failed(ErrorKind::Read, io::Error::from(e).to_string()),
                };
                if count == 0 {
                    return self.ended();
                }
                *bytes += count as u64;
                reader.full = count == room;
                if discarded { self.decoder.skip(count as u64) } else { self.decode(reader, 0..count) }
            } else {
                self.decode(reader, reader.left.clone())
            };
            match decoded {
                Ok(Some(_)) if !followed && !reader.left.is_empty() => {
                    return Received::Failed(ErrorKind::Protocol, ProtocolError::Surplus.to_string());
                }
                Ok(Some(answer)) => {
                    let close = answer.close || (ending && !followed);
                    return Received::Answer(Answer { close, ..answer });
                }
                Err(e) => return Received::Failed(ErrorKind::Protocol, e.to_string()),
                // A short read has drained the socket (epoll(7), question 9), which saves the read
                // that would only say so.
                Ok(None) if !reader.full && !ending => return Received::Partly,
                Ok(None) => {}
            }
        }
    }

    /// Decodes a part of the reader's buffer.
    fn decode(&mut self, reader: &mut Reader, part: Range<usize>) -> Result<Option<Answer>, ProtocolError> {
        let mut rest = &reader.buffer[part.clone()];
        let decoded = self.decoder.push(&mut rest, &mut reader.heads);
        reader.left = part.end - rest.len()..part.end;
        decoded
    }

    /// How much to read next, and whether only to count it.
    ///
    /// The content of a large body is of no interest: the kernel throws it away uncopied. Where a
    /// large body is to be expected, little more than its head is copied.
    fn room(&self, followed: bool) -> (usize, bool) {
        let skippable = self.decoder.skippable(followed);
        if skippable >= LARGE && matches!(self.socket, Socket::Tcp(_)) {
            return (usize::try_from(skippable).map_or(BUFFER, |most| BUFFER.min(most)), true);
        }
        (if self.decoder.expects_large() { HEAD } else { COPIED }, false)
    }

    fn ended(&self) -> Received {
        match self.decoder.end() {
            End::Whole(answer) => Received::Answer(answer),
            End::NoResponse => Received::Failed(
                ErrorKind::ClosedBeforeResponse,
                "the connection was closed without a response".to_owned(),
            ),
            End::Cut => {
                Received::Failed(ErrorKind::Truncated, "the connection was closed inside a response".to_owned())
            }
        }
    }
}

/// The kind of a failure to connect: of the call itself, or of the first write after it.
pub(crate) fn connect_failure(error: &io::Error) -> ErrorKind {
    match error.kind() {
        // A unix socket that is not there is nobody listening.
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => ErrorKind::ConnectRefused,
        io::ErrorKind::TimedOut => ErrorKind::ConnectTimeout,
        // Only an established connection can be reset or broken.
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => ErrorKind::Write,
        _ => ErrorKind::ConnectFailed,
    }
}
