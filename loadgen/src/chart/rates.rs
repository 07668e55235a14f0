//! Rates over time: requests due, answers, and errors by kind.

use plotters::prelude::*;

use super::look::{self, Area, Palette, Stroke};
use super::{Draw, Values};
use crate::error::ErrorKind;
use crate::report::{Interval, Report};

pub(super) const CAPTION: &str = "Requests due and answered, and errors of each kind, per second. Where answers stay \
     below what is due, requests wait; where they rise above it, waiting requests are caught up with.";

const TITLE: &str = "Rates and errors over time";
/// Kinds of errors with a curve of their own; the others are joined.
const KINDS: usize = 4;

pub(super) struct Chart {
    open: bool,
    intervals: Vec<Moment>,
    errors: Vec<(String, Vec<ErrorKind>)>,
}

/// Its name, how it looks, and a moment's value.
type Curve<'a> = (&'a str, Stroke, Box<dyn Fn(&Moment) -> f64>);

/// An interval's rates.
struct Moment {
    start_s: f64,
    end_s: f64,
    offered: f64,
    answered: f64,
    /// Per entry of [`Chart::errors`].
    errors: Vec<f64>,
}

impl Chart {
    pub(super) fn of(report: &Report) -> Self {
        let mut kinds: Vec<_> = report.errors.iter().collect();
        kinds.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let kinds: Vec<ErrorKind> = kinds.into_iter().map(|(kind, _)| *kind).collect();
        let alone = if kinds.len() > KINDS { KINDS - 1 } else { kinds.len() };
        let mut errors: Vec<(String, Vec<ErrorKind>)> =
            kinds[..alone].iter().map(|kind| (kind.label().to_owned(), vec![*kind])).collect();
        if alone < kinds.len() {
            errors.push(("other errors".to_owned(), kinds[alone..].to_vec()));
        }
        let moment = |interval: &Interval| Moment {
            start_s: interval.start_s,
            end_s: interval.start_s + interval.duration_s,
            offered: interval.offered_rate,
            answered: interval.answered_rate,
            errors: errors
                .iter()
                .map(|(_, kinds)| {
                    let count: u64 = kinds.iter().filter_map(|kind| interval.errors.get(kind)).sum();
                    count as f64 / interval.duration_s
                })
                .collect(),
        };
        // The drain is often a few milliseconds long; a rate over that is a spike that nobody sent.
        let long = |interval: &&Interval| !interval.drain || interval.duration_s >= report.setup.interval_s * 0.5;
        let intervals = report.intervals.iter().filter(long).map(moment).collect();
        Self { open: report.offered_rate.is_some(), intervals, errors }
    }

    fn words(&self, moment: &Moment) -> String {
        let rate = |value: f64| look::tick((value * 10.0).round() / 10.0);
        let mut words = format!("{:.1} to {:.1} s: ", moment.start_s, moment.end_s);
        if self.open {
            words += &format!("due {}/s · ", rate(moment.offered));
        }
        words += &format!("answered {}/s", rate(moment.answered));
        for ((label, _), value) in self.errors.iter().zip(&moment.errors).filter(|(_, value)| **value > 0.0) {
            words += &format!(" · {label} {}/s", rate(*value));
        }
        words
    }

    /// Answers, and what they are to be compared with.
    fn answers(&self, palette: &Palette) -> Vec<Curve<'_>> {
        let answered: Curve<'_> = ("answered", palette.stroke(0), Box::new(|moment| moment.answered));
        let due: Curve<'_> = ("due", palette.reference(), Box::new(|moment| moment.offered));
        if self.open { vec![answered, due] } else { vec![answered] }
    }

    fn failures(&self, palette: &Palette) -> Vec<Curve<'_>> {
        let mut curves: Vec<Curve<'_>> = Vec::new();
        for (place, (label, _)) in self.errors.iter().enumerate() {
            curves.push((label, palette.stroke(place + 1), Box::new(move |moment| moment.errors[place])));
        }
        curves
    }

    fn end(&self) -> f64 {
        self.intervals.iter().map(|moment| moment.end_s).fold(0.0, f64::max)
    }

    /// Curves over time, in a chart of their own; `is_last` has the time's axis below it.
    fn panel<B: DrawingBackend>(
        &self,
        area: &Area<B>,
        palette: &Palette,
        curves: &[Curve<'_>],
        is_last: bool,
    ) -> Result<Values, String> {
        let values = self.intervals.iter().flat_map(|moment| curves.iter().map(move |(_, _, value)| value(moment)));
        let high = values.fold(0.0, f64::max).max(1.0) * 1.1;
        let mut chart = ChartBuilder::on(area)
            .x_label_area_size(if is_last { 96 } else { 12 })
            .y_label_area_size(160)
            .build_cartesian_2d(0.0..self.end(), 0.0..high)
            .map_err(look::told)?;
        let height = area.dim_in_pixel().1 as usize;
        palette
            .axes(&mut chart.configure_mesh())
            .x_desc(if is_last { "seconds" } else { "" })
            .x_labels(if is_last { 12 } else { 0 })
            .y_labels((height / 70).clamp(3, 10))
            .x_label_formatter(&|x| look::tick(*x))
            .y_label_formatter(&|y| look::tick(*y))
            .draw()
            .map_err(look::told)?;
        for (_, stroke, value) in curves.iter().rev() {
            // A rate holds for its whole interval: steps, so that short runs are no single point.
            let corners = self.intervals.iter().flat_map(|moment| {
                let rate = value(moment);
                [(moment.start_s, rate), (moment.end_s, rate)]
            });
            look::curve(&mut chart, &corners.collect::<Vec<_>>(), *stroke)?;
        }
        let shown = self.intervals.iter().map(|moment| {
            let middle = (moment.start_s + moment.end_s) / 2.0;
            (chart.backend_coord(&(middle, 0.0)).0, self.words(moment))
        });
        Ok(super::values(&chart, shown.collect()))
    }
}

impl Draw for Chart {
    /// Errors, if there are any, have a scale of their own: a few of them are not to vanish beside
    /// thousands of answers.
    fn draw<B: DrawingBackend>(&self, area: &Area<B>, palette: &Palette) -> Result<Values, String> {
        let (answers, failures) = (self.answers(palette), self.failures(palette));
        let legend: Vec<_> = answers.iter().chain(&failures).map(|(name, stroke, _)| (*name, *stroke)).collect();
        let subtitle = if failures.is_empty() { "per second; no errors" } else { "per second; errors below" };
        let rest = palette.frame(area, (TITLE, subtitle), &legend)?;
        if self.end() <= 0.0 {
            palette.write(&rest, "no interval was measured", (0, 20), look::LABEL, palette.grey)?;
            return Ok(Values::default());
        }
        if failures.is_empty() {
            return self.panel(&rest, palette, &answers, true);
        }
        let (above, below) = rest.split_vertically(rest.dim_in_pixel().1 * 55 / 100);
        let values = self.panel(&above, palette, &answers, false)?;
        let errors = self.panel(&below, palette, &failures, true)?;
        let [left, top, right, _] = values.area;
        Ok(Values { area: [left, top, right, errors.area[3]], ..values })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{interval, report};

    #[test]
    fn the_most_frequent_errors_have_a_curve_and_the_others_one_together() {
        let mut report = report();
        report.errors = ErrorKind::ALL.into_iter().zip(1..).collect();
        report.intervals = vec![interval(0.0, &[1_000_000; 8])];
        report.intervals[0].errors = report.errors.clone();
        let chart = Chart::of(&report);
        let names: Vec<&str> = chart.errors.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names.len(), KINDS);
        assert_eq!(names[KINDS - 1], "other errors");
        let all: f64 = chart.intervals[0].errors.iter().sum();
        assert_eq!(all, report.errors_total() as f64, "none is lost");
        assert!(chart.words(&chart.intervals[0]).starts_with("0.0 to 1.0 s: due 8/s · answered 8/s · "));
    }
}
