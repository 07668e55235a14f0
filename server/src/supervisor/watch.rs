//! `--reload`: notices that files of the application have changed.
//!
//! Folders are watched rather than files, because editors replace a file by another one of its name, and because a module
//! that is imported later, or is only being written, lies beside those that are known. What counts in a folder is every
//! Python file, the other files that were imported from there, and everything if the operator has named the folder.
//!
//! Knows nothing of processes: it says what has changed, once no further change has followed for a moment.

use std::collections::{BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

/// Saving in an editor, or checking out another revision, changes files one after the other.
const CALM: Duration = Duration::from_millis(100);
/// But a folder that is never calm (somebody keeps a log there) must not keep a change back for ever.
const LONGEST: Duration = Duration::from_secs(1);

/// All folders that are watched.
pub(super) struct Watch {
    inotify: Inotify,
    folders: HashMap<WatchDescriptor, Folder>,
    /// Paths of `folders`, so that each module of a package costs no system call.
    known: BTreeSet<PathBuf>,
    change: Option<Change>,
}

#[derive(Debug)]
struct Folder {
    path: PathBuf,
    /// Everything counts, and folders in it are watched like it.
    whole: bool,
    /// What counts besides Python files.
    names: BTreeSet<OsString>,
}

/// Something has changed and was not told yet.
#[derive(Debug)]
struct Change {
    path: PathBuf,
    first: Duration,
    last: Duration,
}

impl Watch {
    /// Watches what the operator has named: files, or folders with all that is in them.
    pub(super) fn new(extra: &[PathBuf]) -> io::Result<Watch> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        let mut watch = Watch { inotify, folders: HashMap::new(), known: BTreeSet::new(), change: None };
        for path in extra {
            if path.is_dir() {
                watch.add_tree(path);
            } else {
                watch.add_file(path);
            }
        }
        Ok(watch)
    }

    /// Readable when [`Watch::read`] has something to read.
    pub(super) fn readiness(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }

    /// Watches the folder of this file.
    pub(super) fn add_file(&mut self, path: &Path) {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return };
        let is_python = is_python(name);
        if is_python && self.known.contains(folder) {
            return;
        }
        if let Some(folder) = self.add_folder(folder)
            && !is_python
        {
            folder.names.insert(name.to_owned());
        }
    }

    /// Watches this folder and those in it. A link is not followed: it may lead around in a circle.
    fn add_tree(&mut self, path: &Path) {
        let Some(folder) = self.add_folder(path) else { return };
        folder.whole = true;
        for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) && !is_by_product(&entry.file_name()) {
                self.add_tree(&entry.path());
            }
        }
    }

    fn add_folder(&mut self, path: &Path) -> Option<&mut Folder> {
        let wanted = AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_ONLYDIR;
        match self.inotify.add_watch(path, wanted) {
            Ok(descriptor) => {
                self.known.insert(path.to_owned());
                let new = || Folder { path: path.to_owned(), whole: false, names: BTreeSet::new() };
                Some(self.folders.entry(descriptor).or_insert_with(new))
            }
            Err(nix::errno::Errno::ENOSPC) => {
                let remedy = "raise fs.inotify.max_user_watches";
                tracing::warn!("{} can't be watched for changes: too many folders are; {remedy}", path.display());
                None
            }
            // Modules may come out of a zip file, or out of nowhere.
            Err(error) => {
                tracing::debug!("{} is not watched for changes: {error}", path.display());
                None
            }
        }
    }

    /// Takes in what has happened.
    pub(super) fn read(&mut self, now: Duration) {
        while let Ok(events) = self.inotify.read_events() {
            for event in events {
                let Some(folder) = self.folders.get(&event.wd) else { continue };
                let Some(name) = event.name else { continue };
                let path = folder.path.join(&name);
                if event.mask.contains(AddWatchFlags::IN_ISDIR) {
                    if folder.whole && !is_by_product(&name) {
                        self.add_tree(&path);
                    }
                    continue;
                }
                // A file that is created is written and closed later; a link is not.
                let is_link = || path.is_symlink();
                if event.mask.contains(AddWatchFlags::IN_CREATE) && !is_link() {
                    continue;
                }
                if !folder.counts(&name) {
                    continue;
                }
                let first = self.change.as_ref().map_or(now, |change| change.first);
                self.change = Some(Change { path, first, last: now });
            }
        }
    }

    /// When a change will have been followed by no other one for long enough.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.change.as_ref().map(|change| (change.last + CALM).min(change.first + LONGEST))
    }

    /// The latest of the changes that are ripe, once.
    pub(super) fn take_change(&mut self, now: Duration) -> Option<PathBuf> {
        self.deadline().filter(|at| now >= *at)?;
        self.change.take().map(|change| change.path)
    }
}

impl Folder {
    fn counts(&self, name: &OsStr) -> bool {
        (self.whole && !is_by_product(name)) || is_python(name) || self.names.contains(name)
    }
}

fn is_python(name: &OsStr) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "py")
}

/// What Python and editors write beside what people write: byte code, hidden and backup files.
fn is_by_product(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name == b"__pycache__" || name.starts_with(b".") || name.ends_with(b"~") || name.ends_with(b".pyc")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// What a change of files makes of a watch: the file that is told of.
    fn told(watch: &mut Watch) -> Option<PathBuf> {
        watch.read(100 * MS);
        watch.take_change(Duration::from_secs(100))
    }

    #[test]
    fn what_counts_is_told_once() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        let write = |name: &str| fs::write(at(name), "x").unwrap();
        fs::create_dir_all(at("templates/mail")).unwrap();
        fs::create_dir(at("package")).unwrap();
        let mut watch = Watch::new(&[at("templates"), at("shop.toml")]).unwrap();
        for file in ["app.py", "package/native.so", "nowhere/gone.py"] {
            watch.add_file(&at(file));
        }
        assert_eq!(told(&mut watch), None);
        let table = [
            ("app.py", true),
            ("new.py", true),
            ("shop.toml", true),
            ("other.toml", false),
            ("package/native.so", true),
            ("package/other.so", false),
            ("package/module.py", true),
            ("templates/index.html", true),
            ("templates/mail/hello.txt", true),
            ("templates/.index.html.swp", false),
            ("templates/index.html~", false),
        ];
        for (name, counts) in table {
            write(name);
            assert_eq!(told(&mut watch), counts.then(|| at(name)), "{name}");
        }
        // As editors save, and deployments switch.
        fs::rename(at("other.toml"), at("app.py")).unwrap();
        assert_eq!(told(&mut watch), Some(at("app.py")));
        std::os::unix::fs::symlink(at("app.py"), at("linked.py")).unwrap();
        assert_eq!(told(&mut watch), Some(at("linked.py")));
        // A folder that comes later.
        fs::create_dir(at("templates/shop")).unwrap();
        assert_eq!(told(&mut watch), None);
        write("templates/shop/cart.html");
        assert_eq!(told(&mut watch), Some(at("templates/shop/cart.html")));
        fs::create_dir(at("templates/__pycache__")).unwrap();
        write("templates/__pycache__/a.cpython-311.pyc");
        assert_eq!(told(&mut watch), None);
    }

    #[test]
    fn a_change_is_told_when_it_is_calm_but_not_for_ever_late() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("app.py");
        let mut watch = Watch::new(std::slice::from_ref(&path)).unwrap();
        assert_eq!(watch.deadline(), None);
        for milliseconds in (0..=900).step_by(90) {
            let now = milliseconds * MS;
            assert_eq!(watch.take_change(now), None, "{now:?}");
            fs::write(&path, "x").unwrap();
            watch.read(now);
        }
        assert_eq!(watch.deadline(), Some(1000 * MS));
        assert_eq!(watch.take_change(999 * MS), None);
        assert_eq!(watch.take_change(1000 * MS), Some(path.clone()));
        assert_eq!(watch.take_change(1000 * MS), None, "told once");
        fs::write(&path, "x").unwrap();
        watch.read(5000 * MS);
        assert_eq!(watch.deadline(), Some(5100 * MS));
    }
}
