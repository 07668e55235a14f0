//! From bytes that arrive to requests that are complete.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use http1::error_response;
use mio::event::Event;

use super::{Connection, FAREWELL_NS, Gathers, Job, Phase, READ, Reactor, nanoseconds};
use crate::connection::{Outgoing, Step, Waiting, Written};
use crate::exchange::Endpoints;
use crate::proxies::{BadGreeting, Ends, Greeting, Heard};
use crate::sys::clock;

/// A body that is received where it stays is read in larger pieces.
const READ_BODY: usize = 256 * 1024;
/// How much one connection may bring before it is the others' turn.
const TURN: usize = 1 << 20;

/// What of `input` is for the protocol: all behind a PROXY protocol header. `None` while that is not whole.
fn greeted<'a>(
    awaited: &mut Option<Box<Greeting>>,
    endpoints: &mut Arc<Endpoints>,
    input: &'a [u8],
) -> Result<Option<&'a [u8]>, BadGreeting> {
    let Some(greeting) = awaited else { return Ok(Some(input)) };
    let Heard::Whole { consumed, ends } = greeting.receive(input)? else { return Ok(None) };
    *awaited = None;
    if let Some(Ends { peer, local, secure }) = ends {
        *endpoints = Arc::new(Endpoints::new(peer, local, if secure { "https" } else { endpoints.scheme }));
    }
    Ok(Some(&input[consumed..]))
}

impl Reactor {
    pub(super) fn ready(&mut self, key: usize, event: &Event, jobs: &mut VecDeque<Job>) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.read_closed |= event.is_read_closed() || event.is_error();
        connection.readable |= event.is_readable() || connection.read_closed;
        match &connection.phase {
            Phase::Reading => self.read(key, jobs),
            Phase::InCall | Phase::Posted { .. } => {}
            Phase::Writing { .. } if event.is_writable() || event.is_error() => self.write(key, jobs),
            Phase::Writing { .. } => {}
            Phase::Lingering { .. } => self.linger(key),
        }
    }

    /// Reads while there is something to read, the protocol wants it, and it is not others' turn.
    pub(super) fn read(&mut self, key: usize, jobs: &mut VecDeque<Job>) {
        let mut turn = TURN;
        while let Some(connection) = self.connections.get_mut(key) {
            if !connection.readable || !matches!(connection.phase, Phase::Reading) {
                return;
            }
            if turn == 0 {
                self.unread.push(key);
                return;
            }
            let Connection { transport, protocol, endpoints, greeting, .. } = connection;
            // A large body is received where it stays, all else passes through the scratch memory.
            let (stays, asked, received) = match protocol.body_room(READ) {
                Some((body, room)) => (true, room.min(READ_BODY), transport.read_into(body, room.min(READ_BODY))),
                None => (false, READ, transport.read(&mut self.scratch)),
            };
            match received {
                Ok(0) => return self.close(key),
                Ok(count) => {
                    turn = turn.saturating_sub(count);
                    // A short read has drained the socket; only the end of the stream may still be behind it.
                    connection.readable = count == asked || connection.read_closed;
                    let step = match stays {
                        true => protocol.received(count, &self.settings.intake),
                        false => match greeted(greeting, endpoints, &self.scratch[..count]) {
                            Ok(Some(input)) => protocol.receive(input, endpoints, &mut self.settings.intake),
                            Ok(None) => continue,
                            Err(bad) => return self.refuse(key, "400 Bad Request", &bad.to_string(), false),
                        },
                    };
                    self.perform(key, step, jobs);
                    self.gather(key);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    connection.readable = false;
                    return;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return self.close(key),
            }
        }
    }

    /// Waits for a good part of a large body, or for the rest of it, instead of for each packet.
    fn gather(&mut self, key: usize) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Connection { transport, protocol, gathers, phase, .. } = connection;
        let worthwhile = if *gathers == Gathers::Nothing { READ } else { 0 };
        let wanted = match (protocol.body_room(worthwhile), &phase) {
            (Some((_, room)), Phase::Reading) => room.min(READ_BODY),
            _ => 1,
        };
        match (*gathers, wanted) {
            (Gathers::Nothing, 1) => {}
            (Gathers::Slowly, 1) => *gathers = Gathers::Nothing,
            (Gathers::Slowly, _) => {}
            (Gathers::Bytes(bytes), _) if bytes == wanted => {}
            (Gathers::Bytes(_), 1) => {
                transport.gather(1);
                *gathers = Gathers::Nothing;
            }
            (Gathers::Nothing | Gathers::Bytes(_), _) => {
                *gathers = if transport.gather(wanted) { Gathers::Bytes(wanted) } else { Gathers::Slowly };
            }
        }
    }

    /// A body has not arrived in the time it has, as far as the socket told. True if some of it is there all the same: then
    /// it comes slowly, and is read as it comes.
    pub(super) fn read_slowly(&mut self, key: usize, jobs: &mut VecDeque<Job>) -> bool {
        let Some(connection) = self.connections.get_mut(key) else { return false };
        if !matches!(connection.gathers, Gathers::Bytes(_)) {
            return false;
        }
        connection.transport.gather(1);
        connection.gathers = Gathers::Slowly;
        let Some((_, before)) = connection.protocol.body_room(0) else { return false };
        connection.readable = true;
        self.read(key, jobs);
        let Some(connection) = self.connections.get_mut(key) else { return true };
        connection.protocol.body_room(0).is_none_or(|(_, left)| left != before)
    }

    /// The client has had its time.
    pub(super) fn give_up(&mut self, key: usize) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.protocol.close();
        }
        self.refuse(key, "408 Request Timeout", "the request did not arrive in time", false);
    }

    /// Goes on after an answer: first with what was received already, then with what waits in the socket.
    pub(super) fn advance(&mut self, key: usize, jobs: &mut VecDeque<Job>) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let step = connection.protocol.receive(&[], &connection.endpoints, &mut self.settings.intake);
        self.perform(key, step, jobs);
        self.read(key, jobs);
    }

    /// Does what the protocol asks for.
    pub(super) fn perform(&mut self, key: usize, step: Step, jobs: &mut VecDeque<Job>) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        match step {
            Step::Wait(waiting) => self.wait(key, waiting),
            Step::Continue => {
                // An empty socket takes 25 bytes; if it does not, the client sends its body after its own time-out.
                let _ = connection.transport.write(http1::CONTINUE);
                self.wait(key, Waiting::Body);
            }
            Step::Request(mut request) => {
                if let Err(malformed) = self.settings.judge(&mut request) {
                    let head_only = request.head.is_head();
                    return self.refuse(key, "400 Bad Request", &malformed.to_string(), head_only);
                }
                connection.phase = Phase::InCall;
                connection.is_last = !request.head.keep_alive();
                connection.waiting = Waiting::NextRequest;
                connection.deadline.clear();
                let transport = Arc::clone(&connection.transport);
                jobs.push_back(Job { key, request, transport, complete_ns: self.now_ns });
            }
            Step::Refuse { refusal, head_only } => self.refuse(key, refusal.status(), &refusal.to_string(), head_only),
            Step::Broken(error) => {
                tracing::error!("a request body can't be stored: {error}");
                self.refuse(key, "503 Service Unavailable", "the request body can't be stored", false);
            }
        }
    }

    pub(super) fn wait(&mut self, key: usize, waiting: Waiting) {
        let timeouts = &self.settings.timeouts;
        let patience = match waiting {
            Waiting::FirstByte | Waiting::Head => timeouts.head,
            Waiting::Body => timeouts.body,
            Waiting::NextRequest => timeouts.keep_alive,
        };
        let mut patience_ns = nanoseconds(patience);
        let idle = matches!(waiting, Waiting::FirstByte | Waiting::NextRequest);
        if idle && self.draining {
            patience_ns = patience_ns.min(FAREWELL_NS);
        }
        if let Some(connection) = self.connections.get_mut(key) {
            // A head has one deadline for all its bytes, so that a client can't keep it open a byte at a time.
            let before = std::mem::replace(&mut connection.waiting, waiting);
            if waiting == Waiting::Head && before == Waiting::Head {
                return;
            }
            self.timers.set(&mut connection.deadline, key, self.now_ns + patience_ns);
        }
    }

    pub(super) fn refuse(&mut self, key: usize, status: &str, detail: &str, head_only: bool) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.is_last = false;
        self.refused += 1;
        let mut bytes = Vec::with_capacity(512);
        error_response(&mut bytes, status, detail, &[], self.date.at(clock::wall_seconds()), head_only);
        self.access.refused(&connection.endpoints, status, bytes.len());
        let mut rest = Outgoing::new(bytes, 0);
        match rest.write_to(&connection.transport) {
            Ok(Written::All) => self.finish(key),
            Ok(Written::Full | Written::Turn) => self.write_later(key, rest, false),
            Err(_) => self.close(key),
        }
    }
}
