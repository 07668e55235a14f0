//! Ctrl-C, SIGTERM and SIGHUP: end everything that was started, then end.

use std::thread;

use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{SigSet, Signal};

use super::registry;

/// Blocks the signals in this thread (and so in all later ones) and has a thread of its own wait for them.
///
/// No handler is installed: the signal thread takes them with sigwait(3) and works with everything a thread may use.
///
/// # Errors
/// When the kernel refuses, which it has no reason to.
pub(crate) fn watch() -> nix::Result<()> {
    set_child_subreaper(true)?;
    let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect();
    signals.thread_block()?;
    thread::spawn(move || {
        let signal = loop {
            if let Ok(signal) = signals.wait() {
                break signal;
            }
        };
        // From here on nothing new can be started; the lock is never given back.
        let mut running = registry::lock();
        eprintln!("\nbench: {signal}: stopping what was started");
        registry::end_everything(&mut running, registry::GRACE);
        if let Some(words) = running.parting.take() {
            eprintln!("bench: {words}");
        }
        // The shells' convention: 128 + the signal's number.
        std::process::exit(128 + signal as i32);
    });
    Ok(())
}
