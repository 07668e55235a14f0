//! Parsers of the texts under /proc: bytes in, typed facts out, nothing read here.
//!
//! Every function returns `None` for a text that does not have the documented shape (proc(5)); a process may vanish
//! while it is being read, so the callers treat that as "not there".

/// The fields of `/proc/PID/stat` that the harness uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) pid: i32,
    /// The command's name, at most 15 bytes, without its parentheses.
    pub(crate) name: String,
    /// One letter: R, S, D, Z, …
    pub(crate) state: char,
    pub(crate) parent: i32,
    pub(crate) session: i32,
    /// User and system time of the process itself, in clock ticks.
    pub(crate) own_ticks: u64,
    /// User and system time of the children that it has waited for, in clock ticks.
    pub(crate) reaped_ticks: u64,
    pub(crate) threads: u32,
    /// Start time in clock ticks since boot: with the pid it names a process for good.
    pub(crate) started: u64,
}

/// Parses `/proc/PID/stat`. The name may itself hold spaces and parentheses, so the fields start after the last `)`.
pub(crate) fn stat(text: &str) -> Option<Stat> {
    let (pid, rest) = text.split_once(" (")?;
    let (name, rest) = rest.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // proc(5) counts from 1 with pid and comm first: field n is fields[n - 3] here.
    let field = |n: usize| fields.get(n - 3).copied();
    let number = |n: usize| field(n)?.parse::<u64>().ok();
    Some(Stat {
        pid: pid.trim().parse().ok()?,
        name: name.to_owned(),
        state: field(3)?.chars().next()?,
        parent: field(4)?.parse().ok()?,
        session: field(6)?.parse().ok()?,
        own_ticks: number(14)? + number(15)?,
        reaped_ticks: number(16)? + number(17)?,
        threads: u32::try_from(number(20)?).ok()?,
        started: number(22)?,
    })
}

/// Voluntary plus involuntary context switches from a `/proc/PID/task/TID/status`: of that one task.
pub(crate) fn context_switches(status: &str) -> Option<u64> {
    let voluntary: u64 = value(status, "voluntary_ctxt_switches")?.parse().ok()?;
    let involuntary: u64 = value(status, "nonvoluntary_ctxt_switches")?.parse().ok()?;
    Some(voluntary + involuntary)
}

/// The voluntary ones alone: how often the task went to sleep.
pub(crate) fn voluntary_switches(status: &str) -> Option<u64> {
    value(status, "voluntary_ctxt_switches")?.parse().ok()
}

/// Nanoseconds on a CPU from a `/proc/PID/task/TID/schedstat`, its first field; kernels without CONFIG_SCHED_INFO say 0.
pub(crate) fn run_ns(schedstat: &str) -> Option<u64> {
    schedstat.split_ascii_whitespace().next()?.parse().ok().filter(|ns| *ns > 0)
}

/// The proportional set size in KiB from `/proc/PID/smaps_rollup`.
pub(crate) fn pss_kib(rollup: &str) -> Option<u64> {
    value(rollup, "Pss")?.strip_suffix("kB")?.trim().parse().ok()
}

/// The three signal masks of `/proc/PID/status`: signals with a handler, ignored, and blocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Masks {
    pub(crate) caught: u64,
    pub(crate) ignored: u64,
    pub(crate) blocked: u64,
}

/// Parses the masks, which the kernel prints as 16 hexadecimal digits, bit 0 being signal 1.
pub(crate) fn masks(status: &str) -> Option<Masks> {
    let mask = |name| u64::from_str_radix(value(status, name)?, 16).ok();
    Some(Masks { caught: mask("SigCgt")?, ignored: mask("SigIgn")?, blocked: mask("SigBlk")? })
}

/// The value behind `name:` at the start of a line.
fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(|value| value.trim()))
}

/// Clock ticks in which the machine's CPUs were not idle, all together, from `/proc/stat`: the first line's user, nice,
/// system, irq, softirq and steal (proc_stat(5)). A guest's time is part of user.
pub(super) fn busy_ticks(text: &str) -> Option<u64> {
    let line = text.lines().next()?.strip_prefix("cpu ")?;
    let fields: Vec<u64> = line.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
    let [user, nice, system, _idle, _iowait, irq, softirq, steal] = *fields.first_chunk()?;
    Some(user + nice + system + irq + softirq + steal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_from_the_last_parenthesis() {
        let rows = [
            (
                "812 (apache2) S 810 810 805 0 -1 4194560 99 77 0 0 120 30 7 3 20 0 2 0 105620 3133440 412 18446744073709551615",
                Some(("apache2", 'S', 810, 805, 150, 10, 2, 105_620)),
            ),
            // A command may call itself anything, also "a) b (c".
            ("7 (a) b (c) R 1 7 7 0 -1 0 0 0 0 0 1 2 3 4 20 0 1 0 9 0 0", Some(("a) b (c", 'R', 1, 7, 3, 7, 1, 9))),
            ("7 (cut off) R 1 7", None),
            ("", None),
        ];
        for (text, expected) in rows {
            let got = stat(text);
            let short = got.as_ref().map(|s| {
                (s.name.as_str(), s.state, s.parent, s.session, s.own_ticks, s.reaped_ticks, s.threads, s.started)
            });
            assert_eq!(short, expected, "{text}");
        }
    }

    #[test]
    fn switches_are_the_sum_of_both_kinds() {
        let rows = [
            ("Name:\tx\nvoluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t3\n", Some(15)),
            // A kernel built without one of them: unknown, never half a figure.
            ("voluntary_ctxt_switches:\t12\n", None),
        ];
        for (text, expected) in rows {
            assert_eq!(context_switches(text), expected);
        }
    }

    #[test]
    fn sleeping_and_running_are_read() {
        assert_eq!(voluntary_switches("voluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t3\n"), Some(12));
        assert_eq!(voluntary_switches("Name:\tx\n"), None);
        assert_eq!(run_ns("1234567 890 12\n"), Some(1_234_567));
        assert_eq!(run_ns("0 0 0\n"), None);
        assert_eq!(run_ns(""), None);
    }

    #[test]
    fn pss_is_the_line_of_that_name_only() {
        let rollup = "55dd-7ffc ---p 00000000 00:00 0 [rollup]\nRss:    1696 kB\nPss:     374 kB\nPss_Dirty:  112 kB\n";
        assert_eq!(pss_kib(rollup), Some(374));
        // Without the permission to read it the text is empty.
        assert_eq!(pss_kib(""), None);
    }

    #[test]
    fn masks_are_hexadecimal() {
        let status = "SigBlk:\t0000000000000000\nSigIgn:\t0000000001001000\nSigCgt:\t0000000000000440\n";
        assert_eq!(masks(status), Some(Masks { caught: 0x440, ignored: 0x100_1000, blocked: 0 }));
        assert_eq!(masks("Name: x\n"), None);
    }

    #[test]
    fn a_machine_is_busy_when_it_is_not_idle() {
        let text = "cpu  100 20 30 4000 500 6 7 8 90 0\ncpu0 50 10 15 2000 250 3 3 4 45 0\n";
        assert_eq!(busy_ticks(text), Some(171));
        for damaged in ["", "cpu0 1 2 3 4 5 6 7 8\n", "cpu  1 2 3\n", "cpu  1 2 x 4 5 6 7 8\n"] {
            assert_eq!(busy_ticks(damaged), None, "{damaged:?}");
        }
    }
}
