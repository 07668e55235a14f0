//! Names for the bits of a signal mask.

/// Linux's standard signals by number (signal(7), x86 and ARM), from 1.
const NAMES: [&str; 31] = [
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO",
    "SIGPWR",
    "SIGSYS",
];

/// The signals that the C library keeps for itself: it installs a handler for the second one in every program that
/// starts a thread (nptl(7)).
pub(crate) const LIBRARY: [&str; 2] = ["SIGCANCEL", "SIGSETXID"];

/// The signals of a mask by name, in the order of their numbers; real-time signals as `SIG34`, `SIG35`, ….
pub(crate) fn names(mask: u64) -> Vec<String> {
    (0..64_usize)
        .filter(|bit| mask >> bit & 1 == 1)
        .map(|bit| {
            NAMES
                .get(bit)
                .or_else(|| LIBRARY.get(bit.checked_sub(NAMES.len())?))
                .map_or_else(|| format!("SIG{}", bit + 1), |name| (*name).to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bit_zero_is_signal_one() {
        let rows: [(u64, &[&str]); 5] = [
            (0, &[]),
            (1, &["SIGHUP"]),
            // What the Rust runtime installs: its stack-overflow guards.
            (0x440, &["SIGBUS", "SIGSEGV"]),
            (1 << 30, &["SIGSYS"]),
            // 32 and 33 are the C library's, programs start at 34.
            (0b110 << 31, &["SIGSETXID", "SIG34"]),
        ];
        for (mask, expected) in rows {
            assert_eq!(names(mask), expected, "{mask:x}");
        }
    }
}
