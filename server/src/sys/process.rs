//! Processes by descriptor: a pidfd names one process for ever, a pid does not.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Ending {
    /// It called exit with this status.
    Exited(i32),
    /// This signal ended it.
    Signaled(i32),
    /// It is gone and somebody else was told how.
    Unknown,
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Ending::Exited(status) => write!(f, "exit status {status}"),
            Ending::Signaled(number) => match nix::sys::signal::Signal::try_from(*number) {
                Ok(signal) => write!(f, "signal {}", signal.as_str()),
                Err(_) => write!(f, "signal {number}"),
            },
            Ending::Unknown => f.write_str("unknown status"),
        }
    }
}

/// A descriptor for the process `pid`, readable once it has ended.
pub(crate) fn open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open takes two integers and touches no memory of ours.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Ends the process at once. The last resort.
pub(crate) fn kill(pidfd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the descriptor is open; a null siginfo asks for the same as kill(2).
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            libc::SIGKILL,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Reaps the process if it has ended and is our child: `None` while it lives, or while its parent has not reaped it.
pub(crate) fn reap(pidfd: BorrowedFd<'_>) -> Option<Ending> {
    match waitid(Id::PIDFd(pidfd.as_fd()), WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG) {
        Ok(WaitStatus::Exited(_, status)) => Some(Ending::Exited(status)),
        Ok(WaitStatus::Signaled(_, signal, _)) => Some(Ending::Signaled(signal as i32)),
        Ok(_) | Err(Errno::ECHILD) => None,
        Err(_) => Some(Ending::Unknown),
    }
}

/// Reaps children that have ended, until the next one is `known`: that one is waited for by whoever knows it.
pub(crate) fn reap_children_but(known: impl Fn(i32) -> bool) {
    let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    while let Ok(status) = waitid(Id::All, look) {
        let Some(pid) = status.pid().filter(|pid| !known(pid.as_raw())) else { return };
        if waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG).is_err() {
            return;
        }
    }
}

/// Leaves at once, whatever other threads are doing.
pub(crate) fn leave(status: i32) -> ! {
    // SAFETY: _exit ends the process; no code of ours runs after it.
    unsafe { libc::_exit(status) }
}

/// Forks a process that has one thread and no interpreter: 0 in the child, its pid in the parent.
pub(crate) fn fork() -> io::Result<i32> {
    // SAFETY: the template is single-threaded (it checks), so no lock can be held by a thread that the child lacks.
    let pid = unsafe { libc::fork() };
    if pid < 0 { Err(io::Error::last_os_error()) } else { Ok(pid) }
}
