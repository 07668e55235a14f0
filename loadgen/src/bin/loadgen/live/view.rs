//! A frame of the live view: lays out what the model knows. Fits 80×24; more room shows more.

use loadgen::supports;
use ratatui::buffer::Buffer;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Borders, Chart, Dataset, GraphType, Paragraph, Widget};

use super::model::{Model, Point};

/// Told apart by their lightness too.
const CURVES: [(&str, Color); 3] = [("p50", Color::Blue), ("p90", Color::Cyan), ("p99", Color::Yellow)];
/// Cells of the bar of progress.
const BAR: usize = 20;
/// Widest label of a row of the histogram, with its unit.
const EDGE: usize = 8;

/// Draws everything.
pub(super) fn draw(model: &Model, area: Rect, buffer: &mut Buffer) {
    let [head, graphs, rest, foot] =
        Layout::vertical([Constraint::Length(3), Constraint::Fill(3), Constraint::Fill(2), Constraint::Length(1)])
            .areas(area);
    Paragraph::new(header(model)).render(head, buffer);
    let [left, right] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).spacing(1).areas(graphs);
    rates(model, left, buffer);
    latencies(model, right, buffer);
    let [left, right] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).spacing(1).areas(rest);
    histogram(model, left, buffer);
    outcomes(model, right, buffer);
    Paragraph::new(Line::from("Ctrl-C ends the run and reports what was measured").dark_gray()).render(foot, buffer);
}

fn header(model: &Model) -> Vec<Line<'static>> {
    let Some(latest) = &model.latest else {
        return vec![Line::from(model.title.clone()).bold(), Line::from("waiting for the first interval").dark_gray()];
    };
    let now = latest.start_s + latest.duration_s;
    let progress = match model.planned.filter(|planned| *planned > 0.0) {
        Some(planned) => {
            let full = ((now / planned).clamp(0.0, 1.0) * BAR as f64).round() as usize;
            let bar = "█".repeat(full) + &"░".repeat(BAR - full);
            format!("{:.0} s of {planned:.0} s {bar}", now.min(planned))
        }
        None => format!("{now:.0} s"),
    };
    let state = if latest.drain { "  waiting for the last answers" } else { "" };
    let mut counts = vec![
        Span::from(format!("{} requests", model.requests)).bold(),
        Span::from(format!("  {} answered", model.answered)),
    ];
    let errors: u64 = model.errors.values().sum();
    let failed = format!("  {errors} errors");
    counts.push(if errors > 0 { Span::from(failed).red() } else { Span::from(failed) });
    counts.push(Span::from(format!(
        "  in flight {}  queued {}  connections {}",
        latest.in_flight, latest.queued, latest.connections
    )));
    vec![
        Line::from(model.title.clone()).bold(),
        Line::from(vec![Span::from(progress), Span::from(state).dark_gray()]),
        Line::from(counts),
    ]
}

fn block(title: Line<'_>) -> Block<'_> {
    Block::new().borders(Borders::TOP).title(title).border_style(Style::new().fg(Color::DarkGray))
}

/// The latest points, as many as there are columns.
fn latest(model: &Model, area: Rect) -> Vec<&Point> {
    // A braille cell has two columns of dots.
    let most = usize::from(area.width) * 2;
    let skipped = model.points.len().saturating_sub(most);
    model.points.iter().skip(skipped).collect()
}

fn rates(model: &Model, area: Rect, buffer: &mut Buffer) {
    let points = latest(model, area);
    let mut title = vec!["Rate ".bold()];
    if let Some(point) = points.last() {
        title.push(format!("answered {}/s", figure(point.answered)).blue());
        if model.open {
            title.push(format!("  due {}/s", figure(point.offered)).into());
        }
        if point.errors > 0.0 {
            title.push(format!("  errors {}/s", figure(point.errors)).red());
        }
    }
    let of = |value: fn(&Point) -> f64| points.iter().map(|point| (point.at, value(point))).collect::<Vec<_>>();
    let (offered, answered, errors) = (of(|p| p.offered), of(|p| p.answered), of(|p| p.errors));
    let values = offered.iter().chain(&answered).chain(&errors);
    let most = values.map(|point| point.1).fold(1.0, f64::max);
    let mut curves = Vec::new();
    if model.open {
        curves.push(curve(&offered, Color::DarkGray));
    }
    curves.push(curve(&answered, Color::Blue));
    if errors.iter().any(|point| point.1 > 0.0) {
        curves.push(curve(&errors, Color::Red));
    }
    let labels = vec![Line::from("0"), Line::from(figure(most))];
    graph(curves, &points, (0.0, most), labels, block(Line::from(title))).render(area, buffer);
}

fn latencies(model: &Model, area: Rect, buffer: &mut Buffer) {
    let points = latest(model, area);
    let mut title = Vec::new();
    let now = points.last().and_then(|point| point.latency);
    for (place, (name, colour)) in CURVES.into_iter().enumerate() {
        let value = now.map_or_else(|| "-".to_owned(), |latency| time(latency[place] as f64));
        title.push(format!("{name} {value} ").fg(colour).bold());
    }
    let log = |nanos: u64| (nanos.max(1_000) as f64).log10();
    let of = |place: usize| {
        let values = points.iter().filter_map(|point| Some((point.at, log(point.latency?[place]))));
        values.collect::<Vec<_>>()
    };
    let curves = [of(0), of(1), of(2)];
    let values = || curves.iter().flatten().map(|point| point.1);
    // Whole powers of ten, so that the axis does not move with every interval.
    let low = values().fold(f64::INFINITY, f64::min).floor();
    let high = values().fold(f64::NEG_INFINITY, f64::max).ceil();
    let (low, high) = if low.is_finite() { (low, high.max(low + 1.0)) } else { (6.0, 7.0) };
    let steps = (high - low) as u32;
    let labels = (0..=steps).map(|step| Line::from(time(10_f64.powf(low + f64::from(step)))));
    let sets = curves.iter().zip(CURVES).map(|(points, (_, colour))| curve(points, colour)).collect();
    graph(sets, &points, (low, high), labels.collect(), block(Line::from(title))).render(area, buffer);
}

fn curve(points: &[(f64, f64)], colour: Color) -> Dataset<'_> {
    Dataset::default().marker(Marker::Braille).graph_type(GraphType::Line).style(Style::new().fg(colour)).data(points)
}

fn graph<'a>(
    curves: Vec<Dataset<'a>>,
    points: &[&Point],
    bounds: (f64, f64),
    labels: Vec<Line<'a>>,
    block: Block<'a>,
) -> Chart<'a> {
    let (start, end) = (points.first().map_or(0.0, |p| p.at), points.last().map_or(1.0, |p| p.at));
    let quiet = Style::new().fg(Color::DarkGray);
    let seconds = vec![Line::from(format!("{start:.0} s")), Line::from(format!("{end:.0} s"))];
    Chart::new(curves)
        .block(block)
        .legend_position(None)
        .x_axis(Axis::default().style(quiet).bounds([start, end.max(start + 0.1)]).labels(seconds))
        .y_axis(
            Axis::default().style(quiet).bounds([bounds.0, bounds.1]).labels(labels).labels_alignment(Alignment::Right),
        )
}

/// A bar per group of latencies, the shortest first.
fn histogram(model: &Model, area: Rect, buffer: &mut Buffer) {
    let frame = block(Line::from("Latency of all answers".bold()));
    let inner = frame.inner(area);
    frame.render(area, buffer);
    let (edges, counts) = model.bins(usize::from(inner.height));
    let most = counts.iter().copied().max().unwrap_or(1).max(1);
    let room = usize::from(inner.width).saturating_sub(EDGE + 10);
    let rows = counts.iter().zip(edges.iter().skip(1)).map(|(count, edge)| {
        let full = (*count as f64 / most as f64 * room as f64).ceil() as usize;
        Line::from(vec![
            Span::from(format!("{:>EDGE$} ", time(*edge))),
            Span::from("█".repeat(full)).blue(),
            Span::from(format!(" {count}")).dark_gray(),
        ])
    });
    Paragraph::new(rows.collect::<Vec<_>>()).render(inner, buffer);
}

/// Percentiles of the whole run, statuses, errors by kind.
fn outcomes(model: &Model, area: Rect, buffer: &mut Buffer) {
    let frame = block(Line::from("So far".bold()));
    let inner = frame.inner(area);
    frame.render(area, buffer);
    let mut lines = Vec::new();
    let latency = &model.latency;
    if !latency.is_empty() {
        let mut spans = Vec::new();
        for (name, quantile) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)] {
            // A percentile that the number of answers cannot carry is not shown as one.
            let value = latency.value_at_quantile(quantile) as f64;
            let value = if supports(latency.len(), quantile) { time(value) } else { "-".to_owned() };
            spans.push(Span::from(format!("{name} ")).dark_gray());
            spans.push(Span::from(format!("{value}  ")));
        }
        lines.push(Line::from(spans));
        lines.push(Line::from(vec!["max ".dark_gray(), time(latency.max() as f64).into()]));
    }
    let classes = model.classes.iter().enumerate().filter(|(_, count)| **count > 0);
    let classes: Vec<String> = classes.map(|(class, count)| format!("{class}xx {count}")).collect();
    if !classes.is_empty() {
        lines.push(Line::from(classes.join("  ")));
    }
    if model.errors.is_empty() {
        lines.push(Line::from("no errors").dark_gray());
    }
    let mut errors: Vec<_> = model.errors.iter().collect();
    errors.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    lines.extend(errors.into_iter().map(|(kind, count)| Line::from(format!("{count:>8} {kind}")).red()));
    Paragraph::new(lines).render(inner, buffer);
}

/// A number in few characters.
fn figure(value: f64) -> String {
    match value {
        v if v >= 1e5 => format!("{:.0}k", v / 1e3),
        v if v >= 1e4 => format!("{:.1}k", v / 1e3),
        v if v < 9.95 && v.fract() > 0.05 => format!("{v:.1}"),
        v => format!("{v:.0}"),
    }
}

/// Nanoseconds in the unit that reads best, at most seven characters.
fn time(nanos: f64) -> String {
    match nanos {
        n if n >= 9.95e8 => format!("{:.1} s", n / 1e9),
        n if n >= 9.95e7 => format!("{:.0} ms", n / 1e6),
        n if n >= 9.95e5 => format!("{:.1} ms", n / 1e6),
        n => format!("{:.0} µs", n / 1e3),
    }
}
