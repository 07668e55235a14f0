//! An unmodified Bottle application.

use crate::support::browser::{Cookies, FORM, MULTIPART, content, multipart};
use crate::support::client::Framing;
use crate::support::{Launch, Server, alike};

fn site() -> Server {
    Launch::new("bottle_site:app").venv().fixed(2, 4).start()
}

#[test]
fn routes_forms_json_and_uploads() {
    let server = site();
    let mut client = server.connect();
    assert_eq!(client.get("/hello/J%C3%BCrgen?greeting=gr%C3%BC%C3%9F+dich").text(), "Jürgen grüß dich");
    assert_eq!(client.get("/nowhere").status(), 404);
    assert_eq!(client.request("POST", "/hello/x", &[], b"").status(), 405);
    let head = client.request("HEAD", "/hello/x", &[], b"");
    assert_eq!((head.status(), head.header("Content-Length")), (200, Some("2")));
    let response = client.request("POST", "/form", &[FORM], "name=caf%C3%A9+noir&tag=a&tag=b%26c".as_bytes());
    assert_eq!(response.json(), serde_json::json!({"name": "café noir", "tags": ["a", "b&c"]}));
    let json = r#"{"key": ["välue", null]}"#;
    let expected = serde_json::json!({"received": {"key": ["välue", null]}});
    let response = client.request("POST", "/json", &[("Content-Type", "application/json")], json.as_bytes());
    assert_eq!(response.json(), expected);
    let mut cookies = Cookies::default();
    cookies.take(&response);
    assert_eq!(cookies.header(), "last=item; seen=yes");
    // Bottle decodes chunks itself where a server leaves them to it; this one does not.
    assert_eq!(alike::post_json_chunked(&mut client, "/json", json).json(), expected);
    for size in [0, 1000, 3 << 20] {
        let form = multipart("mit Grüßen", "photo.bin", &content(size));
        let expected = serde_json::json!({"filename": "photo.bin", "size": size, "comment": "mit Grüßen"});
        assert_eq!(client.request("POST", "/upload", &[MULTIPART], &form).json(), expected);
    }
    let large = content(2 << 20);
    assert!(client.request("PUT", "/mirror", &[], &large).body == large);
}

#[test]
fn streams_files_and_failures() {
    let server = site();
    alike::streams_as_it_is_made(&server);
    let mut client = server.connect();
    let (response, source) = alike::sends_its_source(&mut client, "bottle_site.py");
    assert_eq!(response.framing, Framing::Length(source.len()));
    let part = client.request("GET", "/source", &[("Range", "bytes=3-9")], b"");
    assert_eq!((part.status(), &*part.body), (206, &source[3..10]));
    let since = response.header("Last-Modified").expect("Bottle sends one").to_owned();
    let unchanged = client.request("GET", "/source", &[("If-Modified-Since", &since)], b"");
    assert_eq!((unchanged.status(), unchanged.body.len()), (304, 0));
    assert_eq!(client.get("/fails").status(), 500);
    server.await_log("RuntimeError: Bottle route failed on purpose");
    assert_eq!(client.get("/hello/again").text(), "again ");
}
