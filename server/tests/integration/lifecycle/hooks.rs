//! What of the application is called when workers come and go.

use std::collections::BTreeSet;
use std::fs;

use nix::sys::signal::Signal;

use crate::support::{Launch, Server};

/// A pool of database connections as applications have them: opened at import, which the workers must not share, and
/// closed in good order.
const SHOP: &str = "\
import os, random, sqlite3

class Pool:
    def __init__(self):
        self.open()
    def open(self):
        self.owner = os.getpid()
        self.connection = sqlite3.connect('shop.db', isolation_level=None, check_same_thread=False)
        self.connection.execute('CREATE TABLE IF NOT EXISTS seen (what TEXT, pid INT)')
    def note(self, what):
        self.connection.execute('INSERT INTO seen VALUES (?, ?)', (what, os.getpid()))
    def reopen(self):
        self.open()
        random.seed()
        self.note('opened')
    def close(self):
        self.note('closed')
        self.connection.close()

pool = Pool()
random.seed(1)

def app(environ, start_response):
    start_response('200 OK', [])
    rows = pool.connection.execute('SELECT what, pid FROM seen').fetchall()
    own = 'own' if pool.owner == os.getpid() else 'shared'
    return [f'{own} {random.random()} {rows}'.encode()]
";

const HOOKS: &str = "shop:app --on-post-fork shop:pool.reopen --on-worker-exit shop:pool.close";

/// What the application has noted, as `what pid`.
fn noted(server: &Server, what: &str) -> usize {
    server.get("/").text().matches(&format!("('{what}', ")).count()
}

#[test]
fn a_pool_is_reopened_in_each_worker_and_closed() {
    for preload in ["--preload", "--no-preload"] {
        let launch = Launch::bare().with_module("shop", SHOP).args(HOOKS).fixed(3, 1).arg(preload);
        let mut server = launch.start();
        server.await_status("three workers", |status| status.settled(3));
        assert_eq!(noted(&server, "opened"), 3, "before a worker is ready");
        assert_eq!(noted(&server, "closed"), 0);
        // After a fork, workers with the template's state would all draw the same.
        let draws: BTreeSet<String> = (0..30)
            .map(|_| {
                let answer = server.get("/").text().to_owned();
                assert!(answer.starts_with("own "), "{answer}");
                answer.split(' ').nth(1).expect("a number").to_owned()
            })
            .collect();
        assert_eq!(draws.len(), 30);
        assert!(server.ctl(&["reload"]).status.success());
        server.await_status("the old ones are gone", |status| status.settled(3));
        assert_eq!((noted(&server, "opened"), noted(&server, "closed")), (6, 3), "{preload}");
        server.signal(Signal::SIGTERM);
        assert_eq!(server.await_exit().code(), Some(0));
        let database = fs::read(server.folder().join("shop.db")).expect("the database is there");
        let closed = database.windows(6).filter(|bytes| bytes == b"closed").count();
        assert_eq!(closed, 6, "{preload}");
    }
}

#[test]
fn a_hook_that_is_not_there_is_a_start_up_error() {
    let table = [
        ("--on-post-fork=shop:pool.reopn", "--on-post-fork: module \"shop\" has no attribute \"pool.reopn\""),
        ("--on-worker-exit=shop:pool", "--on-worker-exit: shop:pool is not callable: it is of type \"Pool\""),
        ("--on-post-fork=shp:pool.open", "--on-post-fork: cannot load \"shp\": there is no module \"shp\""),
    ];
    for preload in ["--preload", "--no-preload"] {
        for (hook, problem) in table {
            let finished = Launch::bare().with_module("shop", SHOP).arg("shop:app").arg(hook).arg(preload).fail();
            let line = finished.complaint(3);
            assert!(line.contains(problem), "{preload}: {line}");
        }
    }
}

#[test]
fn a_worker_whose_hook_raises_does_not_start() {
    let source = "\
import os

def app(environ, start_response):
    start_response('200 OK', [])
    return [str(os.getpid()).encode()]

def fork():
    if os.path.exists('refuse'):
        raise ConnectionError('no database')

def leave():
    raise RuntimeError('nobody minds')
";
    let hooks = "hooked:app --on-post-fork hooked:fork --on-worker-exit hooked:leave";
    let launch = Launch::bare().with_module("hooked", source).args(hooks);
    fs::write(launch.folder().join("refuse"), "").expect("room");
    let finished = launch.fail();
    assert_eq!(finished.status.code(), Some(3), "{finished:#?}");
    assert!(finished.stderr.starts_with("smarthttpd: --on-post-fork raised ConnectionError: no database\n"));
    assert!(finished.stderr.contains("in fork"), "{finished:#?}");

    let server = Launch::bare().with_module("hooked", source).args(hooks).fixed(2, 1).start();
    let before = server.await_status("two workers", |status| status.settled(2));
    fs::write(server.folder().join("refuse"), "").expect("room");
    let output = server.ctl(&["reload"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8(output.stderr).expect("text");
    assert!(text.contains("--on-post-fork raised ConnectionError: no database\nTraceback"), "{text}");
    assert_eq!(server.status().pids()[..2], before.pids());

    // Without a reload: each next one waits longer, and the first that succeeds is as good as any.
    server.ctl(&["scale", "3"]);
    server.await_log("the next one starts in 200ms");
    assert_eq!(server.get("/").status(), 200);
    fs::remove_file(server.folder().join("refuse")).expect("it is there");
    server.await_status("three workers", |status| status.settled(3));
    server.ctl(&["scale", "2"]);
    server.await_status("two workers", |status| status.settled(2));
    server.await_log("--on-worker-exit raised RuntimeError: nobody minds");
    assert_eq!(server.status().counters.killed, 0);
}
