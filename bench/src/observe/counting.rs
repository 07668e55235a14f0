//! What strace(1) and perf-stat(1) write down when they have counted.
//!
//! Pure parsers; `scenario::calls` runs the programs.

use std::collections::BTreeMap;

/// The calls by name from the table of `strace -c`; `None` when there is no table.
///
/// ```text
/// % time     seconds  usecs/call     calls    errors syscall
/// ------ ----------- ----------- --------- --------- ----------------
///  60.00    0.000300           1       300           read
///  40.00    0.000200           1       200         2 epoll_wait
/// ------ ----------- ----------- --------- --------- ----------------
/// 100.00    0.000500           1       500         2 total
/// ```
pub(crate) fn strace_table(table: &str) -> Option<BTreeMap<String, u64>> {
    let mut rules = table.lines().enumerate().filter(|(_, line)| line.starts_with("------"));
    let (first, _) = rules.next()?;
    let (last, _) = rules.next()?;
    let mut calls = BTreeMap::new();
    for line in table.lines().take(last).skip(first + 1) {
        let words: Vec<&str> = line.split_whitespace().collect();
        // The column of errors is empty for most calls.
        let (name, count) = match words[..] {
            [_, _, _, count, name] | [_, _, _, count, _, name] => (name, count),
            _ => return None,
        };
        *calls.entry(name.to_owned()).or_insert(0) += count.parse::<u64>().ok()?;
    }
    Some(calls)
}

/// To how many of the processes that it was given strace has attached, by its log.
pub(crate) fn strace_attached(log: &str) -> usize {
    log.lines().filter(|line| line.starts_with("strace: Process ") && line.contains(" attached")).count()
}

/// The events in what `perf stat -x,` writes for one event: the first field of its only line that is no comment.
///
/// ```text
/// # started on Sun Nov 22 22:38:08 2026
///
/// 160482,,raw_syscalls:sys_enter,929831882,100.00,,
/// ```
pub(crate) fn perf_total(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| !line.is_empty() && !line.starts_with('#'))?;
    line.split(',').next()?.parse().ok()
}

/// The same for several events, by name; `None` where it counted none of them.
pub(crate) fn perf_events(text: &str) -> Option<BTreeMap<String, u64>> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let events: BTreeMap<String, u64> = lines
        .filter_map(|line| {
            let mut fields = line.split(',');
            let (count, _unit, event) = (fields.next()?, fields.next()?, fields.next()?);
            Some((event.to_owned(), count.parse().ok()?))
        })
        .collect();
    (!events.is_empty()).then_some(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_from_between_the_rules() {
        let table = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.000300           1       300           read
 40.00    0.000200           1       200         2 epoll_wait
------ ----------- ----------- --------- --------- ----------------
100.00    0.000500           1       500         2 total
";
        let expected = BTreeMap::from([("read".to_owned(), 300), ("epoll_wait".to_owned(), 200)]);
        assert_eq!(strace_table(table), Some(expected));
        // Nothing was called while it looked.
        let (head, _) = table.split_once("------").unwrap();
        assert_eq!(strace_table(head), None);
        assert_eq!(strace_table(""), None);
        // A table of another shape is not half understood.
        assert_eq!(strace_table("------\n a b\n------\n"), None);
    }

    #[test]
    fn perf_says_a_number_or_none() {
        let rows = [
            ("# started on a day\n\n160482,,raw_syscalls:sys_enter,929831882,100.00,,\n", Some(160_482)),
            // What it writes when it may not.
            ("<not counted>,,raw_syscalls:sys_enter,0,100.00,,\n", None),
            ("", None),
        ];
        for (text, expected) in rows {
            assert_eq!(perf_total(text), expected, "{text:?}");
        }
    }

    #[test]
    fn several_events_are_told_apart() {
        let text = "# started\n\n933,,raw_syscalls:sys_enter,89,100.00,,\n<not counted>,,syscalls:sys_enter_wait4,0,0.00,,\n31,,context-switches,89,100.00,,\n";
        let expected =
            BTreeMap::from([("raw_syscalls:sys_enter".to_owned(), 933), ("context-switches".to_owned(), 31)]);
        assert_eq!(perf_events(text), Some(expected));
        assert_eq!(perf_events("# started\n"), None);
    }

    #[test]
    fn attached_processes_are_counted() {
        let log =
            "strace: Process 12 attached\nstrace: Process 14 attached with 3 threads\nstrace: Process 12 detached\n";
        assert_eq!(strace_attached(log), 2);
        assert_eq!(strace_attached("strace: attach: ptrace(PTRACE_SEIZE, 1): Operation not permitted\n"), 0);
    }
}
