//! Frames of fixed size, as they look.

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::ctl::protocol::{Answered, Latency, Served, Tasks};
use crate::ctl::tests::sample;

/// The sample server after it has answered `answered` requests in `seconds`, all of them in 50 to 60 ms.
fn at(seconds: f64, answered: u64) -> Status {
    let mut status = sample();
    status.uptime_seconds = seconds;
    status.workers[0].requests = answered;
    let buckets = vec![(Some(0.05), 0), (Some(0.06), answered), (None, 0)];
    status.served = Served {
        answered: Answered { success: answered, ..Answered::default() },
        latency: Latency { count: answered, sum_seconds: 0.0, buckets },
        ..Served::default()
    };
    status
}

fn model() -> Model {
    let mut model = Model::new(at(100.0, 0));
    for (second, answered) in [(101.0, 100), (102.0, 300), (103.0, 700)] {
        model.take(Ok(at(second, answered)));
    }
    model
}

#[test]
fn a_terminal_of_the_usual_size_shows_everything() {
    let mut terminal = Terminal::new(TestBackend::new(80, 24)).expect("memory");
    terminal.draw(|shown| view::draw(&model(), shown.area(), shown.buffer_mut())).expect("memory");
    let expected = "\
smarthttpd 0.1.0  pid 71  adaptive  serving  up 1 m 43 s  127.0.0.1:8000, unix:/
Workers 2  1 busy  0 idle  1 leaving  0 starting   Died 1  Killed 0
Calls 3  of 5 threads  queued 1  backlog 0   Answered 700  failed 0
Requests/s 400";
    let text = frame(&model(), PAGE);
    assert!(text.starts_with(expected), "{text}");
    for part in ["Requests/s 400", "max 400", "p99 59.9 ms  median 55.0 ms", "q quits"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let row = text.lines().find(|line| line.contains(" 100 ")).expect("the first worker");
    assert_eq!(
        row.split_whitespace().collect::<Vec<_>>(),
        ["0", "100", "busy", "██████░░", "3", "1", "4", "12", "400", "50.5", "ms", "30M", "3m"]
    );
    let decision = text.lines().find(|line| line.contains("ago")).expect("the decision");
    assert!(decision.contains("2s ago  spawn 1        λ=400/s W=50 ms → 29 slots"), "{decision}");
    assert_eq!(text.lines().count(), 24);
    // The same in colour.
    let cells = terminal.backend().buffer();
    let plain: String = cells.content().iter().map(ratatui::buffer::Cell::symbol).collect();
    assert!(plain.contains("Requests/s 400"));
}

#[test]
fn tasks_are_shown_once_there_were_some() {
    let mut status = at(1.0, 0);
    assert!(!frame(&Model::new(status.clone()), PAGE).contains("Tasks"));
    status.tasks = Tasks { queued: 2, running: 1, done: 1204, failed: 3, dropped: 0, refused: 7 };
    let text = frame(&Model::new(status), PAGE);
    let line = text.lines().nth(3).expect("a fourth line");
    assert_eq!(line, "Tasks 1  queued 2   Done 1204  failed 3  dropped 0  refused 7");
    assert_eq!(text.lines().count(), 24);
}

#[test]
fn many_workers_are_counted_where_they_do_not_fit() {
    let mut status = at(1.0, 0);
    let one = status.workers[0].clone();
    status.workers = (0..30).map(|slot| crate::ctl::protocol::Worker { slot, ..one.clone() }).collect();
    let text = frame(&Model::new(status), PAGE);
    assert!(text.contains("+24 more"), "{text}");
}

#[test]
fn sizes_that_nobody_has_do_no_harm() {
    for (width, height) in [(1, 1), (10, 3), (79, 10), (300, 100)] {
        let text = frame(&model(), Rect::new(0, 0, width, height));
        assert_eq!(text.lines().count(), usize::from(height));
    }
}

#[test]
fn a_server_that_is_gone_or_another_one_is_noticed() {
    let mut model = model();
    model.take(Err("no server answers".to_owned()));
    let text = frame(&model, PAGE);
    assert!(text.contains("  gone  ") && text.contains("no server answers"), "{text}");
    let mut other = at(1.0, 5);
    other.pid = 72;
    model.take(Ok(other));
    assert!(model.points().is_empty() && model.trouble().is_none());
    model.take(Ok(Status { pid: 72, ..at(2.0, 10) }));
    assert_eq!(model.points().back().map(|point| point.rate), Some(5.0));
}
