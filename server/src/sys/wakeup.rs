//! A wake-up: an eventfd that one process writes and another has in its event loop.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::sys::eventfd::{EfdFlags, EventFd};

/// Both ends: whoever holds the descriptor may ring and listen.
#[derive(Debug)]
pub(crate) struct Wakeup(OwnedFd);

impl Wakeup {
    /// A silent one; not blocking, closed on exec.
    pub(crate) fn new() -> nix::Result<Wakeup> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        EventFd::from_flags(flags).map(|fd| Wakeup(fd.into()))
    }

    /// Makes the descriptor readable.
    pub(crate) fn ring(&self) {
        // The only failure is a full counter: it rings already.
        let _ = nix::unistd::write(&self.0, &1u64.to_ne_bytes());
    }

    /// Makes it silent again.
    pub(crate) fn silence(&self) {
        // The only failure is an empty counter: it is silent already.
        let _ = nix::unistd::read(&self.0, &mut [0; 8]);
    }
}

impl From<OwnedFd> for Wakeup {
    fn from(descriptor: OwnedFd) -> Wakeup {
        Wakeup(descriptor)
    }
}

impl AsFd for Wakeup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
