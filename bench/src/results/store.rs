//! Writing and reading a results folder. Nothing that is there is ever overwritten by a new session.
//!
//! A file of the folder is there whole or not at all, also after the harness was killed or the power failed: it is
//! written beside its place, brought to the disk, and renamed.

use std::fs::{self, File, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::schema::{Run, RunId, SCHEMA, Session};
use crate::failure::Failure;

/// A results folder.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    folder: PathBuf,
}

impl Store {
    /// Makes `parent/name`, or `parent/name-2`, `-3`, … when that is taken.
    ///
    /// # Errors
    /// The kernel's reason why a folder cannot be made.
    pub(crate) fn create_in(parent: &Path, name: &str) -> Result<Self, Failure> {
        fs::create_dir_all(parent).map_err(Failure::io("make", parent))?;
        let mut number = 1_u32;
        loop {
            let folder = match number {
                1 => parent.join(name),
                _ => parent.join(format!("{name}-{number}")),
            };
            match fs::create_dir(&folder) {
                Ok(()) => return Self::with_raw(folder),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(Failure::io("make", &folder)(error)),
            }
        }
    }

    /// Makes exactly `folder`.
    ///
    /// # Errors
    /// When it exists and is not empty: results are never mixed.
    pub(crate) fn create(folder: &Path) -> Result<Self, Failure> {
        fs::create_dir_all(folder).map_err(Failure::io("make", folder))?;
        let mut entries = fs::read_dir(folder).map_err(Failure::io("read", folder))?;
        if entries.next().is_some() {
            return Err(Failure::Usage(format!("--out {}: the folder is not empty; name a new one", folder.display())));
        }
        Self::with_raw(folder.to_owned())
    }

    fn with_raw(folder: PathBuf) -> Result<Self, Failure> {
        let raw = folder.join("raw");
        fs::create_dir(&raw).map_err(Failure::io("make", &raw))?;
        Ok(Self { folder })
    }

    /// Opens a folder that a session wrote.
    ///
    /// # Errors
    /// When it holds no session.
    pub(crate) fn open(folder: &Path) -> Result<Self, Failure> {
        let store = Self { folder: folder.to_owned() };
        if store.folder.join("session.json").is_file() {
            Ok(store)
        } else {
            Err(Failure::Results {
                path: folder.to_owned(),
                reason: "no results folder: session.json is not there".into(),
            })
        }
    }

    /// Keeps other sessions from writing to the folder until it is dropped.
    ///
    /// # Errors
    /// When one does already.
    pub(crate) fn claim(&self) -> Result<File, Failure> {
        let file = File::open(&self.folder).map_err(Failure::io("open", &self.folder))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(Failure::Usage(format!(
                "{}: another bench writes to it now; wait for its end or stop it",
                self.folder.display()
            ))),
            Err(TryLockError::Error(error)) => Err(Failure::io("lock", &self.folder)(error)),
        }
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes a file of the folder; `name` may lead into a subfolder.
    ///
    /// # Errors
    /// The kernel's reason.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.folder.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(Failure::io("make", parent))?;
        }
        write_whole(&path, bytes).map_err(Failure::io("write", &path))
    }

    /// Writes a value as JSON for people and programs.
    ///
    /// # Errors
    /// The kernel's reason.
    pub(crate) fn write_json<T: Serialize>(&self, name: &str, value: &T) -> Result<(), Failure> {
        let mut text = serde_json::to_string_pretty(value)
            .map_err(|error| Failure::Results { path: self.folder.join(name), reason: error.to_string() })?;
        text.push('\n');
        self.write(name, text.as_bytes())
    }

    /// Stores one run.
    ///
    /// # Errors
    /// The kernel's reason.
    pub(crate) fn write_run(&self, run: &Run) -> Result<(), Failure> {
        self.write_json(&format!("raw/{}.json", run.id.label()), run)
    }

    /// Stores an INVALID attempt at a run that is made again.
    ///
    /// # Errors
    /// The kernel's reason.
    pub(crate) fn write_attempt(&self, run: &Run) -> Result<(), Failure> {
        self.write_json(&format!("raw/{}-invalid-{}.json", run.id.label(), run.invalid.len() + 1), run)
    }

    /// The session alone.
    ///
    /// # Errors
    /// A file that is damaged, or of another version of the harness.
    pub(crate) fn session(&self) -> Result<Session, Failure> {
        read_json(&self.folder.join("session.json"))
    }

    /// A run that is stored; `None` where there is none.
    ///
    /// # Errors
    /// A damaged file: one that was copied in part, or changed by hand.
    pub(crate) fn run(&self, id: &RunId) -> Result<Option<Run>, Failure> {
        let path = self.folder.join(format!("raw/{}.json", id.label()));
        if !path.exists() {
            return Ok(None);
        }
        let run: Run = read_json(&path)?;
        if run.id == *id { Ok(Some(run)) } else { Err(damaged(&path, "it is another run than its name says".into())) }
    }

    /// Why the stored attempts at a run were INVALID, in their order; it was interrupted before there was a better one.
    pub(crate) fn attempts(&self, id: &RunId) -> Vec<String> {
        let stored = |number: u32| {
            let path = self.folder.join(format!("raw/{}-invalid-{number}.json", id.label()));
            read_json::<Run>(&path).ok()
        };
        (1..).map_while(stored).map(|run| run.outcome.invalid().join("; ")).collect()
    }

    /// The session and those of its runs that were made, in the order in which they were made.
    ///
    /// # Errors
    /// A file that is damaged, or of another version of the harness.
    pub(crate) fn read(&self) -> Result<(Session, Vec<Run>), Failure> {
        let session = self.session()?;
        let mut runs = Vec::new();
        for id in &session.order {
            // An interrupted session has made only some.
            runs.extend(self.run(id)?);
        }
        Ok((session, runs))
    }
}

/// What the rest of the name is while a file is not whole yet.
const UNFINISHED: &str = ".unfinished";

fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(UNFINISHED);
    let unfinished = PathBuf::from(name);
    let mut file = File::create(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    // The new name is in the folder's own data.
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

fn damaged(path: &Path, reason: String) -> Failure {
    Failure::Results { path: path.to_owned(), reason }
}

/// A file with a schema: `session.json`, a run, or `summary.json`.
///
/// # Errors
/// A file that is damaged, or of another version of the harness.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    let damaged = |reason: String| damaged(path, reason);
    let text = fs::read_to_string(path).map_err(Failure::io("read", path))?;
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
    let schema = value.get("schema").and_then(serde_json::Value::as_u64);
    if schema != Some(u64::from(SCHEMA)) {
        let found = schema.map_or("none".into(), |schema| schema.to_string());
        return Err(damaged(format!("schema {found}, and this bench reads schema {SCHEMA}")));
    }
    serde_json::from_value(value).map_err(|error| damaged(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_session_gets_a_folder_of_its_own() {
        let parent = tempfile::tempdir().unwrap();
        let names: Vec<String> = (0..3)
            .map(|_| {
                let store = Store::create_in(&parent.path().join("results"), "day").unwrap();
                store.folder().file_name().unwrap().to_str().unwrap().to_owned()
            })
            .collect();
        assert_eq!(names, ["day", "day-2", "day-3"]);
        let error = Store::create(&parent.path().join("results")).unwrap_err();
        assert!(error.to_string().contains("not empty"), "{error}");
    }

    #[test]
    fn what_is_no_results_folder_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let error = Store::open(folder.path()).unwrap_err();
        assert!(error.to_string().ends_with("session.json is not there"), "{error}");
        for (text, reason) in [
            ("{", "EOF while parsing"),
            ("{}", "schema none, and this bench reads schema 1"),
            (r#"{"schema": 99}"#, "schema 99, and this bench reads schema 1"),
            (r#"{"schema": 1}"#, "missing field"),
        ] {
            fs::write(folder.path().join("session.json"), text).unwrap();
            let error = Store::open(folder.path()).unwrap().read().unwrap_err();
            assert!(error.to_string().contains(reason), "{text}: {error}");
            assert_eq!(error.exit_code(), 1);
        }
    }
}
