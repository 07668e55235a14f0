//! A directory on disk: from a relative name to an open regular file, never one outside of it.
//!
//! Owns how links are treated. Gets names from `place`, which have no `..` in them, so only symbolic links can lead out:
//! the kernel refuses those while it walks (`openat2` with `RESOLVE_BENEATH`, openat2(2)), which no change of the
//! directory during the walk can defeat. Where that call is missing (Linux before 5.6) or forbidden (old container
//! profiles), no link is followed at all.
//!
//! The directory is opened anew each time, so that a new one under the same name (a deployment by rename, or by a link
//! that is switched) is seen at once.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::sys::stat::Mode;

use super::validators::Version;

/// Non-blocking, so that a FIFO without a writer can't hold the thread; regular files don't care. A terminal must not
/// become ours.
const READ: OFlag = OFlag::O_RDONLY.union(OFlag::O_NONBLOCK).union(OFlag::O_NOCTTY).union(OFlag::O_CLOEXEC);
const STEP: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);
/// The kernel can't be sure of a link with `..` in it while something is being renamed, and asks to be asked again
/// (EAGAIN, openat2(2)). Somebody who renames all the time shall not hold us.
const TRIES: usize = 16;

/// One directory.
#[derive(Debug)]
pub(super) struct Folder {
    directory: PathBuf,
    /// Whether links may lead anywhere.
    follow_links: bool,
}

/// What a name stands for.
#[derive(Debug)]
pub(super) enum Entry {
    /// A regular file.
    File(Opened),
    /// A directory.
    Directory,
    /// Nothing that is served: nothing at all, a link that leads out, a device.
    Nothing,
}

/// A regular file, ready to be sent.
#[derive(Debug)]
pub(super) struct Opened {
    /// Open for reading.
    pub(super) file: File,
    /// What it was when it was opened.
    pub(super) version: Version,
}

impl Folder {
    /// The directory of this absolute path.
    pub(super) fn new(directory: PathBuf, follow_links: bool) -> Folder {
        Folder { directory, follow_links }
    }

    /// Opens what `name` stands for: relative, without empty, `.` or `..` segments; empty for the directory itself.
    ///
    /// # Errors
    /// Something is there and can't be opened: no permission, no descriptor left, a broken disk.
    pub(super) fn open(&self, name: &[u8]) -> io::Result<Entry> {
        if name.is_empty() {
            return Ok(Entry::Directory);
        }
        match self.descriptor(name) {
            Ok(descriptor) => classify(File::from(descriptor)),
            Err(error) if says_nothing_is_there(error) => Ok(Entry::Nothing),
            Err(error) => Err(error.into()),
        }
    }

    fn descriptor(&self, name: &[u8]) -> nix::Result<OwnedFd> {
        let root = openat(AT_FDCWD, &self.directory, STEP, Mode::empty())?;
        if self.follow_links { openat(&root, name, READ, Mode::empty()) } else { beneath(&root, name) }
    }
}

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.directory.display().fmt(f)
    }
}

fn classify(file: File) -> io::Result<Entry> {
    let metadata = file.metadata()?;
    if metadata.is_file() {
        let version = Version::of(&metadata);
        return Ok(Entry::File(Opened { file, version }));
    }
    Ok(if metadata.is_dir() { Entry::Directory } else { Entry::Nothing })
}

/// Opens `name` below `root`, following only links that stay below it.
fn beneath(root: &OwnedFd, name: &[u8]) -> nix::Result<OwnedFd> {
    let how = OpenHow::new().flags(READ).resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    for _ in 0..TRIES {
        match openat2(root, name, how) {
            Err(Errno::EAGAIN) => {}
            Err(Errno::ENOSYS | Errno::EPERM) => break,
            outcome => return outcome,
        }
    }
    without_links(root, name)
}

/// Opens `name` below `root` step by step, following no link.
fn without_links(root: &OwnedFd, name: &[u8]) -> nix::Result<OwnedFd> {
    let (parents, last) = match name.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&name[..slash], &name[slash + 1..]),
        None => (&[][..], name),
    };
    let mut reached = None;
    for segment in parents.split(|byte| *byte == b'/').filter(|segment| !segment.is_empty()) {
        let from = reached.as_ref().unwrap_or(root);
        reached = Some(openat(from, segment, STEP | OFlag::O_NOFOLLOW, Mode::empty())?);
    }
    openat(reached.as_ref().unwrap_or(root), last, READ | OFlag::O_NOFOLLOW, Mode::empty())
}

/// Whether the error means that no file is served under that name, whatever there is.
fn says_nothing_is_there(error: Errno) -> bool {
    matches!(
        error,
        Errno::ENOENT
            | Errno::ENOTDIR
            | Errno::ENAMETOOLONG
            // A link that was not to be followed, or too many of them; one that leads out.
            | Errno::ELOOP
            | Errno::EXDEV
            // A socket; a device without a driver.
            | Errno::ENXIO
            | Errno::ENODEV
            // The file system takes no such name.
            | Errno::EINVAL
            | Errno::EILSEQ
    )
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
