//! What has to be undone when the harness ends, whoever ends it.
//!
//! One list for the whole process, because the signal thread must reach it. Its lock is held while a program is being
//! started, so that nothing can be started and not yet listed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use super::pidfd;
use crate::observe::tree;

/// How long a tree may take to end by itself after SIGTERM.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

/// How long the kernel may take to end what SIGKILL hit.
const AFTER_KILL: Duration = Duration::from_secs(5);

static RUNNING: Mutex<Running> = Mutex::new(Running { roots: Vec::new(), folders: Vec::new(), parting: None });

/// Roots of process trees that are not reaped yet, and folders to remove at the end.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) roots: Vec<i32>,
    folders: Vec<PathBuf>,
    /// What somebody who interrupts the harness is told at its end.
    pub(crate) parting: Option<String>,
}

/// The list, locked. A panic while it was held leaves it usable: it holds plain values.
pub(crate) fn lock() -> MutexGuard<'static, Running> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes a root off the list once it has been reaped.
pub(crate) fn reaped(root: i32) {
    lock().roots.retain(|other| *other != root);
}

/// Removes `folder` at the end.
pub(crate) fn remove_at_end(folder: &Path) {
    lock().folders.push(folder.to_owned());
}

/// Tells this to whoever interrupts the harness from now on; `None`: there is nothing to tell.
pub(crate) fn part_with(words: Option<String>) {
    lock().parting = words;
}

/// Returns unless a signal is ending the harness, and then never: what is observed while servers are being stopped must
/// not be stored.
pub(crate) fn go_on_unless_ending() {
    // The signal thread never gives the lock back.
    drop(lock());
}

/// Ends every tree and removes every folder; to be called with the lock held, as the last thing this process does.
pub(crate) fn end_everything(running: &mut Running, grace: Duration) {
    for root in std::mem::take(&mut running.roots) {
        end_tree(root, grace);
    }
    kill_strays(&[]);
    for folder in std::mem::take(&mut running.folders) {
        // Nobody is left to tell; what stays is a folder in the temporary directory.
        let _ = fs::remove_dir_all(folder);
    }
}

/// Ends the tree under `root`: SIGTERM to the root, `grace` for it to end its children its own way, then SIGKILL to
/// whatever is left. Reaps the root unless somebody else does. Gives the names of those that had to be killed.
pub(crate) fn end_tree(root: i32, grace: Duration) -> Vec<String> {
    let deadline = Instant::now() + grace;
    if let Ok(fd) = pidfd::open(root) {
        let _ = kill(Pid::from_raw(root), Signal::SIGTERM);
        pidfd::ended_within(&fd, grace);
    }
    let mut killed = Vec::new();
    loop {
        let left = tree::members(root);
        let Some(next) = left.first() else { break };
        let now = Instant::now();
        if now < deadline {
            // The root is gone and its children are on their way: wait for one of them.
            if let Ok(fd) = pidfd::open(next.pid) {
                pidfd::ended_within(&fd, deadline - now);
            }
            continue;
        }
        for stat in &left {
            killed.push(stat.name.clone());
            kill_now(stat.pid);
        }
        if now > deadline + AFTER_KILL {
            break;
        }
    }
    killed
}

/// Kills and reaps children of this process that it did not start: daemons that came back to it as the subreaper. Gives
/// the names of those that were still running.
pub(crate) fn end_strays() -> Vec<String> {
    // Held meanwhile: a child that is being started is not on the list yet.
    let running = lock();
    kill_strays(&running.roots)
}

fn kill_strays(known: &[i32]) -> Vec<String> {
    let mut killed = Vec::new();
    // Killing a stray may hand us its children: look again until there is none. The bound is for a process that the
    // kernel cannot end (state D).
    for _ in 0..100 {
        let strays = tree::orphans(known);
        if strays.is_empty() {
            break;
        }
        for stray in strays {
            if stray.state != 'Z' {
                killed.push(stray.name.clone());
                kill_now(stray.pid);
            }
            let _ = waitpid(Pid::from_raw(stray.pid), Some(WaitPidFlag::WNOHANG));
        }
    }
    killed
}

fn kill_now(pid: i32) {
    let fd = pidfd::open(pid);
    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    if let Ok(fd) = fd {
        pidfd::ended_within(&fd, AFTER_KILL);
    }
}
