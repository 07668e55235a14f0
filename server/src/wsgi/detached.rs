//! Running our own code without the interpreter lock.
//!
//! Owns the one exception from pyo3's rule for that. `start_response` and `application` use it.

use pyo3::prelude::*;

/// Runs `work` detached from the interpreter, on this thread, and attaches again.
///
/// [`Python::detach`] does the same, but takes only what may move to another thread, although it moves nothing: that keeps
/// out what belongs to an attached thread, and with it everything else that is tied to a thread.
///
/// # Safety
/// `work` must hold no [`Python`] token and nothing that contains one ([`Bound`], [`pyo3::Borrowed`]).
pub(super) unsafe fn detached<R: Send>(py: Python<'_>, work: impl FnOnce() -> R) -> R {
    struct Stays<T>(T);
    // SAFETY: the value does not leave this thread, for `Python::detach` calls its closure where it is; and it is not what
    // the bound is there to keep out, as the caller promises.
    unsafe impl<T> Send for Stays<T> {}
    impl<R, T: FnOnce() -> R> Stays<T> {
        // A method, so that the closure below captures the whole and not the field.
        fn run(self) -> R {
            (self.0)()
        }
    }
    let work = Stays(work);
    py.detach(move || work.run())
}
