//! Latency by percentile at equal offered load.

use hdrhistogram::Histogram;
use plotters::prelude::*;

use super::look::{self, Area, Stroke};
use super::{By, Draw, Point, Series, Values};
use crate::report::format::number;
use crate::results::schema::Session;

/// Points per curve.
const POINTS: u32 = 240;

/// Answers that have to lie beyond a percentile for it to be drawn: the rule of the load generator.
const BEYOND: f64 = 10.0;

/// One contender's.
struct Curve<'a> {
    title: &'a str,
    place: usize,
    stroke: Stroke,
    points: Vec<(f64, f64)>,
}

pub(super) struct Chart<'a> {
    rate: f64,
    starts: u32,
    curves: Vec<Curve<'a>>,
}

impl<'a> Chart<'a> {
    /// `None` when nothing was measured at equal load.
    pub(super) fn of(session: &Session, series: &'a [Series]) -> Option<Self> {
        let curves: Vec<_> = series
            .iter()
            .enumerate()
            .filter_map(|(place, one)| {
                let points = curve(one.paced.as_ref()?);
                (points.len() > 1).then(|| Curve {
                    title: one.title.as_str(),
                    place,
                    stroke: look::stroke(place),
                    points,
                })
            })
            .collect();
        (!curves.is_empty()).then_some(Self {
            rate: session.lengths.steady.paced_rate,
            starts: session.lengths.steady.replicates,
            curves,
        })
    }

    pub(super) fn caption(&self) -> String {
        format!("Latency by percentile at {} requests/s, all replicates together. Lower is better.", number(self.rate))
    }
}

/// (1/(1−p), milliseconds), as far as the number of answers carries.
fn curve(histogram: &Histogram<u64>) -> Vec<(f64, f64)> {
    let last = histogram.len() as f64 / BEYOND;
    if last <= 1.0 {
        return Vec::new();
    }
    (0..=POINTS)
        .map(|step| {
            let x = last.powf(f64::from(step) / f64::from(POINTS));
            let value = histogram.value_at_quantile(1.0 - 1.0 / x);
            (x, value as f64 / 1e6)
        })
        .collect()
}

/// The percentiles that people know, as 1/(1−p), up to `right`.
fn percentiles(right: f64) -> Vec<f64> {
    [1.0, 2.0, 4.0, 10.0, 20.0, 100.0, 200.0, 1e3, 1e4, 1e5].into_iter().filter(|x| *x <= right).collect()
}

/// `99.9 %` for 1000.
fn percentile(x: f64) -> String {
    let percent = format!("{:.3}", 100.0 * (1.0 - 1.0 / x));
    format!("{} %", percent.trim_end_matches('0').trim_end_matches('.'))
}

impl Draw for Chart<'_> {
    fn draw<B: DrawingBackend>(&self, area: &Area<B>) -> Result<Values, String> {
        let legend: Vec<(&str, Stroke)> = self.curves.iter().map(|curve| (curve.title, curve.stroke)).collect();
        let subtitle = format!(
            "{} requests/s for every server, keep-alive, Flask; latency from the intended send time; {} start{} each",
            number(self.rate),
            self.starts,
            if self.starts == 1 { "" } else { "s" }
        );
        let rest = look::frame(area, "Latency at equal load", &subtitle, &legend)?;
        let points = || self.curves.iter().flat_map(|curve| &curve.points);
        let right = points().map(|p| p.0).fold(10.0, f64::max);
        let low = points().map(|p| p.1).fold(f64::INFINITY, f64::min) * 0.8;
        let high = points().map(|p| p.1).fold(0.0, f64::max) * 1.25;
        let mut chart = ChartBuilder::on(&rest)
            .x_label_area_size(96)
            .y_label_area_size(150)
            .build_cartesian_2d(
                (1.0..right).log_scale().with_key_points(percentiles(right)),
                (low..high).log_scale().with_key_points(look::ticks(low, high)),
            )
            .map_err(look::told)?;
        look::axes(&mut chart.configure_mesh())
            .x_desc("percentile")
            .y_desc("latency, ms")
            .x_labels(12)
            .y_labels(16)
            .x_label_formatter(&|x| percentile(*x))
            .y_label_formatter(&|y| look::tick(*y))
            .draw()
            .map_err(look::told)?;
        for curve in &self.curves {
            look::curve(&mut chart, &curve.points, curve.stroke)?;
        }
        let places = percentiles(right);
        let shown = self.curves.iter().flat_map(|curve| {
            // Every fourth point, and the percentiles that people know.
            let points = curve.points.iter().step_by(4).copied();
            let known = places.iter().filter_map(|x| Some((*x, curve.points.iter().find(|point| point.0 >= *x)?.1)));
            points.chain(known).map(|at| Point {
                at: chart.backend_coord(&at),
                place: curve.place,
                place_in_words: percentile(at.0),
                value: format!("{} ms", number(at.1)),
            })
        });
        let span = (chart.backend_coord(&(1.0, high)).1, chart.backend_coord(&(1.0, low)).1);
        Ok(Values { by: By::Column, span, points: shown.collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_named() {
        let rows = [
            (4.0, "75 %"),
            (200.0, "99.5 %"),
            (2.0, "50 %"),
            (10.0, "90 %"),
            (100.0, "99 %"),
            (1000.0, "99.9 %"),
            (10_000.0, "99.99 %"),
        ];
        for (x, expected) in rows {
            assert_eq!(percentile(x), expected);
        }
    }

    #[test]
    fn curves_end_where_the_answers_do() {
        let mut histogram = Histogram::<u64>::new(3).unwrap();
        for value in 1..=1000_u64 {
            histogram.record(value * 1_000_000).unwrap();
        }
        let points = curve(&histogram);
        let last = points[points.len() - 1];
        // 1,000 answers carry a p99 and nothing beyond it.
        assert!((last.0 - 100.0).abs() < 1e-6, "{last:?}");
        assert!((last.1 - 990.0).abs() < 2.0, "{last:?}");
        assert!(points.windows(2).all(|pair| pair[0].1 <= pair[1].1));
        assert!(curve(&Histogram::new(3).unwrap()).is_empty());
    }
}
