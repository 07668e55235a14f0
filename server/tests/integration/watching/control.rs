//! The control socket when more come than have a place there.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

use crate::support::status::Reply;
use crate::support::{Launch, Server, wait};

/// As in the supervisor.
const PLACES: usize = 16;

fn connect(server: &Server) -> UnixStream {
    let client = UnixStream::connect(server.control()).expect("the backlog has room");
    client.set_read_timeout(Some(wait::PATIENCE)).expect("a time-out can be set");
    client
}

fn ask(server: &Server) -> UnixStream {
    let mut client = connect(server);
    client.write_all(b"{\"command\":\"status\"}\n").expect("the backlog takes it");
    client
}

fn answer(client: UnixStream) -> Reply {
    let mut line = String::new();
    BufReader::new(client).read_line(&mut line).expect("an answer in time");
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
}

#[test]
fn who_finds_no_place_gets_that_of_the_next_to_leave() {
    let server = Launch::new("plain:app").fixed(1, 1).start();
    let mut silent: Vec<UnixStream> = (0..PLACES).map(|_| connect(&server)).collect();
    let waiting: Vec<UnixStream> = (0..3 * PLACES).map(|_| ask(&server)).collect();
    // All of them through one place.
    drop(silent.pop());
    for client in waiting {
        assert_eq!(answer(client).ok.pid, server.pid());
    }
    // Then there is one for whoever comes.
    assert!(server.ctl(&["status"]).status.success());
    drop(silent);
    let more: Vec<UnixStream> = (0..2 * PLACES).map(|_| ask(&server)).collect();
    more.into_iter().for_each(|client| assert_eq!(answer(client).ok.pid, server.pid()));
}

#[test]
fn who_says_nothing_keeps_nobody_out() {
    let server = Launch::new("plain:app").fixed(1, 1).start();
    let silent: Vec<UnixStream> = (0..PLACES).map(|_| connect(&server)).collect();
    let waiting: Vec<UnixStream> = (0..PLACES).map(|_| ask(&server)).collect();
    for client in waiting {
        assert_eq!(answer(client).ok.pid, server.pid());
    }
    drop(silent);
}
