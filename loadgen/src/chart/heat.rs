//! Latency over time: how many answers took how long, and the percentiles of each interval.

use plotters::prelude::*;

use super::look::{self, Area, Palette, SHADES};
use super::{Draw, Values};
use crate::distribution::{DecodeError, Distribution};
use crate::report::{Interval, Report};
use crate::summary::time;

pub(super) const CAPTION: &str = "Latency over time. Shades say how many answers of an interval took so long, darker \
     (in the dark: brighter) is more, on a logarithmic scale; the curves are the interval's percentiles.";

const TITLE: &str = "Latency over time";
/// Most columns; intervals are joined beyond that.
const MOST: usize = 240;
/// Rows per power of ten.
const ROWS: f64 = 12.0;
/// The shortest time that is drawn, in nanoseconds.
const SHORTEST_NS: u64 = 1_000;
const PERCENTILES: [(&str, f64); 3] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)];

pub(super) struct Chart {
    columns: Vec<Column>,
    joined: f64,
}

/// Some time of the run.
struct Column {
    start_s: f64,
    end_s: f64,
    times: Distribution,
    /// Row (of latency) and answers in it.
    cells: Vec<(i32, u64)>,
}

impl Chart {
    pub(super) fn of(report: &Report) -> Result<Self, DecodeError> {
        let each = report.intervals.len().div_ceil(MOST).max(1);
        let columns = report.intervals.chunks(each).map(Column::of).collect::<Result<_, _>>()?;
        Ok(Self { columns, joined: report.setup.interval_s * each as f64 })
    }

    fn end(&self) -> f64 {
        self.columns.iter().map(|column| column.end_s).fold(0.0, f64::max)
    }
}

impl Column {
    fn of(intervals: &[Interval]) -> Result<Self, DecodeError> {
        let times = Distribution::merged(intervals.iter().map(|interval| &interval.latency))?;
        let mut cells: Vec<(i32, u64)> = Vec::new();
        for value in times.histogram()?.iter_recorded() {
            let row = row(value.value_iterated_to());
            match cells.last_mut() {
                Some((last, count)) if *last == row => *count += value.count_at_value(),
                _ => cells.push((row, value.count_at_value())),
            }
        }
        let start_s = intervals.first().map_or(0.0, |interval| interval.start_s);
        let end_s = intervals.last().map_or(0.0, |interval| interval.start_s + interval.duration_s);
        Ok(Self { start_s, end_s, times, cells })
    }

    fn middle(&self) -> f64 {
        (self.start_s + self.end_s) / 2.0
    }

    fn quantile_ns(&self, quantile: f64) -> u64 {
        match quantile {
            0.5 => self.times.p50_ns,
            0.9 => self.times.p90_ns,
            _ => self.times.p99_ns,
        }
    }

    fn words(&self) -> String {
        let span = format!("{:.1} to {:.1} s", self.start_s, self.end_s);
        if self.times.count == 0 {
            return format!("{span}: no answer");
        }
        let values = PERCENTILES.map(|(name, quantile)| format!("{name} {}", time(self.quantile_ns(quantile) as f64)));
        let most = time(self.times.max_ns as f64);
        format!("{span}: {} · max {most} · {} answers", values.join(" · "), self.times.count)
    }
}

/// The row that a time belongs into.
fn row(nanos: u64) -> i32 {
    ((nanos.max(SHORTEST_NS) as f64 / 1e6).log10() * ROWS).floor() as i32
}

/// The lower edge of a row, in milliseconds.
fn edge(row: i32) -> f64 {
    10_f64.powf(f64::from(row) / ROWS)
}

/// The shade of so many answers where the fullest cell has `most`.
fn shade(count: u64, most: u64) -> usize {
    let share = (count as f64).ln_1p() / (most.max(1) as f64).ln_1p();
    ((share * SHADES as f64).ceil() as usize).clamp(1, SHADES) - 1
}

impl Draw for Chart {
    fn draw<B: DrawingBackend>(&self, area: &Area<B>, palette: &Palette) -> Result<Values, String> {
        let strokes = (0..).map(|place| palette.stroke(place));
        let legend: Vec<_> = PERCENTILES.iter().map(|(name, _)| *name).zip(strokes).collect();
        let subtitle = format!("every {} s; shaded by the number of answers", look::tick(self.joined));
        let rest = palette.frame(area, (TITLE, &subtitle), &legend)?;
        let rows = || self.columns.iter().flat_map(|column| column.cells.iter().map(|cell| cell.0));
        let (Some(lowest), Some(highest)) = (rows().min(), rows().max()) else {
            palette.write(&rest, "nothing was answered", (0, 20), look::LABEL, palette.grey)?;
            return Ok(Values::default());
        };
        let (low, high) = (edge(lowest - 1), edge(highest + 2));
        let mut chart = ChartBuilder::on(&rest)
            .x_label_area_size(96)
            .y_label_area_size(160)
            .build_cartesian_2d(0.0..self.end(), (low..high).log_scale().with_key_points(look::ticks(low, high)))
            .map_err(look::told)?;
        palette
            .axes(&mut chart.configure_mesh())
            .x_desc("seconds")
            .x_labels(12)
            .y_labels(16)
            .x_label_formatter(&|x| look::tick(*x))
            .y_label_formatter(&|y| look::time_tick(*y))
            .draw()
            .map_err(look::told)?;
        let most = self.columns.iter().flat_map(|column| column.cells.iter().map(|cell| cell.1)).max().unwrap_or(1);
        let cells = self.columns.iter().flat_map(|column| {
            column.cells.iter().map(move |(row, count)| {
                let corners = [(column.start_s, edge(*row)), (column.end_s, edge(row + 1))];
                Rectangle::new(corners, palette.heat[shade(*count, most)].filled())
            })
        });
        chart.draw_series(cells).map_err(look::told)?;
        for ((_, quantile), (_, stroke)) in PERCENTILES.iter().zip(&legend) {
            let value = |column: &Column| column.quantile_ns(*quantile).max(SHORTEST_NS) as f64 / 1e6;
            for part in self.columns.split(|column| column.times.count == 0) {
                let points: Vec<_> = part.iter().map(|column| (column.middle(), value(column))).collect();
                match points.as_slice() {
                    [] => {}
                    [only] => {
                        chart.draw_series([Circle::new(*only, 7, stroke.colour.filled())]).map_err(look::told)?;
                    }
                    several => look::curve(&mut chart, several, *stroke)?,
                }
            }
        }
        let shown = self.columns.iter().map(|column| (chart.backend_coord(&(column.middle(), low)).0, column.words()));
        Ok(super::values(&chart, shown.collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{interval, report};

    #[test]
    fn every_answer_is_in_a_cell_and_long_runs_are_joined() {
        let mut report = report();
        report.intervals = (0..1000).map(|second| interval(f64::from(second), &[1_000_000, 90_000_000])).collect();
        let chart = Chart::of(&report).unwrap();
        assert_eq!((chart.columns.len(), chart.joined), (200, 5.0));
        let cells = || chart.columns.iter().flat_map(|column| &column.cells);
        assert_eq!(cells().map(|cell| cell.1).sum::<u64>(), 2000);
        let second = &chart.columns[0];
        assert_eq!((second.start_s, second.end_s), (0.0, 5.0));
        assert!(second.cells.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!(
            second.words(),
            "0.0 to 5.0 s: p50 1.00 ms · p90 90.05 ms · p99 90.05 ms · max 90.05 ms · 10 answers"
        );
    }

    #[test]
    fn shades_go_from_the_faintest_to_the_fullest() {
        assert_eq!((shade(1, 1_000_000), shade(1_000_000, 1_000_000), shade(1, 1)), (0, SHADES - 1, SHADES - 1));
        assert!(edge(row(2_000_000)) <= 2.0 && edge(row(2_000_000) + 1) > 2.0);
    }
}
