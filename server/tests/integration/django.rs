//! Unmodified Django projects.

mod deployed;

use crate::support::browser::{Cookies, FORM, MULTIPART, content, multipart};
use crate::support::{Gate, Launch, Server, python};

fn site() -> Server {
    Launch::new("shop.wsgi:application").venv().fixed(2, 4).start()
}

#[test]
fn routes_get_paths_and_queries() {
    let server = site();
    let mut client = server.connect();
    assert_eq!(client.get("/").text(), "Hello from Django");
    assert_eq!(client.get("/items/caf%C3%A9%20%E2%9C%93/?colour=gr%C3%BCn").text(), "café ✓ grün");
    // Django sends people to the address with the slash.
    let response = client.get("/items/x");
    assert_eq!((response.status(), response.header("Location")), (301, Some("/items/x/")));
    assert_eq!(client.get("/nowhere/").status(), 404);
    let head = client.request("HEAD", "/", &[], b"");
    assert_eq!((head.status(), head.header("Content-Length")), (200, Some("17")));
}

#[test]
fn a_form_is_accepted_with_its_token_only() {
    let server = site();
    let mut client = server.connect();
    let page = client.get("/form/");
    let token = page.text().split("value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a token");
    let mut cookies = Cookies::default();
    cookies.take(&page);
    let body = format!("csrfmiddlewaretoken={token}&name=J%C3%BCrgen&tag=a&tag=b");
    let accepted = client.request("POST", "/form/", &[FORM, ("Cookie", &cookies.header())], body.as_bytes());
    assert_eq!(accepted.json(), serde_json::json!({"name": "Jürgen", "tags": ["a", "b"]}));
    assert_eq!(client.request("POST", "/form/", &[FORM], b"name=mallory").status(), 403);
}

#[test]
fn json_is_read_chunked_or_not() {
    let server = site();
    let mut client = server.connect();
    let body = r#"{"price": 1.5, "name": "café"}"#;
    let expected = serde_json::json!({"received": {"price": 1.5, "name": "café"}, "type": "application/json"});
    let response = client.request("POST", "/json/", &[("Content-Type", "application/json")], body.as_bytes());
    assert_eq!(response.json(), expected);
    client.send(format!(
        "POST /json/ HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    ));
    assert_eq!(client.answer().json(), expected);
}

#[test]
fn a_session_counts_across_workers() {
    let server = site();
    let mut cookies = Cookies::default();
    for count in 1..=5 {
        let response = server.connect().request("GET", "/cart/", &[("Cookie", &cookies.header())], b"");
        assert_eq!(response.text(), count.to_string());
        cookies.take(&response);
    }
}

#[test]
fn uploads_arrive_whole_whatever_their_size() {
    let server = site();
    let mut client = server.connect();
    for size in [10, 3 << 20] {
        let file = content(size);
        let body = multipart("", "photo.bin", &file);
        let answer = client.request("POST", "/upload/", &[MULTIPART], &body).json();
        let digest = python::sha256(server.folder(), &file);
        assert_eq!(answer, serde_json::json!({"filename": "photo.bin", "size": size, "digest": digest}));
    }
}

#[test]
fn a_stream_is_sent_as_it_is_made() {
    let server = site();
    let mut gate = Gate::new(server.folder(), "gate");
    let mut client = server.connect();
    client.send_get(&gate.target_of("/stream/"));
    assert_eq!(client.begin_chunked(), b"first\n", "the second piece waits at the gate");
    gate.open();
    assert_eq!(client.try_chunk(), Ok(Some(b"second\n".to_vec())));
    assert_eq!(client.try_chunk(), Ok(None));
}

#[test]
fn a_file_is_sent() {
    let server = site();
    let source = std::fs::read(python::apps().join("shop/views.py")).expect("it is there");
    let response = server.get("/source/");
    assert_eq!(response.header("Content-Length"), Some(&*source.len().to_string()));
    assert!(response.body == source);
}

#[test]
fn a_view_that_fails_is_answered_with_500_and_logged() {
    let server = site();
    let mut client = server.connect();
    assert_eq!(client.get("/fails/").status(), 500);
    server.await_log("RuntimeError: Django view failed on purpose");
    assert!(server.log().contains("Traceback (most recent call last):"), "{}", server.log());
    assert_eq!(client.get("/").text(), "Hello from Django");
}

#[test]
fn every_process_manager_serves_django() {
    for shape in
        ["--mpm adaptive", "--mpm prefork --start-servers 2 --min-spare-servers 1", "--mpm adaptive --no-preload"]
    {
        let server = Launch::new("shop.wsgi:application").venv().args(shape).start();
        assert_eq!(server.get("/").text(), "Hello from Django", "{shape}");
    }
}
