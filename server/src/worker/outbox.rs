//! Complete responses that are held back for a moment, to be written together.
//!
//! Each write to a socket whose reader sleeps wakes that reader up, which costs more than all the rest of a short request
//! (a write to another CPU is an interrupt there). While further requests wait for the thread anyway, it answers them first
//! and writes afterwards: the readers, often one process (a proxy, say), wake up once. Nothing is held back when nothing
//! waits, and nothing for longer than [`Outbox::is_due`] says, whatever the application does meanwhile: the monitor looks
//! after it, too.
//!
//! Knows sockets and bytes, no connection's state: what became of a write is left for the event loop.

use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::connection::{Outgoing, Transport, Written};
use crate::sys::clock;

/// No response is held back for longer while its thread has the chance to write it.
const PATIENCE_NS: u64 = 500_000;
/// Buffers kept for the next responses, and how large each may be.
const SPARE: usize = 64;
const KEPT: usize = 64 * 1024;

/// What became of a posted response.
pub(super) struct Delivery {
    /// The connection.
    pub(super) key: usize,
    /// All was sent (`None`), or the rest, or the client is gone.
    pub(super) outcome: io::Result<Option<Outgoing>>,
}

/// The responses of one worker.
#[derive(Default)]
pub(super) struct Outbox {
    desk: Mutex<Desk>,
    /// Letters and deliveries that nobody has dealt with yet. Changed with the desk in hand.
    open: AtomicUsize,
    /// When the oldest letter was posted, in monotonic nanoseconds; 0: there is none.
    since_ns: AtomicU64,
}

/// What lies there.
#[derive(Default)]
struct Desk {
    letters: Vec<Letter>,
    deliveries: Vec<Delivery>,
    /// Memory for the next responses.
    spare: Vec<Vec<u8>>,
}

struct Letter {
    key: usize,
    transport: Arc<Transport>,
    outgoing: Outgoing,
    /// How far writing came, once it was tried.
    sent: Option<io::Result<Written>>,
}

impl Outbox {
    /// Takes a response in. Returns empty memory for the next one.
    pub(super) fn post(&self, key: usize, transport: &Arc<Transport>, outgoing: Outgoing) -> Vec<u8> {
        let letter = Letter { key, transport: Arc::clone(transport), outgoing, sent: None };
        let mut desk = lock(&self.desk);
        if desk.letters.is_empty() {
            self.since_ns.store(clock::monotonic_ns(), Ordering::Relaxed);
        }
        desk.letters.push(letter);
        self.open.store(self.open.load(Ordering::Relaxed) + 1, Ordering::Release);
        desk.spare.pop().unwrap_or_default()
    }

    /// Whether there is nothing to write and nothing to be told.
    pub(super) fn is_empty(&self) -> bool {
        self.open.load(Ordering::Acquire) == 0
    }

    /// Whether a response has waited long enough.
    pub(super) fn is_due(&self, now_ns: u64) -> bool {
        let since_ns = self.since_ns.load(Ordering::Relaxed);
        since_ns != 0 && now_ns >= since_ns + PATIENCE_NS
    }

    /// Writes all that waits. True if there was anything.
    pub(super) fn write(&self) -> bool {
        let mut letters = {
            let mut desk = lock(&self.desk);
            self.since_ns.store(0, Ordering::Relaxed);
            std::mem::take(&mut desk.letters)
        };
        if letters.is_empty() {
            return false;
        }
        // Without the desk in hand: the kernel does most of a short request's work here.
        for letter in &mut letters {
            letter.sent = Some(letter.outgoing.write_to(&letter.transport));
        }
        let mut desk = lock(&self.desk);
        let Desk { letters: next, deliveries, spare } = &mut *desk;
        deliveries.extend(letters.drain(..).map(|Letter { key, outgoing, sent, .. }| {
            let outcome = match sent {
                Some(Ok(Written::All)) => {
                    keep(spare, outgoing.into_buffer());
                    Ok(None)
                }
                Some(Ok(Written::Full | Written::Turn)) | None => Ok(Some(outgoing)),
                Some(Err(error)) => Err(error),
            };
            Delivery { key, outcome }
        }));
        // The memory of the list goes back, unless there is a new one already.
        if next.capacity() == 0 {
            *next = letters;
        }
        true
    }

    /// Moves what was delivered since the last time to the end of `into`.
    pub(super) fn collect(&self, into: &mut Vec<Delivery>) {
        let mut desk = lock(&self.desk);
        self.open.store(self.open.load(Ordering::Relaxed) - desk.deliveries.len(), Ordering::Relaxed);
        into.append(&mut desk.deliveries);
    }
}

fn keep(spare: &mut Vec<Vec<u8>>, buffer: Vec<u8>) {
    if spare.len() < SPARE && buffer.capacity() <= KEPT {
        spare.push(buffer);
    }
}

/// A panic in another thread leaves these lists whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn pair() -> (Arc<Transport>, std::os::unix::net::UnixStream) {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("pair");
        ours.set_nonblocking(true).expect("flag");
        (Arc::new(Transport::Unix(mio::net::UnixStream::from_std(ours))), theirs)
    }

    #[test]
    fn what_is_posted_goes_out_together_and_is_reported() {
        let outbox = Outbox::default();
        let (first, mut first_client) = pair();
        let (second, second_client) = pair();
        assert!(!outbox.write(), "nothing there");
        outbox.post(7, &first, Outgoing::new(b"one".to_vec(), 0));
        outbox.post(8, &second, Outgoing::new(b"two".to_vec(), 0));
        drop(second_client);
        assert!(!outbox.is_empty());
        assert!(!outbox.is_due(clock::monotonic_ns() - PATIENCE_NS));
        assert!(outbox.is_due(clock::monotonic_ns() + PATIENCE_NS));
        assert!(outbox.write());
        assert!(!outbox.is_due(u64::MAX), "all is written");
        let mut delivered = Vec::new();
        outbox.collect(&mut delivered);
        assert!(outbox.is_empty());
        let mut text = [0; 3];
        first_client.read_exact(&mut text).expect("sent");
        assert_eq!(&text, b"one");
        assert!(matches!(delivered[0], Delivery { key: 7, outcome: Ok(None) }));
        assert!(matches!(delivered[1], Delivery { key: 8, outcome: Err(_) }), "the client is gone");
    }

    #[test]
    fn what_a_socket_does_not_take_is_handed_on() {
        let outbox = Outbox::default();
        let (ours, _client) = pair();
        outbox.post(1, &ours, Outgoing::new(vec![b'x'; 64 << 20], 0));
        outbox.write();
        let mut delivered = Vec::new();
        outbox.collect(&mut delivered);
        assert!(matches!(&delivered[..], [Delivery { key: 1, outcome: Ok(Some(_)) }]));
    }
}
