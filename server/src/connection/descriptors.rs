//! How many descriptors connections hold besides their own: bodies in temporary files, files that are being sent.
//!
//! A process has so many descriptors and no more, and the application needs some. The event loop takes connections, and
//! opens files for their bodies, only while there are enough.

use std::sync::atomic::{AtomicUsize, Ordering};

static HELD: AtomicUsize = AtomicUsize::new(0);

/// One of them, for as long as this lives.
#[derive(Debug)]
pub(super) struct Held(());

impl Held {
    pub(super) fn one() -> Held {
        HELD.fetch_add(1, Ordering::Relaxed);
        Held(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        HELD.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All of them now.
pub(super) fn held() -> usize {
    HELD.load(Ordering::Relaxed)
}
