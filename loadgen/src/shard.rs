//! A run divided into parts: which part of the plan's connections, requests and arrivals a shard has. Pure.
//!
//! The threads of all shards are numbered through, and each has the share of its number, as if they were the threads of
//! one process. So the shards of a plan together send what one process with all their threads would: the same evenly
//! spaced times, the same Poisson streams, the same number of requests.

use std::fmt;
use std::str::FromStr;

use crate::error::PlanError;
use crate::plan::{Plan, Shard};

/// What one process has of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) connections: usize,
    /// Threads that run here.
    pub(crate) threads: usize,
    /// Number of the first of them among those of all shards.
    pub(crate) first_thread: usize,
    /// Threads of all shards.
    pub(crate) all_threads: usize,
}

impl Part {
    /// Of a plan whose shard is in order.
    pub(crate) fn of(plan: &Plan) -> Self {
        let shard = plan.shard.unwrap_or(Shard::WHOLE);
        let (index, count) = (shard.index as usize, shard.count as usize);
        let connections = |index| share(plan.connections as u64, index, count) as usize;
        // A thread without a connection would have nothing to do.
        let threads = |index| plan.threads.min(connections(index));
        Self {
            connections: connections(index),
            threads: threads(index),
            first_thread: (0..index).map(threads).sum(),
            all_threads: (0..count).map(threads).sum(),
        }
    }
}

/// The share of one of `parts` in `total`: the first ones take what does not divide.
pub(crate) fn share(total: u64, part: usize, parts: usize) -> u64 {
    let (part, parts) = (part as u64, parts as u64);
    total / parts + u64::from(part < total % parts)
}

/// A shard that cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no shard; write INDEX/COUNT, counted from 0: 0/3, 1/3 and 2/3 are three shards")]
pub struct ShardError(String);

impl Shard {
    /// The only part of a run that is not divided.
    const WHOLE: Self = Self { index: 0, count: 1 };

    /// True when there is such a part.
    #[must_use]
    pub fn is_one(self) -> bool {
        self.index < self.count
    }

    /// Refuses a shard that cannot be, of a plan with so many connections.
    pub(crate) fn check(self, connections: usize) -> Result<(), PlanError> {
        let wrong = |reason| Err(PlanError { field: "shard", reason });
        if !self.is_one() {
            return wrong(format!("there is no shard {self}; they are counted from 0"));
        }
        if connections < self.count as usize {
            let count = self.count;
            return wrong(format!(
                "{count} shards need at least as many connections, and not {connections}; raise --connections"
            ));
        }
        Ok(())
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        let wrong = || ShardError(text.to_owned());
        // The numbers' own parser would take a sign.
        let number = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten();
        let (index, count) = text.split_once('/').ok_or_else(wrong)?;
        let shard = Self { index: number(index).ok_or_else(wrong)?, count: number(count).ok_or_else(wrong)? };
        if shard.is_one() { Ok(shard) } else { Err(wrong()) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::pacer::Pacer;
    use crate::plan::{Arrivals, Load};
    use crate::quantity::parse_stages;

    fn plan(connections: usize, threads: usize, shard: Option<Shard>) -> Plan {
        let load = Load::closed_for(Duration::from_secs(1));
        Plan { connections, threads, shard, ..Plan::new("http://a/".parse().unwrap(), load) }
    }

    fn parts(connections: usize, threads: usize, count: u32) -> Vec<Part> {
        (0..count).map(|index| Part::of(&plan(connections, threads, Some(Shard { index, count })))).collect()
    }

    #[test]
    fn shares_add_up() {
        for (total, parts) in [(10, 3), (1, 1), (7, 7), (4096, 2), (2, 3)] {
            let sum: u64 = (0..parts).map(|part| share(total, part, parts)).sum();
            assert_eq!(sum, total, "{total} in {parts}");
        }
    }

    #[test]
    fn shards_add_up_and_their_threads_are_numbered_through() {
        let whole = Part::of(&plan(10, 2, None));
        assert_eq!(whole, Part { connections: 10, threads: 2, first_thread: 0, all_threads: 2 });
        for (connections, threads, count) in [(10, 2, 3), (3, 2, 3), (7, 4, 3), (4096, 1, 5), (5, 9, 2)] {
            let parts = parts(connections, threads, count);
            assert_eq!(parts.iter().map(|part| part.connections).sum::<usize>(), connections);
            let mut next = 0;
            for part in &parts {
                assert_eq!(part.first_thread, next, "{parts:?}");
                next += part.threads;
            }
            assert!(parts.iter().all(|part| part.all_threads == next && part.threads > 0), "{parts:?}");
        }
    }

    #[test]
    fn shards_are_due_when_their_plan_is() {
        let stages = parse_stages("2s@50,1s@7").unwrap();
        let due = |arrivals, thread, threads| Pacer::new(&stages, arrivals, 7, thread, threads).collect::<Vec<_>>();
        for arrivals in [Arrivals::Constant, Arrivals::Poisson] {
            let parts = parts(10, 2, 3);
            let shards = parts.iter().flat_map(|part| {
                (0..part.threads).flat_map(|thread| due(arrivals, part.first_thread + thread, part.all_threads))
            });
            let mut shards: Vec<u64> = shards.collect();
            let mut whole: Vec<u64> = (0..6).flat_map(|thread| due(arrivals, thread, 6)).collect();
            shards.sort_unstable();
            whole.sort_unstable();
            assert_eq!(shards, whole);
        }
    }

    #[test]
    fn shards_as_people_type_them() {
        let rows = [
            ("0/1", Some((0, 1))),
            ("2/3", Some((2, 3))),
            ("3/3", None),
            ("0/0", None),
            ("1", None),
            ("/3", None),
            ("1/", None),
            ("+1/3", None),
            ("-1/3", None),
            ("1/3/5", None),
        ];
        for (text, expected) in rows {
            let expected = expected.map(|(index, count)| Shard { index, count });
            assert_eq!(text.parse().ok(), expected, "{text}");
            assert!(expected.is_none_or(|shard| shard.to_string() == text));
        }
    }

    #[test]
    fn a_shard_needs_a_connection() {
        let shard = |index, count| Some(Shard { index, count });
        assert!(plan(3, 1, shard(2, 3)).check().is_ok());
        for (plan, part) in [(plan(2, 1, shard(0, 3)), "3 shards need"), (plan(9, 1, shard(3, 3)), "counted from 0")] {
            let error = plan.check().unwrap_err();
            assert_eq!(error.field, "shard");
            assert!(error.reason.contains(part), "{error}");
        }
    }
}
