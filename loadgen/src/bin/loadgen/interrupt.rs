//! Ctrl-C and SIGTERM as an ordinary event: both signals are blocked and read from a descriptor,
//! so no handler is installed and no call is interrupted.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::SignalFd;

/// Exit code after an interruption: 128 and the number of SIGINT, as shells have it.
pub(crate) const EXIT_CODE: u8 = 130;

/// A flag that the first signal sets. A second signal ends the process at once. Must be called
/// before any other thread is started, because threads inherit what is blocked.
pub(crate) fn watch() -> io::Result<Arc<AtomicBool>> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGINT);
    signals.add(Signal::SIGTERM);
    signals.thread_block()?;
    let arrivals = SignalFd::new(&signals)?;
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for _ in arrivals {
            if flag.swap(true, Ordering::Relaxed) {
                crate::live::leave();
                std::process::exit(i32::from(EXIT_CODE));
            }
        }
    })?;
    Ok(stop)
}
