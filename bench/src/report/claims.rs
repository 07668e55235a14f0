//! The table of claims: what the prototype asserted against Apache prefork, and what was found.
//!
//! A claim is judged only by figures of this session. One that needs other tools (tracepoints, system call counts) is
//! listed as not measured with the reason, so that the table never looks better than it is.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::format;
use super::summary::{Figure, Row, Summary};
use crate::observe::signals;
use crate::results::schema::{Outcome, Run, Session};
use crate::scenario::Observation;

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
    vec![
        no_switches(compared("no context switches", "switches_per_request")),
        compared("dynamic instead of fixed thresholds: reacts at once", "recovery"),
        compared("dynamic instead of fixed thresholds: fewer workers for the same load", "worker_seconds"),
        no_handlers(session, runs),
        unmeasured(
            "no signals",
            "signals delivered per second",
            "needs the tracepoint signal:signal_deliver in a run of its own",
        ),
        unmeasured(
            "user-space counters instead of waitpid",
            "wait* calls per second",
            "needs the tracepoints syscalls:sys_enter_wait4 and sys_enter_waitid in a run of their own",
        ),
        unmeasured(
            "faster: fewer system calls",
            "system calls per request",
            "needs the tracepoint raw_syscalls:sys_enter in a run of its own",
        ),
        compared("faster: less work", "cpu_per_request"),
        compared("faster: more requests", "throughput"),
        compared("faster: shorter answers", "paced_p99"),
        compared("lighter", "pss"),
        unmeasured(
            "full portability",
            "platform-specific interfaces used",
            "needs a list of the system calls made, in a run of its own",
        ),
        unmeasured(
            "deterministic, predictable",
            "decisions that can be recomputed from the log",
            "the decision log is not collected by this version",
        ),
    ]
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
    match (ours.exact(), theirs.exact()) {
        (Some(_), None) => {
            return (Verdict::Undecided, "one run each: theirs had not got there when the run ended, ours had".into());
        }
        (None, _) => {
            return (Verdict::False, "ours had not got there when the run ended".into());
        }
        (Some(_), Some(_)) => {}
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
        claim: CLAIM.into(),
        figure: FIGURE.into(),
        ours: told(&ours),
        theirs: told(&theirs),
        ratio: "–".into(),
        verdict,
        because,
        source:
            "SigCgt of /proc/PID/status of every process of the tree, under load; installed, which does not mean used"
                .into(),
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
    Claim {
        claim: claim.into(),
        figure: figure.into(),
        ours: none.clone(),
        theirs: none,
        ratio: "–".into(),
        verdict: Verdict::NotMeasured,
        because: reason.into(),
        source: "–".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::metrics::Better;
    use crate::stats::Ratio;

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
        let missing = Figure::NotMeasured { reason: "no tool".into() };
        assert_eq!(verdict(&row(Better::Lower), &ours, &missing), (Verdict::NotMeasured, "theirs: no tool".into()));
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
