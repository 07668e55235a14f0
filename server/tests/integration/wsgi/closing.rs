//! `close()` of the response is called exactly once, whatever becomes of the response.

use std::fs;
use std::path::PathBuf;

use crate::support::{Broken, Client, Gate, Launch, Server, wait};

/// What the client asks for and sees.
#[derive(Debug, Clone, Copy)]
enum Seen {
    Gets(u16),
    Fails,
    Cut,
    Heads(u16),
}
use Seen::{Cut, Fails, Gets, Heads};

/// One response that leaves a note when it is closed.
struct Noted<'a> {
    server: &'a Server,
    path: PathBuf,
    target: String,
}

impl<'a> Noted<'a> {
    fn new(server: &'a Server, name: usize, query: &str) -> Noted<'a> {
        let path = server.folder().join(format!("note-{name}"));
        let target = format!("/?note={}&{query}", path.display());
        Noted { server, path, target }
    }

    /// Waits until the response was closed and its call is over, and asserts that there was no second time.
    fn assert_closed_once(&self) {
        wait::until_true("close() of the response", || fs::read(&self.path).is_ok_and(|text| text.ends_with(b"\n")));
        self.server.await_status("no call is under way", |status| status.in_flight() == 0);
        let notes = fs::read_to_string(&self.path).expect("it is there");
        assert_eq!(notes, "closed\n", "{}", self.target);
    }
}

fn serve(options: &str) -> Server {
    Launch::new("closing:app").fixed(1, 2).args(options).start()
}

#[test]
fn close_is_called_once_however_the_response_goes() {
    let server = serve("");
    let shapes = ["iterable", "generator", "list", "file"];
    // What does not depend on the shape.
    let ways = [
        ("body=pieces", Gets(200)),
        ("body=list", Gets(200)),
        ("body=empty", Gets(200)),
        ("body=pieces", Heads(200)),
        ("body=list&length=6", Gets(200)),
        ("body=pieces&length=4", Gets(200)),
        ("body=pieces&length=7", Cut),
        ("body=pieces&length=7", Heads(200)),
        ("body=pieces&status=204%20None", Gets(204)),
        ("body=pieces&status=304%20Same", Gets(304)),
        ("body=pieces&start=write", Gets(200)),
        ("body=pieces&start=exc_info", Gets(503)),
        ("body=pieces&start=never", Fails),
        ("body=list&start=never", Fails),
        ("body=empty&start=never", Fails),
        ("body=text", Fails),
    ];
    let odd = [
        ("shape=iterable&body=failing", Cut),
        ("shape=iterable&body=failing", Heads(200)),
        ("shape=iterable&body=failing-first", Fails),
        ("shape=iterable&body=late-text", Cut),
        ("shape=iterable&body=failing-first&start=write", Cut),
        ("shape=generator&body=failing", Cut),
        ("shape=generator&body=late-text", Cut),
        ("shape=file&body=failing", Cut),
        ("shape=unreadable", Fails),
        ("shape=unreadable&start=write", Cut),
        // close() is too late to change anything.
        ("shape=unclosable", Gets(200)),
        ("shape=unclosable&body=failing", Cut),
        ("shape=unclosable&body=failing-first", Fails),
        // Whoever gets all that was promised gets it from a response that would go on for ever.
        ("shape=iterable&body=endless&length=100000", Gets(200)),
        ("shape=generator&body=endless&length=100000", Gets(200)),
        ("shape=generator&body=endless", Heads(200)),
        ("shape=file&body=endless", Heads(200)),
    ];
    let ways = shapes.iter().flat_map(|shape| ways.map(|(query, seen)| (format!("shape={shape}&{query}"), seen)));
    let rows = ways.chain(odd.map(|(query, seen)| (query.to_owned(), seen)));
    let mut client = server.connect();
    for (number, (query, seen)) in rows.enumerate() {
        let noted = Noted::new(&server, number, &query);
        // What fails after all was sent can only close the connection.
        if !send(&mut client, &noted, seen) || query.contains("failing") {
            client = server.connect();
        }
        // Generators are also closed when they are forgotten, so the end of the call is part of what is looked at.
        noted.assert_closed_once();
    }
}

/// Whether the connection goes on.
fn send(client: &mut Client, noted: &Noted<'_>, seen: Seen) -> bool {
    let method = if matches!(seen, Heads(_)) { "HEAD" } else { "GET" };
    client.send(format!("{method} {} HTTP/1.1\r\nHost: test\r\n\r\n", noted.target));
    match (seen, client.try_answer_to(method)) {
        (Gets(status) | Heads(status), Ok(response)) if response.status() == status => !response.closes(),
        (Fails, Ok(response)) if response.status() == 500 => !response.closes(),
        (Cut, Err(Broken::Cut(_) | Broken::Nothing)) => false,
        (_, answer) => panic!("{} should be {seen:?}: {answer:?}\n{}", noted.target, noted.server.log()),
    }
}

#[test]
fn a_client_that_leaves_ends_the_response() {
    let server = serve("");
    for (number, shape) in ["iterable", "generator", "file"].into_iter().enumerate() {
        // In the middle.
        let noted = Noted::new(&server, number, &format!("shape={shape}&body=endless"));
        let mut client = server.connect();
        client.send_get(&noted.target);
        client.begin_chunked();
        drop(client);
        noted.assert_closed_once();
        // Before the first byte, and after it.
        for (body, started) in [("gated", false), ("first-then-gated", true)] {
            let name = format!("{number}-{body}");
            let mut gate = Gate::new(server.folder(), &name);
            let noted = Noted {
                server: &server,
                path: server.folder().join(format!("note-{name}")),
                target: format!(
                    "{}&note={}&shape={shape}&body={body}",
                    gate.target_of("/"),
                    server.folder().join(format!("note-{name}")).display()
                ),
            };
            let mut client = server.connect();
            client.send_get(&noted.target);
            if started {
                assert_eq!(client.begin_chunked(), b"first");
            } else {
                server.await_status("the call is under way", |status| status.in_flight() == 1);
            }
            drop(client);
            gate.open();
            noted.assert_closed_once();
        }
    }
    // It is nobody's mistake.
    assert!(!server.log().contains("Traceback"), "{}", server.log());
}

#[test]
fn write_tells_the_application_that_the_client_has_left() {
    let server = serve("");
    let path = server.folder().join("note-write");
    let mut client = server.connect();
    client.send_get(&format!("/?note={}&shape=writer", path.display()));
    client.begin_chunked();
    drop(client);
    wait::until_true("the application to notice", || fs::read(&path).is_ok_and(|text| text.ends_with(b"\n")));
    assert_eq!(fs::read_to_string(&path).expect("it is there"), "BrokenPipeError\n");
    server.await_status("no call is under way", |status| status.in_flight() == 0);
    assert!(!server.log().contains("Traceback"), "{}", server.log());
}

#[test]
fn a_client_that_does_not_read_is_given_up() {
    let server = serve("--write-timeout 300ms");
    let mut clients = Vec::new();
    for (number, query) in
        ["shape=iterable&body=endless", "shape=generator&body=endless", "shape=file&body=endless"].iter().enumerate()
    {
        let noted = Noted::new(&server, number, query);
        let mut client = server.connect();
        client.send_get(&noted.target);
        assert_eq!(client.try_head().expect("a head").status, 200);
        // Open, and not read from any more.
        clients.push(client);
        noted.assert_closed_once();
    }
    for mut client in clients {
        client.rest();
    }
    let path = server.folder().join("note-write");
    let mut client = server.connect();
    client.send_get(&format!("/?note={}&shape=writer", path.display()));
    wait::until_true("the application to notice", || fs::read(&path).is_ok_and(|text| text.ends_with(b"\n")));
    assert_eq!(fs::read_to_string(&path).expect("it is there"), "BrokenPipeError\n");
}

#[test]
fn a_server_that_stops_lets_a_response_come_to_its_end() {
    let mut server = serve("");
    let mut gate = Gate::new(server.folder(), "gate");
    let path = server.folder().join("note");
    let mut client = server.connect();
    let query = format!("&note={}&shape=iterable&body=first-then-gated", path.display());
    client.send_get(&(gate.target_of("/") + &query));
    assert_eq!(client.begin_chunked(), b"first");
    assert!(server.ctl(&["stop"]).status.success());
    gate.open();
    let mut total = 0;
    while let Some(chunk) = client.try_chunk().expect("a whole response") {
        total += chunk.len();
    }
    assert_eq!(total, 100 * 60_000);
    assert!(server.await_exit().success());
    assert_eq!(fs::read_to_string(&path).expect("it is there"), "closed\n");
}

#[test]
fn a_body_that_never_arrives_whole_never_reaches_the_application() {
    let server = serve("--body-timeout 300ms --body-memory 1k");
    let note = server.folder().join("note-partial");
    let head = format!("POST /?note={}&shape=iterable HTTP/1.1\r\nHost: test\r\n", note.display());
    let partial = [
        ("half of it, in memory", "Content-Length: 20\r\n\r\n0123456789".to_owned()),
        ("half of it, in a file", format!("Content-Length: 100000\r\n\r\n{}", "x".repeat(50_000))),
        ("no last chunk", "Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n".to_owned()),
        ("half a chunk", "Transfer-Encoding: chunked\r\n\r\n5\r\n123".to_owned()),
    ];
    for (what, rest) in &partial {
        // Gone for good, gone for sending, and silent.
        let mut gone = server.connect();
        gone.send(format!("{head}{rest}"));
        drop(gone);
        let mut half_gone = server.connect();
        half_gone.send(format!("{head}{rest}"));
        half_gone.finish();
        half_gone.rest();
        let mut silent = server.connect();
        silent.send(format!("{head}{rest}"));
        let answer = String::from_utf8_lossy(&silent.rest()).into_owned();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{what}: {answer}");
    }
    server.await_status("no connection is left", |status| status.connections() == 0 && status.in_flight() == 0);
    assert_eq!(server.requests(), 0);
    assert!(!note.exists());
}
