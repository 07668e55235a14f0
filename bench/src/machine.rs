//! The machine that a session ran on, without its name or anybody's.

use std::fs;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::{Pid, SysconfVar, sysconf};
use serde::{Deserialize, Serialize};

/// What figures depend on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) memory_mib: u64,
    pub(crate) kernel: String,
    /// The frequency governor, or why it is not known.
    pub(crate) governor: String,
}

/// Which CPUs the two sides may use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Pinning {
    /// The server's; empty: not pinned.
    pub(crate) server: Vec<usize>,
    /// The load generator's, the sampler's and the harness's; empty: not pinned.
    pub(crate) generator: Vec<usize>,
}

impl Machine {
    /// Reads it from /proc and /sys.
    pub(crate) fn here(cores: usize) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Self {
            cpu: after(&read("/proc/cpuinfo"), "model name").unwrap_or("unknown CPU".into()),
            cores,
            memory_mib: after(&read("/proc/meminfo"), "MemTotal")
                .and_then(|text| text.split(' ').next()?.parse::<u64>().ok())
                .unwrap_or(0)
                / 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            governor: match read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").trim() {
                "" => "not exposed by this machine".into(),
                governor => governor.to_owned(),
            },
        }
    }

    /// A label for folder names: letters, digits and hyphens.
    pub(crate) fn label(&self) -> String {
        let mut label = String::new();
        for c in format!("{} {} cores", self.cpu, self.cores).chars() {
            if c.is_ascii_alphanumeric() {
                label.push(c.to_ascii_lowercase());
            } else if !label.is_empty() && !label.ends_with('-') {
                label.push('-');
            }
        }
        label.trim_end_matches('-').to_owned()
    }
}

fn after(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The CPUs that this process may use.
pub(crate) fn allowed_cpus() -> Vec<usize> {
    let Ok(set) = sched_getaffinity(Pid::from_raw(0)) else {
        return Vec::new();
    };
    (0..CpuSet::count()).filter(|cpu| set.is_set(*cpu) == Ok(true)).collect()
}

/// Confines the calling thread, and those it starts later, to `cpus`.
///
/// # Errors
/// When the kernel refuses: a CPU that is not there or not allowed.
pub(crate) fn confine(cpus: &[usize]) -> nix::Result<()> {
    let mut set = CpuSet::new();
    for cpu in cpus {
        set.set(*cpu)?;
    }
    sched_setaffinity(Pid::from_raw(0), &set)
}

/// Clock ticks per second, the unit of CPU times under /proc.
pub(crate) fn ticks_per_second() -> f64 {
    match sysconf(SysconfVar::CLK_TCK) {
        Ok(Some(ticks)) => ticks as f64,
        // What Linux has had on every architecture that is still sold (proc(5), USER_HZ).
        _ => 100.0,
    }
}

impl Pinning {
    /// Divides `cpus`: the last quarter, at least one, to the generator, the others to the server. With a single CPU
    /// nothing is pinned.
    pub(crate) fn over(cpus: &[usize]) -> Self {
        if cpus.len() < 2 {
            return Self { server: Vec::new(), generator: Vec::new() };
        }
        let (server, generator) = cpus.split_at(cpus.len() - cpus.len().div_ceil(4));
        Self { server: server.to_vec(), generator: generator.to_vec() }
    }

    /// How many CPUs the server has.
    pub(crate) fn server_cpus(&self) -> usize {
        self.server.len().max(1)
    }

    /// One sentence for the report.
    pub(crate) fn sentence(&self) -> String {
        let list = |cpus: &[usize]| {
            let cpus: Vec<String> = cpus.iter().map(usize::to_string).collect();
            cpus.join(", ")
        };
        if self.server.is_empty() {
            return "Not pinned: there is one CPU, which servers and generator share; figures say little.".into();
        }
        format!("Servers pinned to CPU {}, generator and sampler to CPU {}.", list(&self.server), list(&self.generator))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_are_divided() {
        type Row<'a> = (&'a [usize], &'a [usize], &'a [usize]);
        let rows: [Row<'_>; 5] = [
            (&[0], &[], &[]),
            (&[0, 1], &[0], &[1]),
            // CPUs need not start at 0: a container may have been given others.
            (&[4, 6, 7], &[4, 6], &[7]),
            (&[0, 1, 2, 3, 4], &[0, 1, 2], &[3, 4]),
            (&[], &[], &[]),
        ];
        for (cpus, server, generator) in rows {
            let pinning = Pinning::over(cpus);
            assert_eq!((&pinning.server[..], &pinning.generator[..]), (server, generator));
        }
        assert_eq!(Pinning::over(&[0, 1]).sentence(), "Servers pinned to CPU 0, generator and sampler to CPU 1.");
    }

    #[test]
    fn labels_are_file_names() {
        let machine = Machine { cpu: "Intel(R) Xeon(R) @ 2.20GHz".into(), cores: 4, ..Machine::here(4) };
        assert_eq!(machine.label(), "intel-r-xeon-r-2-20ghz-4-cores");
        assert!(!Machine::here(2).kernel.is_empty());
    }
}
