//! Processes that are killed from outside, as the kernel does when memory runs out.

use std::path::Path;

use nix::sys::signal::Signal;

use crate::support::{Broken, Client, Gate, Launch, Load, Server, Status, processes, wait};

/// A request that is inside the application: the worker that has it, and the connection.
fn inside(server: &Server, gate: &Gate) -> (i32, Client) {
    let mut client = server.connect();
    client.send_get(&gate.target_of("/pid-then-wait"));
    let pid = String::from_utf8(client.begin_chunked()).expect("a number");
    (pid.parse().expect("a number"), client)
}

#[test]
fn a_killed_worker_loses_only_what_was_inside_it() {
    const CLIENTS: usize = 4;
    let server = Launch::new("plain:app").fixed(3, 8).start();
    let mut gate = Gate::new(server.folder(), "gate");
    Load::run(&server, CLIENTS, "/", |load| {
        load.await_answers(100);
        let held: Vec<(i32, Client)> = (0..6).map(|_| inside(&server, &gate)).collect();
        let victim = held[0].0;
        processes::send(victim, Signal::SIGKILL);
        let replaced = |status: &Status| status.settled(3) && !status.pids().contains(&victim);
        let status = server.await_status("the worker is replaced", replaced);
        assert_eq!((status.counters.spawned, status.counters.died, status.counters.retired), (4, 1, 0), "{status:#?}");
        let mut generations: Vec<u64> = status.workers.iter().map(|worker| worker.generation).collect();
        generations.sort_unstable();
        assert_eq!(generations[2], 4, "the fourth worker has replaced one of the first three");
        load.await_answers(100);
        gate.open();
        for (pid, mut client) in held {
            let rest = client.try_chunk();
            match pid == victim {
                true => assert!(matches!(rest, Err(Broken::Cut(_))), "{rest:?}"),
                false => assert_eq!(rest, Ok(Some(b"passed".to_vec())), "the request was in another worker"),
            }
        }
        // Each client has one connection, which was in the killed worker or was not.
        assert!(load.lost() <= CLIENTS, "{} answers were lost", load.lost());
    });
    assert!(server.log().contains("died: signal SIGKILL"), "{}", server.log());
}

#[test]
fn an_application_that_kills_its_process_is_contained() {
    let server = Launch::new("plain:app").fixed(2, 2).start();
    for deaths in 1..=3 {
        let mut client = server.connect();
        client.send_get("/dies");
        assert_eq!(client.try_answer().expect_err("the process is gone"), Broken::Nothing);
        let status =
            server.await_status("the worker is replaced", |status| status.settled(2) && status.counters.died == deaths);
        assert_eq!(status.counters.spawned, 2 + deaths);
        assert_eq!(server.get("/").text(), "Hello");
    }
}

#[test]
fn every_worker_may_be_killed_at_once() {
    let server = Launch::new("plain:app").fixed(3, 2).start();
    let before = server.await_status("three workers", |status| status.settled(3)).pids();
    before.iter().for_each(|pid| processes::send(*pid, Signal::SIGKILL));
    // Asked while there may be nobody: the listener's queue keeps it.
    assert_eq!(server.get("/").text(), "Hello");
    let status = server.await_status("three workers again", |status| status.settled(3) && status.counters.died == 3);
    assert_eq!(status.counters.spawned, 6);
    assert!(status.pids().iter().all(|pid| !before.contains(pid)));
}

#[test]
fn the_template_may_be_killed() {
    let mut server = Launch::new("plain:app").fixed(2, 4).start();
    let before = server.await_status("two workers", |status| status.settled(2)).pids();
    let template = server.template();
    Load::run(&server, 1, "/", |load| {
        load.await_answers(20);
        processes::send(template, Signal::SIGKILL);
        load.await_answers(20);
        server.await_status("a new template", |status| status.counters.template_restarts == 1);
        load.await_answers(20);
        assert_eq!(load.lost(), 0);
    });
    let status = server.status();
    assert_eq!(status.pids(), before, "the workers have stayed");

    // The old template can't reap its workers any more, the new one can replace them.
    processes::send(before[0], Signal::SIGKILL);
    let status = server.await_status("the worker is replaced", |status| status.settled(2) && status.counters.died == 1);
    assert_eq!(status.pids()[1], before[1]);
    assert_ne!(status.pids()[0], before[0]);
    assert_eq!(status.counters.spawned, 3);
    let successor = server.template();
    assert_ne!(successor, template);
    assert_eq!(processes::status_field(status.pids()[0], "PPid"), Some(successor.to_string()));
    assert_eq!(server.get("/").text(), "Hello");

    server.signal(Signal::SIGTERM);
    assert_eq!(server.await_exit().code(), Some(0));
}

#[test]
fn template_and_workers_may_be_killed_together() {
    let server = Launch::new("plain:app").fixed(2, 4).start();
    let before = server.await_status("two workers", |status| status.settled(2)).pids();
    processes::send(server.template(), Signal::SIGKILL);
    before.iter().for_each(|pid| processes::send(*pid, Signal::SIGKILL));
    assert_eq!(server.get("/").text(), "Hello");
    let status = server.await_status("two workers again", |status| status.settled(2) && status.counters.died == 2);
    assert_eq!((status.counters.spawned, status.counters.template_restarts), (4, 1), "{status:#?}");
}

#[test]
fn without_the_supervisor_all_finish_and_leave() {
    for shape in ["--mpm static --workers 2 --threads 4", "--mpm adaptive --no-preload", "--mpm prefork"] {
        let mut server = Launch::new("plain:app").args(shape).start();
        let mut gate = Gate::new(server.folder(), "gate");
        let mut idle = server.connect();
        idle.get("/");
        let mut held: Vec<(i32, Client)> = (0..3).map(|_| inside(&server, &gate)).collect();
        server.kill_supervisor();
        idle.expect_close();
        gate.open();
        for (_, client) in &mut held {
            assert_eq!(client.try_chunk(), Ok(Some(b"passed".to_vec())), "{shape}");
            assert_eq!(client.try_chunk(), Ok(None), "{shape}");
        }
        server.await_end_of_all();
    }
}

#[test]
fn what_the_application_leaves_behind_is_reaped() {
    // The shell ends at once; its child lives on without it, and later ends without a parent that knows of it.
    let source = "\
import subprocess
def app(environ, start_response):
    start_response('200 OK', [])
    return [subprocess.check_output(['sh', '-c', 'sleep 0.1 >&- 2>&- & echo $!'])]
";
    let server = Launch::bare().with_module("leaves", source).args("leaves:app").fixed(1, 1).start();
    let orphan = server.get("/").text().trim().to_owned();
    let entry = Path::new("/proc").join(orphan);
    wait::until_true("the end of the orphan, not even a zombie", || !entry.exists());
    assert_eq!(server.status().counters.died, 0);
}
