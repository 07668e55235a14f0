//! The floor: what a server of this shape costs when it does nothing else. `bench __floor PORT` listens on the loopback
//! interface until it is killed.
//!
//! An edge-triggered event loop (epoll(7)), one read and one write per request, no parsing, no allocation once a
//! connection has been accepted. It answers whatever arrives with the same bytes, so it is no HTTP server: it takes part
//! as a contender (`contenders/floor.toml`) to say how near the others are to what the kernel costs.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

/// The first argument that leads here.
pub(crate) const WORD: &str = "__floor";

/// The application's answer, with a date as long as a true one.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\
    Date: Sun, 22 Nov 2026 17:00:00 GMT\r\n\r\nHello, World!";

/// Events taken per wait.
const EVENTS: usize = 256;

/// Listens on the port in `arguments` and serves. Returns only when that failed, with the exit code to end with.
pub(crate) fn run(mut arguments: impl Iterator<Item = std::ffi::OsString>) -> u8 {
    let port = arguments.next().and_then(|port| port.to_str()?.parse().ok());
    let Some(port) = port else {
        eprintln!("bench: {WORD} is called by bench itself, with a port");
        return 2;
    };
    let served = TcpListener::bind(("127.0.0.1", port)).and_then(|listener| serve(&listener));
    if let Err(error) = served {
        eprintln!("bench: {WORD}: port {port}: {error}");
    }
    1
}

fn serve(listener: &TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, listener, data(listener), EventFlags::IN)?;
    // By descriptor: the kernel gives out the lowest free one, so this stays as long as the most connections ever.
    let mut connections: Vec<Option<TcpStream>> = Vec::new();
    let mut events = [Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; EVENTS];
    let mut buffer = [0; 64 * 1024];
    loop {
        let ready = match epoll::wait(&epoll, &mut events[..], None) {
            Ok(ready) => ready,
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        };
        for event in &events[..ready] {
            // Copied: the kernel's structure is packed.
            let token = event.data;
            if token == data(listener) {
                accept(listener, &epoll, &mut connections)?;
                continue;
            }
            let Some(place) = connections.get_mut(token.u64() as usize) else { continue };
            if place.as_mut().is_some_and(|connection| !answer(connection, &mut buffer)) {
                *place = None;
            }
        }
    }
}

fn data(source: &impl AsRawFd) -> EventData {
    EventData::new_u64(source.as_raw_fd().cast_unsigned().into())
}

fn accept(listener: &TcpListener, epoll: &OwnedFd, connections: &mut Vec<Option<TcpStream>>) -> io::Result<()> {
    loop {
        let connection = match listener.accept() {
            Ok((connection, _)) => connection,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            // Gone again before it was taken (accept(2)).
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
            Err(error) => return Err(error),
        };
        connection.set_nonblocking(true)?;
        connection.set_nodelay(true)?;
        epoll::add(epoll, &connection, data(&connection), EventFlags::IN | EventFlags::ET)?;
        let place = connection.as_raw_fd().cast_unsigned() as usize;
        if connections.len() <= place {
            connections.resize_with(place + 1, || None);
        }
        connections[place] = Some(connection);
    }
}

/// One read, one write. False when the connection is over.
fn answer(connection: &mut TcpStream, buffer: &mut [u8]) -> bool {
    let goes_on = |error: io::Error| error.kind() == ErrorKind::WouldBlock;
    match connection.read(buffer) {
        Ok(0) => false,
        Ok(_) => connection.write(ANSWER).map_or_else(goes_on, |count| count == ANSWER.len()),
        Err(error) => goes_on(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn whatever_arrives_is_answered_until_the_other_side_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        // Serves until the test's process ends.
        thread::spawn(move || serve(&listener));
        for _ in 0..3 {
            let mut connection = TcpStream::connect(address).unwrap();
            let mut got = vec![0; ANSWER.len()];
            for request in ["GET / HTTP/1.1\r\n\r\n", "anything"] {
                connection.write_all(request.as_bytes()).unwrap();
                connection.read_exact(&mut got).unwrap();
                assert_eq!(got, ANSWER);
            }
        }
    }

    #[test]
    fn the_length_is_the_body_s() {
        let text = String::from_utf8_lossy(ANSWER);
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
    }
}
