//! HTTPS against a real TLS server with a certificate made for the test.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use loadgen::{ErrorKind, Plan, Reuse, RunError, Target, Transport, Trust};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;

use super::{all_well, through};
use crate::server::{Client, OK, Server, requests, run, stages};

/// An authority made for one test, and a server's configuration with a certificate that it signed.
pub(super) struct Authority {
    folder: TempDir,
    pub(super) server: Arc<ServerConfig>,
}

impl Authority {
    /// The certificate is for `localhost`; `protocols` are those that the server offers (ALPN).
    pub(super) fn new(protocols: &[&[u8]]) -> Self {
        Self::certifying("localhost", protocols)
    }

    fn certifying(name: &str, protocols: &[&[u8]]) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let own = params.self_signed(&key).unwrap();
        let issuer = Issuer::new(params, key);
        let server_key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&server_key, &issuer).unwrap();
        let secret = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(server_key.serialize_der()));
        let mut server = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], secret)
            .unwrap();
        server.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), own.pem()).unwrap();
        Self { folder, server: Arc::new(server) }
    }

    pub(super) fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Trusts this authority and no other.
    pub(super) fn trusted(&self) -> Transport {
        Transport { trust: Trust::Only(self.file()), ..Transport::default() }
    }
}

/// Answers requests over TLS until the client is gone.
pub(super) fn serve(client: &Client, config: &Arc<ServerConfig>) {
    let stream = client.stream.try_clone().unwrap();
    let mut tls = StreamOwned::new(ServerConnection::new(Arc::clone(config)).unwrap(), stream);
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    // A client that breaks off is no failure of the server.
    while let Ok(count @ 1..) = tls.read(&mut buffer) {
        request.extend_from_slice(&buffer[..count]);
        if request.ends_with(b"\r\n\r\n") {
            request.clear();
            if tls.write_all(OK).and_then(|()| tls.flush()).is_err() {
                return;
            }
        }
    }
}

pub(super) fn https(port: u16) -> Target {
    format!("https://localhost:{port}/").parse().unwrap()
}

fn server(config: &Arc<ServerConfig>) -> Server {
    let config = Arc::clone(config);
    Server::start(move |client| serve(client, &config))
}

fn fails(plan: &Plan) -> RunError {
    loadgen::run(plan, &mut |_| {}, &AtomicBool::new(false)).unwrap_err()
}

#[test]
fn https_is_measured_like_http() {
    let authority = Authority::new(&[b"http/1.1"]);
    let server = server(&authority.server);
    let report = all_well(&through(authority.trusted(), requests(https(server.port()), 300, 3)));
    // Looking at which of localhost's addresses answers may take a connection of its own.
    assert_eq!((report.requests, report.connects), (300, 3));
    assert_eq!((report.connect.count, report.tls.count), (3, 3));
    assert!(report.tls.min_ns > 0 && report.connect.min_ns > 0);
    assert!(report.summary().contains("TLS handshake"), "{}", report.summary());
    let report = all_well(&through(authority.trusted(), stages(https(server.port()), "1s@50")));
    assert_eq!(report.answered, 50);
}

#[test]
fn every_handshake_is_a_full_one_and_is_part_of_the_latency() {
    let authority = Authority::new(&[]);
    let server = server(&authority.server);
    let plan = Plan { reuse: Reuse::NewConnectionPerRequest, ..requests(https(server.port()), 30, 2) };
    let report = all_well(&through(authority.trusted(), plan));
    assert_eq!((report.connects, report.tls.count), (30, 30));
    let whole = report.connect.mean_ns + report.tls.mean_ns + report.service.mean_ns;
    assert!(report.latency.mean_ns >= whole * 0.99, "{} {whole}", report.latency.mean_ns);
}

#[test]
fn a_certificate_that_nobody_trusts_ends_the_run_in_words() {
    let authority = Authority::new(&[]);
    let other = Authority::new(&[]);
    let server = server(&authority.server);
    for trusted in [other.trusted(), Transport::default()] {
        // A system without any authority says so before anything is sent.
        let error = fails(&through(trusted, requests(https(server.port()), 10, 2)));
        let text = error.to_string();
        assert!(matches!(error, RunError::Tls { .. } | RunError::Plan(_)), "{text}");
        assert!(text.contains("--insecure") && !text.contains('\n'), "{text}");
    }
    let anyone = Transport { trust: Trust::Anyone, ..Transport::default() };
    assert_eq!(all_well(&through(anyone, requests(https(server.port()), 10, 2))).answered, 10);
}

#[test]
fn a_certificate_for_another_name_is_not_accepted() {
    let authority = Authority::certifying("other.example", &[]);
    let server = server(&authority.server);
    let error = fails(&through(authority.trusted(), requests(https(server.port()), 1, 1)));
    assert!(matches!(error, RunError::Tls { .. }), "{error}");
    assert!(error.to_string().contains("not valid for name"), "{error}");
}

#[test]
fn a_target_without_tls_is_told_apart_from_one_that_is_down() {
    let plain = Server::answering(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    let silent = Server::start(|client| drop(client.head()));
    for (what, port) in [("plain", plain.port()), ("closing", silent.port())] {
        let authority = Authority::new(&[]);
        let error = fails(&through(authority.trusted(), requests(https(port), 10, 1)));
        assert!(matches!(error, RunError::Tls { .. }), "{what}: {error}");
    }
}

#[test]
fn tls_that_fails_later_is_a_class_of_its_own() {
    let authority = Authority::new(&[]);
    let config = Arc::clone(&authority.server);
    let connections = AtomicU64::new(0);
    // localhost may cost a connection that only tries whether somebody is there; it sends nothing.
    let server = Server::start(move |client| {
        if client.stream.peek(&mut [0]).unwrap_or(0) == 0 {
            return;
        }
        if connections.fetch_add(1, Ordering::SeqCst) < 3 {
            serve(client, &config);
        } else {
            client.send(b"no TLS any more");
            client.hold();
        }
    });
    let plan = Plan { reuse: Reuse::NewConnectionPerRequest, ..requests(https(server.port()), 8, 1) };
    let report = run(&through(authority.trusted(), plan));
    assert_eq!(report.answered, 3);
    assert_eq!(report.errors.into_iter().collect::<Vec<_>>(), [(ErrorKind::Tls, 5)]);
}

/// The answer has its time from the write on, however long the handshake took.
#[test]
fn connecting_has_a_timeout_of_its_own() {
    let authority = Authority::new(&[]);
    let config = Arc::clone(&authority.server);
    let server = Server::start(move |client| {
        if client.stream.peek(&mut [0]).unwrap_or(0) > 0 {
            std::thread::sleep(Duration::from_millis(600));
            serve(client, &config);
        }
    });
    let plan = Plan { timeout: Duration::from_millis(300), ..requests(https(server.port()), 3, 1) };
    let report = all_well(&through(authority.trusted(), plan.clone()));
    assert!(report.tls.min_ns >= 599_000_000 && report.service.max_ns < 300_000_000, "{}", report.summary());
    // Too long a handshake is no connection in time.
    let impatient = Plan { connect_timeout: Duration::from_millis(300), ..plan };
    let error = fails(&through(authority.trusted(), impatient));
    assert!(
        matches!(&error, RunError::TargetDown { source, .. } if source.kind() == std::io::ErrorKind::TimedOut),
        "{error}"
    );
}

#[test]
fn a_file_of_certificates_must_be_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("empty.pem");
    std::fs::write(&path, "nothing here").unwrap();
    let transport = Transport { trust: Trust::Only(path), ..Transport::default() };
    let error = fails(&through(transport, requests(https(1), 1, 1))).to_string();
    assert!(error.contains("cacert") && error.contains("no certificate"), "{error}");
}
