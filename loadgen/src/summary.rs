//! The text summary of a report, and the line per interval. Only formats what the report says.

use std::fmt::Write as _;

use crate::distribution::Distribution;
use crate::engine::{Engine, Trust};
use crate::floor;
use crate::measures::MEASURES;
use crate::objective::Outcome;
use crate::plan::{Arrivals, Load, Reuse, Stop};
use crate::report::{Interval, Report, RequestReport, Setup};
use crate::targets::Order;

/// A column of the summary's table.
struct Percentile {
    name: &'static str,
    quantile: f64,
    figure: fn(&Distribution) -> u64,
}

/// Most requests of a list that are shown.
const TARGETS: usize = 20;

const PERCENTILES: [Percentile; 5] = [
    Percentile { name: "p50", quantile: 0.5, figure: |d| d.p50_ns },
    Percentile { name: "p90", quantile: 0.9, figure: |d| d.p90_ns },
    Percentile { name: "p95", quantile: 0.95, figure: |d| d.p95_ns },
    Percentile { name: "p99", quantile: 0.99, figure: |d| d.p99_ns },
    Percentile { name: "p99.9", quantile: 0.999, figure: |d| d.p99_9_ns },
];

/// Renders `report` for people.
pub(crate) fn render(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail, so the results below carry no information.
    let _ = write_summary(&mut text, report);
    text
}

fn write_summary(text: &mut String, report: &Report) -> std::fmt::Result {
    let setup = &report.setup;
    let part = setup.shard.map(|shard| format!(" · shard {shard} of that load")).unwrap_or_default();
    match setup.order {
        Some(order) => {
            let order = match order {
                Order::Sequential => "in turn".to_owned(),
                Order::Random => format!("at random (seed {})", setup.seed),
            };
            let count = report.targets.len();
            writeln!(text, "{count} requests {order} on {} · {}{part}", setup.address, load(setup))?;
        }
        None => writeln!(text, "{} {} · {}{part}", setup.method, setup.target, load(setup))?,
    }
    writeln!(text)?;
    let failed = report.failed();
    writeln!(
        text,
        "  requests      {} in {:.2} s: {} answered, {failed} failed{}",
        report.requests,
        report.duration_s,
        report.answered,
        match report.abandoned {
            0 => String::new(),
            count => format!(", {count} abandoned {}", abandoner(report)),
        }
    )?;
    match report.offered_rate {
        Some(offered) => writeln!(
            text,
            "  rate          offered {offered:.2}/s, achieved {:.2}/s ({:.2} %), answered {:.2}/s",
            report.achieved_rate,
            report.achieved_over_offered().unwrap_or_default() * 100.0,
            report.answered_rate,
        )?,
        None => writeln!(text, "  rate          answered {:.2}/s", report.answered_rate)?,
    }
    let per_second = if report.duration_s > 0.0 { report.duration_s } else { 1.0 };
    writeln!(
        text,
        "  transfer      {} received ({}/s), {} sent{}",
        bytes(report.bytes_received as f64),
        bytes(report.bytes_received as f64 / per_second),
        bytes(report.bytes_sent as f64),
        if setup.engine == Engine::Fast { "" } else { " (content only)" },
    )?;
    writeln!(
        text,
        "  connections   {} made{}",
        report.connects,
        match report.reconnects {
            0 => String::new(),
            count => format!(", {count} of them because the target had closed one"),
        }
    )?;
    writeln!(text)?;
    write_table(text, report)?;
    write_outcomes(text, report)?;
    write_targets(text, report)?;
    write_generator(text, report)?;
    write_assertions(text, report)
}

/// What ended the requests that were abandoned.
pub(crate) fn abandoner(report: &Report) -> &'static str {
    if report.interrupted { "by the interruption" } else { "at the deadline" }
}

/// The table of distributions, one row each.
fn write_table(text: &mut String, report: &Report) -> std::fmt::Result {
    write!(text, "  {:<13}", "time")?;
    for name in PERCENTILES.map(|percentile| percentile.name).iter().chain(&["max", "mean"]) {
        write!(text, " {name:>10}")?;
    }
    writeln!(text)?;
    let rows = MEASURES.iter().map(|measure| (measure.label, measure.of(report)));
    let mut unsupported = false;
    let mut overflow = 0;
    for (name, times) in rows.filter(|(_, times)| times.count > 0) {
        write!(text, "  {name:<13}")?;
        for Percentile { quantile, figure, .. } in PERCENTILES {
            let mark = if times.supports(quantile) { "" } else { "*" };
            unsupported |= !times.supports(quantile);
            write!(text, " {:>10}", format!("{}{mark}", time(figure(times) as f64)))?;
        }
        writeln!(text, " {:>10} {:>10}", time(times.max_ns as f64), time(times.mean_ns))?;
        overflow += times.overflow;
    }
    if unsupported {
        writeln!(text, "  * fewer than ten requests lie beyond this percentile: not reliable")?;
    }
    if overflow > 0 {
        writeln!(text, "  {overflow} times of more than an hour are not in this table")?;
    }
    if report.failed() > 0 {
        writeln!(text, "  the {} failed requests have no latency", report.failed())?;
    }
    write_worst(text, report)
}

/// The interval with the longest p99, where there are several to choose from: a mean over the run
/// hides a bad second. The last few answers after the end are no second.
fn write_worst(text: &mut String, report: &Report) -> std::fmt::Result {
    let counts = |interval: &&Interval| interval.latency.count >= if interval.drain { 10 } else { 1 };
    let answering = || report.intervals.iter().filter(counts);
    if answering().count() < 2 {
        return Ok(());
    }
    let Some(worst) = answering().max_by_key(|interval| interval.latency.p99_ns) else { return Ok(()) };
    writeln!(
        text,
        "  worst interval {:.1} to {:.1} s: p50 {}, p99 {}, {} answers",
        worst.start_s,
        worst.start_s + worst.duration_s,
        time(worst.latency.p50_ns as f64),
        time(worst.latency.p99_ns as f64),
        worst.latency.count,
    )
}

fn write_outcomes(text: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(text)?;
    if !report.statuses.is_empty() {
        let codes = report.statuses.iter().map(|(code, count)| format!("{code}: {count}"));
        writeln!(text, "  status        {}", codes.collect::<Vec<_>>().join(", "))?;
    }
    if report.errors.is_empty() {
        writeln!(text, "  errors        none")?;
    } else {
        let share = report.errors_total() as f64 / report.requests.max(1) as f64 * 100.0;
        writeln!(text, "  errors        {} ({share:.2} %)", report.errors_total())?;
    }
    for (kind, count) in &report.errors {
        let example = report.error_examples.get(kind).map(|e| format!("  (e.g. {e})"));
        writeln!(text, "    {:<30} {count}{}", kind.label(), example.unwrap_or_default())?;
    }
    Ok(())
}

/// Each request of a list, the first ones of a long list.
fn write_targets(text: &mut String, report: &Report) -> std::fmt::Result {
    if report.targets.is_empty() {
        return Ok(());
    }
    writeln!(text)?;
    writeln!(text, "  {:>10} {:>10} {:>10} {:>10} {:>10}  request", "sent", "answered", "errors", "p50", "p99")?;
    for target in report.targets.iter().take(TARGETS) {
        let RequestReport { method, path, requests, answered, errors, latency, .. } = target;
        let latency = latency.as_ref().filter(|latency| latency.count > 0);
        let figure = |quantile, figure: fn(&Distribution) -> u64| match latency {
            Some(times) => {
                let mark = if times.supports(quantile) { "" } else { "*" };
                format!("{}{mark}", time(figure(times) as f64))
            }
            None => "-".to_owned(),
        };
        let (p50, p99) = (figure(0.5, |times| times.p50_ns), figure(0.99, |times| times.p99_ns));
        writeln!(text, "  {requests:>10} {answered:>10} {errors:>10} {p50:>10} {p99:>10}  {method} {path}")?;
    }
    if report.targets.len() > TARGETS {
        writeln!(text, "  and {} more, in the JSON report", report.targets.len() - TARGETS)?;
    }
    writeln!(text)
}

fn write_generator(text: &mut String, report: &Report) -> std::fmt::Result {
    let threads = report.threads.iter().map(|thread| format!("{:.0} %", thread.cpu_share * 100.0));
    let threads = threads.collect::<Vec<_>>().join(", ");
    let each = report.cpu_per_request_ns.map(|cost| format!(", {} per answer", time(cost))).unwrap_or_default();
    writeln!(text, "  generator     {}, CPU per thread {threads}{each}", engine(&report.setup.engine))?;
    for line in floor::lines(report.floor.as_ref()) {
        writeln!(text, "  floor         {line}")?;
    }
    if report.interrupted {
        writeln!(text, "  interrupted   the figures cover {:.2} s", report.duration_s)?;
    }
    if report.is_valid() {
        writeln!(text, "  validity      valid")?;
    }
    for reason in &report.validity {
        writeln!(text, "  INVALID       {reason}")?;
    }
    Ok(())
}

/// What the run was held to, one line each.
fn write_assertions(text: &mut String, report: &Report) -> std::fmt::Result {
    if !report.assertions.is_empty() {
        writeln!(text)?;
    }
    for verdict in &report.assertions {
        let word = match verdict.outcome {
            Outcome::Met => "met",
            Outcome::Missed => "MISSED",
            Outcome::Undecided => "UNDECIDED",
        };
        write!(text, "  {word:<13} {}: {}", verdict.objective, verdict.shown)?;
        match verdict.reason.as_ref().filter(|reason| **reason != verdict.shown) {
            Some(reason) => writeln!(text, "; {reason}")?,
            None => writeln!(text)?,
        }
    }
    Ok(())
}

/// The engine in a few words.
pub(crate) fn engine(engine: &Engine) -> String {
    let Engine::Reqwest(transport) = engine else {
        return "engine fast".to_owned();
    };
    let mut words = format!("engine reqwest, {}", transport.http.name());
    if transport.streams > 1 {
        let _ = write!(words, " with {} streams", transport.streams);
    }
    if let Some(proxy) = &transport.proxy {
        let _ = write!(words, " through {proxy}");
    }
    if transport.max_redirects > 0 {
        let _ = write!(words, ", {} redirects at most", transport.max_redirects);
    }
    if transport.trust == Trust::Anyone {
        words.push_str(", any certificate");
    }
    words
}

/// The load in a few words.
pub(crate) fn load(setup: &Setup) -> String {
    let reuse = match (setup.reuse, setup.pipeline) {
        (Reuse::KeepAlive, 0 | 1) => "keep-alive".to_owned(),
        (Reuse::KeepAlive, depth) => format!("keep-alive, {depth} requests at a time"),
        (Reuse::NewConnectionPerRequest, _) => "a new connection per request".to_owned(),
    };
    let threads = match setup.threads {
        1 => "1 thread".to_owned(),
        count => format!("{count} threads"),
    };
    match &setup.load {
        Load::Closed { stop } => {
            let stop = match stop {
                Stop::Duration(duration) => format!("{} s", duration.as_secs_f64()),
                Stop::Requests(count) => format!("{count} requests"),
            };
            let connections = match setup.connections {
                1 => "1 connection".to_owned(),
                count => format!("{count} connections"),
            };
            format!("closed loop, {connections}, {stop}, {reuse}, {threads}")
        }
        Load::Open { stages, arrivals, seed } => {
            let stages: Vec<String> = stages.iter().map(ToString::to_string).collect();
            let arrivals = match arrivals {
                Arrivals::Constant => "evenly spaced".to_owned(),
                Arrivals::Poisson => format!("Poisson (seed {seed})"),
            };
            format!(
                "open loop, {}, {arrivals}, at most {} connections, {reuse}, {threads}",
                stages.join(","),
                setup.connections
            )
        }
    }
}

impl Interval {
    /// One line for progress displays, without a line break.
    #[must_use]
    pub fn line(&self) -> String {
        let mut line = format!(
            "{:>6.1} s  due {:>8.1}/s  answered {:>8.1}/s",
            self.start_s + self.duration_s,
            self.offered_rate,
            self.answered_rate,
        );
        if self.latency.count > 0 {
            let _ = write!(
                line,
                "  p50 {:>8}  p99 {:>8}  max {:>8}",
                time(self.latency.p50_ns as f64),
                time(self.latency.p99_ns as f64),
                time(self.latency.max_ns as f64),
            );
        }
        let _ = write!(line, "  in flight {}", self.in_flight);
        if self.queued > 0 {
            let _ = write!(line, "  queued {}", self.queued);
        }
        if !self.errors.is_empty() {
            let _ = write!(line, "  errors {}", self.errors_total());
        }
        if self.drain {
            line.push_str("  (draining)");
        }
        line
    }
}

/// Nanoseconds with a unit that leaves one to four digits before the point.
pub(crate) fn time(nanos: f64) -> String {
    match nanos {
        n if n < 1_000.0 => format!("{n:.0} ns"),
        n if n < 1_000_000.0 => format!("{:.1} µs", n / 1e3),
        n if n < 10_000_000_000.0 => format!("{:.2} ms", n / 1e6),
        n => format!("{:.2} s", n / 1e9),
    }
}

pub(crate) fn bytes(count: f64) -> String {
    match count {
        c if c < 1024.0 => format!("{c:.0} B"),
        c if c < 1024.0 * 1024.0 => format!("{:.1} KiB", c / 1024.0),
        c if c < 1024.0 * 1024.0 * 1024.0 => format!("{:.1} MiB", c / 1024.0 / 1024.0),
        c => format!("{:.1} GiB", c / 1024.0 / 1024.0 / 1024.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::objective::parse_objectives;
    use crate::report::tests::{interval, report};

    #[test]
    fn times_and_bytes_have_readable_units() {
        let times = [(0.0, "0 ns"), (999.0, "999 ns"), (1_500.0, "1.5 µs"), (2e6, "2.00 ms")];
        for (nanos, text) in times.into_iter().chain([(1.5e9, "1500.00 ms"), (12e9, "12.00 s")]) {
            assert_eq!(time(nanos), text);
        }
        for (count, text) in [(10.0, "10 B"), (2048.0, "2.0 KiB"), (3e6, "2.9 MiB")] {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn the_summary_says_what_matters() {
        let text = report().summary();
        for part in [
            "GET http://127.0.0.1:8000/ · open loop, 10s@100, Poisson (seed 7)",
            "1000 in 10.00 s: 1000 answered, 0 failed",
            "offered 100.00/s, achieved 100.00/s (100.00 %)",
            "200: 998, 503: 2",
            "status 5xx                     2",
            "valid",
        ] {
            assert!(text.contains(part), "{part:?} is missing in\n{text}");
        }
        // 1000 samples support p99 and not p99.9, which is marked and explained.
        let latency = text.lines().find(|line| line.starts_with("  latency")).unwrap();
        assert_eq!(latency.matches('*').count(), 1, "{latency}");
        assert!(text.contains("* fewer than ten"), "{text}");
        assert!(!text.contains("INVALID") && !text.contains("interrupted"), "{text}");
    }

    #[test]
    fn the_worst_interval_is_none_of_a_few_late_answers() {
        let worst = |late: usize| {
            let mut report = report();
            let drain = Interval { drain: true, ..interval(2.0, &vec![9_000_000; late]) };
            report.intervals = vec![interval(0.0, &[1_000_000; 30]), interval(1.0, &[2_000_000; 30]), drain];
            let text = report.summary();
            text.lines().find_map(|line| line.strip_prefix("  worst interval ")?.get(..3).map(str::to_owned))
        };
        for (late, start) in [(0, "1.0"), (9, "1.0"), (10, "2.0")] {
            assert_eq!(worst(late).as_deref(), Some(start), "{late} answers");
        }
    }

    #[test]
    fn the_requests_of_a_list_have_a_line_each() {
        let mut report = report();
        report.setup.order = Some(Order::Random);
        let one = RequestReport {
            method: "GET".to_owned(),
            path: "/{seq}".to_owned(),
            weight: 3,
            requests: 1000,
            answered: 998,
            errors: 2,
            latency: Some(report.latency.clone()),
        };
        report.targets = vec![one.clone(), RequestReport { latency: None, ..one.clone() }];
        let text = report.summary();
        for part in [
            "2 requests at random (seed 0) on 127.0.0.1:8000 · open loop",
            "\n        1000        998          2    2.50 ms    2.99 ms  GET /{seq}\n",
            "\n        1000        998          2          -          -  GET /{seq}\n",
        ] {
            assert!(text.contains(part), "{part:?} is missing in\n{text}");
        }
        report.targets = vec![one; TARGETS + 5];
        assert!(report.summary().contains("and 5 more, in the JSON report"));
    }

    #[test]
    fn assertions_are_shown_with_what_was_found() {
        let mut report = report();
        report.hold_to(&parse_objectives("p50<1s,errors<0.1%,p99.9<1s,connect.max<1s").unwrap());
        let text = report.summary();
        for part in [
            "\n  met           p50<1s: 2.50 ms\n",
            "\n  MISSED        errors<0.1%: 0.20 %\n",
            "\n  UNDECIDED     p99.9<1s: 3.00 ms; it takes 10000 requests",
            "\n  UNDECIDED     connect.max<1s: no such time was measured\n",
        ] {
            assert!(text.contains(part), "{part:?} is missing in\n{text}");
        }
    }

    #[test]
    fn what_went_wrong_is_not_hidden() {
        let mut report = report();
        report.abandoned = 4;
        assert!(report.summary().contains(", 4 abandoned at the deadline\n"), "{}", report.summary());
        report.validity = vec!["the reason".to_owned()];
        report.interrupted = true;
        report.errors.insert(ErrorKind::Read, 3);
        report.error_examples.insert(ErrorKind::Read, "Connection reset".to_owned());
        let text = report.summary();
        for part in [
            "INVALID       the reason",
            "interrupted",
            "3  (e.g. Connection reset)",
            "the 3 failed requests have no latency",
            "3 failed, 4 abandoned by the interruption\n",
        ] {
            assert!(text.contains(part), "{part:?} is missing in\n{text}");
        }
        assert!(!text.contains(" valid\n"), "{text}");
    }
}
