//! The policy that the operator chose, with what it must know of the machine.

use std::time::Duration;

use mpm::Policy;

use crate::config::Mpm;
use crate::config::machine::Machine;

/// What a worker is taken to need at least, to bound their number by memory: the private part of a small Flask app.
const WORKER_BYTES: u64 = 16 << 20;

/// The policy for these options.
pub(super) fn policy(mpm: &Mpm) -> Box<dyn Policy> {
    match *mpm {
        Mpm::Adaptive { min_workers, max_workers, min_threads, max_threads } => {
            let machine = Machine::read();
            Box::new(mpm::Adaptive::new(mpm::Limits {
                min_workers,
                max_workers,
                min_threads,
                max_threads,
                cpus: machine.cpus,
                memory_workers: u32::try_from(machine.memory / WORKER_BYTES).unwrap_or(u32::MAX).max(1),
            }))
        }
        Mpm::Prefork { start_servers, min_spare_servers, max_spare_servers, max_request_workers, .. } => {
            Box::new(mpm::Prefork::new(mpm::PreforkConfig {
                start_servers,
                min_spare: min_spare_servers,
                max_spare: max_spare_servers,
                max_request_workers,
            }))
        }
        Mpm::Static { workers, .. } => Box::new(mpm::Static::new(workers)),
        Mpm::Busyness { cheaper, busyness_min, busyness_max } => Box::new(mpm::Busyness::new(mpm::BusynessConfig {
            workers: cheaper.max_workers,
            cheaper: cheaper.min_workers,
            cheaper_initial: cheaper.start_servers,
            cheaper_step: cheaper.step,
            cheaper_overload: Duration::from_secs(cheaper.overload.into()),
            busyness_min,
            busyness_max,
            ..mpm::BusynessConfig::default()
        })),
        Mpm::Spare { cheaper } => Box::new(mpm::Spare::new(mpm::SpareConfig {
            workers: cheaper.max_workers,
            cheaper: cheaper.min_workers,
            cheaper_initial: cheaper.start_servers,
            cheaper_step: cheaper.step,
            cheaper_overload: cheaper.overload,
        })),
        Mpm::Dynamic { max_workers, start_servers, min_spare_servers, max_spare_servers } => {
            Box::new(mpm::Dynamic::new(mpm::DynamicConfig {
                max_children: max_workers,
                start_servers,
                min_spare_servers,
                max_spare_servers,
            }))
        }
        Mpm::Ondemand { max_workers, idle_timeout } => Box::new(mpm::OnDemand::new(mpm::OnDemandConfig {
            max_children: max_workers,
            process_idle_timeout: idle_timeout,
        })),
        Mpm::Unit { max_workers, spare_processes, idle_timeout } => {
            Box::new(mpm::Unit::new(mpm::UnitConfig { max: max_workers, spare: spare_processes, idle_timeout }))
        }
    }
}

/// How many workers may exist at once. Prefork counts those that leave, as Apache does; otherwise half as many again may
/// leave while their successors serve.
pub(super) fn slots(mpm: &Mpm) -> usize {
    let most = mpm.most_workers() as usize;
    match mpm {
        Mpm::Prefork { .. } => most,
        Mpm::Adaptive { .. }
        | Mpm::Static { .. }
        | Mpm::Busyness { .. }
        | Mpm::Spare { .. }
        | Mpm::Dynamic { .. }
        | Mpm::Ondemand { .. }
        | Mpm::Unit { .. } => most + most.div_ceil(2) + 1,
    }
}
