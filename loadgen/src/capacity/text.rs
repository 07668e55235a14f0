//! The text of a search: a line per trial, and what was found. Only formats what the search says.

use std::fmt::Write as _;

use super::{Capacity, Finding, Purpose, Standing, Trial};

pub(super) fn render(capacity: &Capacity) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail, so the results below carry no information.
    let _ = write_all(&mut text, capacity);
    text
}

fn write_all(text: &mut String, capacity: &Capacity) -> std::fmt::Result {
    writeln!(text, "{} · search for the capacity with {}", capacity.target, capacity.objectives.join(", "))?;
    writeln!(text)?;
    for one in &capacity.trials {
        writeln!(text, "  {}", trial(one))?;
    }
    writeln!(text)?;
    let unconfirmed = |rate: &Option<f64>| match rate {
        Some(rate) => format!("{rate}/s was sustained until then, and is not confirmed"),
        None => "no rate was sustained until then".to_owned(),
    };
    match &capacity.finding {
        Finding::Found { rate, above, reasons } => {
            writeln!(text, "  capacity      {rate}/s, confirmed; {above}/s failed: {}", reasons.join("; "))?;
        }
        Finding::AtLeast { rate } => {
            writeln!(text, "  capacity      at least {rate}/s, confirmed: the highest rate asked for (--max-rate)")?;
        }
        Finding::GeneratorLimited { rate, above, reasons } => {
            writeln!(text, "  capacity      at least {rate}/s, confirmed")?;
            writeln!(
                text,
                "  INVALID       the generator reached its own limit at {above}/s, so the target's is not known: {}",
                reasons.join("; ")
            )?;
        }
        Finding::NotSustained { rate, reasons } => {
            writeln!(text, "  capacity      none confirmed; {rate}/s failed: {}", reasons.join("; "))?;
            writeln!(text, "  remedy        lower --min-rate (with a longer --duration), or ask for less")?;
        }
        Finding::NotMeasured { rate, reasons } => {
            writeln!(text, "  capacity      not known")?;
            writeln!(text, "  INVALID       no valid run at {rate}/s: {}", reasons.join("; "))?;
        }
        Finding::Interrupted { rate } => writeln!(text, "  interrupted   {}", unconfirmed(rate))?,
        Finding::TargetLost { rate, at, message } => {
            writeln!(text, "  target down   before the trial at {at}/s: {message}")?;
            writeln!(text, "  capacity      {}", unconfirmed(rate))?;
        }
    }
    if let Some(confirmation) = capacity.confirmation() {
        write!(text, "\nThe run that confirmed it:\n\n{}", confirmation.report.summary())?;
    }
    Ok(())
}

pub(super) fn trial(trial: &Trial) -> String {
    let purpose = match trial.purpose {
        Purpose::Double => "double",
        Purpose::Bisect => "bisect",
        Purpose::Confirm => "confirm",
    };
    let standing = match trial.standing {
        Standing::Sustained => "sustained",
        Standing::Missed => "missed",
        Standing::Invalid => "INVALID",
    };
    let mut line = format!("{:>3}  {purpose:<8} {:>10}/s  {standing:<10}", trial.number, trial.rate);
    for verdict in &trial.report.assertions {
        let _ = write!(line, " {} {:<10}", verdict.metric(), verdict.shown);
    }
    // What is missed stands in the figures; why a run says nothing does not.
    if trial.standing == Standing::Invalid {
        let _ = write!(line, " {}", trial.reasons.join("; "));
    }
    line.truncate(line.trim_end().len());
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::parse_objectives;
    use crate::report::tests::report;

    fn trial_at(number: usize, rate: f64, purpose: Purpose, standing: Standing, objectives: &str) -> Trial {
        let mut report = report();
        report.hold_to(&parse_objectives(objectives).unwrap());
        Trial { number, rate, purpose, standing, reasons: vec!["a reason".to_owned()], report }
    }

    fn capacity(finding: Finding) -> Capacity {
        let objectives = "p99<50ms,errors<1%";
        Capacity {
            generator: "loadgen test".to_owned(),
            target: "http://a/".to_owned(),
            objectives: vec!["p99<50ms".to_owned(), "errors<1%".to_owned()],
            minimum: 100.0,
            maximum: 1e6,
            precision: 0.05,
            finding,
            trials: vec![
                trial_at(1, 100.0, Purpose::Double, Standing::Sustained, objectives),
                trial_at(2, 200.0, Purpose::Double, Standing::Invalid, objectives),
                trial_at(3, 100.0, Purpose::Confirm, Standing::Sustained, objectives),
            ],
        }
    }

    #[test]
    fn the_text_shows_every_trial_and_what_was_found() {
        let why = || vec!["p99<50ms: 61 ms".to_owned()];
        let rows = [
            (
                Finding::Found { rate: 100.0, above: 105.0, reasons: why() },
                "capacity      100/s, confirmed; 105/s failed: p99<50ms: 61 ms",
            ),
            (Finding::AtLeast { rate: 100.0 }, "at least 100/s, confirmed: the highest rate asked for"),
            (
                Finding::GeneratorLimited { rate: 100.0, above: 200.0, reasons: why() },
                "INVALID       the generator reached its own limit at 200/s",
            ),
            (Finding::NotSustained { rate: 100.0, reasons: why() }, "none confirmed; 100/s failed: p99<50ms: 61 ms"),
            (Finding::NotMeasured { rate: 100.0, reasons: why() }, "INVALID       no valid run at 100/s"),
            (Finding::Interrupted { rate: Some(100.0) }, "interrupted   100/s was sustained until then, and is not"),
            (
                Finding::TargetLost { rate: None, at: 200.0, message: "refused".to_owned() },
                "target down   before the trial at 200/s: refused",
            ),
        ];
        for (finding, expected) in rows {
            let text = capacity(finding).summary();
            assert!(text.contains(expected), "{expected:?} is missing in\n{text}");
            assert!(text.contains("    1  double          100/s  sustained  p99 2.99 ms    errors 0.20 %\n"), "{text}");
            assert!(text.contains("INVALID    p99 2.99 ms    errors 0.20 %     a reason\n"), "{text}");
            assert!(text.contains("The run that confirmed it:"), "{text}");
        }
    }

    #[test]
    fn a_capacity_survives_json() {
        let capacity = capacity(Finding::Interrupted { rate: None });
        let json = serde_json::to_string(&capacity).unwrap();
        assert!(json.contains(r#""finding":{"kind":"interrupted","rate":null}"#), "{json}");
        assert_eq!(serde_json::from_str::<Capacity>(&json).unwrap(), capacity);
    }
}
