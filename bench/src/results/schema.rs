//! The raw data's shape.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::contender::Tuning;
use crate::machine::{Machine, Pinning};
use crate::process::server::Ending;
use crate::scenario::{Lengths, Observation, Scenario};

/// Raised when a change makes older folders unreadable.
pub(crate) const SCHEMA: u32 = 1;

/// What was planned and under which circumstances: `session.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) schema: u32,
    /// UTC, RFC 3339.
    pub(crate) started: String,
    pub(crate) quick: bool,
    /// Of the order of runs; the intervals use it as well.
    pub(crate) seed: u64,
    pub(crate) machine: Machine,
    pub(crate) pinning: Pinning,
    /// The commit that was measured, `+changes` when the checkout differed from it.
    pub(crate) revision: String,
    /// How the server's binary came about.
    pub(crate) server_build: String,
    pub(crate) lengths: Lengths,
    pub(crate) contenders: Vec<Entrant>,
    /// The runs in the order in which they were made.
    pub(crate) order: Vec<RunId>,
    /// What else it takes to go on after an interruption; absent from older folders, which can't.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) plan: Option<Plan>,
    /// Each time that the session was taken up again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) resumed: Vec<Resumption>,
}

impl Session {
    /// Those who are compared, each as it comes.
    pub(crate) fn compared(&self) -> impl Iterator<Item = &Entrant> {
        self.contenders.iter().filter(|entrant| entrant.setting_of().is_none())
    }

    /// A contender's place among those who are compared, by which its colour goes; of one with another setting the place
    /// of the contender whose setting it is.
    pub(crate) fn place(&self, name: &str) -> usize {
        let of = self.contenders.iter().find(|entrant| entrant.name == name).and_then(Entrant::setting_of);
        let name = of.unwrap_or(name);
        self.compared().position(|entrant| entrant.name == name).unwrap_or(0)
    }
}

/// What was asked for, and what it is measured with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// Those in which only the best of a search take part are in `order` once it is over.
    pub(crate) scenarios: Vec<Scenario>,
    /// As they are named on a command line: a grid once, and a name twice for an A/A comparison.
    pub(crate) contenders: Vec<String>,
    /// Whether somebody named them.
    pub(crate) named: bool,
    /// How often an INVALID run is made again.
    pub(crate) retries: u32,
    /// The SHA-256 of everything of the checkout that figures depend on, by what it is, see `builds`.
    pub(crate) builds: BTreeMap<String, String>,
}

/// A session was interrupted, and taken up again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Resumption {
    /// UTC, RFC 3339.
    pub(crate) at: String,
    /// Runs that were stored by then.
    pub(crate) kept: usize,
}

/// A contender as it took part, or why it did not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entrant {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) terms: String,
    /// Processes of the tree that serve no request.
    pub(crate) managers: u32,
    /// The scenarios that it can take part in.
    #[serde(default = "Scenario::comparison")]
    pub(crate) scenarios: Vec<Scenario>,
    /// How it is set; `None` where nobody looks for a better setting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tuning: Option<Tuning>,
    /// Program and arguments, with places relative to the checkout.
    pub(crate) command: Vec<String>,
    /// The configuration file that `{config}` stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) config: Option<String>,
    pub(crate) versions: BTreeMap<String, String>,
    /// What is missing and the command that installs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) missing: Option<String>,
}

impl Entrant {
    /// A setting that was tried and turned out to be the best of nothing.
    pub(crate) fn is_only_tried(&self) -> bool {
        self.setting_of().is_some() && self.scenarios == [Scenario::Tune]
    }

    /// The contender that it is one of several settings of; `None`: it takes part as it comes.
    pub(crate) fn setting_of(&self) -> Option<&str> {
        match &self.tuning {
            Some(Tuning::Tried { of, .. }) => Some(of),
            _ => None,
        }
    }
}

/// Which run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct RunId {
    pub(crate) scenario: Scenario,
    /// From 1.
    pub(crate) replicate: u32,
    pub(crate) contender: String,
}

impl RunId {
    /// The name of its file under `raw/`, without the extension.
    pub(crate) fn label(&self) -> String {
        format!("{}-r{}-{}", self.scenario.name(), self.replicate, self.contender)
    }
}

/// One run: `raw/LABEL.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) schema: u32,
    pub(crate) id: RunId,
    /// UTC, RFC 3339.
    pub(crate) started: String,
    /// Why earlier attempts at this run were INVALID; each is in `raw/LABEL-invalid-N.json`, from 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) invalid: Vec<String>,
    pub(crate) outcome: Outcome,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Measured {
        /// What the application said that it runs on.
        about: BTreeMap<String, String>,
        observation: Observation,
        ending: Ending,
    },
    /// It did not start, failed the gate, or the generator could not work: one sentence, perhaps a log's tail.
    Failed { reason: String },
}

impl Outcome {
    /// It is INVALID, and another attempt may not be. A server that answers nothing is no fault of the generator.
    pub(crate) fn failed_for_the_generator(&self) -> bool {
        let Self::Measured { observation, .. } = self else {
            return false;
        };
        observation.loads().iter().any(|(_, watched)| !watched.load.is_valid() && watched.load.answered > 0)
    }

    /// Why the load generator calls parts of it INVALID: `PART: reason`.
    pub(crate) fn invalid(&self) -> Vec<String> {
        let Self::Measured { observation, .. } = self else {
            return Vec::new();
        };
        let loads = observation.loads().into_iter();
        loads
            .flat_map(|(part, watched)| watched.load.validity.iter().map(move |reason| format!("{part}: {reason}")))
            .collect()
    }
}
