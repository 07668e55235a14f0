//! What an application opens and starts while it is imported, and what is said about it.

use std::net::TcpListener;

use crate::support::{Launch, Server};

/// As real ones do it: a metrics thread, a pool that has worked, a kept connection to some server, an event loop.
const SOURCE: &str = "\
import asyncio, concurrent.futures, os, socket, threading

stop = threading.Event()
threading.Thread(target=stop.wait, name='metrics-reporter', daemon=True).start()
pool = concurrent.futures.ThreadPoolExecutor(max_workers=2, thread_name_prefix='mailer')
pool.submit(int).result()
database = socket.create_connection(('127.0.0.1', int(os.environ['DATABASE_PORT'])))
loop = asyncio.new_event_loop()

def app(environ, start_response):
    start_response('200 OK', [])
    return [b'Hello']
";

fn serve(arguments: &str) -> (Server, String) {
    let database = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = database.local_addr().expect("bound");
    let launch = Launch::bare().with_module("leaves", SOURCE).arg("leaves:app").args(arguments);
    let server = launch.env("DATABASE_PORT", address.port().to_string()).start();
    assert_eq!(server.get("/").text(), "Hello");
    (server, address.to_string())
}

#[test]
fn threads_and_sockets_of_the_import_are_named() {
    let (server, database) = serve("");
    let log = server.log();
    let line = |words: &str| {
        log.lines().find(|line| line.contains(words)).unwrap_or_else(|| panic!("{words:?} is not in:\n{log}"))
    };
    let threads = line("importing leaves started 2 thread(s)");
    for words in ["WARN template", "\"metrics-reporter\"", "\"mailer_0\"", "use --no-preload", "os.register_at_fork"] {
        assert!(threads.contains(words), "{words:?} is not in {threads}");
    }
    let opened = line("importing leaves opened");
    let socket = format!("a socket connected to {database} (descriptor ");
    for words in ["WARN template", &socket, "an event loop's epoll", "use --no-preload", "os.register_at_fork"] {
        assert!(opened.contains(words), "{words:?} is not in {opened}");
    }
}

#[test]
fn without_preloading_there_is_nothing_to_say() {
    let (server, _) = serve("--no-preload");
    assert!(!server.log().contains("importing leaves"), "{}", server.log());
}

#[test]
fn applications_that_leave_nothing_get_no_warning() {
    for launch in
        [Launch::new("plain:app"), Launch::new("flask_site:app").venv(), Launch::new("shop.wsgi:application").venv()]
    {
        let server = launch.start();
        assert!(!server.log().contains("WARN"), "{}", server.log());
    }
}
