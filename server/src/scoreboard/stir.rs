//! Whether anything happens: what a supervisor that sleeps must not miss, and how it is woken.

use std::iter::Sum;
use std::sync::atomic::Ordering;

use super::{Scoreboard, Shared, Slot, Word};

/// What workers do and have done, to be compared with itself: if nothing has changed, nothing has happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Stir {
    connections: u64,
    in_flight: u64,
    requests: u64,
}

impl Sum for Stir {
    fn sum<I: Iterator<Item = Stir>>(stirs: I) -> Stir {
        stirs.fold(Stir::default(), |sum, stir| Stir {
            connections: sum.connections + stir.connections,
            in_flight: sum.in_flight + stir.in_flight,
            requests: sum.requests + stir.requests,
        })
    }
}

impl Slot {
    /// What the worker does and has done.
    pub(crate) fn stir(self) -> Stir {
        let [connections, in_flight] =
            [Word::Connections, Word::InFlight].map(|word| self.words[word as usize].load(Ordering::SeqCst));
        // After the calls: whichever is not under way any more is counted by now.
        Stir { connections, in_flight, requests: self.requests() }
    }
}

impl Scoreboard {
    fn asleep(self) -> &'static std::sync::atomic::AtomicU64 {
        &self.words[Shared::Asleep as usize]
    }

    /// Supervisor: sleeps from now on, unless the workers' [`Slot::stir`] shows afterwards that something has happened.
    ///
    /// One total order with `begin_call`, `set_connections` and `rouse`: either the worker sees that the supervisor sleeps, or
    /// the supervisor sees what the worker does.
    pub(crate) fn fall_asleep(self) {
        self.asleep().store(1, Ordering::SeqCst);
    }

    /// Supervisor: sleeps no longer. False if a worker has roused it, or if it did not sleep.
    pub(crate) fn wake_up(self) -> bool {
        self.asleep().swap(0, Ordering::SeqCst) != 0
    }

    /// Worker: something has happened. True if the supervisor sleeps and has to be rung for; one load if it does not.
    pub(crate) fn rouse(self) -> bool {
        self.asleep().load(Ordering::SeqCst) != 0 && self.wake_up()
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::sync::{Arc, Barrier};
    use std::thread;

    use super::*;

    fn board() -> Scoreboard {
        let fd = Scoreboard::create(2).expect("memory");
        Scoreboard::map(fd.as_fd()).expect("mapped")
    }

    #[test]
    fn whatever_happens_shows() {
        let board = board();
        let slot = board.slot(0);
        let stir = || -> Stir { (0..board.slots()).map(|index| board.slot(index).stir()).sum() };
        let mut seen = vec![stir()];
        let mut changed = || {
            let now = stir();
            assert_ne!(Some(&now), seen.last());
            seen.push(now);
        };
        slot.begin_call();
        changed();
        slot.count_request(200, crate::scoreboard::Cost { took_ns: 1, wall_ns: 1, cpu_ns: 1, lock_wait_ns: 0 });
        slot.end_call();
        changed();
        assert!(slot.set_connections(1));
        changed();
        assert!(!slot.set_connections(0));
        changed();
    }

    #[test]
    fn one_ring_for_each_sleep() {
        let board = board();
        assert!(!board.rouse(), "it is awake");
        board.fall_asleep();
        assert!(board.rouse());
        assert!(!board.rouse(), "somebody else has rung");
        assert!(!board.wake_up(), "it was roused");
        board.fall_asleep();
        assert!(board.wake_up(), "it wakes up by itself");
        assert!(!board.rouse());
    }

    /// The supervisor falls asleep and a worker begins a call, at the same moment, over and over: one of them sees the other.
    #[test]
    fn no_wake_up_is_lost() {
        const ROUNDS: usize = 20_000;
        let board = board();
        let start = Arc::new(Barrier::new(2));
        let end = Arc::new(Barrier::new(2));
        let worker = {
            let (start, end) = (Arc::clone(&start), Arc::clone(&end));
            thread::spawn(move || {
                let mut rang = Vec::with_capacity(ROUNDS);
                for _ in 0..ROUNDS {
                    start.wait();
                    board.slot(0).begin_call();
                    rang.push(board.rouse());
                    end.wait();
                }
                rang
            })
        };
        let mut saw = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            let before = board.slot(0).stir();
            start.wait();
            board.fall_asleep();
            saw.push(board.slot(0).stir() != before);
            end.wait();
            board.wake_up();
        }
        let rang = worker.join().expect("no panic");
        for (round, (saw, rang)) in saw.into_iter().zip(rang).enumerate() {
            assert!(saw || rang, "round {round}: the supervisor sleeps and nobody wakes it");
        }
    }
}
