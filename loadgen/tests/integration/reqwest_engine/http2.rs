//! HTTP/2, in the clear and over TLS, against a server made of the h2 crate.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use loadgen::{ErrorKind, Plan, Reuse, Target, Transport, Version};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use super::tls::{Authority, https};
use super::{all_well, through};
use crate::server::{requests, run, stages};

/// What the server does with a request.
#[derive(Clone, Copy)]
enum Manner {
    Answers,
    Resets,
    /// Leaves the content unfinished and resets.
    Cuts,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    /// Streams open at a time, at most.
    most: AtomicUsize,
    open: AtomicUsize,
}

/// A server on a runtime of its own; stopped when dropped.
struct Http2 {
    address: SocketAddr,
    seen: Arc<Seen>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Http2 {
    fn start(manner: Manner, tls: Option<TlsAcceptor>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let shared = Arc::clone(&seen);
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            runtime.spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let (tls, seen) = (tls.clone(), Arc::clone(&shared));
                    tokio::spawn(async move {
                        match tls {
                            None => serve(stream, manner, seen).await,
                            Some(tls) => {
                                if let Ok(stream) = tls.accept(stream).await {
                                    serve(stream, manner, seen).await;
                                }
                            }
                        }
                    });
                }
            });
            // An error is the sender dropped, which stops as well.
            let _ = runtime.block_on(stopped);
        });
        Self { address, seen, stop: Some(stop), thread: Some(thread) }
    }

    fn target(&self) -> Target {
        Target::tcp("127.0.0.1", self.address.port(), "/").unwrap()
    }
}

impl Drop for Http2 {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

/// Serves one connection to its end. What breaks it off is the client's business.
async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, manner: Manner, seen: Arc<Seen>) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    seen.connections.fetch_add(1, Ordering::SeqCst);
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        assert!(!request.headers().contains_key("host") && !request.headers().contains_key("connection"));
        let open = seen.open.fetch_add(1, Ordering::SeqCst) + 1;
        seen.most.fetch_max(open, Ordering::SeqCst);
        let seen = Arc::clone(&seen);
        tokio::spawn(async move {
            // Time for the others to arrive: what is asked for together is open together.
            tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(5))).await.unwrap();
            seen.open.fetch_sub(1, Ordering::SeqCst);
            if matches!(manner, Manner::Resets) {
                return respond.send_reset(Reason::INTERNAL_ERROR);
            }
            let response = http::Response::builder().status(200).body(()).unwrap();
            let Ok(mut content) = respond.send_response(response, false) else { return };
            if matches!(manner, Manner::Cuts) {
                let _ = content.send_data(Bytes::from_static(b"hel"), false);
                return content.send_reset(Reason::INTERNAL_ERROR);
            }
            let _ = content.send_data(Bytes::from_static(b"hello"), true);
        });
    }
}

fn http2(streams: usize) -> Transport {
    Transport { http: Version::Http2, streams, ..Transport::default() }
}

#[test]
fn in_the_clear_by_prior_knowledge() {
    let server = Http2::start(Manner::Answers, None);
    let report = all_well(&through(http2(1), requests(server.target(), 60, 3)));
    assert_eq!((report.requests, report.connects, report.bytes_received), (60, 3, 300));
    assert_eq!(server.seen.connections.load(Ordering::SeqCst), 3);
    // One at a time on each connection.
    assert!(server.seen.most.load(Ordering::SeqCst) <= 3);
    assert!(report.summary().contains("engine reqwest, HTTP/2"), "{}", report.summary());
    let report = all_well(&through(http2(1), stages(server.target(), "1s@60")));
    assert_eq!(report.answered, 60);
}

#[test]
fn several_streams_share_a_connection() {
    let server = Http2::start(Manner::Answers, None);
    let report = all_well(&through(http2(8), requests(server.target(), 200, 2)));
    assert_eq!((report.requests, report.connects), (200, 2));
    assert_eq!(server.seen.connections.load(Ordering::SeqCst), 2);
    let most = server.seen.most.load(Ordering::SeqCst);
    assert!((9..=16).contains(&most), "{most}");
}

#[test]
fn over_tls() {
    let authority = Authority::new(&[b"h2"]);
    let server = Http2::start(Manner::Answers, Some(TlsAcceptor::from(Arc::clone(&authority.server))));
    let transport = Transport { http: Version::Http2, ..authority.trusted() };
    let report = all_well(&through(transport, requests(https(server.address.port()), 40, 2)));
    assert_eq!((report.requests, report.tls.count), (40, 2));
}

#[test]
fn a_new_connection_per_request() {
    let server = Http2::start(Manner::Answers, None);
    let plan = Plan { reuse: Reuse::NewConnectionPerRequest, ..requests(server.target(), 12, 2) };
    assert_eq!(all_well(&through(http2(1), plan)).connects, 12);
    assert_eq!(server.seen.connections.load(Ordering::SeqCst), 12);
}

#[test]
fn streams_that_are_reset() {
    for manner in [Manner::Resets, Manner::Cuts] {
        let server = Http2::start(manner, None);
        let report = run(&through(http2(2), requests(server.target(), 10, 1)));
        assert_eq!(report.errors.into_iter().collect::<Vec<_>>(), [(ErrorKind::Read, 10)]);
        // The connection outlives them, and none is sent a second time.
        assert_eq!(report.connects, 1);
    }
}

#[test]
fn a_target_that_speaks_http1_is_no_http2() {
    let server = crate::server::Server::start(|client| {
        if client.head().is_some() {
            client.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
            client.hold();
        }
    });
    let report = run(&through(http2(1), requests(server.target(), 4, 1)));
    assert_eq!(report.errors.into_iter().collect::<Vec<_>>(), [(ErrorKind::Protocol, 4)]);
}
