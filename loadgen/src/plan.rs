//! What to do: the resolved plan of a run. Knows nothing of sockets; `run` carries it out. `check`
//! says which plans make no sense.

mod check;

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::error::PlanError;
use crate::message::{Message, Parts};
use crate::resolution::Resolution;
use crate::stage::Stage;
use crate::target::Target;
use crate::targets::{Choice, Entry, RequestList};
use crate::template::{Template, TemplateError};

/// How new requests come about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Load {
    /// Every connection sends its next request when the last one is answered. Says what the
    /// target can do at most; its latencies are those of a saturated target.
    Closed {
        /// When to stop.
        stop: Stop,
    },
    /// Requests are due at times of their own, whatever the target does.
    Open {
        /// Rates in force one after the other. The rate is the total over all threads.
        stages: Vec<Stage>,
        /// How arrivals are spread within a rate.
        arrivals: Arrivals,
        /// Seed of [`Arrivals::Poisson`]; the same seed and thread count give the same arrivals.
        seed: u64,
    },
}

impl Load {
    /// An open loop with evenly spaced arrivals.
    #[must_use]
    pub fn constant(stages: Vec<Stage>) -> Self {
        Self::Open { stages, arrivals: Arrivals::Constant, seed: 0 }
    }

    /// A closed loop that starts requests for this long.
    #[must_use]
    pub fn closed_for(duration: Duration) -> Self {
        Self::Closed { stop: Stop::Duration(duration) }
    }
}

/// When a closed loop stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// No request starts after this time; those in flight are awaited, each up to its timeout.
    Duration(Duration),
    /// After exactly this many recorded requests (those of the warm-up come on top).
    Requests(u64),
}

/// How arrivals are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    /// Evenly: the n-th request at n/rate.
    Constant,
    /// Independently of one another, as from many users: exponential gaps.
    Poisson,
}

/// What happens to a connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Reuse {
    /// It is used again, unless the target asks to close.
    KeepAlive,
    /// It is closed; every request opens its own and says `Connection: close`.
    NewConnectionPerRequest,
}

/// One of the parts that a run is divided into, each on a machine or in a process of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Shard {
    /// Which part this is, counted from 0.
    pub index: u32,
    /// How many parts there are.
    pub count: u32,
}

/// A run, ready to be carried out by [`run`](crate::run()).
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Where requests go.
    pub target: Target,
    /// What sends them.
    pub engine: Engine,
    /// Addresses to connect to in place of the resolver's.
    pub resolve: Vec<Resolution>,
    /// Request method, for instance `GET`.
    pub method: String,
    /// Further header fields, in this order. `Host`, `Content-Length`, `User-Agent` and (for new
    /// connections) `Connection` are added unless they are given here.
    pub headers: Vec<(String, String)>,
    /// Request body; empty for none.
    pub body: Vec<u8>,
    /// Requests to send in place of the one that method, path and body describe; the header fields
    /// go to all of them that have none of the same name. The path of the target, fields and bodies
    /// may have places to fill in, `{seq}`, `{rand}` and `{rand:1..1000}`.
    pub list: Option<RequestList>,
    /// Seed of the numbers and of the order that are left to chance; the same seed and thread count
    /// give the same sequence per thread.
    pub seed: u64,
    /// Connections send back the cookies that responses on them have set.
    pub cookies: bool,
    /// Closed loop: exactly this many connections. Open loop: at most this many; requests due
    /// meanwhile wait in the generator's queue, and that wait is latency. (HTTP/2 may have several
    /// requests outstanding on each, see [`Transport::streams`](crate::Transport::streams).)
    pub connections: usize,
    /// Generator threads; capped at `connections`.
    pub threads: usize,
    /// How requests come about.
    pub load: Load,
    /// Longest wait for a whole answer, from the write.
    pub timeout: Duration,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// What happens to a connection after an answer.
    pub reuse: Reuse,
    /// Load before the measured time, not recorded. In an open loop it runs at the rate with which
    /// the first stage begins.
    pub warmup: Duration,
    /// CPUs to pin the generator threads to, taken in turn; `None` leaves them to the scheduler.
    pub cpus: Option<Vec<usize>>,
    /// Length of one interval of the report.
    pub interval: Duration,
    /// Open loop: most requests due and unanswered, over all threads, those in the generator's queue
    /// included. Further ones are not sent, and counted as [`Unsent`](crate::ErrorKind::Unsent).
    /// `None`: any number waits for a connection.
    pub max_outstanding: Option<usize>,
    /// The generator closes a connection after so many requests. `None`: never.
    pub requests_per_connection: Option<u64>,
    /// Longest time of the whole run, from the first request on, warm-up and drain included. What is
    /// unanswered then is counted as abandoned, and makes the report invalid. `None`: as long as the
    /// load and the timeouts take.
    pub deadline: Option<Duration>,
    /// Closed loop: a connection's time between an answer and its next request.
    pub think_time: Duration,
    /// Only this part of everything above that is a number or a rate, but for the threads; `None` for
    /// all of it.
    pub shard: Option<Shard>,
    /// When load begins, warm-up included; `None` for at once.
    pub start_at: Option<SystemTime>,
    /// Most requests that a connection has written and unanswered at a time. 1 is the rule; with more
    /// (HTTP/1.1 pipelining, RFC 9112 §9.3.2) a request does not wait for the answer of the one
    /// before it. Closed loop: every connection always has so many. Open loop: a request is written
    /// behind others when no connection is free. Whatever ends a connection fails exactly its
    /// unanswered requests.
    pub pipeline: usize,
}

impl Plan {
    /// Connections of a closed loop when nothing else is asked for.
    pub const CLOSED_CONNECTIONS: usize = 32;
    /// Most requests outstanding in an open loop when nothing else is asked for.
    pub const OPEN_CONNECTIONS: usize = 4096;

    /// A GET of `target` under `load`: the engine that the target needs, keep-alive, one thread, no
    /// warm-up, 1 s intervals, 10 s timeout, 5 s connect timeout, and the connections that suit the
    /// load.
    #[must_use]
    pub fn new(target: Target, load: Load) -> Self {
        let connections = match load {
            Load::Closed { .. } => Self::CLOSED_CONNECTIONS,
            Load::Open { .. } => Self::OPEN_CONNECTIONS,
        };
        Self {
            engine: Engine::for_target(&target),
            target,
            resolve: Vec::new(),
            method: "GET".to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            list: None,
            seed: 0,
            cookies: false,
            connections,
            threads: 1,
            load,
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            reuse: Reuse::KeepAlive,
            warmup: Duration::ZERO,
            cpus: None,
            interval: Duration::from_secs(1),
            max_outstanding: None,
            requests_per_connection: None,
            deadline: None,
            think_time: Duration::ZERO,
            shard: None,
            start_at: None,
            pipeline: 1,
        }
    }

    /// What is sent: the requests of the list, or the one of the plan.
    ///
    /// # Errors
    /// A place to fill in that makes no sense, with the field that it is in.
    pub(crate) fn messages(&self) -> Result<Vec<Message>, PlanError> {
        let wrong = |field, error: TemplateError| PlanError { field, reason: error.to_string() };
        let one = Parts {
            method: &self.method,
            path: self.target.path(),
            host: self.target.host(),
            headers: &self.headers,
            body: &self.body,
            close: self.reuse == Reuse::NewConnectionPerRequest,
            cookies: self.cookies,
        };
        let Some(list) = &self.list else {
            // Each part by itself, so that the error names the right one.
            Template::parse(self.target.path().as_bytes()).map_err(|error| wrong("target", error))?;
            Template::parse(&self.body).map_err(|error| wrong("body", error))?;
            return Ok(vec![Message::new(one).map_err(|error| wrong("header", error))?]);
        };
        let message = |entry: &Entry| {
            let given = |name: &str| entry.headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
            let shared = self.headers.iter().filter(|(name, _)| !given(name)).cloned();
            let headers: Vec<(String, String)> = shared.chain(entry.headers.iter().cloned()).collect();
            let of_entry =
                Parts { method: &entry.method, path: &entry.path, headers: &headers, body: &entry.body, ..one };
            Message::new(of_entry).map_err(|error| wrong("targets", error))
        };
        list.entries.iter().map(message).collect()
    }

    /// Which of the messages comes when.
    pub(crate) fn choice(&self) -> Result<Choice, PlanError> {
        let Some(list) = &self.list else {
            return Ok(Choice::only());
        };
        let weights: Vec<u32> = list.entries.iter().map(|entry| entry.weight).collect();
        let long = "the weights add up to more than a million; use smaller ones";
        Choice::new(&weights, list.order).ok_or(PlanError { field: "targets", reason: long.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::Order;

    fn plan() -> Plan {
        let target = "http://a:81/x".parse().unwrap();
        Plan::new(target, Load::closed_for(Duration::from_secs(1)))
    }

    #[test]
    fn a_list_takes_the_place_of_the_request() {
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let entry = |method: &str, path: &str, headers| Entry {
            method: method.to_owned(),
            path: path.to_owned(),
            headers,
            body: Vec::new(),
            weight: 1,
        };
        let entries = vec![entry("GET", "/1", vec![]), entry("DELETE", "/2", vec![field("x-own", "b")])];
        let list = RequestList { entries, order: Order::Sequential };
        let plan = Plan {
            list: Some(list),
            headers: vec![field("X-Own", "a"), field("X-All", "c")],
            reuse: Reuse::NewConnectionPerRequest,
            ..plan()
        };
        let texts: Vec<String> =
            plan.messages().unwrap().iter().map(|one| String::from_utf8(one.fixed().unwrap()).unwrap()).collect();
        let agent = concat!("User-Agent: loadgen/", env!("CARGO_PKG_VERSION"), "\r\n");
        // What an entry says about a field goes before what is said for all.
        let expected = [
            format!("GET /1 HTTP/1.1\r\nHost: a:81\r\n{agent}X-Own: a\r\nX-All: c\r\nConnection: close\r\n\r\n"),
            format!("DELETE /2 HTTP/1.1\r\nHost: a:81\r\n{agent}X-All: c\r\nx-own: b\r\nConnection: close\r\n\r\n"),
        ];
        assert_eq!(texts, expected);
    }
}
