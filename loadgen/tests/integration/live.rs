//! The live view, in a real terminal.

use std::path::Path;

use crate::server::{OK, Server};
use crate::terminal::Terminal;

const FOOT: &str = "Ctrl-C ends the run";

/// Runs the command between two marks in the window's shell, then shows the terminal's settings.
fn run(words: &str) -> Terminal {
    let binary = Path::new(env!("CARGO_BIN_EXE_loadgen")).display();
    let command = format!("echo before; {binary} {words}; echo \"exit code $?\"; stty -a; exec cat");
    Terminal::start(120, 30, &command)
}

/// The terminal is as it was before.
fn is_clean(terminal: &Terminal) {
    let seen = terminal.wait("the terminal's settings", |seen| seen.contains("cmin") || seen.contains("min ="));
    assert!(terminal.is_plain(), "{seen}");
    assert!(seen.starts_with("before\n") && !seen.contains(FOOT), "nothing of the view is left:\n{seen}");
    let settings = seen.split_once("exit code").unwrap().1;
    let words: Vec<&str> = settings.split_whitespace().map(|word| word.trim_end_matches(';')).collect();
    assert!(words.contains(&"echo") && words.contains(&"icanon") && words.contains(&"isig"), "{seen}");
    assert!(settings.contains("susp = ^Z"), "{seen}");
}

#[test]
fn a_run_in_a_terminal_is_shown_live_and_ctrl_c_leaves_a_summary() {
    let server = Server::answering(OK);
    let url = server.target().to_string();
    let terminal = run(&format!("--target {url} --rate 200 -d 600s --interval 100ms"));
    let seen = terminal.wait("the view", |seen| seen.contains("2xx ") && seen.contains("3 s of 600 s"));
    for part in ["GET http://", "Rate answered", "due 2", "p50 ", "Latency of all answers", "█", "no errors", FOOT] {
        assert!(seen.contains(part), "{part:?} is missing in\n{seen}");
    }
    assert!(!terminal.is_plain());
    // A stopped generator would measure its own absence: the key does nothing.
    terminal.press("C-z");
    terminal.wait("the run going on", |seen| seen.contains("5 s of 600 s"));
    terminal.press("C-c");
    let seen = terminal.wait("its end", |seen| seen.contains("exit code 130"));
    assert!(seen.contains("  interrupted   the figures cover"), "{seen}");
    is_clean(&terminal);
}

#[test]
fn a_run_that_ends_by_itself_leaves_its_summary() {
    let server = Server::answering(OK);
    let url = server.target().to_string();
    let terminal = run(&format!("--target {url} -d 1s --interval 100ms"));
    let seen = terminal.wait("its end", |seen| seen.contains("exit code"));
    assert!(seen.contains("  requests      ") && seen.contains("closed loop, 32 connections"), "{seen}");
    is_clean(&terminal);
}

#[test]
fn without_the_view_a_terminal_has_a_line() {
    let server = Server::answering(OK);
    let url = server.target().to_string();
    let terminal = run(&format!("--target {url} -d 1s --interval 100ms --no-live"));
    let seen = terminal.wait("its end", |seen| seen.contains("exit code"));
    assert!(seen.contains("in flight"), "{seen}");
    is_clean(&terminal);
    let terminal = run(&format!("--target {url} -d 1s --quiet"));
    let seen = terminal.wait("its end", |seen| seen.contains("exit code"));
    assert!(!seen.contains("in flight"), "{seen}");
    is_clean(&terminal);
}

#[test]
fn a_target_that_is_down_is_said_on_the_plain_screen() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let terminal = run(&format!("--target http://{address}/"));
    let seen = terminal.wait("its end", |seen| seen.contains("exit code 4"));
    assert!(seen.contains("is a server listening there?"), "{seen}");
    is_clean(&terminal);
}
