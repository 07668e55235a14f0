//! The figures that a decision follows from, by name, for programs: what is counted in every snapshot, and a policy's own.
//!
//! Counts are whole numbers of workers or requests, times are seconds; a name says so where it could be doubted.

use std::collections::BTreeMap;

use crate::{Phase, Snapshot, WorkerView};

/// What every policy sees of its workers, and what this one adds.
pub(crate) fn of<const N: usize>(snapshot: &Snapshot<'_>, own: [(&str, f64); N]) -> BTreeMap<String, f64> {
    let counted = [
        ("workers_living", snapshot.count(|_| true)),
        ("workers_serving", snapshot.count(WorkerView::serves)),
        ("workers_starting", snapshot.count(|worker| worker.phase == Phase::Starting)),
        ("waiting", snapshot.waiting()),
    ];
    let counted = counted.into_iter().map(|(name, count)| (name, f64::from(count)));
    counted.chain(own).map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Cause;
    use crate::sample::{busy, draining, idle, starting};

    #[test]
    fn a_snapshot_is_counted_beside_what_the_policy_says() {
        let workers = [idle(0), busy(1), starting(2), draining(3)];
        let snapshot = Snapshot { now: Duration::ZERO, cause: Cause::Tick, workers: &workers, backlog: 7 };
        let inputs = of(&snapshot, [("spawn_rate", 4.0)]);
        let expected = [
            ("spawn_rate", 4.0),
            ("waiting", 7.0),
            ("workers_living", 4.0),
            ("workers_serving", 3.0),
            ("workers_starting", 1.0),
        ];
        assert_eq!(inputs, expected.map(|(name, value)| (name.to_owned(), value)).into());
    }
}
