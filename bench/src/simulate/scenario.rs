//! What is simulated: one file of `bench/scenarios/simulate` for each scenario. Adding one needs no code.

use serde::{Deserialize, Serialize};

use super::arrivals::{Load, Profile, Spacing};
use super::calls::{CallKind, Spread};
use super::model::{Clients, Faults, Machine, Terms};
use super::policies::Allowed;
use super::time::nanos;
use crate::failure::Failure;

/// Every file of `bench/scenarios/simulate`: name and text.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/simulate.rs"));

/// One scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// The file's name without its extension.
    #[serde(skip_deserializing)]
    pub(crate) name: String,
    /// Its place in lists.
    pub(crate) order: u32,
    /// Whether it runs when no scenario is named.
    #[serde(default)]
    pub(crate) default: bool,
    /// One line for the list.
    pub(crate) about: String,
    /// 99 % of the requests should be answered within so many milliseconds.
    pub(crate) objective_ms: f64,
    /// Of the machine; a quota makes it fractional.
    #[serde(default = "two")]
    pub(crate) cores: f64,
    /// At most so many workers, and threads in each; left out: each policy's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_workers: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_threads: Option<u32>,
    /// CPU milliseconds of a fork.
    #[serde(default = "five")]
    pub(crate) fork_ms: f64,
    /// CPU seconds of an import in every new worker; none where the template has imported already.
    #[serde(default)]
    pub(crate) import_s: f64,
    #[serde(default)]
    pub(crate) spacing: Spacing,
    pub(crate) load: Load,
    pub(crate) calls: Vec<CallKind>,
    #[serde(default)]
    pub(crate) faults: Faults,
    #[serde(default)]
    pub(crate) clients: Patience,
}

/// How long clients wait, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Patience {
    pub(crate) connect_s: f64,
    pub(crate) answer_s: f64,
}

impl Default for Patience {
    /// Those of the load generator's sessions.
    fn default() -> Self {
        Self { connect_s: 5.0, answer_s: 6.0 }
    }
}

fn two() -> f64 {
    2.0
}

fn five() -> f64 {
    5.0
}

impl Scenario {
    /// Reads one from its file's text.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, String> {
        let mut scenario: Self = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        scenario.name = name.to_owned();
        scenario.check()?;
        Ok(scenario)
    }

    /// What no type says.
    fn check(&self) -> Result<(), String> {
        let positive = [
            ("objective_ms", self.objective_ms),
            ("cores", self.cores),
            ("the load's length", Profile::new(&self.load, 0).seconds()),
            ("the load's highest rate", Profile::new(&self.load, 0).highest()),
            ("the shares of calls together", self.calls.iter().map(|kind| kind.share).sum()),
            ("clients.answer_s", self.clients.answer_s),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, value)| !(value.is_finite() && *value > 0.0)) {
            return Err(format!("{name} must be a number above 0"));
        }
        let times = self.calls.iter().flat_map(|kind| [kind.share, kind.cpu_ms, kind.blocked_ms]);
        if times.chain([self.fork_ms, self.import_s]).any(|value| !(value.is_finite() && value >= 0.0)) {
            return Err("times and shares must not be negative".into());
        }
        let tailed =
            |kind: &CallKind| matches!(kind.spread, Spread::Pareto { alpha } if alpha.is_nan() || alpha <= 1.0);
        if self.calls.iter().any(tailed) {
            return Err("alpha must be above 1: there is no mean otherwise".into());
        }
        Ok(())
    }

    /// What policies may use in it; `max_workers` overrides the scenario's.
    pub(crate) fn allowed(&self, max_workers: Option<u32>) -> Allowed {
        Allowed {
            cores: self.cores,
            max_workers: max_workers.or(self.max_workers),
            max_threads: self.max_threads,
            size: None,
        }
    }

    /// What the model needs to know.
    pub(crate) fn terms<'a>(&'a self, profile: &'a Profile, seed: u64) -> Terms<'a> {
        Terms {
            profile,
            spacing: self.spacing,
            calls: &self.calls,
            machine: Machine { cores: self.cores, fork: nanos(self.fork_ms / 1e3), import: nanos(self.import_s) },
            faults: self.faults,
            clients: Clients {
                connect: nanos(self.clients.connect_s),
                answer: nanos(self.clients.answer_s),
                keep_alive: false,
            },
            objective: nanos(self.objective_ms / 1e3),
            listed: None,
            warmup: 0,
            phase: None,
            seed,
        }
    }
}

/// All scenarios, in their order.
///
/// # Errors
/// A file with a mistake, named.
pub(crate) fn all() -> Result<Vec<Scenario>, Failure> {
    let mut all = Vec::new();
    for (file, text) in FILES {
        let Some(name) = file.strip_suffix(".toml") else { continue };
        let scenario = Scenario::parse(name, text)
            .map_err(|reason| Failure::Usage(format!("bench/scenarios/simulate/{file}: {reason}")))?;
        all.push(scenario);
    }
    all.sort_by_key(|scenario| scenario.order);
    Ok(all)
}

/// The scenarios of these names; those of the default set when there is none.
///
/// # Errors
/// A name that is not known.
pub(crate) fn chosen(names: &[String]) -> Result<Vec<Scenario>, Failure> {
    let all = all()?;
    if let Some(unknown) = names.iter().find(|name| all.iter().all(|scenario| scenario.name != **name)) {
        let known: Vec<&str> = all.iter().map(|scenario| scenario.name.as_str()).collect();
        return Err(Failure::Usage(format!(
            "--scenario {unknown}: there is no such scenario; known are {}",
            known.join(", ")
        )));
    }
    let wanted = |scenario: &Scenario| if names.is_empty() { scenario.default } else { names.contains(&scenario.name) };
    Ok(all.into_iter().filter(wanted).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_makes_sense() {
        let all = all().unwrap();
        assert!(all.len() >= 10, "{}", all.len());
        assert!(all.windows(2).all(|pair| pair[0].order < pair[1].order), "two scenarios with the same place");
        assert!(all.iter().any(|scenario| scenario.default));
    }

    #[test]
    fn mistakes_are_told() {
        type Change = fn(String) -> String;
        let file = |change: Change| {
            change("order = 1\nabout = \"x\"\nobjective_ms = 100\nload = { shape = \"constant\", rate = 1, seconds = 1 }\ncalls = [{ cpu_ms = 1 }]\n".into())
        };
        assert!(Scenario::parse("x", &file(|text| text)).is_ok());
        let rows: [(Change, &str); 6] = [
            (|text| text + "spead = 1\n", "unknown field `spead`"),
            (|text| text.replace("constant", "square"), "unknown variant `square`"),
            (|text| text.replace("seconds = 1", "seconds = 0"), "the load's length must be a number above 0"),
            (|text| text.replace("cpu_ms = 1", "cpu_ms = -1"), "must not be negative"),
            (|text| text.replace("[{ cpu_ms = 1 }]", "[]"), "the shares of calls together must be"),
            (
                |text| text.replace("cpu_ms = 1", "cpu_ms = 1, spread = { pareto = { alpha = 1 } }"),
                "alpha must be above 1",
            ),
        ];
        for (change, expected) in rows {
            let error = Scenario::parse("x", &file(change)).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
