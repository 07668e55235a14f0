//! All that can happen to the supervisor, and how it is noticed: one closed enum, and the tokens that its loop waits for.
//!
//! What follows from an event is decided where it is handled, in [`super`].

use std::io;
use std::os::fd::OwnedFd;

use mio::{Events, Token};
use nix::sys::signal::Signal;

use super::{Supervisor, control};
use crate::admin::{self, Readiness};
use crate::link::FromTemplate;

pub(super) const SIGNALS: Token = Token(0);
pub(super) const WAKE: Token = Token(1);
pub(super) const CONTROL: Token = Token(2);
pub(super) const FILES: Token = Token(3);
pub(super) const ADMIN: Token = Token(4);
pub(super) const LISTENER: Token = Token(5);
/// Two for each template: its link, its end.
pub(super) const FIRST_TEMPLATE: usize = 6;
/// One that the server lives from, one of a reload, and some that are to leave.
pub(super) const MOST_TEMPLATES: usize = 6;
pub(super) const FIRST_CLIENT: Token = Token(FIRST_TEMPLATE + 2 * MOST_TEMPLATES);
pub(super) const FIRST_WATCHER: Token = Token(FIRST_CLIENT.0 + control::MOST);
pub(super) const FIRST_WORKER: usize = FIRST_WATCHER.0 + admin::MOST;

/// Readable when the template in this seat has spoken.
pub(super) fn link_of(seat: usize) -> Token {
    Token(FIRST_TEMPLATE + 2 * seat)
}

/// Readable when the template in this seat has ended.
pub(super) fn end_of(seat: usize) -> Token {
    Token(FIRST_TEMPLATE + 2 * seat + 1)
}

/// All that can happen.
#[derive(Debug)]
pub(super) enum Event {
    /// The policy's clock.
    Tick,
    /// An operator's signal.
    Signal(Signal),
    /// A worker has published something that concerns us.
    Notified,
    /// The template of this number has spoken.
    Template(u64, FromTemplate, Vec<OwnedFd>),
    /// The process of the template of this number has ended.
    TemplateEnded(u64),
    /// A worker that no template reaps has ended.
    OrphanEnded,
    /// Files of the application may have changed.
    FilesChanged,
    /// Somebody connects to the control socket.
    ControlKnock,
    /// A control client is ready.
    ControlClient(usize),
    /// Somebody connects to the admin listener.
    AdminKnock,
    /// A client of the admin listener is ready.
    AdminClient(usize, Readiness),
}

impl Supervisor {
    /// Everything that has happened since the last call, waiting until something does.
    pub(super) fn wait(&mut self, events: &mut Events) -> Vec<Event> {
        self.fall_asleep();
        let patience = self.next_deadline().map(|at| at.saturating_sub(self.now()));
        if let Err(error) = self.poll.poll(events, patience)
            && error.kind() != io::ErrorKind::Interrupted
        {
            tracing::error!("waiting for events: {error}");
        }
        self.wake_up(events.iter().any(|event| event.token() == LISTENER));
        let mut happened = Vec::new();
        for event in events.iter() {
            match event.token() {
                SIGNALS => {
                    while let Ok(Some(info)) = self.signals.read_signal() {
                        happened.extend(Signal::try_from(info.ssi_signo as i32).map(Event::Signal));
                    }
                }
                WAKE => {
                    // What workers have to say stands in the scoreboard.
                    self.wake.silence();
                    happened.push(Event::Notified);
                }
                CONTROL => happened.push(Event::ControlKnock),
                FILES => happened.push(Event::FilesChanged),
                token if (FIRST_TEMPLATE..FIRST_CLIENT.0).contains(&token.0) => {
                    let seat = (token.0 - FIRST_TEMPLATE) / 2;
                    let Some(template) = self.template_mut(|template| template.seat == seat) else { continue };
                    let number = template.number;
                    if token == end_of(seat) {
                        happened.push(Event::TemplateEnded(number));
                        continue;
                    }
                    while let Some((message, descriptors)) = template.receive() {
                        happened.push(Event::Template(number, message, descriptors));
                    }
                }
                // It has ended a rest.
                LISTENER => {}
                ADMIN => happened.push(Event::AdminKnock),
                Token(token) if token >= FIRST_WORKER => happened.push(Event::OrphanEnded),
                Token(token) if token >= FIRST_WATCHER.0 => {
                    happened.push(Event::AdminClient(token - FIRST_WATCHER.0, Readiness::of(event)));
                }
                Token(token) => happened.push(Event::ControlClient(token - FIRST_CLIENT.0)),
            }
        }
        if self.now() >= self.next_tick {
            happened.push(Event::Tick);
        }
        happened
    }
}
