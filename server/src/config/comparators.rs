//! The process managers of other servers, which ours is compared with: their options with their own defaults, and what
//! only several values together can get wrong. `resolve` calls it.

use std::time::Duration;

use mpm::{BusynessConfig, DynamicConfig, OnDemandConfig, SpareConfig, UnitConfig};

use super::error::CliError;
use super::layers::Settings;
use super::options::Options;
use super::quantity::{Count, Span};
use super::resolve::{Bounds, blame};
use super::{Cheaper, Mpm};

pub(super) fn busyness(settings: &Settings, options: &Options) -> Result<Mpm, CliError> {
    let default = BusynessConfig::default();
    let (busyness_min, busyness_max) = Bounds {
        low: ("busyness-min", options.busyness_min, default.busyness_min),
        high: ("busyness-max", options.busyness_max, default.busyness_max),
        gap: 0,
    }
    .resolve(settings)?;
    if busyness_max > 100 {
        return Err(blame(settings, "busyness-max", format!("{busyness_max} is no percentage; give at most 100")));
    }
    Ok(Mpm::Busyness { cheaper: cheaper(settings, options)?, busyness_min, busyness_max })
}

pub(super) fn spare(settings: &Settings, options: &Options) -> Result<Mpm, CliError> {
    Ok(Mpm::Spare { cheaper: cheaper(settings, options)? })
}

fn cheaper(settings: &Settings, options: &Options) -> Result<Cheaper, CliError> {
    let default = SpareConfig::default();
    let (min_workers, max_workers) = Bounds {
        low: ("min-workers", options.min_workers, default.cheaper),
        high: ("max-workers", options.max_workers, default.workers),
        gap: 0,
    }
    .resolve(settings)?;
    let start_servers =
        between(settings, options.start_servers, min_workers, ("min-workers", min_workers), max_workers)?;
    Ok(Cheaper {
        min_workers,
        max_workers,
        start_servers,
        step: options.cheaper_step.map_or(default.cheaper_step, Count::get),
        overload: options.cheaper_overload.map_or(default.cheaper_overload, Count::get),
    })
}

/// `--start-servers`, which has to lie within the bounds: uWSGI moves it there and FPM refuses it; we say so.
fn between(
    settings: &Settings,
    given: Option<Count>,
    default: u32,
    (low_name, low): (&str, u32),
    high: u32,
) -> Result<u32, CliError> {
    match given.map(Count::get) {
        Some(start) if start < low => Err(blame(
            settings,
            "start-servers",
            format!("{start} must be at least the {low} of --{low_name}; change either"),
        )),
        Some(start) if start > high => Err(blame(
            settings,
            "start-servers",
            format!("{start} is more than the {high} there may be; change either"),
        )),
        Some(start) => Ok(start),
        None => Ok(default),
    }
}

/// FPM starts half-way between the spare servers unless told otherwise (`fpm_conf_process_all_pools`).
pub(super) fn dynamic(settings: &Settings, options: &Options) -> Result<Mpm, CliError> {
    let default = DynamicConfig::default();
    let (min_spare_servers, max_spare_servers) = Bounds {
        low: ("min-spare-servers", options.min_spare_servers, default.min_spare_servers),
        high: ("max-spare-servers", options.max_spare_servers, default.max_spare_servers),
        gap: 0,
    }
    .resolve(settings)?;
    let max_workers = options.max_workers.map_or(default.max_children, Count::get);
    // A default gives way to the other one's given value, as everywhere.
    if max_spare_servers > max_workers && (options.max_spare_servers.is_some() || min_spare_servers > max_workers) {
        let option = if options.max_spare_servers.is_some() { "max-spare-servers" } else { "min-spare-servers" };
        let problem = format!("more than the {max_workers} of --max-workers can't be idle; change either");
        return Err(blame(settings, option, problem));
    }
    let max_spare_servers = max_spare_servers.min(max_workers);
    let half_way = min_spare_servers + (max_spare_servers - min_spare_servers) / 2;
    let low = ("min-spare-servers", min_spare_servers);
    let start_servers = between(settings, options.start_servers, half_way, low, max_spare_servers)?;
    Ok(Mpm::Dynamic { max_workers, start_servers, min_spare_servers, max_spare_servers })
}

pub(super) fn ondemand(options: &Options) -> Mpm {
    let default = OnDemandConfig::default();
    Mpm::Ondemand {
        max_workers: options.max_workers.map_or(default.max_children, Count::get),
        idle_timeout: timeout(options, default.process_idle_timeout),
    }
}

pub(super) fn unit(settings: &Settings, options: &Options) -> Result<Mpm, CliError> {
    let default = UnitConfig::default();
    let max_workers = options.max_workers.map_or(default.max, Count::get);
    let spare_processes = options.spare_processes.unwrap_or(default.spare);
    if spare_processes > max_workers {
        let problem = format!("more than the {max_workers} of --max-workers can't be idle; change either");
        return Err(blame(settings, "spare-processes", problem));
    }
    Ok(Mpm::Unit { max_workers, spare_processes, idle_timeout: timeout(options, default.idle_timeout) })
}

fn timeout(options: &Options, default: Duration) -> Duration {
    options.idle_timeout.map_or(default, |Span(timeout)| timeout)
}
