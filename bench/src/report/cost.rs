//! Cost against violation of the objective: who pays how much for being how late. Computed from the figures of
//! `summary`; pictures show it.

use super::summary::{Figure, Row, Summary};
use crate::scenario::Scenario;
use crate::stats::median;

/// What is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Price {
    WorkerSeconds,
    PssSeconds,
}

/// A cost and a violation that belong together, by the ids of their figures.
struct Pair {
    scenario: Scenario,
    price: Price,
    cost: &'static str,
    violation: &'static str,
}

const PAIRS: [Pair; 4] = [
    Pair { scenario: Scenario::Step, price: Price::WorkerSeconds, cost: "worker_seconds", violation: "step_late" },
    Pair { scenario: Scenario::Step, price: Price::PssSeconds, cost: "pss_seconds", violation: "step_late" },
    Pair {
        scenario: Scenario::Burst,
        price: Price::WorkerSeconds,
        cost: "manager_worker_seconds",
        violation: "manager_late",
    },
    Pair {
        scenario: Scenario::Burst,
        price: Price::PssSeconds,
        cost: "manager_pss_seconds",
        violation: "manager_late",
    },
];

/// Everybody's cost and violation in one scenario.
pub(crate) struct Trade {
    pub(crate) scenario: Scenario,
    pub(crate) price: Price,
    pub(crate) stands: Vec<Stand>,
}

/// Where a contender stands.
pub(crate) struct Stand {
    pub(crate) name: String,
    pub(crate) title: String,
    /// By which it is named in a picture: `3`, and `3′` with another setting.
    pub(crate) number: String,
    /// It has another setting than the one that it comes with.
    pub(crate) tuned: bool,
    /// Worker-seconds, or MiB·s.
    pub(crate) cost: Spread,
    /// Percent of the requests that were late or failed.
    pub(crate) violation: Spread,
}

/// A figure over the starts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) least: f64,
    pub(crate) median: f64,
    pub(crate) most: f64,
}

impl Spread {
    fn of(figure: &Figure) -> Option<Self> {
        let Figure::Measured { replicates, .. } = figure else {
            return None;
        };
        Some(Self {
            least: replicates.iter().copied().min_by(f64::total_cmp)?,
            median: median(replicates)?,
            most: replicates.iter().copied().max_by(f64::total_cmp)?,
        })
    }
}

/// One for every pair of figures that was measured.
pub(crate) fn collect(summary: &Summary) -> Vec<Trade> {
    PAIRS.iter().filter_map(|pair| trade(summary, pair)).collect()
}

fn trade(summary: &Summary, pair: &Pair) -> Option<Trade> {
    let mut stands: Vec<Stand> = Vec::new();
    // Whoever has another setting comes after all who don't.
    for table in summary.tables.iter().filter(|table| table.scenario == pair.scenario) {
        let row = |id: &str| -> Option<&Row> { table.rows.iter().find(|row| row.id == id) };
        let (costs, violations) = (row(pair.cost)?, row(pair.violation)?);
        for (column, (cost, violation)) in table.contenders.iter().zip(costs.figures.iter().zip(&violations.figures)) {
            let is_new = table.is_tuned() == column.of.is_some();
            let (true, Some(cost), Some(violation)) = (is_new, Spread::of(cost), Spread::of(violation)) else {
                continue;
            };
            let base = stands.iter().find(|stand| Some(&stand.name) == column.of.as_ref());
            stands.push(Stand {
                name: column.name.clone(),
                title: column.title.clone(),
                number: base.map_or_else(|| (stands.len() + 1).to_string(), |base| format!("{}′", base.number)),
                tuned: column.of.is_some(),
                cost,
                violation,
            });
        }
    }
    (!stands.is_empty()).then_some(Trade { scenario: pair.scenario, price: pair.price, stands })
}

/// Those whom nobody beats in one without being worse in the other, the cheapest first: (cost, violation).
pub(crate) fn front(stands: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let beats = |a: &(f64, f64), b: &(f64, f64)| a.0 <= b.0 && a.1 <= b.1 && a != b;
    let mut front: Vec<(f64, f64)> =
        stands.iter().filter(|one| !stands.iter().any(|other| beats(other, one))).copied().collect();
    front.sort_by(|a, b| a.0.total_cmp(&b.0));
    front.dedup();
    front
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_is_who_nobody_beats() {
        type Row<'a> = (&'a [(f64, f64)], &'a [(f64, f64)]);
        let rows: [Row<'_>; 5] = [
            (&[], &[]),
            (&[(5.0, 1.0)], &[(5.0, 1.0)]),
            // Cheaper and later, dearer and earlier: neither beats the other. The third is both dearer and later.
            (&[(9.0, 0.1), (5.0, 1.0), (10.0, 2.0)], &[(5.0, 1.0), (9.0, 0.1)]),
            // As late, and dearer.
            (&[(5.0, 0.0), (7.0, 0.0)], &[(5.0, 0.0)]),
            // Two that are equal stand at one place.
            (&[(5.0, 1.0), (5.0, 1.0)], &[(5.0, 1.0)]),
        ];
        for (stands, expected) in rows {
            assert_eq!(front(stands), expected, "{stands:?}");
        }
    }

    #[test]
    fn a_spread_is_over_all_starts() {
        let figure = |replicates: &[f64]| Figure::Measured {
            value: 0.0,
            beyond: false,
            replicates: replicates.to_vec(),
            invalid: 0,
            ratio: None,
        };
        assert_eq!(Spread::of(&figure(&[3.0, 1.0, 9.0])), Some(Spread { least: 1.0, median: 3.0, most: 9.0 }));
        assert_eq!(Spread::of(&Figure::NotMeasured { reason: "x".into() }), None);
    }
}
