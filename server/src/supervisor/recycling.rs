//! Recycling: what [`super::renewal`] orders is carried out here, and told as a decision.

use std::collections::BTreeMap;
use std::time::Duration;

use mpm::{Action, Decision};

use super::renewal::{Life, Means, Order, Why};
use super::{Phase, Supervisor};
use crate::config::Config;

/// Reading a process's memory takes a system call or three; a leak takes longer than this.
pub(super) const WEIGHING: Duration = Duration::from_secs(1);

/// Whether workers have to be watched for this at all.
pub(super) fn is_wanted(config: &Config) -> bool {
    config.max_requests.is_some()
        || config.max_worker_rss.is_some()
        || config.max_worker_lifetime.is_some()
        || config.timeouts.request.is_some()
}

impl Supervisor {
    /// Replaces workers that have had their time, as far as that is possible now.
    pub(super) fn renew(&mut self) {
        if !self.recycles {
            return;
        }
        self.weigh();
        // A reload replaces everybody anyway.
        while self.phase == Phase::Serving && self.reload.is_none() {
            let order = self.renewal.next(self.now(), &self.roster.members(), self.means());
            match order {
                None => return,
                Some(Order::Succeed { worn, why }) => {
                    let Some((slot, generation)) = self.spawn_one() else { return };
                    self.renewal.prepare(worn, why, Life { slot, generation });
                    let worker = self.describe(worn, why);
                    self.record(Action::Spawn { count: 1 }, format!("{worker} → +1 worker (slot {slot}) first"));
                }
                Some(Order::Retire { worn, why, successor }) => {
                    let worker = self.describe(worn, why);
                    let reason = match successor {
                        Some(successor) => format!("worker {successor} serves in place of {worker}"),
                        None => format!("{worker}, and no successor can be started while it is there"),
                    };
                    let now = self.now();
                    self.roster.retire(worn.slot, now);
                    let action = Action::Retire { slot: worn.slot as u32 };
                    self.record(action, format!("{reason} → −1 worker (slot {})", worn.slot));
                }
            }
        }
    }

    fn describe(&self, life: Life, why: Why) -> String {
        let pid = self.roster.worker(life.slot).map_or(0, |worker| worker.pid);
        format!("worker {} (pid {pid}), which {why}", life.slot)
    }

    fn record(&mut self, action: Action, reason: String) {
        tracing::info!("{reason}");
        self.remember(Decision { at: self.now(), actions: vec![action], reason, inputs: BTreeMap::new() });
    }

    fn means(&self) -> Means {
        if !self.can_spawn() {
            Means::NotNow
        } else if self.roster.is_full() {
            Means::NoSlot
        } else {
            Means::Ready
        }
    }

    /// Looks how much memory the workers have, about once a second.
    fn weigh(&mut self) {
        let now = self.now();
        if self.config.max_worker_rss.is_some() && now >= self.next_weighing {
            self.next_weighing = now + WEIGHING;
            self.roster.weigh();
        }
    }
}
