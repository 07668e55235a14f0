//! Unmodified Flask applications.

mod deployed;

use crate::support::browser::{Cookies, FORM, MULTIPART, content, multipart};
use crate::support::{Launch, Server, alike, outsider, python};

/// More than stays in memory by default (1 MiB).
const LARGE: usize = 3 << 20;

fn site() -> Server {
    Launch::new("flask_site:app").venv().fixed(2, 4).start()
}

#[test]
fn routes_get_paths_and_queries() {
    let server = site();
    let mut client = server.connect();
    assert_eq!(client.get("/").text(), "Hello from Flask");
    // Percent-encoded UTF-8 in path and query, a plus for a space.
    let response = client.get("/hello/J%C3%BCrgen%20%E2%9C%93?greeting=gr%C3%BC%C3%9F+dich");
    assert_eq!(response.text(), "Jürgen ✓ grüß dich");
    assert_eq!(response.header("Content-Type"), Some("text/html; charset=utf-8"));
    assert_eq!(client.get("/nowhere").status(), 404);
    let refused = client.request("POST", "/", &[], b"");
    assert_eq!(refused.status(), 405);
    assert!(refused.header("Allow").is_some_and(|methods| methods.contains("GET")));
    let head = client.request("HEAD", "/", &[], b"");
    assert_eq!((head.status(), head.header("Content-Length")), (200, Some("16")));
    let options = client.request("OPTIONS", "/json", &[], b"");
    assert!(options.header("Allow").is_some_and(|methods| methods.contains("PUT")));
}

#[test]
fn forms_and_json_are_read() {
    let server = site();
    let mut client = server.connect();
    let response = client.request("POST", "/form", &[FORM], "name=caf%C3%A9+noir&tag=a&tag=b%26c".as_bytes());
    assert_eq!(response.json(), serde_json::json!({"name": "café noir", "tags": ["a", "b&c"]}));
    let json = [("Content-Type", "application/json")];
    let response = client.request("PUT", "/json", &json, r#"{"key": ["välue", 1.5, null]}"#.as_bytes());
    assert_eq!(response.json(), serde_json::json!({"received": {"key": ["välue", 1.5, null]}, "method": "PUT"}));
    assert_eq!(client.request("POST", "/json", &json, b"{broken").status(), 400);
    assert_eq!(client.request("POST", "/form", &[FORM], b"").status(), 400);
}

#[test]
fn a_session_lives_in_cookies_across_a_redirect() {
    let server = site();
    let mut client = server.connect();
    assert_eq!(client.get("/profile").status(), 403);
    let response = client.request("POST", "/login", &[FORM], b"user=ada");
    assert_eq!((response.status(), response.header("Location")), (302, Some("/profile")));
    let mut cookies = Cookies::default();
    cookies.take(&response);
    let headers = [("Cookie", &*cookies.header())];
    assert_eq!(client.request("GET", "/profile", &headers, b"").text(), "user ada");
    // Sessions don't depend on the worker.
    for _ in 0..4 {
        assert_eq!(server.connect().request("GET", "/profile", &headers, b"").text(), "user ada");
    }
}

#[test]
fn uploads_arrive_whole_whatever_their_size() {
    let server = site();
    let mut client = server.connect();
    for size in [0, 1000, LARGE] {
        let file = content(size);
        let body = multipart("mit Grüßen", "photo.bin", &file);
        let answer = client.request("POST", "/upload", &[MULTIPART], &body).json();
        let expected = serde_json::json!({
            "filename": "photo.bin", "size": size, "digest": python::sha256(server.folder(), &file), "comment": "mit Grüßen"
        });
        assert_eq!(answer, expected);
    }
}

#[test]
fn a_chunked_upload_arrives_whole() {
    let server = site();
    let file = content(LARGE);
    let mut client = server.connect();
    client.send("POST /digest HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n");
    for chunk in file.chunks(70_001) {
        client.send([format!("{:X}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
    }
    client.send("0\r\n\r\n");
    assert_eq!(
        client.answer().json(),
        serde_json::json!({"size": LARGE, "digest": python::sha256(server.folder(), &file)})
    );
}

#[test]
fn a_stream_is_sent_as_it_is_made() {
    let server = site();
    alike::streams_as_it_is_made(&server);
}

#[test]
fn files_are_sent() {
    let server = site();
    let mut client = server.connect();
    let (response, source) = alike::sends_its_source(&mut client, "flask_site.py");
    let etag = response.header("ETag").expect("Flask sends one").to_owned();
    let unchanged = client.request("GET", "/source", &[("If-None-Match", &etag)], b"");
    assert_eq!((unchanged.status(), unchanged.body.len()), (304, 0));
    let part = client.request("GET", "/source", &[("Range", "bytes=3-9")], b"");
    assert_eq!((part.status(), &*part.body), (206, &source[3..10]));
    let head = client.request("HEAD", "/source", &[], b"");
    assert_eq!(head.header("Content-Length"), Some(&*source.len().to_string()));
    let generated = client.get("/generated");
    assert_eq!(generated.body, b"0123456789".repeat(10_000));
    assert_eq!(client.get("/").text(), "Hello from Flask");
}

#[test]
fn a_view_that_fails_is_answered_with_500_and_logged() {
    let server = site();
    let mut client = server.connect();
    let response = client.get("/fails");
    assert_eq!(response.status(), 500);
    assert!(!response.text().contains("on purpose"));
    server.await_log("RuntimeError: Flask view failed on purpose");
    assert!(server.log().contains("Traceback (most recent call last):"), "{}", server.log());
    assert_eq!(client.get("/").text(), "Hello from Flask");
}

#[test]
fn the_environ_is_what_flask_expects() {
    let server = site();
    let address = server.address();
    let url = format!("http://{address}/address?x=1");
    let answer = outsider::client().get(&url).send().expect("an answer");
    let answer: serde_json::Value = answer.json().expect("JSON");
    let expected = serde_json::json!({
        "url": url, "remote": "127.0.0.1", "host": address.to_string(), "scheme": "http"
    });
    assert_eq!(answer, expected);
    let environ = server.get("/environ").json();
    assert_eq!(environ["SERVER_PORT"], address.port().to_string());
    assert_eq!(environ["wsgi.multiprocess"], true);
    assert_eq!(environ["wsgi.multithread"], true);
}

#[test]
fn every_process_manager_serves_flask() {
    for shape in
        ["--mpm adaptive", "--mpm prefork --start-servers 2 --min-spare-servers 1", "--mpm adaptive --no-preload"]
    {
        let server = Launch::new("flask_site:app").venv().args(shape).start();
        assert_eq!(server.get("/").text(), "Hello from Flask", "{shape}");
    }
}
