//! Through a proxy: forwarded without TLS, tunnelled with it.

use std::io::Write;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use loadgen::{ErrorKind, Plan, RunError, Transport};

use super::tls::{Authority, https};
use super::{all_well, through};
use crate::server::{Client, OK, Server, requests, run};

/// A proxy that forwards requests and tunnels connections, if `authorised` is in them.
fn proxy(authorised: &'static str, passed: &Arc<AtomicU64>) -> Server {
    let passed = Arc::clone(passed);
    Server::start(move |client| {
        let Some(head) = client.head() else { return };
        if !head.to_ascii_lowercase().contains(&authorised.to_ascii_lowercase()) {
            let answer =
                b"HTTP/1.1 407 Proxy Authentication Required\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
            return client.send(answer);
        }
        passed.fetch_add(1, Ordering::SeqCst);
        let mut words = head.split(' ');
        if words.next() == Some("CONNECT") {
            // In tests every name is this machine.
            let port = words.next().unwrap().rsplit(':').next().unwrap().parse().unwrap();
            let target = TcpStream::connect(("127.0.0.1", port)).unwrap();
            client.send(b"HTTP/1.1 200 Connection established\r\n\r\n");
            relay(client, target);
        } else {
            forward(client, head, &passed);
        }
    })
}

/// Hands requests in absolute form on to their target, and its answers back.
fn forward(client: &mut Client, mut head: String, passed: &AtomicU64) {
    let mut target: Option<TcpStream> = None;
    loop {
        let url = head.split(' ').nth(1).unwrap().to_owned();
        let (authority, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let target = target.get_or_insert_with(|| {
            let target = TcpStream::connect(authority).unwrap();
            let (mut from, mut to) = (target.try_clone().unwrap(), client.stream.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut from, &mut to));
            target
        });
        target.write_all(head.replacen(&url, &format!("/{path}"), 1).as_bytes()).unwrap();
        match client.head() {
            Some(next) => head = next,
            None => return drop(target.shutdown(Shutdown::Both)),
        }
        passed.fetch_add(1, Ordering::SeqCst);
    }
}

/// Both directions, until one side closes.
fn relay(client: &Client, target: TcpStream) {
    let (mut from, mut to) = (target.try_clone().unwrap(), client.stream.try_clone().unwrap());
    let back = std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
    let (mut from, mut to) = (client.stream.try_clone().unwrap(), target);
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Both);
    back.join().unwrap();
}

fn by(url: String) -> Transport {
    Transport { proxy: Some(url), ..Transport::default() }
}

#[test]
fn plain_requests_are_forwarded() {
    let passed = Arc::default();
    let (proxy, target) = (proxy("", &passed), Server::answering(OK));
    let transport = by(format!("http://127.0.0.1:{}", proxy.port()));
    let report = all_well(&through(transport, requests(target.target(), 40, 2)));
    assert_eq!((report.requests, report.connects), (40, 2));
    assert_eq!(passed.load(Ordering::SeqCst), 40);
    assert_eq!(report.setup.address, format!("127.0.0.1:{}", proxy.port()), "who was connected to");
}

#[test]
fn https_is_tunnelled() {
    let authority = Authority::new(&[]);
    let config = Arc::clone(&authority.server);
    let target = Server::start(move |client| super::tls::serve(client, &config));
    let passed = Arc::default();
    let proxy = proxy("Proxy-Authorization: Basic dTpw\r\n", &passed);
    let url = format!("http://u:p@127.0.0.1:{}", proxy.port());
    let transport = Transport { proxy: Some(url), ..authority.trusted() };
    let report = all_well(&through(transport, requests(https(target.port()), 40, 2)));
    assert_eq!((report.requests, report.connects, report.tls.count), (40, 2, 2));
    assert_eq!(passed.load(Ordering::SeqCst), 2);
    let json = serde_json::to_string(&report).unwrap();
    assert!(!json.contains("u:p@"), "a report keeps no password");
}

#[test]
fn a_proxy_that_refuses_a_tunnel_is_no_connection() {
    let authority = Authority::new(&[]);
    let passed = Arc::default();
    let proxy = proxy("Proxy-Authorization", &passed);
    let url = format!("http://127.0.0.1:{}", proxy.port());
    let transport = Transport { proxy: Some(url.clone()), ..authority.trusted() };
    let error = fails(&through(transport, requests(https(1), 4, 1)));
    assert!(matches!(error, RunError::TargetDown { .. }), "{error}");
    assert!(error.to_string().contains(&url), "{error}");
}

#[test]
fn a_proxy_that_is_down_is_named() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let target = Server::answering(OK);
    let error = fails(&through(by(url.clone()), requests(target.target(), 4, 1)));
    assert!(matches!(error, RunError::TargetDown { .. }), "{error}");
    assert!(error.to_string().contains(&url), "{error}");
    assert_eq!(target.accepted(), 0);
}

#[test]
fn a_proxy_s_own_answer_is_an_answer() {
    let passed = Arc::default();
    let proxy = proxy("Proxy-Authorization", &passed);
    let target = Server::answering(OK);
    let transport = by(format!("http://127.0.0.1:{}", proxy.port()));
    let report = run(&through(transport, requests(target.target(), 4, 1)));
    assert_eq!(report.errors.into_iter().collect::<Vec<_>>(), [(ErrorKind::Status4xx, 4)]);
}

fn fails(plan: &Plan) -> RunError {
    loadgen::run(plan, &mut |_| {}, &AtomicBool::new(false)).unwrap_err()
}
