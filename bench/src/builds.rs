//! What figures depend on besides machine and versions: the built files of this checkout, told apart by their SHA-256.
//!
//! Knows nothing of sessions; `session` stores what it finds, `resume` and `compare` look whether it is the same.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::failure::Failure;

/// The name of the server's binary.
pub(crate) const SERVER: &str = "smarthttpd";

/// The name of the harness, which has the load generator in it.
pub(crate) const HARNESS: &str = "bench";

/// The name of the applications that are served.
const APPLICATIONS: &str = "applications";

/// Each by its name. `server` is `None` where no contender needs it.
///
/// # Errors
/// A file that cannot be read.
pub(crate) fn fingerprints(server: Option<&Path>, applications: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let harness = std::env::current_exe().map_err(Failure::io("find", Path::new(HARNESS)))?;
    let mut found = BTreeMap::from([
        (HARNESS.to_owned(), of_files(&[harness])?),
        (APPLICATIONS.to_owned(), of_files(&sources(applications)?)?),
    ]);
    if let Some(server) = server {
        found.insert(SERVER.to_owned(), of_files(&[server.to_owned()])?);
    }
    Ok(found)
}

/// The files of a folder by name; what Python compiles of them says the same again.
fn sources(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(Failure::io("read", folder))? {
        let path = entry.map_err(Failure::io("read", folder))?.path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "__pycache__") {
            files.extend(sources(&path)?);
        } else if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Of their contents, one after the other, each with its length before it.
fn of_files(files: &[PathBuf]) -> Result<String, Failure> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    for path in files {
        let reading = || Failure::io("read", path);
        let mut file = File::open(path).map_err(reading())?;
        hash.update(file.metadata().map_err(reading())?.len().to_le_bytes());
        loop {
            match file.read(&mut buffer).map_err(reading())? {
                0 => break,
                read => hash.update(&buffer[..read]),
            }
        }
    }
    let mut text = String::new();
    for byte in hash.finalize() {
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_contents_are_another_build() {
        let folder = tempfile::tempdir().unwrap();
        let (server, apps) = (folder.path().join("server"), folder.path().join("apps"));
        fs::create_dir_all(apps.join("site/__pycache__")).unwrap();
        fs::write(&server, "binary").unwrap();
        fs::write(apps.join("app.py"), "one").unwrap();
        fs::write(apps.join("site/views.py"), "two").unwrap();
        let found = || fingerprints(Some(&server), &apps).unwrap();
        let before = found();
        assert_eq!(before.keys().collect::<Vec<_>>(), [APPLICATIONS, HARNESS, SERVER]);
        // Compiling changes nothing.
        fs::write(apps.join("site/__pycache__/views.pyc"), "compiled").unwrap();
        assert_eq!(found(), before);
        // Neither do bytes move unseen from one file to the next.
        fs::write(apps.join("app.py"), "onet").unwrap();
        fs::write(apps.join("site/views.py"), "wo").unwrap();
        assert_ne!(found()[APPLICATIONS], before[APPLICATIONS]);
        assert_eq!(found()[SERVER], before[SERVER]);
        fs::remove_file(&server).unwrap();
        let error = fingerprints(Some(&server), &apps).unwrap_err().to_string();
        assert!(error.contains("server: No such file"), "{error}");
    }

    #[test]
    fn a_fingerprint_is_what_other_tools_say() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("empty");
        fs::write(&file, "").unwrap();
        // printf '\0\0\0\0\0\0\0\0' | sha256sum
        let expected = "af5570f5a1810b7af78caf4bc70a660f0df51e42baf91d4de5b2328de0e83dfc";
        assert_eq!(of_files(&[file]).unwrap(), expected);
    }
}
