//! Many connections that do nothing: each has had one request answered and is kept open.
//!
//! A client of its own, because the load generator has no connection that is never used. Called by `idle`.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit};

/// Descriptors that the harness needs beside these connections, generously.
const OTHER_FILES: u64 = 256;

/// Open connections without a request.
#[derive(Debug)]
pub(crate) struct Crowd {
    connections: Vec<TcpStream>,
}

impl Crowd {
    /// Makes `count` connections to the server at `base`, one after the other, each with one request to `/` answered,
    /// and `timeout` for each step.
    ///
    /// # Errors
    /// A limit on open files that is too low, or the first connection that could not be made: a sentence.
    pub(crate) fn gather(base: &str, count: usize, timeout: Duration) -> Result<Self, String> {
        let needed = count as u64 + OTHER_FILES;
        let (allowed, _) = getrlimit(Resource::RLIMIT_NOFILE).map_err(|error| format!("open files: {error}"))?;
        if allowed < needed {
            return Err(format!(
                "{count} connections need {needed} open files, and {allowed} are allowed: raise the hard limit (ulimit -Hn)"
            ));
        }
        let address = address(base)?;
        let connections = (0..count)
            .map(|number| {
                open(address, timeout).map_err(|error| format!("idle connection {number} of {count}: {error}"))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { connections })
    }

    /// How many of them the server has not closed.
    pub(crate) fn left(&self) -> usize {
        self.connections.iter().filter(|connection| is_open(connection)).count()
    }
}

/// The address in `http://127.0.0.1:PORT`.
fn address(base: &str) -> Result<SocketAddr, String> {
    let text = base.strip_prefix("http://").unwrap_or(base);
    text.parse().map_err(|_| format!("{base} is no address"))
}

fn open(address: SocketAddr, timeout: Duration) -> std::io::Result<TcpStream> {
    let mut connection = TcpStream::connect_timeout(&address, timeout)?;
    connection.set_nodelay(true)?;
    connection.set_read_timeout(Some(timeout))?;
    // In one write: formatting straight into the socket would send every part for itself.
    connection.write_all(format!("GET / HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes())?;
    let mut answer = Vec::with_capacity(512);
    let mut buffer = [0; 512];
    while !is_whole(&answer) {
        match connection.read(&mut buffer)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            count => answer.extend_from_slice(&buffer[..count]),
        }
    }
    connection.set_nonblocking(true)?;
    Ok(connection)
}

/// Whether the answer of `/` has arrived. The gate has checked what it is: its body is the same for every server and
/// occurs in no head, whatever the framing; a chunked one has its last chunk behind it.
fn is_whole(answer: &[u8]) -> bool {
    const BODY: &[u8] = b"Hello, World!";
    let Some(at) = answer.windows(BODY.len()).position(|window| window == BODY) else {
        return false;
    };
    let (head, rest) = (&answer[..at], &answer[at + BODY.len()..]);
    let chunked = head.to_ascii_lowercase().windows(7).any(|window| window == b"chunked");
    !chunked || rest.ends_with(b"0\r\n\r\n")
}

/// Nothing has come since the answer, and the other side has not ended.
fn is_open(connection: &TcpStream) -> bool {
    matches!(connection.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    #[test]
    fn answers_are_whole_with_their_body() {
        let rows: [(&[u8], bool); 5] = [
            (b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, World", false),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, World!", true),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nd\r\nHello, World!\r\n", false),
            (b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\nd\r\nHello, World!\r\n0\r\n\r\n", true),
            (b"", false),
        ];
        for (answer, whole) in rows {
            assert_eq!(is_whole(answer), whole, "{}", String::from_utf8_lossy(answer));
        }
    }

    /// A server that answers every connection once, keeps the first `kept` and closes the others.
    #[test]
    fn connections_that_the_server_closes_are_not_left() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            let mut connections = Vec::new();
            for _ in 0..5 {
                let (mut connection, _) = listener.accept().unwrap();
                let mut head = [0; 256];
                assert!(connection.read(&mut head).unwrap() > 0);
                connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, World!").unwrap();
                connections.push(connection);
            }
            connections.truncate(3);
            connections
        });
        let crowd = Crowd::gather(&base, 5, Duration::from_secs(10)).unwrap();
        // The server's end of a closed connection has been closed once the thread is over; on the loopback interface
        // the other end knows at once.
        let kept = server.join().unwrap();
        assert_eq!(crowd.left(), kept.len());
    }

    #[test]
    fn a_server_that_is_not_there_is_told() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = Crowd::gather(&format!("http://{free}"), 2, Duration::from_secs(10)).unwrap_err();
        assert!(error.starts_with("idle connection 0 of 2: "), "{error}");
        assert!(Crowd::gather("http://nowhere", 1, Duration::from_secs(1)).is_err());
    }
}
