//! One call of a WSGI application.
//!
//! Owns the order of things: the callable, what it returns, `close()` whatever happened (PEP 3333, "Specification
//! Details"). Knows nothing of locks and logs: it returns what is to be logged. `application` calls it.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use super::start_response::{Desk, Response, Trouble};
use super::{body, traceback};
use crate::exchange::{Failed, ResponseSink};

/// How a call ended.
#[derive(Debug)]
pub(super) struct Ending {
    /// Exceptions with their tracebacks, for the log.
    pub(super) exceptions: Vec<String>,
    /// Whether there is a response.
    pub(super) outcome: Result<(), Failed>,
    /// Nanoseconds spent waiting for the interpreter lock, not counting the first time.
    pub(super) lock_wait_ns: u64,
}

impl Ending {
    /// It ended with this exception.
    pub(super) fn raised(py: Python<'_>, error: &PyErr) -> Ending {
        Ending { exceptions: vec![traceback::format(py, error)], outcome: Err(Failed), lock_wait_ns: 0 }
    }
}

/// Calls `application` and sends what it returns to `sink`. Takes the `start_response` from `desk`.
pub(super) fn run<'py>(
    application: &Bound<'py, PyAny>,
    environ: Bound<'py, PyDict>,
    desk: &Desk,
    sink: &mut dyn ResponseSink,
) -> Ending {
    let py = application.py();
    desk.lend(py, sink, |response, start_response| respond(application, environ, response, start_response))
        .unwrap_or_else(|error| Ending::raised(py, &error))
}

fn respond<'py>(
    application: &Bound<'py, PyAny>,
    environ: Bound<'py, PyDict>,
    response: &Response,
    start_response: &Bound<'py, PyAny>,
) -> Ending {
    let py = application.py();
    let mut exceptions = Vec::new();
    let sent = match application.call1((environ, start_response)) {
        Ok(result) => {
            let sent = body::send(&result, response);
            if let Err(error) = close(&result) {
                // What was sent stands, so this alone does not make the response a failure.
                exceptions.push(traceback::format(py, &error));
            }
            sent
        }
        Err(error) => Err(Trouble::Raised(error)),
    };
    let account = response.account();
    let outcome = match sent {
        Ok(()) => Ok(()),
        Err(Trouble::ClientGone(_)) => Err(Failed),
        // What `write` raised to tell the application, or what the application made of it.
        Err(Trouble::Raised(_)) if account.client_gone => Err(Failed),
        Err(Trouble::Raised(error)) => {
            exceptions.insert(0, traceback::format(py, &error));
            Err(Failed)
        }
    };
    Ending { exceptions, outcome, lock_wait_ns: account.lock_wait_ns }
}

/// Calls `close()` of what the application returned, if it has one.
fn close(result: &Bound<'_, PyAny>) -> PyResult<()> {
    // Not asked for attributes that they can't have: most responses are one of these.
    if result.is_exact_instance_of::<PyList>() || result.is_exact_instance_of::<PyTuple>() {
        return Ok(());
    }
    if let Some(close) = result.getattr_opt(intern!(result.py(), "close"))? {
        close.call0()?;
    }
    Ok(())
}
