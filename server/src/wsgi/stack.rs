//! What another thread is doing in Python, as text for the log.
//!
//! Owns the two ways to tell. With the interpreter lock its frames can be walked like those of an exception. A call that
//! never gives the lock away has to be looked at without it, as `faulthandler` does after a crash. `application` asks.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use pyo3::ffi;
use pyo3::prelude::*;

/// `faulthandler`'s own function: writes the stacks of all threads to a descriptor, with nothing but `write`, and needs no
/// lock. Returns what went wrong.
type Dump = unsafe extern "C" fn(c_int, *mut ffi::PyInterpreterState, *mut ffi::PyThreadState) -> *const c_char;

/// The stack of `thread` (its `pthread_t`), outermost call first. `None` if it can't be told: no Python runs there, or the
/// interpreter lock is not to be had within `patience` and this Python has no other way.
pub(super) fn of(thread: u64, patience: Duration) -> Option<String> {
    with_lock(thread, patience).unwrap_or_else(|_| without_lock(thread))
}

/// Nobody gave the interpreter lock away in time.
struct LockHeld;

fn with_lock(thread: u64, patience: Duration) -> Result<Option<String>, LockHeld> {
    /// Somebody waits for the lock already: whoever asks meanwhile would wait behind him.
    static ASKING: AtomicBool = AtomicBool::new(false);

    if ASKING.swap(true, Ordering::AcqRel) {
        return Err(LockHeld);
    }
    let (answer, answered) = mpsc::channel();
    // In a thread of its own, because waiting for the lock can't be given up.
    let asking = thread::Builder::new().name("stack".to_owned()).spawn(move || {
        let stack = Python::attach(|py| frames(py, thread)).ok().flatten();
        ASKING.store(false, Ordering::Release);
        // Nobody may wait for it any more.
        let _ = answer.send(stack);
    });
    if asking.is_err() {
        ASKING.store(false, Ordering::Release);
        return Err(LockHeld);
    }
    answered.recv_timeout(patience).map_err(|_| LockHeld)
}

fn frames(py: Python<'_>, thread: u64) -> PyResult<Option<String>> {
    let frames = py.import("sys")?.call_method0("_current_frames")?;
    let frame = frames.call_method1("get", (thread,))?;
    if frame.is_none() {
        return Ok(None);
    }
    let mut text = "Stack of its thread (most recent call last):\n".to_owned();
    for line in py.import("traceback")?.call_method1("format_stack", (frame,))?.try_iter()? {
        text.push_str(&line?.str()?.to_string_lossy());
    }
    text.truncate(text.trim_end().len());
    Ok(Some(text))
}

fn without_lock(thread: u64) -> Option<String> {
    let dump = dump()?;
    let name = c"smarthttpd-stack";
    let mut file = File::from(nix::sys::memfd::memfd_create(name, nix::sys::memfd::MFdFlags::MFD_CLOEXEC).ok()?);
    // SAFETY: the function is made to be called at any time, from any thread, without the lock (`faulthandler` does so from
    // its watchdog thread, with the same null pointers when it knows no better: it finds the interpreter itself). It reads
    // frames that may change under its eyes and expects that: it checks what it follows and bounds what it writes. Here the
    // thread that holds the lock is inside one long call, and all others wait for it, so nothing changes.
    let complaint = unsafe { dump(file.as_raw_fd(), std::ptr::null_mut(), std::ptr::null_mut()) };
    if !complaint.is_null() {
        // SAFETY: it is a string constant of the interpreter.
        tracing::debug!("no stacks: {}", unsafe { CStr::from_ptr(complaint) }.to_string_lossy());
        return None;
    }
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.read_to_end(&mut bytes).ok()?;
    Some(section(&String::from_utf8_lossy(&bytes), thread))
}

/// Where this Python has it: exported up to 3.12.
fn dump() -> Option<Dump> {
    // SAFETY: the name is NUL-terminated.
    let address: *mut c_void = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"_Py_DumpTracebackThreads".as_ptr()) };
    // SAFETY: the symbol is CPython's function of this name, whose type has not changed from 3.6 to the last version that
    // exports it (Include/internal/pycore_traceback.h). A null pointer becomes `None`.
    unsafe { std::mem::transmute::<*mut c_void, Option<Dump>>(address) }
}

/// One thread's part of a dump of all; the whole dump if it is not there.
fn section(dump: &str, thread: u64) -> String {
    let head = format!("thread 0x{thread:016x}");
    let is_head = |line: &str| line.contains("hread 0x");
    let mut lines = dump.lines().skip_while(|line| !line.to_ascii_lowercase().contains(&head));
    let Some(first) = lines.next() else { return dump.trim_end().to_owned() };
    let rest = lines.take_while(|line| !is_head(line) && !line.is_empty());
    std::iter::once(first).chain(rest).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::section;

    const DUMP: &str = "\
Thread 0x00007f00000000aa (most recent call first):
  File \"/app.py\", line 3 in spin
  File \"/app.py\", line 9 in app

Thread 0x00007f00000000bb [pool] (most recent call first):
  File \"/other.py\", line 1 in wait
";

    #[test]
    fn one_thread_is_picked_out() {
        let first = "Thread 0x00007f00000000aa (most recent call first):\n  File \"/app.py\", line 3 in spin\n  File \"/app.py\", line 9 in app";
        assert_eq!(section(DUMP, 0x7f00_0000_00aa), first);
        assert!(section(DUMP, 0x7f00_0000_00bb).ends_with("line 1 in wait"));
        assert_eq!(section(DUMP, 1), DUMP.trim_end(), "not there: all of it");
    }
}
