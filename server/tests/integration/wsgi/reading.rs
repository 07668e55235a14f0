//! `wsgi.input` reads like a file of Python's own, wherever the body is.

use std::fs;

use crate::support::browser::content;
use crate::support::processes::status_field;
use crate::support::{Client, Launch, Response, Server};

/// Bodies over this many bytes go to a file.
const BOUND: usize = 64 << 10;

fn serve() -> Server {
    Launch::new("reading:app").fixed(1, 2).args("--body-memory 64k").start()
}

/// How a body is sent.
#[derive(Debug, Clone, Copy)]
enum Form {
    Length,
    /// In chunks of so many bytes.
    Chunked(usize),
}

fn post(client: &mut Client, target: &str, form: Form, body: &[u8]) -> Response {
    match form {
        Form::Length => client.request("POST", target, &[], body),
        Form::Chunked(size) => {
            let mut message =
                format!("POST {target} HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n").into_bytes();
            for chunk in body.chunks(size) {
                message.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                message.extend_from_slice(chunk);
                message.extend_from_slice(b"\r\n");
            }
            message.extend_from_slice(b"0\r\n\r\n");
            client.send(message);
            client.answer()
        }
    }
}

/// Lines of all lengths, some empty, with every byte value; the last one without an end.
fn lines(size: usize) -> Vec<u8> {
    let mut body = content(size);
    for (place, byte) in body.iter_mut().enumerate() {
        // content() has few line ends of its own, and far apart.
        if place % 97 == 0 || place % 1009 < 3 || (place / 5000) % 3 == 1 && place % 11 == 0 {
            *byte = b'\n';
        }
    }
    body
}

#[test]
fn every_sequence_of_reads_gives_what_bytesio_gives() {
    let server = serve();
    let path = server.folder().join("body");
    let bodies: [(&str, Vec<u8>); 9] = [
        ("empty", Vec::new()),
        ("one byte", vec![b'\n']),
        ("short", lines(1000)),
        ("zeros", vec![0; 5000]),
        ("line ends only", vec![b'\n'; 3000]),
        ("as much as stays in memory", lines(BOUND)),
        ("one more, in a file", lines(BOUND + 1)),
        ("large", lines(300_000)),
        ("one long line in a file", content(200_000).into_iter().filter(|byte| *byte != b'\n').collect()),
    ];
    let mut client = server.connect();
    for (name, body) in &bodies {
        fs::write(&path, body).expect("a file can be written");
        for seed in 0..12 {
            // Chunks both smaller and larger than what is read at once.
            let form = [Form::Length, Form::Chunked(777), Form::Chunked(100_000)][seed % 3];
            let target = format!("/random?path={}&seed={seed}", path.display());
            let response = post(&mut client, &target, form, body);
            assert_eq!(response.text(), "same", "{name}, {form:?}, seed {seed}\n{}", server.log());
            assert_eq!(response.header("X-Terminated"), Some("True"));
        }
    }
}

#[test]
fn wrong_arguments_raise_what_bytesio_raises_and_cost_nothing() {
    let server = serve();
    let mut client = server.connect();
    for size in [100, BOUND * 2] {
        assert_eq!(post(&mut client, "/wrong", Form::Length, &lines(size)).text(), format!("{size} left"));
    }
}

#[test]
fn the_standard_library_takes_it_for_a_file() {
    let server = serve();
    let mut client = server.connect();
    let body = "é1\n2\r\n✓".repeat(10_000);
    for body in ["é1\n2\r\n✓", &*body] {
        let lines = body.split_inclusive('\n').collect::<Vec<_>>().join("|");
        assert_eq!(post(&mut client, "/wrapped?kind=text", Form::Length, body.as_bytes()).text(), lines);
    }
    let body = "x".repeat(BOUND * 2);
    for body in ["peeked at", &body] {
        let expected = format!("{}|{body}", &body[..1]);
        assert_eq!(post(&mut client, "/wrapped?kind=buffered", Form::Length, body.as_bytes()).text(), expected);
    }
    let flags = post(&mut client, "/wrapped?kind=flags", Form::Length, b"x");
    assert_eq!(flags.text(), "[True, False, False, False] AttributeError AttributeError");
}

#[test]
fn a_closed_input_is_closed_for_this_request_only() {
    let server = serve();
    let mut client = server.connect();
    let refuses = "['ValueError', 'ValueError', 'ValueError', 'ValueError']";
    for size in [10, BOUND * 2] {
        let response = post(&mut client, "/closed", Form::Length, &vec![b'x'; size]);
        assert_eq!(response.text(), format!("b'xx' True {refuses}"), "{size}");
    }
    // Requests without a body share their input.
    assert!(client.get("/closed").text().starts_with("b'' False"));
    assert!(client.get("/closed").text().starts_with("b'' False"));
}

#[test]
fn large_uploads_take_no_memory() {
    let server = Launch::new("plain:app").fixed(1, 2).start();
    let worker = server.status().pids()[0];
    let peak = || -> u64 {
        let text = status_field(worker, "VmHWM").expect("the worker lives");
        text.trim_end_matches(" kB").parse().expect("kilobytes")
    };
    let mut client = server.connect();
    client.request("POST", "/count", &[], b"warm");
    let before = peak();
    let piece = content(1 << 20);
    client.send(format!("POST /count HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n", 100 * piece.len()));
    for _ in 0..100 {
        client.send(&piece);
    }
    assert_eq!(client.answer().text(), (100 * piece.len()).to_string());
    client.send("POST /count HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n");
    for _ in 0..100 {
        client.send([b"100000\r\n", &*piece, b"\r\n"].concat());
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.answer().text(), (100 * piece.len()).to_string());
    let grown = peak() - before;
    // The megabyte that stays in memory, some buffers, some room for the allocator.
    assert!(grown < 8 << 10, "the worker has grown by {grown} KiB");
}
