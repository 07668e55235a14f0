//! Connections come and go: accepted, taken over from another worker, given away to one.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use mio::Token;

use super::{Connection, FIRST_CONNECTION, Gathers, Job, Phase, Reactor};
use crate::connection::{H1, Transport, Waiting};
use crate::exchange::Endpoints;
use crate::handoff::Handoff;
use crate::proxies::Greeting;
use crate::worker::timers::Deadline;

/// Accepting pauses this long when the process or machine is out of descriptors.
const OUT_OF_DESCRIPTORS_NS: u64 = 100_000_000;

impl Reactor {
    pub(super) fn accept(&mut self, listener: usize, room: usize, jobs: &mut VecDeque<Job>) {
        for _ in 0..room.max(1) {
            let full = self.is_full() && !self.draining;
            let Some(listener) = self.listeners.get(listener) else { return };
            if full || (self.is_spent() && !self.draining) {
                return;
            }
            match listener.accept() {
                Ok((transport, endpoints)) => {
                    let greeting = self.settings.greeters.has_peer(&endpoints.peer).then(|| Box::new(Greeting::new()));
                    self.open(transport, endpoints, greeting, jobs);
                }
                Err(error) => match error.raw_os_error() {
                    Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => {
                        tracing::error!(
                            "no connection can be accepted: {error}; raise the limit of open files (ulimit -n)"
                        );
                        self.pause_until_ns = self.now_ns + OUT_OF_DESCRIPTORS_NS;
                        self.listen(false);
                        return;
                    }
                    _ if error.kind() == io::ErrorKind::WouldBlock => return,
                    // The client gave up while it waited (ECONNABORTED), or a network error of its connection.
                    _ => {}
                },
            }
        }
    }

    /// Leaves an idle connection to another worker. False when it stays.
    pub(super) fn give_away(&mut self, key: usize) -> bool {
        let Some(handoff) = &self.handoff else { return false };
        let Some(connection) = self.connections.get(key) else { return false };
        let Connection { transport, endpoints, .. } = connection;
        // What waits in the socket goes along, but is served sooner here, as long as this worker stays.
        if !connection.is_idle() || (connection.readable && !self.draining) {
            return false;
        }
        // As long as another process has the socket open, only this takes it out of our event loop.
        if transport.unregister(self.poll.registry()).is_err() {
            return false;
        }
        if handoff.give(transport, endpoints).is_ok() {
            self.close(key);
            return true;
        }
        // No room: it comes back, and with it, as a first event, all that it has become ready for meanwhile.
        if transport.register(self.poll.registry(), Token(FIRST_CONNECTION + key)).is_err() {
            self.close(key);
            return true;
        }
        false
    }

    /// Takes the connections that other workers gave away, as far as there is room.
    pub(super) fn take_over(&mut self, jobs: &mut VecDeque<Job>) {
        while self.draining || !self.is_full() {
            let Some(taken) = self.handoff.as_ref().map(Handoff::take) else { return };
            match taken {
                Ok((transport, endpoints)) => self.open(transport, endpoints, None, jobs),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // A connection whose client has gone meanwhile.
                Err(error) => tracing::debug!("a connection was lost on its way between workers: {error}"),
            }
            if !self.draining {
                // One at a time: those that wait are for whoever is idle.
                return;
            }
        }
    }

    pub(super) fn open(
        &mut self,
        transport: Transport,
        endpoints: Arc<Endpoints>,
        greeting: Option<Box<Greeting>>,
        jobs: &mut VecDeque<Job>,
    ) {
        self.accepted += 1;
        let key = self.connections.vacant_key();
        let token = Token(FIRST_CONNECTION + key);
        if let Err(error) = transport.register(self.poll.registry(), token) {
            tracing::error!("a connection can't be watched: {error}");
            return;
        }
        self.connections.insert(Connection {
            transport: Arc::new(transport),
            endpoints,
            greeting,
            protocol: H1::new(),
            phase: Phase::Reading,
            readable: true,
            read_closed: false,
            waiting: Waiting::FirstByte,
            gathers: Gathers::Nothing,
            is_last: false,
            delivered: None,
            deadline: Deadline::default(),
        });
        self.settings.intake.set_connections(self.connections.len());
        self.wait(key, Waiting::FirstByte);
        // Usually the request is there already: it counts against the worker's room before the next connection is taken,
        // and needs no event of its own.
        self.read(key, jobs);
    }
}
