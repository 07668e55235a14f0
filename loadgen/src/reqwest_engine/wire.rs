//! What can be seen of a client's connections: a layer around its connector, and the moment TLS begins.
//!
//! Written by the connector of one lane, read by its exchanges and by the generator, all on one thread; the atomics and
//! the lock are there because the client's types ask for them. Counts attempts and times, decides nothing.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;
use tower_layer::Layer;
use tower_service::Service;

use crate::clock;

/// A connection that was made. Nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Made {
    /// To the beginning of TLS, or to the end.
    pub(super) connect: u64,
    /// The handshake, if there was one.
    pub(super) tls: Option<u64>,
}

/// What the lanes of a thread did since it was last taken.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) attempts: u64,
    /// Of those, attempts of a lane that had had a connection before.
    pub(super) repeated: u64,
    pub(super) made: Vec<Made>,
}

/// The state of one lane's connecting. Times in nanoseconds of the monotonic clock, 0 for never.
#[derive(Debug, Default)]
pub(super) struct Wire {
    log: Arc<Mutex<Log>>,
    connecting: AtomicUsize,
    /// When the latest attempt began.
    began: AtomicU64,
    /// When TLS began the last time.
    handshake: AtomicU64,
    /// When the latest connection was ready.
    connected: AtomicU64,
    open: AtomicBool,
}

impl Wire {
    pub(super) fn new(log: Arc<Mutex<Log>>) -> Self {
        Self { log, ..Self::default() }
    }

    /// An attempt is being made.
    pub(super) fn is_connecting(&self) -> bool {
        self.connecting.load(Relaxed) > 0
    }

    /// When the latest connection was ready; 0 when there has been none.
    pub(super) fn connected(&self) -> u64 {
        self.connected.load(Relaxed)
    }

    /// The latest attempt came as far as TLS, and not to its end.
    pub(super) fn failed_in_handshake(&self) -> bool {
        let (began, handshake) = (self.began.load(Relaxed), self.handshake.load(Relaxed));
        handshake >= began && handshake > 0 && self.connected() < handshake
    }

    /// A connection is there, as far as can be known.
    pub(super) fn is_open(&self) -> bool {
        self.open.load(Relaxed)
    }

    /// The connection is known to be gone.
    pub(super) fn lost(&self) {
        self.open.store(false, Relaxed);
    }

    fn begin(&self) {
        let mut log = self.log.lock().expect("nobody panics with the lock");
        log.attempts += 1;
        log.repeated += u64::from(self.connected() > 0);
        self.connecting.fetch_add(1, Relaxed);
        self.began.store(clock::now(), Relaxed);
    }

    fn made(&self) {
        let (now, began, handshake) = (clock::now(), self.began.load(Relaxed), self.handshake.load(Relaxed));
        let tls = handshake >= began;
        let made = Made { connect: if tls { handshake } else { now } - began, tls: tls.then(|| now - handshake) };
        self.log.lock().expect("nobody panics with the lock").made.push(made);
        self.connected.store(now, Relaxed);
        self.open.store(true, Relaxed);
    }
}

/// The layer around a lane's connector.
#[derive(Clone, Debug)]
pub(super) struct Watch(pub(super) Arc<Wire>);

impl<S> Layer<S> for Watch {
    type Service = Watched<S>;

    fn layer(&self, connector: S) -> Watched<S> {
        Watched { connector, wire: Arc::clone(&self.0) }
    }
}

/// A connector that is watched.
#[derive(Clone, Debug)]
pub(super) struct Watched<S> {
    connector: S,
    wire: Arc<Wire>,
}

impl<S, R> Service<R> for Watched<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.connector.poll_ready(context)
    }

    fn call(&mut self, destination: R) -> Self::Future {
        let attempt = Attempt::begin(Arc::clone(&self.wire));
        let connecting = self.connector.call(destination);
        Box::pin(async move {
            let connection = connecting.await?;
            attempt.0.made();
            Ok(connection)
        })
    }
}

/// An attempt under way. One that is dropped, by a timeout for instance, is over too.
struct Attempt(Arc<Wire>);

impl Attempt {
    fn begin(wire: Arc<Wire>) -> Self {
        wire.begin();
        Self(wire)
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.0.connecting.fetch_sub(1, Relaxed);
    }
}

/// Remembers no session, so that every handshake is a full one, as that of a user who comes for the first time. TLS asks
/// for one when it begins, and that is the only sign of its beginning that there is.
impl ClientSessionStore for Wire {
    fn set_kx_hint(&self, _: ServerName<'static>, _: NamedGroup) {}

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        self.handshake.store(clock::now(), Relaxed);
        None
    }

    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _: ServerName<'static>, _: Tls13ClientSessionValue) {}

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        None
    }
}
