//! Listeners in an epoll set, exclusively.
//!
//! mio has no flag for `EPOLLEXCLUSIVE`, and through a nested epoll the exclusivity is lost (every sleeping worker would
//! wake for every connection), so a listener goes straight to the epoll descriptor below mio's `Poll`. mio carries its
//! token in the event's `data`, which is what [`add_exclusive`] fills in.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use mio::{Poll, Token};

/// Adds `fd` for readability so that one connection wakes one of the processes that wait for it. Level-triggered.
pub(crate) fn add_exclusive(poll: &Poll, fd: BorrowedFd<'_>, token: Token) -> io::Result<()> {
    let mut event = libc::epoll_event { events: (libc::EPOLLIN | libc::EPOLLEXCLUSIVE) as u32, u64: token.0 as u64 };
    // SAFETY: both descriptors are open for the duration of the call, and `event` is a live, initialised structure.
    let result = unsafe { libc::epoll_ctl(poll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd.as_raw_fd(), &raw mut event) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Takes `fd` out again. An exclusive entry can't be modified, only removed.
pub(crate) fn remove(poll: &Poll, fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: both descriptors are open for the duration of the call; since Linux 2.6.9 DEL ignores the event pointer.
    let result =
        unsafe { libc::epoll_ctl(poll.as_raw_fd(), libc::EPOLL_CTL_DEL, fd.as_raw_fd(), std::ptr::null_mut()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
