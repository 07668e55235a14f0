//! Looks at the server all the time: who lives, and how long there are fewer workers than there should be.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::field::Field;
use super::ledger::now;
use crate::support::{Status, processes, wait};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(25);
/// Between two lines of progress.
const REPORT: Duration = Duration::from_secs(30);

/// What was seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Every worker and template, with when it was born, because pids come again.
    pub(super) processes: BTreeMap<i32, u64>,
    /// The longest time with fewer workers that serve than `floor`, from the last death on: each sets back what has
    /// recovered before.
    pub(super) worst_recovery: Duration,
    below_since: Option<Duration>,
}

impl Seen {
    /// Notes these processes.
    pub(super) fn note(&mut self, pids: impl IntoIterator<Item = i32>) {
        for pid in pids {
            if !self.processes.contains_key(&pid)
                && let Some(born) = processes::born(pid)
            {
                self.processes.insert(pid, born);
            }
        }
    }

    fn take(&mut self, status: &Status, floor: u32, at: Duration, last_death: Option<Duration>) {
        self.note(status.pids());
        let serving = status.workers.iter().filter(|worker| worker.phase == "ready").count();
        if serving < floor as usize {
            self.below_since.get_or_insert(at);
        } else if let Some(since) = self.below_since.take() {
            let since = since.max(last_death.unwrap_or_default());
            self.worst_recovery = self.worst_recovery.max(at.saturating_sub(since));
        }
    }
}

/// Watches until the storm is over; prints a line of progress now and then.
pub(super) fn watch(field: &Field<'_>, floor: u32) -> Seen {
    let began = Instant::now();
    let mut next_report = began + REPORT;
    let mut seen = Seen::default();
    while !field.ledger().is_over() {
        let status = field.status();
        let at = Instant::now();
        seen.take(&status, floor, now(), field.ledger().last_death());
        if at >= next_report {
            next_report += REPORT;
            let counters = status.counters;
            println!(
                "{:>5.0} s: {} requests, {} connections lost in {} deaths; {} workers, {} spawned, {} died, {} templates; worst recovery {:.2?}",
                began.elapsed().as_secs_f64(),
                field.ledger().asked(),
                field.ledger().losses().len(),
                field.ledger().deaths().len(),
                status.totals.total,
                counters.spawned,
                counters.died,
                1 + counters.template_restarts,
                seen.worst_recovery,
            );
        }
        wait::moment(at + PAUSE);
    }
    seen
}
