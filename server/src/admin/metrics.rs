//! A [`Status`] as metrics. Each name is a promise: README.md lists them.

use super::exposition::Exposition;
pub(super) use super::exposition::Format;
use crate::ctl::protocol::{Latency, Status, Worker};

/// One bound in so many buckets is exposed: two per doubling are enough for quantiles, and cost half.
const BOUNDS: usize = 2;

/// All metrics.
pub(super) fn expose(status: &Status, format: Format) -> String {
    let mut to = Exposition::new(format);
    let (mpm, version) = (&*status.mpm, &*status.version);
    let build = [(&[("version", version), ("mpm", mpm)][..], 1)];
    to.gauges("smarthttpd_build_info", "Constant 1: the server's version and its process manager.", &build);
    to.gauge("smarthttpd_uptime_seconds", "Time since the server was started.", status.uptime_seconds);
    requests(&mut to, status);
    tasks(&mut to, status);
    workers(&mut to, status);
    decisions(&mut to, status);
    to.finish()
}

fn requests(to: &mut Exposition, status: &Status) {
    let served = &status.served;
    let classes = served.answered.by_name().map(|(name, count)| ([("class", name)], count));
    let samples: Vec<_> = classes.iter().map(|(labels, count)| (&labels[..], *count)).collect();
    to.counters(
        "smarthttpd_requests",
        "Requests that the application has answered, by class of status; cut: none was sent.",
        &samples,
    );
    to.counter(
        "smarthttpd_requests_refused",
        "Requests that the server itself has refused: malformed, too large, too slow.",
        served.refused,
    );
    to.counter(
        "smarthttpd_requests_timed_out",
        "Requests whose call was found to run for longer than --request-timeout.",
        status.counters.timed_out,
    );
    to.histogram(
        "smarthttpd_request_duration_seconds",
        "Time from when a request was complete until the application had answered it.",
        &below(&served.latency),
        served.latency.sum_seconds,
    );
    to.counter("smarthttpd_call_seconds", "Time in the application, all calls added up.", served.call_seconds);
    to.counter(
        "smarthttpd_lock_wait_seconds",
        "Time that calls have waited for the interpreter lock.",
        served.lock_wait_seconds,
    );
}

/// How many times lie below some of the bounds.
fn below(latency: &Latency) -> Vec<(f64, u64)> {
    let mut sum = 0;
    let sums = latency.buckets.iter().map(|(bound, count)| {
        sum += count;
        (bound.unwrap_or(f64::INFINITY), sum)
    });
    let exposed = sums.enumerate().filter(|(index, (bound, _))| index % BOUNDS == 0 || bound.is_infinite());
    exposed.map(|(_, below)| below).collect()
}

fn tasks(to: &mut Exposition, status: &Status) {
    let tasks = status.tasks;
    let states =
        [("queued", tasks.queued), ("running", tasks.running)].map(|(state, count)| ([("state", state)], count));
    let samples: Vec<_> = states.iter().map(|(labels, count)| (&labels[..], *count)).collect();
    to.gauges("smarthttpd_tasks", "Background tasks that are still to be done.", &samples);
    let outcomes = [("done", tasks.done), ("failed", tasks.failed), ("dropped", tasks.dropped)]
        .map(|(outcome, count)| ([("outcome", outcome)], count));
    let samples: Vec<_> = outcomes.iter().map(|(labels, count)| (&labels[..], *count)).collect();
    to.counters(
        "smarthttpd_tasks_ended",
        "Background tasks that ended; failed: with an exception; dropped: with their worker, or for lack of time.",
        &samples,
    );
    to.counter("smarthttpd_tasks_taken", "Background tasks that were taken from the application.", tasks.taken());
    to.counter(
        "smarthttpd_tasks_refused",
        "Background tasks that were not taken: too many waited, or the worker had no time left.",
        tasks.refused,
    );
}

fn workers(to: &mut Exposition, status: &Status) {
    let totals = status.totals;
    let states = [
        ("total", totals.total),
        ("busy", totals.busy),
        ("idle", totals.idle),
        ("kill_pending", totals.kill_pending),
        ("starting", totals.starting),
    ]
    .map(|(state, count)| ([("state", state)], count));
    let samples: Vec<_> = states.iter().map(|(labels, count)| (&labels[..], *count)).collect();
    to.gauges("smarthttpd_workers", "Workers by what they do; one can be in several states.", &samples);

    let sum = |of: fn(&Worker) -> u32| status.workers.iter().map(|worker| u64::from(of(worker))).sum::<u64>();
    to.gauge("smarthttpd_connections", "Open connections.", sum(|worker| worker.connections));
    to.gauge("smarthttpd_calls_in_flight", "Requests in the application.", sum(|worker| worker.in_flight));
    to.gauge("smarthttpd_queued", "Requests that wait for a thread.", sum(|worker| worker.queued));
    to.gauge("smarthttpd_threads", "Threads that can run the application.", sum(|worker| worker.threads));
    to.gauge("smarthttpd_backlog", "Connections that wait in the kernel's queues.", status.backlog);
    to.counter("smarthttpd_saturation", "Times a worker had no room for one more call.", status.served.saturated);
    to.counter("smarthttpd_workers_cpu_seconds", "CPU time of all workers.", status.served.cpu_seconds);

    let counters = status.counters;
    to.counter("smarthttpd_workers_spawned", "Workers forked.", counters.spawned);
    to.counter("smarthttpd_workers_retired", "Workers that left because they were told to.", counters.retired);
    to.counter("smarthttpd_workers_died", "Workers that ended by themselves: crashed, exited.", counters.died);
    to.counter("smarthttpd_workers_killed", "Workers killed after the graceful timeout.", counters.killed);
    to.counter("smarthttpd_template_restarts", "Templates started beyond the first.", counters.template_restarts);
    to.counter("smarthttpd_reloads", "New code and options that have taken over.", counters.reloads);

    let known = status.workers.iter().filter_map(|worker| Some((worker.slot.to_string(), worker.rss_bytes?)));
    let known: Vec<_> = known.collect();
    let labels: Vec<_> = known.iter().map(|(slot, bytes)| ([("slot", &**slot)], *bytes)).collect();
    let samples: Vec<_> = labels.iter().map(|(labels, bytes)| (&labels[..], *bytes)).collect();
    to.gauges("smarthttpd_worker_resident_bytes", "Resident memory of the worker in a slot.", &samples);
}

fn decisions(to: &mut Exposition, status: &Status) {
    let served = &status.served;
    let actions =
        [("spawn", served.decided_to_spawn), ("retire", served.decided_to_retire), ("none", served.decided_in_vain)]
            .map(|(action, count)| ([("action", action)], count));
    let samples: Vec<_> = actions.iter().map(|(labels, count)| (&labels[..], *count)).collect();
    to.counters(
        "smarthttpd_decisions",
        "Decisions of the process manager by what they order; none: nothing can be done.",
        &samples,
    );
    let Some(latest) = status.decisions.last() else { return };
    // Whatever the policy calls them; OpenMetrics has another spelling for what is not a number, which tells nobody anything.
    let finite = latest.inputs.iter().filter(|(_, value)| value.is_finite());
    let inputs: Vec<_> = finite.map(|(name, value)| ([("input", &**name)], *value)).collect();
    if !inputs.is_empty() {
        let samples: Vec<_> = inputs.iter().map(|(labels, value)| (&labels[..], *value)).collect();
        to.gauges("smarthttpd_decision_input", "Figures that the latest decision follows from.", &samples);
    }
}
