//! The timer and the waker of a generator thread, inside a runtime: its own timers have whole milliseconds, which would be
//! the largest error of every paced request.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll as Readiness, ready};
use std::time::Duration;

use mio::{Events, Poll, Token, Waker};
use tokio::io::unix::AsyncFd;

use crate::timer::Timer;

const TIMER: Token = Token(0);
const WAKER: Token = Token(1);

/// Both, behind one descriptor that the runtime watches.
#[derive(Debug)]
pub(super) struct Alarm {
    poll: AsyncFd<Poll>,
    events: Events,
    timer: Timer,
}

impl Alarm {
    /// Must be called inside the runtime.
    pub(super) fn new() -> io::Result<(Self, Arc<Waker>)> {
        let poll = Poll::new()?;
        let timer = Timer::new(poll.registry(), TIMER)?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        // The successor of this function is unsafe, which this crate forbids, and asks for what is the case: that the
        // descriptor belongs to what is registered.
        #[allow(deprecated)]
        let poll = AsyncFd::new(poll)?;
        Ok((Self { poll, events: Events::with_capacity(4), timer }, Arc::new(waker)))
    }

    /// Sets the timer, nanoseconds of the monotonic clock.
    pub(super) fn set(&mut self, at: u64) -> io::Result<()> {
        self.timer.set(at)
    }

    /// Ready when the time has come, or somebody woke the thread; early sometimes.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Readiness<io::Result<()>> {
        let mut guard = ready!(self.poll.poll_read_ready_mut(context))?;
        // First this, then looking: what comes after the look then is a change that the runtime reports.
        guard.clear_ready();
        match guard.get_inner_mut().poll(&mut self.events, Some(Duration::ZERO)) {
            Err(e) if e.kind() != io::ErrorKind::Interrupted => return Readiness::Ready(Err(e)),
            _ => {}
        }
        if self.events.iter().any(|event| event.token() == TIMER) {
            self.timer.fired();
        }
        Readiness::Ready(Ok(()))
    }
}
