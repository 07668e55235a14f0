//! What the application has written down: which process had which request, and when one ended itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// One process's calls.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub(super) pid: i32,
    /// Its first call.
    pub(super) opened: Duration,
    pub(super) calls: u64,
}

/// All processes' calls.
#[derive(Debug, Default)]
pub(super) struct Journal {
    pub(super) parts: Vec<Part>,
    /// Which process had a request.
    pub(super) inside: BTreeMap<u64, i32>,
    /// Requests that ended their process, and when.
    pub(super) deadly: BTreeMap<u64, Duration>,
    /// Requests that never return.
    pub(super) hanging: BTreeSet<u64>,
    /// Requests after which their process has more memory than it may, and since when.
    pub(super) grown: BTreeMap<u64, Duration>,
    /// Tasks, by the requests that left them: which process took them, which ones began, and which were done.
    pub(super) tasks_left: BTreeMap<u64, i32>,
    pub(super) tasks_begun: BTreeMap<u64, i32>,
    pub(super) tasks_done: BTreeSet<u64>,
}

impl Journal {
    /// Reads the folder. Panics when a request reached the application twice, or a task began twice.
    pub(super) fn read(folder: &Path) -> Journal {
        let mut journal = Journal::default();
        let mut twice = BTreeSet::new();
        for file in fs::read_dir(folder).expect("the journal is there") {
            let file = file.expect("the journal can be read");
            let name = file.file_name().into_string().expect("a name is ASCII");
            let (pid, opened) = name.split_once('-').expect("PID-TIME");
            let pid: i32 = pid.parse().expect("a pid");
            let opened = Duration::from_nanos(opened.parse().expect("nanoseconds"));
            let mut calls = 0;
            for line in fs::read_to_string(file.path()).expect("lines").lines() {
                let (number, event) = line.split_once(' ').map_or((line, ""), |(number, event)| (number, event));
                let number = u64::from_str_radix(number, 16).expect("a number");
                let is_first = match event {
                    "" => {
                        calls += 1;
                        journal.inside.insert(number, pid).is_none()
                    }
                    "hangs" => journal.hanging.insert(number),
                    "left" => journal.tasks_left.insert(number, pid).is_none(),
                    "begins" => journal.tasks_begun.insert(number, pid).is_none(),
                    "done" => journal.tasks_done.insert(number),
                    _ => {
                        let (event, at) = event.split_once(' ').expect("EVENT TIME");
                        let at = Duration::from_nanos(at.parse().expect("nanoseconds"));
                        let events = if event == "dies" { &mut journal.deadly } else { &mut journal.grown };
                        events.insert(number, at).is_none()
                    }
                };
                if !is_first {
                    twice.insert(line.to_owned());
                }
            }
            journal.parts.push(Part { pid, opened, calls });
        }
        assert!(twice.is_empty(), "this happened twice to the same requests: {twice:?}");
        journal
    }

    /// How many calls the process `pid` has had that was born after `not_before`.
    pub(super) fn calls(&self, pid: i32, not_before: Duration) -> u64 {
        let parts = self.parts.iter().filter(|part| part.pid == pid && part.opened >= not_before);
        parts.map(|part| part.calls).sum()
    }
}
