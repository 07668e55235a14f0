//! Storms: everything bad at once, under load. After one, every answer was whole or visibly cut, only what was inside
//! ended processes is lost, the counters are exact, and nothing has leaked.
//!
//! A storm is a seed: [`storm`] makes the plan, [`blows`] strike, [`witnesses`] ask and know every right answer,
//! [`ledger`] keeps the books, the application keeps a [`journal`] of its own, [`audit`] compares. How long, and which
//! one, see CONTRIBUTING.md.

mod audit;
mod belongings;
mod blows;
mod field;
mod journal;
mod ledger;
mod question;
mod recycled;
mod storm;
mod tasks;
mod totals;
mod watch;
mod witnesses;

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use self::audit::{Baseline, Folders};
use self::field::Field;
use self::journal::Journal;
use self::storm::Strike;
use self::totals::Totals;
use self::watch::Seen;
use self::witnesses::Habit;
use crate::support::{Launch, Server, wait};

/// All storms of one run together, without a word from outside.
const SPAN: Duration = Duration::from_secs(20);
/// The seed, without a word from outside.
const SEED: u64 = 4;
/// What a recovery may take besides the policy's own time: a new template with its import, pauses after failures, on a
/// machine with other work. With nothing else on it, it is half a second.
const SLACK: Duration = Duration::from_secs(5);

/// Workers are worn quickly, and uploads don't fit into memory. Whoever keeps what it is asked to keep has too much. Nothing
/// takes as long as a request may, but what never returns.
const OPTIONS: &str = "--max-requests 300 --max-requests-jitter 200 --max-worker-rss 128m --request-timeout 5s \
                       --body-memory 64k --keep-alive-timeout 60s";

/// One storm at a time: they are load enough.
static ALONE: Mutex<()> = Mutex::new(());

/// How a server ends.
#[derive(Debug, Clone, Copy)]
enum Leave {
    Signal,
    Command,
    /// The supervisor is killed, and the lifeline with it.
    Lifeline,
}

/// A kind of server.
struct Shape {
    options: &'static str,
    /// Workers that must always be there, or come back.
    floor: u32,
    /// How long the policy alone takes for that, when none is left.
    takes: Duration,
    /// Of the whole span.
    quarters: u32,
    leave: Leave,
}

#[test]
fn adaptive_outlasts_a_storm() {
    let options = "--mpm adaptive --min-workers 2 --max-workers 6 --max-threads 8";
    outlasts_a_storm(&Shape { options, floor: 2, takes: Duration::ZERO, quarters: 2, leave: Leave::Signal });
}

#[test]
fn prefork_outlasts_a_storm() {
    let options =
        "--mpm prefork --start-servers 12 --min-spare-servers 4 --max-spare-servers 12 --max-request-workers 48";
    // Apache starts children in passes, one a second, and twice as many in each as in the one before; but in the ten passes
    // after a graceful restart, which is our reload, one each (perform_idle_server_maintenance in prefork.c,
    // hold_off_on_exponential_spawning).
    let takes = Duration::from_secs(4);
    outlasts_a_storm(&Shape { options, floor: 4, takes, quarters: 1, leave: Leave::Lifeline });
}

#[test]
fn static_outlasts_a_storm() {
    let options = "--mpm static --workers 3 --threads 4";
    outlasts_a_storm(&Shape { options, floor: 3, takes: Duration::ZERO, quarters: 1, leave: Leave::Command });
}

fn outlasts_a_storm(shape: &Shape) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (seed, span) = (seed(), span() * shape.quarters / 4);
    let launch = Launch::new("storm:app").args(OPTIONS).args(shape.options);
    let log = launch.folder().join(blows::ACCESS_LOG);
    let launch = launch.arg("--access-log=common").arg("--access-log-file").arg(&log);
    let folders = Folders { journal: launch.folder().join("journal"), spool: launch.folder().join("spool") };
    for folder in [&folders.journal, &folders.spool] {
        std::fs::create_dir(folder).expect("a folder can be made");
    }
    let mut server = launch.env("CHAOS_JOURNAL", &folders.journal).env("TMPDIR", &folders.spool).start();
    let mut report = Report { seed, shape: shape.options, fallen: Vec::new() };
    println!("storm {seed} over {} for {span:?}", shape.options);

    let (mut seen, totals) = {
        let field = Field::new(&server);
        let baseline = Baseline::take(&field, &folders, shape.floor);
        let seen = rage(&field, shape, storm::plan(seed, span), span, &mut report);
        let status = audit::rests(&field, &baseline, &folders, shape.floor);
        let journal = Journal::read(&folders.journal);
        let status = recycled::grown_workers_are_gone(&field, &journal, status);
        audit::counters_are_exact(&status, &journal);
        let verdict = audit::losses_are_explained(&field, &journal, &status);
        let tasks = tasks::are_accounted_for(&journal, &status, &verdict);
        recycled::timed_out_calls_are_counted(&journal, &status, &verdict);
        let most = shape.takes + SLACK;
        assert!(seen.worst_recovery <= most, "workers were back after {:?} only, of {most:?}", seen.worst_recovery);
        let totals = Totals {
            fates: field.ledger().fates(),
            verdict,
            tasks,
            recycled: recycled::Recycled::read(&server.log()),
            counters: status.counters,
            orders: field.ledger().orders(),
            worst_recovery: seen.worst_recovery,
        };
        (seen, totals)
    };
    seen.note(server.processes());
    leave(&mut server, shape.leave);
    audit::all_is_gone(&seen, &folders);
    println!("{}", totals.table(&report.fallen));
}

/// Witnesses, watch and blows, until `span` is over.
fn rage(field: &Field<'_>, shape: &Shape, plan: Vec<Strike>, span: Duration, report: &mut Report) -> Seen {
    thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let _end = field.ledger().fails_with_us();
            watch::watch(field, shape.floor)
        });
        for (index, habit) in Habit::COMPANY.into_iter().enumerate() {
            let seed = report.seed.wrapping_mul(1000).wrapping_add(index as u64);
            scope.spawn(move || {
                let _end = field.ledger().fails_with_us();
                witnesses::live(field, habit, seed);
            });
        }
        {
            let _end = field.ledger().ends_it();
            let began = Instant::now();
            for strike in plan {
                wait::moment(began + strike.at);
                if field.ledger().is_over() {
                    break;
                }
                report.fallen.push(strike);
                strike.blow.strike(field, scope);
            }
            wait::moment(began + span);
        }
        watch.join().expect("the server can be watched to the end")
    })
}

fn leave(server: &mut Server, how: Leave) {
    match how {
        Leave::Signal => server.signal(Signal::SIGTERM),
        Leave::Command => assert!(server.ctl(&["stop"]).status.success()),
        Leave::Lifeline => {
            server.kill_supervisor();
            server.await_end_of_all();
            return;
        }
    }
    assert_eq!(server.await_exit().code(), Some(0));
    assert!(!server.control().exists(), "the control socket is left behind");
}

/// Of all storms of this run together: `SMARTHTTPD_CHAOS`, e.g. `90s` or `30m`.
fn span() -> Duration {
    let Ok(text) = std::env::var("SMARTHTTPD_CHAOS") else { return SPAN };
    let (number, unit) = text.split_at(text.len() - text.len().min(1));
    let seconds = match (number.parse::<u64>(), unit) {
        (Ok(number), "s") => number,
        (Ok(number), "m") => 60 * number,
        _ => panic!("SMARTHTTPD_CHAOS={text}: give seconds or minutes, e.g. 90s or 30m"),
    };
    Duration::from_secs(seconds)
}

/// `SMARTHTTPD_CHAOS_SEED`.
fn seed() -> u64 {
    let Ok(text) = std::env::var("SMARTHTTPD_CHAOS_SEED") else { return SEED };
    text.parse().unwrap_or_else(|error| panic!("SMARTHTTPD_CHAOS_SEED={text}: {error}; give a number"))
}

/// Says how to have a storm that has failed again.
struct Report {
    seed: u64,
    shape: &'static str,
    fallen: Vec<Strike>,
}

impl Drop for Report {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("storm {} over {} has failed; the last blows were", self.seed, self.shape);
            for Strike { at, blow } in self.fallen.iter().rev().take(15).rev() {
                eprintln!("{at:>8.2?} {blow:?}");
            }
        }
    }
}
