//! Joins interval logs into one, line by line; a reader adds the lines of a tag up.

use super::parts::{MergeError, Name, Part, Tolerance, check};
use crate::distribution::Distribution;
use crate::hlog::{self, HlogError, Log};

/// The log of the whole run.
#[derive(Debug)]
pub struct MergedLog {
    log: Log,
    base_s: f64,
}

/// Joins interval logs, each with the name of its file.
///
/// # Errors
/// What speaks against joining them, see [`MergeError`].
pub fn merge_logs(parts: &[(String, String)], tolerance: Tolerance) -> Result<MergedLog, MergeError> {
    let mut logs = Vec::with_capacity(parts.len());
    for (file, text) in parts {
        let name = Name { file: file.clone(), shard: None };
        logs.push((file, hlog::read(text).map_err(|source| MergeError::Log { name, source })?));
    }
    check(&logs.iter().map(|(file, log)| part(file, log)).collect::<Vec<_>>(), tolerance)?;
    let mut entries: Vec<_> = logs.into_iter().flat_map(|(_, log)| log.entries).collect();
    // Readers expect them in the order of time.
    entries.sort_by(|a, b| a.start_s.total_cmp(&b.start_s));
    let base_s = entries.first().map_or(0.0, |entry| entry.start_s);
    Ok(MergedLog { log: Log { shard: None, validity: Some(Vec::new()), entries }, base_s })
}

fn part(file: &str, log: &Log) -> Part {
    let times = || log.entries.iter().map(|entry| (entry.start_s, entry.start_s + entry.duration_s));
    Part {
        name: Name { file: file.to_owned(), shard: log.shard },
        validity: log.validity.clone(),
        // That is among the reasons.
        interrupted: false,
        start_s: times().map(|time| time.0).fold(f64::INFINITY, f64::min),
        end_s: times().map(|time| time.1).fold(f64::NEG_INFINITY, f64::max),
    }
}

impl MergedLog {
    /// As an interval log.
    #[must_use]
    pub fn hlog(&self) -> String {
        hlog::write(&self.log, self.base_s)
    }

    /// The distribution of everything with this tag, see [`MEASURES`](crate::MEASURES).
    ///
    /// # Errors
    /// When histograms do not fit together.
    pub fn total(&self, tag: &str) -> Result<Distribution, HlogError> {
        self.log.total(tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Shard;
    use crate::report::tests::{interval, report};

    fn log(index: u32, started: f64, nanos: u64) -> (String, String) {
        let mut report = report();
        report.setup.shard = Some(Shard { index, count: 2 });
        report.started_unix_s = started;
        report.intervals = (0..10).map(|second| interval(f64::from(second), &[nanos; 5])).collect();
        (format!("{index}.hlog"), report.hlog().unwrap())
    }

    #[test]
    fn logs_of_all_shards_become_one() {
        let parts = [log(1, 1000.25, 8_000_000), log(0, 1000.0, 2_000_000)];
        let merged = merge_logs(&parts, Tolerance::default()).unwrap();
        assert_eq!(merged.total("latency").unwrap().count, 100);
        let read = hlog::read(&merged.hlog()).unwrap();
        // Two shards, ten seconds, three distributions of answers.
        assert_eq!((read.shard, read.entries.len()), (None, 60));
        assert!(read.entries.windows(2).all(|pair| pair[0].start_s <= pair[1].start_s));
        assert_eq!(read.entries[0].start_s, 1000.0);
    }

    #[test]
    fn a_log_that_does_not_fit_is_named() {
        let late = [log(0, 1000.0, 1_000_000), log(1, 1005.0, 1_000_000)];
        let error = merge_logs(&late, Tolerance::default()).unwrap_err().to_string();
        assert!(error.contains("1.hlog (shard 1/2) had only 50.0 %"), "{error}");
        let foreign = [("x.hlog".to_owned(), "#[y]\n".to_owned())];
        let error = merge_logs(&foreign, Tolerance::default()).unwrap_err().to_string();
        assert_eq!(error, "x.hlog: there is no interval in it");
    }
}
