//! Servers for the tests: a thread per connection, doing what the test says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use loadgen::{Load, Plan, Report, Stop, Target, parse_stages};

/// A plain answer.
pub(crate) const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// A request as the server saw it.
pub(crate) struct Request {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

/// Set once, when the server is to stop.
#[derive(Default)]
struct Stopping {
    set: Mutex<bool>,
    changed: Condvar,
}

/// One accepted connection.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    reader: BufReader<TcpStream>,
    stopping: Arc<Stopping>,
}

impl Client {
    /// The next request, with its body; `None` when the client is gone or the server is stopped.
    pub(crate) fn request(&mut self) -> Option<Request> {
        let head = self.head()?;
        let length = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map_or(0, |(_, length)| length.parse().unwrap());
        let mut body = vec![0; length];
        self.reader.read_exact(&mut body).ok()?;
        Some(Request { head, body })
    }

    /// The head of the next request only.
    pub(crate) fn head(&mut self) -> Option<String> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.reader.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        Some(head)
    }

    /// Nothing that the client has sent is read and not asked for yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.reader.buffer().is_empty()
    }

    /// Sends bytes; a client that is gone is no failure of the server.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Blocks until the client closes the connection or the server is stopped.
    pub(crate) fn hold(&mut self) {
        let _ = std::io::copy(&mut self.reader, &mut std::io::sink());
    }

    /// Waits for the first byte and leaves it unread: closing then resets the connection.
    pub(crate) fn peek(&mut self) {
        let _ = self.stream.peek(&mut [0]);
    }

    /// Keeps the connection without reading from it until the server is stopped.
    pub(crate) fn ignore(&self) {
        let set = self.stopping.set.lock().unwrap();
        drop(self.stopping.changed.wait_while(set, |set| !*set).unwrap());
    }
}

/// A server; stopped, with all its connections cut, when dropped.
pub(crate) struct Server {
    port: u16,
    accepted: Arc<AtomicUsize>,
    stopping: Arc<Stopping>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Calls `serve` on a thread of its own for every connection.
    pub(crate) fn start(serve: impl Fn(&mut Client) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let accepted = Arc::new(AtomicUsize::new(0));
        let stopping = Arc::new(Stopping::default());
        let (count, stop) = (Arc::clone(&accepted), Arc::clone(&stopping));
        let serve = Arc::new(serve);
        let thread = thread::spawn(move || accept(&listener, &count, &stop, &serve));
        Self { port, accepted, stopping, thread: Some(thread) }
    }

    /// A server that answers every request with the same bytes.
    pub(crate) fn answering(answer: &'static [u8]) -> Self {
        Self::start(move |client| {
            while client.request().is_some() {
                client.send(answer);
            }
        })
    }

    pub(crate) fn target(&self) -> Target {
        Target::tcp("127.0.0.1", self.port, "/").unwrap()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Connections accepted so far.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

fn accept<S: Fn(&mut Client) + Send + Sync + 'static>(
    listener: &TcpListener,
    count: &AtomicUsize,
    stop: &Arc<Stopping>,
    serve: &Arc<S>,
) {
    let mut connections = Vec::new();
    for stream in listener.incoming() {
        let stream = stream.unwrap();
        if *stop.set.lock().unwrap() {
            break;
        }
        count.fetch_add(1, Ordering::SeqCst);
        stream.set_nodelay(true).unwrap();
        // Kept weakly, through a clone that is shut down at the end: the connection itself must be
        // closed as soon as the test's closure is done with it.
        let serve = Arc::clone(serve);
        let stopping = Arc::clone(stop);
        let registered = Arc::new(stream);
        let weak = Arc::downgrade(&registered);
        let thread = thread::spawn(move || {
            let Ok(stream) = registered.try_clone() else {
                return;
            };
            let Ok(reading) = registered.try_clone() else {
                return;
            };
            serve(&mut Client { stream, reader: BufReader::new(reading), stopping });
        });
        connections.push((weak, thread));
    }
    for (connection, thread) in connections {
        if let Some(connection) = connection.upgrade() {
            let _ = connection.shutdown(Shutdown::Both);
        }
        thread.join().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        *self.stopping.set.lock().unwrap() = true;
        self.stopping.changed.notify_all();
        // Wakes the accept loop.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(thread) = self.thread.take() {
            let failed = thread.join().is_err();
            assert!(!failed || thread::panicking(), "the test's server panicked");
        }
    }
}

/// A closed loop of so many requests.
pub(crate) fn requests(target: Target, count: u64, connections: usize) -> Plan {
    let load = Load::Closed { stop: Stop::Requests(count) };
    Plan { connections, timeout: Duration::from_secs(20), ..Plan::new(target, load) }
}

/// An open loop.
pub(crate) fn stages(target: Target, stages: &str) -> Plan {
    Plan::new(target, Load::constant(parse_stages(stages).unwrap()))
}

/// Runs a plan to its end and checks what holds for every report.
pub(crate) fn run(plan: &Plan) -> Report {
    let mut seen = 0;
    let report = loadgen::run(plan, &mut |_| seen += 1, &AtomicBool::new(false)).unwrap();
    check(&report);
    assert_eq!(report.intervals.len(), seen, "each interval was shown once");
    report
}

/// Nothing is counted twice or lost.
pub(crate) fn check(report: &Report) {
    let sum = |count: fn(&loadgen::Interval) -> u64| report.intervals.iter().map(count).sum::<u64>();
    assert_eq!(report.requests, report.answered + report.failed() + report.abandoned, "{report:#?}");
    assert_eq!(report.answered, report.latency.count + report.latency.overflow);
    assert_eq!(report.answered, report.service.count + report.service.overflow);
    assert_eq!(report.answered, report.statuses.values().sum::<u64>());
    assert_eq!(report.answered, sum(|i| i.answered));
    assert_eq!(report.requests, sum(|i| i.offered));
    assert_eq!(report.errors_total(), sum(loadgen::Interval::errors_total));
    let latencies = loadgen::Distribution::merged(report.intervals.iter().map(|i| &i.latency));
    assert_eq!(latencies.unwrap(), report.latency);
    let first_bytes = loadgen::Distribution::merged(report.intervals.iter().map(|i| &i.first_byte));
    assert_eq!(first_bytes.unwrap(), report.first_byte);
}
