//! Clients that behave while others don't, and how long they wait for their answers.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Client, Server, wait};

/// Between a client's answer and its next request: so that the bystanders are no load.
const THINKING: Duration = Duration::from_millis(2);

/// How long answers took, the shortest first.
pub(super) struct Times(Vec<Duration>);

impl Times {
    /// These times.
    pub(super) fn new(mut times: Vec<Duration>) -> Times {
        times.sort_unstable();
        Times(times)
    }

    /// The time that the share `q` of the answers took at most.
    pub(super) fn quantile(&self, q: f64) -> Duration {
        self.0[((self.0.len() - 1) as f64 * q).round() as usize]
    }

    /// The longest of them.
    pub(super) fn worst(&self) -> Duration {
        self.quantile(1.0)
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (p50, p99) = (self.quantile(0.5), self.quantile(0.99));
        write!(f, "{} answers: p50 {p50:?}, p99 {p99:?}, worst {:?}", self.0.len(), self.worst())
    }
}

/// While `meanwhile` runs, one client asks for `/` on a connection that it keeps, another one on a new connection each
/// time. Each must be answered each time.
pub(super) fn beside<R>(server: &Server, meanwhile: impl FnOnce() -> R) -> (R, Times) {
    let over = AtomicBool::new(false);
    let ask = |client: &mut Client| {
        let asked = Instant::now();
        let response = client.get("/");
        let time = asked.elapsed();
        assert_eq!(response.text(), "Hello");
        assert!(client.is_silent_for(THINKING), "a good client is closed or sent more than it asked for");
        time
    };
    let keeping = || {
        let mut client = server.connect();
        let mut times = Vec::new();
        while !over.load(Ordering::Relaxed) {
            times.push(ask(&mut client));
        }
        times
    };
    let renewing = || {
        let mut times = Vec::new();
        while !over.load(Ordering::Relaxed) {
            times.push(ask(&mut server.connect()));
        }
        times
    };
    thread::scope(|scope| {
        let clients = [scope.spawn(keeping), scope.spawn(renewing)];
        let result = {
            // Also when `meanwhile` panics.
            let _end = End(&over);
            meanwhile()
        };
        let times = clients.into_iter().flat_map(|client| client.join().expect("a bystander is content")).collect();
        (result, Times::new(times))
    })
}

struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Has something done in rounds, over and over, while `meanwhile` runs.
pub(super) fn again_and_again<R>(mut round: impl FnMut() + Send, meanwhile: impl FnOnce() -> R) -> R {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                round();
            }
        });
        let _end = End(&over);
        meanwhile()
    })
}

/// Waits until this much time has passed since `since`: for what must *not* happen meanwhile.
pub(super) fn let_pass(since: Instant, span: Duration) {
    wait::moment(since + span);
}
