//! What no single figure says: which system calls they are, and how the number of threads moves.

use super::format::number;
use super::metrics::linux_only;
use crate::contender::Tuning;
use crate::observe::sampler::Sample;
use crate::results::schema::{Entrant, Outcome, Run, Session};
use crate::scenario::onlooker::Count;
use crate::scenario::tune::Aim;
use crate::scenario::{Observation, Scenario};
use crate::search;

/// One line per contender of a scenario that has something to tell, from its first run that was measured.
pub(crate) fn of(scenario: Scenario, entrants: &[&Entrant], runs: &[Run]) -> Vec<String> {
    entrants
        .iter()
        .filter_map(|entrant| {
            let observation = runs
                .iter()
                .filter(|run| run.id.scenario == scenario && run.id.contender == entrant.name)
                .find_map(|run| match &run.outcome {
                    Outcome::Measured { observation, .. } => Some(observation),
                    Outcome::Failed { .. } => None,
                })?;
            Some(format!("{}: {}", entrant.title, note(observation)?))
        })
        .collect()
}

/// Who of `entrants` has no better setting for a scenario than the one that it comes with, and why.
pub(crate) fn unbeaten(scenario: Scenario, session: &Session, entrants: &[&Entrant], runs: &[Run]) -> Vec<String> {
    let choices = search::choices(&session.contenders, runs);
    let kept = entrants.iter().filter_map(|entrant| match &entrant.tuning {
        Some(Tuning::Nothing(reason)) => Some(format!("{} has nothing to tune: {reason}", entrant.title)),
        _ => {
            let choice = choices.iter().find(|c| c.of == entrant.name && Aim::of(scenario) == Some(c.aim))?;
            let kept = format!("{}: none of {} settings was better than the default", entrant.title, choice.among);
            (choice.best == entrant.name).then_some(kept)
        }
    });
    kept.collect()
}

/// What came of trying several settings, a line per contender.
pub(crate) fn settings(entrants: &[&Entrant], runs: &[Run]) -> Vec<String> {
    let entrants: Vec<Entrant> = entrants.iter().copied().cloned().collect();
    let nothing = entrants.iter().filter_map(|entrant| match &entrant.tuning {
        Some(Tuning::Nothing(reason)) => Some(format!("{}: nothing to tune: {reason}", entrant.title)),
        _ => None,
    });
    let title =
        |name: &str| entrants.iter().find(|e| e.name == name).map_or_else(|| name.to_owned(), |e| e.title.clone());
    let chosen = search::choices(&entrants, runs).into_iter().map(|choice| {
        let aim = match choice.aim {
            Aim::Throughput => "throughput",
            Aim::Step => "the step",
        };
        let best = if choice.best == choice.of { "the default".to_owned() } else { title(&choice.best) };
        format!("{}: best of {} settings for {aim}: {best}", title(&choice.of), choice.among)
    });
    nothing.chain(chosen).collect()
}

fn note(observation: &Observation) -> Option<String> {
    match observation {
        Observation::Syscalls(observed) => match &observed.names {
            Count::Counted(calls) => per_request(calls, observed.traced.load.answered),
            Count::NotCounted(_) => None,
        },
        Observation::Counters(seen) => {
            let signals = match &seen.step.signals {
                Count::Counted(signals) => format!(
                    "signals during the step: sent {}; raised by the kernel {}; delivered {}",
                    listed(&signals.sent),
                    listed(&signals.raised),
                    listed(&signals.delivered)
                ),
                Count::NotCounted(reason) => format!("signals were not counted: {reason}"),
            };
            let mine = linux_only(seen).map_or_else(
                |reason| reason,
                |names| match names.len() {
                    0 => "none was seen".into(),
                    _ => names.join(", "),
                },
            );
            Some(format!("{signals}; Linux-only interfaces: {mine}"))
        }
        Observation::Threads(threads) => Some(format!(
            "threads of the busiest process every half second, {} at rest; calls that compute: {}; calls that block: {}",
            threads.at_rest,
            course(&threads.computing.watch.samples),
            course(&threads.blocking.watch.samples)
        )),
        _ => None,
    }
}

/// Names with their numbers.
fn listed(counts: &std::collections::BTreeMap<String, u64>) -> String {
    match counts.is_empty() {
        true => "none".into(),
        false => counts.iter().map(|(name, count)| format!("{count} {name}")).collect::<Vec<_>>().join(", "),
    }
}

/// The calls that are made at least once in a hundred requests, the most frequent first.
fn per_request(calls: &std::collections::BTreeMap<String, u64>, answered: u64) -> Option<String> {
    if answered == 0 {
        return None;
    }
    let mut shares: Vec<(&String, f64)> = calls.iter().map(|(name, n)| (name, *n as f64 / answered as f64)).collect();
    shares.retain(|(_, share)| *share >= 0.01);
    shares.sort_by(|a, b| b.1.total_cmp(&a.1));
    let shares: Vec<String> = shares.iter().map(|(name, share)| format!("{name} {}", number(*share))).collect();
    Some(format!("{} per request under strace", shares.join(", ")))
}

/// The threads at every half second.
fn course(samples: &[Sample]) -> String {
    let end = samples.last().map_or(0.0, |sample| sample.at);
    let steps = (end / 0.5).floor() as usize;
    // The first look is a moment after the beginning.
    let before = |time: f64| samples.iter().rev().find(|sample| sample.at <= time).or(samples.first());
    let at = |time: f64| before(time).map_or(0, |sample| sample.most_threads);
    let threads: Vec<String> = (0..=steps).map(|step| at(step as f64 * 0.5).to_string()).collect();
    threads.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn rare_calls_are_left_out() {
        let calls = BTreeMap::from([("read".into(), 1000), ("write".into(), 1010), ("futex".into(), 3)]);
        assert_eq!(per_request(&calls, 1000).unwrap(), "write 1.01, read 1 per request under strace");
        assert_eq!(per_request(&calls, 0), None);
    }

    #[test]
    fn the_course_holds_the_last_sample_before_each_half_second() {
        let sample =
            |at, most_threads| Sample { at, processes: 1, serving: None, threads: 1, most_threads, pss_kib: None };
        let samples = [sample(0.001, 2), sample(0.4, 3), sample(0.6, 9), sample(1.01, 20)];
        assert_eq!(course(&samples), "2 3 9");
        assert_eq!(course(&[]), "0");
    }
}
