//! `smarthttpd`: an HTTP server for Python WSGI applications that sizes itself from measured load.
//!
//! One program, three roles: the supervisor starts the template by executing this program again, the template forks the
//! workers. `ARCHITECTURE.md` has the picture.

mod config;
mod connection;
mod ctl;
mod exchange;
mod handoff;
mod link;
mod listener;
mod log;
mod native;
mod scoreboard;
mod supervisor;
mod sys;
mod template;
mod worker;
mod wsgi;

use std::io::Write;
use std::os::fd::AsFd;
use std::process::ExitCode;

use config::{Command, Exit};
use link::Link;

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
        Command::Template => be_template(),
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
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{}", text.trim_end_matches('\n')).and_then(|()| out.flush());
    Exit::Ok
}

/// The link is standard input, which Python must not find there: it gets an empty one.
fn be_template() -> Exit {
    // The supervisor's mask, which an exec inherits, is not for the application's own processes.
    let unmasked = nix::sys::signal::SigSet::empty().thread_set_mask();
    // Executed as /proc/self/exe, it would show as `exe` in process lists. Only a name: no failure matters.
    let _ = nix::sys::prctl::set_name(c"smarthttpd");
    let link = std::io::stdin().as_fd().try_clone_to_owned();
    let nothing = std::fs::File::open("/dev/null");
    match (link, nothing) {
        (Ok(link), Ok(nothing)) if unmasked.is_ok() && nix::unistd::dup2_stdin(&nothing).is_ok() => {
            template::run(Link::new(link))
        }
        _ => {
            eprintln!("smarthttpd: __template is only for smarthttpd itself");
            Exit::Usage
        }
    }
}
