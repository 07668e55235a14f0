//! Deadlines of many connections, cheap when they keep moving later.
//!
//! A connection in steady state only ever postpones: its deadline is a number in its own entry, and the heap keeps one
//! old, earlier mark for it. When that mark comes up, the owner says where the deadline is now. Pure: time is passed in.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// One connection's deadline, kept by the connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    /// When to act, in monotonic nanoseconds.
    at_ns: u64,
    /// The earliest mark in the heap.
    marked_ns: u64,
}

impl Default for Deadline {
    fn default() -> Self {
        Deadline { at_ns: u64::MAX, marked_ns: u64::MAX }
    }
}

impl Deadline {
    /// When to act, in monotonic nanoseconds.
    pub(super) fn at_ns(self) -> u64 {
        self.at_ns
    }

    /// Never, until set again.
    pub(super) fn clear(&mut self) {
        self.at_ns = u64::MAX;
    }
}

/// What a mark that came up means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// The deadline has passed.
    Now,
    /// Nothing to do: an old mark.
    NotYet,
}

/// The marks of all connections.
#[derive(Debug, Default)]
pub(super) struct Timers {
    marks: BinaryHeap<Reverse<(u64, usize)>>,
}

impl Timers {
    /// Sets the deadline of connection `key`.
    pub(super) fn set(&mut self, deadline: &mut Deadline, key: usize, at_ns: u64) {
        deadline.at_ns = at_ns;
        if at_ns < deadline.marked_ns {
            deadline.marked_ns = at_ns;
            self.marks.push(Reverse((at_ns, key)));
        }
    }

    /// The next mark, if it is not after `now_ns`: its time and connection. Ask [`Timers::judge`] what it means.
    pub(super) fn pop(&mut self, now_ns: u64) -> Option<(u64, usize)> {
        let Reverse((at_ns, _)) = *self.marks.peek()?;
        if at_ns > now_ns {
            return None;
        }
        self.marks.pop().map(|Reverse(mark)| mark)
    }

    /// What the popped mark means for the connection that has `deadline`; marks it again if it has moved.
    pub(super) fn judge(&mut self, deadline: &mut Deadline, key: usize, mark_ns: u64, now_ns: u64) -> Due {
        if mark_ns != deadline.marked_ns {
            // Of an earlier connection under this key, or doubled by a deadline that moved forward.
            return Due::NotYet;
        }
        deadline.marked_ns = u64::MAX;
        if deadline.at_ns <= now_ns {
            deadline.at_ns = u64::MAX;
            return Due::Now;
        }
        if deadline.at_ns != u64::MAX {
            let at_ns = deadline.at_ns;
            self.set(deadline, key, at_ns);
        }
        Due::NotYet
    }

    /// When the next mark comes up.
    pub(super) fn next_ns(&self) -> Option<u64> {
        self.marks.peek().map(|Reverse((at_ns, _))| *at_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(timers: &mut Timers, deadline: &mut Deadline, now_ns: u64) -> bool {
        let mut fired = false;
        while let Some((mark, key)) = timers.pop(now_ns) {
            fired |= timers.judge(deadline, key, mark, now_ns) == Due::Now;
        }
        fired
    }

    #[test]
    fn a_postponed_deadline_fires_once_and_late() {
        let (mut timers, mut deadline) = (Timers::default(), Deadline::default());
        for at in 10..1000 {
            timers.set(&mut deadline, 3, at);
        }
        assert_eq!(timers.marks.len(), 1, "postponing is free");
        assert!(!due(&mut timers, &mut deadline, 998));
        assert!(due(&mut timers, &mut deadline, 999));
        assert!(!due(&mut timers, &mut deadline, 5000));
        assert_eq!(timers.next_ns(), None);
    }

    #[test]
    fn an_advanced_deadline_fires_early_and_once() {
        let (mut timers, mut deadline) = (Timers::default(), Deadline::default());
        timers.set(&mut deadline, 0, 100);
        timers.set(&mut deadline, 0, 50);
        assert!(due(&mut timers, &mut deadline, 50));
        assert!(!due(&mut timers, &mut deadline, 100));
    }

    #[test]
    fn a_cancelled_deadline_never_fires() {
        let (mut timers, mut deadline) = (Timers::default(), Deadline::default());
        timers.set(&mut deadline, 0, 100);
        deadline.clear();
        assert!(!due(&mut timers, &mut deadline, 1000));
        assert_eq!(timers.next_ns(), None);
    }

    #[test]
    fn marks_of_a_closed_connection_do_not_touch_its_successor() {
        let (mut timers, mut old, mut new) = (Timers::default(), Deadline::default(), Deadline::default());
        timers.set(&mut old, 7, 100);
        timers.set(&mut new, 7, 200);
        assert!(!due(&mut timers, &mut new, 150));
        assert!(due(&mut timers, &mut new, 200));
    }
}
