//! What the allocator does with freed memory, settled before the first request.
//!
//! Knows nothing of who allocates: it is the server's bodies as well as the application's. `worker` calls it once.

use std::hint::black_box;

/// Some bodies and the application's copies of them, in the sizes that bodies usually have. Larger blocks go on being
/// mapped one by one: many of them at once, as slow clients need, would leave a large heap behind.
const KEPT: usize = 512 << 10;

/// Has freed memory stay with the process, up to twice [`KEPT`] at the end of each heap.
///
/// glibc returns the end of a heap to the kernel when 128 KiB of it are free, and maps larger blocks one by one, until
/// such a block is freed for the first time: then both thresholds follow its size (mallopt(3), `M_MMAP_THRESHOLD`). Below
/// them, each request with a body of 64 KiB would cost a `brk` and the page faults of memory that comes back empty. So a
/// block is freed here; none of its pages is touched. Who has set the thresholds by `MALLOC_TRIM_THRESHOLD_` and the like
/// has them as they are.
pub(super) fn settle() {
    drop(black_box(Vec::<u8>::with_capacity(KEPT)));
}
