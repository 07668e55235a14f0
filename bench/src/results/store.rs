//! Writing and reading a results folder. Nothing that is there is ever overwritten by a new session.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::schema::{Run, SCHEMA, Session};
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
        fs::write(&path, bytes).map_err(Failure::io("write", &path))
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

    /// The session and those of its runs that were made, in the order in which they were made.
    ///
    /// # Errors
    /// A file that is damaged, or of another version of the harness.
    pub(crate) fn read(&self) -> Result<(Session, Vec<Run>), Failure> {
        let session: Session = read_json(&self.folder.join("session.json"))?;
        let mut runs = Vec::new();
        for id in &session.order {
            let path = self.folder.join(format!("raw/{}.json", id.label()));
            // An interrupted session has made only some.
            if path.exists() {
                runs.push(read_json(&path)?);
            }
        }
        Ok((session, runs))
    }
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    let damaged = |reason: String| Failure::Results { path: path.to_owned(), reason };
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
