//! The floor of what a server costs: a program that does one read and one write per request, without
//! a look at what was read. The benches start themselves anew as this server.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

/// HTTP/1.0 clients such as ab take a connection for kept only when they are told so.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\
    Connection: keep-alive\r\nDate: Sun, 22 Nov 2026 17:00:00 GMT\r\n\r\nHello, World!";

/// A command that runs on one CPU.
pub(crate) fn pinned(cpu: usize, line: &[String]) -> Command {
    let mut command = Command::new("taskset");
    command.arg("-c").arg(cpu.to_string()).args(line);
    command
}

/// Starts the current program anew, with `--serve`, on a CPU; it is to call [`serve`]. Returns the
/// port it listens on.
pub(crate) fn start(cpu: usize) -> io::Result<(Child, u16)> {
    let program = std::env::current_exe()?.to_string_lossy().into_owned();
    let mut child = pinned(cpu, &[program, "--serve".to_owned()]).stdout(Stdio::piped()).spawn()?;
    let mut port = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut port)?;
    }
    let port = port.trim().parse().map_err(|_| io::Error::other(format!("the floor printed {port:?} as its port")))?;
    Ok((child, port))
}

/// Listens, prints the port, and serves for ever, but for its `freezes`: each is when it begins, from
/// the first connection on, and how long it lasts.
pub(crate) fn serve(mut freezes: impl Iterator<Item = (Duration, Duration)>) -> io::Result<()> {
    const LISTENER: Token = Token(usize::MAX);
    let mut poll = Poll::new()?;
    let mut listener = mio::net::TcpListener::bind(([127, 0, 0, 1], 0).into())?;
    println!("{}", listener.local_addr()?.port());
    io::stdout().flush()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut connections: Vec<Option<mio::net::TcpStream>> = Vec::new();
    let mut events = Events::with_capacity(256);
    let mut buffer = vec![0; 64 * 1024];
    let mut next: Option<(Instant, Duration)> = None;
    let mut began: Option<Instant> = None;
    loop {
        if let (None, Some(began)) = (next, began) {
            next = freezes.next().map(|(after, length)| (began + after, length));
        }
        poll.poll(&mut events, next.map(|(at, _)| at.saturating_duration_since(Instant::now())))?;
        if let Some((at, length)) = next.filter(|(at, _)| Instant::now() >= *at) {
            std::thread::sleep((at + length).saturating_duration_since(Instant::now()));
            next = None;
        }
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((mut stream, _)) = listener.accept() {
                    stream.set_nodelay(true)?;
                    let token = Token(connections.len());
                    poll.registry().register(&mut stream, token, Interest::READABLE)?;
                    connections.push(Some(stream));
                    began.get_or_insert_with(Instant::now);
                }
                continue;
            }
            let Some(connection) = &mut connections[event.token().0] else { continue };
            let read = connection.read(&mut buffer).unwrap_or(0);
            if read == 0 || connection.write_all(ANSWER).is_err() {
                connections[event.token().0] = None;
            }
        }
    }
}
