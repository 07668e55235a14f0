//! From answered requests to bytes that are sent, and on to the connection's next request or its end.

use std::collections::VecDeque;
use std::io;

use mio::Token;

use super::{Done, FIRST_CONNECTION, Job, Phase, Reactor, nanoseconds};
use crate::connection::{Outgoing, Verdict, Written};
use crate::worker::outbox::Delivery;

/// How long, and how much, is read and dropped after a refusal, so that the client sees the answer instead of a reset.
const LINGER_NS: u64 = 2_000_000_000;
const LINGER_BYTES: usize = 4 << 20;

impl Reactor {
    /// An answered request comes back; its connection may have the next one already. With `give_away`, another worker
    /// shall have the connection, if nothing of a next request is here.
    pub(in crate::worker) fn settle(&mut self, done: Done, give_away: bool, jobs: &mut VecDeque<Job>) {
        let Done { key, verdict, request, ended_ns } = done;
        let Some(connection) = self.connections.get_mut(key) else { return };
        // The last turn may have been long ago: the thread that took it has answered a request since.
        self.now_ns = self.now_ns.max(ended_ns);
        let goes_on = match verdict {
            Verdict::KeepAlive => true,
            Verdict::Posted { keep_alive } | Verdict::Unsent { keep_alive, .. } => keep_alive,
            Verdict::Close | Verdict::Cut => false,
        };
        if goes_on {
            connection.protocol.resume(request, &mut self.settings.intake);
        } else {
            self.settings.intake.give_back(request);
        }
        match verdict {
            Verdict::KeepAlive => self.go_on(key, give_away, jobs),
            Verdict::Close => self.finish(key),
            Verdict::Posted { keep_alive } => {
                connection.phase = Phase::Posted { keep_alive };
                if let Some(outcome) = connection.delivered.take() {
                    self.delivered(Delivery { key, outcome }, give_away, jobs);
                }
            }
            Verdict::Unsent { rest, keep_alive } => self.write_later(key, rest, keep_alive),
            Verdict::Cut => {
                connection.transport.cut();
                self.close(key);
            }
        }
    }

    /// A posted response was written, as far as it could be.
    pub(in crate::worker) fn delivered(&mut self, delivery: Delivery, give_away: bool, jobs: &mut VecDeque<Job>) {
        let Delivery { key, outcome } = delivery;
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Phase::Posted { keep_alive } = connection.phase else {
            connection.delivered = Some(outcome);
            return;
        };
        match outcome {
            Ok(None) if keep_alive => self.go_on(key, give_away, jobs),
            Ok(None) => self.finish(key),
            Ok(Some(rest)) => self.write_later(key, rest, keep_alive),
            Err(_) => {
                connection.transport.cut();
                self.close(key);
            }
        }
    }

    /// The next request may come, here or with another worker.
    pub(super) fn go_on(&mut self, key: usize, give_away: bool, jobs: &mut VecDeque<Job>) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.phase = Phase::Reading;
        if !(give_away && self.give_away(key)) {
            self.advance(key, jobs);
        }
    }

    pub(super) fn write_later(&mut self, key: usize, rest: Outgoing, keep_alive: bool) {
        let token = Token(FIRST_CONNECTION + key);
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.phase = Phase::Writing { rest, keep_alive };
        self.timers.set(&mut connection.deadline, key, self.now_ns + nanoseconds(self.settings.timeouts.write));
        if connection.transport.want_writable(self.poll.registry(), token, true).is_err() {
            self.close(key);
        }
    }

    pub(super) fn write(&mut self, key: usize, jobs: &mut VecDeque<Job>) {
        let token = Token(FIRST_CONNECTION + key);
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Phase::Writing { rest, keep_alive } = &mut connection.phase else { return };
        let keep_alive = *keep_alive;
        match rest.write_to(&connection.transport) {
            Ok(unfinished @ (Written::Full | Written::Turn)) => {
                let at_ns = self.now_ns + nanoseconds(self.settings.timeouts.write);
                self.timers.set(&mut connection.deadline, key, at_ns);
                // A socket that still has room says so only when it is asked anew.
                if unfinished == Written::Turn
                    && connection.transport.want_writable(self.poll.registry(), token, true).is_err()
                {
                    self.close(key);
                }
            }
            Ok(Written::All) if keep_alive => {
                connection.phase = Phase::Reading;
                // Re-arming reports readiness anew, so nothing that came in the meantime is missed.
                if connection.transport.want_writable(self.poll.registry(), token, false).is_err() {
                    return self.close(key);
                }
                self.advance(key, jobs);
            }
            Ok(Written::All) => self.finish(key),
            Err(_) => {
                connection.transport.cut();
                self.close(key);
            }
        }
    }

    /// All is said: ends our direction. Bytes that are still unread, or on their way, would turn a close into a reset, which
    /// can overtake the answer, so they are dropped first. A client that has asked for the end, and kept to it, sends none
    /// (RFC 9112 §9.6).
    pub(super) fn finish(&mut self, key: usize) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if connection.is_last && connection.protocol.is_answered() && connection.transport.is_drained() {
            return self.close(key);
        }
        connection.transport.finish();
        connection.protocol.close();
        connection.phase = Phase::Lingering { dropped: 0 };
        connection.readable = true;
        self.timers.set(&mut connection.deadline, key, self.now_ns + LINGER_NS);
        self.linger(key);
    }

    pub(super) fn linger(&mut self, key: usize) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Phase::Lingering { dropped } = &mut connection.phase else { return };
        loop {
            match connection.transport.read(&mut self.scratch) {
                Ok(count) if count > 0 && *dropped < LINGER_BYTES => *dropped += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => return self.close(key),
            }
        }
    }
}
