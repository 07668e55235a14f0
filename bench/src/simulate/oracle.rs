//! What perfect foresight would cost: a lower bound of the worker-seconds with which the objective can be met.
//!
//! The oracle knows every arrival and every cost. Its workers are of the policy's kind (as many calls at once, one
//! interpreter lock each), start and end in no time and can be had in fractions; one is always there. Up to one request
//! in a hundred may be late: it picks those that cost most. What is left must be served between its arrival and the
//! objective (a call that takes longer alone gets as long as it takes), in any order, in pieces, by as many workers at
//! once as it likes.
//!
//! What the one worker does in time is free. So the least that more workers must do is what remains of each request at
//! its deadline when that one worker always serves the earliest deadline first, which gets most done in time. A worker
//! gives two things: calls at once, and a core. Each alone gives a bound; the larger one counts. Every policy that meets
//! the objective spends at least this (while at least one worker lives), so the ratio is never flattering.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::calls::Cost;
use super::model::record::SHARE;
use super::time::{Nanos, SECOND};

/// Worker-seconds that requests (arrival and cost, in the order of their arrival) need within `length`, with workers that
/// run `threads` calls at once and a latency of at most `objective`.
pub(crate) fn worker_seconds(requests: &[(Nanos, Cost)], length: Nanos, threads: u32, objective: Nanos) -> f64 {
    let slots = beyond_one(requests, length, objective, |cost| cost.alone() as f64 / f64::from(threads.max(1)));
    let cores = beyond_one(requests, length, objective, |cost| cost.cpu as f64);
    (length as f64 + slots.max(cores)) / SECOND as f64
}

/// Worker-nanoseconds that one worker, always there, cannot do in time.
fn beyond_one(requests: &[(Nanos, Cost)], length: Nanos, objective: Nanos, work: impl Fn(&Cost) -> f64) -> f64 {
    let Some(limit) = largest_counted(requests, &work) else { return 0.0 };
    let mut spared = requests.len() - (requests.len() as f64 * SHARE).ceil() as usize;
    let mut one = One { now: 0.0, due: BinaryHeap::new(), beyond: 0.0 };
    for (arrived, cost) in requests {
        let work = work(cost);
        if work > limit && spared > 0 {
            spared -= 1;
            continue;
        }
        one.serve_until(*arrived as f64);
        let deadline = arrived + objective.max(cost.alone());
        one.due.push(Reverse((deadline, work.to_bits())));
    }
    one.serve_until(length as f64);
    // Where costs are equal, those that may still be spared are as good as any.
    (one.beyond - spared as f64 * limit).max(0.0)
}

/// The work of the request at the limit of those that must be in time.
fn largest_counted(requests: &[(Nanos, Cost)], work: impl Fn(&Cost) -> f64) -> Option<f64> {
    let mut works: Vec<f64> = requests.iter().map(|(_, cost)| work(cost)).collect();
    let rank = ((works.len() as f64 * SHARE).ceil() as usize).checked_sub(1)?;
    let (_, limit, _) = works.select_nth_unstable_by(rank, f64::total_cmp);
    Some(*limit)
}

/// The worker that is always there.
struct One {
    now: f64,
    /// Deadlines, and the work that is left, as bits: positive floats order like theirs.
    due: BinaryHeap<Reverse<(Nanos, u64)>>,
    /// What it could not do in time.
    beyond: f64,
}

impl One {
    fn serve_until(&mut self, until: f64) {
        while self.now < until
            && let Some(Reverse((deadline, left))) = self.due.pop()
        {
            let left = f64::from_bits(left);
            let end = (self.now + left).min(until).min(deadline as f64);
            let left = left - (end - self.now).max(0.0);
            self.now = self.now.max(end);
            if left <= 1e-6 {
                continue;
            }
            if self.now >= deadline as f64 {
                self.beyond += left;
            } else {
                self.due.push(Reverse((deadline, left.to_bits())));
            }
        }
        self.now = self.now.max(until);
        while let Some(Reverse((deadline, left))) = self.due.peek().copied()
            && deadline as f64 <= self.now
        {
            self.beyond += f64::from_bits(left);
            self.due.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::time::MILLISECOND as MS;

    fn blocked(at_ms: u64, ms: u64) -> (Nanos, Cost) {
        (at_ms * MS, Cost { cpu: 0, blocked: ms * MS })
    }

    #[test]
    fn bounds_that_can_be_worked_out_by_hand() {
        let ten_at_once: Vec<_> = (0..10).map(|_| blocked(0, 100)).collect();
        let computing = [(0, Cost { cpu: 60 * MS, blocked: 0 }), (0, Cost { cpu: 60 * MS, blocked: 0 })];
        type Row<'a> = (&'a str, &'a [(Nanos, Cost)], u32, u64, f64);
        let rows: [Row<'_>; 7] = [
            // name, requests, threads, objective in ms, worker-seconds within a second
            ("nobody", &[], 1, 100, 1.0),
            ("one worker suffices", &[blocked(0, 100), blocked(200, 100)], 1, 100, 1.0),
            // 10 × 100 ms of work, of which the one worker does 100 ms in time.
            ("all at once", &ten_at_once, 1, 100, 1.9),
            ("waiting for a second makes it one worker's work", &ten_at_once, 1, 1_000, 1.0),
            ("threads", &ten_at_once, 10, 100, 1.0),
            // Threads don't help those that compute: 120 ms in 100 ms.
            ("cores", &computing, 64, 100, 1.02),
            ("longer than the objective", &[blocked(0, 500)], 1, 100, 1.0),
        ];
        for (name, requests, threads, objective_ms, expected) in rows {
            let bound = worker_seconds(requests, SECOND, threads, objective_ms * MS);
            assert!((bound - expected).abs() < 1e-9, "{name}: {bound}");
        }
    }

    #[test]
    fn the_dearest_hundredth_may_be_late() {
        let mut requests: Vec<_> = (0..99).map(|place| blocked(place * 10, 5)).collect();
        requests.insert(50, blocked(495, 400));
        assert!((worker_seconds(&requests, SECOND, 1, 10 * MS) - 1.0).abs() < 1e-9);
        // Two of a hundred: one of them counts.
        requests[20] = blocked(200, 400);
        assert!(worker_seconds(&requests, SECOND, 1, 10 * MS) > 1.0);
    }

    #[test]
    fn what_is_due_after_the_end_is_nobodys_business() {
        assert!((worker_seconds(&[blocked(950, 100), blocked(950, 100)], SECOND, 1, 200 * MS) - 1.0).abs() < 1e-9);
    }
}
