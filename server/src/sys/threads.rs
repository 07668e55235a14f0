//! What this process's threads are doing, as the scheduler sees it.

use std::fs;

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
