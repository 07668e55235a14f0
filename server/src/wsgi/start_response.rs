//! `start_response` and `write` (PEP 3333, "The start_response() Callable"), and how they borrow the sink.
//!
//! Owns the response's side of one call: what the application has said so far, and the way to the [`ResponseSink`]. The
//! sink is borrowed from the caller's stack while Python objects live as long as they like, so the borrow is lent to the
//! object for the time of the call and taken back, and whoever comes later, or from another thread, gets an exception.
//! The objects are used again for the next call unless the application has kept one. `call` lends; `body` sends through it.

use std::cell::{Cell, UnsafeCell};
use std::io;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::{PyAssertionError, PyBrokenPipeError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::string::PyStringData;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};
use pyo3::{ffi, intern};

use super::detached::detached;
use super::file_wrapper::Extent;
use crate::exchange::{Payload, ResponseSink, SinkError};
use crate::sys::clock;

/// Bytes of a streamed body handed to the sink before it is flushed: many times what a socket takes at once.
const BLOCK: usize = 256 * 1024;
/// A body up to this size is copied, head and body into one buffer; of a larger one the application's own bytes objects
/// are kept until the client has them.
const COPIED: usize = 16 * 1024;
/// Parts that are smaller than this on average are joined: the kernel takes few of them at once.
const SMALL: usize = 4 * 1024;
/// Objects kept for the next calls.
const KEPT: usize = 64;

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

/// What `start_response` is a method of, and `write` is a call of.
#[pyclass(frozen, name = "Response", module = "smarthttpd")]
pub(super) struct Response {
    /// The thread that the sink belongs to; 0: it is lent to nobody.
    owner: AtomicUsize,
    /// The owner is inside of it.
    busy: Cell<bool>,
    exchange: UnsafeCell<Option<Exchange>>,
}

// SAFETY: only the thread that `owner` names touches the other two fields (`with`, `Desk::lend`), and a thread names itself
// there only while nobody is named: in `Desk::lend`, which has the object to itself then.
unsafe impl Sync for Response {}
// SAFETY: the same; what is in `exchange` belongs to the owner's thread, and there is nothing in it for anybody else.
unsafe impl Send for Response {}

/// The objects that calls are made with.
#[derive(Default)]
pub(super) struct Desk {
    kept: Mutex<Vec<Pair>>,
}

/// The object, and its method as applications get it.
struct Pair {
    response: Py<Response>,
    method: Py<PyAny>,
}

/// The response so far.
pub(super) struct Exchange {
    /// The sink of the call under way, its lifetime forgotten.
    sink: NonNull<dyn ResponseSink>,
    head: Head,
    content_length: Option<u64>,
    body: Stage,
    account: Account,
}

/// How far the body is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// None of it was given to the sink.
    Nothing,
    /// Some of it was.
    Begun,
    /// All that Content-Length promised was: what comes after it is cut.
    Complete,
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

impl Desk {
    /// Calls `body` with a response, and its `start_response`, that reach `sink`, which they do no longer when this
    /// returns.
    pub(super) fn lend<'py, R>(
        &self,
        py: Python<'py>,
        sink: &mut dyn ResponseSink,
        body: impl FnOnce(&Response, &Bound<'py, PyAny>) -> R,
    ) -> PyResult<R> {
        /// Takes the borrow back, also when a panic unwinds.
        struct Loan<'a>(&'a Response);
        impl Drop for Loan<'_> {
            fn drop(&mut self) {
                // SAFETY: this is the owner's thread, and nobody is inside: `with` is nested in `body`, which is over.
                unsafe { *self.0.exchange.get() = None };
                self.0.owner.store(0, Ordering::Release);
            }
        }

        // SAFETY: only the lifetime in the type changes. `Loan` clears the one copy of the pointer before this function,
        // and with it the borrow of `sink`, ends.
        let sink = unsafe {
            std::mem::transmute::<NonNull<dyn ResponseSink + '_>, NonNull<dyn ResponseSink>>(NonNull::from(sink))
        };
        let Pair { response, method } = self.take(py)?;
        let exchange = Exchange {
            sink,
            head: Head::Missing,
            content_length: None,
            body: Stage::Nothing,
            account: Account::default(),
        };
        let result = {
            let response = response.get();
            // SAFETY: the object is new, or was kept and nobody else has it: nobody is named as its owner.
            unsafe { *response.exchange.get() = Some(exchange) };
            response.owner.store(this_thread(), Ordering::Release);
            let loan = Loan(response);
            body(loan.0, method.bind(py))
        };
        self.keep(py, Pair { response, method });
        Ok(result)
    }

    fn take(&self, py: Python<'_>) -> PyResult<Pair> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(pair) = kept {
            return Ok(pair);
        }
        let response = Bound::new(
            py,
            Response { owner: AtomicUsize::new(0), busy: Cell::new(false), exchange: UnsafeCell::new(None) },
        )?;
        let method = response.getattr(intern!(py, "start_response"))?.unbind();
        Ok(Pair { response: response.unbind(), method })
    }

    /// For the next call, if the application has kept neither.
    fn keep(&self, _: Python<'_>, pair: Pair) {
        // SAFETY: both are live objects, and this thread is attached.
        let (responses, methods) =
            unsafe { (ffi::Py_REFCNT(pair.response.as_ptr()), ffi::Py_REFCNT(pair.method.as_ptr())) };
        // The method refers to the object.
        if (responses, methods) != (2, 1) {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT {
            kept.push(pair);
        }
    }
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Desk").finish_non_exhaustive()
    }
}

impl Response {
    /// Lets `work` at the response, if it is under way and this is its thread.
    pub(super) fn with<R>(&self, work: impl FnOnce(&mut Exchange) -> Result<R, Trouble>) -> Result<R, Trouble> {
        /// The owner is out again, also when a panic unwinds.
        struct Inside<'a>(&'a Cell<bool>);
        impl Drop for Inside<'_> {
            fn drop(&mut self) {
                self.0.set(false);
            }
        }

        match self.owner.load(Ordering::Acquire) {
            owner if owner == this_thread() => {}
            0 => return Err(Trouble::Raised(PyRuntimeError::new_err("the response is over"))),
            _ => {
                return Err(Trouble::Raised(PyRuntimeError::new_err(
                    "start_response() and write() work in the thread that called the application only",
                )));
            }
        }
        if self.busy.replace(true) {
            return Err(Trouble::Raised(PyRuntimeError::new_err(
                "start_response() or write() was called within itself",
            )));
        }
        let inside = Inside(&self.busy);
        // SAFETY: this is the owner's thread, so no other one is here; `busy` says that this thread isn't a second time.
        let exchange = unsafe { &mut *self.exchange.get() };
        let Some(exchange) = exchange else {
            return Err(Trouble::Raised(PyRuntimeError::new_err("the response is over")));
        };
        let result = work(exchange);
        if matches!(result, Err(Trouble::ClientGone(_))) {
            exchange.account.client_gone = true;
        }
        drop(inside);
        result
    }

    /// The account of this call so far.
    pub(super) fn account(&self) -> Account {
        self.with(|exchange| Ok(exchange.account)).unwrap_or_default()
    }
}

/// Tells threads apart that live at the same time.
fn this_thread() -> usize {
    thread_local!(static PLACE: u8 = const { 0 });
    PLACE.with(|place| ptr::from_ref(place).addr())
}

#[pymethods]
impl Response {
    /// start_response(status, headers, /, exc_info=None): takes the response's head and returns write(data).
    ///
    /// PEP 3333 has all arguments positional; applications that name the last one are met all the same.
    #[pyo3(signature = (status, headers, /, exc_info = None))]
    fn start_response<'py>(
        slf: &Bound<'py, Self>,
        status: &Bound<'py, PyAny>,
        headers: &Bound<'py, PyAny>,
        exc_info: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Self>> {
        slf.get().with(|exchange| exchange.begin(status, headers, exc_info))?;
        Ok(slf.clone())
    }

    /// write(data, /): sends a piece of the body.
    #[pyo3(signature = (data, /))]
    fn __call__(&self, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let data = data
            .cast::<PyBytes>()
            .map_err(|_| PyTypeError::new_err(format!("write() needs bytes, not {}", type_name(data))))?;
        self.with(|exchange| exchange.piece(data))?;
        Ok(())
    }
}

/// A bytes object of the application, kept until it is sent.
struct Kept {
    bytes: NonNull<[u8]>,
    /// Lets go of the object when it is dropped, which needs no interpreter lock: pyo3 puts that off until it is held.
    _object: Py<PyBytes>,
}

// SAFETY: the memory of a bytes object never changes and stays where it is as long as the object lives, which `_object` sees
// to; reading it takes no interpreter lock.
unsafe impl Send for Kept {}

impl Kept {
    fn boxed(object: &Bound<'_, PyBytes>) -> Box<dyn Payload> {
        Box::new(Kept { bytes: NonNull::from(object.as_bytes()), _object: object.clone().unbind() })
    }
}

impl Payload for Kept {
    fn bytes(&self) -> &[u8] {
        // SAFETY: see above; the result lives no longer than `self`.
        unsafe { self.bytes.as_ref() }
    }
}

impl Exchange {
    fn sink(&mut self) -> &mut dyn ResponseSink {
        // SAFETY: the pointer came from a `&mut` in `Desk::lend`, which is still running, since only it creates an Exchange and clears it at its end; `self` is borrowed mutably for as long as the result, and is the only way to it.
        unsafe { self.sink.as_mut() }
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
        let line = latin1(status)?;
        // PEP 3333 wants a reason, which HTTP itself lets one omit.
        if line.get(3) != Some(&b' ') {
            return Err(PyValueError::new_err(format!("the status must be like \"200 OK\", not {status:?}")).into());
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
        self.body != Stage::Nothing
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

    /// Takes all of the body, `total` bytes in these parts. Nothing was given before.
    pub(super) fn whole(&mut self, parts: &[Bound<'_, PyBytes>], total: usize) -> Result<(), Trouble> {
        self.require_head()?;
        self.body = Stage::Begun;
        if let ([part], ..=COPIED) = (parts, total) {
            return Ok(self.sink().whole(part.as_bytes())?);
        }
        if total > COPIED && total / parts.len() >= SMALL {
            let kept = parts.iter().map(Kept::boxed).collect();
            return Ok(self.sink().parts(kept, total as u64)?);
        }
        let mut joined = Vec::with_capacity(total);
        for part in parts {
            joined.extend_from_slice(part.as_bytes());
        }
        match total {
            ..=COPIED => self.sink().whole(&joined)?,
            _ => self.sink().parts(vec![Box::new(joined)], total as u64)?,
        }
        Ok(())
    }

    /// Sends one of several pieces. Blocks without the interpreter lock while the client is slow, unless it is the last, which waits for nobody.
    pub(super) fn piece(&mut self, piece: &Bound<'_, PyBytes>) -> Result<(), Trouble> {
        self.require_head()?;
        if self.body == Stage::Complete {
            return Ok(());
        }
        self.body = Stage::Begun;
        let bytes = piece.as_bytes();
        if self.sink().completes(bytes.len() as u64) {
            self.body = Stage::Complete;
            // Sent before the application is asked for more, or closes what it returned: it may do so at its leisure.
            if bytes.len() <= COPIED {
                self.sink().piece(bytes)?;
                // A short write that never waits. Without the lock it would be as long, and getting the lock back may
                // take a switch interval (5 ms) for each thread that computes.
                return Ok(self.sink().dispatch()?);
            }
            self.sink().parts(vec![Kept::boxed(piece)], bytes.len() as u64)?;
            return self.without_lock(piece.py(), |sink| sink.dispatch());
        }
        for block in bytes.chunks(BLOCK) {
            self.sink().piece(block)?;
            self.without_lock(piece.py(), |sink| sink.flush())?;
        }
        Ok(())
    }

    fn without_lock(
        &mut self,
        py: Python<'_>,
        work: impl FnOnce(&mut dyn ResponseSink) -> Result<(), SinkError>,
    ) -> Result<(), Trouble> {
        let sink = self.sink();
        // SAFETY: the closure holds the sink only, which knows nothing of Python.
        let (done, ended_ns) = unsafe { detached(py, move || (work(sink), clock::monotonic_ns())) };
        self.account.lock_wait_ns += clock::monotonic_ns().saturating_sub(ended_ns);
        Ok(done?)
    }

    /// Whether more pieces would not be sent anyway.
    pub(super) fn is_full(&mut self) -> bool {
        self.sink().is_full()
    }

    /// Has a file sent as the whole body. Nothing was sent before.
    pub(super) fn file(&mut self, extent: Extent) -> Result<(), Trouble> {
        self.require_head()?;
        self.body = Stage::Begun;
        let len = self.content_length.map_or(extent.len, |length| length.min(extent.len));
        Ok(self.sink().file(extent.file, extent.offset, len)?)
    }
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
            Err(PyValueError::new_err(format!("status and headers must be made of Latin-1 characters: {text:?}")))
        }
    }
}

/// The type of an object, for messages.
pub(super) fn type_name(object: &Bound<'_, PyAny>) -> String {
    object.get_type().name().map_or_else(|_| "something else".to_owned(), |name| name.to_string())
}
