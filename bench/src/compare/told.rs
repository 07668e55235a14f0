//! A comparison for people: tables on a terminal, Markdown for a pull request. Pure.

use std::fmt::Write as _;

use super::verdict::{Change, Value, Verdict};
use super::{Comparison, FALSE_SHARE};
use crate::report::{aligned, number};

/// For a terminal.
pub(crate) fn text(comparison: &Comparison) -> String {
    let mut text = format!("{} → {}\n", comparison.old, comparison.new);
    for line in circumstances(comparison) {
        let _ = writeln!(text, "{line}");
    }
    let mut scenario = None;
    let mut rows: Vec<Vec<String>> = Vec::new();
    let header = |name: &str| [name, "contender", "old", "new", "new/old", "verdict"].map(String::from).to_vec();
    for change in &comparison.figures {
        if scenario != Some(change.scenario) {
            if !rows.is_empty() {
                let _ = write!(text, "\n{}", aligned(&rows));
            }
            scenario = Some(change.scenario);
            rows = vec![header(change.scenario.name())];
        }
        let [label, contender, old, new, ratio] = cells(change);
        rows.push(vec![label, contender, old, new, ratio, verdict(change)]);
    }
    if !rows.is_empty() {
        let _ = write!(text, "\n{}", aligned(&rows));
    }
    text.push('\n');
    for line in &comparison.missing {
        let _ = writeln!(text, "{line}");
    }
    let _ = writeln!(text, "{}", answer(comparison));
    let _ = writeln!(text, "{}", false_alarms(comparison));
    text
}

/// For a pull request: the changes in sight, everything else folded.
pub(crate) fn markdown(comparison: &Comparison) -> String {
    let mut text = format!("**{}**\n\n", escaped(&answer(comparison)));
    let (changed, others): (Vec<&Change>, Vec<&Change>) =
        comparison.figures.iter().partition(|c| matches!(c.verdict, Verdict::Regression | Verdict::Improvement));
    if !changed.is_empty() {
        let _ = writeln!(text, "{}", table(&changed));
    }
    for line in circumstances(comparison) {
        let _ = writeln!(text, "- {}", escaped(&line));
    }
    for line in &comparison.missing {
        let _ = writeln!(text, "- {}", escaped(line));
    }
    let _ = writeln!(text, "\n{}", escaped(&false_alarms(comparison)));
    if !others.is_empty() {
        let _ = writeln!(
            text,
            "\n<details><summary>{} other figures</summary>\n\n{}\n</details>",
            others.len(),
            table(&others)
        );
    }
    let _ = writeln!(text, "\n`{}` → `{}`", comparison.old, comparison.new);
    text
}

fn table(changes: &[&Change]) -> String {
    let mut text = "| scenario | figure | contender | old | new | new/old | verdict |\n".to_owned();
    text.push_str("| --- | --- | --- | ---: | ---: | ---: | --- |\n");
    for change in changes {
        let mut line = vec![change.scenario.name().to_owned()];
        line.extend(cells(change));
        line.push(match change.verdict {
            Verdict::Regression => "**regression**".into(),
            _ => verdict(change),
        });
        let line: Vec<String> = line.iter().map(|cell| escaped(cell)).collect();
        let _ = writeln!(text, "| {} |", line.join(" | "));
    }
    text
}

/// A cell's or line's text in which nothing is read as a table's edge, or as HTML.
fn escaped(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}

fn cells(change: &Change) -> [String; 5] {
    let label = match change.unit.as_str() {
        "" => change.label.clone(),
        unit => format!("{}, {unit}", change.label),
    };
    let shown = |value: &Value| format!("{}{}", if value.beyond { "> " } else { "" }, number(value.value));
    let ratio = match (change.ratio.value, change.ratio.interval) {
        (Some(ratio), Some((low, high))) => format!("×{} [{}–{}]", number(ratio), number(low), number(high)),
        (Some(ratio), None) => format!("×{}", number(ratio)),
        (None, _) => "–".into(),
    };
    [label, change.title.clone(), shown(&change.old), shown(&change.new), ratio]
}

fn verdict(change: &Change) -> String {
    match change.because.as_str() {
        "" => change.verdict.words().to_owned(),
        because => format!("{} ({because})", change.verdict.words()),
    }
}

fn circumstances(comparison: &Comparison) -> Vec<String> {
    let line = |difference: &super::Difference| {
        format!("{}: {} → {}: {}", difference.what, difference.old, difference.new, difference.consequence())
    };
    comparison.differences.iter().map(line).collect()
}

/// The answer in a sentence.
fn answer(comparison: &Comparison) -> String {
    let count = &comparison.count;
    let mut text = match (count.regressions, count.improvements) {
        (0, 0) if count.judged == 0 => "Nothing could be judged".to_owned(),
        (0, 0) => "Nothing changed beyond noise".to_owned(),
        (regressions, improvements) => {
            format!("{}, {}", counted(regressions, "regression"), counted(improvements, "improvement"))
        }
    };
    let _ =
        write!(text, ": of {} in both sessions, {} could be judged", counted(count.figures, "figure"), count.judged);
    if comparison.threshold_percent > 0.0 {
        let _ = write!(text, "; changes below {} % are ignored", number(comparison.threshold_percent));
    }
    if count.failed > 0 {
        let _ = write!(
            text,
            "; {} failed in {} and not in {}",
            counted(count.failed, "run"),
            comparison.new,
            comparison.old
        );
    }
    text.push('.');
    text
}

fn false_alarms(comparison: &Comparison) -> String {
    format!(
        "If nothing had changed, {} of {} 95 % intervals would exclude 1 by chance. Told are only those that remain when \
         at most {} % of what is told may be false (Benjamini–Hochberg).",
        number(comparison.count.expected_by_chance),
        comparison.count.judged,
        number(FALSE_SHARE * 100.0)
    )
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
