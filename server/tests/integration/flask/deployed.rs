//! Flask as its documentation recommends to deploy it: a factory, a blueprint, `ProxyFix`.

use std::fs;
use std::ops::Range;

use crate::support::browser::{Cookies, FORM, MULTIPART, content, multipart};
use crate::support::{Client, Launch, Server, wait};

fn site() -> Server {
    let launch = Launch::new("flask_factory:create_app(max_upload=1_000_000)").venv().fixed(2, 4);
    let folder = launch.folder().to_owned();
    launch.env("FILES", folder).start()
}

/// The Cookie header of somebody who has logged in.
fn log_in(client: &mut Client) -> String {
    let mut cookies = Cookies::default();
    let response = client.request("POST", "/login", &[FORM], b"user=ada");
    assert_eq!(response.status(), 204);
    cookies.take(&response);
    cookies.header()
}

#[test]
fn a_proxy_in_front_is_believed_as_the_application_says() {
    let server = site();
    let mut client = server.connect();
    let forwarded = [
        // Of several addresses, the one that our proxy has added counts.
        ("X-Forwarded-For", "198.51.100.1, 203.0.113.7"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "shop.example"),
        ("X-Forwarded-Prefix", "/shop"),
    ];
    let answer = client.request("GET", "/address?q=1", &forwarded, b"").json();
    let expected = serde_json::json!({
        "url": "https://shop.example/shop/address?q=1", "remote": "203.0.113.7", "root": "/shop", "secure": true
    });
    assert_eq!(answer, expected);
    assert_eq!(client.get("/address").json()["url"], "http://test/address");
}

/// The headers of a request; the status of its answer, which bytes come, and whether Content-Range says so.
type Row<'a> = (&'a [(&'a str, &'a str)], u16, Range<usize>, bool);

#[test]
fn files_go_up_and_come_down_in_parts() {
    let server = site();
    let mut client = server.connect();
    let file = content(300_000);
    assert_eq!(client.request("POST", "/files/", &[MULTIPART], &multipart("", "a.bin", &file)).status(), 401);
    let cookie = log_in(&mut client);
    let cookie = ("Cookie", &*cookie);
    let response = client.request("POST", "/files/", &[MULTIPART, cookie], &multipart("", "../a b.bin", &file));
    assert_eq!((response.status(), response.json()), (201, serde_json::json!(["a_b.bin"])));
    let response = client.request("GET", "/files/a_b.bin", &[cookie], b"");
    assert!(response.body == file);
    let etag = response.header("ETag").expect("werkzeug sends one").to_owned();
    let modified = response.header("Last-Modified").expect("werkzeug sends one").to_owned();
    let last = file.len() - 1;
    let table: [Row<'_>; 9] = [
        (&[("Range", "bytes=0-0")], 206, 0..1, true),
        (&[("Range", "bytes=100000-199999")], 206, 100_000..200_000, true),
        (&[("Range", "bytes=-5")], 206, last - 4..last + 1, true),
        (&[("Range", "bytes=299999-")], 206, last..last + 1, true),
        (&[("Range", "bytes=0-9"), ("If-Range", &etag)], 206, 0..10, true),
        (&[("Range", "bytes=0-9"), ("If-Range", "\"other\"")], 200, 0..last + 1, false),
        (&[("If-None-Match", &etag)], 304, 0..0, false),
        (&[("If-Modified-Since", &modified)], 304, 0..0, false),
        (&[("If-None-Match", "\"other\"")], 200, 0..last + 1, false),
    ];
    for (headers, status, bytes, partial) in table {
        let headers = [headers, &[cookie]].concat();
        let response = client.request("GET", "/files/a_b.bin", &headers, b"");
        let range = partial.then(|| format!("bytes {}-{}/{}", bytes.start, bytes.end - 1, file.len()));
        assert_eq!((response.status(), response.header("Content-Range")), (status, range.as_deref()), "{headers:?}");
        assert!(response.body == file[bytes], "{headers:?}: {} bytes", response.body.len());
        let head = client.request("HEAD", "/files/a_b.bin", &headers, b"");
        assert_eq!((head.status(), head.body.len()), (status, 0), "{headers:?}");
    }
    let outside = client.request("GET", "/files/a_b.bin", &[("Range", "bytes=300000-"), cookie], b"");
    assert_eq!(outside.status(), 416);
    let attachment = client.request("GET", "/files/a_b.bin?attachment", &[cookie], b"");
    assert_eq!(attachment.header("Content-Disposition"), Some("attachment; filename=a_b.bin"));
    // Larger than the application wants, smaller than the server takes.
    let large = multipart("", "large.bin", &content(2_000_000));
    assert_eq!(client.request("POST", "/files/", &[MULTIPART, cookie], &large).status(), 413);
    assert_eq!(client.get("/address").status(), 200);
}

#[test]
fn a_stream_keeps_its_request() {
    let server = site();
    let mut client = server.connect();
    let cookie = log_in(&mut client);
    let cookie = ("Cookie", &*cookie);
    client.request("POST", "/files/", &[MULTIPART, cookie], &multipart("", "a.txt", b"one\ntwo\n"));
    let response = client.request("GET", "/files/a.txt/lines?first=8", &[cookie], b"");
    assert_eq!(response.text(), "ada 8 one\nada 9 two\n");
    // Flask ends the request when the response is closed, without an error.
    let notes = server.folder().join("teardowns");
    wait::until_true("the end of the request", || {
        fs::read_to_string(&notes).is_ok_and(|notes| notes.contains("/files/a.txt/lines None\n"))
    });
}
