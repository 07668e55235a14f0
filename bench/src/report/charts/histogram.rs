//! How the latencies at equal load are spread: a small picture per contender, all on the same axes.

use hdrhistogram::Histogram;
use plotters::prelude::*;

use super::look::{self, Area, INK, LABEL, Stroke};
use super::{By, Draw, Point, Series, Values};
use crate::report::format::number;
use crate::results::schema::Session;

/// Drawing units of one of them.
pub(super) const SIZE: (u32, u32) = (1300, 620);

/// Bars per power of ten.
const BARS: f64 = 16.0;

/// Below this share of the answers a bar could not be seen, in percent.
const SMALLEST: f64 = 0.001;

/// One contender's.
pub(super) struct Chart<'a> {
    title: &'a str,
    place: usize,
    stroke: Stroke,
    rate: f64,
    answers: u64,
    /// (number of the bar, share of the answers in percent)
    bars: Vec<(i32, f64)>,
    /// Name, milliseconds.
    quantiles: Vec<(&'static str, f64)>,
    axes: Axes,
}

/// What all of them share.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Axes {
    first: i32,
    last: i32,
    most: f64,
}

impl<'a> Chart<'a> {
    /// One for each contender that was measured at equal load, with its place in the session.
    pub(super) fn all(session: &Session, series: &'a [Series]) -> Vec<(usize, Self)> {
        let mut axes = Axes { first: i32::MAX, last: i32::MIN, most: 0.0 };
        let mut charts = Vec::new();
        for (place, one) in series.iter().enumerate() {
            let Some(histogram) = one.paced.as_ref().filter(|histogram| !histogram.is_empty()) else {
                continue;
            };
            let bars = bars(histogram);
            axes.first = axes.first.min(bars[0].0);
            axes.last = axes.last.max(bars[bars.len() - 1].0);
            axes.most = bars.iter().map(|bar| bar.1).fold(axes.most, f64::max);
            let quantiles = [("p50", 0.5), ("p99", 0.99)];
            let quantiles = quantiles.map(|(name, at)| (name, histogram.value_at_quantile(at) as f64 / 1e6)).to_vec();
            charts.push((place, one.title.as_str(), histogram.len(), bars, quantiles));
        }
        charts
            .into_iter()
            .map(|(place, title, answers, bars, quantiles)| {
                let rate = session.lengths.steady.paced_rate;
                (place, Self { title, place, stroke: look::stroke(place), rate, answers, bars, quantiles, axes })
            })
            .collect()
    }

    pub(super) fn caption(&self) -> String {
        let quantiles: Vec<String> =
            self.quantiles.iter().map(|(name, ms)| format!("{name} {} ms", number(*ms))).collect();
        format!(
            "Latencies of {} at {} requests/s: {} of {} answers.",
            self.title,
            number(self.rate),
            quantiles.join(", "),
            number(self.answers as f64)
        )
    }
}

/// Every bar that has something in it, from the left.
fn bars(histogram: &Histogram<u64>) -> Vec<(i32, f64)> {
    let mut bars: Vec<(i32, f64)> = Vec::new();
    for value in histogram.iter_recorded() {
        let bar = (((value.value_iterated_to().max(1_000)) as f64 / 1e6).log10() * BARS).floor() as i32;
        let share = value.count_at_value() as f64 / histogram.len() as f64 * 100.0;
        match bars.last_mut() {
            Some((last, sum)) if *last == bar => *sum += share,
            _ => bars.push((bar, share)),
        }
    }
    bars
}

/// The left edge of a bar, in milliseconds.
fn edge(bar: i32) -> f64 {
    10_f64.powf(f64::from(bar) / BARS)
}

impl Draw for Chart<'_> {
    fn draw<B: DrawingBackend>(&self, area: &Area<B>) -> Result<Values, String> {
        let rest = look::frame(area, self.title, "share of the answers by latency", &[])?;
        let Axes { first, last, most } = self.axes;
        let (left, right) = (edge(first - 1), edge(last + 2));
        let high = most * 2.5;
        let mut chart = ChartBuilder::on(&rest)
            .x_label_area_size(90)
            .y_label_area_size(140)
            .build_cartesian_2d(
                (left..right).log_scale().with_key_points(look::ticks(left, right)),
                (SMALLEST..high).log_scale().with_key_points(look::ticks(SMALLEST, high)),
            )
            .map_err(look::told)?;
        look::axes(&mut chart.configure_mesh())
            .x_desc("latency, ms")
            .y_desc("answers, %")
            .x_labels(10)
            .y_labels(8)
            .x_label_formatter(&|x| look::tick(*x))
            .y_label_formatter(&|y| look::tick(*y))
            .draw()
            .map_err(look::told)?;
        let boxes = self.bars.iter().map(|(bar, share)| {
            let corners = [(edge(*bar), SMALLEST), (edge(bar + 1), share.max(SMALLEST))];
            Rectangle::new(corners, self.stroke.colour.filled())
        });
        chart.draw_series(boxes).map_err(look::told)?;
        for (place, (name, ms)) in self.quantiles.iter().enumerate() {
            let line = [(*ms, SMALLEST), (*ms, high)];
            chart.draw_series(DashedLineSeries::new(line, 8, 8, INK.stroke_width(3))).map_err(look::told)?;
            let words = format!("{name} {} ms", number(*ms));
            let style = (look::FAMILY, LABEL - 2).into_font().color(&INK);
            let down = 4 + 34 * i32::try_from(place).unwrap_or(0);
            chart
                .draw_series([EmptyElement::at((*ms, high)) + Text::new(words, (10, down), style)])
                .map_err(look::told)?;
        }
        let shown = self.bars.iter().map(|(bar, share)| {
            let middle = (edge(*bar) * edge(bar + 1)).sqrt();
            Point {
                at: chart.backend_coord(&(middle, share.max(SMALLEST))),
                place: self.place,
                place_in_words: format!("{} to {} ms", number(edge(*bar)), number(edge(bar + 1))),
                value: format!("{} %", number(*share)),
            }
        });
        let span = (chart.backend_coord(&(left, high)).1, chart.backend_coord(&(left, SMALLEST)).1);
        Ok(Values { by: By::Column, span, points: shown.collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_is_in_a_bar() {
        let mut histogram = Histogram::<u64>::new(3).unwrap();
        for value in [1_000_000, 1_001_000, 90_000_000, 5_000_000_000] {
            histogram.record(value).unwrap();
        }
        let bars = bars(&histogram);
        assert_eq!(bars.len(), 3);
        assert!((bars[0].1 - 50.0).abs() < 1e-9, "{bars:?}");
        assert!((bars.iter().map(|bar| bar.1).sum::<f64>() - 100.0).abs() < 1e-9);
        assert!(edge(bars[1].0) <= 90.0 && edge(bars[1].0 + 1) > 90.0);
    }
}
