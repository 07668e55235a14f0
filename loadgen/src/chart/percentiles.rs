//! Latency by percentile, the distance to 100 % on a logarithmic axis.

use plotters::prelude::*;

use super::look::{self, Area, Palette};
use super::{Draw, Values};
use crate::distribution::{DecodeError, Distribution};
use crate::measures::MEASURES;
use crate::report::Report;
use crate::summary::time;

pub(super) const CAPTION: &str = "Time by percentile. A curve ends where fewer than ten requests lie beyond: further \
     right, a percentile would say more about single requests than about the target.";

const TITLE: &str = "Latency by percentile";
/// Points per curve.
const POINTS: u32 = 120;
/// Requests that have to lie beyond a percentile for it to be drawn.
const BEYOND: f64 = 10.0;
/// The shortest time that is drawn, in milliseconds: a logarithmic axis has no 0.
const SHORTEST_MS: f64 = 1e-3;

pub(super) struct Chart {
    subtitle: String,
    curves: Vec<Curve>,
}

struct Curve {
    label: &'static str,
    /// 1/(1−p), milliseconds.
    points: Vec<(f64, f64)>,
}

impl Chart {
    pub(super) fn of(report: &Report) -> Result<Self, DecodeError> {
        let mut curves = Vec::new();
        for measure in MEASURES.iter().filter(|measure| measure.of_answers) {
            let points = curve(measure.of(report))?;
            if points.len() > 1 {
                curves.push(Curve { label: measure.label, points });
            }
        }
        let subtitle = match report.offered_rate {
            Some(rate) => format!(
                "of {} answers at {}/s offered, from the intended time",
                report.answered,
                look::tick(rate.round())
            ),
            None => format!("of {} answers, {} connections busy", report.answered, report.setup.connections),
        };
        Ok(Self { subtitle, curves })
    }

    /// What is to be read at 1/(1−p).
    fn at(&self, x: f64) -> String {
        let values = self.curves.iter().filter_map(|curve| {
            let point = curve.points.iter().find(|point| point.0 >= x * 0.999)?;
            Some(format!("{} {}", curve.label, time(point.1 * 1e6)))
        });
        format!("{}: {}", percentile(x), values.collect::<Vec<_>>().join(" · "))
    }
}

/// The curve as far as the number of samples carries; empty for fewer than that takes.
fn curve(times: &Distribution) -> Result<Vec<(f64, f64)>, DecodeError> {
    let last = times.count as f64 / BEYOND;
    if last <= 1.0 {
        return Ok(Vec::new());
    }
    let histogram = times.histogram()?;
    let points = (0..=POINTS).map(|step| {
        let x = last.powf(f64::from(step) / f64::from(POINTS));
        let value = histogram.value_at_quantile(1.0 - 1.0 / x) as f64 / 1e6;
        (x, value.max(SHORTEST_MS))
    });
    Ok(points.collect())
}

/// The percentiles that people know, as 1/(1−p), up to `right`.
fn known(right: f64) -> Vec<f64> {
    let all = [1.0, 2.0, 4.0, 10.0, 20.0, 100.0, 1e3, 1e4, 1e5, 1e6, 1e7];
    all.into_iter().filter(|x| *x <= right).collect()
}

/// `99.9 %` for 1000.
fn percentile(x: f64) -> String {
    let percent = format!("{:.5}", 100.0 * (1.0 - 1.0 / x));
    // As many nines as there are, and two digits more.
    let digits = 4 + (x.log10().floor() as usize);
    let cut: String = percent.chars().take(digits.max(4)).collect();
    format!("{} %", cut.trim_end_matches('0').trim_end_matches('.'))
}

impl Draw for Chart {
    fn draw<B: DrawingBackend>(&self, area: &Area<B>, palette: &Palette) -> Result<Values, String> {
        let strokes = (0..).map(|place| palette.stroke(place));
        let legend: Vec<_> = self.curves.iter().map(|curve| curve.label).zip(strokes).collect();
        let rest = palette.frame(area, (TITLE, &self.subtitle), &legend)?;
        if self.curves.is_empty() {
            palette.write(&rest, "too few answers for a curve", (0, 20), look::LABEL, palette.grey)?;
            return Ok(Values::default());
        }
        let points = || self.curves.iter().flat_map(|curve| &curve.points);
        let right = points().map(|p| p.0).fold(2.0, f64::max);
        let (low, high) = look::bounds(points().map(|p| p.1));
        let mut chart = ChartBuilder::on(&rest)
            .x_label_area_size(96)
            .y_label_area_size(160)
            .build_cartesian_2d(
                (1.0..right).log_scale().with_key_points(known(right)),
                (low..high).log_scale().with_key_points(look::ticks(low, high)),
            )
            .map_err(look::told)?;
        palette
            .axes(&mut chart.configure_mesh())
            .x_desc("percentile")
            .x_labels(12)
            .y_labels(16)
            .x_label_formatter(&|x| percentile(*x))
            .y_label_formatter(&|y| look::time_tick(*y))
            .draw()
            .map_err(look::told)?;
        for (curve, (_, stroke)) in self.curves.iter().zip(&legend) {
            look::curve(&mut chart, &curve.points, *stroke)?;
        }
        let shown = (0..=POINTS).map(|step| right.powf(f64::from(step) / f64::from(POINTS)));
        let shown = shown.map(|x| (chart.backend_coord(&(x, low)).0, self.at(x)));
        Ok(super::values(&chart, shown.collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_named() {
        let rows = [
            (1.0, "0 %"),
            (2.0, "50 %"),
            (4.0, "75 %"),
            (10.0, "90 %"),
            (100.0, "99 %"),
            (200.0, "99.5 %"),
            (1000.0, "99.9 %"),
            (10_000.0, "99.99 %"),
            (100_000.0, "99.999 %"),
        ];
        for (x, expected) in rows {
            assert_eq!(percentile(x), expected);
        }
    }

    #[test]
    fn curves_end_where_the_samples_do() {
        let mut histogram = Distribution::default().histogram().unwrap();
        for value in 1..=1000_u64 {
            histogram.record(value * 1_000_000).unwrap();
        }
        let points = curve(&Distribution::of(&histogram, 0)).unwrap();
        // 1,000 samples carry a p99 and nothing beyond it.
        let last = points[points.len() - 1];
        assert!((last.0 - 100.0).abs() < 1e-6 && (last.1 - 990.0).abs() < 2.0, "{last:?}");
        assert!(points.windows(2).all(|pair| pair[0].1 <= pair[1].1));
        assert!(curve(&Distribution::default()).unwrap().is_empty());
    }
}
