//! What one thread counts in one interval. Swapped at every border and added up by `run`; nothing
//! is shared between threads while they work.

use std::collections::BTreeMap;

use crate::distribution::Recorder;
use crate::error::ErrorKind;

const KINDS: usize = ErrorKind::ALL.len();
/// Status codes 100 to 599.
const CODES: usize = 500;

/// Counters and histograms of an interval.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) latency: Recorder,
    pub(crate) service: Recorder,
    pub(crate) first_byte: Recorder,
    pub(crate) send_lag: Recorder,
    pub(crate) queue_wait: Recorder,
    pub(crate) connect: Recorder,
    pub(crate) tls: Recorder,
    /// Recorded requests that became due (open loop) or were started (closed loop).
    pub(crate) offered: u64,
    /// Recorded requests taken up by a connection.
    pub(crate) started: u64,
    /// When the last of them was; 0 when there was none.
    pub(crate) last_start: u64,
    pub(crate) answered: u64,
    pub(crate) abandoned: u64,
    pub(crate) bytes_received: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) connects: u64,
    pub(crate) reconnects: u64,
    /// CPU time of the thread in this interval, ns.
    pub(crate) cpu: u64,
    /// At the end of the interval.
    pub(crate) queued: u64,
    pub(crate) in_flight: u64,
    pub(crate) connections: u64,
    statuses: [u64; CODES],
    errors: [u64; KINDS],
    /// What the first error of each kind said.
    examples: [Option<String>; KINDS],
}

/// What became of one of several requests of a plan, in the whole run. Kept by the thread and not
/// by the interval, because there may be many.
#[derive(Clone, Debug)]
pub(crate) struct EntryTally {
    /// Recorded requests taken up by a connection.
    pub(crate) requests: u64,
    pub(crate) answered: u64,
    /// Those that failed, and answers 4xx and 5xx.
    pub(crate) errors: u64,
    /// `None` when there are too many entries to keep histograms for.
    pub(crate) latency: Option<Recorder>,
}

impl EntryTally {
    /// Most entries that have a histogram each: they take a quarter of a megabyte, per thread.
    const HISTOGRAMS: usize = 64;

    /// One for each of so many requests.
    pub(crate) fn several(count: usize) -> Vec<Self> {
        let latency = (count <= Self::HISTOGRAMS).then(Recorder::new);
        vec![Self { requests: 0, answered: 0, errors: 0, latency }; count]
    }

    /// Counts a whole answer.
    pub(crate) fn answer(&mut self, status: u16, latency: u64) {
        self.answered += 1;
        self.errors += u64::from(status >= 400);
        if let Some(recorder) = &mut self.latency {
            recorder.record(latency);
        }
    }

    /// Adds another thread's.
    pub(crate) fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.answered += other.answered;
        self.errors += other.errors;
        if let (Some(sum), Some(latency)) = (&mut self.latency, &other.latency) {
            sum.add(latency);
        }
    }
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            latency: Recorder::new(),
            service: Recorder::new(),
            first_byte: Recorder::new(),
            send_lag: Recorder::new(),
            queue_wait: Recorder::new(),
            connect: Recorder::new(),
            tls: Recorder::new(),
            offered: 0,
            started: 0,
            last_start: 0,
            answered: 0,
            abandoned: 0,
            bytes_received: 0,
            bytes_sent: 0,
            connects: 0,
            reconnects: 0,
            cpu: 0,
            queued: 0,
            in_flight: 0,
            connections: 0,
            statuses: [0; CODES],
            errors: [0; KINDS],
            examples: [const { None }; KINDS],
        }
    }

    /// Counts a whole answer, with its times in nanoseconds.
    pub(crate) fn answer(&mut self, status: u16, latency: u64, service: u64, first_byte: u64) {
        self.answered += 1;
        self.latency.record(latency);
        self.service.record(service);
        self.first_byte.record(first_byte);
        if let Some(count) = self.statuses.get_mut(usize::from(status).wrapping_sub(100)) {
            *count += 1;
        }
        match status {
            400..500 => self.errors[ErrorKind::Status4xx as usize] += 1,
            500..600 => self.errors[ErrorKind::Status5xx as usize] += 1,
            _ => {}
        }
    }

    /// Counts a failure; `detail` is kept for the first of its kind.
    pub(crate) fn error(&mut self, kind: ErrorKind, detail: &str) {
        self.errors[kind as usize] += 1;
        let example = &mut self.examples[kind as usize];
        if example.is_none() && !detail.is_empty() {
            *example = Some(detail.to_owned());
        }
    }

    /// Adds another thread's or interval's tally.
    pub(crate) fn add(&mut self, other: &Self) {
        self.latency.add(&other.latency);
        self.service.add(&other.service);
        self.first_byte.add(&other.first_byte);
        self.send_lag.add(&other.send_lag);
        self.queue_wait.add(&other.queue_wait);
        self.connect.add(&other.connect);
        self.tls.add(&other.tls);
        self.offered += other.offered;
        self.started += other.started;
        self.last_start = self.last_start.max(other.last_start);
        self.answered += other.answered;
        self.abandoned += other.abandoned;
        self.bytes_received += other.bytes_received;
        self.bytes_sent += other.bytes_sent;
        self.connects += other.connects;
        self.reconnects += other.reconnects;
        self.cpu += other.cpu;
        self.queued += other.queued;
        self.in_flight += other.in_flight;
        self.connections += other.connections;
        for (sum, count) in self.statuses.iter_mut().zip(&other.statuses) {
            *sum += count;
        }
        for (sum, count) in self.errors.iter_mut().zip(&other.errors) {
            *sum += count;
        }
        for (kept, example) in self.examples.iter_mut().zip(&other.examples) {
            if kept.is_none() {
                kept.clone_from(example);
            }
        }
    }

    /// Answers per status code that occurred.
    pub(crate) fn statuses(&self) -> BTreeMap<u16, u64> {
        let codes = (100..).zip(self.statuses.iter().copied());
        codes.filter(|(_, count)| *count > 0).collect()
    }

    /// Errors per kind that occurred.
    pub(crate) fn errors(&self) -> BTreeMap<ErrorKind, u64> {
        let kinds = ErrorKind::ALL.into_iter().map(|kind| (kind, self.errors[kind as usize]));
        kinds.filter(|(_, count)| *count > 0).collect()
    }

    /// What the first error of each kind said.
    pub(crate) fn examples(&self) -> BTreeMap<ErrorKind, String> {
        let kinds = ErrorKind::ALL.into_iter();
        kinds.filter_map(|kind| Some((kind, self.examples[kind as usize].clone()?))).collect()
    }

    /// True when nothing happened that an interval would show.
    pub(crate) fn is_empty(&self) -> bool {
        self.offered == 0 && self.started == 0 && self.answered == 0 && self.errors.iter().all(|count| *count == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_index_their_counters() {
        for (index, kind) in ErrorKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index, "{kind:?}");
        }
    }

    #[test]
    fn tallies_add_up_and_keep_the_first_example() {
        let (mut one, mut two) = (Tally::new(), Tally::new());
        one.answer(200, 10, 5, 3);
        one.error(ErrorKind::Read, "first");
        two.answer(503, 20, 5, 5);
        two.error(ErrorKind::Read, "second");
        two.error(ErrorKind::Timeout, "");
        one.add(&two);
        assert_eq!(one.statuses(), BTreeMap::from([(200, 1), (503, 1)]));
        let errors = [(ErrorKind::Read, 2), (ErrorKind::Timeout, 1), (ErrorKind::Status5xx, 1)];
        assert_eq!(one.errors(), BTreeMap::from(errors));
        assert_eq!(one.examples(), BTreeMap::from([(ErrorKind::Read, "first".to_owned())]));
        assert_eq!(one.latency.summarise().count, 2);
    }
}
