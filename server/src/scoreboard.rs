//! What every process may know of every worker, at any time, without asking.
//!
//! One header and one slot per possible worker in shared memory, atomics only, no pointers. Each field has one writing
//! process: the supervisor, or the worker in the slot. Readers take what they see; nobody locks. A worker that is killed
//! leaves its slot as it was, and the supervisor clears it, so no counter drifts.

mod counts;
mod latency;
mod log_state;
mod stir;

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::{io, time::Duration};

pub(crate) use counts::{Cost, Tally, TaskCounts, TaskStep};
pub(crate) use latency::upper_ns;
pub(crate) use log_state::LogState;
pub(crate) use stir::Stir;

use crate::sys::{clock, shared};

/// Words per cache line.
const LINE: usize = 8;
/// Words before the first slot: one line.
const HEADER: usize = LINE;
/// Words per slot: the supervisor's line, then the worker's, then its histogram.
const SLOT: usize = LATENCY + latency::BUCKETS.next_multiple_of(LINE);
/// Where the histogram begins.
const LATENCY: usize = 6 * LINE;
/// Classes of answers: cut off before there was a status, then 1xx to 5xx.
pub(crate) const CLASSES: usize = 6;

/// The header's words. Written by the supervisor; `Asleep` also by the worker that wakes it.
#[derive(Clone, Copy)]
enum Shared {
    /// Not 0: the server is stopping; workers take what waits in the backlog and leave.
    Stopping = 0,
    /// How often logs were to be reopened.
    LogGeneration,
    /// Not 0: the supervisor sleeps until somebody rings, see [`Scoreboard::rouse`].
    Asleep,
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
    Wall = 2 * LINE as isize,
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
    TasksRefused,
    // Written once, at the end of that line.
    ReadyAt,
    // A line of counts: the first of CLASSES words, then what else there is to count for every request.
    Answered = 4 * LINE as isize,
    Took = 4 * LINE as isize + CLASSES as isize,
    Refused,
    // The worker's last line but for the histogram: what rarely changes.
    Worn = 5 * LINE as isize,
    TimedOut,
    LockedOut,
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
    /// Of these, with a status from 500 on, or cut.
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

    /// Worker: how many connections are open. True if that is more than before: then the supervisor may sleep, see
    /// [`Scoreboard::rouse`].
    pub(crate) fn set_connections(self, count: usize) -> bool {
        let rises = self.load(Word::Connections) < count as u64;
        let order = if rises { Ordering::SeqCst } else { Ordering::Relaxed };
        self.words[Word::Connections as usize].store(count as u64, order);
        rises
    }

    /// Worker: a call into the application begins. The supervisor may sleep, see [`Scoreboard::rouse`].
    pub(crate) fn begin_call(self) {
        self.words[Word::InFlight as usize].fetch_add(1, Ordering::SeqCst);
    }

    /// Worker: a call has ended, and is counted.
    pub(crate) fn end_call(self) {
        self.words[Word::InFlight as usize].fetch_sub(1, Ordering::Release);
    }

    /// Calls that run now.
    pub(crate) fn in_flight(self) -> usize {
        self.load(Word::InFlight) as usize
    }

    /// Requests answered since the worker started.
    pub(crate) fn requests(self) -> u64 {
        self.answered().iter().sum()
    }

    /// Requests answered, by class.
    fn answered(self) -> [u64; CLASSES] {
        std::array::from_fn(|class| self.words[Word::Answered as usize + class].load(Ordering::Relaxed))
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

    /// Worker: one more request was answered with this status (0: cut off before there was one), at this cost.
    pub(crate) fn count_request(self, status: u16, cost: Cost) {
        let Cost { took_ns, wall_ns, cpu_ns, lock_wait_ns } = cost;
        let class = (usize::from(status) / 100).min(CLASSES - 1);
        self.words[Word::Answered as usize + class].fetch_add(1, Ordering::Relaxed);
        self.words[LATENCY + latency::bucket(took_ns)].fetch_add(1, Ordering::Relaxed);
        self.add(Word::Took, took_ns);
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
                TaskStep::Refused => Word::TasksRefused,
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
            refused: self.load(Word::TasksRefused),
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

    /// Worker: how many requests it has refused in its life.
    pub(crate) fn set_refused(self, count: u64) {
        self.store(Word::Refused, count);
    }

    /// What the worker has counted so far. A request that is counted while this reads may be in one field and not yet in
    /// another, but nothing is ever lost and no field goes down.
    pub(crate) fn tally(self) -> Tally {
        Tally {
            answered: self.answered(),
            refused: self.load(Word::Refused),
            latency: std::array::from_fn(|bucket| self.words[LATENCY + bucket].load(Ordering::Relaxed)),
            took: Duration::from_nanos(self.load(Word::Took)),
            wall: Duration::from_nanos(self.load(Word::Wall)),
            lock_wait: Duration::from_nanos(self.load(Word::LockWait)),
            saturated: self.load(Word::Saturated),
        }
    }

    /// The slot as it is now. Fields are read one by one: each is exact, their combination is a moment's blur.
    pub(crate) fn look(self) -> Seen {
        let answered = self.answered();
        Seen {
            phase: self.phase(),
            generation: self.load(Word::Generation),
            spawned_at_ns: self.load(Word::SpawnedAt),
            connections: self.load(Word::Connections) as u32,
            in_flight: self.load(Word::InFlight) as u32,
            queued: self.load(Word::Queued) as u32,
            threads: self.load(Word::Threads) as u32,
            saturated: self.load(Word::Saturated),
            requests: answered.iter().sum(),
            errors: answered[0] + answered[CLASSES - 1],
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
mod tests;
