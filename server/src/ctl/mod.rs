//! `smarthttpd ctl`: asks a running server through its control socket and shows the answer.
//!
//! [`protocol`] is what both ends speak; [`discovery`] finds the socket; [`text`] lays a status out for people, `top` goes on
//! doing so in a terminal. The
//! supervisor uses [`protocol`], [`default_directory`] and [`prepare_directory`] for its end.
//!
//! It knows nothing about how a server works, only what it says. `main` calls [`run`].

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::{Exit, Invocation, Verb};

mod discovery;
pub(crate) mod protocol;
mod text;
mod top;

pub(crate) use discovery::{default_directory, prepare_directory};
use protocol::{Answer, Reply, Request, Status};

/// A server that is alive answers within its next turn of the loop.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why there is no answer to show.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CtlError {
    /// The socket that was named leads nowhere.
    #[error("no server answers at {}: {source}; is it running?", path.display())]
    Unreachable {
        /// As given.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No server's socket in the usual places.
    #[error(
        "no server of this user is running (no living socket in {}); name its socket with --socket PATH",
        list(directories, " or ")
    )]
    NoServer {
        /// Where we looked.
        directories: Vec<PathBuf>,
    },
    /// More than one server: which one is meant?
    #[error("several servers are running; choose one with --socket: {}", list(sockets, ", "))]
    Several {
        /// Their sockets.
        sockets: Vec<PathBuf>,
    },
    /// The connection broke before the answer was complete.
    #[error("the server at {} did not answer: {source}", path.display())]
    Broken {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What came back is no answer.
    #[error("the server at {} gave an answer that this version does not understand: {source}", path.display())]
    Unintelligible {
        /// The socket.
        path: PathBuf,
        /// Where it stops making sense.
        source: serde_json::Error,
    },
    /// There is no terminal to draw on, or it does not do what it is told.
    #[error("top needs a terminal: {0}; --once prints a single frame anywhere")]
    Terminal(io::Error),
    /// The server said no.
    #[error("the server refused: {0}")]
    Refused(String),
    /// New code or options were asked for and did not come about.
    #[error("not reloaded, the server goes on as before: {0}")]
    NotReloaded(String),
}

impl CtlError {
    /// The exit code that goes with it.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            CtlError::Unreachable { .. } | CtlError::NoServer { .. } | CtlError::Broken { .. } => Exit::NoServer,
            CtlError::Several { .. } => Exit::Usage,
            CtlError::Unintelligible { .. }
            | CtlError::Refused(_)
            | CtlError::NotReloaded(_)
            | CtlError::Terminal(_) => Exit::Failure,
        }
    }
}

fn list(paths: &[PathBuf], between: &str) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(between)
}

/// Asks, and returns what to print on standard output.
///
/// # Errors
/// When no server is reached, when it is not clear which one is meant, or when the server refuses.
pub(crate) fn run(invocation: &Invocation) -> Result<String, CtlError> {
    run_in(invocation, &discovery::directories())
}

fn run_in(invocation: &Invocation, directories: &[PathBuf]) -> Result<String, CtlError> {
    let (path, stream) = reach(invocation, directories)?;
    let (request, patience) = match invocation.command {
        Verb::Status => (Request::Status, PATIENCE),
        Verb::Reload { timeout } => {
            (Request::Reload { timeout_seconds: timeout.as_secs_f64() }, timeout.saturating_add(PATIENCE))
        }
        Verb::ReopenLogs => (Request::ReopenLogs, PATIENCE),
        Verb::Scale { workers, min, max } => (Request::Scale { min: workers.or(min), max: workers.or(max) }, PATIENCE),
        Verb::Stop => (Request::Stop, PATIENCE),
        Verb::Top { once } => {
            // One server from beginning to end, also when others start meanwhile.
            drop(stream);
            let look = || look(&path);
            return if once { top::once(look) } else { top::live(look).map(|()| String::new()) };
        }
    };
    let (line, answer) = converse(&path, stream, request, patience)?;
    Ok(match (invocation.json, answer) {
        // The server's own line: fields that this version doesn't know are kept.
        (true, _) => line,
        (false, Answer::Status(status)) => text::status(&status),
        (false, Answer::Reloaded(reloaded)) => text::reloaded(&reloaded),
        (false, Answer::Reopened(reopened)) => format!("{reopened}\n"),
        (false, Answer::Scaled(scaled)) => text::scaled(&scaled),
        (false, Answer::Stopping(_)) => "the server is stopping\n".to_owned(),
    })
}

/// A connection to the server that is meant, and its socket.
fn reach(invocation: &Invocation, directories: &[PathBuf]) -> Result<(PathBuf, UnixStream), CtlError> {
    match &invocation.socket {
        Some(path) => connect(path).map(|stream| (path.clone(), stream)),
        None => discovery::only_server(directories),
    }
}

fn connect(path: &Path) -> Result<UnixStream, CtlError> {
    UnixStream::connect(path).map_err(|source| CtlError::Unreachable { path: path.to_owned(), source })
}

/// The status of the server at `path`.
fn look(path: &Path) -> Result<Status, CtlError> {
    match converse(path, connect(path)?, Request::Status, PATIENCE)?.1 {
        Answer::Status(status) => Ok(*status),
        _ => Err(CtlError::Refused("it gave another answer than its status".to_owned())),
    }
}

/// What the server at `path` answers: its line, and what that says.
fn converse(
    path: &Path,
    stream: UnixStream,
    request: Request,
    patience: Duration,
) -> Result<(String, Answer), CtlError> {
    let line = ask(stream, request, patience).map_err(|source| CtlError::Broken { path: path.to_owned(), source })?;
    let reply =
        serde_json::from_str(&line).map_err(|source| CtlError::Unintelligible { path: path.to_owned(), source })?;
    match reply {
        Reply::Ok(answer) => Ok((line, answer)),
        Reply::Error(problem) if matches!(request, Request::Reload { .. }) => Err(CtlError::NotReloaded(problem)),
        Reply::Error(problem) => Err(CtlError::Refused(problem)),
    }
}

/// One line there, one line back within `patience`.
fn ask(mut stream: UnixStream, request: Request, patience: Duration) -> io::Result<String> {
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_string(&request)?;
    line.push('\n');
    stream.write_all(line.as_bytes())?;
    let mut answer = String::new();
    match BufReader::new(stream).read_line(&mut answer) {
        Ok(_) if answer.ends_with('\n') => Ok(answer),
        Ok(_) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it closed the connection within its answer")),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(io::Error::new(io::ErrorKind::TimedOut, format!("nothing came within {} s", patience.as_secs())))
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
