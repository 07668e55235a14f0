//! What the supervisor lets others see: decisions in the log, itself at the admin listener.

use mpm::Decision;

use super::{Supervisor, status};
use crate::admin::Readiness;
use crate::config::LogFormat;

/// Logs a decision. People read the reason, programs its parts.
pub(super) fn log(decision: &Decision, format: LogFormat) {
    let reason = &decision.reason;
    match format {
        LogFormat::Text => tracing::info!("{reason}"),
        LogFormat::Json => {
            let actions: Vec<_> = decision.actions.iter().map(status::action).collect();
            let figure = |name: &str| decision.inputs.get(name).copied();
            tracing::info!(
                actions = actions.join(", "),
                rate = figure("rate"),
                service_seconds = figure("service_seconds"),
                running = figure("running"),
                waiting = figure("waiting"),
                slots = figure("slots"),
                cpu_cores = figure("cpu_cores"),
                workers_living = figure("workers_living"),
                workers_serving = figure("workers_serving"),
                workers_starting = figure("workers_starting"),
                workers_idle = figure("workers_idle"),
                workers_busy = figure("workers_busy"),
                workers_wanted = figure("workers_wanted"),
                requests = figure("requests"),
                spawn_rate = figure("spawn_rate"),
                busyness_percent = figure("busyness_percent"),
                "{reason}"
            );
        }
    }
}

impl Supervisor {
    /// Somebody connects to the admin listener.
    pub(super) fn admit(&mut self) {
        let now = self.now();
        if let Some(admin) = &mut self.admin {
            admin.accept(self.poll.registry(), now);
        }
    }

    /// A client of the admin listener is ready; what it asks for is made of the status of this moment.
    pub(super) fn show(&mut self, index: usize, readiness: Readiness) {
        let now = self.now();
        let registry = self.poll.registry();
        let mut asks = self.admin.as_mut().is_some_and(|admin| admin.ready(index, readiness, registry, now));
        while asks {
            let status = self.status();
            let registry = self.poll.registry();
            asks = self.admin.as_mut().is_some_and(|admin| admin.answer(index, &status, registry, now));
        }
    }
}
