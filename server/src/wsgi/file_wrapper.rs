//! `wsgi.file_wrapper` (PEP 3333, "Optional Platform-Specific File Handling").
//!
//! Owns the wrapper and the rule for when the kernel may send the file instead of us. `environ` offers the class to
//! applications; `body` recognises an instance when one comes back as the response.

use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::os::unix::fs::MetadataExt;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// The largest size that text files of sysfs claim: one page, whatever is in them (kernel,
/// Documentation/filesystems/sysfs.rst), which has 64 KiB at most.
const PAGE: u64 = 64 * 1024;

/// The file-like object's blocks, one after the other.
#[pyclass(frozen, name = "FileWrapper", module = "smarthttpd")]
pub(super) struct FileWrapper {
    filelike: Py<PyAny>,
    block_size: usize,
}

#[pymethods]
impl FileWrapper {
    /// FileWrapper(filelike, blksize=8192)
    #[new]
    #[pyo3(signature = (filelike, blksize = 8192))]
    fn new(filelike: Py<PyAny>, blksize: usize) -> FileWrapper {
        FileWrapper { filelike, block_size: blksize }
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let block = self.filelike.bind(py).call_method1(intern!(py, "read"), (self.block_size,))?;
        // Not bytes: whoever iterates finds out.
        let is_end = match block.cast::<PyBytes>() {
            Ok(bytes) => bytes.as_bytes().is_empty(),
            Err(_) => !block.is_truthy()?,
        };
        Ok(Some(block).filter(|_| !is_end))
    }

    /// close(): closes the file-like object, if it can be.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let filelike = self.filelike.bind(py);
        if let Some(close) = filelike.getattr_opt(intern!(py, "close"))? {
            close.call0()?;
        }
        Ok(())
    }
}

/// A regular file that the kernel can send.
#[derive(Debug)]
pub(super) struct Extent {
    /// Our own descriptor of it, which survives the application's `close()`.
    pub(super) file: File,
    /// Where the application stands in it.
    pub(super) offset: u64,
    /// Bytes from there to its end.
    pub(super) len: u64,
}

impl FileWrapper {
    /// The file behind the wrapper, or None if reading it through Python could give anything else than its bytes, or it is
    /// not a regular file.
    pub(super) fn extent(&self, py: Python<'_>) -> PyResult<Option<Extent>> {
        let filelike = self.filelike.bind(py);
        if !is_plain(filelike)? {
            return Ok(None);
        }
        // A file that is also written to may have bytes in Python's buffer only.
        filelike.call_method0(intern!(py, "flush"))?;
        let fd: RawFd = filelike.call_method0(intern!(py, "fileno"))?.extract()?;
        let file = duplicate(fd)?;
        let metadata = file.metadata()?;
        // sendfile would block on, or refuse, what is not regular. What has no blocks may have other bytes than it says: the
        // files of procfs claim to be empty, those of sysfs to be a page, and only reading them tells. (A larger one without
        // blocks is sparse.)
        let is_made_up = metadata.blocks() == 0 && metadata.len() <= PAGE;
        if !metadata.is_file() || is_made_up {
            return Ok(None);
        }
        // Not the descriptor's own offset: that one runs ahead of what was read through a buffer.
        let offset: u64 = filelike.call_method0(intern!(py, "tell"))?.extract()?;
        Ok(Some(Extent { file, offset, len: metadata.len().saturating_sub(offset) }))
    }
}

/// Whether it is what `open(path, "rb")` returns. Subclasses, and objects that merely have a `fileno` (gzip files, pipes
/// through a decoder), may give other bytes than the descriptor does.
fn is_plain(filelike: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = filelike.py();
    let io = py.import(intern!(py, "io"))?;
    let is_exactly =
        |object: &Bound<'_, PyAny>, name| -> PyResult<bool> { Ok(object.get_type().is(&io.getattr(name)?)) };
    if is_exactly(filelike, intern!(py, "FileIO"))? {
        return Ok(true);
    }
    let is_buffered =
        is_exactly(filelike, intern!(py, "BufferedReader"))? || is_exactly(filelike, intern!(py, "BufferedRandom"))?;
    Ok(is_buffered && is_exactly(&filelike.getattr(intern!(py, "raw"))?, intern!(py, "FileIO"))?)
}

/// A descriptor of our own for what `fd` is open for.
fn duplicate(fd: RawFd) -> io::Result<File> {
    if fd < 0 {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    // SAFETY: an open Python file gave `fd` out a moment ago, this thread has been attached since, and the borrow ends with
    // this statement. Should another thread of the application have closed it all the same, the system says so (EBADF).
    Ok(File::from(unsafe { BorrowedFd::borrow_raw(fd) }.try_clone_to_owned()?))
}
