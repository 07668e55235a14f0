//! Descriptors that this process was started with.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

static TAKEN: AtomicBool = AtomicBool::new(false);

/// Takes these descriptors over, closed on exec from now on; those that are not open are left out.
///
/// To be called once in the process's life, by its only thread, before it opens anything that stays open.
///
/// # Errors
/// A second call, or a number that standard input and output have.
pub(crate) fn take(numbers: impl IntoIterator<Item = RawFd>) -> io::Result<BTreeMap<RawFd, OwnedFd>> {
    let mut taken = BTreeMap::new();
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Err(io::Error::other("descriptors were taken over before"));
    }
    for number in numbers {
        if number <= libc::STDERR_FILENO {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is standard input or output"));
        }
        if taken.contains_key(&number) {
            continue;
        }
        // SAFETY: changing a descriptor's flag touches no memory, and fails if it is not open.
        if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } == 0 {
            // SAFETY: the descriptor is open, as the last call has shown. Nobody else in this process owns it: it has
            // opened nothing so far that stays open, owns of its start only the three standard ones, and each other number
            // is taken at most once, for the map holds those of this call and there is no second call.
            taken.insert(number, unsafe { OwnedFd::from_raw_fd(number) });
        }
    }
    Ok(taken)
}
