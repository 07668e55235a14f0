//! The policy that the operator chose, with what it must know of the machine.

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
    }
}

/// How many workers may exist at once. Prefork counts those that leave, as Apache does; otherwise half as many again may
/// leave while their successors serve.
pub(super) fn slots(mpm: &Mpm) -> usize {
    let with_successors = |workers: u32| workers as usize + (workers as usize).div_ceil(2) + 1;
    match *mpm {
        Mpm::Adaptive { max_workers, .. } => with_successors(max_workers),
        Mpm::Prefork { max_request_workers, .. } => max_request_workers as usize,
        Mpm::Static { workers, .. } => with_successors(workers),
    }
}
