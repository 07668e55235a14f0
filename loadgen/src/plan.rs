//! What to do: the resolved plan of a run. Knows nothing of sockets; `run` carries it out.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::error::PlanError;
use crate::target::Target;

/// How new requests come about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// No request starts after this time; those in flight are awaited, each up to its timeout.
    Duration(Duration),
    /// After exactly this many recorded requests (those of the warm-up come on top).
    Requests(u64),
}

/// A time with one rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// How long, more than zero.
    pub duration: Duration,
    /// Requests per second, total; 0 is a pause.
    pub rate: f64,
}

/// How arrivals are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    /// Evenly: the n-th request at n/rate.
    Constant,
    /// Independently of one another, as from many users: exponential gaps.
    Poisson,
}

/// What happens to a connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reuse {
    /// It is used again, unless the target asks to close.
    KeepAlive,
    /// It is closed; every request opens its own and says `Connection: close`.
    NewConnectionPerRequest,
}

/// One of the parts that a run is divided into, each on a machine or in a process of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Request method, for instance `GET`.
    pub method: String,
    /// Further header fields, in this order. `Host`, `Content-Length`, `User-Agent` and (for new
    /// connections) `Connection` are added unless they are given here.
    pub headers: Vec<(String, String)>,
    /// Request body; empty for none.
    pub body: Vec<u8>,
    /// Closed loop: exactly this many connections. Open loop: at most this many, and so many requests
    /// outstanding; further ones wait in the generator's queue, and that wait is latency. (HTTP/2 may have
    /// several requests outstanding on each, see [`Transport::streams`](crate::Transport::streams).)
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
    /// Load before the measured time, not recorded. In an open loop it runs at the first stage's
    /// rate.
    pub warmup: Duration,
    /// CPUs to pin the generator threads to, taken in turn; `None` leaves them to the scheduler.
    pub cpus: Option<Vec<usize>>,
    /// Length of one interval of the report.
    pub interval: Duration,
    /// Only this part of everything above that is a number or a rate; `None` for all of it.
    pub shard: Option<Shard>,
    /// When load begins, warm-up included; `None` for at once.
    pub start_at: Option<SystemTime>,
}

impl Plan {
    /// Connections of a closed loop when nothing else is asked for.
    pub const CLOSED_CONNECTIONS: usize = 32;
    /// Most requests outstanding in an open loop when nothing else is asked for.
    pub const OPEN_CONNECTIONS: usize = 4096;

    /// A GET of `target` under `load`: the engine that suits the target, keep-alive, one thread, no warm-up, 1 s intervals, 10 s
    /// timeout, 5 s connect timeout, and the connections that suit the load.
    #[must_use]
    pub fn new(target: Target, load: Load) -> Self {
        let connections = match load {
            Load::Closed { .. } => Self::CLOSED_CONNECTIONS,
            Load::Open { .. } => Self::OPEN_CONNECTIONS,
        };
        Self {
            engine: Engine::for_target(&target),
            target,
            method: "GET".to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            connections,
            threads: 1,
            load,
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            reuse: Reuse::KeepAlive,
            warmup: Duration::ZERO,
            cpus: None,
            interval: Duration::from_secs(1),
            shard: None,
            start_at: None,
        }
    }

    /// Checks what the types cannot. [`run`](crate::run()) calls this first.
    ///
    /// # Errors
    /// The first field that makes no sense.
    pub fn check(&self) -> Result<(), PlanError> {
        let wrong = |field, reason: &str| Err(PlanError { field, reason: reason.to_owned() });
        if !is_token(&self.method) {
            return wrong("method", "must be a method name such as GET or POST");
        }
        for (name, value) in &self.headers {
            if !is_token(name) {
                return wrong("header", &format!("{name:?} is no field name"));
            }
            if value.bytes().any(|b| matches!(b, b'\r' | b'\n' | 0)) {
                return wrong("header", &format!("the value of {name} contains a line break"));
            }
            if name.eq_ignore_ascii_case("transfer-encoding") {
                return wrong("header", "Transfer-Encoding is not supported; the body is sent whole");
            }
            if name.eq_ignore_ascii_case("content-length") && value.parse::<usize>() != Ok(self.body.len()) {
                return wrong("header", "Content-Length differs from the body's length");
            }
        }
        if self.connections == 0 {
            return wrong("connections", "must be at least 1");
        }
        if self.threads == 0 {
            return wrong("threads", "must be at least 1");
        }
        if self.timeout.is_zero() {
            return wrong("timeout", "must be more than 0");
        }
        if self.connect_timeout.is_zero() {
            return wrong("connect-timeout", "must be more than 0");
        }
        if self.interval < Duration::from_millis(10) {
            return wrong("interval", "must be at least 10ms");
        }
        if self.cpus.as_ref().is_some_and(Vec::is_empty) {
            return wrong("cpus", "must name at least one CPU");
        }
        if let Some(late) = self.start_at.and_then(|start| SystemTime::now().duration_since(start).ok()) {
            return wrong(
                "start-at",
                &format!(
                    "that time was {:.1} s ago; choose one that leaves every shard time to begin",
                    late.as_secs_f64()
                ),
            );
        }
        if let Some(shard) = self.shard {
            shard.check(self)?;
        }
        self.engine.check(&self.target)?;
        self.check_load()
    }

    fn check_load(&self) -> Result<(), PlanError> {
        let wrong = |field, reason: &str| Err(PlanError { field, reason: reason.to_owned() });
        match &self.load {
            Load::Closed { stop: Stop::Duration(duration) } if duration.is_zero() => {
                wrong("duration", "must be more than 0")
            }
            Load::Closed { stop: Stop::Requests(0) } => wrong("requests", "must be at least 1"),
            Load::Closed { .. } => Ok(()),
            Load::Open { stages, .. } => {
                if stages.iter().any(|s| !s.rate.is_finite() || s.rate < 0.0) {
                    return wrong("stages", "a rate must be a number of requests per second");
                }
                if stages.iter().any(|s| s.duration.is_zero()) {
                    return wrong("stages", "a stage must last longer than 0");
                }
                if stages.iter().all(|s| s.rate == 0.0) {
                    return wrong("stages", "at least one stage needs a rate above 0");
                }
                Ok(())
            }
        }
    }

    /// The bytes of one request, the same for every request of the run.
    pub(crate) fn request_bytes(&self) -> Vec<u8> {
        let given = |name: &str| self.headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target.path());
        let mut field = |name: &str, value: &str| {
            head.push_str(name);
            head.push_str(": ");
            head.push_str(value);
            head.push_str("\r\n");
        };
        if !given("host") {
            field("Host", self.target.host());
        }
        if !given("user-agent") {
            field("User-Agent", concat!("loadgen/", env!("CARGO_PKG_VERSION")));
        }
        for (name, value) in &self.headers {
            field(name, value);
        }
        if self.reuse == Reuse::NewConnectionPerRequest && !given("connection") {
            field("Connection", "close");
        }
        // RFC 9110 §8.6: methods that anticipate content send a length even when it is zero.
        let expected = matches!(self.method.as_str(), "POST" | "PUT" | "PATCH");
        if (expected || !self.body.is_empty()) && !given("content-length") {
            field("Content-Length", &self.body.len().to_string());
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// RFC 9110 §5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        let target = "http://a:81/x".parse().unwrap();
        Plan::new(target, Load::closed_for(Duration::from_secs(1)))
    }

    #[test]
    fn wrong_plans_name_the_field() {
        let open = |rate| Load::constant(vec![Stage { duration: Duration::from_secs(1), rate }]);
        let header = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        let rows: Vec<(Plan, Option<&str>)> = vec![
            (plan(), None),
            (Plan { method: "G T".into(), ..plan() }, Some("method")),
            (Plan { headers: header("X", "a\r\nY: b"), ..plan() }, Some("header")),
            (Plan { headers: header("X Y", "a"), ..plan() }, Some("header")),
            (Plan { headers: header("Transfer-Encoding", "chunked"), ..plan() }, Some("header")),
            (Plan { headers: header("Content-Length", "3"), ..plan() }, Some("header")),
            (Plan { connections: 0, ..plan() }, Some("connections")),
            (Plan { threads: 0, ..plan() }, Some("threads")),
            (Plan { timeout: Duration::ZERO, ..plan() }, Some("timeout")),
            (Plan { connect_timeout: Duration::ZERO, ..plan() }, Some("connect-timeout")),
            (Plan { interval: Duration::ZERO, ..plan() }, Some("interval")),
            (Plan { cpus: Some(vec![]), ..plan() }, Some("cpus")),
            (Plan { start_at: Some(SystemTime::UNIX_EPOCH), ..plan() }, Some("start-at")),
            (Plan { start_at: Some(SystemTime::now() + Duration::from_secs(3600)), ..plan() }, None),
            (Plan { load: Load::closed_for(Duration::ZERO), ..plan() }, Some("duration")),
            (Plan { load: Load::Closed { stop: Stop::Requests(0) }, ..plan() }, Some("requests")),
            (Plan { load: open(0.0), ..plan() }, Some("stages")),
            (Plan { load: open(f64::NAN), ..plan() }, Some("stages")),
            (Plan { load: open(5.0), ..plan() }, None),
            (Plan { load: Load::constant(vec![]), ..plan() }, Some("stages")),
        ];
        for (plan, field) in rows {
            assert_eq!(plan.check().err().map(|e| e.field), field, "{plan:?}");
        }
    }

    #[test]
    fn the_request_is_what_the_plan_says() {
        let text = |plan: &Plan| String::from_utf8(plan.request_bytes()).unwrap();
        let agent = concat!("User-Agent: loadgen/", env!("CARGO_PKG_VERSION"), "\r\n");
        assert_eq!(text(&plan()), format!("GET /x HTTP/1.1\r\nHost: a:81\r\n{agent}\r\n"));

        let post = Plan {
            method: "POST".into(),
            body: b"abc".to_vec(),
            headers: vec![("host".into(), "b".into()), ("User-Agent".into(), "u".into())],
            reuse: Reuse::NewConnectionPerRequest,
            ..plan()
        };
        assert_eq!(
            text(&post),
            "POST /x HTTP/1.1\r\nhost: b\r\nUser-Agent: u\r\nConnection: close\r\n\
             Content-Length: 3\r\n\r\nabc"
        );
    }
}
