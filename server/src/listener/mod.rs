//! Listening sockets: opened by the supervisor, shared by all processes.
//!
//! Owns the ways to open one (in `open`), to hand it to another process and to accept from it. Knows nothing of who
//! accepts when: that is the worker's matter.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

use mio::net::{TcpListener, UnixListener};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{self as raw, sockopt};

use crate::connection::Transport;
use crate::exchange::{Endpoint, Endpoints};
use crate::sys::socket::accept_queue;

mod open;

pub(crate) use open::{BindError, open, open_private};

/// One listening socket.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: Socket,
    local: Endpoint,
    /// The file of a unix socket, in the process that has bound it.
    file: Option<SocketFile>,
}

#[derive(Debug)]
enum Socket {
    /// TCP, IPv4 or IPv6.
    Tcp(TcpListener),
    /// A unix stream socket.
    Unix(UnixListener),
}

/// A file that is ours to remove, as long as it is the same file.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Listener {
    /// A listener that another process has opened at `address`, as [`Listener::address`] writes it.
    pub(crate) fn adopt(descriptor: OwnedFd, address: &str) -> io::Result<Listener> {
        match address.strip_prefix("unix:") {
            Some(path) => Ok(unix(descriptor, path.to_owned())),
            None => tcp(descriptor),
        }
    }

    /// The bound address, with the port that the kernel chose if 0 was asked for: `127.0.0.1:8000`, `unix:/run/app.sock`,
    /// `unix:@name` for an abstract one.
    pub(crate) fn address(&self) -> String {
        match &self.local {
            Endpoint::Tcp(address) => address.to_string(),
            Endpoint::Unix(path) => format!("unix:{path}"),
        }
    }

    /// The address as a person opens it: `http://127.0.0.1:8000`, `unix:/run/app.sock`.
    pub(crate) fn url(&self) -> String {
        match self.socket {
            Socket::Tcp(_) => format!("http://{}", self.address()),
            Socket::Unix(_) => self.address(),
        }
    }

    /// The next connection; `WouldBlock` when none waits.
    pub(crate) fn accept(&self) -> io::Result<(Transport, Arc<Endpoints>)> {
        let (transport, peer) = match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, peer) = listener.accept()?;
                (Transport::Tcp(stream), Endpoint::Tcp(peer))
            }
            Socket::Unix(listener) => {
                let (stream, peer) = listener.accept()?;
                let path = peer.as_pathname().map(|path| path.display().to_string()).unwrap_or_default();
                (Transport::Unix(stream), Endpoint::Unix(path))
            }
        };
        Ok((transport, Arc::new(Endpoints::new(peer, self.local.clone(), "http"))))
    }

    /// Connections that wait in the kernel's queue. For a unix socket the kernel says only whether there are any: 0 or 1.
    pub(crate) fn waiting(&self) -> u32 {
        match &self.socket {
            Socket::Tcp(listener) => accept_queue(listener.as_fd()),
            Socket::Unix(listener) => {
                let mut polled = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
                u32::from(poll(&mut polled, PollTimeout::ZERO) == Ok(1))
            }
        }
    }

    /// Removes a unix socket's file, if this process has bound it and nobody has put another one in its place.
    pub(crate) fn unlink(&self) {
        let Some(SocketFile { path, device, inode }) = &self.file else { return };
        let is_ours = |metadata: fs::Metadata| metadata.dev() == *device && metadata.ino() == *inode;
        if fs::symlink_metadata(path).is_ok_and(is_ours) {
            // Who can't remove it leaves it: the next server on this path does.
            let _ = fs::remove_file(path);
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            Socket::Tcp(listener) => listener.as_fd(),
            Socket::Unix(listener) => listener.as_fd(),
        }
    }
}

fn tcp(socket: OwnedFd) -> io::Result<Listener> {
    raw::setsockopt(&socket, sockopt::TcpNoDelay, &true)?;
    let listener = TcpListener::from_std(socket.into());
    let local = Endpoint::Tcp(listener.local_addr()?);
    Ok(Listener { socket: Socket::Tcp(listener), local, file: None })
}

fn unix(socket: OwnedFd, path: String) -> Listener {
    let listener = UnixListener::from_std(socket.into());
    Listener { socket: Socket::Unix(listener), local: Endpoint::Unix(path), file: None }
}
