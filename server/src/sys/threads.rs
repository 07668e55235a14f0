//! What this process's threads are doing, as the scheduler sees it.

use std::fs;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// What a thread has used so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// CPU time, user and system, in nanoseconds (told in microseconds).
    pub(crate) cpu_ns: u64,
    /// How often it gave its CPU away to wait for something. Losing it to another thread is not counted.
    pub(crate) waits: u64,
}

/// Of the calling thread. One system call.
pub(crate) fn usage() -> Usage {
    // The only errors are an unknown `who` and a bad pointer.
    getrusage(UsageWho::RUSAGE_THREAD).map_or_else(
        |_| Usage::default(),
        |usage| Usage {
            cpu_ns: (usage.user_time() + usage.system_time()).num_nanoseconds().unsigned_abs(),
            waits: usage.voluntary_context_switches().unsigned_abs(),
        },
    )
}

/// The calling thread, as the C library knows it (`pthread_t`), and Python does (`threading.get_ident`).
pub(crate) fn current() -> u64 {
    // SAFETY: pthread_self has no preconditions and can't fail. The number is only compared and shown.
    unsafe { libc::pthread_self() }
}

/// True when no thread but the calling one runs or waits for a CPU: whatever the process is waiting for, it is not the
/// CPU. What can't be read counts as running. Costs some microseconds a thread.
pub(crate) fn all_others_sleep() -> bool {
    let own = nix::unistd::gettid().as_raw().to_string();
    let Ok(tasks) = fs::read_dir("/proc/self/task") else { return false };
    tasks.flatten().filter(|task| task.file_name().to_str() != Some(&own)).all(|task| {
        // A thread that has ended since the folder was read does not run.
        fs::read_to_string(task.path().join("stat")).map_or(true, |stat| sleeps(&stat))
    })
}

/// The state is the first field after the name, which is in parentheses and may hold anything (proc_pid_stat(5)).
fn sleeps(stat: &str) -> bool {
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    matches!(state, Some('S' | 'D' | 'I'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_follows_the_last_parenthesis() {
        assert!(sleeps("12 (pool) S 1 12"));
        assert!(sleeps("12 (a) R (b) D 1 12"));
        assert!(!sleeps("12 (pool) R 1 12"));
        assert!(!sleeps(""));
    }
}
