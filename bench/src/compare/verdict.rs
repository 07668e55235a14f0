//! Figure by figure: has it changed, and is that for the worse? Pure.

use serde::Serialize;

use super::FALSE_SHARE;
use super::circumstances::Difference;
use super::side::Side;
use crate::report::Better;
use crate::report::summary::{Column, Figure, Row, Summary, Table};
use crate::scenario::Scenario;
use crate::stats::{self, Ratio};

/// One figure of one contender in both sessions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Change {
    pub(crate) scenario: Scenario,
    pub(crate) contender: String,
    pub(crate) title: String,
    pub(crate) figure: String,
    pub(crate) label: String,
    pub(crate) unit: String,
    pub(crate) better: Better,
    pub(crate) old: Value,
    pub(crate) new: Value,
    /// New over old.
    pub(crate) ratio: Ratio,
    /// How probable a change as large as this is where there is none; `None` where that cannot be said.
    pub(crate) chance: Option<f64>,
    pub(crate) verdict: Verdict,
    /// Why there is no verdict, or what is to be known of it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) because: String,
}

/// One side of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Value {
    /// The median over starts.
    pub(crate) value: f64,
    /// It is only a lower bound.
    pub(crate) beyond: bool,
    pub(crate) starts: usize,
}

/// What came of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// It became worse, by more than noise.
    Regression,
    /// It became better, by more than noise.
    Improvement,
    /// It changed by more than noise, and by less than whoever asked wants to know.
    Small,
    /// Its own interval excludes 1, as that of one figure in twenty does by chance; together with the others it is no
    /// change.
    Chance,
    /// Noise.
    Same,
    /// There are too few starts to know, or they are INVALID.
    Undecided,
    /// The two sessions measured different things.
    NotComparable,
}

impl Verdict {
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Regression => "REGRESSION",
            Self::Improvement => "improvement",
            Self::Small => "below the threshold",
            Self::Chance => "perhaps chance",
            Self::Same => "no difference",
            Self::Undecided => "undecided",
            Self::NotComparable => "not comparable",
        }
    }
}

impl Change {
    /// Whether it is among the figures that were looked at for a difference.
    pub(crate) fn is_judged(&self) -> bool {
        !matches!(self.verdict, Verdict::Undecided | Verdict::NotComparable)
    }

    /// `steady, throughput of smarthttpd adaptive: ×0.8`
    pub(crate) fn name(&self) -> String {
        let by = match self.ratio.value {
            Some(ratio) => format!("×{}", crate::report::number(ratio)),
            None => {
                format!("{} → {}", crate::report::number(self.old.value), crate::report::number(self.new.value))
            }
        };
        format!("{}, {} of {}: {by}", self.scenario.name(), self.label, self.title)
    }
}

/// All figures present in both, in the order of OLD's tables, and what only one of the two has.
pub(crate) fn judge(old: &Side, new: &Side, differences: &[Difference], threshold: f64) -> (Vec<Change>, Vec<String>) {
    let mut changes = Vec::new();
    let mut missing = Vec::new();
    for (table, row, column, before) in figures(&old.summary) {
        let place = || format!("{}, {} of {}", table.scenario.name(), row.label, column.title);
        let after = figure(&new.summary, table.scenario, &row.id, &column.name);
        let (before, after) = match (Measured::of(before), after.map(Measured::of)) {
            (Ok(before), Some(Ok(after))) => (before, after),
            (Ok(_), Some(Err(reason))) => {
                missing.push(format!("{}: not measured in {}: {reason}", place(), new.name));
                continue;
            }
            (Err(reason), Some(Ok(_))) => {
                missing.push(format!("{}: not measured in {}: {reason}", place(), old.name));
                continue;
            }
            // Neither has it, or NEW is not about it.
            _ => continue,
        };
        let forbidden = differences.iter().find(|difference| difference.forbids(table.scenario));
        let mut change = Change {
            scenario: table.scenario,
            contender: column.name.clone(),
            title: column.title.clone(),
            figure: row.id.clone(),
            label: row.label.clone(),
            unit: row.unit.clone(),
            better: row.better,
            old: before.value(),
            new: after.value(),
            // Whatever the seed is: it only draws the resamples.
            ratio: stats::ratio(after.starts, before.starts, 1),
            chance: None,
            verdict: Verdict::Undecided,
            because: String::new(),
        };
        match forbidden {
            Some(difference) => {
                change.verdict = Verdict::NotComparable;
                change.because = format!("{} differs", difference.what);
            }
            None => match chance(&before, &after) {
                Ok(chance) => change.chance = Some(chance),
                Err(because) => change.because = because,
            },
        }
        changes.push(change);
    }
    decide(&mut changes, threshold);
    (changes, missing)
}

/// The verdicts of those that have a chance, together.
fn decide(changes: &mut [Change], threshold: f64) {
    let chances: Vec<f64> = changes.iter().filter_map(|change| change.chance).collect();
    let told = stats::discoveries(&chances, FALSE_SHARE);
    let judged = changes.iter_mut().filter(|change| change.chance.is_some());
    for (change, is_told) in judged.zip(told) {
        let alone = change.chance.is_some_and(|chance| chance <= FALSE_SHARE);
        // Where there is a zero there is no ratio, and the test of the plain values decides.
        let excludes = change.ratio.differs().unwrap_or(alone);
        let size = change.ratio.value.map_or(f64::INFINITY, |ratio| (ratio - 1.0).abs());
        change.verdict = match (excludes, is_told) {
            (false, _) => Verdict::Same,
            (true, false) => Verdict::Chance,
            (true, true) if size < threshold => Verdict::Small,
            (true, true) => {
                let is_more = change.new.mean_is_above(change);
                match (is_more, change.better) {
                    (true, Better::Higher) | (false, Better::Lower) => Verdict::Improvement,
                    (true, Better::Lower) | (false, Better::Higher) => Verdict::Regression,
                }
            }
        };
    }
}

impl Value {
    /// Whether the new side is the larger one, by the ratio where there is one.
    fn mean_is_above(&self, change: &Change) -> bool {
        change.ratio.value.map_or(self.value > change.old.value, |ratio| ratio > 1.0)
    }
}

/// A measured figure.
struct Measured<'a> {
    value: f64,
    beyond: bool,
    starts: &'a [f64],
    invalid: u32,
}

impl<'a> Measured<'a> {
    fn of(figure: &'a Figure) -> Result<Self, &'a str> {
        match figure {
            Figure::Measured { value, beyond, replicates, invalid, .. } => {
                Ok(Self { value: *value, beyond: *beyond, starts: replicates, invalid: *invalid })
            }
            Figure::NotMeasured { reason } => Err(reason.lines().next().unwrap_or_default()),
        }
    }

    fn value(&self) -> Value {
        Value { value: self.value, beyond: self.beyond, starts: self.starts.len() }
    }
}

/// How probable a difference like this is where there is none, or why that cannot be said.
fn chance(before: &Measured<'_>, after: &Measured<'_>) -> Result<f64, String> {
    let invalid = before.invalid + after.invalid;
    if invalid > 0 {
        return Err(format!("{invalid} starts are INVALID"));
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    // A bound below which the run did not end says something only where the other side is below it.
    let says = match (before.beyond, after.beyond) {
        (false, false) => true,
        (true, true) => false,
        (true, false) => mean(before.starts) > mean(after.starts),
        (false, true) => mean(after.starts) > mean(before.starts),
    };
    if !says {
        return Err("only a bound: the runs ended before it happened".into());
    }
    let has_zero = before.starts.iter().chain(after.starts).any(|value| *value <= 0.0);
    let scale = |values: &[f64]| -> Vec<f64> {
        if has_zero { values.to_vec() } else { values.iter().map(|value| value.ln()).collect() }
    };
    stats::chance(&scale(after.starts), &scale(before.starts)).ok_or_else(|| {
        format!("{} and {} starts; {} each are needed", before.starts.len(), after.starts.len(), stats::FEWEST)
    })
}

/// Every figure with its place, once: beside other settings the first contender stands a second time.
fn figures(summary: &Summary) -> impl Iterator<Item = (&Table, &Row, &Column, &Figure)> {
    summary.tables.iter().flat_map(|table| {
        table.rows.iter().flat_map(move |row| {
            let columns = table.contenders.iter().zip(&row.figures);
            let own = columns.filter(move |(column, _)| table.is_tuned() == column.of.is_some());
            own.map(move |(column, figure)| (table, row, column, figure))
        })
    })
}

fn figure<'a>(summary: &'a Summary, scenario: Scenario, id: &str, contender: &str) -> Option<&'a Figure> {
    let mut all = figures(summary);
    all.find(|(table, row, column, _)| table.scenario == scenario && row.id == id && column.name == contender)
        .map(|(.., figure)| figure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::circumstances::Effect;

    /// A session with one figure per row: (id, better, starts).
    fn side(name: &str, rows: &[(&str, Better, &[f64])]) -> Side {
        let row = |(id, better, starts): &(&str, Better, &[f64])| Row {
            id: (*id).into(),
            label: (*id).into(),
            unit: String::new(),
            better: *better,
            source: String::new(),
            figures: vec![Figure::Measured {
                value: stats::median(starts).unwrap(),
                beyond: false,
                replicates: starts.to_vec(),
                invalid: 0,
                ratio: None,
            }],
        };
        let table = Table {
            scenario: Scenario::Steady,
            contenders: vec![Column { name: "one".into(), title: "One".into(), of: None }],
            rows: rows.iter().map(row).collect(),
            notes: Vec::new(),
        };
        let summary = Summary { tables: vec![table], ..Summary::default() };
        Side { name: name.into(), session: None, summary }
    }

    fn verdicts(old: &Side, new: &Side, threshold: f64) -> Vec<Verdict> {
        judge(old, new, &[], threshold).0.iter().map(|change| change.verdict).collect()
    }

    #[test]
    fn one_figure_alone() {
        const LOW: &[f64] = &[10.0, 10.1, 9.9];
        const HIGH: &[f64] = &[12.0, 12.1, 11.9];
        // (better, old, new, threshold, verdict)
        type Row<'a> = (Better, &'a [f64], &'a [f64], f64, Verdict);
        let rows: [Row<'_>; 11] = [
            (Better::Lower, LOW, HIGH, 0.0, Verdict::Regression),
            (Better::Higher, LOW, HIGH, 0.0, Verdict::Improvement),
            (Better::Lower, HIGH, LOW, 0.0, Verdict::Improvement),
            (Better::Higher, HIGH, LOW, 0.0, Verdict::Regression),
            (Better::Lower, LOW, LOW, 0.0, Verdict::Same),
            (Better::Lower, LOW, &[9.0, 13.0, 12.0], 0.0, Verdict::Same),
            // 20 % is less than 30 %.
            (Better::Lower, LOW, HIGH, 0.3, Verdict::Small),
            (Better::Lower, &[10.0], &[20.0], 0.0, Verdict::Undecided),
            // Errors where there were none: no ratio, and a regression all the same.
            (Better::Lower, &[0.0, 0.0, 0.0], &[50.0, 57.0, 61.0], 0.0, Verdict::Regression),
            (Better::Lower, &[0.0, 0.0, 0.0], &[0.0, 0.0, 0.0], 0.0, Verdict::Same),
            // Counts that do not scatter at all in three starts: that may be luck.
            (Better::Lower, &[8.0, 8.0, 8.0], &[9.0, 9.0, 9.0], 0.0, Verdict::Chance),
        ];
        for (better, old, new, threshold, expected) in rows {
            let (old, new) = (side("old", &[("x", better, old)]), side("new", &[("x", better, new)]));
            assert_eq!(verdicts(&old, &new, threshold), [expected], "{old:?} {new:?}");
        }
    }

    #[test]
    fn one_of_many_is_chance() {
        // Alone this is a difference: its chance is about 3 %.
        let (before, after) = ([10.0, 11.0, 12.0], [13.0, 14.0, 15.5]);
        let same = [5.0, 5.2, 4.9];
        let mut old: Vec<(&str, Better, &[f64])> = vec![("x", Better::Lower, &before)];
        let mut new: Vec<(&str, Better, &[f64])> = vec![("x", Better::Lower, &after)];
        assert_eq!(verdicts(&side("old", &old), &side("new", &new), 0.0), [Verdict::Regression]);
        for id in ["a", "b", "c", "d"] {
            old.push((id, Better::Lower, &same));
            new.push((id, Better::Lower, &same));
        }
        let found = verdicts(&side("old", &old), &side("new", &new), 0.0);
        assert_eq!(found[0], Verdict::Chance);
        assert!(found[1..].iter().all(|verdict| *verdict == Verdict::Same), "{found:?}");
    }

    #[test]
    fn what_must_not_be_compared_is_not() {
        let rows: &[(&str, Better, &[f64])] = &[("x", Better::Lower, &[1.0, 1.1, 1.2])];
        let slower: &[(&str, Better, &[f64])] = &[("x", Better::Lower, &[2.0, 2.1, 2.2])];
        let (old, mut new) = (side("old", rows), side("new", slower));
        let difference = |effect| Difference { what: "CPU".into(), old: "a".into(), new: "b".into(), effect };
        for (effect, expected) in [
            (Effect::All, Verdict::NotComparable),
            (Effect::Scenarios(vec![Scenario::Steady]), Verdict::NotComparable),
            (Effect::Scenarios(vec![Scenario::Step]), Verdict::Regression),
            (Effect::May("it may".into()), Verdict::Regression),
        ] {
            assert_eq!(judge(&old, &new, &[difference(effect)], 0.0).0[0].verdict, expected);
        }
        let Figure::Measured { invalid, .. } = &mut new.summary.tables[0].rows[0].figures[0] else { unreachable!() };
        *invalid = 1;
        let change = &judge(&old, &new, &[], 0.0).0[0];
        assert_eq!((change.verdict, &*change.because), (Verdict::Undecided, "1 starts are INVALID"));
        new.summary.tables[0].rows[0].figures[0] = Figure::NotMeasured { reason: "no tool\nmore".into() };
        let (changes, missing) = judge(&old, &new, &[], 0.0);
        assert_eq!((changes.len(), &*missing), (0, &["steady, x of One: not measured in new: no tool".to_owned()][..]));
    }

    #[test]
    fn a_bound_decides_where_it_is_above_the_other_side() {
        let row = |starts: [f64; 3]| side("x", &[("x", Better::Lower, &starts[..])]);
        let bounded = |starts| {
            let mut side = row(starts);
            let Figure::Measured { beyond, .. } = &mut side.summary.tables[0].rows[0].figures[0] else {
                unreachable!()
            };
            *beyond = true;
            side
        };
        // It recovered in three seconds, and now not within twelve.
        assert_eq!(verdicts(&row([3.0, 3.1, 2.9]), &bounded([12.0; 3]), 0.0), [Verdict::Regression]);
        assert_eq!(verdicts(&bounded([12.0; 3]), &row([3.0, 3.1, 2.9]), 0.0), [Verdict::Improvement]);
        assert_eq!(verdicts(&bounded([12.0; 3]), &bounded([12.0; 3]), 0.0), [Verdict::Undecided]);
        assert_eq!(verdicts(&row([13.0, 14.0, 13.0]), &bounded([12.0; 3]), 0.0), [Verdict::Undecided]);
    }

    /// Sessions of thirty figures in which nothing has changed: at most one in twenty may tell of a change.
    #[test]
    fn whole_sessions_of_noise_tell_of_no_change() {
        let mut generator = stats::Generator::new(3);
        let mut draw = || {
            let sum: f64 = (0..12).map(|_| (generator.bits() >> 11) as f64 / (1_u64 << 53) as f64).sum();
            100.0 * (0.05 * (sum - 6.0)).exp()
        };
        let (sessions, figures) = (200, 30);
        let ids: Vec<String> = (0..figures).map(|number| number.to_string()).collect();
        let (mut alarmed, mut alone) = (0, 0);
        for _ in 0..sessions {
            let mut one = || -> Vec<[f64; 3]> { ids.iter().map(|_| [draw(), draw(), draw()]).collect() };
            let (before, after) = (one(), one());
            let side = |starts: &[[f64; 3]]| {
                let rows: Vec<(&str, Better, &[f64])> =
                    ids.iter().zip(starts).map(|(id, starts)| (&**id, Better::Lower, &starts[..])).collect();
                side("x", &rows)
            };
            let found = verdicts(&side(&before), &side(&after), 0.0);
            let is_change = |verdict: &&Verdict| matches!(verdict, Verdict::Regression | Verdict::Improvement);
            alarmed += u32::from(found.iter().any(|verdict| is_change(&verdict)));
            alone += found.iter().filter(|verdict| is_change(verdict) || **verdict == Verdict::Chance).count();
        }
        println!(
            "{alarmed} of {sessions} sessions tell of a change; {alone} intervals of {} exclude 1",
            sessions * figures
        );
        // Two standard deviations of the count above 5 %.
        assert!(alarmed <= 16, "{alarmed} of {sessions}");
        assert!(alone > 60, "without the control many would: {alone}");
    }
}
