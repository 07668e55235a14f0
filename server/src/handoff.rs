//! Connections that change workers: a queue of open sockets that all workers share.
//!
//! A kept-alive connection belongs to the worker that accepted it, also when that worker is busy and another idles, or
//! when it is to leave. Between two requests it can move: whoever has it puts the descriptor into a socket pair that every
//! worker has in its event loop beside the listeners, and whoever has room takes it out. The client notices nothing.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use mio::net::{TcpStream, UnixStream};
use serde::{Deserialize, Serialize};

use crate::connection::Transport;
use crate::exchange::{Endpoint, Endpoints};
use crate::sys::message;

/// A unix socket's path has at most 108 bytes, each of them at most six in JSON: twice that and some names.
const LONGEST: usize = 2048;

/// Both ends of the queue. Every process holds both, so that what is in it outlives any worker.
#[derive(Debug)]
pub(crate) struct Handoff {
    give: OwnedFd,
    take: OwnedFd,
}

/// What goes with a descriptor: what the kernel can't tell the taker. The addresses need not be those of the socket, nor
/// the scheme its own, if a proxy has said others by the PROXY protocol.
#[derive(Serialize, Deserialize)]
struct Parcel {
    socket: Kind,
    peer: Endpoint,
    local: Endpoint,
    secure: bool,
}

#[derive(Serialize, Deserialize)]
enum Kind {
    Tcp,
    Unix,
}

impl Handoff {
    /// An empty queue.
    pub(crate) fn new() -> io::Result<Handoff> {
        let (give, take) = message::pair()?;
        message::set_nonblocking(take.as_fd())?;
        Ok(Handoff { give, take })
    }

    /// The queue that another process made; the ends in [`Handoff::ends`]' order.
    pub(crate) fn adopt(give: OwnedFd, take: OwnedFd) -> Handoff {
        Handoff { give, take }
    }

    /// Both ends, to be given to another process.
    pub(crate) fn ends(&self) -> [BorrowedFd<'_>; 2] {
        [self.give.as_fd(), self.take.as_fd()]
    }

    /// Puts a connection in. It must have left its worker's event loop. An error (the queue is full, say) leaves it with
    /// its worker.
    pub(crate) fn give(&self, transport: &Transport, endpoints: &Endpoints) -> io::Result<()> {
        let socket = match transport {
            Transport::Tcp(_) => Kind::Tcp,
            Transport::Unix(_) => Kind::Unix,
        };
        let (peer, local) = (endpoints.peer.clone(), endpoints.local.clone());
        let parcel = Parcel { socket, peer, local, secure: endpoints.scheme == "https" };
        message::send(self.give.as_fd(), &serde_json::to_vec(&parcel)?, &[transport.as_fd()])
    }

    /// Takes a connection out; `WouldBlock` when there is none.
    pub(crate) fn take(&self) -> io::Result<(Transport, Arc<Endpoints>)> {
        let mut buffer = [0; LONGEST];
        let (length, descriptors) = message::receive(self.take.as_fd(), &mut buffer)?;
        let [descriptor] =
            <[OwnedFd; 1]>::try_from(descriptors).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        let Parcel { socket, peer, local, secure } = serde_json::from_slice(&buffer[..length])?;
        let transport = match socket {
            Kind::Tcp => Transport::Tcp(TcpStream::from_std(descriptor.into())),
            Kind::Unix => Transport::Unix(UnixStream::from_std(descriptor.into())),
        };
        let scheme = if secure { "https" } else { "http" };
        Ok((transport, Arc::new(Endpoints::new(peer, local, scheme))))
    }

    /// Readable while a connection waits.
    pub(crate) fn readiness(&self) -> BorrowedFd<'_> {
        self.take.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_connection_moves_with_its_addresses() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
        let client = std::net::TcpStream::connect(listener.local_addr().expect("bound")).expect("connect");
        let (accepted, peer) = listener.accept().expect("accept");
        accepted.set_nonblocking(true).expect("flag");
        let local = Endpoint::Tcp(listener.local_addr().expect("bound"));
        let endpoints = Endpoints::new(Endpoint::Tcp(peer), local, "http");
        let queue = Handoff::new().expect("queue");
        assert_eq!(queue.take().expect_err("empty").kind(), io::ErrorKind::WouldBlock);
        queue.give(&Transport::Tcp(TcpStream::from_std(accepted)), &endpoints).expect("room");
        // The giver's descriptor is closed by now; the connection lives in the queue.
        let (transport, moved) = queue.take().expect("one waits");
        assert_eq!(*moved, endpoints);
        assert_eq!(transport.write(b"still here").expect("open"), 10);
        let mut text = [0; 10];
        (&client).read_exact(&mut text).expect("arrives");
        assert_eq!(&text, b"still here");

        // The longest addresses that a proxy can have said.
        let path = Endpoint::Unix("\u{1}".repeat(108));
        let endpoints = Endpoints::new(path.clone(), path, "http");
        queue.give(&transport, &endpoints).expect("room");
        assert_eq!(*queue.take().expect("one waits").1, endpoints);
    }
}
