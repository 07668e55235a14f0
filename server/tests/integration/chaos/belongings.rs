//! What a process has open, by kind, and how many threads it has: what must not grow.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::wait;

/// How many of each kind.
pub(super) type Belongings = BTreeMap<String, i64>;

/// What the process has. What the application keeps in `own` is not counted.
pub(super) fn of(pid: i32, own: &Path) -> Belongings {
    let mut belongings = Belongings::new();
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return belongings };
    for descriptor in descriptors.flatten() {
        // It may be closed between the two calls.
        let Ok(target) = fs::read_link(descriptor.path()) else { continue };
        if !target.starts_with(own) {
            *belongings.entry(kind(&target.to_string_lossy())).or_default() += 1;
        }
    }
    let memory = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    let shared = memory.lines().filter(|line| line.contains("/memfd:") || line.contains("/dev/shm/")).count();
    belongings.insert("shared memory".to_owned(), shared as i64);
    belongings.insert("threads".to_owned(), threads(pid));
    belongings
}

/// Threads, but for the one that a worker makes once, when a call first runs for unusually long, and keeps.
fn threads(pid: i32) -> i64 {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return 0 };
    let name = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("comm")).unwrap_or_default();
    threads.flatten().map(name).filter(|name| name.trim() != "lock trier").count() as i64
}

/// `socket:[4711]` is a socket, `/tmp/#4711 (deleted)` a deleted file.
fn kind(target: &str) -> String {
    for kind in ["socket", "pipe", "pidfd"] {
        if target.strip_prefix(kind).is_some_and(|rest| rest.starts_with(":[")) {
            return kind.to_owned();
        }
    }
    match target.strip_prefix("anon_inode:[").and_then(|rest| rest.strip_suffix(']')) {
        Some(kind) => kind.to_owned(),
        None if target.ends_with(" (deleted)") && !target.starts_with("/memfd:") => "deleted file".to_owned(),
        None => target.to_owned(),
    }
}

/// Takes `count` of this kind off: there is one per living worker.
pub(super) fn without(mut belongings: Belongings, kind: &str, count: usize) -> Belongings {
    let left = belongings.remove(kind).unwrap_or(0) - count as i64;
    if left != 0 {
        belongings.insert(kind.to_owned(), left);
    }
    belongings
}

/// Waits until the process has what it had before. Panics with the difference.
pub(super) fn await_same(what: &str, before: &Belongings, mut ask: impl FnMut() -> Belongings) {
    let deadline = Instant::now() + wait::PATIENCE;
    loop {
        let belongings = ask();
        if belongings == *before {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{what} has more, or less, than at the start: {}",
            difference(before, &belongings)
        );
        wait::moment(Instant::now() + Duration::from_millis(50));
    }
}

fn difference(before: &Belongings, after: &Belongings) -> String {
    let kinds: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let count = |belongings: &Belongings, kind: &String| belongings.get(kind).copied().unwrap_or(0);
    let differ = kinds.into_iter().filter(|kind| count(before, kind) != count(after, kind));
    let lines: Vec<String> =
        differ.map(|kind| format!("{kind}: {} instead of {}", count(after, kind), count(before, kind))).collect();
    lines.join(", ")
}

#[test]
fn descriptors_are_counted_by_kind() {
    let rows = [
        ("socket:[4711]", "socket"),
        ("pipe:[12]", "pipe"),
        ("anon_inode:[eventfd]", "eventfd"),
        // As kernels write it up to 6.8, and later.
        ("anon_inode:[pidfd]", "pidfd"),
        ("pidfd:[9]", "pidfd"),
        ("/memfd:smarthttpd-scoreboard (deleted)", "/memfd:smarthttpd-scoreboard (deleted)"),
        ("/tmp/#12 (deleted)", "deleted file"),
        ("/dev/null", "/dev/null"),
    ];
    for (target, expected) in rows {
        assert_eq!(kind(target), expected);
    }
}
