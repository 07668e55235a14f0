//! `ctl scale`: other bounds for the number of workers, until the next reload or restart.

use std::collections::BTreeMap;

use mpm::{Cause, Decision};

use super::{Phase, Supervisor, policy};
use crate::ctl::protocol::Scaled;

impl Supervisor {
    /// Sets new bounds; one that is not given stays. They count at once.
    pub(super) fn scale(&mut self, min: Option<u32>, max: Option<u32>) -> Result<Scaled, String> {
        match self.phase {
            Phase::Starting | Phase::Serving => {}
            Phase::Stopping { .. } | Phase::Draining => return Err("the server is stopping".to_owned()),
        }
        if self.reload.is_some() {
            return Err("a reload is under way, which brings its own numbers; wait for its end".to_owned());
        }
        let configured = policy::bounds(&self.config.mpm);
        let (old_min, old_max) = self.scaled.unwrap_or(configured);
        let (new_min, new_max) = (min.unwrap_or(old_min), max.unwrap_or(old_max));
        let asked = span(new_min, new_max);
        if new_min < 1 || new_max > self.ceiling {
            return Err(format!("{asked} workers: this server has room for 1 to {}", self.ceiling));
        }
        if new_min > new_max {
            return Err(format!("the minimum of {new_min} is above the maximum of {new_max}; give both"));
        }
        if configured.1 == 1 && new_max > 1 {
            // Applications may rely on it.
            let problem = "the application was told that it is alone (wsgi.multiprocess is False); raise the maximum in \
                           the options and reload";
            return Err(format!("{asked} workers: {problem}"));
        }
        let name = self.policy.name();
        self.policy.scale(new_min, new_max).map_err(|problem| format!("--mpm {name}: {problem}"))?;
        self.scaled = Some((new_min, new_max));
        let reason = format!("asked by ctl scale: {asked} workers instead of {}", span(old_min, old_max));
        tracing::info!("{reason}");
        self.remember(Decision { at: self.now(), actions: Vec::new(), reason, inputs: BTreeMap::new() });
        self.decide(Cause::Tick);
        Ok(Scaled { min_workers: new_min, max_workers: new_max })
    }
}

/// `3`, `2 to 5`.
fn span(min: u32, max: u32) -> String {
    if min == max { min.to_string() } else { format!("{min} to {max}") }
}
