//! Moves bytes between a socket and memory. Knows no protocol; TLS will be one more variant.

use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use mio::event::Source;
use mio::net::{TcpStream, UnixStream};
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::MsgFlags;
use rustix::net::{RecvFlags, SendFlags};

use crate::sys::socket::{self, receive_into, reset_on_close, set_low_water};

/// A connected, non-blocking stream. Reading and writing take `&self`: at any time at most one thread reads (the one that
/// holds the event loop) and one writes (the one that answers the connection's only exchange).
#[derive(Debug)]
pub(crate) enum Transport {
    /// Plain TCP.
    Tcp(TcpStream),
    /// A plain unix stream socket.
    Unix(UnixStream),
}

impl Transport {
    /// Reads what is there: 0 at the end of the stream, `WouldBlock` when nothing is there.
    pub(crate) fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        // Past the C library, whose calls prepare for the thread's cancellation, which costs two locked instructions each in
        // a process with threads, and which nobody asks for here.
        let (count, _) = rustix::net::recv(self, into, RecvFlags::empty())?;
        Ok(count)
    }

    /// Reads at most `most` bytes to the end of `into`.
    pub(crate) fn read_into(&self, into: &mut Vec<u8>, most: usize) -> io::Result<usize> {
        receive_into(self.as_fd(), into, most)
    }

    /// Becomes readable only when so many bytes have arrived. False where that is not to be had.
    pub(crate) fn gather(&self, bytes: usize) -> bool {
        match self {
            Transport::Tcp(_) => set_low_water(self.as_fd(), bytes).is_ok(),
            Transport::Unix(_) => false,
        }
    }

    /// Writes several buffers in one go, as much as the socket takes.
    pub(crate) fn write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Transport::Tcp(stream) => (&mut &*stream).write_vectored(buffers),
            Transport::Unix(stream) => (&mut &*stream).write_vectored(buffers),
        }
    }

    /// Writes as much as the socket takes: `WouldBlock` when it is full.
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        // As in `read`.
        Ok(rustix::net::send(self, bytes, SendFlags::NOSIGNAL)?)
    }

    /// Writes as much as the socket takes, and says that more follows at once: it need not go out in a packet of its own.
    pub(crate) fn write_more(&self, bytes: &[u8]) -> io::Result<usize> {
        let more = MsgFlags::from_bits_retain(libc::MSG_MORE) | MsgFlags::MSG_NOSIGNAL;
        Ok(nix::sys::socket::send(self.as_fd().as_raw_fd(), bytes, more)?)
    }

    /// Sends from `file` at `offset`, which moves on, at most `len` bytes; 0 when the file ends early.
    pub(crate) fn send_file(&self, file: &File, offset: &mut u64, len: u64) -> io::Result<usize> {
        let mut position = i64::try_from(*offset).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        let count = usize::try_from(len).unwrap_or(usize::MAX);
        let sent = nix::sys::sendfile::sendfile(self.as_fd(), file.as_fd(), Some(&mut position), count)?;
        *offset = position as u64;
        Ok(sent)
    }

    /// Blocks until the socket takes bytes again; `TimedOut` after `timeout` without room.
    pub(crate) fn wait_writable(&self, timeout: Duration) -> io::Result<()> {
        let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX);
        loop {
            match poll(&mut [PollFd::new(self.as_fd(), PollFlags::POLLOUT)], timeout) {
                Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// True when nothing that was received is unread, as far as can be told: closing is no reset then.
    pub(crate) fn is_drained(&self) -> bool {
        match self.read(&mut [0; 1]) {
            Ok(count) => count == 0,
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        }
    }

    /// Ends our direction: the peer reads what was sent, then the end of the stream.
    pub(crate) fn finish(&self) {
        // A peer that is gone already needs no end of stream.
        let _ = match self {
            Transport::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Transport::Unix(stream) => stream.shutdown(Shutdown::Write),
        };
    }

    /// Makes the coming close a reset, so that a cut response can't be taken for a whole one.
    pub(crate) fn cut(&self) {
        reset_on_close(self.as_fd());
    }

    /// Cuts it at once, although others have the socket open: a reset where there is such a thing, else the end of the
    /// stream in both directions.
    pub(crate) fn abort(&self) {
        let cut = match self {
            Transport::Tcp(_) => socket::disconnect(self.as_fd()),
            Transport::Unix(stream) => stream.shutdown(Shutdown::Both),
        };
        if let Err(error) = cut {
            tracing::debug!("a connection could not be cut, its client is gone: {error}");
        }
    }

    /// Puts the socket into the event loop, edge-triggered.
    pub(crate) fn register(&self, registry: &Registry, token: Token) -> io::Result<()> {
        SourceFd(&self.as_fd().as_raw_fd()).register(registry, token, Interest::READABLE)
    }

    /// Takes the socket out of the event loop.
    pub(crate) fn unregister(&self, registry: &Registry) -> io::Result<()> {
        SourceFd(&self.as_fd().as_raw_fd()).deregister(registry)
    }

    /// Also asks for room to write, or no longer.
    pub(crate) fn want_writable(&self, registry: &Registry, token: Token, wanted: bool) -> io::Result<()> {
        let interest = if wanted { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
        SourceFd(&self.as_fd().as_raw_fd()).reregister(registry, token, interest)
    }
}

impl AsFd for Transport {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Transport::Tcp(stream) => stream.as_fd(),
            Transport::Unix(stream) => stream.as_fd(),
        }
    }
}
