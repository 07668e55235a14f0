//! Programs that look at a running server's processes and count: perf(1) and strace(1).
//!
//! Owns how such a program is attached to a whole tree, awaited, and asked for what it has counted. What it counts, and
//! how its words are read, the scenarios say that use it (`calls`, `counters`).

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Subject;
use crate::observe::tree;
use crate::process::server::{Server, Start};

/// How long a tool may take until it holds every process of the tree, and until it has let go of them.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a tool counted during a load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Count<T> {
    Counted(T),
    /// The tool is not installed or not permitted: its own words.
    NotCounted(String),
}

impl<T> Count<T> {
    /// What was counted, or why nothing was.
    pub(crate) fn get(&self) -> Result<&T, String> {
        match self {
            Self::Counted(counted) => Ok(counted),
            Self::NotCounted(reason) => Err(reason.clone()),
        }
    }
}

/// A program that attaches to processes, counts, and writes what it counted into a file when it is interrupted.
pub(super) struct Onlooker<T> {
    /// For messages.
    pub(super) title: &'static str,
    /// Its name, which is also that of its files.
    pub(super) name: &'static str,
    /// The command for a file and the processes.
    pub(super) command: fn(&str, &[String]) -> Vec<String>,
    /// Whether it holds so many processes with so many threads, by its log and its open files.
    pub(super) holds: fn(log: &str, files: &[String], processes: usize, threads: usize) -> bool,
    /// What it wrote.
    pub(super) read: fn(&str) -> Option<T>,
}

impl<T> Onlooker<T> {
    /// Where it writes what it counted.
    pub(super) fn file(&self, subject: Subject<'_>) -> PathBuf {
        subject.scratch.join(format!("{}.counts", self.name))
    }

    /// Starts it on every process of the tree and waits until it has them all.
    ///
    /// # Errors
    /// Its own words: it is not installed, or not permitted.
    pub(super) fn attach(&self, subject: Subject<'_>) -> Result<Server, String> {
        let members = tree::members(subject.root);
        let pids: Vec<String> = members.iter().map(|stat| stat.pid.to_string()).collect();
        let running = Server::spawn(Start {
            title: self.title,
            command: &(self.command)(&self.file(subject).display().to_string(), &pids),
            folder: subject.scratch,
            log: subject.scratch.join(format!("{}.log", self.name)),
            cpus: subject.generator,
            environment: &[],
        })?;
        running.await_with(PATIENCE, "attaching to the server", |running| {
            // Whoever has left meanwhile (a spare process that was let go) is held by nobody.
            let mut living = tree::members(subject.root);
            living.retain(|stat| members.iter().any(|member| member.pid == stat.pid));
            let threads = tree::threads(&living).min(tree::threads(&members)) as usize;
            (self.holds)(&running.log(), &tree::open_files(running.pid()), living.len(), threads).then_some(())
        })?;
        Ok(running)
    }

    /// Ends it and reads what it counted.
    pub(super) fn count(&self, subject: Subject<'_>, attached: Result<Server, String>) -> Count<T> {
        match attached {
            // One line: its log is part of it.
            Err(reason) => Count::NotCounted(reason.replace('\n', " ")),
            Ok(running) => {
                running.interrupt(PATIENCE);
                running.stop();
                let text = fs::read(self.file(subject)).unwrap_or_default();
                (self.read)(&String::from_utf8_lossy(&text))
                    .map_or_else(|| Count::NotCounted(format!("{} left no counts", self.title)), Count::Counted)
            }
        }
    }
}

/// A command of fixed words and others.
pub(super) fn words(fixed: &str, others: &[&str]) -> Vec<String> {
    fixed.split(' ').chain(others.iter().copied()).map(String::from).collect()
}
