//! A frame of `top`: lays out what the model knows. Fits 80×24; more room shows more past and more workers.

use ratatui::buffer::Buffer;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row, Sparkline, Table, Widget};

use super::model::{Model, Point};
use crate::ctl::protocol::{Decision, Status, Tasks, Worker};
use crate::ctl::text::duration;

/// Cells of a worker's bar.
const BAR: usize = 8;
/// Lines for decisions, the heading included.
const DECISIONS: u16 = 6;

/// Draws everything.
pub(super) fn draw(model: &Model, area: Rect, buffer: &mut Buffer) {
    let status = model.status();
    let lines = header(status, model);
    let [head, graphs, workers, decisions, foot] = Layout::vertical([
        Constraint::Length(lines.len() as u16),
        Constraint::Length(6),
        Constraint::Min(4),
        Constraint::Length(DECISIONS),
        Constraint::Length(1),
    ])
    .areas(area);
    Paragraph::new(lines).render(head, buffer);
    let [left, right] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).spacing(1).areas(graphs);
    rates(model, left, buffer);
    latencies(model, right, buffer);
    table(model, workers, buffer);
    reasons(&status.decisions, decisions, buffer);
    let keys = Line::from("q quits");
    let trouble = model.trouble().map(|why| Line::from(why.to_owned()).style(Style::new().fg(Color::Red).bold()));
    Paragraph::new(trouble.unwrap_or_else(|| keys.dark_gray())).render(foot, buffer);
}

fn header(status: &Status, model: &Model) -> Vec<Line<'static>> {
    let phase = match model.trouble() {
        Some(_) => Span::from("gone").style(Style::new().fg(Color::Red).bold()),
        None => Span::from(status.phase.clone()).green(),
    };
    let places: Vec<&str> =
        status.listening.iter().map(|place| place.strip_prefix("http://").unwrap_or(place)).collect();
    let totals = status.totals;
    let sum = |of: fn(&Worker) -> u32| status.workers.iter().map(of).sum::<u32>();
    let served = &status.served;
    let failed = served.answered.server_error + served.answered.cut;
    let counts = vec![
        format!("Workers {}", totals.total).bold(),
        Span::from(format!(
            "  {} busy  {} idle  {} leaving  {} starting   Died {}  Killed {}",
            totals.busy,
            totals.idle,
            totals.kill_pending,
            totals.starting,
            status.counters.died,
            status.counters.killed
        )),
    ];
    let mut lines = vec![
        Line::from(vec![
            format!("smarthttpd {}", status.version).bold(),
            Span::from(format!("  pid {}  {}  ", status.pid, status.mpm)),
            phase,
            Span::from(format!("  up {}  {}", duration(status.uptime_seconds), places.join(", "))),
        ]),
        Line::from(counts),
        Line::from(vec![
            format!("Calls {}", sum(|worker| worker.in_flight)).bold(),
            Span::from(format!(
                "  of {} threads  queued {}  backlog {}   Answered {}  failed {failed}",
                sum(|worker| worker.threads),
                sum(|worker| worker.queued),
                status.backlog,
                served.answered.total()
            )),
        ]),
    ];
    if status.tasks.were_there() {
        let Tasks { queued, running, done, failed, dropped, refused } = status.tasks;
        lines.push(Line::from(vec![
            format!("Tasks {running}").bold(),
            Span::from(format!(
                "  queued {queued}   Done {done}  failed {failed}  dropped {dropped}  refused {refused}"
            )),
        ]));
    }
    lines
}

fn rates(model: &Model, area: Rect, buffer: &mut Buffer) {
    let points = model.points();
    let latest = points.back();
    let mut title = vec!["Requests/s ".into(), shown(latest.map(|point| figure(point.rate))).bold()];
    if let Some(point) = latest.filter(|point| point.failures > 0.0) {
        title.push(format!("  failed {}/s", figure(point.failures)).red());
    }
    graph(Line::from(title), points.iter().map(|point| point.rate), figure, Color::Blue, area, buffer);
}

fn latencies(model: &Model, area: Rect, buffer: &mut Buffer) {
    let points = model.points();
    let latest = |of: fn(&Point) -> Option<f64>| shown(points.back().and_then(of).map(seconds));
    let title =
        vec!["p99 ".into(), latest(|point| point.p99).bold(), "  median ".into(), latest(|point| point.p50).bold()];
    let values = points.iter().map(|point| point.p99.unwrap_or(0.0));
    graph(Line::from(title), values, seconds, Color::Yellow, area, buffer);
}

/// The latest at the right, as many as fit; its scale is the largest of these.
fn graph(
    title: Line<'_>,
    values: impl DoubleEndedIterator<Item = f64>,
    name: fn(f64) -> String,
    colour: Color,
    area: Rect,
    buffer: &mut Buffer,
) {
    let mut latest: Vec<f64> = values.rev().take(usize::from(area.width)).collect();
    latest.reverse();
    let most = latest.iter().copied().fold(0.0, f64::max);
    let scale = Line::from(format!("max {}", name(most))).alignment(Alignment::Right).dark_gray();
    let block =
        Block::new().borders(Borders::TOP).title(title).title(scale).border_style(Style::new().fg(Color::DarkGray));
    let inner = block.inner(area);
    block.render(area, buffer);
    // In thousandths of the largest: bars have eight steps per line.
    let heights = latest.iter().map(|value| if most > 0.0 { (value / most * 1e3) as u64 } else { 0 });
    let width = u16::try_from(latest.len()).unwrap_or(inner.width).min(inner.width);
    let right = Rect { x: inner.right() - width, width, ..inner };
    Sparkline::default().data(heights).max(1_000).style(Style::new().fg(colour)).render(right, buffer);
}

fn table(model: &Model, area: Rect, buffer: &mut Buffer) {
    let headings = ["SLOT", "PID", "STATE", "LOAD", "CALLS", "QUEUE", "THRDS", "CONNS", "REQ/S", "MEAN", "RSS", "AGE"];
    let widths = [4, 7, 8, BAR as u16, 5, 5, 5, 5, 5, 7, 5, 4].map(Constraint::Length);
    let right = |text: String| Cell::from(Line::from(text).alignment(Alignment::Right));
    let workers = &model.status().workers;
    // The heading takes a line, and so does what does not fit.
    let room = usize::from(area.height.saturating_sub(1));
    let shown_workers = if workers.len() > room { room.saturating_sub(1) } else { workers.len() };
    let rows = workers.iter().take(shown_workers).map(|worker| {
        let (state, colour) = state(worker);
        Row::new([
            right(worker.slot.to_string()),
            right(worker.pid.to_string()),
            Cell::from(Span::from(state).style(Style::new().fg(colour))),
            Cell::from(Span::from(bar(worker)).style(Style::new().fg(Color::Blue))),
            right(worker.in_flight.to_string()),
            right(worker.queued.to_string()),
            right(worker.threads.to_string()),
            right(worker.connections.to_string()),
            right(shown(model.rate(worker).map(figure)).content.into_owned()),
            right(shown(worker.mean_ms.map(|mean| seconds(mean / 1e3))).content.into_owned()),
            right(shown(worker.rss_bytes.map(|bytes| format!("{}M", bytes >> 20))).content.into_owned()),
            right(brief(worker.age_seconds)),
        ])
    });
    let left = workers.len() - shown_workers;
    let more =
        (left > 0).then(|| Row::new([Cell::from(""), Cell::from(""), Cell::from(format!("+{left} more")).dark_gray()]));
    let heading = Row::new(headings.iter().map(|heading| {
        let is_text = matches!(*heading, "STATE" | "LOAD");
        Line::from(*heading).alignment(if is_text { Alignment::Left } else { Alignment::Right })
    }));
    let heading = heading.style(Style::new().add_modifier(Modifier::BOLD));
    let table = Table::new(rows.chain(more), widths).header(heading).column_spacing(1);
    Widget::render(table, area, buffer);
}

fn state(worker: &Worker) -> (&'static str, Color) {
    match &*worker.phase {
        "ready" if worker.busy => ("busy", Color::Green),
        "ready" => ("idle", Color::DarkGray),
        "draining" => ("leaving", Color::Yellow),
        _ => ("starting", Color::Cyan),
    }
}

/// How many of a worker's threads have a call.
fn bar(worker: &Worker) -> String {
    let threads = worker.threads.max(worker.in_flight).max(1) as usize;
    let full = (worker.in_flight as usize * BAR).div_ceil(threads);
    "█".repeat(full) + &"░".repeat(BAR - full)
}

/// The latest decisions, the newest first, each in one line as far as it fits.
fn reasons(decisions: &[Decision], area: Rect, buffer: &mut Buffer) {
    let block = Block::new().borders(Borders::TOP).title("Decisions").border_style(Style::new().fg(Color::DarkGray));
    let lines: Vec<Line<'_>> = decisions
        .iter()
        .rev()
        .map(|decision| {
            let what = if decision.actions.is_empty() { "-".to_owned() } else { decision.actions.join(", ") };
            let colour = match decision.actions.first() {
                Some(action) if action.starts_with("spawn") => Color::Green,
                Some(_) => Color::Yellow,
                None => Color::Red,
            };
            Line::from(vec![
                Span::from(format!("{:>6} ago  ", brief(decision.seconds_ago))).dark_gray(),
                Span::from(format!("{what:<13}  ")).style(Style::new().fg(colour)),
                Span::from(decision.reason.clone()),
            ])
        })
        .collect();
    let lines = if lines.is_empty() { vec![Line::from("none yet").dark_gray()] } else { lines };
    Paragraph::new(lines).block(block).render(area, buffer);
}

/// A dash for what is not there.
fn shown(text: Option<String>) -> Span<'static> {
    Span::from(text.unwrap_or_else(|| "-".to_owned()))
}

/// At most five characters.
fn figure(value: f64) -> String {
    match value {
        v if v >= 1e5 => format!("{:.0}k", v / 1e3),
        v if v >= 1e4 => format!("{:.1}k", v / 1e3),
        v if v < 9.95 && v.fract() > 0.05 => format!("{v:.1}"),
        v => format!("{v:.0}"),
    }
}

/// A time in the unit that reads best.
fn seconds(value: f64) -> String {
    match value {
        s if s >= 1.0 => format!("{s:.1} s"),
        s if s >= 0.1 => format!("{:.0} ms", s * 1e3),
        s if s >= 1e-3 => format!("{:.1} ms", s * 1e3),
        s => format!("{:.0} µs", s * 1e6),
    }
}

/// A length of time in one unit: `7s`, `12m`, `5h`, `9d`.
fn brief(seconds: f64) -> String {
    // `as` saturates.
    match seconds.max(0.0) as u64 {
        s @ ..100 => format!("{s}s"),
        s @ 100..6_000 => format!("{}m", s / 60),
        s @ 6_000..172_800 => format!("{}h", s / 3_600),
        s => format!("{}d", s / 86_400),
    }
}
