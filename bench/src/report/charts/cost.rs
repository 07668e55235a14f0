//! Cost against violation of the objective: a dot per contender, with its starts, and the line that nobody beats.

use plotters::prelude::*;

use super::look::{self, Area, FAMILY, GREY, INK, LABEL, Stroke};
use super::{By, Draw, Point, Values};
use crate::report::cost::{Price, Spread, Stand, Trade, front};
use crate::report::format::number;
use crate::scenario::Scenario;

/// Nobody late, on an axis that has no 0, in percent: far below one request of a step.
const NONE: f64 = 0.005;

pub(super) struct Chart<'a> {
    trade: &'a Trade,
    objective_ms: f64,
    strokes: Vec<Stroke>,
    places: Vec<usize>,
}

impl<'a> Chart<'a> {
    /// `place` is a contender's place in the session.
    pub(super) fn of(trade: &'a Trade, objective_ms: f64, place: impl Fn(&str) -> usize) -> Self {
        let places: Vec<usize> = trade.stands.iter().map(|stand| place(&stand.name)).collect();
        let strokes = places.iter().map(|place| look::stroke(*place)).collect();
        Self { trade, objective_ms, strokes, places }
    }

    pub(super) fn name(&self) -> String {
        let price = match self.trade.price {
            Price::WorkerSeconds => "workers",
            Price::PssSeconds => "memory",
        };
        format!("cost-{}-{price}", self.trade.scenario.name())
    }

    fn unit(&self) -> &'static str {
        match self.trade.price {
            Price::WorkerSeconds => "worker-seconds",
            Price::PssSeconds => "memory spent, MiB·s",
        }
    }

    fn has_tuned(&self) -> bool {
        self.trade.stands.iter().any(|stand| stand.tuned)
    }

    fn what(&self) -> &'static str {
        match self.trade.scenario {
            Scenario::Burst => "burst",
            _ => "step",
        }
    }

    pub(super) fn caption(&self) -> String {
        format!(
            "What the {} cost ({}) against the share of its requests that were later than {} ms or failed, both on logarithmic axes. A dot, with the contender’s number, is the median of the starts, its bars reach from the least to the greatest.{} The dashed line joins those whom nobody beats in both (the Pareto front). Lower and further to the left is better.",
            self.what(),
            self.unit(),
            look::tick(self.objective_ms),
            if self.has_tuned() {
                " A ring, with ′ behind the number, is the contender with the best of the settings that were tried."
            } else {
                ""
            }
        )
    }
}

/// Percent as drawn.
fn shown(percent: f64) -> f64 {
    percent.max(NONE)
}

/// The corners of a staircase along the front: who is between two of them is beaten by the cheaper one.
fn stairs(front: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut corners: Vec<(f64, f64)> = Vec::new();
    for &(cost, violation) in front {
        if let Some(&(_, last)) = corners.last() {
            corners.push((cost, last));
        }
        corners.push((cost, violation));
    }
    corners
}

impl Draw for Chart<'_> {
    fn draw<B: DrawingBackend>(&self, area: &Area<B>) -> Result<Values, String> {
        let stands = &self.trade.stands;
        let names: Vec<String> = stands.iter().map(|stand| format!("{}  {}", stand.number, stand.title)).collect();
        let named = names.iter().map(String::as_str).zip(self.strokes.iter().copied());
        let legend: Vec<(&str, Stroke)> =
            named.zip(stands).filter(|(_, stand)| !stand.tuned).map(|(name, _)| name).collect();
        let subtitle = format!(
            "{} against requests later than {} ms or failed; dashed: whom nobody beats in both{}",
            self.unit(),
            look::tick(self.objective_ms),
            if self.has_tuned() { "; ring, ′: with its best setting" } else { "" }
        );
        let title = format!("Cost against lateness, {}", self.what());
        let rest = look::frame(area, &title, &subtitle, &legend)?;
        let costs = |of: fn(&Spread) -> f64| stands.iter().map(move |stand| of(&stand.cost).max(0.1));
        let left = costs(|cost| cost.least).fold(f64::INFINITY, f64::min) * 0.7;
        let right = costs(|cost| cost.most).fold(0.0, f64::max) * 1.6;
        let high = stands.iter().map(|stand| shown(stand.violation.most)).fold(1.0, f64::max) * 1.6;
        let low = NONE * 0.6;
        let mut ticks = look::ticks(NONE * 1.5, high);
        ticks.insert(0, NONE);
        let mut chart = ChartBuilder::on(&rest)
            .x_label_area_size(96)
            .y_label_area_size(150)
            .build_cartesian_2d(
                (left..right).log_scale().with_key_points(look::ticks(left, right)),
                (low..high).log_scale().with_key_points(ticks),
            )
            .map_err(look::told)?;
        look::axes(&mut chart.configure_mesh())
            .x_desc(self.unit())
            .y_desc("late or failed, %")
            .x_labels(12)
            .y_labels(16)
            .x_label_formatter(&|x| look::tick(*x))
            .y_label_formatter(&|y| if *y <= NONE { "none".into() } else { look::tick(*y) })
            .draw()
            .map_err(look::told)?;
        let medians: Vec<(f64, f64)> =
            stands.iter().map(|stand| (stand.cost.median.max(0.1), shown(stand.violation.median))).collect();
        let line = stairs(&front(&medians));
        chart.draw_series(DashedLineSeries::new(line, 10, 10, GREY.stroke_width(3))).map_err(look::told)?;
        for ((stand, stroke), at) in stands.iter().zip(&self.strokes).zip(&medians) {
            let bar = stroke.colour.stroke_width(3);
            chart.draw_series(bars(stand, *at).map(|bar_ends| PathElement::new(bar_ends, bar))).map_err(look::told)?;
            let dot = if stand.tuned { stroke.colour.stroke_width(5) } else { stroke.colour.filled() };
            chart.draw_series([Circle::new(*at, 13, dot)]).map_err(look::told)?;
        }
        for (at, numbers) in labels(stands.iter().map(|stand| stand.number.as_str()).zip(medians.iter().copied())) {
            let style = (FAMILY, LABEL).into_font().color(&INK);
            let label = EmptyElement::at(at) + Text::new(numbers, (18, -36), style);
            chart.draw_series([label]).map_err(look::told)?;
        }
        let shown = stands.iter().zip(&self.places).zip(&medians).map(|((stand, place), at)| Point {
            at: chart.backend_coord(at),
            place: *place,
            place_in_words: format!("{} {}", number(stand.cost.median), self.unit()),
            value: format!(
                "{}{} % late or failed",
                stand.title.split_once(", tuned: ").map_or_else(String::new, |(_, setting)| format!("{setting}: ")),
                number(stand.violation.median)
            ),
        });
        let span = (chart.backend_coord(&(left, high)).1, chart.backend_coord(&(left, low)).1);
        Ok(Values { by: By::Point, span, points: shown.collect() })
    }
}

/// The numbers of the contenders, where they stand; those of neighbours together, or they would hide each other.
fn labels<'a>(stands: impl Iterator<Item = (&'a str, (f64, f64))>) -> Vec<((f64, f64), String)> {
    let is_near = |a: f64, b: f64, factor: f64| (a / b).ln().abs() < factor.ln();
    let mut labels: Vec<((f64, f64), String)> = Vec::new();
    for (number, stand) in stands {
        let near = labels.iter_mut().find(|(at, _)| is_near(at.0, stand.0, 1.1) && is_near(at.1, stand.1, 1.6));
        match near {
            Some((_, numbers)) => *numbers += &format!(", {number}"),
            None => labels.push((stand, number.to_owned())),
        }
    }
    labels
}

/// From the least to the greatest start, in both directions.
fn bars(stand: &Stand, at: (f64, f64)) -> impl Iterator<Item = Vec<(f64, f64)>> {
    let (cost, late) = (stand.cost, stand.violation);
    [
        vec![(cost.least.max(0.1), at.1), (cost.most.max(0.1), at.1)],
        vec![(at.0, shown(late.least)), (at.0, shown(late.most))],
    ]
    .into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_contender_is_a_dot_also_one_who_was_never_late() {
        let stand = |number: &str, title: &str, cost: [f64; 3], late: [f64; 3]| {
            let spread = |[least, median, most]: [f64; 3]| Spread { least, median, most };
            Stand {
                name: title.into(),
                title: title.into(),
                number: number.into(),
                tuned: number.ends_with('′'),
                cost: spread(cost),
                violation: spread(late),
            }
        };
        let stands = vec![
            stand("1", "ADAPTIVE", [20.0, 22.0, 25.0], [0.0, 0.0, 0.1]),
            stand("2", "PREFORK", [300.0, 310.0, 400.0], [10.0, 12.0, 30.0]),
            stand("2′", "PREFORK, tuned: spare 50", [900.0, 910.0, 920.0], [1.0, 2.0, 3.0]),
        ];
        let trade = Trade { scenario: Scenario::Step, price: Price::WorkerSeconds, stands };
        let chart = Chart::of(&trade, 100.0, |_| 0);
        assert_eq!(chart.name(), "cost-step-workers");
        look::register_font().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let picture = super::super::picture(&chart.name(), chart.caption(), folder.path(), &chart).unwrap();
        assert_eq!(picture.svg.matches("r=\"13\"").count(), 3);
        assert!(picture.svg.contains("PREFORK") && picture.svg.contains("none"));
        assert!(picture.svg.contains("2′") && !picture.svg.contains("spare 50"), "one line of the legend for both");
        assert_eq!(picture.values.points.len(), 3);
        assert_eq!(picture.values.points[2].value, "spare 50: 2 % late or failed");
    }

    #[test]
    fn neighbours_share_a_label() {
        let stands = [(5.0, 0.005), (90.0, 50.0), (5.2, 0.006), (5.0, 1.0)];
        let expected = [((5.0, 0.005), "1, 3"), ((90.0, 50.0), "2"), ((5.0, 1.0), "4")];
        let numbered = ["1", "2", "3", "4"].into_iter().zip(stands);
        assert_eq!(labels(numbered), expected.map(|(at, label)| (at, label.to_owned())));
    }

    #[test]
    fn stairs_keep_what_the_cheaper_one_has() {
        assert_eq!(stairs(&[(5.0, 9.0), (8.0, 1.0)]), [(5.0, 9.0), (8.0, 9.0), (8.0, 1.0)]);
        assert!(stairs(&[]).is_empty());
    }
}
