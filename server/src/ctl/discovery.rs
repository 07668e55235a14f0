//! Where control sockets are: each server of a user makes `<pid>.sock` in one directory that only this user may enter.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use super::CtlError;

/// Where a server of this user makes its socket: `$XDG_RUNTIME_DIR/smarthttpd`, or `/tmp/smarthttpd-<uid>` where there
/// is no such runtime directory.
pub(crate) fn default_directory() -> PathBuf {
    directories().swap_remove(0)
}

/// All the places where a server of this user may have made its socket: a service often runs without the runtime
/// directory that a login shell has. Never empty; the first is our own.
pub(super) fn directories() -> Vec<PathBuf> {
    places(std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from), nix::unistd::getuid().as_raw())
}

/// The XDG base directory specification has relative values ignored.
fn places(runtime: Option<PathBuf>, uid: u32) -> Vec<PathBuf> {
    let runtime = runtime.filter(|path| path.is_absolute() && path.is_dir());
    let shared = PathBuf::from(format!("/tmp/smarthttpd-{uid}"));
    runtime.map(|path| path.join("smarthttpd")).into_iter().chain([shared]).collect()
}

/// Makes `directory` if it is not there, and makes sure that nobody else can enter it: `/tmp` is everybody's, so
/// somebody else might have been there first.
///
/// # Errors
/// When it can't be made, or is not a directory, not ours, or open to others.
pub(crate) fn prepare_directory(directory: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(directory) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && is_private(directory) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let problem = "it is not a directory that belongs to this user and is closed to others; remove it";
            Err(io::Error::new(io::ErrorKind::PermissionDenied, problem))
        }
        Err(error) => Err(error),
    }
}

/// True for a directory of ours that nobody else can enter; not through a link, which could lead anywhere.
fn is_private(directory: &Path) -> bool {
    fs::symlink_metadata(directory).is_ok_and(|found| {
        let ours = found.uid() == nix::unistd::geteuid().as_raw();
        found.is_dir() && ours && found.permissions().mode() & 0o077 == 0
    })
}

/// Connects to the one server whose socket in `directories` is alive. Sockets left behind by dead servers are passed
/// over, and so are directories in which somebody else could have put a socket.
pub(super) fn only_server(directories: &[PathBuf]) -> Result<(PathBuf, UnixStream), CtlError> {
    let ours = directories.iter().filter(|directory| is_private(directory));
    let entries = ours.flat_map(|directory| fs::read_dir(directory).into_iter().flatten().flatten());
    let sockets = entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "sock"));
    let mut living: Vec<_> = sockets.filter_map(|path| Some((UnixStream::connect(&path).ok()?, path))).collect();
    match (living.pop(), living.is_empty()) {
        (None, _) => Err(CtlError::NoServer { directories: directories.to_vec() }),
        (Some((stream, path)), true) => Ok((path, stream)),
        (Some((_, last)), false) => {
            let mut sockets: Vec<_> = living.into_iter().map(|(_, path)| path).chain([last]).collect();
            sockets.sort();
            Err(CtlError::Several { sockets })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn the_directories_are_the_users_own() {
        let runtime = tempfile::tempdir().unwrap();
        let shared = PathBuf::from("/tmp/smarthttpd-7");
        let expected = [runtime.path().join("smarthttpd"), shared.clone()];
        assert_eq!(places(Some(runtime.path().into()), 7), expected);
        for unusable in [None, Some(""), Some("relative"), Some("/nowhere")] {
            let expected = std::slice::from_ref(&shared);
            assert_eq!(places(unusable.map(PathBuf::from), 7), expected, "{unusable:?}");
        }
    }

    #[test]
    fn a_directory_that_others_can_enter_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("smarthttpd");
        prepare_directory(&directory).unwrap();
        assert_eq!(fs::metadata(&directory).unwrap().permissions().mode() & 0o777, 0o700);
        prepare_directory(&directory).unwrap();

        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(prepare_directory(&directory).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
        let link = place.path().join("link");
        symlink(&directory, &link).unwrap();
        assert_eq!(prepare_directory(&link).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn the_only_living_server_is_found() {
        let place = tempfile::tempdir().unwrap();
        let (first, second) = (place.path().join("first"), place.path().join("second"));
        prepare_directory(&first).unwrap();
        prepare_directory(&second).unwrap();
        let directories = ["/nowhere".into(), first.clone(), second.clone()];
        let found = || only_server(&directories).map(|(path, _)| path);

        // Its server is gone: the file stays, nobody listens.
        drop(UnixListener::bind(first.join("1.sock")).unwrap());
        fs::write(first.join("notes.txt"), "").unwrap();
        match found().unwrap_err() {
            CtlError::NoServer { directories: searched } => assert_eq!(searched, directories),
            unexpected => panic!("{unexpected:?}"),
        }

        let _first = UnixListener::bind(first.join("2.sock")).unwrap();
        assert_eq!(found().unwrap(), first.join("2.sock"));

        let _second = UnixListener::bind(second.join("3.sock")).unwrap();
        match found().unwrap_err() {
            CtlError::Several { sockets } => {
                assert_eq!(sockets, [first.join("2.sock"), second.join("3.sock")]);
            }
            unexpected => panic!("{unexpected:?}"),
        }

        // Anybody could have put this one here.
        fs::set_permissions(&second, fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(found().unwrap(), first.join("2.sock"));
    }
}
