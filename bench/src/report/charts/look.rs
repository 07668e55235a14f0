//! What all pictures share: size, font, colours, title and legend.

use plotters::chart::MeshStyle;
use plotters::coord::Shift;
use plotters::coord::ranged1d::Ranged;
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font as register};

use crate::report::format::number;

/// Drawing units; a picture is shown at half of this.
pub(crate) const WIDTH: u32 = 1800;
pub(crate) const HEIGHT: u32 = 980;

pub(crate) const PAPER: RGBColor = RGBColor(0xff, 0xff, 0xff);
pub(crate) const INK: RGBColor = RGBColor(0x1f, 0x23, 0x28);
pub(crate) const GREY: RGBColor = RGBColor(0x66, 0x70, 0x79);
pub(crate) const GRID: RGBColor = RGBColor(0xe3, 0xe7, 0xeb);
pub(crate) const SHADE: RGBColor = RGBColor(0xee, 0xf1, 0xf4);

/// The family's name; in the SVG it is the reader's own.
pub(crate) const FAMILY: &str = "sans-serif";
pub(crate) const LABEL: u32 = 30;
const TITLE: u32 = 42;

/// Roboto, Latin only, under the Apache License 2.0 (`loadgen/assets`). Embedded, so that pictures look
/// alike everywhere and need no font library.
static ROBOTO: &[u8] = include_bytes!("../../../../loadgen/assets/Roboto-Regular.ttf");

/// A drawing area of either backend.
pub(crate) type Area<B> = DrawingArea<B, Shift>;

/// Has to be called before anything is drawn.
pub(crate) fn register_font() -> Result<(), String> {
    register(FAMILY, FontStyle::Normal, ROBOTO).map_err(|_| "the embedded font is damaged".into())
}

/// How a contender's curve looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Stroke {
    pub(crate) colour: RGBColor,
    pub(crate) width: u32,
    /// Dash and gap; `None`: a whole line.
    pub(crate) dashes: Option<(u32, u32)>,
}

/// From here on colours come again.
pub(crate) const PLACES: usize = 24;

/// How many shades a heat map has.
const SHADES: usize = 6;

/// The shade of so many answers where the fullest cell has `most`: from light to dark, so that no hue has to be told
/// from another.
pub(crate) fn heat(count: u64, most: u64) -> RGBColor {
    const COLOURS: [RGBColor; SHADES] = [
        RGBColor(0xe3, 0xee, 0xf6),
        RGBColor(0xc3, 0xda, 0xea),
        RGBColor(0x9c, 0xc2, 0xdc),
        RGBColor(0x6f, 0xa5, 0xca),
        RGBColor(0x42, 0x85, 0xb4),
        RGBColor(0x1f, 0x60, 0x93),
    ];
    let share = (count as f64).ln_1p() / (most.max(1) as f64).ln_1p();
    COLOURS[((share * SHADES as f64).ceil() as usize).clamp(1, SHADES) - 1]
}

/// The stroke of the contender at this place of the session. No two of the first [`PLACES`] have the same colour,
/// although from the seventh on they only differ for a machine (and by their dashes).
pub(crate) fn stroke(place: usize) -> Stroke {
    const COLOURS: [RGBColor; 6] = [
        RGBColor(0x00, 0x72, 0xb2),
        RGBColor(0x00, 0x9e, 0x73),
        RGBColor(0xd5, 0x5e, 0x00),
        RGBColor(0xcc, 0x79, 0xa7),
        RGBColor(0xe6, 0x9f, 0x00),
        RGBColor(0x56, 0xb4, 0xe9),
    ];
    const DASHES: [Option<(u32, u32)>; 4] = [None, Some((26, 12)), Some((12, 8)), Some((4, 8))];
    let RGBColor(red, green, blue) = COLOURS[place % COLOURS.len()];
    let again = u8::try_from(place / COLOURS.len() % (PLACES / COLOURS.len())).unwrap_or(0);
    Stroke {
        colour: RGBColor(red, green - again, blue),
        width: if place == 0 { 7 } else { 5 },
        dashes: DASHES[place % DASHES.len()],
    }
}

impl Stroke {
    /// That of the same contender with another setting.
    pub(crate) fn tuned(self) -> Self {
        Self { width: 3, dashes: Some((18, 18)), ..self }
    }

    /// The library's form of it.
    pub(crate) fn style(&self) -> ShapeStyle {
        self.colour.stroke_width(self.width)
    }
}

/// Writes title, subtitle and legend, and gives the area that is left for the chart.
pub(crate) fn frame<B: DrawingBackend>(
    area: &Area<B>,
    title: &str,
    subtitle: &str,
    legend: &[(&str, Stroke)],
) -> Result<Area<B>, String> {
    area.fill(&PAPER).map_err(told)?;
    let (left, mut top) = (36, 26);
    let write = |text: &str, size: u32, colour: RGBColor, at| {
        area.draw(&Text::new(text.to_owned(), at, (FAMILY, size).into_font().color(&colour))).map_err(told)
    };
    write(title, TITLE, INK, (left, top))?;
    top += 56;
    write(subtitle, LABEL, GREY, (left, top))?;
    top += 54;
    let right = i32::try_from(area.dim_in_pixel().0).unwrap_or(i32::MAX) - left;
    let mut x = left;
    for (name, stroke) in legend {
        let width = (FAMILY, LABEL).into_font().box_size(name).map_err(|error| error.to_string())?.0;
        // The reader's own font may be wider than the embedded one.
        let width = 92 + i32::try_from(width).unwrap_or(0) * 11 / 10;
        if x > left && x + width > right {
            (x, top) = (left, top + 44);
        }
        let middle = top + 11;
        draw_line(area, &[(x, middle), (x + 78, middle)], *stroke)?;
        write(name, LABEL, INK, (x + 92, top))?;
        x += width + 56;
    }
    let (_, rest) = area.split_vertically(top + 52);
    Ok(rest.margin(0, 20, 20, 40))
}

/// Gives a chart's grid, axes and their texts the look that all pictures share.
pub(crate) fn axes<'m, 'a, 'b, B, X, Y>(mesh: &'m mut MeshStyle<'a, 'b, X, Y, B>) -> &'m mut MeshStyle<'a, 'b, X, Y, B>
where
    B: DrawingBackend,
    X: Ranged,
    Y: Ranged,
{
    mesh.bold_line_style(GRID.stroke_width(2))
        .light_line_style(TRANSPARENT)
        .axis_style(GREY.stroke_width(2))
        .label_style((FAMILY, LABEL).into_font().color(&GREY))
        .axis_desc_style((FAMILY, LABEL).into_font().color(&INK))
}

/// Draws a curve into a chart, whatever its axes are.
pub(crate) fn curve<B, X, Y>(
    chart: &mut ChartContext<'_, B, Cartesian2d<X, Y>>,
    points: &[(f64, f64)],
    stroke: Stroke,
) -> Result<(), String>
where
    B: DrawingBackend,
    X: Ranged<ValueType = f64>,
    Y: Ranged<ValueType = f64>,
{
    let points = points.iter().copied();
    match stroke.dashes {
        None => chart.draw_series(LineSeries::new(points, stroke.style())).map(drop),
        Some((dash, gap)) => chart.draw_series(DashedLineSeries::new(points, dash, gap, stroke.style())).map(drop),
    }
    .map_err(told)
}

/// A line through points of the drawing area itself.
fn draw_line<B: DrawingBackend>(area: &Area<B>, points: &[(i32, i32)], stroke: Stroke) -> Result<(), String> {
    match stroke.dashes {
        None => area.draw(&PathElement::new(points.to_vec(), stroke.style())),
        Some((dash, gap)) => area.draw(&DashedPathElement::new(points.iter().copied(), dash, gap, stroke.style())),
    }
    .map_err(told)
}

/// Ticks of a logarithmic axis: 1, 2 and 5 of every power of ten, or the powers alone where that would be many.
pub(crate) fn ticks(low: f64, high: f64) -> Vec<f64> {
    let factors: &[f64] = if high / low > 1e4 { &[1.0] } else { &[1.0, 2.0, 5.0] };
    let powers = low.log10().floor() as i32..=high.log10().ceil() as i32;
    powers
        .flat_map(|power| factors.iter().map(move |factor| factor * 10_f64.powi(power)))
        .filter(|tick| (low..=high).contains(tick))
        .collect()
}

/// A tick's label: `0.5`, `1,000`.
pub(crate) fn tick(value: f64) -> String {
    let text = number(value);
    match text.split_once('.') {
        Some((whole, fraction)) => {
            let fraction = fraction.trim_end_matches('0');
            let point = if fraction.is_empty() { "" } else { "." };
            format!("{whole}{point}{fraction}")
        }
        None => text,
    }
}

/// For `map_err` on everything that draws.
#[allow(clippy::needless_pass_by_value)] // What `map_err` calls.
pub(crate) fn told<E: std::error::Error + Send + Sync>(error: DrawingAreaErrorKind<E>) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let rows: [(f64, f64, &[f64]); 3] = [
            (0.4, 6.0, &[0.5, 1.0, 2.0, 5.0]),
            (60.0, 500.0, &[100.0, 200.0, 500.0]),
            (0.5, 20_000.0, &[1.0, 10.0, 100.0, 1000.0, 10_000.0]),
        ];
        for (low, high, expected) in rows {
            let got = ticks(low, high);
            let near = |(a, b): (&f64, &f64)| (a / b - 1.0).abs() < 1e-9;
            assert_eq!(got.len(), expected.len(), "{got:?}");
            assert!(got.iter().zip(expected).all(near), "{got:?}");
        }
        for (value, expected) in [(0.5, "0.5"), (0.25, "0.25"), (2.0, "2"), (1000.0, "1,000")] {
            assert_eq!(tick(value), expected);
        }
    }

    #[test]
    fn neighbours_differ_in_colour_and_dashes() {
        for place in 0..5 {
            assert_ne!(stroke(place).colour, stroke(place + 1).colour);
            assert_ne!(stroke(place).dashes, stroke(place + 1).dashes);
        }
    }
}
