//! What the command sends: forms, credentials, and where to.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use loadgen::Report;

use crate::command::{command, loadgen, text};
use crate::server::{OK, Request, Server, check};

/// A server that answers and tells the test what it was asked.
fn listening() -> (Server, Receiver<Request>) {
    let (tell, heard) = channel();
    let server = Server::start(move |client| {
        while let Some(request) = client.request() {
            // The test may have heard enough.
            let _ = tell.send(request);
            client.send(OK);
        }
    });
    (server, heard)
}

/// One request with these words, as the server saw it.
fn asked(words: &[&str]) -> Request {
    let (server, heard) = listening();
    let url = server.target().to_string();
    let output = loadgen(&[&["--target", &url, "-n", "1", "-c", "1", "-q"][..], words].concat());
    assert!(matches!(output.status.code(), Some(0 | 5)), "{output:?}");
    heard.recv().unwrap()
}

#[test]
fn a_form_is_submitted() {
    let request = asked(&["--form", "name=a b", "--form", "q=1&2"]);
    assert!(request.head.starts_with("POST / HTTP/1.1\r\n"), "{}", request.head);
    assert!(request.head.contains("Content-Type: application/x-www-form-urlencoded\r\n"), "{}", request.head);
    assert_eq!(text(&request.body), "name=a+b&q=1%262");
}

#[test]
fn a_file_is_uploaded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("note.txt");
    std::fs::write(&path, "from a file").unwrap();
    let request = asked(&["--form", "title=x", "--form", &format!("upload=@{}", path.display())]);
    let (_, boundary) = request.head.split_once("multipart/form-data; boundary=").unwrap();
    let boundary = boundary.lines().next().unwrap();
    let body = text(&request.body);
    assert!(body.starts_with(&format!("--{boundary}\r\n")) && body.ends_with(&format!("--{boundary}--\r\n")), "{body}");
    assert!(body.contains("name=\"upload\"; filename=\"note.txt\"\r\n"), "{body}");
    assert!(body.contains("\r\n\r\nfrom a file\r\n"), "{body}");

    let output = loadgen(&["--target", "http://a/", "--form", "upload=@/nonexistent"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("cannot read --form /nonexistent"), "{output:?}");
}

#[test]
fn credentials_are_sent_and_kept_out_of_the_report() {
    let request = asked(&["--basic-auth", "Aladdin:open sesame"]);
    assert!(request.head.contains("Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"), "{}", request.head);

    let (server, heard) = listening();
    let url = server.target().to_string();
    let mut run = command(&["--target", &url, "-n", "1", "-c", "1", "-q", "--json"]);
    let output = run.env("LOADGEN_BEARER", "a-secret-token").output().unwrap();
    assert!(heard.recv().unwrap().head.contains("Authorization: Bearer a-secret-token\r\n"));
    let everything = text(&output.stdout) + &text(&output.stderr);
    assert!(!everything.contains("a-secret-token"), "{everything}");
    let report: Report = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report.setup.headers, [("Authorization".to_owned(), "(hidden)".to_owned())]);
}

#[test]
fn a_host_without_an_address_can_be_given_one() {
    let (server, heard) = listening();
    let (_, port) =
        server.target().host().split_once(':').map(|(host, port)| (host.to_owned(), port.to_owned())).unwrap();
    let url = format!("http://shop.invalid:{port}/");
    let words = ["--target", &url, "-n", "2", "-c", "1", "-q", "--json", "--resolve"];
    let output = loadgen(&[&words[..], &[&format!("shop.invalid:{port}:127.0.0.1")]].concat());
    let report: Report = serde_json::from_slice(&output.stdout).unwrap();
    check(&report);
    assert_eq!(report.answered, 2);
    assert_eq!(report.setup.address, format!("127.0.0.1:{port}"));
    assert!(heard.recv().unwrap().head.contains(&format!("Host: shop.invalid:{port}\r\n")));
    // A misspelt host would send the load elsewhere.
    let output = loadgen(&[&words[..], &["shop.invalid:1:127.0.0.1"]].concat());
    assert_eq!(output.status.code(), Some(2));
    let shown = text(&output.stderr);
    assert!(shown.contains(&format!("--resolve: shop.invalid:1 is not where {url} is")), "{shown}");
}

#[test]
fn a_url_can_be_asked_for_over_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = String::new();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).unwrap(), 0);
        }
        stream.write_all(OK).unwrap();
        head
    });
    let socket = path.to_str().unwrap();
    let output = loadgen(&["--target", "http://shop.test/cart?x", "--unix-socket", socket, "-n", "1", "-c", "1", "-q"]);
    let shown = text(&output.stdout);
    assert!(shown.contains(&format!("GET http://shop.test/cart?x over unix:{socket}")), "{shown}");
    assert!(shown.contains("1 answered, 0 failed"), "{shown}");
    let head = server.join().unwrap();
    assert!(head.starts_with("GET /cart?x HTTP/1.1\r\nHost: shop.test\r\n"), "{head}");
}
