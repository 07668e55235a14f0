//! Which part or form of a file a request gets, if it gets any: conditions, ranges, precompressed siblings.

use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::FileExt;

use super::{DATE, STYLE, etag, launch, mount, set_modified, site, strong_tag, write};
use crate::support::browser::content;
use crate::support::client::Framing;

type Header<'a> = (&'a str, &'a str);

const EARLIER: &str = "Sun, 09 Sep 2001 01:46:39 GMT";

/// Rules: `code_304_headers`, `code_304_no_content`, `content_length_same_304_200`.
#[test]
fn conditions_decide_and_the_connection_stays() {
    let (server, _directory) = site();
    let tag = &*strong_tag(&server, "/static/app.css");
    let asked_before = server.requests();
    let mut client = server.connect();
    let weak = &*format!("W/{tag}");
    let list = &*format!("\"a\", {weak}");
    let table: [(&[Header], u16); 18] = [
        (&[("If-None-Match", tag)], 304),
        (&[("If-None-Match", weak)], 304),
        (&[("If-None-Match", list)], 304),
        (&[("If-None-Match", "*")], 304),
        (&[("If-None-Match", "\"other\"")], 200),
        (&[("If-None-Match", "\"other\""), ("If-Modified-Since", DATE)], 200),
        (&[("If-Modified-Since", DATE)], 304),
        (&[("If-Modified-Since", EARLIER)], 200),
        (&[("If-Modified-Since", "nonsense")], 200),
        (&[("If-Match", tag)], 200),
        (&[("If-Match", "*")], 200),
        (&[("If-Match", weak)], 412),
        (&[("If-Match", "\"other\"")], 412),
        (&[("If-Match", "\"other\""), ("If-None-Match", tag)], 412),
        (&[("If-Unmodified-Since", DATE)], 200),
        (&[("If-Unmodified-Since", EARLIER)], 412),
        // A range is considered only of what would be sent.
        (&[("Range", "bytes=0-1"), ("If-None-Match", tag)], 304),
        (&[("Range", "bytes=99-"), ("If-Match", "\"other\"")], 412),
    ];
    for (headers, status) in table {
        for method in ["GET", "HEAD"] {
            let response = client.request(method, "/static/app.css", headers, b"");
            assert_eq!(response.status(), status, "{method} {headers:?}");
            match status {
                200 if method == "GET" => assert_eq!(response.text(), STYLE),
                304 => {
                    assert_eq!(response.framing, Framing::None);
                    assert_eq!(etag(&response), tag);
                    assert_eq!(response.header("Last-Modified"), None);
                    assert_eq!(response.header("Content-Length"), None);
                    assert_eq!(response.header("Content-Type"), None);
                }
                _ => {}
            }
        }
    }
    assert_eq!(server.requests() - asked_before, 36, "all on one connection");
}

/// Rules: `code_206_content_range`, `code_206_headers`, `code_416_content_range`.
#[test]
fn ranges_are_exact_to_the_byte() {
    let (launch, directory) = launch();
    // More than one write of any buffer on the way.
    let bytes = content(300_007);
    write(directory.join("data.bin"), &bytes);
    let server = mount(launch, "/static", &directory).start();
    let tag = &*strong_tag(&server, "/static/data.bin");
    let mut client = server.connect();
    let table: [(&str, &[Header], Range<usize>); 14] = [
        ("bytes=0-0", &[], 0..1),
        ("bytes=1-299999", &[], 1..300_000),
        ("bytes=300006-", &[], 300_006..300_007),
        ("bytes=0-", &[], 0..300_007),
        ("bytes=-1", &[], 300_006..300_007),
        ("bytes=-70000", &[], 230_007..300_007),
        ("bytes=-99999999999999999999", &[], 0..300_007),
        ("bytes=5-99999999999999999999", &[], 5..300_007),
        // Two that touch are one.
        ("bytes=10-19,20-29", &[], 10..30),
        ("bytes=7-8", &[("If-Range", tag)], 7..9),
        ("bytes=7-8", &[("If-Range", DATE)], 7..9),
        ("bytes=7-8", &[("If-Match", tag)], 7..9),
        ("bytes=7-8", &[("If-None-Match", "\"other\"")], 7..9),
        ("bytes=7-8", &[("If-Modified-Since", EARLIER)], 7..9),
    ];
    for (range, headers, expected) in table {
        let headers = [&[("Range", range)], headers].concat();
        let response = client.request("GET", "/static/data.bin", &headers, b"");
        assert_eq!(response.status(), 206, "{headers:?}");
        let described = format!("bytes {}-{}/300007", expected.start, expected.end - 1);
        assert_eq!(response.header("Content-Range"), Some(&*described), "{headers:?}");
        assert_eq!(response.framing, Framing::Length(expected.len()), "{headers:?}");
        assert!(response.body == bytes[expected], "{headers:?}");
        assert_eq!(etag(&response), tag);
    }
    let whole: [&[Header]; 9] = [
        // Parts that don't touch; another unit; malformed.
        &[("Range", "bytes=0-1,5-6")],
        &[("Range", "lines=0-1")],
        &[("Range", "bytes=5-4")],
        &[("Range", "bytes=x")],
        &[("Range", "bytes=0-1"), ("Range", "bytes=0-1")],
        // Of another version.
        &[("Range", "bytes=0-1"), ("If-Range", "\"other\"")],
        &[("Range", "bytes=0-1"), ("If-Range", EARLIER)],
        &[("Range", "bytes=0-1"), ("If-Range", "nonsense")],
        // There is nothing behind the end of another version either.
        &[("Range", "bytes=300007-"), ("If-Range", "\"other\"")],
    ];
    for headers in whole {
        let response = client.request("GET", "/static/data.bin", headers, b"");
        assert_eq!((response.status(), response.header("Content-Range")), (200, None), "{headers:?}");
        assert!(response.body == bytes, "{headers:?}");
    }
    for range in ["bytes=300007-", "bytes=99999999999999999999-", "bytes=-0", "bytes=300007-,400000-500000"] {
        let response = client.request("GET", "/static/data.bin", &[("Range", range)], b"");
        assert_eq!((response.status(), response.header("Content-Range")), (416, Some("bytes */300007")), "{range}");
        // Range means nothing with HEAD.
        let head = client.request("HEAD", "/static/data.bin", &[("Range", range)], b"");
        assert_eq!((head.status(), head.header("Content-Length")), (200, Some("300007")), "{range}");
    }
    assert!(client.get("/static/data.bin").body == bytes, "the connection is still good");
}

#[test]
fn an_empty_file_is_a_file() {
    let (launch, directory) = launch();
    write(directory.join("empty.txt"), "");
    let server = mount(launch, "/static", &directory).start();
    let mut client = server.connect();
    for headers in [&[][..], &[("Range", "bytes=0-")], &[("Range", "bytes=-5")]] {
        let response = client.request("GET", "/static/empty.txt", headers, b"");
        assert_eq!((response.status(), response.framing), (200, Framing::Length(0)), "{headers:?}");
    }
    assert_eq!(client.get("/static/app.css").text(), STYLE);
}

#[test]
fn the_end_of_a_huge_file_can_be_had() {
    const LEN: u64 = 5 << 30;
    let (launch, directory) = launch();
    let path = directory.join("huge.bin");
    write(&path, "");
    // Sparse: it takes no room.
    let file = File::options().write(true).open(&path).expect("it was just written");
    file.set_len(LEN).expect("the file system knows sparse files");
    file.write_all_at(b"the end", LEN - 7).expect("there is room for a few bytes");
    set_modified(&path, 1_000_000_000);
    let server = mount(launch, "/static", &directory).start();
    let mut client = server.connect();
    let head = client.request("HEAD", "/static/huge.bin", &[], b"");
    assert_eq!(head.header("Content-Length"), Some("5368709120"));
    for range in ["bytes=-10", "bytes=5368709110-"] {
        let response = client.request("GET", "/static/huge.bin", &[("Range", range)], b"");
        assert_eq!(response.header("Content-Range"), Some("bytes 5368709110-5368709119/5368709120"));
        assert_eq!(response.body, b"\0\0\0the end");
    }
    // Across the bound that 32 bits would have.
    let across = client.request("GET", "/static/huge.bin", &[("Range", "bytes=4294967290-4295967300")], b"");
    assert!(across.body.len() == 1_000_011 && across.body.iter().all(|byte| *byte == 0));
}

#[test]
fn precompressed_siblings_are_sent_to_those_who_take_them() {
    let (launch, directory) = launch();
    for (name, content) in [("app.css.br", "brotli"), ("app.css.gz", "gzipped"), ("old.css.gz", "stale")] {
        write(directory.join(name), content);
    }
    write(directory.join("old.css"), "edited since");
    set_modified(directory.join("old.css"), 1_000_000_001);
    fs::create_dir(directory.join("app.css.zst")).expect("a directory can be made");
    let server = mount(launch, "/static", &directory).args("--static-precompressed").start();
    let mut client = server.connect();
    let table = [
        ("/static/app.css", None, None, STYLE),
        ("/static/app.css", Some("gzip, deflate, br, zstd"), Some("br"), "brotli"),
        ("/static/app.css", Some("gzip"), Some("gzip"), "gzipped"),
        ("/static/app.css", Some("br;q=0.5, gzip"), Some("gzip"), "gzipped"),
        // What bears that name is no file.
        ("/static/app.css", Some("zstd, gzip;q=0.1"), Some("gzip"), "gzipped"),
        ("/static/app.css", Some("identity, *;q=0.1"), None, STYLE),
        ("/static/old.css", Some("gzip"), None, "edited since"),
    ];
    let mut tags = Vec::new();
    for (target, accepts, coding, text) in table {
        let headers: Vec<(&str, &str)> = accepts.map(|value| ("Accept-Encoding", value)).into_iter().collect();
        let response = client.request("GET", target, &headers, b"");
        assert_eq!((response.header("Content-Encoding"), response.text()), (coding, text), "{headers:?}");
        assert_eq!(response.header("Content-Type"), Some("text/css; charset=utf-8"));
        assert_eq!(response.header("Vary"), Some("Accept-Encoding"));
        tags.push(etag(&response));
    }
    assert!(tags[0] != tags[1] && tags[1] != tags[2] && tags[2] == tags[3], "each form has a tag of its own: {tags:?}");
    // Conditions and ranges are about the form that is chosen.
    let gzip = ("Accept-Encoding", "gzip");
    let response = client.request("GET", "/static/app.css", &[gzip, ("If-None-Match", &tags[2])], b"");
    assert_eq!((response.status(), response.header("Vary")), (304, Some("Accept-Encoding")));
    assert_eq!(client.request("GET", "/static/app.css", &[gzip, ("If-None-Match", &tags[0])], b"").status(), 200);
    let part = client.request("GET", "/static/app.css", &[gzip, ("Range", "bytes=2-3")], b"");
    assert_eq!((part.text(), part.header("Content-Range")), ("ip", Some("bytes 2-3/7")));
    // By its own name it is what it is.
    let direct = client.get("/static/app.css.gz");
    assert_eq!((direct.header("Content-Encoding"), direct.header("Content-Type")), (None, Some("application/gzip")));
}

#[test]
fn siblings_are_not_looked_for_unasked() {
    let (launch, directory) = launch();
    write(directory.join("app.css.gz"), "gzipped");
    let server = mount(launch, "/static", &directory).start();
    let response = server.connect().request("GET", "/static/app.css", &[("Accept-Encoding", "gzip")], b"");
    assert_eq!((response.text(), response.header("Vary")), (STYLE, None));
}
