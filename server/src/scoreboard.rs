//! What every process may know of every worker, at any time, without asking.
//!
//! One header and one slot per possible worker in shared memory, atomics only, no pointers. Each field has one writing
//! process: the supervisor, or the worker in the slot. Readers take what they see; nobody locks. A worker that is killed
//! leaves its slot as it was, and the supervisor clears it, so no counter drifts.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::{io, time::Duration};

use crate::sys::{clock, shared};

/// Words per cache line.
const LINE: usize = 8;
/// Words before the first slot: one line.
const HEADER: usize = LINE;
/// Words per slot: the supervisor's line, then the worker's.
const SLOT: usize = 5 * LINE;

/// The header's words. Written by the supervisor.
#[derive(Clone, Copy)]
enum Shared {
    /// Not 0: the server is stopping; workers take what waits in the backlog and leave.
    Stopping = 0,
    /// How often logs were to be reopened.
    LogGeneration,
}

/// A slot's words.
#[derive(Clone, Copy)]
enum Word {
    // The supervisor's line.
    Generation = 0,
    KillPending = 1,
    SpawnedAt = 2,
    // The worker's lines.
    Phase = LINE as isize,
    Pid,
    Connections,
    InFlight,
    Queued,
    Threads,
    Saturated,
    Beat,
    Requests = 2 * LINE as isize,
    Errors,
    Wall,
    Cpu,
    LockWait,
    /// For which of the log generations it has opened its log, and whether that failed: see [`LogState`].
    Logs,
    // The worker's line for background tasks. Each word only grows, by one store per event, so that a worker that is killed
    // at any moment leaves an account that adds up.
    TasksSubmitted = 3 * LINE as isize,
    TasksBegun,
    TasksDone,
    TasksFailed,
    TasksDropped,
    // Written once, at the end of that line.
    ReadyAt,
    // The worker's last line: what rarely changes.
    Worn = 4 * LINE as isize,
    TimedOut,
    LockedOut,
}

/// What happens to a background task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TaskStep {
    /// It was taken from the application.
    Submitted,
    /// It runs.
    Begun,
    /// It has ended well.
    Done,
    /// It has ended with an exception.
    Failed,
    /// It will never begin.
    Dropped,
}

/// The background tasks of one worker as they were when somebody looked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TaskCounts {
    /// Taken, and not begun.
    pub(crate) queued: u64,
    /// Begun, and not ended.
    pub(crate) running: u64,
    /// Ended well.
    pub(crate) done: u64,
    /// Ended with an exception.
    pub(crate) failed: u64,
    /// Given up before they began.
    pub(crate) dropped: u64,
}

impl TaskCounts {
    /// Those that are still to be done.
    pub(crate) fn open(&self) -> u64 {
        self.queued + self.running
    }
}

/// What a worker's log is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogState {
    /// Not opened yet.
    Unopened,
    /// Opened for this log generation.
    Open(u64),
    /// Could not be reopened for this log generation: the old file is still written to.
    Kept(u64),
}

impl LogState {
    fn from_word(word: u64) -> LogState {
        match (word >> 2, word & 3) {
            (_, 0) => LogState::Unopened,
            (generation, 1) => LogState::Open(generation),
            (generation, _) => LogState::Kept(generation),
        }
    }

    fn word(self) -> u64 {
        match self {
            LogState::Unopened => 0,
            LogState::Open(generation) => generation << 2 | 1,
            LogState::Kept(generation) => generation << 2 | 2,
        }
    }

    /// The log generation that it was last tried for.
    pub(crate) fn generation(self) -> Option<u64> {
        match self {
            LogState::Unopened => None,
            LogState::Open(generation) | LogState::Kept(generation) => Some(generation),
        }
    }
}

/// Where a worker is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Phase {
    /// The slot is free.
    Empty,
    /// A process was asked for and has not said yet that it serves.
    Starting,
    /// It serves.
    Ready,
    /// It finishes what it has and leaves.
    Draining,
    /// It has left, or is about to.
    Dead,
}

impl Phase {
    fn from_word(word: u64) -> Phase {
        match word {
            1 => Phase::Starting,
            2 => Phase::Ready,
            3 => Phase::Draining,
            4 => Phase::Dead,
            _ => Phase::Empty,
        }
    }

    fn word(self) -> u64 {
        match self {
            Phase::Empty => 0,
            Phase::Starting => 1,
            Phase::Ready => 2,
            Phase::Draining => 3,
            Phase::Dead => 4,
        }
    }
}

/// One worker as it was when somebody looked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    /// The life the slot is in; each spawn has the next number.
    pub(crate) generation: u64,
    /// Where the worker is in its life.
    pub(crate) phase: Phase,
    /// When it was asked for, on the monotonic clock.
    pub(crate) spawned_at_ns: u64,
    /// Open connections.
    pub(crate) connections: u32,
    /// Calls into the application that run now.
    pub(crate) in_flight: u32,
    /// Complete requests that wait for a thread.
    pub(crate) queued: u32,
    /// Pool threads.
    pub(crate) threads: u32,
    /// Times the worker ran out of capacity.
    pub(crate) saturated: u64,
    /// Requests answered.
    pub(crate) requests: u64,
    /// Of these, with status 500 or cut.
    pub(crate) errors: u64,
    /// Time inside the application, all calls added up.
    pub(crate) wall: Duration,
    /// CPU time of these calls.
    pub(crate) cpu: Duration,
    /// Time these calls waited for the interpreter lock.
    pub(crate) lock_wait: Duration,
    /// It has served as many requests as it may, and goes on until it is told to leave.
    pub(crate) worn: bool,
    /// Calls that were found to run for longer than they may.
    pub(crate) timed_out: u64,
    /// Since when one call keeps the lock that all of its calls need, on the monotonic clock; 0: none does.
    pub(crate) locked_out_ns: u64,
    /// When it was ready to serve, on the monotonic clock; `None` before.
    pub(crate) ready_at_ns: Option<u64>,
}

impl Seen {
    /// For how long one call has kept all others from running.
    pub(crate) fn locked_out(&self) -> Duration {
        match self.locked_out_ns {
            0 => Duration::ZERO,
            since_ns => Duration::from_nanos(clock::monotonic_ns().saturating_sub(since_ns)),
        }
    }

    /// Time since the worker was asked for.
    pub(crate) fn age(&self) -> Duration {
        Duration::from_nanos(clock::monotonic_ns().saturating_sub(self.spawned_at_ns))
    }

    /// Time from asking for the worker until it was ready to serve.
    pub(crate) fn birth(&self) -> Option<Duration> {
        Some(Duration::from_nanos(self.ready_at_ns?.saturating_sub(self.spawned_at_ns)))
    }
}

/// The mapped scoreboard.
#[derive(Clone, Copy)]
pub(crate) struct Scoreboard {
    words: &'static [AtomicU64],
}

impl Scoreboard {
    /// Shared memory for `slots` workers.
    pub(crate) fn create(slots: usize) -> io::Result<OwnedFd> {
        shared::create("smarthttpd-scoreboard", HEADER + slots * SLOT)
    }

    /// Maps what [`Scoreboard::create`] made.
    pub(crate) fn map(fd: BorrowedFd<'_>) -> io::Result<Scoreboard> {
        Ok(Scoreboard { words: shared::map(fd)? })
    }

    /// How many workers have room here.
    pub(crate) fn slots(self) -> usize {
        (self.words.len() - HEADER) / SLOT
    }

    /// One slot. Panics when `index` is not below [`Scoreboard::slots`].
    pub(crate) fn slot(self, index: usize) -> Slot {
        let start = HEADER + index * SLOT;
        Slot { words: &self.words[start..start + SLOT] }
    }

    /// Supervisor, or a worker that finds it gone: tells every worker that the server stops.
    pub(crate) fn set_stopping(self) {
        self.words[Shared::Stopping as usize].store(1, Ordering::Release);
    }

    /// True once the server stops.
    pub(crate) fn stopping(self) -> bool {
        self.words[Shared::Stopping as usize].load(Ordering::Acquire) != 0
    }
}

impl Scoreboard {
    /// Supervisor: tells every worker to reopen its log, for the generation that is returned. Their wake-up descriptors
    /// must be written afterwards.
    pub(crate) fn reopen_logs(self) -> u64 {
        self.words[Shared::LogGeneration as usize].fetch_add(1, Ordering::AcqRel) + 1
    }

    /// For which generation logs are to be open.
    pub(crate) fn log_generation(self) -> u64 {
        self.words[Shared::LogGeneration as usize].load(Ordering::Acquire)
    }
}

/// One worker's words.
#[derive(Clone, Copy)]
pub(crate) struct Slot {
    words: &'static [AtomicU64],
}

impl Slot {
    fn load(self, word: Word) -> u64 {
        self.words[word as usize].load(Ordering::Relaxed)
    }

    fn store(self, word: Word, value: u64) {
        self.words[word as usize].store(value, Ordering::Relaxed);
    }

    fn add(self, word: Word, value: u64) {
        self.words[word as usize].fetch_add(value, Ordering::Relaxed);
    }

    /// Whether both are the same slot.
    pub(crate) fn is(self, other: Slot) -> bool {
        std::ptr::eq(self.words, other.words)
    }

    /// Supervisor: the slot's next life begins.
    pub(crate) fn begin(self, generation: u64, now_ns: u64) {
        self.clear();
        self.store(Word::Generation, generation);
        self.store(Word::SpawnedAt, now_ns);
        self.set_phase(Phase::Starting);
    }

    /// Supervisor: the worker is gone.
    pub(crate) fn clear(self) {
        for word in self.words {
            word.store(0, Ordering::Relaxed);
        }
        self.set_phase(Phase::Empty);
    }

    /// Supervisor: asks the worker to leave. Its wake-up descriptor must be written afterwards.
    pub(crate) fn set_kill_pending(self) {
        self.words[Word::KillPending as usize].store(1, Ordering::Release);
    }

    /// True once the worker was asked to leave.
    pub(crate) fn kill_pending(self) -> bool {
        self.words[Word::KillPending as usize].load(Ordering::Acquire) != 0
    }

    /// Worker: publishes a phase that is already true.
    pub(crate) fn set_phase(self, phase: Phase) {
        self.words[Word::Phase as usize].store(phase.word(), Ordering::Release);
    }

    /// Worker: serves from now on.
    pub(crate) fn set_ready(self, now_ns: u64) {
        self.store(Word::ReadyAt, now_ns);
        self.set_phase(Phase::Ready);
    }

    /// Where the worker is in its life.
    pub(crate) fn phase(self) -> Phase {
        Phase::from_word(self.words[Word::Phase as usize].load(Ordering::Acquire))
    }

    /// Worker: its log is like this from now on.
    pub(crate) fn set_logs(self, state: LogState) {
        self.words[Word::Logs as usize].store(state.word(), Ordering::Release);
    }

    /// What the worker's log is like.
    pub(crate) fn logs(self) -> LogState {
        LogState::from_word(self.words[Word::Logs as usize].load(Ordering::Acquire))
    }

    /// Worker: moves in, for the life that the supervisor began. False when that life is over already, because the
    /// template died before it could report the fork: the slot is somebody else's then.
    pub(crate) fn move_in(self, generation: u64, pid: u32) -> bool {
        // One total order with `disown`: either the worker sees that it is disowned, or the supervisor sees its pid.
        self.words[Word::Pid as usize].store(u64::from(pid), Ordering::SeqCst);
        self.words[Word::Generation as usize].load(Ordering::SeqCst) == generation
    }

    /// Supervisor: ends a life whose process it was never told of: the pid, if a worker has moved in.
    pub(crate) fn disown(self) -> Option<i32> {
        self.words[Word::Generation as usize].store(0, Ordering::SeqCst);
        let pid = self.words[Word::Pid as usize].load(Ordering::SeqCst);
        self.clear();
        i32::try_from(pid).ok().filter(|pid| *pid > 0)
    }

    /// Worker: how many connections are open.
    pub(crate) fn set_connections(self, count: usize) {
        self.store(Word::Connections, count as u64);
    }

    /// Worker: a call into the application begins.
    pub(crate) fn begin_call(self) {
        self.words[Word::InFlight as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Worker: a call has ended.
    pub(crate) fn end_call(self) {
        self.words[Word::InFlight as usize].fetch_sub(1, Ordering::Relaxed);
    }

    /// Calls that run now.
    pub(crate) fn in_flight(self) -> usize {
        self.load(Word::InFlight) as usize
    }

    /// Requests answered since the worker started.
    pub(crate) fn requests(self) -> u64 {
        self.load(Word::Requests)
    }

    /// Worker: how many requests wait for a thread.
    pub(crate) fn set_queued(self, count: usize) {
        self.store(Word::Queued, count as u64);
    }

    /// Worker: how many pool threads there are.
    pub(crate) fn set_threads(self, count: usize) {
        self.store(Word::Threads, count as u64);
    }

    /// Worker: it has run out of capacity.
    pub(crate) fn count_saturation(self) {
        self.add(Word::Saturated, 1);
    }

    /// Worker: it is alive at `now_ns`.
    pub(crate) fn beat(self, now_ns: u64) {
        self.store(Word::Beat, now_ns);
    }

    /// Worker: one more request was answered, after a call that took these nanoseconds.
    pub(crate) fn count_request(self, failed: bool, wall_ns: u64, cpu_ns: u64, lock_wait_ns: u64) {
        self.add(Word::Requests, 1);
        if failed {
            self.add(Word::Errors, 1);
        }
        self.add(Word::Wall, wall_ns);
        self.add(Word::Cpu, cpu_ns);
        if lock_wait_ns > 0 {
            self.add(Word::LockWait, lock_wait_ns);
        }
    }

    /// Worker: something has happened to a background task.
    pub(crate) fn count_task(self, step: TaskStep) {
        self.add(
            match step {
                TaskStep::Submitted => Word::TasksSubmitted,
                TaskStep::Begun => Word::TasksBegun,
                TaskStep::Done => Word::TasksDone,
                TaskStep::Failed => Word::TasksFailed,
                TaskStep::Dropped => Word::TasksDropped,
            },
            1,
        );
    }

    /// The worker's background tasks. Read from their end to their beginning, so that none is seen to end before it begins.
    pub(crate) fn tasks(self) -> TaskCounts {
        let (done, failed, dropped) =
            (self.load(Word::TasksDone), self.load(Word::TasksFailed), self.load(Word::TasksDropped));
        let begun = self.load(Word::TasksBegun);
        let submitted = self.load(Word::TasksSubmitted);
        TaskCounts {
            queued: submitted.saturating_sub(begun + dropped),
            running: begun.saturating_sub(done + failed),
            done,
            failed,
            dropped,
        }
    }

    /// Worker: it has served as many requests as it may. True the first time.
    pub(crate) fn set_worn(self) -> bool {
        self.words[Word::Worn as usize].swap(1, Ordering::Relaxed) == 0
    }

    /// Worker: one more call runs for longer than it may.
    pub(crate) fn count_timeout(self) {
        self.add(Word::TimedOut, 1);
    }

    /// Worker: one call keeps all others from running, since then; 0: no longer.
    pub(crate) fn set_locked_out(self, since_ns: u64) {
        self.store(Word::LockedOut, since_ns);
    }

    /// The slot as it is now. Fields are read one by one: each is exact, their combination is a moment's blur.
    pub(crate) fn look(self) -> Seen {
        Seen {
            phase: self.phase(),
            generation: self.load(Word::Generation),
            spawned_at_ns: self.load(Word::SpawnedAt),
            connections: self.load(Word::Connections) as u32,
            in_flight: self.load(Word::InFlight) as u32,
            queued: self.load(Word::Queued) as u32,
            threads: self.load(Word::Threads) as u32,
            saturated: self.load(Word::Saturated),
            requests: self.load(Word::Requests),
            errors: self.load(Word::Errors),
            wall: Duration::from_nanos(self.load(Word::Wall)),
            cpu: Duration::from_nanos(self.load(Word::Cpu)),
            lock_wait: Duration::from_nanos(self.load(Word::LockWait)),
            worn: self.load(Word::Worn) != 0,
            timed_out: self.load(Word::TimedOut),
            locked_out_ns: self.load(Word::LockedOut),
            ready_at_ns: Some(self.load(Word::ReadyAt)).filter(|at| *at > 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    fn board(slots: usize) -> (OwnedFd, Scoreboard) {
        let fd = Scoreboard::create(slots).expect("memfd");
        let board = Scoreboard::map(fd.as_fd()).expect("mapping");
        (fd, board)
    }

    #[test]
    fn two_mappings_see_the_same_words() {
        let (fd, ours) = board(3);
        let theirs = Scoreboard::map(fd.as_fd()).expect("second mapping");
        ours.slot(2).begin(7, 99);
        theirs.slot(2).set_phase(Phase::Ready);
        theirs.slot(2).count_request(true, 10, 4, 1);
        let seen = ours.slot(2).look();
        assert_eq!((seen.generation, seen.phase, seen.requests, seen.errors), (7, Phase::Ready, 1, 1));
        assert_eq!(
            (seen.wall, seen.cpu, seen.lock_wait),
            (Duration::from_nanos(10), Duration::from_nanos(4), Duration::from_nanos(1))
        );
        assert_eq!(ours.slots(), 3);
    }

    #[test]
    fn a_new_life_starts_from_nothing() {
        let (_fd, board) = board(1);
        board.slot(0).begin(1, 0);
        board.slot(0).set_kill_pending();
        board.slot(0).set_connections(5);
        board.slot(0).begin(2, 0);
        let seen = board.slot(0).look();
        assert_eq!((seen.phase, seen.connections), (Phase::Starting, 0));
        assert!(!board.slot(0).kill_pending());
    }

    #[test]
    fn a_birth_lasts_from_the_order_until_the_worker_serves() {
        let (_fd, board) = board(1);
        let slot = board.slot(0);
        slot.begin(1, 1000);
        assert_eq!(slot.look().birth(), None);
        slot.set_ready(4500);
        let seen = slot.look();
        assert_eq!((seen.phase, seen.birth()), (Phase::Ready, Some(Duration::from_nanos(3500))));
        slot.begin(2, 9000);
        assert_eq!(slot.look().birth(), None, "the next life has its own");
    }

    #[test]
    fn a_worker_that_nobody_was_told_of_does_not_move_in_unseen() {
        let (_fd, board) = board(1);
        let slot = board.slot(0);
        slot.begin(1, 0);
        assert!(slot.move_in(1, 77));
        assert_eq!(slot.disown(), Some(77));
        slot.begin(2, 0);
        assert_eq!(slot.disown(), None);
        assert!(!slot.move_in(2, 78), "too late");
    }

    #[test]
    fn tasks_are_counted_from_what_has_happened_to_them() {
        let (_fd, board) = board(1);
        let slot = board.slot(0);
        let after = |step| {
            slot.count_task(step);
            let TaskCounts { queued, running, done, failed, dropped } = slot.tasks();
            [queued, running, done, failed, dropped]
        };
        assert_eq!(after(TaskStep::Submitted), [1, 0, 0, 0, 0]);
        assert_eq!(after(TaskStep::Submitted), [2, 0, 0, 0, 0]);
        assert_eq!(after(TaskStep::Begun), [1, 1, 0, 0, 0]);
        assert_eq!(after(TaskStep::Failed), [1, 0, 0, 1, 0]);
        assert_eq!(after(TaskStep::Submitted), [2, 0, 0, 1, 0]);
        assert_eq!(after(TaskStep::Begun), [1, 1, 0, 1, 0]);
        assert_eq!(after(TaskStep::Done), [1, 0, 1, 1, 0]);
        assert_eq!(after(TaskStep::Dropped), [0, 0, 1, 1, 1]);
        assert_eq!(slot.tasks().open(), 0);
    }

    #[test]
    fn logs_are_asked_for_by_number() {
        let (_fd, board) = board(1);
        let slot = board.slot(0);
        assert_eq!((board.log_generation(), slot.logs()), (0, LogState::Unopened));
        slot.set_logs(LogState::Open(0));
        assert_eq!(board.reopen_logs(), 1);
        assert_eq!((board.log_generation(), slot.logs().generation()), (1, Some(0)));
        slot.set_logs(LogState::Kept(1));
        assert_eq!(slot.logs(), LogState::Kept(1));
        slot.begin(2, 0);
        assert_eq!(slot.logs(), LogState::Unopened);
    }

    #[test]
    fn slots_do_not_overlap() {
        let (_fd, board) = board(2);
        board.slot(0).count_request(false, 1, 1, 1);
        board.slot(0).begin(1, 1);
        assert_eq!(board.slot(1).look().generation, 0);
        assert_eq!(board.slot(1).look().phase, Phase::Empty);
        assert!((Word::LockedOut as usize) < SLOT);
    }
}
