//! The link between supervisor and template: small JSON messages with descriptors, over a `SOCK_SEQPACKET` pair.
//!
//! Ordered and message-preserving, so neither side parses a stream. The supervisor's end does not block; the template
//! polls before it reads. An end that closes is the news that the process behind it is gone.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::sys::{message, process::Ending};

/// A configuration, the largest message, is some kilobytes; a load error may carry a long traceback.
const LARGEST: usize = 128 * 1024;
/// More of a problem than this is left out in the middle: JSON may make six bytes of one.
const LONGEST_PROBLEM: usize = 16 * 1024;

/// What the supervisor says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToTemplate {
    /// First, once. Descriptors: scoreboard, lifeline, the supervisor's wake-up, the hand-off's two ends, then every
    /// listener in `bound`'s order.
    SetUp {
        /// What to serve and how.
        config: Box<Config>,
        /// The addresses that were bound, as `--bind` writes them.
        bound: Vec<String>,
    },
    /// Fork a worker into this slot.
    Spawn {
        /// Index in the scoreboard.
        slot: usize,
        /// The life that begins there.
        generation: u64,
    },
}

/// What the template says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromTemplate {
    /// The application is imported (or there is nothing to preload); spawns will be answered.
    Ready,
    /// With `--reload`, in pieces: files that modules were imported from, also if the import failed.
    Imported {
        /// Their paths.
        files: Vec<String>,
    },
    /// The application could not be loaded; the template has printed why and leaves.
    LoadFailed {
        /// What it has printed.
        problem: String,
    },
    /// From a worker that could not get ready, on its parent's link; it has printed why and leaves.
    WorkerFailed {
        /// Its slot.
        slot: usize,
        /// Its life in that slot.
        generation: u64,
        /// What it has printed.
        problem: String,
    },
    /// A worker was forked. Descriptors: its pidfd, its wake-up.
    Spawned {
        /// As asked.
        slot: usize,
        /// As asked.
        generation: u64,
        /// The worker's pid.
        pid: i32,
    },
    /// No worker was forked.
    SpawnFailed {
        /// As asked.
        slot: usize,
        /// As asked.
        generation: u64,
        /// What the kernel said.
        error: String,
    },
    /// A worker has ended and was reaped.
    Exited {
        /// Its slot.
        slot: usize,
        /// Its life in that slot.
        generation: u64,
        /// How it ended.
        ending: Ending,
    },
}

/// A problem as it fits into a message: its beginning, which says what, and its end, where Python says why.
pub(crate) fn abridged(problem: &str) -> String {
    if problem.len() <= LONGEST_PROBLEM {
        return problem.to_owned();
    }
    let head = problem.floor_char_boundary(LONGEST_PROBLEM / 4);
    let tail = problem.ceil_char_boundary(problem.len() - LONGEST_PROBLEM / 2);
    format!("{}\n[…]\n{}", &problem[..head], &problem[tail..])
}

/// One end.
#[derive(Debug)]
pub(crate) struct Link {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

impl Link {
    /// Over one end of [`message::pair`].
    pub(crate) fn new(socket: OwnedFd) -> Link {
        Link { socket, buffer: vec![0; LARGEST] }
    }

    /// Sends one message with its descriptors.
    pub(crate) fn send<M: Serialize>(&self, message: &M, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let bytes = serde_json::to_vec(message)?;
        message::send(self.socket.as_fd(), &bytes, descriptors)
    }

    /// The next message and its descriptors; `None` when the other end is closed; `WouldBlock` when there is none yet.
    pub(crate) fn receive<M: for<'a> Deserialize<'a>>(&mut self) -> io::Result<Option<(M, Vec<OwnedFd>)>> {
        let received = match message::receive(self.socket.as_fd(), &mut self.buffer) {
            // The kernel says once, and first, that the other end has gone with words of ours unread. What it had said
            // before still waits behind that.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                message::receive(self.socket.as_fd(), &mut self.buffer)
            }
            received => received,
        };
        let (length, descriptors) = received?;
        if length == 0 {
            return Ok(None);
        }
        Ok(Some((serde_json::from_slice(&self.buffer[..length])?, descriptors)))
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_arrives_whole_with_its_descriptors() {
        let (a, b) = message::pair().expect("pair");
        let (a, mut b) = (Link::new(a), Link::new(b));
        let (reader, writer) = nix::unistd::pipe().expect("pipe");
        a.send(&FromTemplate::Spawned { slot: 3, generation: 9, pid: 77 }, &[reader.as_fd(), writer.as_fd()])
            .expect("send");
        let (message, descriptors) = b.receive::<FromTemplate>().expect("receive").expect("open");
        assert!(matches!(message, FromTemplate::Spawned { slot: 3, generation: 9, pid: 77 }));
        assert_eq!(descriptors.len(), 2);
        nix::unistd::write(&descriptors[1], b"x").expect("the write end works");
        let mut byte = [0];
        assert_eq!(nix::unistd::read(&reader, &mut byte).expect("through the pipe"), 1);
    }

    #[test]
    fn a_long_problem_fits_and_keeps_both_ends() {
        assert_eq!(abridged("cannot load"), "cannot load");
        // Each of these becomes six bytes.
        let long = format!("first{}last", "\u{1}".repeat(1 << 20));
        let (a, b) = message::pair().expect("pair");
        let (a, mut b) = (Link::new(a), Link::new(b));
        a.send(&FromTemplate::LoadFailed { problem: abridged(&long) }, &[]).expect("it fits");
        let (message, _) = b.receive().expect("receive").expect("open");
        let FromTemplate::LoadFailed { problem } = message else { panic!("{message:?}") };
        assert!(problem.starts_with("first") && problem.ends_with("last") && problem.contains("[…]"), "{problem:?}");
        assert!(abridged(&"ä".repeat(1 << 20)).len() < LONGEST_PROBLEM);
    }

    #[test]
    fn a_closed_end_is_none_and_silence_would_block() {
        let (a, b) = message::pair().expect("pair");
        let mut a = Link::new(a);
        let silence = a.receive::<FromTemplate>().expect_err("nothing was sent");
        assert_eq!(silence.kind(), io::ErrorKind::WouldBlock);
        drop(b);
        assert!(a.receive::<FromTemplate>().expect("closed").is_none());
    }

    #[test]
    fn last_words_are_heard_also_from_an_end_that_died_with_orders_unread() {
        let (a, b) = message::pair().expect("pair");
        let (mut a, b) = (Link::new(a), Link::new(b));
        b.send(&FromTemplate::Exited { slot: 1, generation: 5, ending: Ending::Exited(0) }, &[]).expect("send");
        a.send(&ToTemplate::Spawn { slot: 1, generation: 6 }, &[]).expect("send");
        drop(b);
        let (message, _) = a.receive::<FromTemplate>().expect("what was said").expect("before the end");
        assert!(matches!(message, FromTemplate::Exited { slot: 1, generation: 5, .. }));
        assert!(a.receive::<FromTemplate>().expect("closed").is_none());
    }
}
