//! A gate that requests wait at inside the application, until the test opens it: a FIFO, whose `open` blocks a reader as
//! long as there is no writer.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use nix::sys::stat::Mode;

/// Closed at first.
#[derive(Debug)]
pub(crate) struct Gate {
    path: PathBuf,
    writer: Option<File>,
}

impl Gate {
    /// A closed gate in `folder`.
    pub(crate) fn new(folder: &Path, name: &str) -> Gate {
        let path = folder.join(name);
        nix::unistd::mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).expect("a FIFO can be made");
        Gate { path, writer: None }
    }

    /// The target that waits at this gate: `/wait?gate=…`.
    pub(crate) fn target(&self) -> String {
        self.target_of("/wait")
    }

    /// `route` with this gate in its query.
    pub(crate) fn target_of(&self, route: &str) -> String {
        format!("{route}?gate={}", self.path.display())
    }

    /// Lets all pass, those who wait and those to come.
    pub(crate) fn open(&mut self) {
        // Linux opens a FIFO for both directions at once without blocking (fifo(7)).
        self.writer = Some(OpenOptions::new().read(true).write(true).open(&self.path).expect("the FIFO opens"));
    }
}
