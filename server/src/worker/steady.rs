//! One worker's pool in this process, with clients on real sockets: what a request costs in steady state.
//!
//! For unit tests only, here and where applications are loaded. Counting instructions works on it, too (CONTRIBUTING.md).

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::eventfd::{EfdFlags, EventFd};

use super::access::AccessLog;
use super::call::Caller;
use super::pool::{Bounds, Pool, TaskBounds};
use super::reactor::{Reactor, Settings};
use crate::config::Timeouts;
use crate::connection::Intake;
use crate::exchange::{Application, CallCost, Failed, Request, ResponseSink};
use crate::listener::Listener;
use crate::proxies::Trusted;
use crate::scoreboard::Scoreboard;
use crate::sys::allocations;
use crate::sys::wakeup::Wakeup;

/// A request as a benchmark sends it.
const REQUEST: &[u8] =
    b"GET /greeting?name=world HTTP/1.1\r\nHost: localhost:8000\r\nUser-Agent: steady\r\nAccept: */*\r\n\r\n";

/// What may be allocated besides requests: the record of recent calls grows for its first two seconds.
pub(crate) const NOW_AND_THEN: u64 = 10;

/// Counts what the pool's threads allocate.
struct Counted(Arc<dyn Application>);

impl Application for Counted {
    fn handle(&self, request: &mut Request, sink: &mut dyn ResponseSink, cost: &mut CallCost) -> Result<(), Failed> {
        self.0.handle(request, sink, cost)
    }

    fn enter_thread(&self, body: &mut dyn FnMut()) {
        allocations::count_this_thread();
        self.0.enter_thread(body);
    }
}

/// Has `application` answer `rounds` requests on each of `connections` kept-alive connections, in bursts of one request on
/// every connection. Returns how many allocations the worker's threads made for them, after as many requests to warm up.
pub(crate) fn allocations(application: Arc<dyn Application>, connections: usize, rounds: usize) -> u64 {
    // All counted threads have one counter.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);

    let scoreboard = Scoreboard::create(1).expect("memfd");
    let scoreboard = Scoreboard::map(scoreboard.as_fd()).expect("mapping");
    let slot = scoreboard.slot(0);
    slot.begin(1, 0);
    let wake = Arc::new(Wakeup::new().expect("eventfd"));
    let access = Arc::new(AccessLog::open(None).expect("no log"));
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    listener.set_nonblocking(true).expect("flag");
    let address = listener.local_addr().expect("bound").to_string();
    let listener = Listener::adopt(listener.into(), &address).expect("TCP");
    let patience = Duration::from_secs(60);
    let timeouts = Timeouts {
        head: patience,
        body: patience,
        keep_alive: patience,
        write: patience,
        graceful: patience,
        request: None,
    };
    let settings = Settings {
        intake: Intake::new(http1::Limits::default(), 1 << 20, 100),
        timeouts,
        most_connections: 100,
        most_accepted: 0,
        greeters: Trusted::default(),
        judge: None,
    };
    // Never readable: nobody is gone.
    let lifeline = EventFd::from_flags(EfdFlags::EFD_CLOEXEC).expect("eventfd").into();
    let reactor = Reactor::new(settings, vec![listener], None, Arc::clone(&wake), lifeline, Arc::clone(&access));
    let caller = Caller::new(Arc::new(Counted(application)), access, patience, true);
    let tasks = TaskBounds { queue: 1, concurrency: 1 };
    // With a limit that nothing reaches: watching it allocates nothing either.
    let bounds = Bounds {
        min_threads: 1,
        max_threads: 1,
        followers: false,
        most_requests: 0,
        graceful: patience,
        tasks,
        most_time: Some(patience),
    };
    let supervisor = Wakeup::new().expect("eventfd");
    let pool = Pool::new(bounds, caller, reactor.expect("epoll"), scoreboard, slot, Arc::clone(&wake), supervisor);
    let worker = std::thread::spawn(move || pool.run());

    let mut clients: Vec<TcpStream> =
        (0..connections).map(|_| TcpStream::connect(&address).expect("a listener")).collect();
    let mut answer = vec![0; 4096];
    let mut burst = |clients: &mut Vec<TcpStream>| {
        for client in &mut *clients {
            client.write_all(REQUEST).expect("open");
        }
        for client in clients {
            let count = client.read(&mut answer).expect("an answer");
            assert!(answer[..count].starts_with(b"HTTP/1.1 200 OK\r\n"), "{}", answer[..count].escape_ascii());
        }
    };
    for _ in 0..rounds {
        burst(&mut clients);
    }
    let before = allocations::counted();
    for _ in 0..rounds {
        burst(&mut clients);
    }
    let made = allocations::counted() - before;
    drop(clients);
    slot.set_kill_pending();
    wake.ring();
    worker.join().expect("the worker ends");
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As small as an application can be.
    struct Greeter;

    impl Application for Greeter {
        fn handle(&self, _: &mut Request, sink: &mut dyn ResponseSink, _: &mut CallCost) -> Result<(), Failed> {
            let answered = sink
                .begin(b"200 OK")
                .and_then(|()| sink.header(b"Content-Type", b"text/plain"))
                .and_then(|()| sink.whole(b"Hello, World!"));
            answered.map_err(|_| Failed)
        }

        fn enter_thread(&self, body: &mut dyn FnMut()) {
            body();
        }
    }

    #[test]
    fn a_request_allocates_nothing() {
        for connections in [1, 8] {
            let made = allocations(Arc::new(Greeter), connections, 500);
            assert!(made <= NOW_AND_THEN, "{made} allocations, {connections} connections");
        }
    }
}
