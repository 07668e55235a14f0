//! What a storm was, in figures.

use std::collections::BTreeMap;
use std::time::Duration;

use super::audit::Verdict;
use super::ledger::{Cause, Fate};
use super::recycled::Recycled;
use super::storm::Strike;
use crate::support::status::Counters;
use crate::support::{Broken, Tasks};

/// Everything that is told after a storm.
pub(super) struct Totals {
    pub(super) fates: Vec<Fate>,
    pub(super) verdict: Verdict,
    pub(super) tasks: Tasks,
    pub(super) recycled: Recycled,
    pub(super) counters: Counters,
    /// Orders that were obeyed, and others.
    pub(super) orders: [usize; 2],
    /// The worst recovery.
    pub(super) worst_recovery: Duration,
}

impl Totals {
    /// A table for people. `fallen`: the blows.
    pub(super) fn table(&self, fallen: &[Strike]) -> String {
        let of = |fate: Fate| self.fates.iter().filter(|other| **other == fate).count().to_string();
        let by = |cause: Cause| self.verdict.deaths.iter().filter(|death| death.cause == cause).count().to_string();
        let without_a_byte = self.verdict.losses.iter().filter(|loss| loss.broken == Broken::Nothing).count();
        let Counters { spawned, retired, died, killed, template_restarts, reloads, timed_out } = self.counters;
        let mut rows: Vec<(&str, String)> = vec![
            ("requests", self.fates.len().to_string()),
            ("  whole", of(Fate::Whole)),
            ("  cut as asked", of(Fate::CutAsAsked)),
            ("  over their time, told so", of(Fate::TimedOut)),
            ("  deadly", of(Fate::Deadly)),
            ("  left by the client", of(Fate::Left)),
            ("  returned after a last answer", of(Fate::Returned)),
            ("  lost", of(Fate::Lost)),
            ("connections lost", self.verdict.losses.len().to_string()),
            ("  before a byte of an answer", without_a_byte.to_string()),
            ("  inside the application", self.verdict.inside.to_string()),
            ("  at most, in so many deaths", self.verdict.bound.to_string()),
            ("connections refused", "0".to_owned()),
            ("workers killed by us", by(Cause::Worker)),
            ("workers ended by the application", by(Cause::Application)),
            ("templates killed by us", by(Cause::Template)),
            ("workers spawned", spawned.to_string()),
            ("  retired", retired.to_string()),
            ("  died", died.to_string()),
            ("  killed by the server", killed.to_string()),
            ("  calls over their time", timed_out.to_string()),
            ("  recycled for requests", self.recycled.for_requests.to_string()),
            ("  recycled for memory", self.recycled.for_memory.to_string()),
            ("  recycled for stuck calls", self.recycled.for_stuck_calls.to_string()),
            ("tasks done", self.tasks.done.to_string()),
            ("  failed, as asked", self.tasks.failed.to_string()),
            ("  lost with their process", self.tasks.dropped.to_string()),
            ("templates", (1 + template_restarts + reloads).to_string()),
            ("reloads", reloads.to_string()),
            ("orders obeyed", self.orders[0].to_string()),
            ("orders refused", self.orders[1].to_string()),
            ("worst recovery", format!("{:.2?}", self.worst_recovery)),
            ("blows", fallen.len().to_string()),
        ];
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        for strike in fallen {
            *kinds.entry(strike.blow.name()).or_default() += 1;
        }
        let kinds: Vec<(String, String)> =
            kinds.into_iter().map(|(name, count)| (format!("  {name}"), count.to_string())).collect();
        rows.extend(kinds.iter().map(|(name, count)| (name.as_str(), count.clone())));
        let lines: Vec<String> = rows.iter().map(|(name, value)| format!("{name:<36}{value:>10}")).collect();
        lines.join("\n")
    }
}
