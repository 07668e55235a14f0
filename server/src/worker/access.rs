//! The worker's access log: lines gather in memory and go out in one write when the event loop has nothing better to do.
//!
//! The file is opened for appending, so whole lines of different workers never mix. It can be reopened at any time: what
//! was noted before goes to the old file, what is noted after to the new one.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use http1::Version;

use crate::config::{AccessFormat, AccessLog as Wanted, LogTarget};
use crate::connection::Sent;
use crate::exchange::{Client, Endpoint, Endpoints, Forwarding, Request};
use crate::log::access::{Clock, Entry, write_line};

/// Gathered lines are written out beyond this size, even by a busy thread.
const FULL: usize = 32 * 1024;

/// The log file can't be opened.
#[derive(Debug, thiserror::Error)]
#[error("the access log {path} can't be opened: {source}; check --access-log-file", path = .path.display())]
pub(super) struct OpenError {
    path: PathBuf,
    source: io::Error,
}

/// A log that may be off.
pub(super) struct AccessLog {
    open: Option<Open>,
}

struct Open {
    format: AccessFormat,
    target: LogTarget,
    lines: Mutex<Lines>,
}

enum Output {
    Stdout,
    File(File),
}

impl Output {
    fn open(target: &LogTarget) -> Result<Output, OpenError> {
        match target {
            LogTarget::Stdout => Ok(Output::Stdout),
            LogTarget::File(path) => {
                let opened = OpenOptions::new().append(true).create(true).open(path);
                Ok(Output::File(opened.map_err(|source| OpenError { path: path.clone(), source })?))
            }
        }
    }
}

struct Lines {
    gathered: Vec<u8>,
    clock: Clock,
    output: Output,
}

impl AccessLog {
    /// Opens what is wanted.
    pub(super) fn open(wanted: Option<&Wanted>) -> Result<AccessLog, OpenError> {
        let Some(Wanted { format, target }) = wanted else { return Ok(AccessLog { open: None }) };
        let lines = Lines { gathered: Vec::new(), clock: Clock::default(), output: Output::open(target)? };
        Ok(AccessLog { open: Some(Open { format: *format, target: target.clone(), lines: Mutex::new(lines) }) })
    }

    /// Opens the file of this name anew. An error leaves the old one in use.
    pub(super) fn reopen(&self) -> Result<(), OpenError> {
        let Some(open) = &self.open else { return Ok(()) };
        let output = Output::open(&open.target)?;
        let mut lines = open.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.flush();
        lines.output = output;
        Ok(())
    }

    /// Notes an answered request.
    pub(super) fn answered(&self, request: &Request, sent: Sent, wall_ns: u64) {
        if self.open.is_none() {
            return;
        }
        let Request { bytes, head, endpoints, forwarding, .. } = request;
        self.note(&Entry {
            remote: &client(endpoints, forwarding),
            method: head.method(bytes),
            path: head.path(bytes),
            query: head.query(bytes),
            protocol: match head.version() {
                Version::Http10 => "HTTP/1.0",
                Version::Http11 => "HTTP/1.1",
            },
            status: sent.status,
            bytes: sent.body_bytes,
            duration: Duration::from_nanos(wall_ns),
            referer: head.header(bytes, "referer"),
            user_agent: head.header(bytes, "user-agent"),
            pid: std::process::id(),
        });
    }

    /// Notes a request that was refused with `status` before it had a meaning.
    pub(super) fn refused(&self, endpoints: &Endpoints, status: &str, response_bytes: usize) {
        if self.open.is_none() {
            return;
        }
        self.note(&Entry {
            remote: &remote(endpoints),
            method: "",
            path: "",
            query: "",
            protocol: "",
            status: status.get(..3).and_then(|code| code.parse().ok()).unwrap_or(0),
            bytes: response_bytes as u64,
            duration: Duration::ZERO,
            referer: None,
            user_agent: None,
            pid: std::process::id(),
        });
    }

    /// Writes out what has gathered.
    pub(super) fn flush(&self) {
        if let Some(open) = &self.open {
            open.lines.lock().unwrap_or_else(PoisonError::into_inner).flush();
        }
    }

    fn note(&self, entry: &Entry<'_>) {
        let Some(open) = &self.open else { return };
        let mut lines = open.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let Lines { gathered, clock, .. } = &mut *lines;
        write_line(gathered, open.format, clock, SystemTime::now(), entry);
        if gathered.len() >= FULL {
            lines.flush();
        }
    }
}

impl Lines {
    fn flush(&mut self) {
        if self.gathered.is_empty() {
            return;
        }
        let written = match &self.output {
            Output::Stdout => io::stdout().lock().write_all(&self.gathered).and_then(|()| io::stdout().flush()),
            Output::File(file) => (&mut &*file).write_all(&self.gathered),
        };
        if let Err(error) = written {
            tracing::error!("{} bytes of the access log are lost: {error}", self.gathered.len());
        }
        self.gathered.clear();
    }
}

/// The client's address, past the proxies that are believed.
fn client(endpoints: &Endpoints, forwarding: &Forwarding) -> String {
    match forwarding {
        Forwarding::Believed(origin) => match origin.client {
            Client::Peer => remote(endpoints),
            Client::Address(ip, _) => ip.to_string(),
            // As CLF writes what is not known.
            Client::Hidden => "-".to_owned(),
        },
        Forwarding::Nothing | Forwarding::Distrusted => remote(endpoints),
    }
}

fn remote(endpoints: &Endpoints) -> String {
    match &endpoints.peer {
        Endpoint::Tcp(address) => address.ip().to_string(),
        Endpoint::Unix(path) if path.is_empty() => "unix:".to_owned(),
        Endpoint::Unix(path) => format!("unix:{path}"),
    }
}
