//! A large file: what it costs to have the kernel send it.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Subject, Watched};

/// What the file consists of, over and over.
pub(crate) const LINE: &[u8; 64] = b"A large file that a server hands to the kernel, line after line\n";

/// How long and how hard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// Server starts per contender.
    pub(crate) replicates: u32,
    /// Two, so that the server never waits for the generator to ask again.
    pub(crate) connections: usize,
    /// Measured closed loop. There is no warm-up: a request of which a part falls into one would count for the CPU and
    /// not for the bytes, and of so few requests each is a percent. The gate has read the file into the disk's cache.
    pub(crate) seconds: f64,
    /// The file's length in bytes.
    pub(crate) length: usize,
}

impl Settings {
    pub(crate) fn of(quick: bool) -> Self {
        let (replicates, seconds, mebibytes) = if quick { (1, 0.6, 16) } else { (3, 3.0, 100) };
        Self { replicates, connections: 2, seconds, length: mebibytes * 1024 * 1024 }
    }

    /// Seconds of load in one run.
    pub(crate) fn seconds(&self) -> f64 {
        self.seconds
    }
}

/// What one run observed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Observation {
    pub(crate) load: Watched,
}

/// Carries it out.
///
/// # Errors
/// The load generator's reason, in a sentence.
pub(crate) fn run(subject: Subject<'_>, settings: &Settings) -> Result<Observation, String> {
    let plan = subject.closed("/file", settings.connections, 0.0, settings.seconds)?;
    Ok(Observation { load: subject.watched(&plan)? })
}

/// Writes the file that is served.
///
/// # Errors
/// The kernel's reason.
pub(crate) fn write(path: &Path, length: usize) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let mut left = length;
    while left > 0 {
        let part = left.min(LINE.len());
        file.write_all(&LINE[..part])?;
        left -= part;
    }
    file.into_inner().map_err(io::IntoInnerError::into_error).map(drop)
}

/// Whether `bytes` are a whole file of this length.
pub(crate) fn is_whole(bytes: &[u8], length: usize) -> bool {
    bytes.len() == length && bytes.chunks(LINE.len()).all(|line| *line == LINE[..line.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_whole_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        for length in [0, 1, 64, 1000] {
            let path = folder.path().join(length.to_string());
            write(&path, length).unwrap();
            let mut bytes = std::fs::read(&path).unwrap();
            assert!(is_whole(&bytes, length), "{length}");
            assert!(!is_whole(&bytes, length + 1), "{length}");
            if let Some(last) = bytes.last_mut() {
                *last ^= 1;
                assert!(!is_whole(&bytes, length), "{length}");
            }
        }
    }
}
