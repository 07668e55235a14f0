//! Slow clients beside a load: bodies that drip in, answers that are read little by little.
//!
//! A client of its own, because the load generator's connections are as fast as they can be. Each client is a thread
//! that begins again when it was served or cut off; they end when they are told to. Called by the executor.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Between two pieces of a client.
const PAUSE: Duration = Duration::from_millis(50);

/// Longest wait for an answer after the last piece; a wait is cut into pauses so that a client ends when it is told.
const PATIENCE: Duration = Duration::from_secs(10);

/// So many slow clients.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Slowness {
    pub(crate) clients: usize,
    pub(crate) path: String,
    /// Length of the body of an upload; of no meaning for readers.
    #[serde(default)]
    pub(crate) bytes: usize,
    pub(crate) bytes_per_second: usize,
}

/// Slow clients at work.
pub(super) struct Slow {
    told: Arc<Told>,
    threads: Vec<JoinHandle<()>>,
}

/// What clients and their owner tell each other.
#[derive(Debug, Default)]
struct Told {
    stop: AtomicBool,
    served: AtomicU64,
    failed: AtomicU64,
}

/// How one client's connection came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Served,
    /// The owner wanted it.
    Told,
}

impl Slow {
    /// Clients that POST bodies drop by drop.
    ///
    /// # Errors
    /// A thread that cannot be started.
    pub(super) fn uploading(base: &str, slowness: &Slowness) -> Result<Self, String> {
        Self::begin(base, slowness, upload)
    }

    /// Clients that GET and hardly read.
    ///
    /// # Errors
    /// A thread that cannot be started.
    pub(super) fn reading(base: &str, slowness: &Slowness) -> Result<Self, String> {
        Self::begin(base, slowness, read)
    }

    fn begin(
        base: &str,
        slowness: &Slowness,
        client: fn(&str, &Slowness, &AtomicBool) -> io::Result<End>,
    ) -> Result<Self, String> {
        let told = Arc::new(Told::default());
        let address = base.trim_start_matches("http://").to_owned();
        let mut slow = Self { told: Arc::clone(&told), threads: Vec::new() };
        for _ in 0..slowness.clients {
            let (told, address, slowness) = (Arc::clone(&told), address.clone(), slowness.clone());
            let body = move || {
                while !told.stop.load(Ordering::Relaxed) {
                    match client(&address, &slowness, &told.stop) {
                        Ok(End::Told) => {}
                        Ok(End::Served) => drop(told.served.fetch_add(1, Ordering::Relaxed)),
                        Err(_) => {
                            told.failed.fetch_add(1, Ordering::Relaxed);
                            // A server that refuses is not asked a thousand times a second.
                            thread::sleep(PAUSE);
                        }
                    }
                }
            };
            let thread = thread::Builder::new().spawn(body).map_err(|error| format!("a slow client: {error}"))?;
            slow.threads.push(thread);
        }
        Ok(slow)
    }

    /// Ends them: how many answers came whole, and how many did not.
    pub(super) fn finish(mut self) -> (u64, u64) {
        self.end();
        (self.told.served.load(Ordering::Relaxed), self.told.failed.load(Ordering::Relaxed))
    }

    fn end(&mut self) {
        self.told.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // Its own panic has been reported by the panic hook.
            let _ = thread.join();
        }
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.end();
    }
}

/// Bytes of one piece.
fn piece(slowness: &Slowness) -> usize {
    (slowness.bytes_per_second * PAUSE.as_millis() as usize / 1000).max(1)
}

fn connect(address: &str) -> io::Result<TcpStream> {
    let connection = TcpStream::connect(address)?;
    connection.set_nodelay(true)?;
    connection.set_read_timeout(Some(PAUSE))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    Ok(connection)
}

fn upload(address: &str, slowness: &Slowness, stop: &AtomicBool) -> io::Result<End> {
    let mut connection = connect(address)?;
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        slowness.path, slowness.bytes
    );
    connection.write_all(head.as_bytes())?;
    let drop = vec![b'x'; piece(slowness)];
    let mut left = slowness.bytes;
    while left > 0 {
        if stop.load(Ordering::Relaxed) {
            return Ok(End::Told);
        }
        let now = left.min(drop.len());
        connection.write_all(&drop[..now])?;
        left -= now;
        thread::sleep(PAUSE);
    }
    drain(connection, stop, usize::MAX, Duration::ZERO)
}

fn read(address: &str, slowness: &Slowness, stop: &AtomicBool) -> io::Result<End> {
    let mut connection = connect(address)?;
    let head = format!("GET {} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n", slowness.path);
    connection.write_all(head.as_bytes())?;
    drain(connection, stop, piece(slowness), PAUSE)
}

/// Reads the answer in pieces with a pause after each until the server ends the connection, which is asked for. Only an
/// answer 200 is one.
fn drain(mut connection: TcpStream, stop: &AtomicBool, piece: usize, pause: Duration) -> io::Result<End> {
    let mut buffer = vec![0; piece.min(64 * 1024)];
    let mut beginning = Vec::new();
    let mut waited = Duration::ZERO;
    loop {
        if stop.load(Ordering::Relaxed) {
            return Ok(End::Told);
        }
        match connection.read(&mut buffer) {
            Ok(0) if beginning.starts_with(b"HTTP/1.1 200") || beginning.starts_with(b"HTTP/1.0 200") => {
                return Ok(End::Served);
            }
            Ok(0) => return Err(ErrorKind::InvalidData.into()),
            Ok(count) => {
                waited = Duration::ZERO;
                if beginning.len() < 12 {
                    beginning.extend_from_slice(&buffer[..count.min(12)]);
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                waited += PAUSE;
                if waited > PATIENCE {
                    return Err(ErrorKind::TimedOut.into());
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        thread::sleep(pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// A server for one connection after another: reads `bytes` behind the head, then answers.
    fn server(status: &'static str, bytes: usize, answers: usize) -> (String, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let thread = thread::spawn(move || {
            for _ in 0..answers {
                let (mut connection, _) = listener.accept().unwrap();
                let mut got = Vec::new();
                let mut buffer = [0; 256];
                while got.windows(4).position(|w| w == b"\r\n\r\n").is_none_or(|at| got.len() < at + 4 + bytes) {
                    let count = connection.read(&mut buffer).unwrap();
                    assert!(count > 0, "the client went away");
                    got.extend_from_slice(&buffer[..count]);
                }
                connection.write_all(format!("HTTP/1.1 {status}\r\n\r\nwhole").as_bytes()).unwrap();
            }
        });
        (address, thread)
    }

    fn slowness(bytes: usize) -> Slowness {
        Slowness { clients: 1, path: "/".into(), bytes, bytes_per_second: 4000 }
    }

    #[test]
    fn a_slow_client_is_served_or_knows_why_not() {
        let go_on = AtomicBool::new(false);
        let (address, thread) = server("200 OK", 500, 1);
        assert_eq!(upload(&address, &slowness(500), &go_on).unwrap(), End::Served);
        thread.join().unwrap();
        let (address, thread) = server("200 OK", 0, 1);
        assert_eq!(read(&address, &slowness(0), &go_on).unwrap(), End::Served);
        thread.join().unwrap();
        let (address, thread) = server("408 Request Timeout", 500, 1);
        assert_eq!(upload(&address, &slowness(500), &go_on).unwrap_err().kind(), ErrorKind::InvalidData);
        thread.join().unwrap();
        let (address, thread) = server("200 OK", 0, 1);
        assert_eq!(read(&address, &slowness(0), &AtomicBool::new(true)).unwrap(), End::Told);
        drop(thread);
    }
}
