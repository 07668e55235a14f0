//! Which of many fixed sizes are worth measuring beside the others: every size is started once, and the best go on.
//!
//! Pure: `session` makes the runs. What the first pass found is in the results, but no target is judged by it.

use crate::contender::Contender;
use crate::results::schema::{Entrant, Outcome, Run};
use crate::scenario::{Observation, mixed};

/// The contender file that stands for all sizes; its members' names begin with this.
pub(crate) const GRID: &str = "smarthttpd-sized";

/// The contenders, with every size in the place of the file that stands for them.
pub(crate) fn expanded(contenders: &[Contender], settings: &mixed::Settings) -> Vec<Contender> {
    let mut all = Vec::new();
    for contender in contenders {
        if !contender.grid {
            all.push(contender.clone());
            continue;
        }
        for workers in &settings.workers {
            all.extend(settings.threads.iter().map(|threads| contender.sized(*workers, *threads)));
        }
    }
    all
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
        let expanded = expanded(&all, &settings);
        assert_eq!(expanded.len(), all.len() - 1 + settings.workers.len() * settings.threads.len());
        assert!(expanded.iter().all(|contender| !contender.grid));
        assert!(expanded.iter().any(|contender| contender.name == format!("{GRID}-3x32")));
        assert_eq!(all.iter().filter(|contender| is_sized(contender)).map(|c| c.grid).collect::<Vec<_>>(), [true]);
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
