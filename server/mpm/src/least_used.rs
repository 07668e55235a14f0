//! Who leaves when some must: the workers that would be missed least.

use std::cmp::Reverse;
use std::time::Duration;

use crate::{Phase, Snapshot, WorkerView};

/// Up to `count` ready workers of at least `min_age`, in slot order: idle ones first, among them the highest slots, so
/// that the scoreboard stays dense.
pub(crate) fn least_used(workers: &[WorkerView], count: usize, min_age: Duration) -> Vec<u32> {
    let mut candidates: Vec<_> = workers
        .iter()
        .filter(|worker| worker.phase == Phase::Ready && worker.age >= min_age)
        .map(|worker| {
            let calls = u64::from(worker.in_flight) + u64::from(worker.queued);
            (calls, worker.connections, Reverse(worker.slot))
        })
        .collect();
    if count < candidates.len() {
        // Linear, unlike sorting them all.
        candidates.select_nth_unstable(count);
        candidates.truncate(count);
    }
    let mut slots: Vec<u32> = candidates.into_iter().map(|(_, _, Reverse(slot))| slot).collect();
    slots.sort_unstable();
    slots
}

/// Who leaves at once because more than `most` serve. A worker that starts counts, but can't leave yet, and one that is
/// ready stays in any case.
pub(crate) fn surplus(snapshot: &Snapshot<'_>, most: u32) -> Vec<u32> {
    let too_many = snapshot.count(WorkerView::serves).saturating_sub(most);
    if too_many == 0 {
        return Vec::new();
    }
    let ready = snapshot.count(|worker| worker.phase == Phase::Ready);
    least_used(snapshot.workers, too_many.min(ready.saturating_sub(1)) as usize, Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Totals;

    fn worker(slot: u32, phase: Phase, age: u64, in_flight: u32, connections: u32) -> WorkerView {
        WorkerView {
            slot,
            generation: 1,
            phase,
            age: Duration::from_secs(age),
            connections,
            in_flight,
            queued: 0,
            threads: 4,
            totals: Totals::default(),
        }
    }

    #[test]
    fn the_least_used_leave_first() {
        use Phase::{Draining, Ready, Starting};
        let workers = [
            worker(0, Ready, 90, 3, 3),
            worker(1, Ready, 90, 0, 5), // idle, but five clients would have to reconnect
            worker(2, Ready, 90, 0, 0),
            worker(3, Ready, 1, 0, 0), // just started
            worker(4, Starting, 90, 0, 0),
            worker(5, Draining, 90, 0, 0),
            worker(6, Ready, 90, 0, 0),
        ];
        let rows: [(usize, &[u32]); 6] = [
            (0, &[]),
            (1, &[6]), // of two equals, the higher slot
            (2, &[2, 6]),
            (3, &[1, 2, 6]),
            (4, &[0, 1, 2, 6]),
            (9, &[0, 1, 2, 6]), // nobody else may go
        ];
        for (count, expected) in rows {
            assert_eq!(least_used(&workers, count, Duration::from_secs(2)), expected, "{count}");
        }
    }
}
