//! What all pictures share: size, font, colours, axes, title and legend.
//!
//! The series' colours are those of Okabe and Ito, which colour-blind people can tell apart; where
//! curves cross they have dashes of their own as well. The heat's shades differ in lightness alone.

use std::fmt::Write as _;

use plotters::chart::MeshStyle;
use plotters::coord::Shift;
use plotters::coord::ranged1d::Ranged;
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};

/// Drawing units of one picture; it is shown at half of this, because the library rounds to whole
/// units.
pub(super) const WIDTH: u32 = 1800;
pub(super) const HEIGHT: u32 = 960;

/// The family's name; in an SVG it is the reader's own.
const FAMILY: &str = "sans-serif";
pub(super) const LABEL: u32 = 30;
const TITLE: u32 = 42;

/// Roboto, Latin only, under the Apache License 2.0 (`assets/Roboto-LICENSE.txt`). Embedded, so that
/// pictures look alike everywhere and need no font library.
static ROBOTO: &[u8] = include_bytes!("../../assets/Roboto-Regular.ttf");

/// A drawing area of either backend.
pub(super) type Area<B> = DrawingArea<B, Shift>;

/// How many shades the heat has; the first is the faintest.
pub(super) const SHADES: usize = 6;

/// The colours of a theme.
#[derive(Debug, PartialEq)]
pub(super) struct Palette {
    pub(super) paper: RGBColor,
    pub(super) ink: RGBColor,
    pub(super) grey: RGBColor,
    pub(super) grid: RGBColor,
    /// Curves, in the order in which they are given out.
    series: [RGBColor; 6],
    /// From few to many.
    pub(super) heat: [RGBColor; SHADES],
}

const fn rgb(hex: u32) -> RGBColor {
    RGBColor((hex >> 16) as u8, (hex >> 8) as u8, hex as u8)
}

pub(super) static LIGHT: Palette = Palette {
    paper: rgb(0xff_ff_ff),
    ink: rgb(0x1f_23_28),
    grey: rgb(0x66_70_79),
    grid: rgb(0xe3_e7_eb),
    series: [rgb(0x00_72_b2), rgb(0xd5_5e_00), rgb(0x00_9e_73), rgb(0xcc_79_a7), rgb(0xe6_9f_00), rgb(0x56_b4_e9)],
    heat: [rgb(0xec_ef_f2), rgb(0xdc_e1_e7), rgb(0xc8_d0_d9), rgb(0xae_ba_c7), rgb(0x8f_9f_b0), rgb(0x6c_7f_94)],
};

pub(super) static DARK: Palette = Palette {
    paper: rgb(0x15_18_1c),
    ink: rgb(0xe6_e9_ec),
    grey: rgb(0x98_a2_ab),
    grid: rgb(0x2a_30_37),
    series: [rgb(0x4a_a8_e0), rgb(0xf0_84_2c), rgb(0x2f_c4_98), rgb(0xdc_93_bb), rgb(0xf0_b4_34), rgb(0x8a_ce_f5)],
    heat: [rgb(0x20_26_2d), rgb(0x2b_34_3e), rgb(0x39_45_52), rgb(0x4a_59_6a), rgb(0x60_73_88), rgb(0x7c_92_ab)],
};

impl Palette {
    fn colours(&self) -> impl Iterator<Item = RGBColor> {
        [self.paper, self.ink, self.grey, self.grid].into_iter().chain(self.series).chain(self.heat)
    }
}

/// Rules that turn a picture drawn with [`LIGHT`] into one drawn with [`DARK`].
pub(super) fn dark_rules() -> String {
    let mut rules = String::new();
    for (light, dark) in LIGHT.colours().zip(DARK.colours()) {
        let hex = |RGBColor(r, g, b): RGBColor| format!("#{r:02X}{g:02X}{b:02X}");
        let (light, dark) = (hex(light), hex(dark));
        for property in ["fill", "stroke"] {
            let _ = write!(rules, "svg [{property}=\"{light}\"]{{{property}:{dark}}}");
        }
    }
    rules
}

/// Has to be called before anything is drawn.
pub(super) fn prepare() -> Result<(), String> {
    register_font(FAMILY, FontStyle::Normal, ROBOTO).map_err(|_| "the embedded font is damaged".to_owned())
}

/// How a curve looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stroke {
    pub(super) colour: RGBColor,
    width: u32,
    /// Dash and gap; `None`: a whole line.
    dashes: Option<(u32, u32)>,
}

impl Palette {
    /// The stroke of the curve at this place.
    pub(super) fn stroke(&self, place: usize) -> Stroke {
        const DASHES: [Option<(u32, u32)>; 4] = [None, Some((26, 12)), Some((12, 8)), Some((4, 8))];
        Stroke {
            colour: self.series[place % self.series.len()],
            width: if place == 0 { 6 } else { 5 },
            dashes: DASHES[place % DASHES.len()],
        }
    }

    /// The stroke of what is only there to be compared with.
    pub(super) fn reference(&self) -> Stroke {
        Stroke { colour: self.grey, width: 4, dashes: Some((14, 10)) }
    }

    /// Writes title, subtitle and legend, and gives the area that is left for the chart.
    pub(super) fn frame<B: DrawingBackend>(
        &self,
        area: &Area<B>,
        (title, subtitle): (&str, &str),
        legend: &[(&str, Stroke)],
    ) -> Result<Area<B>, String> {
        area.fill(&self.paper).map_err(told)?;
        let (left, mut top) = (36, 26);
        let wide = area.dim_in_pixel().0 as i32;
        self.write(area, title, (left, top), TITLE, self.ink)?;
        top += 56;
        self.write(area, subtitle, (left, top), LABEL, self.grey)?;
        top += 54;
        let mut x = left;
        for (name, stroke) in legend {
            let width = (FAMILY, LABEL).into_font().box_size(name).map_err(|error| error.to_string())?.0;
            let width = 92 + i32::try_from(width).unwrap_or(0);
            if x > left && x + width > wide - left {
                (x, top) = (left, top + 44);
            }
            let middle = top + 11;
            line(area, &[(x, middle), (x + 78, middle)], *stroke)?;
            self.write(area, name, (x + 92, top), LABEL, self.ink)?;
            x += width + 56;
        }
        let (_, rest) = area.split_vertically(top + if legend.is_empty() { 0 } else { 52 });
        Ok(rest.margin(0, 20, 20, 44))
    }

    pub(super) fn write<B: DrawingBackend>(
        &self,
        area: &Area<B>,
        text: &str,
        at: (i32, i32),
        size: u32,
        colour: RGBColor,
    ) -> Result<(), String> {
        let style = (FAMILY, size).into_font().color(&colour);
        area.draw(&Text::new(text.to_owned(), at, style)).map_err(told)
    }

    /// Gives a chart's grid, axes and their texts the look that all pictures share.
    pub(super) fn axes<'m, 'a, 'b, B, X, Y>(
        &self,
        mesh: &'m mut MeshStyle<'a, 'b, X, Y, B>,
    ) -> &'m mut MeshStyle<'a, 'b, X, Y, B>
    where
        B: DrawingBackend,
        X: Ranged,
        Y: Ranged,
    {
        mesh.bold_line_style(self.grid.stroke_width(2))
            .light_line_style(TRANSPARENT)
            .axis_style(self.grey.stroke_width(2))
            .label_style((FAMILY, LABEL).into_font().color(&self.grey))
            .axis_desc_style((FAMILY, LABEL).into_font().color(&self.ink))
    }
}

/// Draws a curve into a chart, whatever its axes are.
pub(super) fn curve<B, X, Y>(
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

impl Stroke {
    fn style(&self) -> ShapeStyle {
        self.colour.stroke_width(self.width)
    }
}

/// A line through points of the drawing area itself.
fn line<B: DrawingBackend>(area: &Area<B>, points: &[(i32, i32)], stroke: Stroke) -> Result<(), String> {
    match stroke.dashes {
        None => area.draw(&PathElement::new(points.to_vec(), stroke.style())),
        Some((dash, gap)) => area.draw(&DashedPathElement::new(points.iter().copied(), dash, gap, stroke.style())),
    }
    .map_err(told)
}

/// Ticks of a logarithmic axis: 1, 2 and 5 of every power of ten, or the powers alone where that
/// would be many.
pub(super) fn ticks(low: f64, high: f64) -> Vec<f64> {
    let factors: &[f64] = if high / low > 1e4 { &[1.0] } else { &[1.0, 2.0, 5.0] };
    let powers = low.log10().floor() as i32..=high.log10().ceil() as i32;
    powers
        .flat_map(|power| factors.iter().map(move |factor| factor * 10_f64.powi(power)))
        .filter(|tick| (low..=high).contains(tick))
        .collect()
}

/// The bounds of a logarithmic axis around these values, with room on both sides.
pub(super) fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values.fold((f64::INFINITY, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
    if low.is_finite() { (low / 1.3, (high * 1.3).max(low * 2.0)) } else { (0.1, 10.0) }
}

/// A number as a tick's label: `0.5`, `1,000`.
pub(super) fn tick(value: f64) -> String {
    let text = if value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.4}") };
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let fraction = fraction.trim_end_matches('0');
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if fraction.is_empty() { grouped } else { format!("{grouped}.{fraction}") }
}

/// A latency as a tick's label, in the unit that reads best; `value` is in milliseconds.
pub(super) fn time_tick(value: f64) -> String {
    match value {
        ms if ms >= 999.5 => format!("{} s", tick(ms / 1e3)),
        ms if ms >= 0.9995 => format!("{} ms", tick(ms)),
        ms => format!("{} µs", tick(ms * 1e3)),
    }
}

/// For `map_err` on everything that draws.
#[allow(clippy::needless_pass_by_value)] // What `map_err` calls.
pub(super) fn told<E: std::error::Error + Send + Sync>(error: DrawingAreaErrorKind<E>) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

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
        for (value, expected) in
            [(0.5, "0.5"), (0.25, "0.25"), (2.0, "2"), (1000.0, "1,000"), (1_234_567.0, "1,234,567")]
        {
            assert_eq!(tick(value), expected);
        }
        for (value, expected) in [(0.05, "50 µs"), (1.0, "1 ms"), (200.0, "200 ms"), (1000.0, "1 s"), (2500.0, "2.5 s")]
        {
            assert_eq!(time_tick(value), expected);
        }
    }

    #[test]
    fn every_colour_of_the_light_theme_has_one_of_the_dark() {
        // Style rules find a colour by its value: two uses of one value could not part in the dark.
        let light: Vec<String> = LIGHT.colours().map(|colour| format!("{colour:?}")).collect();
        assert_eq!(light.iter().collect::<BTreeSet<_>>().len(), light.len());
        assert_eq!(dark_rules().matches('{').count(), 2 * light.len());
    }

    #[test]
    fn neighbours_differ_in_colour_and_dashes() {
        for place in 0..5 {
            assert_ne!(LIGHT.stroke(place).colour, LIGHT.stroke(place + 1).colour);
            assert_ne!(LIGHT.stroke(place).dashes, LIGHT.stroke(place + 1).dashes);
        }
    }
}
