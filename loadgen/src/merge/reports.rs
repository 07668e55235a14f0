//! Joins JSON reports into the report of the whole run.

use std::collections::BTreeMap;

use super::parts::{MergeError, Name, Part, Tolerance, check};
use crate::distribution::{DecodeError, Distribution};
use crate::floor::Floor;
use crate::measures::MEASURES;
use crate::plan::{Load, Stop};
use crate::report::{Interval, Report, RequestReport, Setup};
use crate::validity;

/// The report of the whole run, of those of its shards; each comes with the name of its file.
///
/// Histograms, counts and rates are added. The measured time is that of the longest shard, and begins
/// with the first one; intervals are joined with those that began closest to them.
///
/// # Errors
/// What speaks against joining them, see [`MergeError`].
pub fn merge_reports(parts: &[(String, Report)], tolerance: Tolerance) -> Result<Report, MergeError> {
    check(&parts.iter().map(|(file, report)| part(file, report)).collect::<Vec<_>>(), tolerance)?;
    let [(file, first), others @ ..] = parts else { return Err(MergeError::Nothing) };
    for (other_file, other) in others {
        if let Some(field) = difference(&first.setup, &other.setup) {
            return Err(MergeError::Plan { name: name(other_file, other), other: name(file, first), field });
        }
    }
    let reports: Vec<&Report> = parts.iter().map(|(_, report)| report).collect();
    join(&reports)
        .map_err(|(place, source)| MergeError::Histogram { name: name(&parts[place].0, reports[place]), source })
}

fn name(file: &str, report: &Report) -> Name {
    Name { file: file.to_owned(), shard: report.setup.shard }
}

fn part(file: &str, report: &Report) -> Part {
    Part {
        name: name(file, report),
        validity: Some(report.validity.clone()),
        interrupted: report.interrupted,
        start_s: report.started_unix_s,
        end_s: report.started_unix_s + report.duration_s,
    }
}

/// The first field in which two setups differ that shards have in common.
fn difference(a: &Setup, b: &Setup) -> Option<&'static str> {
    let rows = [
        ("target", a.target == b.target),
        ("engine", a.engine == b.engine),
        ("method", a.method == b.method),
        ("headers", a.headers == b.headers),
        ("body_bytes", a.body_bytes == b.body_bytes),
        ("order", a.order == b.order),
        ("load", same_load(&a.load, &b.load)),
        ("reuse", a.reuse == b.reuse),
        ("timeout_s", a.timeout_s == b.timeout_s),
        ("connect_timeout_s", a.connect_timeout_s == b.connect_timeout_s),
        ("pipeline", a.pipeline == b.pipeline),
        ("think_time_s", a.think_time_s == b.think_time_s),
        ("requests_per_connection", a.requests_per_connection == b.requests_per_connection),
        ("interval_s", a.interval_s == b.interval_s),
    ];
    rows.into_iter().find(|(_, same)| !same).map(|(field, _)| field)
}

/// Alike but for what belongs to a shard: its seed, its part of a number of requests.
fn same_load(a: &Load, b: &Load) -> bool {
    match (a, b) {
        (Load::Closed { stop: Stop::Requests(_) }, Load::Closed { stop: Stop::Requests(_) }) => true,
        (Load::Open { stages, arrivals, .. }, Load::Open { stages: others, arrivals: other, .. }) => {
            (stages, arrivals) == (others, other)
        }
        (a, b) => a == b,
    }
}

/// On an error, the place of the report at fault comes with it.
fn join(reports: &[&Report]) -> Result<Report, (usize, DecodeError)> {
    let began = reports.iter().map(|report| report.started_unix_s).fold(f64::INFINITY, f64::min);
    let sum = |of: fn(&Report) -> u64| reports.iter().map(|report| of(report)).sum::<u64>();
    let sum_rates = |of: fn(&Report) -> f64| reports.iter().map(|report| of(report)).sum::<f64>();
    let mut whole = Report {
        setup: setup(reports),
        started_unix_s: began,
        duration_s: reports.iter().map(|report| report.duration_s).fold(0.0, f64::max),
        requests: sum(|r| r.requests),
        answered: sum(|r| r.answered),
        abandoned: sum(|r| r.abandoned),
        offered_rate: reports.iter().map(|report| report.offered_rate).sum(),
        achieved_rate: sum_rates(|r| r.achieved_rate),
        answered_rate: sum_rates(|r| r.answered_rate),
        bytes_received: sum(|r| r.bytes_received),
        bytes_sent: sum(|r| r.bytes_sent),
        statuses: added(reports.iter().map(|report| &report.statuses)),
        errors: added(reports.iter().map(|report| &report.errors)),
        error_examples: reports.iter().rev().flat_map(|report| report.error_examples.clone()).collect(),
        connects: sum(|r| r.connects),
        reconnects: sum(|r| r.reconnects),
        intervals: intervals(reports, began)?,
        threads: reports.iter().flat_map(|report| report.threads.clone()).collect(),
        targets: targets(reports),
        floor: reports.iter().filter_map(|report| report.floor.clone()).reduce(Floor::costlier),
        // What each of them was held to says nothing of the whole.
        assertions: Vec::new(),
        ..reports[0].clone()
    };
    for measure in MEASURES {
        *measure.of_mut(&mut whole) = merged(reports.iter().map(|report| measure.of(report)).enumerate())?;
    }
    let cpu_s: f64 = whole.threads.iter().map(|thread| thread.cpu_s).sum();
    whole.cpu_per_request_ns = (whole.answered > 0).then(|| cpu_s * 1e9 / whole.answered as f64);
    whole.validity = validity::reasons(&whole);
    Ok(whole)
}

/// The counts of a list's requests; the list is the same in all. Only the runs' own reports have the latency of each.
fn targets(reports: &[&Report]) -> Vec<RequestReport> {
    let mut whole = reports[0].targets.clone();
    if reports.len() > 1 {
        whole.iter_mut().for_each(|target| target.latency = None);
    }
    for report in &reports[1..] {
        for (sum, target) in whole.iter_mut().zip(&report.targets) {
            sum.requests += target.requests;
            sum.answered += target.answered;
            sum.errors += target.errors;
        }
    }
    whole
}

/// That of the run which the shards were parts of.
fn setup(reports: &[&Report]) -> Setup {
    let setups = || reports.iter().map(|report| &report.setup);
    let mut setup = reports[0].setup.clone();
    setup.connections = setups().map(|setup| setup.connections).sum();
    setup.threads = setups().map(|setup| setup.threads).sum();
    // CPUs of several machines are no list.
    setup.cpus = setup.cpus.filter(|_| reports.len() == 1);
    let mut addresses: Vec<&str> = setups().map(|setup| setup.address.as_str()).collect();
    addresses.dedup();
    setup.address = addresses.join(", ");
    if setup.shard.take().is_none() && reports.len() > 1 {
        // Runs of their own have loads of their own; a shard's load is the whole one.
        if let Load::Open { stages, .. } = &mut setup.load {
            for stage in stages {
                stage.rate *= reports.len() as f64;
                stage.to = stage.to.map(|rate| rate * reports.len() as f64);
            }
        }
    }
    setup
}

fn added<'a, K: Ord + Copy + 'a>(counts: impl Iterator<Item = &'a BTreeMap<K, u64>>) -> BTreeMap<K, u64> {
    let mut sum = BTreeMap::new();
    for (key, count) in counts.flatten() {
        *sum.entry(*key).or_default() += count;
    }
    sum
}

fn merged<'a>(parts: impl Iterator<Item = (usize, &'a Distribution)>) -> Result<Distribution, (usize, DecodeError)> {
    let parts: Vec<_> = parts.collect();
    Distribution::merged(parts.iter().map(|(_, times)| *times)).map_err(|error| {
        // Only one of them is damaged, as a rule; say which.
        let place = parts.iter().find(|(_, times)| times.histogram().is_err()).map_or(0, |(place, _)| *place);
        (place, error)
    })
}

/// An interval, with the place of its report and the number of its report's first thread.
type Member<'a> = (usize, usize, &'a Interval);

/// Intervals of all shards, those together that began closest to one another.
fn intervals(reports: &[&Report], began: f64) -> Result<Vec<Interval>, (usize, DecodeError)> {
    let length = reports[0].setup.interval_s;
    let threads: usize = reports.iter().map(|report| report.threads.len()).sum();
    // By (drain, number of the interval): the drain has a grid of its own.
    let mut groups: BTreeMap<(bool, i64), Vec<Member<'_>>> = BTreeMap::new();
    let mut first_thread = 0;
    for (place, report) in reports.iter().enumerate() {
        let shift = report.started_unix_s - began;
        for interval in &report.intervals {
            let number = ((interval.start_s + shift) / length).round() as i64;
            groups.entry((interval.drain, number)).or_default().push((place, first_thread, interval));
        }
        first_thread += report.threads.len();
    }
    groups.into_values().map(|group| joined(&group, threads, reports, began)).collect()
}

fn joined(
    group: &[Member<'_>],
    threads: usize,
    reports: &[&Report],
    began: f64,
) -> Result<Interval, (usize, DecodeError)> {
    let each = || group.iter().map(|(_, _, interval)| *interval);
    let start = |(place, _, interval): &Member<'_>| interval.start_s + (reports[*place].started_unix_s - began);
    let sum = |of: fn(&Interval) -> u64| each().map(of).sum::<u64>();
    let duration_s = each().map(|interval| interval.duration_s).fold(0.0, f64::max);
    let mut thread_cpu = vec![0.0; threads];
    for (_, first, interval) in group {
        for (place, cpu) in interval.thread_cpu.iter().enumerate() {
            if let Some(slot) = thread_cpu.get_mut(first + place) {
                *slot += cpu;
            }
        }
    }
    let mut whole = Interval {
        start_s: group.iter().map(start).fold(f64::INFINITY, f64::min),
        duration_s,
        offered: sum(|i| i.offered),
        offered_rate: sum(|i| i.offered) as f64 / duration_s,
        started: sum(|i| i.started),
        answered: sum(|i| i.answered),
        answered_rate: sum(|i| i.answered) as f64 / duration_s,
        queued: sum(|i| i.queued),
        in_flight: sum(|i| i.in_flight),
        connections: sum(|i| i.connections),
        statuses: added(each().map(|interval| &interval.statuses)),
        errors: added(each().map(|interval| &interval.errors)),
        connects: sum(|i| i.connects),
        reconnects: sum(|i| i.reconnects),
        thread_cpu,
        ..group[0].2.clone()
    };
    for measure in MEASURES {
        if let Some(slot) = measure.within_mut(&mut whole) {
            let parts = group.iter().filter_map(|(place, _, interval)| Some((*place, measure.within(interval)?)));
            *slot = merged(parts)?;
        }
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Engine, Transport};
    use crate::error::ErrorKind;
    use crate::plan::Shard;
    use crate::report::tests::{interval, report};

    /// A shard with a latency per second.
    fn shard(index: u32, started: f64, latencies_ms: [u64; 10]) -> (String, Report) {
        let mut report = report();
        let nanos = latencies_ms.map(|ms| ms * 1_000_000);
        report.setup.shard = Some(Shard { index, count: 2 });
        report.started_unix_s = started;
        report.intervals = (0..).zip(nanos).map(|(second, nanos)| interval(f64::from(second), &[nanos; 50])).collect();
        report.latency = Distribution::merged(report.intervals.iter().map(|i| &i.latency)).unwrap();
        (format!("{index}.json"), report)
    }

    #[test]
    fn shards_add_up() {
        let parts = [shard(0, 1000.0, [1; 10]), shard(1, 1000.2, [9; 10])];
        let whole = merge_reports(&parts, Tolerance::default()).unwrap();
        assert_eq!((whole.requests, whole.answered, whole.connects), (2000, 2000, 10));
        assert_eq!((whole.offered_rate, whole.setup.connections, whole.setup.shard), (Some(200.0), 128, None));
        assert_eq!(whole.errors_of(ErrorKind::Status5xx), 4);
        assert_eq!(whole.latency.count, 1000);
        assert!(whole.latency.p50_ns < 2_000_000 && whole.latency.p75_ns > 8_000_000, "no mean of percentiles");
        assert_eq!(whole.intervals.len(), 10);
        assert_eq!((whole.intervals[3].start_s, whole.intervals[3].answered), (3.0, 100));
        assert_eq!(whole.intervals[3].thread_cpu, [0.1, 0.1]);
        assert_eq!(Distribution::merged(whole.intervals.iter().map(|i| &i.latency)).unwrap(), whole.latency);
        assert_eq!(whole.duration_s, 10.0);
        // A second of CPU each, for all their answers.
        assert_eq!(whole.cpu_per_request_ns, Some(1e6));
        assert!(whole.is_valid());
    }

    #[test]
    fn shards_of_different_plans_are_refused() {
        let (a, mut b) = (shard(0, 1000.0, [1; 10]), shard(1, 1000.0, [1; 10]));
        b.1.setup.target = "http://other/".to_owned();
        let error = merge_reports(&[a.clone(), b.clone()], Tolerance::default()).unwrap_err();
        assert_eq!(error.to_string(), "1.json (shard 1/2) ran another plan than 0.json (shard 0/2): target differs");
        b.1.setup.target = a.1.setup.target.clone();
        b.1.setup.engine = Engine::Reqwest(Transport::default());
        let error = merge_reports(&[a.clone(), b.clone()], Tolerance::default()).unwrap_err();
        assert!(error.to_string().ends_with("engine differs"), "{error}");
        b.1.setup.engine = Engine::Fast;
        // Every shard draws its own arrivals.
        if let Load::Open { seed, .. } = &mut b.1.setup.load {
            *seed += 1;
        }
        assert!(merge_reports(&[a, b], Tolerance::default()).is_ok());
    }

    #[test]
    fn a_damaged_histogram_names_its_shard() {
        let (a, mut b) = (shard(0, 1000.0, [1; 10]), shard(1, 1000.0, [1; 10]));
        b.1.latency.hdr = "AAAA".to_owned();
        let error = merge_reports(&[a, b], Tolerance::default()).unwrap_err();
        assert!(error.to_string().starts_with("1.json (shard 1/2): "), "{error}");
    }
}
