//! A pool thread as Python knows it.
//!
//! Owns the thread's Python state (`PyThreadState`), which lasts from its first call to its end: so the application's
//! `threading.local` keeps its values, and a call's attaching takes the interpreter lock and nothing else. It is not made
//! earlier, because that takes the lock as well, and a new thread's first task may be to serve connections while a call
//! holds it for long. `application` begins and ends it.

use std::cell::Cell;

use pyo3::ffi;

thread_local!(static STATE: Cell<Option<ffi::PyGILState_STATE>> = const { Cell::new(None) });

/// Makes this thread known to Python, unless it is. Waits for the interpreter lock if it has to, and gives it back.
pub(super) fn begin() {
    STATE.with(|state| {
        if state.get().is_none() {
            // SAFETY: Python is running, for there is an application; this thread has no state yet, so it does not hold the
            // lock, and takes it. It gives it back without ending the state, which is `end`'s matter.
            state.set(Some(unsafe {
                let before = ffi::PyGILState_Ensure();
                ffi::PyEval_SaveThread();
                before
            }));
        }
    });
}

/// Ends what [`begin`] began, if it did.
pub(super) fn end() {
    if let Some(before) = STATE.take() {
        // SAFETY: the counterpart of `begin` on the same thread. Ensuring finds the state that was kept and takes the lock;
        // the first release only counts down, the second ends the state, with the lock in hand as it wants, or gives the
        // lock back if the state is older than `begin`.
        unsafe {
            ffi::PyGILState_Ensure();
            ffi::PyGILState_Release(ffi::PyGILState_STATE::PyGILState_LOCKED);
            ffi::PyGILState_Release(before);
        }
    }
}
