//! A process's end as a descriptor that turns readable (pidfd_open(2)).

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// A descriptor of a living process or of a zombie.
///
/// # Errors
/// ESRCH when there is no such process.
pub(crate) fn open(pid: i32) -> io::Result<OwnedFd> {
    let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

/// Waits until the process has ended, at most `limit`. True when it has; a failed poll counts as "not yet".
pub(crate) fn ended_within(pidfd: &OwnedFd, limit: Duration) -> bool {
    let timeout =
        Timespec { tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX), tv_nsec: limit.subsec_nanos().into() };
    let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
    matches!(poll(&mut fds, Some(&timeout)), Ok(n) if n > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn the_end_of_a_process_is_seen() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let pidfd = open(child.id().try_into().unwrap()).unwrap();
        assert!(!ended_within(&pidfd, Duration::ZERO));
        // cat ends with its input.
        drop(child.stdin.take());
        assert!(ended_within(&pidfd, Duration::from_secs(10)));
        child.wait().unwrap();
        assert!(open(0).is_err());
    }
}
