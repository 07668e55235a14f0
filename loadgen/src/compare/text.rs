//! A comparison as a table for people. Only formats.

use std::fmt::Write as _;

use super::{Comparison, Row, Unit, Verdict};
use crate::report::Report;
use crate::summary::load;

pub(super) fn render(comparison: &Comparison, a: (&str, &Report), b: (&str, &Report)) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut text, comparison, a, b);
    text
}

fn write(text: &mut String, comparison: &Comparison, a: (&str, &Report), b: (&str, &Report)) -> std::fmt::Result {
    for (letter, (file, report)) in [("A", a), ("B", b)] {
        let setup = &report.setup;
        writeln!(text, "{letter}  {file}: {} {} · {}", setup.method, setup.target, load(setup))?;
    }
    writeln!(text)?;
    for warning in &comparison.warnings {
        writeln!(text, "  warning: {warning}")?;
    }
    if !comparison.warnings.is_empty() {
        writeln!(text)?;
    }
    writeln!(text, "  {:<15} {:>12} {:>12} {:>11}   {:<24}", "", "A", "B", "B against A", "with 95 % confidence")?;
    for row in &comparison.rows {
        let (change, low, high) = (row.shown(row.change.value), row.shown(row.change.low), row.shown(row.change.high));
        let verdict = match row.verdict {
            Verdict::NotToldApart => "not told apart",
            Verdict::Better => "better",
            Verdict::Worse => "WORSE",
            Verdict::Different => "different",
        };
        let (a, b) = (row.unit.shown(row.a.value), row.unit.shown(row.b.value));
        let range = format!("{low} … {high}");
        writeln!(text, "  {:<15} {a:>12} {b:>12} {change:>11}   {range:<24} {verdict}", row.name)?;
    }
    if !comparison.unsupported.is_empty() {
        writeln!(text, "  too few answers for {}", comparison.unsupported.join(", "))?;
    }
    writeln!(
        text,
        "\n  The ranges cover chance within these two runs, not what differs from one start of the target to the \
         next:\n  repeat both to learn that."
    )
}

impl Row {
    /// A change in words: percent, or for shares percentage points.
    fn shown(&self, change: f64) -> String {
        match self.unit {
            Unit::Share => format!("{:+.3} pp", change * 100.0),
            Unit::Nanoseconds | Unit::PerSecond | Unit::GeneratorCpu => format!("{:+.1} %", (change - 1.0) * 100.0),
        }
    }
}
