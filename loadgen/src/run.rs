//! stub
use crate::{Interval, Plan, Report, RunError};
use std::sync::atomic::AtomicBool;

/// Carries out `plan`, blocking until it is over. Calls `progress` on the calling thread after
/// every interval. Setting `stop` ends the run early (within about 50 ms) with a report of what was
/// measured so far and `interrupted` set.
///
/// # Errors
/// See [`RunError`]; once the target has accepted a connection, failures are counted in the report
/// and no longer an error.
pub fn run(
    plan: &Plan,
    progress: &mut dyn FnMut(&Interval),
    stop: &AtomicBool,
) -> Result<Report, RunError> {
    plan.check()?;
    let _ = (progress, stop);
    Err(RunError::Setup {
        what: "run".into(),
        source: std::io::Error::other("in the making"),
    })
}
