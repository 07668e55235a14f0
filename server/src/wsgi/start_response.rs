//! `start_response` and `write` (PEP 3333, "The start_response() Callable"), and how they borrow the sink.
//!
//! Owns the response's side of one call: what the application has said so far, and the way to the [`ResponseSink`]. The
//! sink is borrowed from the caller's stack while Python objects live as long as they like, so the borrow is lent to the
//! object for the time of the call and taken back, and whoever comes later, or from another thread, gets an exception.
//! `call` lends; `body` sends through it.

use std::io;
use std::ptr::{self, NonNull};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pyo3::exceptions::{PyAssertionError, PyBrokenPipeError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::string::PyStringData;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};

use super::detached::detached;
use super::file_wrapper::Extent;
use crate::exchange::{ResponseSink, SinkError};

/// Bytes of a streamed body handed to the sink before it is flushed: many times what a socket takes at once.
const BLOCK: usize = 256 * 1024;
/// A body that is there at once and not larger than this is handed over whole, so that a slow client costs memory and no
/// thread. A larger one is copied block by block while the thread waits for the client.
const WHOLE: usize = 16 * 1024 * 1024;

/// Why a response can't go on.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The application's fault: an exception of its own, or one that tells it what it did wrong.
    Raised(PyErr),
    /// Nobody's fault: there is no one to respond to.
    ClientGone(io::Error),
}

impl From<PyErr> for Trouble {
    fn from(error: PyErr) -> Trouble {
        Trouble::Raised(error)
    }
}

impl From<SinkError> for Trouble {
    fn from(error: SinkError) -> Trouble {
        match error {
            SinkError::Application(error) => Trouble::Raised(PyValueError::new_err(error.to_string())),
            SinkError::Client(error) => Trouble::ClientGone(error),
        }
    }
}

/// What the application meets in `write()`.
impl From<Trouble> for PyErr {
    fn from(trouble: Trouble) -> PyErr {
        match trouble {
            Trouble::Raised(error) => error,
            Trouble::ClientGone(error) => PyBrokenPipeError::new_err(error.to_string()),
        }
    }
}

/// The `start_response` of one call.
#[pyclass(frozen, name = "start_response", module = "smarthttpd")]
pub(super) struct StartResponse {
    /// The thread that the sink belongs to.
    owner: usize,
    /// Absent once the call is over, and while the owner is inside of it.
    exchange: Mutex<Option<Exchange>>,
}

/// The response so far.
pub(super) struct Exchange {
    sink: Lent,
    head: Head,
    content_length: Option<u64>,
    body_begun: bool,
    account: Account,
}

/// What is to be known of a call besides its response.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Account {
    /// The client was found to be gone.
    pub(super) client_gone: bool,
    /// Nanoseconds spent waiting for the interpreter lock after it had been given away to send.
    pub(super) lock_wait_ns: u64,
}

/// What is known of status and headers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Head {
    /// `start_response` was not called.
    Missing,
    /// It was, and all it got was good.
    Given,
    /// It was, and raised an exception.
    Rejected,
}

/// The sink of the call under way, its lifetime forgotten.
struct Lent(NonNull<dyn ResponseSink>);

// SAFETY: the pointer is dereferenced on the thread that lent it only; `StartResponse::with` turns others away.
unsafe impl Send for Lent {}

impl StartResponse {
    /// Calls `body` with a `start_response` that reaches `sink`, which it does no longer when this returns.
    pub(super) fn lend<'py, R>(
        py: Python<'py>,
        sink: &mut dyn ResponseSink,
        body: impl FnOnce(&Bound<'py, StartResponse>) -> R,
    ) -> PyResult<R> {
        /// Takes the borrow back, also when a panic unwinds.
        struct Loan<'a>(&'a StartResponse);
        impl Drop for Loan<'_> {
            fn drop(&mut self) {
                self.0.lock().take();
            }
        }

        // SAFETY: only the lifetime in the type changes. `Loan` clears the one copy of the pointer before this function,
        // and with it the borrow of `sink`, ends; `with` has it out of its place for no longer than a call that is nested
        // in `body` on this very thread.
        let sink = unsafe {
            std::mem::transmute::<NonNull<dyn ResponseSink + '_>, NonNull<dyn ResponseSink>>(NonNull::from(sink))
        };
        let start_response = Bound::new(
            py,
            StartResponse {
                owner: this_thread(),
                exchange: Mutex::new(Some(Exchange {
                    sink: Lent(sink),
                    head: Head::Missing,
                    content_length: None,
                    body_begun: false,
                    account: Account::default(),
                })),
            },
        )?;
        let loan = Loan(start_response.get());
        let result = body(&start_response);
        drop(loan);
        Ok(result)
    }

    /// Lets `work` at the response, if it is under way and this is its thread.
    pub(super) fn with<R>(&self, work: impl FnOnce(&mut Exchange) -> Result<R, Trouble>) -> Result<R, Trouble> {
        if self.owner != this_thread() {
            return Err(Trouble::Raised(PyRuntimeError::new_err(
                "start_response() and write() work in the thread that called the application only",
            )));
        }
        let taken = self.lock().take();
        let mut exchange = taken.ok_or_else(|| PyRuntimeError::new_err("the response is over"))?;
        let result = work(&mut exchange);
        if matches!(result, Err(Trouble::ClientGone(_))) {
            exchange.account.client_gone = true;
        }
        *self.lock() = Some(exchange);
        result
    }

    /// The account of this call so far.
    pub(super) fn account(&self) -> Account {
        self.with(|exchange| Ok(exchange.account)).unwrap_or_default()
    }

    /// No Python code runs while it is held.
    fn lock(&self) -> MutexGuard<'_, Option<Exchange>> {
        self.exchange.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells threads apart that live at the same time.
fn this_thread() -> usize {
    thread_local!(static PLACE: u8 = const { 0 });
    PLACE.with(|place| ptr::from_ref(place).addr())
}

#[pymethods]
impl StartResponse {
    /// start_response(status, headers, exc_info=None, /): takes the response's head and returns write(data).
    #[pyo3(signature = (status, headers, exc_info = None, /))]
    fn __call__<'py>(
        slf: &Bound<'py, Self>,
        status: &Bound<'py, PyAny>,
        headers: &Bound<'py, PyAny>,
        exc_info: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Write>> {
        slf.get().with(|exchange| exchange.begin(status, headers, exc_info))?;
        Bound::new(slf.py(), Write { start_response: slf.clone().unbind() })
    }
}

/// What `start_response` returns.
#[pyclass(frozen, name = "write", module = "smarthttpd")]
struct Write {
    start_response: Py<StartResponse>,
}

#[pymethods]
impl Write {
    /// write(data, /): sends a piece of the body.
    #[pyo3(signature = (data, /))]
    fn __call__(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let data = data
            .cast::<PyBytes>()
            .map_err(|_| PyTypeError::new_err(format!("write() needs bytes, not {}", type_name(data))))?;
        self.start_response.get().with(|exchange| exchange.piece(py, data.as_bytes()))?;
        Ok(())
    }
}

impl Exchange {
    fn sink(&mut self) -> &mut dyn ResponseSink {
        // SAFETY: the pointer came from a `&mut` in `StartResponse::lend`, which is still running, since only it creates an
        // Exchange and clears it at its end; `self` is borrowed mutably for as long as the result, and is the only way to it.
        unsafe { self.sink.0.as_mut() }
    }

    fn begin(
        &mut self,
        status: &Bound<'_, PyAny>,
        headers: &Bound<'_, PyAny>,
        exc_info: Option<&Bound<'_, PyAny>>,
    ) -> Result<(), Trouble> {
        match exc_info {
            Some(exc_info) if self.sink().committed() => return Err(reraised(exc_info)?.into()),
            None if self.head == Head::Given => {
                return Err(
                    PyAssertionError::new_err("start_response() was called a second time without exc_info").into()
                );
            }
            _ => {}
        }
        self.head = Head::Rejected;
        self.content_length = None;
        self.take_head(status, headers)?;
        self.head = Head::Given;
        Ok(())
    }

    fn take_head(&mut self, status: &Bound<'_, PyAny>, headers: &Bound<'_, PyAny>) -> Result<(), Trouble> {
        let status = status
            .cast::<PyString>()
            .map_err(|_| PyTypeError::new_err(format!("the status must be str, not {}", type_name(status))))?;
        let headers = headers
            .cast::<PyList>()
            .map_err(|_| PyTypeError::new_err(format!("headers must be a list, not {}", type_name(headers))))?;
        let line = status.to_str()?;
        // PEP 3333 wants a reason, which HTTP itself lets one omit.
        if line.as_bytes().get(3) != Some(&b' ') {
            return Err(PyValueError::new_err(format!("the status must be like \"200 OK\", not {line:?}")).into());
        }
        self.sink().begin(line)?;
        for header in headers.iter() {
            let pair = header.cast::<PyTuple>().ok().filter(|pair| pair.len() == 2);
            let Some(pair) = pair else {
                return Err(PyTypeError::new_err(format!(
                    "headers must be a list of (name, value) tuples, but one is {header:?}"
                ))
                .into());
            };
            let (name, value) = (pair.get_borrowed_item(0)?, pair.get_borrowed_item(1)?);
            let (Ok(name), Ok(value)) = (name.cast::<PyString>(), value.cast::<PyString>()) else {
                return Err(PyTypeError::new_err(format!(
                    "names and values of headers must be str, but one is {header:?}"
                ))
                .into());
            };
            let (name, value) = (latin1(&name)?, latin1(&value)?);
            self.sink().header(name, value)?;
            if name.eq_ignore_ascii_case(b"content-length") {
                self.content_length = std::str::from_utf8(value).ok().and_then(|value| value.trim().parse().ok());
            }
        }
        Ok(())
    }

    /// Whether any of the body was given to the sink.
    pub(super) fn body_begun(&self) -> bool {
        self.body_begun
    }

    /// A body needs a head.
    pub(super) fn require_head(&self) -> Result<(), Trouble> {
        match self.head {
            Head::Given => Ok(()),
            Head::Missing => {
                Err(PyAssertionError::new_err("the application responded without having called start_response()")
                    .into())
            }
            Head::Rejected => Err(PyAssertionError::new_err(
                "the application responded although start_response() had raised an exception",
            )
            .into()),
        }
    }

    /// Sends all of the body, `total` bytes in these parts. Nothing was sent before.
    pub(super) fn whole(&mut self, py: Python<'_>, parts: &[Bound<'_, PyBytes>], total: usize) -> Result<(), Trouble> {
        self.require_head()?;
        self.body_begun = true;
        match parts {
            [part] if total <= WHOLE => self.sink().whole(part.as_bytes())?,
            parts if total <= WHOLE => {
                let mut joined = Vec::with_capacity(total);
                for part in parts {
                    joined.extend_from_slice(part.as_bytes());
                }
                self.sink().whole(&joined)?;
            }
            parts => {
                if self.content_length.is_none() {
                    self.sink().header(b"Content-Length", total.to_string().as_bytes())?;
                }
                for part in parts {
                    self.piece(py, part.as_bytes())?;
                }
            }
        }
        Ok(())
    }

    /// Sends one of several pieces. Blocks without the interpreter lock while the client is slow.
    pub(super) fn piece(&mut self, py: Python<'_>, piece: &[u8]) -> Result<(), Trouble> {
        self.require_head()?;
        for block in piece.chunks(BLOCK) {
            self.body_begun = true;
            self.sink().piece(block)?;
            let sink = self.sink();
            // SAFETY: the closure holds the sink only, which knows nothing of Python.
            let (flushed, done) = unsafe { detached(py, move || (sink.flush(), Instant::now())) };
            self.account.lock_wait_ns += nanoseconds(done.elapsed());
            flushed?;
        }
        Ok(())
    }

    /// Has a file sent as the whole body. Nothing was sent before.
    pub(super) fn file(&mut self, extent: Extent) -> Result<(), Trouble> {
        self.require_head()?;
        self.body_begun = true;
        let len = self.content_length.map_or(extent.len, |length| length.min(extent.len));
        Ok(self.sink().file(extent.file, extent.offset, len)?)
    }
}

/// Of a duration, as far as they fit.
pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The exception in `exc_info`, with its traceback, as `raise exc_info[1].with_traceback(exc_info[2])` would raise it.
fn reraised(exc_info: &Bound<'_, PyAny>) -> PyResult<PyErr> {
    let value = exc_info.get_item(1)?;
    let traceback = exc_info.get_item(2)?;
    Ok(PyErr::from_value(value.call_method1("with_traceback", (traceback,))?))
}

/// The bytes that a `str` of HTTP stands for (PEP 3333, "A Note on String Types").
fn latin1<'a>(text: &'a Bound<'_, PyString>) -> PyResult<&'a [u8]> {
    // SAFETY: a str is immutable, and `text` keeps it alive for as long as the result.
    match unsafe { text.data() }? {
        // One byte a character is how Python stores Latin-1, and it always chooses the narrowest form.
        PyStringData::Ucs1(bytes) => Ok(bytes),
        PyStringData::Ucs2(_) | PyStringData::Ucs4(_) => {
            Err(PyValueError::new_err(format!("headers must be made of Latin-1 characters: {text:?}")))
        }
    }
}

/// The type of an object, for messages.
pub(super) fn type_name(object: &Bound<'_, PyAny>) -> String {
    object.get_type().name().map_or_else(|_| "something else".to_owned(), |name| name.to_string())
}
