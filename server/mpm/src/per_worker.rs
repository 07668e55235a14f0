//! What a policy remembers of each worker from one snapshot to the next.

use crate::WorkerView;

/// A value for every living worker, told apart by slot and generation. Snapshots are ordered by slot, so one pass over
/// both is enough; in one that is not, a worker may count as new.
#[derive(Debug, Clone)]
pub(crate) struct PerWorker<T> {
    entries: Vec<Entry<T>>,
}

#[derive(Debug, Clone, Copy)]
struct Entry<T> {
    slot: u32,
    generation: u32,
    value: T,
}

impl<T> Default for PerWorker<T> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

impl<T: Copy> PerWorker<T> {
    /// Replaces each worker's value by what `next` makes of it and of the earlier one, if it was there before. The values
    /// of workers that are gone go.
    pub(crate) fn update(&mut self, workers: &[WorkerView], mut next: impl FnMut(&WorkerView, Option<T>) -> T) {
        let mut earlier = std::mem::take(&mut self.entries).into_iter().peekable();
        self.entries.reserve_exact(workers.len());
        for worker in workers {
            while earlier.next_if(|entry| entry.slot < worker.slot).is_some() {}
            let same = earlier.next_if(|entry| entry.slot == worker.slot);
            let value = same.filter(|entry| entry.generation == worker.generation).map(|entry| entry.value);
            let value = next(worker, value);
            self.entries.push(Entry { slot: worker.slot, generation: worker.generation, value });
        }
    }

    /// The values in the order of the last snapshot's workers.
    pub(crate) fn values(&self) -> impl Iterator<Item = T> + '_ {
        self.entries.iter().map(|entry| entry.value)
    }

    /// The same, to be changed.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.entries.iter_mut().map(|entry| &mut entry.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::idle;

    #[test]
    fn values_stay_with_their_workers() {
        let generation = |slot, generation| WorkerView { generation, ..idle(slot) };
        let rows: [(Vec<WorkerView>, Vec<u32>); 5] = [
            (vec![idle(1), idle(3)], vec![1, 1]),
            (vec![idle(0), idle(1), idle(3)], vec![1, 2, 2]),
            (vec![idle(0), generation(1, 2), idle(3)], vec![2, 1, 3]), // another worker in the same slot
            (vec![idle(3), idle(4)], vec![4, 1]),
            (vec![idle(4), idle(3)], vec![2, 1]), // unordered: no harm beyond forgetting
        ];
        let mut seen = PerWorker::default();
        for (workers, expected) in rows {
            seen.update(&workers, |_, times| times.map_or(1, |times: u32| times + 1));
            assert_eq!(seen.values().collect::<Vec<_>>(), expected, "{workers:?}");
        }
    }
}
