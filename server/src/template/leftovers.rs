//! What an import leaves behind that a fork does not carry over well: threads, which the workers lack, and sockets and
//! event queues, which they would all share.
//!
//! Finds it by looking at the process before and after, and says which. `template` asks.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

use nix::sys::socket::{SockaddrStorage, getpeername, getsockname};

/// At most so many are named; the rest is counted.
const NAMED: usize = 8;

/// The descriptors that were there before: their numbers, and what they lead to.
#[derive(Debug)]
pub(super) struct Before(BTreeMap<i32, String>);

impl Before {
    /// The process as it is now.
    pub(super) fn look() -> Before {
        Before(descriptors())
    }

    /// What `doing` ("importing shop") has opened since that must not be shared, as a warning.
    pub(super) fn opened(&self, doing: &str) -> Option<String> {
        let new = descriptors().into_iter().filter(|(number, target)| self.0.get(number) != Some(target));
        let found: Vec<String> = new.filter_map(|(number, target)| describe(number, &target)).collect();
        if found.is_empty() {
            return None;
        }
        Some(format!(
            "{doing} opened {}; all workers would share them, and read each other's answers: open them in the \
             first request, or anew after the fork (os.register_at_fork), or use --no-preload",
            list(&found)
        ))
    }
}

/// The threads that `doing` has started, as a warning. `known` are Python's own: the system's number for each,
/// and its name.
pub(super) fn threads(doing: &str, known: &[(i32, String)]) -> Option<String> {
    let main = std::process::id() as i32;
    let tasks = fs::read_dir("/proc/self/task").ok()?;
    let mut others: Vec<i32> =
        tasks.filter_map(|task| task.ok()?.file_name().to_str()?.parse().ok()).filter(|task| *task != main).collect();
    others.sort_unstable();
    if others.is_empty() {
        return None;
    }
    let names: Vec<String> = others.iter().map(|task| name(*task, known)).collect();
    Some(format!(
        "{doing} started {} thread(s): {}; they do not exist in the forked workers, and a lock they hold stays \
         locked there: start them in the first request, or after the fork (os.register_at_fork), or use --no-preload",
        others.len(),
        list(&names)
    ))
}

fn name(task: i32, known: &[(i32, String)]) -> String {
    if let Some((_, name)) = known.iter().find(|(number, _)| *number == task) {
        return format!("{name:?}");
    }
    // Started by a library in another language; the kernel has the first 15 bytes of its name.
    let name = fs::read_to_string(format!("/proc/self/task/{task}/comm")).unwrap_or_default();
    format!("{:?} (not Python's)", name.trim_end())
}

fn list(items: &[String]) -> String {
    let mut text = items[..items.len().min(NAMED)].join(", ");
    if items.len() > NAMED {
        // Writing to a String can't fail.
        let _ = write!(text, " and {} more", items.len() - NAMED);
    }
    text
}

/// All open descriptors, with what their links say (proc_pid_fd(5)), e.g. `socket:[4711]`.
fn descriptors() -> BTreeMap<i32, String> {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else { return BTreeMap::new() };
    entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let number = entry.file_name().to_str()?.parse().ok()?;
            Some((number, fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned()))
        })
        .collect()
}

/// What it is, if it is one of those that matter.
fn describe(number: i32, target: &str) -> Option<String> {
    if target.starts_with("socket:") {
        return Some(format!("{} (descriptor {number})", socket(number)));
    }
    let kind = match target.strip_prefix("anon_inode:")? {
        "[eventpoll]" => "an event loop's epoll",
        "[eventfd]" => "an eventfd",
        "[io_uring]" => "an io_uring",
        "inotify" | "[inotify]" => "an inotify queue",
        _ => return None,
    };
    Some(format!("{kind} (descriptor {number})"))
}

fn socket(number: i32) -> String {
    let local = getsockname::<SockaddrStorage>(number).ok().map(|address| address.to_string());
    let peer = getpeername::<SockaddrStorage>(number).ok().map(|address| address.to_string());
    match (local, peer) {
        (_, Some(peer)) => format!("a socket connected to {peer}"),
        (Some(local), None) => format!("a socket at {local}"),
        (None, None) => "a socket".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::os::fd::AsRawFd;

    #[test]
    fn long_lists_are_cut() {
        let items: Vec<String> = (0..10).map(|number| number.to_string()).collect();
        assert_eq!(list(&items), "0, 1, 2, 3, 4, 5, 6, 7 and 2 more");
        assert_eq!(list(&items[..2]), "0, 1");
    }

    #[test]
    fn what_must_not_be_shared_is_described() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let (number, address) = (listener.as_raw_fd(), listener.local_addr().expect("bound"));
        let text = describe(number, "socket:[1]");
        assert_eq!(text, Some(format!("a socket at {address} (descriptor {number})")));
        assert_eq!(describe(9, "anon_inode:[eventpoll]"), Some("an event loop's epoll (descriptor 9)".to_owned()));
        assert_eq!(describe(9, "/var/log/app.log"), None);
        assert_eq!(describe(9, "anon_inode:[pidfd]"), None);
    }
}
