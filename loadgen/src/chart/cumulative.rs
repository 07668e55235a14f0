//! The share of answers that came within a time.

use plotters::prelude::*;

use super::look::{self, Area, Palette};
use super::{Draw, Values};
use crate::distribution::{DecodeError, Distribution};
use crate::measures::MEASURES;
use crate::report::Report;
use crate::summary::time;

pub(super) const CAPTION: &str = "Share of the answers that came within a time. Steps are groups of requests that \
     took alike; a flat stretch is a time that hardly any request took.";

const TITLE: &str = "Share of answers within a time";
/// Points per curve.
const POINTS: u32 = 200;
/// The shortest time that is drawn, in nanoseconds.
const SHORTEST_NS: f64 = 1e3;

pub(super) struct Chart {
    answered: u64,
    /// Milliseconds, percent.
    curves: Vec<(&'static str, Vec<(f64, f64)>)>,
}

impl Chart {
    pub(super) fn of(report: &Report) -> Result<Self, DecodeError> {
        let measures = MEASURES.iter().filter(|measure| measure.of_answers);
        let all = measures.map(|measure| (measure.label, measure.of(report))).filter(|(_, times)| times.count > 0);
        let low = all.clone().map(|(_, times)| times.min_ns).min().unwrap_or(0);
        let high = all.clone().map(|(_, times)| times.max_ns).max().unwrap_or(1);
        let (low, high) = ((low as f64).max(SHORTEST_NS), (high as f64).max(2.0 * SHORTEST_NS));
        let curves = all.map(|(label, times)| Ok((label, curve(times, low, high)?)));
        Ok(Self { answered: report.answered, curves: curves.collect::<Result<_, DecodeError>>()? })
    }

    fn at(&self, step: usize) -> String {
        let at = |curve: &[(f64, f64)]| curve.get(step).copied().unwrap_or_default();
        let values = self.curves.iter().map(|(label, curve)| format!("{label} {:.2} %", at(curve).1));
        let within = self.curves.first().map_or(0.0, |(_, curve)| at(curve).0);
        format!("within {}: {}", time(within * 1e6), values.collect::<Vec<_>>().join(" · "))
    }
}

fn curve(times: &Distribution, low: f64, high: f64) -> Result<Vec<(f64, f64)>, DecodeError> {
    let histogram = times.histogram()?;
    let points = (0..=POINTS).map(|step| {
        let nanos = low * (high / low).powf(f64::from(step) / f64::from(POINTS));
        (nanos / 1e6, histogram.quantile_below(nanos.round() as u64) * 100.0)
    });
    Ok(points.collect())
}

impl Draw for Chart {
    fn draw<B: DrawingBackend>(&self, area: &Area<B>, palette: &Palette) -> Result<Values, String> {
        let strokes = (0..).map(|place| palette.stroke(place));
        let legend: Vec<_> = self.curves.iter().map(|(label, _)| *label).zip(strokes).collect();
        let subtitle = format!("of {} answers", self.answered);
        let rest = palette.frame(area, (TITLE, &subtitle), &legend)?;
        if self.curves.is_empty() {
            palette.write(&rest, "nothing was answered", (0, 20), look::LABEL, palette.grey)?;
            return Ok(Values::default());
        }
        let (low, high) = look::bounds(self.curves.iter().flat_map(|(_, curve)| curve.iter().map(|p| p.0)));
        let mut chart = ChartBuilder::on(&rest)
            .x_label_area_size(96)
            .y_label_area_size(160)
            .build_cartesian_2d((low..high).log_scale().with_key_points(look::ticks(low, high)), 0.0..100.0)
            .map_err(look::told)?;
        palette
            .axes(&mut chart.configure_mesh())
            .x_desc("time")
            .x_labels(12)
            .y_labels(11)
            .x_label_formatter(&|x| look::time_tick(*x))
            .y_label_formatter(&|y| format!("{y:.0} %"))
            .draw()
            .map_err(look::told)?;
        for ((_, curve), (_, stroke)) in self.curves.iter().zip(&legend) {
            look::curve(&mut chart, curve, *stroke)?;
        }
        let xs = self.curves.first().map(|(_, curve)| curve.as_slice()).unwrap_or_default();
        let shown = xs.iter().enumerate().map(|(step, point)| (chart.backend_coord(&(point.0, 0.0)).0, self.at(step)));
        Ok(super::values(&chart, shown.collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_rise_to_everything() {
        let chart = Chart::of(&crate::report::tests::report()).unwrap();
        let (_, curve) = &chart.curves[0];
        assert!(curve.windows(2).all(|pair| pair[0].1 <= pair[1].1));
        assert_eq!(curve[curve.len() - 1].1, 100.0);
        // 1,000 latencies from 2 to 3 ms, evenly: half of them within 2.5 ms.
        let half = curve.iter().find(|point| point.0 >= 2.5).unwrap();
        assert!((half.1 - 50.0).abs() < 1.5, "{half:?}");
    }
}
