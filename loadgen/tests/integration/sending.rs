//! What the command sends: forms, credentials, and where to.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicUsize, Ordering};
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

/// What the server hears until the load is over.
fn heard_with(server: Server, heard: &Receiver<Request>, words: &[&str]) -> (Vec<Request>, Report) {
    let output = loadgen(&[&["-q", "--json"][..], words].concat());
    assert!(matches!(output.status.code(), Some(0 | 5)), "{output:?}");
    let report: Report = serde_json::from_slice(&output.stdout).unwrap();
    check(&report);
    drop(server);
    (heard.iter().collect(), report)
}

#[test]
fn places_are_filled_in_with_numbers_of_their_own() {
    let (server, heard) = listening();
    let url = format!("{}items/{{seq}}?r={{rand:7..9}}", server.target());
    let body = r#"{"id": {seq}, "other": {}}"#;
    let words = ["--target", &url, "-n", "200", "-c", "8", "--threads", "2", "-X", "PUT", "-H", "X-Id: {seq}"];
    let (requests, report) = heard_with(server, &heard, &[&words[..], &["--body", body]].concat());
    assert_eq!((report.answered, report.targets.len()), (200, 0));
    let mut numbers: Vec<u64> = requests
        .iter()
        .map(|request| {
            let (id, rest) = request.head.strip_prefix("PUT /items/").unwrap().split_once("?r=").unwrap();
            let random = rest.split(' ').next().unwrap();
            assert!(["7", "8", "9"].contains(&random), "{random}");
            assert!(request.head.contains(&format!("X-Id: {id}\r\n")), "{}", request.head);
            assert_eq!(text(&request.body), format!(r#"{{"id": {id}, "other": {{}}}}"#));
            id.parse().unwrap()
        })
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 200, "no number twice");
}

#[test]
fn a_list_of_requests_is_sent_in_turn_and_by_weight() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (list, body) = (path("list.txt"), path("item.json"));
    std::fs::write(&body, "{\"n\": {seq}}").unwrap();
    let (server, heard) = listening();
    let url = server.target().to_string();
    std::fs::write(&list, format!("# weight: 3\nGET {url}a/{{seq}}\nAccept: x/y\n\nPOST /b\n@{body}\n")).unwrap();
    let (requests, report) = heard_with(server, &heard, &["--targets", &list, "-n", "12", "-c", "1", "-H", "X-All: 1"]);
    let lines: Vec<&str> = requests.iter().map(|request| request.head.lines().next().unwrap()).collect();
    // The middle of the light one's share is that of the heavy one's second.
    assert_eq!(
        lines[..5],
        ["GET /a/1 HTTP/1.1", "GET /a/2 HTTP/1.1", "POST /b HTTP/1.1", "GET /a/4 HTTP/1.1", "GET /a/5 HTTP/1.1"]
    );
    assert!(requests.iter().all(|request| request.head.contains("X-All: 1\r\n")));
    assert!(requests[0].head.contains("Accept: x/y\r\n") && !requests[2].head.contains("Accept"));
    assert_eq!(text(&requests[2].body), "{\"n\": 3}");
    let counts: Vec<_> = report.targets.iter().map(|one| (one.path.as_str(), one.requests, one.answered)).collect();
    assert_eq!(counts, [("/a/{seq}", 9, 9), ("/b", 3, 3)]);
    assert_eq!(report.targets[0].latency.as_ref().unwrap().count, 9);
}

#[test]
fn a_list_in_random_order_is_the_same_for_a_seed() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list.txt");
    let list = list.to_str().unwrap();
    std::fs::write(list, "GET /1\nGET /2\nGET /3\nGET /4\n").unwrap();
    let paths = |seed: &str| {
        let (server, heard) = listening();
        let url = server.target().to_string();
        let words = ["--target", &url, "--targets", list, "--order", "random", "--seed", seed, "-n", "40", "-c", "1"];
        let (requests, report) = heard_with(server, &heard, &words);
        assert_eq!(report.targets.iter().map(|one| one.requests).sum::<u64>(), 40);
        requests.iter().map(|request| request.head.lines().next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(paths("5"), paths("5"));
    assert_ne!(paths("5"), paths("6"));
}

#[test]
fn a_list_that_cannot_be_used_names_the_line() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list.txt");
    std::fs::write(&list, "GET http://a/\n\nGET http://b/\n").unwrap();
    let list = list.to_str().unwrap();
    let rows = [
        (vec!["--targets", list], format!("--targets {list}, line 3: http://b/ is not on the host of http://a/")),
        (vec!["--targets", "/nonexistent"], "cannot read --targets /nonexistent".to_owned()),
        (vec!["--targets", list, "-X", "PUT"], "cannot be used with".to_owned()),
        (vec!["--target", "http://a/{rand:9..1}"], "--target: \"{rand:9..1}\" is no place to fill in".to_owned()),
    ];
    for (words, expected) in rows {
        let output = loadgen(&words);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(text(&output.stderr).contains(&expected), "{expected}: {output:?}");
    }
}

#[test]
fn each_connection_sends_back_its_own_cookies() {
    let users = AtomicUsize::new(0);
    let server = Server::start(move |client| {
        let user = users.fetch_add(1, Ordering::SeqCst);
        let mut asked = 0;
        while let Some(request) = client.request() {
            let expected = match asked {
                0 => String::new(),
                1 => format!("Cookie: user={user}; theme=dark\r\n"),
                // The third response deletes one and changes the other.
                _ => format!("Cookie: user={user}-again\r\n"),
            };
            let cookie = request.head.lines().find(|line| line.starts_with("Cookie:"));
            let sent = cookie.map(|line| format!("{line}\r\n")).unwrap_or_default();
            let set = match asked {
                0 => format!("Set-Cookie: user={user}; Path=/; HttpOnly\r\nset-cookie: theme=dark\r\n"),
                1 => format!("Set-Cookie: theme=; Max-Age=0\r\nSet-Cookie: user={user}-again\r\n"),
                _ => String::new(),
            };
            let status = if sent == expected { "200 OK" } else { "400 Bad Request" };
            client.send(format!("HTTP/1.1 {status}\r\n{set}Content-Length: 0\r\n\r\n").as_bytes());
            asked += 1;
        }
    });
    let url = server.target().to_string();
    let output = loadgen(&["--target", &url, "-n", "300", "-c", "4", "-q", "--json", "--cookies"]);
    let report: Report = serde_json::from_slice(&output.stdout).unwrap();
    check(&report);
    assert_eq!((report.status_class(2), report.connects), (300, 4), "{:?}", report.statuses);
}

#[test]
fn a_list_may_mix_answers_with_and_without_a_body() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list.txt");
    let list = list.to_str().unwrap();
    std::fs::write(list, "HEAD /\nGET /\nHEAD /\n").unwrap();
    let server = Server::start(|client| {
        while let Some(request) = client.request() {
            let bodiless = request.head.starts_with("HEAD ");
            client.send(if bodiless { OK.strip_suffix(b"hello").unwrap() } else { OK });
        }
    });
    let url = server.target().to_string();
    let output = loadgen(&["--target", &url, "--targets", list, "-n", "30", "-c", "2", "-q", "--json"]);
    let report: Report = serde_json::from_slice(&output.stdout).unwrap();
    check(&report);
    assert_eq!((report.answered, report.errors.len(), report.connects), (30, 0, 2), "{:?}", report.error_examples);
    assert_eq!(report.targets.iter().map(|one| one.answered).collect::<Vec<_>>(), [10, 10, 10]);
}
