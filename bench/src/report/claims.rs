//! The table of claims: what the prototype asserted against Apache prefork, and what was found.
//!
//! A claim is judged only by figures of this session. One whose figure could not be had (no tool, no permission, no run)
//! is listed as not measured with the reason, so that the table never looks better than it is.

use std::collections::BTreeSet;

use mpm::record::Replay;
use serde::{Deserialize, Serialize};

use super::format;
use super::metrics::{self, Better};
use super::summary::{Figure, Row, Summary};
use crate::observe::signals;
use crate::results::schema::{Outcome, Run, Session};
use crate::scenario::Observation;
use crate::scenario::counters::Orders;
use crate::scenario::onlooker::Count;
use crate::stats::{FEWEST, Ratio};

/// Ours, whose claims they are.
const OURS: &str = "smarthttpd-adaptive";
/// The one that they were made against.
const THEIRS: &str = "apache-prefork";

/// One row of the table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Claim {
    /// What the prototype said.
    pub(crate) claim: String,
    /// What was looked at.
    pub(crate) figure: String,
    pub(crate) ours: String,
    pub(crate) theirs: String,
    /// Theirs over ours, with its interval or the reason why there is none.
    pub(crate) ratio: String,
    pub(crate) verdict: Verdict,
    /// Why, in a sentence.
    pub(crate) because: String,
    pub(crate) source: String,
}

/// What came of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Holds,
    HoldsPartly,
    False,
    /// Measured, but not often enough, or with no difference to be seen.
    Undecided,
    NotMeasured,
}

impl Verdict {
    /// As the report says it.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::HoldsPartly => "holds partly",
            Self::False => "false",
            Self::Undecided => "undecided",
            Self::NotMeasured => "not measured",
        }
    }
}

/// Judges every claim.
pub(crate) fn judge(session: &Session, runs: &[Run], summary: &Summary) -> Vec<Claim> {
    let compared = |claim: &str, id: &str| compare(summary, claim, id);
    let no_waits = |id| none_of(summary, compared("user-space counters instead of waitpid", id), id);
    vec![
        no_switches(compared("no context switches", "counted_switches")),
        no_switches(measured_or(compared("no context switches", "saturated_switches"), || {
            compared("no context switches", "switches_per_request")
        })),
        compared("dynamic instead of fixed thresholds: reacts at once", "recovery"),
        compared("dynamic instead of fixed thresholds: fewer workers for the same load", "worker_seconds"),
        no_handlers(session, runs),
        none_of(summary, compared("no signals", "signals_sent"), "signals_sent"),
        none_of(summary, compared("no signals", "signals_delivered"), "signals_delivered"),
        no_waits("counted_waits"),
        no_waits("saturated_waits"),
        no_waits("waits"),
        compared("faster: fewer system calls", "counted_calls"),
        compared("faster: fewer system calls", "saturated_calls"),
        compared("faster: less work", "cpu_per_request"),
        compared("faster: more requests", "throughput"),
        compared("faster: shorter answers", "paced_p99"),
        compared("lighter", "pss"),
        compared("lighter: idle when there is nothing to do", "rest_wakeups"),
        compared("lighter: idle when there is nothing to do", "rest_cpu"),
        portability(session, runs),
        determinism(runs),
    ]
}

/// The one that was measured: the other figure of the same thing needs no tool.
fn measured_or(claim: Claim, other: impl FnOnce() -> Claim) -> Claim {
    if claim.verdict == Verdict::NotMeasured { other() } else { claim }
}

fn compare(summary: &Summary, claim: &str, id: &str) -> Claim {
    let row = summary.tables.iter().flat_map(|table| &table.rows).find(|row| row.id == id);
    let (Some(row), Some(ours), Some(theirs)) = (row, summary.figure(id, OURS), summary.figure(id, THEIRS)) else {
        let reason = format!("{OURS} and {THEIRS} did not both take part");
        return unmeasured(claim, row.map_or(id, |row| &row.label), &reason);
    };
    let (verdict, because) = verdict(row, ours, theirs);
    Claim {
        claim: claim.into(),
        figure: row.label.clone(),
        ours: format::with_unit(ours, &row.unit),
        theirs: format::with_unit(theirs, &row.unit),
        ratio: match theirs {
            Figure::Measured { ratio: Some(ratio), .. } => format::ratio(ratio),
            _ => "–".into(),
        },
        verdict,
        because,
        source: row.source.clone(),
    }
}

/// Whether ours is better: by the interval of the ratio, or by one side having reached what the other had not.
fn verdict(row: &Row, ours: &Figure, theirs: &Figure) -> (Verdict, String) {
    for (side, figure) in [("ours", ours), ("theirs", theirs)] {
        if let Figure::NotMeasured { reason } = figure {
            let reason = reason.lines().next().unwrap_or_default();
            return (Verdict::NotMeasured, format!("{side}: {reason}"));
        }
    }
    if ours.exact().is_none() {
        return (Verdict::False, "ours had not got there when the run ended".into());
    }
    let no_ratio = match theirs {
        Figure::Measured { beyond: true, .. } => Some("theirs had not got there when the run ended"),
        Figure::Measured { ratio: Some(Ratio { value: None, .. }), .. } => Some("there is no ratio with zero"),
        _ => None,
    };
    if let Some(why) = no_ratio {
        return without_ratio(row.better, ours, theirs, why);
    }
    let differs = match theirs {
        Figure::Measured { ratio: Some(ratio), .. } => ratio.differs(),
        _ => None,
    };
    match (differs, format::standing(row, theirs)) {
        (None, _) => (Verdict::Undecided, "too few runs for an interval; the figures stand as they are".into()),
        (Some(_), format::Standing::Worse) => (Verdict::Holds, "the interval of the ratio excludes 1".into()),
        (Some(_), format::Standing::Better) => {
            (Verdict::False, "theirs is better, and the interval of the ratio excludes 1".into())
        }
        (Some(_), format::Standing::Open) => {
            (Verdict::Undecided, "the interval of the ratio includes 1: no difference shown".into())
        }
    }
}

/// Where there is no ratio, and so no interval of it: decided only when every start of the one is better than every start
/// of the other, of as many as an interval needs and without one that the generator calls INVALID. What had not happened
/// when a run ended happened later than its end, so that a bound serves for theirs.
fn without_ratio(better: Better, ours: &Figure, theirs: &Figure, why: &str) -> (Verdict, String) {
    let starts = |figure: &Figure| match figure {
        Figure::Measured { replicates, invalid: 0, .. } if replicates.len() >= FEWEST => Some(replicates.clone()),
        _ => None,
    };
    let (Some(a), Some(b)) = (starts(ours), starts(theirs)) else {
        return (Verdict::Undecided, format!("{why}; too few runs to decide without; the figures stand as they are"));
    };
    let beats = |winner: &[f64], loser: &[f64]| match better {
        Better::Lower => winner.iter().all(|own| loser.iter().all(|other| own < other)),
        Better::Higher => winner.iter().all(|own| loser.iter().all(|other| own > other)),
    };
    let always =
        |whose| format!("{why}, and every one of {} starts of {whose} is better than any of the other", a.len());
    match (beats(&a, &b), beats(&b, &a)) {
        (true, _) => (Verdict::Holds, always("ours")),
        (false, true) if theirs.exact().is_some() => (Verdict::False, always("theirs")),
        (false, _) => (Verdict::Undecided, format!("{why}, and the starts of both overlap: no difference shown")),
    }
}

/// The claim says *no*, and a count of context switches is never zero; what may hold is *fewer*.
fn no_switches(claim: Claim) -> Claim {
    match claim.verdict {
        Verdict::NotMeasured => claim,
        Verdict::Holds => {
            Claim { verdict: Verdict::HoldsPartly, because: "fewer than Apache's, and never none".into(), ..claim }
        }
        Verdict::HoldsPartly | Verdict::False | Verdict::Undecided => {
            Claim { verdict: Verdict::False, because: format!("never none; {}", claim.because), ..claim }
        }
    }
}

/// The claim is *none at all*, of something that can be zero: it holds only when no start of ours had any. That theirs has
/// some is not needed for it, but told.
fn none_of(summary: &Summary, claim: Claim, id: &str) -> Claim {
    let every = |name| match summary.figure(id, name) {
        Some(Figure::Measured { replicates, .. }) => Some(replicates.clone()),
        _ => None,
    };
    let (Some(ours), Some(theirs)) = (every(OURS), every(THEIRS)) else { return claim };
    let (verdict, because) = none_at_all(&ours, &theirs);
    Claim { verdict, because, ..claim }
}

/// By the figures of every start.
fn none_at_all(ours: &[f64], theirs: &[f64]) -> (Verdict, String) {
    let most = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
    let least = |values: &[f64]| values.iter().copied().fold(f64::INFINITY, f64::min);
    let starts = |n: usize| if n == 1 { "the one start".to_owned() } else { format!("all {n} starts") };
    match (most(ours), most(theirs)) {
        (0.0, 0.0) => (Verdict::Holds, format!("none in {}; nor had theirs any", starts(ours.len()))),
        (0.0, _) => (Verdict::Holds, format!("none in {}", starts(ours.len()))),
        (most, _) if most < least(theirs) => {
            (Verdict::HoldsPartly, "never none, and in every start fewer than in any of theirs".into())
        }
        _ => (Verdict::False, "ours has some, and not in every start fewer than theirs".into()),
    }
}

/// Whether each side would run elsewhere: which Linux-only interfaces it was seen to use.
fn portability(session: &Session, runs: &[Run]) -> Claim {
    const CLAIM: &str = "full portability";
    const FIGURE: &str = "Linux-only interfaces used";
    let (ours, theirs) = match (interfaces(session, runs, OURS), interfaces(session, runs, THEIRS)) {
        (Ok(ours), Ok(theirs)) => (ours, theirs),
        (Err(reason), _) => return unmeasured(CLAIM, FIGURE, &format!("ours: {reason}")),
        (_, Err(reason)) => return unmeasured(CLAIM, FIGURE, &format!("theirs: {reason}")),
    };
    let told = |names: &BTreeSet<String>| match names.len() {
        0 => "none".to_owned(),
        n => format!("{n}: {}", names.iter().cloned().collect::<Vec<_>>().join(", ")),
    };
    let (verdict, because) = match (ours.is_empty(), theirs.is_empty()) {
        (true, _) => (Verdict::Holds, "none was seen; what no run reaches is not known".into()),
        (false, false) => (
            Verdict::False,
            "ours needs Linux. Theirs was seen to use some as well, behind a library (APR) that has others elsewhere; ours has none".into(),
        ),
        (false, true) => (Verdict::False, "ours needs Linux, theirs does not".into()),
    };
    Claim {
        source: "strace -c -f under load, and the links of /proc/PID/fd for what was made at the start; calls that only Linux has (section 2 of its manual) and that a program asks for by name".into(),
        ..judged(CLAIM, FIGURE, [told(&ours), told(&theirs)], verdict, because)
    }
}

/// Whether decisions follow from what was known: those of the counted runs, all of them from the server's start, decided
/// again by the same code from the same inputs.
fn determinism(runs: &[Run]) -> Claim {
    const CLAIM: &str = "deterministic, predictable";
    const FIGURE: &str = "decisions that come out the same again";
    let mut sum = Replay::default();
    let mut orders = Orders::default();
    let mut starts = 0;
    let mut reason = format!("{OURS} did not take part in the counted runs");
    for run in runs.iter().filter(|run| run.id.contender == OURS) {
        if let Outcome::Measured { observation: Observation::Counters(seen), .. } = &run.outcome {
            match &seen.decisions {
                Count::Counted(replay) => {
                    starts += 1;
                    orders.start += seen.orders.start;
                    orders.leave += seen.orders.leave;
                    sum.asked += replay.asked;
                    sum.decisions += replay.decisions;
                    sum.same += replay.same;
                    sum.difference = sum.difference.or_else(|| replay.difference.clone());
                }
                Count::NotCounted(why) => reason.clone_from(why),
            }
        }
    }
    if sum.decisions == 0 {
        return unmeasured(CLAIM, FIGURE, if starts == 0 { &reason } else { "nothing had to be decided" });
    }
    let (verdict, because) = match sum.difference {
        None => (
            Verdict::HoldsPartly,
            format!(
                "the same inputs give the same orders for the same reasons, each of {} times it was asked; it ordered {} workers to start and {} to leave. The inputs are measured, and no two runs have the same. Apache keeps no record of its own decisions",
                sum.asked, orders.start, orders.leave
            ),
        ),
        Some(difference) => (Verdict::False, format!("the first that differs: {difference}")),
    };
    let starts = format!("{starts} {}", if starts == 1 { "start" } else { "starts" });
    let ours = format!("{} of {} in {starts}", sum.same, sum.decisions);
    Claim {
        source: "--decision-log of our server: every snapshot from its start, given again to the policies' code (crate mpm); orders and reasons compared word for word".into(),
        ..judged(CLAIM, FIGURE, [ours, "not recorded".into()], verdict, because)
    }
}

/// The Linux-only interfaces that any start of a contender used, or why nobody knows.
fn interfaces(session: &Session, runs: &[Run], name: &str) -> Result<BTreeSet<String>, String> {
    let took_part = session.contenders.iter().any(|entrant| entrant.name == name && entrant.missing.is_none());
    let mut found: Result<BTreeSet<String>, String> = Err(match took_part {
        true => "the run was not made".to_owned(),
        false => format!("{name} did not take part"),
    });
    for run in runs.iter().filter(|run| run.id.contender == name) {
        if let Outcome::Measured { observation: Observation::Counters(seen), .. } = &run.outcome {
            match (metrics::linux_only(seen), &mut found) {
                (Ok(names), Ok(found)) => found.extend(names.into_iter().map(String::from)),
                (Ok(names), _) => found = Ok(names.into_iter().map(String::from).collect()),
                (Err(reason), Err(found)) => *found = reason,
                (Err(_), Ok(_)) => {}
            }
        }
    }
    found
}

/// Which handlers are installed. The Rust runtime's guards for stack overflow (SIGSEGV, SIGBUS) and the C library's own
/// are told, and do not count against the claim.
fn no_handlers(session: &Session, runs: &[Run]) -> Claim {
    const CLAIM: &str = "no signals";
    const FIGURE: &str = "signal handlers installed";
    let (Some(ours), Some(theirs)) = (caught(session, runs, OURS), caught(session, runs, THEIRS)) else {
        let reason = format!("{OURS} and {THEIRS} were not both measured under steady load");
        return unmeasured(CLAIM, FIGURE, &reason);
    };
    let guards: BTreeSet<String> =
        ["SIGBUS", "SIGSEGV"].into_iter().chain(signals::LIBRARY).map(String::from).collect();
    let beyond: Vec<&str> = ours.difference(&guards).map(String::as_str).collect();
    let (verdict, because) = if beyond.is_empty() {
        (Verdict::Holds, "nothing but the Rust runtime's fault guards and the C library's own".into())
    } else {
        (Verdict::False, format!("handlers for {} are installed in ours", beyond.join(", ")))
    };
    let told = |names: &BTreeSet<String>| {
        if names.is_empty() { "none".to_owned() } else { names.iter().cloned().collect::<Vec<_>>().join(", ") }
    };
    Claim {
        source:
            "SigCgt of /proc/PID/status of every process of the tree, under load; installed, which does not mean used"
                .into(),
        ..judged(CLAIM, FIGURE, [told(&ours), told(&theirs)], verdict, because)
    }
}

/// Every signal that any process of a contender has a handler for; `None` when it was not measured.
pub(crate) fn caught(session: &Session, runs: &[Run], name: &str) -> Option<BTreeSet<String>> {
    session.contenders.iter().find(|entrant| entrant.name == name)?;
    let mut all = None;
    for run in runs.iter().filter(|run| run.id.contender == name) {
        if let Outcome::Measured { observation: Observation::Steady(steady), .. } = &run.outcome {
            let all: &mut BTreeSet<String> = all.get_or_insert_default();
            for process in &steady.handlers {
                all.extend(signals::names(process.caught));
            }
        }
    }
    all
}

fn unmeasured(claim: &str, figure: &str, reason: &str) -> Claim {
    let none = "not measured".to_owned();
    judged(claim, figure, [none.clone(), none], Verdict::NotMeasured, reason.into())
}

/// A row about something that has no ratio, of `[ours, theirs]`; where it comes from is for the caller to say.
fn judged(claim: &str, figure: &str, [ours, theirs]: [String; 2], verdict: Verdict, because: String) -> Claim {
    Claim {
        claim: claim.into(),
        figure: figure.into(),
        ours,
        theirs,
        ratio: "–".into(),
        verdict,
        because,
        source: "–".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(value: f64, beyond: bool, interval: Option<(f64, f64)>) -> Figure {
        Figure::Measured {
            value,
            beyond,
            replicates: vec![value],
            invalid: 0,
            ratio: Some(Ratio { value: interval.map(|(low, high)| (low * high).sqrt()), interval, note: None }),
        }
    }

    #[test]
    fn verdicts_follow_the_interval() {
        let row = |better| Row {
            id: "x".into(),
            label: "x".into(),
            unit: String::new(),
            better,
            source: "x".into(),
            figures: Vec::new(),
        };
        let ours = figure(1.0, false, None);
        // (theirs over ours, better, verdict)
        let rows = [
            (Some((1.5, 2.5)), Better::Lower, Verdict::Holds),
            (Some((1.5, 2.5)), Better::Higher, Verdict::False),
            (Some((0.4, 0.6)), Better::Lower, Verdict::False),
            (Some((0.9, 1.2)), Better::Lower, Verdict::Undecided),
            (None, Better::Lower, Verdict::Undecided),
        ];
        for (interval, better, expected) in rows {
            let theirs = figure(2.0, false, interval);
            assert_eq!(verdict(&row(better), &ours, &theirs).0, expected, "{interval:?}");
        }
        let never = figure(12.0, true, None);
        assert_eq!(verdict(&row(Better::Lower), &never, &ours).0, Verdict::False);
        assert_eq!(verdict(&row(Better::Lower), &ours, &never).0, Verdict::Undecided);
        let several = |starts: [f64; 3], beyond: bool, invalid: u32| Figure::Measured {
            value: starts[1],
            beyond,
            replicates: starts.to_vec(),
            invalid,
            ratio: (!beyond).then_some(Ratio { value: None, interval: None, note: Some("no ratio with zero".into()) }),
        };
        let none = several([0.0; 3], false, 0);
        let some = several([1.0, 2.0, 3.0], false, 0);
        // Without a ratio every start counts.
        let rows = [
            ("none against some", &none, some.clone(), Verdict::Holds),
            ("some against none", &some, none.clone(), Verdict::False),
            ("none on both sides", &none, none.clone(), Verdict::Undecided),
            ("they overlap", &none, several([0.0, 2.0, 3.0], false, 0), Verdict::Undecided),
            ("theirs never got there", &some, several([4.0; 3], true, 0), Verdict::Holds),
            ("one of theirs may have been sooner", &some, several([3.0, 4.0, 4.0], true, 0), Verdict::Undecided),
            ("the generator takes one back", &none, several([1.0, 2.0, 3.0], false, 1), Verdict::Undecided),
            ("one start", &ours, never, Verdict::Undecided),
        ];
        for (what, ours, theirs, expected) in rows {
            assert_eq!(verdict(&row(Better::Lower), ours, &theirs).0, expected, "{what}");
        }
        let missing = Figure::NotMeasured { reason: "no tool".into() };
        assert_eq!(verdict(&row(Better::Lower), &ours, &missing), (Verdict::NotMeasured, "theirs: no tool".into()));
    }

    #[test]
    fn none_is_none_in_every_start() {
        let rows: [(&[f64], &[f64], Verdict); 6] = [
            (&[0.0, 0.0, 0.0], &[4.0, 5.0, 6.0], Verdict::Holds),
            (&[0.0], &[0.0], Verdict::Holds),
            (&[0.0, 1.0, 0.0], &[4.0, 5.0, 6.0], Verdict::HoldsPartly),
            // Fewer on average is not fewer in every start.
            (&[0.0, 4.0, 0.0], &[4.0, 5.0, 6.0], Verdict::False),
            (&[9.0], &[4.0], Verdict::False),
            (&[1.0], &[0.0], Verdict::False),
        ];
        for (ours, theirs, expected) in rows {
            assert_eq!(none_at_all(ours, theirs).0, expected, "{ours:?} {theirs:?}");
        }
    }

    #[test]
    fn no_context_switches_can_hold_only_partly() {
        let base = unmeasured("no context switches", "x", "y");
        for (before, after) in [
            (Verdict::Holds, Verdict::HoldsPartly),
            (Verdict::Undecided, Verdict::False),
            (Verdict::False, Verdict::False),
            (Verdict::NotMeasured, Verdict::NotMeasured),
        ] {
            let claim = Claim { verdict: before, ..base.clone() };
            assert_eq!(no_switches(claim).verdict, after);
        }
    }
}
