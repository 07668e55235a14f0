//! What the threads of a run send: every request of the plan, ready, and which of them is next.
//!
//! Shared by the threads and never changed; what moves on is each thread's [`Cursor`]. `run` makes
//! it, `driver` asks it.

use std::io;

use crate::message::Message;
use crate::random::SplitMix;
use crate::request::Request;
use crate::targets::Choice;
use crate::template::Numbers;

/// One request of the plan.
#[derive(Debug)]
struct Prepared {
    message: Message,
    /// Its bytes, when they are the same each time.
    fixed: Option<Request>,
    bodiless: bool,
}

/// All requests of a plan.
#[derive(Debug)]
pub(crate) struct Script {
    prepared: Vec<Prepared>,
    choice: Choice,
}

/// Which request a connection has taken up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Turn {
    /// Index of the plan's request.
    pub(crate) entry: u32,
    /// Its number in the run, counted from 1.
    seq: u64,
}

/// How far one of several threads has come.
#[derive(Debug)]
pub(crate) struct Cursor {
    next: u64,
    step: u64,
    random: SplitMix,
}

impl Cursor {
    /// Numbers are dealt out to the threads in turn, so that no two requests of a run have the same.
    pub(crate) fn new(seed: u64, thread: usize, threads: usize) -> Self {
        Self { next: thread as u64 + 1, step: threads as u64, random: SplitMix::new(seed, thread) }
    }
}

impl Script {
    /// # Errors
    /// The system's, when it has no memory for a large request.
    pub(crate) fn new(messages: Vec<Message>, choice: Choice) -> io::Result<Self> {
        let prepare = |message: Message| {
            let fixed = message.fixed().map(Request::new).transpose()?;
            Ok(Prepared { bodiless: message.bodiless(), message, fixed })
        };
        Ok(Self { prepared: messages.into_iter().map(prepare).collect::<io::Result<_>>()?, choice })
    }

    /// How many different requests there are.
    pub(crate) fn len(&self) -> usize {
        self.prepared.len()
    }

    /// The next request.
    pub(crate) fn next(&self, cursor: &mut Cursor) -> Turn {
        let seq = cursor.next;
        cursor.next += cursor.step;
        Turn { entry: self.choice.entry(seq, &mut cursor.random), seq }
    }

    /// The answer to it has no body.
    pub(crate) fn bodiless(&self, turn: Turn) -> bool {
        self.prepared[turn.entry as usize].bodiless
    }

    /// The request's bytes, if they are the same each time; otherwise [`Script::fill`] makes them.
    pub(crate) fn fixed(&self, turn: Turn) -> Option<&Request> {
        self.prepared[turn.entry as usize].fixed.as_ref()
    }

    /// Adds the request's bytes to `out`, with the value of its `Cookie` field.
    pub(crate) fn fill(&self, turn: Turn, cursor: &mut Cursor, cookies: &[u8], out: &mut Vec<u8>) {
        let mut numbers = Numbers { seq: turn.seq, random: cursor.random.clone() };
        self.prepared[turn.entry as usize].message.fill(&mut numbers, cookies, out);
        cursor.random = numbers.random;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Parts;
    use crate::targets::Order;

    fn script() -> Script {
        let parts =
            Parts { method: "GET", path: "/fixed", host: "a", headers: &[], body: b"", close: false, cookies: false };
        let messages = [parts, Parts { method: "HEAD", path: "/{seq}/{rand}", ..parts }];
        let messages = messages.into_iter().map(|parts| Message::new(parts).unwrap()).collect();
        Script::new(messages, Choice::new(&[1, 1], Order::Sequential).unwrap()).unwrap()
    }

    #[test]
    fn threads_share_the_numbers_of_a_run() {
        let script = script();
        let mut numbers: Vec<u64> = (0..3)
            .flat_map(|thread| {
                let mut cursor = Cursor::new(1, thread, 3);
                (0..4).map(|_| script.next(&mut cursor).seq).collect::<Vec<_>>()
            })
            .collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=12).collect::<Vec<_>>());
    }

    #[test]
    fn what_does_not_change_is_made_once() {
        let script = script();
        let mut cursor = Cursor::new(1, 0, 1);
        let (first, second) = (script.next(&mut cursor), script.next(&mut cursor));
        assert!(script.fixed(first).is_some() && !script.bodiless(first));
        assert!(script.fixed(second).is_none() && script.bodiless(second));
        let mut fill = || {
            let mut out = Vec::new();
            script.fill(second, &mut cursor, b"", &mut out);
            String::from_utf8(out).unwrap()
        };
        let (one, other) = (fill(), fill());
        assert!(one.starts_with("HEAD /2/"), "{one}");
        assert_ne!(one, other, "the random numbers move on");
    }
}
