//! Deadlines of many slots, of which almost none is ever reached: a number per slot, and a bound
//! below all of them.
//!
//! Starting and ending a wait is a store, because every request does both. Only when the bound is
//! reached are the slots looked through, and that at most once a [`COARSE`]. Nothing is allocated
//! after the start. Knows nothing of what is waited for.

/// A deadline is noticed this much late at most, in nanoseconds: so often may all slots be looked
/// through, whatever the number of waits that end.
const COARSE: u64 = 1_000_000;
/// No wait.
const NEVER: u64 = u64::MAX;

/// The deadlines of slots `0..slots`, in nanoseconds. A slot waits for one thing at a time.
#[derive(Debug)]
pub(crate) struct Deadlines {
    of: Vec<u64>,
    /// No deadline is earlier.
    bound: u64,
}

impl Deadlines {
    pub(crate) fn new(slots: usize) -> Self {
        Self { of: vec![NEVER; slots], bound: NEVER }
    }

    /// Starts a wait, ending the slot's former one.
    pub(crate) fn start(&mut self, slot: usize, deadline: u64) {
        self.of[slot] = deadline;
        self.bound = self.bound.min(deadline);
    }

    /// Ends the slot's wait, if there is one.
    pub(crate) fn clear(&mut self, slot: usize) {
        self.of[slot] = NEVER;
    }

    /// When to look for waits that are over; as a rule none is then. `None` while nothing waits.
    pub(crate) fn bound(&self) -> Option<u64> {
        (self.bound != NEVER).then_some(self.bound)
    }

    /// Adds the slots whose waits are over to `over`, and ends these waits.
    pub(crate) fn expire(&mut self, now: u64, over: &mut Vec<usize>) {
        if now < self.bound {
            return;
        }
        let mut earliest = NEVER;
        for (slot, deadline) in self.of.iter_mut().enumerate() {
            if *deadline <= now {
                *deadline = NEVER;
                over.push(slot);
            } else {
                earliest = earliest.min(*deadline);
            }
        }
        // Putting off the next look makes the bound a little late; a wait that is started until
        // then with a shorter deadline lowers it again.
        self.bound = if earliest == NEVER { NEVER } else { earliest.max(now.saturating_add(COARSE)) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(deadlines: &mut Deadlines, now: u64) -> Vec<usize> {
        let mut over = Vec::new();
        deadlines.expire(now, &mut over);
        over
    }

    #[test]
    fn waits_end_at_their_time_whatever_their_order() {
        let mut deadlines = Deadlines::new(4);
        assert_eq!(deadlines.bound(), None);
        for (slot, deadline) in [(0, 40), (1, 10), (2, 30), (3, 20)] {
            deadlines.start(slot, deadline * COARSE);
        }
        assert_eq!(deadlines.bound(), Some(10 * COARSE));
        assert!(over(&mut deadlines, 10 * COARSE - 1).is_empty());
        assert_eq!(over(&mut deadlines, 10 * COARSE), [1]);
        assert_eq!(deadlines.bound(), Some(20 * COARSE));
        assert_eq!(over(&mut deadlines, 35 * COARSE), [2, 3]);
        deadlines.clear(0);
        assert!(over(&mut deadlines, 40 * COARSE).is_empty());
        assert_eq!(deadlines.bound(), None);
    }

    #[test]
    fn a_wait_that_was_ended_or_moved_does_not_end_again() {
        let mut deadlines = Deadlines::new(2);
        deadlines.start(0, 5);
        deadlines.start(0, 50 * COARSE);
        deadlines.start(1, 6);
        deadlines.clear(1);
        // The bound is a bound: looking finds nothing and raises it.
        assert_eq!(deadlines.bound(), Some(5));
        assert!(over(&mut deadlines, 7).is_empty());
        assert_eq!(deadlines.bound(), Some(50 * COARSE));
    }

    #[test]
    fn slots_are_looked_through_rarely() {
        let mut deadlines = Deadlines::new(100);
        for slot in 0..100 {
            deadlines.start(slot, slot as u64 * 1_000);
        }
        assert_eq!(over(&mut deadlines, 0), [0]);
        // The others end within a tenth of a millisecond, and are found in one look.
        assert_eq!(deadlines.bound(), Some(COARSE));
        assert!(over(&mut deadlines, 99_000).is_empty());
        assert_eq!(over(&mut deadlines, COARSE).len(), 99);
    }
}
