//! A server that does nothing, for [`super::measure_floor`]: one thread that reads what has arrived
//! and writes the same answer to it.
//!
//! It parses nothing, so it is no HTTP server: it takes whatever arrives together for one request,
//! which is true of clients that send one small request at a time. Edge-triggered, no allocation
//! once a connection has been accepted.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\
    Date: Sun, 22 Nov 2026 17:00:00 GMT\r\n\r\nHello, World!";
const LISTENER: Token = Token(usize::MAX - 1);
const STOP: Token = Token(usize::MAX - 2);
/// Events taken per wait.
const EVENTS: usize = 64;

/// The server, listening; [`Server::serve`] is for a thread of its own.
pub(super) struct Server {
    poll: Poll,
    listener: TcpListener,
    stop: Arc<Waker>,
    connections: Vec<Option<TcpStream>>,
}

impl Server {
    /// Listens on a free port of the loopback interface.
    pub(super) fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0).into())?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let stop = Arc::new(Waker::new(poll.registry(), STOP)?);
        Ok(Self { poll, listener, stop, connections: Vec::new() })
    }

    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Waking it ends [`Server::serve`].
    pub(super) fn stop(&self) -> Arc<Waker> {
        Arc::clone(&self.stop)
    }

    pub(super) fn serve(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        let mut buffer = [0; 16 * 1024];
        loop {
            match self.poll.poll(&mut events, None) {
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                other => other?,
            }
            for event in &events {
                match event.token() {
                    STOP => return Ok(()),
                    LISTENER => self.accept()?,
                    Token(place) => {
                        let Some(connection) = &mut self.connections[place] else { continue };
                        // What arrives after this read is an event of its own.
                        if event.is_read_closed() || !answer(connection, &mut buffer) {
                            self.connections[place] = None;
                        }
                    }
                }
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let mut connection = match self.listener.accept() {
                Ok((connection, _)) => connection,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                // The client was gone before it was accepted.
                Err(e) if matches!(e.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => continue,
                Err(e) => return Err(e),
            };
            connection.set_nodelay(true)?;
            let place = Token(self.connections.len());
            self.poll.registry().register(&mut connection, place, Interest::READABLE)?;
            self.connections.push(Some(connection));
        }
    }
}

/// One read, one write; false when the connection is of no more use.
fn answer(connection: &mut TcpStream, buffer: &mut [u8]) -> bool {
    match connection.read(buffer) {
        Ok(0) => false,
        // An answer always fits: a client has at most one unread.
        Ok(_) => matches!(connection.write(ANSWER), Ok(count) if count == ANSWER.len()),
        Err(e) => matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
    }
}
