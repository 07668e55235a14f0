//! An unmodified Falcon application.

use crate::support::browser::{MULTIPART, content, multipart};
use crate::support::client::Framing;
use crate::support::{Launch, Server, alike};

fn site() -> Server {
    Launch::new("falcon_site:app").venv().fixed(2, 4).start()
}

#[test]
fn routes_json_and_uploads() {
    let server = site();
    let mut client = server.connect();
    assert_eq!(client.get("/hello/J%C3%BCrgen?greeting=gr%C3%BC%C3%9F+dich").text(), "Jürgen grüß dich");
    assert_eq!(client.get("/nowhere").status(), 404);
    assert_eq!(client.request("POST", "/hello/x", &[], b"").status(), 405);
    assert_eq!(client.get("/stream").status(), 400, "the gate is required");
    let json = [("Content-Type", "application/json")];
    let body = r#"{"key": ["välue", null]}"#;
    let response = client.request("POST", "/items", &json, body.as_bytes());
    assert_eq!((response.status(), response.header("Location")), (201, Some("http://test/items/1")));
    assert_eq!(response.head.all("Set-Cookie").count(), 2);
    let expected = serde_json::json!({"received": {"key": ["välue", null]}, "length": body.len()});
    assert_eq!(response.json(), expected);
    // Chunked: the server knows the length by now.
    assert_eq!(alike::post_json_chunked(&mut client, "/items", body).json(), expected);
    assert_eq!(client.request("POST", "/items", &json, b"{broken").status(), 400);
    for size in [0, 1000, 3 << 20] {
        let form = multipart("mit Grüßen", "photo.bin", &content(size));
        let expected = serde_json::json!({
            "comment": {"filename": null, "size": 12}, "file": {"filename": "photo.bin", "size": size}
        });
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
    let (response, source) = alike::sends_its_source(&mut client, "falcon_site.py");
    assert_eq!(response.framing, Framing::Length(source.len()));
    assert_eq!(client.get("/fails").status(), 500);
    server.await_log("RuntimeError: Falcon responder failed on purpose");
    assert_eq!(client.get("/hello/again").text(), "again ");
}
