//! What a policy was told and what it answered, one entry after the other, and the same again from the entries.
//!
//! A policy is a function of its past: nothing but its setup and the calls of [`Policy`] reaches it. So a recording from
//! the first call on is all that it takes to recompute every decision, on another machine and years later; where the
//! answers differ, the policy is not deterministic, or the code has changed. How entries become lines of a file is the
//! caller's business (the server's `--decision-log`).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    Adaptive, Busyness, BusynessConfig, Cause, Decision, Dynamic, DynamicConfig, Limits, OnDemand, OnDemandConfig,
    Policy, Prefork, PreforkConfig, Snapshot, Spare, SpareConfig, Static, Unit, UnitConfig, WorkerView,
};

/// Which policy, with everything that it is made from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Setup {
    /// [`Adaptive`] within these limits.
    Adaptive(Limits),
    /// [`Prefork`].
    Prefork(PreforkConfig),
    /// [`Static`] with so many workers.
    Static(u32),
    /// [`Busyness`].
    Busyness(BusynessConfig),
    /// [`Spare`].
    Spare(SpareConfig),
    /// [`Dynamic`].
    Dynamic(DynamicConfig),
    /// [`OnDemand`].
    Ondemand(OnDemandConfig),
    /// [`Unit`].
    Unit(UnitConfig),
}

impl Setup {
    /// A new policy, as it is before it was told anything.
    pub fn policy(self) -> Box<dyn Policy> {
        match self {
            Self::Adaptive(limits) => Box::new(Adaptive::new(limits)),
            Self::Prefork(config) => Box::new(Prefork::new(config)),
            Self::Static(workers) => Box::new(Static::new(workers)),
            Self::Busyness(config) => Box::new(Busyness::new(config)),
            Self::Spare(config) => Box::new(Spare::new(config)),
            Self::Dynamic(config) => Box::new(Dynamic::new(config)),
            Self::Ondemand(config) => Box::new(OnDemand::new(config)),
            Self::Unit(config) => Box::new(Unit::new(config)),
        }
    }
}

/// One entry of a recording.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// A policy was made; what was told to an earlier one counts no more.
    Made(Setup),
    /// [`Policy::decide`].
    Asked {
        /// The snapshot's time.
        now: Duration,
        /// Why it was asked.
        cause: Cause,
        /// The living workers.
        workers: Vec<WorkerView>,
        /// Connections in the kernel's queues.
        backlog: u32,
        /// What it answered.
        decision: Option<Decision>,
    },
    /// [`Policy::spawn_failed`].
    SpawnFailed {
        /// When.
        now: Duration,
    },
    /// [`Policy::graceful_restart`].
    GracefulRestart,
    /// [`Policy::scale`].
    Scaled {
        /// At least.
        min: u32,
        /// At most.
        max: u32,
    },
}

impl Entry {
    /// That this was asked, and so answered.
    pub fn asked(snapshot: &Snapshot<'_>, decision: Option<&Decision>) -> Self {
        Self::Asked {
            now: snapshot.now,
            cause: snapshot.cause,
            workers: snapshot.workers.to_vec(),
            backlog: snapshot.backlog,
            decision: decision.cloned(),
        }
    }
}

/// How a recording compares with the same again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    /// How often the policy was asked.
    pub asked: u64,
    /// Of those, how often it had something to say then, or has now.
    pub decisions: u64,
    /// Of the decisions, those with the same orders in the same order, for the same reason to the last digit shown.
    pub same: u64,
    /// The first that differs: what was said then, and now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<String>,
}

/// Tells a new policy everything that the recorded one was told.
///
/// # Errors
/// A recording that does not say first which policy it is of.
pub fn replay(entries: impl IntoIterator<Item = Entry>) -> Result<Replay, &'static str> {
    const HEADLESS: &str = "the recording does not begin with the policy's setup";
    let mut policy: Option<Box<dyn Policy>> = None;
    let mut replay = Replay::default();
    for entry in entries {
        if let Entry::Made(setup) = entry {
            policy = Some(setup.policy());
            continue;
        }
        let policy = policy.as_mut().ok_or(HEADLESS)?;
        match entry {
            Entry::Made(_) => {}
            Entry::Asked { now, cause, workers, backlog, decision } => {
                let again = policy.decide(&Snapshot { now, cause, workers: &workers, backlog });
                replay.asked += 1;
                if decision.is_none() && again.is_none() {
                    continue;
                }
                replay.decisions += 1;
                // Times and figures have been through decimal digits; orders and reasons are what was done and said.
                let said =
                    |decision: &Option<Decision>| decision.as_ref().map(|d| (d.actions.clone(), d.reason.clone()));
                if said(&decision) == said(&again) {
                    replay.same += 1;
                } else if replay.difference.is_none() {
                    let reason = |decision: &Option<Decision>| {
                        decision.as_ref().map_or_else(|| "nothing".to_owned(), |d| d.reason.clone())
                    };
                    replay.difference =
                        Some(format!("at {:.3} s: {}; now: {}", now.as_secs_f64(), reason(&decision), reason(&again)));
                }
            }
            Entry::SpawnFailed { now } => policy.spawn_failed(now),
            Entry::GracefulRestart => policy.graceful_restart(),
            // One that was refused then is refused again.
            Entry::Scaled { min, max } => {
                let _ = policy.scale(min, max);
            }
        }
    }
    Ok(replay)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{busy, idle};

    fn setups() -> [Setup; 8] {
        let limits =
            Limits { min_workers: 1, max_workers: 8, min_threads: 1, max_threads: 4, cpus: 1.7, memory_workers: 9 };
        let prefork = PreforkConfig { start_servers: 2, min_spare: 2, max_spare: 3, max_request_workers: 8 };
        let dynamic = DynamicConfig { max_children: 8, start_servers: 2, min_spare_servers: 2, max_spare_servers: 3 };
        [
            Setup::Adaptive(limits),
            Setup::Prefork(prefork),
            Setup::Static(3),
            Setup::Busyness(BusynessConfig {
                cheaper_overload: Duration::from_secs(1),
                multiplier: 1,
                ..BusynessConfig::default()
            }),
            Setup::Spare(SpareConfig {
                workers: 8,
                cheaper: 1,
                cheaper_initial: 1,
                cheaper_step: 2,
                cheaper_overload: 3,
            }),
            Setup::Dynamic(dynamic),
            Setup::Ondemand(OnDemandConfig { max_children: 8, process_idle_timeout: Duration::from_secs(1) }),
            Setup::Unit(UnitConfig { max: 8, spare: 1, idle_timeout: Duration::from_secs(1) }),
        ]
    }

    /// Twelve seconds of a policy that is first crowded and then left alone, written down and read back.
    fn recording(setup: Setup) -> Vec<String> {
        let mut policy = setup.policy();
        policy.spawn_failed(Duration::ZERO);
        let mut entries = vec![Entry::Made(setup), Entry::SpawnFailed { now: Duration::ZERO }];
        for tick in 0..120_u32 {
            let crowded = tick < 30;
            let slots = if crowded { 0..2 } else { 0..6 };
            let workers: Vec<WorkerView> = slots
                .map(|slot| {
                    let mut worker = if crowded { busy(slot) } else { idle(slot) };
                    worker.totals.requests = u64::from(tick * 7 + slot);
                    worker.totals.wall = Duration::from_micros(u64::from(tick) * 333);
                    worker.age = Duration::from_millis(3_000 + u64::from(tick) * 100);
                    worker
                })
                .collect();
            let (now, backlog) = (Duration::from_micros(u64::from(tick) * 100_033), if crowded { 5 } else { 0 });
            let snapshot = Snapshot { now, cause: Cause::Tick, workers: &workers, backlog };
            let decision = policy.decide(&snapshot);
            entries.push(Entry::asked(&snapshot, decision.as_ref()));
        }
        entries.push(Entry::GracefulRestart);
        entries.push(Entry::Scaled { min: 1, max: 2 });
        entries.iter().map(|entry| serde_json::to_string(entry).unwrap()).collect()
    }

    fn read(lines: &[String]) -> Vec<Entry> {
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn every_policy_decides_the_same_again() {
        for setup in setups() {
            let replay = replay(read(&recording(setup))).unwrap();
            assert_eq!(replay.asked, 120, "{setup:?}");
            assert_eq!((replay.same, &replay.difference), (replay.decisions, &None), "{setup:?}");
            assert!(replay.decisions > 0, "{setup:?} had nothing to decide");
        }
    }

    #[test]
    fn what_differs_is_told() {
        let mut entries = read(&recording(setups()[0]));
        let forged = entries.iter_mut().find_map(|entry| match entry {
            Entry::Asked { decision: Some(decision), .. } => Some(decision),
            _ => None,
        });
        forged.unwrap().actions.clear();
        let replayed = replay(entries.clone()).unwrap();
        assert_eq!(replayed.same, replayed.decisions - 1);
        assert!(replayed.difference.is_some());
        entries.remove(0);
        assert!(replay(entries).is_err());
    }
}
