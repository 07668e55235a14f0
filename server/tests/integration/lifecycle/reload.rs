//! New code and options in a running server: nobody notices but by what is answered.

use std::fs;
use std::process::Output;
use std::thread;

use nix::sys::signal::Signal;

use crate::support::{Gate, Launch, Load, Server, processes, wait};

/// A Flask site that answers `version`.
fn site(version: &str) -> String {
    format!(
        "from flask import Flask\n\napp = Flask(__name__)\n\n\n@app.get('/')\ndef index():\n    return '{version}'\n"
    )
}

/// A plain application that answers `version` everywhere, and waits at a gate if the query names one.
fn plain(version: &str) -> String {
    format!(
        "import os\n\ndef app(environ, start_response):\n    query = environ['QUERY_STRING']\n    if query:\n        \
         os.close(os.open(query.removeprefix('gate='), os.O_RDONLY))\n    start_response('200 OK', [])\n    \
         return [b'{version}']\n"
    )
}

fn write(server: &Server, source: &str) {
    fs::write(server.folder().join("pages.py"), source).expect("a module can be written");
}

/// What `ctl` has said: standard output, or standard error of one that failed with this exit code.
fn said(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    String::from_utf8(if code == 0 { output.stdout.clone() } else { output.stderr.clone() }).expect("text")
}

#[test]
fn new_code_comes_without_a_lost_request() {
    let shapes = [
        "--mpm static --workers 3 --threads 2",
        "--mpm static --workers 2 --threads 2 --no-preload",
        "--mpm adaptive",
        "--mpm prefork --start-servers 8",
    ];
    for shape in shapes {
        let server = Launch::bare().with_module("pages", &site("old")).venv().arg("pages:app").args(shape).start();
        let mut kept = server.connect();
        assert_eq!(kept.get("/").text(), "old");
        Load::run(&server, 3, "/", |keeping| {
            Load::run_closing(&server, 3, "/", |closing| {
                for round in ["first", "second", "third"] {
                    keeping.await_answers(30);
                    closing.await_answers(30);
                    write(&server, &site(round));
                    let text = said(&server.ctl(&["reload"]), 0);
                    assert!(text.starts_with("generation ") && text.contains(" ready in "), "{shape}: {text}");
                    // From now on nobody sees old code, on new connections or on those that are kept.
                    for _ in 0..10 {
                        assert_eq!(server.get("/").text(), round, "{shape}");
                        if !shape.contains("prefork") {
                            assert_eq!(kept.get("/").text(), round, "{shape}");
                        }
                    }
                }
                closing.await_answers(30);
                keeping.await_answers(30);
                assert_eq!((closing.lost(), keeping.lost()), (0, 0), "{shape}: {}", server.log());
            });
        });
        let status = server.await_status("the old ones are gone", |status| status.totals.kill_pending == 0);
        assert_eq!((status.counters.died, status.counters.killed, status.counters.reloads), (0, 0, 3), "{status:#?}");
        assert_eq!(status.counters.template_restarts, 0);
        let reasons = status.decisions.iter().filter(|decision| decision.reason.contains("(asked by ctl reload)"));
        assert_eq!(reasons.count(), 3, "{status:#?}");
        let supervisor_template_workers = 2 + status.totals.total as usize;
        wait::until_true("one template", || server.processes().len() == supervisor_template_workers);
    }
}

#[test]
fn requests_under_way_end_with_the_code_they_began_with() {
    let mut server = Launch::bare().with_module("pages", &plain("old")).arg("pages:app").fixed(2, 4).start();
    let mut gate = Gate::new(server.folder(), "gate");
    let mut waiting: Vec<_> = (0..6)
        .map(|_| {
            let mut client = server.connect();
            client.send_get(&gate.target());
            client
        })
        .collect();
    server.await_status("the requests are in the application", |status| status.in_flight() == 6);
    write(&server, &plain("new"));
    let text = said(&server.ctl(&["reload"]), 0);
    assert!(text.starts_with("generation 2: 2 workers ready in ") && text.ends_with("; 2 old ones leave\n"), "{text}");
    assert_eq!(server.get("/").text(), "new");
    gate.open();
    for client in &mut waiting {
        assert_eq!(client.answer().text(), "old");
        // At once: the worker that has answered may see it before it knows that it has answered.
        assert_eq!(client.get("/").text(), "new", "the connection has gone over");
    }
    server.await_status("the old ones are gone", |status| status.settled(2));
    server.signal(Signal::SIGTERM);
    assert_eq!(server.await_exit().code(), Some(0));
}

#[test]
fn idle_connections_go_over_however_many() {
    let server = Launch::bare().with_module("pages", &plain("old")).arg("pages:app").fixed(1, 2).start();
    let mut clients: Vec<_> = (0..processes::most_connections().min(900)).map(|_| server.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.get("/").text(), "old");
    }
    write(&server, &plain("new"));
    said(&server.ctl(&["reload"]), 0);
    server.await_status("the old one is gone", |status| status.settled(1));
    for client in &mut clients {
        assert_eq!(client.get("/").text(), "new");
    }
}

#[test]
fn broken_code_changes_nothing() {
    for preload in ["--preload", "--no-preload"] {
        let launch = Launch::bare().with_module("pages", &plain("old")).arg("pages:app").fixed(2, 2).arg(preload);
        let server = launch.start();
        let before = server.await_status("two workers", |status| status.settled(2));
        let table = [
            ("raise ValueError('no database')\n", "ValueError: no database"),
            ("def app(:\n", "SyntaxError"),
            ("app = 5\n", "pages:app is not callable"),
            ("import os\nos._exit(7)\n", "exit status 7"),
            ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n", "signal SIGKILL"),
        ];
        for (source, problem) in table {
            write(&server, source);
            let text = said(&server.ctl(&["reload"]), 1);
            assert!(text.starts_with("smarthttpd: not reloaded, the server goes on as before: "), "{preload}: {text}");
            assert!(text.contains(problem), "{preload}: {problem} is not in {text}");
            assert_eq!(server.get("/").text(), "old");
        }
        let status = server.await_status("only the old ones are left", |status| status.settled(2));
        assert_eq!((status.pids(), status.counters.reloads), (before.pids(), 0), "{preload}: {status:#?}");
        wait::until_true("supervisor, template and two workers", || server.processes().len() == 4);

        write(&server, &plain("repaired"));
        said(&server.ctl(&["reload"]), 0);
        assert_eq!(server.get("/").text(), "repaired", "{preload}");
    }
}

#[test]
fn options_are_read_again() {
    let launch = Launch::bare().with_module("pages", &plain("old"));
    let file = launch.folder().join("server.toml");
    let options =
        |rest: &str| fs::write(&file, format!("app = \"pages:app\"\nmpm = \"static\"\n{rest}")).expect("room");
    options("workers = 2\n");
    let server = launch.arg("--config").arg(&file).start();
    server.await_status("two workers", |status| status.settled(2));
    options("workers = 4\nlimit-header-count = 1\n");
    said(&server.ctl(&["reload"]), 0);
    server.await_status("four workers", |status| status.settled(4));
    assert_eq!(server.connect().request("GET", "/", &[("Extra", "x")], b"").status(), 431);

    let table = [
        ("workers = 2\nbacklog = 77\nlog-level = \"debug\"\n", "only a restart changes backlog, log-level"),
        ("workers = 65\n", "65 workers are more than the 64 that this server has room for"),
        ("workers = \"many\"\n", "server.toml:3: workers: "),
    ];
    for (rest, problem) in table {
        options(rest);
        let text = said(&server.ctl(&["reload"]), 1);
        assert!(text.contains(problem) && text.lines().count() == 1, "{problem} is not in {text}");
    }
    let status = server.status();
    assert!(status.settled(4) && status.counters.reloads == 1, "{status:#?}");
}

#[test]
fn sighup_reloads() {
    let server = Launch::bare().with_module("pages", &plain("old")).arg("pages:app").fixed(2, 2).start();
    write(&server, &plain("new"));
    server.signal(Signal::SIGHUP);
    server.await_log("generation 2 (asked by SIGHUP): 2 ready, 2 of the old code leave");
    server.await_status("the old ones are gone", |status| status.settled(2));
    assert_eq!(server.get("/").text(), "new");
}

#[test]
fn one_reload_at_a_time_and_not_for_ever() {
    let mut server = Launch::bare().with_module("pages", &plain("old")).arg("pages:app").fixed(1, 2).start();
    let gate = Gate::new(server.folder(), "gate");
    let stuck = "import os\nprint('importing', flush=True)\nos.open('gate', os.O_RDONLY)\n";
    write(&server, stuck);
    thread::scope(|scope| {
        let first = scope.spawn(|| server.ctl(&["reload", "--timeout", "1s"]));
        server.await_log("(asked by ctl reload): loading the new code");
        let text = said(&server.ctl(&["reload"]), 1);
        assert!(text.contains("a reload is under way since "), "{text}");
        assert_eq!(server.get("/").text(), "old");
        let text = said(&first.join().expect("ctl runs"), 1);
        assert!(text.contains("it was not loaded within 1 s; give it more --timeout"), "{text}");
    });
    wait::until_true("the end of the stuck template", || server.processes().len() == 3);

    // A client that loses patience does not stop what it has begun, and a stop does.
    server.signal(Signal::SIGHUP);
    server.await_log("(asked by SIGHUP): loading the new code");
    server.signal(Signal::SIGTERM);
    assert_eq!(server.await_exit().code(), Some(0));
    assert!(server.log().contains("not reloaded (asked by SIGHUP), all goes on as before: the server is stopping"));
    drop(gate);
}

#[test]
fn the_old_template_may_be_dead_already() {
    let server = Launch::bare().with_module("pages", &plain("old")).arg("pages:app").fixed(2, 2).start();
    write(&server, &plain("new"));
    processes::send(server.template(), Signal::SIGKILL);
    server.await_log("the template has ended");
    said(&server.ctl(&["reload"]), 0);
    let status = server.await_status("the old ones are gone", |status| status.settled(2));
    assert_eq!((status.counters.died, status.counters.spawned), (0, 4), "{status:#?}");
    assert_eq!(server.get("/").text(), "new");
    wait::until_true("supervisor, template and two workers", || server.processes().len() == 4);
}

#[test]
fn saved_files_reload_by_themselves() {
    for preload in ["--preload", "--no-preload"] {
        let launch =
            Launch::bare().with_module("pages", "from views import app\n").args("pages:app --reload").arg(preload);
        let (folder, templates) = (launch.folder().to_owned(), launch.folder().join("templates"));
        let save = |name: &str, text: &str| fs::write(folder.join(name), text).expect("a file can be written");
        let await_answer = |server: &Server, expected: &str| {
            wait::until_true("the new answer", || server.get("/").text() == expected);
        };
        fs::create_dir_all(&templates).expect("room");
        save("views.py", &plain("old"));
        save("templates/page.html", "");
        let server = launch.args("--reload-extra templates").start();
        assert_eq!(server.get("/").text(), "old");
        save("views.py", &plain("new"));
        await_answer(&server, "new");
        assert!(server.log().contains("views.py has changed): loading the new code"), "{}", server.log());

        // Broken, told, still serving; repaired.
        save("views.py", "def app(:\n");
        server.await_log("views.py has changed), all goes on as before");
        assert!(server.log().contains("SyntaxError"), "{}", server.log());
        assert_eq!(server.get("/").text(), "new");
        save("views.py", &plain("repaired"));
        await_answer(&server, "repaired");

        let before = server.status().counters.reloads;
        save("templates/page.html", "something else");
        let status = server.await_status("a reload", |status| status.counters.reloads > before);
        assert_eq!(status.counters.died, 0, "{status:#?}");
    }
}

/// Runs the rest of its arguments with a terminal of its own, and closes that when its standard input ends.
const IN_A_TERMINAL: &str = "\
import os, pty, sys
error = os.dup(2)
pid, terminal = pty.fork()
if pid == 0:
    os.dup2(error, 2)
    os.execv(sys.argv[1], sys.argv[1:])
sys.stdin.read()
os.close(terminal)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
";

#[test]
fn a_terminal_that_is_closed_stops_its_server() {
    let (stdin, end) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).expect("a pipe");
    let mut server = Launch::bare()
        .with_module("pages", &plain("old"))
        .arg("pages:app")
        .under(IN_A_TERMINAL, &[])
        .stdin(stdin)
        .start();
    let supervisor = server.status().pid;
    write(&server, &plain("new"));
    processes::send(supervisor, Signal::SIGHUP);
    server.await_log("generation 2 (asked by SIGHUP)");
    assert_eq!(server.get("/").text(), "new");
    drop(end);
    assert_eq!(server.await_exit().code(), Some(0));
    assert!(server.log().contains("the terminal is gone"), "{}", server.log());
}
