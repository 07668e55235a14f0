//! The policy that the operator chose, with what it must know of the machine.

use std::time::Duration;

use mpm::record::Setup;

use crate::config::Mpm;
use crate::config::machine::Machine;

/// What a worker is taken to need at least, to bound their number by memory: the private part of a small Flask app.
const WORKER_BYTES: u64 = 16 << 20;

/// There is always room for this many workers, whatever the maximum: a slot that nobody uses costs 256 bytes.
const LEAST_CEILING: u32 = 64;

/// The policy for these options.
pub(super) fn setup(mpm: &Mpm) -> Setup {
    match *mpm {
        Mpm::Adaptive { min_workers, max_workers, min_threads, max_threads } => {
            let machine = Machine::read();
            Setup::Adaptive(mpm::Limits {
                min_workers,
                max_workers,
                min_threads,
                max_threads,
                cpus: machine.cpus,
                memory_workers: u32::try_from(machine.memory / WORKER_BYTES).unwrap_or(u32::MAX).max(1),
            })
        }
        Mpm::Prefork { start_servers, min_spare_servers, max_spare_servers, max_request_workers, .. } => {
            Setup::Prefork(mpm::PreforkConfig {
                start_servers,
                min_spare: min_spare_servers,
                max_spare: max_spare_servers,
                max_request_workers,
            })
        }
        Mpm::Static { workers, .. } => Setup::Static(workers),
        Mpm::Busyness { cheaper, busyness_min, busyness_max } => Setup::Busyness(mpm::BusynessConfig {
            workers: cheaper.max_workers,
            cheaper: cheaper.min_workers,
            cheaper_initial: cheaper.start_servers,
            cheaper_step: cheaper.step,
            cheaper_overload: Duration::from_secs(cheaper.overload.into()),
            busyness_min,
            busyness_max,
            ..mpm::BusynessConfig::default()
        }),
        Mpm::Spare { cheaper } => Setup::Spare(mpm::SpareConfig {
            workers: cheaper.max_workers,
            cheaper: cheaper.min_workers,
            cheaper_initial: cheaper.start_servers,
            cheaper_step: cheaper.step,
            cheaper_overload: cheaper.overload,
        }),
        Mpm::Dynamic { max_workers, start_servers, min_spare_servers, max_spare_servers } => {
            Setup::Dynamic(mpm::DynamicConfig {
                max_children: max_workers,
                start_servers,
                min_spare_servers,
                max_spare_servers,
            })
        }
        Mpm::Ondemand { max_workers, idle_timeout } => {
            Setup::Ondemand(mpm::OnDemandConfig { max_children: max_workers, process_idle_timeout: idle_timeout })
        }
        Mpm::Unit { max_workers, spare_processes, idle_timeout } => {
            Setup::Unit(mpm::UnitConfig { max: max_workers, spare: spare_processes, idle_timeout })
        }
    }
}

/// The fewest and the most workers that this process manager wants.
pub(super) fn bounds(mpm: &Mpm) -> (u32, u32) {
    match *mpm {
        Mpm::Adaptive { min_workers, max_workers, .. } => (min_workers, max_workers),
        Mpm::Prefork { max_request_workers, .. } => (1, max_request_workers),
        Mpm::Static { workers, .. } => (workers, workers),
        Mpm::Busyness { cheaper, .. } | Mpm::Spare { cheaper } => (cheaper.min_workers, cheaper.max_workers),
        Mpm::Dynamic { max_workers, min_spare_servers, .. } => (min_spare_servers, max_workers),
        Mpm::Ondemand { max_workers, .. } => (0, max_workers),
        Mpm::Unit { max_workers, spare_processes, .. } => (spare_processes, max_workers),
    }
}

/// The most workers that a reload or `ctl scale` can ask for: the room has to be made at the start.
pub(super) fn ceiling(mpm: &Mpm) -> u32 {
    bounds(mpm).1.max(LEAST_CEILING)
}

/// How many workers may exist at once, when at most `ceiling` serve: twice as many, because a whole generation may be
/// leaving while its successors serve.
pub(super) fn slots(ceiling: u32) -> usize {
    2 * ceiling as usize
}

/// How many workers of new code can take the place of `serving` old ones, under its own options.
pub(super) fn successors(mpm: &Mpm, serving: u32) -> u32 {
    match *mpm {
        Mpm::Adaptive { min_workers, max_workers, .. } => serving.clamp(min_workers, max_workers),
        Mpm::Prefork { start_servers, max_request_workers, .. } => {
            serving.clamp(start_servers.min(max_request_workers), max_request_workers)
        }
        Mpm::Static { workers, .. } => workers,
        Mpm::Busyness { .. } | Mpm::Spare { .. } | Mpm::Dynamic { .. } | Mpm::Ondemand { .. } | Mpm::Unit { .. } => {
            let (least, most) = bounds(mpm);
            serving.clamp(least, most)
        }
    }
}
