//! `bench compare OLD NEW`: what changed from one session to another beyond noise.
//!
//! ```text
//! OLD, NEW ─▶ side ─┬▶ circumstances (what else differs, and what is therefore not comparable) ─┐
//!                   └▶ verdict       (figure by figure, then all together)                       ├▶ told
//!                                                                                               ┘
//! ```
//!
//! Reads results folders and writes nothing. A figure has changed when two things hold: the bootstrap interval of the
//! ratio new/old over starts excludes 1, and the change is among those that remain when the share of false alarms among
//! all that are told is held at 5 % (Benjamini and Hochberg, see `stats`). The first alone would be wrong once in
//! twenty figures, and a session has a hundred.

mod circumstances;
mod side;
mod told;
mod verdict;

use std::path::Path;

use serde::Serialize;

use self::circumstances::Difference;
use self::side::Side;
use self::verdict::{Change, Verdict};
use crate::failure::Failure;

/// How the comparison is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    Markdown,
    Json,
}

/// Of all changes that are told, so many may be false alarms.
const FALSE_SHARE: f64 = 0.05;

/// Everything that is said about two sessions.
#[derive(Debug, Serialize)]
struct Comparison {
    /// Raised when programs that read it have to change.
    schema: u32,
    old: String,
    new: String,
    /// Changes below so many percent are not told.
    threshold_percent: f64,
    /// What else differs between the two sessions.
    differences: Vec<Difference>,
    /// Figures present in both.
    figures: Vec<Change>,
    /// Figures that only one of the two has, and why.
    missing: Vec<String>,
    count: Count,
}

/// How many figures came to what.
#[derive(Debug, Default, PartialEq, Serialize)]
struct Count {
    /// Present in both.
    figures: usize,
    /// Of these, those that could be judged.
    judged: usize,
    /// How many of the judged would look different by chance alone if nothing had changed: one in twenty.
    expected_by_chance: f64,
    regressions: usize,
    improvements: usize,
    /// Runs of NEW that failed and did not in OLD.
    failed: usize,
}

/// Compares, prints, and fails on a regression.
///
/// # Errors
/// A regression, a run that failed only in NEW, or results that cannot be read.
pub(crate) fn run(old: &Path, new: &Path, threshold_percent: f64, form: Form) -> Result<(), Failure> {
    let (old, new) = (Side::read(old)?, Side::read(new)?);
    let comparison = compare(&old, &new, threshold_percent);
    match form {
        Form::Text => print!("{}", told::text(&comparison)),
        Form::Markdown => print!("{}", told::markdown(&comparison)),
        Form::Json => {
            let text = serde_json::to_string_pretty(&comparison)
                .map_err(|error| Failure::Results { path: "--json".into(), reason: error.to_string() })?;
            println!("{text}");
        }
    }
    let regressions: Vec<String> =
        comparison.figures.iter().filter(|c| c.verdict == Verdict::Regression).map(Change::name).collect();
    if !regressions.is_empty() {
        return Err(Failure::Regression(regressions.join("; ")));
    }
    let failed = failed(&old, &new);
    if failed.is_empty() { Ok(()) } else { Err(Failure::Contenders(failed.join("; "))) }
}

fn compare(old: &Side, new: &Side, threshold_percent: f64) -> Comparison {
    let differences = circumstances::differences(old.session.as_ref(), new.session.as_ref());
    let (figures, missing) = verdict::judge(old, new, &differences, threshold_percent / 100.0);
    let judged = figures.iter().filter(|change| change.is_judged()).count();
    let of = |verdict: Verdict| figures.iter().filter(|change| change.verdict == verdict).count();
    let count = Count {
        figures: figures.len(),
        judged,
        expected_by_chance: judged as f64 * FALSE_SHARE,
        regressions: of(Verdict::Regression),
        improvements: of(Verdict::Improvement),
        failed: failed(old, new).len(),
    };
    let (old, new) = (old.name.clone(), new.name.clone());
    Comparison { schema: 1, old, new, threshold_percent, differences, figures, missing, count }
}

/// Runs that failed in NEW, of contenders and scenarios in which none failed in OLD.
fn failed(old: &Side, new: &Side) -> Vec<String> {
    // `SCENARIO-rN-CONTENDER: reason`, of whatever start.
    let run = |line: &str| {
        let label = line.split_once(": ").map_or(line, |(label, _)| label);
        let (scenario, rest) = label.split_once("-r").unwrap_or((label, ""));
        (scenario.to_owned(), rest.trim_start_matches(|c: char| c.is_ascii_digit()).to_owned())
    };
    let before: Vec<_> = old.summary.failures.iter().map(|line| run(line)).collect();
    let fresh = new.summary.failures.iter().filter(|line| !before.contains(&run(line)));
    fresh.map(|line| line.lines().next().unwrap_or_default().to_owned()).collect()
}
