//! What is sent, and within which limits: as by the fast engine.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use loadgen::{Entry, ErrorKind, Order, Plan, PlanError, RequestList, RunError, Transport, Version};

use super::{all_well, plain, through};
use crate::server::{Client, OK, Request, Server, requests, run, stages};

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

fn entry(method: &str, path: &str, body: &str, weight: u32) -> Entry {
    Entry { method: method.into(), path: path.into(), headers: Vec::new(), body: body.into(), weight }
}

#[test]
fn a_list_is_sent_and_its_places_are_filled_in() {
    let (server, heard) = listening();
    let entries = vec![entry("GET", "/a/{seq}", "", 3), entry("POST", "/b", "{\"n\": {seq}}", 1)];
    let list = Some(RequestList { entries, order: Order::Sequential });
    let headers = vec![("X-Id".to_owned(), "{seq}".to_owned())];
    let report = all_well(&plain(Plan { list, headers, threads: 2, ..requests(server.target(), 40, 4) }));
    let counts: Vec<_> = report.targets.iter().map(|one| (one.path.as_str(), one.requests, one.answered)).collect();
    assert_eq!(counts, [("/a/{seq}", 30, 30), ("/b", 10, 10)]);
    assert_eq!(report.targets[0].latency.as_ref().unwrap().count, 30);
    drop(server);
    let mut numbers: Vec<u64> = heard
        .iter()
        .map(|Request { head, body }| {
            let lower = head.to_ascii_lowercase();
            let (_, id) = lower.split_once("\r\nx-id: ").unwrap();
            let id = id.lines().next().unwrap();
            if head.starts_with("GET") {
                assert!(head.starts_with(&format!("GET /a/{id} HTTP/1.1\r\n")), "{head}");
            } else {
                assert!(head.starts_with("POST /b HTTP/1.1\r\n"), "{head}");
                assert_eq!(body, format!("{{\"n\": {id}}}").as_bytes());
            }
            id.parse().unwrap()
        })
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=40).collect::<Vec<_>>(), "every number once");
}

/// The server sends `/` on to `/in`, and both set a cookie; later answers delete one of them.
#[test]
fn each_connection_sends_back_its_own_cookies_along_redirects_too() {
    let users = AtomicUsize::new(0);
    let server = Server::start(move |client| {
        let user = users.fetch_add(1, Ordering::SeqCst);
        let mut asked = 0;
        while let Some(request) = client.request() {
            let lower = request.head.to_ascii_lowercase();
            let sent = lower.lines().find_map(|line| line.strip_prefix("cookie: ")).unwrap_or_default();
            let expected = match asked {
                0 => String::new(),
                1 => format!("user={user}"),
                _ => format!("user={user}; theme=dark"),
            };
            let set = match asked {
                0 => format!("Set-Cookie: user={user}; Path=/; HttpOnly\r\nSet-Cookie: gone=; Max-Age=0\r\n"),
                1 => "set-cookie: theme=dark\r\n".to_owned(),
                _ => String::new(),
            };
            let status = match (sent == expected, lower.starts_with("get / ")) {
                (false, _) => "400 Bad Request",
                (true, true) => "302 Found\r\nLocation: /in",
                (true, false) => "200 OK",
            };
            client.send(format!("HTTP/1.1 {status}\r\n{set}Content-Length: 0\r\n\r\n").as_bytes());
            asked += 1;
        }
    });
    let transport = Transport { max_redirects: 1, ..Transport::default() };
    let report = all_well(&through(transport, Plan { cookies: true, ..requests(server.target(), 60, 3) }));
    assert_eq!((report.answered, report.connects), (60, 3));
}

#[test]
fn a_host_without_an_address_can_be_given_one() {
    let (server, heard) = listening();
    let port = server.port();
    let target = format!("http://shop.invalid:{port}/").parse().unwrap();
    let resolve = vec![format!("shop.invalid:{port}:127.0.0.1").parse().unwrap()];
    let report = all_well(&plain(Plan { resolve, ..requests(target, 4, 2) }));
    assert_eq!(report.setup.address, format!("127.0.0.1:{port}"));
    let head = heard.recv().unwrap().head.to_ascii_lowercase();
    assert!(head.contains(&format!("\r\nhost: shop.invalid:{port}\r\n")), "{head}");
}

#[test]
fn a_connection_is_closed_after_its_requests() {
    let server = Server::answering(OK);
    let report = all_well(&plain(Plan { requests_per_connection: Some(5), ..requests(server.target(), 40, 1) }));
    assert_eq!((report.answered, report.connects, report.reconnects), (40, 8, 0));
    assert_eq!(server.accepted(), 8);
}

#[test]
fn no_more_than_allowed_is_outstanding() {
    let server = Server::start(Client::hold);
    let plan = Plan {
        max_outstanding: Some(3),
        timeout: Duration::from_secs(10),
        deadline: Some(Duration::from_millis(1500)),
        ..stages(server.target(), "1s@20")
    };
    let report = run(&plain(plan));
    // Three are sent and never answered; the others are due in vain.
    assert_eq!((report.requests, report.errors_of(ErrorKind::Unsent), report.abandoned), (20, 17, 3));
}

#[test]
fn connections_think_between_requests() {
    let server = Server::answering(OK);
    let think_time = Duration::from_millis(100);
    let report = all_well(&plain(Plan { think_time, ..requests(server.target(), 10, 2) }));
    assert_eq!((report.answered, report.connects), (10, 2));
    assert!(report.duration_s >= 0.4, "{}", report.duration_s);
}

/// The head comes 50 ms before the rest.
#[test]
fn the_first_byte_is_before_the_last() {
    let server = Server::start(|client| {
        while client.request().is_some() {
            client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
            std::thread::sleep(Duration::from_millis(50));
            client.send(b"llo");
        }
    });
    let report = all_well(&plain(requests(server.target(), 6, 2)));
    assert_eq!(report.first_byte.count, 6);
    let gap = report.service.mean_ns - report.first_byte.mean_ns;
    assert!(gap >= 49e6, "{gap}");
}

#[test]
fn what_it_cannot_do_is_refused() {
    let target = || "http://a:81/".parse().unwrap();
    let refused = |plan: Plan| match loadgen::run(&plan, &mut |_| {}, &std::sync::atomic::AtomicBool::new(false)) {
        Err(RunError::Plan(PlanError { field, reason })) => {
            assert!(!reason.contains('\n') && reason.len() > 10, "{reason}");
            field
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(plain(Plan { pipeline: 2, ..requests(target(), 1, 1) })), "pipeline");
    let streams = Transport { http: Version::Http2, streams: 2, ..Transport::default() };
    let plan = Plan { requests_per_connection: Some(2), ..requests(target(), 1, 1) };
    assert_eq!(refused(through(streams, plan)), "requests-per-connection");
    let proxied = Transport { proxy: Some("http://127.0.0.1:1".into()), ..Transport::default() };
    let resolve = vec!["a:81:127.0.0.1".parse().unwrap()];
    assert_eq!(refused(through(proxied.clone(), Plan { resolve, ..requests(target(), 1, 1) })), "resolve");
    let target = "unix:/nowhere".parse().unwrap();
    assert_eq!(refused(through(proxied, requests(target, 1, 1))), "proxy");
}
