//! Counts the allocations of chosen threads, in unit tests: the request path promises to make none.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

thread_local!(static COUNTED: Cell<bool> = const { Cell::new(false) });

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[global_allocator]
static COUNTING: Counting = Counting;

/// The system's allocator, with a look at who asks.
struct Counting;

// SAFETY: every method does what the system's allocator does, with the same arguments; counting touches no memory that is
// allocated.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: the caller's promise is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is the same.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note();
        // SAFETY: the caller's promise is the same.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

fn note() {
    // A thread that is about to end has no such variable any more, and is not counted.
    if COUNTED.try_with(Cell::get).unwrap_or(false) {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    }
}

/// Counts this thread's allocations from now on.
pub(crate) fn count_this_thread() {
    COUNTED.set(true);
}

/// Allocations of all counted threads so far.
pub(crate) fn counted() -> u64 {
    ALLOCATIONS.load(Ordering::Relaxed)
}
