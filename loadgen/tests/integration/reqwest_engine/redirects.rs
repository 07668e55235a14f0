//! Redirects: followed so far and no further.

use loadgen::{ErrorKind, Transport};

use super::{all_well, plain, through};
use crate::server::{OK, Server, requests, run};

/// A server where `/` is three redirects away from an answer.
fn three_away() -> Server {
    Server::start(|client| {
        while let Some(request) = client.request() {
            let path = request.head.split(' ').nth(1).unwrap().to_owned();
            let next = match path.as_str() {
                "/" => "/1",
                "/1" => "/2",
                "/2" => "/3",
                _ => {
                    client.send(OK);
                    continue;
                }
            };
            let head = format!("HTTP/1.1 302 Found\r\nLocation: {next}\r\nContent-Length: 0\r\n\r\n");
            client.send(head.as_bytes());
        }
    })
}

fn following(max_redirects: usize) -> Transport {
    Transport { max_redirects, ..Transport::default() }
}

#[test]
fn they_are_followed_on_the_same_connection() {
    let server = three_away();
    let report = all_well(&through(following(3), requests(server.target(), 20, 2)));
    assert_eq!((report.answered, report.connects), (20, 2));
    assert_eq!(server.accepted(), 2);
    assert_eq!(report.bytes_received, 100);
}

#[test]
fn one_more_than_allowed_is_an_error() {
    let server = three_away();
    let report = run(&through(following(2), requests(server.target(), 10, 1)));
    assert_eq!(report.errors.into_iter().collect::<Vec<_>>(), [(ErrorKind::Redirect, 10)]);
}

#[test]
fn unasked_they_are_answers() {
    let server = three_away();
    let report = run(&plain(requests(server.target(), 10, 1)));
    assert_eq!((report.status_class(3), report.errors_total()), (10, 0));
}

#[test]
fn they_lead_to_other_hosts() {
    let other = Server::start(|client| {
        while let Some(request) = client.request() {
            let named = request.head.to_ascii_lowercase().contains("\r\nhost: localhost:");
            client.send(if named { OK } else { b"HTTP/1.1 421 Misdirected Request\r\nContent-Length: 0\r\n\r\n" });
        }
    });
    let port = other.port();
    let server = Server::start(move |client| {
        while client.request().is_some() {
            let place = format!("http://localhost:{port}/");
            let head = format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n");
            client.send(head.as_bytes());
        }
    });
    let report = all_well(&through(following(1), requests(server.target(), 10, 1)));
    assert_eq!(report.answered, 10);
    assert!(other.accepted() >= 1);
}
