//! Opening listeners: bound to an address, or taken over from whoever started the server.
//!
//! Only the supervisor does this, and only once; everybody else gets what came of it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::socket::{
    self as raw, AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, SockaddrIn6, SockaddrLike, SockaddrStorage,
    UnixAddr, sockopt,
};

use super::{Listener, SocketFile, tcp, unix};
use crate::config::{Bind, Passed};
use crate::sys::{inherited, message};

/// Why an address can't be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BindError {
    /// The kernel refuses.
    #[error("cannot listen on {address}: {source}{} --{option}", remedy(source))]
    Address {
        /// As `--bind` writes it.
        address: String,
        /// Whose value it is.
        option: &'static str,
        /// What it said.
        source: io::Error,
    },
    /// A descriptor is no socket to listen on.
    #[error("cannot listen on {address}: {what}")]
    Unfit {
        /// As `--bind` writes it.
        address: String,
        /// What is wrong with it and what would be right.
        what: &'static str,
    },
}

fn remedy(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::AddrInUse => "; stop the process that has it, or choose another",
        io::ErrorKind::AlreadyExists => "; remove it, or choose another",
        io::ErrorKind::PermissionDenied => "; ports below 1024 and foreign folders need privileges: choose another",
        io::ErrorKind::AddrNotAvailable => "; the address is not one of this machine's: choose another",
        io::ErrorKind::NotFound => "; the folder of the socket does not exist: create it, or choose another",
        _ => "; choose another",
    }
}

/// Opens all of `binds`, in this order, not blocking, with `TCP_NODELAY`, which accepted connections inherit. `mode` is for
/// the files of unix sockets; `passed` are the sockets that systemd has opened, of which those that nobody asked for are
/// closed.
///
/// To be called before anything else is opened.
pub(crate) fn open(
    binds: &[Bind],
    backlog: u32,
    mode: Option<u32>,
    passed: &[Passed],
) -> Result<Vec<Listener>, BindError> {
    let named = binds.iter().filter_map(|bind| match bind {
        Bind::Descriptor(number) => Some(*number),
        Bind::Tcp(_) | Bind::Unix(_) | Bind::Abstract(_) | Bind::Systemd(_) => None,
    });
    let numbers = named.chain(passed.iter().map(|passed| passed.number));
    let mut taken = inherited::take(numbers).map_err(|source| BindError::Address {
        address: "an inherited descriptor".to_owned(),
        option: "bind",
        source,
    })?;
    let mut listeners = Vec::new();
    for bind in binds {
        let address = bind.to_string();
        let failed = |source| BindError::Address { address: address.clone(), option: "bind", source };
        match bind {
            Bind::Tcp(tcp) => listeners.push(bind_tcp(*tcp, shares_port(*tcp, binds), backlog).map_err(failed)?),
            Bind::Unix(path) => listeners.push(bind_unix(path, backlog, mode).map_err(failed)?),
            Bind::Abstract(name) => listeners.push(bind_abstract(name, backlog).map_err(failed)?),
            Bind::Descriptor(number) => {
                let what = "no such descriptor is open, or it is given twice; whoever starts the server has to open it";
                let descriptor = taken.remove(number).ok_or(BindError::Unfit { address: address.clone(), what })?;
                listeners.push(adopt(descriptor, &address)?);
            }
            Bind::Systemd(name) => {
                let before = listeners.len();
                for socket in passed.iter().filter(|socket| name.as_ref().is_none_or(|name| *name == socket.name)) {
                    if let Some(descriptor) = taken.remove(&socket.number) {
                        listeners.push(adopt(descriptor, &format!("{address} (descriptor {})", socket.number))?);
                    }
                }
                if listeners.len() == before {
                    let what = "systemd has passed no such socket to this process; start it from a socket unit";
                    return Err(BindError::Unfit { address, what });
                }
            }
        }
    }
    warn_of_left(&taken, passed);
    Ok(listeners)
}

/// Opens one address more, that of `--option`, with a file for this user only if it is a unix socket.
pub(crate) fn open_private(bind: &Bind, option: &'static str, backlog: u32) -> Result<Listener, BindError> {
    let opened = match bind {
        Bind::Tcp(address) => bind_tcp(*address, false, backlog),
        Bind::Unix(path) => bind_unix(path, backlog, Some(0o600)),
        Bind::Abstract(name) => bind_abstract(name, backlog),
        Bind::Descriptor(_) | Bind::Systemd(_) => Err(io::Error::other("the address is somebody else's socket")),
    };
    opened.map_err(|source| BindError::Address { address: bind.to_string(), option, source })
}

/// A client of a socket that nobody accepts from waits for ever.
fn warn_of_left(left: &BTreeMap<RawFd, OwnedFd>, passed: &[Passed]) {
    for Passed { number, name } in passed.iter().filter(|socket| left.contains_key(&socket.number)) {
        tracing::warn!(
            "systemd has passed the socket {name:?} (descriptor {number}), but no --bind names it: it is not served"
        );
    }
}

/// Whether another address of `binds` takes this port for IPv4.
fn shares_port(address: SocketAddr, binds: &[Bind]) -> bool {
    address.port() != 0
        && binds.iter().any(|bind| matches!(bind, Bind::Tcp(SocketAddr::V4(v4)) if v4.port() == address.port()))
}

/// `[::]` takes IPv4 clients as well, whatever the system's default is, unless `only_v6`.
fn bind_tcp(address: SocketAddr, only_v6: bool, backlog: u32) -> io::Result<Listener> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = stream_socket(family)?;
    raw::setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    match address {
        SocketAddr::V4(v4) => raw::bind(socket.as_raw_fd(), &SockaddrIn::from(v4))?,
        SocketAddr::V6(v6) => {
            raw::setsockopt(&socket, sockopt::Ipv6V6Only, &only_v6)?;
            raw::bind(socket.as_raw_fd(), &SockaddrIn6::from(v6))?;
        }
    }
    listen(&socket, backlog)?;
    tcp(socket)
}

fn bind_unix(path: &Path, backlog: u32, mode: Option<u32>) -> io::Result<Listener> {
    remove_stale(path)?;
    let socket = stream_socket(AddressFamily::Unix)?;
    raw::bind(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    // Nobody can connect before `listen`, so nobody can before the mode is right.
    if let Some(mode) = mode {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    }
    listen(&socket, backlog)?;
    let mut listener = unix(socket, path.display().to_string());
    let metadata = fs::symlink_metadata(path)?;
    listener.file = Some(SocketFile { path: path.to_owned(), device: metadata.dev(), inode: metadata.ino() });
    Ok(listener)
}

fn bind_abstract(name: &str, backlog: u32) -> io::Result<Listener> {
    let socket = stream_socket(AddressFamily::Unix)?;
    raw::bind(socket.as_raw_fd(), &UnixAddr::new_abstract(name.as_bytes())?)?;
    listen(&socket, backlog)?;
    Ok(unix(socket, format!("@{name}")))
}

fn stream_socket(family: AddressFamily) -> io::Result<OwnedFd> {
    Ok(raw::socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?)
}

fn listen(socket: &OwnedFd, backlog: u32) -> io::Result<()> {
    // The kernel caps it at net.core.somaxconn.
    let backlog = Backlog::new(i32::try_from(backlog).unwrap_or(i32::MAX)).unwrap_or(Backlog::MAXCONN);
    Ok(raw::listen(socket, backlog)?)
}

/// Removes the file of a socket that nobody serves any more; a living one is left for `bind` to refuse.
fn remove_stale(path: &Path) -> io::Result<()> {
    let Ok(metadata) = fs::symlink_metadata(path) else { return Ok(()) };
    if !metadata.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is no socket"));
    }
    // Not blocking: a living one may be too busy to be connected to. Only a refusal says that nobody listens.
    let knock = stream_socket(AddressFamily::Unix)?;
    if raw::connect(knock.as_raw_fd(), &UnixAddr::new(path)?) == Err(Errno::ECONNREFUSED) {
        fs::remove_file(path)?;
    }
    Ok(())
}

/// Makes a listener of a socket that somebody else has opened. Its backlog and, for a file, its mode are theirs.
fn adopt(descriptor: OwnedFd, address: &str) -> Result<Listener, BindError> {
    let unfit = |what| BindError::Unfit { address: address.to_owned(), what };
    match raw::getsockopt(&descriptor, sockopt::SockType) {
        Ok(SockType::Stream) => {}
        Ok(_) => return Err(unfit("it is a socket for datagrams; say ListenStream= in the socket unit")),
        Err(_) => return Err(unfit("it is no socket; pass one that listens")),
    }
    if raw::getsockopt(&descriptor, sockopt::AcceptConn) != Ok(true) {
        return Err(unfit("the socket does not listen; say Accept=no in the socket unit, or listen before passing it"));
    }
    let failed = |source: io::Error| BindError::Address { address: address.to_owned(), option: "bind", source };
    message::set_nonblocking(descriptor.as_fd()).map_err(failed)?;
    let local = raw::getsockname::<SockaddrStorage>(descriptor.as_raw_fd()).map_err(|error| failed(error.into()))?;
    if let Some(local) = local.as_unix_addr() {
        let path = local.path().map(|path| path.display().to_string());
        let name = local.as_abstract().map(|name| format!("@{}", String::from_utf8_lossy(name)));
        return Ok(unix(descriptor, path.or(name).unwrap_or_default()));
    }
    match local.family() {
        Some(AddressFamily::Inet | AddressFamily::Inet6) => tcp(descriptor).map_err(failed),
        _ => Err(unfit("it is neither TCP nor a unix socket; pass one of these")),
    }
}
