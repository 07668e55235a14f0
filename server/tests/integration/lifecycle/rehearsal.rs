//! What the application answers before anybody is served.

use crate::support::Launch;

/// As many do it: set up by the first request, which says where that was. `/early` has started its answer when it fails.
const LATE: &str = "\
import os

ready = []

def app(environ, start_response):
    path = environ['PATH_INFO']
    if path == '/broken':
        raise LookupError('no such product')
    if path == '/missing':
        start_response('404 Not Found', [])
        return [b'nothing here']
    if not ready:
        ready.append((os.getpid(), environ['HTTP_USER_AGENT'], environ['QUERY_STRING']))
    start_response('200 OK', [])
    return iter([f'{ready} {os.getpid()}'.encode(), b''])
";

fn launch(arguments: &str) -> Launch {
    Launch::bare().with_module("late", LATE).arg("late:app").args(arguments)
}

#[test]
fn what_the_first_requests_set_up_is_shared() {
    let server = launch("--rehearse /?a=1").fixed(3, 1).start();
    server.await_status("three workers", |status| status.settled(3));
    let expected = format!("[({}, 'smarthttpd-rehearsal', 'a=1')] ", server.template());
    for _ in 0..12 {
        let answer = server.get("/").text().to_owned();
        assert!(answer.starts_with(&expected), "{answer}");
    }
    assert_eq!(server.status().requests(), 12, "a rehearsal is no request");
    server.await_log("rehearsed 1 path(s) in ");
}

#[test]
fn without_preloading_each_worker_rehearses_for_itself() {
    let server = launch("--rehearse / --no-preload").fixed(2, 1).start();
    server.await_status("two workers", |status| status.settled(2));
    for _ in 0..8 {
        let answer = server.get("/").text().to_owned();
        let (first, own) = answer.rsplit_once(' ').expect("its process");
        assert_eq!(first, format!("[({own}, 'smarthttpd-rehearsal', '')]"));
    }
}

#[test]
fn what_goes_wrong_is_told_and_keeps_nobody_from_serving() {
    let server = launch("--rehearse /broken,/missing --rehearse=/").start();
    assert_eq!(server.get("/missing").status(), 404);
    let log = server.log();
    for words in [
        "LookupError: no such product",
        "--rehearse /broken: the application raised the exception above",
        "--rehearse /missing: the application answered 404 Not Found; name a path that it has",
    ] {
        assert_eq!(log.matches(words).count(), 1, "{words:?} in:\n{log}");
    }
    let set_up = format!("[({}, ", server.template());
    assert!(server.get("/").text().starts_with(&set_up));
}

#[test]
fn flask_and_django_rehearse() {
    for (application, path) in [("flask_site:app", "/"), ("shop.wsgi:application", "/")] {
        let server = Launch::new(application).venv().args("--rehearse").arg(path).start();
        assert_eq!(server.get(path).status(), 200);
        assert!(!server.log().contains("WARN"), "{}", server.log());
    }
}
