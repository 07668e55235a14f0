//! Waiting for something that another process publishes.

use std::thread;
use std::time::{Duration, Instant};

/// Longer than anything takes on a machine that is busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(10);

/// Asks until there is an answer. Panics when there is none in [`PATIENCE`]: `what` says what was waited for.
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain for {what}");
        thread::sleep(PAUSE);
    }
}

/// Waits until `holds` is true.
pub(crate) fn until_true(what: &str, mut holds: impl FnMut() -> bool) {
    until(what, || holds().then_some(()));
}

/// Waits for this moment: the beat of a load, which no state can tell.
pub(crate) fn moment(at: Instant) {
    thread::sleep(at.saturating_duration_since(Instant::now()));
}
