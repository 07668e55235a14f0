//! Nothing but regular files below the directory is ever served.

use std::fs;
use std::os::unix::fs::symlink;

use nix::sys::stat::Mode;

use super::{BELOW, STYLE, launch, mount, write};

const SECRET: &str = "a secret beside the directory";

#[test]
fn no_path_leads_out_of_the_directory() {
    let (launch, directory) = launch();
    let parent = directory.parent().expect("it has one").to_owned();
    write(parent.join("secret"), SECRET);
    write(parent.join("site-secret/secret"), SECRET);
    write(directory.join("sub/file"), "file");
    write(directory.join(".env"), SECRET);
    write(directory.join(".git/config"), SECRET);
    write(directory.join("sub/.htpasswd"), SECRET);
    write(directory.join("a\\b"), SECRET);
    write(directory.join("%2e%2e"), "a strange name");
    write(directory.join(".well-known/security.txt"), "meant to be seen");
    let absolute = parent.join("secret").display().to_string();
    let launch = mount(launch, "/static", &directory);
    let server = mount(launch, "/", &directory).start();
    let below = (200, BELOW);
    let table = [
        ("/static/../secret", below),
        ("/static/sub/../../secret", below),
        ("/static/sub/../app.css", below),
        ("/static/./app.css", below),
        ("/static/..", below),
        ("/static/../", below),
        ("/../secret", below),
        ("/static/%2e%2e/secret", below),
        ("/static/%2E%2E/secret", below),
        ("/static/.%2e/secret", below),
        ("/static/%2e./secret", below),
        ("/static/..%2fsecret", below),
        ("/static/..%2Fsecret", below),
        ("/static/%2e%2e%2fsecret", below),
        ("/static/sub%2f..%2f..%2fsecret", below),
        ("/static/sub%2ffile", below),
        ("/static/..\\secret", below),
        ("/static/..%5csecret", below),
        ("/static/..%5Csecret", below),
        ("/static/a\\b", below),
        ("/static/a%5Cb", below),
        // Decoded once: the name is `%2e%2e`, and there is such a file here.
        ("/static/%252e%252e", (200, "a strange name")),
        ("/static/%252e%252e/secret", below),
        ("/static/%252e%252e%252fsecret", below),
        ("/static/..%252fsecret", below),
        // Overlong UTF-8 of a dot and a slash: bytes like others, of which no file is named.
        ("/static/%c0%ae%c0%ae/secret", below),
        ("/static/..%c0%afsecret", below),
        ("/static/../site-secret/secret", below),
        ("/static-secret/secret", below),
        ("/static%2fapp.css", below),
        ("//static/app.css", below),
        ("/static//app.css", below),
        ("/static//etc/passwd", below),
        ("/static/%2fetc%2fpasswd", below),
        ("/static/etc/passwd", below),
        ("/static/~/x", below),
        ("/static/.env", below),
        ("/static/%2eenv", below),
        ("/static/.git/config", below),
        ("/static/sub/.htpasswd", below),
        ("/.env", below),
        ("/static/.well-known/security.txt", (200, "meant to be seen")),
        ("/.well-known/security.txt", (200, "meant to be seen")),
        ("/static/app.css;x", below),
        ("/static/app.css.", below),
        ("/static/APP.CSS", below),
        ("/static/%61pp.css", (200, STYLE)),
        ("/%73tatic/app.css", (200, STYLE)),
        ("http://test/static/../secret", below),
    ];
    // Each on a connection of its own, as a client that doesn't tidy paths up sends it.
    for (target, expected) in table {
        let response = server.get(target);
        assert_eq!((response.status(), response.text()), expected, "{target}");
    }
    for target in [format!("/static/{absolute}"), format!("/static/..{absolute}"), format!("/{absolute}")] {
        assert_eq!(server.get(&target).text(), BELOW, "{target}");
    }
    assert_eq!(server.get(&format!("/static/{}", "x/".repeat(2000))).text(), BELOW);
    assert_eq!(server.get(&format!("/static/{}", "x".repeat(300))).text(), BELOW);
    // A control character, an escaped NUL and a percent sign that begins no escape are no request at all.
    for target in ["css\0", "\x01", "css%00", "css%00.txt", "%00", "%zz", "%", "css%", "%4"] {
        assert_eq!(server.get(&format!("/static/app.{target}")).status(), 400, "{target:?}");
    }
}

#[test]
fn links_lead_nowhere_else_unless_allowed() {
    for allowed in [false, true] {
        let (launch, directory) = launch();
        let parent = directory.parent().expect("it has one").to_owned();
        write(parent.join("outside/secret"), SECRET);
        write(directory.join("sub/file"), "file");
        symlink("app.css", directory.join("link")).expect("links can be made");
        symlink("../app.css", directory.join("sub/up")).expect("links can be made");
        symlink("../outside/secret", directory.join("out")).expect("links can be made");
        symlink(parent.join("outside/secret"), directory.join("out-absolute")).expect("links can be made");
        symlink("../outside", directory.join("out-directory")).expect("links can be made");
        symlink("/proc/self/root", directory.join("magic")).expect("links can be made");
        // The directory itself may be a link: it is the operator's word.
        symlink("site", parent.join("current")).expect("links can be made");
        let launch = mount(launch, "/static", &parent.join("current"));
        let server = if allowed { launch.args("--static-follow-links") } else { launch }.start();
        let inside = [("/static/link", STYLE), ("/static/sub/up", STYLE), ("/static/sub/file", "file")];
        let outside = ["/static/out", "/static/out-absolute", "/static/out-directory/secret"];
        for (target, expected) in inside {
            assert_eq!(server.get(target).text(), expected, "{target}");
        }
        for target in outside {
            assert_eq!(server.get(target).text(), if allowed { SECRET } else { BELOW }, "{target}, allowed: {allowed}");
        }
        let magic = server.get("/static/magic/etc/passwd");
        assert_eq!(magic.text() == BELOW, !allowed, "{magic:?}");
    }
}

#[test]
fn only_regular_files_are_opened_and_nothing_hangs() {
    let (launch, directory) = launch();
    let fifo = directory.join("fifo");
    nix::unistd::mkfifo(&fifo, Mode::S_IRWXU).expect("a FIFO can be made");
    fs::create_dir(directory.join("fifo.d")).expect("a directory can be made");
    symlink("/dev/zero", directory.join("zero")).expect("links can be made");
    let server = mount(launch, "/static", &directory).args("--static-follow-links").start();
    // More than there are threads: each would be held for ever.
    for _ in 0..4 {
        for target in ["/static/fifo", "/static/zero", "/static/fifo.d"] {
            assert_eq!(server.get(target).text(), BELOW, "{target}");
        }
    }
    assert_eq!(server.get("/static/app.css").text(), STYLE);
}
