//! Latency over offered load, one curve per contender, with the interval over starts and the knee.

use plotters::prelude::*;

use super::look::{self, Area, Stroke};
use super::{By, Draw, Point, Values};
use crate::report::curves::{Curve, Estimate, Mark};
use crate::report::format::number;

/// Which latency is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quantile {
    Median,
    P99,
}

impl Quantile {
    const fn name(self) -> &'static str {
        match self {
            Self::Median => "p50",
            Self::P99 => "p99",
        }
    }

    fn of(self, mark: &Mark) -> Option<Estimate> {
        match self {
            Self::Median => mark.p50,
            Self::P99 => mark.p99,
        }
    }
}

/// One contender's.
struct Line<'a> {
    title: &'a str,
    tuned: bool,
    place: usize,
    stroke: Stroke,
    /// (offered requests per second, milliseconds)
    points: Vec<(f64, Estimate)>,
    knee: Option<(f64, f64)>,
}

pub(super) struct Chart<'a> {
    quantile: Quantile,
    path: &'a str,
    lines: Vec<Line<'a>>,
}

impl<'a> Chart<'a> {
    /// `place` is a contender's place in the session; `None` when no curve has two points.
    pub(super) fn of(
        quantile: Quantile,
        path: &'a str,
        curves: &'a [Curve],
        place: impl Fn(&str) -> usize,
    ) -> Option<Self> {
        let lines: Vec<_> = curves
            .iter()
            .filter_map(|curve| {
                let points: Vec<_> =
                    curve.points.iter().filter_map(|mark| Some((mark.rate, quantile.of(mark)?))).collect();
                (points.len() > 1).then(|| Line {
                    title: &curve.title,
                    tuned: curve.tuned,
                    place: place(&curve.name),
                    stroke: match look::stroke(place(&curve.name)) {
                        stroke if curve.tuned => stroke.tuned(),
                        stroke => stroke,
                    },
                    points,
                    // Its p99 is known; its p50 would be another point's.
                    knee: curve.knee.filter(|_| quantile == Quantile::P99).and_then(|(rate, p99)| Some((rate, p99?))),
                })
            })
            .collect();
        (!lines.is_empty()).then_some(Self { quantile, path, lines })
    }

    pub(super) fn name(&self) -> String {
        format!("curve-{}", self.quantile.name())
    }

    pub(super) fn caption(&self) -> String {
        let ring = match self.quantile {
            Quantile::Median => "",
            Quantile::P99 => {
                " A ring marks the knee, where throughput ÷ mean latency is greatest (median of the starts)."
            }
        };
        format!(
            "{} against offered load, each contender up to and past its own saturation. Bars are 95 % intervals over server starts.{ring} Lower and further to the right is better.",
            self.quantile.name()
        )
    }
}

impl Draw for Chart<'_> {
    fn draw<B: DrawingBackend>(&self, area: &Area<B>) -> Result<Values, String> {
        let legend: Vec<(&str, Stroke)> = self.lines.iter().map(|line| (line.title, line.stroke)).collect();
        let name = self.quantile.name();
        let subtitle = format!(
            "GET {}, keep-alive, open loop with Poisson arrivals; latency from the intended send time{}",
            self.path,
            if self.quantile == Quantile::P99 { "; ring: knee" } else { "" }
        );
        let rest = look::frame(area, &format!("{name} over offered load"), &subtitle, &legend)?;
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let right = points().map(|point| point.0).fold(0.0, f64::max) * 1.03;
        // Starts that disagree by far have an interval of many powers of ten, which would leave the curves no room: bars
        // end where the picture does.
        let low = points().map(|point| point.1.value).fold(f64::INFINITY, f64::min) * 0.5;
        let high = points().map(|point| point.1.value).fold(0.0, f64::max) * 2.0;
        let mut chart = ChartBuilder::on(&rest)
            .x_label_area_size(96)
            .y_label_area_size(150)
            .build_cartesian_2d(0.0..right, (low..high).log_scale().with_key_points(look::ticks(low, high)))
            .map_err(look::told)?;
        look::axes(&mut chart.configure_mesh())
            .x_desc("offered load, requests/s")
            .y_desc(format!("{name}, ms"))
            .x_labels(12)
            .y_labels(16)
            .x_label_formatter(&|x| look::tick(x.round()))
            .y_label_formatter(&|y| look::tick(*y))
            .draw()
            .map_err(look::told)?;
        for line in &self.lines {
            let bars = line.points.iter().filter_map(|(rate, estimate)| {
                let (from, to) = estimate.interval?;
                let ends = vec![(*rate, from.max(low)), (*rate, to.min(high))];
                // Paler than the curves: starts that disagree have bars everywhere.
                Some(PathElement::new(ends, line.stroke.colour.mix(0.35).stroke_width(3)))
            });
            chart.draw_series(bars).map_err(look::told)?;
            let middles: Vec<(f64, f64)> = line.points.iter().map(|(rate, p)| (*rate, p.value)).collect();
            let dots = middles.iter().map(|&at| Circle::new(at, 8, line.stroke.colour.filled()));
            chart.draw_series(dots).map_err(look::told)?;
            look::curve(&mut chart, &middles, line.stroke)?;
            let ring = line.knee.iter().map(|&at| Circle::new(at, 20, line.stroke.colour.stroke_width(5)));
            chart.draw_series(ring).map_err(look::told)?;
        }
        let shown = self.lines.iter().flat_map(|line| {
            line.points.iter().map(|(rate, estimate)| {
                let interval = estimate
                    .interval
                    .map_or_else(String::new, |(from, to)| format!(" [{}–{}]", number(from), number(to)));
                Point {
                    at: chart.backend_coord(&(*rate, estimate.value)),
                    place: line.place,
                    place_in_words: format!("{} requests/s", number(rate.round())),
                    value: format!(
                        "{}{name} {} ms{interval}",
                        if line.tuned { "tuned: " } else { "" },
                        number(estimate.value)
                    ),
                }
            })
        });
        let span = (chart.backend_coord(&(0.0, high)).1, chart.backend_coord(&(0.0, low)).1);
        Ok(Values { by: By::Point, span, points: shown.collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::curve::Offered;

    #[test]
    fn a_curve_has_two_points_and_its_knee_in_the_picture_of_the_p99() {
        let mark = |rate, p99: Option<f64>| Mark {
            offered: Offered::Rate(rate),
            rate,
            answered: Some(rate),
            p50: Some(Estimate { value: 1.0, interval: None }),
            p99: p99.map(|value| Estimate { value, interval: Some((value * 0.9, value * 1.1)) }),
            cpu_us: None,
            pss_mib: None,
            errors: 0,
            starts: 3,
            limited: 0,
        };
        let curve = |points| Curve {
            name: "a".into(),
            title: "A".into(),
            tuned: false,
            points,
            knee: Some((400.0, Some(2.0))),
        };
        let whole = [curve(vec![mark(200.0, Some(1.5)), mark(400.0, Some(2.0)), mark(800.0, Some(90.0))])];
        // A slow point has no p99; a curve of one is none.
        let short = [curve(vec![mark(100.0, None), mark(200.0, Some(1.5))])];
        assert!(Chart::of(Quantile::P99, "/", &short, |_| 0).is_none());
        assert!(Chart::of(Quantile::Median, "/", &short, |_| 0).is_some());
        look::register_font().unwrap();
        let folder = tempfile::tempdir().unwrap();
        for (quantile, rings) in [(Quantile::Median, 0), (Quantile::P99, 1)] {
            let chart = Chart::of(quantile, "/", &whole, |_| 0).unwrap();
            let picture = super::super::picture(&chart.name(), chart.caption(), folder.path(), &chart).unwrap();
            assert_eq!(picture.svg.matches("r=\"20\"").count(), rings, "{quantile:?}");
            assert_eq!(picture.svg.matches("r=\"8\"").count(), 3, "{quantile:?}");
        }
    }
}
