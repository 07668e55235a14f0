//! The admin listener: a live page, metrics, status and health, served by the supervisor from its own event loop.
//!
//! Owns the listening socket and a bounded number of clients with their deadlines, never blocking. The requests go through
//! the server's own HTTP code to a native application (`site`), which reads them off a [`Status`] alone: so this answers
//! also when every worker is busy, stuck or gone, and can do nothing to the server. It must not know workers, policies or
//! the scoreboard. The supervisor passes it events, the time, and a status when a request is there.

mod client;
mod exposition;
mod metrics;
mod site;

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use http1::Limits;
use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use self::client::{Client, Desk};
use self::site::Site;
use crate::config::{self, AdminToken, is_token};
use crate::connection::Intake;
use crate::ctl::protocol::Status;
use crate::listener::{self, Listener};

/// Clients at once. Of more, those go first that have been silent for long.
pub(crate) const MOST: usize = 32;
/// Connections that may wait to be accepted.
const BACKLOG: u32 = 64;
/// A request for any of the pages is some hundred bytes, a browser's cookies of other ports included a few thousand.
const LIMITS: Limits = Limits { request_line: 4096, header_count: 100, header_bytes: 32 * 1024, body: 0 };

/// What a client's socket is ready for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// To be read from.
    Readable,
    /// To be written to, and perhaps to be read from.
    Writable,
}

impl Readiness {
    /// As the event loop says.
    pub(crate) fn of(event: &Event) -> Readiness {
        if event.is_writable() || event.is_error() { Readiness::Writable } else { Readiness::Readable }
    }
}

/// Why nobody can watch the server.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// The address can't be listened on.
    #[error(transparent)]
    Address(#[from] listener::BindError),
    /// The file of the token can't be read, or has none.
    #[error("--admin-token: {path}: {problem}; give a file with one line, the token")]
    Token {
        /// The file.
        path: String,
        /// What is wrong.
        problem: String,
    },
    /// The event loop does not take it.
    #[error("watching the admin listener: {0}")]
    System(io::Error),
}

/// The listener and its clients.
pub(crate) struct Admin {
    listener: Listener,
    token: Option<String>,
    first: Token,
    clients: [Option<Client>; MOST],
    desk: Desk,
    /// Somebody was left in the backlog.
    is_awaited: bool,
}

impl Admin {
    /// Listens as `wanted` says. Clients get tokens from `first` on.
    pub(crate) fn open(
        wanted: &config::Admin,
        registry: &Registry,
        token: Token,
        first: Token,
    ) -> Result<Admin, OpenError> {
        let secret = wanted.token.as_ref().map(read_token).transpose()?;
        let listener = listener::open_private(&wanted.bind, "admin", BACKLOG)?;
        let descriptor = listener.as_fd().as_raw_fd();
        registry.register(&mut SourceFd(&descriptor), token, Interest::READABLE).map_err(OpenError::System)?;
        Ok(Admin {
            listener,
            token: secret,
            first,
            clients: [const { None }; MOST],
            desk: Desk::new(Intake::new(LIMITS, 0, usize::MAX)),
            is_awaited: false,
        })
    }

    /// The address as a person opens it.
    pub(crate) fn url(&self) -> String {
        self.listener.url()
    }

    /// Takes the clients that wait, as far as there are places.
    pub(crate) fn accept(&mut self, registry: &Registry, now: Duration) {
        // Nobody is sent away for nobody.
        while self.somebody_waits() {
            let Some(index) = self.place(now) else {
                self.is_awaited = true;
                return;
            };
            let (transport, endpoints) = match self.listener.accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    // Out of descriptors, say: whoever waits is not announced again.
                    tracing::debug!("accepting at the admin listener: {error}");
                    self.is_awaited = true;
                    return;
                }
            };
            if transport.register(registry, Token(self.first.0 + index)).is_ok() {
                self.clients[index] = Some(Client::new(transport, endpoints, now));
            }
        }
        self.is_awaited = false;
    }

    fn somebody_waits(&self) -> bool {
        let mut knock = [PollFd::new(self.listener.as_fd(), PollFlags::POLLIN)];
        poll(&mut knock, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }

    /// A place for one more client: a free one, or that of who has been silent for longest.
    fn place(&mut self, now: Duration) -> Option<usize> {
        if let Some(free) = self.clients.iter().position(Option::is_none) {
            return Some(free);
        }
        let silent = self.clients.iter().enumerate();
        let silent = silent.filter_map(|(index, client)| Some((client.as_ref()?.dispensable_from()?, index)));
        let (_, longest) = silent.filter(|(from, _)| *from <= now).min()?;
        self.clients[longest] = None;
        Some(longest)
    }

    /// A client is ready to read from or to write to. True when a request of it is there: [`Admin::answer`] it.
    pub(crate) fn ready(&mut self, index: usize, readiness: Readiness, registry: &Registry, now: Duration) -> bool {
        let Some(client) = self.clients.get_mut(index).and_then(Option::as_mut) else { return false };
        client.ready(readiness, &mut self.desk, now);
        self.tidy(index, registry, now)
    }

    /// Answers a client's request. True when the next one is there already.
    pub(crate) fn answer(&mut self, index: usize, status: &Status, registry: &Registry, now: Duration) -> bool {
        let Some(client) = self.clients.get_mut(index).and_then(Option::as_mut) else { return false };
        let site = Site { status, token: self.token.as_deref() };
        client.answer(&site, registry, Token(self.first.0 + index), &mut self.desk, now);
        self.tidy(index, registry, now)
    }

    /// Ends clients that have had their time.
    pub(crate) fn expire(&mut self, registry: &Registry, now: Duration) {
        for place in &mut self.clients {
            if place.as_ref().is_some_and(|client| client.deadline() <= now) {
                *place = None;
            }
        }
        if self.is_awaited {
            self.accept(registry, now);
        }
    }

    /// When [`Admin::expire`] has something to do next.
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        let clients = || self.clients.iter().flatten();
        let is_full = clients().count() == MOST;
        let place = clients().filter_map(Client::dispensable_from).min().filter(|_| self.is_awaited && is_full);
        clients().map(Client::deadline).chain(place).min()
    }

    /// After something was done with a client: whether it has a request; its place is free if it is gone.
    fn tidy(&mut self, index: usize, registry: &Registry, now: Duration) -> bool {
        let Some(client) = &self.clients[index] else { return false };
        if client.is_over() {
            self.clients[index] = None;
            if self.is_awaited {
                self.accept(registry, now);
            }
            return false;
        }
        client.asks()
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.listener.unlink();
    }
}

fn read_token(token: &AdminToken) -> Result<String, OpenError> {
    let path = match token {
        AdminToken::Literal(text) => return Ok(text.clone()),
        AdminToken::File(path) => path,
    };
    let wrong = |problem: String| OpenError::Token { path: path.display().to_string(), problem };
    let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if is_token(text) {
        Ok(text.to_owned())
    } else {
        Err(wrong("it has no token, which is made of visible ASCII characters without blanks".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tokens_file_has_one_line() {
        let place = tempfile::tempdir().expect("a folder");
        let path = place.path().join("token");
        let read = |content: &str| {
            fs::write(&path, content).expect("a file");
            read_token(&AdminToken::File(path.clone())).map_err(|error| error.to_string())
        };
        assert_eq!(read("s3cret\n"), Ok("s3cret".to_owned()));
        assert_eq!(read("s3cret"), Ok("s3cret".to_owned()));
        for bad in ["", "\n", "two\nlines\n", "two words\n"] {
            let problem = read(bad).expect_err("no token");
            assert!(problem.contains("/token: it has no token") && problem.ends_with("the token"), "{problem}");
        }
        let missing = read_token(&AdminToken::File("/nowhere/token".into())).expect_err("no file").to_string();
        assert!(missing.starts_with("--admin-token: /nowhere/token: No such file"), "{missing}");
    }
}
