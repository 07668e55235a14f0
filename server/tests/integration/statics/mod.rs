//! Static files (`--static`): what is served, with which headers, and what is left to the application.
//!
//! Most tests have the native application below the files: its `Hello, World!` says that a request went through. `Rules`
//! name entries of the list of HTTP requirements that the project is held to.

mod change;
mod fences;
mod selection;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::sys::signal::Signal;

use crate::support::browser::content;
use crate::support::client::get;
use crate::support::{Gate, Launch, Response, Server, wait};

/// The application below.
const BELOW: &str = "Hello, World!";
/// When files were modified, if one believes what is said of them.
const DATE: &str = "Sun, 09 Sep 2001 01:46:40 GMT";
const STYLE: &str = "body { color: black }\n";

/// Writes a file of that date, and the directories it needs.
fn write(path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
    let path = path.as_ref();
    fs::create_dir_all(path.parent().expect("a file stands in a directory")).expect("directories can be made");
    fs::write(path, content).expect("a file can be written");
    set_modified(path, 1_000_000_000);
}

/// Sets a file's time of modification, in seconds since 1970.
fn set_modified(path: impl AsRef<Path>, seconds: u64) {
    let file = File::options().write(true).open(path).expect("it is there");
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).expect("a time can be set");
}

/// A server to be, with nothing but the native application, and a directory for its files.
fn launch() -> (Launch, PathBuf) {
    let launch = Launch::bare().args("--app native:hello").fixed(1, 2);
    let directory = launch.folder().join("site");
    write(directory.join("app.css"), STYLE);
    (launch, directory)
}

/// `/static` over the application.
fn site() -> (Server, PathBuf) {
    let (launch, directory) = launch();
    (mount(launch, "/static", &directory).start(), directory)
}

fn mount(launch: Launch, prefix: &str, directory: &Path) -> Launch {
    launch.arg("--static").arg(format!("{prefix}={}", directory.display()))
}

/// Headers as lines, without those that every response has, in order.
fn own_headers(response: &Response) -> Vec<String> {
    let own = response.head.headers.iter().filter(|(name, _)| name != "Date" && name != "Server");
    own.map(|(name, value)| format!("{name}: {value}")).collect()
}

fn etag(response: &Response) -> String {
    response.header("ETag").expect("a file has a tag").to_owned()
}

/// The file's tag, once it is a strong one: when the file has rested for two seconds.
fn strong_tag(server: &Server, target: &str) -> String {
    wait::until("a strong tag", || Some(etag(&server.get(target))).filter(|tag| !tag.starts_with("W/")))
}

/// Rules: `head_get_headers`, `content_length_same_head_get`, `etag_grammar`, `last_modified_grammar`.
#[test]
fn a_file_is_served_with_what_is_known_of_it() {
    let (server, _directory) = site();
    let tag = strong_tag(&server, "/static/app.css");
    let mut client = server.connect();
    let response = client.get("/static/app.css?v=1");
    assert_eq!((response.status(), response.text()), (200, STYLE));
    assert!(tag.starts_with('"') && tag.ends_with('"') && tag.contains("-16-3b9aca00.0-"), "{tag}");
    let expected = [
        "Content-Type: text/css; charset=utf-8".to_owned(),
        "X-Content-Type-Options: nosniff".to_owned(),
        "Accept-Ranges: bytes".to_owned(),
        format!("Last-Modified: {DATE}"),
        format!("ETag: {tag}"),
        "Content-Length: 22".to_owned(),
    ];
    assert_eq!(own_headers(&response), expected);
    // HEAD says the same, and nothing more comes.
    let head = client.request("HEAD", "/static/app.css", &[], b"");
    assert_eq!((head.status(), own_headers(&head)), (200, expected.to_vec()));
    assert_eq!(client.get("/elsewhere").text(), BELOW);
    // Nobody asked for a file.
    assert_eq!(client.get("/app.css").text(), BELOW);
}

#[test]
fn what_is_no_file_is_the_applications() {
    let (launch, directory) = launch();
    write(directory.join("sub/page.html"), "page");
    let server = mount(launch, "/static", &directory).start();
    let mut client = server.connect();
    for target in
        ["/static", "/static/", "/static/nothing", "/static/sub", "/static/sub/", "/static/app.css/", "/statics"]
    {
        let response = client.get(target);
        assert_eq!((response.status(), response.text()), (200, BELOW), "{target}");
    }
    // With any method and body.
    assert_eq!(client.request("POST", "/static/nothing", &[], b"body").text(), BELOW);
    assert_eq!(client.get("/static/sub/page.html").text(), "page");
}

/// Rules: `code_405_allow`, `code_405_blocked_methods`, `post_invalid_response_codes`.
#[test]
fn files_are_read_only() {
    let (server, _directory) = site();
    let mut client = server.connect();
    // Conditions and ranges are for those who read.
    let headers = [("If-None-Match", "*"), ("Range", "bytes=99-")];
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "get"] {
        let response = client.request(method, "/static/app.css", &headers, b"body");
        assert_eq!((response.status(), response.header("Allow")), (405, Some("GET, HEAD")), "{method}");
    }
    assert_eq!(client.get("/static/app.css").text(), STYLE, "the connection is still good");
}

/// Rule: `code_301_location`.
#[test]
fn an_index_stands_for_its_directory() {
    let (launch, directory) = launch();
    write(directory.join("docs/index.html"), "the index");
    write(directory.join("docs/a:b/index.html"), "another");
    let server = mount(launch, "/pages", &directory.join("docs")).start();
    let mut client = server.connect();
    let response = client.get("/pages/");
    assert_eq!((response.text(), response.header("Content-Type")), ("the index", Some("text/html; charset=utf-8")));
    assert_eq!(client.get("/pages/a:b/").text(), "another");
    // With the slash, relative links in the page lead where they should; the way there is relative as well.
    for (target, location) in [("/pages", "./pages/"), ("/pages?q=1", "./pages/?q=1"), ("/pages/a:b", "./a:b/")] {
        let response = client.get(target);
        assert_eq!((response.status(), response.header("Location")), (301, Some(location)), "{target}");
    }
    assert_eq!(client.request("HEAD", "/pages", &[], b"").status(), 301);
    assert_eq!(client.request("POST", "/pages", &[], b"").text(), BELOW);
    assert_eq!(client.request("POST", "/pages/", &[], b"").status(), 405);
}

#[test]
fn the_longest_prefix_wins_and_the_root_is_one() {
    let (launch, directory) = launch();
    write(directory.join("root/robots.txt"), "root");
    write(directory.join("root/a/b/file"), "hidden by the longer prefix");
    write(directory.join("root/a/c/file"), "c");
    write(directory.join("short/file"), "short");
    write(directory.join("long/file"), "long");
    let launch = mount(launch, "/", &directory.join("root"));
    let launch = mount(launch, "/a/b/", &directory.join("long"));
    let server = mount(launch, "/x", &directory.join("short")).start();
    let mut client = server.connect();
    let table = [
        ("/robots.txt", "root"),
        ("/a/b/file", "long"),
        // One prefix decides; what its directory lacks is not looked for in the others.
        ("/a/b/robots.txt", BELOW),
        ("/a/c/file", "c"),
        ("/x/file", "short"),
        ("/%78/file", "short"),
        ("/", BELOW),
        ("/anything", BELOW),
    ];
    for (target, expected) in table {
        assert_eq!(client.get(target).text(), expected, "{target}");
    }
    client.send("OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(client.answer().text(), BELOW);
    client.send("GET http://test/robots.txt HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(client.answer().text(), "root", "absolute-form has the same path");
}

#[test]
fn files_and_answers_of_the_application_keep_their_order() {
    let (launch, directory) = launch();
    let bytes = content(200_000);
    write(directory.join("data.bin"), &bytes);
    let server = mount(launch, "/static", &directory).start();
    let mut client = server.connect();
    // All at once, and read only afterwards: the socket is full long before the last one is answered.
    let three = [get("/static/data.bin"), get("/hello"), get("/static/app.css")].concat();
    client.send(three.repeat(30));
    for _ in 0..30 {
        assert!(client.answer().body == bytes);
        assert_eq!(client.answer().text(), BELOW);
        assert_eq!(client.answer().text(), STYLE);
    }
    client.send("GET /static/data.bin HTTP/1.0\r\n\r\n");
    let response = client.answer();
    assert!(response.closes() && response.body == bytes);
    client.expect_close();
}

#[test]
fn caches_are_told_how_long() {
    let (launch, directory) = launch();
    let server = mount(launch, "/static", &directory).args("--static-max-age 1h").start();
    let mut client = server.connect();
    let response = client.get("/static/app.css");
    assert_eq!(response.header("Cache-Control"), Some("max-age=3600"));
    let not_modified = client.request("GET", "/static/app.css", &[("If-None-Match", &etag(&response))], b"");
    assert_eq!((not_modified.status(), not_modified.header("Cache-Control")), (304, Some("max-age=3600")));
    assert_eq!(client.get("/elsewhere").header("Cache-Control"), None);
}

#[test]
fn flask_is_served_beside_its_files() {
    let launch = Launch::new("flask_site:app").venv().fixed(2, 2);
    let directory = launch.folder().join("assets");
    write(directory.join("logo.svg"), "<svg/>");
    let server = mount(launch, "/assets", &directory).start();
    let mut client = server.connect();
    for _ in 0..3 {
        assert_eq!(client.get("/").text(), "Hello from Flask");
        let response = client.get("/assets/logo.svg");
        assert_eq!((response.text(), response.header("Content-Type")), ("<svg/>", Some("image/svg+xml")));
        // Flask's own page, with Flask's own status.
        let missing = client.get("/assets/missing.svg");
        assert_eq!(missing.status(), 404);
        assert!(missing.text().contains("Not Found"), "{missing:?}");
    }
}

/// Waits at a gate, or holds the interpreter lock for ever: a match that never ends and never lets go of it.
const STUCK: &str = r#"
import os
import re


def app(environ, start_response):
    key, _, gate = environ["QUERY_STRING"].partition("=")
    if key == "gate":
        os.close(os.open(gate, os.O_RDONLY))
    else:
        open("begun", "w").close()
        re.match("(a+)+$", "a" * 80 + "b")
    start_response("200 OK", [])
    return [b"passed"]
"#;

#[test]
fn a_file_needs_no_interpreter_lock() {
    let launch = Launch::new("stuck:app").with_module("stuck", STUCK).fixed(1, 3);
    write(launch.folder().join("site/app.css"), STYLE);
    // Relative to --chdir, which is the server's own folder here.
    let server = launch.args("--static /static=site").start();
    // A thread's first breath takes the lock, so the threads have to be there before it is gone: two calls wait, and a
    // third thread serves.
    let mut gate = Gate::new(server.folder(), "gate");
    let mut waiting = [server.connect(), server.connect()];
    waiting.iter_mut().for_each(|client| client.send_get(&gate.target()));
    server.await_status("both wait", |status| status.in_flight() == 2);
    let mut client = server.connect();
    assert_eq!(client.get("/static/app.css").text(), STYLE);
    gate.open();
    waiting.iter_mut().for_each(|client| assert_eq!(client.answer().text(), "passed"));

    waiting[0].send_get("/");
    wait::until_true("the lock is taken", || server.folder().join("begun").exists());
    for _ in 0..50 {
        assert_eq!(client.get("/static/app.css").text(), STYLE);
    }
    assert_eq!(server.status().in_flight(), 1, "the call is still under way");
}

#[test]
fn the_access_log_has_them_all() {
    let (launch, directory) = launch();
    let path = launch.folder().join("access.log");
    let launch = launch.args("--access-log common --access-log-file").arg(&path);
    let mut server = mount(launch, "/static", &directory).start();
    let mut client = server.connect();
    let tag = etag(&client.get("/static/app.css"));
    client.request("HEAD", "/static/app.css", &[], b"");
    client.request("GET", "/static/app.css", &[("Range", "bytes=1-4")], b"");
    client.request("GET", "/static/app.css", &[("If-None-Match", &tag)], b"");
    client.request("GET", "/static/app.css", &[("Range", "bytes=99-")], b"");
    client.get("/static/missing");
    server.signal(Signal::SIGTERM);
    assert_eq!(server.await_exit().code(), Some(0));
    let log = fs::read_to_string(&path).expect("the log is there");
    let ends = [
        "\"GET /static/app.css HTTP/1.1\" 200 22",
        "\"HEAD /static/app.css HTTP/1.1\" 200 -",
        "\"GET /static/app.css HTTP/1.1\" 206 4",
        "\"GET /static/app.css HTTP/1.1\" 304 -",
        "\"GET /static/app.css HTTP/1.1\" 416 39",
        "\"GET /static/missing HTTP/1.1\" 200 13",
    ];
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), ends.len(), "{log}");
    for (line, end) in lines.iter().zip(ends) {
        assert!(line.ends_with(end), "{line}");
    }
}

#[test]
fn a_mount_may_come_from_the_environment_and_must_be_right() {
    let (launch, directory) = launch();
    let server = launch.env("SMARTHTTPD_STATIC", format!("/e={}", directory.display())).start();
    assert_eq!(server.get("/e/app.css").text(), STYLE);
    let table = [
        (
            "/static=/nowhere/at/all",
            "--static: /nowhere/at/all is not a directory; give one for /static, or leave it out",
        ),
        (
            "static=/",
            "--static: the prefix 'static' does not begin with a slash; give /PREFIX=DIR, e.g. /static=public",
        ),
        ("/a=/,/a/=/tmp", "--static: /a is given twice; leave one out"),
    ];
    for (given, expected) in table {
        let finished = Launch::bare().args("--app native:hello --static").arg(given).fail();
        assert_eq!(finished.complaint(2), format!("smarthttpd: {expected}"));
    }
}
