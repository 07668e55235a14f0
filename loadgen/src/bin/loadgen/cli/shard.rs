//! The options of a run that is divided over several processes: which part this one is, and when all of them start.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use loadgen::{Shard, parse_duration};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// As typed.
#[derive(Debug, Args)]
#[command(next_help_heading = "Several machines")]
pub(super) struct ShardOptions {
    /// Send only this part of the load, connections and requests: INDEX/COUNT, counted from 0. auto/COUNT takes the index
    /// from the scheduler (Kubernetes, Nomad), auto the count as well (Slurm, AWS Batch).
    #[arg(long, value_name = "INDEX/COUNT", conflicts_with = "find_capacity", value_parser = |text: &str| shard(text, &|name| std::env::var(name).ok()))]
    pub(super) shard: Option<Shard>,

    /// Start at this time, the same for every shard: 2026-05-01T12:00:00Z, seconds since 1970, or +30s from now.
    #[arg(long, value_name = "TIME", conflicts_with = "find_capacity", value_parser = |text: &str| moment(text, SystemTime::now()))]
    pub(super) start_at: Option<SystemTime>,
}

/// Variables of a scheduler that runs a job several times.
struct Scheduler {
    name: &'static str,
    index: &'static str,
    count: Option<&'static str>,
    /// The first index and the distance between two, where they can be chosen.
    first: Option<&'static str>,
    step: Option<&'static str>,
}

/// Where to look, in this order. Kubernetes and Nomad tell a process its index and not how many there are.
const SCHEDULERS: [Scheduler; 4] = [
    Scheduler {
        name: "Slurm",
        index: "SLURM_ARRAY_TASK_ID",
        count: Some("SLURM_ARRAY_TASK_COUNT"),
        first: Some("SLURM_ARRAY_TASK_MIN"),
        step: Some("SLURM_ARRAY_TASK_STEP"),
    },
    Scheduler {
        name: "AWS Batch",
        index: "AWS_BATCH_JOB_ARRAY_INDEX",
        count: Some("AWS_BATCH_JOB_ARRAY_SIZE"),
        first: None,
        step: None,
    },
    Scheduler { name: "Kubernetes", index: "JOB_COMPLETION_INDEX", count: None, first: None, step: None },
    Scheduler { name: "Nomad", index: "NOMAD_ALLOC_INDEX", count: None, first: None, step: None },
];

/// The shard that `text` means, where `variable` gives those of the environment.
fn shard(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<Shard, String> {
    let given = match text.strip_prefix("auto") {
        None => return text.parse().map_err(|e: loadgen::ShardError| e.to_string()),
        Some("") => None,
        Some(rest) => {
            let count = rest.strip_prefix('/').and_then(|count| count.parse().ok());
            Some(count.ok_or_else(|| format!("{text:?} is no shard; write auto, auto/COUNT or INDEX/COUNT"))?)
        }
    };
    let found = SCHEDULERS.iter().find(|scheduler| variable(scheduler.index).is_some());
    let Some(scheduler) = found else {
        let names: Vec<&str> = SCHEDULERS.iter().map(|scheduler| scheduler.index).collect();
        return Err(format!("none of {} is set; write INDEX/COUNT", names.join(", ")));
    };
    let number = |name: &str| match variable(name) {
        None => Ok(None),
        Some(value) => value.parse::<u32>().map(Some).map_err(|_| format!("{name}={value} is no number")),
    };
    let of = |name: Option<&str>| name.map_or(Ok(None), number);
    let (first, step) = (of(scheduler.first)?.unwrap_or(0), of(scheduler.step)?.unwrap_or(1).max(1));
    let id = number(scheduler.index)?.unwrap_or(0);
    let count = match (given, of(scheduler.count)?) {
        (Some(given), _) => given,
        (None, Some(told)) => told,
        (None, None) => return Err(format!("{} does not say how many there are; write auto/COUNT", scheduler.name)),
    };
    let offset = id.checked_sub(first).filter(|offset| offset % step == 0).map(|offset| offset / step);
    match offset.map(|index| Shard { index, count }).filter(|shard| shard.is_one()) {
        Some(shard) => Ok(shard),
        None => Err(format!(
            "{}={id} is none of {count} shards; they must be a row without gaps{}",
            scheduler.index,
            if scheduler.first.is_some() { ", such as --array=0-2" } else { " from 0 on" }
        )),
    }
}

/// The moment that `text` means at `now`.
fn moment(text: &str, now: SystemTime) -> Result<SystemTime, String> {
    let wrong = || format!("{text:?} is no time; write 2026-05-01T12:00:00Z, seconds since 1970, or +30s");
    if let Some(wait) = text.strip_prefix('+') {
        return parse_duration(wait).map(|wait| now + wait).map_err(|_| wrong());
    }
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        return seconds.and_then(|since| UNIX_EPOCH.checked_add(since)).ok_or_else(wrong);
    }
    OffsetDateTime::parse(text, &Rfc3339).map(SystemTime::from).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedulers_say_which_shard_it_is() {
        // As typed, the environment, the shard or a part of the message.
        type Row = (&'static str, &'static [(&'static str, &'static str)], Result<(u32, u32), &'static str>);
        let slurm: &[_] =
            &[("SLURM_ARRAY_TASK_ID", "5"), ("SLURM_ARRAY_TASK_COUNT", "3"), ("SLURM_ARRAY_TASK_MIN", "4")];
        let stepping: &[_] = &[
            ("SLURM_ARRAY_TASK_ID", "7"),
            ("SLURM_ARRAY_TASK_COUNT", "4"),
            ("SLURM_ARRAY_TASK_MIN", "1"),
            ("SLURM_ARRAY_TASK_STEP", "2"),
        ];
        let gaps: &[_] = &[
            ("SLURM_ARRAY_TASK_ID", "9"),
            ("SLURM_ARRAY_TASK_COUNT", "3"),
            ("SLURM_ARRAY_TASK_MIN", "1"),
            ("SLURM_ARRAY_TASK_STEP", "1"),
        ];
        let kubernetes: &[_] = &[("JOB_COMPLETION_INDEX", "2")];
        let batch: &[_] = &[("AWS_BATCH_JOB_ARRAY_INDEX", "1"), ("AWS_BATCH_JOB_ARRAY_SIZE", "8")];
        let rows: [Row; 13] = [
            ("1/3", kubernetes, Ok((1, 3))),
            ("auto", slurm, Ok((1, 3))),
            ("auto", stepping, Ok((3, 4))),
            ("auto", gaps, Err("without gaps, such as --array=0-2")),
            ("auto/3", kubernetes, Ok((2, 3))),
            ("auto", kubernetes, Err("Kubernetes does not say how many there are; write auto/COUNT")),
            ("auto/2", kubernetes, Err("JOB_COMPLETION_INDEX=2 is none of 2 shards")),
            ("auto/4", &[("NOMAD_ALLOC_INDEX", "3")], Ok((3, 4))),
            ("auto", batch, Ok((1, 8))),
            ("auto", &[], Err("none of SLURM_ARRAY_TASK_ID, AWS_BATCH_JOB_ARRAY_INDEX")),
            ("auto/x", kubernetes, Err("is no shard")),
            ("auto/3", &[("JOB_COMPLETION_INDEX", "x")], Err("JOB_COMPLETION_INDEX=x is no number")),
            ("3/3", &[], Err("counted from 0")),
        ];
        for (text, environment, expected) in rows {
            let variable = |name: &str| environment.iter().find(|(own, _)| *own == name).map(|(_, v)| (*v).to_owned());
            match (shard(text, &variable), expected) {
                (Ok(shard), Ok((index, count))) => assert_eq!(shard, Shard { index, count }, "{text}"),
                (Err(error), Err(part)) => assert!(error.contains(part), "{text}: {error}"),
                (got, expected) => panic!("{text} {environment:?}: {got:?}, not {expected:?}"),
            }
        }
    }

    #[test]
    fn moments() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000);
        let rows = [
            ("+30s", Some(1_030_000)),
            ("+1m30s", Some(1_090_000)),
            ("5000", Some(5_000_000)),
            ("5000.25", Some(5_000_250)),
            ("1970-01-01T00:00:10Z", Some(10_000)),
            ("1970-01-01T01:00:10.5+01:00", Some(10_500)),
            ("", None),
            ("+", None),
            ("tomorrow", None),
            ("12:00", None),
            ("1970-01-01T00:00:10", None),
            ("1.2.3", None),
            ("-5", None),
        ];
        for (text, millis) in rows {
            let expected = millis.map(|millis| UNIX_EPOCH + Duration::from_millis(millis));
            assert_eq!(moment(text, now).ok(), expected, "{text}");
        }
    }
}
