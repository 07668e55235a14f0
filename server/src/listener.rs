//! Listening sockets: bound by the supervisor, shared by all processes.
//!
//! Owns the ways to bind one (TCP, unix), to hand it to another process and to accept from it. Knows nothing of who
//! accepts when: that is the worker's matter.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::Arc;

use mio::net::{TcpListener, UnixListener};
use nix::sys::socket::{
    self as raw, AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, SockaddrIn6, SockaddrLike, UnixAddr, sockopt,
};

use crate::config::Bind;
use crate::connection::Transport;
use crate::exchange::{Endpoint, Endpoints};
use crate::sys::socket::accept_queue;

/// One listening socket.
#[derive(Debug)]
pub(crate) enum Listener {
    /// TCP, IPv4 or IPv6.
    Tcp(TcpListener, Endpoint),
    /// A unix stream socket.
    Unix(UnixListener, Endpoint),
}

/// Why an address can't be served.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}{}", self.remedy())]
pub(crate) struct BindError {
    address: String,
    source: io::Error,
}

impl BindError {
    fn remedy(&self) -> &'static str {
        match self.source.kind() {
            io::ErrorKind::AddrInUse => "; stop the process that has it, or choose another --bind",
            io::ErrorKind::PermissionDenied => {
                "; ports below 1024 and foreign folders need privileges: choose another --bind"
            }
            io::ErrorKind::AddrNotAvailable => "; the address is not one of this machine's: choose another --bind",
            io::ErrorKind::NotFound => "; the folder of the socket does not exist: create it, or choose another --bind",
            _ => "; choose another --bind",
        }
    }
}

impl Listener {
    /// Binds and listens, not blocking, with `TCP_NODELAY`, which accepted connections inherit.
    pub(crate) fn bind(bind: &Bind, backlog: u32) -> Result<Listener, BindError> {
        let result = match bind {
            Bind::Tcp(address) => bind_tcp(*address, backlog),
            Bind::Unix(path) => bind_unix(path, backlog),
        };
        result.map_err(|source| BindError { address: bind.to_string(), source })
    }

    /// A listener that another process bound at `address`, as [`Listener::address`] writes it.
    pub(crate) fn adopt(descriptor: OwnedFd, address: &str) -> io::Result<Listener> {
        Ok(match address.strip_prefix("unix:") {
            Some(path) => {
                let local = Endpoint::Unix(path.to_owned());
                Listener::Unix(UnixListener::from_std(descriptor.into()), local)
            }
            None => tcp(descriptor)?,
        })
    }

    /// The bound address, with the port that the kernel chose if 0 was asked for: `127.0.0.1:8000`, `unix:/run/app.sock`.
    pub(crate) fn address(&self) -> String {
        match self {
            Listener::Tcp(_, Endpoint::Tcp(address)) => address.to_string(),
            Listener::Tcp(_, Endpoint::Unix(path)) | Listener::Unix(_, Endpoint::Unix(path)) => format!("unix:{path}"),
            Listener::Unix(_, Endpoint::Tcp(address)) => address.to_string(),
        }
    }

    /// The address as a person opens it: `http://127.0.0.1:8000`, `unix:/run/app.sock`.
    pub(crate) fn url(&self) -> String {
        match self {
            Listener::Tcp(..) => format!("http://{}", self.address()),
            Listener::Unix(..) => self.address(),
        }
    }

    /// The next connection; `WouldBlock` when none waits.
    pub(crate) fn accept(&self) -> io::Result<(Transport, Arc<Endpoints>)> {
        match self {
            Listener::Tcp(listener, local) => {
                let (stream, peer) = listener.accept()?;
                Ok((Transport::Tcp(stream), endpoints(Endpoint::Tcp(peer), local)))
            }
            Listener::Unix(listener, local) => {
                let (stream, peer) = listener.accept()?;
                let path = peer.as_pathname().map(|path| path.display().to_string()).unwrap_or_default();
                Ok((Transport::Unix(stream), endpoints(Endpoint::Unix(path), local)))
            }
        }
    }

    /// Connections that wait in the kernel's queue; 0 where the kernel can't tell.
    pub(crate) fn waiting(&self) -> u32 {
        match self {
            Listener::Tcp(listener, _) => accept_queue(listener.as_fd()),
            Listener::Unix(..) => 0,
        }
    }

    /// Removes a unix socket's file. Only the process that bound it calls this.
    pub(crate) fn unlink(&self) {
        if let Listener::Unix(_, Endpoint::Unix(path)) = self {
            // The file may be gone already, or belong to a successor that replaced it; nothing is lost either way.
            let _ = fs::remove_file(path);
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Listener::Tcp(listener, _) => listener.as_fd(),
            Listener::Unix(listener, _) => listener.as_fd(),
        }
    }
}

fn endpoints(peer: Endpoint, local: &Endpoint) -> Arc<Endpoints> {
    Arc::new(Endpoints::new(peer, local.clone(), "http"))
}

fn bind_tcp(address: std::net::SocketAddr, backlog: u32) -> io::Result<Listener> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = raw::socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
    raw::setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    raw::setsockopt(&socket, sockopt::TcpNoDelay, &true)?;
    match address {
        std::net::SocketAddr::V4(v4) => listen(&socket, &SockaddrIn::from(v4), backlog)?,
        std::net::SocketAddr::V6(v6) => listen(&socket, &SockaddrIn6::from(v6), backlog)?,
    }
    tcp(socket)
}

fn tcp(socket: OwnedFd) -> io::Result<Listener> {
    let listener = TcpListener::from_std(socket.into());
    let local = Endpoint::Tcp(listener.local_addr()?);
    Ok(Listener::Tcp(listener, local))
}

fn bind_unix(path: &Path, backlog: u32) -> io::Result<Listener> {
    remove_stale(path)?;
    let socket =
        raw::socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
    listen(&socket, &UnixAddr::new(path)?, backlog)?;
    Ok(Listener::Unix(UnixListener::from_std(socket.into()), Endpoint::Unix(path.display().to_string())))
}

fn listen(socket: &OwnedFd, address: &dyn SockaddrLike, backlog: u32) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    raw::bind(socket.as_raw_fd(), address)?;
    // The kernel caps it at net.core.somaxconn.
    let backlog = Backlog::new(i32::try_from(backlog).unwrap_or(i32::MAX)).unwrap_or(Backlog::MAXCONN);
    Ok(raw::listen(socket, backlog)?)
}

/// Removes the file of a socket that nobody serves any more; a living one is left for `bind` to refuse.
fn remove_stale(path: &Path) -> io::Result<()> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket());
    if is_socket && std::os::unix::net::UnixStream::connect(path).is_err() {
        fs::remove_file(path)?;
    }
    Ok(())
}
