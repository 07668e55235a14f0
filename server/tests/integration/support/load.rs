//! Load that runs while a test does something to the server.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use super::client::get;
use super::{Broken, Client, Server, wait};

/// Clients that ask one after the other, each on a connection of its own that it keeps as long as the server does, or on
/// a new one each time.
pub(crate) struct Load<'a> {
    server: &'a Server,
    request: String,
    over: AtomicBool,
    answered: AtomicUsize,
    lost: AtomicUsize,
}

impl Load<'_> {
    /// Has `clients` clients ask for `target` for as long as `meanwhile` runs.
    pub(crate) fn run<R>(server: &Server, clients: usize, target: &str, meanwhile: impl FnOnce(&Load<'_>) -> R) -> R {
        Load::send(server, clients, get(target), meanwhile)
    }

    /// The same with a new connection for each request.
    pub(crate) fn run_closing<R>(
        server: &Server,
        clients: usize,
        target: &str,
        meanwhile: impl FnOnce(&Load<'_>) -> R,
    ) -> R {
        let request = format!("GET {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        Load::send(server, clients, request, meanwhile)
    }

    fn send<R>(server: &Server, clients: usize, request: String, meanwhile: impl FnOnce(&Load<'_>) -> R) -> R {
        let load = Load {
            server,
            request,
            over: AtomicBool::new(false),
            answered: AtomicUsize::new(0),
            lost: AtomicUsize::new(0),
        };
        thread::scope(|scope| {
            for _ in 0..clients {
                scope.spawn(|| load.ask());
            }
            // Also when `meanwhile` panics: the scope waits for the clients before it lets a panic through.
            let _end = End(&load.over);
            meanwhile(&load)
        })
    }

    /// Requests answered so far.
    pub(crate) fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    /// Requests without an answer so far.
    pub(crate) fn lost(&self) -> usize {
        self.lost.load(Ordering::Relaxed)
    }

    /// Waits until `more` requests have been answered from now on.
    pub(crate) fn await_answers(&self, more: usize) {
        let goal = self.answered() + more;
        wait::until_true("answers to the load", || self.answered() >= goal);
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// One client's life. An answer that does not come counts as lost; one that is wrong fails the test.
    fn ask(&self) {
        while !self.is_over() {
            let Ok(mut client) = Client::connect(self.server.address()) else {
                self.lost.fetch_add(1, Ordering::Relaxed);
                continue;
            };
            while !self.is_over() {
                let sent = client.try_send(self.request.as_bytes()).map_err(|_| Broken::Nothing);
                match sent.and_then(|()| client.try_answer()) {
                    Ok(response) => {
                        assert_eq!(response.status(), 200, "{response:?}");
                        self.answered.fetch_add(1, Ordering::Relaxed);
                        if response.closes() {
                            break;
                        }
                    }
                    Err(_) => {
                        self.lost.fetch_add(1, Ordering::Relaxed);
                        break;
                    }
                }
            }
        }
    }
}

struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
