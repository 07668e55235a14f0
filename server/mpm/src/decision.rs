//! What a policy may order, and its reason.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Snapshot, WorkerView};

/// One order to the supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Start this many workers, in the lowest free slots.
    Spawn {
        /// How many; at least one.
        count: u32,
    },
    /// Let the worker in this slot finish what it has and leave.
    Retire {
        /// A slot of the snapshot.
        slot: u32,
    },
}

/// What to do and why. Worth logging even without actions: then the reason tells why nothing can be done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The snapshot's time; serialised as seconds.
    #[serde(with = "seconds")]
    pub at: Duration,
    /// In the order in which they should be carried out. Empty: nothing can be done, and the reason says why.
    pub actions: Vec<Action>,
    /// One line with the inputs, for an operator: `λ=400/s W=50 ms → 29 slots, have 16 → +1 worker`.
    pub reason: String,
    /// The same figures by name, for programs: seconds, cores and counts. Empty where no policy decided, but an operator.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, f64>,
}

impl Decision {
    /// Adds the figures that it follows from.
    pub(crate) fn with_inputs(mut self, inputs: BTreeMap<String, f64>) -> Self {
        self.inputs.extend(inputs);
        self
    }

    /// Starts `count` workers; the reason gets the arrow and the count.
    pub(crate) fn spawn(at: Duration, count: u32, mut reason: String) -> Self {
        append_outcome(&mut reason, format_args!("+{count} {}", noun(count)));
        Self { at, actions: vec![Action::Spawn { count }], reason, inputs: BTreeMap::new() }
    }

    /// Starts those that are missing because they ended without an order.
    pub(crate) fn successors(snapshot: &Snapshot<'_>, missing: u32) -> Self {
        let have = snapshot.count(WorkerView::serves);
        let wanted = have.saturating_add(missing);
        Self::spawn(snapshot.now, missing, format!("want {wanted}, have {have}"))
            .with_inputs([("workers_wanted".to_owned(), f64::from(wanted))].into())
    }

    /// Retires the workers in these slots; the reason gets the arrow, the count and the slot when it is one.
    pub(crate) fn retire(at: Duration, slots: &[u32], mut reason: String) -> Self {
        match slots {
            [slot] => append_outcome(&mut reason, format_args!("−1 worker (slot {slot})")),
            _ => append_outcome(&mut reason, format_args!("−{} workers", slots.len())),
        }
        Self {
            at,
            actions: slots.iter().map(|&slot| Action::Retire { slot }).collect(),
            reason,
            inputs: BTreeMap::new(),
        }
    }

    /// Says why nothing can be done.
    pub(crate) fn note(at: Duration, reason: String) -> Self {
        Self { at, actions: Vec::new(), reason, inputs: BTreeMap::new() }
    }
}

fn noun(count: u32) -> &'static str {
    if count == 1 { "worker" } else { "workers" }
}

fn append_outcome(reason: &mut String, outcome: std::fmt::Arguments<'_>) {
    // Writing to a String can't fail.
    let _ = write!(reason, " → {outcome}");
}

mod seconds {
    //! A duration as a number of seconds, so that JSON stays readable.

    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(value.as_secs_f64())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_well_as_json_and_as_text() {
        let at = Duration::from_millis(1_500);
        let rows = [
            (
                Decision::spawn(at, 2, "idle 1".to_owned()),
                r#"{"at":1.5,"actions":[{"spawn":{"count":2}}],"reason":"idle 1 → +2 workers"}"#,
            ),
            (
                Decision::retire(at, &[3], "idle 9".to_owned()),
                r#"{"at":1.5,"actions":[{"retire":{"slot":3}}],"reason":"idle 9 → −1 worker (slot 3)"}"#,
            ),
            (
                Decision::retire(at, &[3, 4], "idle 9".to_owned()),
                r#"{"at":1.5,"actions":[{"retire":{"slot":3}},{"retire":{"slot":4}}],"reason":"idle 9 → −2 workers"}"#,
            ),
            (Decision::note(at, "full".to_owned()), r#"{"at":1.5,"actions":[],"reason":"full"}"#),
            (
                Decision::note(at, "full".to_owned()).with_inputs([("rate".to_owned(), 0.5)].into()),
                r#"{"at":1.5,"actions":[],"reason":"full","inputs":{"rate":0.5}}"#,
            ),
        ];
        for (decision, json) in rows {
            assert_eq!(serde_json::to_string(&decision).expect("plain data"), json);
            assert_eq!(serde_json::from_str::<Decision>(json).expect("its own form"), decision);
        }
        let negative = r#"{"at":-1.0,"actions":[],"reason":""}"#;
        assert!(serde_json::from_str::<Decision>(negative).is_err());
    }
}
