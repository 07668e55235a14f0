//! The processes that belong to one server: which they are, and what they have used.
//!
//! A server is started as the leader of its own session. Its tree is everything in that session plus every descendant
//! (a daemon may leave the session, but then it stays a descendant, or becomes a child of the harness, which is the
//! subreaper and finds it with [`orphans`]).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::proc::{self, Masks, Stat};

/// A task (thread) for good: its id may be used again, its start time not.
type TaskKey = (i32, u64);

/// Every living process of the tree under `root`, zombies left out, sorted by pid.
pub(crate) fn members(root: i32) -> Vec<Stat> {
    let all = every_process();
    let inside = descend(&all, root);
    all.into_iter().filter(|stat| inside.contains(&stat.pid) && stat.state != 'Z').collect()
}

/// Children of this very process that are not in `known`: strays that were re-parented to us as the subreaper.
pub(crate) fn orphans(known: &[i32]) -> Vec<Stat> {
    let me = i32::try_from(std::process::id()).unwrap_or(0);
    every_process().into_iter().filter(|stat| stat.parent == me && !known.contains(&stat.pid)).collect()
}

/// The pids in `all` that are `root`, in its session, or descend from one that is.
fn descend(all: &[Stat], root: i32) -> BTreeSet<i32> {
    let mut inside: BTreeSet<i32> =
        all.iter().filter(|stat| stat.pid == root || stat.session == root).map(|stat| stat.pid).collect();
    loop {
        let before = inside.len();
        for stat in all {
            if inside.contains(&stat.parent) {
                inside.insert(stat.pid);
            }
        }
        if inside.len() == before {
            return inside;
        }
    }
}

fn every_process() -> Vec<Stat> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let mut all: Vec<Stat> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter_map(|pid| proc::stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?))
        .collect();
    all.sort_by_key(|stat| stat.pid);
    all
}

/// CPU time of the tree so far in clock ticks: of every living process itself and of the children it has reaped.
pub(crate) fn cpu_ticks(members: &[Stat]) -> u64 {
    members.iter().map(|stat| stat.own_ticks + stat.reaped_ticks).sum()
}

/// Threads of all processes together.
pub(crate) fn threads(members: &[Stat]) -> u32 {
    members.iter().map(|stat| stat.threads).sum()
}

/// Threads of the process that has most of them.
pub(crate) fn most_threads(members: &[Stat]) -> u32 {
    members.iter().map(|stat| stat.threads).max().unwrap_or(0)
}

/// How many have a command line that begins so. One that is gone meanwhile does not count.
pub(crate) fn count_called(members: &[Stat], beginning: &str) -> u32 {
    let is_called = |stat: &&Stat| {
        fs::read(format!("/proc/{}/cmdline", stat.pid)).is_ok_and(|line| line.starts_with(beginning.as_bytes()))
    };
    u32::try_from(members.iter().filter(is_called).count()).unwrap_or(u32::MAX)
}

/// The ids of all tasks (threads) of all processes.
pub(crate) fn tasks(members: &[Stat]) -> BTreeSet<i32> {
    let folders = members.iter().filter_map(|stat| fs::read_dir(format!("/proc/{}/task", stat.pid)).ok());
    folders.flatten().flatten().filter_map(|task| task.file_name().to_str()?.parse().ok()).collect()
}

/// What a process has open, as the links of `/proc/PID/fd` name it; nothing when it is gone.
pub(crate) fn open_files(pid: i32) -> Vec<String> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return Vec::new();
    };
    entries.flatten().filter_map(|entry| Some(fs::read_link(entry.path()).ok()?.display().to_string())).collect()
}

/// The proportional set size of the tree in KiB, or why it could not be read.
pub(crate) fn pss_kib(members: &[Stat]) -> Result<u64, String> {
    let mut sum = 0;
    for stat in members {
        let path = format!("/proc/{}/smaps_rollup", stat.pid);
        match fs::read_to_string(&path) {
            Ok(text) => sum += proc::pss_kib(&text).unwrap_or(0),
            // Gone between the walk and the read: it holds no memory any more.
            Err(error) if is_gone(&error) => {}
            Err(error) => {
                return Err(format!("smaps_rollup of {} not readable: {error}", stat.name));
            }
        }
    }
    Ok(sum)
}

/// The signal masks of each process: (pid, name, masks).
pub(crate) fn masks(members: &[Stat]) -> Vec<(i32, String, Masks)> {
    members
        .iter()
        .filter_map(|stat| {
            let status = fs::read_to_string(format!("/proc/{}/status", stat.pid)).ok()?;
            Some((stat.pid, stat.name.clone(), proc::masks(&status)?))
        })
        .collect()
}

fn is_gone(error: &std::io::Error) -> bool {
    // ESRCH (3): the process ended while its file was open.
    error.kind() == std::io::ErrorKind::NotFound || error.raw_os_error() == Some(3)
}

/// How often each task has gone to sleep, and its nanoseconds on a CPU.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    tasks: BTreeMap<TaskKey, (u64, Option<u64>)>,
}

/// What happened between two looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spent {
    pub(crate) wakeups: u64,
    /// None where the kernel does not keep it.
    pub(crate) cpu_seconds: Option<f64>,
}

impl Activity {
    /// Of every task of every member so far.
    pub(crate) fn of(members: &[Stat]) -> Self {
        let mut tasks = BTreeMap::new();
        for stat in members {
            let Ok(folder) = fs::read_dir(format!("/proc/{}/task", stat.pid)) else { continue };
            for task in folder.flatten() {
                let read = |file: &str| fs::read_to_string(task.path().join(file)).ok();
                let id = task.file_name().to_str().and_then(|name| name.parse::<i32>().ok());
                let sleeps = read("status").and_then(|text| proc::voluntary_switches(&text));
                let (Some(id), Some(sleeps)) = (id, sleeps) else { continue };
                let ran = read("schedstat").and_then(|text| proc::run_ns(&text));
                tasks.insert((id, stat.started), (sleeps, ran));
            }
        }
        Self { tasks }
    }

    /// What was added since `before`. A task that has come since counts whole, one that is gone not at all.
    pub(crate) fn since(&self, before: &Self) -> Spent {
        let mut spent = Spent { wakeups: 0, cpu_seconds: Some(0.0) };
        for (key, (sleeps, ran)) in &self.tasks {
            let (slept, had_run) = before.tasks.get(key).copied().unwrap_or((0, Some(0)));
            spent.wakeups += sleeps.saturating_sub(slept);
            let more = ran.zip(had_run).map(|(ran, had_run)| ran.saturating_sub(had_run) as f64 / 1e9);
            spent.cpu_seconds = spent.cpu_seconds.zip(more).map(|(sum, more)| sum + more);
        }
        spent
    }
}

/// Context switches of a tree, with tasks that end between two readings kept at their last reading.
///
/// A task that ends loses what it did after its last reading: with a reading a second that is less than a second of
/// one task. Tasks born after the first reading count from zero.
#[derive(Debug, Default)]
pub(crate) struct SwitchLedger {
    /// Value at the first reading, and the latest one.
    tasks: BTreeMap<TaskKey, (u64, u64)>,
    readings: u32,
}

impl SwitchLedger {
    /// Reads every task of every member.
    pub(crate) fn read(&mut self, members: &[Stat]) {
        let mut now = Vec::new();
        for stat in members {
            let folder = format!("/proc/{}/task", stat.pid);
            let Ok(tasks) = fs::read_dir(&folder) else {
                continue;
            };
            for task in tasks.flatten() {
                let path = task.path();
                let Some(id) = task.file_name().to_str().and_then(|name| name.parse().ok()) else {
                    continue;
                };
                let Some(count) =
                    fs::read_to_string(path.join("status")).ok().and_then(|text| proc::context_switches(&text))
                else {
                    continue;
                };
                now.push(((id, stat.started), count));
            }
        }
        self.note(&now);
    }

    fn note(&mut self, now: &[(TaskKey, u64)]) {
        let first = self.readings == 0;
        for &(key, count) in now {
            let entry = self.tasks.entry(key).or_insert((if first { count } else { 0 }, count));
            entry.1 = count;
        }
        self.readings += 1;
    }

    /// Switches since the first reading.
    pub(crate) fn total(&self) -> u64 {
        self.tasks.values().map(|(first, last)| last.saturating_sub(*first)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, parent: i32, session: i32) -> Stat {
        Stat {
            pid,
            name: "x".into(),
            state: 'S',
            parent,
            session,
            own_ticks: 1,
            reaped_ticks: 2,
            threads: 1,
            started: 0,
        }
    }

    #[test]
    fn a_tree_is_the_session_and_all_descendants() {
        let all = [
            process(1, 0, 1),
            process(10, 5, 10),
            process(11, 10, 10),
            // Left the session, still a descendant.
            process(12, 11, 12),
            // Its parent died, so that it belongs to the subreaper (5), but it kept the session.
            process(13, 5, 10),
            // Another child of ours.
            process(14, 5, 5),
            // A child with a smaller pid than its parent (pids wrap around).
            process(9, 12, 12),
        ];
        let inside: Vec<i32> = descend(&all, 10).into_iter().collect();
        assert_eq!(inside, [9, 10, 11, 12, 13]);
        assert_eq!(cpu_ticks(&all[1..3]), 6);
        assert_eq!(threads(&all[1..3]), 2);
        assert_eq!(most_threads(&all[1..3]), 1);
        assert_eq!(most_threads(&[]), 0);
    }

    #[test]
    fn ended_tasks_keep_their_last_reading() {
        type Row<'a> = (&'a str, &'a [&'a [(TaskKey, u64)]], u64);
        let rows: [Row<'_>; 5] = [
            ("nothing read", &[], 0),
            ("one reading is a starting point", &[&[((1, 0), 50)]], 0),
            ("growth", &[&[((1, 0), 50)], &[((1, 0), 80)]], 30),
            (
                "a task born later counts from zero, one that ended keeps what it had",
                &[&[((1, 0), 50)], &[((1, 0), 60), ((2, 9), 7)], &[((1, 0), 70)]],
                27,
            ),
            ("the same id with another start is another task", &[&[((1, 0), 50)], &[((1, 5), 3)]], 3),
        ];
        for (what, readings, expected) in rows {
            let mut ledger = SwitchLedger::default();
            for reading in readings {
                ledger.note(reading);
            }
            assert_eq!(ledger.total(), expected, "{what}");
        }
    }

    #[test]
    fn activity_is_what_was_added() {
        let looks = |tasks: &[(TaskKey, (u64, Option<u64>))]| Activity { tasks: tasks.iter().copied().collect() };
        let before = looks(&[((1, 0), (5, Some(1_000_000))), ((2, 0), (50, Some(9)))]);
        let after = looks(&[((1, 0), (7, Some(3_000_000))), ((3, 9), (4, Some(1_000_000)))]);
        assert_eq!(after.since(&before), Spent { wakeups: 6, cpu_seconds: Some(0.003) });
        let untold = looks(&[((1, 0), (7, None))]);
        assert_eq!(untold.since(&before), Spent { wakeups: 2, cpu_seconds: None });
    }

    #[test]
    fn this_process_is_in_its_own_tree() {
        let me = i32::try_from(std::process::id()).unwrap();
        let found = members(me);
        assert!(found.iter().any(|stat| stat.pid == me));
        assert!(pss_kib(&found).unwrap() > 0);
        assert!(!masks(&found).is_empty());
        assert!(!open_files(me).is_empty());
        let own = fs::read_to_string(format!("/proc/{me}/cmdline")).unwrap();
        assert!(count_called(&found, &own) >= 1);
        assert_eq!(count_called(&found, "(wsgi:nobody)"), 0);
    }
}
