//! Deadlines of many slots with few lengths of wait: a list per length, threaded through the slots.
//!
//! Every wait in a list is equally long, so the one started first ends first: appending, removing
//! and finding the earliest are O(1), and nothing is allocated after the start. Knows nothing of
//! what is waited for.

/// No slot.
const NONE: u32 = u32::MAX;

/// What a slot waits for; each has a list of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// For a connection.
    Connect,
    /// For an answer.
    Answer,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    previous: u32,
    next: u32,
    deadline: u64,
    /// The list the slot is in.
    list: Option<Wait>,
}

#[derive(Clone, Copy, Debug)]
struct List {
    first: u32,
    last: u32,
}

/// The deadlines of slots `0..slots`. A slot waits for one thing at a time.
#[derive(Debug)]
pub(crate) struct Deadlines {
    links: Vec<Link>,
    lists: [List; 2],
}

impl Deadlines {
    pub(crate) fn new(slots: usize) -> Self {
        let free = Link { previous: NONE, next: NONE, deadline: 0, list: None };
        Self { links: vec![free; slots], lists: [List { first: NONE, last: NONE }; 2] }
    }

    /// Starts a wait, ending the slot's former one. Deadlines of one kind must not fall.
    pub(crate) fn start(&mut self, slot: usize, wait: Wait, deadline: u64) {
        self.clear(slot);
        let list = &mut self.lists[wait as usize];
        let last = std::mem::replace(&mut list.last, slot as u32);
        if last == NONE {
            list.first = slot as u32;
        } else {
            self.links[last as usize].next = slot as u32;
        }
        self.links[slot] = Link { previous: last, next: NONE, deadline, list: Some(wait) };
    }

    /// Ends the slot's wait, if there is one.
    pub(crate) fn clear(&mut self, slot: usize) {
        let link = self.links[slot];
        let Some(wait) = link.list else { return };
        let list = &mut self.lists[wait as usize];
        match link.previous {
            NONE => list.first = link.next,
            previous => self.links[previous as usize].next = link.next,
        }
        match link.next {
            NONE => list.last = link.previous,
            next => self.links[next as usize].previous = link.previous,
        }
        self.links[slot].list = None;
    }

    /// The slot whose wait of this kind ends first, and when.
    pub(crate) fn first(&self, wait: Wait) -> Option<(usize, u64)> {
        let first = self.lists[wait as usize].first;
        (first != NONE).then(|| (first as usize, self.links[first as usize].deadline))
    }

    /// The earliest deadline of all.
    pub(crate) fn earliest(&self) -> Option<u64> {
        let of = |wait| self.first(wait).map(|(_, deadline)| deadline);
        of(Wait::Connect).into_iter().chain(of(Wait::Answer)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_started_is_the_first_to_end_whatever_is_removed() {
        let mut deadlines = Deadlines::new(4);
        assert_eq!(deadlines.earliest(), None);
        for slot in 0..4 {
            deadlines.start(slot, Wait::Answer, 10 + slot as u64);
        }
        deadlines.clear(1); // from the middle
        assert_eq!(deadlines.first(Wait::Answer), Some((0, 10)));
        deadlines.clear(0); // the first
        assert_eq!(deadlines.first(Wait::Answer), Some((2, 12)));
        deadlines.clear(3); // the last
        deadlines.start(0, Wait::Answer, 20);
        assert_eq!(deadlines.first(Wait::Answer), Some((2, 12)));
        deadlines.clear(2);
        assert_eq!(deadlines.first(Wait::Answer), Some((0, 20)));
        deadlines.clear(0);
        deadlines.clear(0); // twice does no harm
        assert_eq!(deadlines.first(Wait::Answer), None);
    }

    #[test]
    fn a_slot_waits_for_one_thing_at_a_time() {
        let mut deadlines = Deadlines::new(2);
        deadlines.start(0, Wait::Connect, 5);
        deadlines.start(1, Wait::Connect, 6);
        deadlines.start(0, Wait::Answer, 50);
        assert_eq!(deadlines.first(Wait::Connect), Some((1, 6)));
        assert_eq!(deadlines.first(Wait::Answer), Some((0, 50)));
        assert_eq!(deadlines.earliest(), Some(6));
    }
}
