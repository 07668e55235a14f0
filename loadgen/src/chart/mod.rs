//! Pictures of a report: percentiles, latency over time, rates and errors over time, cumulative
//! share. Each is drawn by the same code as SVG and as PNG.
//!
//! Reads reports only. `page` takes single figures, `--plot` all of them on one sheet.

mod cumulative;
mod heat;
mod look;
mod percentiles;
mod rates;

use plotters::coord::ranged1d::Ranged;
use plotters::prelude::*;

use crate::distribution::DecodeError;
use crate::report::Report;
use look::{Area, HEIGHT, LIGHT, Palette, WIDTH};

/// Height of the sheet's heading.
const HEADING: u32 = 150;

/// The colours of a picture that cannot follow its reader's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// Dark on white.
    Light,
    /// Light on near-black.
    Dark,
}

/// The format of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Picture {
    /// Vectors, in the colours that its reader prefers.
    Svg,
    /// Pixels.
    Png(Theme),
}

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum ChartError {
    /// A stored histogram could not be read.
    #[error(transparent)]
    Histogram(#[from] DecodeError),
    /// The drawing library's words.
    #[error("cannot draw: {0}")]
    Drawing(String),
}

/// Where the values are in a figure, so that a page can show them under the pointer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Values {
    /// Left, top, right, bottom of the plotted area, in the picture's units.
    pub(crate) area: [i32; 4],
    /// For some places from left to right, what is to be read there.
    pub(crate) points: Vec<(i32, String)>,
}

/// A figure of the page.
pub(crate) struct Figure {
    /// A word that is unique on the page.
    pub(crate) name: &'static str,
    /// What it shows, for people who cannot see it and as its caption.
    pub(crate) caption: String,
    /// An `<svg>` element that takes the width of its surroundings.
    pub(crate) svg: String,
    pub(crate) values: Values,
}

/// Something that can be drawn on either backend.
trait Draw {
    fn draw<B: DrawingBackend>(&self, area: &Area<B>, palette: &Palette) -> Result<Values, String>;
}

/// What there is to draw.
struct Charts<'a> {
    report: &'a Report,
    percentiles: percentiles::Chart,
    heat: heat::Chart,
    rates: rates::Chart,
    cumulative: cumulative::Chart,
}

impl<'a> Charts<'a> {
    fn of(report: &'a Report) -> Result<Self, ChartError> {
        look::prepare().map_err(ChartError::Drawing)?;
        Ok(Self {
            report,
            percentiles: percentiles::Chart::of(report)?,
            heat: heat::Chart::of(report)?,
            rates: rates::Chart::of(report),
            cumulative: cumulative::Chart::of(report)?,
        })
    }
}

impl Draw for Charts<'_> {
    /// All four on one sheet.
    fn draw<B: DrawingBackend>(&self, area: &Area<B>, palette: &Palette) -> Result<Values, String> {
        area.fill(&palette.paper).map_err(look::told)?;
        let (heading, rest) = area.split_vertically(HEADING);
        let title = format!("{} {}", self.report.setup.method, self.report.setup.target);
        palette.write(&heading, &title, (36, 34), 52, palette.ink)?;
        let verdict = if self.report.is_valid() { "" } else { "INVALID as a measurement: see the report.  " };
        let load = crate::summary::load(&self.report.setup);
        palette.write(&heading, &format!("{verdict}{load}"), (36, 100), 34, palette.grey)?;
        let panels = rest.split_evenly((2, 2));
        self.percentiles.draw(&panels[0], palette)?;
        self.heat.draw(&panels[1], palette)?;
        self.cumulative.draw(&panels[2], palette)?;
        self.rates.draw(&panels[3], palette)?;
        Ok(Values::default())
    }
}

impl Report {
    /// The report's figures on one sheet, as the bytes of a file.
    ///
    /// # Errors
    /// See [`ChartError`].
    pub fn plot(&self, picture: Picture) -> Result<Vec<u8>, ChartError> {
        let charts = Charts::of(self)?;
        let size = (2 * WIDTH, 2 * HEIGHT + HEADING);
        match picture {
            Picture::Svg => {
                let (svg, _) = svg(&charts, size).map_err(ChartError::Drawing)?;
                let style = format!("<style>@media (prefers-color-scheme: dark){{{}}}</style>", look::dark_rules());
                Ok(match svg.split_once(">\n") {
                    Some((head, rest)) => format!("{head}>\n{style}\n{rest}").into_bytes(),
                    None => svg.into_bytes(),
                })
            }
            Picture::Png(theme) => {
                let palette = match theme {
                    Theme::Light => &LIGHT,
                    Theme::Dark => &look::DARK,
                };
                png(&charts, palette, size).map_err(ChartError::Drawing)
            }
        }
    }
}

/// The figures of a report, each by itself.
pub(crate) fn figures(report: &Report) -> Result<Vec<Figure>, ChartError> {
    let charts = Charts::of(report)?;
    let figure = |name, caption: &str, drawn: Result<(String, Values), String>| {
        let (svg, values) = drawn.map_err(ChartError::Drawing)?;
        Ok::<_, ChartError>(Figure { name, caption: caption.to_owned(), svg, values })
    };
    let size = (WIDTH, HEIGHT);
    Ok(vec![
        figure("percentiles", percentiles::CAPTION, svg(&charts.percentiles, size))?,
        figure("latency-over-time", heat::CAPTION, svg(&charts.heat, size))?,
        figure("rates-over-time", rates::CAPTION, svg(&charts.rates, size))?,
        figure("cumulative", cumulative::CAPTION, svg(&charts.cumulative, size))?,
    ])
}

/// Style rules for a page that shows figures in the dark.
pub(crate) fn dark_rules() -> String {
    look::dark_rules()
}

fn svg(chart: &impl Draw, size: (u32, u32)) -> Result<(String, Values), String> {
    let mut text = String::new();
    let values = {
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        let values = chart.draw(&area, &LIGHT)?;
        area.present().map_err(|error| error.to_string())?;
        values
    };
    let fixed = format!("width=\"{}\" height=\"{}\" ", size.0, size.1);
    Ok((text.replacen(&fixed, &format!("width=\"{}\" role=\"img\" ", size.0 / 2), 1), values))
}

fn png(chart: &impl Draw, palette: &Palette, (width, height): (u32, u32)) -> Result<Vec<u8>, String> {
    let mut pixels = vec![0; width as usize * height as usize * 3];
    {
        let area = BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area();
        chart.draw(&area, palette)?;
        area.present().map_err(|error| error.to_string())?;
    }
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&pixels));
    written.map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// The values of a chart that has been drawn.
fn values<B, X, Y>(chart: &ChartContext<'_, B, Cartesian2d<X, Y>>, points: Vec<(i32, String)>) -> Values
where
    B: DrawingBackend,
    X: Ranged<ValueType = f64>,
    Y: Ranged<ValueType = f64>,
{
    let (x, y) = chart.plotting_area().get_pixel_range();
    Values { area: [x.start, y.start, x.end, y.end], points }
}
