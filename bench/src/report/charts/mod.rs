//! The pictures: each drawn twice by the same code, as SVG (for the page) and as PNG (for a README).
//!
//! Colours are those of Okabe and Ito, which colour-blind people can tell apart, and every curve has its own dashes as
//! well. The SVG's greys are replaced by style rules in the dark, see [`DARK`]; what belongs to a contender has that
//! one's class (`c0`, `c1`, in the order of the session), so that a page can leave it out.

mod cost;
mod curve;
mod forest;
mod heat;
mod histogram;
mod latency;
pub(crate) mod look;
mod step;
mod values;

use std::path::Path;

use plotters::prelude::*;

use super::series::Series;
use super::summary::Summary;
use crate::results::schema::Session;
use crate::scenario::Scenario;
use look::{HEIGHT, WIDTH};
pub(crate) use step::{staircase, unbroken};
pub(crate) use values::{By, Point, Values};

/// Rules for a dark background: the paper, ink, grey and shade of [`look`] become their opposites.
pub(crate) const DARK: &str = "\
svg [fill=\"#FFFFFF\"]{fill:#15181c}svg [stroke=\"#FFFFFF\"]{stroke:#15181c}\
svg [fill=\"#1F2328\"]{fill:#e6e9ec}svg [stroke=\"#1F2328\"]{stroke:#e6e9ec}\
svg [fill=\"#667079\"]{fill:#98a2ab}svg [stroke=\"#667079\"]{stroke:#98a2ab}\
svg [fill=\"#E3E7EB\"]{fill:#2a3037}svg [stroke=\"#E3E7EB\"]{stroke:#2a3037}\
svg [fill=\"#EEF1F4\"]{fill:#20252b}svg [stroke=\"#EEF1F4\"]{stroke:#20252b}\
svg [fill=\"#0072B2\"]{fill:#4aa8e0}svg [stroke=\"#0072B2\"]{stroke:#4aa8e0}\
svg [fill=\"#E3EEF6\"]{fill:#1d2a35}svg [fill=\"#C3DAEA\"]{fill:#243b4d}svg [fill=\"#9CC2DC\"]{fill:#2d516c}\
svg [fill=\"#6FA5CA\"]{fill:#3c6f96}svg [fill=\"#4285B4\"]{fill:#5896c2}svg [fill=\"#1F6093\"]{fill:#8cc3ea}";

/// A finished picture; its PNG, if it has one, has been written already.
pub(crate) struct Picture {
    /// File name without extension.
    pub(crate) name: String,
    /// What it shows, for people who cannot see it and as its caption.
    pub(crate) caption: String,
    /// An `<svg>` element that takes the width of its surroundings.
    pub(crate) svg: String,
    /// What the page's script can show.
    pub(crate) values: Values,
    /// It has files of its own, for a README; the others are in the page only.
    pub(crate) has_files: bool,
    /// One of several alike.
    pub(crate) panel: Option<Panel>,
}

/// One contender's picture among those of the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Panel {
    /// The place of the contender in the session.
    pub(crate) place: usize,
    /// Whose picture it is.
    pub(crate) title: String,
}

impl Picture {
    /// The SVG as a file of its own, which follows the reader's colour scheme by itself.
    pub(crate) fn standalone_svg(&self) -> String {
        let style = format!("<style>@media (prefers-color-scheme: dark){{{DARK}}}</style>");
        match self.svg.split_once(">\n") {
            Some((head, rest)) => format!("{head}>\n{style}\n{rest}"),
            None => self.svg.clone(),
        }
    }
}

/// Draws every picture that there is data for, its PNG into `folder`.
///
/// # Errors
/// What the drawing library says; as a rule a file that cannot be written.
pub(crate) fn draw(
    session: &Session,
    series: &[Series],
    summary: &Summary,
    folder: &Path,
) -> Result<Vec<Picture>, String> {
    look::register_font()?;
    let mut pictures = Vec::new();
    if let Some(chart) = latency::Chart::of(session, series) {
        pictures.push(picture("latency", chart.caption(), folder, &chart)?);
    }
    if let Some(chart) = step::Chart::of(session, series) {
        let latencies = step::Latencies(&chart);
        pictures.push(picture("step-latency", latencies.caption(), folder, &latencies)?);
        let workers = step::Workers(&chart);
        pictures.push(picture("step-workers", workers.caption(), folder, &workers)?);
    }
    panels(session, series, &mut pictures)?;
    let place = |name: &str| session.place(name);
    for quantile in [curve::Quantile::P99, curve::Quantile::Median] {
        let path = &session.lengths.offered_load.curve.path;
        if let Some(chart) = curve::Chart::of(quantile, path, &summary.curves, place) {
            pictures.push(picture(&chart.name(), chart.caption(), folder, &chart)?);
        }
    }
    for trade in super::cost::collect(summary) {
        let objective_ms = match trade.scenario {
            Scenario::Burst => session.lengths.process_manager.burst.objective_ms,
            _ => session.lengths.step.objective_ms,
        };
        let chart = cost::Chart::of(&trade, objective_ms, place);
        pictures.push(picture(&chart.name(), chart.caption(), folder, &chart)?);
    }
    for table in &summary.tables {
        if let Some(chart) = forest::Chart::of(table, place) {
            let tuned = if table.is_tuned() { "-tuned" } else { "" };
            let name = format!("ratios-{}{tuned}", table.scenario.name());
            pictures.push(inline(&name, chart.caption(), (WIDTH, chart.height()), &chart)?);
        }
    }
    Ok(pictures)
}

/// A picture for each contender, on axes that they share.
fn panels(session: &Session, series: &[Series], pictures: &mut Vec<Picture>) -> Result<(), String> {
    for (place, chart) in histogram::Chart::all(session, series) {
        let name = format!("histogram-{}", series[place].name);
        let picture = inline(&name, chart.caption(), histogram::SIZE, &chart)?;
        pictures.push(Picture { panel: Some(Panel { place, title: series[place].title.clone() }), ..picture });
    }
    for (place, chart) in heat::Chart::all(session, series) {
        let name = format!("heat-{}", series[place].name);
        let picture = inline(&name, chart.caption(), heat::SIZE, &chart)?;
        pictures.push(Picture { panel: Some(Panel { place, title: series[place].title.clone() }), ..picture });
    }
    Ok(())
}

/// Something that can be drawn on either backend.
pub(crate) trait Draw {
    /// Draws it, and says what its values are and where.
    fn draw<B: DrawingBackend>(&self, area: &look::Area<B>) -> Result<Values, String>;
}

/// Draws one picture, its PNG into `folder`. The font has to be registered, see [`look::register_font`].
///
/// # Errors
/// What the drawing library says.
pub(crate) fn picture(name: &str, caption: String, folder: &Path, chart: &impl Draw) -> Result<Picture, String> {
    let size = (WIDTH, HEIGHT);
    let picture = inline(name, caption, size, chart)?;
    let png = folder.join(format!("{name}.png"));
    let area = BitMapBackend::new(&png, size).into_drawing_area();
    chart.draw(&area)?;
    area.present().map_err(|error| format!("{}: {error}", png.display()))?;
    Ok(Picture { has_files: true, ..picture })
}

/// Draws one picture for a page only.
fn inline(name: &str, caption: String, size: (u32, u32), chart: &impl Draw) -> Result<Picture, String> {
    let mut svg = String::new();
    let values = {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        let values = chart.draw(&area)?;
        area.present().map_err(|error| error.to_string())?;
        values
    };
    // It is drawn at twice its size, because the library rounds to whole units.
    let fixed = format!("width=\"{}\" height=\"{}\" ", size.0, size.1);
    let mut svg = svg.replacen(&fixed, &format!("width=\"{}\" role=\"img\" ", size.0 / 2), 1);
    for place in 0..look::PLACES {
        let RGBColor(red, green, blue) = look::stroke(place).colour;
        for property in ["fill", "stroke"] {
            let painted = format!(" {property}=\"#{red:02X}{green:02X}{blue:02X}\"");
            svg = svg.replace(&painted, &format!(" class=\"c{place}\"{painted}"));
        }
    }
    if let Some((head, rest)) = svg.split_once(">\n") {
        svg = format!("{head}>\n<title>{}</title>\n{rest}", super::html::escape(&caption));
    }
    Ok(Picture { name: name.to_owned(), caption, svg, values, has_files: false, panel: None })
}
