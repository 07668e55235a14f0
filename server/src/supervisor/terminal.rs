//! The terminal that the server was started from, and what SIGHUP means without it.
//!
//! SIGHUP has two senders. Operators send it for a reload, as to most servers. The kernel and the shell send it when the
//! terminal is closed, and whoever closes the terminal of a server that runs in it wants it to end.

use std::fs::{self, File};

/// What was there at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Terminal {
    /// None, or one whose end the server is to survive (`nohup`): SIGHUP comes from an operator.
    Irrelevant,
    /// The server's life depends on it.
    Ours,
}

impl Terminal {
    /// Looks for it, before anything else can have changed.
    pub(super) fn find() -> Terminal {
        let ignored = fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores_hangups(&status));
        if is_there() && !ignored { Terminal::Ours } else { Terminal::Irrelevant }
    }

    /// True once it has been closed.
    pub(super) fn is_gone(self) -> bool {
        self == Terminal::Ours && !is_there()
    }
}

/// Opening `/dev/tty` fails in a process without a controlling terminal, and after that was hung up (tty(4)).
fn is_there() -> bool {
    File::open("/dev/tty").is_ok()
}

/// Bit n - 1 of `SigIgn` stands for signal n (proc_pid_status(5)); SIGHUP is 1.
fn ignores_hangups(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nohup_is_seen_in_the_status() {
        assert!(ignores_hangups("Name:\tx\nSigIgn:\t0000000000001001\nSigCgt:\t0\n"));
        assert!(!ignores_hangups("Name:\tx\nSigIgn:\t0000000000001000\nSigCgt:\t1\n"));
        assert!(!ignores_hangups(""));
    }
}
