//! `smarthttpd`: an HTTP server for Python WSGI applications that sizes itself from measured load.
//!
//! One program, three roles: the supervisor starts the template by executing this program again, the template forks the
//! workers. `ARCHITECTURE.md` has the picture.

mod admin;
mod config;
mod connection;
mod ctl;
mod exchange;
mod handoff;
mod link;
mod listener;
mod log;
mod native;
mod proxies;
mod scoreboard;
mod statics;
mod supervisor;
mod sys;
mod template;
mod worker;
mod wsgi;

use std::io::Write;
use std::process::ExitCode;

use config::{Command, Exit};

fn main() -> ExitCode {
    run().into()
}

fn run() -> Exit {
    let command = match config::parse(std::env::args_os()) {
        Ok(command) => command,
        Err(error) => {
            eprintln!("smarthttpd: {error}");
            return error.exit();
        }
    };
    match command {
        Command::Serve(config) => supervisor::run(*config),
        Command::Template => template::be(),
        Command::Ctl(invocation) => match ctl::run(&invocation) {
            Ok(text) => print(&text),
            Err(error) => {
                eprintln!("smarthttpd: {error}");
                error.exit()
            }
        },
        Command::Print(text) => print(&text),
    }
}

/// Prints the answer. A reader that has seen enough (`smarthttpd --help | head`) is no failure.
fn print(text: &str) -> Exit {
    if text.is_empty() {
        return Exit::Ok;
    }
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{}", text.trim_end_matches('\n')).and_then(|()| out.flush());
    Exit::Ok
}
