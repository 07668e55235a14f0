//! The pictures of a simulation: workers against the offered load, latency second by second, cost against lateness.
//!
//! Drawn with the report's look: colours and dashes per policy, SVG and PNG by the same code.

use std::path::Path;

use plotters::prelude::*;

use super::arrivals::Profile;
use super::calls::means;
use super::outcome::Outcome;
use super::scenario::Scenario;
use crate::report::charts::look::{self, Area, FAMILY, GREY, LABEL, SHADE, Stroke};
use crate::report::charts::{Draw, Picture, Values, picture, staircase, unbroken};
use crate::report::number;

/// Points of the curve of the offered load.
const POINTS: usize = 600;

/// Every picture of one scenario, their PNGs into `folder`.
///
/// # Errors
/// What the drawing library says.
pub(crate) fn of_scenario(
    scenario: &Scenario,
    seed: u64,
    outcomes: &[Outcome],
    folder: &Path,
) -> Result<Vec<Picture>, String> {
    look::register_font()?;
    let chart = OverTime { scenario, profile: Profile::new(&scenario.load, seed), outcomes };
    let workers = Workers(&chart);
    let latencies = Latencies(&chart);
    Ok(vec![
        picture(&format!("{}-workers", scenario.name), workers.caption(), folder, &workers)?,
        picture(&format!("{}-latency", scenario.name), latencies.caption(), folder, &latencies)?,
    ])
}

/// The picture of all scenarios together.
///
/// # Errors
/// What the drawing library says.
pub(crate) fn of_all(outcomes: &[Outcome], folder: &Path) -> Result<Picture, String> {
    look::register_font()?;
    let chart = Cost { outcomes };
    picture("cost", chart.caption(), folder, &chart)
}

/// Data of both pictures of a scenario.
struct OverTime<'a> {
    scenario: &'a Scenario,
    profile: Profile,
    outcomes: &'a [Outcome],
}

struct Workers<'a>(&'a OverTime<'a>);

struct Latencies<'a>(&'a OverTime<'a>);

struct Cost<'a> {
    outcomes: &'a [Outcome],
}

impl OverTime<'_> {
    fn legend(&self) -> Vec<(&str, Stroke)> {
        self.outcomes.iter().enumerate().map(|(place, one)| (one.policy.as_str(), look::stroke(place))).collect()
    }

    /// Calls at once that the load asks for: its rate times what a call takes.
    fn offered(&self) -> Vec<(f64, f64)> {
        let (_, service) = means(&self.scenario.calls);
        let step = self.profile.seconds() / POINTS as f64;
        (0..=POINTS)
            .map(|point| {
                // The end belongs to the last stretch.
                let at = point as f64 * step;
                (at, self.profile.rate(at.min(self.profile.seconds() - step / 2.0)) * service)
            })
            .collect()
    }
}

impl Workers<'_> {
    fn caption(&self) -> String {
        format!(
            "{}: processes over time, against the offered load in calls at once (shaded, right axis).",
            self.0.scenario.about
        )
    }
}

impl Draw for Workers<'_> {
    fn draw<B: DrawingBackend>(&self, area: &Area<B>) -> Result<Values, String> {
        let Self(data) = self;
        let title = format!("{}: workers against offered load", data.scenario.name);
        let subtitle = "simulated; processes, and shaded the offered load in calls at once (right axis)";
        let rest = look::frame(area, &title, subtitle, &data.legend())?;
        let end = data.profile.seconds();
        let most = data.outcomes.iter().map(|one| f64::from(one.peak_workers)).fold(4.0, f64::max);
        let offered = data.offered();
        let highest = offered.iter().map(|point| point.1).fold(1.0, f64::max);
        let mut chart = ChartBuilder::on(&rest)
            .x_label_area_size(96)
            .y_label_area_size(140)
            .right_y_label_area_size(150)
            .build_cartesian_2d(0.0..end, 0.0..most * 1.1)
            .map_err(look::told)?
            .set_secondary_coord(0.0..end, 0.0..highest * 1.1);
        chart.draw_secondary_series(AreaSeries::new(offered, 0.0, SHADE.filled())).map_err(look::told)?;
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
            .y_desc("offered, calls at once")
            .y_labels(6)
            .y_label_formatter(&|y| look::tick(*y))
            .axis_style(GREY.stroke_width(2))
            .label_style((FAMILY, LABEL).into_font().color(&GREY))
            .axis_desc_style((FAMILY, LABEL).into_font().color(&GREY))
            .draw()
            .map_err(look::told)?;
        for (place, one) in data.outcomes.iter().enumerate() {
            let points: Vec<(f64, f64)> = one.workers.iter().map(|&(at, count)| (at, f64::from(count))).collect();
            look::curve(&mut chart, &staircase(&points), look::stroke(place))?;
        }
        Ok(Values::default())
    }
}

impl Latencies<'_> {
    fn caption(&self) -> String {
        format!(
            "{}: p99 of the requests that arrived in each second; dashed the objective of {} ms. Where a curve is missing nothing was answered.",
            self.0.scenario.about,
            number(self.0.scenario.objective_ms)
        )
    }
}

impl Draw for Latencies<'_> {
    fn draw<B: DrawingBackend>(&self, area: &Area<B>) -> Result<Values, String> {
        let Self(data) = self;
        let title = format!("{}: p99 per second", data.scenario.name);
        let subtitle = format!("simulated; dashed: the objective of {} ms", number(data.scenario.objective_ms));
        let rest = look::frame(area, &title, &subtitle, &data.legend())?;
        let objective = data.scenario.objective_ms;
        let values = || data.outcomes.iter().flat_map(|one| one.p99_by_second.iter().flatten().copied());
        // A microsecond at least: the axis is logarithmic.
        let low = values().fold(objective, f64::min).max(1e-3) * 0.8;
        let high = values().fold(objective, f64::max) * 1.4;
        let end = data.profile.seconds();
        let mut chart = ChartBuilder::on(&rest)
            .x_label_area_size(96)
            .y_label_area_size(150)
            .build_cartesian_2d(0.0..end, (low..high).log_scale().with_key_points(look::ticks(low, high)))
            .map_err(look::told)?;
        look::axes(&mut chart.configure_mesh())
            .x_desc("seconds")
            .y_desc("p99, ms")
            .x_labels(12)
            .y_labels(16)
            .x_label_formatter(&|x| look::tick(*x))
            .y_label_formatter(&|y| look::tick(*y))
            .draw()
            .map_err(look::told)?;
        let line = [(0.0, objective), (end, objective)];
        chart.draw_series(DashedLineSeries::new(line, 10, 10, GREY.stroke_width(3))).map_err(look::told)?;
        for (place, one) in data.outcomes.iter().enumerate() {
            let points: Vec<(f64, Option<f64>)> =
                one.p99_by_second.iter().enumerate().map(|(second, p99)| (second as f64 + 0.5, *p99)).collect();
            for part in unbroken(&points) {
                look::curve(&mut chart, &part, look::stroke(place))?;
            }
        }
        Ok(Values::default())
    }
}

impl Cost<'_> {
    fn caption(&self) -> String {
        "What each policy spent in each scenario, against how many requests were late: the lower left corner is where to \
         be. Worker-seconds are given as multiples of a lower bound that knows the future; where requests are late, a \
         policy may have spent less than that."
            .to_owned()
    }

    /// The labels of a policy's dots; scenarios in nearly the same place have one together.
    fn labels(&self, policy: &str) -> Vec<((f64, f64), String)> {
        let mut labels: Vec<((f64, f64), String)> = Vec::new();
        for one in self.outcomes.iter().filter(|one| one.policy == policy) {
            let (over, late) = place_of(one);
            let near =
                |dot: &&mut ((f64, f64), String)| (dot.0.0 / over - 1.0).abs() < 0.15 && (dot.0.1 - late).abs() < 2.0;
            match labels.iter_mut().find(near) {
                Some((_, label)) => *label = format!("{label}, {}", one.scenario),
                None => labels.push(((over, late), one.scenario.clone())),
            }
        }
        labels
    }

    /// Policies in the order of the outcomes, each once.
    fn policies(&self) -> Vec<&str> {
        let mut policies: Vec<&str> = Vec::new();
        for one in self.outcomes {
            if !policies.contains(&one.policy.as_str()) {
                policies.push(&one.policy);
            }
        }
        policies
    }
}

/// Where an outcome's dot is: what it spent, and the percentage of requests that were late.
fn place_of(outcome: &Outcome) -> (f64, f64) {
    (outcome.over_oracle(), outcome.late_share * 100.0)
}

impl Draw for Cost<'_> {
    fn draw<B: DrawingBackend>(&self, area: &Area<B>) -> Result<Values, String> {
        let policies = self.policies();
        let legend: Vec<(&str, Stroke)> =
            policies.iter().enumerate().map(|(place, name)| (*name, look::stroke(place))).collect();
        let subtitle = "simulated; a dot for each scenario; both axes: less is better";
        let rest = look::frame(area, "Cost against lateness", subtitle, &legend)?;
        let over = || self.outcomes.iter().map(Outcome::over_oracle).filter(|over| *over > 0.0);
        let (low, high) = (over().fold(1.0, f64::min) * 0.8, over().fold(2.0, f64::max) * 1.3);
        let most = self.outcomes.iter().map(|one| one.late_share * 100.0).fold(1.0, f64::max) * 1.1;
        let mut chart = ChartBuilder::on(&rest)
            .x_label_area_size(96)
            .y_label_area_size(140)
            .build_cartesian_2d((low..high).log_scale().with_key_points(look::ticks(low, high)), -most * 0.03..most)
            .map_err(look::told)?;
        look::axes(&mut chart.configure_mesh())
            .x_desc("worker-seconds, as multiples of the lower bound")
            .y_desc("late requests, %")
            .x_labels(12)
            .y_labels(8)
            .x_label_formatter(&|x| look::tick(*x))
            .y_label_formatter(&|y| look::tick(*y))
            .draw()
            .map_err(look::told)?;
        for (place, policy) in policies.iter().enumerate() {
            let Stroke { colour, .. } = look::stroke(place);
            // Policies that are equally good are in the same place: their labels stand above each other.
            let above = -14 - 24 * place as i32;
            let ours = self.outcomes.iter().filter(|one| one.policy == *policy);
            let dots = ours.map(|one| Circle::new(place_of(one), 11, colour.filled()));
            chart.draw_series(dots).map_err(look::told)?;
            for (at, label) in self.labels(policy) {
                let style = (FAMILY, LABEL * 2 / 3).into_font().color(&colour);
                let label = EmptyElement::at(at) + Text::new(label, (16, above), style);
                chart.draw_series([label]).map_err(look::told)?;
            }
        }
        Ok(Values::default())
    }
}
