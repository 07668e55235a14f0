//! The two clocks of a generator thread, both in nanoseconds: time that passes, and CPU time used.
//!
//! Plain numbers instead of `Instant`, because the timer descriptor wants absolute times of the
//! same clock, and histograms want numbers.

use nix::time::{ClockId, clock_gettime};

/// The monotonic clock.
pub(crate) fn now() -> u64 {
    read(ClockId::CLOCK_MONOTONIC)
}

/// CPU time of the calling thread, user and system.
pub(crate) fn thread_cpu() -> u64 {
    read(ClockId::CLOCK_THREAD_CPUTIME_ID)
}

fn read(clock: ClockId) -> u64 {
    let time = clock_gettime(clock).expect("Linux always has these two clocks");
    time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64
}

/// A duration in whole nanoseconds, for the arithmetic of deadlines; a plan allows at most a year
/// on the command line, and 584 years would fit.
pub(crate) fn nanos(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
