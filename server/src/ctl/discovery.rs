//! Where control sockets are: each server of a user makes `<pid>.sock` in one directory that only this user may enter.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use super::CtlError;

/// `$XDG_RUNTIME_DIR/smarthttpd`, else `/tmp/smarthttpd-<uid>`.
pub(crate) fn default_directory() -> PathBuf {
    directory(std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from), nix::unistd::getuid().as_raw())
}

/// The XDG base directory specification has relative values ignored.
fn directory(runtime: Option<PathBuf>, uid: u32) -> PathBuf {
    match runtime.filter(|path| path.is_absolute()) {
        Some(runtime) => runtime.join("smarthttpd"),
        None => PathBuf::from(format!("/tmp/smarthttpd-{uid}")),
    }
}

/// Makes `directory` if it is not there, and makes sure that nobody else can enter it: `/tmp` is everybody's, so
/// somebody else might have been there first.
///
/// # Errors
/// When it can't be made, or is not a directory, not ours, or open to others.
pub(crate) fn prepare_directory(directory: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(directory) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    // Not through a link, which could lead anywhere.
    let found = fs::symlink_metadata(directory)?;
    let ours = found.uid() == nix::unistd::geteuid().as_raw();
    if !found.is_dir() || !ours || found.permissions().mode() & 0o077 != 0 {
        let problem = "it is not a directory that belongs to this user and is closed to others; remove it";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, problem));
    }
    Ok(())
}

/// Connects to the one server whose socket in `directory` is alive. Sockets left behind by dead servers are passed over.
pub(super) fn only_server(directory: &Path) -> Result<(PathBuf, UnixStream), CtlError> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let sockets = entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "sock"));
    let mut living: Vec<_> = sockets.filter_map(|path| Some((UnixStream::connect(&path).ok()?, path))).collect();
    match (living.pop(), living.is_empty()) {
        (None, _) => Err(CtlError::NoServer { directory: directory.to_path_buf() }),
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
    fn the_directory_is_the_users_own() {
        assert_eq!(directory(Some("/run/user/7".into()), 7), Path::new("/run/user/7/smarthttpd"));
        assert_eq!(directory(None, 7), Path::new("/tmp/smarthttpd-7"));
        assert_eq!(directory(Some("".into()), 7), Path::new("/tmp/smarthttpd-7"));
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
        let at = |name: &str| place.path().join(name);
        let none = only_server(&at("nowhere")).unwrap_err();
        assert!(matches!(none, CtlError::NoServer { .. }), "{none:?}");

        // Its server is gone: the file stays, nobody listens.
        drop(UnixListener::bind(at("1.sock")).unwrap());
        fs::write(at("notes.txt"), "").unwrap();
        assert!(matches!(only_server(place.path()), Err(CtlError::NoServer { .. })));

        let _first = UnixListener::bind(at("2.sock")).unwrap();
        assert_eq!(only_server(place.path()).unwrap().0, at("2.sock"));

        let _second = UnixListener::bind(at("3.sock")).unwrap();
        match only_server(place.path()).unwrap_err() {
            CtlError::Several { sockets } => assert_eq!(sockets, [at("2.sock"), at("3.sock")]),
            other => panic!("{other:?}"),
        }
    }
}
