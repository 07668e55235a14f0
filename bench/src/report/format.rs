//! Figures as people read them: three significant digits, thousands apart, never a zero that stands for "unknown".

use super::metrics::Better;
use super::summary::{Figure, Row};
use crate::stats::Ratio;

/// Three significant digits, integers whole: `0.0123`, `4.56`, `78.9`, `1,234`.
pub(crate) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "not a number".into();
    }
    // Also turns a negative zero into a plain one.
    let value = value + 0.0;
    let size = value.abs();
    let decimals = match size {
        _ if value == value.trunc() && size < 1e6 => 0,
        _ if size >= 100.0 => 0,
        _ if size >= 10.0 => 1,
        _ if size >= 1.0 => 2,
        _ => 3,
    };
    thousands(&format!("{value:.decimals$}"))
}

fn thousands(digits: &str) -> String {
    let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(w, f)| (w, Some(f)));
    let (sign, whole) = whole.strip_prefix('-').map_or(("", whole), |rest| ("-", rest));
    let mut grouped = String::from(sign);
    for (i, c) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(c);
    }
    if let Some(fraction) = fraction {
        grouped.push('.');
        grouped.push_str(fraction);
    }
    grouped
}

/// A figure alone: `1,234`, `> 12`, `not measured`.
pub(crate) fn figure(figure: &Figure) -> String {
    match figure {
        Figure::Measured { value, beyond, .. } => {
            format!("{}{}", if *beyond { "> " } else { "" }, number(*value))
        }
        Figure::NotMeasured { .. } => "not measured".into(),
    }
}

/// A figure with its unit.
pub(crate) fn with_unit(shown: &Figure, unit: &str) -> String {
    match shown {
        Figure::Measured { .. } if !unit.is_empty() => format!("{} {unit}", figure(shown)),
        _ => figure(shown),
    }
}

/// `×0.45 [0.41–0.49]`, or `×0.45, n=1, no interval`.
pub(crate) fn ratio(ratio: &Ratio) -> String {
    let Some(value) = ratio.value else {
        return ratio.note.clone().unwrap_or_default();
    };
    match (&ratio.interval, &ratio.note) {
        (Some((low, high)), _) => {
            format!("×{} [{}–{}]", number(value), number(*low), number(*high))
        }
        (None, Some(note)) => format!("×{}, {note}", number(value)),
        (None, None) => format!("×{}", number(value)),
    }
}

/// How a figure compares with the first contender's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Better,
    Worse,
    /// The interval holds 1, or there is none, or nothing to compare.
    Open,
}

/// Where `figure` of `row` stands; decided only by an interval.
pub(crate) fn standing(row: &Row, figure: &Figure) -> Standing {
    let Figure::Measured { ratio: Some(ratio), .. } = figure else {
        return Standing::Open;
    };
    match (ratio.differs(), ratio.value) {
        (Some(true), Some(value)) => {
            if (value > 1.0) == (row.better == Better::Higher) {
                Standing::Better
            } else {
                Standing::Worse
            }
        }
        _ => Standing::Open,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let rows = [
            (0.0, "0"),
            (-0.0, "0"),
            (3.0, "3"),
            (0.01234, "0.012"),
            (1.2345, "1.23"),
            (45.67, "45.7"),
            (1234.5, "1,234"),
            (1_234_567.8, "1,234,568"),
            (-1234.5, "-1,234"),
            (f64::NAN, "not a number"),
        ];
        for (value, expected) in rows {
            assert_eq!(number(value), expected);
        }
    }

    #[test]
    fn figures_and_ratios() {
        let measured =
            |beyond| Figure::Measured { value: 12.0, beyond, replicates: vec![12.0], invalid: 0, ratio: None };
        assert_eq!(with_unit(&measured(true), "s"), "> 12 s");
        assert_eq!(with_unit(&measured(false), ""), "12");
        let missing = Figure::NotMeasured { reason: "x".into() };
        assert_eq!(with_unit(&missing, "s"), "not measured");
        let shown = |value, interval, note: Option<&str>| ratio(&Ratio { value, interval, note: note.map(Into::into) });
        assert_eq!(shown(Some(0.5), Some((0.4, 0.6)), None), "×0.500 [0.400–0.600]");
        assert_eq!(shown(Some(0.5), None, Some("n=1, no interval")), "×0.500, n=1, no interval");
        assert_eq!(shown(None, None, Some("a value is zero")), "a value is zero");
    }
}
