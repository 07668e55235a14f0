//! Frames of fixed size, as they look.

use std::time::Duration;

use loadgen::{Distribution, ErrorKind, Load};
use ratatui::backend::TestBackend;
use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Rect;

use super::*;

fn plan() -> Plan {
    let stages = loadgen::parse_stages("10s@100").unwrap();
    Plan::new("http://127.0.0.1:8000/".parse().unwrap(), Load::constant(stages))
}

/// A second in which 100 requests were due and `answered` answered, in 10 ms and a bit.
fn second(number: u32, answered: u64) -> Interval {
    let mut histogram = Distribution::default().histogram().unwrap();
    for answer in 0..answered {
        histogram.record(10_000_000 + answer * 50_000).unwrap();
    }
    let latency = Distribution::of(&histogram, 0);
    Interval {
        start_s: f64::from(number),
        duration_s: 1.0,
        drain: false,
        offered: 100,
        offered_rate: 100.0,
        started: 100,
        answered,
        answered_rate: answered as f64,
        queued: 3,
        in_flight: 7,
        connections: 12,
        statuses: [(200, answered)].into(),
        errors: [(ErrorKind::Timeout, 100 - answered)].into_iter().filter(|(_, count)| *count > 0).collect(),
        connects: 0,
        reconnects: 0,
        service: latency.clone(),
        first_byte: Distribution::default(),
        send_lag: Distribution::default(),
        latency,
        thread_cpu: vec![0.1],
    }
}

fn model() -> Model {
    let mut model = Model::new(&plan());
    for (number, answered) in [(0, 100), (1, 100), (2, 60), (3, 100)] {
        model.take(&second(number, answered));
    }
    model
}

fn frame(model: &Model, area: Rect) -> String {
    let mut buffer = Buffer::empty(area);
    view::draw(model, area, &mut buffer);
    let rows = buffer.content().chunks(usize::from(area.width).max(1));
    rows.map(|row| row.iter().map(Cell::symbol).collect::<String>().trim_end().to_owned() + "\n").collect()
}

#[test]
fn a_terminal_of_the_usual_size_shows_everything() {
    let text = frame(&model(), Rect::new(0, 0, 80, 24));
    let expected = "\
GET http://127.0.0.1:8000/
4 s of 10 s ████████░░░░░░░░░░░░
400 requests  360 answered  40 errors  in flight 7  queued 3  connections 12
Rate answered 100/s  due 100/s";
    assert!(text.starts_with(expected), "{text}");
    for part in ["p50 12.5 ms", "p99 14.9 ms", "Latency of all answers", "2xx 360", "40 timeout", "Ctrl-C", "█ "] {
        assert!(text.contains(part), "{part:?} is missing in\n{text}");
    }
    // 360 answers carry no p99: it is no figure of the run yet.
    let so_far = text.lines().find(|line| line.contains("p99.9")).unwrap();
    assert!(so_far.contains("p99 -  p99.9 -"), "{so_far}");
    // The same through a terminal.
    let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
    terminal.draw(|shown| view::draw(&model(), shown.area(), shown.buffer_mut())).unwrap();
    let plain: String = terminal.backend().buffer().content().iter().map(Cell::symbol).collect();
    assert!(plain.contains("40 timeout"));
}

#[test]
fn before_the_first_interval_it_says_what_is_going_to_run() {
    let text = frame(&Model::new(&plan()), Rect::new(0, 0, 80, 24));
    assert!(text.starts_with("GET http://127.0.0.1:8000/\nwaiting for the first interval\n"), "{text}");
}

#[test]
fn a_second_without_answers_leaves_a_gap_and_no_zero() {
    let mut model = model();
    model.take(&second(4, 0));
    let text = frame(&model, Rect::new(0, 0, 80, 24));
    assert!(text.contains("p50 -"), "{text}");
}

#[test]
fn sizes_that_nobody_has_do_no_harm() {
    for (width, height) in [(0, 0), (1, 1), (10, 3), (79, 10), (300, 100)] {
        let text = frame(&model(), Rect::new(0, 0, width, height));
        assert_eq!(text.lines().count(), usize::from(height));
    }
}

#[test]
fn bins_hold_every_answer() {
    let (edges, counts) = model().bins(6);
    assert_eq!((edges.len(), counts.len()), (7, 6));
    assert_eq!(counts.iter().sum::<u64>(), 360);
    // One value alone.
    let mut model = Model::new(&Plan { timeout: Duration::from_secs(1), ..plan() });
    model.take(&second(0, 1));
    assert_eq!(model.bins(3).1.iter().sum::<u64>(), 1);
}

#[path = "../../../../tests/integration/terminal.rs"]
mod terminal;

/// Tells this test's own process, started again in a terminal, to panic in there.
const PANIC: &str = "LOADGEN_TEST_PANIC";

#[test]
fn a_panic_gives_the_terminal_back_before_it_is_reported() {
    const NAME: &str = "live::tests::a_panic_gives_the_terminal_back_before_it_is_reported";
    if std::env::var_os(PANIC).is_some() {
        let mut live = Live::start(&plan()).unwrap();
        live.show(&second(0, 100));
        let _ = std::thread::spawn(|| panic!("the reason of it")).join();
        // The thread that draws learns of it later.
        live.drawn -= PERIOD;
        live.show(&second(1, 100));
        return;
    }
    let binary = std::env::current_exe().unwrap();
    let words = format!("{PANIC}=1 {} --exact {NAME} --nocapture", binary.display());
    let command = format!("echo before; {words}; echo \"exit code $?\"; stty -a; exec cat");
    let window = terminal::Terminal::start(100, 30, &command);
    let seen = window.wait("the end", |seen| seen.contains("min ="));
    assert!(window.is_plain(), "{seen}");
    assert!(seen.contains("the reason of it"), "{seen}");
    assert!(!seen.contains("Ctrl-C ends the run"), "no frame was drawn on the plain screen:\n{seen}");
    assert!(seen.contains(" echo ") && seen.contains(" icanon "), "{seen}");
    // A key that was pressed arrives again.
    window.press("x");
    window.wait("an echo", |seen| seen.trim_end().ends_with('x'));
}
