//! The policies that can be simulated: one row for each. Adding a policy is adding a row.
//!
//! What a row gives is what the server gives its `--mpm` of that name: the policy with its defaults, and what its workers
//! are like.

use mpm::{
    Adaptive, Busyness, BusynessConfig, Dynamic, DynamicConfig, Limits, OnDemand, OnDemandConfig, Policy, Prefork,
    PreforkConfig, Spare, SpareConfig, Static, Unit, UnitConfig,
};

use super::model::Contender;
use super::model::worker::Kind;
use crate::failure::Failure;

/// `--backlog` of most policies …
const BACKLOG: u32 = 2048;
/// … and of Apache's prefork.
const PREFORK_BACKLOG: u32 = 511;
/// `--threads`.
pub(crate) const THREADS: u32 = 8;
/// `--max-threads`.
const MAX_THREADS: u32 = 64;

/// What the operator and the machine allow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Allowed {
    pub(crate) cores: f64,
    /// `None`: the policy's default.
    pub(crate) max_workers: Option<u32>,
    /// At most so many threads per worker; `None`: the policy's default.
    pub(crate) max_threads: Option<u32>,
    /// The size of `static`, workers and threads in each; `None`: its default within the bounds above.
    pub(crate) size: Option<(u32, u32)>,
}

impl Allowed {
    fn whole_cores(&self) -> u32 {
        // `as` saturates.
        (self.cores.ceil() as u32).max(1)
    }

    /// The server's default: 4 per core, but 8 at least.
    fn max_workers(&self) -> u32 {
        self.max_workers.unwrap_or_else(|| self.whole_cores().saturating_mul(4).max(8))
    }

    fn most_threads(&self, default: u32) -> u32 {
        self.max_threads.map_or(default, |most| most.min(default)).max(1)
    }
}

/// A policy by name.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    build: fn(&Allowed) -> Built,
}

/// What a row makes.
struct Built {
    policy: Box<dyn Policy>,
    kind: Kind,
    /// Workers that serve at most.
    most: u32,
}

/// The server has room for so many workers at least, and for twice as many while a generation leaves.
const LEAST_CEILING: u32 = 64;

/// In the order of tables and pictures.
pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "adaptive",
        about: "as many processes and threads as the measured demand needs",
        build: |allowed| {
            let max_workers = allowed.max_workers();
            let max_threads = allowed.most_threads(MAX_THREADS);
            let limits = Limits {
                min_workers: 1,
                max_workers,
                min_threads: 1,
                max_threads,
                cpus: allowed.cores,
                memory_workers: max_workers.saturating_mul(2),
            };
            let kind = Kind { min_threads: 1, max_threads, followers: true, backlog: BACKLOG };
            Built { policy: Box::new(Adaptive::new(limits)), kind, most: max_workers }
        },
    },
    Row {
        name: "prefork",
        about: "Apache's thresholds on idle processes, one connection each, a pass a second",
        build: |allowed| {
            let default = PreforkConfig::default();
            let most = allowed.max_workers.unwrap_or(default.max_request_workers);
            let config = PreforkConfig { max_request_workers: most, ..default };
            let kind = Kind { min_threads: 1, max_threads: 1, followers: false, backlog: PREFORK_BACKLOG };
            Built { policy: Box::new(Prefork::new(config)), kind, most }
        },
    },
    Row {
        name: "busyness",
        about: "uWSGI's cheaper busyness: more when busy for half of a window, fewer after ten quiet ones",
        build: |allowed| {
            let default = BusynessConfig::default();
            let workers = allowed.max_workers.unwrap_or(default.workers);
            single(Box::new(Busyness::new(BusynessConfig { workers, ..default })), workers)
        },
    },
    Row {
        name: "spare",
        about: "uWSGI's cheaper spare, its default: more when all have been busy, fewer when several idle",
        build: |allowed| {
            let default = SpareConfig::default();
            let workers = allowed.max_workers.unwrap_or(default.workers);
            single(Box::new(Spare::new(SpareConfig { workers, ..default })), workers)
        },
    },
    Row {
        name: "dynamic",
        about: "PHP-FPM's pm = dynamic: between a few idle children and a few more, a pass a second",
        build: |allowed| {
            let default = DynamicConfig::default();
            let max_children = allowed.max_workers.unwrap_or(default.max_children);
            single(Box::new(Dynamic::new(DynamicConfig { max_children, ..default })), max_children)
        },
    },
    Row {
        name: "ondemand",
        about: "PHP-FPM's pm = ondemand: one when somebody waits and nobody is idle",
        build: |allowed| {
            let default = OnDemandConfig::default();
            let max_children = allowed.max_workers.unwrap_or(default.max_children);
            single(Box::new(OnDemand::new(OnDemandConfig { max_children, ..default })), max_children)
        },
    },
    Row {
        name: "unit",
        about: "NGINX Unit: one after the other while requests outnumber processes",
        build: |allowed| {
            let default = UnitConfig::default();
            let max = allowed.max_workers.unwrap_or(default.max);
            single(Box::new(Unit::new(UnitConfig { max, ..default })), max)
        },
    },
    Row {
        name: "static",
        about: "one process per core with 8 threads, always",
        build: |allowed| {
            let usual = (allowed.whole_cores().min(allowed.max_workers()), allowed.most_threads(THREADS));
            let (workers, threads) = allowed.size.unwrap_or(usual);
            let kind = Kind { min_threads: threads, max_threads: threads, followers: true, backlog: BACKLOG };
            Built { policy: Box::new(Static::new(workers)), kind, most: workers }
        },
    },
];

/// Another server's policy: workers of one thread with one connection each, the server's usual backlog.
fn single(policy: Box<dyn Policy>, most: u32) -> Built {
    let kind = Kind { min_threads: 1, max_threads: 1, followers: false, backlog: BACKLOG };
    Built { policy, kind, most }
}

impl Row {
    /// A new policy, and its workers.
    pub(crate) fn contender(&self, allowed: &Allowed) -> Contender {
        let Built { policy, kind, most } = (self.build)(allowed);
        Contender { policy, kind, slots: 2 * most.max(LEAST_CEILING) as usize }
    }
}

/// The rows of these names, all when there is none.
///
/// # Errors
/// A name that is not known.
pub(crate) fn chosen(names: &[String]) -> Result<Vec<&'static Row>, Failure> {
    if let Some(unknown) = names.iter().find(|name| ROWS.iter().all(|row| row.name != **name)) {
        let known: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
        return Err(Failure::Usage(format!(
            "--policy {unknown}: there is no such policy; known are {}",
            known.join(", ")
        )));
    }
    Ok(ROWS.iter().filter(|row| names.is_empty() || names.iter().any(|name| name == row.name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_named_as_the_policies_name_themselves() {
        let allowed = Allowed { cores: 2.0, max_workers: None, max_threads: None, size: None };
        for row in ROWS {
            let Contender { policy, kind, slots } = row.contender(&allowed);
            assert_eq!(policy.name(), row.name);
            assert!(kind.max_threads >= kind.min_threads && slots >= policy.initial() as usize, "{}", row.name);
        }
    }

    #[test]
    fn what_is_allowed_is_kept_to() {
        let allowed = Allowed { cores: 8.0, max_workers: Some(3), max_threads: Some(2), size: None };
        for row in ROWS {
            let Contender { policy, kind, .. } = row.contender(&allowed);
            assert!(policy.initial() <= 3 && kind.max_threads <= 2, "{}", row.name);
        }
    }
}
