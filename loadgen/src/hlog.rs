//! Interval logs (`.hlog`), as HdrHistogram's own tools read them: a histogram per interval, tagged
//! by what it measures. Writes those of a report; reads any.
//!
//! Histograms stand in them deflated (`HISTFA…`): the Java tools do not read the plain form.

use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, IntervalLogWriterBuilder, LogEntry, Tag};
use hdrhistogram::serialization::{Deserializer, V2DeflateSerializer};

use crate::distribution::{DecodeError, Distribution};
use crate::measures::MEASURES;
use crate::plan::Shard;
use crate::report::Report;

/// What every tool looks for in the first line.
const VERSION: &str = "[Histogram log format version 1.3]";
/// The column of greatest values is for people, in milliseconds like everybody's.
const MAX_DIVISOR: f64 = 1e6;
/// Our own comments; other tools skip them.
const SHARD: &str = "#[loadgen shard: ";
const VALID: &str = "#[loadgen validity: valid]";
const INVALID: &str = "#[loadgen validity: INVALID, ";

/// Why an interval log could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum HlogError {
    /// A line is neither a comment nor an interval.
    #[error("line {line} is no line of an interval log")]
    Line {
        /// Counted from 1.
        line: usize,
    },
    /// A histogram could not be read.
    #[error(transparent)]
    Histogram(#[from] DecodeError),
    /// There is no interval in it.
    #[error("there is no interval in it")]
    Empty,
}

/// An interval log as read.
#[derive(Debug)]
pub(crate) struct Log {
    /// The part of a larger run that it is of, if it says so.
    pub(crate) shard: Option<Shard>,
    /// Why the run is INVALID, empty if it is not; `None` when the log does not say.
    pub(crate) validity: Option<Vec<String>>,
    pub(crate) entries: Vec<Entry>,
}

/// One histogram of it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) tag: String,
    /// Seconds since 1970.
    pub(crate) start_s: f64,
    pub(crate) duration_s: f64,
    /// Nanoseconds.
    pub(crate) histogram: Histogram<u64>,
}

impl Report {
    /// The intervals' distributions as an interval log, values in nanoseconds. Tags are those of
    /// [`MEASURES`]; an interval in which nothing was recorded has no line.
    ///
    /// # Errors
    /// When a stored histogram was damaged.
    pub fn hlog(&self) -> Result<String, HlogError> {
        let mut entries = Vec::new();
        for interval in &self.intervals {
            for measure in MEASURES {
                if let Some(times) = measure.within(interval).filter(|times| times.count > 0) {
                    entries.push(Entry {
                        tag: measure.key.to_owned(),
                        start_s: self.started_unix_s + interval.start_s,
                        duration_s: interval.duration_s,
                        histogram: times.histogram()?,
                    });
                }
            }
        }
        let interruption = self.interrupted.then(|| "the run was interrupted".to_owned());
        let validity = Some(interruption.into_iter().chain(self.validity.iter().cloned()).collect());
        Ok(write(&Log { shard: self.setup.shard, validity, entries }, self.started_unix_s))
    }
}

/// The log as text; times in it count from `base_s` (seconds since 1970).
pub(crate) fn write(log: &Log, base_s: f64) -> String {
    let mut text = Vec::new();
    let base = UNIX_EPOCH + seconds(base_s);
    let mut serializer = V2DeflateSerializer::new();
    let mut builder = IntervalLogWriterBuilder::new();
    builder.add_comment(VERSION);
    for comment in comments(log) {
        builder.add_comment(&comment[1..]);
    }
    builder.with_start_time(base).with_base_time(base).with_max_value_divisor(MAX_DIVISOR);
    // Writing a bounded histogram to memory cannot fail, whence the three `expect`s.
    let mut writer = builder.begin_log_with(&mut text, &mut serializer).expect("memory takes everything");
    for entry in &log.entries {
        let (start, duration) = (seconds(entry.start_s - base_s), seconds(entry.duration_s));
        let tag = Tag::new(&entry.tag);
        writer.write_histogram(&entry.histogram, start, duration, tag).expect("memory takes everything");
    }
    String::from_utf8(text).expect("the log is text")
}

fn comments(log: &Log) -> Vec<String> {
    let shard = log.shard.map(|shard| format!("{SHARD}{}/{}]", shard.index, shard.count));
    let validity = match &log.validity {
        None => Vec::new(),
        Some(reasons) if reasons.is_empty() => vec![VALID.to_owned()],
        Some(reasons) => reasons.iter().map(|reason| format!("{INVALID}{}]", reason.replace('\n', " "))).collect(),
    };
    shard.into_iter().chain(validity).collect()
}

/// Reads a log.
pub(crate) fn read(text: &str) -> Result<Log, HlogError> {
    let mut log = Log { shard: None, validity: None, entries: Vec::new() };
    for line in text.lines() {
        if let Some(shard) = line.strip_prefix(SHARD).and_then(|rest| rest.strip_suffix(']')) {
            log.shard = shard
                .split_once('/')
                .and_then(|(index, count)| Some(Shard { index: index.parse().ok()?, count: count.parse().ok()? }));
        } else if line == VALID {
            log.validity = Some(Vec::new());
        } else if let Some(reason) = line.strip_prefix(INVALID).and_then(|rest| rest.strip_suffix(']')) {
            log.validity.get_or_insert_default().push(reason.to_owned());
        }
    }
    let mut base = 0.0;
    for item in IntervalLogIterator::new(text.as_bytes()) {
        let entry =
            item.map_err(|hdrhistogram::serialization::interval_log::LogIteratorError::ParseError { offset }| {
                HlogError::Line { line: text[..offset].matches('\n').count() + 1 }
            })?;
        match entry {
            // Counting from the start without saying so is what old writers did; the base decides.
            LogEntry::StartTime(_) => {}
            LogEntry::BaseTime(since) => base = since.as_secs_f64(),
            LogEntry::Interval(interval) => {
                let bytes = STANDARD.decode(interval.encoded_histogram()).map_err(DecodeError::from)?;
                let histogram = Deserializer::new()
                    .deserialize(&mut bytes.as_slice())
                    .map_err(|error| DecodeError::Histogram(format!("{error:?}")))?;
                log.entries.push(Entry {
                    tag: interval.tag().map_or_else(String::new, |tag| tag.as_str().to_owned()),
                    start_s: base + interval.start_timestamp().as_secs_f64(),
                    duration_s: interval.duration().as_secs_f64(),
                    histogram,
                });
            }
        }
    }
    if log.entries.is_empty() { Err(HlogError::Empty) } else { Ok(log) }
}

impl Log {
    /// All histograms of a tag as one distribution.
    pub(crate) fn total(&self, tag: &str) -> Result<Distribution, HlogError> {
        let mut sum = Distribution::default().histogram()?;
        for entry in self.entries.iter().filter(|entry| entry.tag == tag) {
            sum.add(&entry.histogram).map_err(|error| DecodeError::Histogram(format!("{error:?}")))?;
        }
        Ok(Distribution::of(&sum, 0))
    }
}

/// A time that is negative only by rounding is 0.
fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value.max(0.0)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{interval, report};

    fn two_seconds() -> Report {
        let mut report = report();
        report.intervals =
            vec![interval(0.0, &[1_000_000, 2_000_000]), interval(1.0, &[]), interval(2.0, &[7_000_000; 3])];
        report
    }

    #[test]
    fn a_log_reads_back_as_it_was_written() {
        let mut report = two_seconds();
        report.setup.shard = Some(Shard { index: 1, count: 3 });
        let text = report.hlog().unwrap();
        assert!(text.starts_with("#[Histogram log format version 1.3]\n#[loadgen shard: 1/3]\n"), "{text}");
        assert!(text.contains("#[BaseTime: 1700000000.000 (seconds since epoch)]"), "{text}");
        assert!(text.contains("\nTag=latency,2.000,1.000,7.0"), "{text}");
        let log = read(&text).unwrap();
        assert_eq!((log.shard, log.validity.as_deref()), (report.setup.shard, Some(&[][..])));
        let starts: Vec<f64> = log.entries.iter().filter(|e| e.tag == "latency").map(|e| e.start_s).collect();
        assert_eq!(starts, [1.7e9, 1.7e9 + 2.0], "the empty second has no line");
        let whole = Distribution::merged(report.intervals.iter().map(|i| &i.latency)).unwrap();
        assert_eq!(log.total("latency").unwrap(), whole);
    }

    #[test]
    fn the_reasons_of_an_invalid_run_are_kept() {
        let mut report = two_seconds();
        report.validity = vec!["one".to_owned(), "two]".to_owned()];
        let log = read(&report.hlog().unwrap()).unwrap();
        assert_eq!(log.validity, Some(report.validity));
    }

    #[test]
    fn what_is_no_log_names_the_line() {
        assert!(matches!(read("#[x]\nTag=a,1.0\n"), Err(HlogError::Line { line: 2 })));
        assert!(matches!(read("#[x]\n"), Err(HlogError::Empty)));
        assert!(matches!(read("1.000,1.000,5.0,!!!!\n"), Err(HlogError::Histogram(_))));
    }
}
