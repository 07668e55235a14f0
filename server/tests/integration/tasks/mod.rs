//! Background tasks that an application leaves: when they run, how many, and what is said of them.

mod leaving;

use std::fs;
use std::path::PathBuf;

use nix::sys::signal::Signal;

use crate::support::browser::FORM;
use crate::support::{Gate, Launch, Server, Status, Tasks, processes, wait};

/// Where tasks may run: beside calls, in the place of the only call, and in a process with one connection.
const SHAPES: [&str; 3] = ["--mpm adaptive", "--mpm static --workers 1 --threads 1", ONE_AT_A_TIME];
const ONE_AT_A_TIME: &str = "--mpm prefork --start-servers 1 --min-spare-servers 1 --max-spare-servers 2";

/// The file in which tasks leave their notes.
struct Notes(PathBuf);

impl Notes {
    fn of(server: &Server) -> Notes {
        Notes(server.folder().join("notes"))
    }

    /// `route` with this file in its query.
    fn target(&self, route: &str) -> String {
        format!("{route}?note={}", self.0.display())
    }

    /// A request that leaves a task for each of these texts, which notes it once it has passed the gate, if there is one.
    fn task(&self, text: &str, gate: Option<&Gate>) -> String {
        let target = format!("{}&text={text}", self.target("/submit"));
        gate.map_or(target.clone(), |gate| format!("{target}&{}", parameter(gate, "gate")))
    }

    fn lines(&self) -> Vec<String> {
        fs::read_to_string(&self.0).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    fn await_lines(&self, count: usize) -> Vec<String> {
        wait::until("notes of tasks", || Some(self.lines()).filter(|lines| lines.len() >= count))
    }
}

/// `name=PATH` with the gate's path.
fn parameter(gate: &Gate, name: &str) -> String {
    gate.target_of("").replace("?gate=", &format!("{name}="))
}

fn leave(server: &Server, target: &str) {
    let response = server.get(target);
    assert_eq!((response.status(), response.text()), (200, "left"), "{target}");
}

fn await_tasks(server: &Server, expected: Tasks) -> Status {
    server.await_status(&format!("{expected:?}"), |status| status.tasks == expected)
}

const NONE: Tasks = Tasks { queued: 0, running: 0, done: 0, failed: 0, dropped: 0, refused: 0 };

#[test]
fn the_response_does_not_wait_for_the_task() {
    for shape in SHAPES {
        let server = Launch::new("tasks_site:app").args(shape).start();
        assert_eq!(server.status().tasks, NONE);
        let output = server.ctl(&["status"]);
        assert!(!String::from_utf8_lossy(&output.stdout).contains("Tasks"), "{output:?}");
        let (notes, mut gate) = (Notes::of(&server), Gate::new(server.folder(), "gate"));
        // The task can't end before the gate is opened, which is after the whole response is here.
        leave(&server, &notes.task("done", Some(&gate)));
        let status = await_tasks(&server, Tasks { running: 1, ..NONE });
        let worker = status.workers.iter().find(|worker| worker.tasks.running == 1).expect("somebody runs it");
        assert!(worker.busy, "{shape}: {status:#?}");
        assert_eq!(notes.lines(), [""; 0], "{shape}");
        gate.open();
        await_tasks(&server, Tasks { done: 1, ..NONE });
        assert_eq!(notes.lines(), ["done"], "{shape}");
        let output = server.ctl(&["status"]);
        let line = "\nTasks  Queued 0  Running 0  Done 1  Failed 0  Dropped 0  Refused 0\n";
        assert!(String::from_utf8_lossy(&output.stdout).contains(line), "{output:?}");
        assert_eq!(server.get("/").text(), "Hello", "{shape}");
        server.await_status("nobody is busy", |status| status.totals.busy == 0);
    }
}

#[test]
fn a_task_begins_after_its_own_response() {
    let server = Launch::new("tasks_site:app").fixed(1, 4).start();
    let (notes, mut hold) = (Notes::of(&server), Gate::new(server.folder(), "hold"));
    let mut client = server.connect();
    client.send_get(&format!("{}&{}", notes.task("after", None), parameter(&hold, "hold")));
    await_tasks(&server, Tasks { queued: 1, ..NONE });
    // Others come and go, and leave tasks that are done meanwhile.
    leave(&server, &notes.task("another's", None));
    assert_eq!(notes.await_lines(1), ["another's"]);
    assert_eq!(await_tasks(&server, Tasks { queued: 1, done: 1, ..NONE }).in_flight(), 1);
    hold.open();
    assert_eq!(client.answer().text(), "left");
    assert_eq!(notes.await_lines(2), ["another's", "after"]);
}

#[test]
fn a_thread_of_the_application_waits_for_no_response() {
    let server = Launch::new("tasks_site:app").fixed(1, 4).start();
    let (notes, mut hold) = (Notes::of(&server), Gate::new(server.folder(), "hold"));
    let mut client = server.connect();
    client.send_get(&format!("{}&{}", notes.target("/by-thread"), parameter(&hold, "hold")));
    assert_eq!(notes.await_lines(1), ["done"]);
    assert_eq!(await_tasks(&server, Tasks { done: 1, ..NONE }).in_flight(), 1);
    hold.open();
    assert_eq!(client.answer().text(), "left");
}

#[test]
fn as_many_run_at_once_as_may() {
    for most in [1, 2] {
        let server = Launch::new("tasks_site:app").fixed(1, 4).args(&format!("--tasks-concurrency {most}")).start();
        let (notes, mut gate) = (Notes::of(&server), Gate::new(server.folder(), "gate"));
        leave(&server, &notes.task("1,2,3,4,5", Some(&gate)));
        await_tasks(&server, Tasks { running: most, queued: 5 - most, ..NONE });
        // Calls have their own threads.
        assert_eq!(server.get("/").text(), "Hello");
        assert_eq!(server.status().tasks, Tasks { running: most, queued: 5 - most, ..NONE });
        gate.open();
        let mut lines = notes.await_lines(5);
        if most > 1 {
            lines.sort();
        }
        assert_eq!(lines, ["1", "2", "3", "4", "5"], "one after the other, in the order in which they were left");
        await_tasks(&server, Tasks { done: 5, ..NONE });
    }
}

#[test]
fn no_more_wait_than_may() {
    let server = Launch::new("tasks_site:app").fixed(1, 4).args("--tasks-queue 2").start();
    let (notes, mut gate) = (Notes::of(&server), Gate::new(server.folder(), "gate"));
    leave(&server, &notes.task("1", Some(&gate)));
    await_tasks(&server, Tasks { running: 1, ..NONE });
    leave(&server, &notes.task("2", Some(&gate)));
    leave(&server, &notes.task("3", Some(&gate)));
    let refused = "Full: 2 background tasks wait in this worker already, and no more may (--tasks-queue)";
    assert_eq!(server.get(&notes.task("4", Some(&gate))).text(), refused);
    assert_eq!(server.status().tasks, Tasks { running: 1, queued: 2, refused: 1, ..NONE });
    gate.open();
    await_tasks(&server, Tasks { done: 3, refused: 1, ..NONE });
    leave(&server, &notes.task("5", None));
    assert_eq!(notes.await_lines(4), ["1", "2", "3", "5"]);
}

#[test]
fn they_are_counted_wherever_the_server_is_watched() {
    let server = Launch::new("tasks_site:app").fixed(1, 4).args("--tasks-queue 4 --admin 0").start();
    let (notes, mut gate) = (Notes::of(&server), Gate::new(server.folder(), "gate"));
    let metrics = |expected: [&str; 7]| {
        let text = server.watch("/metrics").text().to_owned();
        let found: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("smarthttpd_tasks")).collect();
        assert_eq!(found, expected, "{text}");
    };
    leave(&server, "/trouble");
    await_tasks(&server, Tasks { failed: 4, ..NONE });
    leave(&server, &notes.task("1", Some(&gate)));
    await_tasks(&server, Tasks { running: 1, failed: 4, ..NONE });
    leave(&server, &notes.task("2,3,4,5", Some(&gate)));
    assert!(server.get(&notes.task("6", Some(&gate))).text().starts_with("Full: "));
    metrics([
        "{state=\"queued\"} 4",
        "{state=\"running\"} 1",
        "_ended_total{outcome=\"done\"} 0",
        "_ended_total{outcome=\"failed\"} 4",
        "_ended_total{outcome=\"dropped\"} 0",
        "_taken_total 9",
        "_refused_total 1",
    ]);
    let expected = serde_json::json!({"queued": 4, "running": 1, "done": 0, "failed": 4, "dropped": 0, "refused": 1});
    let status = server.watch("/status").json();
    assert_eq!((&status["tasks"], &status["workers"][0]["tasks"]), (&expected, &expected));
    let output = server.ctl(&["top", "--once"]);
    let frame = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(frame.contains("Tasks 1  queued 4   Done 0  failed 4  dropped 0  refused 1\n"), "{frame}");
    // What a worker leaves behind stays in the account.
    processes::send(server.status().pids()[0], Signal::SIGKILL);
    await_tasks(&server, Tasks { failed: 4, dropped: 5, refused: 1, ..NONE });
    gate.open();
    leave(&server, &notes.task("7", None));
    await_tasks(&server, Tasks { done: 1, failed: 4, dropped: 5, refused: 1, ..NONE });
    metrics([
        "{state=\"queued\"} 0",
        "{state=\"running\"} 0",
        "_ended_total{outcome=\"done\"} 1",
        "_ended_total{outcome=\"failed\"} 4",
        "_ended_total{outcome=\"dropped\"} 5",
        "_taken_total 10",
        "_refused_total 1",
    ]);
}

#[test]
fn requests_go_first() {
    let server = Launch::new("tasks_site:app").fixed(1, 1).start();
    let (notes, mut hold) = (Notes::of(&server), Gate::new(server.folder(), "hold"));
    let (mut first, mut second) = (server.connect(), server.connect());
    second.get("/");
    first.send_get(&format!("{}&{}", notes.task("task", None), parameter(&hold, "hold")));
    await_tasks(&server, Tasks { queued: 1, ..NONE });
    second.send_get(&notes.target("/request"));
    server.await_status("a request waits as well", |status| status.workers[0].queued == 1);
    hold.open();
    assert_eq!((first.answer().text(), second.answer().text()), ("left", "noted"));
    assert_eq!(notes.await_lines(2), ["request", "task"]);
}

#[test]
fn tasks_that_run_beside_calls_do_not_begin_while_a_request_waits() {
    let server = Launch::new("tasks_site:app").fixed(1, 2).start();
    let notes = Notes::of(&server);
    let mut holds = ["1", "2", "3"].map(|name| Gate::new(server.folder(), name));
    let mut clients = [(); 4].map(|()| server.connect());
    clients.iter_mut().for_each(|client| assert_eq!(client.get("/").text(), "Hello"));
    let held = |hold: &Gate| format!("{}&{}", notes.task("task", None), parameter(hold, "hold"));
    // Two calls take both threads, the third gets the first one that ends, the fourth waits.
    for (client, hold) in clients.iter_mut().zip(&holds[..2]) {
        client.send_get(&held(hold));
    }
    server.await_status("two calls", |status| status.in_flight() == 2);
    clients[2].send_get(&held(&holds[2]));
    server.await_status("a request waits", |status| status.workers[0].queued == 1);
    clients[3].send_get(&notes.target("/request"));
    server.await_status("two requests wait", |status| status.workers[0].queued == 2);
    holds[0].open();
    assert_eq!(clients[0].answer().text(), "left");
    let waiting = Tasks { queued: 3, ..NONE };
    server.await_status("the third call", |status| status.in_flight() == 2 && status.tasks == waiting);
    // Far longer than a task takes to begin.
    for _ in 0..20 {
        assert_eq!(server.status().tasks, waiting);
    }
    holds[1..].iter_mut().for_each(Gate::open);
    assert_eq!(clients[3].answer().text(), "noted");
    // As soon as the last request has a thread, nothing waits any more.
    await_tasks(&server, Tasks { done: 3, ..NONE });
    assert_eq!(notes.lines().len(), 4);
}

#[test]
fn with_one_thread_a_task_takes_the_place_of_a_call() {
    let server = Launch::new("tasks_site:app").fixed(1, 1).start();
    let (notes, mut gate) = (Notes::of(&server), Gate::new(server.folder(), "gate"));
    let mut client = server.connect();
    client.get("/");
    leave(&server, &notes.task("task", Some(&gate)));
    assert_eq!(await_tasks(&server, Tasks { running: 1, ..NONE }).in_flight(), 1);
    client.send_get(&notes.target("/request"));
    server.await_status("the request waits", |status| status.workers[0].queued == 1);
    assert_eq!(notes.lines(), [""; 0]);
    gate.open();
    assert_eq!(client.answer().text(), "noted");
    assert_eq!(notes.lines(), ["task", "request"]);
}

#[test]
fn in_prefork_a_connection_does_not_wait_for_its_tasks() {
    let server = Launch::new("tasks_site:app").args(ONE_AT_A_TIME).start();
    let (notes, mut gate) = (Notes::of(&server), Gate::new(server.folder(), "gate"));
    let mut client = server.connect();
    assert!(!client.get("/").closes());
    let response = client.get(&notes.task("task", Some(&gate)));
    assert!(response.closes(), "the next request goes to another process");
    client.expect_close();
    let status = await_tasks(&server, Tasks { running: 1, ..NONE });
    let busy = status.workers.iter().find(|worker| worker.tasks.running == 1).expect("it runs").pid;
    // The policy counts it as busy and starts another one, which answers.
    assert_eq!(server.get("/").text(), "Hello");
    server.await_status("an idle worker", |status| status.totals.idle >= 1 && status.pids().contains(&busy));
    gate.open();
    await_tasks(&server, Tasks { done: 1, ..NONE });
}

#[test]
fn what_can_not_be_pickled_is_named_where_it_is_submitted() {
    let server = Launch::new("tasks_site:app").fixed(1, 2).start();
    let table = [
        (
            "lambda",
            "tasks_site.unpicklable.<locals>.<lambda>.<locals>.<lambda> itself can't be pickled; name a function",
        ),
        (
            "argument",
            "argument 2 of tasks_site.work can't be pickled (cannot pickle '_thread.lock' object) | TypeError",
        ),
        (
            "keyword",
            "argument gate of tasks_site.work can't be pickled (cannot pickle '_thread.lock' object) | TypeError",
        ),
        ("number", "a background task must be callable, and a builtins.int is not | NoneType"),
        ("nothing", "submit() missing 1 required positional argument: 'function' | NoneType"),
    ];
    for (how, expected) in table {
        let response = server.get(&format!("/unpicklable?how={how}"));
        assert!(response.text().contains(expected), "{how}: {}", response.text());
    }
    assert_eq!(server.status().tasks, NONE);
}

#[test]
fn what_a_task_raises_is_logged_and_counted() {
    for shape in SHAPES {
        let server = Launch::new("tasks_site:app").args(shape).start();
        leave(&server, "/trouble");
        let status = await_tasks(&server, Tasks { failed: 4, ..NONE });
        assert_eq!(status.counters.died, 0, "{shape}");
        for (name, exception) in [
            ("tasks_site.fails", "ValueError: on purpose"),
            ("tasks_site.exits", "SystemExit: leaving"),
            // Its argument can't be made again.
            ("builtins.print", "ValueError: on purpose"),
            ("functools.partial", "FileNotFoundError"),
        ] {
            let log = server.log();
            let (_, rest) = log.split_once(&format!("background task {name} failed\nTraceback")).expect(name);
            assert!(rest.contains(exception), "{name} in {log}");
        }
        assert_eq!(server.get("/").text(), "Hello", "{shape}");
    }
}

#[test]
fn a_task_is_a_snapshot_in_a_context_of_its_own() {
    let server = Launch::new("tasks_site:app").fixed(1, 1).start();
    let notes = Notes::of(&server);
    leave(&server, &notes.target("/snapshot"));
    assert_eq!(notes.await_lines(1), ["as it was"]);
    leave(&server, &notes.target("/context"));
    assert_eq!(notes.await_lines(3)[1..], ["nothing", "nothing"]);
    leave(&server, &notes.target("/chain"));
    assert_eq!(notes.await_lines(5)[3..], ["the first", "the second"]);
    await_tasks(&server, Tasks { done: 5, ..NONE });
}

#[test]
fn without_a_worker_or_switched_off_submit_says_so() {
    let server = Launch::new("tasks_site:app").start();
    assert!(server.get("/at-import").text().starts_with("no worker takes background tasks yet: "));
    assert!(server.get("/in-child").text().starts_with("this process was forked by the application"));
    assert_eq!(server.status().tasks, NONE);
    for off in ["off", "0"] {
        let server = Launch::new("tasks_site:app").args(&format!("--tasks-concurrency {off}")).start();
        let expected = "False background tasks are switched off (--tasks-concurrency off)";
        assert_eq!(server.get("/switched-off").text(), expected);
    }
}

#[test]
fn flask_leaves_tasks() {
    // The static files lie between the worker and the application.
    let server = Launch::new("flask_tasks:app").venv().args("--static /files=.").start();
    let (notes, mut gate) = (Notes::of(&server), Gate::new(server.folder(), "gate"));
    let form = format!("note={}&{}", notes.0.display(), parameter(&gate, "gate"));
    let response = server.connect().request("POST", "/orders/42", &[FORM], form.as_bytes());
    assert_eq!((response.status(), response.text()), (201, "order 42 is placed"));
    await_tasks(&server, Tasks { running: 1, ..NONE });
    gate.open();
    assert_eq!(notes.await_lines(1), ["42, the shop"]);
    await_tasks(&server, Tasks { done: 1, ..NONE });
}
