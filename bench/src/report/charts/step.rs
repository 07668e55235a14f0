//! The load step over time: p99 second by second, and the processes that serve against the offered load.

use plotters::prelude::*;

use super::look::{self, Area, FAMILY, GREY, LABEL, SHADE, Stroke};
use super::{By, Draw, Point, Series, Values};
use crate::report::format::number;
use crate::report::series::Stepped;
use crate::results::schema::Session;
use crate::scenario::Pace;

/// Data of both pictures.
pub(super) struct Chart<'a> {
    stages: &'a [Pace],
    objective_ms: f64,
    series: Vec<(&'a Series, Stroke)>,
    /// Of each its place in the session.
    places: Vec<usize>,
}

/// The picture of the p99 per second.
pub(super) struct Latencies<'a>(pub(super) &'a Chart<'a>);

/// The picture of the processes.
pub(super) struct Workers<'a>(pub(super) &'a Chart<'a>);

impl<'a> Chart<'a> {
    /// `None` when no step was measured.
    pub(super) fn of(session: &'a Session, series: &'a [Series]) -> Option<Self> {
        let places = (0..series.len()).filter(|place| !series[*place].workers.is_empty()).collect();
        let series: Vec<_> = series
            .iter()
            .enumerate()
            .filter(|(_, one)| !one.workers.is_empty())
            .map(|(place, one)| (one, look::stroke(place)))
            .collect();
        let stepped = Stepped::of(session);
        (!series.is_empty()).then_some(Self {
            stages: stepped.stages,
            objective_ms: stepped.objective_ms,
            places,
            series,
        })
    }

    fn end(&self) -> f64 {
        self.stages.iter().map(|stage| stage.seconds).sum()
    }

    fn highest(&self) -> f64 {
        self.stages.iter().map(|stage| stage.rate).fold(0.0, f64::max)
    }

    /// The offered load as corners of a step function.
    fn offered(&self) -> Vec<(f64, f64)> {
        let mut at = 0.0;
        let mut corners = Vec::new();
        for stage in self.stages {
            corners.push((at, stage.rate));
            at += stage.seconds;
            corners.push((at, stage.rate));
        }
        corners
    }

    /// `20 to 400 to 20 requests/s`: the embedded font has no arrows.
    fn rates(&self) -> String {
        let rates: Vec<String> = self.stages.iter().map(|stage| number(stage.rate)).collect();
        format!("{} requests/s", rates.join(" to "))
    }

    fn legend(&self) -> Vec<(&str, Stroke)> {
        self.series.iter().map(|(one, stroke)| (one.title.as_str(), *stroke)).collect()
    }
}

impl Latencies<'_> {
    pub(super) fn caption(&self) -> String {
        format!(
            "p99 of the answers of each second while the offered load goes {}. The dashed line is the objective, the shaded part the burst. Where a curve is missing nothing was answered.",
            self.0.rates()
        )
    }
}

impl Draw for Latencies<'_> {
    fn draw<B: DrawingBackend>(&self, area: &Area<B>) -> Result<Values, String> {
        let Self(data) = self;
        let subtitle = format!("offered {}, a new connection per request, a handler that blocks 50 ms", data.rates());
        let rest = look::frame(area, "p99 per second across a load step", &subtitle, &data.legend())?;
        let values = || data.series.iter().flat_map(|(s, _)| s.p99.iter().filter_map(|p| p.1));
        let low = values().fold(data.objective_ms, f64::min) * 0.8;
        let high = values().fold(data.objective_ms, f64::max) * 1.4;
        let mut chart = ChartBuilder::on(&rest)
            .x_label_area_size(96)
            .y_label_area_size(150)
            .build_cartesian_2d(0.0..data.end(), (low..high).log_scale().with_key_points(look::ticks(low, high)))
            .map_err(look::told)?;
        let mut at = 0.0;
        for stage in data.stages {
            if stage.rate >= data.highest() {
                let burst = [(at, low), (at + stage.seconds, high)];
                chart.draw_series([Rectangle::new(burst, SHADE.filled())]).map_err(look::told)?;
            }
            at += stage.seconds;
        }
        look::axes(&mut chart.configure_mesh())
            .x_desc("seconds")
            .y_desc("p99, ms")
            .x_labels(12)
            .y_labels(16)
            .x_label_formatter(&|x| look::tick(*x))
            .y_label_formatter(&|y| look::tick(*y))
            .draw()
            .map_err(look::told)?;
        let objective = [(0.0, data.objective_ms), (data.end(), data.objective_ms)];
        chart.draw_series(DashedLineSeries::new(objective, 10, 10, GREY.stroke_width(3))).map_err(look::told)?;
        for (one, stroke) in &data.series {
            for part in unbroken(&one.p99) {
                let dots = part.iter().map(|&at| Circle::new(at, 8, stroke.colour.filled()));
                chart.draw_series(dots).map_err(look::told)?;
                look::curve(&mut chart, &part, *stroke)?;
            }
        }
        let shown = data.series.iter().zip(&data.places).flat_map(|((one, _), place)| {
            one.p99.iter().map(|(at, p99)| Point {
                at: chart.backend_coord(&(*at, p99.unwrap_or(high))),
                place: *place,
                place_in_words: format!("second {}", look::tick(at.floor())),
                value: p99.map_or_else(|| "no answer".into(), |ms| format!("p99 {} ms", number(ms))),
            })
        });
        let span = (chart.backend_coord(&(0.0, high)).1, chart.backend_coord(&(0.0, low)).1);
        Ok(Values { by: By::Column, span, points: shown.collect() })
    }
}

/// The parts of a curve between its gaps.
pub(crate) fn unbroken(points: &[(f64, Option<f64>)]) -> Vec<Vec<(f64, f64)>> {
    points
        .split(|(_, value)| value.is_none())
        .filter(|part| !part.is_empty())
        .map(|part| part.iter().filter_map(|(at, value)| Some((*at, (*value)?))).collect())
        .collect()
}

impl Workers<'_> {
    pub(super) fn caption(&self) -> String {
        format!(
            "Processes that serve requests (managers not counted), sampled every 100 ms, against the offered load (shaded, right axis: {}).",
            self.0.rates()
        )
    }
}

impl Draw for Workers<'_> {
    fn draw<B: DrawingBackend>(&self, area: &Area<B>) -> Result<Values, String> {
        let Self(data) = self;
        let subtitle = "processes that serve requests, every 100 ms; shaded: offered load (right axis)";
        let rest = look::frame(area, "Workers against offered load", subtitle, &data.legend())?;
        let most = data.series.iter().flat_map(|(one, _)| one.workers.iter().map(|point| point.1)).fold(4.0, f64::max);
        let mut chart = ChartBuilder::on(&rest)
            .x_label_area_size(96)
            .y_label_area_size(120)
            .right_y_label_area_size(140)
            .build_cartesian_2d(0.0..data.end(), 0.0..most * 1.1)
            .map_err(look::told)?
            .set_secondary_coord(0.0..data.end(), 0.0..data.highest() * 1.1);
        chart.draw_secondary_series(AreaSeries::new(data.offered(), 0.0, SHADE.filled())).map_err(look::told)?;
        look::axes(&mut chart.configure_mesh())
            .x_desc("seconds")
            .y_desc("processes")
            .x_labels(12)
            .y_labels(8)
            .x_label_formatter(&|x| look::tick(*x))
            .y_label_formatter(&|y| look::tick(y.round()))
            .draw()
            .map_err(look::told)?;
        chart
            .configure_secondary_axes()
            .y_desc("offered, requests/s")
            .y_labels(6)
            .y_label_formatter(&|y| look::tick(y.round()))
            .axis_style(GREY.stroke_width(2))
            .label_style((FAMILY, LABEL).into_font().color(&GREY))
            .axis_desc_style((FAMILY, LABEL).into_font().color(&GREY))
            .draw()
            .map_err(look::told)?;
        for (one, stroke) in &data.series {
            look::curve(&mut chart, &staircase(&one.workers), *stroke)?;
        }
        let halves = (0..).map(|half| f64::from(half) / 2.0).take_while(|at| *at <= data.end());
        let shown = halves.flat_map(|at| {
            data.series.iter().zip(&data.places).filter_map(move |((one, _), place)| {
                let (_, workers) = one.workers.iter().rev().find(|sample| sample.0 <= at).or(one.workers.first())?;
                Some((*place, at, *workers))
            })
        });
        let shown = shown.map(|(place, at, workers)| Point {
            at: chart.backend_coord(&(at, workers)),
            place,
            place_in_words: format!("{} s", look::tick(at)),
            value: format!("processes: {}", number(workers)),
        });
        let span = (chart.backend_coord(&(0.0, most * 1.1)).1, chart.backend_coord(&(0.0, 0.0)).1);
        Ok(Values { by: By::Column, span, points: shown.collect() })
    }
}

/// A step function's corners: each value holds until the next one.
pub(crate) fn staircase(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut corners: Vec<(f64, f64)> = Vec::new();
    for &(at, value) in points {
        match corners.last() {
            // Samples without a change need no corner.
            Some(&(_, last)) if last == value => {}
            Some(&(_, last)) => corners.extend([(at, last), (at, value)]),
            None => corners.push((at, value)),
        }
    }
    if let (Some(&(end, _)), Some(&(_, last))) = (points.last(), corners.last()) {
        corners.push((end, last));
    }
    corners
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_break_a_curve() {
        let points = [(0.5, Some(1.0)), (1.5, None), (2.5, Some(2.0)), (3.5, Some(3.0))];
        assert_eq!(unbroken(&points), [vec![(0.5, 1.0)], vec![(2.5, 2.0), (3.5, 3.0)]]);
        assert!(unbroken(&[(0.5, None)]).is_empty());
    }

    #[test]
    fn stairs_have_a_corner_per_change() {
        let points = [(0.0, 5.0), (0.1, 5.0), (0.2, 6.0), (0.3, 6.0)];
        assert_eq!(staircase(&points), [(0.0, 5.0), (0.2, 5.0), (0.2, 6.0), (0.3, 6.0)]);
        assert!(staircase(&[]).is_empty());
    }
}
