//! What must hold after a storm.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::belongings::{self, Belongings, await_same, without};
use super::field::Field;
use super::journal::Journal;
use super::ledger::{Cause, Deadly, Death, Fate, Loss, is_explained, now};
use super::watch::Seen;
use crate::support::{Status, processes, wait};

/// Folders of a server that only the storm uses.
#[derive(Debug)]
pub(super) struct Folders {
    /// Where the application writes down what it does.
    pub(super) journal: PathBuf,
    /// Where the server puts what does not fit into memory.
    pub(super) spool: PathBuf,
}

/// What the processes had before the storm.
#[derive(Debug)]
pub(super) struct Baseline {
    supervisor: Belongings,
    template: Belongings,
    worker: Belongings,
}

impl Baseline {
    /// As they are now, once a worker has served.
    pub(super) fn take(field: &Field<'_>, folders: &Folders, floor: u32) -> Baseline {
        let (status, template) = await_rest(field, floor);
        let pid = status.pids()[0];
        // Everything that a worker opens at its start is open when it serves, and nothing else yet.
        Baseline {
            supervisor: of_supervisor(field, &status, folders),
            template: of_template(field, template, folders),
            worker: of_worker(&status, pid, folders),
        }
    }
}

/// Waits until nothing is under way and everybody has come who is to come.
fn await_rest(field: &Field<'_>, floor: u32) -> (Status, i32) {
    let mut last = None;
    let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wait::until("rest", || {
            let status = field.status();
            let idle = status.totals.busy == 0
                && status.workers.iter().all(|worker| worker.in_flight + worker.queued + worker.connections == 0);
            let settled = status.settled(status.totals.total) && status.totals.total >= floor;
            let template = field.template();
            let rests = idle && settled && status.workers.iter().all(|worker| worker.pid > 0);
            last = Some(status);
            if rests { Some((last.take()?, template?)) } else { None }
        })
    }));
    found.unwrap_or_else(|_| panic!("the server does not come to rest; last {last:#?}"))
}

/// It has a pidfd and a wake-up of each worker.
fn of_supervisor(field: &Field<'_>, status: &Status, folders: &Folders) -> Belongings {
    let all = belongings::of(field.server().pid(), &folders.journal);
    without(without(all, "pidfd", status.workers.len()), "eventfd", status.workers.len())
}

/// It has a pidfd of each worker that it has forked.
fn of_template(field: &Field<'_>, template: i32, folders: &Folders) -> Belongings {
    let workers = field.server().children_of(template).len();
    without(belongings::of(template, &folders.journal), "pidfd", workers)
}

/// Its pool may have grown, and shrinks when it likes.
fn of_worker(status: &Status, pid: i32, folders: &Folders) -> Belongings {
    let threads = status.workers.iter().find(|worker| worker.pid == pid).map_or(0, |worker| worker.threads);
    without(belongings::of(pid, &folders.journal), "threads", threads as usize)
}

/// The server rests as it did before the storm. Returns its last status.
pub(super) fn rests(field: &Field<'_>, baseline: &Baseline, folders: &Folders, floor: u32) -> Status {
    let server = field.server();
    await_rest(field, floor);
    await_same("the supervisor", &baseline.supervisor, || of_supervisor(field, &field.status(), folders));
    await_same("the template", &baseline.template, || {
        field.template().map_or_else(Belongings::new, |template| of_template(field, template, folders))
    });
    for pid in field.workers() {
        await_same("a worker", &baseline.worker, || {
            let status = field.status();
            // It may have retired meanwhile.
            if status.pids().contains(&pid) { of_worker(&status, pid, folders) } else { baseline.worker.clone() }
        });
    }
    wait::until_true("no other processes than these", || {
        let mut known: BTreeSet<i32> = field.workers().into_iter().collect();
        known.insert(server.pid());
        known.extend(field.template());
        server.processes().into_iter().collect::<BTreeSet<_>>() == known
    });
    wait::until_true("no zombie", || {
        processes::zombies(server.pid()).is_empty()
            && field.template().is_none_or(|template| processes::zombies(template).is_empty())
    });
    let (status, _) = await_rest(field, floor);
    let counters = status.counters;
    assert_eq!(counters.spawned, counters.retired + counters.died + u64::from(status.totals.total), "{status:#?}");
    status
}

/// Every living worker has counted exactly the calls that the application has seen in it.
pub(super) fn counters_are_exact(status: &Status, journal: &Journal) {
    for worker in &status.workers {
        let not_before = now().saturating_sub(Duration::from_secs_f64(worker.age_seconds + 1.0));
        assert_eq!(worker.requests, journal.calls(worker.pid, not_before), "{worker:?}");
    }
}

/// What the books say of losses.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) deaths: Vec<Death>,
    pub(super) losses: Vec<Loss>,
    /// Of these, those whose request had reached the application.
    pub(super) inside: usize,
    /// The most connections that so many deaths can have taken along.
    pub(super) bound: usize,
    /// Workers that the server has killed, because their template died before it could report them.
    pub(super) strays: Vec<i32>,
}

/// Every loss has a death that explains it, and every death is ours.
pub(super) fn losses_are_explained(field: &Field<'_>, journal: &Journal, status: &Status) -> Verdict {
    let (ledger, log) = (field.ledger(), field.server().log());
    let mut deaths = ledger.deaths();
    for Deadly { number, ended, connections } in ledger.deadly() {
        if let (Some(earliest), Some(pid)) = (journal.deadly.get(&number), journal.inside.get(&number)) {
            let (cause, earliest, latest) = (Cause::Application, *earliest, ended);
            deaths.push(Death { pid: *pid, cause, earliest, latest, connections });
        }
    }
    let strays = log.lines().filter(|line| line.contains("could not report any more was killed"));
    let strays: Vec<Death> = strays.map(|line| killed_by_the_server(line, &deaths)).collect();
    deaths.extend(&strays);
    let losses = ledger.losses();
    let mut called = 0;
    for loss in &losses {
        let within = || loss.numbers.iter().find_map(|number| journal.inside.get(number).copied());
        let inside = loss.pid.or_else(within);
        called += usize::from(inside.is_some());
        assert!(is_explained(loss, inside, &deaths), "nothing explains {loss:?}, which was inside {inside:?}");
    }
    let bound: usize = deaths.iter().map(|death| death.connections).sum();
    assert!(losses.len() <= bound, "{} connections lost in {} deaths", losses.len(), deaths.len());

    for (number, fate) in ledger.fates().into_iter().enumerate() {
        assert!(fate != Fate::Asked, "number {number} was forgotten");
        let called = journal.inside.contains_key(&(number as u64));
        assert!(called || fate != Fate::Whole, "number {number} was answered, but not by the application");
        assert!(!called || fate != Fate::Returned, "number {number} was returned, but was called");
    }

    // Who was to leave already when it was killed counts as retired.
    let ours: BTreeSet<i32> = deaths.iter().map(|death| death.pid).collect();
    let by_us = |death: &&Death| matches!(death.cause, Cause::Worker | Cause::Application);
    let victims = deaths.iter().filter(by_us).count() as u64;
    let died: Vec<&str> = log.lines().filter(|line| line.contains(" worker ") && line.contains(" died: ")).collect();
    for line in &died {
        assert!(ours.contains(&pid_in(line)), "nobody has touched it: {line}");
    }
    let counters = status.counters;
    assert_eq!(counters.died, died.len() as u64, "{counters:?}");
    assert!(counters.died <= victims, "{counters:?}, {victims} by our own hand");
    assert!(victims <= counters.died + counters.retired, "{counters:?}, {victims} by our own hand");
    assert_eq!(counters.killed, 0, "somebody did not leave in time: {counters:?}");
    Verdict { deaths, losses, inside: called, bound, strays: strays.iter().map(|stray| stray.pid).collect() }
}

/// The death that this line of the log tells: before it was written, after the death of the template that it belonged to,
/// and with connections that were open at that time.
fn killed_by_the_server(line: &str, deaths: &[Death]) -> Death {
    // It is written to the millisecond, and by a clock that is not ours.
    const ROUNDED: Duration = Duration::from_millis(2);
    let latest = written_at(line) + ROUNDED;
    let templates = deaths.iter().filter(|death| death.cause == Cause::Template && death.earliest <= latest);
    let template =
        templates.max_by_key(|death| death.earliest).unwrap_or_else(|| panic!("no template has died: {line}"));
    Death { pid: pid_in(line), cause: Cause::Server, latest, ..*template }
}

/// When a line of the log was written, by the monotonic clock. It begins with the time of the day in UTC.
fn written_at(line: &str) -> Duration {
    const DAY: f64 = 86_400.0;
    let time = line.split_once('T').and_then(|(_, rest)| rest.split_once('Z')).map_or("", |(time, _)| time);
    let seconds = time.split(':').try_fold(0.0, |sum, part| Some(sum * 60.0 + part.parse::<f64>().ok()?));
    let written = seconds.unwrap_or_else(|| panic!("no time in {line:?}"));
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970");
    let ago = (since_epoch.as_secs_f64() - written).rem_euclid(DAY);
    now().saturating_sub(Duration::from_secs_f64(ago))
}

/// A line of the log says `(pid 4711)`.
fn pid_in(line: &str) -> i32 {
    let pid = line.split_once("(pid ").and_then(|(_, rest)| rest.split_once(')')).map(|(pid, _)| pid);
    pid.and_then(|pid| pid.parse().ok()).unwrap_or_else(|| panic!("no pid in {line:?}"))
}

/// After the end nothing is left.
pub(super) fn all_is_gone(seen: &Seen, folders: &Folders) {
    // Whoever has inherited them from a killed supervisor may reap them when it likes.
    let lives = |pid: i32, born: u64| processes::born(pid) == Some(born) && !processes::has_ended(pid);
    wait::until_true("the end of every process that was ever seen", || {
        !seen.processes.iter().any(|(pid, born)| lives(*pid, *born))
    });
    let spooled: Vec<_> = fs::read_dir(&folders.spool).expect("it is there").collect();
    assert!(spooled.is_empty(), "these files are left behind: {spooled:?}");
}
