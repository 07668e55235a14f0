//! Files that change while they are served: a response is of one version, as long as it says, or visibly cut.

use std::fs::{self, File};
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::{BELOW, DATE, STYLE, etag, launch, mount, set_modified, site, strong_tag, write};
use crate::support::wait;

#[test]
fn a_file_that_is_replaced_is_old_or_new() {
    let (launch, directory) = launch();
    let path = directory.join("page.txt");
    let versions = [vec![b'a'; 100_000], vec![b'b'; 70_000]];
    write(&path, &versions[0]);
    let server = mount(launch, "/static", &directory).start();
    let replacing = |rounds: usize| {
        for round in 0..rounds {
            let next = directory.join("next");
            write(&next, &versions[round % 2]);
            fs::rename(&next, &path).expect("a file can be replaced");
        }
    };
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut client = server.connect();
                let mut answers = 0;
                while answers == 0 || !over.load(Ordering::Relaxed) {
                    let response = client.get("/static/page.txt");
                    assert_eq!(response.status(), 200);
                    assert!(versions.contains(&response.body), "no version is {} bytes long", response.body.len());
                    answers += 1;
                }
            });
        }
        replacing(400);
        over.store(true, Ordering::Relaxed);
    });
    assert!(server.get("/static/page.txt").body == versions[1], "the last one written");
}

#[test]
fn versions_as_long_and_as_old_have_different_tags() {
    let (server, directory) = site();
    let path = directory.join("app.css");
    let mut tags = vec![strong_tag(&server, "/static/app.css")];
    let mut next_tag = || {
        let response = server.get("/static/app.css");
        assert_eq!((response.text(), response.header("Last-Modified")), (&*STYLE.to_uppercase(), Some(DATE)));
        tags.push(etag(&response));
    };
    // Other bytes in the same file, then another file under its name, each dated as a reproducible build would.
    write(&path, STYLE.to_uppercase());
    next_tag();
    write(directory.join("next"), STYLE.to_uppercase());
    fs::rename(directory.join("next"), &path).expect("a file can be replaced");
    next_tag();
    assert!(tags[0] != tags[1] && tags[1] != tags[2] && tags[2] != tags[0], "{tags:?}");
    assert!(tags[1].starts_with("W/"), "the next version might leave the same times behind it: {tags:?}");
}

#[test]
fn a_tag_is_weak_until_the_file_rests() {
    let (server, directory) = site();
    let path = directory.join("app.css");
    fs::write(&path, "just written").expect("a file can be written");
    let mut client = server.connect();
    let weak = etag(&client.get("/static/app.css"));
    assert!(weak.starts_with("W/\""), "{weak}");
    let again = client.request("GET", "/static/app.css", &[("If-None-Match", &weak)], b"");
    assert_eq!(again.status(), 304, "good enough for a cache");
    let part = client.request("GET", "/static/app.css", &[("Range", "bytes=0-3"), ("If-Range", &weak)], b"");
    assert_eq!((part.status(), part.text()), (200, "just written"), "not good enough to put parts together");
    let strong = strong_tag(&server, "/static/app.css");
    assert_eq!(weak, format!("W/{strong}"), "nothing else has changed");
    let part = client.request("GET", "/static/app.css", &[("Range", "bytes=0-3"), ("If-Range", &strong)], b"");
    assert_eq!((part.status(), part.text()), (206, "just"));
    // A date to come must not be sent, and the file has not rested since.
    set_modified(&path, 32_503_680_000);
    let future = client.get("/static/app.css");
    assert_eq!(future.header("Last-Modified"), None);
    assert!(etag(&future).starts_with("W/\""));
    fs::remove_file(&path).expect("it is there");
    assert_eq!(client.get("/static/app.css").text(), BELOW);
}

#[test]
fn a_file_that_is_cut_short_cuts_the_connection() {
    let (launch, directory) = launch();
    let path = directory.join("huge.bin");
    write(&path, "");
    // Far more than all the buffers on the way hold.
    let file = File::options().write(true).open(&path).expect("it was just written");
    file.set_len(1 << 30).expect("the file system knows sparse files");
    let server = mount(launch, "/static", &directory).start();
    let mut client = server.connect();
    client.send_get("/static/huge.bin");
    let head = client.try_head().expect("a head");
    assert_eq!(head.header("Content-Length"), Some("1073741824"));
    file.set_len(0).expect("a file can be cut");
    let rest = client.rest();
    assert!(rest.len() < 1 << 30, "it can't all have been sent");
    assert_eq!(server.get("/static/app.css").text(), STYLE, "others are served on");
}

#[test]
fn a_file_that_grows_is_sent_as_long_as_it_was() {
    const LEN: usize = 64 << 20;
    let (launch, directory) = launch();
    let path = directory.join("growing.log");
    write(&path, "");
    let mut file = File::options().append(true).open(&path).expect("it was just written");
    file.set_len(LEN as u64).expect("the file system knows sparse files");
    let server = mount(launch, "/static", &directory).start();
    let mut client = server.connect();
    client.send_get("/static/growing.log");
    let head = client.try_head().expect("a head");
    file.write_all(b"one line more").expect("there is room");
    let body = client.body_of(&head).expect("all of it");
    assert!(body.len() == LEN && body.iter().all(|byte| *byte == 0));
    assert_eq!(client.get("/static/app.css").text(), STYLE, "the next response begins where it should");
    let now = client.request("GET", "/static/growing.log", &[("Range", "bytes=-13")], b"");
    assert_eq!(now.text(), "one line more");
}

#[test]
fn a_client_that_leaves_takes_nothing_with_it() {
    let (launch, directory) = launch();
    let path = directory.join("huge.bin");
    write(&path, "");
    let file = File::options().write(true).open(&path).expect("it was just written");
    file.set_len(1 << 30).expect("the file system knows sparse files");
    let server = mount(launch, "/static", &directory).start();
    for _ in 0..8 {
        let mut client = server.connect();
        client.send_get("/static/huge.bin");
        client.try_head().expect("a head");
    }
    // Neither threads nor connections are held by those who left.
    assert_eq!(server.get("/static/app.css").text(), STYLE);
    wait::until_true("their connections are gone", || server.status().connections() == 0);
    let mut slow = server.connect();
    slow.send_get("/static/huge.bin");
    slow.try_head().expect("a head");
    for _ in 0..4 {
        assert_eq!(server.get("/static/app.css").text(), STYLE, "a slow reader holds no thread");
    }
    file.set_len(0).expect("a file can be cut");
    assert!(slow.rest().len() < 1 << 30, "what was promised can't be sent any more");
}
