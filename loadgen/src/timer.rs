//! The timer of an event loop: a descriptor with nanosecond resolution, because the timeout of
//! `epoll_wait` is whole milliseconds, which would be the largest error of every paced request.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

/// A one-shot timer that becomes readable in an event loop.
#[derive(Debug)]
pub(crate) struct Timer {
    timer: TimerFd,
    /// What it is set to, in nanoseconds of the monotonic clock; `None` once it has fired.
    set_to: Option<u64>,
}

impl Timer {
    pub(crate) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        let fd = timer.as_fd().as_raw_fd();
        registry.register(&mut SourceFd(&fd), token, Interest::READABLE)?;
        Ok(Self { timer, set_to: None })
    }

    /// Sets the timer, unless it is set to an earlier time already: then it fires early, once, and
    /// is set anew. Deadlines that move with every request so cost no system call each.
    pub(crate) fn set(&mut self, at: u64) -> io::Result<()> {
        if self.set_to.is_some_and(|set| set <= at) {
            return Ok(());
        }
        self.set_to = Some(at);
        let time = TimeSpec::new((at / 1_000_000_000) as i64, (at % 1_000_000_000) as i64);
        // Setting it also resets what is readable, so nothing ever has to be read from it.
        self.timer.set(Expiration::OneShot(time), TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
        Ok(())
    }

    /// Its event has arrived.
    pub(crate) fn fired(&mut self) {
        self.set_to = None;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mio::{Events, Poll};

    use super::*;
    use crate::clock;

    #[test]
    fn it_fires_at_its_time_and_again_when_set_again() {
        let mut poll = Poll::new().unwrap();
        let mut events = Events::with_capacity(4);
        let mut timer = Timer::new(poll.registry(), Token(0)).unwrap();
        for millis in [5, 0, 5] {
            let at = clock::now() + millis * 1_000_000;
            timer.set(at).unwrap();
            // A later time does not move it.
            timer.set(at + 1_000_000_000_000).unwrap();
            poll.poll(&mut events, Some(Duration::from_secs(60))).unwrap();
            assert!(clock::now() >= at);
            assert_eq!(events.iter().count(), 1, "it fired, not the 60 s");
            timer.fired();
        }
        // It has fired and is not set: nothing comes.
        poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
        assert!(events.is_empty());
    }
}
