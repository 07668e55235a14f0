//! Which of many settings are worth measuring beside the others: each is started once, and the best go on. There are the
//! fixed sizes of `search`, and what `[tuning]` of any contender's file has for `tune`.
//!
//! Pure: `session` makes the runs, and `report` shows the same choice from the results. What the first pass found is in
//! the results, but no target is judged by it: whoever goes on is started and measured anew, so that luck in the first
//! pass is worth nothing.

use crate::contender::{Contender, Tuning};
use crate::results::schema::{Entrant, Outcome, Run};
use crate::scenario::tune::Aim;
use crate::scenario::{Observation, Scenario, mixed, tune};

/// The contender file that stands for all sizes; its members' names begin with this.
pub(crate) const GRID: &str = "smarthttpd-sized";

/// The contenders, with every size in the place of the file that stands for them and, where the best settings are
/// looked for, each with those that are tried behind it.
pub(crate) fn expanded(contenders: &[Contender], settings: &mixed::Settings, tries: Tries) -> Vec<Contender> {
    let mut all = Vec::new();
    for contender in contenders {
        if !contender.grid {
            all.push(contender.clone());
            all.extend(match tries {
                Tries::None => Vec::new(),
                Tries::Few => contender.candidates(true),
                Tries::All => contender.candidates(false),
            });
            continue;
        }
        for workers in &settings.workers {
            all.extend(settings.threads.iter().map(|threads| contender.sized(*workers, *threads)));
        }
    }
    all
}

/// How many settings of each contender are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tries {
    None,
    Few,
    All,
}

impl Tries {
    pub(crate) fn of(scenarios: &[Scenario], quick: bool) -> Self {
        match (scenarios.contains(&Scenario::Tune), quick) {
            (false, _) => Self::None,
            (true, true) => Self::Few,
            (true, false) => Self::All,
        }
    }
}

/// The best setting of a contender for an aim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Choice {
    /// The contender's name.
    pub(crate) of: String,
    pub(crate) aim: Aim,
    /// The name of the best, which may be the contender as it comes.
    pub(crate) best: String,
    /// Among how many that were measured.
    pub(crate) among: usize,
}

/// The best setting of each contender of which some were tried, for each aim, by the same objective for all: the fewest
/// errors, and among equals the most requests per second or the shortest p99.
pub(crate) fn choices(entrants: &[Entrant], runs: &[Run]) -> Vec<Choice> {
    let bases = entrants.iter().filter(|entrant| entrant.tuning == Some(Tuning::Default));
    bases.flat_map(|base| Aim::ALL.into_iter().filter_map(|aim| choice(base, entrants, runs, aim))).collect()
}

fn choice(base: &Entrant, entrants: &[Entrant], runs: &[Run], aim: Aim) -> Option<Choice> {
    let is_its = |entrant: &&Entrant| match &entrant.tuning {
        Some(Tuning::Tried { of, .. }) => *of == base.name,
        _ => entrant.name == base.name,
    };
    let found = entrants.iter().filter(is_its).filter_map(|entrant| {
        let run = runs.iter().find(|run| run.id.scenario == Scenario::Tune && run.id.contender == entrant.name)?;
        let Outcome::Measured { observation: Observation::Tune(tune), .. } = &run.outcome else { return None };
        let (errors, badness) = standing(tune, aim)?;
        Some((entrant.name.clone(), errors, badness))
    });
    let found: Vec<_> = found.collect();
    let among = found.len();
    let best = ranked(found, 1).pop()?;
    Some(Choice { of: base.name.clone(), aim, best, among })
}

/// Errors, and a number that is the lower the better; `None` where nothing was answered.
fn standing(tune: &tune::Observation, aim: Aim) -> Option<(u64, u64)> {
    let watched = match aim {
        Aim::Throughput => &tune.closed,
        Aim::Step => &tune.step,
    };
    let load = &watched.load;
    if load.latency.count == 0 {
        return None;
    }
    let badness = match aim {
        // The mean time between two answers.
        Aim::Throughput => (1e12 / load.answered_rate.max(1e-3)) as u64,
        Aim::Step => load.latency.p99_ns,
    };
    Some((load.errors_total(), badness))
}

/// Has the settings that were chosen take part in what they were chosen for, as far as `scenarios` has it and the
/// contender that they are of takes part.
pub(crate) fn admit(choices: &[Choice], scenarios: &[Scenario], contenders: &mut [Contender]) {
    for choice in choices.iter().filter(|choice| choice.best != choice.of) {
        let Some(base) = contenders.iter().find(|contender| contender.name == choice.of) else { continue };
        let for_them =
            |scenario: &&Scenario| Aim::of(**scenario) == Some(choice.aim) && base.scenarios.contains(scenario);
        let admitted: Vec<Scenario> = scenarios.iter().filter(for_them).copied().collect();
        if let Some(best) = contenders.iter_mut().find(|contender| contender.name == choice.best) {
            best.scenarios.extend(admitted);
        }
    }
}

/// Whether it is one of the sizes.
pub(crate) fn is_sized(contender: &Contender) -> bool {
    contender.name.starts_with(GRID)
}

/// Whether it is one of the sizes, and not one of the `best`.
pub(crate) fn is_beaten(entrant: &Entrant, best: &[String]) -> bool {
    entrant.name.starts_with(GRID) && !best.contains(&entrant.name)
}

/// The names of the `count` best of the search, the best first.
pub(crate) fn best(runs: &[Run], count: usize) -> Vec<String> {
    let found = runs.iter().filter_map(|run| match &run.outcome {
        Outcome::Measured { observation: Observation::Search(mixed), .. } => {
            Some((run.id.contender.clone(), failures(mixed), p99_ns(mixed)?))
        }
        _ => None,
    });
    ranked(found.collect(), count)
}

/// The fewest failures first, and among equals the shortest p99.
fn ranked(mut found: Vec<(String, u64, u64)>, count: usize) -> Vec<String> {
    found.sort_by_key(|(_, failures, p99)| (*failures, *p99));
    found.into_iter().take(count).map(|(name, ..)| name).collect()
}

fn failures(mixed: &mixed::Observation) -> u64 {
    mixed.short.load.errors_total() + mixed.blocking.load.errors_total()
}

/// Of both kinds of calls together. Whether the quantile has enough answers beyond it does not matter for a ranking.
fn p99_ns(mixed: &mixed::Observation) -> Option<u64> {
    let merged = mixed.latency().ok()?;
    if merged.count == 0 {
        return None;
    }
    Some(merged.histogram().ok()?.value_at_quantile(0.99))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contender::spec;
    use crate::scenario::Lengths;

    #[test]
    fn sizes_take_the_place_of_their_grid() {
        let all = spec::all().unwrap();
        let settings = Lengths::of(false).process_manager.mixed;
        let expanded = expanded(&all, &settings, Tries::None);
        assert_eq!(expanded.len(), all.len() - 1 + settings.workers.len() * settings.threads.len());
        assert!(expanded.iter().all(|contender| !contender.grid));
        assert!(expanded.iter().any(|contender| contender.name == format!("{GRID}-3x32")));
        assert_eq!(all.iter().filter(|contender| is_sized(contender)).map(|c| c.grid).collect::<Vec<_>>(), [true]);
    }

    #[test]
    fn settings_follow_their_contender_when_they_are_looked_for() {
        let all = spec::all().unwrap();
        let settings = Lengths::of(false).process_manager.mixed;
        assert_eq!(Tries::of(&[Scenario::Steady], false), Tries::None);
        let tries = Tries::of(&[Scenario::Steady, Scenario::Tune], true);
        let few = expanded(&all, &settings, tries);
        let place = few.iter().position(|contender| contender.name == "gunicorn-gthread").unwrap();
        assert!(few[place + 1].name.starts_with("gunicorn-gthread-threads-"), "{}", few[place + 1].name);
        assert!(expanded(&all, &settings, Tries::All).len() > few.len());
    }

    #[test]
    fn the_best_take_part_in_what_they_are_best_for() {
        let all = spec::chosen(&["gunicorn-gthread".into()], &[Scenario::Steady]).unwrap();
        let mut contenders = expanded(&all, &Lengths::of(false).process_manager.mixed, Tries::Few);
        let (base, one, two) = (contenders[0].name.clone(), contenders[1].name.clone(), contenders[2].name.clone());
        let choice = |aim, best: &str| Choice { of: base.clone(), aim, best: best.to_owned(), among: 5 };
        let wanted = [Scenario::Steady, Scenario::Step, Scenario::Curve, Scenario::Tune, Scenario::Mixed];
        admit(&[choice(Aim::Throughput, &one), choice(Aim::Step, &two)], &wanted, &mut contenders);
        assert_eq!(contenders[1].scenarios, [Scenario::Tune, Scenario::Steady, Scenario::Curve]);
        assert_eq!(contenders[2].scenarios, [Scenario::Tune, Scenario::Step]);
        assert_eq!(contenders[3].scenarios, [Scenario::Tune]);
        // Where nothing is better than the default, nobody is measured beside it.
        let before: Vec<_> = contenders.iter().map(|contender| contender.scenarios.clone()).collect();
        admit(&[choice(Aim::Step, &base)], &wanted, &mut contenders);
        assert_eq!(contenders.iter().map(|contender| contender.scenarios.clone()).collect::<Vec<_>>(), before);
    }

    #[test]
    fn the_best_lose_nothing_and_are_fast() {
        let found = |rows: &[(&str, u64, u64)]| rows.iter().map(|(n, f, p)| ((*n).to_owned(), *f, *p)).collect();
        // (name, failures, p99), how many are wanted, who they are
        type Row<'a> = (&'a [(&'a str, u64, u64)], usize, &'a [&'a str]);
        let rows: [Row<'_>; 4] = [
            (&[("a", 0, 300), ("b", 0, 200), ("c", 0, 250)], 2, &["b", "c"]),
            // Fast because most were refused is not fast.
            (&[("a", 9, 1), ("b", 0, 900)], 1, &["b"]),
            // Equal ones go on in the order in which they ran.
            (&[("b", 0, 5), ("a", 0, 5)], 3, &["b", "a"]),
            (&[], 3, &[]),
        ];
        for (runs, count, expected) in rows {
            assert_eq!(ranked(found(runs), count), expected, "{runs:?}");
        }
    }
}
