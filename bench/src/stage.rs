//! A session's scratch folder: logs, configuration files, and what must be readable by another user.
//!
//! It lies in the system's temporary folder with mode 0755. Apache, when it is started by root, serves as `www-data`,
//! which as a rule may not look into the checkout (a home folder, a build machine's workspace); so the application and
//! its packages are always copied here for it, wherever the checkout is: one way on every machine. The copies keep
//! their times, so that compiled Python files stay valid, and belong to that user, so that missing ones can be written:
//! Apache's children must not compile Flask again at every fork when the others' do not. Removed at the end of the
//! session, however it ends.

use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use nix::unistd::User;
use tempfile::TempDir;

use crate::failure::Failure;
use crate::process::registry;

/// The scratch folder.
#[derive(Debug)]
pub(crate) struct Stage {
    folder: TempDir,
}

impl Stage {
    /// Makes it.
    ///
    /// # Errors
    /// The kernel's reason.
    pub(crate) fn new() -> Result<Self, Failure> {
        let parent = std::env::temp_dir();
        let folder = tempfile::Builder::new()
            .prefix("bench-")
            .permissions(Permissions::from_mode(0o755))
            .tempdir_in(&parent)
            .map_err(Failure::io("make a folder in", &parent))?;
        registry::remove_at_end(folder.path());
        Ok(Self { folder })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Copies the folder `from` as `name`, readable by everybody and owned by `user` where there is one of that name.
    ///
    /// # Errors
    /// The kernel's reason, and the file.
    pub(crate) fn publish(&self, from: &Path, name: &str, user: &str) -> Result<PathBuf, Failure> {
        let to = self.folder.path().join(name);
        let owner = User::from_name(user).ok().flatten().map(|user| user.uid.as_raw());
        copy(from, &to, owner)?;
        Ok(to)
    }
}

fn copy(from: &Path, to: &Path, owner: Option<u32>) -> Result<(), Failure> {
    fs::create_dir_all(to).map_err(Failure::io("make", to))?;
    permit(to, 0o755)?;
    chown(to, owner, None).map_err(Failure::io("give away", to))?;
    for entry in fs::read_dir(from).map_err(Failure::io("read", from))? {
        let source = entry.map_err(Failure::io("read", from))?.path();
        let Some(name) = source.file_name() else {
            continue;
        };
        let target = to.join(name);
        // Follows links: what they lead to may not be readable either.
        if source.is_dir() {
            copy(&source, &target, owner)?;
        } else {
            fs::copy(&source, &target).map_err(Failure::io("copy", &source))?;
            keep_time(&source, &target).map_err(Failure::io("set the time of", &target))?;
            permit(&target, 0o644)?;
            chown(&target, owner, None).map_err(Failure::io("give away", &target))?;
        }
    }
    Ok(())
}

fn keep_time(source: &Path, target: &Path) -> std::io::Result<()> {
    let modified = fs::metadata(source)?.modified()?;
    File::options().write(true).open(target)?.set_times(FileTimes::new().set_modified(modified))
}

fn permit(path: &Path, mode: u32) -> Result<(), Failure> {
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(Failure::io("set the permissions of", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_may_read_what_was_published() {
        let source = tempfile::tempdir().unwrap();
        fs::create_dir(source.path().join("inner")).unwrap();
        fs::write(source.path().join("inner/app.py"), "x").unwrap();
        permit(&source.path().join("inner/app.py"), 0o600).unwrap();
        let stage = Stage::new().unwrap();
        let published = stage.publish(source.path(), "apps", "").unwrap();
        let file = published.join("inner/app.py");
        assert_eq!(fs::read_to_string(&file).unwrap(), "x");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&file), 0o644);
        // A compiled Python file is valid for one modification time of its source.
        let time = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
        assert_eq!(time(&file), time(&source.path().join("inner/app.py")));
        assert_eq!(mode(&published), 0o755);
        assert_eq!(mode(stage.path()), 0o755);
    }
}
