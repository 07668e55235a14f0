//! `wsgi.input`: the request body as a Python file object.
//!
//! Owns the reading side of a body that is complete already, so nothing here waits for a client; only bodies that were
//! spooled to a file touch the disk, without the interpreter lock. Knows nothing of heads or responses. `environ` makes it.

use std::io::{self, BufRead, Read};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::buffer::PyUntypedBuffer;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::{PyBytes, PyList};

use crate::exchange::{Body, BodyReader, Buffer};

/// A binary file object open for reading, not seekable. It may outlive its request.
#[pyclass(frozen, name = "Input", module = "smarthttpd")]
pub(super) struct Input {
    stream: Mutex<Stream>,
}

/// Where reading stands.
enum Stream {
    /// Everything was read, or there was nothing.
    Drained,
    /// So many bytes are left.
    Open { reader: BodyReader, remaining: u64 },
    /// `close()` was called.
    Closed,
}

impl Input {
    /// The input of requests without a body. It has nothing to remember, so all of them share one.
    pub(super) fn empty() -> Input {
        Input::new(Body::Empty)
    }

    pub(super) fn new(body: Body) -> Input {
        let remaining = body.len();
        Input {
            stream: Mutex::new(if remaining == 0 {
                Stream::Drained
            } else {
                Stream::Open { reader: body.into_reader(), remaining }
            }),
        }
    }

    fn lock<'a>(&'a self, py: Python<'_>) -> MutexGuard<'a, Stream> {
        // Another thread may hold it while it reads from the disk without the interpreter lock.
        self.stream.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Input {
    /// read(size=-1, /): up to `size` bytes, all that is left if negative or None; b'' at the end.
    #[pyo3(signature = (size = None, /))]
    fn read<'py>(&self, py: Python<'py>, size: Option<i64>) -> PyResult<Bound<'py, PyBytes>> {
        self.lock(py).read(py, limit(size))
    }

    /// readline(size=-1, /): up to and with the next newline, at most `size` bytes; b'' at the end.
    #[pyo3(signature = (size = None, /))]
    fn readline<'py>(&self, py: Python<'py>, size: Option<i64>) -> PyResult<Bound<'py, PyBytes>> {
        self.lock(py).line(py, limit(size))
    }

    /// readlines(hint=-1, /): the lines that are left, no more once they have `hint` bytes together.
    #[pyo3(signature = (hint = None, /))]
    fn readlines<'py>(&self, py: Python<'py>, hint: Option<i64>) -> PyResult<Bound<'py, PyList>> {
        // As in Python's own file objects, 0 is no limit either.
        let limit = limit(hint.filter(|hint| *hint > 0));
        let mut stream = self.lock(py);
        let lines = PyList::empty(py);
        let mut total = 0;
        while total < limit {
            let line = stream.line(py, u64::MAX)?;
            if line.as_bytes().is_empty() {
                break;
            }
            total += line.as_bytes().len() as u64;
            lines.append(line)?;
        }
        Ok(lines)
    }

    /// readinto(buffer, /): fills a writable buffer as far as there is body; how many bytes that was.
    fn readinto(&self, py: Python<'_>, buffer: &Bound<'_, PyAny>) -> PyResult<usize> {
        let buffer = PyUntypedBuffer::get(buffer)?;
        if buffer.readonly() || !buffer.is_c_contiguous() {
            return Err(PyTypeError::new_err("readinto() needs a writable, contiguous buffer"));
        }
        let data = self.lock(py).read(py, buffer.len_bytes() as u64)?;
        let data = data.as_bytes();
        if !data.is_empty() {
            // SAFETY: `buffer` keeps its memory alive, in place and writable: `len_bytes` bytes without gaps from `buf_ptr`
            // on, of which any may have any value. `read` returned no more than that, in a new object that can't overlap
            // it. No reference to the memory is made, for Python code elsewhere may have some, but none runs while this
            // thread is attached.
            unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), buffer.buf_ptr().cast(), data.len()) };
        }
        Ok(data.len())
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let line = self.lock(py).line(py, u64::MAX)?;
        Ok(Some(line).filter(|line| !line.as_bytes().is_empty()))
    }

    /// close(): gives the body up; reading raises ValueError from now on.
    fn close(&self, py: Python<'_>) {
        let mut stream = self.lock(py);
        // The input without a body is shared by requests: one application's close() must not reach another.
        if matches!(*stream, Stream::Open { .. }) {
            *stream = Stream::Closed;
        }
    }

    #[getter]
    fn closed(&self, py: Python<'_>) -> bool {
        matches!(*self.lock(py), Stream::Closed)
    }

    /// Nothing to do; `io.BufferedReader` calls it when it is closed.
    fn flush(&self) {}

    fn readable(&self) -> bool {
        true
    }

    fn writable(&self) -> bool {
        false
    }

    fn seekable(&self) -> bool {
        false
    }
}

/// What Python's optional, possibly negative size means.
fn limit(size: Option<i64>) -> u64 {
    size.and_then(|size| u64::try_from(size).ok()).unwrap_or(u64::MAX)
}

impl Stream {
    /// At most `limit` bytes, fewer only at the end.
    fn read<'py>(&mut self, py: Python<'py>, limit: u64) -> PyResult<Bound<'py, PyBytes>> {
        let Some((reader, remaining)) = self.open()? else {
            return Ok(PyBytes::new(py, b""));
        };
        // A body that was accepted fits into the address space.
        let size = usize::try_from(limit.min(*remaining)).unwrap_or(usize::MAX);
        let data = match reader {
            BodyReader::Memory(cursor) => {
                let data = PyBytes::new(py, &rest(cursor)[..size]);
                cursor.consume(size);
                data
            }
            BodyReader::File(file) if size <= file.buffer().len() => {
                let data = PyBytes::new(py, &file.buffer()[..size]);
                file.consume(size);
                data
            }
            BodyReader::File(file) => PyBytes::new_with(py, size, |into| Ok(py.detach(|| file.read_exact(into))?))?,
        };
        self.advance(size);
        Ok(data)
    }

    /// Up to and with the next newline, but at most `limit` bytes.
    fn line<'py>(&mut self, py: Python<'py>, limit: u64) -> PyResult<Bound<'py, PyBytes>> {
        let Some((reader, _)) = self.open()? else {
            return Ok(PyBytes::new(py, b""));
        };
        let line = match reader {
            BodyReader::Memory(cursor) => {
                let rest = rest(cursor);
                let size = line_end(rest, limit).unwrap_or(rest.len());
                let line = PyBytes::new(py, &rest[..size]);
                cursor.consume(size);
                line
            }
            BodyReader::File(file) => {
                // Most lines are in its buffer. Giving the interpreter lock up for each of them would take much longer.
                if let Some(size) = line_end(file.buffer(), limit) {
                    let line = PyBytes::new(py, &file.buffer()[..size]);
                    file.consume(size);
                    self.advance(size);
                    return Ok(line);
                }
                let line: io::Result<Vec<u8>> = py.detach(|| {
                    let mut line = Vec::new();
                    file.take(limit).read_until(b'\n', &mut line)?;
                    Ok(line)
                });
                PyBytes::new(py, &line?)
            }
        };
        self.advance(line.as_bytes().len());
        Ok(line)
    }

    /// The reader and how many bytes it has; None at the end.
    fn open(&mut self) -> PyResult<Option<(&mut BodyReader, &u64)>> {
        match self {
            Stream::Drained => Ok(None),
            Stream::Open { reader, remaining } => Ok(Some((reader, remaining))),
            Stream::Closed => Err(PyValueError::new_err("I/O operation on closed file.")),
        }
    }

    /// Counts what was read; lets go of the memory or file at the end.
    fn advance(&mut self, amount: usize) {
        if let Stream::Open { remaining, .. } = self {
            *remaining -= (amount as u64).min(*remaining);
            if *remaining == 0 {
                *self = Stream::Drained;
            }
        }
    }
}

/// Where the line at the start of `bytes` ends, or its first `limit` bytes do; None if that is not among them.
fn line_end(bytes: &[u8], limit: u64) -> Option<usize> {
    let limit = usize::try_from(limit).ok().filter(|limit| *limit <= bytes.len());
    let within = &bytes[..limit.unwrap_or(bytes.len())];
    memchr::memchr(b'\n', within).map(|newline| newline + 1).or(limit)
}

/// What was not read yet.
fn rest(cursor: &io::Cursor<Buffer>) -> &[u8] {
    let all = cursor.get_ref().as_ref();
    &all[usize::try_from(cursor.position()).map_or(all.len(), |position| position.min(all.len()))..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_after_its_newline_or_at_the_limit() {
        for (bytes, limit, expect) in [
            (&b"one\ntwo\n"[..], u64::MAX, Some(4)),
            (b"one\ntwo\n", 4, Some(4)),
            (b"one\ntwo\n", 3, Some(3)),
            (b"one\ntwo\n", 0, Some(0)),
            (b"\n", 1, Some(1)),
            // Neither is here: there may be more of the line elsewhere.
            (b"one", u64::MAX, None),
            (b"one", 4, None),
            (b"one", 3, Some(3)),
            (b"", u64::MAX, None),
            (b"", 0, Some(0)),
        ] {
            assert_eq!(line_end(bytes, limit), expect, "{:?} {limit}", bytes.escape_ascii().to_string());
        }
    }
}
