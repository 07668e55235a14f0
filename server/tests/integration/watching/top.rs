//! `smarthttpd ctl top`.

use crate::support::{Launch, Load};

#[test]
fn one_frame_goes_anywhere() {
    let server = Launch::new("plain:app").fixed(2, 2).start();
    let output = Load::run(&server, 4, "/sleep?ms=10", |load| {
        load.await_answers(20);
        server.ctl(&["top", "--once"])
    });
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(text.starts_with("smarthttpd 0.1.0  pid "), "{text}");
    for part in ["  static  serving  up ", "Workers 2  ", "Requests/s ", "p99 ", "SLOT", "busy", "Decisions"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let (_, rest) = text.split_once("Requests/s ").expect("a rate");
    let rate: String = rest.chars().take_while(|character| character.is_ascii_digit() || *character == '.').collect();
    assert!(rate.parse::<f64>().is_ok_and(|rate| rate > 1.0), "{text}");
}

#[test]
fn without_a_terminal_it_says_what_to_do() {
    let server = Launch::new("plain:app").fixed(1, 1).start();
    let output = server.ctl(&["top"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(said.starts_with("smarthttpd: top needs a terminal: ") && said.contains("--once"), "{said}");
    let output = server.ctl(&["status", "--once"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}
