//! `summary.json`: every figure of every contender, over its replicates, compared with the first contender.

use serde::{Deserialize, Serialize};

use super::claims::{self, Claim};
use super::curves::{self, Curve};
use super::format::number;
use super::metrics::{self, Better, Metric, Reading, Terms};
use super::notes;
use super::targets::{self, Target};
use crate::results::schema::{Entrant, Outcome, Run, Session};
use crate::scenario::{Observation, Scenario};
use crate::stats::{Ratio, median, ratio};

/// Everything that the report says in figures.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) schema: u32,
    /// When the session was started.
    pub(crate) started: String,
    pub(crate) tables: Vec<Table>,
    /// Latency over offered load.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) curves: Vec<Curve>,
    /// Judged in the default comparison.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) claims: Vec<Claim>,
    /// Those that this session looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) targets: Vec<Target>,
    /// Contenders that are not installed, and how to install them.
    pub(crate) missing: Vec<String>,
    /// Runs that were tried and failed.
    pub(crate) failures: Vec<String>,
    /// What speaks against using some of the figures: the generator's own doubts.
    pub(crate) warnings: Vec<String>,
}

/// The figures of one scenario: of the contenders as they come, or, in a table of its own, of those for which a better
/// setting was found, beside the first contender as it comes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Table {
    pub(crate) scenario: Scenario,
    /// Each column's contender, the one that the others are compared with first.
    pub(crate) contenders: Vec<Column>,
    pub(crate) rows: Vec<Row>,
    /// What no single figure says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) notes: Vec<String>,
}

/// A column's contender.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) title: String,
    /// The contender that it is the best setting of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) of: Option<String>,
}

/// One figure of all contenders.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) label: String,
    pub(crate) unit: String,
    pub(crate) better: Better,
    pub(crate) source: String,
    /// One per contender, in the order of the columns.
    pub(crate) figures: Vec<Figure>,
}

/// A figure, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Figure {
    Measured {
        /// The median of the replicates.
        value: f64,
        /// True when it is only a lower bound: the run ended before it happened.
        beyond: bool,
        replicates: Vec<f64>,
        /// How many of the replicates the load generator itself calls INVALID.
        invalid: u32,
        /// Against the first contender; `None` for that one itself.
        ratio: Option<Ratio>,
    },
    NotMeasured {
        reason: String,
    },
}

impl Figure {
    /// The value, unless it is only a bound.
    pub(crate) fn exact(&self) -> Option<f64> {
        match self {
            Self::Measured { value, beyond: false, .. } => Some(*value),
            _ => None,
        }
    }
}

impl Table {
    /// Whether it is that of the settings.
    pub(crate) fn is_tuned(&self) -> bool {
        self.contenders.iter().any(|column| column.of.is_some())
    }
}

impl Summary {
    /// A figure by the ids of its metric and contender.
    pub(crate) fn figure(&self, metric: &str, contender: &str) -> Option<&Figure> {
        self.tables.iter().find_map(|table| {
            let column = table.contenders.iter().position(|column| column.name == contender)?;
            let row = table.rows.iter().find(|row| row.id == metric)?;
            row.figures.get(column)
        })
    }
}

/// Computes the figures.
pub(crate) fn compute(session: &Session, runs: &[Run]) -> Summary {
    let mut summary = Summary {
        schema: session.schema,
        started: session.started.clone(),
        tables: Scenario::ALL
            .into_iter()
            .chain(session.lengths.described.iter().map(|description| Scenario::described(&description.name)))
            .filter(|scenario| session.order.iter().any(|id| id.scenario == *scenario))
            .flat_map(|scenario| tables(session, runs, scenario))
            .collect(),
        curves: curves::collect(session, runs),
        claims: Vec::new(),
        targets: Vec::new(),
        missing: session
            .contenders
            .iter()
            .filter_map(|entrant| Some(format!("{}: {}", entrant.title, entrant.missing.as_ref()?)))
            .collect(),
        failures: runs
            .iter()
            .filter_map(|run| match &run.outcome {
                Outcome::Failed { reason } => Some(format!("{}: {reason}", run.id.label())),
                Outcome::Measured { .. } => None,
            })
            .collect(),
        warnings: runs.iter().flat_map(warnings).collect(),
    };
    let resumed = session.resumed.iter();
    summary.warnings.extend(resumed.map(|resumption| {
        format!("the session was interrupted and went on at {} with {} runs stored", resumption.at, resumption.kept)
    }));
    let made = runs.len();
    let planned = session.order.len();
    if made < planned {
        summary.warnings.push(format!("the session was interrupted: {made} of {planned} runs were made"));
    }
    if summary.tables.iter().any(|table| table.scenario.is_comparison()) {
        summary.claims = claims::judge(session, runs, &summary);
    }
    summary.targets = targets::judge(&summary, session.seed);
    summary
}

fn tables(session: &Session, runs: &[Run], scenario: Scenario) -> Vec<Table> {
    let entrants: Vec<&Entrant> = session.contenders.iter().filter(|e| e.scenarios.contains(&scenario)).collect();
    if scenario == Scenario::Tune {
        return vec![table(session, runs, scenario, &entrants, notes::settings(&entrants, runs))];
    }
    let (tuned, compared): (Vec<&Entrant>, Vec<&Entrant>) =
        entrants.into_iter().partition(|entrant| entrant.setting_of().is_some());
    let mut tables = vec![table(session, runs, scenario, &compared, notes::of(scenario, &compared, runs))];
    if let (Some(first), false) = (compared.first(), tuned.is_empty()) {
        let beside: Vec<&Entrant> = std::iter::once(*first).chain(tuned).collect();
        tables.push(table(session, runs, scenario, &beside, notes::unbeaten(scenario, session, &compared, runs)));
    }
    tables
}

fn table(session: &Session, runs: &[Run], scenario: Scenario, entrants: &[&Entrant], notes: Vec<String>) -> Table {
    let rows = metrics::all()
        .filter(|metric| metric.part.is_of(scenario) && metric.is_asked(session.lengths.description(scenario)))
        .map(|metric| row(session, entrants, runs, scenario, metric))
        .collect();
    Table {
        scenario,
        contenders: entrants
            .iter()
            .map(|entrant| Column {
                name: entrant.name.clone(),
                title: entrant.title.clone(),
                of: entrant.setting_of().filter(|_| scenario != Scenario::Tune).map(str::to_owned),
            })
            .collect(),
        notes,
        rows,
    }
}

fn row(session: &Session, entrants: &[&Entrant], runs: &[Run], scenario: Scenario, metric: &Metric) -> Row {
    let readings: Vec<Result<Readings, String>> =
        entrants.iter().map(|entrant| readings(session, runs, scenario, metric, entrant)).collect();
    let base = readings.first().and_then(|first| first.as_ref().ok());
    let figures = readings
        .iter()
        .enumerate()
        .map(|(column, readings)| match readings {
            Err(reason) => Figure::NotMeasured { reason: reason.clone() },
            Ok(readings) => {
                let ratio = base.filter(|_| column > 0).and_then(|base| against(readings, base, session.seed));
                measured(readings, ratio)
            }
        })
        .collect();
    Row {
        id: metric.id.into(),
        label: metric.label.into(),
        unit: metric.unit.into(),
        better: metric.better,
        source: metric.source.into(),
        figures,
    }
}

/// One figure of one contender in every replicate that was measured.
#[derive(Debug, Default)]
struct Readings {
    values: Vec<Reading>,
    /// How many of the runs the load generator itself calls INVALID.
    invalid: u32,
}

/// Reads one figure from every run of one contender.
fn readings(
    session: &Session,
    runs: &[Run],
    scenario: Scenario,
    metric: &Metric,
    entrant: &Entrant,
) -> Result<Readings, String> {
    if let Some(missing) = &entrant.missing {
        return Err(missing.clone());
    }
    let terms = Terms {
        lengths: &session.lengths,
        managers: entrant.managers,
        description: session.lengths.description(scenario),
    };
    let mut readings = Readings::default();
    let mut reason = "the run was not made".to_owned();
    for run in runs {
        if run.id.contender != entrant.name || run.id.scenario != scenario {
            continue;
        }
        let observation = match &run.outcome {
            Outcome::Measured { observation, .. } => observation,
            Outcome::Failed { reason: why } => {
                reason = why.lines().next().unwrap_or("the run failed").to_owned();
                continue;
            }
        };
        match metric.read(&terms, observation) {
            Ok(reading) => {
                readings.values.push(reading);
                readings.invalid += u32::from(!metric.is_valid(observation));
            }
            Err(why) => reason = why,
        }
    }
    if readings.values.is_empty() { Err(reason) } else { Ok(readings) }
}

/// The ratio of two contenders' readings. Runs that the generator calls INVALID show their figures and decide nothing.
fn against(own: &Readings, base: &Readings, seed: u64) -> Option<Ratio> {
    let mut ratio = ratio(&exact(&own.values)?, &exact(&base.values)?, seed);
    let invalid = own.invalid + base.invalid;
    if invalid > 0 {
        ratio.interval = None;
        ratio.note = Some(format!("{invalid} INVALID, no interval"));
    }
    Some(ratio)
}

/// The values, when none is only a bound.
fn exact(readings: &[Reading]) -> Option<Vec<f64>> {
    readings
        .iter()
        .map(|reading| match reading {
            Reading::Value(value) => Some(*value),
            Reading::Beyond(_) => None,
        })
        .collect()
}

fn measured(readings: &Readings, ratio: Option<Ratio>) -> Figure {
    let replicates: Vec<f64> = readings
        .values
        .iter()
        .map(|reading| match reading {
            Reading::Value(value) | Reading::Beyond(value) => *value,
        })
        .collect();
    match median(&replicates) {
        Some(value) => Figure::Measured {
            value,
            beyond: exact(&readings.values).is_none(),
            replicates,
            invalid: readings.invalid,
            ratio,
        },
        None => Figure::NotMeasured { reason: "the run was not made".into() },
    }
}

fn warnings(run: &Run) -> Vec<String> {
    let label = run.id.label();
    let again = run.invalid.iter().map(|reasons| format!("made again: INVALID {label}, {reasons}"));
    let invalid = run.outcome.invalid().into_iter().map(|reason| format!("INVALID {label}, {reason}"));
    let mut warnings: Vec<String> = again.chain(invalid).collect();
    if let Outcome::Measured { observation: Observation::Curve(curve), .. } = &run.outcome {
        warnings.extend(curve.refused.iter().map(|refused| {
            format!("{label}: nothing at {} requests/s: {}", number(refused.rate.round()), refused.reason)
        }));
    }
    if let Outcome::Measured { ending, .. } = &run.outcome
        && !ending.killed.is_empty()
    {
        warnings.push(format!(
            "{label}: {} processes did not end within 5 s of SIGTERM and were killed",
            ending.killed.len()
        ));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readings(values: &[Reading], invalid: u32) -> Readings {
        Readings { values: values.to_vec(), invalid }
    }

    #[test]
    fn a_bound_is_no_value() {
        let figure = measured(&readings(&[Reading::Value(1.0), Reading::Beyond(12.0)], 0), None);
        assert_eq!(figure.exact(), None);
        assert!(matches!(figure, Figure::Measured { beyond: true, .. }));
        let figure = measured(&readings(&[Reading::Value(1.0), Reading::Value(3.0)], 0), None);
        assert_eq!(figure.exact(), Some(2.0));
        assert!(matches!(measured(&readings(&[], 0), None), Figure::NotMeasured { .. }));
    }

    #[test]
    fn invalid_runs_decide_nothing() {
        let fast = [10.0, 10.1, 10.2].map(Reading::Value);
        let slow = [20.0, 20.1, 20.2].map(Reading::Value);
        // (INVALID runs of the one, of the other, whether they differ)
        for (own, base, differs) in [(0, 0, Some(true)), (1, 0, None), (0, 1, None)] {
            let ratio = against(&readings(&slow, own), &readings(&fast, base), 1).unwrap();
            assert_eq!(ratio.differs(), differs);
            assert!((ratio.value.unwrap() - 2.0).abs() < 0.02, "the ratio itself is told");
        }
        let never = [Reading::Beyond(12.0)];
        assert_eq!(against(&readings(&never, 0), &readings(&fast, 0), 1), None);
    }
}
