//! What a worker says of its access log, in one word.

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
    pub(super) fn from_word(word: u64) -> LogState {
        match (word >> 2, word & 3) {
            (_, 0) => LogState::Unopened,
            (generation, 1) => LogState::Open(generation),
            (generation, _) => LogState::Kept(generation),
        }
    }

    pub(super) fn word(self) -> u64 {
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
