//! The control socket: a line of JSON in, a line of JSON out.
//!
//! Owns the unix socket and its few connections, never blocking. What a request means is the supervisor's matter, and so
//! is when it is answered: the [`Ticket`] that comes with it finds the client again, also after a minute.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mio::net::{UnixListener, UnixStream};
use mio::{Interest, Registry, Token};

use crate::ctl::protocol::{Reply, Request};

/// Connections at once; a further one waits in the backlog until one of them leaves, or has been silent for too long.
pub(super) const MOST: usize = 16;
/// How long a client may take to say what it wants, or to take the answer, while another waits for its place.
const PATIENCE: Duration = Duration::from_secs(2);
/// A request is some ten bytes.
const LONGEST_REQUEST: usize = 4096;

/// One client.
enum Client {
    Asking {
        stream: UnixStream,
        received: Vec<u8>,
        since: Instant,
    },
    /// It has asked and waits. What else it says is not read; whether it is still there, the answer will show.
    Waiting {
        stream: UnixStream,
        ticket: u64,
    },
    Answering {
        stream: UnixStream,
        rest: Vec<u8>,
        since: Instant,
    },
}

impl Client {
    /// Whether it is this client that keeps the conversation from its end, and has for longer than anyone needs.
    fn is_silent(&self, now: Instant) -> bool {
        match self {
            Self::Asking { since, .. } | Self::Answering { since, .. } => now.duration_since(*since) > PATIENCE,
            Self::Waiting { .. } => false,
        }
    }
}

/// Who waits for an answer. Nobody else ever gets it, even if another client has come in the place of this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    index: usize,
    number: u64,
}

/// The socket and its clients.
pub(super) struct Control {
    listener: UnixListener,
    path: PathBuf,
    first: Token,
    clients: [Option<Client>; MOST],
    /// Others may wait for a place: the kernel has said so, and won't again.
    crowded: bool,
    /// Requests taken so far.
    asked: u64,
}

impl Control {
    /// Listens at `path`, for this user only. Clients get tokens from `first` on.
    pub(super) fn bind(path: &Path, registry: &Registry, token: Token, first: Token) -> io::Result<Control> {
        // A socket that nobody answers on was left by a server that was killed.
        if std::os::unix::net::UnixStream::connect(path).is_err() {
            let _ = fs::remove_file(path);
        }
        let mut listener = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        registry.register(&mut listener, token, Interest::READABLE)?;
        Ok(Control {
            listener,
            path: path.to_owned(),
            first,
            clients: [const { None }; MOST],
            crowded: false,
            asked: 0,
        })
    }

    /// Where it listens.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the clients that wait, once a place is free where there was none.
    pub(super) fn accept_waiting(&mut self, registry: &Registry) {
        if self.crowded {
            self.accept(registry);
        }
    }

    /// Takes the clients that wait.
    pub(super) fn accept(&mut self, registry: &Registry) {
        self.crowded = false;
        let now = Instant::now();
        while let Some(index) = self.place(now) {
            let Ok((mut stream, _)) = self.listener.accept() else { return };
            let token = Token(self.first.0 + index);
            if registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE).is_ok() {
                self.clients[index] = Some(Client::Asking { stream, received: Vec::new(), since: now });
            }
        }
        self.crowded = true;
    }

    /// A place for one more client: a free one, or that of one that has been silent for too long.
    fn place(&self, now: Instant) -> Option<usize> {
        let free = self.clients.iter().position(Option::is_none);
        free.or_else(|| self.clients.iter().position(|client| client.as_ref().is_some_and(|it| it.is_silent(now))))
    }

    /// A client is ready: its request, once complete and well-formed. Answer it with [`Control::answer`].
    pub(super) fn ready(&mut self, index: usize) -> Option<(Request, Ticket)> {
        match self.clients.get_mut(index)?.take()? {
            Client::Asking { mut stream, mut received, since } => {
                let line = match read_line(&mut stream, &mut received) {
                    Ok(None) => {
                        self.clients[index] = Some(Client::Asking { stream, received, since });
                        return None;
                    }
                    Ok(Some(line)) => line,
                    Err(_) => return None,
                };
                self.asked += 1;
                let ticket = Ticket { index, number: self.asked };
                self.clients[index] = Some(Client::Waiting { stream, ticket: ticket.number });
                match serde_json::from_slice(&line) {
                    Ok(request) => Some((request, ticket)),
                    Err(error) => {
                        self.answer(ticket, &Reply::Error(format!("not a request: {error}")));
                        None
                    }
                }
            }
            waiting @ Client::Waiting { .. } => {
                self.clients[index] = Some(waiting);
                None
            }
            answering @ Client::Answering { .. } => {
                self.clients[index] = Some(answering);
                self.write(index);
                None
            }
        }
    }

    /// Sends the reply, then closes.
    pub(super) fn answer(&mut self, ticket: Ticket, reply: &Reply) {
        let Ticket { index, number } = ticket;
        let Some(client) = self.clients[index].take() else { return };
        match (client, serde_json::to_vec(reply)) {
            (Client::Waiting { stream, ticket }, Ok(mut rest)) if ticket == number => {
                rest.push(b'\n');
                self.clients[index] = Some(Client::Answering { stream, rest, since: Instant::now() });
                self.write(index);
            }
            (other, _) => self.clients[index] = Some(other),
        }
    }

    fn write(&mut self, index: usize) {
        let Some(Client::Answering { stream, rest, .. }) = &mut self.clients[index] else { return };
        while !rest.is_empty() {
            match stream.write(rest) {
                Ok(count) if count > 0 => drop(rest.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => break,
            }
        }
        self.clients[index] = None;
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // The folder may have been cleaned up before us.
        let _ = fs::remove_file(&self.path);
    }
}

/// A complete line, if there is one yet.
fn read_line(stream: &mut UnixStream, received: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    let mut buffer = [0; 512];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => received.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if let Some(end) = received.iter().position(|byte| *byte == b'\n') {
            received.truncate(end);
            return Ok(Some(std::mem::take(received)));
        }
        if received.len() > LONGEST_REQUEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}
