//! Latency over the course of a load step as a heat map, with the processes that served: one per contender, all on the
//! same axes.

use hdrhistogram::Histogram;
use plotters::prelude::*;

use super::look::{self, Area, Stroke};
use super::{By, Draw, Point, Series, Values, staircase};
use crate::report::format::number;
use crate::report::series::{Second, Stepped};
use crate::results::schema::Session;

/// Drawing units of one of them.
pub(super) const SIZE: (u32, u32) = (1300, 760);

/// Rows per power of ten.
const ROWS: f64 = 10.0;

/// One contender's.
pub(super) struct Chart<'a> {
    series: &'a Series,
    place: usize,
    stroke: Stroke,
    columns: Vec<Column<'a>>,
    axes: Axes,
}

/// Some time of the run.
struct Column<'a> {
    second: &'a Second,
    /// (row, answers)
    cells: Vec<(i32, u64)>,
}

/// What all of them share.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Axes {
    first: i32,
    last: i32,
    end: f64,
    workers: f64,
    /// Answers in the fullest cell.
    most: u64,
}

impl<'a> Chart<'a> {
    /// One for each contender whose step was measured, with its place in the session.
    pub(super) fn all(session: &Session, series: &'a [Series]) -> Vec<(usize, Self)> {
        let end = Stepped::of(session).stages.iter().map(|stage| stage.seconds).sum();
        let mut axes = Axes { first: i32::MAX, last: i32::MIN, end, workers: 4.0, most: 1 };
        let mut all = Vec::new();
        for (place, one) in series.iter().enumerate().filter(|(_, one)| !one.seconds.is_empty()) {
            let columns: Vec<Column> =
                one.seconds.iter().map(|second| Column { second, cells: cells(&second.latency) }).collect();
            for (row, answers) in columns.iter().flat_map(|column| &column.cells) {
                axes.first = axes.first.min(*row);
                axes.last = axes.last.max(*row);
                axes.most = axes.most.max(*answers);
            }
            axes.workers = one.workers.iter().map(|sample| sample.1).fold(axes.workers, f64::max);
            all.push((place, one, columns));
        }
        if axes.first > axes.last {
            return Vec::new();
        }
        all.into_iter()
            .map(|(place, series, columns)| (place, Self { series, place, stroke: look::stroke(place), columns, axes }))
            .collect()
    }

    pub(super) fn caption(&self) -> String {
        format!(
            "Latency over the step, {}: a column per second, darker (in the dark: brighter) where more answers took so long, on a logarithmic scale; the line is the number of processes that serve (right axis).",
            self.series.title
        )
    }
}

fn cells(histogram: &Histogram<u64>) -> Vec<(i32, u64)> {
    let mut cells: Vec<(i32, u64)> = Vec::new();
    for value in histogram.iter_recorded() {
        let row = ((value.value_iterated_to().max(1_000) as f64 / 1e6).log10() * ROWS).floor() as i32;
        match cells.last_mut() {
            Some((last, answers)) if *last == row => *answers += value.count_at_value(),
            _ => cells.push((row, value.count_at_value())),
        }
    }
    cells
}

/// The lower edge of a row, in milliseconds.
fn edge(row: i32) -> f64 {
    10_f64.powf(f64::from(row) / ROWS)
}

impl Draw for Chart<'_> {
    fn draw<B: DrawingBackend>(&self, area: &Area<B>) -> Result<Values, String> {
        let Axes { first, last, end, workers, most } = self.axes;
        let rest = look::frame(area, &self.series.title, "latency, shaded by answers; line: processes", &[])?;
        let (low, high) = (edge(first - 1), edge(last + 2));
        let mut chart = ChartBuilder::on(&rest)
            .x_label_area_size(90)
            .y_label_area_size(140)
            .right_y_label_area_size(110)
            .build_cartesian_2d(0.0..end, (low..high).log_scale().with_key_points(look::ticks(low, high)))
            .map_err(look::told)?
            .set_secondary_coord(0.0..end, 0.0..workers * 1.1);
        look::axes(&mut chart.configure_mesh())
            .x_desc("seconds")
            .y_desc("latency, ms")
            .x_labels(10)
            .y_labels(10)
            .x_label_formatter(&|x| look::tick(*x))
            .y_label_formatter(&|y| look::tick(*y))
            .draw()
            .map_err(look::told)?;
        chart
            .configure_secondary_axes()
            .y_desc("processes")
            .y_labels(6)
            .y_label_formatter(&|y| look::tick(y.round()))
            .axis_style(look::GREY.stroke_width(2))
            .label_style((look::FAMILY, look::LABEL).into_font().color(&look::GREY))
            .axis_desc_style((look::FAMILY, look::LABEL).into_font().color(&look::GREY))
            .draw()
            .map_err(look::told)?;
        let boxes = self.columns.iter().flat_map(|column| {
            let (from, to) = (column.second.start, column.second.end);
            column.cells.iter().map(move |(row, answers)| {
                Rectangle::new([(from, edge(*row)), (to, edge(row + 1))], look::heat(*answers, most).filled())
            })
        });
        chart.draw_series(boxes).map_err(look::told)?;
        // Paper around the line keeps it apart from the shades, whatever its colour.
        let line = staircase(&self.series.workers);
        for style in [look::PAPER.stroke_width(13), self.stroke.colour.stroke_width(6)] {
            chart.draw_secondary_series(LineSeries::new(line.iter().copied(), style)).map_err(look::told)?;
        }
        let shown = self.columns.iter().map(|Column { second, .. }| {
            let middle = f64::midpoint(second.start, second.end);
            let serving = self.series.workers.iter().rev().find(|sample| sample.0 <= middle).map_or(0.0, |s| s.1);
            let times = if second.latency.is_empty() {
                "no answer".to_owned()
            } else {
                let ms = |quantile| number(second.latency.value_at_quantile(quantile) as f64 / 1e6);
                format!("p50 {} ms, longest {} ms, {} answers", ms(0.5), ms(1.0), second.latency.len())
            };
            Point {
                at: chart.backend_coord(&(middle, high)),
                place: self.place,
                place_in_words: format!("second {}", look::tick(second.start.round())),
                value: format!("{times}, processes: {}", number(serving)),
            }
        });
        let span = (chart.backend_coord(&(0.0, high)).1, chart.backend_coord(&(0.0, low)).1);
        Ok(Values { by: By::Column, span, points: shown.collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_is_in_a_cell() {
        let mut histogram = Histogram::<u64>::new(3).unwrap();
        for value in [2_000_000, 2_001_000, 90_000_000] {
            histogram.record(value).unwrap();
        }
        let cells = cells(&histogram);
        assert_eq!(cells.iter().map(|cell| cell.1).collect::<Vec<_>>(), [2, 1]);
        assert!(edge(cells[0].0) <= 2.0 && edge(cells[0].0 + 1) > 2.0);
        assert_eq!(look::heat(1, 1_000_000), RGBColor(0xe3, 0xee, 0xf6));
        assert_eq!(look::heat(9, 9), RGBColor(0x1f, 0x60, 0x93));
    }
}
