//! Which kind an error of reqwest is, as exactly as its chain of causes tells.
//!
//! Two distinctions of the fast engine are not in that chain: a head that is cut off counts as
//! [`ClosedBeforeResponse`](ErrorKind::ClosedBeforeResponse), and bytes after a whole answer go unseen.

use std::error::Error;
use std::io;

use super::wire::Wire;
use crate::connection::connect_failure;
use crate::error::ErrorKind;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) kind: ErrorKind,
    pub(super) detail: String,
}

/// How far the answer had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its head is not there.
    Head,
    /// Its head is, its content is not.
    Body,
}

/// The failure that `error` is, on a lane with this wire.
pub(super) fn of(error: reqwest::Error, stage: Stage, wire: &Wire) -> Failure {
    // The URL is in the report already, and the same for every request.
    let error = error.without_url();
    let causes = causes(&error);
    Failure { kind: kind(&error, &causes, stage, wire), detail: detail(&causes) }
}

fn kind(error: &reqwest::Error, causes: &[&(dyn Error + 'static)], stage: Stage, wire: &Wire) -> ErrorKind {
    if error.is_redirect() {
        return ErrorKind::Redirect;
    }
    let tls = find::<rustls::Error>(causes).is_some();
    let io = causes.iter().rev().find_map(|cause| cause.downcast_ref::<io::Error>());
    if error.is_connect() {
        return match io {
            _ if tls => ErrorKind::Tls,
            // Before the handshake's end neither a cut nor a reset says that TLS was at fault, but nothing else was going on.
            _ if wire.failed_in_handshake() && !error.is_timeout() => ErrorKind::Tls,
            _ if error.is_timeout() => ErrorKind::ConnectTimeout,
            Some(io) => match connect_failure(io) {
                // While a proxy was being talked to: no request was written yet.
                ErrorKind::Write => ErrorKind::ConnectFailed,
                kind => kind,
            },
            None => ErrorKind::ConnectFailed,
        };
    }
    if let Some(h2) = find::<h2::Error>(causes).filter(|h2| !h2.is_io()) {
        return match (h2.is_remote(), h2.is_go_away()) {
            (true, true) if stage == Stage::Head => ErrorKind::ClosedBeforeResponse,
            (true, true) => ErrorKind::Truncated,
            (true, false) => ErrorKind::Read,
            (false, _) => ErrorKind::Protocol,
        };
    }
    if let Some(io) = io {
        return match io.kind() {
            io::ErrorKind::UnexpectedEof => ended(stage),
            io::ErrorKind::BrokenPipe | io::ErrorKind::WriteZero => ErrorKind::Write,
            // What hyper says of chunks that are none.
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput if !tls => ErrorKind::Protocol,
            _ if tls => ErrorKind::Tls,
            _ => ErrorKind::Read,
        };
    }
    match find::<hyper::Error>(causes) {
        Some(hyper) if hyper.is_parse() => ErrorKind::Protocol,
        Some(hyper) if hyper.is_incomplete_message() || hyper.is_canceled() || hyper.is_closed() => ended(stage),
        Some(hyper) if hyper.is_body_write_aborted() => ErrorKind::Write,
        _ => ErrorKind::Read,
    }
}

/// The connection has ended.
fn ended(stage: Stage) -> ErrorKind {
    match stage {
        Stage::Head => ErrorKind::ClosedBeforeResponse,
        Stage::Body => ErrorKind::Truncated,
    }
}

/// An error and what caused it, the outermost first. An error of input and output that wraps another one names that one's
/// cause as its own, and would hide it.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    let mut causes = vec![error];
    let mut last = error;
    loop {
        let wrapped = last.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let next: Option<&'a (dyn Error + 'static)> = match wrapped {
            Some(inner) => Some(inner),
            None => last.source(),
        };
        match next {
            Some(cause) => causes.push(cause),
            None => return causes,
        }
        last = causes[causes.len() - 1];
    }
}

fn find<'a, E: Error + 'static>(causes: &[&'a (dyn Error + 'static)]) -> Option<&'a E> {
    causes.iter().find_map(|cause| cause.downcast_ref())
}

/// What the last causes say: the first ones only say that something went wrong.
fn detail(causes: &[&(dyn Error + 'static)]) -> String {
    let mut words: Vec<String> = causes.iter().map(ToString::to_string).collect();
    words.dedup();
    match words.len() {
        0..=2 => words.pop().unwrap_or_default(),
        count => words.split_off(count - 2).join(": "),
    }
}
