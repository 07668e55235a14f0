//! What strace(1) prints: its table of calls, and that it has attached.
//!
//! Pure parsers; `scenario::calls` runs the program.

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
pub(crate) fn calls(table: &str) -> Option<BTreeMap<String, u64>> {
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
pub(crate) fn attached(log: &str) -> usize {
    log.lines().filter(|line| line.starts_with("strace: Process ") && line.contains(" attached")).count()
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
        assert_eq!(calls(table), Some(expected));
        // Nothing was called while it looked.
        let (head, _) = table.split_once("------").unwrap();
        assert_eq!(calls(head), None);
        assert_eq!(calls(""), None);
        // A table of another shape is not half understood.
        assert_eq!(calls("------\n a b\n------\n"), None);
    }

    #[test]
    fn attached_processes_are_counted() {
        let log =
            "strace: Process 12 attached\nstrace: Process 14 attached with 3 threads\nstrace: Process 12 detached\n";
        assert_eq!(attached(log), 2);
        assert_eq!(attached("strace: attach: ptrace(PTRACE_SEIZE, 1): Operation not permitted\n"), 0);
    }
}
