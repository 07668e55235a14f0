//! How the supervisor sleeps while nothing happens, and how it is woken.
//!
//! A policy that has nothing to do until something happens says so ([`mpm::Policy::rest`]), and then the next tick is a rest
//! away. Meanwhile two things end the rest, at once: a worker that gets a connection or begins a call finds the word `Asleep`
//! in the scoreboard, and rings; and a connection that comes makes a listener readable, also where no worker is there, or none
//! that moves. Everything else that can happen is an event as always. No wake-up can be lost: the supervisor says that it
//! sleeps before it looks once more, a worker says what it does before it looks whether somebody sleeps.

use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use mio::Interest;
use mio::unix::SourceFd;

use super::events::LISTENER;
use super::recycling::WEIGHING;
use super::{Phase, Supervisor};
use crate::listener::Listener;
use crate::scoreboard::Stir;

/// Whether the supervisor may sleep through its ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// The next tick comes when the policy's clock says so.
    Awake,
    /// It comes later, if nothing else has happened than this.
    Resting { since: Stir },
}

impl Supervisor {
    /// The policy was asked on a tick and needs no other for so long. The workers had done this much then.
    pub(super) fn rest(&mut self, pause: Duration, stir: Stir) {
        let is_news = self.last_stir.replace(stir) != Some(stir);
        let longest = if self.recycles { WEIGHING } else { mpm::LONGEST_REST };
        let pause = pause.min(longest);
        // Whoever is woken all the time is better off with its clock.
        if is_news || pause <= self.policy.tick() || self.phase != Phase::Serving || self.reload.is_some() {
            return;
        }
        self.next_tick = self.now() + pause;
        self.rest = Rest::Resting { since: stir };
    }

    /// Something has happened: the policy's clock goes on.
    pub(super) fn end_rest(&mut self) {
        if self.rest == Rest::Awake {
            return;
        }
        self.rest = Rest::Awake;
        self.scoreboard.wake_up();
        self.watch_listeners(false);
        self.next_tick = self.next_tick.min(self.now() + self.policy.tick());
    }

    /// Before waiting for events. If something has happened since the policy was asked, it is not waited for.
    pub(super) fn fall_asleep(&mut self) {
        let Rest::Resting { since } = self.rest else { return };
        self.watch_listeners(true);
        self.scoreboard.fall_asleep();
        if self.roster.stir() != since || self.listeners.iter().any(|listener| listener.waiting() > 0) {
            self.tick_now();
        }
    }

    /// After waiting for events: whether a worker or a connection has ended the rest.
    pub(super) fn wake_up(&mut self, knocked: bool) {
        // It stands there until somebody is roused by it, or it is taken down here.
        if matches!(self.rest, Rest::Resting { .. }) && (!self.scoreboard.wake_up() || knocked) {
            self.tick_now();
        }
    }

    fn tick_now(&mut self) {
        self.end_rest();
        self.next_tick = self.now();
    }

    /// Only while resting: else a busy server's connections would each be an event here.
    fn watch_listeners(&mut self, watch: bool) {
        if std::mem::replace(&mut self.watches_listeners, watch) == watch {
            return;
        }
        let registry = self.poll.registry();
        for descriptor in self.listeners.iter().map(|listener: &Listener| listener.as_fd().as_raw_fd()) {
            let done = match watch {
                true => registry.register(&mut SourceFd(&descriptor), LISTENER, Interest::READABLE),
                false => registry.deregister(&mut SourceFd(&descriptor)),
            };
            if let Err(error) = done {
                // Connections are then noticed with the next tick.
                tracing::debug!("a listener can't be watched: {error}");
            }
        }
    }
}
