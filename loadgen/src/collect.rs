//! Adds up the threads' tallies: into intervals as soon as every thread has delivered one, and
//! into the totals of the report. Knows nothing of threads beyond their number.

use std::collections::BTreeMap;

use crate::report::{Interval, Report, Setup, ThreadReport};
use crate::tally::Tally;
use crate::timeline::Timeline;
use crate::validity;

/// One interval of all threads.
#[derive(Debug)]
struct Merged {
    until: u64,
    tally: Tally,
    cpu: Vec<u64>,
}

/// The tallies of a run so far.
#[derive(Debug)]
pub(crate) struct Collector {
    timeline: Timeline,
    /// Per thread: its tallies up to here have arrived.
    covered: Vec<u64>,
    /// By the interval's start.
    pending: BTreeMap<u64, Merged>,
    intervals: Vec<Interval>,
    total: Tally,
    /// Per thread, without the drain.
    cpu_measured: Vec<u64>,
    cpu_total: Vec<u64>,
    /// Answers in the measured time.
    answered: u64,
    /// The end of the last interval.
    last: u64,
}

impl Collector {
    pub(crate) fn new(timeline: Timeline, threads: usize) -> Self {
        Self {
            timeline,
            covered: vec![0; threads],
            pending: BTreeMap::new(),
            intervals: Vec::new(),
            total: Tally::new(),
            cpu_measured: vec![0; threads],
            cpu_total: vec![0; threads],
            answered: 0,
            last: timeline.start,
        }
    }

    /// Takes a thread's tally from `from` to `until`; `last` when the thread sends no more. Returns
    /// the intervals that are now complete.
    pub(crate) fn add(&mut self, thread: usize, (from, until): (u64, u64), last: bool, tally: &Tally) -> &[Interval] {
        self.covered[thread] = if last { u64::MAX } else { until };
        self.last = self.last.max(until);
        let threads = self.covered.len();
        let merged =
            self.pending.entry(from).or_insert_with(|| Merged { until, tally: Tally::new(), cpu: vec![0; threads] });
        merged.until = merged.until.max(until);
        merged.tally.add(tally);
        merged.cpu[thread] = tally.cpu;
        let before = self.intervals.len();
        let covered = self.covered.iter().copied().min().unwrap_or(u64::MAX);
        while let Some(entry) = self.pending.first_entry().filter(|e| *e.key() < covered) {
            let (from, merged) = entry.remove_entry();
            self.complete(from, &merged);
        }
        &self.intervals[before..]
    }

    fn complete(&mut self, from: u64, merged: &Merged) {
        let tally = &merged.tally;
        if from < self.timeline.measured {
            // Of the warm-up only the connections matter: they were made once and stay.
            self.total.connects += tally.connects;
            self.total.reconnects += tally.reconnects;
            return;
        }
        let drain = self.timeline.end.is_some_and(|end| from >= end);
        self.total.add(tally);
        for (thread, cpu) in merged.cpu.iter().enumerate() {
            self.cpu_total[thread] += cpu;
            self.cpu_measured[thread] += if drain { 0 } else { *cpu };
        }
        if !drain {
            self.answered += tally.answered;
        }
        let nanos = merged.until - from;
        // A thread's last tally may be of no length, or of a drain in which nothing happened.
        if nanos > 0 && !(drain && tally.is_empty()) {
            self.intervals.push(self.interval(from, nanos, drain, merged));
        }
    }

    fn interval(&self, from: u64, nanos: u64, drain: bool, merged: &Merged) -> Interval {
        let tally = &merged.tally;
        let duration_s = seconds(nanos);
        Interval {
            start_s: seconds(from - self.timeline.measured),
            duration_s,
            drain,
            offered: tally.offered,
            offered_rate: tally.offered as f64 / duration_s,
            started: tally.started,
            answered: tally.answered,
            answered_rate: tally.answered as f64 / duration_s,
            queued: tally.queued,
            in_flight: tally.in_flight,
            connections: tally.connections,
            statuses: tally.statuses(),
            errors: tally.errors(),
            connects: tally.connects,
            reconnects: tally.reconnects,
            latency: tally.latency.summarise(),
            service: tally.service.summarise(),
            first_byte: tally.first_byte.summarise(),
            send_lag: tally.send_lag.summarise(),
            thread_cpu: merged.cpu.iter().map(|cpu| seconds(*cpu) / duration_s).collect(),
        }
    }

    /// The report, once every thread has sent its last tally.
    pub(crate) fn report(self, setup: Setup, started_unix_s: f64, open: bool, interrupted: bool) -> Report {
        let end = self.timeline.end.map_or(self.last, |end| end.min(self.last));
        let duration_s = seconds(end.saturating_sub(self.timeline.measured));
        // A run interrupted in its warm-up has measured nothing: its rates are 0, not 0/0.
        let rate = |count: u64| {
            if duration_s > 0.0 { count as f64 / duration_s } else { 0.0 }
        };
        let total = &self.total;
        // The load was sent in the time that sending took, which is longer when the end was late.
        let sending_s = seconds(total.last_start.saturating_sub(self.timeline.measured));
        let sending_s = sending_s.max(duration_s);
        let threads = self.cpu_total.iter().zip(&self.cpu_measured).enumerate();
        let mut report = Report {
            generator: concat!("loadgen ", env!("CARGO_PKG_VERSION")).to_owned(),
            started_unix_s,
            duration_s,
            requests: total.offered,
            answered: total.answered,
            abandoned: total.abandoned,
            offered_rate: open.then(|| rate(total.offered)),
            achieved_rate: if sending_s > 0.0 { total.started as f64 / sending_s } else { 0.0 },
            answered_rate: rate(self.answered),
            bytes_received: total.bytes_received,
            bytes_sent: total.bytes_sent,
            statuses: total.statuses(),
            errors: total.errors(),
            error_examples: total.examples(),
            connects: total.connects,
            reconnects: total.reconnects,
            latency: total.latency.summarise(),
            service: total.service.summarise(),
            send_lag: total.send_lag.summarise(),
            queue_wait: total.queue_wait.summarise(),
            connect: total.connect.summarise(),
            first_byte: total.first_byte.summarise(),
            tls: total.tls.summarise(),
            cpu_per_request_ns: (total.answered > 0)
                .then(|| self.cpu_total.iter().sum::<u64>() as f64 / total.answered as f64),
            floor: None,
            threads: threads
                .map(|(thread, (whole, measured))| ThreadReport {
                    cpu_s: seconds(*whole),
                    cpu_share: if duration_s > 0.0 { seconds(*measured) / duration_s } else { 0.0 },
                    pinned_to: setup.cpus.as_ref().map(|cpus| cpus[thread % cpus.len()]),
                })
                .collect(),
            targets: Vec::new(),
            intervals: self.intervals,
            setup,
            interrupted,
            validity: Vec::new(),
            assertions: Vec::new(),
        };
        report.validity = validity::reasons(&report);
        report
    }
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(answers: u64) -> Tally {
        let mut tally = Tally::new();
        for _ in 0..answers {
            tally.offered += 1;
            tally.started += 1;
            tally.answer(200, 1000, 500, 400);
        }
        tally
    }

    #[test]
    fn an_interval_is_complete_when_every_thread_has_delivered_or_ended() {
        let timeline = Timeline { start: 0, measured: 0, end: Some(20), interval: 10 };
        let mut collector = Collector::new(timeline, 2);
        let starts = |done: &[Interval]| done.iter().map(|i| i.start_s * 1e9).collect::<Vec<_>>();
        assert!(collector.add(0, (0, 10), false, &tally(1)).is_empty());
        assert!(collector.add(0, (10, 20), false, &tally(1)).is_empty());
        assert_eq!(starts(collector.add(1, (0, 10), false, &tally(2))), [0.0]);
        // Thread 1 ends inside its second interval.
        assert_eq!(starts(collector.add(1, (10, 13), true, &tally(3))), [10.0]);
        assert_eq!(collector.intervals[0].answered, 3);
        assert_eq!(collector.intervals[1].answered, 4);
        assert_eq!(starts(collector.add(0, (20, 25), true, &tally(5))), [20.0]);
        assert!(collector.intervals[2].drain);
        // What came in the drain is answered, but no part of the rates: 7 answers in 20 ns.
        assert_eq!((collector.total.answered, collector.answered), (12, 7));
    }

    #[test]
    fn the_warm_up_leaves_nothing_but_its_connections() {
        let timeline = Timeline { start: 0, measured: 10, end: Some(20), interval: 10 };
        let mut collector = Collector::new(timeline, 1);
        let mut warm = tally(3);
        warm.connects = 7;
        assert!(collector.add(0, (0, 10), false, &warm).is_empty());
        assert_eq!(collector.add(0, (10, 20), true, &tally(2)).len(), 1);
        assert_eq!((collector.total.answered, collector.total.connects), (2, 7));
        assert_eq!(collector.intervals[0].start_s, 0.0);
    }
}
