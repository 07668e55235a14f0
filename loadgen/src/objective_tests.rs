//! Tests of `objective`: its grammar, and what reports say.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::error::ErrorKind;
use crate::report::tests::report;

fn objective(text: &str) -> Objective {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

#[test]
fn objectives_are_read() {
    let latency = |figure| Metric::Time(Times::Latency, figure);
    let rows = [
        ("p99<50ms", latency(Figure::Quantile(0.99)), Comparison::Less, 50e6),
        ("p50<=1.5s", latency(Figure::Quantile(0.5)), Comparison::AtMost, 1.5e9),
        ("p99.999 > 250us", latency(Figure::Quantile(0.99999)), Comparison::More, 250e3),
        ("latency.max>=1m1s", latency(Figure::Max), Comparison::AtLeast, 61e9),
        ("mean<20µs", latency(Figure::Mean), Comparison::Less, 20e3),
        ("service.p99.9<1s", Metric::Time(Times::Service, Figure::Quantile(0.999)), Comparison::Less, 1e9),
        ("ttfb.p50<1s", Metric::Time(Times::FirstByte, Figure::Quantile(0.5)), Comparison::Less, 1e9),
        ("connect.max<1s", Metric::Time(Times::Connect, Figure::Max), Comparison::Less, 1e9),
        ("lag.p90<1ms", Metric::Time(Times::Lag, Figure::Quantile(0.9)), Comparison::Less, 1e6),
        ("queue.mean<1ms", Metric::Time(Times::Queue, Figure::Mean), Comparison::Less, 1e6),
        ("errors<1%", Metric::Errors, Comparison::Less, 0.01),
        ("errors<=0", Metric::Errors, Comparison::AtMost, 0.0),
        ("rate>0.99", Metric::Rate, Comparison::More, 0.99),
        ("rate >= 99.5 %", Metric::Rate, Comparison::AtLeast, 0.995),
        ("rps>500", Metric::Throughput, Comparison::More, 500.0),
        ("rps>30000/m", Metric::Throughput, Comparison::More, 500.0),
    ];
    for (text, metric, comparison, bound) in rows {
        let objective = objective(text);
        assert_eq!((objective.metric, objective.comparison), (metric, comparison), "{text}");
        assert!((objective.bound - bound).abs() <= bound * 1e-12, "{text}: {}", objective.bound);
    }
    let several: Vec<String> =
        parse_objectives("p99 < 50ms, errors<1%").unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(several, ["p99<50ms", "errors<1%"]);
}

#[test]
fn wrong_objectives_say_what_is_wrong() {
    let quoted = |text: &str| text.to_owned();
    let rows = [
        ("", ObjectiveError::Comparison(quoted(""))),
        ("p99=50ms", ObjectiveError::Comparison(quoted("p99=50ms"))),
        ("p99", ObjectiveError::Comparison(quoted("p99"))),
        ("<5ms", ObjectiveError::Metric(quoted(""))),
        ("p0<5ms", ObjectiveError::Metric(quoted("p0"))),
        ("p100<5ms", ObjectiveError::Metric(quoted("p100"))),
        // Some write p999 and mean p99.9.
        ("p999<5ms", ObjectiveError::Metric(quoted("p999"))),
        ("p<5ms", ObjectiveError::Metric(quoted("p"))),
        ("disk.p99<5ms", ObjectiveError::Metric(quoted("disk.p99"))),
        ("service.errors<1%", ObjectiveError::Metric(quoted("service.errors"))),
        ("p99<50", ObjectiveError::Time(quoted("50"))),
        ("p99<", ObjectiveError::Time(quoted(""))),
        ("p99<-5ms", ObjectiveError::Time(quoted("-5ms"))),
        ("p99<5%", ObjectiveError::Time(quoted("5%"))),
        ("p99<<5ms", ObjectiveError::Time(quoted("<5ms"))),
        ("errors<5", ObjectiveError::Share(quoted("5"))),
        ("errors<1ms", ObjectiveError::Share(quoted("1ms"))),
        ("rate>101%", ObjectiveError::Share(quoted("101%"))),
        ("rps>x", ObjectiveError::Rate(quoted("x"))),
    ];
    for (text, error) in rows {
        assert_eq!(text.parse::<Objective>(), Err(error), "{text}");
    }
    assert!(parse_objectives("p99<50ms,").is_err());
}

#[test]
fn a_report_meets_or_misses_them() {
    use Outcome::{Met, Missed, Undecided};
    // 1000 answers of 2 to 3 ms; 100/s offered and achieved, 99.9/s answered; 2 of 1000 failed.
    let rows = [
        ("p99<50ms", Met),
        ("p99<2ms", Missed),
        ("max>=2.9ms", Met),
        ("mean>2.4ms", Met),
        ("mean>2.6ms", Missed),
        ("service.p50<2.6ms", Met),
        ("errors<1%", Met),
        ("errors<0.2%", Missed),
        ("errors<=0.2%", Met),
        ("rate>0.99", Met),
        ("rate>1", Missed),
        ("rate>=100%", Met),
        ("rps>99", Met),
        ("rps>99.9", Missed),
        // 1000 answers do not state a p99.9, and no connect was timed.
        ("p99.9<50ms", Undecided),
        ("p99.9<1ms", Undecided),
        ("connect.max<1s", Undecided),
    ];
    for (text, outcome) in rows {
        let verdict = objective(text).judge(&report());
        assert_eq!(verdict.outcome, outcome, "{text}: {verdict:?}");
        assert_eq!(verdict.reason.is_some(), outcome == Undecided, "{text}: {verdict:?}");
    }
    let verdict = objective("p99.9<50ms").judge(&report());
    assert!(verdict.reason.unwrap().contains("10000 requests to state a p99.9, and there are 1000"));
}

#[test]
fn a_closed_loop_has_no_rate_to_hold() {
    let mut closed = report();
    closed.offered_rate = None;
    let verdict = objective("rate>0.99").judge(&closed);
    assert_eq!(verdict.outcome, Outcome::Undecided);
    assert!(verdict.reason.unwrap().contains("--rate"));
}

#[test]
fn a_run_without_requests_decides_nothing() {
    let mut empty = report();
    empty.requests = 0;
    empty.latency = Distribution::default();
    empty.errors = BTreeMap::from([(ErrorKind::Read, 0)]);
    empty.offered_rate = Some(0.0);
    empty.achieved_rate = 0.0;
    for text in ["errors<1%", "p50<1s", "max<1s", "rate>0.5"] {
        assert_eq!(objective(text).judge(&empty).outcome, Outcome::Undecided, "{text}");
    }
}

#[test]
fn only_bounds_that_load_can_break_limit_a_capacity() {
    for (text, limits) in [
        ("p99<50ms", true),
        ("errors<=1%", true),
        ("rate>0.99", true),
        ("p99>50ms", false),
        ("errors>1%", false),
        ("rate<0.5", false),
        ("rps>5", false),
    ] {
        assert_eq!(objective(text).limits_load(), limits, "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[ -~µ]{0,24}") {
        if let Ok(objective) = text.parse::<Objective>() {
            // What was accepted is accepted again as it is shown.
            prop_assert_eq!(objective.to_string().parse::<Objective>(), Ok(objective));
        }
    }

    #[test]
    fn every_percentile_and_time_is_what_was_written(
        tenths in 1..1000u32, millis in 1..1_000_000u32, comparison in 0..4usize,
    ) {
        let sign = ["<", "<=", ">", ">="][comparison];
        let percent = f64::from(tenths) / 10.0;
        let objective = objective(&format!("p{percent}{sign}{millis}ms"));
        let quantile = f64::from(tenths) / 1000.0;
        prop_assert_eq!(objective.metric, Metric::Time(Times::Latency, Figure::Quantile(quantile)));
        prop_assert!((objective.bound / 1e6 - f64::from(millis)).abs() < 1e-6);
    }
}
