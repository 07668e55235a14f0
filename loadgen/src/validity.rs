//! Whether a report may be used as a measurement. Pure; the reasons are sentences for people.

use crate::report::Report;

/// Least share of the offered rate that must be achieved.
pub(crate) const LEAST_ACHIEVED: f64 = 0.99;
/// Most CPU a generator thread may use: above it, the thread itself is what is measured.
const MOST_CPU: f64 = 0.9;
/// Send lag below this, in nanoseconds, is never held against a run.
const HARMLESS_LAG: u64 = 1_000_000;
/// Largest share of the latency's p99 (p90 in short runs) that the send lag's may be.
const MOST_LAG: f64 = 0.1;

/// Why `report` is INVALID; empty when it is not.
pub(crate) fn reasons(report: &Report) -> Vec<String> {
    let mut reasons = Vec::new();
    if report.answered == 0 {
        reasons.push("no request was answered".to_owned());
    }
    if report.abandoned > 0 && !report.interrupted {
        reasons.push(format!(
            "the deadline ended the run while {} requests were unanswered; raise --deadline or lower the load",
            report.abandoned,
        ));
    }
    if let Some(ratio) = report.achieved_over_offered().filter(|ratio| *ratio < LEAST_ACHIEVED) {
        reasons.push(format!(
            "only {:.1} % of the offered rate was achieved ({:.1}/s of {:.1}/s): the target did \
             not free connections fast enough (raise --connections) or the generator was too slow",
            ratio * 100.0,
            report.achieved_rate,
            report.offered_rate.unwrap_or_default(),
        ));
    }
    reasons.extend(generator_limits(report));
    reasons
}

/// Signs that the generator, not the target, was at its limit; empty when there are none.
pub(crate) fn generator_limits(report: &Report) -> Vec<String> {
    let mut reasons = Vec::new();
    // Of a few hundred requests, the worst three would make the p99; one hiccup is no verdict.
    let (name, lag, latency) = if report.send_lag.supports(0.99) {
        ("p99", report.send_lag.p99_ns, report.latency.p99_ns)
    } else {
        ("p90", report.send_lag.p90_ns, report.latency.p90_ns)
    };
    if lag > HARMLESS_LAG && lag as f64 > latency as f64 * MOST_LAG {
        reasons.push(format!(
            "the generator sent late: {name} of the send lag is {:.1} ms, of the latency {:.1} ms; \
             give it a CPU of its own (--cpus) or lower the rate",
            lag as f64 / 1e6,
            latency as f64 / 1e6,
        ));
    }
    for (number, thread) in report.threads.iter().enumerate() {
        if thread.cpu_share > MOST_CPU {
            reasons.push(format!(
                "generator thread {number} used {:.0} % of a CPU and was the bottleneck; \
                 add --threads or lower the load",
                thread.cpu_share * 100.0,
            ));
        }
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distribution::Distribution;
    use crate::report::ThreadReport;

    fn reasons_of(change: impl FnOnce(&mut Report)) -> Vec<String> {
        let mut report = crate::report::tests::report();
        change(&mut report);
        reasons(&report)
    }

    #[test]
    fn each_rule_speaks_up_by_itself() {
        let milli = 1_000_000;
        let thread = |cpu_share| ThreadReport { cpu_s: 1.0, cpu_share, pinned_to: None };
        assert_eq!(reasons_of(|_| {}), Vec::<String>::new());
        let rows: Vec<(&str, Vec<String>)> = vec![
            ("no request", reasons_of(|r| r.answered = 0)),
            ("while 3 requests were unanswered", reasons_of(|r| r.abandoned = 3)),
            ("only 98.0 %", reasons_of(|r| r.achieved_rate = 98.0)),
            (
                "sent late",
                reasons_of(|r| {
                    r.send_lag.count = 1000;
                    r.send_lag.p99_ns = 2 * milli;
                    r.latency.p99_ns = 10 * milli;
                }),
            ),
            ("thread 1 used 95 %", reasons_of(|r| r.threads = vec![thread(0.5), thread(0.95)])),
        ];
        for (expected, reasons) in rows {
            assert_eq!(reasons.len(), 1, "{expected}: {reasons:?}");
            assert!(reasons[0].contains(expected), "{reasons:?}");
        }
    }

    #[test]
    fn what_does_no_harm_is_valid() {
        let milli = 1_000_000;
        // 99 % exactly is achieved; 5 ms of lag in 60 ms of latency is small; so is 0.9 ms in 1 ms.
        assert!(reasons_of(|r| r.achieved_rate = 99.0).is_empty());
        let lag = |lag, latency| {
            reasons_of(|r| {
                r.send_lag.count = 1000;
                r.send_lag.p99_ns = lag;
                r.latency.p99_ns = latency;
            })
        };
        assert!(lag(5 * milli, 60 * milli).is_empty());
        assert!(lag(900_000, milli).is_empty());
        // The p99 of 999 samples is not reliable; their p90 is.
        let short = |p90_ns| {
            reasons_of(|r| {
                r.send_lag = Distribution { count: 999, p90_ns, p99_ns: 50 * milli, ..Distribution::default() };
                r.latency.p90_ns = 10 * milli;
            })
        };
        assert!(short(0).is_empty());
        assert_eq!(short(2 * milli).len(), 1);
        // A closed loop has no offered rate to fall short of.
        let closed = reasons_of(|r| {
            r.offered_rate = None;
            r.achieved_rate = 1.0;
        });
        assert!(closed.is_empty());
    }
}
