//! What falls on the server, and how it is struck.

use std::thread::Scope;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::field::Field;
use super::ledger::{Cause, Death, now};
use super::question::{Kind, LONGEST, Question};
use super::witnesses::Connection;
use crate::support::{Client, processes, wait};

/// The access log's name in the server's folder.
pub(super) const ACCESS_LOG: &str = "access.log";

/// One blow. `pick`: which worker, of as many as there are when it falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blow {
    /// As the kernel does when memory runs out.
    KillWorker { pick: u64 },
    /// Nobody is left to serve for a moment.
    KillAllWorkers,
    /// Nobody is left to fork for a moment.
    KillTemplate,
    /// The template is killed when it has just been asked for a worker.
    KillTemplateForking { pick: u64 },
    /// A worker does not run for a while, as when the machine is crowded.
    StopWorker { pick: u64, milliseconds: u64 },
    /// The application is asked for something special.
    Ask(Kind),
    /// So many connections at once: every second one asks, the others leave without a word.
    Connections { count: u64 },
    /// So many clients leave in the middle of large answers.
    Leave { count: u64 },
    /// `ctl scale`; where the number is fixed, `least` is the number.
    Scale { least: u64, most: u64 },
    /// `ctl reload`.
    Reload,
    /// The access log is moved away, then `ctl reopen-logs`.
    Rotate,
}

impl Blow {
    /// As in a table.
    pub(super) fn name(self) -> &'static str {
        match self {
            Blow::KillWorker { .. } => "a worker killed",
            Blow::KillAllWorkers => "all workers killed",
            Blow::KillTemplate => "the template killed",
            Blow::KillTemplateForking { .. } => "a worker, then the template killed",
            Blow::StopWorker { .. } => "a worker stopped for a while",
            Blow::Ask(kind) => kind.name(),
            Blow::Connections { .. } => "many connections at once",
            Blow::Leave { .. } => "clients leave",
            Blow::Scale { .. } => "ctl scale",
            Blow::Reload => "ctl reload",
            Blow::Rotate => "ctl reopen-logs",
        }
    }

    /// It ends processes.
    pub(super) fn is_deadly(self) -> bool {
        match self {
            Blow::KillWorker { .. } | Blow::KillAllWorkers | Blow::KillTemplate | Blow::KillTemplateForking { .. } => {
                true
            }
            Blow::Ask(kind) => kind.is_deadly(),
            Blow::StopWorker { .. }
            | Blow::Connections { .. }
            | Blow::Leave { .. }
            | Blow::Scale { .. }
            | Blow::Reload
            | Blow::Rotate => false,
        }
    }

    /// Strikes. What takes its time goes on in threads of `scope`.
    pub(super) fn strike<'scope>(self, field: &'scope Field<'scope>, scope: &'scope Scope<'scope, '_>) {
        match self {
            Blow::KillWorker { pick } => kill(field, chosen(&field.workers(), pick), Cause::Worker),
            Blow::KillAllWorkers => kill(field, field.workers(), Cause::Worker),
            Blow::KillTemplate => kill(field, field.template(), Cause::Template),
            Blow::KillTemplateForking { pick } => {
                let template = field.template();
                kill(field, chosen(&field.workers(), pick), Cause::Worker);
                kill(field, template, Cause::Template);
            }
            Blow::StopWorker { pick, milliseconds } => {
                let Some(pid) = chosen(&field.workers(), pick) else { return };
                processes::send(pid, Signal::SIGSTOP);
                let goes_on = Instant::now() + Duration::from_millis(milliseconds);
                scope.spawn(move || {
                    wait::moment(goes_on);
                    processes::send(pid, Signal::SIGCONT);
                });
            }
            Blow::Ask(kind) => {
                scope.spawn(move || {
                    let _end = field.ledger().fails_with_us();
                    Connection::open(field).ask(&[field.ledger().ask(kind, 50_000)], false);
                });
            }
            Blow::Connections { count } => {
                scope.spawn(move || {
                    let _end = field.ledger().fails_with_us();
                    connections(field, count);
                });
            }
            Blow::Scale { least, most } => {
                let most = if field.status().mpm == "static" { least } else { most };
                field.command(&format!("{{\"command\":\"scale\",\"min\":{least},\"max\":{most}}}"));
            }
            Blow::Reload => {
                scope.spawn(move || {
                    let _end = field.ledger().fails_with_us();
                    field.command("{\"command\":\"reload\",\"timeout_seconds\":20}");
                });
            }
            Blow::Rotate => {
                let log = field.server().folder().join(ACCESS_LOG);
                // With no request since the last time there may be none.
                let _ = std::fs::rename(&log, log.with_extension("old"));
                scope.spawn(move || {
                    let _end = field.ledger().fails_with_us();
                    field.command("{\"command\":\"reopen-logs\"}");
                });
            }
            Blow::Leave { count } => {
                scope.spawn(move || {
                    let _end = field.ledger().fails_with_us();
                    for index in 0..count {
                        let kind = if index % 2 == 0 { Kind::Whole } else { Kind::Chunked };
                        Connection::open(field).leave(&field.ledger().ask(kind, LONGEST), index % 3 == 0);
                    }
                });
            }
        }
    }
}

fn chosen(pids: &[i32], pick: u64) -> Option<i32> {
    (!pids.is_empty()).then(|| pids[(pick % pids.len() as u64) as usize])
}

/// Kills these processes and waits until they are gone.
fn kill(field: &Field<'_>, pids: impl IntoIterator<Item = i32>, cause: Cause) {
    let pids: Vec<i32> = pids.into_iter().collect();
    let (before, earliest) = (field.ledger().count(), now());
    pids.iter().for_each(|pid| processes::send(*pid, Signal::SIGKILL));
    for pid in pids {
        wait::until_true("the end of a killed process", || processes::has_ended(pid));
        let connections = field.ledger().open_since(before);
        field.ledger().bury(Death { pid, cause, earliest, latest: now(), connections });
    }
}

fn connections<'a>(field: &'a Field<'a>, count: u64) {
    let mut asking: Vec<(Connection<'a>, Question, Duration)> = Vec::new();
    let mut silent: Vec<Client> = Vec::new();
    for index in 0..count {
        if index % 2 == 0 {
            let mut connection = Connection::open(field);
            let question = field.ledger().ask(Kind::Whole, index as usize);
            let sent_at = now();
            if connection.send(&[question], false) {
                asking.push((connection, question, sent_at));
            }
        } else {
            silent.push(Client::connect(field.server().address()).expect("no connection is refused"));
        }
    }
    drop(silent);
    for (mut connection, question, sent_at) in asking {
        connection.hear(&[question], sent_at);
    }
}
