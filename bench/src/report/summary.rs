//! `summary.json`: every figure of every contender, over its replicates, compared with the first contender.

use serde::{Deserialize, Serialize};

use super::claims::{self, Claim};
use super::metrics::{Better, METRICS, Metric, Reading, Terms};
use crate::results::schema::{Entrant, Outcome, Run, Session};
use crate::scenario::{Observation, Scenario};
use crate::stats::{Ratio, median, ratio};

/// Everything that the report says in figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) schema: u32,
    /// When the session was started.
    pub(crate) started: String,
    pub(crate) tables: Vec<Table>,
    pub(crate) claims: Vec<Claim>,
    /// Contenders that are not installed, and how to install them.
    pub(crate) missing: Vec<String>,
    /// Runs that were tried and failed.
    pub(crate) failures: Vec<String>,
    /// What speaks against using some of the figures: the generator's own doubts.
    pub(crate) warnings: Vec<String>,
}

/// The figures of one scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Table {
    pub(crate) scenario: Scenario,
    /// Each column's contender, the one that the others are compared with first.
    pub(crate) contenders: Vec<Column>,
    pub(crate) rows: Vec<Row>,
}

/// A column's contender.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) title: String,
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
            .filter(|scenario| session.order.iter().any(|id| id.scenario == *scenario))
            .map(|scenario| table(session, runs, scenario))
            .collect(),
        claims: Vec::new(),
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
    let made = runs.len();
    let planned = session.order.len();
    if made < planned {
        summary.warnings.push(format!("the session was interrupted: {made} of {planned} runs were made"));
    }
    summary.claims = claims::judge(session, runs, &summary);
    summary
}

fn table(session: &Session, runs: &[Run], scenario: Scenario) -> Table {
    let rows =
        METRICS.iter().filter(|metric| metric.scenario == scenario).map(|metric| row(session, runs, metric)).collect();
    Table {
        scenario,
        contenders: session
            .contenders
            .iter()
            .map(|entrant| Column { name: entrant.name.clone(), title: entrant.title.clone() })
            .collect(),
        rows,
    }
}

fn row(session: &Session, runs: &[Run], metric: &Metric) -> Row {
    let readings: Vec<Result<Vec<Reading>, String>> =
        session.contenders.iter().map(|entrant| readings(session, runs, metric, entrant)).collect();
    let base = readings.first().and_then(|first| exact(first.as_ref().ok()?));
    let figures = readings
        .into_iter()
        .enumerate()
        .map(|(column, readings)| match readings {
            Err(reason) => Figure::NotMeasured { reason },
            Ok(readings) => {
                let own = exact(&readings);
                let ratio = match (&own, &base) {
                    (Some(own), Some(base)) if column > 0 => Some(ratio(own, base, session.seed)),
                    _ => None,
                };
                measured(&readings, ratio)
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

/// The readings of every replicate that was measured.
fn readings(session: &Session, runs: &[Run], metric: &Metric, entrant: &Entrant) -> Result<Vec<Reading>, String> {
    if let Some(missing) = &entrant.missing {
        return Err(missing.clone());
    }
    let terms = Terms { lengths: &session.lengths, managers: entrant.managers };
    let mut readings = Vec::new();
    let mut reason = "the run was not made".to_owned();
    for run in runs {
        if run.id.contender != entrant.name || run.id.scenario != metric.scenario {
            continue;
        }
        let read = match &run.outcome {
            Outcome::Measured { observation, .. } => metric.read(&terms, observation),
            Outcome::Failed { reason } => Err(reason.lines().next().unwrap_or("the run failed").to_owned()),
        };
        match read {
            Ok(reading) => readings.push(reading),
            Err(why) => reason = why,
        }
    }
    if readings.is_empty() { Err(reason) } else { Ok(readings) }
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

fn measured(readings: &[Reading], ratio: Option<Ratio>) -> Figure {
    let replicates: Vec<f64> = readings
        .iter()
        .map(|reading| match reading {
            Reading::Value(value) | Reading::Beyond(value) => *value,
        })
        .collect();
    match median(&replicates) {
        Some(value) => Figure::Measured { value, beyond: exact(readings).is_none(), replicates, ratio },
        None => Figure::NotMeasured { reason: "the run was not made".into() },
    }
}

fn warnings(run: &Run) -> Vec<String> {
    let Outcome::Measured { observation, ending, .. } = &run.outcome else {
        return Vec::new();
    };
    let loads = match observation {
        Observation::Steady(steady) => vec![("closed loop", &steady.closed.load), ("equal load", &steady.paced.load)],
        Observation::Step(step) => vec![("step", &step.step.load)],
    };
    let label = run.id.label();
    let mut warnings: Vec<String> = loads
        .into_iter()
        .flat_map(|(part, load)| {
            let label = &label;
            load.validity.iter().map(move |reason| format!("INVALID {label}, {part}: {reason}"))
        })
        .collect();
    if !ending.killed.is_empty() {
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

    #[test]
    fn a_bound_is_no_value() {
        let figure = measured(&[Reading::Value(1.0), Reading::Beyond(12.0)], None);
        assert_eq!(figure.exact(), None);
        assert!(matches!(figure, Figure::Measured { beyond: true, .. }));
        let figure = measured(&[Reading::Value(1.0), Reading::Value(3.0)], None);
        assert_eq!(figure.exact(), Some(2.0));
        assert!(matches!(measured(&[], None), Figure::NotMeasured { .. }));
    }
}
