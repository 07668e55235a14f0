//! What a virtual environment is, read from its files.
//!
//! Owns the rule for whether an environment fits the interpreter that is linked in. Knows no Python API; `interpreter`
//! calls it before Python is started.

use std::fs;
use std::path::{Path, PathBuf};

/// Why a directory can't serve as the virtual environment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum VenvError {
    /// There is no `bin/python` in it.
    #[error("{path} is not a virtual environment: it has no bin/python", path = .0.display())]
    NoInterpreter(PathBuf),
    /// It was made by another version of Python.
    #[error(
        "the virtual environment {path} was made for Python {found}, but this server contains Python {wanted}: make the \
         environment with Python {wanted}, or build the server with Python {found} (PYO3_PYTHON)",
        path = .path.display()
    )]
    OtherVersion {
        /// The environment.
        path: PathBuf,
        /// Its version, e.g. `3.9`.
        found: String,
        /// Ours.
        wanted: String,
    },
}

/// The interpreter of the environment at `root`, if it is one for Python `wanted` (e.g. `3.11`).
pub(super) fn interpreter(root: &Path, wanted: &str) -> Result<PathBuf, VenvError> {
    let python = root.join("bin/python");
    if !python.exists() {
        return Err(VenvError::NoInterpreter(root.to_owned()));
    }
    match version(root) {
        Some(found) if found != wanted => {
            Err(VenvError::OtherVersion { path: root.to_owned(), found, wanted: wanted.to_owned() })
        }
        // Unknown is not wrong: tools that write no version (conda) still make working environments.
        _ => Ok(python),
    }
}

/// Major and minor version of the environment at `root`, from `pyvenv.cfg`, else from its library folder.
fn version(root: &Path) -> Option<String> {
    if let Some(version) = fs::read_to_string(root.join("pyvenv.cfg")).ok().and_then(|text| configured_version(&text)) {
        return Some(version);
    }
    let mut folders = fs::read_dir(root.join("lib")).ok()?.filter_map(|entry| {
        let name = entry.ok()?.file_name().into_string().ok()?;
        Some(name.strip_prefix("python")?.to_owned()).filter(|version| version.contains('.'))
    });
    // Two such folders say nothing.
    folders.next().filter(|_| folders.next().is_none())
}

/// `version = 3.11.7` (venv) or `version_info = 3.11.7.final.0` (virtualenv, uv) to `3.11`.
fn configured_version(text: &str) -> Option<String> {
    let value = text.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        matches!(key.trim(), "version" | "version_info").then(|| value.trim())
    })?;
    let mut numbers = value.split('.');
    Some(format!("{}.{}", numbers.next()?, numbers.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_version_of_every_tool() {
        for (text, expect) in [
            ("home = /usr/bin\nversion = 3.11.7\n", Some("3.11")),
            ("home = /usr/bin\nversion_info = 3.12.0.final.0\n", Some("3.12")),
            // uv writes no spaces around some keys.
            ("version_info=3.9", Some("3.9")),
            ("home = /usr/bin\n", None),
            ("version = 3\n", None),
            ("", None),
        ] {
            assert_eq!(configured_version(text).as_deref(), expect, "{text:?}");
        }
    }

    #[test]
    fn wants_an_interpreter_of_our_version() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(interpreter(root.path(), "3.11"), Err(VenvError::NoInterpreter(root.path().to_owned())));
        fs::create_dir(root.path().join("bin")).unwrap();
        fs::write(root.path().join("bin/python"), "").unwrap();
        let python = Ok(root.path().join("bin/python"));
        assert_eq!(interpreter(root.path(), "3.11"), python, "no version known");
        fs::create_dir_all(root.path().join("lib/python3.9")).unwrap();
        assert!(matches!(
            interpreter(root.path(), "3.11"),
            Err(VenvError::OtherVersion { found, .. }) if found == "3.9"
        ));
        fs::write(root.path().join("pyvenv.cfg"), "version = 3.11.2\n").unwrap();
        assert_eq!(interpreter(root.path(), "3.11"), python, "the file counts first");
    }
}
