//! Simulated time: whole nanoseconds since the server began.

use std::time::Duration;

/// A moment, or a length of time.
pub(crate) type Nanos = u64;

pub(crate) const MICROSECOND: Nanos = 1_000;
pub(crate) const MILLISECOND: Nanos = 1_000_000;
pub(crate) const SECOND: Nanos = 1_000_000_000;

/// Seconds as nanoseconds, rounded; what is negative is nothing.
pub(crate) fn nanos(seconds: f64) -> Nanos {
    // `as` saturates.
    (seconds * SECOND as f64).round() as Nanos
}

/// Nanoseconds as seconds.
pub(crate) fn seconds(nanos: Nanos) -> f64 {
    nanos as f64 / SECOND as f64
}

/// The form that policies know.
pub(crate) fn duration(nanos: Nanos) -> Duration {
    Duration::from_nanos(nanos)
}
