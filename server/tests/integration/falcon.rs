//! An unmodified Falcon application.

use crate::support::browser::{MULTIPART, content, multipart};
use crate::support::client::Framing;
use crate::support::{Gate, Launch, Server, python};

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
    client.send(format!(
        "POST /items HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    ));
    assert_eq!(client.answer().json(), expected);
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
    let mut gate = Gate::new(server.folder(), "gate");
    let mut client = server.connect();
    client.send_get(&gate.target_of("/stream"));
    assert_eq!(client.begin_chunked(), b"first\n", "the second piece waits at the gate");
    gate.open();
    assert_eq!(client.try_chunk(), Ok(Some(b"second\n".to_vec())));
    assert_eq!(client.try_chunk(), Ok(None));
    let source = std::fs::read(python::apps().join("falcon_site.py")).expect("it is there");
    let response = client.get("/source");
    assert_eq!(response.framing, Framing::Length(source.len()));
    assert!(response.body == source);
    assert_eq!(client.get("/fails").status(), 500);
    server.await_log("RuntimeError: Falcon responder failed on purpose");
    assert_eq!(client.get("/hello/again").text(), "again ");
}
