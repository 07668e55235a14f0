//! What this process may use of the machine: CPUs (affinity ∩ cgroup quota) and memory (cgroup limit, else what is free).
//!
//! Reading is a thin shell around pure parsers of the kernel's texts. Sources: sched_getaffinity(2), proc(5) for
//! `/proc/PID/cgroup` and `/proc/PID/mountinfo`, the kernel's `admin-guide/cgroup-v2.rst` (`cpu.max`, `memory.max`) and
//! `admin-guide/cgroup-v1` (`cpu.cfs_quota_us`, `memory.limit_in_bytes`). A limit of any ancestor group binds as well, so
//! every level up to the mount point is read. What can't be read limits nothing.

use std::fs;
use std::path::{Path, PathBuf};

/// What this process may use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Machine {
    /// CPUs' worth of time; a quota makes it fractional. More than 0.
    pub(crate) cpus: f64,
    /// Bytes of memory that may be used, everything under the same limit together.
    pub(crate) memory: u64,
}

/// Which kernel interface a group belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hierarchy {
    /// One controller of version 1.
    V1(&'static str),
    /// The unified hierarchy of version 2.
    V2,
}

impl Machine {
    /// Asks the kernel.
    pub(crate) fn read() -> Machine {
        let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let smallest = |hierarchy, limit: &dyn Fn(&Path) -> Option<f64>| {
            let folders = folders(&groups, &mounts, hierarchy);
            folders.iter().filter_map(|folder| limit(folder)).fold(f64::INFINITY, f64::min)
        };

        let quota = smallest(Hierarchy::V2, &|folder| cpu_max(&read(folder, "cpu.max")?))
            .min(smallest(Hierarchy::V1("cpu"), &|folder| {
                cfs_quota(&read(folder, "cpu.cfs_quota_us")?, &read(folder, "cpu.cfs_period_us")?)
            }));
        let limit = smallest(Hierarchy::V2, &|folder| memory_limit(&read(folder, "memory.max")?))
            .min(smallest(Hierarchy::V1("memory"), &|folder| memory_limit(&read(folder, "memory.limit_in_bytes")?)));
        let available = fs::read_to_string("/proc/meminfo").ok().and_then(|text| available_memory(&text));
        Machine {
            cpus: f64::from(affinity()).min(quota),
            // Exact to 2^53 bytes; `as` saturates for "no limit".
            memory: (limit as u64).min(available.unwrap_or(u64::MAX)),
        }
    }

    /// CPUs, rounded up to whole ones.
    pub(crate) fn whole_cpus(&self) -> u32 {
        // `as` saturates; a quota of less than one CPU still runs one process.
        (self.cpus.ceil() as u32).max(1)
    }
}

/// Processes that the kernel has killed for lack of memory: of our control group, or of the whole machine where groups are
/// not counted (`oom_kill` in `memory.events`, version 1's `memory.oom_control`, `/proc/vmstat`). Only its growth means
/// something.
pub(crate) fn out_of_memory_kills() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    // A kill counts for the group of whoever is killed, whichever level's limit was reached.
    let own = |hierarchy, file| read(folders(&groups, &mounts, hierarchy).first()?, file);
    let texts = [
        own(Hierarchy::V2, "memory.events"),
        own(Hierarchy::V1("memory"), "memory.oom_control"),
        fs::read_to_string("/proc/vmstat").ok(),
    ];
    texts.iter().flatten().find_map(|text| oom_kill(text))
}

/// The line `oom_kill N`.
fn oom_kill(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

/// Number of CPUs the scheduler may put us on.
fn affinity() -> u32 {
    use nix::sched::{CpuSet, sched_getaffinity};
    let counted = sched_getaffinity(nix::unistd::Pid::from_raw(0))
        .map(|set| (0..CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap_or(false)).count())
        .ok()
        .filter(|count| *count > 0);
    // More CPUs than a `CpuSet` holds: the standard library's count, which grows its set.
    let count = counted.or_else(|| std::thread::available_parallelism().ok().map(usize::from));
    count.and_then(|count| u32::try_from(count).ok()).unwrap_or(1)
}

fn read(folder: &Path, file: &str) -> Option<String> {
    fs::read_to_string(folder.join(file)).ok()
}

/// The folders that hold the limits of our group, from the group itself up to the root that we can see. Empty when the
/// hierarchy is not mounted or we are not in it.
fn folders(groups: &str, mountinfo: &str, hierarchy: Hierarchy) -> Vec<PathBuf> {
    let Some(group) = group_path(groups, hierarchy) else {
        return Vec::new();
    };
    let Some((root, point)) = mount(mountinfo, hierarchy) else {
        return Vec::new();
    };
    // In a container without a cgroup namespace the group's path starts with the mount's root; what lies outside of
    // the mount (`/../..`, another root) can't be read, so only the mount point itself is left.
    let inside = Path::new(group).strip_prefix(&root).unwrap_or(Path::new(""));
    let inside = if inside.components().any(|part| part.as_os_str() == "..") { Path::new("") } else { inside };
    inside.ancestors().map(|relative| point.join(relative)).collect()
}

/// Our group's path in a hierarchy, from `/proc/self/cgroup`: `ID:CONTROLLERS:PATH` per line; version 2 is `0::PATH`.
fn group_path(groups: &str, hierarchy: Hierarchy) -> Option<&str> {
    groups.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let matches = match hierarchy {
            Hierarchy::V1(controller) => controllers.split(',').any(|name| name == controller),
            Hierarchy::V2 => controllers.is_empty(),
        };
        matches.then_some(path)
    })
}

/// Where a hierarchy is mounted, from `/proc/self/mountinfo`: (the group at its root, the mount point). Fields 4 and 5;
/// after the lone `-` come the type, the source and the options, which name a version 1 hierarchy's controllers.
fn mount(mountinfo: &str, hierarchy: Hierarchy) -> Option<(PathBuf, PathBuf)> {
    mountinfo.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut before = before.split(' ').skip(3);
        let (root, point) = (before.next()?, before.next()?);
        let mut after = after.split(' ');
        let (kind, _, options) = (after.next()?, after.next()?, after.next()?);
        let matches = match hierarchy {
            Hierarchy::V1(controller) => kind == "cgroup" && options.split(',').any(|name| name == controller),
            Hierarchy::V2 => kind == "cgroup2",
        };
        matches.then(|| (PathBuf::from(unescape(root)), PathBuf::from(unescape(point))))
    })
}

/// Undoes mountinfo's `\040`-style escapes of blanks and backslashes.
fn unescape(text: &str) -> String {
    let escapes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    escapes.iter().fold(text.to_owned(), |text, (escape, character)| text.replace(escape, character))
}

/// CPUs granted by `cpu.max`: `QUOTA PERIOD` in microseconds, the quota possibly `max`.
fn cpu_max(text: &str) -> Option<f64> {
    let mut fields = text.split_whitespace();
    let (quota, period) = (fields.next()?, fields.next()?);
    ratio(quota, period)
}

/// CPUs granted by version 1's `cpu.cfs_quota_us` and `cpu.cfs_period_us`; a quota of -1 is none.
fn cfs_quota(quota: &str, period: &str) -> Option<f64> {
    ratio(quota, period)
}

fn ratio(quota: &str, period: &str) -> Option<f64> {
    let quota: u32 = quota.trim().parse().ok()?;
    let period: u32 = period.trim().parse().ok()?;
    (quota > 0 && period > 0).then(|| f64::from(quota) / f64::from(period))
}

/// Bytes granted by `memory.max` or `memory.limit_in_bytes`: a number, or no limit as `max` or as version 1's largest
/// page-aligned number.
fn memory_limit(text: &str) -> Option<f64> {
    /// No machine has as much; version 1 says 2^63 minus a page for "no limit".
    const UNLIMITED: u64 = 1 << 60;
    let bytes: u64 = text.trim().parse().ok()?;
    (bytes < UNLIMITED).then_some(bytes as f64)
}

/// `MemAvailable` of `/proc/meminfo`, in bytes.
fn available_memory(meminfo: &str) -> Option<u64> {
    let value = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A container of a version 2 host with its own cgroup namespace.
    const V2_NAMESPACED: (&str, &str) =
        ("0::/\n", "30 23 0:26 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw,nsdelegate\n");
    /// A service of a version 2 host, two groups below the root.
    const V2_SERVICE: (&str, &str) = (
        "0::/system.slice/web.service\n",
        "22 27 0:21 / /proc rw shared:5 - proc proc rw\n\
         30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n",
    );
    /// Docker on a version 1 host: the host's path in the group, the mount's root being that same path.
    const V1_CONTAINER: (&str, &str) = (
        "12:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n",
        "700 690 0:30 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n\
         701 690 0:33 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
    );
    /// Both versions mounted; each controller is in one of them.
    const HYBRID: (&str, &str) = (
        "4:memory:/jobs/17\n2:cpuacct:/\n1:cpu:/\n0::/\n",
        "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n\
         35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
         41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n",
    );

    #[test]
    fn every_level_that_may_limit_us_is_found() {
        let cpu = Hierarchy::V1("cpu");
        let memory = Hierarchy::V1("memory");
        let table: [(_, Hierarchy, &[&str]); 9] = [
            (V2_NAMESPACED, Hierarchy::V2, &["/sys/fs/cgroup"]),
            (V2_NAMESPACED, cpu, &[]),
            (
                V2_SERVICE,
                Hierarchy::V2,
                &["/sys/fs/cgroup/system.slice/web.service", "/sys/fs/cgroup/system.slice", "/sys/fs/cgroup"],
            ),
            (V1_CONTAINER, cpu, &["/sys/fs/cgroup/cpu,cpuacct"]),
            (V1_CONTAINER, memory, &["/sys/fs/cgroup/memory"]),
            (V1_CONTAINER, Hierarchy::V2, &[]),
            // "cpuacct" must not be taken for "cpu".
            (HYBRID, cpu, &["/sys/fs/cgroup/cpu"]),
            (HYBRID, memory, &["/sys/fs/cgroup/memory/jobs/17", "/sys/fs/cgroup/memory/jobs", "/sys/fs/cgroup/memory"]),
            (HYBRID, Hierarchy::V2, &["/sys/fs/cgroup/unified"]),
        ];
        for ((groups, mounts), hierarchy, expected) in table {
            let expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
            assert_eq!(folders(groups, mounts, hierarchy), expected, "{hierarchy:?} of {groups}");
        }
    }

    #[test]
    fn a_group_outside_of_the_mount_leaves_the_mount_point() {
        let mounts = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        assert_eq!(folders("0::/../other\n", mounts, Hierarchy::V2), [PathBuf::from("/sys/fs/cgroup")]);
        let elsewhere = "30 23 0:26 /pod /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        assert_eq!(folders("0::/system\n", elsewhere, Hierarchy::V2), [PathBuf::from("/sys/fs/cgroup")]);
    }

    #[test]
    fn a_mount_point_with_a_blank_is_unescaped() {
        let mounts = "30 23 0:26 / /mnt/my\\040groups rw - cgroup2 cgroup2 rw\n";
        assert_eq!(folders("0::/\n", mounts, Hierarchy::V2), [PathBuf::from("/mnt/my groups")]);
    }

    #[test]
    fn quotas() {
        let table = [
            ("max 100000\n", None),
            ("150000 100000\n", Some(1.5)),
            ("5000 10000\n", Some(0.5)),
            ("", None),
            ("100000", None),
            ("1 0\n", None),
        ];
        for (text, expected) in table {
            assert_eq!(cpu_max(text), expected, "{text:?}");
        }
        let table = [
            ("-1\n", "100000\n", None),
            ("200000\n", "100000\n", Some(2.0)),
            // Kernels without bandwidth control answer 0.
            ("0\n", "100000\n", None),
            ("50000\n", "", None),
        ];
        for (quota, period, expected) in table {
            assert_eq!(cfs_quota(quota, period), expected, "{quota:?} / {period:?}");
        }
    }

    #[test]
    fn memory() {
        assert_eq!(memory_limit("max\n"), None);
        assert_eq!(memory_limit("536870912\n"), Some(536_870_912.0));
        assert_eq!(memory_limit("9223372036854771712\n"), None, "version 1's way to say no limit");
        let meminfo = "MemTotal:       24684084 kB\nMemFree:        22904812 kB\nMemAvailable:   23892724 kB\n";
        assert_eq!(available_memory(meminfo), Some(23_892_724 * 1024));
        assert_eq!(available_memory("MemTotal: 5 kB\n"), None);
    }

    #[test]
    fn this_machine_has_something() {
        let machine = Machine::read();
        assert!(machine.cpus > 0.0 && machine.cpus.is_finite(), "{machine:?}");
        assert!(machine.memory > 0, "{machine:?}");
        assert_eq!(Machine { cpus: 0.2, memory: 1 }.whole_cpus(), 1);
        assert_eq!(Machine { cpus: 2.5, memory: 1 }.whole_cpus(), 3);
    }

    #[test]
    fn kills_for_lack_of_memory_are_counted_by_whoever_counts_them() {
        let table = [
            ("low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n", Some(2)),
            ("oom_kill_disable 0\nunder_oom 0\noom_kill 7\n", Some(7)),
            ("nr_free_pages 5\noom_kill 1\n", Some(1)),
            // Linux before 4.13.
            ("oom_kill_disable 0\nunder_oom 0\n", None),
        ];
        for (text, expected) in table {
            assert_eq!(oom_kill(text), expected, "{text}");
        }
    }
}
