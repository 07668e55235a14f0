//! Every figure of a scenario as its ratio to the first contender's, with the interval: dots to the right of the line
//! are better, whichever way the figure goes.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::look::{self, Area, FAMILY, GREY, INK, LABEL, SHADE, Stroke};
use super::{By, Draw, Point, Values};
use crate::report::format::{self, number};
use crate::report::metrics::Better;
use crate::report::summary::{Figure, Table};

/// Drawing units of a dot's line, and of what is around the lines.
const LINE: u32 = 30;
const BETWEEN: u32 = 14;
const AROUND: u32 = 330;

/// Ratios beyond are drawn at the edge.
const FARTHEST: f64 = 50.0;

/// One contender's figure.
struct Dot {
    place: usize,
    stroke: Stroke,
    /// How many times as good as the first contender's, and the interval.
    value: f64,
    interval: Option<(f64, f64)>,
    words: String,
}

/// The dots of one figure.
struct Group {
    label: String,
    dots: Vec<Dot>,
}

pub(super) struct Chart<'a> {
    first: &'a str,
    groups: Vec<Group>,
    legend: Vec<(&'a str, Stroke)>,
    /// Dots are of those with their best settings.
    is_tuned: bool,
}

impl<'a> Chart<'a> {
    /// `place` is a contender's place in the session; `None` where nothing can be compared.
    pub(super) fn of(table: &'a Table, place: impl Fn(&str) -> usize) -> Option<Self> {
        let groups: Vec<Group> = table
            .rows
            .iter()
            .map(|row| {
                let dots = table.contenders.iter().zip(&row.figures).filter_map(|(column, figure)| {
                    let Figure::Measured { ratio: Some(ratio), .. } = figure else {
                        return None;
                    };
                    let value = ratio.value.filter(|value| value.is_finite() && *value > 0.0)?;
                    let turned = |value: f64| if row.better == Better::Higher { value } else { 1.0 / value };
                    let interval = ratio.interval.map(|(low, high)| {
                        let (one, other) = (turned(low), turned(high));
                        (one.min(other), one.max(other))
                    });
                    let words = format!("{}, {}", format::with_unit(figure, &row.unit), format::ratio(ratio));
                    let place = place(&column.name);
                    Some(Dot { place, stroke: look::stroke(place), value: turned(value), interval, words })
                });
                Group { label: row.label.clone(), dots: dots.collect() }
            })
            .filter(|group| !group.dots.is_empty())
            .collect();
        let seen = |name: &str| groups.iter().flat_map(|group| &group.dots).any(|dot| dot.place == place(name));
        let legend = table.contenders.iter().skip(1).filter(|column| seen(&column.name));
        let legend: Vec<_> = legend.map(|column| (column.title.as_str(), look::stroke(place(&column.name)))).collect();
        let first = table.contenders.first()?.title.as_str();
        (!groups.is_empty()).then_some(Self { first, groups, legend, is_tuned: table.is_tuned() })
    }

    /// In drawing units.
    pub(super) fn height(&self) -> u32 {
        // Names of settings are long.
        let in_a_line = if self.is_tuned { 2 } else { 4 };
        AROUND + self.groups.iter().map(height).sum::<u32>() + 44 * (self.legend.len() as u32 / in_a_line)
    }

    pub(super) fn caption(&self) -> String {
        format!(
            "Every figure as its ratio to that of {0}, turned so that the right of the line is better than {0} and the left is worse. Bars are 95 % bootstrap intervals over server starts; a filled dot’s interval excludes 1, a hollow dot shows no difference or has no interval. Dots at the edge are farther than ×{1}.",
            self.first,
            number(FARTHEST)
        )
    }

    fn bounds(&self) -> (f64, f64) {
        let dots = || self.groups.iter().flat_map(|group| &group.dots);
        let low = dots().map(|dot| dot.interval.map_or(dot.value, |interval| interval.0)).fold(0.6, f64::min);
        let high = dots().map(|dot| dot.interval.map_or(dot.value, |interval| interval.1)).fold(1.6, f64::max);
        (low.max(1.0 / FARTHEST) / 1.15, high.min(FARTHEST) * 1.15)
    }
}

fn height(group: &Group) -> u32 {
    BETWEEN + LINE * (group.dots.len() as u32).max(1)
}

impl Draw for Chart<'_> {
    fn draw<B: DrawingBackend>(&self, area: &Area<B>) -> Result<Values, String> {
        let title = format!("Against {}, figure by figure", self.first);
        let subtitle = format!("left: worse than {0}; right: better than {0}; bars: 95 % intervals", self.first);
        let rest = look::frame(area, &title, &subtitle, &self.legend)?;
        let (low, high) = self.bounds();
        let total = f64::from(self.groups.iter().map(height).sum::<u32>());
        let mut chart = ChartBuilder::on(&rest)
            .x_label_area_size(96)
            .y_label_area_size(640)
            .build_cartesian_2d((low..high).log_scale().with_key_points(look::ticks(low, high)), 0.0..total)
            .map_err(look::told)?;
        let mut top = total;
        for (number, group) in self.groups.iter().enumerate() {
            let bottom = top - f64::from(height(group));
            if number % 2 == 0 {
                let band = [(low, bottom), (high, top)];
                chart.draw_series([Rectangle::new(band, SHADE.filled())]).map_err(look::told)?;
            }
            let style = (FAMILY, LABEL).into_font().color(&INK).pos(Pos::new(HPos::Right, VPos::Center));
            let middle = (low, f64::midpoint(bottom, top));
            let label = EmptyElement::at(middle) + Text::new(group.label.clone(), (-18, 0), style);
            chart.draw_series([label]).map_err(look::told)?;
            top = bottom;
        }
        look::axes(&mut chart.configure_mesh())
            .disable_y_mesh()
            .disable_y_axis()
            .x_desc(format!("times as good as {}", self.first))
            .x_labels(14)
            .x_label_formatter(&|x| format!("×{}", look::tick(*x)))
            .draw()
            .map_err(look::told)?;
        chart
            .draw_series([PathElement::new(vec![(1.0, 0.0), (1.0, total)], GREY.stroke_width(4))])
            .map_err(look::told)?;
        let mut points = Vec::new();
        let mut top = total;
        for group in &self.groups {
            for (line, dot) in group.dots.iter().enumerate() {
                let y = top - f64::from(BETWEEN) / 2.0 - f64::from(LINE) * (line as f64 + 0.5);
                let within = |x: f64| x.clamp(low, high);
                let at = (within(dot.value), y);
                if let Some((from, to)) = dot.interval {
                    let bar = vec![(within(from), y), (within(to), y)];
                    let bar = PathElement::new(bar, dot.stroke.colour.stroke_width(5));
                    chart.draw_series([bar]).map_err(look::told)?;
                }
                let differs = dot.interval.is_some_and(|(from, to)| from > 1.0 || to < 1.0);
                let dot_style = if differs { dot.stroke.colour.filled() } else { dot.stroke.colour.stroke_width(5) };
                chart.draw_series([Circle::new(at, if differs { 11 } else { 9 }, dot_style)]).map_err(look::told)?;
                points.push(Point {
                    at: chart.backend_coord(&at),
                    place: dot.place,
                    place_in_words: group.label.clone(),
                    value: dot.words.clone(),
                });
            }
            top -= f64::from(height(group));
        }
        let span = (chart.backend_coord(&(low, total)).1, chart.backend_coord(&(low, 0.0)).1);
        Ok(Values { by: By::Point, span, points })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::summary::{Column, Row};
    use crate::scenario::Scenario;
    use crate::stats::Ratio;

    fn figure(ratio: Option<Ratio>) -> Figure {
        Figure::Measured { value: 2.0, beyond: false, replicates: vec![2.0], invalid: 0, ratio }
    }

    #[test]
    fn better_is_on_the_right_whichever_way_the_figure_goes() {
        let ratio = || Some(Ratio { value: Some(2.0), interval: Some((1.6, 2.5)), note: None });
        let row = |better| Row {
            id: "x".into(),
            label: "x".into(),
            unit: "ms".into(),
            better,
            source: "x".into(),
            figures: vec![figure(None), figure(ratio())],
        };
        let column = |name: &str| Column { name: name.into(), title: name.to_uppercase(), of: None };
        let table = Table {
            scenario: Scenario::Steady,
            contenders: vec![column("a"), column("b")],
            rows: vec![row(Better::Higher), row(Better::Lower)],
            notes: Vec::new(),
        };
        let chart = Chart::of(&table, |name| usize::from(name == "b")).unwrap();
        let dots: Vec<_> = chart.groups.iter().map(|group| (group.dots[0].value, group.dots[0].interval)).collect();
        assert_eq!(dots, [(2.0, Some((1.6, 2.5))), (0.5, Some((0.4, 0.625)))]);
        assert_eq!(chart.legend.len(), 1, "the first one is the line");
        look::register_font().unwrap();
        let picture = super::super::inline("x", chart.caption(), (1800, chart.height()), &chart).unwrap();
        let marks = picture.svg.matches("class=\"c1\"").count();
        assert!(marks >= 5, "the legend, two bars, two dots: {}", picture.svg);
        assert_eq!(picture.values.points.len(), 2);
        let alone = Table { rows: vec![Row { figures: vec![figure(None)], ..row(Better::Lower) }], ..table };
        assert!(Chart::of(&alone, |_| 0).is_none());
    }
}
