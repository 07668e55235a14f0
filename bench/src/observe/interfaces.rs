//! Which system calls exist on Linux only.
//!
//! A pure table for the claim of portability. Three kinds: what POSIX has under some name; what only Linux has, but is how
//! its C library carries out something portable (a mutex, a thread); and what only Linux has and a program must have
//! asked for by name. Only the third kind speaks against a program.

use std::collections::BTreeSet;

/// Linux-only calls that a program asks for by name: section 2 of the manual, "STANDARDS: Linux", and not one of
/// POSIX.1-2024 (which has accept4, dup3, pipe2 and ppoll). Sorted.
const LINUX_ONLY: [&str; 48] = [
    "capget",
    "capset",
    "close_range",
    "copy_file_range",
    "epoll_create",
    "epoll_create1",
    "epoll_ctl",
    "epoll_pwait",
    "epoll_pwait2",
    "epoll_wait",
    "eventfd",
    "eventfd2",
    "fanotify_init",
    "getcpu",
    "inotify_add_watch",
    "inotify_init1",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "membarrier",
    "memfd_create",
    "openat2",
    "pidfd_getfd",
    "pidfd_open",
    "pidfd_send_signal",
    "prctl",
    "preadv2",
    "process_vm_readv",
    "pwritev2",
    "recvmmsg",
    "renameat2",
    "sched_getaffinity",
    "sched_setaffinity",
    "seccomp",
    "sendfile",
    "sendmmsg",
    "setns",
    "signalfd",
    "signalfd4",
    "splice",
    "statx",
    "sync_file_range",
    "tee",
    "timerfd_create",
    "timerfd_gettime",
    "timerfd_settime",
    "unshare",
    "vmsplice",
];

/// Those of `calls` that only Linux has and that a program asks for by name.
pub(crate) fn linux_only<'a>(calls: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'a str> {
    calls.into_iter().filter(|call| LINUX_ONLY.binary_search(call).is_ok()).collect()
}

/// The calls that must have made what a process has open, by the links of `/proc/PID/fd`: most are made at the start,
/// before anybody looks on.
pub(crate) fn behind(file: &str) -> Option<&'static str> {
    let rows = [
        ("anon_inode:[eventpoll]", "epoll_create1"),
        ("anon_inode:[eventfd]", "eventfd2"),
        ("anon_inode:[signalfd]", "signalfd4"),
        ("anon_inode:[timerfd]", "timerfd_create"),
        ("anon_inode:[pidfd]", "pidfd_open"),
        ("pidfd:", "pidfd_open"),
        ("anon_inode:inotify", "inotify_init1"),
        ("anon_inode:[io_uring]", "io_uring_setup"),
        ("/memfd:", "memfd_create"),
    ];
    rows.into_iter().find(|(link, _)| file.starts_with(link)).map(|(_, call)| call)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_apart() {
        assert!(LINUX_ONLY.is_sorted(), "it is searched by halves");
        let calls = ["read", "epoll_wait", "futex", "accept4", "signalfd4", "epoll_wait"];
        assert_eq!(linux_only(calls), BTreeSet::from(["epoll_wait", "signalfd4"]));
    }

    #[test]
    fn open_files_tell_of_calls() {
        let rows = [
            ("anon_inode:[eventpoll]", Some("epoll_create1")),
            ("/memfd:scoreboard (deleted)", Some("memfd_create")),
            // Since Linux 6.14 a pidfd is a file of a file system of its own.
            ("pidfd:[71]", Some("pidfd_open")),
            ("socket:[1234]", None),
            ("/dev/null", None),
        ];
        for (file, call) in rows {
            assert_eq!(behind(file), call, "{file}");
        }
        assert!(rows.iter().filter_map(|(_, call)| *call).all(|call| LINUX_ONLY.contains(&call)));
    }
}
