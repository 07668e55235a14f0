use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use super::*;

/// A tree with every kind of entry: `site` is served, `outside` lies beside it.
fn tree() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    fs::create_dir_all(at("site/sub/deep")).unwrap();
    fs::create_dir(at("outside")).unwrap();
    fs::write(at("outside/secret"), "secret").unwrap();
    fs::write(at("site/file"), "file").unwrap();
    fs::write(at("site/sub/deep/file"), "deep").unwrap();
    symlink("file", at("site/link")).unwrap();
    symlink("sub/deep", at("site/to-deep")).unwrap();
    symlink("../../file", at("site/sub/deep/up")).unwrap();
    symlink("../outside/secret", at("site/out")).unwrap();
    symlink(at("outside/secret"), at("site/out-absolute")).unwrap();
    symlink("../outside", at("site/out-directory")).unwrap();
    symlink("out", at("site/out-by-two")).unwrap();
    symlink("../site/file", at("site/out-and-back")).unwrap();
    symlink("nothing", at("site/dangling")).unwrap();
    symlink("loop", at("site/loop")).unwrap();
    nix::unistd::mkfifo(&at("site/fifo"), Mode::S_IRWXU).unwrap();
    drop(UnixListener::bind(at("site/socket")).unwrap());
    place
}

/// What an entry is, in one word: a file's content, or what else it is.
fn shown(entry: Entry) -> String {
    match entry {
        Entry::File(Opened { mut file, version }) => {
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            assert_eq!(version.len, text.len() as u64);
            text
        }
        Entry::Directory => "<directory>".to_owned(),
        Entry::Nothing => "<nothing>".to_owned(),
    }
}

#[test]
fn each_way_of_opening_stays_where_it_should() {
    let tree = tree();
    let root = tree.path().join("site");
    let root_descriptor = openat(AT_FDCWD, &root, STEP, Mode::empty()).unwrap();
    let beneath = Folder::new(root.clone(), false);
    let anywhere = Folder::new(root, true);
    let (none, dir) = ("<nothing>", "<directory>");
    let table = [
        // name, by default, where the kernel can't follow links safely, with links allowed
        ("", dir, dir, dir),
        ("file", "file", "file", "file"),
        ("sub", dir, dir, dir),
        ("sub/deep/file", "deep", "deep", "deep"),
        ("nothing", none, none, none),
        ("nothing/file", none, none, none),
        ("file/file", none, none, none),
        ("fifo", none, none, none),
        ("socket", none, none, none),
        ("link", "file", none, "file"),
        ("to-deep/file", "deep", none, "deep"),
        ("to-deep", dir, none, dir),
        ("sub/deep/up", "file", none, "file"),
        ("dangling", none, none, none),
        ("loop", none, none, none),
        ("out", none, none, "secret"),
        ("out-absolute", none, none, "secret"),
        ("out-directory/secret", none, none, "secret"),
        ("out-directory", none, none, dir),
        ("out-by-two", none, none, "secret"),
        // Comes back, but was outside.
        ("out-and-back", none, none, "file"),
    ];
    for (name, by_default, without, with_links) in table {
        assert_eq!(shown(beneath.open(name.as_bytes()).unwrap()), by_default, "{name}");
        assert_eq!(shown(anywhere.open(name.as_bytes()).unwrap()), with_links, "{name}, links allowed");
        if !name.is_empty() {
            let entry = match without_links(&root_descriptor, name.as_bytes()) {
                Ok(descriptor) => classify(File::from(descriptor)).unwrap(),
                Err(error) if says_nothing_is_there(error) => Entry::Nothing,
                Err(error) => panic!("{name}: {error}"),
            };
            assert_eq!(shown(entry), without, "{name}, no link followed");
        }
    }
}

#[test]
fn a_name_that_is_too_long_is_nobodys() {
    let tree = tree();
    let folder = Folder::new(tree.path().to_owned(), false);
    for name in ["x".repeat(256), "x/".repeat(3000) + "x"] {
        assert_eq!(shown(folder.open(name.as_bytes()).unwrap()), "<nothing>");
    }
}

#[test]
fn a_directory_that_was_replaced_is_seen() {
    let tree = tree();
    let at = |name: &str| tree.path().join(name);
    symlink("site", at("current")).unwrap();
    let folder = Folder::new(at("current"), false);
    assert_eq!(shown(folder.open(b"file").unwrap()), "file");
    symlink("outside", at("next")).unwrap();
    fs::rename(at("next"), at("current")).unwrap();
    assert_eq!(shown(folder.open(b"file").unwrap()), "<nothing>");
    assert_eq!(shown(folder.open(b"secret").unwrap()), "secret");
    fs::remove_file(at("current")).unwrap();
    assert_eq!(shown(folder.open(b"secret").unwrap()), "<nothing>");
}

#[test]
fn an_error_is_not_nothing() {
    // Everybody may ask; only what the file system says decides.
    for error in [Errno::EACCES, Errno::EPERM, Errno::EMFILE, Errno::ENFILE, Errno::ENOMEM, Errno::EIO, Errno::EAGAIN] {
        assert!(!says_nothing_is_there(error), "{error}");
    }
}
