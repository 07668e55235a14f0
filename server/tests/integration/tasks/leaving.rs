//! What becomes of tasks when their worker leaves: in good order, out of time, or killed.

use nix::sys::signal::Signal;

use super::{NONE, Notes, SHAPES, await_tasks, leave, parameter};
use crate::support::{Client, Gate, Launch, Load, Server, Status, Tasks, processes, wait};

/// A server with three tasks from one request, which wait at a gate or for their turn.
fn with_three(launch: Launch) -> (Server, Notes, Gate) {
    let server = launch.start();
    let (notes, gate) = (Notes::of(&server), Gate::new(server.folder(), "gate"));
    leave(&server, &notes.task("1,2,3", Some(&gate)));
    (server, notes, gate)
}

#[test]
fn a_stop_finishes_every_task() {
    for shape in SHAPES {
        let (mut server, notes, mut gate) = with_three(Launch::new("tasks_site:app").args(shape));
        server.await_status("all are there", |status| status.tasks.running + status.tasks.queued == 3);
        server.signal(Signal::SIGTERM);
        server.await_status("the server drains", |status| status.phase == "draining");
        gate.open();
        assert_eq!(server.await_exit().code(), Some(0));
        let mut lines = notes.lines();
        lines.sort();
        assert_eq!(lines, ["1", "2", "3"], "{shape}");
        assert!(!server.log().contains("background task"), "{shape}: {}", server.log());
    }
}

#[test]
fn without_the_supervisor_every_task_is_finished() {
    let (mut server, notes, mut gate) = with_three(Launch::new("tasks_site:app").fixed(1, 4));
    await_tasks(&server, Tasks { running: 1, queued: 2, ..NONE });
    server.kill_supervisor();
    gate.open();
    server.await_end_of_all();
    assert_eq!(notes.lines(), ["1", "2", "3"]);
}

#[test]
fn a_worker_that_is_replaced_finishes_its_tasks() {
    let shapes = [
        "--mpm static --workers 1 --threads 4 --max-requests 3",
        "--mpm static --workers 1 --threads 1 --max-requests 3",
        "--mpm adaptive --max-workers 1 --max-requests 3",
    ];
    for shape in shapes {
        let server = Launch::new("tasks_site:app").args(shape).start();
        let (notes, mut gate) = (Notes::of(&server), Gate::new(server.folder(), "gate"));
        let before = server.status().pids();
        leave(&server, &notes.task("1", None));
        leave(&server, &notes.task("2", None));
        leave(&server, &notes.task("3", Some(&gate)));
        let status = server.await_status("a successor", |status| {
            status.workers.iter().any(|worker| worker.phase == "ready" && !before.contains(&worker.pid))
        });
        let leaving =
            status.workers.iter().find(|worker| before.contains(&worker.pid)).expect("it stays for its tasks");
        assert_eq!((leaving.phase.as_str(), leaving.busy), ("draining", true), "{shape}");
        assert_eq!(server.get("/").text(), "Hello", "{shape}");
        gate.open();
        let status = server.await_status("it has left", |status| status.counters.retired == 1);
        assert_eq!((status.counters.killed, status.counters.died), (0, 0), "{shape}");
        assert_eq!(status.tasks, Tasks { done: 3, ..NONE }, "{shape}");
        // Of different requests: each begins when the thread of its own call gets to release it.
        let mut lines = notes.lines();
        lines.sort();
        assert_eq!(lines, ["1", "2", "3"], "{shape}");
    }
}

#[test]
fn a_worker_that_adaptive_lets_go_finishes_its_tasks() {
    // Calls have both threads of a worker, tasks one of their own.
    let server = Launch::new("tasks_site:app").args("--mpm adaptive --max-workers 3 --max-threads 2").start();
    let (notes, mut gate) = (Notes::of(&server), Gate::new(server.folder(), "gate"));
    let mut hold = Gate::new(server.folder(), "hold");
    let mut clients: Vec<Client> = Vec::new();
    let come = |clients: &mut Vec<Client>| {
        let mut client = server.connect();
        let task = notes.task(&clients.len().to_string(), Some(&gate));
        client.send_get(&format!("{task}&{}", parameter(&hold, "hold")));
        clients.push(client);
    };
    // More than one worker can have, which may let some in all the same.
    (0..4).for_each(|_| come(&mut clients));
    server.await_status("three workers", |status| status.settled(3));
    // Then whoever has room takes the next one.
    loop {
        let taken = |status: &Status| status.connections() as usize == clients.len();
        let status = server.await_status("all are taken", taken);
        if status.workers.iter().all(|worker| worker.in_flight > 0) {
            break;
        }
        come(&mut clients);
    }
    hold.open();
    clients.iter_mut().for_each(|client| assert_eq!(client.answer().text(), "left"));
    let count = clients.len() as u64;
    await_tasks(&server, Tasks { running: 3, queued: count - 3, ..NONE });
    // Nothing is asked for any more.
    let status = server.await_status("a worker is to leave", |status| status.totals.kill_pending > 0);
    assert!(status.decisions.iter().any(|decision| decision.reason.contains("−1 worker")), "{status:#?}");
    let leaving = status.workers.iter().find(|worker| worker.phase == "draining").expect("it leaves");
    assert_eq!((leaving.tasks.running, leaving.busy), (1, true), "{status:#?}");
    gate.open();
    let status = server.await_status("one worker is left", |status| status.settled(1));
    assert_eq!(status.tasks, Tasks { done: count, ..NONE });
    assert_eq!((status.counters.retired, status.counters.killed, status.counters.died), (2, 0, 0));
    let mut numbers: Vec<u64> = notes.lines().iter().map(|line| line.parse().expect("a number")).collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..count));
    assert!(!server.log().contains("background task"), "{}", server.log());
}

#[test]
fn a_call_that_never_ends_keeps_no_task_from_being_done() {
    for shape in SHAPES {
        // Nobody is killed before the test has given up.
        let options = "--request-timeout 500ms --graceful-timeout 600s";
        let server = Launch::new("tasks_site:app").args(shape).args(options).start();
        let (notes, hold) = (Notes::of(&server), Gate::new(server.folder(), "hold"));
        let mut client = server.connect();
        client.send_get(&format!("{}&{}", notes.task("1,2", None), parameter(&hold, "hold")));
        assert_eq!(client.answer().status(), 504, "{shape}");
        let mut lines = notes.await_lines(2);
        lines.sort();
        assert_eq!(lines, ["1", "2"], "{shape}");
        let status = server.await_status("the worker has left", |status| status.counters.retired >= 1);
        assert_eq!(status.tasks, Tasks { done: 2, ..NONE }, "{shape}");
        assert_eq!((status.counters.killed, status.counters.died), (0, 0), "{shape}");
    }
}

#[test]
fn tasks_that_find_no_time_are_named() {
    let (server, notes, _gate) =
        with_three(Launch::new("tasks_site:app").fixed(1, 4).args("--max-requests 1 --graceful-timeout 2s"));
    await_tasks(&server, Tasks { dropped: 3, ..NONE });
    assert_eq!(server.status().counters.killed, 1);
    assert_eq!(notes.lines(), [""; 0]);
    let log = server.log();
    for line in [
        "the graceful timeout is nearly over: 2 background task(s) dropped that have not begun: tasks_site.work (2)\n",
        "the graceful timeout is nearly over: 1 background task(s) still run and are lost if they don't end now: tasks_site.work\n",
        "took 1 background task(s) with it: 1 running, 0 waiting\n",
    ] {
        assert!(log.contains(line), "{line} in {log}");
    }
    assert_eq!(server.get("/").text(), "Hello");
}

#[test]
fn a_killed_worker_loses_its_tasks_and_they_are_counted() {
    let server = Launch::new("tasks_site:app").fixed(1, 4).start();
    let (notes, gate) = (Notes::of(&server), Gate::new(server.folder(), "gate"));
    leave(&server, &notes.task("0", None));
    leave(&server, "/trouble");
    await_tasks(&server, Tasks { done: 1, failed: 4, ..NONE });
    leave(&server, &notes.task("1,2,3", Some(&gate)));
    let status = await_tasks(&server, Tasks { running: 1, queued: 2, done: 1, failed: 4, ..NONE });
    processes::send(status.pids()[0], Signal::SIGKILL);
    let status = await_tasks(&server, Tasks { done: 1, failed: 4, dropped: 3, ..NONE });
    assert_eq!(status.counters.died, 1);
    let line = "took 3 background task(s) with it: 1 running, 2 waiting";
    wait::until_true("the log to tell of the lost tasks", || server.log().contains(line));
    leave(&server, &notes.task("4", None));
    await_tasks(&server, Tasks { done: 2, failed: 4, dropped: 3, ..NONE });
    assert_eq!(notes.lines(), ["0", "4"]);
}

#[test]
fn whatever_is_killed_under_load_every_task_is_accounted_for() {
    let shapes = ["--mpm static --workers 2 --threads 4 --tasks-concurrency 2", "--mpm prefork --keep-alive-timeout 1"];
    for shape in shapes {
        let server = Launch::new("tasks_site:app").args(shape).start();
        let notes = Notes::of(&server);
        let (answered, lost) = Load::run(&server, 4, &notes.task("task", None), |load| {
            for deaths in 1..=3 {
                load.await_answers(50);
                processes::send(server.status().pids()[0], Signal::SIGKILL);
                server.await_status("it was noticed", |status| status.counters.died == deaths);
            }
            load.await_answers(50);
            (load.answered(), load.lost())
        });
        let status = server.await_status("all is done", |status| {
            let Tasks { queued, running, .. } = status.tasks;
            queued + running == 0 && status.in_flight() == 0
        });
        let Tasks { done, failed, dropped, .. } = status.tasks;
        let (accounted, done) = ((done + failed + dropped) as usize, done as usize);
        assert_eq!(failed, 0, "{shape}: {status:#?}");
        // The load has gone on for a moment, and of a lost answer nobody knows whether its task was taken.
        assert!(accounted >= answered, "{shape}: {accounted} of {answered} and {lost} lost; {status:#?}");
        // A task may be killed between its note and its end.
        let noted = notes.lines().len();
        assert!((done..=accounted).contains(&noted), "{shape}: {noted} notes; {status:#?}");
    }
}
