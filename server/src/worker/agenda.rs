//! The background tasks of one worker: which are held back until their response is made, which wait, which run.
//!
//! Lists and rules only: no thread, no lock, no clock, nothing of Python. The pool asks it, with a lock around it.

use std::collections::{BTreeMap, VecDeque};

use crate::exchange::{Refused, Task};

/// How many names a line of the log has at most.
const NAMED: usize = 8;

/// Where the agenda is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Takes tasks.
    Open,
    /// Its worker has to be gone soon: takes none, and begins none.
    Overdue,
    /// All is done.
    Closed,
}

/// What the next thread to ask is to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Begin a task, if requests allow it.
    Begin,
    /// Wait for one.
    Wait,
    /// Leave: there will be none.
    Leave,
}

/// What was given up.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct GivenUp {
    /// Names of tasks that will never begin.
    pub(super) dropped: Vec<String>,
    /// Names of those that have begun and not ended.
    pub(super) running: Vec<String>,
}

/// All tasks that are not done.
#[derive(Debug)]
pub(super) struct Agenda {
    /// Tasks that may be there and not run.
    most: usize,
    /// Tasks that may run at once: as many threads are made at most.
    concurrency: usize,
    state: State,
    /// Each with the call that left it, and that has not ended.
    held: Vec<(usize, Task)>,
    /// Whose turn comes, in the order in which their calls ended.
    ready: VecDeque<Task>,
    /// Names of those that run.
    running: Vec<String>,
    /// Threads there are, and how many of them wait for a task.
    threads: usize,
    idle: usize,
}

impl Agenda {
    /// Nothing to do yet.
    pub(super) fn new(most: usize, concurrency: usize) -> Agenda {
        Agenda {
            most,
            concurrency,
            state: State::Open,
            held: Vec::new(),
            ready: VecDeque::new(),
            running: Vec::new(),
            threads: 0,
            idle: 0,
        }
    }

    /// Takes a task, which waits for the end of `call` if there is one.
    pub(super) fn submit(&mut self, task: Task, call: Option<usize>) -> Result<(), Refused> {
        if self.state != State::Open {
            return Err(Refused::Leaving);
        }
        let waiting = self.held.len() + self.ready.len();
        if waiting >= self.most {
            return Err(Refused::Full(waiting));
        }
        match call {
            Some(call) => self.held.push((call, task)),
            None => self.ready.push_back(task),
        }
        Ok(())
    }

    /// The call has ended: what it left may begin.
    pub(super) fn release(&mut self, call: usize) {
        self.ready.extend(self.held.extract_if(.., |(owner, _)| *owner == call).map(|(_, task)| task));
    }

    /// No call that goes on will end: nothing is held back for one.
    pub(super) fn release_all(&mut self) {
        self.ready.extend(self.held.drain(..).map(|(_, task)| task));
    }

    /// How many tasks are held back.
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    /// Whether a task is there that has not ended.
    pub(super) fn has_any(&self) -> bool {
        !(self.held.is_empty() && self.ready.is_empty() && self.running.is_empty())
    }

    /// Whether one more thread is to be made, which counts from here on.
    pub(super) fn wants_thread(&mut self) -> bool {
        let wants = self.ready.len() > self.idle && self.threads < self.concurrency;
        self.threads += usize::from(wants);
        wants
    }

    /// A thread leaves, or could not be made.
    pub(super) fn lose_thread(&mut self) {
        self.threads -= 1;
    }

    /// A thread begins, or ends, to wait for a task.
    pub(super) fn set_idle(&mut self, begins: bool) {
        if begins { self.idle += 1 } else { self.idle -= 1 }
    }

    /// What a thread is to do that has nothing to do.
    pub(super) fn next(&self) -> Next {
        match self.state {
            State::Closed => Next::Leave,
            State::Open | State::Overdue if self.ready.is_empty() => Next::Wait,
            State::Open | State::Overdue => Next::Begin,
        }
    }

    /// The next task, which runs from here on.
    pub(super) fn begin(&mut self) -> Option<Task> {
        let task = self.ready.pop_front()?;
        self.running.push(task.name.clone());
        Some(task)
    }

    /// A task of this name has ended.
    pub(super) fn end(&mut self, name: &str) {
        if let Some(place) = self.running.iter().position(|other| other == name) {
            self.running.swap_remove(place);
        }
    }

    /// Nothing will be done any more, if nothing is left to do. True when that is so.
    pub(super) fn close(&mut self) -> bool {
        if !self.has_any() {
            self.state = State::Closed;
        }
        self.is_closed()
    }

    /// Whether all is done.
    pub(super) fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// There is no time left: drops what has not begun, and takes nothing more.
    pub(super) fn give_up(&mut self) -> GivenUp {
        if self.state == State::Open {
            self.state = State::Overdue;
        }
        let held = self.held.drain(..).map(|(_, task)| task.name);
        let dropped = self.ready.drain(..).map(|task| task.name).chain(held).collect();
        GivenUp { dropped, running: self.running.clone() }
    }
}

/// Names for a line of the log, each once: `shop.mail (3), shop.thumbnail`.
pub(super) fn enumerate(names: &[String]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    let shown: Vec<String> = counts
        .iter()
        .take(NAMED)
        .map(|(name, count)| if *count == 1 { (*name).to_owned() } else { format!("{name} ({count})") })
        .collect();
    let rest = counts.len().saturating_sub(NAMED);
    let rest = if rest == 0 { String::new() } else { format!(" and {rest} other names") };
    shown.join(", ") + &rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(name: &str) -> Task {
        Task { name: name.to_owned(), call: Vec::new() }
    }

    fn begun(agenda: &mut Agenda) -> Option<String> {
        agenda.begin().map(|task| task.name)
    }

    #[test]
    fn a_task_waits_for_the_end_of_its_call_and_then_for_those_before_it() {
        let mut agenda = Agenda::new(10, 1);
        agenda.submit(task("a1"), Some(1)).expect("room");
        agenda.submit(task("b"), Some(2)).expect("room");
        agenda.submit(task("a2"), Some(1)).expect("room");
        assert_eq!((agenda.next(), agenda.held()), (Next::Wait, 3));
        // Left by a thread of the application's own: nobody waits for its response.
        agenda.submit(task("c"), None).expect("room");
        assert_eq!(agenda.next(), Next::Begin);
        agenda.release(2);
        agenda.release(1);
        agenda.release(1);
        let order: Vec<_> = std::iter::from_fn(|| begun(&mut agenda)).collect();
        assert_eq!(order, ["c", "b", "a1", "a2"]);
        assert_eq!((agenda.next(), agenda.held()), (Next::Wait, 0));
    }

    #[test]
    fn a_task_does_not_wait_for_a_call_that_never_ends() {
        let mut agenda = Agenda::new(10, 1);
        agenda.submit(task("a"), Some(1)).expect("room");
        agenda.submit(task("b"), Some(2)).expect("room");
        agenda.release_all();
        assert_eq!((agenda.held(), agenda.next(), agenda.close()), (0, Next::Begin, false));
        assert_eq!([begun(&mut agenda), begun(&mut agenda)], [Some("a".to_owned()), Some("b".to_owned())]);
        // Should one end after all, it finds nothing.
        agenda.release(1);
        assert_eq!(agenda.next(), Next::Wait);
    }

    #[test]
    fn no_more_wait_than_may() {
        let mut agenda = Agenda::new(2, 1);
        agenda.submit(task("a"), Some(1)).expect("room");
        agenda.submit(task("b"), None).expect("room");
        assert_eq!(agenda.submit(task("c"), Some(1)), Err(Refused::Full(2)));
        // What runs does not wait.
        assert_eq!(begun(&mut agenda).as_deref(), Some("b"));
        agenda.submit(task("c"), Some(1)).expect("room");
        assert_eq!(agenda.submit(task("d"), None), Err(Refused::Full(2)));
    }

    #[test]
    fn threads_are_made_for_tasks_that_no_thread_waits_for() {
        let mut agenda = Agenda::new(10, 2);
        assert!(!agenda.wants_thread(), "nothing to do");
        agenda.submit(task("a"), None).expect("room");
        assert!(agenda.wants_thread());
        agenda.submit(task("b"), None).expect("room");
        assert!(agenda.wants_thread());
        agenda.submit(task("c"), None).expect("room");
        assert!(!agenda.wants_thread(), "no more may run at once");
        agenda.lose_thread();
        assert!(agenda.wants_thread(), "it could not be made, or has left");
        while agenda.begin().is_some() {}
        agenda.set_idle(true);
        agenda.lose_thread();
        agenda.submit(task("d"), None).expect("room");
        assert!(!agenda.wants_thread(), "one waits for it");
    }

    #[test]
    fn it_closes_when_all_is_done() {
        let mut agenda = Agenda::new(10, 2);
        agenda.submit(task("a"), Some(1)).expect("room");
        assert!(!agenda.close());
        agenda.release(1);
        assert!(!agenda.close());
        assert!(begun(&mut agenda).is_some() && !agenda.close());
        // A task that leaves another one.
        agenda.submit(task("b"), None).expect("not closed yet");
        agenda.end("a");
        assert!(begun(&mut agenda).is_some() && !agenda.close());
        agenda.end("b");
        assert!(agenda.close());
        assert_eq!(agenda.submit(task("c"), None), Err(Refused::Leaving));
        assert_eq!(agenda.next(), Next::Leave);
    }

    #[test]
    fn without_time_only_what_runs_goes_on() {
        let mut agenda = Agenda::new(10, 1);
        for name in ["a", "b", "c"] {
            agenda.submit(task(name), None).expect("room");
        }
        agenda.submit(task("d"), Some(1)).expect("room");
        agenda.begin();
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let expected = GivenUp { dropped: names(&["b", "c", "d"]), running: names(&["a"]) };
        assert_eq!(agenda.give_up(), expected);
        assert_eq!(agenda.submit(task("e"), Some(1)), Err(Refused::Leaving));
        assert_eq!(agenda.next(), Next::Wait);
        assert!(!agenda.close());
        agenda.end("a");
        assert!(agenda.close());
    }

    #[test]
    fn names_are_counted() {
        let names = |count: usize| (0..count).map(|number| format!("n{number}")).collect::<Vec<_>>();
        for (given, expect) in [
            (vec!["mail".to_owned()], "mail".to_owned()),
            (["mail", "index", "mail"].map(str::to_owned).to_vec(), "index, mail (2)".to_owned()),
            (names(8), names(8).join(", ")),
            (names(9), names(8).join(", ") + " and 1 other names"),
        ] {
            assert_eq!(enumerate(&given), expect);
        }
    }
}
