//! Clocks that mean the same in every process of one machine.

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds of `CLOCK_MONOTONIC`: comparable between processes, so it may stand in the scoreboard.
pub(crate) fn monotonic_ns() -> u64 {
    read(ClockId::CLOCK_MONOTONIC)
}

/// Seconds since 1970, a few milliseconds late at most: the kernel keeps this clock ready, so that reading it costs next
/// to nothing.
pub(crate) fn wall_seconds() -> u64 {
    clock_gettime(ClockId::CLOCK_REALTIME_COARSE).map_or(0, |t| u64::try_from(t.tv_sec()).unwrap_or(0))
}

/// CPU nanoseconds that all threads of this process have used, user and system.
pub(crate) fn process_cpu_ns() -> u64 {
    read(ClockId::CLOCK_PROCESS_CPUTIME_ID)
}

/// CPU nanoseconds that all threads of process `pid` have used; `None` once it is gone.
pub(crate) fn cpu_ns_of(pid: i32) -> Option<u64> {
    ClockId::pid_cpu_clock_id(nix::unistd::Pid::from_raw(pid)).ok().map(read)
}

fn read(clock: ClockId) -> u64 {
    // Both clocks exist on every Linux; clock_gettime has no other error for a valid pointer.
    clock_gettime(clock).map_or(0, |t| t.tv_sec() as u64 * 1_000_000_000 + t.tv_nsec() as u64)
}
